/** Reads of calling list and feeds that the `fusion_*` methods serve, as JSON values; composed from the native modules in the node's start-up. @module */
import type { Header } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'

/** `after` items are skipped, at most `limit` follow. */
export type Page = Readonly<{ after: number; limit: number }>

/** Every read is pinned to a block the node holds; null means that the thing does not exist there. */
export type NativeReads = Readonly<{
  /** Entries in order of registration, `after` counted ones skipped. */
  callingList: (page: Page, header: Header) => unknown
  entry: (id: Hash, header: Header) => unknown
  /** Why an entry does or does not fire on the head. */
  explain: (id: Hash) => Promise<unknown>
  sourceSets: (header: Header) => unknown
  feed: (id: Hash, header: Header) => unknown
  /** Stored reports with a sequence above `after`. */
  feedHistory: (feed: Hash, page: Readonly<{ after: bigint; limit: number }>, header: Header) => unknown
  /** One read of the evaluator's closed set. @throws {DecodeError} for a key that is none */
  read: (key: unknown, header: Header) => Promise<unknown>
}>
