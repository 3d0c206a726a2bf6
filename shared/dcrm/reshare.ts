/**
 * Resharing: t old members give a key to a new committee and a new threshold; the public key stays. Each dealer shares its own weighted share,
 * and its constant commitment must be the one everybody can compute, so a wrong one proves itself. Rounds: deal, complain, (answer, confirm).
 * Source: paper 3.5.3; Desmedt and Jajodia 1997; docs/dcrm.md, resharing and recovery.
 * @module
 */
import { bytesToBigint, concatBytes, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Point, Scalar } from '#shared/dcrm/backend.ts'
import { CERTIFICATE_BYTES, decodeCertificate, keyCertificate } from '#shared/dcrm/certificate.ts'
import { decodePayload, decodeScalar, pointsBytes, scalarBytes, storedPoint } from '#shared/dcrm/codec.ts'
import { descriptorFault, groupOfScheme, idsFault } from '#shared/dcrm/descriptor.ts'
import { dkgFault, hear, refsOf, without } from '#shared/dcrm/dkg-state.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import { evaluate, evaluateInExponent, lagrange, mod } from '#shared/dcrm/polynomial.ts'
import type { Fault, Inbox, Outgoing, PayloadSize, RoundMachine, Step } from '#shared/dcrm/round.ts'
import type { KeyDescriptor, KeyShare, PartyId, PublicKey } from '#shared/dcrm/types.ts'
import { feldmanCommitments, isValueValid } from '#shared/dcrm/vss.ts'
import { invariant } from '#shared/fault.ts'

const ROUND = { deal: 1, complain: 2, answer: 3, confirm: 4 } as const

export type ReshareInput = Readonly<{
  backend: DcrmBackend
  self: PartyId
  seed: Uint8Array
  /** The key as the old committee knows it. */
  old: PublicKey
  /** This party's old share when it deals. */
  share: KeyShare | null
  /** Exactly t old members, ascending. */
  dealers: readonly PartyId[]
  /** New committee and threshold; request, chain and scheme are the old ones. */
  next: KeyDescriptor
}>

export type ReshareResult = Readonly<{
  /** Null for a dealer that leaves the committee. */
  share: KeyShare | null
  publicKey: PublicKey
  certificate: Uint8Array
  confirmed: readonly PartyId[]
}>

export type ReshareState = Readonly<{
  round: (typeof ROUND)[keyof typeof ROUND]
  coefficients: readonly Scalar[]
  images: ReadonlyMap<PartyId, readonly Point[]>
  /** Valid values this party holds, by dealer. */
  values: ReadonlyMap<PartyId, Scalar>
  /** Dealers whose value arrived and was wrong: no relay can do that. */
  wronged: readonly PartyId[]
  complaints: readonly Readonly<{ by: PartyId; dealer: PartyId }>[]
}>

type Run = Readonly<{ input: ReshareInput; group: Group; threshold: number; members: readonly PartyId[]; isMember: boolean }>
type ReshareStep = Step<ReshareState, ReshareResult>

function runOf(input: ReshareInput): Run {
  const { old, dealers, next, self, share } = input
  const isDealer = dealers.includes(self)
  invariant(descriptorFault(next) === null, 'a descriptor is checked before a session is opened for it')
  invariant(next.scheme === old.descriptor.scheme, 'a key keeps its scheme')
  invariant(idsFault(dealers) === null, 'dealers stand in ascending order')
  invariant(dealers.length === old.descriptor.threshold, 'exactly t old members deal')
  invariant(
    dealers.every((id) => old.descriptor.members.includes(id)),
    'only old members deal',
  )
  invariant(isDealer === (share !== null), 'whoever deals has a share, and nobody else brings one')
  invariant(isDealer || next.members.includes(self), 'a party deals or receives')
  const group = groupOfScheme(input.backend, next.scheme)
  return { input, group, threshold: next.threshold, members: next.members, isMember: next.members.includes(self) }
}

