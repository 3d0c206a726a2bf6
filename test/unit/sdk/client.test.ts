/** The client against a real HTTP server: what it sends, what it refuses to believe. @module */
import { encodeFunctionResult, hashTypedData, keccak256, recoverTypedDataAddress } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { afterEach, describe, expect, it } from 'vitest'
import { EdgeProblem, EdgeUnreachable, FusionClient, TriggerInvalid, addressOf } from '#node/sdk/index.ts'
import type { TriggerJson } from '#shared/api/trigger.ts'
import { triggerFromJson } from '#shared/api/trigger.ts'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import { CALLING_LIST } from '#shared/system.ts'
import type { Answer, Route } from './fake-edge.ts'
import { CHAIN_ID, GENESIS, metaOf, startFakeEdge } from './fake-edge.ts'

const MNEMONIC = 'test test test test test test test test test test test junk'
const user = mnemonicToAccount(MNEMONIC, { addressIndex: 1 })
const operator = mnemonicToAccount(MNEMONIC, { addressIndex: 10 })
const stranger = mnemonicToAccount(MNEMONIC, { addressIndex: 2 })
const set = `0x${'aa'.repeat(32)}` as const
const feed = `0x${'bb'.repeat(32)}` as const
const id = `0x${'cc'.repeat(32)}` as const

let close: () => Promise<void> = () => Promise.resolve()
afterEach(() => close())

async function edge(routes: Readonly<Record<string, Route>>) {
  const started = await startFakeEdge({
    'GET /v1/meta': () => ({ json: metaOf(addressOf(operator), `${started.edgeUrl}/rpc`) }),
    'POST /rpc': ({ body }) => {
      const { id: call, params } = body as { id: number; params: [{ data: string }] }
      const result = encodeFunctionResult({
        abi: callingListAbi,
        functionName: params[0].data.startsWith('0x70a08231') ? 'balanceOf' : 'intentNonce',
        result: 7n,
      })
      return { json: { jsonrpc: '2.0', id: call, result } }
    },
    'GET /v1/feeds': () => ({ json: { items: [feedJson('demo', 'sp500')] } }),
    ...routes,
  })
  close = started.close
  return { ...started, client: new FusionClient({ edgeUrl: started.edgeUrl, pauseMs: 1 }) }
}

const feedJson = (sourceSetName: string, name: string) => ({
  id: feed,
  name,
  decimals: 2,
  sourceSet: set,
  sourceSetName,
  shard: 0,
  roundMs: 1500,
  members: [addressOf(user)],
  latest: null,
  text: null,
  blockNumber: 1,
})

const trigger: TriggerJson = {
  v: 1,
  name: 'alarm',
  mode: {
    type: 'event',
    when: {
      kind: 'feed.compare',
      source: { feed: 'demo/sp500', maxAgeSec: 60 },
      op: 'lt',
      value: '1200.50',
      edge: { mode: 'rising', rearm: '1250', holdReports: 1, holdSec: 0 },
    },
  },
  action: { to: `0x${'12'.repeat(20)}`, abi: 'alarm(int256)', args: [{ ref: 'feed.value' }], gasLimit: 100_000 },
  limits: { expiresAt: 2_000_000_000_000, maxFires: 10, cooldownSec: 0, maxFeePerGas: '2000000000', freshForSec: 600 },
  onRevert: { retries: 1, backoffSec: 5, thenPause: true },
  funding: { reserve: '1', lowWater: '0', tip: '0', attestationFee: '0' },
}
const intentJson = {
  id,
  action: 'register',
  owner: addressOf(user),
  status: 'SENT',
  txHash: id,
  entryId: null,
  blockNumber: null,
  detail: null,
  createdAtMs: 1,
}

async function receiptFor(signer = operator, changes: Readonly<Record<string, unknown>> = {}): Promise<Answer> {
  const digest = `0x${'00'.repeat(32)}`
  const message = { collector: addressOf(signer), digest, sequence: 1n, receivedAtMs: 5n }
  const types = {
    Receipt: [
      { name: 'collector', type: 'address' },
      { name: 'digest', type: 'bytes32' },
      { name: 'sequence', type: 'uint64' },
      { name: 'receivedAtMs', type: 'uint64' },
    ],
  } as const
  const typed = {
    domain: { name: 'Fusion Attestation', version: '1', salt: GENESIS },
    types,
    primaryType: 'Receipt',
    message: { ...message, ...changes },
  } as const
  const wallet = await signer.signTypedData(typed as never)
  const signature = `${wallet.slice(0, -2)}${wallet.endsWith('1b') ? '00' : '01'}`
  return { json: { collector: addressOf(signer), digest, sequence: 1, receivedAtMs: 5, ...changes, signature } }
}

