/**
 * Second half of key generation: the dealers of QUAL show the images of their polynomials; whoever lies or falls silent is reconstructed by
 * the others, so that nobody can bend the key by leaving late. Ends with one digest confirmed by all. Source: GJKR 1999, figure 2 steps 3-5.
 * @module
 */
import { bytesToBigint, concatBytes, equalBytes } from '#shared/bytes.ts'
import type { Point } from '#shared/dcrm/backend.ts'
import { CERTIFICATE_BYTES, decodeCertificate, keyCertificate } from '#shared/dcrm/certificate.ts'
import { decodePayload, scalarBytes, storedPoint } from '#shared/dcrm/codec.ts'
import type { DkgResult, DkgRun, DkgState, DkgStep } from '#shared/dcrm/dkg-state.ts'
import { DKG_ROUND, dkgAbort, dkgDrbg, dkgFault, dkgRound, hear, isDealtPair, refsOf, without } from '#shared/dcrm/dkg-state.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import { keyIdOf } from '#shared/dcrm/ids.ts'
import { evaluateInExponent, interpolate, mod } from '#shared/dcrm/polynomial.ts'
import type { Fault, Inbox } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import type { Pair, Possession } from '#shared/dcrm/vss.ts'
import {
  PAIR_BYTES,
  commitmentsBytes,
  encodeCommitments,
  encodePair,
  feldmanCommitments,
  isPossessionValid,
  isValueValid,
  provePossession,
  readCommitments,
  readPair,
} from '#shared/dcrm/vss.ts'

/** Bytes of an objection: dealer and pair. */
const OBJECTION_BYTES = 2 + PAIR_BYTES

type Opening = Readonly<{ images: readonly Point[]; possession: Possession | null }>

/** Shows A_0 … A_d with a proof of possession; parties outside QUAL only listen. */
export function openImages(run: DkgRun, state: DkgState, faults: readonly Fault[]): DkgStep {
  const { group, input, threshold, isZero } = run
  const { values } = state.polynomials
  const images = feldmanCommitments(group, values)
  const proof = isZero ? new Uint8Array(0) : possessionBytes(run, values[0] ?? 0n)
  const own = state.qualified.includes(input.self) ? concatBytes(encodeCommitments(group, images, isZero), proof) : null
  const size = commitmentsBytes(group, threshold, isZero) + (isZero ? 0 : group.pointBytes + 32)
  const senders = state.qualified.filter((id) => state.alive.includes(id))
  return dkgRound({ ...state, round: DKG_ROUND.open }, senders, size, own, faults)
}

function possessionBytes(run: DkgRun, secret: bigint): Uint8Array {
  const { group, input } = run
  const { nonce, response } = provePossession(input.backend, group, dkgDrbg(run, 'possession'), input.sid, input.self, secret)
  return concatBytes(group.encode(nonce), scalarBytes(response))
}

function decodeOpening(run: DkgRun, payload: Uint8Array): Opening | null {
  const { group, threshold, isZero } = run
  return decodePayload(payload, (reader) => ({
    images: readCommitments(group, reader, threshold, isZero),
    possession: isZero ? null : { nonce: reader.point(group), response: reader.scalar(group.order) },
  }))
}

/** Takes the images; objects to those that do not fit the pair this party holds. */
export function takeImages(run: DkgRun, state: DkgState, inbox: Inbox): DkgStep {
  const { group, input, members } = run
  const senders = state.qualified.filter((id) => state.alive.includes(id))
  const heard = hear(inbox, senders, DKG_ROUND.open, 'IMAGES_MALFORMED', (payload) => decodeOpening(run, payload))
  const impostors = [...heard.values].flatMap(([dealer, { images, possession }]) => {
    const [constant] = images
    const isShown = possession === null || (constant && isPossessionValid(input.backend, group, input.sid, dealer, constant, possession))
    return isShown ? [] : [dealer]
  })
  const shown = new Map([...heard.values].filter(([dealer]) => !impostors.includes(dealer)).map(([dealer, { images }]) => [dealer, images]))
  const next: DkgState = {
    ...state,
    round: DKG_ROUND.object,
    alive: without(state.alive, heard.silent),
    images: shown,
    exposed: without(state.qualified, [...shown.keys()]),
  }
  const wrong = [...state.pairs].flatMap(([dealer, pair]) => {
    const images = shown.get(dealer)
    return images === undefined || isValueValid(group, images, input.self, pair.value) ? [] : [{ dealer, pair }]
  })
  const objections = wrong.map(({ dealer, pair }) => concatBytes(uintBytes(dealer, 2), encodePair(pair)))
  // Without all images, or with wrong ones, the share does not fit and there is nothing to confirm yet.
  const end = outcomeOf(run, next)
  const certificate = typeof end === 'string' ? new Uint8Array(CERTIFICATE_BYTES) : end.certificate
  const payload = concatBytes(uintBytes(objections.length, 2), ...objections, certificate)
  const size = { min: 2 + CERTIFICATE_BYTES, max: 2 + members.length * OBJECTION_BYTES + CERTIFICATE_BYTES }
  const faults = [...heard.faults, ...impostors.map((dealer) => dkgFault(dealer, 'proof', 'POSSESSION_UNPROVEN', [DKG_ROUND.open]))]
  return dkgRound(next, next.alive, size, payload, faults)
}

