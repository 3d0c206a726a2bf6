/** How long each hop takes, from a provider's batch to a final call, while the network runs as usual. @module */
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import type { Bundle } from '#shared/api/http-oracle.ts'
import { zBundlePage } from '#shared/api/http-oracle.ts'
import type { Fire } from '#shared/api/http-trigger.ts'
import { zFirePage } from '#shared/api/http-trigger.ts'
import type { TriggerJson } from '#shared/api/trigger.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { callRpc, getJson } from '#node/supervisor/wait.ts'
import type { Clients } from './chain.ts'
import { commonTerms, deployed, firedEvents, openClients, registerAll } from './chain.ts'
import type { Network } from './devnet.ts'
import type { Spread } from './statistics.ts'
import { spreadOf } from './statistics.ts'

const ACCOUNT = 8
const TIMERS = 5
const EVERY_SEC = 3
/** Levels of the temperature feed, in °C: recorded January days cross them often. */
const LEVELS = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]
const FUND_WEI = 100n * 10n ** 18n
const WATCH_EVERY_MS = 25
const PAGE = 200

/** When a validator first showed a block, and first showed it as final. */
export type Seen = Map<number, { timeMs: number; headMs: number | null; finalMs: number | null }>
type Points = Readonly<Record<'head' | 'finalized', Readonly<{ number: number }>>>

/** Watches one validator until told to stop. */
export async function watch(url: string, seen: Seen, stop: AbortSignal): Promise<void> {
  const first = (await callRpc(url, 'fusion_finality')) as Points
  let head = first.head.number
  let final = first.finalized.number
  while (!stop.aborted) {
    const points = (await callRpc(url, 'fusion_finality')) as Points
    const nowMs = Date.now()
    for (; head < points.head.number; head++) {
      const block = (await callRpc(url, 'eth_getBlockByNumber', [`0x${(head + 1).toString(16)}`, false])) as Readonly<{ timestampMs: Hex }>
      seen.set(head + 1, { timeMs: Number(block.timestampMs), headMs: nowMs, finalMs: null })
    }
    for (; final < points.finalized.number; final++) {
      const row = seen.get(final + 1)
      if (row !== undefined) row.finalMs = nowMs
    }
    await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS))
  }
}

function timer(to: Address, index: number): TriggerJson {
  const anchor = Math.floor(Date.now() / 1000) * 1000 + index * 200
  return {
    ...commonTerms(),
    name: `bench timer ${index}`,
    mode: { type: 'timing', when: { kind: 'interval', anchor, everySec: EVERY_SEC }, missed: { mode: 'all', max: 100, graceSec: 600 } },
    action: { to, abi: 'beat(uint64)', args: [{ ref: 'fire.scheduledAt' }], gasLimit: 150_000 },
  }
}

function crossing(to: Address, level: number): TriggerJson {
  return {
    ...commonTerms(),
    name: `bench level ${level}`,
    mode: {
      type: 'event',
      when: {
        kind: 'feed.compare',
        source: { feed: 'demo/seattle-temp-max', maxAgeSec: 120 },
        op: 'ge',
        value: String(level),
        edge: { mode: 'rising', rearm: `${level - 1}.9` },
      },
    },
    action: {
      to,
      abi: 'ring(int256,uint64,bytes32)',
      args: [{ ref: 'feed.value' }, { ref: 'feed.observedAt' }, { ref: 'report.digest' }],
      gasLimit: 250_000,
    },
  }
}

/** Newest bundles of an edge; none when there is no edge. */
async function bundlesOf(edgeUrl: string): Promise<readonly Bundle[]> {
  const page = async (after: number) => zBundlePage.parse(await getJson(`${edgeUrl}/v1/bundles?after=${after}&limit=${PAGE}`))
  try {
    const { head } = await page(0)
    return (await page(Math.max(0, head - PAGE))).items
  } catch {
    // A network without an edge has no bundles: the hop is shown as not measured.
    return []
  }
}

async function firesAt(edgeUrl: string, id: Hash): Promise<readonly Fire[]> {
  try {
    return zFirePage.parse(await getJson(`${edgeUrl}/v1/triggers/${id}/fires?limit=${PAGE}`)).items
  } catch {
    return []
  }
}

