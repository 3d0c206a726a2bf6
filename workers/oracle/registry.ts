/** Source sets and feeds as the chain has them, kept for a moment per isolate. @module */
import { type FeedRead, type SourceSetJson, zFeedRead, zSourceSets } from '#shared/api/chain-reads.ts'
import type { SourceSet } from '#shared/oracle/types.ts'
import type { Hash } from '#shared/types.ts'
import { call, ChainUnreachableError } from '#workers/chain/rpc.ts'
import type { Env } from '#workers/env.ts'

const FRESH_MS = 10_000

type Kept = Readonly<{ atMs: number; sets: SourceSetJson[] }>
const kept = new Map<string, Kept>()

/** All source sets at the head, at most ten seconds old; older ones while no validator answers, since collecting must go on then. */
export async function sourceSets(env: Env): Promise<readonly SourceSetJson[]> {
  const known = kept.get(env.RPC_URLS)
  if (known !== undefined && Date.now() - known.atMs < FRESH_MS) return known.sets
  try {
    const sets = await call(env, zSourceSets, 'fusion_sourceSets', ['latest'])
    kept.set(env.RPC_URLS, { atMs: Date.now(), sets })
    return sets
  } catch (error) {
    if (known !== undefined && error instanceof ChainUnreachableError) return known.sets
    throw error
  }
}

/** One source set, or null. A new one is known after ten seconds at most. */
export async function sourceSet(env: Env, id: Hash): Promise<SourceSetJson | null> {
  const find = (sets: readonly SourceSetJson[]) => sets.find((set) => set.id === id) ?? null
  return find(await sourceSets(env))
}

/** A feed and its newest report at the head, or null. */
export const readFeed = (env: Env, id: Hash): Promise<FeedRead> => call(env, zFeedRead, 'fusion_feed', [id, 'latest'])

/** The same set as the pure machines take it. */
export const toSourceSet = (json: SourceSetJson): SourceSet => ({
  id: json.id,
  kind: json.kind,
  members: json.members,
  roundMs: json.roundMs,
  shardCount: json.shards.length,
  feeds: json.shards.map((shard) => shard.map(({ id }) => id)),
  owner: json.owner,
  fundingWei: BigInt(json.fundingWei),
})
