/** The evaluator without conditions of feeds: gates, active, timing, log, view, deposit. @module */
import { bigintToBytes, bytesToHex, concatBytes } from '#shared/bytes.ts'
import { evaluate } from '#shared/trigger/evaluate.ts'
import { depositOccurrence } from '#shared/trigger/evaluate-deposit.ts'
import { fireReserveWei, rowReserveWei } from '#shared/trigger/gas.ts'
import { fireKey } from '#shared/trigger/ids.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { DepositFact, Entry, Evaluation, ReadKey, ReadValue, TriggerDescription } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import {
  DAILY,
  DEPOSIT,
  FEED,
  OWNER,
  PROBE,
  START_MS,
  TARGET,
  ZERO_HASH,
  contextAt,
  entryOf,
  onEvent,
  onTiming,
  withMode,
} from '#test/unit/trigger/samples.ts'
import { encodeFunctionData, encodePacked, keccak256, numberToHex, parseAbi } from 'viem'
import { describe, expect, it } from 'vitest'

const NO_READS = new Map<string, ReadValue>()
const word = (value: bigint | number): Hash => numberToHex(value, { size: 32 })
const answer = (key: ReadKey, value: ReadValue): Map<string, ReadValue> => new Map([[readKeyId(key), value]])
const EVERY_MINUTE = onTiming({ kind: 'interval', anchorMs: START_MS, everySec: 60 })
const minuteRow = (change: Partial<Entry> = {}, description = EVERY_MINUTE): Entry =>
  entryOf(description, { dueAt: START_MS + 60_000, ...change })
/** Block 50 of the samples' chain is at START_MS + 60 s. */
const AT_DUE = contextAt(50)

describe('a timing entry', () => {
  it('is not due before its time, and says when it will be', () => {
    expect(evaluate(minuteRow(), contextAt(49), NO_READS)).toEqual({ kind: 'notDue', reason: 'NOT_DUE', retryAtMs: START_MS + 60_000 })
  })

  it('is due in the first block at its time, with the whole consequence', () => {
    expect(evaluate(minuteRow(), AT_DUE, NO_READS)).toEqual({
      kind: 'due',
      due: {
        action: 'fire',
        occurrence: word(START_MS + 60_000),
        scheduledAtMs: START_MS + 60_000,
        missedReason: null,
        next: { dueAt: START_MS + 120_000, armed: true, cursor: 0n, edgeCount: 0, missedAdd: 0 },
        callData: Uint8Array.of(0x12, 0x34, 0x56, 0x78),
        digest: ZERO_HASH,
      },
    })
  })

  it('puts time, key and number of the fire into the call', () => {
    const description: TriggerDescription = {
      ...EVERY_MINUTE,
      action: {
        ...EVERY_MINUTE.action,
        types: ['uint64', 'bytes32', 'uint32'],
        args: [{ ref: 'fire.scheduledAt' }, { ref: 'fire.key' }, { ref: 'fire.seq' }],
      },
    }
    const row = minuteRow({ fires: 6 }, description)
    const found = evaluate(row, AT_DUE, NO_READS)
    const key = keccak256(encodePacked(['bytes32', 'uint32', 'bytes32'], [row.id, 1, word(START_MS + 60_000)]))
    expect(fireKey(row.id, 1, word(START_MS + 60_000))).toBe(key)
    expect(found.kind === 'due' ? bytesToHex(found.due.callData) : '').toBe(
      `0x12345678${encodeFunctionData({ functionName: 'f', abi: parseAbi(['function f(uint64,bytes32,uint32)']), args: [BigInt(START_MS + 60_000), key, 7] }).slice(10)}`,
    )
  })

  it('carries the original time and counts what was dropped before it', () => {
    expect(evaluate(minuteRow(), contextAt(90), NO_READS)).toMatchObject({
      due: {
        action: 'fire',
        occurrence: word(START_MS + 120_000),
        missedReason: 'MISSED_LATE',
        next: { missedAdd: 1, dueAt: START_MS + 180_000 },
      },
    })
  })

  it('becomes a miss that calls nothing when all of it is late', () => {
    expect(evaluate(minuteRow(), contextAt(70), NO_READS)).toMatchObject({
      due: {
        action: 'miss',
        occurrence: word(START_MS + 60_000),
        missedReason: 'MISSED_LATE',
        next: { missedAdd: 1, dueAt: START_MS + 120_000 },
        callData: new Uint8Array(0),
      },
    })
  })

  it('has no next time at or past its expiry', () => {
    const description = { ...EVERY_MINUTE, limits: { ...EVERY_MINUTE.limits, expiresAtMs: START_MS + 120_000 } }
    expect(evaluate(minuteRow({}, description), AT_DUE, NO_READS)).toMatchObject({ due: { next: { dueAt: 0 } } })
    expect(evaluate(minuteRow({ dueAt: 0 }, description), AT_DUE, NO_READS)).toMatchObject({ reason: 'EXHAUSTED' })
  })

  it('repeats its own occurrence in a retry, however late', () => {
    const row = minuteRow({ attempt: 1, backoffUntilMs: START_MS })
    expect(evaluate(row, contextAt(500), NO_READS)).toMatchObject({
      due: { action: 'fire', occurrence: word(START_MS + 60_000), next: { missedAdd: 0 } },
    })
  })

  it('by height is due at the height and named by it', () => {
    const row = entryOf(onTiming({ kind: 'height', at: 100, every: 10 }), { dueAt: 100 })
    expect(evaluate(row, contextAt(99), NO_READS)).toEqual({ kind: 'notDue', reason: 'NOT_DUE', retryAtMs: contextAt(100).timeMs })
    expect(evaluate(row, contextAt(103), NO_READS)).toMatchObject({
      due: { occurrence: word(100), scheduledAtMs: contextAt(100).timeMs, next: { dueAt: 110 } },
    })
  })
})

