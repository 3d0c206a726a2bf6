/**
 * feed.compare: a rising edge over the unbroken sequence of stored reports. The run that fires is always the earliest one after
 * the row's cursor, so a submitter has nothing to choose.
 * @module
 */
import { invariant } from '#shared/fault.ts'
import { advance, arm, fire, miss, numberedOccurrence, waiting } from '#shared/trigger/candidate.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { Condition, Entry, Evaluation, EvaluationContext, FeedReport, ReadKey, ReadValue } from '#shared/trigger/types.ts'

type FeedCompare = Extract<Condition, { kind: 'feed.compare' }>

/** Reports without a crossing that a row may lag behind before its cursor is moved; keeps every read short and far from the ring's end. */
export const FEED_SWEEP_REPORTS = 512

function compares({ op }: FeedCompare, value: bigint, level: bigint): boolean {
  switch (op) {
    case 'lt':
      return value < level
    case 'le':
      return value <= level
    case 'gt':
      return value > level
    case 'ge':
      return value >= level
  }
}

function isRearming(condition: FeedCompare, report: FeedReport): boolean {
  const firesBelow = condition.op === 'lt' || condition.op === 'le'
  return report.status === 'OK' && (firesBelow ? report.value >= condition.rearm : report.value <= condition.rearm)
}

function isHeld({ holdReports, holdSec }: FeedCompare, first: FeedReport, last: FeedReport): boolean {
  return last.lastRound - first.firstRound + 1 >= holdReports && last.lastObservedAtMs - first.observedAtMs >= holdSec * 1000
}

/** Whether a report can end this row's waiting: a value past the level when armed, one past the re-arm level when not. For indexes. */
export function isStirring(entry: Entry, condition: FeedCompare, report: FeedReport): boolean {
  return entry.armed ? report.status === 'OK' && compares(condition, report.value, condition.value) : isRearming(condition, report)
}

type Run = Readonly<{ first: FeedReport; last: FeedReport; held: boolean }>

/** Earliest run held long enough, else the run still going on at the end, else null. A gap in the rounds begins a new run. */
function findRun(condition: FeedCompare, reports: readonly FeedReport[]): Run | null {
  let first: FeedReport | null = null
  let last: FeedReport | null = null
  for (const report of reports) {
    if (report.status !== 'OK' || !compares(condition, report.value, condition.value)) {
      first = null
      continue
    }
    if (first === null || report.afterGap) first = report
    last = report
    if (isHeld(condition, first, report)) return { first, last, held: true }
  }
  return first === null || last === null ? null : { first, last, held: false }
}

function consume(entry: Entry, condition: FeedCompare, { first, last }: Run, context: EvaluationContext): Evaluation {
  const occurrence = numberedOccurrence(entry.edgeCount + 1)
  const scheduledAtMs = Math.max(last.observedAtMs, first.observedAtMs + condition.holdSec * 1000)
  const next = { armed: false, cursor: last.sequence, edgeCount: entry.edgeCount + 1 }
  const { freshForSec } = entry.description.limits
  if (freshForSec > 0 && entry.attempt === 0 && context.timeMs - scheduledAtMs > freshForSec * 1000)
    return miss(entry, occurrence, scheduledAtMs, 'MISSED_STALE_EVENT', next)
  return fire(entry, { occurrence, scheduledAtMs, next, values: { scheduledAt: scheduledAtMs, report: last }, digest: last.digest })
}

/** Moves the cursor when it lags far behind; a run that is still going on stays ahead of it. */
function sweep(entry: Entry, latest: FeedReport, run: Run | null): Evaluation | null {
  const seen = run === null ? latest.sequence : run.first.sequence - 1n
  return seen - entry.cursor >= BigInt(FEED_SWEEP_REPORTS) ? advance(entry, latest.observedAtMs, seen, null) : null
}

function judgeDisarmed(entry: Entry, condition: FeedCompare, reports: readonly FeedReport[], latest: FeedReport): Evaluation {
  const rearming = reports.find((report) => isRearming(condition, report))
  return rearming === undefined
    ? (sweep(entry, latest, null) ?? waiting('NOT_ARMED'))
    : arm(entry, rearming.observedAtMs, rearming.sequence)
}

function judgeArmed(
  entry: Entry,
  condition: FeedCompare,
  reports: readonly FeedReport[],
  latest: FeedReport,
  context: EvaluationContext,
): Evaluation {
  const run = findRun(condition, reports)
  if (run?.held === true) return consume(entry, condition, run, context)
  const swept = sweep(entry, latest, run)
  if (swept !== null) return swept
  if (run !== null) return waiting('HOLDING')
  return latest.status === 'OK' ? waiting('CONDITION_FALSE') : { kind: 'unknown', reason: 'SOURCE' }
}

/** Judges an edge on a feed from the reports after the row's cursor. Reports last confirmed before registration never count. */
export function evaluateFeed(
  entry: Entry,
  condition: FeedCompare,
  context: EvaluationContext,
  reads: ReadonlyMap<string, ReadValue>,
): Evaluation {
  const key: ReadKey = { kind: 'feedHistory', feed: condition.feed, after: entry.cursor }
  const history = reads.get(readKeyId(key))
  if (history === undefined) return { kind: 'need', keys: [key] }
  invariant(history.kind === 'feedHistory', 'a shell answers a key with a value of its kind')
  if (history.oldest === 0n) return { kind: 'unknown', reason: 'NO_REPORT' }
  if (entry.cursor > 0n && history.oldest > entry.cursor + 1n)
    return advance(entry, context.parentTimeMs, history.oldest - 1n, 'MISSED_REPORTS_PRUNED')
  const latest = history.reports.at(-1)
  if (latest === undefined) return waiting(entry.armed ? 'CONDITION_FALSE' : 'NOT_ARMED')
  if (context.timeMs - latest.lastObservedAtMs > condition.maxAgeSec * 1000) return { kind: 'unknown', reason: 'STALE' }
  const reports = history.reports.filter((report) => report.lastObservedAtMs >= entry.registeredAt.timeMs)
  return entry.armed ? judgeArmed(entry, condition, reports, latest, context) : judgeDisarmed(entry, condition, reports, latest)
}
