/** Providers, collectors, bundles: real Durable Objects in the Workers runtime, signatures by viem. @module */
import { evictDurableObject, runDurableObjectAlarm } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { zBundlePage, zReceipt, type BatchJson } from '#shared/api/http-oracle.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { attestationTxSigner, decodeAttestationTx } from '#shared/oracle/transaction.ts'
import { FakeChain, GENESIS, ROUND_MS } from '#test/workers/fake-chain.ts'
import { account, lower, OPERATOR, signedBatch } from '#test/workers/accounts.ts'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { recoverTypedDataAddress } from 'viem'

const chain = new FakeChain(Date.now())
const OWNER = lower(account(0).address)
const set = chain.addSet(
  OWNER,
  'demo',
  'provider',
  [20, 21, 22, 23].map((index) => lower(account(index).address)),
  [{ name: 'sp500', decimals: 2 }],
)
const feed = set.shards[0]?.[0]?.id ?? '0x'

beforeAll(() => {
  vi.stubGlobal('fetch', chain.fetch)
})

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  exports.default.fetch(`http://edge${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
const get = (path: string, headers: Record<string, string> = {}) => exports.default.fetch(`http://edge${path}`, { headers })

/** A round that has just begun, so that its deadline is far enough away for the test. */
async function freshRound(): Promise<number> {
  const into = Date.now() % ROUND_MS
  await new Promise((resolve) => setTimeout(resolve, ROUND_MS - into + 20))
  return Math.floor(Date.now() / ROUND_MS)
}

const batch = (index: number, round: number, value: bigint): Promise<BatchJson> =>
  signedBatch(index, {
    sourceSet: set.id,
    shard: 0,
    round,
    observedAtMs: round * ROUND_MS + 10,
    leaves: [{ feed, value, confidence: 0n, low: value, high: value, status: 'OK' }],
  })

const bundlePage = async (after = 0) => zBundlePage.parse(await (await get(`/v1/bundles?after=${after}`)).json())

async function waitFor<T>(read: () => Promise<T | null>): Promise<T> {
  for (let tries = 0; tries < 120; tries++) {
    const value = await read()
    if (value !== null) return value
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error('it did not happen within 12 s')
}

describe('a batch', () => {
  it('gets a receipt that the operator signed, and a repeat gets the same one also after the object was evicted', async () => {
    const round = await freshRound()
    const body = await batch(20, round, 100n)
    const first = await post('/v1/batches', body)
    expect(first.status).toBe(200)
    const receipt = zReceipt.parse(await first.json())
    expect(receipt.collector).toBe(OPERATOR)
    const signer = await recoverTypedDataAddress({
      domain: { name: 'Fusion Attestation', version: '1', salt: GENESIS },
      types: {
        Receipt: [
          { name: 'collector', type: 'address' },
          { name: 'digest', type: 'bytes32' },
          { name: 'sequence', type: 'uint64' },
          { name: 'receivedAtMs', type: 'uint64' },
        ],
      },
      primaryType: 'Receipt',
      message: { ...receipt, sequence: BigInt(receipt.sequence), receivedAtMs: BigInt(receipt.receivedAtMs) },
      signature: `0x${receipt.signature.slice(2, 130)}${receipt.signature.endsWith('01') ? '1c' : '1b'}`,
    })
    expect(lower(signer)).toBe(OPERATOR)
    await evictDurableObject(env.COLLECTOR.getByName(`${set.id}:0`))
    const again = await post('/v1/batches', body)
    expect(await again.json()).toEqual(receipt)
  })

  it('is refused with a code and a pointer when it breaks a rule', async () => {
    const round = await freshRound()
    const good = await batch(20, round, 100n)
    const stranger = await batch(5, round, 100n)
    const forged = { ...good, provider: lower(account(21).address) }
    const unknownShard = { ...good, shard: 9 }
    const unknownSet = { ...good, sourceSet: `0x${'99'.repeat(32)}` }
    const old = await batch(20, round - 1000, 100n)
    const cases: [unknown, number, string, string][] = [
      [stranger, 422, 'PROVIDER_UNKNOWN', '/provider'],
      [forged, 422, 'SIGNATURE_INVALID', '/signature'],
      [unknownShard, 422, 'SHARD_UNKNOWN', '/shard'],
      [old, 422, 'ROUND_EXPIRED', '/round'],
    ]
    for (const [body, status, code, pointer] of cases) {
      const response = await post('/v1/batches', body)
      expect([code, response.status]).toEqual([code, status])
      expect(response.headers.get('content-type')).toContain('application/problem+json')
      expect(await response.json()).toMatchObject({ code: 'BATCH_REFUSED', errors: [{ code, pointer }] })
    }
    expect((await post('/v1/batches', unknownSet)).status).toBe(404)
  })

  it('that contradicts an earlier one becomes evidence', async () => {
    const round = await freshRound()
    await post('/v1/batches', await batch(21, round, 1n))
    const second = await post('/v1/batches', await batch(21, round, 2n))
    expect(await second.json()).toMatchObject({ errors: [{ code: 'EQUIVOCATION' }] })
    const { items } = (await (await get('/v1/evidence')).json()) as { items: unknown[] }
    expect(items).toEqual([expect.objectContaining({ offence: 'BATCH_EQUIVOCATION', offender: lower(account(21).address), round })])
  })
})

describe('a round', () => {
  it('closes with all members, goes to validators as a signed AttestationTx and into the log, once', async () => {
    const round = await freshRound()
    const before = (await bundlePage()).head
    for (const index of [20, 21, 22, 23])
      expect((await post('/v1/batches', await batch(index, round, 200n + BigInt(index)))).status).toBe(200)
    const bundle = await waitFor(async () => (await bundlePage(before)).items[0] ?? null)
    expect(bundle).toMatchObject({ sequence: before + 1, sourceSet: set.id, shard: 0, round, batchCount: 4 })
    const tx = decodeAttestationTx(hexToBytes(bundle.raw))
    expect(tx.batches.map(({ provider }) => provider)).toEqual(set.members)
    expect(attestationTxSigner(tx, GENESIS, nobleSuite)).toBe(OPERATOR)
    await waitFor(async () => (chain.sent.includes(bundle.raw) ? true : null))
    expect(chain.sent.filter((raw) => raw === bundle.raw)).toHaveLength(1)
    expect((await bundlePage(before)).items).toHaveLength(1)
  })

  it('closes at its deadline with a quorum, although the object was evicted meanwhile', async () => {
    const round = await freshRound()
    const before = (await bundlePage()).head
    for (const index of [20, 21, 22]) await post('/v1/batches', await batch(index, round, 7n))
    await evictDurableObject(env.COLLECTOR.getByName(`${set.id}:0`))
    const bundle = await waitFor(async () => (await bundlePage(before)).items[0] ?? null)
    expect(bundle).toMatchObject({ round, batchCount: 3 })
    expect(Date.now()).toBeGreaterThanOrEqual((round + 1) * ROUND_MS)
    expect(await runDurableObjectAlarm(env.COLLECTOR.getByName(`${set.id}:0`))).toBe(false)
  })

  it('stays in the log when no validator answers, and is sent when one does', async () => {
    const round = await freshRound()
    const before = (await bundlePage()).head
    const batches = await Promise.all([20, 21, 22, 23].map((index) => batch(index, round, 9n)))
    for (const body of batches.slice(0, 3)) await post('/v1/batches', body)
    chain.isAway = true
    try {
      expect((await post('/v1/batches', batches[3])).status).toBe(200)
      await waitFor(async () => (await bundlePage(before)).items[0] ?? null)
    } finally {
      chain.isAway = false
    }
    const [bundle] = (await bundlePage(before)).items
    await waitFor(async () => (bundle !== undefined && chain.sent.includes(bundle.raw) ? true : null))
    expect((await bundlePage(before)).items).toHaveLength(1)
  })
})

describe('the log of bundles', () => {
  it('pages by cursor without a gap', async () => {
    const all = await bundlePage()
    expect(all.items.map(({ sequence }) => sequence)).toEqual(all.items.map((_, index) => index + 1))
    const tail = zBundlePage.parse(await (await get('/v1/bundles?after=1&limit=1')).json())
    expect(tail.items.map(({ sequence }) => sequence)).toEqual([2])
    expect(tail.head).toBe(all.head)
  })

  it('streams what came after Last-Event-ID and then what comes, with a tick at once', async () => {
    const { head, items } = await bundlePage()
    const response = await get('/v1/bundles/stream', { 'last-event-id': String(head - 1) })
    expect(response.headers.get('content-type')).toContain('text/event-stream')
    const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
    if (reader === undefined) throw new Error('the stream has a body')
    let text = ''
    const until = async (part: string): Promise<void> => {
      while (!text.includes(part)) text += (await reader.read()).value ?? ''
    }
    await until(`id: ${head}\n`)
    expect(text).toContain(`event: tick\ndata: {"head":${head},`)
    expect(text).toContain(`event: bundle\ndata: ${JSON.stringify(items.at(-1))}\n\n`)
    const newest = (await get('/v1/bundles/stream')).body?.pipeThrough(new TextDecoderStream()).getReader()
    if (newest === undefined) throw new Error('the stream has a body')
    const round = await freshRound()
    for (const index of [20, 21, 22, 23]) await post('/v1/batches', await batch(index, round, 11n))
    await until(`id: ${head + 1}\n`)
    let fresh = ''
    while (!fresh.includes('id: ')) fresh += (await newest.read()).value ?? ''
    expect(/id: (\d+)/.exec(fresh)?.[1]).toBe(String(head + 1))
    await Promise.all([reader.cancel(), newest.cancel()])
  })

  it('refuses a cursor that is none', async () => {
    expect((await get('/v1/bundles/stream', { 'last-event-id': 'x' })).status).toBe(400)
    expect((await get('/v1/bundles?after=-1')).status).toBe(400)
    expect((await get('/v1/bundles?limit=5000')).status).toBe(400)
  })
})
