/**
 * JSON forms of batches, facts and machine states, as HTTP carries and Durable Objects keep them. Integers beyond 2^53 are decimal text.
 * The zod schemas of the same shapes are in shared/api/http-oracle.ts; nothing here validates.
 * @module
 */
import type { BatchJson, FactJson } from '#shared/api/http-oracle.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import type { AcceptedBatch, CollectedRound, CollectorState } from '#shared/oracle/collector.ts'
import type { FactCollectorState } from '#shared/oracle/fact-collector.ts'
import type { Batch, SignedFact } from '#shared/oracle/types.ts'
import type { Address, Hash } from '#shared/types.ts'

/** Batch to JSON. */
export const batchToJson = (batch: Batch): BatchJson => ({
  ...batch,
  leaves: batch.leaves.map((leaf) => ({
    ...leaf,
    value: leaf.value.toString(),
    confidence: leaf.confidence.toString(),
    low: leaf.low.toString(),
    high: leaf.high.toString(),
  })),
})

/** Batch from JSON that its schema has accepted. */
export const batchFromJson = (json: BatchJson): Batch => ({
  ...json,
  leaves: json.leaves.map((leaf) => ({
    ...leaf,
    value: BigInt(leaf.value),
    confidence: BigInt(leaf.confidence),
    low: BigInt(leaf.low),
    high: BigInt(leaf.high),
  })),
})

/** Fact to JSON. */
export const factToJson = (fact: SignedFact): FactJson => ({ ...fact, body: bytesToHex(fact.body) })
/** Fact from JSON that its schema has accepted. */
export const factFromJson = (json: FactJson): SignedFact => ({ ...json, body: hexToBytes(json.body) })

type RoundJson = Readonly<{
  round: number
  accepted: readonly (Omit<AcceptedBatch, 'batch'> & Readonly<{ batch: BatchJson }>)[]
  equivocators: readonly Address[]
  isClosed: boolean
}>
/** A collector's state as plain data. */
export type CollectorJson = Readonly<{ nextSequence: number; closedThrough: number; rounds: readonly RoundJson[] }>

/** Collector state to plain data. */
export const collectorToJson = (state: CollectorState): CollectorJson => ({
  ...state,
  rounds: state.rounds.map((round) => ({ ...round, accepted: round.accepted.map((one) => ({ ...one, batch: batchToJson(one.batch) })) })),
})

/** Collector state from its own plain data. */
export const collectorFromJson = (json: CollectorJson): CollectorState => ({
  ...json,
  rounds: json.rounds.map((round): CollectedRound => ({
    ...round,
    accepted: round.accepted.map((one) => ({ ...one, batch: batchFromJson(one.batch) })),
  })),
})

/** A fact collector's state as plain data. */
export type FactCollectorJson = Readonly<{ statements: readonly Readonly<{ digest: Hash; facts: readonly FactJson[] }>[] }>

/** Fact collector state to plain data. */
export const factCollectorToJson = (state: FactCollectorState): FactCollectorJson => ({
  statements: state.statements.map(({ digest, facts }) => ({ digest, facts: facts.map((fact) => factToJson(fact)) })),
})

/** Fact collector state from its own plain data. */
export const factCollectorFromJson = (json: FactCollectorJson): FactCollectorState => ({
  statements: json.statements.map(({ digest, facts }) => ({ digest, facts: facts.map((fact) => factFromJson(fact)) })),
})
