/** Settings of a party's process: flags, then environment, then defaults. Secrets come from files or the environment, never from flags. @module */
import { readFileSync } from 'node:fs'
import { parseArgs } from 'node:util'
import { ADDRESS_RULE, isRelayAddress } from '#node/party/relay-address.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Hex } from '#shared/types.ts'

export type PartySettings = Readonly<{
  rpcUrl: string
  chainId: number
  dataDir: string
  operatorKey: Hex
  passphrase: string
  /** Relays at the edge, in the order every party uses. */
  edgeRelays: readonly string[]
  host: string
  /** Port of this party's own relay. */
  port: number
  /** Where others reach that relay, when it is not host and port. */
  publicUrl: string | null
  /** Whether a store the chain does not know takes the place of one that is lost. */
  renewsKeys: boolean
}>

type Environment = Readonly<Record<string, string | undefined>>

/** Text of `fusion party --help`. */
export const PARTY_HELP = `Runs one party of the key network: it holds shares and signs what the final chain orders.

usage: fusion party --rpc URL --data-dir DIR --operator-key-file FILE --passphrase-file FILE [--relay URL]... [--port N] [--public-url URL]

  --rpc URL                 JSON-RPC of a validator this party trusts for the chain
  --relay URL               relay at an edge, in the order all parties use; may be repeated
  --data-dir DIR            where shares and presignatures are kept, encrypted
  --operator-key-file FILE  secp256k1 key of the account that registers the party, 0x hex
  --passphrase-file FILE    passphrase of the store; or FUSION_PARTY_PASSPHRASE
  --host ADDRESS            address of this party's own relay (default 127.0.0.1)
  --port N                  its port (default: a free one)
  --public-url URL          where the other parties reach that relay (default: http://ADDRESS:PORT)
  --renew-keys              take the place of a store that is lost, once, with an empty folder; shares come back with fusion key recover
  --chain-id N              chain id (default 81920, or FUSION_CHAIN_ID)
  --help                    this text
`

function required(value: string | undefined, flag: string): string {
  if (value === undefined) throw new DecodeError('SETTING_MISSING', flag, `expected ${flag}; see --help`)
  return value
}

function fileText(path: string, flag: string): string {
  try {
    return readFileSync(path, 'utf8').trim()
  } catch (cause) {
    throw new DecodeError('SETTING_UNREADABLE', flag, cause instanceof Error ? cause.message : String(cause))
  }
}

function numberOf(text: string, flag: string, max: number): number {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0 || value > max)
    throw new DecodeError('SETTING_INVALID', flag, `expected a number up to ${max}, got "${text}"`)
  return value
}

function publicUrlOf(text: string | undefined): string | null {
  if (text !== undefined && !isRelayAddress(text)) throw new DecodeError('SETTING_INVALID', '--public-url', ADDRESS_RULE)
  return text ?? null
}

/** Reads settings. @throws {DecodeError} SETTING_MISSING, SETTING_UNREADABLE, SETTING_INVALID */
export function readPartySettings(args: readonly string[], environment: Environment): PartySettings | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      rpc: { type: 'string' },
      relay: { type: 'string', multiple: true },
      'data-dir': { type: 'string' },
      'operator-key-file': { type: 'string' },
      'passphrase-file': { type: 'string' },
      host: { type: 'string' },
      port: { type: 'string' },
      'public-url': { type: 'string' },
      'chain-id': { type: 'string' },
      'renew-keys': { type: 'boolean' },
      help: { type: 'boolean' },
    },
  })
  if (values.help === true) return 'help'
  const operatorKey = fileText(required(values['operator-key-file'], '--operator-key-file'), '--operator-key-file')
  if (!/^0x[0-9a-f]{64}$/.test(operatorKey))
    throw new DecodeError('SETTING_INVALID', '--operator-key-file', 'expected 32 bytes as 0x hex in the file')
  const passphraseFile = values['passphrase-file']
  const passphrase =
    passphraseFile === undefined
      ? required(environment['FUSION_PARTY_PASSPHRASE'], '--passphrase-file')
      : fileText(passphraseFile, '--passphrase-file')
  return {
    rpcUrl: required(values.rpc, '--rpc'),
    chainId: numberOf(values['chain-id'] ?? environment['FUSION_CHAIN_ID'] ?? '81920', '--chain-id', Number.MAX_SAFE_INTEGER),
    dataDir: required(values['data-dir'], '--data-dir'),
    operatorKey: operatorKey as Hex,
    passphrase,
    edgeRelays: values.relay ?? [],
    host: values.host ?? '127.0.0.1',
    port: numberOf(values.port ?? '0', '--port', 65_535),
    publicUrl: publicUrlOf(values['public-url']),
    renewsKeys: values['renew-keys'] === true,
  }
}
