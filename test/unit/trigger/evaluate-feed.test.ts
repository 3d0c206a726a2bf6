/** feed.compare: earliest run, hold, gaps, re-arm, staleness, ring. @module */
import { bytesToHex } from '#shared/bytes.ts'
import { evaluate } from '#shared/trigger/evaluate.ts'
import { FEED_SWEEP_REPORTS } from '#shared/trigger/evaluate-feed.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { Entry, Evaluation, FeedReport, TriggerDescription } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import { DAILY, FEED, START_MS, STOP_LOSS, contextAt, entryOf, onEvent } from '#test/unit/trigger/samples.ts'
import { encodeFunctionData, numberToHex, parseAbi } from 'viem'
import { describe, expect, it } from 'vitest'

const word = (value: bigint | number): Hash => numberToHex(value, { size: 32 })
/** One report per round of a second; report n is observed n seconds after registration. */
const report = (sequence: number, value: number, change: Partial<FeedReport> = {}): FeedReport => ({
  sequence: BigInt(sequence),
  value: BigInt(value),
  status: 'OK',
  firstRound: sequence,
  lastRound: sequence,
  observedAtMs: START_MS + sequence * 1000,
  lastObservedAtMs: START_MS + sequence * 1000,
  afterGap: false,
  digest: word(1_000_000 + sequence),
  ...change,
})
const series = (...values: readonly number[]): FeedReport[] => values.map((value, index) => report(index + 1, value))
const feed = (change: Partial<typeof STOP_LOSS> = {}, limits: Partial<TriggerDescription['limits']> = {}): TriggerDescription => ({
  ...onEvent({ ...STOP_LOSS, ...change }),
  limits: { ...DAILY.limits, ...limits },
})
/** A block a second after the last report, unless another time is asked for. */
function judge(reports: readonly FeedReport[], description = feed(), row: Partial<Entry> = {}, timeMs?: number, oldest = 1n): Evaluation {
  const entry = entryOf(description, row)
  const key = { kind: 'feedHistory', feed: FEED, after: entry.cursor } as const
  const after = reports.filter(({ sequence }) => sequence > entry.cursor)
  const context = contextAt(40, { timeMs: timeMs ?? (reports.at(-1)?.lastObservedAtMs ?? START_MS) + 1000 })
  return evaluate(entry, context, new Map([[readKeyId(key), { kind: 'feedHistory', reports: after, oldest }]]))
}

