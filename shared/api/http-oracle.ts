/**
 * HTTP bodies of providers, reporters and validators: batches, facts, receipts, feeds and bundles.
 * Source: whitepaper 4.2.2; signed types in shared/oracle/types.ts.
 * @module
 */
import * as z from 'zod'
import { PAGE_LIMIT_MAX, zAddress, zCount, zHash, zHex, zInt, zSignature, zUint, zUnixMs } from '#shared/api/http.ts'
import { ATTESTATION_BYTES_MAX, SHARD_FEEDS_MAX } from '#shared/params.ts'

/** One feed's value in a batch; integers in the feed's decimals. */
export const zLeaf = z.strictObject({
  feed: zHash,
  value: zInt,
  confidence: zUint,
  low: zInt,
  high: zInt,
  status: z.enum(['OK', 'WIDE', 'HALTED', 'CLOSED']),
})

/** Body of `POST /v1/batches`: a signed batch, whole. */
export const zBatch = z.strictObject({
  sourceSet: zHash,
  shard: z.int().min(0).max(65_535),
  round: zCount,
  observedAtMs: zUnixMs,
  leaves: z.array(zLeaf).min(1).max(SHARD_FEEDS_MAX),
  provider: zAddress,
  signature: zSignature,
})
export type BatchJson = z.infer<typeof zBatch>

/** What a collector signs for an accepted batch; a repeat gets the same one. */
export const zReceipt = z.strictObject({
  collector: zAddress,
  digest: zHash,
  sequence: zCount,
  receivedAtMs: zUnixMs,
  signature: zSignature,
})
export type ReceiptJson = z.infer<typeof zReceipt>

/** Body of `POST /v1/facts`. */
export const zFact = z.strictObject({
  sourceSet: zHash,
  schema: z.literal('Deposit'),
  subject: zHash,
  asOfMs: zUnixMs,
  body: zHex(1024),
  reporter: zAddress,
  signature: zSignature,
})
export type FactJson = z.infer<typeof zFact>
/** Identical signatures gathered so far. */
export const zFactAccepted = z.strictObject({ digest: zHash, signatures: zCount, quorum: zCount })

/** A report of one feed. `value` is an integer in the feed's decimals. */
export const zFeedReport = z.strictObject({
  sequence: zUint,
  value: zInt,
  status: z.enum(['OK', 'WIDE', 'HALTED', 'CLOSED']),
  firstRound: zCount,
  lastRound: zCount,
  observedAtMs: zUnixMs,
  lastObservedAtMs: zUnixMs,
  afterGap: z.boolean(),
  digest: zHash,
})

/** A feed and its newest report; `text` is the value with its decimal point. */
export const zFeed = z.strictObject({
  id: zHash,
  name: z.string(),
  decimals: zCount,
  sourceSet: zHash,
  sourceSetName: z.string(),
  shard: zCount,
  roundMs: zCount,
  members: z.array(zAddress),
  latest: zFeedReport.nullable(),
  text: z.string().nullable(),
  blockNumber: zCount,
})
export type Feed = z.infer<typeof zFeed>
export const zFeedList = z.strictObject({ items: z.array(zFeed) })
/** Reports after a sequence, oldest first. */
export const zHistoryQuery = z.strictObject({
  after: zUint.default('0'),
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT_MAX).default(50),
})
export const zHistory = z.strictObject({ items: z.array(zFeedReport), next: zUint.nullable() })

/** A closed round on its way to the validators: the signed AttestationTx and where it stands in this edge's log. */
export const zBundle = z.strictObject({
  /** Gap-free, from 1. */
  sequence: zCount,
  sourceSet: zHash,
  shard: zCount,
  round: zCount,
  txHash: zHash,
  raw: zHex(ATTESTATION_BYTES_MAX),
  batchCount: zCount,
  /** Receipt time of the last batch it holds. */
  batchAtMs: zUnixMs,
  bundleAtMs: zUnixMs,
})
export type Bundle = z.infer<typeof zBundle>

/** Query of `GET /v1/bundles`; the cursor of a bundle is its sequence. */
export const zBundleQuery = z.strictObject({
  after: z.coerce.number().int().nonnegative().default(0),
  limit: z.coerce.number().int().min(1).max(PAGE_LIMIT_MAX).default(100),
})
/** Query of the stream: without a cursor it begins at the newest bundle. */
export const zStreamQuery = z.strictObject({ after: z.coerce.number().int().nonnegative().optional() })
export const zBundlePage = z.strictObject({ items: z.array(zBundle), head: zCount, oldest: zCount })
/** Frame of the stream that tells silence from loss: newest sequence and the edge's clock. */
export const zTick = z.strictObject({ head: zCount, nowMs: zUnixMs })
export type Tick = z.infer<typeof zTick>

/** A fault proven by two signatures. */
export const zEvidence = z.strictObject({
  id: zHash,
  offence: z.string(),
  offender: zAddress,
  sourceSet: zHash,
  round: zCount,
  first: z.unknown(),
  second: z.unknown(),
  seenAtMs: zUnixMs,
})
export const zEvidencePage = z.strictObject({ items: z.array(zEvidence), next: z.string().nullable() })
