/** Starts the parts of a development network one after another and knows what the ready file says about them. @module */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Hash } from '#shared/types.ts'
import type { DevnetGenesis } from '#node/genesis-tool.ts'
import { loadOrCreateDevnet } from '#node/genesis-tool.ts'
import type { Child } from '#node/supervisor/child.ts'
import type { Crew } from '#node/supervisor/crew.ts'
import { startCron } from '#node/supervisor/cron.ts'
import { ensurePassphrase } from '#node/supervisor/extra-parties.ts'
import { writeEdgeConfig, writeEdgeVars } from '#node/supervisor/edge-vars.ts'
import {
  anvilCommand,
  anvilPath,
  anvilUrl,
  edgeCommand,
  edgeUrl,
  migrationCommand,
  rpcUrls,
  validatorCommand,
} from '#node/supervisor/parts.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'
import type { SupervisorSettings } from '#node/supervisor/settings.ts'
import { callRpc, getJson, waitFor } from '#node/supervisor/wait.ts'

/** Validators of a development network. */
export const VALIDATOR_COUNT = 4
const START_TIMEOUT_MS = 60_000

export type Devnet = Readonly<{
  genesis: DevnetGenesis
  hasForeignChain: boolean
  /** Resolves when the edge answers; it starts while other things go on. */
  edge: Promise<void>
  stopCron: () => void
}>

type Print = (line: string) => void

const exitOf = (children: readonly Child[]) => (): string | null => {
  const dead = children.find((child) => !child.running())
  return dead === undefined ? null : `${dead.name} ended; its log is ${dead.command.logPath}`
}

async function startForeignChain(settings: SupervisorSettings, ports: DevnetPorts, crew: Crew, print: Print): Promise<void> {
  const program = anvilPath()
  if (program === null) {
    print('  foreign chain  not available on this platform: payment triggers are left out')
    return
  }
  const child = await crew.start(anvilCommand(settings.dataDir, ports, program))
  await waitFor(async () => (await callRpc(anvilUrl(ports), 'eth_blockNumber')) ?? null, {
    what: 'foreign chain',
    timeoutMs: START_TIMEOUT_MS,
    givenUp: exitOf([child]),
  })
  print(`  foreign chain  ${anvilUrl(ports)}`)
}

/** Number and hash of the newest final block of a node. */
async function finalBlock(url: string): Promise<Readonly<{ number: number; hash: Hash }>> {
  const block = (await callRpc(url, 'eth_getBlockByNumber', ['finalized', false])) as { number: string; hash: Hash }
  return { number: Number(block.number), hash: block.hash }
}

/** Starts them; gives the final block as it was before this start added any. */
async function startValidators(settings: SupervisorSettings, ports: DevnetPorts, crew: Crew, print: Print): Promise<number> {
  const finals: number[] = []
  const children: Child[] = []
  for (let index = 0; index < VALIDATOR_COUNT; index++) children.push(await crew.start(validatorCommand(settings.dataDir, ports, index)))
  for (const [index, url] of rpcUrls(ports).entries()) {
    const final = await waitFor(() => finalBlock(url), {
      what: `validator ${index}`,
      timeoutMs: START_TIMEOUT_MS,
      givenUp: exitOf(children),
    })
    finals.push(final.number)
  }
  print(`  validators     ${rpcUrls(ports).join('  ')}`)
  return finals[0] ?? 0
}

async function startEdge(
  settings: SupervisorSettings,
  ports: DevnetPorts,
  crew: Crew,
  hasForeignChain: boolean,
  print: Print,
): Promise<() => void> {
  writeEdgeConfig(settings.dataDir)
  const varsFile = writeEdgeVars(settings.dataDir, ports, { foreignChain: hasForeignChain, demo: settings.withDemo })
  await crew.runToEnd(migrationCommand(settings.dataDir))
  const child = await crew.start(edgeCommand(settings.dataDir, ports, varsFile))
  await waitFor(async () => getJson(`${edgeUrl(ports)}/healthz`), {
    what: 'edge',
    timeoutMs: START_TIMEOUT_MS,
    everyMs: 300,
    givenUp: exitOf([child]),
  })
  print(`  edge           ${edgeUrl(ports)}`)
  return startCron(edgeUrl(ports))
}

/** Starts foreign chain, validators and edge; resolves when a block made after the start is final, maybe before the edge answers. */
export async function startDevnet(settings: SupervisorSettings, ports: DevnetPorts, crew: Crew, print: Print): Promise<Devnet> {
  const isNew = !existsSync(join(settings.dataDir, 'genesis.json'))
  ensurePassphrase(settings.dataDir)
  const genesis = loadOrCreateDevnet(settings.dataDir, settings, VALIDATOR_COUNT)
  print(`  chain          ${isNew ? 'new' : 'resumed'}, id ${genesis.chainId}, genesis ${genesis.genesisHash}`)
  const hasForeignChain = anvilPath() !== null
  let stopCron = (): void => undefined
  const edge = startEdge(settings, ports, crew, hasForeignChain, print).then((stop) => {
    stopCron = stop
  })
  // Whoever needs the edge awaits it; until then its failure must not count as unhandled.
  edge.catch(() => undefined)
  const [before] = await Promise.all([startValidators(settings, ports, crew, print), startForeignChain(settings, ports, crew, print)])
  const final = await waitFor(
    async () => {
      const block = await finalBlock(rpcUrls(ports)[0] ?? '')
      return block.number > before ? block : null
    },
    { what: 'first final block', timeoutMs: START_TIMEOUT_MS, everyMs: 250 },
  )
  print(`  final block    ${final.number} ${final.hash}`)
  return { genesis, hasForeignChain, edge, stopCron: () => stopCron() }
}
