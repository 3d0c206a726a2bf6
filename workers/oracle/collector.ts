/**
 * One shard's collector: a shell that stores what the pure machine decided before it answers, signs receipts, and hands closed rounds to the
 * bundle log and the validators. A closed round waits in an outbox until both have it. Source: whitepaper 4.2.2.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import type { BatchJson, ReceiptJson } from '#shared/api/http-oracle.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { batchDigest } from '#shared/oracle/batch.ts'
import {
  type CollectedRound,
  type CollectorConfig,
  type CollectorEffect,
  type CollectorEvent,
  type CollectorState,
  emptyCollector,
  nextDeadlineMs,
  stepCollector,
} from '#shared/oracle/collector.ts'
import { batchFromJson, batchToJson } from '#shared/oracle/json.ts'
import type { UnsignedAttestationTx } from '#shared/oracle/transaction.ts'
import type { Batch } from '#shared/oracle/types.ts'
import type { Hash } from '#shared/types.ts'
import { chainMeta } from '#workers/chain/rpc.ts'
import { recordEvidence } from '#workers/db/records.ts'
import type { Env } from '#workers/env.ts'
import { bundleLog } from '#workers/oracle/bundle-log.ts'
import { sourceSet, toSourceSet } from '#workers/oracle/registry.ts'
import { ObjectTable } from '#workers/oracle/object-table.ts'
import { operatorAddress, signAttestation, signReceipt } from '#workers/submit/signing.ts'
import { submitNative } from '#workers/submit/submission.ts'

const RETRY_MS = 1000
/** A bundle no validator takes is dropped from the outbox after this long; it stays in the log, and its round is outside the window. */
const OUTBOX_MS_MAX = 60_000

type Place = Readonly<{ sourceSet: Hash; shard: number }>
type Waiting = Readonly<{ tx: UnsignedAttestationTx; batchAtMs: number; bundleAtMs: number }>
/** Answer to a batch. */
export type BatchAnswer = Readonly<{ ok: true; receipt: ReceiptJson } | { ok: false; code: string; pointer: string; detail: string }>

const POINTERS: Readonly<Record<string, string>> = {
  SIGNATURE_INVALID: '/signature',
  PROVIDER_UNKNOWN: '/provider',
  SOURCE_SET: '/sourceSet',
  SHARD_UNKNOWN: '/shard',
  ROUND_AHEAD: '/round',
  ROUND_CLOSED: '/round',
  ROUND_EXPIRED: '/round',
  EQUIVOCATION: '/round',
  TIME_NOT_IN_ROUND: '/observedAtMs',
}

