/** Following the chain: projections with the latency of every hop, reorganisations, and what the schedulers submit. @module */
import { runInDurableObject } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { feedRegistryAbi } from '#shared/api/abi/feed-registry.ts'
import { readValueToJson } from '#shared/api/reads.ts'
import { zFirePage, zTriggerPage } from '#shared/api/http-trigger.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { decodeDepositEvidence, verifyDepositEvidence } from '#shared/oracle/deposit-evidence.ts'
import { reportDigest } from '#shared/oracle/ids.ts'
import { CALLING_LIST, FEED_REGISTRY } from '#shared/system.ts'
import { fireKey } from '#shared/trigger/ids.ts'
import { decodeTriggerTx, triggerTxSubmitter } from '#shared/trigger/transaction.ts'
import type { Entry, FeedReport, Mode } from '#shared/trigger/types.ts'
import type { Hash, Hex } from '#shared/types.ts'
import { toSourceSet } from '#workers/oracle/registry.ts'
import { account, lower, OPERATOR } from '#test/workers/accounts.ts'
import { makeEntry, TARGET } from '#test/workers/entries.ts'
import { type FakeBlock, FakeChain, GENESIS } from '#test/workers/fake-chain.ts'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { encodeAbiParameters, encodeEventTopics, keccak256, toHex } from 'viem'

const chain = new FakeChain(Date.now())
const OWNER = lower(account(0).address)
const feeds = chain.addSet(OWNER, 'demo', 'provider', [OWNER], [{ name: 'sp500', decimals: 2 }])
const reporters = chain.addSet(OWNER, 'edge-watch', 'reporter', [OPERATOR], [])
const feed = feeds.shards[0]?.[0]?.id ?? '0x'
const PAYEE = `0x${'cd'.repeat(20)}` as const

beforeAll(() => {
  vi.stubGlobal('fetch', chain.fetch)
})

const get = (path: string) => exports.default.fetch(`http://edge${path}`)

