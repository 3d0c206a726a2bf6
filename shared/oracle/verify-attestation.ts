/**
 * Everything that makes an AttestationTx valid besides its payment, as one pure function of (transaction, set, block). Pool, executor and
 * edge ask the same. Source: whitepaper 4.2.2; the window and the rising order keep anyone from choosing which rounds the chain sees.
 * @module
 */
import { batchFault } from '#shared/oracle/batch.ts'
import type { BatchFault } from '#shared/oracle/batch.ts'
import type { Aggregate, Observation } from '#shared/oracle/median.ts'
import { aggregate } from '#shared/oracle/median.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import { attestationTxSigner } from '#shared/oracle/transaction.ts'
import type { AttestationTx, SourceSet } from '#shared/oracle/types.ts'
import { valueQuorum } from '#shared/params.ts'
import type { Address, Hash, UnixMs } from '#shared/types.ts'

/** A round may be posted until this long after it ended, ms of block time: longer than the longest silence of an idle chain. */
export const ATTESTATION_WINDOW_MS = 60_000
/** How far an observation may lie ahead of block time, ms: clocks of honest providers differ. */
export const CLOCK_SKEW_MS = 2_000
/** Honest disagreement above this makes a value WIDE, millionths of the value. */
export const SPREAD_LIMIT_PPM = 200_000

/** What the chain knows when the transaction has its turn. `lastRound` is −1 when the shard has none. */
export type AttestationContext = Readonly<{ chainId: number; genesisHash: Hash; blockTimeMs: UnixMs; lastRound: number }>

/** Result for one feed and who gave it. */
export type FeedMedian = Aggregate & Readonly<{ feed: Hash; reporters: readonly Address[] }>

/** Stable codes of refusal. */
export type AttestationFault =
  | BatchFault
  | 'CHAIN_ID'
  | 'SOURCE_SET'
  | 'SHARD_UNKNOWN'
  | 'ROUND_NOT_RISING'
  | 'ROUND_EXPIRED'
  | 'ROUND_AHEAD'
  | 'QUORUM'
  | 'PROVIDER_UNKNOWN'
  | 'PROVIDER_DUPLICATE'
  | 'FEED_UNKNOWN'
  | 'SUBMITTER_SIGNATURE'

/** Verdict: the medians of all feeds that reached a quorum, or the first rule broken. */
export type AttestationVerdict = Readonly<{ ok: true; medians: readonly FeedMedian[] }> | Readonly<{ ok: false; code: AttestationFault }>

function placeFault(tx: AttestationTx, set: SourceSet, context: AttestationContext): AttestationFault | null {
  if (tx.chainId !== context.chainId) return 'CHAIN_ID'
  if (tx.sourceSet !== set.id || set.kind !== 'provider') return 'SOURCE_SET'
  if (set.feeds[tx.shard] === undefined) return 'SHARD_UNKNOWN'
  if (tx.round <= context.lastRound) return 'ROUND_NOT_RISING'
  if ((tx.round + 1) * set.roundMs + ATTESTATION_WINDOW_MS < context.blockTimeMs) return 'ROUND_EXPIRED'
  return null
}

function membershipFault(tx: AttestationTx, set: SourceSet, context: AttestationContext): AttestationFault | null {
  const feeds = new Set(set.feeds[tx.shard])
  const members = new Set(set.members)
  const seen = new Set<Address>()
  for (const batch of tx.batches) {
    if (!members.has(batch.provider)) return 'PROVIDER_UNKNOWN'
    if (seen.has(batch.provider)) return 'PROVIDER_DUPLICATE'
    if (batch.observedAtMs > context.blockTimeMs + CLOCK_SKEW_MS) return 'ROUND_AHEAD'
    if (batch.leaves.some(({ feed }) => !feeds.has(feed))) return 'FEED_UNKNOWN'
    seen.add(batch.provider)
  }
  return tx.batches.length < valueQuorum(set.members.length) ? 'QUORUM' : null
}

function mediansOf(tx: AttestationTx, set: SourceSet): readonly FeedMedian[] {
  const quorum = valueQuorum(set.members.length)
  return (set.feeds[tx.shard] ?? []).flatMap((feed) => {
    const reporters: Address[] = []
    const observations: Observation[] = []
    for (const batch of tx.batches) {
      const leaf = batch.leaves.find((one) => one.feed === feed)
      if (leaf === undefined) continue
      reporters.push(batch.provider)
      observations.push({ value: leaf.value, status: leaf.status, observedAtMs: batch.observedAtMs })
    }
    const result = aggregate(observations, set.members.length, quorum, SPREAD_LIMIT_PPM)
    return result === null ? [] : [{ ...result, feed, reporters }]
  })
}

/** Judges a transaction at its turn; cheap rules first, signatures last. */
export function verifyAttestation(tx: AttestationTx, set: SourceSet, context: AttestationContext, suite: Recovery): AttestationVerdict {
  const fault = placeFault(tx, set, context) ?? membershipFault(tx, set, context)
  if (fault !== null) return { ok: false, code: fault }
  if (attestationTxSigner(tx, context.genesisHash, suite) !== tx.submitter) return { ok: false, code: 'SUBMITTER_SIGNATURE' }
  for (const batch of tx.batches) {
    const code = batchFault(
      { ...batch, sourceSet: tx.sourceSet, shard: tx.shard, round: tx.round },
      set.roundMs,
      context.genesisHash,
      suite,
    )
    if (code !== null) return { ok: false, code }
  }
  return { ok: true, medians: mediansOf(tx, set) }
}
