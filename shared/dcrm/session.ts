/**
 * One run of a protocol among parties that trust neither the relay nor each other, as a pure step machine. It opens the session, carries the
 * rounds of any `RoundMachine` in signed envelopes, seals direct messages, makes parties agree on broadcasts, minds deadlines and brings in the
 * next relay when one stalls. The shell keeps the order of effects: what must be durable comes first. Source: docs/dcrm.md, sessions.
 * @module
 */
import { concatBytes, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { messageKey } from '#shared/dcrm/envelope-crypto.ts'
import type { Envelope } from '#shared/dcrm/envelope.ts'
import { associatedData, encodeEnvelope, envelopePlace } from '#shared/dcrm/envelope.ts'
import { encodeContentEvidence, judgeEvidence } from '#shared/dcrm/evidence.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import { openIdOf, sessionIdOf } from '#shared/dcrm/ids.ts'
import { isSized } from '#shared/dcrm/lockstep.ts'
import type { Fault, Inbox, Outgoing, Step } from '#shared/dcrm/round.ts'
import {
  broadcastOf,
  echoesOf,
  hasSettled,
  heldIn,
  isAwaited,
  isDiffering,
  lastRounds,
  missingIn,
  missingElsewhere,
  placeOf,
  roundOf,
  viewOf,
} from '#shared/dcrm/session-echo.ts'
import { Turn } from '#shared/dcrm/session-turn.ts'
import { FORWARDED_ECHO, isOpeningAgain, takeDecoded, takeEnvelope } from '#shared/dcrm/session-intake.ts'
import type { OwnKeys, SessionContext, SessionEvent, SessionPlan, SessionState, SessionStep } from '#shared/dcrm/session-types.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { invariant } from '#shared/fault.ts'

const EMPTY_CHAIN = new Uint8Array(32)

/** A session that has not started. */
export function createSession<State, Result>(
  plan: SessionPlan<State, Result>,
  keys: OwnKeys,
  crypto: EnvelopeCrypto,
  backend: DcrmBackend,
): Readonly<{ context: SessionContext<State, Result>; state: SessionState<State> }> {
  invariant(plan.parties.some(({ id }) => id === plan.self) && plan.relayCount > 0, 'a party takes part in its session over some relay')
  const openId = openIdOf(backend, plan.subject)
  const state: SessionState<State> = {
    phase: 'idle',
    phaseSinceMs: 0,
    id: openId,
    reach: 0,
    reachedInMs: -1,
    accepted: new Map(),
    sent: [],
    early: [],
    secrets: new Map(),
    machineSeed: createDrbg(backend, plan.seed, 'session/machine').bytes(32),
    spec: null,
    inner: null,
    chain: EMPTY_CHAIN,
    reported: [],
    view: EMPTY_CHAIN,
    accused: [],
  }
  return { context: { plan, keys, crypto, backend, openId }, state }
}

/** Advances a session by one event. */
export function stepSession<State, Result>(
  context: SessionContext<State, Result>,
  state: SessionState<State>,
  event: SessionEvent,
): SessionStep<State, Result> {
  const turn = new Turn(context, state, event.nowMs)
  if (event.kind === 'start' && state.phase === 'idle') start(turn)
  else if (event.kind === 'envelope' && state.phase !== 'over') {
    admit(turn, takeEnvelope(turn.context, turn.state, event.bytes))
    // Whoever writes there has given up on the relays before it, and reads this party's messages there.
    if (turn.state.accepted !== state.accepted || isOpeningAgain(state, event.bytes)) extendReach(turn, event.relay)
  }
  if (turn.state.phase === 'idle' || turn.state.phase === 'over') return { state: turn.state, effects: turn.effects }
  reachFurther(turn)
  advance(turn)
  return { state: turn.state, effects: turn.effects }
}

function admit<State, Result>(turn: Turn<State, Result>, { state, effects }: ReturnType<typeof takeEnvelope<State, Result>>): void {
  turn.state = state
  turn.effects.push(...effects)
}

function start<State, Result>(turn: Turn<State, Result>): void {
  const { plan, openId, crypto } = turn.context
  turn.effects.push({ kind: 'join', openId })
  if (!plan.hasOpening) return begin(turn)
  const drbg = openingDrbg(turn.context)
  turn.enter('opening')
  const payload = concatBytes(drbg.nonce, crypto.agreementKey(drbg.ephemeral), plan.descriptorHash)
  turn.send({ round: 0, kind: 'broadcast', to: null, seq: 0, payload })
}

/** Nonce and ephemeral secret of this party; recomputed rather than kept. */
function openingDrbg<State, Result>({
  backend,
  plan,
}: SessionContext<State, Result>): Readonly<{ nonce: Uint8Array; ephemeral: Uint8Array }> {
  const drbg = createDrbg(backend, plan.seed, 'session/opening')
  return { nonce: drbg.bytes(32), ephemeral: drbg.bytes(32) }
}

/** After half of a phase's time the next relay is told everything too. */
function reachFurther<State, Result>(turn: Turn<State, Result>): void {
  const { plan } = turn.context
  const { phaseSinceMs, reach, reachedInMs } = turn.state
  if (turn.nowMs - phaseSinceMs < plan.roundTimeoutMs / 2 || reachedInMs === phaseSinceMs) return
  turn.set({ reachedInMs: phaseSinceMs })
  extendReach(turn, reach + 1)
}

/** Writes to all relays up to this one from now on, and sends there what was sent so far. */
function extendReach<State, Result>(turn: Turn<State, Result>, relay: number): void {
  const { reach, sent } = turn.state
  const last = Math.min(relay, turn.context.plan.relayCount - 1)
  turn.set({ reach: Math.max(reach, last) })
  for (let next = reach + 1; next <= last; next++) for (const envelope of sent) turn.effects.push({ kind: 'send', relay: next, envelope })
}

/**
 * A party whose session is over hears nobody any more: what it said of late also goes to the next relay, lest this one keeps it from somebody who would
 * then call this party absent. Of the last two rounds, because whoever says nothing in the last may still wait in the one before.
 */
function repeatLast<State, Result>(turn: Turn<State, Result>): void {
  const { reach, accepted } = turn.state
  const { self, relayCount } = turn.context.plan
  if (reach + 1 >= relayCount) return
  const rounds = lastRounds(turn.state, self)
  for (const envelope of accepted.values())
    if (envelope.from === self && rounds.includes(envelope.round))
      turn.effects.push({ kind: 'send', relay: reach + 1, envelope: encodeEnvelope(envelope) })
}

/** Ends without a result. */
function end<State, Result>(turn: Turn<State, Result>, code: string, absent: readonly PartyId[]): void {
  repeatLast(turn)
  turn.effects.push({ kind: 'aborted', code, absent })
  turn.enter('over')
  turn.forget()
}

/** Goes on as far as what is here allows. */
function advance<State, Result>(turn: Turn<State, Result>): void {
  for (let phase: string | null = null; turn.state.phase !== 'over';) {
    const before = `${turn.state.phase}/${turn.state.spec?.round ?? 0}`
    if (before === phase) return
    phase = before
    if (turn.state.phase === 'opening') tryOpening(turn)
    else if (turn.state.phase === 'round') tryRound(turn)
    else if (turn.state.phase === 'echo') tryEcho(turn, 0)
    else if (turn.state.phase === 'exchange') tryExchange(turn)
    else tryEcho(turn, 1)
  }
}

type Opening = Readonly<{ id: PartyId; sealKey: Uint8Array; nonce: Uint8Array; ephemeral: Uint8Array; descriptorHash: Uint8Array }>

function openingsOf<State, Result>(turn: Turn<State, Result>): readonly Opening[] {
  const { plan, openId } = turn.context
  return plan.parties.flatMap(({ id, sealKey }) => {
    const place = envelopePlace({
      id: openId,
      round: 0,
      kind: 'broadcast',
      from: id,
      to: null,
      seq: 0,
      epoch: 0,
      previous: EMPTY_CHAIN,
      payload: EMPTY_CHAIN,
    })
    const payload = turn.state.accepted.get(place)?.payload
    if (payload === undefined) return []
    return [{ id, sealKey, nonce: payload.slice(0, 32), ephemeral: payload.slice(32, 64), descriptorHash: payload.slice(64) }]
  })
}

/** With all openings here the session has its id; nothing secret was said before. */
function tryOpening<State, Result>(turn: Turn<State, Result>): void {
  const { plan, keys, crypto, backend, openId } = turn.context
  const openings = openingsOf(turn)
  if (openings.length < plan.parties.length) {
    if (turn.isLate())
      end(
        turn,
        'OPENING_INCOMPLETE',
        absentAmong(
          turn,
          openings.map(({ id }) => id),
        ),
      )
    return
  }
  const differing = openings.filter(({ descriptorHash }) => !equalBytes(descriptorHash, plan.descriptorHash))
  if (differing.length > 0)
    return end(
      turn,
      'DESCRIPTOR_DIFFERS',
      differing.map(({ id }) => id),
    )
  const { ephemeral } = openingDrbg(turn.context)
  const secrets = new Map<PartyId, { ephemeral: Uint8Array; registered: Uint8Array }>()
  for (const { id, sealKey, ephemeral: theirs } of openings) {
    if (id === plan.self) continue
    const fresh = crypto.agree(ephemeral, theirs)
    const registered = crypto.agree(keys.sealSecret, sealKey)
    if (fresh === null || registered === null) return end(turn, 'AGREEMENT_ZERO', [id])
    secrets.set(id, { ephemeral: fresh, registered })
  }
  turn.set({
    id: sessionIdOf(
      backend,
      openId,
      openings.map(({ nonce }) => nonce),
    ),
    secrets,
  })
  const { early } = turn.state
  turn.set({ early: [] })
  begin(turn)
  for (const envelope of early) admit(turn, takeDecoded(turn.context, turn.state, envelope))
}

const absentAmong = <State, Result>({ context }: Turn<State, Result>, present: readonly PartyId[]): readonly PartyId[] =>
  context.plan.parties.map(({ id }) => id).filter((id) => !present.includes(id))

function begin<State, Result>(turn: Turn<State, Result>): void {
  turn.set({ chain: hashItems(turn.context.backend, 'chain', turn.state.id) })
  take(turn, machineOf(turn).start())
}

const machineOf = <State, Result>({ context, state }: Turn<State, Result>) => context.plan.machine(state.id, state.machineSeed)

/** Acts on a step of the protocol: disputes first, then faults, then what comes next. */
function take<State, Result>(turn: Turn<State, Result>, step: Step<State, Result>): void {
  for (const { accused, class: kind, code } of step.faults) if (kind === 'dispute') turn.effects.push({ kind: 'dispute', accused, code })
  for (const fault of step.faults)
    turn.effects.push({ kind: 'fault', fault, evidence: evidenceOf(turn.state, fault).map(encodeEnvelope), proof: proofOf(turn, fault) })
  if (step.kind === 'done') {
    repeatLast(turn)
    turn.effects.push({ kind: 'done', result: step.result })
    turn.enter('over')
    return turn.forget()
  }
  if (step.kind === 'aborted') return end(turn, step.code, missingIn(turn.context, turn.state, step.faults))
  turn.set({ spec: step.spec, inner: step.state, reported: [] })
  turn.enter('round')
  sendRound(turn, step.spec.round, step.send)
}

function evidenceOf<State>(state: SessionState<State>, fault: Fault): readonly Envelope[] {
  return fault.evidence.flatMap(({ round, from, to }) => {
    const kind = to === null ? ('broadcast' as const) : ('direct' as const)
    const place = envelopePlace({ id: state.id, round, kind, from, to, seq: 0, epoch: 0, previous: EMPTY_CHAIN, payload: EMPTY_CHAIN })
    const envelope = state.accepted.get(place)
    return envelope === undefined ? [] : [envelope]
  })
}

/** What convicts the accused before the chain: one of its own broadcasts, by itself. Null when it takes more of the run to see the fault. */
function proofOf<State, Result>(turn: Turn<State, Result>, fault: Fault): Uint8Array | null {
  const { plan, backend, crypto } = turn.context
  const { accused, class: kind } = fault
  const signKey = plan.parties.find(({ id }) => id === accused)?.signKey
  if (kind !== 'proof' || signKey === undefined) return null
  const nonces = openingsOf(turn).map(({ nonce }) => nonce)
  const proofs = evidenceOf(turn.state, fault).map((envelope) => encodeContentEvidence(encodeEnvelope(envelope), plan.subject, nonces))
  return proofs.find((proof) => proof !== null && judgeEvidence(backend, crypto.verify, accused, signKey, proof) !== null) ?? null
}

function sendRound<State, Result>(turn: Turn<State, Result>, round: number, { broadcast, direct }: Outgoing): void {
  const { plan, crypto } = turn.context
  if (broadcast !== null) turn.send({ round, kind: 'broadcast', to: null, seq: 0, payload: broadcast })
  for (const [to, plain] of direct) {
    const secrets = turn.state.secrets.get(to)
    invariant(secrets !== undefined, 'direct messages go to parties of an opened session')
    const { key, nonce } = messageKey(crypto, secrets, turn.state.id, plan.self, to, round)
    const unsigned = { round, kind: 'direct' as const, to, seq: 0 }
    const data = associatedData({
      ...unsigned,
      epoch: plan.subject.epoch,
      from: plan.self,
      id: turn.state.id,
      previous: turn.state.chain,
      payload: EMPTY_CHAIN,
    })
    turn.send({ ...unsigned, payload: crypto.seal(key, nonce, plain, data) })
  }
}

/** Decrypted direct messages of the round, by sender; what does not open or has another size was never sent. */
function directsOf<State, Result>(turn: Turn<State, Result>): ReadonlyMap<PartyId, Uint8Array> {
  const { plan, crypto } = turn.context
  const { secrets, id, chain } = turn.state
  const { directFrom, directSize } = roundOf(turn.state)
  const directs = new Map<PartyId, Uint8Array>()
  for (const from of directFrom) {
    const envelope = turn.state.accepted.get(placeOf(turn.state, 'direct', from, plan.self, 0))
    const pair = secrets.get(from)
    if (envelope === undefined || pair === undefined || !equalBytes(envelope.previous, chain)) continue
    const { key, nonce } = messageKey(crypto, pair, id, from, plan.self, envelope.round)
    const plain = crypto.open(key, nonce, envelope.payload, associatedData({ ...envelope, payload: EMPTY_CHAIN }))
    if (plain !== null && isSized(plain, directSize)) directs.set(from, plain)
  }
  return directs
}

function tryRound<State, Result>(turn: Turn<State, Result>): void {
  const spec = roundOf(turn.state)
  const directs = spec.directFrom.filter((from) => turn.state.accepted.has(placeOf(turn.state, 'direct', from, turn.context.plan.self, 0)))
  const broadcasts = spec.broadcastFrom.filter((from) => broadcastOf(turn.state, from) !== null)
  report(turn, [...new Set([...directs, ...broadcasts])])
  const isWhole = directs.length === spec.directFrom.length && broadcasts.length === spec.broadcastFrom.length
  if (!isWhole && !turn.isLate()) return
  if (!spec.isEchoed) return finishRound(turn)
  turn.enter('echo')
  echo(turn, 0)
}

/** Says what this party holds, and holds to it: what comes later is not part of the round unless a second echo takes it in. */
function echo<State, Result>(turn: Turn<State, Result>, seq: 0 | 1): void {
  const view = viewOf(turn.context, turn.state)
  turn.set({ view })
  turn.send({ round: roundOf(turn.state).round, kind: 'echo', to: null, seq, payload: view })
}

function report<State, Result>(turn: Turn<State, Result>, parties: readonly PartyId[]): void {
  const { round, name } = roundOf(turn.state)
  for (const party of parties) {
    if (turn.state.reported.includes(party)) continue
    turn.effects.push({ kind: 'progress', round, name, party })
    turn.set({ reported: [...turn.state.reported, party] })
  }
}

/** Equal echoes of all settle a round; unequal ones bring out originals and a second echo, which must be equal. */
function tryEcho<State, Result>(turn: Turn<State, Result>, seq: 0 | 1): void {
  const { context, state } = turn
  const echoes = echoesOf(context, state, seq)
  const differing = [...echoes].filter(([, { payload }]) => !equalBytes(payload, state.view)).map(([id]) => id)
  const isWhole = echoes.size === context.plan.parties.length - 1
  // Whoever spoke must also agree: going on without its echo would let a split view make it look like a cheater.
  const mute = heldIn(state, state.view).filter(
    (id) => id !== context.plan.self && !echoes.has(id) && !(seq === 1 && hasSettled(context, state, id)),
  )
  if (!isWhole && !turn.isLate(isAwaited(context, state, echoes) ? 2 : 1)) return
  if (differing.length > 0 && seq === 0) return forwardOriginals(turn, echoes)
  if (mute.length > 0) return end(turn, 'ECHO_INCOMPLETE', mute)
  const isOther = (id: PartyId): boolean => isDiffering(state, echoes.get(id)?.payload ?? state.view)
  if (differing.length > 0) return end(turn, 'VIEWS_DIFFER', differing.filter(isOther))
  finishRound(turn)
}

function forwardOriginals<State, Result>(turn: Turn<State, Result>, echoes: ReadonlyMap<PartyId, Envelope>): void {
  const { round } = roundOf(turn.state)
  for (const original of missingElsewhere(turn.context, turn.state, echoes.values()))
    turn.send({ round, kind: 'forward', to: null, seq: original.from, payload: encodeEnvelope(original) })
  for (const [from, said] of echoes)
    turn.send({ round, kind: 'forward', to: null, seq: FORWARDED_ECHO + from, payload: encodeEnvelope(said) })
  turn.enter('exchange')
}

/** Originals have half of a phase's time to arrive; then every party says again what it holds. */
function tryExchange<State, Result>(turn: Turn<State, Result>): void {
  if (!turn.isLate(1, 2)) return
  turn.enter('second echo')
  echo(turn, 1)
}

/** Hands what is agreed to the protocol. */
function finishRound<State, Result>(turn: Turn<State, Result>): void {
  const { inner, chain, view } = turn.state
  const spec = roundOf(turn.state)
  invariant(inner !== null, 'a round has a state')
  const broadcasts = new Map<PartyId, Uint8Array>()
  for (const from of spec.isEchoed ? heldIn(turn.state, view) : spec.broadcastFrom) {
    const envelope = broadcastOf(turn.state, from)
    if (envelope !== null) broadcasts.set(from, envelope.payload)
  }
  const inbox: Inbox = { broadcasts, directs: directsOf(turn) }
  if (spec.isEchoed) turn.set({ chain: hashItems(turn.context.backend, 'chain', chain, spec.round, view) })
  take(turn, machineOf(turn).next(inner, inbox))
}
