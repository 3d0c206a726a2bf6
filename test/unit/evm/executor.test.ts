/** Blocks made by hand, transactions signed by viem. Source: docs/protocol.md, order, context, fees and supply. @module */
import { describe, expect, test } from 'vitest'
import { createExecutor } from '#node/evm/executor.ts'
import { toHex } from '#node/evm/hex.ts'
import { triggerBudget } from '#node/evm/block-run.ts'
import type { Execution, ExecutionRefusal } from '#node/evm/types.ts'
import { bytesToBigint, hexToBytes } from '#shared/bytes.ts'
import { SUPPLY_WEI } from '#shared/params.ts'
import { FEE_COLLECTOR, FOUNDATION, NODE_RESERVE, STAKING, TEAM_VESTING } from '#shared/system.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { getContractAddress } from 'viem'
import { accounts, addressOf, ChainFixture, FSN, noNatives, validators } from '#test/unit/evm/chain-fixture.ts'
import type { HDAccount } from 'viem/accounts'

const account = (index: number): HDAccount => {
  const found = accounts[index]
  if (found === undefined) throw new Error('no such account')
  return found
}
const alice = account(0)
const bob = account(1)
const bobAddress = addressOf(bob)
const slotKey = (index: number): Hash => `0x${index.toString(16).padStart(64, '0')}`
const GWEI = 10n ** 9n

/** Sum over every account that can hold anything in the fixture. */
function total(chain: ChainFixture, more: readonly Address[] = []): bigint {
  const system = [NODE_RESERVE, FEE_COLLECTOR, STAKING, TEAM_VESTING, FOUNDATION]
  const all = new Set<Address>([...system, ...accounts.map(addressOf), ...validators.map(({ address }) => address), ...more])
  return [...all].reduce((sum, address) => sum + chain.balance(address), 0n)
}

/** Init code that returns `runtime`. */
function initCode(runtime: Hex): Hex {
  const length = (runtime.length - 2) / 2
  return `0x60${length.toString(16).padStart(2, '0')}600c60003960${length.toString(16).padStart(2, '0')}6000f3${runtime.slice(2)}`
}

describe('a transfer', () => {
  test('moves value, counts the nonce and gets a receipt', async () => {
    const chain = new ChainFixture()
    const raw = await chain.sign(alice, { nonce: 0, to: bobAddress, value: FSN, tip: 2n * GWEI })
    const { receipts, txs, skipped } = await chain.advance([[raw], []])
    expect(skipped).toEqual([])
    expect(txs.map(toHex)).toEqual([raw])
    expect(receipts[0]).toMatchObject({
      txType: 2,
      status: 1,
      gasUsed: 21_000n,
      cumulativeGasUsed: 21_000n,
      effectiveGasPriceWei: 3n * GWEI,
      from: addressOf(alice),
      to: bobAddress,
    })
    expect(chain.balance(bobAddress)).toBe(1001n * FSN)
    expect(chain.balance(addressOf(alice))).toBe(999n * FSN - 21_000n * 3n * GWEI)
    expect(chain.view.account(addressOf(alice))?.nonce).toBe(1n)
    expect(total(chain)).toBe(SUPPLY_WEI)
  })

  test('pays its base fee to the reserve and its tip 60, 20 and 20 percent', async () => {
    const chain = new ChainFixture({ params: { emissionRate: 0n } })
    const reserve = chain.balance(NODE_RESERVE)
    const raw = await chain.sign(alice, { nonce: 0, to: bobAddress, tip: 5n * GWEI })
    await chain.advance([[], [raw]])
    const tip = 21_000n * 5n * GWEI
    expect(chain.balance(NODE_RESERVE)).toBe(reserve + 21_000n * GWEI)
    expect(chain.balance(FEE_COLLECTOR)).toBe(0n)
    const [first, second, , fourth] = validators.map(({ address }) => chain.balance(address))
    expect(first).toBe(tip / 5n)
    expect(second).toBe((tip * 3n) / 5n)
    expect(fourth).toBe(tip / 5n)
  })
})

