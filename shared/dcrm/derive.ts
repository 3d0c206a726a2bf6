/**
 * Child keys. A vault key itself never signs: each use derives its own key from it by a public tweak, so that purposes stay separate and one
 * vault has many addresses. The stored key X is the internal, untweaked point; this is the one place where tweaks are applied, for addresses and
 * for shares alike. Source: docs/dcrm.md, child keys; BIP340, BIP341 for the Taproot steps.
 * @module
 */
import { bytesToBigint, concatBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Point, Scalar, Secp256k1 } from '#shared/dcrm/backend.ts'
import { decodeScalar, scalarBytes, storedPoint } from '#shared/dcrm/codec.ts'
import { groupOfScheme } from '#shared/dcrm/descriptor.ts'
import { hashToScalar } from '#shared/dcrm/hash.ts'
import { mod } from '#shared/dcrm/polynomial.ts'
import type { KeyPurpose, KeyShare, PublicKey, Scheme } from '#shared/dcrm/types.ts'
import { invariant } from '#shared/fault.ts'

/** Purposes by their number on the wire and on chain. */
export const PURPOSES: readonly KeyPurpose[] = ['lock-in', 'change', 'heartbeat', 'generic']

/** What a child key is for. */
export type ChildPath = Readonly<{
  purpose: KeyPurpose
  /** 32 bytes registered on chain: a Lock-in request, an account, or zero. */
  subject: Uint8Array
}>

export type ChildKey = Readonly<{
  /** ε, the public tweak. */
  tweak: Scalar
  /** Encoded X + εG. */
  internal: Uint8Array
  /** The key signatures verify under: 33 bytes compressed for ECDSA, 32 bytes x-only output key for Taproot, 32 bytes for Ed25519. */
  signingKey: Uint8Array
}>

/** Source: BIP340, tagged hashes. */
export function taggedHash(backend: Pick<DcrmBackend, 'sha256'>, tag: string, ...parts: readonly Uint8Array[]): Uint8Array {
  const prefix = backend.sha256(utf8ToBytes(tag))
  return backend.sha256(concatBytes(prefix, prefix, ...parts))
}

/** ε = H2S("derive", name of the vault key on chain, X, purpose, subject). */
export function childTweak(backend: DcrmBackend, scheme: Scheme, requestId: Uint8Array, encodedKey: Uint8Array, path: ChildPath): Scalar {
  const group = groupOfScheme(backend, scheme)
  return hashToScalar(backend, group, 'derive', requestId, encodedKey, PURPOSES.indexOf(path.purpose), path.subject)
}

/** Tweak of a Taproot output key for an internal key with even y; no root commits to the absence of scripts. Source: BIP341, `taproot_tweak_pubkey`. */
export function tapTweak(backend: DcrmBackend, internalX: Uint8Array, merkleRoot: Uint8Array = new Uint8Array(0)): Scalar | null {
  return decodeScalar(taggedHash(backend, 'TapTweak', internalX, merkleRoot), backend.secp256k1.order)
}

/** How child points follow from points of the vault key: negated or not, then moved. */
type Shift = Readonly<{ isNegated: boolean; offset: Scalar }>

function taprootShift(backend: DcrmBackend, internal: Point, tweak: Scalar): Shift | null {
  const { x, isOdd } = backend.secp256k1.coordinates(internal)
  const tap = tapTweak(backend, x)
  if (tap === null) return null
  const { order } = backend.secp256k1
  return { isNegated: isOdd, offset: mod((isOdd ? -tweak : tweak) + tap, order) }
}

function shiftPoint(group: Group, point: Point, shift: Shift, offsetPoint: Point): Point {
  return group.add(shift.isNegated ? group.negate(point) : point, offsetPoint)
}

type Derivation = Readonly<{ child: ChildKey; shift: Shift; offsetPoint: Point }>

function derive(backend: DcrmBackend, scheme: Scheme, requestId: Uint8Array, encodedKey: Uint8Array, path: ChildPath): Derivation | null {
  const group = groupOfScheme(backend, scheme)
  const key = group.decode(encodedKey)
  if (key === null) return null
  const tweak = childTweak(backend, scheme, requestId, encodedKey, path)
  const internal = group.add(key, group.mulPublic(group.generator, tweak))
  if (group.isIdentity(internal)) return null
  const shift = scheme === 'taproot' ? taprootShift(backend, internal, tweak) : { isNegated: false, offset: tweak }
  if (shift === null) return null
  const offsetPoint = group.mulPublic(group.generator, shift.offset)
  const output = shiftPoint(group, key, shift, offsetPoint)
  if (group.isIdentity(output)) return null
  const signingKey = scheme === 'taproot' ? (group as Secp256k1).coordinates(output).x : group.encode(output)
  return { child: { tweak, internal: group.encode(internal), signingKey }, shift, offsetPoint }
}

/**
 * The child key of a vault key. Null for a key that does not decode, and in the cases of negligible probability (identity, tweak above the
 * order) that nobody can produce on purpose.
 */
export function childKey(
  backend: DcrmBackend,
  scheme: Scheme,
  requestId: Uint8Array,
  encodedKey: Uint8Array,
  path: ChildPath,
): ChildKey | null {
  return derive(backend, scheme, requestId, encodedKey, path)?.child ?? null
}

/** A member's share of a child key of FROST schemes, ready to sign: for Taproot the output key's. ECDSA derives inside the online round instead. */
export function childShare(backend: DcrmBackend, share: KeyShare, path: ChildPath): KeyShare | null {
  const { publicKey } = share
  const { scheme, requestId } = publicKey.descriptor
  invariant(scheme !== 'ecdsa', 'ECDSA shares are not tweaked')
  const [encodedKey] = publicKey.commitments
  invariant(encodedKey !== undefined, 'a key has commitments')
  const derivation = derive(backend, scheme, requestId, encodedKey, path)
  if (derivation === null) return null
  const group = groupOfScheme(backend, scheme)
  const { isNegated, offset } = derivation.shift
  const secret = bytesToBigint(share.secret)
  return {
    ...share,
    publicKey: shiftPublic(group, publicKey, derivation),
    secret: scalarBytes(mod((isNegated ? -secret : secret) + offset, group.order)),
  }
}

function shiftPublic(group: Group, publicKey: PublicKey, { shift, offsetPoint }: Derivation): PublicKey {
  const moved = (bytes: Uint8Array, by: Point): Point => shiftPoint(group, storedPoint(group, bytes), shift, by)
  // Only the constant coefficient moves; the others share its sign.
  const commitments = publicKey.commitments.map((bytes, index) => moved(bytes, index === 0 ? offsetPoint : group.identity))
  const publicShares = publicKey.publicShares.map((bytes) => moved(bytes, offsetPoint))
  return { ...publicKey, commitments: group.encodeAll(commitments), publicShares: group.encodeAll(publicShares) }
}
