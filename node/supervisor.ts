/** `npm start`: a whole development network on one machine, until Ctrl-C. @module */
import { join } from 'node:path'
import { DecodeError } from '#shared/fault.ts'
import { runDemo } from '#node/demo/demo.ts'
import { devAccount } from '#node/supervisor/accounts.ts'
import type { Crew } from '#node/supervisor/crew.ts'
import { createCrew } from '#node/supervisor/crew.ts'
import { endLeftovers, openDataDir } from '#node/supervisor/data-dir.ts'
import type { Devnet } from '#node/supervisor/devnet.ts'
import { VALIDATOR_COUNT, startDevnet } from '#node/supervisor/devnet.ts'
import { FOREIGN_CHAIN_ID, anvilUrl, edgeUrl, jsonSourceUrl, rpcUrls } from '#node/supervisor/parts.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'
import { startExtraParties } from '#node/supervisor/extra-parties.ts'
import { devnetPorts, takenPorts } from '#node/supervisor/ports.ts'
import { readyParts, writeReadyFile } from '#node/supervisor/ready.ts'
import type { SupervisorSettings } from '#node/supervisor/settings.ts'
import { SUPERVISOR_HELP, readSettings } from '#node/supervisor/settings.ts'

const EXIT_FAILED = 1
const EXIT_SETTINGS = 2
const EXIT_PORT_TAKEN = 3
/** Funded accounts named in the ready file. */
const ACCOUNTS_SHOWN = 10

const print = (line: string): void => {
  process.stdout.write(`${line}\n`)
}

function ready(settings: SupervisorSettings, ports: DevnetPorts, devnet: Devnet, crew: Crew, demo: Readonly<Record<string, string>>): void {
  if (settings.readyFile === null) return
  const { genesis, hasForeignChain } = devnet
  writeReadyFile(settings.readyFile, {
    version: 1,
    chainId: genesis.chainId,
    genesisHash: genesis.genesisHash,
    genesisTimeMs: genesis.genesisTimeMs,
    slotMs: genesis.slotMs,
    dataDir: settings.dataDir,
    supervisorPid: process.pid,
    rpcUrls: rpcUrls(ports),
    edgeUrl: edgeUrl(ports),
    foreignChain: hasForeignChain ? { url: anvilUrl(ports), chainId: FOREIGN_CHAIN_ID } : null,
    jsonSourceUrl: settings.withDemo ? jsonSourceUrl(ports) : null,
    validators: genesis.validators.map(({ address }, index) => ({
      address,
      rpcUrl: rpcUrls(ports)[index] ?? '',
      p2p: `/ip4/127.0.0.1/tcp/${ports.p2p[index]}`,
    })),
    accounts: Array.from({ length: ACCOUNTS_SHOWN }, (_, index) => devAccount(index)),
    processes: readyParts(crew.children()),
    demo,
  })
}

async function run(settings: SupervisorSettings, crew: Crew, ports: DevnetPorts, stop: AbortSignal): Promise<void> {
  const startedMs = Date.now()
  print(`FUSION development network in ${settings.dataDir}`)
  const devnet = await startDevnet(settings, ports, crew, print)
  stop.addEventListener('abort', devnet.stopCron)
  const demo = settings.withDemo ? await runDemo({ settings, ports, devnet, crew, print, stop }) : {}
  await startExtraParties(settings, ports, crew, print)
  await devnet.edge
  ready(settings, ports, devnet, crew, demo)
  print(
    `  ready          after ${((Date.now() - startedMs) / 1000).toFixed(1)} s; logs in ${join(settings.dataDir, 'logs')}; Ctrl-C stops everything`,
  )
}

/** Settings, data folder and ports: everything that can be wrong before a process is started. */
async function prepare(): Promise<Readonly<{ settings: SupervisorSettings; ports: DevnetPorts }> | number> {
  const settings = readSettings(process.argv.slice(2), process.env)
  if (settings === 'help') {
    print(SUPERVISOR_HELP)
    return 0
  }
  const ports = devnetPorts(VALIDATOR_COUNT, settings.portOffset)
  const left = await endLeftovers(settings.dataDir)
  if (left.length > 0) print(`ended what an earlier start left running: ${left.join(', ')}`)
  const taken = await takenPorts(ports)
  if (taken.length > 0) {
    for (const { port, use } of taken) process.stderr.write(`port ${port} (${use}) is taken by another program\n`)
    process.stderr.write('stop that program, or choose other ports: FUSION_PORT_OFFSET=1000 npm start\n')
    return EXIT_PORT_TAKEN
  }
  openDataDir(settings.dataDir, settings.isFresh)
  return { settings, ports }
}

async function main(): Promise<number> {
  const prepared = await prepare()
  if (typeof prepared === 'number') return prepared
  const { settings, ports } = prepared
  const crew = createCrew(settings.dataDir, print)
  const stop = new AbortController()
  const stopped = new Promise<void>((resolve) => {
    const onSignal = (): void => {
      if (stop.signal.aborted) return
      print('\nstopping …')
      stop.abort()
      resolve()
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, onSignal)
  })
  let code = 0
  try {
    await Promise.race([run(settings, crew, ports, stop.signal), stopped])
    await stopped
  } catch (cause) {
    process.stderr.write(`failed: ${cause instanceof Error ? cause.message : String(cause)}\n`)
    code = EXIT_FAILED
  }
  stop.abort()
  await crew.stopAll()
  print('stopped')
  return code
}

// Whoever read the output may be gone (a closed terminal, `npm start | head`): the network must still be stopped in order.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)

try {
  process.exit(await main())
} catch (cause) {
  process.stderr.write(`${cause instanceof Error ? cause.message : String(cause)}\n`)
  process.exit(cause instanceof DecodeError ? EXIT_SETTINGS : EXIT_FAILED)
}
