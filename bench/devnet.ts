/** A development network for measurements and proofs: started in a temporary folder on free ports, and stopped with everything it started. @module */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { VALIDATOR_COUNT } from '#node/supervisor/devnet.ts'
import { PROJECT_DIR, edgeUrl, rpcUrls } from '#node/supervisor/parts.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'
import { devnetPorts, takenPorts } from '#node/supervisor/ports.ts'
import type { ReadyFile } from '#node/supervisor/ready.ts'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'

const START_TIMEOUT_MS = 180_000
const STOP_TIMEOUT_MS = 30_000
const OUTPUT_CHARACTERS_SHOWN = 3000

/** What a measurement needs of a network, whoever started it. */
export type Network = Readonly<{ rpcUrls: readonly string[]; edgeUrl: string }>

export type RunningDevnet = Network &
  Readonly<{
    ready: ReadyFile
    ports: DevnetPorts
    /** The folder it writes to; deleted by `stop`. */
    folder: string
    /** What the supervisor has printed so far. */
    output: () => string
    stop: () => Promise<void>
  }>

/** Ports of a network, none of them in use. */
async function freeOffset(): Promise<Readonly<{ offset: number; ports: DevnetPorts }>> {
  for (;;) {
    const offset = 1000 + Math.floor(Math.random() * 45_000)
    const ports = devnetPorts(VALIDATOR_COUNT, offset)
    if ((await takenPorts(ports)).length === 0) return { offset, ports }
  }
}

/** Starts a new network with or without the demonstration. Resolves when it is ready. @throws {Error} with its output when it is not in time */
export async function startDevnet({ withDemo }: Readonly<{ withDemo: boolean }>): Promise<RunningDevnet> {
  const folder = mkdtempSync(join(tmpdir(), 'fusion-devnet-'))
  const { offset, ports } = await freeOffset()
  const readyPath = join(folder, 'ready.json')
  let output = ''
  const child = spawn(
    process.execPath,
    [join(PROJECT_DIR, 'node/supervisor.ts'), '--fresh', '--ready-file', readyPath, ...(withDemo ? [] : ['--no-demo'])],
    {
      cwd: folder,
      env: { ...process.env, FUSION_DATA_DIR: join(folder, 'data'), FUSION_PORT_OFFSET: String(offset) },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += chunk.toString('utf8')))
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const stop = async (): Promise<void> => {
    child.kill('SIGINT')
    const timer = setTimeout(() => child.kill('SIGKILL'), STOP_TIMEOUT_MS)
    await closed
    clearTimeout(timer)
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    const ready = await waitFor(async () => (existsSync(readyPath) ? (JSON.parse(readFileSync(readyPath, 'utf8')) as ReadyFile) : null), {
      what: 'a new network',
      timeoutMs: START_TIMEOUT_MS,
      givenUp: () => (child.exitCode === null ? null : 'ended'),
    })
    return { ready, ports, folder, rpcUrls: ready.rpcUrls, edgeUrl: ready.edgeUrl, output: () => output, stop }
  } catch (cause) {
    await stop()
    throw new Error(`${cause instanceof Error ? cause.message : String(cause)}\n${output.slice(-OUTPUT_CHARACTERS_SHOWN)}`, { cause })
  }
}

/** The network on the usual ports, shifted by FUSION_PORT_OFFSET. @throws {Error} when one of its validators does not answer */
export async function attachDevnet(): Promise<Network> {
  const ports = devnetPorts(VALIDATOR_COUNT, Number(process.env['FUSION_PORT_OFFSET'] ?? 0))
  const network = { rpcUrls: rpcUrls(ports), edgeUrl: edgeUrl(ports) }
  for (const url of network.rpcUrls) {
    const answers = await callRpc(url, 'fusion_meta').then(
      () => true,
      () => false,
    )
    if (!answers)
      throw new Error(
        `no validator answers at ${url}; run "npm start" in another terminal, or give --start (FUSION_PORT_OFFSET shifts ports)`,
      )
  }
  return network
}
