/** The demonstration on top of a running network: data providers, contracts, triggers, a foreign payment, and a line per firing. @module */
import { createWalletClient, http } from 'viem'
import type { TransactionReceipt } from 'viem'
import { foundry } from 'viem/chains'
import { join } from 'node:path'
import type { Fire } from '#shared/api/http-trigger.ts'
import type { Hash } from '#shared/types.ts'
import type { DemoContract, DemoState } from '#node/demo/contracts.ts'
import { DEMO_ABIS, DEMO_CONTRACTS, demoOwner, deployDemo, loadDemo, saveDemo } from '#node/demo/contracts.ts'
import { describeEvent, fireLine } from '#node/demo/fire-line.ts'
import { PAYMENT_WEI, demoTriggers, payee } from '#node/demo/triggers.ts'
import { FusionClient } from '#node/sdk/index.ts'
import { PROVIDER_INDEXES } from '#node/supervisor/accounts.ts'
import type { Crew } from '#node/supervisor/crew.ts'
import type { Devnet } from '#node/supervisor/devnet.ts'
import { anvilUrl, edgeUrl, jsonSourceCommand, providerCommand, rpcUrls } from '#node/supervisor/parts.ts'
import type { DevnetPorts } from '#node/supervisor/ports.ts'
import type { SupervisorSettings } from '#node/supervisor/settings.ts'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'

/** Moved from the owner's balance to each trigger. */
const FUND_WEI = 100n * 10n ** 18n
const FIRES_EVERY_MS = 1_000
const STEP_TIMEOUT_MS = 60_000

export type DemoParts = Readonly<{
  settings: SupervisorSettings
  ports: DevnetPorts
  devnet: Devnet
  crew: Crew
  print: (line: string) => void
  stop: AbortSignal
}>

async function startSources({ settings, ports, crew, print }: DemoParts): Promise<void> {
  await crew.start(jsonSourceCommand(settings.dataDir, ports))
  const startMs = Date.now()
  for (const index of PROVIDER_INDEXES) await crew.start(providerCommand(settings.dataDir, ports, index, startMs))
  print(`  providers      ${PROVIDER_INDEXES.length} data providers and a JSON source`)
}

async function hasCode(parts: DemoParts, state: DemoState): Promise<boolean> {
  const url = rpcUrls(parts.ports)[0] ?? ''
  const codes = await Promise.all(Object.values(state.contracts).map((address) => callRpc(url, 'eth_getCode', [address, 'latest'])))
  return codes.every((code) => code !== '0x')
}

/** Registers what is not registered yet: each trigger is signed by its owner and relayed by the edge. */
async function registerTriggers(parts: DemoParts, client: FusionClient, state: DemoState): Promise<DemoState> {
  const triggers: Partial<Record<DemoContract, Hash>> = { ...state.triggers }
  const wanted = demoTriggers(state.contracts, parts.devnet.hasForeignChain, Date.now())
  await Promise.all(
    wanted.map(async ({ contract, trigger }) => {
      if (triggers[contract] !== undefined) return
      const { id } = await client.register(demoOwner(contract), trigger, FUND_WEI)
      const done = await client.settled(id, STEP_TIMEOUT_MS)
      if (done.status !== 'DONE' || done.entryId === null) throw new Error(`trigger of ${contract}: ${done.status} ${done.detail ?? ''}`)
      triggers[contract] = done.entryId
      saveDemo(parts.settings.dataDir, { ...state, triggers })
    }),
  )
  return { ...state, triggers }
}

/** Pays on the foreign chain, as anybody would. */
async function payForeign({ ports, print }: DemoParts): Promise<void> {
  const wallet = createWalletClient({ account: demoOwner('paymentGate'), chain: foundry, transport: http(anvilUrl(ports)) })
  const hash = await wallet.sendTransaction({ to: payee(), value: PAYMENT_WEI })
  print(`  payment        0.1 ETH on the foreign chain, transaction ${hash.slice(0, 10)}…`)
}

async function eventOf(parts: DemoParts, state: DemoState, contract: DemoContract, fire: Fire): Promise<string> {
  const receipt = (await callRpc(rpcUrls(parts.ports)[0] ?? '', 'eth_getTransactionReceipt', [fire.txHash])) as Pick<
    TransactionReceipt,
    'logs'
  > | null
  return describeEvent(receipt?.logs ?? [], state.contracts[contract], DEMO_ABIS[contract])
}

/** Prints every firing once it is final. The edge may be away for a while: nothing is lost, it comes with the next answer. */
async function followFires(parts: DemoParts, client: FusionClient, state: DemoState): Promise<void> {
  const shown = new Set<string>()
  const sinceMs = Date.now()
  while (!parts.stop.aborted) {
    for (const contract of DEMO_CONTRACTS) {
      const id = state.triggers[contract]
      if (id === undefined) continue
      try {
        const { items } = await client.fires(id, { limit: 10 })
        for (const fire of items.toReversed()) {
          // A resumed chain has fires of earlier runs.
          if (fire.finalAtMs === null || fire.finalAtMs < sinceMs || shown.has(fire.fireKey)) continue
          shown.add(fire.fireKey)
          parts.print(fireLine(contract, fire, await eventOf(parts, state, contract, fire)))
        }
      } catch {
        // Edge or validator restarting; asked again below.
        continue
      }
    }
    await new Promise((resolve) => setTimeout(resolve, FIRES_EVERY_MS))
  }
}

async function makeDemo(parts: DemoParts, client: FusionClient): Promise<DemoState> {
  const { settings, ports, print } = parts
  const known = loadDemo(settings.dataDir)
  const kept = known !== null && (await hasCode(parts, known)) ? known : null
  const state = kept ?? { contracts: await deployDemo(rpcUrls(ports)[0] ?? '', settings.chainId), triggers: {} }
  saveDemo(settings.dataDir, state)
  for (const contract of DEMO_CONTRACTS) print(`  contract       ${contract} ${state.contracts[contract]}`)
  await parts.devnet.edge
  await waitFor(async () => ((await client.feeds()).length > 0 ? true : null), { what: 'feeds at the edge', timeoutMs: STEP_TIMEOUT_MS })
  const registered = await registerTriggers(parts, client, state)
  print(`  triggers       ${Object.keys(registered.triggers).length} registered; see: npx fusion trigger list`)
  return registered
}

/** Contracts and triggers by name for the ready file. A demo that fails says so and leaves the network running. */
export async function runDemo(parts: DemoParts): Promise<Readonly<Record<string, string>>> {
  const client = new FusionClient({ edgeUrl: edgeUrl(parts.ports), rpcUrl: rpcUrls(parts.ports)[0] ?? '' })
  try {
    await startSources(parts)
    const state = await makeDemo(parts, client)
    if (parts.devnet.hasForeignChain) await payForeign(parts)
    void followFires(parts, client, state)
    const triggers = Object.entries(state.triggers).map(([name, id]) => [`${name}Trigger`, id] as const)
    return { ...state.contracts, ...Object.fromEntries(triggers) }
  } catch (cause) {
    if (!parts.stop.aborted)
      parts.print(
        `!! the demo stopped: ${cause instanceof Error ? cause.message : String(cause)}; logs in ${join(parts.settings.dataDir, 'logs')}`,
      )
    return {}
  }
}
