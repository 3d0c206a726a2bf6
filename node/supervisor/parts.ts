/** Command lines of every part of a development network. @module */
import { existsSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { ChildCommand } from '#node/supervisor/child.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'

/** Root of the clone. */
export const PROJECT_DIR = resolve(import.meta.dirname, '../..')
/** Chain id of the foreign chain. */
export const FOREIGN_CHAIN_ID = 31_337

const logOf = (dataDir: string, name: string): string => join(dataDir, 'logs', `${name}.log`)
/** `--name value` pairs. */
const flags = (values: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(values).flatMap(([name, value]) => [`--${name}`, value])
const loopback = (port: number): string => `http://127.0.0.1:${port}`

/** URLs of a network by its ports. */
export const rpcUrls = (ports: DevnetPorts): readonly string[] => ports.rpc.map(loopback)
export const edgeUrl = (ports: DevnetPorts): string => loopback(ports.edge)
export const anvilUrl = (ports: DevnetPorts): string => loopback(ports.anvil)
export const jsonSourceUrl = (ports: DevnetPorts): string => loopback(ports.jsonSource)

/** A TypeScript program of this project on this very Node. */
function script(
  dataDir: string,
  name: string,
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ChildCommand {
  return { name, command: process.execPath, args: [join(PROJECT_DIR, file), ...args], env, cwd: PROJECT_DIR, logPath: logOf(dataDir, name) }
}

/** Folder of one validator. */
export const validatorDir = (dataDir: string, index: number): string => join(dataDir, 'validators', String(index))

/** One validator; its peers are all others. Without a party it holds no shares of keys, and needs no passphrase. */
export function validatorCommand(dataDir: string, ports: DevnetPorts, index: number, { hasParty = true } = {}): ChildCommand {
  const peers = ports.p2p.filter((_, other) => other !== index).map((port) => `/ip4/127.0.0.1/tcp/${port}`)
  return script(
    dataDir,
    `validator-${index}`,
    'node/main.ts',
    flags({
      'data-dir': validatorDir(dataDir, index),
      genesis: join(dataDir, 'genesis.json'),
      'rpc-port': String(ports.rpc[index]),
      'p2p-port': String(ports.p2p[index]),
      peers: peers.join(','),
      edges: edgeUrl(ports),
      ...(hasParty ? { 'party-passphrase-file': passphrasePath(dataDir), 'party-port': String(ports.party[index]) } : {}),
    }),
  )
}

/** Passphrase of the key stores of one development network. */
export const passphrasePath = (dataDir: string): string => join(dataDir, 'party-passphrase')
/** Folder of an extra party. */
export const partyDir = (dataDir: string, index: number): string => join(dataDir, 'parties', String(index))
/** Key file of an extra party's account. */
export const partyKeyPath = (dataDir: string, index: number): string => join(partyDir(dataDir, index), 'operator-key')

/** A party beside the validators'; it trusts one of them for the chain. */
export function partyCommand(dataDir: string, ports: DevnetPorts, chainId: number, index: number): ChildCommand {
  return script(
    dataDir,
    `party-${index}`,
    'node/party/main.ts',
    flags({
      rpc: rpcUrls(ports)[index % ports.rpc.length] ?? '',
      relay: edgeUrl(ports),
      'data-dir': partyDir(dataDir, index),
      'operator-key-file': partyKeyPath(dataDir, index),
      'passphrase-file': passphrasePath(dataDir),
      'chain-id': String(chainId),
    }),
  )
}

/** Path of the foreign chain's program, null when this platform has none installed. */
export function anvilPath(): string | null {
  const names: Readonly<Partial<Record<string, string>>> = { x64: 'amd64', arm64: 'arm64' }
  const platform = process.platform === 'win32' ? 'win32' : process.platform
  const program = process.platform === 'win32' ? 'anvil.exe' : 'anvil'
  const path = join(PROJECT_DIR, 'node_modules/@foundry-rs', `anvil-${platform}-${names[process.arch] ?? process.arch}`, 'bin', program)
  return existsSync(path) ? path : null
}

/** An Ethereum chain of its own with a block each second. */
export function anvilCommand(dataDir: string, ports: DevnetPorts, program: string): ChildCommand {
  return {
    name: 'foreign-chain',
    command: program,
    args: [
      ...flags({
        host: '127.0.0.1',
        port: String(ports.anvil),
        'chain-id': String(FOREIGN_CHAIN_ID),
        'block-time': '1',
        state: join(dataDir, 'foreign-chain.json'),
      }),
      '--silent',
    ],
    env: {},
    cwd: dataDir,
    logPath: logOf(dataDir, 'foreign-chain'),
  }
}

const WRANGLER = join(PROJECT_DIR, 'node_modules/wrangler/bin/wrangler.js')

/** Everything the edge's tools need to stay quiet, offline and inside the data folder. */
const edgeEnvironment = (dataDir: string): Readonly<Record<string, string>> => ({
  CI: '1',
  WRANGLER_SEND_METRICS: 'false',
  WRANGLER_LOG_PATH: join(dataDir, 'logs', 'wrangler'),
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  X_LOCAL_OBSERVABILITY: 'false',
  X_LOCAL_EXPLORER: 'false',
})

/** The edge tool's configuration of this network. */
export const edgeConfigPath = (dataDir: string): string => join(dataDir, 'wrangler.toml')

const edgeStorage = (dataDir: string): string => join(dataDir, 'edge')

/** Creates or upgrades the edge's database. Ends by itself. */
export function migrationCommand(dataDir: string): ChildCommand {
  return {
    name: 'edge-database',
    command: process.execPath,
    args: [
      WRANGLER,
      'd1',
      'migrations',
      'apply',
      'DB',
      '--local',
      ...flags({ config: edgeConfigPath(dataDir), 'persist-to': edgeStorage(dataDir) }),
    ],
    env: edgeEnvironment(dataDir),
    cwd: dataDir,
    logPath: logOf(dataDir, 'edge'),
  }
}

/** The edge; `varsFile` holds its variables and its secret. */
export function edgeCommand(dataDir: string, ports: DevnetPorts, varsFile: string): ChildCommand {
  return {
    name: 'edge',
    command: process.execPath,
    args: [
      WRANGLER,
      'dev',
      ...flags({
        config: edgeConfigPath(dataDir),
        ip: '127.0.0.1',
        port: String(ports.edge),
        'inspector-port': '0',
        'persist-to': edgeStorage(dataDir),
        'env-file': varsFile,
        'log-level': 'warn',
      }),
      '--show-interactive-dev-session=false',
    ],
    env: edgeEnvironment(dataDir),
    cwd: dataDir,
    logPath: logOf(dataDir, 'edge'),
  }
}

/** The web source that the edge polls. */
export function jsonSourceCommand(dataDir: string, ports: DevnetPorts): ChildCommand {
  return script(dataDir, 'json-source', 'examples/json-source/server.ts', flags({ port: String(ports.jsonSource) }))
}

/** Points after which both recordings are at their beginning again: the least common multiple of 1461 days and 123 months. */
const RECORDING_POINTS = 59_901
const PROVIDER_ROUND_MS = 1500
const ROUNDS_PER_POINT = 2

/** Shift that lets the recordings begin at `nowMs`, in a wet January: providers take their position from the clock. */
function recordingShift(nowMs: number): number {
  return RECORDING_POINTS - (Math.floor(nowMs / PROVIDER_ROUND_MS / ROUNDS_PER_POINT) % RECORDING_POINTS)
}

/** A data provider with the key of a development account. All of one start get the same `startMs`. */
export function providerCommand(dataDir: string, ports: DevnetPorts, account: number, startMs: number): ChildCommand {
  const values = {
    account: String(account),
    edge: edgeUrl(ports),
    'jitter-ppm': '500',
    'step-rounds': String(ROUNDS_PER_POINT),
    shift: String(recordingShift(startMs)),
  }
  return script(dataDir, `provider-${account}`, 'examples/providers/replay.ts', flags(values))
}
