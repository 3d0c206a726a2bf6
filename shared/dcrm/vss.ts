/**
 * Verifiable secret sharing after Pedersen, and its opening after Feldman. A dealer's polynomial f is hidden by a second one f′ until the set of
 * honest dealers is fixed; only then are the images of f shown. Source: paper 3.5.2 (1)-(5); Pedersen 1991; GJKR 1999.
 * @module
 */
import type { DcrmBackend, Group, Point, Scalar, Term } from '#shared/dcrm/backend.ts'
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import type { PayloadReader } from '#shared/dcrm/codec.ts'
import { decodePayload, pointsBytes, scalarBytes } from '#shared/dcrm/codec.ts'
import type { Drbg } from '#shared/dcrm/drbg.ts'
import { hashToScalar } from '#shared/dcrm/hash.ts'
import { evaluate, evaluateInExponent, mod } from '#shared/dcrm/polynomial.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** Bytes of a pair (s_ij, s′_ij). */
export const PAIR_BYTES = 64
/** Bits of the random weights of a batch check: a wrong batch passes with probability 2^-128. */
const WEIGHT_BYTES = 16

/** What a dealer keeps secret. Lowest coefficient first. */
export type Polynomials = Readonly<{ values: readonly Scalar[]; blinds: readonly Scalar[] }>
/** f(j) and f′(j). Secret until a complaint opens it. */
export type Pair = Readonly<{ value: Scalar; blind: Scalar }>

/** Fresh polynomials of degree `count − 1`. With `isZero` both vanish at 0, so that the secret shared does not change. */
export function drawPolynomials(group: Group, drbg: Drbg, count: number, isZero: boolean): Polynomials {
  const draw = (): readonly Scalar[] => Array.from({ length: count }, (_, index) => (isZero && index === 0 ? 0n : drbg.scalar(group)))
  return { values: draw(), blinds: draw() }
}

/** C_k = a_k·T + b_k·T′. */
export function pedersenCommitments(group: Group, { values, blinds }: Polynomials): readonly Point[] {
  return values.map((value, index) => group.add(group.mulBase(value), group.mulSecond(blinds[index] ?? 0n)))
}

/** A_k = a_k·T. */
export function feldmanCommitments(group: Group, values: readonly Scalar[]): readonly Point[] {
  return values.map((value) => group.mulBase(value))
}

/** The pair for party `at`. */
export function pairFor(group: Group, { values, blinds }: Polynomials, at: PartyId): Pair {
  return { value: evaluate(values, at, group.order), blind: evaluate(blinds, at, group.order) }
}

/** Paper (5): s·T + s′·T′ = Σ at^k·C_k. */
export function isPairValid(group: Group, commitments: readonly Point[], at: PartyId, pair: Pair): boolean {
  const claimed = group.add(group.mulBase(pair.value), group.mulSecond(pair.blind))
  return group.equals(claimed, evaluateInExponent(group, commitments, at))
}

/** s·T = Σ at^k·A_k. */
export function isValueValid(group: Group, images: readonly Point[], at: PartyId, value: Scalar): boolean {
  return group.equals(group.mulBase(value), evaluateInExponent(group, images, at))
}

/** One dealer's commitments with what they gave to the receiver. */
export type Dealt = Readonly<{ commitments: readonly Point[]; pair: Pair }>

/**
 * (5) for all dealers of one receiver at once, in a random combination: true when all hold. On false some dealer's pair is wrong and each is to
 * be looked at. The random weights also blind the pairs, so variable time says nothing about them.
 */
export function arePairsValid(group: Group, drbg: Drbg, at: PartyId, dealt: readonly Dealt[]): boolean {
  let [value, blind] = [0n, 0n]
  const terms: Term[] = []
  for (const { commitments, pair } of dealt) {
    const weight = bytesToBigint(drbg.bytes(WEIGHT_BYTES))
    value = mod(value + weight * pair.value, group.order)
    blind = mod(blind + weight * pair.blind, group.order)
    terms.push([evaluateInExponent(group, commitments, at), mod(-weight, group.order)])
  }
  return group.isIdentity(group.sumPublic([[group.generator, value], [group.second, blind], ...terms]))
}

/** s ‖ s′. */
export function encodePair({ value, blind }: Pair): Uint8Array {
  return concatBytes(scalarBytes(value), scalarBytes(blind))
}

/** Null unless both are canonical scalars. */
export function decodePair(group: Group, payload: Uint8Array): Pair | null {
  return decodePayload(payload, (reader) => readPair(group, reader))
}

/** Reads s ‖ s′. */
export function readPair(group: Group, reader: PayloadReader): Pair {
  return { value: reader.scalar(group.order), blind: reader.scalar(group.order) }
}

/** Commitments as they travel: all, or without the constant one where that is the identity by definition. */
export function encodeCommitments(group: Group, commitments: readonly Point[], isZero: boolean): Uint8Array {
  return pointsBytes(group, isZero ? commitments.slice(1) : commitments)
}

/** Reads exactly `threshold` commitments, the constant one implied where `isZero`. */
export function readCommitments(group: Group, reader: PayloadReader, threshold: number, isZero: boolean): readonly Point[] {
  return isZero ? [group.identity, ...reader.points(group, threshold - 1)] : reader.points(group, threshold)
}

/** Bytes of commitments as they travel. */
export function commitmentsBytes(group: Group, threshold: number, isZero: boolean): number {
  return group.pointBytes * (isZero ? threshold - 1 : threshold)
}

/** Proof of knowledge of a_0: (R, z) with z·T = R + c·A_0. */
export type Possession = Readonly<{ nonce: Point; response: Scalar }>

const challenge = (backend: DcrmBackend, group: Group, sid: Uint8Array, dealer: PartyId, image: Point, nonce: Point): Scalar =>
  hashToScalar(backend, group, 'dkg/possession', sid, dealer, group.encode(image), group.encode(nonce))

/** Shows that the dealer knows the logarithm of its A_0, for this session and this dealer only. */
export function provePossession(
  backend: DcrmBackend,
  group: Group,
  drbg: Drbg,
  sid: Uint8Array,
  dealer: PartyId,
  secret: Scalar,
): Possession {
  const blinding = drbg.scalar(group)
  const nonce = group.mulBase(blinding)
  const weight = challenge(backend, group, sid, dealer, group.mulBase(secret), nonce)
  return { nonce, response: mod(blinding + weight * secret, group.order) }
}

/** Whether `proof` shows knowledge of the logarithm of `image`. */
export function isPossessionValid(
  backend: DcrmBackend,
  group: Group,
  sid: Uint8Array,
  dealer: PartyId,
  image: Point,
  proof: Possession,
): boolean {
  const weight = challenge(backend, group, sid, dealer, image, proof.nonce)
  const left = group.sumPublic([
    [group.generator, proof.response],
    [image, mod(-weight, group.order)],
  ])
  return group.equals(left, proof.nonce)
}
