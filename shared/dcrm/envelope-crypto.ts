/**
 * Signatures and encryption of envelopes. Two directional keys per pair and session, a fresh key per message, so that no (key, nonce) pair is
 * ever used twice. Source: RFC 8032, RFC 7748, RFC 5869, RFC 8439; docs/dcrm.md, envelopes.
 * @module
 */
import { concatBytes, utf8ToBytes } from '#shared/bytes.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { chacha20poly1305 } from '@noble/ciphers/chacha.js'
import { ed25519, x25519 } from '@noble/curves/ed25519.js'
import { expand, extract } from '@noble/hashes/hkdf.js'
import { sha256 } from '@noble/hashes/sha2.js'

/** The primitives. `nobleEnvelopeCrypto` is the reference; a node brings faster ones. */
export type EnvelopeCrypto = Readonly<{
  /** Ed25519 by a 32-byte seed. */
  sign: (secret: Uint8Array, message: Uint8Array) => Uint8Array
  verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean
  /** X25519; null when the result is all zero. */
  agree: (secret: Uint8Array, publicKey: Uint8Array) => Uint8Array | null
  /** Public X25519 key of a secret. */
  agreementKey: (secret: Uint8Array) => Uint8Array
  hkdf: (material: Uint8Array, salt: Uint8Array, info: Uint8Array) => Uint8Array
  /** ChaCha20-Poly1305: ciphertext ‖ tag. */
  seal: (key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, data: Uint8Array) => Uint8Array
  /** The inverse; null when the tag is wrong. */
  open: (key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, data: Uint8Array) => Uint8Array | null
}>

/** Bytes a sealed payload is longer than its plain text. */
export const SEAL_BYTES = 16

/** The value, or null when the library refuses. */
function attempt<T>(run: () => T): T | null {
  try {
    return run()
  } catch {
    return null
  }
}

/** Portable code over noble. */
export const nobleEnvelopeCrypto: EnvelopeCrypto = {
  sign: (secret, message) => ed25519.sign(message, secret),
  verify: (publicKey, message, signature) => attempt(() => ed25519.verify(signature, message, publicKey, { zip215: false })) ?? false,
  agree: (secret, publicKey) => attempt(() => x25519.getSharedSecret(secret, publicKey)),
  agreementKey: (secret) => x25519.getPublicKey(secret),
  hkdf: (material, salt, info) => expand(sha256, extract(sha256, material, salt), info, 32),
  seal: (key, nonce, plain, data) => chacha20poly1305(key, nonce, data).encrypt(plain),
  open: (key, nonce, sealed, data) => attempt(() => chacha20poly1305(key, nonce, data).decrypt(sealed)),
}

/** Both shared secrets of a pair in a session: of its ephemeral and of its registered keys. */
export type PairSecrets = Readonly<{ ephemeral: Uint8Array; registered: Uint8Array }>

/** Key of one direct message and its nonce. The pair, its direction and the round make it unique inside a session, `sid` among sessions. */
export function messageKey(
  crypto: Pick<EnvelopeCrypto, 'hkdf'>,
  secrets: PairSecrets,
  sid: Uint8Array,
  from: PartyId,
  to: PartyId,
  round: number,
): Readonly<{ key: Uint8Array; nonce: Uint8Array }> {
  const info = concatBytes(utf8ToBytes('FUSION-DCRM/v1/direct'), uintBytes(from, 2), uintBytes(to, 2), uintBytes(round, 4))
  return {
    key: crypto.hkdf(concatBytes(secrets.ephemeral, secrets.registered), sid, info),
    nonce: concatBytes(uintBytes(0, 8), uintBytes(round, 4)),
  }
}
