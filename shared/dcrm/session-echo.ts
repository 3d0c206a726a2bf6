/**
 * Agreement on the broadcasts of a round without trusting the relay: each party echoes the digests it holds. Unequal echoes bring out the signed
 * originals, which either complete the view or prove their sender two-faced; a second echo settles it. Source: Goldwasser and Lindell 2005.
 * @module
 */
import { concatBytes, equalBytes } from '#shared/bytes.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import type { Envelope } from '#shared/dcrm/envelope.ts'
import { envelopeDigest, envelopePlace } from '#shared/dcrm/envelope.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import { isSized } from '#shared/dcrm/lockstep.ts'
import type { Fault, RoundSpec } from '#shared/dcrm/round.ts'
import type { SessionContext, SessionState } from '#shared/dcrm/session-types.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { invariant } from '#shared/fault.ts'

/** Stands for a broadcast that is not here. */
const NOTHING = new Uint8Array(32)

/** The round a session is in. */
export function roundOf<State>({ spec }: SessionState<State>): RoundSpec {
  invariant(spec !== null, 'the session is in a round')
  return spec
}

/**
 * The accepted broadcast of a party in the present round; it must follow from the same agreed past. One of a wrong size that came before the round
 * counts for as little as one that comes now, or parties would hold different views of it.
 */
export function broadcastOf<State>(state: SessionState<State>, from: PartyId): Envelope | null {
  const envelope = state.accepted.get(placeOf(state, 'broadcast', from, null, 0))
  if (envelope === undefined || !equalBytes(envelope.previous, state.chain)) return null
  return isSized(envelope.payload, roundOf(state).broadcastSize) ? envelope : null
}

/** Place of a message of the present round. */
export function placeOf<State>(state: SessionState<State>, kind: Envelope['kind'], from: PartyId, to: PartyId | null, seq: number): string {
  return envelopePlace({ id: state.id, round: roundOf(state).round, kind, from, to, seq, epoch: 0, previous: NOTHING, payload: NOTHING })
}

/** Digests of the broadcasts this party holds, by sender. */
export function viewOf<State, Result>(context: SessionContext<State, Result>, state: SessionState<State>): Uint8Array {
  const entries = roundOf(state).broadcastFrom.map((from) => {
    const envelope = broadcastOf(state, from)
    return concatBytes(uintBytes(from, 2), envelope === null ? NOTHING : envelopeDigest(context.backend, envelope))
  })
  return concatBytes(...entries)
}

type Entry = Readonly<{ from: PartyId; digest: Uint8Array }>

/** What an echo says of each sender of the round; null for anything else, which was never said. */
function entriesOf<State>(state: SessionState<State>, echo: Uint8Array): readonly Entry[] | null {
  const senders = roundOf(state).broadcastFrom
  const entries = decodePayload(echo, (reader) => senders.map(() => ({ from: reader.uint(2), digest: reader.bytes(32) })))
  return entries?.every(({ from }, index) => from === senders[index]) === true ? entries : null
}

/** Senders whose broadcast a well-formed echo holds. */
export function heldIn<State>(state: SessionState<State>, echo: Uint8Array): readonly PartyId[] {
  return (entriesOf(state, echo) ?? []).filter(({ digest }) => !equalBytes(digest, NOTHING)).map(({ from }) => from)
}

/** Echoes of others in the present round, by sender. `seq` 0 is the first echo, 1 the second. */
export function echoesOf<State, Result>(
  { plan }: SessionContext<State, Result>,
  state: SessionState<State>,
  seq: 0 | 1,
): ReadonlyMap<PartyId, Envelope> {
  const echoes = new Map<PartyId, Envelope>()
  for (const { id } of plan.parties) {
    const envelope = state.accepted.get(placeOf(state, 'echo', id, null, seq))
    if (envelope === undefined || id === plan.self || !equalBytes(envelope.previous, state.chain)) continue
    if (entriesOf(state, envelope.payload) !== null) echoes.set(id, envelope)
  }
  return echoes
}

/** The last two rounds in which a party said something. */
export function lastRounds<State>({ accepted }: SessionState<State>, party: PartyId): readonly number[] {
  return [...new Set([...accepted.values()].filter(({ from }) => from === party).map(({ round }) => round))].slice(-2)
}

/** Whether somebody without an echo took part lately. It may have waited for the round as long as a round lasts before it could echo. */
export function isAwaited<State, Result>(
  { plan }: SessionContext<State, Result>,
  state: SessionState<State>,
  echoes: ReadonlyMap<PartyId, Envelope>,
): boolean {
  const rounds = lastRounds(state, plan.self)
  return [...state.accepted.values()].some(({ from, round }) => from !== plan.self && !echoes.has(from) && rounds.includes(round))
}

/** Whether a party may have gone on after the first echo, for want of a second: it agreed with what this party said and still holds. */
export function hasSettled<State, Result>(context: SessionContext<State, Result>, state: SessionState<State>, id: PartyId): boolean {
  const own = state.accepted.get(placeOf(state, 'echo', context.plan.self, null, 0))
  return [own, echoesOf(context, state, 0).get(id)].every((first) => first !== undefined && equalBytes(first.payload, state.view))
}

/** Whether an echo holds something else than this party, but for the broadcasts of a sender that is proven two-faced: there nobody is to blame. */
export function isDiffering<State>(state: SessionState<State>, echo: Uint8Array): boolean {
  const own = entriesOf(state, state.view) ?? []
  const others = entriesOf(state, echo) ?? []
  return others.some(({ from, digest }, index) => !state.accused.includes(from) && !equalBytes(digest, own[index]?.digest ?? NOTHING))
}

/** Who is missing when a protocol gives up for want of somebody: whom it misses, and whoever had nothing to say but an echo and did not say it. */
export function missingIn<State, Result>(
  context: SessionContext<State, Result>,
  state: SessionState<State>,
  faults: readonly Fault[],
): readonly PartyId[] {
  const missed = faults.filter(({ class: kind }) => kind === 'absent').map(({ accused }) => accused)
  if (missed.length === 0 || state.spec?.isEchoed !== true) return missed
  const { parties, self } = context.plan
  const isSilent = (id: PartyId): boolean => id !== self && !state.accepted.has(placeOf(state, 'echo', id, null, 0))
  return parties.map(({ id }) => id).filter((id) => missed.includes(id) || isSilent(id))
}

/** Originals others seem not to have: what this party holds where an echo differs. */
export function missingElsewhere<State, Result>(
  context: SessionContext<State, Result>,
  state: SessionState<State>,
  echoes: Iterable<Envelope>,
): readonly Envelope[] {
  const wanted = new Set<PartyId>()
  for (const { payload } of echoes)
    for (const { from, digest } of entriesOf(state, payload) ?? []) {
      const envelope = broadcastOf(state, from)
      if (envelope !== null && !equalBytes(envelopeDigest(context.backend, envelope), digest)) wanted.add(from)
    }
  return [...wanted].flatMap((from) => broadcastOf(state, from) ?? [])
}
