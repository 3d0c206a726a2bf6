/** Which scheduler shard looks after an entry, and how the shards learn what happened. @module */
import type { Entry } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import type { Head } from '#workers/chain/head.ts'
import type { Change } from '#workers/chain/projection.ts'
import { config, type Env } from '#workers/env.ts'
import type { ProvenDeposit, ScheduledRow, SchedulerShard } from '#workers/triggers/scheduler-shard.ts'

/** Shard of an entry: its id is a hash already. */
const shardOf = (id: Hash, count: number): number => Number.parseInt(id.slice(2, 10), 16) % count

const shards = (env: Env): DurableObjectStub<SchedulerShard>[] =>
  Array.from({ length: config(env).schedulerShards }, (_, index) => env.SCHEDULER.getByName(`shard-${index}`))

/** What a shard's index holds of an entry. */
export function scheduledRow(entry: Entry): ScheduledRow {
  const { mode } = entry.description
  const isActive = entry.status === 'ACTIVE'
  const kind = mode.type === 'active' ? 'active' : mode.when.kind
  return {
    id: entry.id,
    kind: isActive ? kind : 'inactive',
    watch: mode.type === 'event' && mode.when.kind === 'feed.compare' ? mode.when.feed : '',
    dueMs: isActive && mode.type === 'timing' && kind !== 'height' ? entry.dueAt : 0,
    dueHeight: isActive && kind === 'height' ? entry.dueAt : 0,
  }
}

/** Tells every shard about a new head, and about those entries and feeds that changed. */
export async function wakeSchedulers(env: Env, head: Head, change: Change): Promise<void> {
  const rows = change.entries.map((entry) => scheduledRow(entry))
  const all = shards(env)
  await Promise.all(
    all.map((shard, index) =>
      shard.onHead(head, {
        rows: rows.filter(({ id }) => shardOf(id, all.length) === index),
        feeds: [...change.feeds],
        confirmed: [...change.confirmed],
        hasTransactions: change.hasTransactions,
      }),
    ),
  )
}

/** Offers a proven payment to every shard; each looks for entries of its own that wait for it. */
export async function offerDeposit(env: Env, proven: ProvenDeposit): Promise<void> {
  await Promise.all(shards(env).map((shard) => shard.onDeposit(proven)))
}

/** Wakes shards whose alarm was lost; the cron calls this. */
export async function ensureSchedulers(env: Env): Promise<void> {
  await Promise.all(shards(env).map((shard) => shard.ensure()))
}
