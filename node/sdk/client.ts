/**
 * The client of a FUSION edge for dapps, data providers and readers. What matters is checked here and not believed: descriptions are
 * encoded and signed locally, receipts are verified, nonces are read from a validator. Runs wherever `fetch` is.
 * @module
 */
import type * as z from 'zod'
import type { Meta, Status } from '#shared/api/http-meta.ts'
import { zFaucetResponse, zHealth, zMeta, zStatus } from '#shared/api/http-meta.ts'
import type { Bundle, Feed } from '#shared/api/http-oracle.ts'
import { zEvidencePage, zFeed, zFeedList, zHistory, zReceipt } from '#shared/api/http-oracle.ts'
import type { Intent as RelayedIntent } from '#shared/api/http-trigger.ts'
import {
  zExplain,
  zFirePage,
  zIntent,
  zSchedule,
  zSimulateResponse,
  zTriggerPage,
  zTriggerRow,
  zValidateResponse,
} from '#shared/api/http-trigger.ts'
import type { TriggerJson } from '#shared/api/trigger.ts'
import { triggerFromJson } from '#shared/api/trigger.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { batchDigest } from '#shared/oracle/batch.ts'
import { batchToJson } from '#shared/oracle/json.ts'
import { isReceiptValid } from '#shared/oracle/receipt.ts'
import type { Batch, BatchReceipt } from '#shared/oracle/types.ts'
import { descHash } from '#shared/trigger/codec.ts'
import type { Intent } from '#shared/trigger/intents.ts'
import type { TriggerDescription } from '#shared/trigger/types.ts'
import type { Address, Hash, Wei } from '#shared/types.ts'
import type { BundleOptions } from '#node/sdk/bundles.ts'
import { followBundles } from '#node/sdk/bundles.ts'
import type { EdgeOptions } from '#node/sdk/edge-http.ts'
import { EdgeHttp, EdgeUnreachable, pause } from '#node/sdk/edge-http.ts'
import { readOwner } from '#node/sdk/owner.ts'
import type { Observations, TypedDataSigner } from '#node/sdk/signing.ts'
import { addressOf, signBatch, signIntent } from '#node/sdk/signing.ts'

/** Edge and, unless the edge's own list is good enough, the validator whose state is believed. */
export type ClientOptions = EdgeOptions & Readonly<{ rpcUrl?: string }>

/** Terms of an intent; what is left out is read from edge and chain. */
export type IntentTerms = Readonly<{ relayFeeWei?: Wei; nonce?: bigint; deadlineSec?: number }>
/** An intent without the part every intent has. */
type Wish = {
  [K in Intent['kind']]: Readonly<{ kind: K; message: Omit<Extract<Intent, { kind: K }>['message'], 'owner' | keyof Terms> }>
}[Intent['kind']]
type Terms = Readonly<{ relayFeeWei: bigint; nonce: bigint; deadline: bigint }>
/** A batch and the edge's signed word that it came in time: together with a bundle that lacks it, proof of an omission. */
export type PublishedBatch = Readonly<{ batch: Batch; receipt: BatchReceipt }>
/** Changes of an existing trigger that need no new description. */
export type PlainAction = 'pause' | 'resume' | 'cancel'

/** A description that does not have the promised form; every fault with its JSON pointer. */
export class TriggerInvalid extends Error {
  override readonly name = 'TriggerInvalid'
  readonly code = 'TRIGGER_INVALID'
  readonly issues: readonly Readonly<{ pointer: string; code: string; detail: string }>[]

  constructor(issues: TriggerInvalid['issues']) {
    super(
      [
        'the trigger is not valid',
        ...issues.map(({ pointer, code, detail }) => `${pointer === '' ? '/' : pointer}: ${detail} (${code})`),
      ].join('\n  '),
    )
    this.issues = issues
  }
}

/** Seconds an intent stays valid unless said otherwise. */
const DEADLINE_SEC = 600
const INTENT_POLL_MS = 500
const INTENT_WAIT_MS = 60_000
const KINDS = { pause: 'Pause', resume: 'Resume', cancel: 'Cancel' } as const

/** A client of one edge. Meta data is asked once. */
export class FusionClient {
  readonly #http: EdgeHttp
  readonly #rpcUrl: string | undefined
  #meta: Promise<Meta> | null = null

  constructor(options: ClientOptions) {
    this.#http = new EdgeHttp(options)
    this.#rpcUrl = options.rpcUrl
  }

