/**
 * JSON answers of the `fusion_*` methods about feeds, source sets and the calling list: what validators serve and edges read.
 * Integers that may exceed 2^53 are decimal text. Source: docs/protocol.md.
 * @module
 */
import * as z from 'zod'
import { zFeedReport } from '#shared/api/http-oracle.ts'
import { zExplain } from '#shared/api/http-trigger.ts'
import { zAddress, zCount, zHash, zUint } from '#shared/api/http.ts'
import type { FeedReport } from '#shared/trigger/types.ts'

/** One feed inside a shard of its source set. */
const zSetFeed = z.object({ id: zHash, name: z.string(), decimals: zCount })

/** `fusion_sourceSets(blockTag)`: all source sets. `shards` is empty for reporters. */
export const zSourceSets = z.array(
  z.object({
    id: zHash,
    name: z.string(),
    kind: z.enum(['provider', 'reporter']),
    owner: zAddress,
    members: z.array(zAddress),
    roundMs: zCount,
    fundingWei: zUint,
    shards: z.array(z.array(zSetFeed)),
  }),
)
export type SourceSetJson = z.infer<typeof zSourceSets>[number]

/** `fusion_feed(feedId, blockTag)`: a feed and its newest report; null when there is no such feed. */
export const zFeedRead = zSetFeed.extend({ sourceSet: zHash, shard: zCount, latest: zFeedReport.nullable() }).nullable()
export type FeedRead = z.infer<typeof zFeedRead>

/** `fusion_feedHistory({feed, after, limit}, blockTag)`: reports with a sequence above `after`, oldest first. */
export const zFeedHistoryRead = z.array(zFeedReport)
export type FeedReportJson = z.infer<typeof zFeedReport>

/** `fusion_callingList({after, limit}, blockTag)`: rows in order of registration, the first `after` skipped. Rows have the codec of entry.ts. */
export const zCallingListRead = z.object({ total: zCount, items: z.array(z.unknown()) })

/** `fusion_explain(id)`: why an entry does or does not fire on the head; null when there is no such entry. */
export const zExplainRead = zExplain.nullable()

/** A report as JSON. */
export const feedReportToJson = (report: FeedReport): FeedReportJson => ({
  sequence: report.sequence.toString(),
  value: report.value.toString(),
  status: report.status,
  firstRound: report.firstRound,
  lastRound: report.lastRound,
  observedAtMs: report.observedAtMs,
  lastObservedAtMs: report.lastObservedAtMs,
  afterGap: report.afterGap,
  digest: report.digest,
})
