/**
 * The one evaluator: is an occurrence of this entry due, on this evidence? Used to submit, to validate, to simulate and to explain.
 * A step machine: it answers `need` with keys until the shell has read them all at the parent block.
 * Source: whitepaper 4.2.1, 4.4.2.
 * @module
 */
import { fire, miss, numberedOccurrence, waiting } from '#shared/trigger/candidate.ts'
import { evaluateDeposit } from '#shared/trigger/evaluate-deposit.ts'
import { evaluateFeed } from '#shared/trigger/evaluate-feed.ts'
import { evaluateLog } from '#shared/trigger/evaluate-log.ts'
import { evaluateView } from '#shared/trigger/evaluate-view.ts'
import { fireReserveWei, rowReserveWei } from '#shared/trigger/gas.ts'
import { planTiming, repeatTiming } from '#shared/trigger/timing.ts'
import type {
  Condition,
  Due,
  Entry,
  Evaluation,
  EvaluationContext,
  Mode,
  ReadValue,
  Reason,
  VerifiedEvidence,
} from '#shared/trigger/types.ts'
import type { UnixMs } from '#shared/types.ts'

function notDue(reason: Reason, retryAtMs: UnixMs): Evaluation {
  return { kind: 'notDue', reason, retryAtMs }
}

/** What ends or suspends an entry whatever its condition says. */
function judgeRow(entry: Entry, context: EvaluationContext): Evaluation | null {
  const { limits } = entry.description
  if (entry.status !== 'ACTIVE') return waiting(entry.status)
  if (context.timeMs >= limits.expiresAtMs) return waiting('EXPIRED')
  if (entry.fires >= limits.maxFires) return waiting('EXHAUSTED')
  return context.timeMs < limits.notBeforeMs ? notDue('NOT_BEFORE', limits.notBeforeMs) : null
}

function evaluateActive(entry: Entry, context: EvaluationContext): Evaluation {
  const consumed = Number(entry.cursor)
  if (entry.edgeCount <= consumed) return waiting('CONDITION_FALSE')
  return fire(entry, {
    occurrence: numberedOccurrence(consumed + 1),
    scheduledAtMs: context.parentTimeMs,
    next: { cursor: entry.cursor + 1n },
    values: { scheduledAt: context.parentTimeMs },
  })
}

function evaluateTiming(entry: Entry, { when, missed }: Extract<Mode, { type: 'timing' }>, context: EvaluationContext): Evaluation {
  const { expiresAtMs, freshForSec } = entry.description.limits
  const isHeight = when.kind === 'height'
  if (entry.dueAt === 0) return waiting('EXHAUSTED')
  const plan = entry.attempt > 0 ? repeatTiming(when, entry.dueAt, context) : planTiming(when, missed, freshForSec, entry.dueAt, context)
  if (plan === null) return notDue('NOT_DUE', isHeight ? context.timeMs + (entry.dueAt - context.height) * context.slotMs : entry.dueAt)
  const { fireAt, dropped } = plan
  const next = { dueAt: !isHeight && plan.nextDueAt >= expiresAtMs ? 0 : plan.nextDueAt, missedAdd: dropped }
  const timeOf = (due: number): UnixMs => (isHeight ? context.timeMs - (context.height - due) * context.slotMs : due)
  if (fireAt === 0) return miss(entry, numberedOccurrence(entry.dueAt), timeOf(entry.dueAt), 'MISSED_LATE', next)
  return fire(entry, {
    occurrence: numberedOccurrence(fireAt),
    scheduledAtMs: timeOf(fireAt),
    next,
    values: { scheduledAt: fireAt },
    ...(dropped > 0 && { missedReason: 'MISSED_LATE' }),
  })
}

function evaluateCondition(
  entry: Entry,
  condition: Condition,
  context: EvaluationContext,
  reads: ReadonlyMap<string, ReadValue>,
  evidence: VerifiedEvidence | null,
): Evaluation {
  switch (condition.kind) {
    case 'feed.compare':
      return evaluateFeed(entry, condition, context, reads)
    case 'log':
      return evaluateLog(entry, condition, context, reads)
    case 'view':
      // While it may not fire, an armed view need not be called.
      return (entry.armed ? judgePace(entry, context) : null) ?? evaluateView(entry, condition, context, reads)
    case 'chain.deposit':
      return evaluateDeposit(entry, condition, context, evidence)
  }
}

function judgePace(entry: Entry, context: EvaluationContext): Evaluation | null {
  const rested = entry.lastFireMs + entry.description.limits.cooldownSec * 1000
  if (entry.attempt > 0) return context.timeMs < entry.backoffUntilMs ? notDue('BACKOFF', entry.backoffUntilMs) : null
  return entry.fires > 0 && context.timeMs < rested ? notDue('COOLDOWN', rested) : null
}

/** What delays an occurrence whose condition holds. Moving the row is never paced, only paid for. */
function judgeDue(entry: Entry, due: Due, context: EvaluationContext): Evaluation | null {
  const isFire = due.action === 'fire'
  const pace = isFire ? judgePace(entry, context) : null
  if (pace !== null) return pace
  if (context.triggerBaseFeeWei > entry.description.limits.maxFeePerGasWei) return waiting('FEE_TOO_LOW')
  const reserveWei = isFire ? fireReserveWei(entry, context.triggerBaseFeeWei) : rowReserveWei(entry, context.triggerBaseFeeWei)
  return entry.fundingWei < reserveWei ? waiting('FUNDS') : null
}

/**
 * Judges an entry for the block of `context`. `reads` holds the answers so far by `readKeyId`; `evidence` is what an attested
 * condition brings, already verified, null otherwise. Total: every row that registration admits has an answer.
 */
export function evaluate(
  entry: Entry,
  context: EvaluationContext,
  reads: ReadonlyMap<string, ReadValue>,
  evidence: VerifiedEvidence | null = null,
): Evaluation {
  const suspended = judgeRow(entry, context)
  if (suspended !== null) return suspended
  const { mode } = entry.description
  const found =
    mode.type === 'active'
      ? evaluateActive(entry, context)
      : mode.type === 'timing'
        ? evaluateTiming(entry, mode, context)
        : evaluateCondition(entry, mode.when, context, reads, evidence)
  return found.kind === 'due' ? (judgeDue(entry, found.due, context) ?? found) : found
}
