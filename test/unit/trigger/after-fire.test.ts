/** The row after a fire, and exactly-once over whole histories. @module */
import { afterFire } from '#shared/trigger/after-fire.ts'
import { evaluate } from '#shared/trigger/evaluate.ts'
import { logPosition } from '#shared/trigger/evaluate-log.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import { countDue } from '#shared/trigger/timing.ts'
import type { Due, Entry, EvaluationContext, FeedReport, ReadValue, TriggerDescription } from '#shared/trigger/types.ts'
import {
  ANY_LOG,
  DAILY,
  START_MS,
  STOP_LOSS,
  TARGET,
  ZERO_HASH,
  contextAt,
  entryOf,
  onEvent,
  onTiming,
} from '#test/unit/trigger/samples.ts'
import fc from 'fast-check'
import { numberToHex } from 'viem'
import { describe, expect, it } from 'vitest'

const MINUTE = 60_000
const NOW = contextAt(50).timeMs
const EVERY_MINUTE = onTiming({ kind: 'interval', anchorMs: START_MS, everySec: 60 })
const DUE: Due = {
  action: 'fire',
  occurrence: numberToHex(START_MS + MINUTE, { size: 32 }),
  scheduledAtMs: START_MS + MINUTE,
  missedReason: null,
  next: { dueAt: START_MS + 2 * MINUTE, armed: false, cursor: 4n, edgeCount: 1, missedAdd: 2 },
  callData: new Uint8Array(4),
  digest: ZERO_HASH,
}
const row = (change: Partial<Entry> = {}, description: TriggerDescription = EVERY_MINUTE): Entry =>
  entryOf(description, { dueAt: START_MS, ...change })
const rule = (
  change: Partial<TriggerDescription['limits']>,
  onRevert: Partial<TriggerDescription['onRevert']> = {},
): TriggerDescription => ({
  ...EVERY_MINUTE,
  limits: { ...EVERY_MINUTE.limits, ...change },
  onRevert: { ...EVERY_MINUTE.onRevert, ...onRevert },
})
const MOVED = { dueAt: START_MS + 2 * MINUTE, armed: false, cursor: 4n, edgeCount: 1, missed: 2 }

describe('the row after an occurrence', () => {
  it('is consumed by a call that succeeds', () => {
    expect(afterFire(row({ attempt: 1, backoffUntilMs: 5 }), DUE, true, NOW)).toEqual(row({ ...MOVED, fires: 1, lastFireMs: NOW }))
  })

  it('keeps the occurrence after a revert, with a backoff that doubles', () => {
    const first = afterFire(row(), DUE, false, NOW)
    expect(first).toEqual(row({ attempt: 1, backoffUntilMs: NOW + 10_000, dueAt: START_MS + MINUTE, missed: 2 }))
    expect(afterFire(first, { ...DUE, next: { ...DUE.next, missedAdd: 0 } }, false, NOW)).toEqual({
      ...first,
      attempt: 2,
      backoffUntilMs: NOW + 20_000,
    })
  })

  it('keeps dueAt as it is for an event', () => {
    expect(afterFire(row({ dueAt: 0 }, onEvent(ANY_LOG)), { ...DUE, next: { ...DUE.next, missedAdd: 0 } }, false, NOW)).toEqual(
      row({ dueAt: 0, attempt: 1, backoffUntilMs: NOW + 10_000 }, onEvent(ANY_LOG)),
    )
  })

  it('is consumed and paused when the retries are used up', () => {
    expect(afterFire(row({ attempt: 2 }), DUE, false, NOW)).toEqual(row({ ...MOVED, fires: 1, lastFireMs: NOW, status: 'PAUSED' }))
  })

  it('is consumed and goes on when its owner does not want a pause', () => {
    const description = rule({}, { thenPause: false })
    expect(afterFire(row({ attempt: 2 }, description), DUE, false, NOW)).toEqual(row({ ...MOVED, fires: 1, lastFireMs: NOW }, description))
  })

  it('is exhausted by its last fire, also by one that failed', () => {
    const description = rule({ maxFires: 1 })
    expect(afterFire(row({}, description), DUE, true, NOW).status).toBe('EXHAUSTED')
    expect(afterFire(row({ attempt: 2 }, description), DUE, false, NOW).status).toBe('EXHAUSTED')
    expect(afterFire(row({}, rule({ maxFires: 2 })), DUE, true, NOW).status).toBe('ACTIVE')
  })

  it('is exhausted when no time is left, by a fire as by a miss', () => {
    const last: Due = { ...DUE, next: { ...DUE.next, dueAt: 0 } }
    expect(afterFire(row(), last, true, NOW).status).toBe('EXHAUSTED')
    expect(afterFire(row(), { ...last, action: 'miss' }, true, NOW).status).toBe('EXHAUSTED')
    expect(afterFire(row({ dueAt: 0 }, onEvent(ANY_LOG)), last, true, NOW).status).toBe('ACTIVE')
  })

  it('only moves on a miss or an arm', () => {
    expect(afterFire(row({ attempt: 1, backoffUntilMs: 5 }), { ...DUE, action: 'miss' }, true, NOW)).toEqual(row(MOVED))
    expect(afterFire(row({ lastFireMs: 3 }), { ...DUE, action: 'arm' }, true, NOW)).toEqual(row({ ...MOVED, lastFireMs: 3 }))
  })
})

