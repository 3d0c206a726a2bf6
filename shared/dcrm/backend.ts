/**
 * The arithmetic behind all key protocols: two prime-order groups and three hashes. `nobleBackend` is the reference and the default;
 * a validator may bring a faster one that tests compare with it. A method that may take variable time says so and gets public operands only.
 * Source: SEC 1, RFC 8032, RFC 9380, FIPS 180-4, FIPS 202.
 * @module
 */

/** An element of a group, possibly the identity. Its representation belongs to the backend that made it. */
export type Point = Readonly<{ __point: true }>
/** An integer modulo the group order, 0 ≤ k < order. */
export type Scalar = bigint

/** One addend of a sum of multiples. */
export type Term = readonly [point: Point, scalar: Scalar]

export type Group = Readonly<{
  curve: 'secp256k1' | 'ed25519'
  /** Prime order q. */
  order: bigint
  /** Length of an encoded point: 33 compressed (SEC 1), 32 (RFC 8032). */
  pointBytes: 33 | 32
  /** Standard generator, T in the paper. */
  generator: Point
  /** Second base T' of the Pedersen commitments, of unknown logarithm to `generator`: `SECOND_BASE_*`. */
  second: Point
  identity: Point
  isIdentity: (point: Point) => boolean
  equals: (left: Point, right: Point) => boolean
  add: (left: Point, right: Point) => Point
  negate: (point: Point) => Point
  /** Strict: null for a wrong length, a non-canonical form, a point off the curve or outside the prime-order group, and the identity. */
  decode: (bytes: Uint8Array) => Point | null
  /** @throws {InvariantError} for the identity, which has no encoding here */
  encode: (point: Point) => Uint8Array
  /** Encodes many at the price of few inversions. */
  encodeAll: (points: readonly Point[]) => readonly Uint8Array[]
  /** k·generator for a secret k. */
  mulBase: (secret: Scalar) => Point
  /** k·second for a secret k. */
  mulSecond: (secret: Scalar) => Point
  /** k·point for a secret k. */
  mulSecret: (point: Point, secret: Scalar) => Point
  /** k·point in variable time: public operands only. */
  mulPublic: (point: Point, scalar: Scalar) => Point
  /** Σ k·point in variable time: public operands only (or scalars blinded by fresh secret weights of at least 128 random bits). */
  sumPublic: (terms: readonly Term[]) => Point
}>

/** Extra operations of secp256k1. */
export type Secp256k1 = Group &
  Readonly<{
    curve: 'secp256k1'
    /** 32-byte big-endian x and parity of y. @throws {InvariantError} for the identity */
    coordinates: (point: Point) => Readonly<{ x: Uint8Array; isOdd: boolean }>
    /** The point with this x and even y, or null when there is none. Source: BIP340 lift_x. */
    liftX: (x: Uint8Array) => Point | null
  }>

export type DcrmBackend = Readonly<{
  secp256k1: Secp256k1
  ed25519: Group
  sha256: (data: Uint8Array) => Uint8Array
  sha512: (data: Uint8Array) => Uint8Array
  /** SHAKE256 with an output of `length` bytes. */
  shake256: (data: Uint8Array, length: number) => Uint8Array
}>

/** Message hashed to the second base, before the curve's name. */
export const SECOND_BASE_MESSAGE = 'FUSION-DCRM/v1/pedersen-second-base/'
/** Domain separation tags of RFC 9380 for the second base. */
export const SECOND_BASE_DST = {
  secp256k1: 'FUSION-DCRM-V1-TPRIME_XMD:SHA-256_SSWU_RO_',
  ed25519: 'FUSION-DCRM-V1-TPRIME_XMD:SHA-512_ELL2_RO_',
} as const
