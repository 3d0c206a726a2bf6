/**
 * Proofs of faults as JSON, as edges list them and files keep them, and their check. A proof convinces by its signatures; who shows it and
 * when does not matter.
 * @module
 */
import * as z from 'zod'
import type { Bundle } from '#shared/api/http-oracle.ts'
import { zBatch, zFact, zReceipt } from '#shared/api/http-oracle.ts'
import { zHash, zHex } from '#shared/api/http.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { DecodeError } from '#shared/fault.ts'
import { provesContradiction, provesEquivocation, provesOmission } from '#shared/oracle/evidence.ts'
import { batchFromJson, batchToJson, factFromJson } from '#shared/oracle/json.ts'
import { decodeAttestationTx } from '#shared/oracle/transaction.ts'
import { ATTESTATION_BYTES_MAX } from '#shared/params.ts'
import type { Address, Hash } from '#shared/types.ts'
import type { PublishedBatch } from '#node/sdk/client.ts'

const zProof = z.discriminatedUnion('offence', [
  z.object({ offence: z.literal('BATCH_EQUIVOCATION'), first: zBatch, second: zBatch }),
  z.object({ offence: z.literal('FACT_CONTRADICTION'), first: zFact, second: zFact }),
  z.object({
    offence: z.literal('BATCH_OMISSION'),
    first: z.object({ batch: zBatch, receipt: zReceipt }),
    second: z.object({ raw: zHex(ATTESTATION_BYTES_MAX) }),
  }),
])
/** One proof. */
export type Proof = z.infer<typeof zProof>

/** A file of proofs, as `fusion evidence export` writes it. */
export const zProofFile = z.object({ genesisHash: zHash, oracle: z.array(z.unknown()) })

/** Whom a proof convicts, or null when it proves nothing on the chain of this genesis. */
export function convicts(json: unknown, genesisHash: Hash): Readonly<{ offence: Proof['offence']; offender: Address }> | null {
  const parsed = zProof.safeParse(json)
  if (!parsed.success) return null
  const proof = parsed.data
  const context = { genesisHash, suite: nobleSuite }
  const guilty = (isProven: boolean, offender: Address) => (isProven ? { offence: proof.offence, offender } : null)
  try {
    switch (proof.offence) {
      case 'BATCH_EQUIVOCATION':
        return guilty(provesEquivocation(batchFromJson(proof.first), batchFromJson(proof.second), context), proof.first.provider)
      case 'FACT_CONTRADICTION':
        return guilty(provesContradiction(factFromJson(proof.first), factFromJson(proof.second), context), proof.first.reporter)
      case 'BATCH_OMISSION': {
        const { receipt, batch } = proof.first
        const tx = decodeAttestationTx(hexToBytes(proof.second.raw))
        return guilty(provesOmission(receipt, batchFromJson(batch), tx, context), receipt.collector)
      }
    }
  } catch (error) {
    if (error instanceof DecodeError || error instanceof RangeError) return null
    throw error
  }
}

/** Proof that an edge left a receipted batch out of a bundle of its own, or null when it did not. */
export function omissionProof(published: PublishedBatch, bundle: Bundle, genesisHash: Hash): Proof | null {
  const proof: Proof = {
    offence: 'BATCH_OMISSION',
    first: { batch: batchToJson(published.batch), receipt: published.receipt },
    second: { raw: bundle.raw },
  }
  return convicts(proof, genesisHash) === null ? null : proof
}