  /** Chain, operator and limits of the edge. */
  meta(): Promise<Meta> {
    this.#meta ??= this.#http.get(zMeta, '/v1/meta').catch((error: unknown) => {
      this.#meta = null
      throw error
    })
    return this.#meta
  }

  /** Whether the edge lives and reaches a validator. */
  health(): Promise<z.output<typeof zHealth>> {
    return this.#http.get(zHealth, '/healthz')
  }

  /** What the edge's status page shows. */
  status(): Promise<Status> {
    return this.#http.get(zStatus, '/v1/status')
  }

  /** Development networks only: asks for coins. */
  async faucet(address: Address): Promise<Readonly<{ txHash: Hash; amountWei: Wei }>> {
    const { txHash, amountWei } = await this.#http.send(zFaucetResponse, 'POST', '/v1/faucet', { address })
    return { txHash, amountWei: BigInt(amountWei) }
  }

  /** All feeds with their newest report. */
  async feeds(): Promise<readonly Feed[]> {
    return (await this.#http.get(zFeedList, '/v1/feeds')).items
  }

  /** The feed with this id, "set/feed" name, or plain name where only one feed has it; null when there is none. */
  async findFeed(nameOrId: string): Promise<Feed | null> {
    return pickFeed(await this.feeds(), nameOrId)
  }

  /** One feed with its newest report. */
  latest(feed: Hash): Promise<Feed> {
    return this.#http.get(zFeed, `/v1/feeds/${feed}/latest`)
  }

  /** Stored reports after a sequence, oldest first. */
  history(feed: Hash, query: Readonly<{ after?: string; limit?: number }> = {}): Promise<z.output<typeof zHistory>> {
    return this.#http.get(zHistory, `/v1/feeds/${feed}/history`, query)
  }

  /** Signs and publishes one round of values; gives the receipt after checking that this edge's operator signed it for this very batch. */
  async publishBatch(provider: TypedDataSigner, observations: Observations): Promise<PublishedBatch> {
    const { genesisHash, operator } = await this.meta()
    const batch = await signBatch(provider, observations, genesisHash)
    const receipt = await this.#http.send(zReceipt, 'POST', '/v1/batches', batchToJson(batch))
    const digest = bytesToHex(batchDigest(batch, genesisHash, nobleSuite))
    if (receipt.collector !== operator || receipt.digest !== digest || !isReceiptValid(receipt, genesisHash, nobleSuite))
      throw new EdgeUnreachable('EDGE_ANSWER_INVALID', 'the receipt is not for this batch or not signed by the operator of this edge')
    return { batch, receipt }
  }

  /** Closed rounds after a sequence, in order, for ever. */
  bundles(options: BundleOptions = {}): AsyncGenerator<Bundle> {
    return followBundles(this.#http, options)
  }

  /** Proven faults of providers and reporters, newest first. */
  evidence(query: Readonly<{ cursor?: string; limit?: number }> = {}): Promise<z.output<typeof zEvidencePage>> {
    return this.#http.get(zEvidencePage, '/v1/evidence', query)
  }

  /** Encodes a description as the chain will hold it. @throws {TriggerInvalid} */
  async describe(trigger: TriggerJson): Promise<TriggerDescription> {
    const feeds = await this.feeds()
    const parsed = triggerFromJson(trigger, (name) => pickFeed(feeds, name))
    if (!parsed.ok) throw new TriggerInvalid(parsed.issues)
    return parsed.description
  }

  /** Checks a description against schema and chain limits, with its cost. */
  validate(trigger: TriggerJson): Promise<z.output<typeof zValidateResponse>> {
    return this.#http.send(zValidateResponse, 'POST', '/v1/triggers:validate', { trigger })
  }

  /** Would it fire on the present head, and what would its call do? `feedValue` stands in for a feed's newest report. */
  simulate(trigger: TriggerJson, owner: Address, feedValue?: string): Promise<z.output<typeof zSimulateResponse>> {
    return this.#http.send(zSimulateResponse, 'POST', '/v1/triggers:simulate', {
      trigger,
      owner,
      ...(feedValue === undefined ? {} : { feedValue }),
    })
  }

  /** Registers a trigger by a signed intent. Deposit, `fundWei` and relay fee come from the owner's balance in the calling list. */
  async register(owner: TypedDataSigner, trigger: TriggerJson, fundWei: Wei, terms: IntentTerms = {}): Promise<RelayedIntent> {
    const hash = descHash(await this.describe(trigger))
    const signed = await this.#sign(owner, { kind: 'Register', message: { descHash: hash, fundWei } }, terms)
    return this.#http.send(zIntent, 'POST', '/v1/triggers', { trigger, fundWei: fundWei.toString(), ...signed })
  }

  /** Replaces a trigger's description. `revision` guards against a change in between. */
  async revise(owner: TypedDataSigner, id: Hash, revision: number, trigger: TriggerJson, terms: IntentTerms = {}): Promise<RelayedIntent> {
    const hash = descHash(await this.describe(trigger))
    const signed = await this.#sign(owner, { kind: 'Revise', message: { id, descHash: hash } }, terms)
    return this.#http.send(zIntent, 'PATCH', `/v1/triggers/${id}`, { trigger, ...signed }, { 'if-match': `"${revision}"` })
  }

  /** Pauses, resumes or cancels a trigger. Cancelling refunds deposit and funding to the owner's balance. */
  async act(owner: TypedDataSigner, action: PlainAction, id: Hash, terms: IntentTerms = {}): Promise<RelayedIntent> {
    const signed = await this.#sign(owner, { kind: KINDS[action], message: { id } }, terms)
    return this.#http.send(zIntent, 'POST', `/v1/triggers/${id}/${action}`, signed)
  }

  /** Moves an amount from the owner's balance to a trigger, or back. */
  async move(
    owner: TypedDataSigner,
    action: 'fund' | 'withdraw',
    id: Hash,
    amountWei: Wei,
    terms: IntentTerms = {},
  ): Promise<RelayedIntent> {
    const signed = await this.#sign(owner, { kind: action === 'fund' ? 'Fund' : 'Withdraw', message: { id, amountWei } }, terms)
    return this.#http.send(zIntent, 'POST', `/v1/triggers/${id}/${action}`, { amountWei: amountWei.toString(), ...signed })
  }

  /** State of a relayed intent. */
  intent(id: Hash): Promise<RelayedIntent> {
    return this.#http.get(zIntent, `/v1/intents/${id}`)
  }

  /** Waits until an intent is in a block or has failed; gives its last state when the time is up. */
  async settled(id: Hash, waitMs: number = INTENT_WAIT_MS): Promise<RelayedIntent> {
    const end = Date.now() + waitMs
    for (;;) {
      const intent = await this.intent(id)
      if (intent.status !== 'SENT' || Date.now() >= end) return intent
      await pause(INTENT_POLL_MS)
    }
  }

  /** Rows of the calling list. */
  triggers(
    query: Readonly<{ owner?: Address; contract?: Address; status?: string; cursor?: string; limit?: number }> = {},
  ): Promise<z.output<typeof zTriggerPage>> {
    return this.#http.get(zTriggerPage, '/v1/triggers', query)
  }

  /** One row. */
  trigger(id: Hash): Promise<z.output<typeof zTriggerRow>> {
    return this.#http.get(zTriggerRow, `/v1/triggers/${id}`)
  }

  /** Firings of a trigger, newest first. */
  fires(id: Hash, query: Readonly<{ cursor?: string; limit?: number }> = {}): Promise<z.output<typeof zFirePage>> {
    return this.#http.get(zFirePage, `/v1/triggers/${id}/fires`, query)
  }

  /** Why a trigger fires or does not on the present head. */
  explain(id: Hash): Promise<z.output<typeof zExplain>> {
    return this.#http.get(zExplain, `/v1/triggers/${id}/explain`)
  }

  /** The next `n` due times. */
  schedule(id: Hash, n = 5): Promise<z.output<typeof zSchedule>> {
    return this.#http.get(zSchedule, `/v1/triggers/${id}/schedule`, { n })
  }

  async #terms(owner: Address, given: IntentTerms, meta: Meta): Promise<Terms> {
    const nonce = given.nonce ?? (await readOwner(this.#rpcUrl ?? meta.rpcUrls[0] ?? '', owner)).nonce
    const deadline = BigInt(given.deadlineSec ?? Math.floor(Date.now() / 1000) + DEADLINE_SEC)
    return { relayFeeWei: given.relayFeeWei ?? BigInt(meta.relayFeeMinWei), nonce, deadline }
  }

  async #sign(account: TypedDataSigner, wish: Wish, given: IntentTerms) {
    const meta = await this.meta()
    const owner = addressOf(account)
    const terms = await this.#terms(owner, given, meta)
    const intent = { kind: wish.kind, message: { owner, ...wish.message, ...terms } } as Intent
    const signature = await signIntent(account, intent, meta.chainId, meta.genesisHash)
    const { relayFeeWei, nonce, deadline } = terms
    return { owner, relayFeeWei: relayFeeWei.toString(), nonce: nonce.toString(), deadline: deadline.toString(), signature }
  }
}

function pickFeed(feeds: readonly Feed[], nameOrId: string): Feed | null {
  const exact = feeds.find((feed) => feed.id === nameOrId || `${feed.sourceSetName}/${feed.name}` === nameOrId)
  if (exact !== undefined) return exact
  const named = feeds.filter((feed) => feed.name === nameOrId)
  return named.length === 1 ? (named[0] ?? null) : null
}
