/**
 * Checkpoints of the EVM library's journal without its garbage. The library keeps three collections for each opened and each closed
 * checkpoint until the transaction ends, also when nothing was noted in them; most message calls note nothing. Same results.
 * @module
 */
import type { EVM } from '@ethereumjs/evm'

/** What was noted at one level: warmed addresses, warmed slots, touched accounts. */
type Notes = [addresses: Set<string>, slots: Map<string, Set<string>>, touched: Set<string>]

/** What the journal is inside; a pinned version, covered by conformance tests. */
type Internals = { journalHeight: number; journalDiff: [height: number, notes: Notes][] }

const fresh = (): Notes => [new Set(), new Map(), new Set()]
const isEmpty = ([addresses, slots, touched]: Notes): boolean => addresses.size + slots.size + touched.size === 0

/** Makes the journal of this machine forget empty levels as soon as they are closed, and use them again. */
export function useLeanJournal({ journal, stateManager }: EVM): void {
  const inner = journal as unknown as Internals
  let spare: Notes | null = null
  const open = (): void => {
    inner.journalDiff.push([inner.journalHeight, spare ?? fresh()])
    spare = null
  }
  journal.checkpoint = async () => {
    inner.journalHeight++
    open()
    await stateManager.checkpoint()
  }
  journal.commit = async () => {
    const top = inner.journalDiff.at(-1)
    if (top !== undefined && top[0] === inner.journalHeight && isEmpty(top[1])) {
      inner.journalDiff.pop()
      spare = top[1]
    }
    inner.journalHeight--
    if (inner.journalDiff.at(-1)?.[0] !== inner.journalHeight) open()
    await stateManager.commit()
  }
}