describe('emission', () => {
  test('is reserve times rate over 2^48, split 25, 35 and 20 percent, and the rest stays', async () => {
    const chain = new ChainFixture()
    const reserve = chain.balance(NODE_RESERVE)
    const emission = (reserve * chain.params.emissionRate) >> 48n
    await chain.advance([[], null])
    const author = (emission * 25n) / 200n
    const packages = (emission * 35n) / 100n / 2n
    const voter = (emission * 20n) / 100n / 4n
    expect(chain.balance(validators[0]?.address ?? '0x')).toBe(author + packages + voter)
    expect(chain.balance(validators[1]?.address ?? '0x')).toBe(voter)
    expect(chain.balance(NODE_RESERVE)).toBe(reserve - author - packages - 4n * voter)
    expect(total(chain)).toBe(SUPPLY_WEI)
  })

  test('leaves out the package reward of an author that omitted a trigger', async () => {
    const honest = new ChainFixture()
    const omitting = new ChainFixture({
      natives: {
        trigger: () => Promise.resolve({ skip: 'NONE' }),
        attestation: () => Promise.resolve({ skip: 'NONE' }),
        scheduledAtMs: () => 0,
        omittedLanes: () => Promise.resolve(new Set([1])),
      },
    })
    await honest.advance([[], []])
    await omitting.advance([[], []])
    const second = validators[1]?.address ?? '0x'
    const emission = ((SUPPLY_WEI / 3n) * honest.params.emissionRate) >> 48n
    expect(honest.balance(second) - omitting.balance(second)).toBe((emission * 35n) / 100n / 2n)
    expect(total(omitting)).toBe(SUPPLY_WEI)
  })
})

describe('a transaction that is bad at its turn', () => {
  test('is skipped when the same nonce stands in two lanes', async () => {
    const chain = new ChainFixture()
    const one = await chain.sign(alice, { nonce: 0, to: bobAddress, value: 1n })
    const two = await chain.sign(alice, { nonce: 0, to: bobAddress, value: 2n })
    const { txs, skipped, receipts } = await chain.advance([[one], [two]])
    expect(txs).toHaveLength(1)
    expect(receipts).toHaveLength(1)
    expect(skipped.map(({ code }) => code)).toEqual(['NONCE_TOO_LOW'])
    expect(chain.view.account(addressOf(alice))?.nonce).toBe(1n)
  })

  test.each([
    ['NONCE_TOO_HIGH', { nonce: 1 }],
    ['CHAIN_ID_WRONG', { nonce: 0, chainId: 1 }],
    ['INSUFFICIENT_FUNDS', { nonce: 0, value: 1001n * FSN }],
    ['FEE_TOO_LOW', { nonce: 0, maxFee: 1n }],
    ['INTRINSIC_GAS', { nonce: 0, gas: 20_999n }],
    ['GAS_LIMIT', { nonce: 0, gas: 10n ** 9n }],
  ] as const)('is skipped with %s and leaves no trace', async (code, fields) => {
    const chain = new ChainFixture({ params: { emissionRate: 0n } })
    const before = chain.head.header.stateRoot
    const raw = await chain.sign(alice, { to: bobAddress, ...fields })
    const { txs, skipped, roots } = await chain.advance([[raw], []])
    expect(txs).toEqual([])
    expect(skipped.map((item) => item.code)).toEqual([code])
    expect(roots.stateRoot).toBe(before)
  })

  test('is skipped when it cannot be decoded, and blob transactions are not known', async () => {
    const chain = new ChainFixture()
    const { skipped } = await chain.advance([['0x02c0', '0x03c0', '0x46c0', '0x47'], []])
    expect(skipped.map(({ code }) => code)).toHaveLength(4)
    expect(skipped.map(({ code }) => code)).toContain('TYPE_UNSUPPORTED')
  })

  test('is skipped when the block has no gas left, and the next one that fits runs', async () => {
    const chain = new ChainFixture({ params: { blockGasLimit: 100_000n } })
    const spin = initCode('0x5b600056')
    const big = await chain.sign(alice, { nonce: 0, data: spin, gas: 60_000n })
    const tooMuch = await chain.sign(bob, { nonce: 0, to: addressOf(alice), data: '0x', gas: 60_000n })
    const fits = await chain.sign(account(2), { nonce: 0, to: bobAddress, gas: 30_000n })
    const { receipts, skipped } = await chain.advance([[big, tooMuch, fits], []])
    expect(receipts).toHaveLength(2)
    expect(skipped.map(({ code }) => code)).toEqual(['BLOCK_GAS_EXHAUSTED'])
  })
})

