/**
 * The one interface behind which hashing and public-key operations on public data sit.
 * `nobleSuite` (shared/crypto/noble.ts) is the reference and the default; validators use a native suite checked against it.
 * @module
 */
import type { Address } from '#shared/types.ts'

export type CryptoSuite = Readonly<{
  keccak256: (data: Uint8Array) => Uint8Array
  sha256: (data: Uint8Array) => Uint8Array
  /** Signer of a secp256k1 signature over a 32-byte digest, or null when none exists. Low-s is the caller's rule. Source: SEC 1, 4.1.6. */
  recoverAddress: (digest: Uint8Array, r: Uint8Array, s: Uint8Array, yParity: 0 | 1) => Address | null
  /** Ed25519 verification (RFC 8032) of a 64-byte signature by a 32-byte key. */
  ed25519Verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
}>
