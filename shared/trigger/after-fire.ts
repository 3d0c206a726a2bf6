/**
 * The row after an occurrence: consumed, or kept for a retry. Written before the call as if it had succeeded, and once more when it
 * had not. Funding is the caller's to move.
 * @module
 */
import { bytesToBigint, hexToBytes } from '#shared/bytes.ts'
import type { Due, Entry, TriggerStatus } from '#shared/trigger/types.ts'
import type { UnixMs } from '#shared/types.ts'

function statusAfter(entry: Entry, fires: number, dueAt: number, hasFailed: boolean): TriggerStatus {
  const { mode, limits, onRevert } = entry.description
  if (fires >= limits.maxFires || (mode.type === 'timing' && dueAt === 0)) return 'EXHAUSTED'
  return hasFailed && onRevert.thenPause ? 'PAUSED' : entry.status
}

function consumed(entry: Entry, due: Due, hasFailed: boolean): Entry {
  const { missedAdd, ...row } = due.next
  const fires = entry.fires + (due.action === 'fire' ? 1 : 0)
  const isArm = due.action === 'arm'
  return {
    ...entry,
    ...row,
    fires,
    missed: entry.missed + missedAdd,
    attempt: isArm ? entry.attempt : 0,
    backoffUntilMs: isArm ? entry.backoffUntilMs : 0,
    status: statusAfter(entry, fires, row.dueAt, hasFailed),
  }
}

/** Keeps the occurrence; what was dropped before it stays dropped. */
function retried(entry: Entry, due: Due, nowMs: UnixMs): Entry {
  const attempt = entry.attempt + 1
  const isTiming = entry.description.mode.type === 'timing'
  return {
    ...entry,
    dueAt: isTiming ? Number(bytesToBigint(hexToBytes(due.occurrence))) : entry.dueAt,
    missed: entry.missed + due.next.missedAdd,
    attempt,
    backoffUntilMs: nowMs + entry.description.onRevert.backoffSec * 1000 * 2 ** (attempt - 1),
  }
}

/**
 * Row after `due` ran in the block at `nowMs`. A failed call is repeated after a backoff that doubles, up to `onRevert.retries`
 * times; then the occurrence is consumed and the entry paused if its owner wants that. `arm` and `miss` cannot fail.
 */
export function afterFire(entry: Entry, due: Due, hasSucceeded: boolean, nowMs: UnixMs): Entry {
  if (due.action !== 'fire') return consumed(entry, due, false)
  if (!hasSucceeded && entry.attempt < entry.description.onRevert.retries) return retried(entry, due, nowMs)
  return { ...consumed(entry, due, !hasSucceeded), lastFireMs: nowMs }
}
