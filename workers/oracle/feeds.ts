/** Feeds for HTTP: what the chain stores, with names and decimals. @module */
import type { SourceSetJson } from '#shared/api/chain-reads.ts'
import type { Feed } from '#shared/api/http-oracle.ts'
import { fromFixedPoint } from '#shared/oracle/decimal.ts'
import type { Hash } from '#shared/types.ts'
import { finality } from '#workers/chain/rpc.ts'
import type { Env } from '#workers/env.ts'
import { readFeed, sourceSets } from '#workers/oracle/registry.ts'

async function toFeed(env: Env, set: SourceSetJson, shard: number, id: Hash, blockNumber: number): Promise<Feed | null> {
  const feed = await readFeed(env, id)
  if (feed === null) return null
  const { latest } = feed
  return {
    id,
    name: feed.name,
    decimals: feed.decimals,
    sourceSet: set.id,
    sourceSetName: set.name,
    shard,
    roundMs: set.roundMs,
    members: set.members,
    latest,
    text: latest === null ? null : fromFixedPoint(BigInt(latest.value), feed.decimals),
    blockNumber,
  }
}

/** The first `limit` feeds of all sets. */
export async function allFeeds(env: Env, limit: number): Promise<Feed[]> {
  const [sets, { head }] = await Promise.all([sourceSets(env), finality(env)])
  const places = sets.flatMap((set) => set.shards.flatMap((feeds, shard) => feeds.map(({ id }) => ({ set, shard, id }))))
  const feeds = await Promise.all(places.slice(0, limit).map(({ set, shard, id }) => toFeed(env, set, shard, id, head.number)))
  return feeds.filter((feed) => feed !== null)
}

/** One feed by id, or null. */
export async function feedById(env: Env, id: Hash): Promise<Feed | null> {
  const [sets, { head }] = await Promise.all([sourceSets(env), finality(env)])
  for (const set of sets)
    for (const [shard, feeds] of set.shards.entries())
      if (feeds.some((feed) => feed.id === id)) return toFeed(env, set, shard, id, head.number)
  return null
}
