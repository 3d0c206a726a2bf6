/**
 * Polls this edge's registered JSON sources of one source set, once a round, signs what they say as a provider of that set and gives it to the
 * collector like any provider would. Source: whitepaper 4.2.2.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { batchOfFetch, fetchedKey, type FetchRound, type JsonSource, nextFetchMs, planFetches } from '#shared/oracle/fetch-plan.ts'
import { feedId, sourceSetId } from '#shared/oracle/ids.ts'
import { batchToJson } from '#shared/oracle/json.ts'
import type { UrlAllowance } from '#shared/oracle/url-guard.ts'
import type { Hash } from '#shared/types.ts'
import { chainMeta } from '#workers/chain/rpc.ts'
import { config, type Env } from '#workers/env.ts'
import { fetchSource } from '#workers/fetch/http-source.ts'
import { collector } from '#workers/oracle/collector.ts'
import { sourceSet } from '#workers/oracle/registry.ts'
import { signBatch } from '#workers/submit/signing.ts'

/** Pause while the set is not on chain or the chain does not answer. */
const RETRY_MS = 5000
/** A round's observation is made this long after the round began, so that clocks a little apart agree on the round. */
const INTO_ROUND_MS = 40
/** Outgoing connections one invocation may hold open. */
const PARALLEL = 6

/** Ids of all source sets this edge polls for. */
export const polledSets = (env: Env): Hash[] => [
  ...new Set(config(env).sources.map(({ owner, set }) => sourceSetId(owner, set, nobleSuite))),
]

/** The sources of one set with what the chain says about their feeds; null while the set is not there. Unregistered feeds are left out. */
async function resolveSources(env: Env, setId: Hash): Promise<JsonSource[] | null> {
  const set = await sourceSet(env, setId)
  if (set === null) return null
  const sources: JsonSource[] = []
  for (const source of config(env).sources) {
    if (sourceSetId(source.owner, source.set, nobleSuite) !== setId) continue
    const feed = feedId(setId, source.feed, nobleSuite)
    for (const [shard, feeds] of set.shards.entries()) {
      const known = feeds.find(({ id }) => id === feed)
      if (known !== undefined)
        sources.push({
          feed,
          sourceSet: setId,
          shard,
          roundMs: set.roundMs,
          url: source.url,
          select: source.select,
          decimals: known.decimals,
        })
    }
  }
  return sources
}

/** Registered hosts over https, and those of a development machine. */
function allowanceOf(env: Env): UrlAllowance {
  const { sources, devHosts } = config(env)
  return { hosts: sources.map(({ url }) => URL.parse(url)?.hostname ?? ''), developmentOrigins: devHosts }
}

export class SourceFetcher extends DurableObject<Env> {
  /** Starts polling for a set when it does not; any number of times. */
  async ensure(setId: Hash): Promise<void> {
    await this.ctx.storage.put('set', setId)
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now())
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + RETRY_MS)
    try {
      const setId = await this.ctx.storage.get<Hash>('set')
      const sources = setId === undefined ? null : await resolveSources(this.env, setId)
      if (sources === null || sources.length === 0) return
      const fetched = new Map(Object.entries((await this.ctx.storage.get<Record<string, number>>('fetched')) ?? {}))
      const plans = planFetches(sources, fetched, Date.now())
      for (const plan of plans) fetched.set(fetchedKey(plan), plan.round)
      await this.ctx.storage.put('fetched', Object.fromEntries(fetched))
      const next = nextFetchMs(sources, Date.now())
      if (next !== null) await this.ctx.storage.setAlarm(next + INTO_ROUND_MS)
      for (const plan of plans) await this.#run(plan)
    } catch (error) {
      console.warn(`fetcher: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  async #run(plan: FetchRound): Promise<void> {
    const observedAtMs = Date.now()
    const allowance = allowanceOf(this.env)
    const results = []
    for (let index = 0; index < plan.sources.length; index += PARALLEL)
      results.push(...(await Promise.all(plan.sources.slice(index, index + PARALLEL).map((source) => fetchSource(source, allowance)))))
    const last = (await this.ctx.storage.get<Map<Hash, bigint>>('values')) ?? new Map<Hash, bigint>()
    const { batch, values, faults } = batchOfFetch(plan, results, last, observedAtMs)
    for (const { feed, code } of faults) console.warn(`source of feed ${feed}: ${code}`)
    await this.ctx.storage.put('values', new Map(values))
    if (batch === null) return
    const { genesisHash } = await chainMeta(this.env)
    const answer = await collector(this.env, plan.sourceSet, plan.shard).take(batchToJson(await signBatch(this.env, batch, genesisHash)))
    if (!answer.ok) console.warn(`own batch of round ${plan.round}: ${answer.code}`)
  }
}

/** The fetcher of one set. */
export const sourceFetcher = (env: Env, setId: Hash): DurableObjectStub<SourceFetcher> => env.FETCHER.getByName(setId)
