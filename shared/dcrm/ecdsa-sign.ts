/**
 * The online half of threshold ECDSA: one message of 64 bytes per signer. A presignature is consumed by exactly one tuple (message, child,
 * entropy); the shell stores the consumed record durably before the first byte leaves. R is re-randomised by entropy that nobody knew when the
 * message was fixed. Source: DKLs23; Groth and Shoup 2022 on presignatures with derived keys; docs/dcrm.md, online signing.
 * @module
 */
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Point, Scalar } from '#shared/dcrm/backend.ts'
import { decodePayload, scalarBytes } from '#shared/dcrm/codec.ts'
import { hashToScalar } from '#shared/dcrm/hash.ts'
import { inverse, mod } from '#shared/dcrm/polynomial.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { Fault, Inbox, RoundMachine, Step } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { verifyEcdsa } from '#shared/dcrm/verify.ts'
import { invariant, known } from '#shared/fault.ts'

/** Bytes of w_i ‖ u′_i. */
export const PARTIAL_BYTES = 64

/** What one signature is over. */
export type SigningTuple = Readonly<{
  /** m, 32 bytes, not 0 modulo q. */
  digest: Uint8Array
  /** ε of the child key, see `childTweak`. */
  tweak: Scalar
  /** ρ, 32 bytes, see `signingEntropy`. */
  entropy: Uint8Array
}>

/** Why a tuple cannot be signed with a presignature. All but the first have negligible probability. */
export type SigningRefusal = 'DIGEST_ZERO' | 'NONCE_IDENTITY' | 'NONCE_ZERO' | 'KEY_IDENTITY'

/** What all signers compute alike. */
export type SigningContext = Readonly<{
  /** Encoded X′ = X + εG. */
  childKey: Uint8Array
  /** δ: moves R. */
  shift: Scalar
  /** R′ = R + δG. */
  nonce: Point
  /** r′ = x(R′) mod q. */
  r: Scalar
  /** Bit 0: y(R′) is odd; bit 1: x(R′) ≥ q. */
  recovery: number
}>

/** δ, R′, r′ for a tuple, or why there are none. `encodedKey` is the vault key X. */
export function signingContext(
  backend: DcrmBackend,
  encodedKey: Uint8Array,
  encodedNonce: Uint8Array,
  psid: Uint8Array,
  tuple: SigningTuple,
): SigningContext | SigningRefusal {
  const group = backend.secp256k1
  const { digest, tweak, entropy } = tuple
  if (mod(bytesToBigint(digest), group.order) === 0n) return 'DIGEST_ZERO'
  const key = known(group.decode(encodedKey), 'a stored key is a valid point')
  const base = known(group.decode(encodedNonce), 'a stored nonce is a valid point')
  const child = group.add(key, group.mulPublic(group.generator, tweak))
  if (group.isIdentity(child)) return 'KEY_IDENTITY'
  const childKey = group.encode(child)
  const shift = hashToScalar(backend, group, 'ecdsa/rerandomise', psid, encodedNonce, childKey, scalarBytes(tweak), digest, entropy)
  const nonce = group.add(base, group.mulPublic(group.generator, shift))
  if (group.isIdentity(nonce)) return 'NONCE_IDENTITY'
  const { x, isOdd } = group.coordinates(nonce)
  const abscissa = bytesToBigint(x)
  const r = mod(abscissa, group.order)
  if (r === 0n) return 'NONCE_ZERO'
  return { childKey, shift, nonce, r, recovery: (isOdd ? 1 : 0) | (abscissa === r ? 0 : 2) }
}

/** Own partial: w_i = (m + r′ε)·φ_i + r′·v_i and u′_i = u_i + δ·φ_i. To be computed only after the presignature is durably consumed. */
export function partialSignature(
  order: bigint,
  presignature: Pick<Presignature, 'phi' | 'u' | 'v'>,
  context: Pick<SigningContext, 'r' | 'shift'>,
  tuple: SigningTuple,
): Uint8Array {
  const [phi, u, v] = [presignature.phi, presignature.u, presignature.v].map((bytes) => bytesToBigint(bytes)) as [Scalar, Scalar, Scalar]
  const weight = mod(bytesToBigint(tuple.digest) + context.r * tuple.tweak, order)
  return concatBytes(scalarBytes(mod(weight * phi + context.r * v, order)), scalarBytes(mod(u + context.shift * phi, order)))
}

