/** Due times and the missed policies. @module */
import { MISSED_COUNT_MAX, countDue, dueFrom, dueUpTo, planTiming, repeatTiming } from '#shared/trigger/timing.ts'
import type { Missed, Timing } from '#shared/trigger/types.ts'
import { START_MS, contextAt } from '#test/unit/trigger/samples.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const MINUTE = 60_000
const everyMinute: Timing = { kind: 'interval', anchorMs: START_MS, everySec: 60 }
const at: Timing = { kind: 'at', timesMs: [START_MS, START_MS + 5000, START_MS + 9000] }
const minutely: Timing = { kind: 'cron', expr: '* * * * *' }
const tenth: Timing = { kind: 'height', at: 100, every: 10 }
const once: Timing = { kind: 'height', at: 100, every: 0 }

describe('due values', () => {
  it.each<[string, Timing, number, number]>([
    ['at: the same instant', at, START_MS, START_MS],
    ['at: between', at, START_MS + 1, START_MS + 5000],
    ['at: after the last', at, START_MS + 9001, 0],
    ['interval: before its anchor', everyMinute, 5, START_MS],
    ['interval: on a tick', everyMinute, START_MS + MINUTE, START_MS + MINUTE],
    ['interval: after a tick', everyMinute, START_MS + MINUTE + 1, START_MS + 2 * MINUTE],
    ['cron: a fraction of a second later', minutely, START_MS + 1, START_MS + MINUTE],
    ['cron: never', { kind: 'cron', expr: '0 0 30 2 *' }, START_MS, 0],
    ['height: below', tenth, 5, 100],
    ['height: on', tenth, 110, 110],
    ['height: between', tenth, 101, 110],
    ['height: single ahead', once, 100, 100],
    ['height: single past', once, 101, 0],
  ])('first at or after, %s', (_, timing, from, expected) => {
    expect(dueFrom(timing, from)).toBe(expected)
  })

  it.each<[string, Timing, number, number]>([
    ['at', at, START_MS + 8999, START_MS + 5000],
    ['at: before the first', at, START_MS - 1, 0],
    ['interval', everyMinute, START_MS + MINUTE - 1, START_MS],
    ['interval: before its anchor', everyMinute, START_MS - 1, 0],
    ['cron', minutely, START_MS + MINUTE - 1, START_MS],
    ['cron: never', { kind: 'cron', expr: '0 0 30 2 *' }, START_MS, 0],
    ['height', tenth, 119, 110],
    ['height: before the first', tenth, 99, 0],
    ['height: single', once, 500, 100],
    ['height: single ahead', once, 99, 0],
  ])('last at or before, %s', (_, timing, to, expected) => {
    expect(dueUpTo(timing, to)).toBe(expected)
  })

  it.each<[string, Timing, number, number, number]>([
    ['at', at, START_MS, START_MS + 5000, 2],
    ['interval', everyMinute, START_MS, START_MS + 3 * MINUTE, 4],
    ['interval: an empty range', everyMinute, START_MS + 2, START_MS + 1, 0],
    ['cron', minutely, START_MS + 1, START_MS + 3 * MINUTE, 3],
    ['cron: capped', minutely, START_MS, START_MS + 5000 * MINUTE, MISSED_COUNT_MAX],
    ['height', tenth, 95, 125, 3],
    ['height: single', once, 95, 125, 1],
    ['nothing', once, 101, 125, 0],
  ])('counts, %s', (_, timing, from, to, expected) => {
    expect(countDue(timing, from, to)).toBe(expected)
  })
})

/** `blocksLate` blocks after the first block at or past START_MS, slots of 1.5 s. */
const late = (blocksLate: number): ReturnType<typeof contextAt> => contextAt(10 + blocksLate)
const plan = (
  missed: Missed,
  timing: Timing,
  context: ReturnType<typeof contextAt>,
  dueAt = START_MS,
  freshForSec = 0,
): ReturnType<typeof planTiming> => planTiming(timing, missed, freshForSec, dueAt, context)
const skip: Missed = { mode: 'skip' }

