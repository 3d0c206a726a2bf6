/** Every intent reaches the calling list as its owner signed it; facts reach their collector only as their reporter signed them. @module */
import { createExecutionContext } from 'cloudflare:test'
import { env, exports } from 'cloudflare:workers'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { depositFact, factMessage } from '#shared/oracle/fact.ts'
import { attestationDomain } from '#shared/oracle/eip712.ts'
import { CALLING_LIST } from '#shared/system.ts'
import type { Hex } from '#shared/types.ts'
import worker from '#workers/index.ts'
import { account, canonical, lower, OPERATOR } from '#test/workers/accounts.ts'
import { makeEntry } from '#test/workers/entries.ts'
import { CHAIN_ID, FakeChain, GENESIS } from '#test/workers/fake-chain.ts'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { decodeFunctionData, parseTransaction, toHex } from 'viem'

const chain = new FakeChain(Date.now())
const OWNER = lower(account(0).address)
const reporters = chain.addSet(OWNER, 'edge-watch', 'reporter', [OPERATOR, lower(account(11).address)], [])
const ID = `0x${'5a'.repeat(32)}` as const
const DEADLINE = BigInt(Math.floor(Date.now() / 1000) + 600)

beforeAll(() => {
  vi.stubGlobal('fetch', chain.fetch)
  chain.ethCall = () => toHex(10n ** 20n, { size: 32 })
})

