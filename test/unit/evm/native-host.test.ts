/** What native transactions can do, and what their budgets are. Source: docs/protocol.md. @module */
import { describe, expect, test } from 'vitest'
import type { NativeHost } from '#node/chain-reader.ts'
import type { NativeContext, NativeExecutors, NativeOutcome } from '#node/evm/native-types.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { InvariantError } from '#shared/fault.ts'
import { SUPPLY_WEI } from '#shared/params.ts'
import { CALLING_LIST, FEE_COLLECTOR, FEED_REGISTRY, FOUNDATION, NODE_RESERVE, STAKING, TEAM_VESTING } from '#shared/system.ts'
import { encodeAttestationTx } from '#shared/oracle/transaction.ts'
import { encodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { accounts, addressOf, ChainFixture, FSN, noNatives, validators } from '#test/unit/evm/chain-fixture.ts'
import type { FixtureOptions } from '#test/unit/evm/chain-fixture.ts'

const word = (value: number): Hash => `0x${value.toString(16).padStart(64, '0')}`
const alice = addressOf(accounts[0] ?? never())
const bob = addressOf(accounts[1] ?? never())
const stable: Address = `0x${'57'.repeat(20)}`
const target: Address = `0x${'7a'.repeat(20)}`

function never(): never {
  throw new Error('the fixture has accounts')
}

function trigger(entry: number): Hex {
  const tx: TriggerTx = {
    chainId: 81_920,
    entryId: word(entry),
    revision: 1,
    occurrence: word(1),
    attempt: 0,
    evidence: new Uint8Array(0),
    beneficiary: alice,
    signature: null,
  }
  return bytesToHex(encodeTriggerTx(tx))
}

type Rule = (host: NativeHost, tx: TriggerTx, context: NativeContext) => Promise<NativeOutcome>

function chainWith(rule: Rule, options: FixtureOptions & { scheduledAtMs?: NativeExecutors['scheduledAtMs'] } = {}): ChainFixture {
  const { scheduledAtMs = () => 0, ...rest } = options
  return new ChainFixture({ ...rest, natives: { ...noNatives, trigger: rule, scheduledAtMs } })
}

const done = (gasUsed: bigint): NativeOutcome => ({ status: 1, gasUsed, effectiveGasPriceWei: 1n, from: stable, to: target })
/** Stores CALLER in slot 0 and emits an empty log. */
const contract = { code: hexToBytes('0x3360005560006000a000'), storage: new Map() }
const predeploys = new Map([[target, contract]])

describe('a native transaction', () => {
  test('writes storage, moves value, logs, and has a receipt of its own type', async () => {
    const chain = chainWith(async (host) => {
      await host.setStorage(CALLING_LIST, word(5), word(77))
      expect(await host.storage(CALLING_LIST, word(5))).toBe(word(77))
      expect(await host.transfer(alice, stable, FSN)).toBe(true)
      expect(await host.transfer(stable, bob, 2n * FSN)).toBe(false)
      expect(await host.transfer(stable, bob, -1n)).toBe(false)
      expect(await host.balance(stable)).toBe(FSN)
      host.log({ address: CALLING_LIST, topics: [word(1)], data: Uint8Array.of(1) })
      return done(50_000n)
    })
    const { receipts, roots } = await chain.advance([[trigger(1)], []])
    expect(receipts[0]).toMatchObject({ txType: 0x46, status: 1, gasUsed: 50_000n, from: stable, to: target, contractAddress: null })
    expect(receipts[0]?.logs).toEqual([{ address: CALLING_LIST, topics: [word(1)], data: Uint8Array.of(1) }])
    expect(roots.triggerGasUsed).toBe(50_000n)
    expect(chain.view.storage(CALLING_LIST, word(5))).toBe(word(77))
    expect(chain.balance(stable)).toBe(FSN)
  })

  test('calls a contract as the stable caller, whose nonce never moves and for whom no account remains', async () => {
    const chain = chainWith(
      async (host) => {
        const result = await host.call({ caller: stable, to: target, data: new Uint8Array(0), valueWei: 0n, gasLimit: 100_000n })
        expect(result).toMatchObject({ success: true, error: null })
        return done(result.gasUsed)
      },
      { predeploys },
    )
    const { receipts } = await chain.advance([[trigger(1)], []])
    expect(receipts[0]?.logs).toEqual([{ address: target, topics: [], data: new Uint8Array(0) }])
    expect(BigInt(chain.view.storage(target, word(0)))).toBe(BigInt(stable))
    expect(chain.view.account(stable)).toBeNull()
  })

  test('sees the parent as it was and its own block before anything in it', async () => {
    const seen: unknown[] = []
    const chain = chainWith(
      async (_, __, context) => {
        const { parent } = context
        seen.push(context.number, context.slot, context.timeMs, context.packageAuthor, context.gasLeft)
        seen.push(parent.header.number, parent.ancestor(0)?.header.number, parent.ancestor(1)?.receipts.length, parent.ancestor(2))
        const read = await parent.call({ to: target, gasLimit: 100_000n, isStatic: true })
        seen.push(read.success, read.error)
        return done(21_000n)
      },
      { predeploys },
    )
    await chain.advance([[], []], 2)
    await chain.advance([[], [trigger(1)]], 5)
    expect(seen).toEqual([
      2,
      5,
      1_700_000_000_500 + 5 * 1500,
      validators[1]?.address,
      2_500_000n,
      1,
      0,
      0,
      null,
      false,
      'static state change',
    ])
  })

  test('that skips leaves nothing behind', async () => {
    const chain = chainWith(
      async (host) => {
        await host.setStorage(CALLING_LIST, word(5), word(77))
        await host.transfer(alice, bob, FSN)
        host.log({ address: CALLING_LIST, topics: [], data: new Uint8Array(0) })
        return { skip: 'NOT_DUE' }
      },
      { params: { emissionRate: 0n } },
    )
    const before = chain.head.header.stateRoot
    const { skipped, receipts, roots } = await chain.advance([[trigger(1)], []])
    expect(skipped.map(({ code }) => code)).toEqual(['NOT_DUE'])
    expect(receipts).toEqual([])
    expect(roots.stateRoot).toBe(before)
  })

  test('that uses more than its budget, or faults, is skipped; a broken invariant is not hidden', async () => {
    const greedy = chainWith((_, __, { gasLeft }) => Promise.resolve(done(gasLeft + 1n)))
    expect((await greedy.advance([[trigger(1)], []])).skipped.map(({ code }) => code)).toEqual(['BLOCK_GAS_EXHAUSTED'])
    const faulty = chainWith(() => Promise.reject(new RangeError('a bug on odd input')))
    expect((await faulty.advance([[trigger(1)], []])).skipped.map(({ code }) => code)).toEqual(['EXECUTION_FAULT'])
    const broken = chainWith(() => Promise.reject(new InvariantError('a node is missing')))
    await expect(broken.execute([[trigger(1)], []])).rejects.toThrow('a node is missing')
  })

  test('stays inside the trigger budget together with those before it', async () => {
    const left: bigint[] = []
    const chain = chainWith((_, __, { gasLeft }) => {
      left.push(gasLeft)
      return Promise.resolve(done(1_000_000n))
    })
    await chain.advance([[trigger(1)], [trigger(2)]])
    expect(left).toEqual([2_500_000n, 1_500_000n])
  })
})

test('triggers come first, oldest first, whichever lane brought them', async () => {
  const order: Hash[] = []
  const chain = chainWith(
    (_, tx) => {
      order.push(tx.entryId)
      return Promise.resolve(done(21_000n))
    },
    { scheduledAtMs: (tx) => (tx.entryId === word(3) ? 5 : 9) },
  )
  const sender = accounts[0] ?? never()
  const user = await chain.sign(sender, { nonce: 0, to: bob })
  const { receipts } = await chain.advance([
    [user, trigger(2)],
    [trigger(1), trigger(3)],
  ])
  expect(order).toEqual([word(3), word(1), word(2)])
  expect(receipts.map(({ txType }) => txType)).toEqual([0x46, 0x46, 0x46, 2])
})

test('what a trigger pays the collector is split like fees, at the trigger base fee', async () => {
  const chain = chainWith(
    async (host, _, { triggerBaseFeeWei }) => {
      await host.transfer(alice, FEE_COLLECTOR, 100_000n * triggerBaseFeeWei + 1000n)
      return done(100_000n)
    },
    { params: { emissionRate: 0n } },
  )
  const reserve = chain.balance(NODE_RESERVE)
  await chain.advance([[], [trigger(1)]])
  expect(chain.balance(NODE_RESERVE) - reserve).toBe(100_000n * chain.params.initialBaseFeeWei)
  expect(chain.balance(validators[1]?.address ?? '0x')).toBe(600n)
  expect(chain.balance(FEE_COLLECTOR)).toBe(0n)
  const everyone = [
    NODE_RESERVE,
    STAKING,
    TEAM_VESTING,
    FOUNDATION,
    ...accounts.map(addressOf),
    ...validators.map(({ address }) => address),
  ]
  expect(everyone.reduce((sum, address) => sum + chain.balance(address), 0n)).toBe(SUPPLY_WEI)
})

describe('attestations', () => {
  const attestation = bytesToHex(
    encodeAttestationTx({
      chainId: 81_920,
      sourceSet: word(1),
      shard: 0,
      round: 1,
      batches: [
        {
          sourceSet: word(1),
          shard: 0,
          round: 1,
          observedAtMs: 1,
          leaves: [{ feed: word(2), value: 1n, confidence: 0n, low: 1n, high: 1n, status: 'OK' }],
          provider: alice,
          signature: `0x${'11'.repeat(65)}`,
        },
      ],
      submitter: alice,
      signature: `0x${'11'.repeat(65)}`,
    }),
  )

  test('run last, with 15 percent of the block that user transactions cannot take', async () => {
    const left: bigint[] = []
    const chain = new ChainFixture({
      params: { blockGasLimit: 1_000_000n },
      natives: {
        ...noNatives,
        attestation: (_, __, { gasLeft }) => {
          left.push(gasLeft)
          return Promise.resolve({ status: 1, gasUsed: 100_000n, effectiveGasPriceWei: 1n, from: alice, to: FEED_REGISTRY })
        },
      },
    })
    const sender = accounts[0] ?? never()
    const large = await chain.sign(sender, { nonce: 0, to: bob, gas: 850_001n })
    const fits = await chain.sign(sender, { nonce: 0, to: bob, gas: 850_000n })
    const { receipts, skipped } = await chain.advance([[attestation, large, fits], []])
    expect(skipped.map(({ code }) => code)).toEqual(['BLOCK_GAS_EXHAUSTED'])
    expect(receipts.map(({ txType }) => txType)).toEqual([2, 0x47])
    expect(left).toEqual([150_000n])
    const alone = await chain.advance([[await chain.sign(sender, { nonce: 1, to: bob, gas: 850_001n })], []])
    expect(alone.receipts).toHaveLength(1)
  })
})
