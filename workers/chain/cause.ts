/** Which bundle of this edge made a feed trigger fire, so that the latency of every hop can be shown. @module */
import { and, eq, gte } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { zFeedHistoryRead } from '#shared/api/chain-reads.ts'
import type { Entry } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import { call } from '#workers/chain/rpc.ts'
import { bundles } from '#workers/db/schema.ts'
import type { Env } from '#workers/env.ts'
import { sourceSets } from '#workers/oracle/registry.ts'

/** The round that completed the run of reports behind a fire; null when the history no longer shows it. */
async function causingRound(
  env: Env,
  feed: Hash,
  holdReports: number,
  digest: Hash,
  cursor: bigint,
  blockHash: Hash,
): Promise<number | null> {
  const after = cursor > 8n ? cursor - 8n : 0n
  const reports = await call(env, zFeedHistoryRead, 'fusion_feedHistory', [{ feed, after: after.toString(), limit: 16 }, blockHash])
  const report = reports.find((one) => one.digest === digest)
  return report === undefined ? null : Math.min(report.lastRound, report.firstRound + holdReports - 1)
}

/** Sequence of the bundle behind a fire, or null when the trigger has no feed or another edge made it. `entry` is the row after the fire. */
export async function causeOf(env: Env, entry: Entry, digest: Hash, blockHash: Hash): Promise<number | null> {
  const { mode } = entry.description
  if (mode.type !== 'event' || mode.when.kind !== 'feed.compare') return null
  const { feed, holdReports } = mode.when
  const round = await causingRound(env, feed, holdReports, digest, entry.cursor, blockHash)
  if (round === null) return null
  for (const set of await sourceSets(env))
    for (const [shard, feeds] of set.shards.entries()) {
      if (feeds.every(({ id }) => id !== feed)) continue
      const [row] = await drizzle(env.DB)
        .select({ sequence: bundles.sequence })
        .from(bundles)
        .where(and(eq(bundles.sourceSet, set.id), eq(bundles.shard, shard), gte(bundles.round, round)))
        .orderBy(bundles.round)
        .limit(1)
      return row?.sequence ?? null
    }
  return null
}