const post = (path: string, body: unknown, headers: Record<string, string> = {}) =>
  exports.default.fetch(`http://edge${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })

const RELAY = [
  { name: 'relayFeeWei', type: 'uint256' },
  { name: 'nonce', type: 'uint256' },
  { name: 'deadline', type: 'uint64' },
] as const

/** Signs an intent about one entry with viem, from types written here. */
async function signIntent(kind: string, amount: bigint | null, nonce: bigint): Promise<Hex> {
  const members = [
    { name: 'owner', type: 'address' },
    { name: 'id', type: 'bytes32' },
    ...(amount === null ? [] : [{ name: 'amountWei', type: 'uint256' }]),
    ...RELAY,
  ]
  const signature = await account(1).signTypedData({
    domain: { name: 'Fusion CallingList', version: '1', chainId: CHAIN_ID, verifyingContract: CALLING_LIST, salt: GENESIS },
    types: { [kind]: members },
    primaryType: kind,
    message: {
      owner: account(1).address,
      id: ID,
      ...(amount !== null && { amountWei: amount }),
      relayFeeWei: 5n,
      nonce,
      deadline: DEADLINE,
    },
  })
  return canonical(signature)
}

const common = (nonce: bigint) => ({
  owner: lower(account(1).address),
  relayFeeWei: '5',
  nonce: nonce.toString(),
  deadline: DEADLINE.toString(),
})

describe('an intent', () => {
  it.each([
    ['pause', 'Pause', 'pauseFor', null],
    ['resume', 'Resume', 'resumeFor', null],
    ['cancel', 'Cancel', 'cancelFor', null],
    ['fund', 'Fund', 'fundFor', 7n],
    ['withdraw', 'Withdraw', 'withdrawFor', 7n],
  ] as const)('to %s is relayed as signed, and only as signed', async (action, kind, functionName, amount) => {
    const nonce = BigInt(['pause', 'resume', 'cancel', 'fund', 'withdraw'].indexOf(action))
    const before = chain.sent.length
    const body = {
      ...common(nonce),
      ...(amount !== null && { amountWei: amount.toString() }),
      signature: await signIntent(kind, amount, nonce),
    }
    const other = `0x${'5b'.repeat(32)}`
    expect(await (await post(`/v1/triggers/${other}/${action}`, body)).json()).toMatchObject({ code: 'SIGNATURE_INVALID' })
    expect(chain.sent).toHaveLength(before)

    const response = await post(`/v1/triggers/${ID}/${action}`, body)
    expect([response.status, await response.json()]).toEqual([202, expect.objectContaining({ action, entryId: ID, status: 'SENT' })])
    const { data = '0x' } = parseTransaction(chain.sent.at(-1) ?? '0x')
    const call = decodeFunctionData({ abi: callingListAbi, data })
    expect(call.functionName).toBe(functionName)
    expect(call.args.slice(1)).toEqual([
      ID,
      ...(amount === null ? [] : [amount]),
      { feeWei: 5n, nonce, deadline: DEADLINE, signature: body.signature },
    ])
  })

  it('for another revision than the client saw is 412', async () => {
    const entry = makeEntry(lower(account(1).address), 0n, { type: 'active' }, { id: ID, revision: 3 })
    chain.entries.set(ID, entry)
    const body = { ...common(9n), signature: await signIntent('Pause', null, 9n) }
    expect((await post(`/v1/triggers/${ID}/pause`, body, { 'if-match': '"4"' })).status).toBe(412)
    expect((await post(`/v1/triggers/${ID}/pause`, body, { 'if-match': '"3"' })).status).toBe(202)
  })

  it('without an amount, or with one where none belongs, is 400', async () => {
    const signature = await signIntent('Pause', null, 10n)
    expect((await post(`/v1/triggers/${ID}/fund`, { ...common(10n), signature })).status).toBe(400)
    expect((await post(`/v1/triggers/${ID}/pause`, { ...common(10n), amountWei: '1', signature })).status).toBe(400)
  })
})

describe('a fact', () => {
  const deposit = {
    chain: 31337n,
    txid: `0x${'f0'.repeat(32)}`,
    from: OWNER,
    to: OWNER,
    amountWei: 5n,
    height: 3,
    blockHash: `0x${'f1'.repeat(32)}`,
    confirmations: 2,
  } as const

  async function signedFact(index: number, amountWei: bigint) {
    const fact = depositFact(reporters.id, 1_700_000_000_000, { ...deposit, amountWei }, nobleSuite)
    const signer = account(index)
    const signature = await signer.signTypedData({
      domain: attestationDomain(GENESIS),
      types: {
        Fact: [
          { name: 'sourceSet', type: 'bytes32' },
          { name: 'schema', type: 'bytes32' },
          { name: 'subject', type: 'bytes32' },
          { name: 'asOfMs', type: 'uint64' },
          { name: 'body', type: 'bytes32' },
        ],
      },
      primaryType: 'Fact',
      message: factMessage(fact, nobleSuite),
    })
    return { ...fact, body: bytesToHex(fact.body), reporter: lower(signer.address), signature: canonical(signature) }
  }

  it('counts once per reporter, and the same again is harmless', async () => {
    const fact = await signedFact(11, 5n)
    for (let repeat = 0; repeat < 2; repeat++) {
      const response = await post('/v1/facts', fact)
      expect([response.status, await response.json()]).toEqual([202, expect.objectContaining({ signatures: 1, quorum: 2 })])
    }
  })

  it('is refused from a stranger, with a forged signature, and when it contradicts an earlier one, which is kept as evidence', async () => {
    const refusal = async (body: unknown) =>
      ((await (await post('/v1/facts', body)).json()) as { errors: { code: string }[] }).errors[0]?.code
    expect(await refusal(await signedFact(5, 5n))).toBe('REPORTER_UNKNOWN')
    expect(await refusal({ ...(await signedFact(5, 5n)), reporter: OPERATOR })).toBe('SIGNATURE_INVALID')
    expect(await refusal({ ...(await signedFact(11, 5n)), body: '0x00' })).toBe('DEPOSIT_INVALID')
    expect(await refusal(await signedFact(11, 6n))).toBe('CONTRADICTION')
    const { items } = (await (await exports.default.fetch('http://edge/v1/evidence')).json()) as { items: unknown[] }
    expect(items).toEqual([expect.objectContaining({ offence: 'FACT_CONTRADICTION', offender: lower(account(11).address) })])
    expect((await post('/v1/facts', { ...(await signedFact(11, 5n)), sourceSet: GENESIS })).status).toBe(404)
  })
})

describe('an edge without a faucet', () => {
  it('says so', async () => {
    const request = new Request('http://edge/v1/faucet', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ address: OWNER }),
    })
    const response = await worker.fetch(request as Parameters<typeof worker.fetch>[0], { ...env, FAUCET: '' }, createExecutionContext())
    expect([response.status, await response.json()]).toEqual([404, expect.objectContaining({ code: 'FAUCET_OFF' })])
  })
})
