/**
 * Faults that anyone can check from signatures alone: no word of an edge, no clock and no chain state is needed.
 * Source: whitepaper 4.2.2; docs/protocol.md, "Receipt".
 * @module
 */
import { bytesToHex } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import { batchDigest, batchFields, leavesFault } from '#shared/oracle/batch.ts'
import { decodeDepositBody, factDigest, factFault } from '#shared/oracle/fact.ts'
import { isReceiptValid } from '#shared/oracle/receipt.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import { recoverSigner } from '#shared/oracle/signature.ts'
import { attestationTxSigner, encodeAttestationTx } from '#shared/oracle/transaction.ts'
import type { AttestationTx, Batch, BatchReceipt, SignedFact } from '#shared/oracle/types.ts'
import { ATTESTATION_BYTES_MAX } from '#shared/params.ts'
import type { Hash } from '#shared/types.ts'

/** Chain and hash functions a proof is checked for. */
export type ProofContext = Readonly<{ genesisHash: Hash; suite: Recovery }>

function isSigned(batch: Batch, { genesisHash, suite }: ProofContext): boolean {
  return (
    leavesFault(batch.leaves) === null && recoverSigner(batchDigest(batch, genesisHash, suite), batch.signature, suite) === batch.provider
  )
}

const digestOf = (batch: Batch, { genesisHash, suite }: ProofContext): Hash => bytesToHex(batchDigest(batch, genesisHash, suite))

/** Whether one provider signed two different batches for one round of one shard. */
export function provesEquivocation(first: Batch, second: Batch, context: ProofContext): boolean {
  const isSamePlace =
    first.provider === second.provider &&
    first.sourceSet === second.sourceSet &&
    first.shard === second.shard &&
    first.round === second.round
  return isSamePlace && digestOf(first, context) !== digestOf(second, context) && isSigned(first, context) && isSigned(second, context)
}

/** Whether two facts of one reporter cannot both be honest: same payment in the same block at the same depth, different content. */
export function contradicts(first: SignedFact, second: SignedFact): boolean {
  if (first.reporter !== second.reporter || first.subject !== second.subject) return false
  const [one, other] = [decodeDepositBody(first.body), decodeDepositBody(second.body)]
  return one.blockHash === other.blockHash && one.confirmations === other.confirmations
}

/** Whether one reporter signed two contents for one payment in one foreign block. */
export function provesContradiction(first: SignedFact, second: SignedFact, { genesisHash, suite }: ProofContext): boolean {
  if (factFault(first, genesisHash, suite) !== null || factFault(second, genesisHash, suite) !== null) return false
  const isDifferent = bytesToHex(factDigest(first, genesisHash, suite)) !== bytesToHex(factDigest(second, genesisHash, suite))
  return isDifferent && first.sourceSet === second.sourceSet && contradicts(first, second)
}

/** Whether a collector signed a receipt for a batch and then a transaction of that round without it, though it would have fitted. */
export function provesOmission(receipt: BatchReceipt, batch: Batch, tx: AttestationTx, context: ProofContext): boolean {
  const { genesisHash, suite } = context
  const isSamePlace = batch.sourceSet === tx.sourceSet && batch.shard === tx.shard && batch.round === tx.round
  const isLeftOut = tx.batches.every(({ provider }) => provider !== batch.provider)
  const room = ATTESTATION_BYTES_MAX - encodeAttestationTx(tx).length
  return (
    isSamePlace &&
    isLeftOut &&
    encodeRlp(batchFields(batch)).length + 8 <= room &&
    receipt.digest === digestOf(batch, context) &&
    receipt.collector === tx.submitter &&
    isReceiptValid(receipt, genesisHash, suite) &&
    attestationTxSigner(tx, genesisHash, suite) === tx.submitter
  )
}