/** A signer's w_i and u′_i. */
export type Partial = Readonly<{ w: Scalar; u: Scalar }>

/** Reads a partial; null unless both are scalars. */
export function decodePartial(order: bigint, payload: Uint8Array): Partial | null {
  return decodePayload(payload, (reader) => ({ w: reader.scalar(order), u: reader.scalar(order) }))
}

/** s = Σw·(Σu′)⁻¹, made low; r ‖ s ‖ recovery id, 65 bytes. Null when Σu′ is 0 or it does not verify under the child key, as s = 0 never does. */
export function aggregateSignature(
  backend: DcrmBackend,
  context: SigningContext,
  digest: Uint8Array,
  partials: readonly Partial[],
): Uint8Array | null {
  const { order } = backend.secp256k1
  const numerator = partials.reduce((sum, { w }) => mod(sum + w, order), 0n)
  const denominator = partials.reduce((sum, { u }) => mod(sum + u, order), 0n)
  if (denominator === 0n) return null
  const s = mod(numerator * inverse(denominator, order), order)
  const isHigh = s > order / 2n
  const signature = concatBytes(
    scalarBytes(context.r),
    scalarBytes(isHigh ? order - s : s),
    Uint8Array.of(isHigh ? context.recovery ^ 1 : context.recovery),
  )
  return verifyEcdsa(backend, context.childKey, digest, signature) ? signature : null
}

export type EcdsaInput = Readonly<{
  backend: DcrmBackend
  self: PartyId
  set: readonly PartyId[]
  context: SigningContext
  digest: Uint8Array
  /** This signer's partial as it was stored when the presignature was consumed. */
  partial: Uint8Array
}>

/** The one online round has nothing to remember. */
export type EcdsaState = Readonly<Record<string, never>>

/** Sends the stored partial, collects the others'. Result: a signature that verifies, 65 bytes; `BAD_PARTIAL` calls for the blame protocol. */
export function ecdsaMachine(input: EcdsaInput): RoundMachine<EcdsaState, Uint8Array> {
  const { set, self, partial } = input
  invariant(set.includes(self) && partial.length === PARTIAL_BYTES, 'a signer of the set brings its partial')
  const spec = { round: 1, name: 'sign', broadcastFrom: set, broadcastSize: PARTIAL_BYTES, directFrom: [], directSize: 0, isEchoed: false }
  return {
    start: () => ({ kind: 'round', state: {}, spec, send: { broadcast: partial, direct: new Map() }, faults: [] }),
    next: (_state, inbox) => takePartials(input, inbox),
  }
}

function takePartials(input: EcdsaInput, inbox: Inbox): Step<EcdsaState, Uint8Array> {
  const { backend, set, context, digest } = input
  const partials: Partial[] = []
  const faults: Fault[] = []
  for (const id of set) {
    const payload = inbox.broadcasts.get(id)
    const partial = payload === undefined ? null : decodePartial(backend.secp256k1.order, payload)
    if (partial !== null) partials.push(partial)
    else
      faults.push({
        accused: id,
        class: payload === undefined ? 'absent' : 'proof',
        code: payload === undefined ? 'SIGNER_ABSENT' : 'PARTIAL_MALFORMED',
        evidence: [{ round: 1, from: id, to: null }],
      })
  }
  if (faults.length > 0) return { kind: 'aborted', code: 'PARTIALS_INCOMPLETE', faults }
  const signature = aggregateSignature(backend, context, digest, partials)
  return signature === null ? { kind: 'aborted', code: 'BAD_PARTIAL', faults: [] } : { kind: 'done', result: signature, faults: [] }
}
