/**
 * When a slot may stay silent: only once the last block with a transaction is final, nothing waits, and no heartbeat is due.
 * Silence is never punished. Source: docs/protocol.md, "Idle".
 * @module
 */
import type { Height, Slot } from '#shared/types.ts'

/** Slots of one heartbeat: a block, and two more for the votes that finalise it. */
const HEARTBEAT_SLOTS = 3

/** Whether packages, blocks and votes are made in this slot. */
export function isActiveSlot(
  view: Readonly<{
    slot: Slot
    idleSlots: number
    /** Pool or calling list ask for a block. */
    wanted: boolean
    /** Number of the last block up to the head that has transactions. */
    busyNumber: Height
    finalizedNumber: Height
  }>,
): boolean {
  return view.wanted || view.busyNumber > view.finalizedNumber || view.idleSlots === 0 || view.slot % view.idleSlots < HEARTBEAT_SLOTS
}
