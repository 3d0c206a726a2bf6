/** Bindings of the worker and its checked configuration. @module */
import { privateKeyToAccount } from 'viem/accounts'
import * as z from 'zod'
import { zAddress } from '#shared/api/http.ts'
import type { HeadFollower } from '#workers/chain/head-follower.ts'
import type { SourceFetcher } from '#workers/fetch/source-fetcher.ts'
import type { BundleLog } from '#workers/oracle/bundle-log.ts'
import type { Collector } from '#workers/oracle/collector.ts'
import type { FactCollector } from '#workers/oracle/fact-collector.ts'
import type { Submitter } from '#workers/submit/submitter.ts'
import type { SchedulerShard } from '#workers/triggers/scheduler-shard.ts'
import type { SigningSession } from '#workers/signing/session-relay.ts'
import type { ChainWatcher } from '#workers/watch/chain-watcher.ts'

/** What wrangler.toml binds; all vars are text. */
export interface Env {
  DB: D1Database
  COLLECTOR: DurableObjectNamespace<Collector>
  FACTS: DurableObjectNamespace<FactCollector>
  BUNDLES: DurableObjectNamespace<BundleLog>
  FETCHER: DurableObjectNamespace<SourceFetcher>
  WATCHER: DurableObjectNamespace<ChainWatcher>
  SCHEDULER: DurableObjectNamespace<SchedulerShard>
  HEAD: DurableObjectNamespace<HeadFollower>
  SUBMITTER: DurableObjectNamespace<Submitter>
  SIGNING: DurableObjectNamespace<SigningSession>
  RPC_URLS: string
  SCHEDULER_SHARDS: string
  RELAY_FEE_MIN_WEI: string
  FAUCET: string
  DEV_HOSTS: string
  JSON_SOURCES: string
  FOREIGN_CHAINS: string
  /** Secret: secp256k1 key of the operator, 0x hex. */
  OPERATOR_KEY: string
}

const zSource = z.strictObject({
  /** Owner and name of the source set: together they are its id. */
  owner: zAddress,
  set: z.string().min(1),
  /** Name of the feed inside the set. */
  feed: z.string().min(1),
  url: z.string(),
  /** Singular JSONPath of the value. */
  select: z.string(),
  decimals: z.int().min(0).max(18),
})
/** A registered JSON source that this edge polls. */
export type JsonSource = z.infer<typeof zSource>

const zForeignChain = z.strictObject({
  chainId: z.int().positive(),
  rpcUrl: z.url(),
  reporterOwner: zAddress,
  reporterSet: z.string().min(1),
})
/** A foreign chain that this edge watches, and the reporter set it signs for. */
export type ForeignChain = z.infer<typeof zForeignChain>

const list = (text: string): string[] =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== '')

const zVars = z.object({
  RPC_URLS: z.string().transform(list).pipe(z.array(z.url()).min(1)),
  SCHEDULER_SHARDS: z.coerce.number().int().min(1).max(256),
  RELAY_FEE_MIN_WEI: z.string().regex(/^\d+$/).transform(BigInt),
  FAUCET: z
    .string()
    .regex(/^\d*$/)
    .transform((text) => (text === '' ? null : BigInt(text))),
  DEV_HOSTS: z.string().transform(list),
  JSON_SOURCES: z.preprocess((text) => JSON.parse(String(text)) as unknown, z.array(zSource)),
  FOREIGN_CHAINS: z.preprocess((text) => JSON.parse(String(text)) as unknown, z.array(zForeignChain)),
  OPERATOR_KEY: z.string().regex(/^0x[0-9a-f]{64}$/, 'expected the secret OPERATOR_KEY, 32 bytes as 0x hex'),
})

type Config = Readonly<{
  rpcUrls: readonly string[]
  schedulerShards: number
  relayFeeMinWei: bigint
  /** Wei per grant, null when there is no faucet. */
  faucetWei: bigint | null
  devHosts: readonly string[]
  sources: readonly JsonSource[]
  foreignChains: readonly ForeignChain[]
}>

const configs = new WeakMap<Env, Config>()

/** The vars of this worker, checked once per isolate. @throws {ZodError} when a var is malformed: nothing works then */
export function config(env: Env): Config {
  const known = configs.get(env)
  if (known !== undefined) return known
  const vars = zVars.omit({ OPERATOR_KEY: true }).parse(env)
  const made: Config = {
    rpcUrls: vars.RPC_URLS,
    schedulerShards: vars.SCHEDULER_SHARDS,
    relayFeeMinWei: vars.RELAY_FEE_MIN_WEI,
    faucetWei: vars.FAUCET,
    devHosts: vars.DEV_HOSTS,
    sources: vars.JSON_SOURCES,
    foreignChains: vars.FOREIGN_CHAINS,
  }
  configs.set(env, made)
  return made
}

/** The operator's account. The key leaves this function only inside the account's closures. */
export function operator(env: Env) {
  return privateKeyToAccount(zVars.shape.OPERATOR_KEY.parse(env.OPERATOR_KEY) as `0x${string}`)
}
