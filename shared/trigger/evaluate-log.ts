/**
 * log: matching logs of this chain, consumed in order from the row's cursor. Source: whitepaper 4.3 (contracts that wake contracts);
 * topic filters as eth_getLogs has them.
 * @module
 */
import type { Log } from '#shared/chain/types.ts'
import { invariant } from '#shared/fault.ts'
import { PARENT_VIEW_BLOCKS } from '#shared/params.ts'
import { EVENT_DATA_BYTES_MAX } from '#shared/trigger/call-data.ts'
import { fire, miss, numberedOccurrence, waiting } from '#shared/trigger/candidate.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { Condition, Entry, Evaluation, EvaluationContext, ReadKey, ReadValue, Reason } from '#shared/trigger/types.ts'
import type { Height } from '#shared/types.ts'

type LogCondition = Extract<Condition, { kind: 'log' }>

/** Blocks before a log leaves the parent view in which it is counted as missed instead of fired. */
const PRUNING_MARGIN_BLOCKS = 16
const POSITION_BITS = 32n

/** Position of a log on the chain: height ‖ index within the block. */
export function logPosition(height: Height, indexInBlock: number): bigint {
  return (BigInt(height) << POSITION_BITS) | BigInt(indexInBlock)
}

/** Whether a log is one the condition waits for: one of the addresses and, per position, one of the topics (none listed: any). */
export function matchesLog(condition: Pick<LogCondition, 'addresses' | 'topics'>, log: Log): boolean {
  return (
    condition.addresses.includes(log.address) &&
    condition.topics.every((accepted, position) => {
      const topic = log.topics[position]
      return topic !== undefined && (accepted.length === 0 || accepted.includes(topic))
    })
  )
}

function missedReason(entry: Entry, log: Log, ageBlocks: number, ageMs: number): Reason | null {
  const { action, limits } = entry.description
  const handsOnData = action.args.some((argument) => 'ref' in argument && argument.ref === 'event.data')
  if (ageBlocks >= PARENT_VIEW_BLOCKS - PRUNING_MARGIN_BLOCKS) return 'MISSED_LOG_PRUNED'
  if (handsOnData && log.data.length > EVENT_DATA_BYTES_MAX) return 'MISSED_LOG_TOO_LARGE'
  return limits.freshForSec > 0 && entry.attempt === 0 && ageMs > limits.freshForSec * 1000 ? 'MISSED_STALE_EVENT' : null
}

/** Finds the next matching log after the cursor. Logs of the registration's own block and older ones never count. */
export function evaluateLog(
  entry: Entry,
  condition: LogCondition,
  context: EvaluationContext,
  reads: ReadonlyMap<string, ReadValue>,
): Evaluation {
  const born = logPosition(entry.registeredAt.height + 1, 0) - 1n
  const afterPosition = entry.cursor > born ? entry.cursor : born
  const key: ReadKey = { kind: 'logs', afterPosition, addresses: condition.addresses, topics: condition.topics }
  const answer = reads.get(readKeyId(key))
  if (answer === undefined) return { kind: 'need', keys: [key] }
  invariant(answer.kind === 'logs', 'a shell answers a key with a value of its kind')
  const parentHeight = context.height - 1
  const needed = Math.max(Number(afterPosition >> POSITION_BITS), parentHeight - PARENT_VIEW_BLOCKS + 1)
  // A node that does not hold the whole window cannot tell which log is next.
  if (answer.oldestHeight > needed && answer.oldestHeight <= parentHeight) return { kind: 'unknown', reason: 'SOURCE' }
  const found = answer.logs.find(({ position, log }) => position > afterPosition && matchesLog(condition, log))
  if (found === undefined) return waiting('CONDITION_FALSE')
  const { position, log, timeMs } = found
  const occurrence = numberedOccurrence(position)
  const reason = missedReason(entry, log, parentHeight - Number(position >> POSITION_BITS), context.timeMs - timeMs)
  if (reason !== null) return miss(entry, occurrence, timeMs, reason, { cursor: position })
  return fire(entry, { occurrence, scheduledAtMs: timeMs, next: { cursor: position }, values: { scheduledAt: timeMs, log } })
}
