/**
 * Proof of a fault as bytes for the chain: the accused's own signed envelopes. Anyone can judge it with the accused's registered key alone.
 * Source: docs/dcrm.md, evidence.
 * @module
 */
import { concatBytes, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import type { Envelope } from '#shared/dcrm/envelope.ts'
import { decodeEnvelope, envelopeDigest, envelopePlace } from '#shared/dcrm/envelope.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** Largest evidence: two envelopes that still fit a transaction. */
export const EVIDENCE_BYTES_LIMIT = 20 * 1024

/** Envelopes one after another, each with its length. */
export function encodeEvidence(envelopes: readonly Uint8Array[]): Uint8Array {
  return concatBytes(...envelopes.flatMap((bytes) => [uintBytes(bytes.length, 4), bytes]))
}

function decodePair(evidence: Uint8Array): readonly [Envelope, Envelope] | null {
  if (evidence.length > EVIDENCE_BYTES_LIMIT) return null
  const parts = decodePayload(evidence, (reader) => {
    const read = (): Uint8Array => reader.bytes(Math.min(reader.uint(4), EVIDENCE_BYTES_LIMIT))
    return [read(), read()] as const
  })
  const [first, second] = (parts ?? []).map(decodeEnvelope)
  return first && second ? [first, second] : null
}

/**
 * Code of the fault that `evidence` proves against the holder of `signKey`, or null. `EQUIVOCATION`: two different signed envelopes for one place of a
 * session after its opening.
 */
export function judgeEvidence(
  hashes: Pick<DcrmBackend, 'sha256'>,
  verify: EnvelopeCrypto['verify'],
  accused: PartyId,
  signKey: Uint8Array,
  evidence: Uint8Array,
): string | null {
  const pair = decodePair(evidence)
  if (pair === null) return null
  const [first, second] = pair
  const isSamePlace = envelopePlace(first) === envelopePlace(second) && first.round > 0 && first.kind !== 'forward'
  const digests = pair.map((envelope) => envelopeDigest(hashes, envelope)) as [Uint8Array, Uint8Array]
  if (!isSamePlace || equalBytes(digests[0], digests[1])) return null
  const isSigned = pair.every(({ from, signature }, index) => from === accused && verify(signKey, digests[index as 0 | 1], signature))
  return isSigned ? 'EQUIVOCATION' : null
}