const present = (values: readonly (number | null | undefined)[]): number[] => values.filter((value) => typeof value === 'number')

async function feedRows(network: Network, ids: readonly Hash[], seen: Seen, sinceMs: number): Promise<readonly Spread[]> {
  const bundles = (await bundlesOf(network.edgeUrl)).filter(({ bundleAtMs }) => bundleAtMs >= sinceMs)
  const inclusions = await Promise.all(
    bundles.map(async ({ txHash, bundleAtMs }) => {
      const receipt = (await callRpc(network.rpcUrls[0] ?? '', 'eth_getTransactionReceipt', [txHash])) as { blockNumber: Hex } | null
      const headMs = receipt === null ? null : seen.get(Number(receipt.blockNumber))?.headMs
      return headMs === null || headMs === undefined ? null : headMs - bundleAtMs
    }),
  )
  const fires = (await Promise.all(ids.map((id) => firesAt(network.edgeUrl, id)))).flat().filter(({ success }) => success)
  const caused = fires.flatMap(({ blockNumber, cause }) => (cause === null || cause.includedBlock === null ? [] : [{ blockNumber, cause }]))
  return [
    spreadOf(
      'batch → bundle',
      bundles.map(({ batchAtMs, bundleAtMs }) => bundleAtMs - batchAtMs),
    ),
    spreadOf('bundle → in a block', present(inclusions)),
    spreadOf(
      'report stored → fired (blocks)',
      caused.map(({ blockNumber, cause }) => blockNumber - (cause.includedBlock ?? blockNumber)),
    ),
    spreadOf(
      'batch → fired',
      present(
        caused.map(({ blockNumber, cause }) => {
          const headMs = seen.get(blockNumber)?.headMs
          return headMs === null || headMs === undefined ? null : headMs - cause.batchAtMs
        }),
      ),
    ),
  ]
}

async function timerRows(clients: Clients, ids: readonly Hash[], fromBlock: number, seen: Seen): Promise<readonly Spread[]> {
  const fires = await firedEvents(clients, ids, fromBlock)
  const rows = fires.flatMap(({ scheduledAtMs, blockNumber }) => {
    const block = seen.get(blockNumber)
    return block === undefined ? [] : [{ scheduledAtMs, block }]
  })
  return [
    spreadOf(
      'due → time of its block',
      rows.map(({ scheduledAtMs, block }) => block.timeMs - scheduledAtMs),
    ),
    spreadOf(
      'due → executed',
      present(rows.map(({ scheduledAtMs, block }) => (block.headMs === null ? null : block.headMs - scheduledAtMs))),
    ),
  ]
}

/** Registers timers and feed triggers of its own, lets the network run for a while and reads the hops from edge and validators. */
export async function measureLatency(network: Network, seconds: number): Promise<readonly Spread[]> {
  const url = network.rpcUrls[0] ?? ''
  const clients = await openClients(url, ACCOUNT)
  const heartbeat = await deployed(clients, heartbeatCreation, heartbeatAbi, [clients.address])
  const alarm = await deployed(clients, priceAlarmCreation, priceAlarmAbi, [clients.address])
  const timers = await registerAll(
    clients,
    Array.from({ length: TIMERS }, (_, index) => timer(heartbeat, index)),
    FUND_WEI,
  )
  const levels = await registerAll(
    clients,
    LEVELS.map((level) => crossing(alarm, level)),
    FUND_WEI,
  )
  const seen: Seen = new Map()
  const stop = new AbortController()
  const sinceMs = Date.now()
  const fromBlock = Number(await clients.reader.getBlockNumber({ cacheTime: 0 }))
  const watching = watch(url, seen, stop.signal)
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const rows = [...(await feedRows(network, levels, seen, sinceMs)), ...(await timerRows(clients, timers, fromBlock, seen))]
  stop.abort()
  await watching
  const finals = [...seen.values()]
  return [
    ...rows,
    spreadOf(
      'block → final',
      present(finals.map(({ headMs, finalMs }) => (headMs === null || finalMs === null ? null : finalMs - headMs))),
    ),
    spreadOf('time of a block → final', present(finals.map(({ timeMs, finalMs }) => (finalMs === null ? null : finalMs - timeMs)))),
  ]
}