describe('asking', { timeout: 20_000 }, () => {
  it('gives problems as errors with their code and pointers, without trying again', async () => {
    const problem = {
      type: 'x',
      title: 'Refused',
      status: 400,
      code: 'BATCH_REFUSED',
      errors: [{ pointer: '/round', code: 'ROUND_CLOSED', detail: 'too late' }],
    }
    const { client, asked } = await edge({ [`GET /v1/triggers/${id}`]: () => ({ status: 400, json: problem }) })
    const error = await client.trigger(id).catch((caught: unknown) => caught)
    expect(error).toBeInstanceOf(EdgeProblem)
    expect(error).toMatchObject({ status: 400, code: 'BATCH_REFUSED', message: 'Refused\n  /round: too late (ROUND_CLOSED)' })
    expect(asked).toHaveLength(1)
  })

  it('tries again after 429, 5xx and lost connections, under one idempotency key', async () => {
    const answers: (Answer | 'drop')[] = [{ status: 503, text: 'busy' }, 'drop', { json: { txHash: id, amountWei: '10' } }]
    const { client, asked } = await edge({
      'POST /v1/faucet': (_, response) => {
        const next = answers.shift()
        if (next !== 'drop') return next ?? { status: 500, text: '' }
        response.destroy()
        return null
      },
    })
    expect(await client.faucet(addressOf(user))).toEqual({ txHash: id, amountWei: 10n })
    expect(asked).toHaveLength(3)
    expect(new Set(asked.map(({ headers }) => headers['idempotency-key'])).size).toBe(1)
  })

  it('says when nobody answers or the answer is something else', async () => {
    const { client } = await edge({ 'GET /healthz': () => ({ json: { status: 'great' } }), 'GET /v1/status': () => ({ text: '<html>' }) })
    await expect(client.health()).rejects.toMatchObject({ code: 'EDGE_ANSWER_INVALID' })
    await expect(client.status()).rejects.toMatchObject({ code: 'EDGE_ANSWER_INVALID' })
    const nobody = new FusionClient({ edgeUrl: 'http://127.0.0.1:9', attempts: 2, pauseMs: 1 })
    await expect(nobody.health()).rejects.toMatchObject({ code: 'EDGE_UNREACHABLE' })
  })
})

describe('publishing a batch', () => {
  const observations = {
    sourceSet: set,
    shard: 0,
    roundMs: 1500,
    observedAtMs: 15_100,
    leaves: [{ feed, value: -7n, confidence: 1n, low: -8n, high: -6n, status: 'OK' as const }],
  }
  const flat = keccak256(`0x${'bb'.repeat(32)}${'ff'.repeat(23)}f9${'00'.repeat(7)}01${'ff'.repeat(23)}f8${'ff'.repeat(23)}fa00`)

  it('signs what a wallet would show and takes the receipt of the operator', async () => {
    let digest = '0x'
    const { client, asked } = await edge({
      'POST /v1/batches': () => receiptFor(operator, { digest }),
    })
    const root = keccak256(
      keccak256(`0x${'bb'.repeat(32)}${'ff'.repeat(31)}f9${'00'.repeat(31)}01${'ff'.repeat(31)}f8${'ff'.repeat(31)}fa${'00'.repeat(32)}`),
    )
    const typed = {
      domain: { name: 'Fusion Attestation', version: '1', salt: GENESIS },
      types: {
        Batch: [
          { name: 'sourceSet', type: 'bytes32' },
          { name: 'shard', type: 'uint16' },
          { name: 'round', type: 'uint64' },
          { name: 'observedAtMs', type: 'uint64' },
          { name: 'flat', type: 'bytes32' },
          { name: 'root', type: 'bytes32' },
        ],
      },
      primaryType: 'Batch',
      message: { sourceSet: set, shard: 0, round: 10n, observedAtMs: 15_100n, flat, root },
    } as const
    digest = hashTypedData(typed)
    const { receipt } = await client.publishBatch(user, observations)
    expect(receipt).toMatchObject({ collector: addressOf(operator), digest, sequence: 1 })
    const sent = asked.find(({ path }) => path === '/v1/batches')?.body as { signature: `0x${string}` }
    expect(sent).toMatchObject({ round: 10, provider: addressOf(user), leaves: [{ value: '-7', confidence: '1' }] })
    expect(await recoverTypedDataAddress({ ...typed, signature: sent.signature })).toBe(user.address)
  })

  it('does not believe a receipt for another batch, or of another signer', async () => {
    const other = await edge({ 'POST /v1/batches': () => receiptFor() })
    await expect(other.client.publishBatch(user, observations)).rejects.toBeInstanceOf(EdgeUnreachable)
    await other.close()
    const forged = await edge({ 'POST /v1/batches': () => receiptFor(stranger) })
    await expect(forged.client.publishBatch(user, observations)).rejects.toThrow('receipt')
  })

  it('refuses values no batch may hold before asking anybody', async () => {
    const { client, asked } = await edge({})
    await expect(client.publishBatch(user, { ...observations, leaves: [] })).rejects.toThrow('LEAVES_EMPTY')
    expect(asked.map(({ path }) => path)).toEqual(['/v1/meta'])
  })
})

