/**
 * What a session lets in: envelopes of its own id and epoch, from its parties, to this one, signed, of a round that is or may come. All else is
 * dropped without a word, because a relay may bring anything. A second, different envelope for one place proves its sender two-faced.
 * Source: docs/dcrm.md, envelopes.
 * @module
 */
import { equalBytes } from '#shared/bytes.ts'
import { decodeEnvelope, encodeEnvelope, envelopeDigest, envelopePlace } from '#shared/dcrm/envelope.ts'
import type { Envelope, EnvelopeKind } from '#shared/dcrm/envelope.ts'
import type { RoundSpec } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { isSized } from '#shared/dcrm/lockstep.ts'
import type { SessionContext, SessionEffect, SessionState } from '#shared/dcrm/session-types.ts'

/** Rounds ahead of the present one that are kept: parties are at most one exchange apart. */
const ROUNDS_AHEAD = 3
/** Envelopes kept before the session knows its id, per party. */
const EARLY_PER_PARTY = 4
/** Echoes have two, forwards one per party and echo. */
const SEQ_MAX = 0x1ffff

type Intake<State, Result> = Readonly<{ state: SessionState<State>; effects: readonly SessionEffect<Result>[] }>

/** Takes one envelope in, or drops it. */
export function takeEnvelope<State, Result>(
  context: SessionContext<State, Result>,
  state: SessionState<State>,
  bytes: Uint8Array,
): Intake<State, Result> {
  const envelope = decodeEnvelope(bytes)
  const nothing = { state, effects: [] }
  if (envelope === null || !isForUs(context, envelope)) return nothing
  if (!equalBytes(envelope.id, state.id) && !equalBytes(envelope.id, context.openId)) return keepEarly(context, state, bytes)
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
  return original === null || original.kind === 'forward' ? { state: next, effects: [] } : takeEnvelope(context, next, envelope.payload)
}

function isForUs<State, Result>({ plan }: SessionContext<State, Result>, { from, to, epoch, seq }: Envelope): boolean {
  const isParty = plan.parties.some(({ id }) => id === from)
  return isParty && from !== plan.self && (to === null || to === plan.self) && epoch === plan.subject.epoch && seq <= SEQ_MAX
}

function keepEarly<State, Result>(
  { plan }: SessionContext<State, Result>,
  state: SessionState<State>,
  bytes: Uint8Array,
): Intake<State, Result> {
  const isOpening = state.phase === 'opening' || state.phase === 'idle'
  const isRoom = state.early.length < EARLY_PER_PARTY * plan.parties.length
  return { state: isOpening && isRoom ? { ...state, early: [...state.early, bytes] } : state, effects: [] }
}

/** Whether the round machine may want this envelope now or soon. */
function isExpected<State, Result>(
  { plan, openId }: SessionContext<State, Result>,
  { spec, id }: SessionState<State>,
  { id: named, round, kind, from, to, payload }: Envelope,
): boolean {
  if (round === 0) return plan.hasOpening && kind === 'broadcast' && to === null && equalBytes(named, openId)
  if (!equalBytes(named, id) || (plan.hasOpening && equalBytes(id, openId))) return false
  const isAddressed = kind === 'direct' ? to !== null : to === null
  const present = spec?.round ?? 1
  if (!isAddressed || round > present + ROUNDS_AHEAD) return false
  return round !== present || spec === null || isWanted(spec, kind, from, payload)
}

/** Whether the present round has a use for a message of this kind, sender and size. */
function isWanted(spec: RoundSpec, kind: EnvelopeKind, from: PartyId, payload: Uint8Array): boolean {
  if (kind === 'broadcast') return spec.broadcastFrom.includes(from) && isSized(payload, spec.broadcastSize)
  return kind !== 'direct' || spec.directFrom.includes(from)
}

function isSigned<State, Result>({ plan, crypto, backend }: SessionContext<State, Result>, envelope: Envelope): boolean {
  const key = plan.parties.find(({ id }) => id === envelope.from)?.signKey
  return key !== undefined && crypto.verify(key, envelopeDigest(backend, envelope), envelope.signature)
}

/** In the opening a restarted party may contradict itself without fault: there it only costs the attempt. */
function accuse<State, Result>(state: SessionState<State>, first: Envelope, second: Envelope): Intake<State, Result> {
  const { from, round, kind } = first
  if (round === 0 || kind === 'forward' || state.accused.includes(from)) return { state, effects: [] }
  return {
    state: { ...state, accused: [...state.accused, from] },
    effects: [
      {
        kind: 'fault',
        fault: { accused: from, class: 'proof', code: 'EQUIVOCATION', evidence: [{ round, from, to: first.to }] },
        evidence: [encodeEnvelope(first), encodeEnvelope(second)],
      },
    ],
  }
}
