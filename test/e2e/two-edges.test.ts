/** Two edges that know nothing of each other race for the same occurrences: each is executed once. @module */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { devAccount } from '#node/supervisor/accounts.ts'
import type { Child } from '#node/supervisor/child.ts'
import { startChild } from '#node/supervisor/child.ts'
import { openDataDir } from '#node/supervisor/data-dir.ts'
import { writeEdgeConfig } from '#node/supervisor/edge-vars.ts'
import { edgeCommand, migrationCommand } from '#node/supervisor/parts.ts'
import { portIsFree } from '#node/supervisor/ports.ts'
import { callRpc, getJson, waitFor } from '#node/supervisor/wait.ts'
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import type { Address, Hash } from '#shared/types.ts'
import type { Clients, FiredEvent } from '../../bench/chain.ts'
import { commonTerms, deployed, firedEvents, openClients, registerAll } from '../../bench/chain.ts'
import type { RunningDevnet } from '../../bench/devnet.ts'
import { startDevnet } from '../../bench/devnet.ts'
import { reportRound } from './reporter.ts'

const OCCURRENCES = 200
const OWNER = 7
const SECOND_OPERATOR = 11
const FUND_WEI = 10n * 10n ** 18n

let devnet: RunningDevnet
let clients: Clients
let second: Child | null = null
let secondUrl: string
const url = (): string => devnet.rpcUrls[0] ?? ''

/** Has the providers report a value, in hundredths, and waits until it is stored. A round may close in between: then the next one. */
async function report(value: bigint): Promise<void> {
  const hash = await waitFor(() => reportRound(url(), value), { what: 'an accepted report', timeoutMs: 30_000, everyMs: 500 })
  await waitFor(() => callRpc(url(), 'eth_getTransactionReceipt', [hash]), { what: 'a stored report', timeoutMs: 30_000 })
}

async function freePort(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 30_000)
    if (await portIsFree(port)) return port
  }
}

/** A second edge with its own operator, storage and port. */
async function startSecondEdge(): Promise<Child> {
  const dataDir = join(devnet.folder, 'second-edge')
  openDataDir(dataDir, false)
  writeEdgeConfig(dataDir)
  const migration = await startChild(migrationCommand(dataDir))
  expect((await migration.exited).code, migration.tail().join('\n')).toBe(0)
  const own: Readonly<Record<string, string>> = {
    OPERATOR_KEY: devAccount(SECOND_OPERATOR).privateKey,
    FOREIGN_CHAINS: '[]',
  }
  const lines = readFileSync(join(devnet.ready.dataDir, 'edge-vars'), 'utf8').trim().split('\n')
  const vars = lines.map((line) => {
    const [name = ''] = line.split('=')
    return own[name] === undefined ? line : `${name}='${own[name]}'`
  })
  const varsFile = join(dataDir, 'edge-vars')
  writeFileSync(varsFile, `${vars.join('\n')}\n`, { mode: 0o600 })
  const port = await freePort()
  secondUrl = `http://127.0.0.1:${port}`
  return startChild(edgeCommand(dataDir, { ...devnet.ports, edge: port }, varsFile))
}

beforeAll(async () => {
  devnet = await startDevnet({ withDemo: false })
  clients = await openClients(url(), OWNER)
  second = await startSecondEdge()
  await waitFor(() => getJson(`${secondUrl}/healthz`), { what: 'the second edge', timeoutMs: 90_000, everyMs: 300 })
  await report(100_000n)
})
afterAll(async () => {
  await second?.stop()
  await devnet.stop()
})

