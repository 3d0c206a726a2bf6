/**
 * The part of ethereum/execution-apis' request and answer pairs that does not depend on their chain: its 54 blocks cannot be imported,
 * because this chain's headers have other fields. What is compared: answers about things that exist nowhere, errors with their codes,
 * hashes of raw transactions, and the set of fields of every object.
 * @module
 */
import { decodeUserTransaction } from '#shared/chain/user-transaction.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import type { Hex } from '#shared/types.ts'
import { compileCounter } from '#test/unit/rpc/counter.ts'
import type { DevChain } from '#test/unit/rpc/dev-chain.ts'
import { startDevChain } from '#test/unit/rpc/dev-chain.ts'
import { addressOf, dev as account, GWEI, signed } from '#test/unit/pool/fake-chain.ts'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'

// Signatures and child processes on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const FOLDER = path.resolve('../shared/vectors/execution-apis/tests')
const isPresent = existsSync(FOLDER)
if (!isPresent && process.env['CI'] === undefined) console.log('execution-apis vectors are absent: skipped')

type Answer = Readonly<{ result?: unknown; error?: Readonly<{ code: number; message: string }> }>
type Pair = Readonly<{ name: string; request: Readonly<{ method: string; params?: readonly unknown[] }>; answer: Answer }>

function readPairs(method: string): readonly Pair[] {
  const folder = path.join(FOLDER, method)
  if (!existsSync(folder)) return []
  return readdirSync(folder).flatMap((file) => {
    const lines = readFileSync(path.join(folder, file), 'utf8').split('\n')
    const find = (prefix: string): unknown => JSON.parse(lines.find((line) => line.startsWith(prefix))?.slice(3) ?? 'null')
    const request = find('>> ') as Pair['request'] | null
    const answer = find('<< ') as Answer | null
    return request === null || answer === null ? [] : [{ name: `${method}/${file}`, request, answer }]
  })
}

let node: DevChain
beforeAll(async () => {
  node = await startDevChain()
})
afterAll(() => node.close())

async function ask(request: Pair['request']): Promise<Answer> {
  return JSON.parse((await node.dispatch(JSON.stringify({ jsonrpc: '2.0', id: 1, ...request }), null)) ?? '{}') as Answer
}

/** Pairs whose answer is the same on every chain. */
const SAME_EVERYWHERE = /notfound|empty-hash|empty-tx|unknown-account|check-syncing|get-current-blobfee/
const METHODS = isPresent ? readdirSync(FOLDER, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : [])) : []
const pairs = METHODS.filter((name) => !/^(?:testing_|eth_simulateV1|engine_|debug_trace|debug_getRaw)/.test(name)).flatMap(readPairs)

describe.runIf(isPresent || process.env['CI'] !== undefined)('execution-apis', () => {
  it('has the pairs this test reads', () => {
    expect(pairs.length).toBeGreaterThan(80)
  })

  it.each(pairs.filter(({ name }) => SAME_EVERYWHERE.test(name)).map((pair) => [pair.name, pair] as const))(
    '%s is answered alike',
    async (_, pair) => {
      expect(await ask(pair.request)).toEqual(pair.answer)
    },
  )

  it.each(pairs.filter(({ answer }) => answer.error?.code === -32602).map((pair) => [pair.name, pair] as const))(
    '%s is refused with the same code',
    async (_, pair) => {
      expect((await ask(pair.request)).error?.code).toBe(-32602)
    },
  )

  const raws = readPairs('eth_sendRawTransaction').filter(({ name }) => !name.includes('blob'))
  it.each(raws.map((pair) => [pair.name, pair] as const))('%s has the same hash here', (_, { request, answer }) => {
    expect(decodeUserTransaction(nobleSuite, hexToBytes(request.params?.[0] as Hex)).hash).toBe(answer.result)
  })

  it('sends a transaction of another chain away', async () => {
    for (const { request } of raws) expect((await ask(request)).error).toMatchObject({ code: -32000 })
  })

  it('finds the same access list for the same contract code and input', async () => {
    const [code] = readPairs('eth_getCode').flatMap(({ request, answer }) =>
      request.params?.[0] === '0x7dcd17433742f4c0ca53122ab541d0ba67fc27df' ? [String(answer.result)] : [],
    )
    const pair = readPairs('eth_createAccessList').find(({ name }) => name.endsWith('create-al-contract.io'))
    const expected = pair?.answer.result as { accessList: { storageKeys: string[] }[] }
    // Init code that returns the 35 bytes behind it.
    const raw = await signed(5, { nonce: 0, to: undefined, data: `0x6023600c60003960236000f3${code?.slice(2)}`, gas: 200_000n })
    const { hash } = (await node.pool.add(raw, 'local')) as { hash: string }
    await node.seal()
    const { contractAddress: to } = (await ask({ method: 'eth_getTransactionReceipt', params: [hash] })).result as {
      contractAddress: string
    }
    const call = { from: addressOf(6), to, input: (pair?.request.params?.[0] as { input: string } | undefined)?.input }
    const { result } = await ask({ method: 'eth_createAccessList', params: [call, 'latest'] })
    expect(result).toEqual({
      accessList: [{ address: to, storageKeys: expected.accessList[0]?.storageKeys }],
      gasUsed: expect.stringMatching(/^0x/) as unknown,
    })
    const transfer = { from: addressOf(6), to: addressOf(7), value: '0x1' }
    expect((await ask({ method: 'eth_createAccessList', params: [transfer] })).result).toEqual({ accessList: [], gasUsed: '0x5208' })
    const failing = { from: addressOf(6), data: '0xfe' }
    expect((await ask({ method: 'eth_createAccessList', params: [failing] })).result).toMatchObject({
      error: expect.any(String) as unknown,
    })
  })

  const byHash = new Map(readPairs('eth_getTransactionByHash').map(({ request, answer }) => [request.params?.[0], answer.result]))
  const known = readPairs('debug_getRawTransaction').filter(({ request }) => byHash.has(request.params?.[0]))
  it('recovers the senders of raw transactions', () => {
    const compared = known.flatMap(({ request, answer }) => {
      const expected = byHash.get(request.params?.[0]) as { from: string; nonce: string; type: string } | null
      if (expected === null || expected.type === '0x3' || typeof answer.result !== 'string') return []
      const tx = decodeUserTransaction(nobleSuite, hexToBytes(answer.result))
      return [{ ours: [tx.sender, `0x${tx.nonce.toString(16)}`], theirs: [expected.from, expected.nonce] }]
    })
    expect(compared.map(({ ours }) => ours)).toEqual(compared.map(({ theirs }) => theirs))
  })
})