describe('gates, whatever the condition', () => {
  const rule = (limits: Partial<TriggerDescription['limits']>): TriggerDescription => ({
    ...EVERY_MINUTE,
    limits: { ...EVERY_MINUTE.limits, ...limits },
  })
  const reserve = fireReserveWei(minuteRow(), AT_DUE.triggerBaseFeeWei)

  it.each<[string, Entry, Evaluation]>([
    ['paused', minuteRow({ status: 'PAUSED' }), { kind: 'notDue', reason: 'PAUSED', retryAtMs: 0 }],
    ['exhausted', minuteRow({ status: 'EXHAUSTED' }), { kind: 'notDue', reason: 'EXHAUSTED', retryAtMs: 0 }],
    ['expired by status', minuteRow({ status: 'EXPIRED' }), { kind: 'notDue', reason: 'EXPIRED', retryAtMs: 0 }],
    ['cancelled', minuteRow({ status: 'CANCELLED' }), { kind: 'notDue', reason: 'CANCELLED', retryAtMs: 0 }],
    ['expired by time', minuteRow({}, rule({ expiresAtMs: AT_DUE.timeMs })), { kind: 'notDue', reason: 'EXPIRED', retryAtMs: 0 }],
    ['out of fires', minuteRow({ fires: 1000 }), { kind: 'notDue', reason: 'EXHAUSTED', retryAtMs: 0 }],
    [
      'not begun',
      minuteRow({}, rule({ notBeforeMs: AT_DUE.timeMs + 1 })),
      { kind: 'notDue', reason: 'NOT_BEFORE', retryAtMs: AT_DUE.timeMs + 1 },
    ],
    [
      'resting',
      minuteRow({ fires: 1, lastFireMs: AT_DUE.timeMs - 999 }, rule({ cooldownSec: 1 })),
      { kind: 'notDue', reason: 'COOLDOWN', retryAtMs: AT_DUE.timeMs + 1 },
    ],
    [
      'backing off',
      minuteRow({ attempt: 1, backoffUntilMs: AT_DUE.timeMs + 1 }),
      { kind: 'notDue', reason: 'BACKOFF', retryAtMs: AT_DUE.timeMs + 1 },
    ],
    [
      'priced out',
      minuteRow({}, rule({ maxFeePerGasWei: AT_DUE.triggerBaseFeeWei - 1n })),
      { kind: 'notDue', reason: 'FEE_TOO_LOW', retryAtMs: 0 },
    ],
    ['one wei short', minuteRow({ fundingWei: reserve - 1n }), { kind: 'notDue', reason: 'FUNDS', retryAtMs: 0 }],
  ])('%s', (_, row, expected) => {
    expect(evaluate(row, AT_DUE, NO_READS)).toEqual(expected)
  })

  it.each<[string, Entry]>([
    ['one millisecond before the expiry', minuteRow({}, rule({ expiresAtMs: AT_DUE.timeMs + 1 }))],
    ['with one fire left', minuteRow({ fires: 999 })],
    ['at its beginning', minuteRow({}, rule({ notBeforeMs: AT_DUE.timeMs }))],
    ['when the cooldown ends', minuteRow({ fires: 1, lastFireMs: AT_DUE.timeMs - 1000 }, rule({ cooldownSec: 1 }))],
    ['when the backoff ends', minuteRow({ attempt: 1, backoffUntilMs: AT_DUE.timeMs })],
    ['at its highest fee', minuteRow({}, rule({ maxFeePerGasWei: AT_DUE.triggerBaseFeeWei }))],
    ['with exactly the reserve', minuteRow({ fundingWei: reserve })],
  ])('fires %s', (_, row) => {
    expect(evaluate(row, AT_DUE, NO_READS)).toMatchObject({ kind: 'due', due: { action: 'fire' } })
  })

  it('takes gas, value and tip into the reserve, and the attestation fee where one is owed', () => {
    const paid = {
      ...EVERY_MINUTE,
      action: { ...EVERY_MINUTE.action, valueWei: 7n },
      funding: { ...EVERY_MINUTE.funding, attestationFeeWei: 5n },
    }
    // 21,000 + 5,000 + 100,000 gas at 2 wei.
    expect(fireReserveWei(entryOf(paid), 2n)).toBe(252_000n + 7n + 10n ** 12n)
    expect(fireReserveWei(entryOf({ ...onEvent(DEPOSIT), funding: paid.funding }), 2n)).toBe(
      2n * (21_000n + 60_000n + 32_768n + 100_000n) + 10n ** 12n + 5n,
    )
    expect(rowReserveWei(entryOf(paid), 2n)).toBe(52_000n)
  })

  it('moves a row for its own small price, without waiting for the cooldown', () => {
    const row = minuteRow(
      { fires: 1, lastFireMs: contextAt(70).timeMs, fundingWei: rowReserveWei(minuteRow(), 10n ** 9n) },
      rule({ cooldownSec: 9 }),
    )
    expect(evaluate(row, contextAt(70), NO_READS)).toMatchObject({ due: { action: 'miss' } })
    expect(evaluate({ ...row, fundingWei: row.fundingWei - 1n }, contextAt(70), NO_READS)).toMatchObject({ reason: 'FUNDS' })
  })
})