type Block = Readonly<{ step: number; isOmitted: boolean; hasSucceeded: boolean }>
const blocks: fc.Arbitrary<readonly Block[]> = fc.array(
  fc.record({ step: fc.constantFrom(1, 1, 1, 1, 2, 5, 30), isOmitted: fc.boolean(), hasSucceeded: fc.boolean() }),
  { maxLength: 120 },
)
type Fired = Readonly<{ due: Due; attempt: number; hasSucceeded: boolean }>

/** Runs a row over blocks in which authors omit, calls revert, and every transaction is offered a second time. */
function live(
  start: Entry,
  history: readonly Block[],
  readsAt: (entry: Entry, context: EvaluationContext) => Map<string, ReadValue>,
): { entry: Entry; log: Fired[] } {
  let entry = start
  let height = 10
  const log: Fired[] = []
  const consumed = new Set<string>()
  for (const { step, isOmitted, hasSucceeded } of history) {
    height += step
    const context = contextAt(height)
    const found = evaluate(entry, context, readsAt(entry, context))
    if (found.kind !== 'due' || isOmitted) continue
    const key = `${found.due.occurrence}:${entry.attempt}`
    if (consumed.has(key)) throw new Error(`the same occurrence and attempt twice: ${key}`)
    consumed.add(key)
    log.push({ due: found.due, attempt: entry.attempt, hasSucceeded })
    entry = afterFire(entry, found.due, hasSucceeded, context.timeMs)
  }
  return { entry, log }
}
const effects = (log: readonly Fired[]): string[] =>
  log.filter(({ due, hasSucceeded }) => due.action === 'fire' && hasSucceeded).map(({ due }) => due.occurrence)
const noReads = (): Map<string, ReadValue> => new Map()
const unpaced: TriggerDescription = { ...DAILY, onRevert: { retries: 2, backoffSec: 2, thenPause: false } }

