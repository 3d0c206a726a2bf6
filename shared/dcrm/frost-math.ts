/** The computations of FROST, each by its name in RFC 9591. Source: RFC 9591 sections 4 and 5. @module */
import { concatBytes } from '#shared/bytes.ts'
import type { Point, Scalar } from '#shared/dcrm/backend.ts'
import type { FrostSuite } from '#shared/dcrm/frost-suite.ts'
import { lagrange, mod } from '#shared/dcrm/polynomial.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** The two nonces of one signer for one signature. Secret, never stored, never used twice. */
export type FrostNonces = Readonly<{ hiding: Scalar; binding: Scalar }>
/** Their public images. */
export type FrostCommitment = Readonly<{ id: PartyId; hiding: Point; binding: Point }>

/** What all signers compute alike from the message and the commitments. */
export type FrostContext = Readonly<{
  /** Group key, with even y where only x counts. */
  key: Point
  /** Whether the stored key is the negative of `key`. */
  isKeyNegated: boolean
  /** R, before any negation. */
  nonce: Point
  isNonceNegated: boolean
  challenge: Scalar
  bindingFactors: ReadonlyMap<PartyId, Scalar>
  signers: readonly PartyId[]
}>

/** Source: RFC 9591 4.1, nonce_generate: fresh bytes hedged with the share, so that a bad generator alone does not repeat a nonce. */
export function frostNonce(suite: FrostSuite, random: Uint8Array, share: Scalar): Scalar {
  return suite.h3(concatBytes(random, suite.encodeScalar(share)))
}

function isOdd(suite: FrostSuite, point: Point): boolean {
  return suite.isXOnly && suite.group.encode(point)[0] === 3
}

/** Source: RFC 9591 4.3-4.6. `commitments` are sorted by id. Null when R is the identity. */
export function frostContext(
  suite: FrostSuite,
  groupKey: Point,
  message: Uint8Array,
  commitments: readonly FrostCommitment[],
): FrostContext | null {
  const { group } = suite
  const isKeyNegated = isOdd(suite, groupKey)
  const key = isKeyNegated ? group.negate(groupKey) : groupKey
  const list = commitments.flatMap(({ id, hiding, binding }) => [
    suite.encodeScalar(BigInt(id)),
    group.encode(hiding),
    group.encode(binding),
  ])
  const prefix = concatBytes(group.encode(key), suite.h4(message), suite.h5(concatBytes(...list)))
  const bindingFactors = new Map(commitments.map(({ id }) => [id, suite.h1(concatBytes(prefix, suite.encodeScalar(BigInt(id))))]))
  const nonce = group.sumPublic(
    commitments.flatMap(({ id, hiding, binding }): [Point, Scalar][] => [
      [hiding, 1n],
      [binding, bindingFactors.get(id) ?? 0n],
    ]),
  )
  if (group.isIdentity(nonce)) return null
  return {
    key,
    isKeyNegated,
    nonce,
    isNonceNegated: isOdd(suite, nonce),
    challenge: suite.challenge(nonce, key, message),
    bindingFactors,
    signers: commitments.map(({ id }) => id),
  }
}

/** Source: RFC 9591 5.2, sign: z_i = d_i + e_i·ρ_i + λ_i·s_i·c. */
export function frostShare(suite: FrostSuite, context: FrostContext, self: PartyId, share: Scalar, nonces: FrostNonces): Scalar {
  const { order } = suite.group
  const nonce = nonces.hiding + nonces.binding * (context.bindingFactors.get(self) ?? 0n)
  const key = lagrange(context.signers, self, order) * share * context.challenge
  return mod((context.isNonceNegated ? -nonce : nonce) + (context.isKeyNegated ? -key : key), order)
}

/** Source: RFC 9591 5.4, verify_signature_share: z_i·G = ±(D_i + ρ_i·E_i) ± c·λ_i·Y_i. */
export function isFrostShareValid(
  suite: FrostSuite,
  context: FrostContext,
  commitment: FrostCommitment,
  publicShare: Point,
  response: Scalar,
): boolean {
  const { group } = suite
  const { order } = group
  const sign = (isNegated: boolean, scalar: Scalar): Scalar => mod(isNegated ? -scalar : scalar, order)
  const expected = group.sumPublic([
    [commitment.hiding, sign(context.isNonceNegated, 1n)],
    [commitment.binding, sign(context.isNonceNegated, context.bindingFactors.get(commitment.id) ?? 0n)],
    [publicShare, sign(context.isKeyNegated, (context.challenge * lagrange(context.signers, commitment.id, order)) % order)],
  ])
  return group.equals(expected, group.mulPublic(group.generator, response))
}

/** Source: RFC 9591 5.3, aggregate. */
export function frostAggregate(suite: FrostSuite, context: FrostContext, responses: readonly Scalar[]): Uint8Array {
  const response = responses.reduce((sum, next) => (sum + next) % suite.group.order, 0n)
  return suite.encodeSignature(context.nonce, response)
}
