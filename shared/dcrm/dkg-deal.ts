/**
 * First half of key generation: dealing under Pedersen commitments, complaints, answers, and the set QUAL of dealers whose contributions are
 * fixed from then on. Source: paper 3.5.2 (1) a-e; GJKR 1999, figure 2 step 1.
 * @module
 */
import { concatBytes } from '#shared/bytes.ts'
import type { Group } from '#shared/dcrm/backend.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import type { Complaint, DkgRun, DkgState, DkgStep } from '#shared/dcrm/dkg-state.ts'
import { DKG_ROUND, dkgAbort, dkgDrbg, dkgFault, dkgRound, hear, isDealtPair, refsOf, without } from '#shared/dcrm/dkg-state.ts'
import { openImages } from '#shared/dcrm/dkg-open.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import type { Fault, Inbox } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Pair } from '#shared/dcrm/vss.ts'
import {
  PAIR_BYTES,
  arePairsValid,
  commitmentsBytes,
  decodePair,
  drawPolynomials,
  encodeCommitments,
  encodePair,
  isPairValid,
  pairFor,
  pedersenCommitments,
  readCommitments,
  readPair,
} from '#shared/dcrm/vss.ts'

/** Deals: commitments to all, a pair to each. */
export function startDealing(run: DkgRun): DkgStep {
  const { group, input, members, threshold, isZero } = run
  const polynomials = drawPolynomials(group, dkgDrbg(run, 'polynomials'), threshold, isZero)
  const commitments = pedersenCommitments(group, polynomials)
  const others = without(members, [input.self])
  const state: DkgState = {
    round: DKG_ROUND.deal,
    polynomials,
    alive: members,
    commitments: new Map(),
    pairs: new Map([[input.self, pairFor(group, polynomials, input.self)]]),
    wronged: [],
    complaints: [],
    qualified: [],
    images: new Map(),
    exposed: [],
  }
  return dkgRound(state, members, commitmentsBytes(group, threshold, isZero), encodeCommitments(group, commitments, isZero), [], {
    directFrom: others,
    directSize: PAIR_BYTES,
    direct: new Map(others.map((id) => [id, encodePair(pairFor(group, polynomials, id))])),
  })
}

/** Takes all dealings and complains about each dealer whose pair is missing, malformed or wrong by (5). */
export function takeDealings(run: DkgRun, state: DkgState, inbox: Inbox): DkgStep {
  const { group, members, threshold, isZero } = run
  const heard = hear(inbox, members, DKG_ROUND.deal, 'COMMITMENTS_MALFORMED', (payload) =>
    decodePayload(payload, (reader) => readCommitments(group, reader, threshold, isZero)),
  )
  // This party's own dealing counts as others saw it: when it did not leave, it never was.
  const commitments = heard.values
  const pairs = new Map([...receivedPairs(run, commitments, inbox), ...state.pairs])
  const accused = without([...commitments.keys()], [...pairs.keys()])
  const wronged = accused.filter((dealer) => inbox.directs.has(dealer))
  const next: DkgState = { ...state, round: DKG_ROUND.complain, alive: without(members, heard.silent), commitments, pairs, wronged }
  const size = { min: 2, max: 2 + 2 * members.length }
  const list = concatBytes(uintBytes(accused.length, 2), ...accused.map((id) => uintBytes(id, 2)))
  return dkgRound(next, next.alive, size, list, heard.faults)
}

/** Valid pairs by dealer. One batch check for all, one by one only when it fails. */
function receivedPairs(run: DkgRun, commitments: DkgState['commitments'], inbox: Inbox): ReadonlyMap<PartyId, Pair> {
  const { group, input } = run
  const dealt = [...commitments].flatMap(([dealer, vector]) => {
    const payload = inbox.directs.get(dealer)
    const pair = payload === undefined ? null : decodePair(group, payload)
    return pair === null ? [] : [{ dealer, commitments: vector, pair }]
  })
  const areAllValid = arePairsValid(group, dkgDrbg(run, 'weights'), input.self, dealt)
  const valid = areAllValid ? dealt : dealt.filter(({ commitments: vector, pair }) => isPairValid(group, vector, input.self, pair))
  return new Map(valid.map(({ dealer, pair }) => [dealer, pair]))
}

/** Takes the complaints of all; without any, QUAL is everybody who dealt. */
export function takeComplaints(run: DkgRun, state: DkgState, inbox: Inbox): DkgStep {
  const { group, input, members } = run
  const heard = hear(inbox, state.alive, DKG_ROUND.complain, 'COMPLAINTS_MALFORMED', (payload) => decodeAccused(payload, members))
  const complaints = [...heard.values].flatMap(([by, accused]) =>
    accused.filter((dealer) => dealer !== by && state.commitments.has(dealer)).map((dealer): Complaint => ({ by, dealer })),
  )
  const next: DkgState = { ...state, alive: without(state.alive, heard.silent), complaints }
  if (complaints.length === 0) return fixQualified(run, next, [...next.commitments.keys()], heard.faults)
  const own = complaintsAgainst(next, input.self).map((by) => encodePair(pairFor(group, state.polynomials, by)))
  const size = { min: PAIR_BYTES, max: PAIR_BYTES * members.length }
  return dkgRound({ ...next, round: DKG_ROUND.answer }, accusedIn(next), size, own.length === 0 ? null : concatBytes(...own), heard.faults)
}

