/**
 * What the executor can do in one second of one core: the basis of the block gas limit. Prints a table and one line of JSON.
 * Times are process CPU time, so that other work on the machine hardly counts. Blocks hold signed transactions; recovery of senders,
 * all roots and receipts are included, with and without signers already known from the pool.
 * @module
 */
import { createNativeSuite } from '#node/crypto/native.ts'
import { withRecoveryCache } from '#node/crypto/recovery-cache.ts'
import { openExecution } from '#node/evm/context.ts'
import type { ExecutionContext } from '#node/evm/context.ts'
import { createExecutor } from '#node/evm/executor.ts'
import { buildGenesis } from '#node/evm/genesis.ts'
import { createStateDb } from '#node/evm/state-db.ts'
import { bigintToBytes, bytesToHex, compareHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import { addressOfPublicKey } from '#shared/crypto/noble.ts'
import { blockHash } from '#shared/hhcm/signing.ts'
import type { BlockEnvelope, ExecutionInput, Header, Package } from '#shared/hhcm/types.ts'
import { DEVNET_PARAMS } from '#shared/params.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'

const GAS_LIMIT = DEVNET_PARAMS.blockGasLimit
const BLOCKS = 3
const SENDERS = 700
const GWEI = 10n ** 9n
const ZERO: Hex = `0x${'00'.repeat(32)}`

const suite = withRecoveryCache(await createNativeSuite(), 16_384)
const keys = Array.from({ length: SENDERS }, (_, index) => bigintToBytes(BigInt(index + 1), 32))
const senders = keys.map((key) => addressOfPublicKey(suite.keccak256, secp256k1.getPublicKey(key, false).subarray(1)))

type Call = Readonly<{ to: Address | null; data: Hex; gas: bigint; valueWei: bigint }>

function signed(sender: number, nonce: number, { to, data, gas, valueWei }: Call): Uint8Array {
  const fields = [DEVNET_PARAMS.chainId, nonce, 0, 100n * GWEI, gas, to ?? new Uint8Array(0), valueWei, data, []]
  const digest = suite.keccak256(concatBytes(Uint8Array.of(2), encodeRlp(fields)))
  const signature = secp256k1.sign(digest, keys[sender] ?? bigintToBytes(1n, 32), { prehash: false, format: 'recovered' })
  const integer = (bytes: Uint8Array): bigint => BigInt(bytesToHex(bytes))
  return concatBytes(
    Uint8Array.of(2),
    encodeRlp([...fields, signature[0] ?? 0, integer(signature.subarray(1, 33)), integer(signature.subarray(33))]),
  )
}

/** Loop of additions, multiplications, comparisons and jumps: mixes with a multiplier, spins until gas ends (the frame then fails). */
const COMPUTE: Hex = '0x60015b6040516101a5026007018060041c1860405260010180600052600256'
/** Stores to 20 fresh slots, keyed by calldata: slot = calldata[0..32] + i. */
const STORAGE: Hex = `0x600035${'80600190556001 01'.replace(' ', '').repeat(20)}00`
/** ERC-20-like: two mapping slots by keccak, load, add, store, one log of three topics. */
const TOKEN: Hex = '0x33600052600060205260406000208054600190039055600035600052604060002080546001019055600160005260003533600060206000a300'

type Workload = Readonly<{ name: string; perBlock: number; call: (index: number) => Call }>

/** Loop of static calls to the identity precompile with empty data. Like the two below, it ends when its gas pays for no more calls. */
const CALLS: Hex = '0x5b6000600060006000600461fffffa50600056'
/** Loop of calls to a contract that reverts at once. */
const FRAMES: Hex = '0x5b600060006000600060c661fffffa50600056'
const REVERT: Hex = '0x5f5ffd'
/** As many calls as the block may hold, and warm loads between them for all the gas their floor leaves: the dearest block known. */
const MIXED: Hex = '0x5b6000600060006000600461fffffa50600d5b60019003600054508060125750600056'
/** Loop of warm loads of one slot. */
const LOADS: Hex = '0x5b60005450600056'

const contractAddresses: Readonly<Record<'compute' | 'storage' | 'token' | 'calls' | 'loads' | 'revert' | 'frames' | 'mixed', Address>> = {
  calls: `0x${'c4'.padStart(40, '0')}`,
  loads: `0x${'c5'.padStart(40, '0')}`,
  revert: `0x${'c6'.padStart(40, '0')}`,
  frames: `0x${'c7'.padStart(40, '0')}`,
  mixed: `0x${'c8'.padStart(40, '0')}`,
  compute: `0x${'c1'.padStart(40, '0')}`,
  storage: `0x${'c2'.padStart(40, '0')}`,
  token: `0x${'c3'.padStart(40, '0')}`,
}
const wordOf = (value: number): string => value.toString(16).padStart(64, '0')
const workloads: readonly Workload[] = [
  {
    name: 'transfer',
    perBlock: 476,
    call: (index) => ({ to: `0x${wordOf((index % 2000) + 0x10000).slice(24)}`, data: '0x', gas: 21_000n, valueWei: 1n }),
  },
  {
    name: 'token',
    perBlock: 166,
    call: (index) => ({ to: contractAddresses.token, data: `0x${wordOf(index + 1)}`, gas: 60_000n, valueWei: 0n }),
  },
  {
    name: 'storage',
    perBlock: 20,
    call: (index) => ({ to: contractAddresses.storage, data: `0x${wordOf(index * 32)}`, gas: 490_000n, valueWei: 0n }),
  },
  { name: 'loads', perBlock: 3, call: () => ({ to: contractAddresses.loads, data: '0x', gas: 2_000_000n, valueWei: 0n }) },
  { name: 'calls', perBlock: 3, call: () => ({ to: contractAddresses.calls, data: '0x', gas: 2_000_000n, valueWei: 0n }) },
  { name: 'frames', perBlock: 3, call: () => ({ to: contractAddresses.frames, data: '0x', gas: 2_000_000n, valueWei: 0n }) },
  { name: 'mixed', perBlock: 3, call: () => ({ to: contractAddresses.mixed, data: '0x', gas: 2_000_000n, valueWei: 0n }) },
  { name: 'compute', perBlock: 2, call: () => ({ to: contractAddresses.compute, data: '0x', gas: 5_000_000n, valueWei: 0n }) },
]

type World = Readonly<{
  context: ExecutionContext
  genesis: BlockEnvelope
  add: (hash: Hash, header: Header, nodes: ReadonlyMap<Hash, Uint8Array>) => void
}>

function openWorld(interpreter: 'stock' | 'fast'): World {
  const store = new Map<Hash, Uint8Array>()
  const headers = new Map<Hash, Header>()
  const state = createStateDb({ get: (hash) => store.get(hash) }, suite.keccak256)
  const params = { ...DEVNET_PARAMS, blockGasLimit: GAS_LIMIT }
  const alloc = senders
    .map((address) => ({ address, balanceWei: 10n ** 21n }))
    .toSorted((left, right) => compareHex(left.address, right.address))
  const predeploys = new Map(
    (
      [
        [contractAddresses.compute, COMPUTE],
        [contractAddresses.storage, STORAGE],
        [contractAddresses.token, TOKEN],
        [contractAddresses.calls, CALLS],
        [contractAddresses.loads, LOADS],
        [contractAddresses.revert, REVERT],
        [contractAddresses.frames, FRAMES],
        [contractAddresses.mixed, MIXED],
      ] as const
    ).map(([address, code]) => [address, { code: hexToBytes(code), storage: new Map() }]),
  )
  const validators = [{ address: senders[0] ?? ZERO, consensusKey: ZERO, stakeWei: 1n }]
  const { envelope, nodes } = buildGenesis({ params, genesisTimeMs: 0, salt: ZERO, validators, alloc }, predeploys, state, suite)
  const add: World['add'] = (hash, header, made) => {
    headers.set(hash, header)
    for (const [key, node] of made) store.set(key, node)
  }
  add(envelope.hash, envelope.header, nodes)
  const context = openExecution({
    params,
    genesisTimeMs: 0,
    validators,
    crypto: suite,
    state,
    headerByHash: (hash) => headers.get(hash) ?? null,
    receiptsByHash: () => [],
    natives: {
      trigger: () => Promise.resolve({ skip: 'NONE' }),
      attestation: () => Promise.resolve({ skip: 'NONE' }),
      scheduledAtMs: () => 0,
      omittedLanes: () => Promise.resolve(new Set()),
    },
    precompiles: new Map(),
    interpreter,
  })
  return { context, genesis: envelope, add }
}

function inputOf(parentHash: Hash, slot: number, txs: readonly Uint8Array[]): ExecutionInput {
  const author = senders[0] ?? ZERO
  const header = { slot, lane: 0, rank: 0, parentHash, author, txRoot: ZERO, txCount: txs.length, bytes: 0, signature: ZERO }
  const packages: readonly (Package | null)[] = [{ hash: ZERO, header, txs }, null]
  return { parentHash, slot, author, packages, voters: [], coSigners: [[author], []] }
}

type Row = Readonly<{
  workload: string
  loop: string
  signers: string
  txs: number
  mgas: number
  cpuMs: number
  /** CPU time of a block whose gas is used up by this workload. */
  fullBlockMs: number
  mgasPerSec: number
  txPerSec: number
}>

async function measure(workload: Workload, interpreter: 'stock' | 'fast'): Promise<Row[]> {
  const { context, genesis, add } = openWorld(interpreter)
  const executor = createExecutor(context)
  const nonces = keys.map(() => 0)
  let head: Readonly<{ hash: Hash; header: Header }> = genesis
  const sum = { cold: { cpuMs: 0, gas: 0n, txs: 0 }, warm: { cpuMs: 0, gas: 0n, txs: 0 } }
  for (let block = 0; block <= BLOCKS; block++) {
    const txs = Array.from({ length: workload.perBlock }, (_, index) => {
      const sender = index % SENDERS
      const nonce = nonces[sender] ?? 0
      nonces[sender] = nonce + 1
      return signed(sender, nonce, workload.call(block * workload.perBlock + index))
    })
    const input = inputOf(head.hash, block + 1, txs)
    for (const signers of ['cold', 'warm'] as const) {
      const before = process.cpuUsage()
      const execution = await executor.execute(head.header, input)
      const used = process.cpuUsage(before)
      if ('refusal' in execution) throw new Error(execution.refusal)
      if (execution.skipped.length > 0) throw new Error(`${workload.name}: ${execution.skipped[0]?.code ?? ''}`)
      // The first block warms up the compiler.
      if (block > 0) {
        sum[signers].cpuMs += (used.user + used.system) / 1000
        sum[signers].gas += execution.roots.gasUsed
        sum[signers].txs += execution.txs.length
      }
      if (signers === 'cold') continue
      const header = { ...head.header, ...execution.roots, number: head.header.number + 1, slot: block + 1, parentHash: head.hash }
      head = { hash: blockHash(header, suite.keccak256), header }
      add(head.hash, header, execution.nodes)
    }
  }
  return (['cold', 'warm'] as const).map((signers) => {
    const { cpuMs, gas, txs } = sum[signers]
    const mgas = Number(gas) / 1e6
    return {
      workload: workload.name,
      loop: interpreter,
      signers,
      txs,
      mgas,
      cpuMs: Math.round(cpuMs),
      fullBlockMs: Math.round((cpuMs * Number(GAS_LIMIT)) / Number(gas)),
      mgasPerSec: Math.round((mgas * 10_000) / cpuMs) / 10,
      txPerSec: Math.round((txs * 1000) / cpuMs),
    }
  })
}

const rows: Row[] = []
for (const loop of ['stock', 'fast'] as const) for (const workload of workloads) rows.push(...(await measure(workload, loop)))
console.table(rows)
console.info(JSON.stringify({ bench: 'block-gas', node: process.version, rows }))
