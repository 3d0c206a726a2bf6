/**
 * Plain verification of what threshold keys sign, as anybody else verifies it. Source: SEC 1 4.1.4 with low s as BIP146 and EIP-2 ask; BIP340;
 * RFC 8032 5.1.7 without cofactor.
 * @module
 */
import { bytesToBigint, concatBytes, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Point, Scalar } from '#shared/dcrm/backend.ts'
import { decodeScalar } from '#shared/dcrm/codec.ts'
import { taggedHash } from '#shared/dcrm/derive.ts'
import { inverse, mod } from '#shared/dcrm/polynomial.ts'
import type { Scheme } from '#shared/dcrm/types.ts'

/** e of BIP340: H(BIP0340/challenge, x(R) ‖ x(P) ‖ m) mod q. */
export function bip340Challenge(backend: DcrmBackend, nonceX: Uint8Array, keyX: Uint8Array, message: Uint8Array): Scalar {
  return mod(bytesToBigint(taggedHash(backend, 'BIP0340/challenge', nonceX, keyX, message)), backend.secp256k1.order)
}

/** k of RFC 8032: SHA-512(R ‖ A ‖ M), little-endian, mod L. */
export function ed25519Challenge(backend: DcrmBackend, nonce: Uint8Array, key: Uint8Array, message: Uint8Array): Scalar {
  return mod(bytesToBigint(backend.sha512(concatBytes(nonce, key, message)).toReversed()), backend.ed25519.order)
}

/** s·G − e·P, the nonce point a Schnorr signature claims. */
const schnorrNonce = (group: Group, key: Point, response: Scalar, challenge: Scalar): Point =>
  group.sumPublic([
    [group.generator, response],
    [key, mod(-challenge, group.order)],
  ])

/** Source: BIP340, Verify. `key` has 32 bytes, the message any length. A response of exactly 32 bytes makes the signature 64 long. */
export function verifyBip340(backend: DcrmBackend, key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const group = backend.secp256k1
  const point = group.liftX(key)
  const nonceX = signature.subarray(0, 32)
  const response = decodeScalar(signature.subarray(32), group.order)
  if (point === null || response === null) return false
  const nonce = schnorrNonce(group, point, response, bip340Challenge(backend, nonceX, key, message))
  if (group.isIdentity(nonce)) return false
  const { x, isOdd } = group.coordinates(nonce)
  return !isOdd && equalBytes(x, nonceX)
}

/** Source: RFC 8032 5.1.7; strict: canonical encodings, prime-order key and nonce, a response of exactly 32 bytes. */
export function verifyEd25519(backend: DcrmBackend, key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  const group = backend.ed25519
  const point = group.decode(key)
  const nonceBytes = signature.subarray(0, 32)
  const claimed = group.decode(nonceBytes)
  const response = decodeScalar(signature.slice(32).toReversed(), group.order)
  if (point === null || claimed === null || response === null) return false
  return group.equals(claimed, schnorrNonce(group, point, response, ed25519Challenge(backend, nonceBytes, key, message)))
}

/** Source: SEC 1 4.1.4, and 4.1.6 for the recovery id: bit 0 is the parity of R's y, bit 1 says x(R) ≥ q. High s is refused. */
export function verifyEcdsa(backend: DcrmBackend, key: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  const group = backend.secp256k1
  if (signature.length !== 65 || digest.length !== 32) return false
  const point = group.decode(key)
  const r = decodeScalar(signature.subarray(0, 32), group.order)
  const s = decodeScalar(signature.subarray(32, 64), group.order)
  // Neither scalar may be missing or 0.
  if (!point || !r || !s || s > group.order / 2n) return false
  const weight = inverse(s, group.order)
  const nonce = group.sumPublic([
    [group.generator, mod(bytesToBigint(digest) * weight, group.order)],
    [point, mod(r * weight, group.order)],
  ])
  if (group.isIdentity(nonce)) return false
  const { x, isOdd } = group.coordinates(nonce)
  const abscissa = bytesToBigint(x)
  const recovery = (isOdd ? 1 : 0) + (abscissa === r ? 0 : 2)
  return mod(abscissa, group.order) === r && signature[64] === recovery
}

/** Whether `signature` over the 32-byte `digest` verifies under a child's `signingKey`. */
export function verifySignature(
  backend: DcrmBackend,
  scheme: Scheme,
  signingKey: Uint8Array,
  digest: Uint8Array,
  signature: Uint8Array,
): boolean {
  const verify = { ecdsa: verifyEcdsa, taproot: verifyBip340, ed25519: verifyEd25519 }[scheme]
  return digest.length === 32 && verify(backend, signingKey, digest, signature)
}
