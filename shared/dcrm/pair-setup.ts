/**
 * What two members of an ECDSA key prepare once per epoch: base transfers in both directions and a common secret for sharings of zero. A round
 * machine over all pairs of a committee, or over one pair. Rounds: offer, answer, confirm. Source: DKLs23; docs/dcrm.md, pairwise setup.
 * @module
 */
import { concatBytes, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { BaseOtContext, BaseOtReceiver, BaseOtSent } from '#shared/dcrm/base-ot.ts'
import { BASE_OT_BYTES, DELTA_BYTES, finishBaseOt, receiveBaseOt, sendBaseOt } from '#shared/dcrm/base-ot.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import { without } from '#shared/dcrm/dkg-state.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import { OT_COLUMNS, OT_KEY_BYTES } from '#shared/dcrm/ot-extension.ts'
import type { Fault, Inbox, RoundMachine, RoundSpec, Step } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { invariant, known } from '#shared/fault.ts'

const ROUND = { offer: 1, answer: 2, confirm: 3 } as const
const NONCE_BYTES = 32
const KEYS_BYTES = OT_COLUMNS * OT_KEY_BYTES
/** Bytes of an encoded pair state. */
export const PAIR_STATE_BYTES = 2 + DELTA_BYTES + 3 * KEYS_BYTES + NONCE_BYTES

/** What a party keeps about one peer, all of it secret. */
export type PairState = Readonly<{
  peer: PartyId
  /** As sender of a VOLE: Δ and the keys it chose. */
  asSender: Readonly<{ delta: Uint8Array; keys: Uint8Array }>
  /** As receiver of a VOLE: both keys of each index. */
  asReceiver: Readonly<{ keys0: Uint8Array; keys1: Uint8Array }>
  /** Common secret of the pair, 32 bytes. */
  zero: Uint8Array
}>

/** Exact-size encoding for the encrypted store. */
export function encodePairState({ peer, asSender, asReceiver, zero }: PairState): Uint8Array {
  return concatBytes(Uint8Array.of(peer >>> 8, peer & 255), asSender.delta, asSender.keys, asReceiver.keys0, asReceiver.keys1, zero)
}

/** The inverse; null for another length. */
export function decodePairState(bytes: Uint8Array): PairState | null {
  return decodePayload(bytes, (reader) => ({
    peer: reader.uint(2),
    asSender: { delta: reader.bytes(DELTA_BYTES), keys: reader.bytes(KEYS_BYTES) },
    asReceiver: { keys0: reader.bytes(KEYS_BYTES), keys1: reader.bytes(KEYS_BYTES) },
    zero: reader.bytes(NONCE_BYTES),
  }))
}

export type PairSetupInput = Readonly<{
  backend: DcrmBackend
  self: PartyId
  /** All parties of the session, ascending, this one among them. */
  set: readonly PartyId[]
  sid: Uint8Array
  seed: Uint8Array
}>

type Offer = Readonly<{ state: BaseOtReceiver; message: Uint8Array; nonce: Uint8Array }>
/** `received`: the peer's whole offer. */
type Answered = Readonly<{ sent: BaseOtSent; theirNonce: Uint8Array; received: Uint8Array }>

export type PairSetupState = Readonly<{
  round: (typeof ROUND)[keyof typeof ROUND]
  offers: ReadonlyMap<PartyId, Offer>
  answered: ReadonlyMap<PartyId, Answered>
  pairs: ReadonlyMap<PartyId, PairState>
  digests: ReadonlyMap<PartyId, Uint8Array>
}>

/** Pair states by peer. */
export type PairSetupResult = ReadonlyMap<PartyId, PairState>
type SetupStep = Step<PairSetupState, PairSetupResult>

/** Name of one direction: `sender` is the VOLE sender, the one with Δ. */
function contextOf({ backend, sid }: PairSetupInput, sender: PartyId, receiver: PartyId): BaseOtContext {
  return { backend, name: hashItems(backend, 'setup/direction', sid, sender, receiver) }
}

function roundStep(
  input: PairSetupInput,
  state: PairSetupState,
  name: string,
  size: number,
  direct: ReadonlyMap<PartyId, Uint8Array>,
): SetupStep {
  const spec: RoundSpec = {
    round: state.round,
    name,
    broadcastFrom: [],
    broadcastSize: 0,
    directFrom: without(input.set, [input.self]),
    directSize: size,
    isEchoed: false,
  }
  return { kind: 'round', state, spec, send: { broadcast: null, direct }, faults: [] }
}

const faultOf = (inbox: Inbox, accused: PartyId, code: string, round: number, self: PartyId): Fault => ({
  accused,
  class: inbox.directs.has(accused) ? 'dispute' : 'absent',
  code: inbox.directs.has(accused) ? code : 'MEMBER_ABSENT',
  evidence: [{ round, from: accused, to: self }],
})

function start(input: PairSetupInput): SetupStep {
  const { backend, self, set, seed } = input
  const offers = new Map<PartyId, Offer>()
  for (const peer of without(set, [self])) {
    const drbg = createDrbg(backend, seed, `setup/offer/${peer}`)
    offers.set(peer, { ...receiveBaseOt(contextOf(input, self, peer), drbg), nonce: drbg.bytes(NONCE_BYTES) })
  }
  const direct = new Map([...offers].map(([peer, { message, nonce }]) => [peer, concatBytes(message, nonce)]))
  const state: PairSetupState = { round: ROUND.offer, offers, answered: new Map(), pairs: new Map(), digests: new Map() }
  return roundStep(input, state, 'offer', BASE_OT_BYTES + NONCE_BYTES, direct)
}

function takeOffers(input: PairSetupInput, state: PairSetupState, inbox: Inbox): SetupStep {
  const { backend, self, seed } = input
  const answered = new Map<PartyId, Answered>()
  const faults: Fault[] = []
  for (const peer of state.offers.keys()) {
    const payload = inbox.directs.get(peer) ?? new Uint8Array(0)
    const received = payload.subarray(0, BASE_OT_BYTES)
    const sent = sendBaseOt(contextOf(input, peer, self), received, createDrbg(backend, seed, `setup/answer/${peer}`))
    if (sent === null) faults.push(faultOf(inbox, peer, 'OFFER_MALFORMED', ROUND.offer, self))
    else answered.set(peer, { sent, theirNonce: payload.slice(BASE_OT_BYTES), received: payload })
  }
  if (faults.length > 0) return { kind: 'aborted', code: 'SETUP_FAILED', faults }
  const direct = new Map([...answered].map(([peer, { sent }]) => [peer, sent.message]))
  return roundStep(input, { ...state, round: ROUND.answer, answered }, 'answer', BASE_OT_BYTES, direct)
}

function takeAnswers(input: PairSetupInput, state: PairSetupState, inbox: Inbox): SetupStep {
  const { self } = input
  const pairs = new Map<PartyId, PairState>()
  const digests = new Map<PartyId, Uint8Array>()
  const faults: Fault[] = []
  for (const [peer, offer] of state.offers) {
    const answer = inbox.directs.get(peer) ?? new Uint8Array(0)
    const keys = finishBaseOt(contextOf(input, self, peer), offer.state, answer)
    if (keys === null) {
      faults.push(faultOf(inbox, peer, 'ANSWER_MALFORMED', ROUND.answer, self))
      continue
    }
    const ours = known(state.answered.get(peer), 'all offers were answered')
    pairs.set(peer, {
      peer,
      asSender: { delta: offer.state.delta, keys },
      asReceiver: { keys0: ours.sent.keys0, keys1: ours.sent.keys1 },
      zero: zeroSecret(input, peer, offer.nonce, ours.theirNonce),
    })
    const sides: Sides = { ours: [concatBytes(offer.message, offer.nonce), ours.sent.message], theirs: [ours.received, answer] }
    digests.set(peer, transcript(input, peer, sides))
  }
  if (faults.length > 0) return { kind: 'aborted', code: 'SETUP_FAILED', faults }
  return roundStep(input, { ...state, round: ROUND.confirm, pairs, digests }, 'confirm', 32, digests)
}

/** What is this party's and what is the peer's, that of the lower id first: the same for both. */
const inOrder = <T>(self: PartyId, peer: PartyId, ours: T, theirs: T): readonly [T, T] => (self < peer ? [ours, theirs] : [theirs, ours])

function zeroSecret({ backend, sid, self }: PairSetupInput, peer: PartyId, own: Uint8Array, other: Uint8Array): Uint8Array {
  return hashItems(backend, 'setup/zero', sid, ...inOrder(self, peer, self, peer), ...inOrder(self, peer, own, other))
}

type Sides = Readonly<{ ours: readonly [Uint8Array, Uint8Array]; theirs: readonly [Uint8Array, Uint8Array] }>

/** Digest of both offers and both answers of a pair, nonces included, the same for both. */
function transcript({ backend, sid, self }: PairSetupInput, peer: PartyId, { ours, theirs }: Sides): Uint8Array {
  return hashItems(backend, 'setup/transcript', sid, ...inOrder(self, peer, self, peer), ...inOrder(self, peer, ours, theirs).flat())
}

function takeConfirmations(input: PairSetupInput, state: PairSetupState, inbox: Inbox): SetupStep {
  const faults = [...state.digests].flatMap(([peer, digest]) =>
    equalBytes(inbox.directs.get(peer) ?? new Uint8Array(0), digest)
      ? []
      : [faultOf(inbox, peer, 'TRANSCRIPT_DIFFERS', ROUND.confirm, input.self)],
  )
  if (faults.length > 0) return { kind: 'aborted', code: 'SETUP_FAILED', faults }
  return { kind: 'done', result: state.pairs, faults: [] }
}

const TAKE = { [ROUND.offer]: takeOffers, [ROUND.answer]: takeAnswers, [ROUND.confirm]: takeConfirmations }

/** Sets up all pairs this party has in the set. */
export function pairSetupMachine(input: PairSetupInput): RoundMachine<PairSetupState, PairSetupResult> {
  invariant(input.set.includes(input.self) && input.set.length >= 2, 'a party sets up with others')
  return { start: () => start(input), next: (state, inbox) => TAKE[state.round](input, state, inbox) }
}