/** Ids of a complaint list: members, strictly ascending. */
function decodeAccused(payload: Uint8Array, members: readonly PartyId[]): readonly PartyId[] | null {
  const ids = decodePayload(payload, (reader) => {
    const count = Math.min(reader.uint(2), members.length + 1)
    return Array.from({ length: count }, () => reader.uint(2))
  })
  return ids?.every((id, index) => members.includes(id) && id > (ids[index - 1] ?? 0)) ? ids : null
}

/** Dealers that owe an answer. */
function accusedIn({ alive, complaints }: DkgState): readonly PartyId[] {
  return alive.filter((id) => complaints.some(({ dealer }) => dealer === id))
}

/** Who complained about a dealer, ascending. */
function complaintsAgainst(state: DkgState, dealer: PartyId): readonly PartyId[] {
  return state.complaints.filter((complaint) => complaint.dealer === dealer).map(({ by }) => by)
}

/** Takes the answers: a dealer is out with more than t − 1 complaints, with none answered, or with one answered wrongly. */
export function takeAnswers(run: DkgRun, state: DkgState, inbox: Inbox): DkgStep {
  const { input, threshold } = run
  const accused = accusedIn(state)
  const heard = hear(
    inbox,
    accused,
    DKG_ROUND.answer,
    'ANSWER_WRONG',
    (payload, dealer) => validAnswers(run, state, payload, dealer),
    (dealer) => [...refsOf(DKG_ROUND.deal, [dealer]), ...refsOf(DKG_ROUND.complain, complaintsAgainst(state, dealer))],
  )
  const rejected = accused.filter((dealer) => complaintsAgainst(state, dealer).length >= threshold)
  // A relay that loses the pairs of one dealer makes honest members complain: that puts the dealer out and proves nothing. Only whoever got a
  // wrong pair knows that it was a lie.
  const faults = rejected.map((dealer) => {
    const kind = state.wronged.includes(dealer) ? 'dispute' : 'absent'
    return dkgFault(dealer, kind, 'DEALER_REJECTED', [], refsOf(DKG_ROUND.complain, complaintsAgainst(state, dealer)))
  })
  const isCleared = (dealer: PartyId): boolean => heard.values.has(dealer) && !rejected.includes(dealer)
  const standing = [...state.commitments.keys()].filter((dealer) => complaintsAgainst(state, dealer).length === 0 || isCleared(dealer))
  const published = [...heard.values].flatMap(([dealer, answers]): [PartyId, Pair][] => {
    const pair = answers.get(input.self)
    return pair === undefined ? [] : [[dealer, pair]]
  })
  const next: DkgState = { ...state, alive: without(state.alive, heard.silent), pairs: new Map([...state.pairs, ...published]) }
  return fixQualified(run, next, standing, [...heard.faults, ...faults])
}

/** Published pairs by complainer, or null when one of them is wrong by (5) or the list is not exactly as long as the complaints. */
function validAnswers(run: DkgRun, state: DkgState, payload: Uint8Array, dealer: PartyId): ReadonlyMap<PartyId, Pair> | null {
  const complainers = complaintsAgainst(state, dealer)
  const pairs = decodePayload(payload, (reader) => complainers.map((by) => [by, readPair(run.group, reader)] as const))
  return pairs?.every(([by, pair]) => isDealtPair(run, state, dealer, by, pair)) ? new Map(pairs) : null
}

/** Fixes QUAL among the dealers that stand. With an honest majority the run goes on without the others; otherwise it ends and starts anew. */
function fixQualified(run: DkgRun, state: DkgState, standing: readonly PartyId[], faults: readonly Fault[]): DkgStep {
  const copies = copiesAmong(run.group, state.commitments, standing)
  const named = copies.map((dealer) =>
    dkgFault(dealer, 'dispute', 'COMMITMENTS_COPIED', [DKG_ROUND.deal], refsOf(DKG_ROUND.deal, without(copies, [dealer]))),
  )
  const all = [...faults, ...named]
  const qualified = without(standing, copies)
  if (run.mode === 'B' && qualified.length < run.members.length) return dkgAbort('DEALER_OUT', all)
  if (qualified.length < run.threshold) return dkgAbort('TOO_FEW_DEALERS', all)
  // A complaint of this party that did not reach the others leaves it without a share; the others may go on without it.
  const pairs = new Map(
    qualified.flatMap((dealer): [PartyId, Pair][] => {
      const pair = state.pairs.get(dealer)
      return pair === undefined ? [] : [[dealer, pair]]
    }),
  )
  if (pairs.size < qualified.length) return dkgAbort('SHARE_MISSING', all)
  return openImages(run, { ...state, qualified, pairs }, all)
}

/**
 * Dealers with the commitments of another. Whoever copied an honest dealer cannot answer that dealer's complaint and is out already, so those
 * left knew of each other. The vectors alone do not tell a third party who copied whom.
 */
function copiesAmong(group: Group, commitments: DkgState['commitments'], dealers: readonly PartyId[]): readonly PartyId[] {
  const dealt = [...commitments].filter(([dealer]) => dealers.includes(dealer))
  const isCopied = ([dealer, vector]: (typeof dealt)[number]): boolean =>
    dealt.some(([other, same]) => other !== dealer && vector.every((point, index) => group.equals(point, same[index] ?? group.identity)))
  return dealt.filter(isCopied).map(([dealer]) => dealer)
}