/** What a member shows that it holds from a dealer. */
type Held = Readonly<{ dealer: PartyId; pair: Pair }>
type Objections = Readonly<{ objections: readonly Held[]; certificate: Uint8Array }>

function decodeObjections(run: DkgRun, payload: Uint8Array): Objections | null {
  return decodePayload(payload, (reader) => {
    const count = Math.min(reader.uint(2), run.members.length + 1)
    const objections = Array.from({ length: count }, () => ({ dealer: reader.uint(2), pair: readPair(run.group, reader) }))
    return { objections, certificate: reader.bytes(CERTIFICATE_BYTES) }
  })
}

/** Judges objections. An objection proves its dealer a liar or, when the pair is not the dealt one or fits after all, its sender. */
export function takeObjections(run: DkgRun, state: DkgState, inbox: Inbox): DkgStep {
  const heard = hear(inbox, state.alive, DKG_ROUND.object, 'OBJECTIONS_MALFORMED', (payload) => decodeObjections(run, payload))
  const liars = new Set<PartyId>()
  const faults: Fault[] = [...heard.faults]
  for (const [by, { objections }] of heard.values)
    for (const { dealer, pair } of objections) {
      if (isObjectionTrue(run, state, by, { dealer, pair })) {
        if (!liars.has(dealer))
          faults.push(dkgFault(dealer, 'proof', 'IMAGES_WRONG', [DKG_ROUND.deal, DKG_ROUND.open], refsOf(DKG_ROUND.object, [by])))
        liars.add(dealer)
      } else {
        const shown = [...refsOf(DKG_ROUND.deal, [dealer]), ...refsOf(DKG_ROUND.open, [dealer])]
        faults.push(dkgFault(by, 'proof', 'OBJECTION_FALSE', [DKG_ROUND.object], shown))
      }
    }
  const alive = without(state.alive, heard.silent)
  const exposed = state.qualified.filter((id) => state.exposed.includes(id) || liars.has(id))
  if (exposed.length === 0)
    return compare(run, { ...state, alive }, new Map([...heard.values].map(([id, said]) => [id, said.certificate])), faults)
  if (run.mode === 'B') return dkgAbort('DEALER_EXPOSED', faults)
  return extract({ ...state, round: DKG_ROUND.extract, alive, exposed }, faults)
}

function isObjectionTrue(run: DkgRun, state: DkgState, by: PartyId, { dealer, pair }: Held): boolean {
  const images = state.images.get(dealer)
  return isDealtPair(run, state, dealer, by, pair) && images !== undefined && !isValueValid(run.group, images, by, pair.value)
}

/** Every member shows the pairs it holds from the exposed dealers. */
function extract(state: DkgState, faults: readonly Fault[]): DkgStep {
  const held = [...state.pairs].filter(([dealer]) => state.exposed.includes(dealer))
  const payload = concatBytes(...held.map(([, pair]) => encodePair(pair)))
  return dkgRound(state, without(state.alive, state.exposed), PAIR_BYTES * state.exposed.length, payload, faults)
}

