/** Calls and estimates against contracts assembled by hand. Source: execution API. @module */
import { describe, expect, test } from 'vitest'
import { createEvmCaller } from '#node/evm/evm-caller.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import type { Address, Hash } from '#shared/types.ts'
import { accounts, addressOf, ChainFixture, FSN } from '#test/unit/evm/chain-fixture.ts'

const word = (value: number): Hash => `0x${value.toString(16).padStart(64, '0')}`
const [first, second] = accounts
const alice = first === undefined ? '0x' : addressOf(first)
const bob = second === undefined ? '0x' : addressOf(second)
const contract: Address = `0x${'7a'.repeat(20)}`
const forwarder: Address = `0x${'7b'.repeat(20)}`

/** Calldata empty: returns slot 0. Otherwise: stores calldata[0..32] in slot 0 and reverts with one byte when it is zero. */
const CODE = '0x36600f5760005460005260206000f35b6000358015601c57600055005b60aa60005360016000fd'
/** Calls `contract` with calldata and 63/64 of its gas, reverts if that fails. */
const FORWARD = '0x60003560005260006000602060006000737a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a7a5af1602e57600080fd5b00'

const predeploys = new Map([
  [contract, { code: hexToBytes(CODE), storage: new Map([[word(0), word(42)]]) }],
  [forwarder, { code: hexToBytes(FORWARD), storage: new Map() }],
])
const chain = new ChainFixture({ predeploys })
const caller = createEvmCaller(chain.context)
const { header } = chain.head

describe('a call', () => {
  test('reads state and changes nothing', async () => {
    const read = await caller.call({ to: contract }, header)
    expect(read).toMatchObject({ success: true, error: null })
    expect(bytesToHex(read.returnData)).toBe(word(42))
    expect((await caller.call({ to: contract, data: hexToBytes(word(7)) }, header)).success).toBe(true)
    expect(bytesToHex((await caller.call({ to: contract }, header)).returnData)).toBe(word(42))
  })

  test('reports a revert with its data', async () => {
    expect(await caller.call({ to: contract, data: hexToBytes(word(0)) }, header)).toMatchObject({
      success: false,
      error: 'revert',
      returnData: Uint8Array.of(0xaa),
    })
  })

  test('takes a gas limit with intrinsic gas, as a transaction does', async () => {
    expect(await caller.call({ to: bob, gasLimit: 20_999n }, header)).toMatchObject({ success: false, error: 'out of gas' })
    expect(await caller.call({ to: bob, gasLimit: 21_000n }, header)).toMatchObject({ success: true, gasUsed: 21_000n })
  })

  test('fails when the sender cannot pay the value', async () => {
    expect((await caller.call({ from: alice, to: bob, valueWei: 1001n * FSN }, header)).success).toBe(false)
    expect((await caller.call({ from: alice, to: bob, valueWei: FSN }, header)).success).toBe(true)
  })

  test('sees overridden balance, code and storage, for this call only', async () => {
    const slots = await caller.call({ to: contract }, header, { [contract]: { stateDiff: { [word(0)]: word(9) } } })
    expect(bytesToHex(slots.returnData)).toBe(word(9))
    const whole = await caller.call({ to: contract }, header, { [contract]: { state: {} } })
    expect(bytesToHex(whole.returnData)).toBe(word(0))
    const code = await caller.call({ to: bob }, header, { [bob]: { code: hexToBytes('0x3860005260206000f3') } })
    expect(bytesToHex(code.returnData)).toBe(word(9))
    const rich = await caller.call({ from: contract, to: bob, valueWei: FSN }, header, { [contract]: { balanceWei: FSN } })
    expect(rich.success).toBe(true)
  })

  test('creates', async () => {
    const created = await caller.call({ from: alice, to: null, data: hexToBytes('0x60016000f3') }, header)
    expect(created.success).toBe(true)
    expect(created.createdAddress).toMatch(/^0x[0-9a-f]{40}$/)
  })
})

describe('an estimate', () => {
  const gasOf = async (request: Parameters<typeof caller.estimateGas>[0]): Promise<bigint> => {
    const estimate = await caller.estimateGas(request, header)
    return 'gas' in estimate ? estimate.gas : -1n
  }

  test('of a transfer is exact', async () => {
    expect(await gasOf({ from: alice, to: bob, valueWei: 1n })).toBe(21_000n)
  })

  test('is enough for the call, also through a frame that keeps a 64th, and close to the least', async () => {
    for (const to of [contract, forwarder]) {
      const request = { from: alice, to, data: hexToBytes(word(7)) }
      const gas = await gasOf(request)
      expect((await caller.call({ ...request, gasLimit: gas }, header)).success).toBe(true)
      expect((await caller.call({ ...request, gasLimit: gas - gas / 20n }, header)).success).toBe(false)
    }
  })

  test('of a call that cannot succeed is the failed call', async () => {
    expect(await caller.estimateGas({ to: contract, data: hexToBytes(word(0)) }, header)).toMatchObject({ success: false, error: 'revert' })
    expect(await caller.estimateGas({ to: contract, data: hexToBytes(word(7)), gasLimit: 21_500n }, header)).toMatchObject({
      success: false,
    })
  })

  test('stops at what the sender can pay', async () => {
    const poor: Address = `0x${'99'.repeat(20)}`
    expect(await caller.estimateGas({ from: poor, to: contract, data: hexToBytes(word(7)), gasPriceWei: 1n }, header)).toMatchObject({
      success: false,
      error: 'gas required exceeds allowance',
    })
  })
})
