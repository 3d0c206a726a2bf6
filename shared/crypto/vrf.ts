/**
 * ECVRF-EDWARDS25519-SHA512-TAI: a proof that an output is the only one a key can give for an input.
 * Source: RFC 9381, sections 5.1-5.5; nonce generation of RFC 8032, section 5.1.6.
 * @module
 */
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha512 } from '@noble/hashes/sha2.js'

const { Point, utils } = ed25519
type Point = InstanceType<typeof Point>

/** Length of a proof: compressed point, 16-byte challenge, 32-byte scalar. */
export const VRF_PROOF_BYTES = 80
const CHALLENGE_BYTES = 16
const ORDER = Point.CURVE().n
const SUITE = 0x03
const DOMAIN = { encode: 0x01, challenge: 0x02, output: 0x03, back: 0x00 } as const

const fromLittleEndian = (bytes: Uint8Array): bigint => bytesToBigint(bytes.toReversed())

function toLittleEndian(value: bigint, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let index = 0, rest = value; index < length; index++, rest >>= 8n) bytes[index] = Number(rest & 0xffn)
  return bytes
}

function pointOf(bytes: Uint8Array): Point | null {
  try {
    return Point.fromBytes(bytes)
  } catch {
    return null
  }
}

/** Try-and-increment: the first counter whose hash is a point. A miss has probability one half, so 256 misses do not happen. */
function encodeToCurve(publicKey: Uint8Array, input: Uint8Array): Point | null {
  for (let counter = 0; counter < 256; counter++) {
    const digest = sha512(concatBytes(Uint8Array.of(SUITE, DOMAIN.encode), publicKey, input, Uint8Array.of(counter, DOMAIN.back)))
    const point = pointOf(digest.subarray(0, 32))?.clearCofactor()
    if (point !== undefined && !point.is0()) return point
  }
  return null
}

function challengeOf(points: readonly Uint8Array[]): bigint {
  const digest = sha512(concatBytes(Uint8Array.of(SUITE, DOMAIN.challenge), ...points, Uint8Array.of(DOMAIN.back)))
  return fromLittleEndian(digest.subarray(0, CHALLENGE_BYTES))
}

function outputOf(gamma: Point): Uint8Array {
  return sha512(concatBytes(Uint8Array.of(SUITE, DOMAIN.output), gamma.clearCofactor().toBytes(), Uint8Array.of(DOMAIN.back)))
}

/**
 * Proof of `input` under a 32-byte Ed25519 secret key, 80 bytes. Deterministic.
 * @throws {RangeError} when no counter gives a curve point, which has probability 2^-256
 */
export function vrfProve(secretKey: Uint8Array, input: Uint8Array): Uint8Array {
  const { scalar, prefix, pointBytes } = utils.getExtendedPublicKey(secretKey)
  const base = encodeToCurve(pointBytes, input)
  if (base === null) throw new RangeError('no curve point for this input')
  const baseBytes = base.toBytes()
  const gammaBytes = base.multiply(scalar).toBytes()
  const nonce = fromLittleEndian(sha512(concatBytes(prefix, baseBytes))) % ORDER
  const challenge = challengeOf([pointBytes, baseBytes, gammaBytes, Point.BASE.multiply(nonce).toBytes(), base.multiply(nonce).toBytes()])
  const response = (nonce + challenge * scalar) % ORDER
  return concatBytes(gammaBytes, toLittleEndian(challenge, CHALLENGE_BYTES), toLittleEndian(response, 32))
}

/** The 64-byte output that `proof` proves for `input`, or null when proof or key are wrong. Refuses keys of small order. */
export function vrfVerify(publicKey: Uint8Array, input: Uint8Array, proof: Uint8Array): Uint8Array | null {
  if (proof.length !== VRF_PROOF_BYTES) return null
  const key = pointOf(publicKey)
  const gamma = pointOf(proof.subarray(0, 32))
  if (key === null || gamma === null || key.isSmallOrder()) return null
  const challenge = fromLittleEndian(proof.subarray(32, 32 + CHALLENGE_BYTES))
  const response = fromLittleEndian(proof.subarray(32 + CHALLENGE_BYTES))
  if (response >= ORDER) return null
  const base = encodeToCurve(publicKey, input)
  if (base === null) return null
  const u = Point.BASE.multiplyUnsafe(response).subtract(key.multiplyUnsafe(challenge))
  const v = base.multiplyUnsafe(response).subtract(gamma.multiplyUnsafe(challenge))
  const expected = challengeOf([publicKey, base.toBytes(), proof.subarray(0, 32), u.toBytes(), v.toBytes()])
  return expected === challenge ? outputOf(gamma) : null
}