test('a creation that self-destructs with value credits the reserve with what the EVM destroys', async () => {
  const chain = new ChainFixture({ params: { emissionRate: 0n } })
  const reserve = chain.balance(NODE_RESERVE)
  const raw = await chain.sign(alice, { nonce: 0, value: 12_345_678n, data: '0x30ff', gas: 100_000n })
  const { receipts } = await chain.advance([[raw], []])
  const created = getContractAddress({ from: alice.address, nonce: 0n }).toLowerCase() as Address
  const feeWei = (receipts[0]?.gasUsed ?? 0n) * GWEI
  expect(receipts[0]?.status).toBe(1)
  expect(chain.view.account(created)).toBeNull()
  expect(chain.balance(NODE_RESERVE)).toBe(reserve + 12_345_678n + feeWei)
  expect(total(chain)).toBe(SUPPLY_WEI)
})

test('a full block of endless loops takes its gas, fails with status 0 and keeps the supply', async () => {
  const chain = new ChainFixture({ params: { blockGasLimit: 1_000_000n } })
  const raw = await chain.sign(alice, { nonce: 0, data: '0x5b600056', gas: 1_000_000n })
  const { roots, receipts } = await chain.advance([[raw], []])
  expect(receipts[0]?.status).toBe(0)
  expect(roots.gasUsed).toBe(1_000_000n)
  expect(total(chain)).toBe(SUPPLY_WEI)
  const next = await chain.execute([[], []])
  expect('roots' in next && next.roots.baseFeeWei).toBe(1_125_000_000n)
})

test('a failed transaction keeps no change but its fee and nonce', async () => {
  const chain = new ChainFixture()
  const revert = await chain.sign(alice, { nonce: 0, value: 5n, data: '0x60016000556000 6000fd'.replace(' ', '') as Hex, gas: 100_000n })
  const { receipts } = await chain.advance([[revert], []])
  const created = getContractAddress({ from: alice.address, nonce: 0n }).toLowerCase() as Address
  expect(receipts[0]).toMatchObject({ status: 0, contractAddress: null, logs: [] })
  expect(chain.view.account(created)).toBeNull()
  expect(chain.view.account(addressOf(alice))?.nonce).toBe(1n)
})

test('a fault deep inside the EVM skips the transaction and undoes all of it', async () => {
  const faulty: Address = `0x${'fa'.repeat(20)}`
  const nested: Address = `0x${'7e'.repeat(20)}`
  // Stores 1 in slot 0, then calls what faults.
  const code = hexToBytes(`0x600160005560006000600060006000${faulty.slice(2).padStart(42, '73')}5af100`)
  const chain = new ChainFixture({
    params: { emissionRate: 0n },
    predeploys: new Map([[nested, { code, storage: new Map() }]]),
    precompiles: new Map([
      [
        faulty,
        () => {
          throw new RangeError('a bug')
        },
      ],
    ]),
  })
  const before = chain.head.header.stateRoot
  const bad = await chain.sign(alice, { nonce: 0, to: nested, value: 3n, gas: 200_000n })
  const { skipped, roots } = await chain.advance([[bad], []])
  expect(skipped.map((item) => item.code)).toEqual(['EXECUTION_FAULT'])
  expect(roots.stateRoot).toBe(before)
  const { receipts } = await chain.advance([[bad, await chain.sign(alice, { nonce: 0, to: bobAddress })], []])
  expect(receipts.map(({ status }) => status)).toEqual([1])
})

describe('the block context', () => {
  /** Stores NUMBER, TIMESTAMP, PREVRANDAO, COINBASE, BASEFEE, GASLIMIT, CHAINID and BLOCKHASH(NUMBER − 1) in slots 0..7. */
  const probe = initCode('0x436000554260015544600255416003554860045545600555466006556001430340600755 00'.replace(' ', '') as Hex)

  test('is a function of parent and slot alone', async () => {
    const chain = new ChainFixture()
    await chain.advance([[], []], 3)
    const parent = chain.head
    const contract = getContractAddress({ from: alice.address, nonce: 0n }).toLowerCase() as Address
    const deploy = await chain.sign(alice, { nonce: 0, data: probe, gas: 200_000n })
    const call = await chain.sign(alice, { nonce: 1, to: contract, gas: 400_000n })
    await chain.advance([[deploy, call], []], 8)
    const stored = (index: number): bigint => BigInt(chain.view.storage(contract, slotKey(index)))
    expect(stored(0)).toBe(2n)
    expect(stored(1)).toBe(BigInt(Math.floor((1_700_000_000_500 + 8 * 1500) / 1000)))
    expect(stored(2)).toBe(BigInt(parent.header.randomness))
    expect(stored(3)).toBe(BigInt(FEE_COLLECTOR))
    expect(stored(4)).toBe(chain.head.header.baseFeeWei)
    expect(stored(5)).toBe(chain.params.blockGasLimit)
    expect(stored(6)).toBe(81_920n)
    expect(stored(7)).toBe(BigInt(parent.hash))
  })
})

