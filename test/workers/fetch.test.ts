/** Polling of registered sources, the repairing cron, and conditional reads. @module */
import {
  createExecutionContext,
  createScheduledController,
  evictDurableObject,
  runInDurableObject,
  waitOnExecutionContext,
} from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { zBundlePage } from '#shared/api/http-oracle.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { decodeAttestationTx } from '#shared/oracle/transaction.ts'
import worker from '#workers/index.ts'
import { account, lower, OPERATOR } from '#test/workers/accounts.ts'
import { FakeChain, ROUND_MS } from '#test/workers/fake-chain.ts'
import { beforeAll, describe, expect, it, vi } from 'vitest'

const chain = new FakeChain(Date.now())
const OWNER = lower(account(0).address)
const set = chain.addSet(
  OWNER,
  'edge-http',
  'provider',
  [OPERATOR],
  ['good', 'redirect', 'huge', 'private'].map((name) => ({ name, decimals: 2 })),
)
const asked: string[] = []
let goodBody = '{"price": 1234.565}'

beforeAll(() => {
  chain.others.set('source.invalid', (url) => {
    asked.push(url)
    if (url.endsWith('/redirect')) return Response.redirect('http://127.0.0.1/secret', 302)
    if (url.endsWith('/huge')) return new Response(`{"price": 1${' '.repeat(300_000)}}`)
    return new Response(goodBody)
  })
  chain.others.set('127.0.0.1:9', (url) => {
    asked.push(url)
    return new Response('{"price": 1}')
  })
  vi.stubGlobal('fetch', chain.fetch)
})

const get = (path: string, headers: Record<string, string> = {}) => exports.default.fetch(`http://edge${path}`, { headers })
const bundles = async (after: number) => zBundlePage.parse(await (await get(`/v1/bundles?after=${after}`)).json())

async function nextBundle(after: number) {
  for (let tries = 0; tries < 200; tries++) {
    const [bundle] = (await bundles(after)).items
    if (bundle !== undefined) return { ...bundle, tx: decodeAttestationTx(hexToBytes(bundle.raw)) }
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('no bundle within 20 s')
}

describe('registered sources', () => {
  it('are polled once a round and become a signed batch; what cannot be fetched safely is left out', async () => {
    await env.FETCHER.getByName(set.id).ensure(set.id)
    const { tx, round, sequence } = await nextBundle(0)
    const [batch] = tx.batches
    expect(batch?.provider).toBe(OPERATOR)
    const good = set.shards[0]?.find(({ name }) => name === 'good')?.id
    expect(batch?.leaves).toEqual([{ feed: good, value: 123_457n, confidence: 0n, low: 123_457n, high: 123_457n, status: 'OK' }])
    expect(asked.some((url) => url.includes('127.0.0.1'))).toBe(false)
    expect(Math.floor(Number(batch?.observedAtMs) / ROUND_MS)).toBe(round)

    goodBody = 'broken'
    const next = await nextBundle(sequence)
    expect(next.round).toBeGreaterThan(round)
    expect(next.tx.batches[0]?.leaves).toMatchObject([{ feed: good, value: 123_457n, status: 'HALTED' }])
  })
})

describe('the cron', () => {
  it('sets alarms that were lost, and may run any number of times', async () => {
    const stub = env.FETCHER.getByName(set.id)
    const alarmOf = () => runInDurableObject(stub, (_instance, state) => state.storage.getAlarm())
    await runInDurableObject(stub, (_instance, state) => state.storage.deleteAlarm())
    expect(await alarmOf()).toBeNull()
    for (let run = 0; run < 2; run++) {
      const context = createExecutionContext()
      await worker.scheduled(createScheduledController({ cron: '* * * * *' }), env)
      await waitOnExecutionContext(context)
    }
    expect(await alarmOf()).not.toBeNull()
    const head = await runInDurableObject(env.HEAD.getByName('head'), (_instance, state) => state.storage.getAlarm())
    expect(head).not.toBeNull()
  })
})

describe('reads', () => {
  it('of a feed are not sent again when nothing changed', async () => {
    const id = set.shards[0]?.[0]?.id
    const first = await get(`/v1/feeds/${id}/history`)
    const tag = first.headers.get('etag') ?? ''
    expect(tag).not.toBe('')
    expect((await get(`/v1/feeds/${id}/history`, { 'if-none-match': tag })).status).toBe(304)
  })

  it('of bundles that were pruned say so and name the oldest', async () => {
    const log = env.BUNDLES.getByName('log')
    await runInDurableObject(log, (_instance, state) => {
      for (const sequence of [5000, 5001])
        state.storage.sql.exec('INSERT INTO bundles (sequence, tx_hash, json) VALUES (?, ?, ?)', sequence, `0x${sequence}`, '{}')
      state.storage.sql.exec('DELETE FROM bundles WHERE sequence < 5000')
    })
    await evictDurableObject(log)
    const gone = await get('/v1/bundles?after=3')
    expect([gone.status, await gone.json()]).toEqual([
      410,
      expect.objectContaining({ code: 'CURSOR_GONE', detail: 'The log holds 5000 to 5001; start after 4999.' }),
    ])
    expect((await get('/v1/bundles/stream?after=3')).status).toBe(410)
  })
})
