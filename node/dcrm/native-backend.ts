/**
 * The backend of a validator: libsecp256k1 for secp256k1, the host's hashes, noble for Ed25519. Secrets meet constant-time calls only: k·G, and
 * Diffie-Hellman for k·P. Without the addon it is the reference with the host's hashes. Source: docs/dcrm.md, words.
 * @module
 */
import { hash } from 'node:crypto'
import type { Secp256k1Addon } from '#node/crypto/addon.ts'
import { loadSecp256k1 } from '#node/crypto/addon.ts'
import { bytesToBigint, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Point, Scalar, Secp256k1, Term } from '#shared/dcrm/backend.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { invariant } from '#shared/fault.ts'

/** A point is its 65-byte uncompressed form; the identity, which has none, is empty. */
const IDENTITY = new Uint8Array(0)

const bytesOf = (point: Point): Uint8Array => point as unknown as Uint8Array
const pointOf = (bytes: Uint8Array): Point => bytes as unknown as Point

function compressed(bytes: Uint8Array): Uint8Array {
  invariant(bytes.length === 65, 'the identity is refused before it is encoded')
  const out = bytes.slice(0, 33)
  out[0] = 2 | ((bytes[64] ?? 0) & 1)
  return out
}

/** Constant-time k·P by Diffie-Hellman, both coordinates kept. */
function multiplySecret(addon: Secp256k1Addon, point: Uint8Array, secret: Scalar): Uint8Array {
  if (point.length === 0 || secret === 0n) return IDENTITY
  const product = new Uint8Array(65)
  product[0] = 4
  const hashfn = (x: Uint8Array, y: Uint8Array): Uint8Array => {
    product.set(x, 1)
    product.set(y, 33)
    return x
  }
  addon.ecdh(point, scalarBytes(secret), { hashfn }, new Uint8Array(32))
  return product
}

function sum(addon: Secp256k1Addon, points: readonly Uint8Array[]): Uint8Array {
  const some = points.filter((point) => point.length > 0)
  const [only] = some
  if (only === undefined) return IDENTITY
  if (some.length === 1) return only
  try {
    return addon.publicKeyCombine(some, false)
  } catch {
    // The only failure of well-formed points is a sum that has no encoding.
    return IDENTITY
  }
}

function decode(addon: Secp256k1Addon, bytes: Uint8Array): Uint8Array | null {
  if (bytes.length !== 33) return null
  try {
    return addon.publicKeyConvert(bytes, false)
  } catch {
    return null
  }
}

function nativeSecp256k1(addon: Secp256k1Addon): Secp256k1 {
  const reference = nobleBackend.secp256k1
  const lift = (bytes: Uint8Array): Uint8Array => {
    const point = decode(addon, bytes)
    invariant(point !== null, 'the reference encodes valid points')
    return point
  }
  const generator = lift(reference.encode(reference.generator))
  const second = lift(reference.encode(reference.second))
  const mulBase = (secret: Scalar): Uint8Array => (secret === 0n ? IDENTITY : addon.publicKeyCreate(scalarBytes(secret), false))
  const mulPublic = (point: Uint8Array, scalar: Scalar): Uint8Array => {
    if (point.length === 0 || scalar === 0n) return IDENTITY
    if (scalar === 1n) return point
    return point === generator ? mulBase(scalar) : addon.publicKeyTweakMul(point, scalarBytes(scalar), false)
  }
  const decodePoint = (bytes: Uint8Array): Point | null => {
    const point = decode(addon, bytes)
    return point === null ? null : pointOf(point)
  }
  return {
    curve: 'secp256k1',
    order: reference.order,
    pointBytes: 33,
    generator: pointOf(generator),
    second: pointOf(second),
    identity: pointOf(IDENTITY),
    isIdentity: (point) => bytesOf(point).length === 0,
    equals: (left, right) => equalBytes(bytesOf(left), bytesOf(right)),
    add: (left, right) => pointOf(sum(addon, [bytesOf(left), bytesOf(right)])),
    negate: (point) => (bytesOf(point).length === 0 ? point : pointOf(addon.publicKeyNegate(bytesOf(point), false))),
    decode: decodePoint,
    encode: (point) => compressed(bytesOf(point)),
    encodeAll: (points) => points.map((point) => compressed(bytesOf(point))),
    mulBase: (secret) => pointOf(mulBase(secret)),
    mulSecond: (secret) => pointOf(multiplySecret(addon, second, secret)),
    mulSecret: (point, secret) => pointOf(multiplySecret(addon, bytesOf(point), secret)),
    mulPublic: (point, scalar) => pointOf(mulPublic(bytesOf(point), scalar)),
    sumPublic: (terms: readonly Term[]) =>
      pointOf(
        sum(
          addon,
          terms.map(([point, scalar]) => mulPublic(bytesOf(point), scalar)),
        ),
      ),
    coordinates: (point) => {
      const bytes = compressed(bytesOf(point))
      return { x: bytes.slice(1), isOdd: bytes[0] === 3 }
    },
    liftX: (x) => {
      if (x.length !== 32 || bytesToBigint(x) === 0n) return null
      const bytes = new Uint8Array(33)
      bytes[0] = 2
      bytes.set(x, 1)
      return decodePoint(bytes)
    },
  }
}

/** The same bytes without the habits of a Buffer, whose `slice` is no copy. */
const plain = ({ buffer, byteOffset, byteLength }: Uint8Array): Uint8Array => new Uint8Array(buffer, byteOffset, byteLength)

const digest =
  (algorithm: string) =>
  (data: Uint8Array): Uint8Array =>
    plain(hash(algorithm, data, 'buffer'))

/** The fastest backend this host has. */
export function createNativeBackend(): DcrmBackend {
  const addon = loadSecp256k1()
  return {
    secp256k1: addon === null ? nobleBackend.secp256k1 : nativeSecp256k1(addon),
    ed25519: nobleBackend.ed25519,
    sha256: digest('sha256'),
    sha512: digest('sha512'),
    shake256: (data, outputLength) => plain(hash('shake256', data, { outputEncoding: 'buffer', outputLength })),
  }
}
