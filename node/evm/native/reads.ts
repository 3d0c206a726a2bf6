/** Calling list and feeds as JSON, pinned to a block. @module */
import type { NativeConfig } from '#node/evm/native/config.ts'
import { answerRead } from '#node/evm/native/judge.ts'
import type { ParentView } from '#node/evm/native-types.ts'
import type { NativeReads } from '#node/rpc/native-reads.ts'
import type { FeedRead, FeedReportJson, SourceSetJson } from '#shared/api/chain-reads.ts'
import { feedReportToJson } from '#shared/api/chain-reads.ts'
import { entryToJson } from '#shared/api/entry.ts'
import { readKeyFromJson, readValueToJson } from '#shared/api/reads.ts'
import type { Reading } from '#shared/codec/solidity-storage.ts'
import { readFrom } from '#shared/codec/solidity-storage.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { Header } from '#shared/hhcm/types.ts'
import { readFeed, readHistory, readLatestReport, readSourceSet, readSourceSetIds } from '#shared/oracle/feed-registry.ts'
import { readRow, readRowCount, readRowIds } from '#shared/trigger/calling-list.ts'
import type { Hash } from '#shared/types.ts'

type Suite = Pick<CryptoSuite, 'keccak256'>

function* callingList(after: number, limit: number, suite: Suite): Reading<unknown> {
  const items: unknown[] = []
  for (const id of yield* readRowIds(after, limit, suite)) {
    const row = yield* readRow(id, suite)
    if (row !== null) items.push(entryToJson(row.entry))
  }
  return { total: yield* readRowCount(), items }
}

function* sourceSet(id: Hash, suite: Suite): Reading<readonly SourceSetJson[]> {
  const set = yield* readSourceSet(id, suite)
  if (set === null) return []
  const shards: SourceSetJson['shards'] = []
  for (const ids of set.feeds) {
    const feeds: SourceSetJson['shards'][number] = []
    for (const feed of ids) {
      const known = yield* readFeed(feed, suite)
      if (known !== null) feeds.push({ id: feed, name: known.name, decimals: known.decimals })
    }
    shards.push(feeds)
  }
  const { name, kind, owner, members, roundMs, fundingWei } = set
  return [{ id, name, kind, owner, members: [...members], roundMs, fundingWei: fundingWei.toString(), shards }]
}

function* sourceSets(suite: Suite): Reading<readonly SourceSetJson[]> {
  const sets: SourceSetJson[] = []
  for (const id of yield* readSourceSetIds(suite)) sets.push(...(yield* sourceSet(id, suite)))
  return sets
}

function* feedRead(id: Hash, suite: Suite): Reading<FeedRead> {
  const feed = yield* readFeed(id, suite)
  if (feed === null) return null
  const latest = yield* readLatestReport(id, suite)
  const { name, decimals, shard, sourceSet: set } = feed
  return { id, name, decimals, sourceSet: set, shard, latest: latest === null ? null : feedReportToJson(latest) }
}

function* feedHistory(id: Hash, after: bigint, limit: number, suite: Suite): Reading<readonly FeedReportJson[]> {
  return (yield* readHistory(id, after, limit, suite)).reports.map(feedReportToJson)
}

/** The reads over views of blocks. `explain` asks about the head. */
export function createNativeReads(
  config: NativeConfig,
  viewOf: (header: Header) => ParentView,
  explain: (id: Hash) => Promise<unknown>,
): NativeReads {
  const { crypto } = config
  const at = <T>(header: Header, reading: Reading<T>): T => readFrom(reading, viewOf(header).state)
  return {
    callingList: ({ after, limit }, header) => at(header, callingList(after, limit, crypto)),
    entry: (id, header) => {
      const row = at(header, readRow(id, crypto))
      return row === null ? null : entryToJson(row.entry)
    },
    explain,
    sourceSets: (header) => at(header, sourceSets(crypto)),
    feed: (id, header) => at(header, feedRead(id, crypto)),
    feedHistory: (feed, { after, limit }, header) => at(header, feedHistory(feed, after, limit, crypto)),
    read: async (key, header) => readValueToJson(await answerRead(readKeyFromJson(key), viewOf(header), config)),
  }
}
