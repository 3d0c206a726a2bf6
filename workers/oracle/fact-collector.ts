/**
 * A reporter set's collector of facts: stores what the pure machine decided, and hands proven payments to the schedulers, which know the
 * entries that wait for them. Source: whitepaper 4.2.2.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import type { FactJson } from '#shared/api/http-oracle.ts'
import { bytesToHex, concatBytes } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { factDigest } from '#shared/oracle/fact.ts'
import { type FactCollectorConfig, type FactEffect, type Statement, stepFactCollector } from '#shared/oracle/fact-collector.ts'
import { factFromJson, factToJson } from '#shared/oracle/json.ts'
import type { SignedFact } from '#shared/oracle/types.ts'
import type { Hash } from '#shared/types.ts'
import { chainMeta } from '#workers/chain/rpc.ts'
import { recordEvidence } from '#workers/db/records.ts'
import type { Env } from '#workers/env.ts'
import { ObjectTable } from '#workers/oracle/object-table.ts'
import { sourceSet, toSourceSet } from '#workers/oracle/registry.ts'
import type { ProvenDeposit } from '#workers/triggers/scheduler-shard.ts'
import { offerDeposit } from '#workers/triggers/wake.ts'

const RETRY_MS = 1000

/** Answer to a fact. */
export type FactAnswer = Readonly<
  | { ok: true; accepted: Readonly<{ digest: Hash; signatures: number; quorum: number }> }
  | { ok: false; code: string; pointer: string; detail: string }
>

export class FactCollector extends DurableObject<Env> {
  readonly #statements: ObjectTable<Statement>
  readonly #proven: ObjectTable<ProvenDeposit>

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#statements = new ObjectTable(ctx.storage, 'statements')
    this.#proven = new ObjectTable(ctx.storage, 'proven')
  }

  /** Takes one signed fact. */
  async take(json: FactJson): Promise<FactAnswer> {
    const [set, meta] = await Promise.all([sourceSet(this.env, json.sourceSet), chainMeta(this.env)])
    if (set === null) return { ok: false, code: 'SOURCE_SET', pointer: '/sourceSet', detail: 'there is no such source set' }
    const effects = this.#step(factFromJson(json), { set: toSourceSet(set), genesisHash: meta.genesisHash, suite: nobleSuite })
    for (const effect of effects) if (effect.kind === 'contradiction') await this.#accuse(effect.first, effect.second, meta.genesisHash)
    if (effects.some((effect) => effect.kind === 'proven')) {
      await this.ctx.storage.setAlarm(Date.now() + RETRY_MS)
      this.ctx.waitUntil(this.#deliver())
    }
    for (const effect of effects) {
      if (effect.kind === 'accepted')
        return { ok: true, accepted: { digest: effect.digest, signatures: effect.signatures, quorum: effect.quorum } }
      if (effect.kind === 'refuse')
        return {
          ok: false,
          code: effect.code,
          pointer: effect.code === 'SIGNATURE_INVALID' ? '/signature' : effect.code === 'REPORTER_UNKNOWN' ? '/reporter' : '/body',
          detail: `the fact breaks the rule ${effect.code}`,
        }
    }
    return { ok: false, code: 'REFUSED', pointer: '', detail: 'the collector gave no answer' }
  }

  override async alarm(): Promise<void> {
    if (this.#proven.isEmpty()) return
    await this.ctx.storage.setAlarm(Date.now() + RETRY_MS)
    await this.#deliver()
  }

  #step(fact: SignedFact, config: FactCollectorConfig): readonly FactEffect[] {
    const before = { statements: this.#statements.all() }
    const { state, effects } = stepFactCollector(before, fact, config)
    this.ctx.storage.transactionSync(() => {
      this.#statements.replace(before.statements, state.statements, ({ digest }) => digest)
      for (const effect of effects)
        if (effect.kind === 'proven')
          this.#proven.put(effect.digest, {
            digest: effect.digest,
            sourceSet: fact.sourceSet,
            deposit: effect.deposit,
            evidence: effect.evidence,
          })
    })
    return effects
  }

  async #deliver(): Promise<void> {
    for (const proven of this.#proven.all()) {
      await offerDeposit(this.env, proven)
      this.#proven.remove(proven.digest)
    }
  }

  async #accuse(first: SignedFact, second: SignedFact, genesisHash: Hash): Promise<void> {
    const digests = [first, second].map((fact) => factDigest(fact, genesisHash, nobleSuite))
    await recordEvidence(this.env, {
      id: bytesToHex(nobleSuite.keccak256(concatBytes(...digests))),
      offence: 'FACT_CONTRADICTION',
      offender: first.reporter,
      sourceSet: first.sourceSet,
      round: 0,
      firstJson: JSON.stringify(factToJson(first)),
      secondJson: JSON.stringify(factToJson(second)),
      seenMs: Date.now(),
    })
  }
}

/** The collector of one reporter set. */
export const factCollector = (env: Env, set: Hash): DurableObjectStub<FactCollector> => env.FACTS.getByName(set)