function roundStep(
  state: ReshareState,
  name: string,
  from: readonly PartyId[],
  broadcastSize: PayloadSize,
  broadcast: Uint8Array | null,
  faults: readonly Fault[],
  directFrom: readonly PartyId[] = [],
  direct: Outgoing['direct'] = new Map(),
): ReshareStep {
  const spec = {
    round: state.round,
    name,
    broadcastFrom: from,
    broadcastSize,
    directFrom,
    directSize: 32,
    isEchoed: state.round !== ROUND.confirm,
  }
  return { kind: 'round', state, spec, send: { broadcast, direct }, faults }
}

const abort = (code: string, faults: readonly Fault[]): ReshareStep => ({ kind: 'aborted', code, faults })

/** λ_i·x_i as constant, the rest drawn. */
function ownPolynomial({ input, group, threshold }: Run, share: KeyShare): readonly Scalar[] {
  const drbg = createDrbg(input.backend, input.seed, 'reshare')
  const constant = mod(lagrange(input.dealers, input.self, group.order) * bytesToBigint(share.secret), group.order)
  return [constant, ...Array.from({ length: threshold - 1 }, () => drbg.scalar(group))]
}

function start(run: Run): ReshareStep {
  const { input, group, threshold, members, isMember } = run
  const { share, dealers, self } = input
  const size = threshold * group.pointBytes
  const directFrom = isMember ? without(dealers, [self]) : []
  const nothing: ReshareState = { round: ROUND.deal, coefficients: [], images: new Map(), values: new Map(), wronged: [], complaints: [] }
  if (share === null) return roundStep(nothing, 'deal', dealers, size, null, [], directFrom)
  const coefficients = ownPolynomial(run, share)
  const valueFor = (id: PartyId): Scalar => evaluate(coefficients, id, group.order)
  const state: ReshareState = { ...nothing, coefficients, values: new Map([[self, valueFor(self)]]) }
  const broadcast = pointsBytes(group, feldmanCommitments(group, coefficients))
  const direct = new Map(without(members, [self]).map((id) => [id, scalarBytes(valueFor(id))]))
  return roundStep(state, 'deal', dealers, size, broadcast, [], directFrom, direct)
}

/** What a dealer's constant commitment must be: λ_i·X_i. */
function expectedConstant({ input, group }: Run, dealer: PartyId): Point {
  const { old, dealers } = input
  const image = storedPoint(group, old.publicShares[old.descriptor.members.indexOf(dealer)])
  return group.mulPublic(image, lagrange(dealers, dealer, group.order))
}

function takeDealings(run: Run, state: ReshareState, inbox: Inbox): ReshareStep {
  const { input, group, threshold, members, isMember } = run
  const heard = hear(inbox, input.dealers, ROUND.deal, 'IMAGES_MALFORMED', (payload) =>
    decodePayload(payload, (reader) => reader.points(group, threshold)),
  )
  const wrong = [...heard.values].filter(([dealer, [constant]]) => !constant || !group.equals(constant, expectedConstant(run, dealer)))
  const faults = [...heard.faults, ...wrong.map(([dealer]) => dkgFault(dealer, 'proof', 'CONSTANT_WRONG', [ROUND.deal]))]
  if (faults.length > 0) return abort('DEALER_OUT', faults)
  const received = [...heard.values].flatMap(([dealer, images]): [PartyId, Scalar][] => {
    const value = decodeScalar(inbox.directs.get(dealer) ?? new Uint8Array(0), group.order)
    return value !== null && isValueValid(group, images, input.self, value) ? [[dealer, value]] : []
  })
  const values = new Map([...received, ...state.values])
  const accused = without(input.dealers, [...values.keys()])
  const wronged = accused.filter((dealer) => inbox.directs.has(dealer))
  const next: ReshareState = { ...state, round: ROUND.complain, images: heard.values, values, wronged }
  const size = { min: 2 + CERTIFICATE_BYTES, max: 2 + 2 * input.dealers.length + CERTIFICATE_BYTES }
  if (!isMember) return roundStep(next, 'complain', members, size, null, [])
  // Whoever lacks a value confirms nothing yet.
  const publicKey = accused.length === 0 ? publicKeyOf(run, next) : null
  const certificate = publicKey === null ? new Uint8Array(CERTIFICATE_BYTES) : keyCertificate(input.backend, publicKey)
  const payload = concatBytes(uintBytes(accused.length, 2), ...accused.map((id) => uintBytes(id, 2)), certificate)
  return roundStep(next, 'complain', members, size, payload, [])
}