describe('a feed entry', () => {
  it('asks for the reports after its cursor', () => {
    expect(evaluate(entryOf(feed(), { cursor: 7n }), contextAt(20), new Map())).toEqual({
      kind: 'need',
      keys: [{ kind: 'feedHistory', feed: FEED, after: 7n }],
    })
  })

  it('fires on the first report that crosses, not on a later one that suits better', () => {
    expect(judge(series(181_000, 179_900, 150_000))).toEqual({
      kind: 'due',
      due: {
        action: 'fire',
        occurrence: word(1),
        scheduledAtMs: START_MS + 2000,
        missedReason: null,
        next: { dueAt: 0, armed: false, cursor: 2n, edgeCount: 1, missedAdd: 0 },
        callData: Uint8Array.of(0x12, 0x34, 0x56, 0x78),
        digest: word(1_000_002),
      },
    })
  })

  it.each([
    ['lt', 180_000, false],
    ['lt', 179_999, true],
    ['le', 180_000, true],
    ['le', 180_001, false],
    ['gt', 180_000, false],
    ['gt', 180_001, true],
    ['ge', 180_000, true],
    ['ge', 179_999, false],
  ] as const)('%s judges %i as %s', (op, value, expected) => {
    const rearm = op === 'lt' || op === 'le' ? 181_500n : 178_500n
    expect(judge(series(value), feed({ op, rearm })).kind === 'due').toBe(expected)
  })

  it('hands on value, time and digest of the report', () => {
    const description: TriggerDescription = {
      ...feed(),
      action: {
        ...DAILY.action,
        types: ['int192', 'uint64', 'bytes32'],
        args: [{ ref: 'feed.value' }, { ref: 'feed.observedAt' }, { ref: 'report.digest' }],
      },
    }
    const found = judge([report(1, -5)], description)
    expect(found.kind === 'due' ? bytesToHex(found.due.callData) : '').toBe(
      `0x12345678${encodeFunctionData({ functionName: 'f', abi: parseAbi(['function f(int192,uint64,bytes32)']), args: [-5n, BigInt(START_MS + 1000), word(1_000_001)] }).slice(10)}`,
    )
  })

  it('hands on zero for a negative value in an unsigned argument', () => {
    const description: TriggerDescription = { ...feed(), action: { ...DAILY.action, types: ['uint256'], args: [{ ref: 'feed.value' }] } }
    const found = judge([report(1, -5)], description)
    expect(found.kind === 'due' ? bytesToHex(found.due.callData) : '').toBe(`0x12345678${'00'.repeat(32)}`)
  })

  it('needs the re-arm level after a fire, recorded by an occurrence of its own', () => {
    const fired = { armed: false, cursor: 2n, edgeCount: 1, fires: 1 }
    expect(judge(series(181_000, 179_900, 180_500, 179_000), feed(), fired)).toEqual({ kind: 'notDue', reason: 'NOT_ARMED', retryAtMs: 0 })
    expect(judge(series(181_000, 179_900, 181_500, 179_000), feed(), fired)).toMatchObject({
      due: {
        action: 'arm',
        occurrence: word(2n ** 255n + 1n),
        callData: new Uint8Array(0),
        next: { armed: true, cursor: 3n, edgeCount: 1, missedAdd: 0 },
      },
    })
    expect(judge(series(181_000, 179_900, 181_500, 179_000), feed(), { ...fired, armed: true, cursor: 3n })).toMatchObject({
      due: { action: 'fire', occurrence: word(2), next: { cursor: 4n, edgeCount: 2 } },
    })
  })

  it('re-arms from below for gt and ge', () => {
    const above = feed({ op: 'gt', rearm: 178_500n })
    expect(judge(series(178_501), above, { armed: false })).toMatchObject({ reason: 'NOT_ARMED' })
    expect(judge(series(178_500), above, { armed: false })).toMatchObject({ due: { action: 'arm' } })
  })

  it('is not re-armed by a report without a settled value', () => {
    expect(judge([report(1, 190_000, { status: 'WIDE' })], feed(), { armed: false })).toMatchObject({ reason: 'NOT_ARMED' })
  })

  it('holds for reports, counted in rounds and not in stored values', () => {
    const hold = feed({ holdReports: 3 })
    expect(judge(series(179_000, 179_100), hold)).toEqual({ kind: 'notDue', reason: 'HOLDING', retryAtMs: 0 })
    expect(judge(series(179_000, 179_100, 179_200), hold)).toMatchObject({ due: { next: { cursor: 3n } } })
    expect(judge([report(1, 179_000, { lastRound: 3 })], hold)).toMatchObject({ due: { next: { cursor: 1n } } })
    expect(judge([report(1, 179_000, { lastRound: 2 })], hold)).toMatchObject({ reason: 'HOLDING' })
    expect(judge(series(179_000, 179_100, 180_000, 179_000, 179_000), hold)).toMatchObject({ reason: 'HOLDING' })
  })

  it('holds for seconds, by observed times', () => {
    const hold = feed({ holdSec: 3 })
    expect(judge(series(179_000, 179_100, 179_200), hold)).toMatchObject({ reason: 'HOLDING' })
    expect(judge(series(179_000, 179_100, 179_200, 179_300), hold)).toMatchObject({
      due: { scheduledAtMs: START_MS + 4000, next: { cursor: 4n } },
    })
    const steady = [report(1, 179_000, { lastRound: 5, lastObservedAtMs: START_MS + 5000 })]
    expect(judge(steady, hold)).toMatchObject({ due: { scheduledAtMs: START_MS + 4000 } })
  })

  it('begins a new hold after a gap in the rounds', () => {
    const gap = [report(1, 179_000), report(2, 179_000, { afterGap: true }), report(3, 179_000)]
    expect(judge(gap, feed({ holdReports: 3 }))).toMatchObject({ reason: 'HOLDING' })
    expect(judge([...gap, report(4, 179_000)], feed({ holdReports: 3 }))).toMatchObject({ due: { next: { cursor: 4n } } })
  })

  it.each(['WIDE', 'HALTED', 'CLOSED'] as const)('concludes nothing from %s, which also breaks a hold', (status) => {
    expect(judge([report(1, 179_000, { status })])).toEqual({ kind: 'unknown', reason: 'SOURCE' })
    expect(judge([report(1, 179_000), report(2, 179_000, { status }), report(3, 179_000)], feed({ holdReports: 2 }))).toMatchObject({
      reason: 'HOLDING',
    })
  })

  it('concludes nothing from a stale feed', () => {
    expect(judge(series(179_000), feed(), {}, START_MS + 61_000)).toMatchObject({ kind: 'due' })
    expect(judge(series(179_000), feed(), {}, START_MS + 61_001)).toEqual({ kind: 'unknown', reason: 'STALE' })
  })

  it('concludes nothing from a feed without reports', () => {
    expect(judge([], feed(), {}, START_MS, 0n)).toEqual({ kind: 'unknown', reason: 'NO_REPORT' })
  })

  it('waits when nothing new came', () => {
    expect(judge(series(181_000), feed(), { cursor: 1n })).toMatchObject({ reason: 'CONDITION_FALSE' })
    expect(judge(series(181_000), feed(), { cursor: 1n, armed: false })).toMatchObject({ reason: 'NOT_ARMED' })
  })

  it('ignores reports last confirmed before registration', () => {
    const old = report(1, 170_000, { observedAtMs: START_MS - 9000, lastObservedAtMs: START_MS - 1 })
    expect(judge([old, report(2, 181_000)])).toMatchObject({ reason: 'CONDITION_FALSE' })
    expect(judge([{ ...old, lastObservedAtMs: START_MS }])).toMatchObject({ kind: 'due' })
    const before = { ...old, value: 190_000n }
    expect(judge([before, report(2, 179_000)], feed(), { armed: false })).toMatchObject({ reason: 'NOT_ARMED' })
  })

  it('misses a crossing older than freshForSec and stands as if it had fired', () => {
    const fresh = feed({}, { freshForSec: 5 })
    expect(judge(series(179_000), fresh, {}, START_MS + 6000)).toMatchObject({ due: { action: 'fire' } })
    expect(judge(series(179_000), fresh, {}, START_MS + 6001)).toMatchObject({
      due: {
        action: 'miss',
        occurrence: word(1),
        missedReason: 'MISSED_STALE_EVENT',
        next: { armed: false, cursor: 1n, edgeCount: 1, missedAdd: 1 },
      },
    })
    expect(judge(series(179_000), fresh, { attempt: 1 }, START_MS + 6001)).toMatchObject({ due: { action: 'fire' } })
  })

  it('moves its cursor over a long stretch without a crossing, and over no run that is still going on', () => {
    const quiet = (length: number): FeedReport[] => series(...Array.from({ length }, () => 181_000))
    expect(judge(quiet(FEED_SWEEP_REPORTS - 1))).toMatchObject({ reason: 'CONDITION_FALSE' })
    expect(judge(quiet(FEED_SWEEP_REPORTS))).toMatchObject({
      due: {
        action: 'miss',
        occurrence: word(2n ** 254n + 512n),
        missedReason: null,
        next: { cursor: 512n, missedAdd: 0, armed: true, edgeCount: 0 },
      },
    })
    const running = [...quiet(FEED_SWEEP_REPORTS + 8), report(521, 179_000), report(522, 179_000)]
    expect(judge(running, feed({ holdReports: 5 }))).toMatchObject({ due: { action: 'miss', next: { cursor: 520n } } })
    expect(judge(running, feed({ holdReports: 5 }), { cursor: 520n })).toMatchObject({ reason: 'HOLDING' })
    const disarmed = series(...Array.from({ length: FEED_SWEEP_REPORTS }, () => 180_500))
    expect(judge(disarmed, feed(), { armed: false })).toMatchObject({ due: { action: 'miss', next: { cursor: 512n, armed: false } } })
  })

  it('counts reports that left the history unseen as missed', () => {
    const row = { cursor: 5n }
    expect(judge([report(9, 179_000)], feed(), row, undefined, 9n)).toMatchObject({
      due: {
        action: 'miss',
        occurrence: word(2n ** 254n + 8n),
        missedReason: 'MISSED_REPORTS_PRUNED',
        next: { cursor: 8n, missedAdd: 1, armed: true },
      },
    })
    expect(judge([report(6, 181_000)], feed(), row, undefined, 6n)).toMatchObject({ reason: 'CONDITION_FALSE' })
    expect(judge([report(9, 179_000)], feed(), {}, undefined, 9n)).toMatchObject({ due: { action: 'fire' } })
  })
})
