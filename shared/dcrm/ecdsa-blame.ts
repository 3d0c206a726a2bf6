/**
 * Who spoiled a threshold ECDSA signature: each signer proves that its partial came from the presignature it agreed to, without showing it. A
 * signature that does not verify always leaves at least one signer that cannot. Our own construction, see docs/dcrm.md, what is proven.
 * Source: Chaum and Pedersen 1992 for the proof of equal logarithms.
 * @module
 */
import { bytesToBigint, concatBytes, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Point, Scalar, Term } from '#shared/dcrm/backend.ts'
import { decodePayload, scalarBytes } from '#shared/dcrm/codec.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import type { Partial, SigningContext } from '#shared/dcrm/ecdsa-sign.ts'
import { hashToScalar } from '#shared/dcrm/hash.ts'
import { mod } from '#shared/dcrm/polynomial.ts'
import { decodeStatement } from '#shared/dcrm/presign-reveal.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { STATEMENT_BYTES, bondOf, pairsOf } from '#shared/dcrm/presignature.ts'
import type { Fault, Inbox, RoundMachine, Step } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { invariant, known } from '#shared/fault.ts'

/** Two points and a scalar. */
const PROOF_BYTES = 2 * 33 + 32

export type BlameInput = Readonly<{
  backend: DcrmBackend
  self: PartyId
  presignature: Presignature
  context: SigningContext
  digest: Uint8Array
  tweak: Scalar
  /** Encoded vault key X. */
  encodedKey: Uint8Array
  /** The partials of the failed round, by signer. */
  partials: ReadonlyMap<PartyId, Partial>
  /** φ_i, kept until the signature verified. Secret. */
  phi: Scalar
  /** 32 fresh secret bytes. */
  seed: Uint8Array
}>

/** Names of cheaters as faults; empty when all proofs hold, which an invalid signature excludes. */
export type BlameResult = readonly PartyId[]
/** The one round has nothing to remember. */
export type BlameState = Readonly<Record<string, never>>

/** A signer's claims: a proof and, per peer in ascending order, the statements it sent and received. */
type Claim = Readonly<{
  commitments: readonly [Point, Point]
  response: Scalar
  sent: ReadonlyMap<PartyId, Uint8Array>
  received: ReadonlyMap<PartyId, Uint8Array>
}>

/** B = (m + r′ε)·G + r′·X. */
function secondBase({ backend, context, digest, tweak, encodedKey }: BlameInput): Point {
  const group = backend.secp256k1
  const key = known(group.decode(encodedKey), 'a stored key is a valid point')
  return group.sumPublic([
    [group.generator, mod(bytesToBigint(digest) + context.r * tweak, group.order)],
    [key, context.r],
  ])
}

/**
 * Kᵘ_i and Kᵛ_i = Σ_j (ψ_ji·B_i − ψ_ij·B_j + Γ_ij − Γ_ji) over the bases R and pk, from what i sent to and got from each j. Null for statements
 * of another form: two who agree can bind themselves to anything.
 */
function corrections(group: Group, claim: Claim): readonly [Point, Point] | null {
  const terms: [Term[], Term[]] = [[], []]
  for (const [peer, sentBytes] of claim.sent) {
    const sent = decodeStatement(group, sentBytes)
    const received = decodeStatement(group, statementOf(claim.received, peer))
    if (sent === null || received === null) return null
    const bases = [
      [sent.nonce, received.nonce],
      [sent.key, received.key],
    ] as const
    for (const [side, [own, other]] of bases.entries())
      terms[side as 0 | 1].push(
        [own, received.psi],
        [other, mod(-sent.psi, group.order)],
        [sent.gammas[side as 0 | 1], 1n],
        [received.gammas[side as 0 | 1], group.order - 1n],
      )
  }
  return [group.sumPublic(terms[0]), group.sumPublic(terms[1])]
}

const statementOf = (statements: ReadonlyMap<PartyId, Uint8Array>, peer: PartyId): Uint8Array =>
  known(statements.get(peer), 'a claim is about each other signer')

/** Y1 = u′·G − Kᵘ and Y2 = w·G − r′·Kᵛ: φ·R′ and φ·B when the partial is honest. */
function images(input: BlameInput, signer: PartyId, claim: Claim): readonly [Point, Point] | null {
  const group = input.backend.secp256k1
  const partial = known(input.partials.get(signer), 'blame follows a round in which all partials arrived')
  const sums = corrections(group, claim)
  if (sums === null) return null
  const { r } = input.context
  return [
    group.sumPublic([
      [group.generator, partial.u],
      [sums[0], group.order - 1n],
    ]),
    group.sumPublic([
      [group.generator, partial.w],
      [sums[1], mod(-r, group.order)],
    ]),
  ]
}

function challenge(input: BlameInput, signer: PartyId, base: Point, points: readonly Point[]): Scalar {
  const { backend, presignature, context } = input
  const group = backend.secp256k1
  const encoded = points.map((point) => (group.isIdentity(point) ? new Uint8Array(33) : group.encode(point)))
  return hashToScalar(backend, group, 'ecdsa/blame', presignature.psid, signer, group.encode(context.nonce), group.encode(base), ...encoded)
}