describe('refusals', () => {
  test('a block that is not later than its parent, or has another number of lanes', async () => {
    const chain = new ChainFixture()
    expect(await chain.execute([[], []], 0)).toMatchObject({ refusal: expect.stringContaining('SLOT_NOT_LATER') as string })
    expect(await chain.execute([[]])).toMatchObject({ refusal: expect.stringContaining('LANE_COUNT') as string })
  })

  const FAULTY: Address = `0x${'fa'.repeat(20)}`
  const callsFaulty = { to: FAULTY, gas: 100_000n } as const

  /** What becomes of a block in which a balance changes at one moment and nobody pays for it. */
  async function withFault(
    moment: 'before' | 'within' | 'after',
    amountWei: bigint,
    fields: Partial<Parameters<ChainFixture['sign']>[1]> = callsFaulty,
  ): Promise<Execution | ExecutionRefusal> {
    let fault: (now: typeof moment) => void = () => undefined
    const returnValue = new Uint8Array(0)
    const precompiles = new Map([[FAULTY, () => (fault('within'), { returnValue, gasUsed: 0n })]])
    const chain = new ChainFixture({ precompiles })
    const executor = createExecutor({
      ...chain.context,
      nextMachine: async (...args) => {
        const machine = await chain.context.nextMachine(...args)
        fault = (now) => (now === moment ? machine.state.addBalance(bobAddress, amountWei) : undefined)
        fault('before')
        return machine
      },
      // Asked after the last transaction, for the rewards.
      natives: { ...noNatives, omittedLanes: () => (fault('after'), Promise.resolve(new Set())) },
    })
    return await executor.execute(chain.head.header, chain.input([[await chain.sign(alice, { nonce: 0, ...fields })], []]))
  }

  test.each([1n, -1n])('a block in which one transaction changes the sum of balances by %s', async (amountWei) => {
    expect(await withFault('within', amountWei)).toEqual({
      refusal: `SUPPLY_BROKEN: a transaction changed the sum of balances by ${amountWei}`,
    })
    expect(await withFault('within', 0n)).toMatchObject({ receipts: [{ status: 1 }] })
  })

  test('a block in which a transaction that destroys balance makes more than it destroys', async () => {
    // Calls the faulty address, then destroys itself with the five wei it got.
    const data: Hex = `0x60006000600060006000${FAULTY.slice(2).padStart(42, '73')}5af15030ff`
    const destroys = { value: 5n, data, gas: 200_000n }
    expect(await withFault('within', 6n, destroys)).toEqual({
      refusal: 'SUPPLY_BROKEN: a transaction changed the sum of balances by 1',
    })
    expect(await withFault('within', 0n, destroys)).toMatchObject({ receipts: [{ status: 1 }] })
  })

  test.each(['before', 'after'] as const)('a block whose balances do not sum up for a change %s its transactions', async (moment) => {
    expect(await withFault(moment, 1n)).toEqual({ refusal: 'SUPPLY_BROKEN: the sum of balances changed by 1' })
  })
})

test('the trigger budget is a quarter of the block', () => {
  expect(triggerBudget(15_000_000n)).toBe(3_750_000n)
})

test('deployment through the CREATE2 factory lands where tools expect it', async () => {
  const chain = new ChainFixture()
  const init = initCode('0x00')
  const salt = '00'.repeat(32)
  const raw = await chain.sign(alice, {
    nonce: 0,
    to: '0x4e59b44847b379578588920ca78fbf26c0b4956c',
    data: `0x${salt}${init.slice(2)}`,
    gas: 200_000n,
  })
  await chain.advance([[raw], []])
  const expected = getContractAddress({
    opcode: 'CREATE2',
    from: '0x4e59b44847b379578588920ca78fbf26c0b4956c',
    salt: `0x${salt}`,
    bytecode: init,
  })
  expect(bytesToBigint(chain.view.code(expected.toLowerCase() as Address))).toBe(0n)
  expect(chain.view.code(expected.toLowerCase() as Address)).toHaveLength(1)
})
