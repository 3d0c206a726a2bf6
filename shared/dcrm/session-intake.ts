/**
 * What a session lets in: envelopes of its own id and epoch, from its parties, to this one, signed, of a round that is or may come. All else is
 * dropped without a word, because a relay may bring anything. A second, different envelope for one place proves its sender two-faced.
 * Source: docs/dcrm.md, envelopes.
 * @module
 */
import { equalBytes } from '#shared/bytes.ts'
import { decodeEnvelope, encodeEnvelope, envelopeDigest, envelopePlace } from '#shared/dcrm/envelope.ts'
import type { Envelope } from '#shared/dcrm/envelope.ts'
import { EVIDENCE_BYTES_LIMIT, encodeEvidence } from '#shared/dcrm/evidence.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { SessionContext, SessionEffect, SessionState } from '#shared/dcrm/session-types.ts'

/** Rounds ahead of the present one that are kept: parties are at most one exchange apart. */
const ROUNDS_AHEAD = 3
/** Envelopes kept of each sender before the session knows its id. */
const EARLY_PER_PARTY = 16
/** Forwarded echoes are numbered by their sender from here on, forwarded broadcasts from 0. */
export const FORWARDED_ECHO = 0x1_0000

/** Nonce, ephemeral key, hash of the descriptor. */
const OPENING_BYTES = 96

type Intake<State, Result> = Readonly<{ state: SessionState<State>; effects: readonly SessionEffect<Result>[] }>

/** Takes one envelope in, or drops it. */
export function takeEnvelope<State, Result>(
  context: SessionContext<State, Result>,
  state: SessionState<State>,
  bytes: Uint8Array,
): Intake<State, Result> {
  const envelope = decodeEnvelope(bytes)
  return envelope === null ? { state, effects: [] } : takeDecoded(context, state, envelope)
}

/** The same for an envelope that was kept decoded. */
export function takeDecoded<State, Result>(
  context: SessionContext<State, Result>,
  state: SessionState<State>,
  envelope: Envelope,
): Intake<State, Result> {
  const nothing = { state, effects: [] }
  if (!isForUs(context, envelope)) return nothing
  if (!equalBytes(envelope.id, state.id) && !equalBytes(envelope.id, context.openId)) return keepEarly(context, state, envelope)
  if (!isExpected(context, state, envelope)) return nothing
  const place = envelopePlace(envelope)
  const known = state.accepted.get(place)
  if (known !== undefined && equalBytes(known.payload, envelope.payload) && equalBytes(known.previous, envelope.previous)) return nothing
  if (!isSigned(context, envelope)) return nothing
  if (known !== undefined) return accuse(state, known, envelope)
  const next = { ...state, accepted: new Map([...state.accepted, [place, envelope]]) }
  if (envelope.kind !== 'forward') return { state: next, effects: [] }
  // The forwarder vouches for nothing: the original stands for itself.
  const original = decodeEnvelope(envelope.payload)
  return original === null || original.kind === 'forward' ? { state: next, effects: [] } : takeDecoded(context, next, original)
}

/** An opening that comes again after this party has gone on, and counts its own time from then: the sender lacks somebody's. */
export function isOpeningAgain<State>({ accepted, phase }: SessionState<State>, bytes: Uint8Array): boolean {
  const envelope = phase === 'opening' ? null : decodeEnvelope(bytes)
  const known = envelope?.round === 0 ? accepted.get(envelopePlace(envelope)) : undefined
  return known !== undefined && equalBytes(encodeEnvelope(known), bytes)
}

function isForUs<State, Result>({ plan }: SessionContext<State, Result>, { from, to, epoch, kind, seq }: Envelope): boolean {
  const isParty = (party: PartyId): boolean => plan.parties.some(({ id }) => id === party)
  const isNumbered = kind === 'forward' ? isParty(seq % FORWARDED_ECHO) && seq < 2 * FORWARDED_ECHO : seq <= (kind === 'echo' ? 1 : 0)
  return isParty(from) && from !== plan.self && (to === null || to === plan.self) && epoch === plan.subject.epoch && isNumbered
}

/** Signed ones only, each once, and the latest of each sender: a relay that brings old ones cannot keep out what another relay brings again. */
function keepEarly<State, Result>(
  context: SessionContext<State, Result>,
  state: SessionState<State>,
  envelope: Envelope,
): Intake<State, Result> {
  const { early, phase } = state
  const isOpening = context.plan.hasOpening && (phase === 'opening' || phase === 'idle')
  const own = early.filter(({ from }) => from === envelope.from)
  const isNew = own.every(({ signature }) => !equalBytes(signature, envelope.signature))
  if (!isOpening || !isNew || !isSigned(context, envelope)) return { state, effects: [] }
  const rest = own.length < EARLY_PER_PARTY ? early : early.filter((each) => each !== own[0])
  return { state: { ...state, early: [...rest, envelope] }, effects: [] }
}

/** Whether this is of a round that is, was or may soon come. Senders and sizes are looked at in their round: an early one may not be judged yet. */
function isExpected<State, Result>(
  { plan, openId }: SessionContext<State, Result>,
  { spec, id }: SessionState<State>,
  { id: named, round, kind, to, payload }: Envelope,
): boolean {
  if (round === 0)
    return plan.hasOpening && kind === 'broadcast' && to === null && equalBytes(named, openId) && payload.length === OPENING_BYTES
  if (!equalBytes(named, id) || (plan.hasOpening && equalBytes(id, openId))) return false
  const isAddressed = kind === 'direct' ? to !== null : to === null
  return isAddressed && round <= (spec?.round ?? 1) + ROUNDS_AHEAD
}

function isSigned<State, Result>({ plan, crypto, backend }: SessionContext<State, Result>, envelope: Envelope): boolean {
  const { from, signature } = envelope
  return plan.parties.some(({ id, signKey }) => id === from && crypto.verify(signKey, envelopeDigest(backend, envelope), signature))
}

/** In the opening a restarted party may contradict itself without fault: there it only costs the attempt. */
function accuse<State, Result>(state: SessionState<State>, first: Envelope, second: Envelope): Intake<State, Result> {
  const { from, round, kind, to } = first
  if (round === 0 || kind === 'forward' || state.accused.includes(from)) return { state, effects: [] }
  const evidence = [encodeEnvelope(first), encodeEnvelope(second)]
  // What no transaction can carry, the chain cannot judge: then this party keeps its distance for good.
  const proof = encodeEvidence(evidence)
  const isProof = proof.length <= EVIDENCE_BYTES_LIMIT
  const fault = { accused: from, class: isProof ? 'proof' : 'dispute', code: 'EQUIVOCATION', evidence: [{ round, from, to }] } as const
  const dispute = { kind: 'dispute', accused: from, code: fault.code } as const
  return {
    state: { ...state, accused: [...state.accused, from] },
    effects: [...(isProof ? [] : [dispute]), { kind: 'fault', fault, evidence, proof: isProof ? proof : null }],
  }
}
