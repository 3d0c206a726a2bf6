/**
 * When a timing trigger is due, and what becomes of fires that nothing could run in time. Values of `at`, `interval` and `cron`
 * are Unix milliseconds; those of `height` are block numbers. 0 means none.
 * Source: whitepaper 4.2.1 (timing mode).
 * @module
 */
import { invariant } from '#shared/fault.ts'
import { ON_TIME_BLOCKS } from '#shared/params.ts'
import { cronFrom, cronUpTo, parseCron } from '#shared/trigger/cron.ts'
import type { CronSchedule } from '#shared/trigger/cron.ts'
import type { EvaluationContext, Missed, Timing } from '#shared/trigger/types.ts'

/** Missed fires of a cron schedule are counted one by one up to here; the row's counter says "at least". */
export const MISSED_COUNT_MAX = 1000

function scheduleOf(expression: string): CronSchedule {
  const schedule = parseCron(expression)
  invariant(typeof schedule !== 'string', 'registration admits only expressions that parse')
  return schedule
}

function nthOfSeries(anchor: number, stride: number, index: number): number {
  return index < 0 ? 0 : anchor + index * stride
}

/** First due value at or after `from`. */
export function dueFrom(timing: Timing, from: number): number {
  switch (timing.kind) {
    case 'at':
      return timing.timesMs.find((time) => time >= from) ?? 0
    case 'interval': {
      const stride = timing.everySec * 1000
      return nthOfSeries(timing.anchorMs, stride, Math.max(0, Math.ceil((from - timing.anchorMs) / stride)))
    }
    case 'cron':
      return (cronFrom(scheduleOf(timing.expr), Math.ceil(from / 1000)) ?? 0) * 1000
    case 'height':
      if (timing.every === 0) return timing.at >= from ? timing.at : 0
      return nthOfSeries(timing.at, timing.every, Math.max(0, Math.ceil((from - timing.at) / timing.every)))
  }
}

/** Last due value at or before `to`. */
export function dueUpTo(timing: Timing, to: number): number {
  switch (timing.kind) {
    case 'at':
      return timing.timesMs.findLast((time) => time <= to) ?? 0
    case 'interval': {
      const stride = timing.everySec * 1000
      return nthOfSeries(timing.anchorMs, stride, Math.floor((to - timing.anchorMs) / stride))
    }
    case 'cron':
      return (cronUpTo(scheduleOf(timing.expr), Math.floor(to / 1000)) ?? 0) * 1000
    case 'height':
      if (timing.every === 0) return timing.at <= to ? timing.at : 0
      return nthOfSeries(timing.at, timing.every, Math.floor((to - timing.at) / timing.every))
  }
}

/** How many due values lie in from..to, both included; at most MISSED_COUNT_MAX for cron. */
export function countDue(timing: Timing, from: number, to: number): number {
  if (from > to) return 0
  const first = dueFrom(timing, from)
  if (first === 0 || first > to) return 0
  switch (timing.kind) {
    case 'at':
      return timing.timesMs.filter((time) => time >= from && time <= to).length
    case 'interval':
      return Math.floor((to - first) / (timing.everySec * 1000)) + 1
    case 'height':
      return timing.every === 0 ? 1 : Math.floor((to - first) / timing.every) + 1
    case 'cron': {
      const schedule = scheduleOf(timing.expr)
      let count = 0
      for (let next: number | null = first / 1000; next !== null && next * 1000 <= to && count < MISSED_COUNT_MAX; count++)
        next = cronFrom(schedule, next + 1)
      return count
    }
  }
}

/** What a timing row has to do now: fire one value (0 is none) after dropping some, and where it stands then. */
export type TimingPlan = Readonly<{ fireAt: number; dropped: number; nextDueAt: number }>

/** Oldest value that may still run. A value is on time within ON_TIME_BLOCKS after the first block at or past it. */
function keptFrom(timing: Timing, missed: Missed, freshForSec: number, context: EvaluationContext): number {
  const isHeight = timing.kind === 'height'
  const now = isHeight ? context.height : context.timeMs
  const back = (seconds: number): number => now - (isHeight ? Math.floor((seconds * 1000) / context.slotMs) : seconds * 1000)
  const onTime = isHeight ? now - ON_TIME_BLOCKS : context.onTimeAfterMs + 1
  const byPolicy = missed.mode === 'skip' ? onTime : Math.min(onTime, back(missed.graceSec))
  return freshForSec === 0 ? byPolicy : Math.max(byPolicy, back(freshForSec))
}

function chooseFire(timing: Timing, missed: Missed, from: number, now: number): number {
  if (missed.mode === 'skip') {
    const first = dueFrom(timing, from)
    return first <= now ? first : 0
  }
  let chosen = dueUpTo(timing, now)
  if (chosen < from) return 0
  for (let kept = 1; missed.mode === 'all' && kept < missed.max; kept++) {
    const earlier = dueUpTo(timing, chosen - 1)
    if (earlier === 0 || earlier < from) break
    chosen = earlier
  }
  return chosen
}

/**
 * Applies the missed policy to everything due from `dueAt` until now. Null when nothing is due yet.
 * `skip` drops what is no longer on time and runs the rest in order; `latest` runs the newest within its grace; `all` runs the
 * newest `max` within its grace, oldest first. Every run keeps its original time.
 */
export function planTiming(
  timing: Timing,
  missed: Missed,
  freshForSec: number,
  dueAt: number,
  context: EvaluationContext,
): TimingPlan | null {
  const now = timing.kind === 'height' ? context.height : context.timeMs
  if (dueAt === 0 || dueAt > now) return null
  const from = Math.max(dueAt, keptFrom(timing, missed, freshForSec, context))
  const fireAt = chooseFire(timing, missed, from, now)
  const consumedTo = fireAt === 0 ? now : fireAt
  return { fireAt, dropped: countDue(timing, dueAt, fireAt === 0 ? now : fireAt - 1), nextDueAt: dueFrom(timing, consumedTo + 1) }
}

/** A retry repeats its own value, whatever the missed policy says; null when that is still ahead. */
export function repeatTiming(timing: Timing, dueAt: number, context: EvaluationContext): TimingPlan | null {
  if (dueAt > (timing.kind === 'height' ? context.height : context.timeMs)) return null
  return { fireAt: dueAt, dropped: 0, nextDueAt: dueFrom(timing, dueAt + 1) }
}
