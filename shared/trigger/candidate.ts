/** Building blocks of every kind's evaluation: occurrences, and the row that follows one. @module */
import { bigintToBytes, bytesToHex } from '#shared/bytes.ts'
import { buildCallData } from '#shared/trigger/call-data.ts'
import type { FireValues } from '#shared/trigger/call-data.ts'
import { fireKey } from '#shared/trigger/ids.ts'
import type { Due, Entry, Evaluation, Reason } from '#shared/trigger/types.ts'
import type { Hash, UnixMs } from '#shared/types.ts'

/** No report stands behind this occurrence. */
const NO_DIGEST: Hash = `0x${'00'.repeat(32)}`
/** Sets apart occurrences that only move the row: those that re-arm and those that advance past what was dropped. */
const ARM_SPACE = 1n << 255n
const ADVANCE_SPACE = 1n << 254n

const word = (value: bigint): Hash => bytesToHex(bigintToBytes(value, 32))

type Next = Due['next']
type Fire = Readonly<{
  occurrence: Hash
  scheduledAtMs: UnixMs
  next: Partial<Next>
  values: Omit<FireValues, 'key' | 'seq'>
  digest?: Hash
  missedReason?: Reason
}>

/** Occurrence named by a number: a time, a height, a log position, an edge count. */
export function numberedOccurrence(value: bigint | number): Hash {
  return word(BigInt(value))
}

function nextRow(entry: Entry, change: Partial<Next>): Next {
  return { dueAt: entry.dueAt, armed: entry.armed, cursor: entry.cursor, edgeCount: entry.edgeCount, missedAdd: 0, ...change }
}

/** An occurrence that calls. */
export function fire(entry: Entry, { occurrence, scheduledAtMs, next, values, digest, missedReason }: Fire): Evaluation {
  const key = fireKey(entry.id, entry.revision, occurrence)
  return {
    kind: 'due',
    due: {
      action: 'fire',
      occurrence,
      scheduledAtMs,
      missedReason: missedReason ?? null,
      next: nextRow(entry, next),
      callData: buildCallData(entry.description.action, { ...values, key, seq: entry.fires + 1 }),
      digest: digest ?? NO_DIGEST,
    },
  }
}

function rowOnly(
  entry: Entry,
  due: Pick<Due, 'action' | 'occurrence' | 'scheduledAtMs' | 'missedReason'>,
  next: Partial<Next>,
): Evaluation {
  return { kind: 'due', due: { ...due, next: nextRow(entry, next), callData: new Uint8Array(0), digest: NO_DIGEST } }
}

/** An occurrence that drops a fire, named like the fire itself, so that only one of the two can ever happen. */
export function miss(entry: Entry, occurrence: Hash, scheduledAtMs: UnixMs, reason: Reason, next: Partial<Next>): Evaluation {
  return rowOnly(entry, { action: 'miss', occurrence, scheduledAtMs, missedReason: reason }, { missedAdd: 1, ...next })
}

/** An occurrence that re-arms an edge. */
export function arm(entry: Entry, scheduledAtMs: UnixMs, cursor: bigint): Evaluation {
  const occurrence = word(ARM_SPACE + BigInt(entry.edgeCount))
  return rowOnly(entry, { action: 'arm', occurrence, scheduledAtMs, missedReason: null }, { armed: true, cursor })
}

/** An occurrence that moves the cursor over reports without a crossing, or, with a reason, over reports that were lost. */
export function advance(entry: Entry, scheduledAtMs: UnixMs, cursor: bigint, reason: Reason | null): Evaluation {
  const occurrence = word(ADVANCE_SPACE + cursor)
  return rowOnly(entry, { action: 'miss', occurrence, scheduledAtMs, missedReason: reason }, { cursor, missedAdd: reason === null ? 0 : 1 })
}

/** Not due, and nothing but an event can change that. */
export function waiting(reason: Reason): Evaluation {
  return { kind: 'notDue', reason, retryAtMs: 0 }
}
