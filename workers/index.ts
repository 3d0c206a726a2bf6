/**
 * The edge as one worker: HTTP, a cron that repairs, and the Durable Objects. Everything runs by alarms; the cron and the first request of an
 * isolate only make sure that every alarm is set.
 * @module
 */
import { headFollower } from '#workers/chain/head-follower.ts'
import { pruneRecords } from '#workers/db/records.ts'
import { config, type Env } from '#workers/env.ts'
import { polledSets, sourceFetcher } from '#workers/fetch/source-fetcher.ts'
import { app } from '#workers/http/app.ts'
import { pruneIdempotency } from '#workers/http/idempotency.ts'
import { ensureSchedulers } from '#workers/triggers/wake.ts'
import { chainWatcher } from '#workers/watch/chain-watcher.ts'

export { HeadFollower } from '#workers/chain/head-follower.ts'
export { SourceFetcher } from '#workers/fetch/source-fetcher.ts'
export { BundleLog } from '#workers/oracle/bundle-log.ts'
export { Collector } from '#workers/oracle/collector.ts'
export { FactCollector } from '#workers/oracle/fact-collector.ts'
export { SigningSession } from '#workers/signing/session-relay.ts'
export { Submitter } from '#workers/submit/submitter.ts'
export { SchedulerShard } from '#workers/triggers/scheduler-shard.ts'
export { ChainWatcher } from '#workers/watch/chain-watcher.ts'

/** Sets every alarm that is not set. Idempotent. */
async function ensureRunning(env: Env): Promise<void> {
  await Promise.all([
    headFollower(env).ensure(),
    ensureSchedulers(env),
    ...polledSets(env).map((set) => sourceFetcher(env, set).ensure(set)),
    ...config(env).foreignChains.map(({ chainId }) => chainWatcher(env, chainId).ensure(chainId)),
  ])
}

let isStarted = false

export default {
  async fetch(request, env, ctx) {
    if (!isStarted) {
      isStarted = true
      ctx.waitUntil(
        ensureRunning(env).catch((error: unknown) => {
          isStarted = false
          console.error('start', String(error))
        }),
      )
    }
    return app.fetch(request, env, ctx)
  },
  async scheduled(_controller, env) {
    await ensureRunning(env)
    await Promise.all([pruneIdempotency(env, Date.now()), pruneRecords(env, Date.now())])
  },
} satisfies ExportedHandler<Env>