type Reply = Readonly<{ accused: readonly PartyId[]; certificate: Uint8Array }>

function decodeReply(payload: Uint8Array, dealers: readonly PartyId[]): Reply | null {
  const reply = decodePayload(payload, (reader) => {
    const count = Math.min(reader.uint(2), dealers.length + 1)
    return { accused: Array.from({ length: count }, () => reader.uint(2)), certificate: reader.bytes(CERTIFICATE_BYTES) }
  })
  return reply?.accused.every((id, index, list) => dealers.includes(id) && id > (list[index - 1] ?? 0)) ? reply : null
}

function takeComplaints(run: Run, state: ReshareState, inbox: Inbox): ReshareStep {
  const { input, group, threshold, members } = run
  const heard = hear(inbox, members, ROUND.complain, 'COMPLAINTS_MALFORMED', (payload) => decodeReply(payload, input.dealers))
  if (heard.faults.length > 0) return abort('MEMBER_OUT', heard.faults)
  const complaints = [...heard.values].flatMap(([by, { accused }]) => accused.filter((id) => id !== by).map((dealer) => ({ by, dealer })))
  if (complaints.length === 0) return compare(run, state, new Map([...heard.values].map(([id, { certificate }]) => [id, certificate])))
  const next: ReshareState = { ...state, round: ROUND.answer, complaints }
  const accused = input.dealers.filter((dealer) => against(next, dealer).length > 0)
  const rejected = accused.filter((dealer) => against(next, dealer).length >= threshold)
  if (rejected.length > 0)
    return abort(
      'DEALER_OUT',
      rejected.map((dealer) => rejection(next, dealer)),
    )
  const own = against(next, input.self).map((by) => scalarBytes(evaluate(state.coefficients, by, group.order)))
  return roundStep(next, 'answer', accused, { min: 32, max: 32 * members.length }, own.length === 0 ? null : concatBytes(...own), [])
}

const against = (state: ReshareState, dealer: PartyId): readonly PartyId[] =>
  state.complaints.filter((complaint) => complaint.dealer === dealer).map(({ by }) => by)

/** Complaints prove nothing, as a relay that loses values brings them about; but whoever got a wrong one knows. */
const rejection = (state: ReshareState, dealer: PartyId): Fault =>
  dkgFault(
    dealer,
    state.wronged.includes(dealer) ? 'dispute' : 'absent',
    'DEALER_REJECTED',
    [],
    refsOf(ROUND.complain, against(state, dealer)),
  )

