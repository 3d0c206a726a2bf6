#!/usr/bin/env bash
# Foundry's cast against a FUSION node: deploy, send, call, logs, receipts, and blocks with the network's own transactions.
set -euo pipefail

rpc=http://127.0.0.1:8545
while [ $# -gt 0 ]; do
  case "$1" in
    --rpc) rpc="$2"; shift 2 ;;
    -h | --help)
      printf 'Uses a FUSION node through cast. Sends from development account 6.\n\n  examples/clients/cast.sh [--rpc %s]\n' "$rpc"
      exit 0
      ;;
    *) printf 'unknown option %s; see --help\n' "$1" >&2; exit 2 ;;
  esac
done

root=$(cd "$(dirname "$0")/../.." && pwd)
export PATH="$root/node_modules/.bin:$PATH" ETH_RPC_URL="$rpc"
cd "$root"

step() { printf 'ok  %-28s %s\n' "$1" "$2"; }
fail() { printf '!!  %s\n' "$1" >&2; exit 1; }
# cast's launcher ends with 0 whatever cast said, so that every answer is compared.
same() { [ "$2" = "$3" ] || fail "$1: expected $3, got $2"; }
field() { node -e 'let t="";process.stdin.on("data",(c)=>t+=c).on("end",()=>process.stdout.write(String(JSON.parse(t)[process.argv[1]])))' "$1"; }
creation() { node --input-type=module -e 'const [file, name] = process.argv.slice(1); process.stdout.write((await import(file))[name])' "$root/shared/api/abi/$1.ts" "$2"; }

phrase='test test test test test test test test test test test junk'
key=$(cast wallet private-key "$phrase" 6)
self=$(cast wallet address "$key")
recipient=0x00000000000000000000000000000000000c0ffe
send() { cast send --json --private-key "$key" "$@"; }

same 'chain id' "$(cast chain-id)" 81920

before=$(cast balance $recipient)
receipt=$(send $recipient --value 1000wei)
same 'status' "$(field status <<<"$receipt")" 0x1
same 'balance' "$(cast balance $recipient)" "$(node -p "(BigInt('$before') + 1000n).toString()")"
step transfer "1000 wei in block $(cast to-dec "$(field blockNumber <<<"$receipt")")"

token=$(send --create "$(creation test-token testTokenCreation)" | field contractAddress)
send "$token" 'mint(address,uint256)' "$self" 1000 >/dev/null
hash=$(send "$token" 'transfer(address,uint256)' $recipient 40 | field transactionHash)
same 'token balance' "$(cast call "$token" 'balanceOf(address)(uint256)' $recipient)" 40
same 'Transfer events' "$(cast logs --json --from-block 0 --address "$token" 'Transfer(address,address,uint256)' | field length)" 2
same 'receipt' "$(cast receipt "$hash" --json | field status)" 0x1
step TestToken "$token deployed, minted, transferred, logs read"

heartbeat=$(send --create "$(creation heartbeat heartbeatCreation)$(cast abi-encode 'f(address)' "$self" | cut -c3-)" | field contractAddress)
same 'beats' "$(cast call "$heartbeat" 'beats()(uint256)')" 0
alarm=$(send --create "$(creation price-alarm priceAlarmCreation)$(cast abi-encode 'f(address)' "$self" | cut -c3-)" | field contractAddress)
same 'rings' "$(cast call "$alarm" 'rings()(uint256)')" 0
step 'Heartbeat, PriceAlarm' "$heartbeat $alarm"

# Newest block with a transaction of one of the network's own types: it left a log of a system contract.
read_native() {
  local type=$1 log=$2 count hash number
  count=$(field length <<<"$log")
  if [ "$count" = 0 ]; then
    printf -- '--  %-28s this chain has none yet\n' "block with type $type"
    return
  fi
  hash=$(node -e 'process.stdout.write(JSON.parse(require("node:fs").readFileSync(0)).at(-1).transactionHash)' <<<"$log")
  number=$(cast to-dec "$(cast receipt "$hash" --json | field blockNumber)")
  same "type of $hash" "$(cast rpc eth_getTransactionByHash "$hash" | field type)" "$type"
  cast block "$number" --full --json | grep -q "\"$hash\"" || fail "block $number read by cast lacks $hash"
  cast tx "$hash" --json | grep -q "\"$hash\"" || fail "cast cannot read transaction $hash"
  step "block with type $type" "$number"
}
head=$(cast block-number)
from=$((head > 5000 ? head - 5000 : 0))
read_native 0x46 "$(cast logs --json --from-block $from --address 0x0000000000000000000000000000000000004601 'TriggerFired(bytes32,bytes32,bytes32,bytes32,uint32,uint8,bool,uint64,uint256,uint256,bytes)')"
read_native 0x47 "$(cast logs --json --from-block $from --address 0x0000000000000000000000000000000000004602 'RoundAttested(bytes32,uint16,uint64,uint256,uint256)')"