/** Reconstructs the polynomials of exposed dealers from t valid pairs each. */
export function takeExtraction(run: DkgRun, state: DkgState, inbox: Inbox): DkgStep {
  const { group, threshold } = run
  const senders = without(state.alive, state.exposed)
  const readHeld = (payload: Uint8Array, by: PartyId): readonly Held[] | null => {
    const held = decodePayload(payload, (reader) => state.exposed.map((dealer) => ({ dealer, pair: readPair(group, reader) })))
    return held?.every(({ dealer, pair }) => isDealtPair(run, state, dealer, by, pair)) ? held : null
  }
  const dealings = refsOf(DKG_ROUND.deal, state.exposed)
  const heard = hear(inbox, senders, DKG_ROUND.extract, 'EXTRACTION_WRONG', readHeld, () => dealings)
  const images = new Map(state.images)
  for (const dealer of state.exposed) {
    const points = [...heard.values].flatMap(([by, held]) =>
      held.filter((each) => each.dealer === dealer).map(({ pair }): [PartyId, bigint] => [by, pair.value]),
    )
    if (points.length < threshold) return dkgAbort('EXTRACTION_FAILED', heard.faults)
    images.set(dealer, feldmanCommitments(group, interpolate(points.slice(0, threshold), group.order)))
  }
  const next: DkgState = { ...state, round: DKG_ROUND.confirm, alive: without(state.alive, heard.silent), images }
  const end = outcomeOf(run, next)
  if (typeof end === 'string') return dkgAbort(end, heard.faults)
  return dkgRound(next, next.alive, CERTIFICATE_BYTES, end.certificate, heard.faults)
}

/** Takes the confirmations after an extraction. */
export function takeConfirmations(run: DkgRun, state: DkgState, inbox: Inbox): DkgStep {
  const heard = hear(inbox, state.alive, DKG_ROUND.confirm, 'CERTIFICATE_MALFORMED', decodeCertificate)
  return compare(run, state, heard.values, heard.faults)
}

/** Done when every member that spoke confirms the same digest; whoever confirms another one saw another run. */
function compare(run: DkgRun, state: DkgState, certificates: ReadonlyMap<PartyId, Uint8Array>, faults: readonly Fault[]): DkgStep {
  const end = outcomeOf(run, state)
  if (typeof end === 'string') return dkgAbort(end, faults)
  const differing = [...certificates].filter(([, certificate]) => !equalBytes(certificate, end.certificate)).map(([id]) => id)
  if (differing.length > 0)
    return dkgAbort('CERTIFICATE_MISMATCH', [
      ...faults,
      ...differing.map((id) => dkgFault(id, 'dispute', 'CERTIFICATE_DIFFERS', [state.round])),
    ])
  const confirmed = [...certificates.keys()]
  if (confirmed.length < run.threshold) return dkgAbort('CERTIFICATE_INCOMPLETE', faults)
  return { kind: 'done', result: { ...end, confirmed }, faults }
}

/** Share, public shares and certificate, or why there are none: an identity among commitments and public shares, or an objection nobody heard. */
function outcomeOf(run: DkgRun, state: DkgState): Omit<DkgResult, 'confirmed'> | 'KEY_IDENTITY' | 'SHARE_UNFIT' {
  const { group, input, members } = run
  const { base, backend, descriptor, sid, self } = input
  const { qualified, images, pairs } = state
  const old = (base?.publicKey.commitments ?? []).map((bytes) => storedPoint(group, bytes))
  const commitments = sumVectors(run, [old, ...images.values()])
  const publicShares = members.map((id) => evaluateInExponent(group, commitments, id))
  if ([...commitments, ...publicShares].some((point) => group.isIdentity(point))) return 'KEY_IDENTITY'
  const dealt = [...pairs.values()]
  const secret = dealt.reduce((sum, { value }) => mod(sum + value, group.order), base === null ? 0n : bytesToBigint(base.secret))
  const ownShare = publicShares[members.indexOf(self)] ?? group.identity
  if (!group.equals(group.mulBase(secret), ownShare)) return 'SHARE_UNFIT'
  const share: KeyShare = {
    publicKey: {
      descriptor,
      keyId: base?.publicKey.keyId ?? keyIdOf(backend, descriptor, sid),
      epoch: base === null ? 0 : base.publicKey.epoch + 1,
      commitments: group.encodeAll(commitments),
      publicShares: group.encodeAll(publicShares),
      qualified,
    },
    self,
    secret: scalarBytes(secret),
  }
  return { share, certificate: keyCertificate(backend, share.publicKey) }
}

/** Sums vectors of equal length, point by point. */
function sumVectors({ group, threshold }: DkgRun, vectors: readonly (readonly Point[])[]): readonly Point[] {
  return Array.from({ length: threshold }, (_, index) =>
    vectors.reduce((sum, vector) => group.add(sum, vector[index] ?? group.identity), group.identity),
  )
}