function takeAnswers(run: Run, state: ReshareState, inbox: Inbox): ReshareStep {
  const { input, group, members, isMember } = run
  const accused = input.dealers.filter((dealer) => against(state, dealer).length > 0)
  const readAnswers = (payload: Uint8Array, dealer: PartyId): ReadonlyMap<PartyId, Scalar> | null => {
    const complainers = against(state, dealer)
    const answers = decodePayload(payload, (reader) => complainers.map((by) => [by, reader.scalar(group.order)] as const))
    const images = state.images.get(dealer) ?? []
    return answers?.every(([by, value]) => isValueValid(group, images, by, value)) ? new Map(answers) : null
  }
  const heard = hear(inbox, accused, ROUND.answer, 'ANSWER_WRONG', readAnswers, (dealer) => [
    ...refsOf(ROUND.deal, [dealer]),
    ...refsOf(ROUND.complain, against(state, dealer)),
  ])
  if (heard.faults.length > 0) return abort('DEALER_OUT', heard.faults)
  const published = [...heard.values].flatMap(([dealer, answers]): [PartyId, Scalar][] => {
    const value = answers.get(input.self)
    return value === undefined ? [] : [[dealer, value]]
  })
  const next: ReshareState = { ...state, round: ROUND.confirm, values: new Map([...state.values, ...published]) }
  const publicKey = publicKeyOf(run, next)
  if (publicKey === null) return abort('KEY_IDENTITY', [])
  const certificate = keyCertificate(input.backend, publicKey)
  return roundStep(next, 'confirm', members, CERTIFICATE_BYTES, isMember ? certificate : null, [])
}

function takeConfirmations(run: Run, state: ReshareState, inbox: Inbox): ReshareStep {
  const heard = hear(inbox, run.members, ROUND.confirm, 'CERTIFICATE_MALFORMED', decodeCertificate)
  return heard.faults.length > 0 ? abort('MEMBER_OUT', heard.faults) : compare(run, state, heard.values)
}

/** Null when a commitment or a public share is the identity, which a dealer can arrange together with a receiver. */
function publicKeyOf({ input, group, threshold, members }: Run, state: ReshareState): PublicKey | null {
  const commitments = Array.from({ length: threshold }, (_, index) =>
    [...state.images.values()].reduce((sum, images) => group.add(sum, images[index] ?? group.identity), group.identity),
  )
  const publicShares = members.map((id) => evaluateInExponent(group, commitments, id))
  if ([...commitments, ...publicShares].some((point) => group.isIdentity(point))) return null
  return {
    descriptor: input.next,
    keyId: input.old.keyId,
    epoch: input.old.epoch + 1,
    commitments: group.encodeAll(commitments),
    publicShares: group.encodeAll(publicShares),
    qualified: input.dealers,
  }
}

/** Done when all new members confirm the same digest. */
function compare(run: Run, state: ReshareState, certificates: ReadonlyMap<PartyId, Uint8Array>): ReshareStep {
  const { input, group, isMember } = run
  const publicKey = publicKeyOf(run, state)
  if (publicKey === null) return abort('KEY_IDENTITY', [])
  const certificate = keyCertificate(input.backend, publicKey)
  const differing = [...certificates].filter(([, other]) => !equalBytes(other, certificate)).map(([id]) => id)
  if (differing.length > 0)
    return abort(
      'CERTIFICATE_MISMATCH',
      differing.map((id) => dkgFault(id, 'dispute', 'CERTIFICATE_DIFFERS', [state.round])),
    )
  invariant(
    equalBytes(publicKey.commitments[0] ?? certificate, input.old.commitments[0] ?? publicKey.keyId),
    'weighted shares sum up to the same key',
  )
  const secret = input.dealers.reduce((sum, dealer) => mod(sum + (state.values.get(dealer) ?? 0n), group.order), 0n)
  const share = isMember ? { publicKey, self: input.self, secret: scalarBytes(secret) } : null
  return { kind: 'done', result: { share, publicKey, certificate, confirmed: [...certificates.keys()] }, faults: [] }
}

const TAKE = {
  [ROUND.deal]: takeDealings,
  [ROUND.complain]: takeComplaints,
  [ROUND.answer]: takeAnswers,
  [ROUND.confirm]: takeConfirmations,
}

/** A dealer, a receiver, or both. */
export function reshareMachine(input: ReshareInput): RoundMachine<ReshareState, ReshareResult> {
  const run = runOf(input)
  return { start: () => start(run), next: (state, inbox) => TAKE[state.round](run, state, inbox) }
}
