/**
 * 65-byte secp256k1 signatures r ‖ s ‖ yParity in their one accepted form. Source: SEC 1; EIP-2 (low s, so that nobody can re-write one).
 * @module
 */
import { bytesToBigint, hexToBytes } from '#shared/bytes.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { Address, Hex } from '#shared/types.ts'

/** Half of the group order, floored: the largest s accepted. */
const S_MAX = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n
/** Length of a signature in bytes. */
export const SIGNATURE_BYTES = 65

/** What recovering needs. */
export type Recovery = Pick<CryptoSuite, 'keccak256' | 'recoverAddress'>

/** Signer of a digest, or null for a signature that is malformed, has a high s or recovers to nobody. */
export function recoverSigner(digest: Uint8Array, signature: Hex, suite: Recovery): Address | null {
  if (signature.length !== 2 + 2 * SIGNATURE_BYTES) return null
  const bytes = hexToBytes(signature)
  const yParity = bytes[64]
  const s = bytes.subarray(32, 64)
  if ((yParity !== 0 && yParity !== 1) || bytesToBigint(s) > S_MAX) return null
  return suite.recoverAddress(digest, bytes.subarray(0, 32), s, yParity)
}

/** A wallet's signature in the accepted form: the last byte 27 or 28 becomes 0 or 1; anything else stays as it is and will be refused. */
export function toCanonicalSignature(signature: Hex): Hex {
  const last = signature.slice(-2)
  return last === '1b' ? `0x${signature.slice(2, -2)}00` : last === '1c' ? `0x${signature.slice(2, -2)}01` : signature
}
