/**
 * The life of a presignature after it is FRESH: consumed by one tuple, whose partial is stored beside it and is all that is ever sent again, then
 * destroyed. A second tuple is refused, whatever the reason. Source: docs/dcrm.md, persistence.
 * @module
 */
import { concatBytes, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { decodePayload, scalarBytes } from '#shared/dcrm/codec.ts'
import type { SigningContext, SigningRefusal, SigningTuple } from '#shared/dcrm/ecdsa-sign.ts'
import { PARTIAL_BYTES, partialSignature, signingContext } from '#shared/dcrm/ecdsa-sign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'

/** What is stored in place of the secrets once a presignature is used. */
export type Consumed = Readonly<{ psid: Uint8Array; digest: Uint8Array; tweak: bigint; entropy: Uint8Array; partial: Uint8Array }>

/** Exact-size encoding: 192 bytes. */
export function encodeConsumed({ psid, digest, tweak, entropy, partial }: Consumed): Uint8Array {
  return concatBytes(psid, digest, scalarBytes(tweak), entropy, partial)
}

/** The inverse; null for bytes of another form. */
export function decodeConsumed(bytes: Uint8Array, order: bigint): Consumed | null {
  return decodePayload(bytes, (reader) => ({
    psid: reader.bytes(32),
    digest: reader.bytes(32),
    tweak: reader.scalar(order),
    entropy: reader.bytes(32),
    partial: reader.bytes(PARTIAL_BYTES),
  }))
}

/** The record to store before anything is sent, or why the tuple cannot be signed. */
export function consume(
  backend: DcrmBackend,
  encodedKey: Uint8Array,
  presignature: Presignature,
  tuple: SigningTuple,
): Readonly<{ record: Consumed; context: SigningContext }> | SigningRefusal {
  const context = signingContext(backend, encodedKey, presignature.nonce, presignature.psid, tuple)
  if (typeof context === 'string') return context
  const partial = partialSignature(backend.secp256k1.order, presignature, context, tuple)
  return { record: { psid: presignature.psid, ...tuple, partial }, context }
}

/** The stored partial when it is for the same tuple; null means another tuple was signed already and this one never will be. */
export function resend(record: Consumed, tuple: SigningTuple): Uint8Array | null {
  const isSame = equalBytes(record.digest, tuple.digest) && record.tweak === tuple.tweak && equalBytes(record.entropy, tuple.entropy)
  return isSame ? record.partial : null
}
