/** The HTTP contract: what is refused and how, idempotency, intents, the faucet, and the two documents. @module */
import { runInDurableObject } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { zIntent, zValidateResponse } from '#shared/api/http-trigger.ts'
import { sha256 } from '@noble/hashes/sha2.js'
import { bytesToHex, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { decodeDescription, descHash } from '#shared/trigger/codec.ts'
import { CALLING_LIST } from '#shared/system.ts'
import { isDeeperThan } from '#workers/http/body-guard.ts'
import { account, lower, OPERATOR, signedRegister } from '#test/workers/accounts.ts'
import { CHAIN_ID, FakeChain, GENESIS, Refusal } from '#test/workers/fake-chain.ts'
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest'
import { decodeFunctionData, encodeAbiParameters, encodeErrorResult, encodeEventTopics, keccak256, parseTransaction, toHex } from 'viem'

const chain = new FakeChain(Date.now())
const OWNER = lower(account(0).address)
const set = chain.addSet(OWNER, 'demo', 'provider', [OWNER], [{ name: 'sp500', decimals: 2 }])
const word = (value: bigint) => toHex(value, { size: 32 })
const RICH = word(10n ** 20n)

beforeAll(() => {
  vi.stubGlobal('fetch', chain.fetch)
})
beforeEach(() => {
  chain.ethCall = () => RICH
  chain.estimate = () => '0x30d40'
})

const send = (path: string, body: string, headers: Record<string, string> = {}, method = 'POST') =>
  exports.default.fetch(`http://edge${path}`, { method, headers: { 'content-type': 'application/json', ...headers }, body })
const post = (path: string, body: unknown, headers: Record<string, string> = {}) => send(path, JSON.stringify(body), headers)
const get = (path: string, headers: Record<string, string> = {}) => exports.default.fetch(`http://edge${path}`, { headers })

const interval = {
  v: 1,
  name: 'every minute',
  mode: { type: 'timing', when: { kind: 'interval', anchor: 0, everySec: 60 }, missed: { mode: 'skip' } },
  action: { to: `0x${'ab'.repeat(20)}`, abi: 'tick(uint256)', args: [{ ref: 'fire.seq' }], gasLimit: 100_000 },
  limits: { expiresAt: Date.now() + 86_400_000, maxFires: 10, cooldownSec: 0, maxFeePerGas: '10000000000', freshForSec: 0 },
  onRevert: { retries: 0, backoffSec: 0, thenPause: false },
  funding: { reserve: '0', lowWater: '0', tip: '0', attestationFee: '0' },
} as const

const inSec = (seconds: number): bigint => BigInt(Math.floor(Date.now() / 1000) + seconds)
const registerBody = async (change: Record<string, unknown> = {}, nonce = 0n, deadline = inSec(600)) => {
  const { encoded } = zValidateResponse.parse(await (await post('/v1/triggers:validate', { trigger: interval })).json())
  const hash = descHash(decodeDescription(hexToBytes(encoded)))
  const message = { descHash: hash, fundWei: 10n ** 18n, relayFeeWei: 5n, nonce, deadline }
  const signature = await signedRegister(1, message)
  return {
    trigger: interval,
    owner: lower(account(1).address),
    fundWei: message.fundWei.toString(),
    relayFeeWei: '5',
    nonce: nonce.toString(),
    deadline: message.deadline.toString(),
    signature,
    ...change,
  }
}

describe('bad input', () => {
  it.each([
    ['no JSON', '{', 400, 'MALFORMED_JSON'],
    ['an empty body', '', 400, 'MALFORMED_JSON'],
    ['another root', '[]', 400, 'INVALID_REQUEST'],
    ['an unknown field', JSON.stringify({ trigger: {}, extra: 1 }), 400, 'INVALID_REQUEST'],
    ['deep nesting', `{"trigger":{"a":${'['.repeat(40)}${']'.repeat(40)}}}`, 400, 'INVALID_REQUEST'],
    ['a huge body', JSON.stringify({ trigger: { name: 'x'.repeat(70_000) } }), 413, 'BODY_TOO_LARGE'],
    ['a huge trigger', JSON.stringify({ trigger: { name: 'x'.repeat(20_000) } }), 422, 'TRIGGER_INVALID'],
    ['a trigger of nothing', JSON.stringify({ trigger: {} }), 422, 'TRIGGER_INVALID'],
    ['prototype pollution', '{"trigger":{"__proto__":{"v":1}}}', 422, 'TRIGGER_INVALID'],
    ['a lone surrogate', '{"trigger":{"name":"\\ud800"}}', 422, 'TRIGGER_INVALID'],
  ])('%s is a problem with a code', async (_name, body, status, code) => {
    const response = await send('/v1/triggers:validate', body)
    const problem = await response.json()
    expect([response.status, (problem as { code: string }).code]).toEqual([status, code])
    expect(response.headers.get('content-type')).toContain('application/problem+json')
    expect(problem).toMatchObject({
      type: `urn:fusion:problem:${code.toLowerCase().replaceAll('_', '-')}`,
      status,
      instance: '/v1/triggers:validate',
    })
  })

  it('of another content type is 415', async () => {
    const response = await send('/v1/triggers:validate', '{}', { 'content-type': 'text/plain' })
    expect(response.status).toBe(415)
  })

  it('in ids, cursors and limits is 400, and unknown routes are 404', async () => {
    for (const path of [
      '/v1/triggers/0x12',
      `/v1/triggers/0x${'AB'.repeat(32)}`,
      '/v1/triggers?limit=0',
      '/v1/triggers?cursor=x',
      '/v1/triggers?x=1',
      '/v1/feeds/1/latest',
    ])
      expect([path, (await get(path)).status]).toEqual([path, 400])
    for (const [path, code] of [
      ['/v1/nothing', 'METHOD_UNKNOWN'],
      [`/v1/triggers/0x${'ab'.repeat(32)}`, 'NOT_FOUND'],
      [`/v1/feeds/0x${'ab'.repeat(32)}/latest`, 'NOT_FOUND'],
      [`/v1/intents/0x${'ab'.repeat(32)}`, 'NOT_FOUND'],
    ])
      expect(await (await get(path ?? '')).json()).toMatchObject({ status: 404, code })
  })

  it('points at the fault inside a trigger', async () => {
    const wrong = { ...interval, limits: { ...interval.limits, maxFires: 0 }, surprise: true }
    expect(await (await post('/v1/triggers:validate', { trigger: wrong })).json()).toMatchObject({ code: 'TRIGGER_INVALID' })
    const zeroFires = { ...interval, limits: { ...interval.limits, maxFires: 0 } }
    expect(await (await post('/v1/triggers:validate', { trigger: zeroFires })).json()).toMatchObject({
      errors: [{ pointer: '/trigger/limits/maxFires', code: 'MAX_FIRES' }],
    })
  })

  it('nesting is measured outside strings', () => {
    expect(isDeeperThan('{"a":"[[[[\\"[["}', 1)).toBe(false)
    expect(isDeeperThan('[[1]]', 1)).toBe(true)
    expect(isDeeperThan('[][][]', 1)).toBe(false)
  })
})

describe('a valid trigger', () => {
  it('gets its encoding, hash and price', async () => {
    const response = await post('/v1/triggers:validate', { trigger: interval })
    expect(response.status).toBe(200)
    const valid = zValidateResponse.parse(await response.json())
    const description = decodeDescription(hexToBytes(valid.encoded))
    expect(description.name).toBe('every minute')
    expect(valid.descHash).toBe(keccak256(valid.encoded))
    expect(BigInt(valid.feePerFireMaxWei)).toBe(BigInt(valid.gasPerFire) * 10_000_000_000n)
    expect(valid.dueAt % 60_000).toBe(0)
  })

  it('knows feeds by the name of their set', async () => {
    const trigger = {
      ...interval,
      mode: {
        type: 'event',
        when: {
          kind: 'feed.compare',
          source: { feed: 'demo/sp500', maxAgeSec: 60 },
          op: 'gt',
          value: '1500.25',
          edge: { mode: 'rising', rearm: '1490', holdReports: 1, holdSec: 0 },
        },
      },
      action: { ...interval.action, args: [{ ref: 'feed.value' }] },
    }
    const valid = zValidateResponse.parse(await (await post('/v1/triggers:validate', { trigger })).json())
    const { mode } = decodeDescription(hexToBytes(valid.encoded))
    expect(mode).toMatchObject({ when: { feed: set.shards[0]?.[0]?.id, value: 150_025n, rearm: 149_000n } })
    const unknown = { ...trigger, mode: { ...trigger.mode, when: { ...trigger.mode.when, source: { feed: 'demo/none', maxAgeSec: 60 } } } }
    expect(await (await post('/v1/triggers:validate', { trigger: unknown })).json()).toMatchObject({ errors: [{ code: 'FEED_UNKNOWN' }] })
  })

  it('can be simulated: a timing trigger is tried as if its time had come', async () => {
    chain.ethCall = () => '0x'
    const owner = lower(account(1).address)
    const ok = await (await post('/v1/triggers:simulate', { trigger: interval, owner })).json()
    expect(ok).toMatchObject({ due: false, reason: 'NOT_DUE', call: { to: interval.action.to, success: true, gas: '200000' } })
    chain.ethCall = () => {
      throw new Refusal(3, 'execution reverted', `0x08c379a0${encodeAbiParameters([{ type: 'string' }], ['not now']).slice(2)}`)
    }
    const failed = await (await post('/v1/triggers:simulate', { trigger: interval, owner })).json()
    expect(failed).toMatchObject({ call: { success: false, revertReason: 'Error(not now)' } })
  })
})

describe('registering by intent', () => {
  it('relays exactly what the owner signed and follows it into the list', async () => {
    const before = chain.sent.length
    const body = await registerBody()
    const response = await post('/v1/triggers', body)
    expect(response.status).toBe(202)
    const intent = zIntent.parse(await response.json())
    expect(response.headers.get('location')).toBe(`/v1/intents/${intent.id}`)
    const raw = chain.sent[before] ?? '0x'
    const tx = parseTransaction(raw)
    expect(tx).toMatchObject({ to: CALLING_LIST, chainId: CHAIN_ID, nonce: 7, type: 'eip1559' })
    const { functionName, args } = decodeFunctionData({ abi: callingListAbi, data: tx.data ?? '0x' })
    expect(functionName).toBe('registerFor')
    expect(lower(String(args[0]))).toBe(body.owner)
    expect(args.slice(2)).toEqual([10n ** 18n, { feeWei: 5n, nonce: 0n, deadline: BigInt(body.deadline), signature: body.signature }])

    const id = `0x${'77'.repeat(32)}` as const
    const topics = encodeEventTopics({
      abi: callingListAbi,
      eventName: 'TriggerRegistered',
      args: { id, owner: body.owner, watchKey: word(0n) },
    })
    const data = encodeAbiParameters([{ type: 'uint8' }, { type: 'uint48' }, { type: 'bytes32' }, { type: 'uint256' }], [3, 1, GENESIS, 1n])
    chain.receipts.set(intent.txHash, {
      status: '0x1',
      blockNumber: '0x1',
      logs: [
        { address: CALLING_LIST, topics, data, blockNumber: '0x1', blockHash: GENESIS, transactionHash: intent.txHash, logIndex: '0x0' },
      ],
    })
    const again = await post('/v1/triggers', body, { prefer: 'wait=2' })
    expect(again.status).toBe(201)
    expect(again.headers.get('location')).toBe(`/v1/triggers/${id}`)
    expect(await (await get(`/v1/intents/${intent.id}`)).json()).toMatchObject({ status: 'DONE', entryId: id, blockNumber: 1 })
    expect(chain.sent).toHaveLength(before + 1)
  })

  it('sends nothing for a wrong signature, an expired deadline or an owner who cannot pay', async () => {
    const before = chain.sent.length
    const cases: [Record<string, unknown>, string][] = [
      [{ fundWei: '1' }, 'SIGNATURE_INVALID'],
      [{ owner: OPERATOR }, 'SIGNATURE_INVALID'],
      [{ deadline: '18446744073709551616' }, 'INVALID_REQUEST'],
    ]
    for (const [change, code] of cases)
      expect(await (await post('/v1/triggers', await registerBody(change, 3n))).json()).toMatchObject({ code })
    const expired = await post('/v1/triggers', await registerBody({}, 3n, inSec(-2)))
    expect([expired.status, await expired.json()]).toMatchObject([422, { code: 'INTENT_REFUSED', errors: [{ code: 'EXPIRED' }] }])
    chain.ethCall = () => word(1n)
    const poor = await post('/v1/triggers', await registerBody({}, 4n))
    expect(poor.status).toBe(422)
    expect(await poor.json()).toMatchObject({ code: 'BALANCE_TOO_LOW', errors: [{ pointer: '/owner' }] })
    expect(chain.sent).toHaveLength(before)
  })

  it('says what the contract answers when the intent would revert, and sends nothing', async () => {
    const before = chain.sent.length
    chain.estimate = () => {
      throw new Refusal(3, 'execution reverted', encodeErrorResult({ abi: callingListAbi, errorName: 'IntentNonce', args: [9n] }))
    }
    const response = await post('/v1/triggers', await registerBody({}, 5n))
    expect([response.status, await response.json()]).toEqual([
      422,
      expect.objectContaining({ code: 'INTENT_REFUSED', detail: 'IntentNonce(9)' }),
    ])
    expect(chain.sent).toHaveLength(before)
  })

  it('waits for the chain when the intent is one ahead of it', async () => {
    const before = chain.sent.length
    let looks = 0
    chain.estimate = () => {
      if (looks++ >= 2) return '0x30d40'
      throw new Refusal(3, 'execution reverted', encodeErrorResult({ abi: callingListAbi, errorName: 'IntentNonce', args: [5n] }))
    }
    expect((await post('/v1/triggers', await registerBody({}, 6n))).status).toBe(202)
    expect([looks, chain.sent.length]).toEqual([3, before + 1])
  })

  it('counts nonces up while earlier transactions wait', async () => {
    const before = chain.sent.length
    await Promise.all([post('/v1/triggers', await registerBody({}, 10n)), post('/v1/triggers', await registerBody({}, 11n))])
    const nonces = chain.sent.slice(before).map((raw) => parseTransaction(raw).nonce ?? -1)
    const kept = await runInDurableObject(env.SUBMITTER.getByName('operator'), (_instance, state) =>
      state.storage.sql
        .exec<{ nonce: number }>('SELECT nonce FROM outbox ORDER BY nonce')
        .toArray()
        .map(({ nonce }) => nonce),
    )
    expect(new Set(nonces).size).toBe(2)
    expect(kept).toEqual(kept.map((_, index) => 7 + index))
  })
})

describe('Idempotency-Key', () => {
  it('gives the first answer again and runs nothing', async () => {
    const before = chain.sent.length
    const body = { address: lower(account(2).address) }
    const first = await post('/v1/faucet', body, { 'idempotency-key': 'k1' })
    const second = await post('/v1/faucet', body, { 'idempotency-key': 'k1' })
    expect([first.status, second.status]).toEqual([202, 202])
    expect(await second.json()).toEqual(await first.json())
    expect(second.headers.get('idempotency-replayed')).toBe('true')
    expect(chain.sent).toHaveLength(before + 1)
  })

  it('with another body is 422, malformed is 400', async () => {
    await post('/v1/triggers:validate', { trigger: interval }, { 'idempotency-key': 'k2' })
    const other = await post('/v1/triggers:validate', { trigger: { ...interval, name: 'b' } }, { 'idempotency-key': 'k2' })
    expect(await other.json()).toMatchObject({ code: 'IDEMPOTENCY_MISMATCH', status: 422 })
    expect((await post('/v1/triggers:validate', { trigger: interval }, { 'idempotency-key': 'a b' })).status).toBe(400)
  })

  it('of a request that still runs gives its answer, or 409 when that takes long', async () => {
    const before = chain.sent.length
    const body = { address: lower(account(3).address) }
    const both = await Promise.all([1, 2].map(() => post('/v1/faucet', body, { 'idempotency-key': 'k3' })))
    expect(both.map(({ status }) => status)).toEqual([202, 202])
    expect(await both[0]?.json()).toEqual(await both[1]?.json())
    expect(chain.sent).toHaveLength(before + 1)
    const text = JSON.stringify(body)
    await env.DB.prepare("INSERT INTO idempotency (route, key, body_hash, created_ms) VALUES ('POST /v1/faucet', 'k5', ?, ?)")
      .bind(bytesToHex(sha256(utf8ToBytes(text))), Date.now())
      .run()
    const late = await send('/v1/faucet', text, { 'idempotency-key': 'k5' })
    expect([late.status, late.headers.get('retry-after')]).toEqual([409, '1'])
  })

  it('does not keep failures of the edge', async () => {
    chain.isAway = true
    expect((await post('/v1/triggers:validate', { trigger: interval }, { 'idempotency-key': 'k4' })).status).toBe(503)
    chain.isAway = false
    expect((await post('/v1/triggers:validate', { trigger: interval }, { 'idempotency-key': 'k4' })).status).toBe(200)
  })
})

describe('the faucet', () => {
  it('gives once a minute and address', async () => {
    const address = lower(account(4).address)
    const [first, second] = [await post('/v1/faucet', { address }), await post('/v1/faucet', { address })]
    expect([first.status, second.status]).toEqual([202, 429])
    expect(second.headers.get('retry-after')).toBe('60')
    expect(parseTransaction(chain.sent.at(-1) ?? '0x')).toMatchObject({ to: address, value: 10n ** 18n })
  })
})

type Document = {
  openapi: string
  paths: Record<string, Record<string, { responses: object; summary?: string }>>
  components?: Record<string, Record<string, unknown>>
}

describe('the documents', () => {
  it('OpenAPI names every route, and every reference in it resolves', async () => {
    const response = await get('/openapi.json')
    const document = (await response.json()) as Document
    expect([response.status, document.openapi]).toEqual([200, '3.1.0'])
    const routes = Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path}`))
    expect(routes.toSorted((left, right) => (left < right ? -1 : 1))).toEqual([
      'get /healthz',
      'get /v1/bundles',
      'get /v1/bundles/stream',
      'get /v1/evidence',
      'get /v1/feeds',
      'get /v1/feeds/{id}/history',
      'get /v1/feeds/{id}/latest',
      'get /v1/intents/{id}',
      'get /v1/meta',
      'get /v1/sessions/{id}/envelopes',
      'get /v1/sessions/{id}/socket',
      'get /v1/status',
      'get /v1/triggers',
      'get /v1/triggers/{id}',
      'get /v1/triggers/{id}/explain',
      'get /v1/triggers/{id}/fires',
      'get /v1/triggers/{id}/schedule',
      'patch /v1/triggers/{id}',
      'post /v1/batches',
      'post /v1/facts',
      'post /v1/faucet',
      'post /v1/sessions/{id}/envelopes',
      'post /v1/triggers',
      'post /v1/triggers/{id}/cancel',
      'post /v1/triggers/{id}/fund',
      'post /v1/triggers/{id}/pause',
      'post /v1/triggers/{id}/resume',
      'post /v1/triggers/{id}/withdraw',
      'post /v1/triggers:simulate',
      'post /v1/triggers:validate',
    ])
    for (const [reference] of JSON.stringify(document).matchAll(/#\/components\/[^"]+/g)) {
      const [, , kind = '', name = ''] = reference.split('/')
      expect([reference, document.components?.[kind]?.[name]]).toEqual([reference, expect.anything()])
    }
  })

  it('pages are self-contained and forbid scripts', async () => {
    for (const path of ['/', '/docs']) {
      const response = await get(path)
      expect(response.status).toBe(200)
      expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
      const text = await response.text()
      expect(text).not.toMatch(/<script|src=|href="https?:|@import/)
    }
  })

  it('identity and CORS', async () => {
    const response = await get('/v1/meta', { origin: 'https://dapp.test' })
    expect(response.headers.get('access-control-allow-origin')).toBe('*')
    expect(await response.json()).toMatchObject({
      chainId: CHAIN_ID,
      genesisHash: GENESIS,
      operator: OPERATOR,
      callingList: CALLING_LIST,
      faucet: true,
    })
    const text = await (await get('/v1/status')).text()
    expect(text).not.toContain('f214f2b2cd398c80')
  })

  it('health says degraded when no validator answers', async () => {
    expect(await (await get('/healthz')).json()).toMatchObject({ status: 'ok' })
    chain.isAway = true
    expect(await (await get('/healthz')).json()).toEqual({ status: 'degraded', head: null, headAgeMs: null })
    chain.isAway = false
  })
})