describe('an active entry', () => {
  const active = withMode({ type: 'active' })

  it('fires once for every activation, in order', () => {
    expect(evaluate(entryOf(active), contextAt(20), NO_READS)).toEqual({ kind: 'notDue', reason: 'CONDITION_FALSE', retryAtMs: 0 })
    expect(evaluate(entryOf(active, { edgeCount: 3, cursor: 1n }), contextAt(20), NO_READS)).toMatchObject({
      due: { action: 'fire', occurrence: word(2), next: { cursor: 2n, edgeCount: 3 } },
    })
    expect(evaluate(entryOf(active, { edgeCount: 3, cursor: 3n }), contextAt(20), NO_READS)).toMatchObject({ kind: 'notDue' })
  })
})

describe('a view entry', () => {
  const key: ReadKey = { kind: 'call', from: entryOf(onEvent(PROBE)).caller, to: TARGET, data: PROBE.data, gasLimit: 50_000 }
  const returns = (returnData: Uint8Array, success = true): Map<string, ReadValue> =>
    answer(key, { kind: 'call', success, returnData, gasUsed: 1n })
  const yes = returns(bigintToBytes(1n, 32))
  const no = returns(bigintToBytes(0n, 32))
  const level: TriggerDescription = { ...onEvent({ ...PROBE, edge: 'level' }), limits: { ...DAILY.limits, cooldownSec: 6 } }

  it('asks for the call from the stable caller', () => {
    expect(evaluate(entryOf(onEvent(PROBE)), contextAt(20), NO_READS)).toEqual({ kind: 'need', keys: [key] })
  })

  it('fires on true, then waits for a false to be recorded', () => {
    expect(evaluate(entryOf(onEvent(PROBE)), contextAt(20), yes)).toMatchObject({
      due: { action: 'fire', occurrence: word(1), next: { armed: false, cursor: 20n, edgeCount: 1 } },
    })
    const fired = entryOf(onEvent(PROBE), { armed: false, edgeCount: 1, fires: 1 })
    expect(evaluate(fired, contextAt(21), yes)).toMatchObject({ reason: 'NOT_ARMED' })
    expect(evaluate(fired, contextAt(21), no)).toMatchObject({
      due: { action: 'arm', occurrence: word(2n ** 255n + 1n), callData: new Uint8Array(0), next: { armed: true, edgeCount: 1 } },
    })
    expect(evaluate({ ...fired, armed: true }, contextAt(22), yes)).toMatchObject({ due: { action: 'fire', occurrence: word(2) } })
    expect(evaluate({ ...fired, armed: true }, contextAt(22), no)).toMatchObject({ reason: 'CONDITION_FALSE' })
  })

  it('fires again and again on a level, at the pace of its cooldown, without calling in between', () => {
    const fired = entryOf(level, { edgeCount: 1, fires: 1, lastFireMs: contextAt(20).timeMs })
    expect(evaluate(entryOf(level), contextAt(20), yes)).toMatchObject({ due: { next: { armed: true, edgeCount: 1 } } })
    expect(evaluate(fired, contextAt(23), NO_READS)).toMatchObject({ reason: 'COOLDOWN' })
    expect(evaluate(fired, contextAt(24), yes)).toMatchObject({ due: { action: 'fire', occurrence: word(2) } })
  })

  it('is called every so many blocks after registration', () => {
    const row = entryOf(onEvent({ ...PROBE, everyBlocks: 4 }))
    expect(evaluate(row, contextAt(21), yes)).toEqual({ kind: 'notDue', reason: 'NOT_DUE', retryAtMs: contextAt(22).timeMs })
    expect(evaluate(row, contextAt(22), yes)).toMatchObject({ kind: 'due' })
  })

  it.each([
    ['reverts', returns(new Uint8Array(32), false)],
    ['returns nothing', returns(new Uint8Array(0))],
    ['returns another number', returns(bigintToBytes(2n, 32))],
    ['returns two words', returns(concatBytes(bigintToBytes(1n, 32), bigintToBytes(1n, 32)))],
  ])('is unknown when it %s', (_, reads) => {
    expect(evaluate(entryOf(onEvent(PROBE)), contextAt(20), reads)).toEqual({ kind: 'unknown', reason: 'VIEW_REVERTED' })
    expect(evaluate(entryOf(onEvent(PROBE), { armed: false }), contextAt(20), reads)).toEqual({ kind: 'unknown', reason: 'VIEW_REVERTED' })
  })
})