function ownClaim(input: BlameInput): Uint8Array {
  const { backend, presignature, context, self, phi, seed } = input
  const group = backend.secp256k1
  const blinding = createDrbg(backend, seed, 'ecdsa/blame').scalar(group)
  const base = secondBase(input)
  const commitments = [group.mulSecret(context.nonce, blinding), group.mulSecret(base, blinding)] as const
  const sent = new Map(presignature.statements.map(({ peer, sent: bytes }) => [peer, bytes]))
  const received = new Map(presignature.statements.map(({ peer, received: bytes }) => [peer, bytes]))
  const draft: Claim = { commitments, response: 0n, sent, received }
  const shown = known(images(input, self, draft), 'own statements are well formed')
  const response = mod(blinding + challenge(input, self, base, [...shown, ...commitments]) * phi, group.order)
  const statements = presignature.statements.flatMap(({ sent: out, received: back }) => [out, back])
  return concatBytes(...group.encodeAll(commitments), scalarBytes(response), ...statements)
}

function decodeClaim(input: BlameInput, signer: PartyId, payload: Uint8Array): Claim | null {
  const { backend, presignature } = input
  const group = backend.secp256k1
  const peers = presignature.set.filter((id) => id !== signer)
  return decodePayload(payload, (reader) => {
    const commitments = [reader.point(group), reader.point(group)] as const
    const response = reader.scalar(group.order)
    const said = peers.map((peer) => [peer, reader.bytes(STATEMENT_BYTES), reader.bytes(STATEMENT_BYTES)] as const)
    return {
      commitments,
      response,
      sent: new Map(said.map(([peer, out]) => [peer, out])),
      received: new Map(said.map(([peer, , back]) => [peer, back])),
    }
  })
}

/** z·R′ = A1 + c·Y1 and z·B = A2 + c·Y2. */
function isProven(input: BlameInput, signer: PartyId, claim: Claim): boolean {
  const { backend, context } = input
  const group = backend.secp256k1
  const shown = images(input, signer, claim)
  if (shown === null) return false
  const base = secondBase(input)
  const weight = challenge(input, signer, base, [...shown, ...claim.commitments])
  return [context.nonce, base].every((point, side) => {
    const left = group.mulPublic(point, claim.response)
    const right = group.add(claim.commitments[side as 0 | 1], group.mulPublic(shown[side as 0 | 1], weight))
    return group.equals(left, right)
  })
}

/** One round: every signer proves. Ends with the cheaters named: by proof when their claim fails or is not what they bound themselves to. */
export function blameMachine(input: BlameInput): RoundMachine<BlameState, BlameResult> {
  const { set } = input.presignature
  invariant(
    set.every((id) => input.partials.has(id)),
    'blame follows a round in which all partials arrived',
  )
  const spec = {
    round: 1,
    name: 'blame',
    broadcastFrom: set,
    broadcastSize: PROOF_BYTES + 2 * STATEMENT_BYTES * (set.length - 1),
    directFrom: [],
    directSize: 0,
    isEchoed: true,
  }
  return {
    start: () => ({
      kind: 'round',
      state: {},
      spec,
      send: { broadcast: ownClaim(input), direct: new Map() },
      faults: [],
    }),
    next: (_state, inbox) => judge(input, inbox),
  }
}

function judge(input: BlameInput, inbox: Inbox): Step<BlameState, BlameResult> {
  const { self, presignature } = input
  const faults: Fault[] = []
  const named = (accused: PartyId, kind: Fault['class'], code: string): void => {
    faults.push({ accused, class: kind, code, evidence: [{ round: 1, from: accused, to: null }] })
  }
  for (const id of presignature.set) {
    if (id === self) continue
    const payload = inbox.broadcasts.get(id)
    const claim = payload === undefined ? null : decodeClaim(input, id, payload)
    if (payload === undefined) named(id, 'absent', 'SIGNER_ABSENT')
    else if (claim === null) named(id, 'proof', 'CLAIM_MALFORMED')
    else if (!isBound(input, id, claim)) named(id, 'proof', 'STATEMENT_DIFFERS')
    else if (!isProven(input, id, claim)) named(id, 'proof', 'PARTIAL_WRONG')
  }
  const cheaters = [...new Set(faults.map(({ accused }) => accused))]
  return { kind: 'done', result: cheaters, faults }
}

/** Whether a signer shows exactly what it and each peer confirmed to have told each other when they presigned. */
function isBound({ backend, presignature }: BlameInput, signer: PartyId, claim: Claim): boolean {
  const { psid, set, bonds } = presignature
  return pairsOf(set).every((pair, index) => {
    if (!pair.includes(signer)) return true
    const peer = pair[0] === signer ? pair[1] : pair[0]
    const shown = bondOf(backend, psid, [signer, peer], statementOf(claim.sent, peer), statementOf(claim.received, peer))
    return equalBytes(shown, known(bonds[index], 'a presignature has a bond per pair'))
  })
}
