/**
 * Which due occurrences a block has room for: a quarter of the budget goes by age alone, the rest by tip and then age, so that
 * neither money nor patience can close the door. Source: whitepaper 4.4.2 (the list is worked off by the bookkeeping nodes).
 * @module
 */
import { compareHex } from '#shared/bytes.ts'
import type { Hash, UnixMs, Wei } from '#shared/types.ts'

/** What the order of occurrences depends on. */
export type DueItem = Readonly<{ entryId: Hash; occurrence: Hash; scheduledAtMs: UnixMs; tipWei: Wei; gas: number }>

/** Execution order within a block, and the order of age: time, then entry, then occurrence. */
export function compareAge(left: DueItem, right: DueItem): number {
  return (
    left.scheduledAtMs - right.scheduledAtMs || compareHex(left.entryId, right.entryId) || compareHex(left.occurrence, right.occurrence)
  )
}

function compareTip(left: DueItem, right: DueItem): number {
  return left.tipWei === right.tipWei ? compareAge(left, right) : left.tipWei > right.tipWei ? -1 : 1
}

/** The occurrences that fit, in execution order. The oldest one is always among them when the budget holds it at all. */
export function selectWithinBudget<T extends DueItem>(items: readonly T[], gasBudget: number): readonly T[] {
  const quarter = Math.floor(gasBudget / 4)
  const chosen = new Set<T>()
  let used = 0
  for (const item of items.toSorted(compareAge)) {
    if (used + item.gas > gasBudget || (used > 0 && used + item.gas > quarter)) break
    chosen.add(item)
    used += item.gas
  }
  for (const item of items.toSorted(compareTip)) {
    if (chosen.has(item) || used + item.gas > gasBudget) continue
    chosen.add(item)
    used += item.gas
  }
  return [...chosen].toSorted(compareAge)
}