describe('a deposit entry', () => {
  const fact: DepositFact = {
    chain: 31_337n,
    txid: `0x${'d1'.repeat(32)}`,
    from: OWNER,
    to: TARGET,
    amountWei: 10n ** 18n,
    height: 77,
    blockHash: ZERO_HASH,
    confirmations: 3,
  }
  const judge = (
    deposits: readonly DepositFact[],
    fired: (occurrence: Hash) => boolean = () => false,
    description = onEvent(DEPOSIT),
  ): Evaluation => evaluate(entryOf(description), contextAt(20), NO_READS, { deposits, fired })
  const occurrence = keccak256(encodePacked(['uint256', 'bytes32', 'uint64'], [31_337n, fact.txid, 0n]))

  it('waits for evidence', () => {
    expect(evaluate(entryOf(onEvent(DEPOSIT)), contextAt(20), NO_READS)).toEqual({
      kind: 'notDue',
      reason: 'AWAITING_EVIDENCE',
      retryAtMs: 0,
    })
  })

  it('fires on a matching payment, named by chain and transaction', () => {
    const description: TriggerDescription = {
      ...onEvent(DEPOSIT),
      action: {
        ...DAILY.action,
        types: ['address', 'uint256', 'bytes32'],
        args: [{ ref: 'deposit.from' }, { ref: 'deposit.amount' }, { ref: 'deposit.txid' }],
      },
    }
    const found = judge([fact], undefined, description)
    expect(depositOccurrence(fact.chain, fact.txid)).toBe(occurrence)
    expect(found).toMatchObject({ due: { action: 'fire', occurrence, next: { edgeCount: 1 } } })
    expect(found.kind === 'due' ? bytesToHex(found.due.callData) : '').toBe(
      `0x12345678${encodeFunctionData({ functionName: 'f', abi: parseAbi(['function f(address,uint256,bytes32)']), args: [OWNER, 10n ** 18n, fact.txid] }).slice(10)}`,
    )
  })

  it.each<[string, Partial<DepositFact>]>([
    ['another chain', { chain: 1n }],
    ['another receiver', { to: OWNER }],
    ['one wei less', { amountWei: 10n ** 18n - 1n }],
    ['one confirmation less', { confirmations: 2 }],
  ])('does not fire on %s', (_, change) => {
    expect(judge([{ ...fact, ...change }])).toMatchObject({ reason: 'AWAITING_EVIDENCE' })
  })

  it('fires on no payment twice', () => {
    expect(judge([fact], (id) => id === occurrence)).toMatchObject({ reason: 'ALREADY_FIRED' })
    const other = { ...fact, txid: FEED }
    expect(judge([fact, other], (id) => id === occurrence)).toMatchObject({ due: { occurrence: depositOccurrence(fact.chain, FEED) } })
  })
})