/** Fields of blobs, beacon chain, withdrawals and of receipts before Byzantium, which this chain does not have. */
const FOREIGN = new Set([
  'root',
  'blobGasUsed',
  'excessBlobGas',
  'blobGasPrice',
  'parentBeaconBlockRoot',
  'withdrawals',
  'withdrawalsRoot',
  'requestsHash',
  'maxFeePerBlobGas',
  'blobVersionedHashes',
])

describe.runIf(isPresent || process.env['CI'] !== undefined)('every field of execution-apis objects is served', () => {
  const missing = (theirs: unknown, ours: unknown): readonly string[] => {
    const fields = ours as Record<string, unknown>
    return Object.keys(theirs as object).filter((key) => !FOREIGN.has(key) && !(key in fields))
  }
  const results = (method: string): readonly Record<string, unknown>[] =>
    readPairs(method).flatMap(({ answer }) =>
      answer.result === null || answer.result === undefined ? [] : [answer.result as Record<string, unknown>],
    )

  let hashes: Record<string, string>
  beforeAll(async () => {
    const { bytecode } = compileCounter()
    const authorization = await account(3).signAuthorization?.({ chainId: 81920, contractAddress: addressOf(9), nonce: 0 })
    const raws = {
      '0x0': await signed(0, {
        nonce: 0,
        type: 'legacy',
        gasPrice: 3n * GWEI,
        maxFeePerGas: undefined,
        maxPriorityFeePerGas: undefined,
      } as never),
      '0x1': await signed(1, {
        nonce: 0,
        type: 'eip2930',
        gasPrice: 3n * GWEI,
        accessList: [],
        maxFeePerGas: undefined,
        maxPriorityFeePerGas: undefined,
      } as never),
      '0x2': await signed(2, { nonce: 0, to: undefined, data: bytecode, gas: 1_000_000n }),
      '0x4': await signed(4, { nonce: 0, type: 'eip7702', gas: 100_000n, authorizationList: [authorization] } as never),
    }
    const added = await Promise.all(
      Object.entries(raws).map(async ([type, raw]) => [type, ((await node.pool.add(raw, 'local')) as { hash: string }).hash] as const),
    )
    hashes = Object.fromEntries(added)
    await node.seal()
  })

  it('in blocks', async () => {
    const ours = (await ask({ method: 'eth_getBlockByNumber', params: ['latest', true] })).result
    expect(results('eth_getBlockByNumber').flatMap((theirs) => missing(theirs, ours))).toEqual([])
  })
  it('in transactions and receipts of each type', async () => {
    for (const [type, hash] of Object.entries(hashes)) {
      const transaction = (await ask({ method: 'eth_getTransactionByHash', params: [hash] })).result
      const receipt = (await ask({ method: 'eth_getTransactionReceipt', params: [hash] })).result
      const ofType = (method: string) => results(method).filter((result) => result['type'] === type)
      expect([type, ofType('eth_getTransactionByHash').flatMap((theirs) => missing(theirs, transaction))]).toEqual([type, []])
      expect([type, ofType('eth_getTransactionReceipt').flatMap((theirs) => missing(theirs, receipt))]).toEqual([type, []])
    }
  })
  it('in proofs and fee history', async () => {
    const proof = (await ask({ method: 'eth_getProof', params: [addressOf(0), [`0x${'00'.repeat(32)}`], 'latest'] })).result
    expect(results('eth_getProof').flatMap((theirs) => missing(theirs, proof))).toEqual([])
    const history = (await ask({ method: 'eth_feeHistory', params: ['0x1', 'latest', [50]] })).result
    expect(results('eth_feeHistory').flatMap((theirs) => missing(theirs, history))).toEqual(['baseFeePerBlobGas', 'blobGasUsedRatio'])
  })
})
