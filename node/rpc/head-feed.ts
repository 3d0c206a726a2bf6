/** Changes of the canonical chain as a sequence, with a bounded past: what filters poll and subscriptions follow. @module */
import type { ChainReader } from '#node/chain-reader.ts'
import type { BlockEnvelope } from '#shared/hhcm/types.ts'

/** A block that joined the canonical chain, or left it. */
export type HeadEvent = Readonly<{ sequence: number; removed: boolean; block: BlockEnvelope }>

const EVENTS_KEPT = 4096

/** The sequence of events and those who listen. */
export type HeadFeed = Readonly<{
  /** Number of the next event. */
  position: () => number
  /** Events from `position` on that are still held. */
  since: (position: number) => readonly HeadEvent[]
  onEvent: (listener: (event: HeadEvent) => void) => () => void
  stop: () => void
}>

/** Follows the head of `chain`, naming every block that left or joined the canonical chain exactly once. */
export function createHeadFeed(chain: ChainReader): HeadFeed {
  const events: HeadEvent[] = []
  const listeners = new Set<(event: HeadEvent) => void>()
  let next = 0
  let previous = chain.head()
  const emit = (block: BlockEnvelope, removed: boolean): void => {
    const event = { sequence: next++, removed, block }
    events.push(event)
    if (events.length > EVENTS_KEPT) events.shift()
    for (const listener of listeners) listener(event)
  }
  const stop = chain.onChange(({ kind, block, reverted }) => {
    if (kind !== 'head') return
    let base = previous
    for (const hash of reverted.toReversed()) {
      const gone = chain.envelope(hash)
      if (gone === null) continue
      emit(gone, true)
      base = chain.envelope(gone.header.parentHash) ?? base
    }
    const applied: BlockEnvelope[] = []
    for (
      let one: BlockEnvelope | null = block;
      one !== null && one.header.number > base.header.number;
      one = chain.envelope(one.header.parentHash)
    )
      applied.push(one)
    previous = block
    for (const one of applied.toReversed()) emit(one, false)
  })
  return {
    position: () => next,
    since: (position) => events.filter(({ sequence }) => sequence >= position),
    onEvent: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    stop,
  }
}