export class Collector extends DurableObject<Env> {
  readonly #rounds: ObjectTable<CollectedRound>
  readonly #outbox: ObjectTable<Waiting>

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#rounds = new ObjectTable(ctx.storage, 'rounds')
    this.#outbox = new ObjectTable(ctx.storage, 'outbox')
  }

  /** Takes one batch. The receipt is signed after the batch is stored. */
  async take(json: BatchJson): Promise<BatchAnswer> {
    const place = { sourceSet: json.sourceSet, shard: json.shard }
    const config = await this.#config(place)
    if (config === null) return { ok: false, code: 'SOURCE_SET', pointer: '/sourceSet', detail: 'there is no such source set' }
    await this.ctx.storage.put<Place>('place', place)
    const effects = await this.#step({ kind: 'batch', batch: batchFromJson(json), nowMs: Date.now() }, config)
    for (const effect of effects) if (effect.kind === 'equivocation') await this.#accuse(effect.first, effect.second, config)
    const [answer] = effects.filter((effect) => effect.kind === 'receipt' || effect.kind === 'refuse')
    if (answer?.kind === 'receipt') return { ok: true, receipt: await signReceipt(this.env, answer.receipt, config.genesisHash) }
    const code = answer?.code ?? 'REFUSED'
    return { ok: false, code, pointer: POINTERS[code] ?? '/leaves', detail: `the batch breaks the rule ${code}` }
  }

  override async alarm(): Promise<void> {
    const place = await this.ctx.storage.get<Place>('place')
    if (place === undefined) return
    await this.ctx.storage.setAlarm(Date.now() + RETRY_MS)
    const config = await this.#config(place).catch(() => null)
    if (config === null) return
    await this.#step({ kind: 'tick', nowMs: Date.now() }, config)
    await this.#deliver()
    await this.ctx.storage.deleteAlarm()
    await this.#arm(config)
  }

  async #config(place: Place): Promise<CollectorConfig | null> {
    const [set, meta] = await Promise.all([sourceSet(this.env, place.sourceSet), chainMeta(this.env)])
    if (set === null) return null
    return {
      set: toSourceSet(set),
      shard: place.shard,
      chainId: meta.chainId,
      genesisHash: meta.genesisHash,
      collector: operatorAddress(this.env),
      suite: nobleSuite,
    }
  }

  #load(): CollectorState {
    const { nextSequence, closedThrough } = this.ctx.storage.kv.get<Omit<CollectorState, 'rounds'>>('counters') ?? emptyCollector
    return { nextSequence, closedThrough, rounds: this.#rounds.all().toSorted((left, right) => left.round - right.round) }
  }

  /** State and outbox change together, before anything leaves the object. */
  async #step(event: CollectorEvent, config: CollectorConfig): Promise<readonly CollectorEffect[]> {
    const before = this.#load()
    const { state, effects } = stepCollector(before, event, config)
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.kv.put('counters', { nextSequence: state.nextSequence, closedThrough: state.closedThrough })
      this.#rounds.replace(before.rounds, state.rounds, (round) => String(round.round))
      for (const effect of effects)
        if (effect.kind === 'bundle')
          this.#outbox.put(String(effect.tx.round), { tx: effect.tx, batchAtMs: effect.batchAtMs, bundleAtMs: Date.now() })
    })
    for (const effect of effects)
      if (effect.kind === 'lapse') console.warn(`round ${effect.round} lapsed with ${effect.batchCount} batches`)
    await this.#arm(config)
    if (effects.some((effect) => effect.kind === 'bundle')) this.ctx.waitUntil(this.#deliver())
    return effects
  }

  /** Sets the alarm for the next deadline or retry, and leaves one that is early enough: moving it would cancel a run that has begun. */
  async #arm(config: CollectorConfig): Promise<void> {
    const deadline = nextDeadlineMs(this.#load(), config)
    const retry = this.#outbox.isEmpty() ? null : Date.now() + RETRY_MS
    const next = Math.min(deadline ?? Infinity, retry ?? Infinity)
    if (!Number.isFinite(next)) return
    const current = await this.ctx.storage.getAlarm()
    if (current === null || current > next) await this.ctx.storage.setAlarm(next)
  }

  /** Signs, logs and sends what waits, oldest round first. Signing is deterministic, so doing it twice makes one bundle. */
  async #deliver(): Promise<void> {
    const meta = await chainMeta(this.env)
    for (const waiting of this.#outbox.all()) {
      const { hash, raw } = await signAttestation(this.env, waiting.tx, meta.genesisHash)
      await bundleLog(this.env).append({
        sourceSet: waiting.tx.sourceSet,
        shard: waiting.tx.shard,
        round: waiting.tx.round,
        txHash: hash,
        raw,
        batchCount: waiting.tx.batches.length,
        batchAtMs: waiting.batchAtMs,
        bundleAtMs: waiting.bundleAtMs,
      })
      const sent = await submitNative(this.env, 'attestation', hash, raw)
      if (sent.accepted || sent.refused || Date.now() - waiting.bundleAtMs > OUTBOX_MS_MAX) this.#outbox.remove(String(waiting.tx.round))
    }
  }

  async #accuse(first: Batch, second: Batch, config: CollectorConfig): Promise<void> {
    await recordEvidence(this.env, {
      id: bytesToHex(
        nobleSuite.keccak256(
          new Uint8Array([...batchDigest(first, config.genesisHash, nobleSuite), ...batchDigest(second, config.genesisHash, nobleSuite)]),
        ),
      ),
      offence: 'BATCH_EQUIVOCATION',
      offender: first.provider,
      sourceSet: first.sourceSet,
      round: first.round,
      firstJson: JSON.stringify(batchToJson(first)),
      secondJson: JSON.stringify(batchToJson(second)),
      seenMs: Date.now(),
    })
  }
}

/** The collector of one shard. */
export const collector = (env: Env, set: Hash, shard: number): DurableObjectStub<Collector> => env.COLLECTOR.getByName(`${set}:${shard}`)
