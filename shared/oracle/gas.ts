/** Gas of an AttestationTx, charged to its source set: what verifying and storing it costs every validator. @module */
import type { AttestationTx } from '#shared/oracle/types.ts'

/** Gas of any transaction. Source: yellow paper, G_transaction. */
const BASE_GAS = 21_000
/** A recovery (EIP precompile 1: 3000) and the typed hashing around it. */
const BATCH_GAS = 6000
/** Three hashes of one leaf and its share of two trees. */
const LEAF_GAS = 1500
/** Counting a round: one changed word. Source: EIP-2200, G_sreset. */
const FEED_GAS = 5000
/** Storing a report: three words, at first all new. Source: EIP-2200, G_sset. */
const REPORT_GAS = 60_000

/** Gas used by a transaction that touches `feeds` feeds and stores `reports` of them anew. */
export function attestationGas(tx: Pick<AttestationTx, 'batches'>, feeds: number, reports: number): number {
  const leaves = tx.batches.reduce((total, batch) => total + batch.leaves.length, 0)
  return BASE_GAS + BATCH_GAS * tx.batches.length + LEAF_GAS * leaves + FEED_GAS * feeds + REPORT_GAS * reports
}
