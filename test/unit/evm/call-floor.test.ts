/** Message calls have a floor price, so that a block cannot hold more of them than a slot has time for. Source: docs/protocol.md, "Execution". @module */
import { beforeEach, describe, expect, test } from 'vitest'
import type { CallResult } from '#node/chain-reader.ts'
import { openExecution } from '#node/evm/context.ts'
import { createEvmCaller } from '#node/evm/evm-caller.ts'
import { createExecutor } from '#node/evm/executor.ts'
import type { NativeExecutors } from '#node/evm/native-types.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { callFloorGas } from '#shared/chain/call-gas.ts'
import { decodeGenesisJson, genesisToJson } from '#shared/chain/genesis-json.ts'
import { genesisHash } from '#shared/chain/genesis.ts'
import { CALLING_LIST } from '#shared/system.ts'
import { encodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import type { HDAccount } from 'viem/accounts'
import { accounts, addressOf, ChainFixture, FSN, noNatives } from '#test/unit/evm/chain-fixture.ts'
import { suite } from '#test/unit/evm/support.ts'

const word = (value: number): Hash => `0x${value.toString(16).padStart(64, '0')}`
const address = (byte: string): Address => `0x${byte.padStart(40, '0')}`
const account = (index: number): HDAccount => {
  const found = accounts[index]
  if (found === undefined) throw new Error('no such account')
  return found
}
const [alice, bob, carol] = [account(0), account(1), account(2)]

/** Counts the calls that really ran; 15 gas, as the identity precompile. */
let ran = 0
beforeEach(() => {
  ran = 0
})
const counter = { at: address('c1'), run: () => ((ran += 1), { returnValue: new Uint8Array(0), gasUsed: 15n }) }
/** Calls the counter as often as calldata says: 175 gas a round, 27 before and after. */
const loop = { at: address('c2'), code: '0x6000355b8015601f57600060006000600060c161fffffa5060019003600356' + '5b00' } as const
/** Stores 1 in slot 0, logs, then calls `loop` with its calldata and all gas. */
const outer = { at: address('c3'), code: '0x600160005560006000a0600035600052600060006020600060c25afa00' } as const
const predeploys = new Map([loop, outer].map(({ at, code }) => [at, { code: hexToBytes(code), storage: new Map() }]))
const options = { predeploys, precompiles: new Map([[counter.at, counter.run]]) }

const calling = (chain: ChainFixture, by: HDAccount, calls: number, gas: bigint, to = loop.at, nonce = 0): Promise<Hex> =>
  chain.sign(by, { nonce, to, data: word(calls), gas })

describe('the floor', () => {
  test('is a block’s gas over the calls it may hold, never too low', () => {
    expect(callFloorGas({ blockGasLimit: 10_000_000n, blockCallLimit: 5000 })).toBe(2000n)
    expect(callFloorGas({ blockGasLimit: 10_000_000n, blockCallLimit: 3 })).toBe(3_333_334n)
  })

  test('is part of the network’s identity', () => {
    const [some, more] = [new ChainFixture().document, new ChainFixture({ params: { blockCallLimit: 5001 } }).document]
    expect(genesisHash(some, suite.keccak256)).not.toBe(genesisHash(more, suite.keccak256))
    expect(decodeGenesisJson(JSON.parse(JSON.stringify(genesisToJson(more)))).params.blockCallLimit).toBe(5001)
    const none = { ...more, params: { ...more.params, blockCallLimit: 0 } }
    expect(() => decodeGenesisJson(genesisToJson(none))).toThrow('GENESIS_INVALID')
  })

  test('is not met by code that costs more', async () => {
    const chain = new ChainFixture(options)
    const { receipts } = await chain.advance([[await calling(chain, alice, 3, 100_000n)], []])
    expect(receipts[0]).toMatchObject({ status: 1, gasUsed: 21_000n + 140n + 27n + 3n * 175n })
  })

  test('is what calls cost that do nothing else', async () => {
    const chain = new ChainFixture(options)
    const before = chain.balance(addressOf(alice))
    const { receipts } = await chain.advance([[await calling(chain, alice, 100, 200_000n)], []])
    expect(receipts[0]).toMatchObject({ status: 1, gasUsed: 200_000n })
    expect(before - chain.balance(addressOf(alice))).toBe(200_000n * chain.params.initialBaseFeeWei)
    expect(ran).toBe(100)
  })

  test.each([
    ['CALL', '5f5f5f5f5f60ee61fffff150'],
    ['CALLCODE', '5f5f5f5f5f60ee61fffff250'],
    ['DELEGATECALL', '5f5f5f5f60ee61fffff450'],
    ['STATICCALL', '5f5f5f5f60ee61fffffa50'],
    ['CREATE', '5f5f5ff050'],
    ['CREATE2', '5a5f5f5ff550'],
  ])('counts %s', async (_, code) => {
    const at = address('c4')
    const times = (count: number): Hex => `0x${code.repeat(count)}00`
    const outcome = async (count: number): Promise<unknown> => {
      const contracts = new Map([[at, { code: hexToBytes(times(count)), storage: new Map() }]])
      const chain = new ChainFixture({ predeploys: contracts, params: { blockCallLimit: 10 } })
      const { receipts } = await chain.advance([[await chain.sign(alice, { nonce: 0, to: at, gas: 3_500_000n })], []])
      return receipts[0]
    }
    expect(await outcome(3)).toMatchObject({ status: 1, gasUsed: 3_000_000n })
    expect(await outcome(4)).toMatchObject({ status: 0, gasUsed: 3_500_000n })
  })
})

describe('a block', () => {
  test('full of calls holds no more than its limit, whether they succeed or not', async () => {
    const chain = new ChainFixture(options)
    const endless = await Promise.all(accounts.map((by) => calling(chain, by, 1_000_000, 2_000_000n)))
    const { receipts, skipped } = await chain.advance([endless, []])
    expect(receipts.map(({ status, gasUsed }) => [status, gasUsed])).toEqual(Array.from({ length: 5 }, () => [0, 2_000_000n]))
    expect(skipped.map(({ code }) => code)).toEqual(['BLOCK_GAS_EXHAUSTED', 'BLOCK_GAS_EXHAUSTED', 'BLOCK_GAS_EXHAUSTED'])
    expect(ran).toBe(5000)
  })

  test('takes a transaction of more calls than it may hold as failed, for all its gas', async () => {
    const chain = new ChainFixture(options)
    const before = chain.balance(addressOf(alice))
    const { receipts } = await chain.advance([[await calling(chain, alice, 5001, 10_000_000n)], []])
    expect(receipts[0]).toMatchObject({ status: 0, gasUsed: 10_000_000n, logs: [] })
    expect(before - chain.balance(addressOf(alice))).toBe(10_000_000n * chain.params.initialBaseFeeWei)
    expect(chain.view.account(addressOf(alice))?.nonce).toBe(1n)
    expect(ran).toBe(5000)
  })

  test('leaves the second of two that need more than half for the next block without running it, and goes on', async () => {
    const chain = new ChainFixture(options)
    const [first, second] = [await calling(chain, alice, 2900, 6_000_000n), await calling(chain, bob, 2900, 6_000_000n)]
    const ordinary = [
      await chain.sign(carol, { nonce: 0, to: address('99'), value: 1n }),
      await calling(chain, carol, 2, 60_000n, loop.at, 1),
    ]
    const block = await chain.advance([[first, second, ...ordinary], []])
    expect(block.receipts.map(({ status, gasUsed }) => [status, gasUsed])).toEqual([
      [1, 5_800_000n],
      [1, 21_000n],
      [1, 21_517n],
    ])
    expect(block.skipped).toMatchObject([{ code: 'BLOCK_GAS_EXHAUSTED' }])
    expect(ran).toBe(2902)
    expect((await chain.advance([[second], []])).receipts).toMatchObject([{ status: 1, gasUsed: 5_800_000n }])
  })

  test('forgets what a stopped transaction did in all its frames, and what it warmed', async () => {
    const chain = new ChainFixture(options)
    const after = (by: HDAccount): Promise<Hex> => calling(chain, by, 1, 100_000n, outer.at)
    const alone = await chain.execute([[await after(bob)], []])
    const both = await chain.advance([[await calling(chain, alice, 1_000_000, 400_000n, outer.at), await after(bob)], []])
    expect(both.receipts[0]).toMatchObject({ status: 0, gasUsed: 400_000n, logs: [] })
    expect(both.receipts[1]).toMatchObject({ status: 1, logs: [{ address: outer.at }] })
    expect('refusal' in alone ? alone : both.receipts[1]?.gasUsed).toBe('refusal' in alone ? null : alone.receipts[0]?.gasUsed)
    expect(chain.view.storage(outer.at, word(0))).toBe(word(1))
  })

  test('forgets transient storage of a stopped transaction', async () => {
    const at = address('c4')
    // Keeps transient slot 0 in slot 0, sets it to 1, then calls `loop` with the calldata and all gas.
    const code = hexToBytes('0x5f5c5f5560015f5d600035600052600060006020600060c25afa00')
    const chain = new ChainFixture({ ...options, predeploys: new Map([...predeploys, [at, { code, storage: new Map() }]]) })
    const txs = [await calling(chain, alice, 1_000_000, 400_000n, at), await calling(chain, bob, 0, 100_000n, at)]
    expect((await chain.advance([txs, []])).receipts).toMatchObject([{ status: 0 }, { status: 1 }])
    expect(chain.view.storage(at, word(0))).toBe(word(0))
  })

  test('finds cold again what a reverted frame’s own call warmed', async () => {
    const [first, second, third] = ['c4', 'c5', 'c6'].map(address)
    if (first === undefined || second === undefined || third === undefined) throw new Error('three addresses')
    const contracts = new Map<Address, Hex>([
      [first, '0x5f5f5f5f5f60c561fffff15060d03100'],
      [second, '0x5f5f5f5f5f60c661fffff15f5ffd'],
      [third, '0x60d03100'],
    ])
    const chain = new ChainFixture({
      predeploys: new Map(Array.from(contracts, ([at, code]) => [at, { code: hexToBytes(code), storage: new Map() }])),
    })
    const { receipts } = await chain.advance([[await chain.sign(alice, { nonce: 0, to: first, gas: 100_000n })], []])
    // Two cold calls with six pushes of 2 and 3 gas each, POP, two pushes for REVERT, and 3 + 2600 for BALANCE, twice.
    expect(receipts[0]).toMatchObject({ status: 1, gasUsed: 21_000n + 2n * (2600n + 16n) + 2n + 4n + 2n * 2603n })
  })

  test('is the same for either instruction loop and for whoever executes it again', async () => {
    const chain = new ChainFixture(options)
    const txs = [await calling(chain, alice, 1_000_000, 400_000n, outer.at), await calling(chain, bob, 100, 200_000n)]
    const input = chain.input([txs, []])
    const { header } = chain.head
    const stock = createExecutor(openExecution({ ...chain.context, interpreter: 'stock' }))
    const first = await chain.executor.execute(header, input)
    expect(first).toMatchObject({ receipts: [{ status: 0 }, { status: 1 }] })
    expect(await chain.executor.execute(header, input)).toEqual(first)
    expect(await stock.execute(header, input)).toEqual(first)
  })
})

describe('a call without a transaction', () => {
  const chain = new ChainFixture(options)
  const caller = createEvmCaller(chain.context)
  const { header } = chain.head
  const request = (calls: number) => ({ from: addressOf(alice), to: loop.at, data: hexToBytes(word(calls)) })

  test('ends at the calls its gas pays for, and says so', async () => {
    expect(await caller.call({ ...request(1_000_000), gasLimit: 500_000n }, header)).toMatchObject({
      success: false,
      gasUsed: 500_000n,
      error: 'out of gas: too many message calls for the gas limit',
    })
    expect(ran).toBe(250)
    expect(await caller.call(request(5000), header)).toMatchObject({ success: true, gasUsed: 10_000_000n })
    expect(await caller.estimateGas(request(5001), header)).toMatchObject({ success: false, error: expect.stringContaining('too many') })
  })

  test('is estimated at the floor', async () => {
    const estimate = await caller.estimateGas(request(100), header)
    if (!('gas' in estimate)) throw new Error(String(estimate.error))
    expect(estimate.gas).toBeGreaterThanOrEqual(200_000n)
    expect(estimate.gas).toBeLessThanOrEqual(204_000n)
    expect((await caller.call({ ...request(100), gasLimit: estimate.gas }, header)).success).toBe(true)
    expect((await caller.call({ ...request(100), gasLimit: 199_999n }, header)).success).toBe(false)
  })

  test('that costs more than the floor needs its gas and intrinsic gas', async () => {
    expect(await caller.call({ ...request(3), gasLimit: 21_692n }, header)).toMatchObject({ success: true, gasUsed: 21_692n })
    expect((await caller.call({ ...request(3), gasLimit: 21_691n }, header)).success).toBe(false)
  })
})

test('a call of a native transaction fails alone: what the transaction did before stays', async () => {
  const stable = address('57')
  const seen: CallResult[] = []
  const trigger: NativeExecutors['trigger'] = async (host) => {
    await host.setStorage(CALLING_LIST, word(5), word(7))
    await host.transfer(addressOf(alice), stable, FSN)
    const call = { caller: stable, to: outer.at, valueWei: 0n, gasLimit: 200_000n }
    seen.push(await host.call({ ...call, data: hexToBytes(word(1_000_000)) }), await host.call({ ...call, data: hexToBytes(word(0)) }))
    return { status: 1, gasUsed: 400_000n, effectiveGasPriceWei: 1n, from: stable, to: outer.at }
  }
  const chain = new ChainFixture({ ...options, natives: { ...noNatives, trigger } })
  const tx = { chainId: 81_920, entryId: word(1), revision: 1, occurrence: word(1), attempt: 0, beneficiary: stable, signature: null }
  const { receipts } = await chain.advance([[bytesToHex(encodeTriggerTx({ ...tx, evidence: new Uint8Array(0) }))], []])
  expect(seen).toMatchObject([
    { success: false, gasUsed: 200_000n, logs: [] },
    { success: true, logs: [{ address: outer.at }] },
  ])
  // 100 calls: the one of `loop` and 99 of the counter.
  expect(ran).toBe(99)
  expect(receipts).toMatchObject([{ status: 1, logs: [{ address: outer.at }] }])
  expect(chain.view.storage(CALLING_LIST, word(5))).toBe(word(7))
  expect(chain.balance(stable)).toBe(FSN)
})