async function eventually<T>(what: string, read: () => Promise<T | null | undefined> | T | null | undefined): Promise<T> {
  for (let tries = 0; tries < 100; tries++) {
    const value = await read()
    if (value !== null && value !== undefined) return value
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${what} did not happen within 10 s`)
}

let counter = 0n
function entryOf(mode: Mode, change: Partial<Entry> = {}): Entry {
  const entry = makeEntry(OWNER, counter++, mode, change)
  chain.entries.set(entry.id, entry)
  return entry
}

function addLog(
  block: FakeBlock,
  address: Hex,
  topics: readonly unknown[],
  data: Hex,
  transactionHash: Hash = `0x${'ee'.repeat(32)}`,
): void {
  chain.logs.push({
    address,
    topics: topics as Hash[],
    data,
    blockNumber: block.number,
    blockHash: block.hash,
    transactionHash,
    logIndex: chain.logs.length,
  })
}

const funded = (block: FakeBlock, id: Hash): void =>
  addLog(
    block,
    CALLING_LIST,
    encodeEventTopics({ abi: callingListAbi, eventName: 'TriggerFunded', args: { id, from: OWNER } }),
    toHex(1n, { size: 32 }),
  )

const reportOf = (sequence: bigint, value: bigint): FeedReport => ({
  sequence,
  value,
  status: 'OK',
  firstRound: Number(sequence),
  lastRound: Number(sequence),
  observedAtMs: Date.now(),
  lastObservedAtMs: Date.now(),
  afterGap: false,
  digest: reportDigest(feed, Number(sequence), value, nobleSuite),
})

/** Publishes a report on chain: readable by the evaluator, and announced by its event. */
function publish(report: FeedReport): FakeBlock {
  const { kind: _, ...value } = { ...readValueToJson({ kind: 'feedHistory', reports: [report], oldest: 1n }) }
  chain.reads.set('feedHistory', { kind: 'feedHistory', ...value })
  chain.reports.set(feed, [
    ...(chain.reports.get(feed) ?? []),
    { ...report, sequence: report.sequence.toString(), value: report.value.toString() },
  ])
  const block = chain.addBlock([keccak256(toHex(`report ${report.sequence}`))])
  const topics = encodeEventTopics({ abi: feedRegistryAbi, eventName: 'FeedUpdated', args: { feed, sequence: report.sequence } })
  const data = encodeAbiParameters(
    [{ type: 'int256' }, { type: 'uint8' }, { type: 'uint64' }, { type: 'uint64' }],
    [report.value, 1, report.sequence, BigInt(report.observedAtMs)],
  )
  addLog(block, FEED_REGISTRY, topics, data)
  return block
}

const triggersSent = () => chain.sent.filter((raw) => raw.startsWith('0x46')).map((raw) => decodeTriggerTx(hexToBytes(raw)))
const compare: Mode = {
  type: 'event',
  when: { kind: 'feed.compare', feed, maxAgeSec: 60, op: 'gt', value: 150_000n, rearm: 149_000n, holdReports: 1, holdSec: 0 },
}

describe('following', () => {
  it('lists the calling list it finds and the rows that change', async () => {
    const early = entryOf({ type: 'active' })
    await env.HEAD.getByName('head').ensure()
    const first = await eventually('the first listing', async () => zTriggerPage.parse(await (await get('/v1/triggers')).json()).items[0])
    expect(first).toMatchObject({ id: early.id, kind: 'active', owner: OWNER, contract: TARGET, status: 'ACTIVE' })
    const later = entryOf(compare)
    funded(chain.addBlock([GENESIS]), later.id)
    await eventually('the second row', async () => {
      const page = zTriggerPage.parse(await (await get(`/v1/triggers?owner=${OWNER}`)).json())
      return page.items.length === 2 ? true : null
    })
    const [one, two] = [early.id, later.id].toSorted((left, right) => (left < right ? -1 : 1))
    const page = zTriggerPage.parse(await (await get('/v1/triggers?limit=1')).json())
    expect([page.items[0]?.id, page.next]).toEqual([one, one])
    expect(zTriggerPage.parse(await (await get(`/v1/triggers?limit=1&cursor=${page.next}`)).json()).items[0]?.id).toBe(two)
    const all = zTriggerPage.parse(await (await get(`/v1/triggers?contract=${TARGET}`)).json()).items
    expect(all.map(({ id }) => id)).toEqual([early.id, later.id].toSorted((left, right) => (left < right ? -1 : 1)))
    expect(zTriggerPage.parse(await (await get('/v1/triggers?status=PAUSED')).json()).items).toEqual([])
  })

  it('submits a signed TriggerTx on the report that makes a condition true, and not before', async () => {
    const entry = [...chain.entries.values()].at(-1)
    if (entry === undefined) throw new Error('the row exists')
    publish(reportOf(1n, 149_500n))
    const above = reportOf(2n, 150_001n)
    await eventually('the quiet report', () => ((chain.calls.get('fusion_read') ?? 0) > 0 ? true : null))
    expect(triggersSent()).toEqual([])
    publish(above)
    const tx = await eventually('the submission', () => triggersSent().find(({ entryId: id }) => id === entry.id))
    expect(tx).toMatchObject({ revision: 1, attempt: 0, beneficiary: OPERATOR, occurrence: toHex(1n, { size: 32 }) })
    expect(tx.evidence).toHaveLength(0)
    expect(triggerTxSubmitter(tx, GENESIS, nobleSuite)).toBe(OPERATOR)

    const key = fireKey(entry.id, 1, tx.occurrence)
    chain.entries.set(entry.id, { ...entry, fires: 1, armed: false, cursor: 2n, edgeCount: 1 })
    await env.DB.prepare(
      'INSERT INTO bundles (sequence, source_set, shard, round, tx_hash, batch_count, batch_ms, bundle_ms) VALUES (900, ?, 0, 2, ?, 3, 1000, 1100)',
    )
      .bind(feeds.id, keccak256(toHex('report 3')))
      .run()
    const block = chain.addBlock([keccak256(toHex('report 3'))])
    addLog(
      block,
      CALLING_LIST,
      encodeEventTopics({ abi: callingListAbi, eventName: 'TriggerFired', args: { id: entry.id, fireKey: key, digest: above.digest } }),
      encodeAbiParameters(
        ['bytes32', 'uint32', 'uint8', 'bool', 'uint64', 'uint256', 'uint256', 'bytes'].map((type) => ({ type })),
        [tx.occurrence, 1, 0, true, 5n, 77_000n, 1n, '0x'],
      ),
    )
    const fire = await eventually(
      'the fire',
      async () => zFirePage.parse(await (await get(`/v1/triggers/${entry.id}/fires`)).json()).items[0],
    )
    expect(fire).toMatchObject({ fireKey: key, success: true, gasUsed: '77000', blockNumber: block.number, finalAtMs: null })
    expect(fire.cause).toMatchObject({ bundleSequence: 900, batchAtMs: 1000, bundleAtMs: 1100, includedBlock: block.number })
    chain.finalized = block.number
    const final = await eventually('finality', async () => {
      const [item] = zFirePage.parse(await (await get(`/v1/triggers/${entry.id}/fires`)).json()).items
      return item?.finalAtMs
    })
    expect(final).toBeGreaterThanOrEqual(fire.seenAtMs)
    expect(await (await get('/')).text()).toContain('bundle +100 ms')
  })

  it('forgets what a reorganisation took away', async () => {
    const height = chain.head.number
    const lost = chain.addBlock([GENESIS], chain.head.slot + 1, 'a')
    addLog(
      lost,
      CALLING_LIST,
      encodeEventTopics({
        abi: callingListAbi,
        eventName: 'TriggerFired',
        args: { id: `0x${'01'.repeat(32)}`, fireKey: `0x${'02'.repeat(32)}`, digest: GENESIS },
      }),
      encodeAbiParameters(
        ['bytes32', 'uint32', 'uint8', 'bool', 'uint64', 'uint256', 'uint256', 'bytes'].map((type) => ({ type })),
        [GENESIS, 1, 0, true, 5n, 1n, 1n, '0x'],
      ),
    )
    const count = async (): Promise<number> =>
      (await env.DB.prepare('SELECT count(*) AS n FROM fires WHERE block_number = ?').bind(lost.number).first<{ n: number }>())?.n ?? 0
    await eventually('the fire', async () => ((await count()) === 1 ? true : null))
    chain.cut(height + 1)
    const kept = chain.addBlock([], chain.head.slot + 1, 'b')
    await eventually('the new branch', async () => {
      const row = await env.DB.prepare('SELECT hash FROM blocks WHERE number = ?').bind(kept.number).first<{ hash: string }>()
      return row?.hash === kept.hash ? true : null
    })
    expect(await count()).toBe(0)
  })
})

describe('a report that comes while a row is being judged', () => {
  it('is not lost', async () => {
    const entry = entryOf(compare, { cursor: 1n })
    funded(chain.addBlock([GENESIS]), entry.id)
    publish(reportOf(3n, 149_999n))
    await eventually('the row', () => env.DB.prepare('SELECT id FROM entries WHERE id = ?').bind(entry.id).first())
    let release: () => void = () => undefined
    const held = new Promise<void>((resolve) => (release = resolve))
    let isHeld = false
    vi.stubGlobal('fetch', async (input: RequestInfo | URL, init?: RequestInit) => {
      const response = await chain.fetch(input, init)
      if (!isHeld && typeof init?.body === 'string' && init.body.includes('"after":"1"')) {
        isHeld = true
        await held
      }
      return response
    })
    publish(reportOf(4n, 149_998n))
    await eventually('a read', () => (isHeld ? true : null))
    const before = chain.calls.get('fusion_finality') ?? 0
    publish(reportOf(5n, 150_500n))
    await eventually('the follower to pass', () => ((chain.calls.get('fusion_finality') ?? 0) > before + 4 ? true : null))
    release()
    vi.stubGlobal('fetch', chain.fetch)
    const tx = await eventually('the submission', () => triggersSent().find(({ entryId: id }) => id === entry.id))
    expect(tx.occurrence).toBe(toHex(1n, { size: 32 }))
  })
})

describe('time', () => {
  it('fires an interval by the alarm of its shard alone, when no block comes', async () => {
    const dueAt = Date.now() + 2500
    const entry = entryOf({ type: 'timing', when: { kind: 'at', timesMs: [dueAt] }, missed: { mode: 'latest', graceSec: 60 } }, { dueAt })
    funded(chain.addBlock([GENESIS]), entry.id)
    const tx = await eventually('the submission', () => triggersSent().find(({ entryId: id }) => id === entry.id))
    expect(tx.occurrence).toBe(toHex(BigInt(dueAt), { size: 32 }))
  })
})

describe('a foreign payment', () => {
  it('is stated once deep enough, proven by the set, and submitted with its evidence', async () => {
    const mode: Mode = {
      type: 'event',
      when: { kind: 'chain.deposit', chain: 31337n, reporters: reporters.id, to: PAYEE, minWei: 1000n, confirmations: 2 },
    }
    const entry = entryOf(mode)
    funded(chain.addBlock([GENESIS]), entry.id)
    await eventually('the row', async () => {
      const row = await env.DB.prepare('SELECT id FROM entries WHERE id = ?').bind(entry.id).first()
      return row
    })
    const txid = `0x${'f0'.repeat(32)}` as const
    const hashAt = (height: number): Hash => keccak256(toHex(`foreign ${height}`))
    let foreignHead = 10
    chain.others.set('foreign.invalid', async () => new Response(null, { status: 500 }))
    const answer = (method: string, params: unknown[]): unknown => {
      if (method === 'eth_getTransactionReceipt') return { status: '0x1' }
      const height = params[0] === 'latest' ? foreignHead : Number(params[0])
      if (height > foreignHead) return null
      return {
        number: toHex(height),
        hash: hashAt(height),
        parentHash: hashAt(height - 1),
        timestamp: toHex(1_700_000_000 + height),
        transactions:
          params[1] === true && height === 10
            ? [
                { hash: txid, from: OWNER, to: PAYEE, value: '0x7d0' },
                { hash: `0x${'f1'.repeat(32)}`, from: OWNER, to: null, value: '0x7d0' },
              ]
            : [],
      }
    }
    const plain = chain.fetch
    vi.stubGlobal('fetch', async (input: RequestInfo | URL, init?: RequestInit) => {
      const request = new Request(input, init)
      if (new URL(request.url).host !== 'foreign.invalid') return plain(input, init)
      const { id, method, params } = (await request.json()) as { id: number; method: string; params: unknown[] }
      return Response.json({ jsonrpc: '2.0', id, result: answer(method, params) })
    })
    const watcher = env.WATCHER.getByName('31337')
    await watcher.ensure(31337)
    await eventually('the block', async () =>
      runInDurableObject(watcher, (_instance, state) =>
        state.storage.sql.exec<{ n: number }>('SELECT count(*) AS n FROM blocks').one().n > 0 ? true : null,
      ),
    )
    expect(triggersSent().some(({ entryId: id }) => id === entry.id)).toBe(false)
    foreignHead = 11
    const tx = await eventually('the submission', () => triggersSent().find(({ entryId: id }) => id === entry.id))
    const verdict = verifyDepositEvidence(tx.evidence, toSourceSet(reporters), GENESIS, nobleSuite)
    expect(verdict).toMatchObject({
      ok: true,
      reporters: [OPERATOR],
      deposit: { txid, amountWei: 2000n, to: PAYEE, confirmations: 2, height: 10 },
    })
    expect(decodeDepositEvidence(tx.evidence).signatures).toHaveLength(1)
    expect(bytesToHex(tx.evidence).length / 2).toBeLessThan(2048)
  })
})
