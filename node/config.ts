/** Settings of a validator process: flags over environment over defaults, checked once, frozen. @module */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import * as z from 'zod'
import { ADDRESS_RULE, isRelayAddress } from '#node/party/relay-address.ts'
import { DecodeError } from '#shared/fault.ts'

const port = z.coerce.number().int().min(0).max(65_535)
const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)

const schema = z.object({
  dataDir: z.string().min(1),
  genesis: z.string(),
  key: z.string(),
  rpcHost: z.string().min(1),
  rpcPort: port,
  p2pHost: z.string().min(1),
  p2pPort: port,
  peers: list.pipe(z.array(z.string().regex(/^\/(?:ip4|ip6|dns4|dns6|dns)\/[^/]+\/tcp\/\d+$/, 'expected /ip4/HOST/tcp/PORT')).max(100)),
  edges: list.pipe(z.array(z.url({ protocol: /^https?$/ })).max(16)),
  partyPassphraseFile: z.string(),
  partyRenewKeys: z.enum(['no', 'yes']).transform((text) => text === 'yes'),
  partyHost: z.string().min(1),
  partyPort: port,
  partyPublicUrl: z.string().refine((text) => text === '' || isRelayAddress(text), ADDRESS_RULE),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']),
})

type Name = keyof z.input<typeof schema>
type Option = Readonly<{ flag: string; env: string; preset: string; help: string }>

const OPTIONS: Readonly<Record<Name, Option>> = {
  dataDir: { flag: 'data-dir', env: 'FUSION_DATA_DIR', preset: '.fusion', help: 'folder of database, write-ahead file and log' },
  genesis: { flag: 'genesis', env: 'FUSION_GENESIS', preset: '', help: 'genesis document (default DATA_DIR/genesis.json)' },
  key: {
    flag: 'key',
    env: 'FUSION_KEY_FILE',
    preset: '',
    help: 'key file of the validator (default DATA_DIR/keys; a node without one follows)',
  },
  rpcHost: { flag: 'rpc-host', env: 'FUSION_RPC_HOST', preset: '127.0.0.1', help: 'address JSON-RPC listens on' },
  rpcPort: {
    flag: 'rpc-port',
    env: 'FUSION_RPC_PORT',
    preset: '8545',
    help: 'port of JSON-RPC, WebSocket and GET /health; 0 takes a free one',
  },
  p2pHost: { flag: 'p2p-host', env: 'FUSION_P2P_HOST', preset: '127.0.0.1', help: 'IPv4 address the peer-to-peer network listens on' },
  p2pPort: { flag: 'p2p-port', env: 'FUSION_P2P_PORT', preset: '9545', help: 'port of the peer-to-peer network; 0 takes a free one' },
  peers: { flag: 'peers', env: 'FUSION_PEERS', preset: '', help: 'multiaddrs to stay connected to, separated by commas' },
  edges: { flag: 'edges', env: 'FUSION_EDGES', preset: '', help: 'URLs of edges whose signed bundles are read, separated by commas' },
  partyPassphraseFile: {
    flag: 'party-passphrase-file',
    env: 'FUSION_PARTY_PASSPHRASE_FILE',
    preset: '',
    help: 'file with the passphrase of the key store; with it the validator holds shares of keys, in DATA_DIR/party',
  },
  partyHost: { flag: 'party-host', env: 'FUSION_PARTY_HOST', preset: '127.0.0.1', help: 'address the relay of its party listens on' },
  partyPort: { flag: 'party-port', env: 'FUSION_PARTY_PORT', preset: '9745', help: 'port of that relay; 0 takes a free one' },
  partyPublicUrl: {
    flag: 'party-public-url',
    env: 'FUSION_PARTY_PUBLIC_URL',
    preset: '',
    help: 'where the other parties reach that relay (default http://PARTY_HOST:PARTY_PORT)',
  },
  partyRenewKeys: {
    flag: 'party-renew-keys',
    env: 'FUSION_PARTY_RENEW_KEYS',
    preset: 'no',
    help: 'yes: its key store is lost and a new one takes its place; shares come back with fusion key recover',
  },
  logLevel: { flag: 'log-level', env: 'FUSION_LOG_LEVEL', preset: 'info', help: 'debug, info, warn or error' },
}
const NAMES = Object.keys(OPTIONS) as readonly Name[]

export type NodeConfig = Readonly<z.output<typeof schema>>

/** What `--help` prints. */
export function helpText(): string {
  const lines = NAMES.map((name) => {
    const { flag, env, preset, help } = OPTIONS[name]
    return `  --${flag.padEnd(21)} ${env.padEnd(28)} ${help}${preset === '' ? '' : ` [${preset}]`}`
  })
  return [
    'One FUSION node: a validator when it has a key, a follower otherwise.',
    '',
    'usage: node node/main.ts [options]; every option is also an environment variable',
    '',
    ...lines,
    '  --help                                              this text',
    '',
    'exit codes: 0 stopped as asked, 1 a bug of ours or a lost disk, 2 bad settings, 3 a port is taken',
    '',
  ].join('\n')
}

function readFlags(args: readonly string[]): Partial<Record<string, string | boolean>> {
  const options = Object.fromEntries(NAMES.map((name) => [OPTIONS[name].flag, { type: 'string' as const }]))
  try {
    return parseArgs({ args: [...args], options: { ...options, help: { type: 'boolean' } }, allowPositionals: false }).values
  } catch (cause) {
    throw new DecodeError('FLAG_UNKNOWN', 'argv', cause instanceof Error ? cause.message : String(cause))
  }
}

/**
 * Reads the settings; 'help' when they were asked for.
 * @throws {DecodeError} FLAG_UNKNOWN, SETTING_INVALID with the name of the flag
 */
export function readConfig(args: readonly string[], env: Readonly<Record<string, string | undefined>>): NodeConfig | 'help' {
  const flags = readFlags(args)
  if (flags['help'] === true) return 'help'
  const given = Object.fromEntries(
    NAMES.map((name) => {
      const flag = flags[OPTIONS[name].flag]
      return [name, typeof flag === 'string' ? flag : (env[OPTIONS[name].env] ?? OPTIONS[name].preset)]
    }),
  )
  const parsed = schema.safeParse(given)
  if (!parsed.success) {
    const issue = parsed.error.issues[0]
    const name = issue?.path[0]
    const option = typeof name === 'string' && name in OPTIONS ? OPTIONS[name as Name] : null
    throw new DecodeError('SETTING_INVALID', option === null ? '' : `--${option.flag} (${option.env})`, issue?.message ?? 'invalid')
  }
  const { dataDir, genesis, key } = parsed.data
  return Object.freeze({
    ...parsed.data,
    genesis: genesis === '' ? join(dataDir, 'genesis.json') : genesis,
    key: key === '' ? join(dataDir, 'keys') : key,
  })
}