describe('two edges', () => {
  it(`execute ${OCCURRENCES} occurrences exactly once each`, async () => {
    const target: Address = await deployed(clients, priceAlarmCreation, priceAlarmAbi, [clients.address])
    const ids = await registerAll(
      clients,
      Array.from({ length: OCCURRENCES }, (_, index) => ({
        ...commonTerms(),
        name: `level ${index}`,
        mode: {
          type: 'event' as const,
          when: {
            kind: 'feed.compare' as const,
            source: { feed: 'demo/sp500', maxAgeSec: 600 },
            op: 'ge' as const,
            value: '1500',
            edge: { mode: 'rising' as const, rearm: '1400' },
          },
        },
        action: {
          to: target,
          abi: 'ring(int256,uint64,bytes32)',
          args: [{ ref: 'feed.value' as const }, { ref: 'feed.observedAt' as const }, { ref: 'report.digest' as const }],
          gasLimit: 150_000,
        },
      })),
      FUND_WEI,
    )
    expect(new Set(ids).size).toBe(OCCURRENCES)
    const from = Number(await clients.reader.getBlockNumber({ cacheTime: 0 }))
    const fired = async (): Promise<readonly FiredEvent[]> => {
      const wanted = new Set(ids)
      return (await firedEvents(clients, [], from)).filter(({ id }) => wanted.has(id))
    }
    expect(await fired()).toHaveLength(0)
    await report(160_000n)
    await waitFor(async () => ((await fired()).length >= OCCURRENCES ? true : null), {
      what: 'all fires',
      timeoutMs: 120_000,
      everyMs: 1000,
    })
    // What is still on its way from either edge must come to nothing.
    const head = Number(await clients.reader.getBlockNumber({ cacheTime: 0 }))
    await waitFor(async () => (Number(await callRpc(url(), 'eth_blockNumber')) >= head + 4 ? true : null), {
      what: 'four more blocks',
      timeoutMs: 60_000,
    })
    const fires = await fired()
    expect(fires).toHaveLength(OCCURRENCES)
    expect(new Set(fires.map(({ id }) => id)).size).toBe(OCCURRENCES)
    expect(new Set(fires.map(({ fireKey }) => fireKey)).size).toBe(OCCURRENCES)
    expect(fires.every(({ success }) => success)).toBe(true)
    expect(await clients.reader.readContract({ address: target, abi: priceAlarmAbi, functionName: 'rings' })).toBe(BigInt(OCCURRENCES))
    const submitters = await Promise.all(
      fires.map(async ({ txHash }) => {
        const { submitter } = (await callRpc(url(), 'eth_getTransactionByHash', [txHash])) as Readonly<{ submitter: Address | null }>
        return submitter ?? 'package author'
      }),
    )
    const counts = Object.fromEntries([...new Set(submitters)].map((who) => [who, submitters.filter((one) => one === who).length]))
    process.stdout.write(`two edges: executed by ${JSON.stringify(counts)}\n`)
    for (const edgeUrl of [devnet.edgeUrl, secondUrl]) {
      const { submissions } = (await getJson(`${edgeUrl}/v1/status`)) as Readonly<{ submissions: readonly Readonly<{ kind: string }>[] }>
      expect(submissions.map(({ kind }) => kind)).toContain('trigger')
    }
  })

  it('list the same fires, each once', async () => {
    const keys = async (edgeUrl: string): Promise<readonly Hash[]> => {
      const { items } = (await getJson(`${edgeUrl}/v1/triggers?limit=5`)) as Readonly<{ items: readonly Readonly<{ id: Hash }>[] }>
      const pages = await Promise.all(
        items.map(
          async ({ id }) => (await getJson(`${edgeUrl}/v1/triggers/${id}/fires`)) as Readonly<{ items: readonly { fireKey: Hash }[] }>,
        ),
      )
      return pages.flatMap((page) => page.items.map(({ fireKey }) => fireKey))
    }
    const lists = await waitFor(
      async () => {
        const both = await Promise.all([keys(devnet.edgeUrl), keys(secondUrl)])
        return both.every((list) => list.length >= 5) ? both : null
      },
      { what: 'fires at both edges', timeoutMs: 60_000, everyMs: 1000 },
    )
    expect(lists[0]).toEqual(lists[1])
    expect(new Set(lists[0]).size).toBe(5)
  })
})
