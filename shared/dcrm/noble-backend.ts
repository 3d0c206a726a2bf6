/**
 * The reference backend, in portable code. Secret scalars go through noble's uniform-time ladder; BigInt itself is not constant-time.
 * Source: SEC 1, RFC 8032, RFC 9380.
 * @module
 */
import { concatBytes, equalBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Point, Scalar, Secp256k1, Term } from '#shared/dcrm/backend.ts'
import { SECOND_BASE_DST, SECOND_BASE_MESSAGE } from '#shared/dcrm/backend.ts'
import { invariant } from '#shared/fault.ts'
import type { CurvePoint, CurvePointCons } from '@noble/curves/abstract/curve.js'
import { normalizeZ } from '@noble/curves/abstract/curve.js'
import { ed25519, ed25519_hasher } from '@noble/curves/ed25519.js'
import { secp256k1, secp256k1_hasher } from '@noble/curves/secp256k1.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { shake256 } from '@noble/hashes/sha3.js'

/** noble's own points serve as `Point`; this is the one place where the types meet. */
function groupOf<P extends CurvePoint<bigint, P>, C extends Group['curve']>(
  curve: C,
  constructor: CurvePointCons<P>,
  second: P,
  pointBytes: 33 | 32,
): Group & Readonly<{ curve: C }> {
  const inner = (point: Point): P => point as unknown as P
  const outer = (point: P): Point => point as unknown as Point
  const secret = (point: P, scalar: Scalar): Point => outer(scalar === 0n ? constructor.ZERO : point.multiply(scalar))
  const encode = (point: P): Uint8Array => {
    invariant(!point.is0(), 'the identity is refused before it is encoded')
    return point.toBytes()
  }
  return {
    curve,
    order: constructor.Fn.ORDER,
    pointBytes,
    generator: outer(constructor.BASE),
    second: outer(second),
    identity: outer(constructor.ZERO),
    isIdentity: (point) => inner(point).is0(),
    equals: (left, right) => inner(left).equals(inner(right)),
    add: (left, right) => outer(inner(left).add(inner(right))),
    negate: (point) => outer(inner(point).negate()),
    decode: (bytes) => {
      try {
        const point = constructor.fromBytes(bytes)
        // noble takes uncompressed points too, and y ≥ p for ZIP 215; the comparison keeps one encoding per point.
        if (point.is0() || !point.isTorsionFree() || !equalBytes(point.toBytes(), bytes)) return null
        return outer(point)
      } catch {
        return null
      }
    },
    encode: (point) => encode(inner(point)),
    encodeAll: (points) => normalizeZ(constructor, points.map(inner)).map(encode),
    mulBase: (scalar) => secret(constructor.BASE, scalar),
    mulSecond: (scalar) => secret(second, scalar),
    mulSecret: (point, scalar) => secret(inner(point), scalar),
    mulPublic: (point, scalar) => outer(inner(point).multiplyUnsafe(scalar)),
    sumPublic: (terms: readonly Term[]) =>
      outer(terms.reduce((sum, [point, scalar]) => sum.add(inner(point).multiplyUnsafe(scalar)), constructor.ZERO)),
  }
}

function secp256k1Group(): Secp256k1 {
  const { Point: constructor } = secp256k1
  const message = utf8ToBytes(`${SECOND_BASE_MESSAGE}secp256k1`)
  const second = secp256k1_hasher.hashToCurve(message, { DST: SECOND_BASE_DST.secp256k1 }).precompute(8)
  const group = groupOf('secp256k1', constructor, second, 33)
  return {
    ...group,
    coordinates: (point) => {
      const bytes = group.encode(point)
      return { x: bytes.slice(1), isOdd: bytes[0] === 3 }
    },
    liftX: (x) => group.decode(concatBytes(Uint8Array.of(2), x)),
  }
}

function ed25519Group(): Group {
  const message = utf8ToBytes(`${SECOND_BASE_MESSAGE}ed25519`)
  const second = ed25519_hasher.hashToCurve(message, { DST: SECOND_BASE_DST.ed25519 }).precompute(8)
  return groupOf('ed25519', ed25519.Point, second, 32)
}

/** Both groups and the hashes over noble. */
export const nobleBackend: DcrmBackend = {
  secp256k1: secp256k1Group(),
  ed25519: ed25519Group(),
  sha256,
  sha512,
  shake256: (data, length) => shake256(data, { dkLen: length }),
}
