/**
 * The watch index at any parent block: moved forward by the logs of each block, back over abandoned ones, rebuilt from state when it
 * knows no way. Finding what is due costs what is due, not what is registered. Source: whitepaper 4.4.2.
 * @module
 */
import type { NativeConfig } from '#node/evm/native/config.ts'
import { FEED_UPDATED_TOPIC } from '#node/evm/native/events.ts'
import type { Watched } from '#node/evm/native/watch-index.ts'
import { WatchIndex, conditionOf, stirs } from '#node/evm/native/watch-index.ts'
import type { ParentView } from '#node/evm/native-types.ts'
import type { Log } from '#shared/chain/types.ts'
import { readFrom } from '#shared/codec/solidity-storage.ts'
import type { Header } from '#shared/hhcm/types.ts'
import { readHistory, readSequence } from '#shared/oracle/feed-registry.ts'
import { FEED_RING_REPORTS, PARENT_VIEW_BLOCKS } from '#shared/params.ts'
import { CALLING_LIST, FEED_REGISTRY } from '#shared/system.ts'
import { readRow, readRowCount, readRowIds } from '#shared/trigger/calling-list.ts'
import { FEED_SWEEP_REPORTS } from '#shared/trigger/evaluate-feed.ts'
import { logPosition } from '#shared/trigger/evaluate-log.ts'
import type { Entry, FeedReport } from '#shared/trigger/types.ts'
import type { Hash, Height, UnixMs } from '#shared/types.ts'

type PlacedLog = Readonly<{ position: bigint; log: Log }>
/** How to come back from a block: where it came from, and the rows as they were. */
type Step = Readonly<{ from: Header; rows: ReadonlyMap<Hash, Watched | undefined> }>

const STEPS_KEPT = 64

const isSame = (left: Header, right: Header): boolean =>
  left.number === right.number &&
  left.stateRoot === right.stateRoot &&
  left.receiptsRoot === right.receiptsRoot &&
  left.parentHash === right.parentHash

/** Rows that may be due, at the parent it was last moved to. All methods are synchronous: nothing comes between moving and asking. */
export class DueIndex {
  readonly #config: NativeConfig
  readonly #index = new WatchIndex()
  #at: Header | null = null
  #steps: Step[] = []

  constructor(config: NativeConfig) {
    this.#config = config
  }

  /** Rows that may be due in a child of `parent`. */
  candidates(parent: ParentView, timeMs: UnixMs): Readonly<{ rows: readonly Entry[]; views: readonly Entry[] }> {
    this.#moveTo(parent)
    return { rows: this.#index.candidates(timeMs, parent.header.number + 1), views: this.#index.views() }
  }

  /** A row as it is at `parent`. */
  entry(parent: ParentView, id: Hash): Entry | null {
    this.#moveTo(parent)
    return this.#index.get(id)?.entry ?? null
  }

  #moveTo(parent: ParentView): void {
    if (this.#at !== null && isSame(this.#at, parent.header)) return
    while (this.#at !== null && !this.#isAncestor(this.#at, parent)) this.#stepBack()
    if (this.#at === null || !this.#stepForward(this.#at, parent)) this.#rebuild(parent)
    this.#at = parent.header
  }

  #isAncestor(header: Header, parent: ParentView): boolean {
    const there = parent.ancestor(header.number)
    return there !== null && isSame(there.header, header)
  }

  #stepBack(): void {
    const step = this.#steps.pop()
    this.#at = step?.from ?? null
    if (step === undefined) return
    for (const [id, watched] of step.rows) this.#index.set(id, watched)
    this.#index.trimLogs(0, step.from.number)
  }

  #logsBetween(parent: ParentView, from: Height, to: Height): readonly PlacedLog[] | null {
    const placed: PlacedLog[] = []
    for (let height = from; height <= to; height++) {
      const block = parent.ancestor(height)
      if (block === null) return null
      const logs = block.receipts.flatMap((receipt) => receipt.logs)
      placed.push(...logs.map((log, index) => ({ position: logPosition(height, index), log })))
    }
    return placed
  }

  #stepForward(from: Header, parent: ParentView): boolean {
    const logs = this.#logsBetween(parent, from.number + 1, parent.header.number)
    if (logs === null) return false
    const before = new Map<Hash, Watched | undefined>()
    const change = (id: Hash, next: Watched | undefined): void => {
      const known = this.#index.get(id)
      if (known === undefined && next === undefined) return
      if (!before.has(id)) before.set(id, known)
      this.#index.set(id, next)
    }
    const own = logs.filter(({ log }) => log.address === CALLING_LIST)
    for (const id of new Set(own.flatMap(({ log }) => log.topics[1] ?? []))) change(id, this.#load(id, parent))
    for (const { position, log } of logs) this.#index.noteLog(position, log)
    this.#noteFeeds(logs, parent, change)
    this.#index.trimLogs(parent.header.number - PARENT_VIEW_BLOCKS + 1, parent.header.number)
    this.#steps.push({ from, rows: before })
    if (this.#steps.length > STEPS_KEPT) this.#steps.shift()
    return true
  }

  #noteFeeds(logs: readonly PlacedLog[], parent: ParentView, change: (id: Hash, next: Watched) => void): void {
    const firstNew = new Map<Hash, bigint>()
    for (const { log } of logs) {
      const [topic, feed, sequence] = log.topics
      if (log.address !== FEED_REGISTRY || topic !== FEED_UPDATED_TOPIC || feed === undefined || sequence === undefined) continue
      if (!firstNew.has(feed)) firstNew.set(feed, BigInt(sequence))
    }
    for (const [feed, first] of firstNew) {
      const { reports } = readFrom(readHistory(feed, first - 1n, FEED_RING_REPORTS, this.#config.crypto), parent.state)
      const newest = reports.at(-1)?.sequence ?? 0n
      for (const { entry, isStirred } of this.#index.watchersOf(feed))
        if (!isStirred && (stirs(entry, reports) || isBehind(entry, newest))) change(entry.id, { entry, isStirred: true })
    }
  }

  #reports(feed: Hash, after: bigint, parent: ParentView): readonly FeedReport[] {
    return readFrom(readHistory(feed, after, FEED_RING_REPORTS, this.#config.crypto), parent.state).reports
  }

  #load(id: Hash, parent: ParentView): Watched | undefined {
    const { crypto } = this.#config
    const entry = readFrom(readRow(id, crypto), parent.state)?.entry
    if (entry === undefined) return undefined
    const condition = conditionOf(entry, 'feed.compare')
    if (condition === null) return { entry, isStirred: false }
    const newest = readFrom(readSequence(condition.feed, crypto), parent.state)
    return { entry, isStirred: isBehind(entry, newest) || stirs(entry, this.#reports(condition.feed, entry.cursor, parent)) }
  }

  #rebuild(parent: ParentView): void {
    const { number } = parent.header
    this.#index.clear()
    this.#steps = []
    const count = readFrom(readRowCount(), parent.state)
    for (const id of readFrom(readRowIds(0, count, this.#config.crypto), parent.state)) this.#index.set(id, this.#load(id, parent))
    for (let height = Math.max(0, number - PARENT_VIEW_BLOCKS + 1); height <= number; height++)
      for (const { position, log } of this.#logsBetween(parent, height, height) ?? []) this.#index.noteLog(position, log)
  }
}

/** Whether a row's place in its feed is to be moved even without a crossing. */
function isBehind(entry: Entry, newest: bigint): boolean {
  return newest - entry.cursor >= BigInt(FEED_SWEEP_REPORTS)
}
