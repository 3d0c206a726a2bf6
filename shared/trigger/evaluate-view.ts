/**
 * view: a STATICCALL on the parent state, made by the stable caller every so many blocks, that must return true. A rising condition
 * fires once and then needs a false, recorded by an occurrence that re-arms it.
 * @module
 */
import { bytesToBigint } from '#shared/bytes.ts'
import { invariant } from '#shared/fault.ts'
import { arm, fire, numberedOccurrence, waiting } from '#shared/trigger/candidate.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { Condition, Entry, Evaluation, EvaluationContext, ReadKey, ReadValue } from '#shared/trigger/types.ts'

type ViewCondition = Extract<Condition, { kind: 'view' }>

function returnedBool(answer: Extract<ReadValue, { kind: 'call' }>): boolean | null {
  if (!answer.success || answer.returnData.length !== 32) return null
  const value = bytesToBigint(answer.returnData)
  return value > 1n ? null : value === 1n
}

/** Judges a view in the blocks that are a multiple of `everyBlocks` after registration. */
export function evaluateView(
  entry: Entry,
  condition: ViewCondition,
  context: EvaluationContext,
  reads: ReadonlyMap<string, ReadValue>,
): Evaluation {
  const phase = (context.height - entry.registeredAt.height) % condition.everyBlocks
  if (phase !== 0)
    return { kind: 'notDue', reason: 'NOT_DUE', retryAtMs: context.timeMs + (condition.everyBlocks - phase) * context.slotMs }
  const key: ReadKey = { kind: 'call', from: entry.caller, to: condition.to, data: condition.data, gasLimit: condition.gasLimit }
  const answer = reads.get(readKeyId(key))
  if (answer === undefined) return { kind: 'need', keys: [key] }
  invariant(answer.kind === 'call', 'a shell answers a key with a value of its kind')
  const holds = returnedBool(answer)
  const cursor = BigInt(context.height)
  if (holds === null) return { kind: 'unknown', reason: 'VIEW_REVERTED' }
  if (!entry.armed) return holds ? waiting('NOT_ARMED') : arm(entry, context.parentTimeMs, cursor)
  if (!holds) return waiting('CONDITION_FALSE')
  return fire(entry, {
    occurrence: numberedOccurrence(entry.edgeCount + 1),
    scheduledAtMs: context.parentTimeMs,
    next: { armed: condition.edge === 'level', cursor, edgeCount: entry.edgeCount + 1 },
    values: { scheduledAt: context.parentTimeMs },
  })
}