describe('intents', () => {
  const registerTypes = {
    Register: [
      { name: 'owner', type: 'address' },
      { name: 'descHash', type: 'bytes32' },
      { name: 'fundWei', type: 'uint256' },
      { name: 'relayFeeWei', type: 'uint256' },
      { name: 'nonce', type: 'uint256' },
      { name: 'deadline', type: 'uint64' },
    ],
  } as const
  const domain = { name: 'Fusion CallingList', version: '1', chainId: CHAIN_ID, verifyingContract: CALLING_LIST, salt: GENESIS } as const

  it('register the locally encoded description with the nonce the chain has', async () => {
    const { client, asked } = await edge({ 'POST /v1/triggers': () => ({ status: 202, json: intentJson }) })
    const intent = await client.register(user, trigger, 5n, { deadlineSec: 2_000_000_000 })
    expect(intent.status).toBe('SENT')
    const body = asked.find(({ path }) => path === '/v1/triggers')?.body as Record<string, string> & { signature: `0x${string}` }
    expect(body).toMatchObject({ trigger, fundWei: '5', nonce: '7', relayFeeWei: '1000', deadline: '2000000000', owner: addressOf(user) })
    const parsed = triggerFromJson(trigger, () => ({ id: feed, decimals: 2 }))
    const descHash = keccak256(parsed.ok ? encodeDescription(parsed.description) : '0x')
    const message = { owner: user.address, descHash, fundWei: 5n, relayFeeWei: 1000n, nonce: 7n, deadline: 2_000_000_000n }
    const signer = await recoverTypedDataAddress({
      domain,
      types: registerTypes,
      primaryType: 'Register',
      message,
      signature: body.signature,
    })
    expect(signer).toBe(user.address)
  })

  it('do not leave the machine for a description that is not valid', async () => {
    const { client, asked } = await edge({})
    const bad = { ...trigger, name: 'x', extra: true } as unknown as TriggerJson
    await expect(client.register(user, bad, 5n)).rejects.toBeInstanceOf(TriggerInvalid)
    await expect(
      client.describe({
        ...trigger,
        mode: {
          ...trigger.mode,
          when: { ...(trigger.mode as never as { when: object }).when, source: { feed: 'nope', maxAgeSec: 1 } },
        } as never,
      }),
    ).rejects.toThrow('FEED_UNKNOWN')
    expect(asked.some(({ method }) => method === 'POST')).toBe(false)
  })

  it('of every other kind name their entry, and settle', async () => {
    const states = ['SENT', 'DONE']
    const { client, asked } = await edge({
      [`POST /v1/triggers/${id}/pause`]: () => ({ status: 202, json: { ...intentJson, action: 'pause' } }),
      [`POST /v1/triggers/${id}/fund`]: () => ({ status: 202, json: { ...intentJson, action: 'fund' } }),
      [`PATCH /v1/triggers/${id}`]: () => ({ status: 202, json: { ...intentJson, action: 'revise' } }),
      [`GET /v1/intents/${id}`]: () => ({ json: { ...intentJson, status: states.shift() } }),
    })
    await client.act(user, 'pause', id)
    await client.move(user, 'fund', id, 9n)
    await client.revise(user, id, 3, trigger)
    expect(asked.find(({ path }) => path.endsWith('/fund'))?.body).toMatchObject({ amountWei: '9', nonce: '7' })
    expect(asked.find(({ method }) => method === 'PATCH')?.headers['if-match']).toBe('"3"')
    expect((await client.settled(id)).status).toBe('DONE')
  })
})

describe('feeds', () => {
  it('are found by id, full name, or plain name when it is unambiguous', async () => {
    const two = [feedJson('demo', 'sp500'), { ...feedJson('other', 'rain'), id: set }, { ...feedJson('third', 'rain'), id }]
    const { client } = await edge({ 'GET /v1/feeds': () => ({ json: { items: two } }) })
    expect((await client.findFeed('sp500'))?.id).toBe(feed)
    expect((await client.findFeed('other/rain'))?.id).toBe(set)
    expect((await client.findFeed(id))?.sourceSetName).toBe('third')
    expect(await client.findFeed('rain')).toBeNull()
  })
})