describe('exactly once, under omission, reverts and repetition', () => {
  it('holds for times: each is fired once, or counted as missed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 20 }), blocks, (everySec, history) => {
        const when = { kind: 'interval', anchorMs: START_MS + 1, everySec } as const
        const { entry, log } = live(
          entryOf({ ...unpaced, mode: { type: 'timing', when, missed: { mode: 'skip' } } }, { dueAt: START_MS + 1 }),
          history,
          noReads,
        )
        const done = effects(log)
        expect(new Set(done).size).toBe(done.length)
        expect(entry.fires + entry.missed).toBe(countDue(when, START_MS + 1, entry.dueAt - 1))
      }),
      { numRuns: 300 },
    )
  })

  it('holds for logs: each is fired once in order, missed, or still ahead', () => {
    const places = fc.uniqueArray(fc.tuple(fc.integer({ min: 11, max: 120 }), fc.nat(2)), {
      maxLength: 40,
      selector: ([h, i]) => h * 10 + i,
    })
    fc.assert(
      fc.property(places, blocks, (where, history) => {
        const logs = where
          .map(([height, index]) => ({
            position: logPosition(height, index),
            log: { address: TARGET, topics: [], data: new Uint8Array(0) },
            timeMs: contextAt(height).timeMs,
          }))
          .toSorted((a, b) => (a.position < b.position ? -1 : 1))
        const born = logPosition(11, 0) - 1n
        const { entry, log } = live(entryOf({ ...unpaced, mode: { type: 'event', when: ANY_LOG } }), history, (row, context) => {
          const key = {
            kind: 'logs',
            afterPosition: row.cursor > born ? row.cursor : born,
            addresses: ANY_LOG.addresses,
            topics: [],
          } as const
          const visible = logs.filter(({ position }) => position < logPosition(context.height, 0))
          return new Map([[readKeyId(key), { kind: 'logs', logs: visible, oldestHeight: 0 }]])
        })
        const done = effects(log)
        expect(done).toEqual([...new Set(done)].toSorted((a, b) => (a < b ? -1 : 1)))
        const behind = logs.filter(({ position }) => position <= entry.cursor).length
        expect(entry.fires + entry.missed).toBe(behind)
      }),
      { numRuns: 300 },
    )
  })

  it('holds for feeds: one fire per crossing after a re-arm, whatever the blocks', () => {
    const values = fc.array(fc.constantFrom(179_000, 179_900, 180_500, 181_600), { maxLength: 60 })
    fc.assert(
      fc.property(values, blocks, (series, history) => {
        const reports: FeedReport[] = series.map((value, index) => ({
          sequence: BigInt(index + 1),
          value: BigInt(value),
          status: 'OK',
          firstRound: index,
          lastRound: index,
          observedAtMs: contextAt(11 + index).timeMs,
          lastObservedAtMs: contextAt(11 + index).timeMs,
          afterGap: false,
          digest: numberToHex(index, { size: 32 }),
        }))
        const description: TriggerDescription = { ...unpaced, mode: { type: 'event', when: { ...STOP_LOSS, maxAgeSec: 1_000_000 } } }
        const { entry, log } = live(entryOf(description), history, (row, context) => {
          const key = { kind: 'feedHistory', feed: STOP_LOSS.feed, after: row.cursor } as const
          const visible = reports.filter(({ sequence, observedAtMs }) => sequence > row.cursor && observedAtMs < context.timeMs)
          return new Map([[readKeyId(key), { kind: 'feedHistory', reports: visible, oldest: reports.length === 0 ? 0n : 1n }]])
        })
        // The crossings a reader of the whole series finds up to the row's cursor.
        let isArmed = true
        const crossings: bigint[] = []
        for (const { value, sequence } of reports) {
          if (isArmed && value < 180_000n) crossings.push(sequence)
          if (isArmed ? value < 180_000n : value >= 181_500n) isArmed = !isArmed
        }
        const fired = [...new Set(log.filter(({ due }) => due.action === 'fire').map(({ due }) => due.next.cursor))]
        expect(fired).toEqual(crossings.slice(0, fired.length))
        expect(crossings.filter((sequence) => sequence <= entry.cursor)).toEqual(fired.slice(0, entry.fires))
        expect(entry.edgeCount).toBe(entry.fires)
        expect(new Set(effects(log)).size).toBe(effects(log).length)
      }),
      { numRuns: 300 },
    )
  })
})
