/**
 * Rows of the calling list by what wakes them: time, height, feed, log, view, activation. Node-local; a pure function of the state and
 * the logs of the window, rebuilt at will. Source: whitepaper 4.4.2, with an index in place of polling.
 * @module
 */
import { SortedIds } from '#node/evm/native/sorted-ids.ts'
import type { Log } from '#shared/chain/types.ts'
import { isStirring } from '#shared/trigger/evaluate-feed.ts'
import { matchesLog } from '#shared/trigger/evaluate-log.ts'
import type { Condition, Entry, FeedReport } from '#shared/trigger/types.ts'
import type { Address, Hash, Height, UnixMs } from '#shared/types.ts'

/** A row, and whether its feed has said something that may make it due. */
export type Watched = Readonly<{ entry: Entry; isStirred: boolean }>

const POSITION_BITS = 32n

/** A row's condition, if it is of this kind. */
export function conditionOf<K extends Condition['kind']>(entry: Entry, kind: K): Extract<Condition, { kind: K }> | null {
  const { mode } = entry.description
  return mode.type === 'event' && mode.when.kind === kind ? (mode.when as Extract<Condition, { kind: K }>) : null
}

class Groups<Key> {
  readonly #groups = new Map<Key, Set<Hash>>()

  add(key: Key, id: Hash): void {
    const group = this.#groups.get(key)
    if (group === undefined) this.#groups.set(key, new Set([id]))
    else group.add(id)
  }

  remove(key: Key, id: Hash): void {
    const group = this.#groups.get(key)
    group?.delete(id)
    if (group?.size === 0) this.#groups.delete(key)
  }

  get(key: Key): Iterable<Hash> {
    return this.#groups.get(key) ?? []
  }

  keys(): Iterable<Key> {
    return this.#groups.keys()
  }

  clear(): void {
    this.#groups.clear()
  }
}

/** The index itself; knows nothing of blocks and forks. */
export class WatchIndex {
  readonly #rows = new Map<Hash, Watched>()
  readonly #times = new SortedIds()
  readonly #heights = new SortedIds()
  readonly #feeds = new Groups<Hash>()
  readonly #logAddresses = new Groups<Address>()
  readonly #stirred = new Set<Hash>()
  readonly #views = new Set<Hash>()
  readonly #activated = new Set<Hash>()
  /** Positions of matching logs in the window, also those consumed already: a fork may need them again. */
  readonly #matches = new Map<Hash, bigint[]>()

  get(id: Hash): Watched | undefined {
    return this.#rows.get(id)
  }

  /** Replaces a row; undefined forgets it. */
  set(id: Hash, next: Watched | undefined): void {
    const before = this.#rows.get(id)
    if (before !== undefined) this.#unlist(before.entry)
    if (next === undefined) this.#rows.delete(id)
    else {
      this.#rows.set(id, next)
      this.#list(next)
    }
  }

  #list({ entry, isStirred }: Watched): void {
    const { id, status, description } = entry
    const { mode } = description
    // What a paused row's contracts log meanwhile is still owed to it when it is resumed.
    if (mode.type === 'event' && mode.when.kind === 'log' && (status === 'ACTIVE' || status === 'PAUSED'))
      for (const address of mode.when.addresses) this.#logAddresses.add(address, id)
    if (status !== 'ACTIVE') return
    if (mode.type === 'active') {
      if (entry.edgeCount > entry.cursor) this.#activated.add(id)
    } else if (mode.type === 'timing') {
      if (entry.dueAt !== 0) (mode.when.kind === 'height' ? this.#heights : this.#times).add(entry.dueAt, id)
    } else if (mode.when.kind === 'feed.compare') {
      this.#feeds.add(mode.when.feed, id)
      if (isStirred) this.#stirred.add(id)
    } else if (mode.when.kind === 'view') this.#views.add(id)
  }

  #unlist(entry: Entry): void {
    const { id } = entry
    this.#times.remove(entry.dueAt, id)
    this.#heights.remove(entry.dueAt, id)
    for (const group of [this.#stirred, this.#views, this.#activated]) group.delete(id)
    const { mode } = entry.description
    if (mode.type !== 'event') return
    if (mode.when.kind === 'feed.compare') this.#feeds.remove(mode.when.feed, id)
    if (mode.when.kind === 'log') for (const address of mode.when.addresses) this.#logAddresses.remove(address, id)
  }

  watchedFeeds(): readonly Hash[] {
    return [...this.#feeds.keys()]
  }

  watchersOf(feed: Hash): readonly Watched[] {
    return [...this.#feeds.get(feed)].flatMap((id) => this.#rows.get(id) ?? [])
  }

  /** Notes a log of the window for the rows that wait for it. */
  noteLog(position: bigint, log: Log): void {
    for (const id of this.#logAddresses.get(log.address)) {
      const entry = this.#rows.get(id)?.entry
      const condition = entry === undefined ? null : conditionOf(entry, 'log')
      if (condition === null || !matchesLog(condition, log)) continue
      const known = this.#matches.get(id)
      if (known === undefined) this.#matches.set(id, [position])
      else known.push(position)
    }
  }

  /** Forgets logs outside oldest..newest. */
  trimLogs(oldest: Height, newest: Height): void {
    for (const [id, positions] of this.#matches) {
      const kept = positions.filter(
        (position) => position >> POSITION_BITS >= BigInt(oldest) && position >> POSITION_BITS <= BigInt(newest),
      )
      if (kept.length === 0) this.#matches.delete(id)
      else if (kept.length !== positions.length) this.#matches.set(id, kept)
    }
  }

  /** Rows that may be due in a block at this time and height, besides views. */
  candidates(timeMs: UnixMs, height: Height): readonly Entry[] {
    const ids = [...this.#times.upTo(timeMs), ...this.#heights.upTo(height), ...this.#activated, ...this.#stirred]
    for (const [id, positions] of this.#matches) {
      const entry = this.#rows.get(id)?.entry
      if (entry?.status === 'ACTIVE' && positions.some((position) => position > entry.cursor)) ids.push(id)
    }
    return ids.flatMap((id) => this.#rows.get(id)?.entry ?? [])
  }

  views(): readonly Entry[] {
    return [...this.#views].flatMap((id) => this.#rows.get(id)?.entry ?? [])
  }

  clear(): void {
    for (const part of [
      this.#rows,
      this.#times,
      this.#heights,
      this.#feeds,
      this.#logAddresses,
      this.#stirred,
      this.#views,
      this.#activated,
      this.#matches,
    ])
      part.clear()
  }
}

/** Whether any of a feed's reports may make a row due. */
export function stirs(entry: Entry, reports: readonly FeedReport[]): boolean {
  const condition = conditionOf(entry, 'feed.compare')
  return condition !== null && reports.some((report) => report.sequence > entry.cursor && isStirring(entry, condition, report))
}