describe('missed policy', () => {
  it('has nothing to do before the time, or without one', () => {
    expect(plan(skip, everyMinute, contextAt(9))).toBeNull()
    expect(plan(skip, everyMinute, late(0), 0)).toBeNull()
  })

  it('skip: on time for 16 blocks after the first block at or past the time, dropped in the 17th', () => {
    const next = START_MS + MINUTE
    expect(plan(skip, everyMinute, late(0))).toEqual({ fireAt: START_MS, dropped: 0, nextDueAt: next })
    expect(plan(skip, everyMinute, late(16))).toEqual({ fireAt: START_MS, dropped: 0, nextDueAt: next })
    expect(plan(skip, everyMinute, late(17))).toEqual({ fireAt: 0, dropped: 1, nextDueAt: next })
  })

  it('skip: the first block after a halt of the chain is on time, however long the halt was', () => {
    const afterHalt = contextAt(11, { timeMs: START_MS + 3_600_000, parentTimeMs: START_MS - 1500, onTimeAfterMs: -1 })
    expect(plan(skip, everyMinute, afterHalt)).toEqual({ fireAt: START_MS, dropped: 0, nextDueAt: START_MS + MINUTE })
  })

  it('skip: drops what is late and runs the oldest that is not', () => {
    const hour = contextAt(2410)
    expect(hour.timeMs).toBe(START_MS + 60 * MINUTE)
    expect(plan(skip, everyMinute, hour)).toEqual({ fireAt: START_MS + 60 * MINUTE, dropped: 60, nextDueAt: START_MS + 61 * MINUTE })
  })

  it('latest: runs the newest within its grace and counts the others', () => {
    const context = contextAt(210, { timeMs: START_MS + 5 * MINUTE + 30_000, onTimeAfterMs: START_MS + 5 * MINUTE + 5000 })
    expect(plan({ mode: 'latest', graceSec: 30 }, everyMinute, context)).toEqual({
      fireAt: START_MS + 5 * MINUTE,
      dropped: 5,
      nextDueAt: START_MS + 6 * MINUTE,
    })
    expect(plan({ mode: 'latest', graceSec: 29 }, everyMinute, context)).toEqual({
      fireAt: 0,
      dropped: 6,
      nextDueAt: START_MS + 6 * MINUTE,
    })
  })

  it('latest: what is on time needs no grace', () => {
    expect(plan({ mode: 'latest', graceSec: 0 }, everyMinute, late(16))?.fireAt).toBe(START_MS)
  })

  it('all: runs the newest max in order, each with its own time', () => {
    const context = contextAt(210, { timeMs: START_MS + 5 * MINUTE + 30_000 })
    const all: Missed = { mode: 'all', max: 3, graceSec: 3600 }
    const first = plan(all, everyMinute, context)
    expect(first).toEqual({ fireAt: START_MS + 3 * MINUTE, dropped: 3, nextDueAt: START_MS + 4 * MINUTE })
    expect(plan(all, everyMinute, context, first?.nextDueAt)).toEqual({
      fireAt: START_MS + 4 * MINUTE,
      dropped: 0,
      nextDueAt: START_MS + 5 * MINUTE,
    })
    expect(plan({ mode: 'all', max: 100, graceSec: 100 }, everyMinute, context)).toEqual({
      fireAt: START_MS + 4 * MINUTE,
      dropped: 4,
      nextDueAt: START_MS + 5 * MINUTE,
    })
  })

  it('heights: lateness in blocks, grace in blocks of a slot', () => {
    expect(plan(skip, once, contextAt(116), 100)).toEqual({ fireAt: 100, dropped: 0, nextDueAt: 0 })
    expect(plan(skip, once, contextAt(117), 100)).toEqual({ fireAt: 0, dropped: 1, nextDueAt: 0 })
    expect(plan({ mode: 'latest', graceSec: 30 }, once, contextAt(120), 100)?.fireAt).toBe(100)
    expect(plan({ mode: 'latest', graceSec: 30 }, once, contextAt(121), 100)?.fireAt).toBe(0)
    expect(plan(skip, tenth, contextAt(126), 100)).toEqual({ fireAt: 110, dropped: 1, nextDueAt: 120 })
  })

  it('freshForSec drops sooner than the policy would', () => {
    expect(plan(skip, everyMinute, late(3), START_MS, 4)).toEqual({ fireAt: 0, dropped: 1, nextDueAt: START_MS + MINUTE })
    expect(plan(skip, everyMinute, late(2), START_MS, 4)?.fireAt).toBe(START_MS)
    expect(plan(skip, once, contextAt(103), 100, 3)?.fireAt).toBe(0)
  })

  it('a retry keeps its time whatever the policy says', () => {
    expect(repeatTiming(everyMinute, START_MS, contextAt(5000))).toEqual({ fireAt: START_MS, dropped: 0, nextDueAt: START_MS + MINUTE })
    expect(repeatTiming(everyMinute, START_MS, contextAt(9))).toBeNull()
    expect(repeatTiming(once, 100, contextAt(99))).toBeNull()
  })

  it('accounts for every due value exactly once: fired, or counted as dropped', () => {
    const policy: fc.Arbitrary<Missed> = fc.oneof(
      fc.constant(skip),
      fc.record({ mode: fc.constant('latest' as const), graceSec: fc.nat(300) }),
      fc.record({ mode: fc.constant('all' as const), max: fc.integer({ min: 1, max: 100 }), graceSec: fc.nat(300) }),
    )
    const timing: fc.Arbitrary<Timing> = fc.oneof(
      fc.integer({ min: 1, max: 120 }).map((everySec) => ({ kind: 'interval' as const, anchorMs: START_MS, everySec })),
      fc.constantFrom(minutely, { kind: 'cron' as const, expr: '*/7 * * * * *' }),
      fc.uniqueArray(fc.nat(300_000), { minLength: 1, maxLength: 64 }).map((offsets) => ({
        kind: 'at' as const,
        timesMs: offsets.toSorted((a, b) => a - b).map((offset) => START_MS + offset),
      })),
    )
    fc.assert(
      fc.property(timing, policy, fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 30 }), (when, missed, steps) => {
        const begin = dueFrom(when, START_MS)
        let dueAt = begin
        let height = 10
        let seen = 0
        const fired: number[] = []
        for (const step of steps) {
          height += step
          const context = contextAt(height)
          const decided = planTiming(when, missed, 0, dueAt, context)
          if (decided === null) continue
          seen += decided.dropped
          if (decided.fireAt > 0) fired.push(decided.fireAt)
          dueAt = decided.nextDueAt
        }
        expect(fired).toEqual([...new Set(fired)].toSorted((a, b) => a - b))
        expect(seen + fired.length).toBe(countDue(when, begin, (dueAt === 0 ? Number.MAX_SAFE_INTEGER / 2 : dueAt) - 1))
      }),
      { numRuns: 300 },
    )
  })
})
