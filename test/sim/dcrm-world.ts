/**
 * Sessions of the same parties, several at a time, over relays that may drop, delay, repeat, reorder, split views, alter and mix, with a virtual
 * clock. Parties may die in the middle of an event and come back with nothing but what they wrote down. Everything follows from one seed. @module
 */
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { BROADCASTING, isContentImpossible } from '#shared/dcrm/content.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import type { Envelope } from '#shared/dcrm/envelope.ts'
import { decodeEnvelope, envelopePlace } from '#shared/dcrm/envelope.ts'
import { encodeEvidence, judgeEvidence } from '#shared/dcrm/evidence.ts'
import type { SessionSubject } from '#shared/dcrm/ids.ts'
import type { Fault, RoundMachine } from '#shared/dcrm/round.ts'
import type { OwnKeys, Peer, SessionContext, SessionEffect, SessionEvent, SessionState } from '#shared/dcrm/session-types.ts'
import { createSession, stepSession } from '#shared/dcrm/session.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { bytesToHex, equalBytes } from '#shared/bytes.ts'
import type { Prng } from '#test/sim/prng.ts'
import { EventHeap, createPrng } from '#test/sim/prng.ts'

const TICK_MS = 500
/** Rounds a world lasts at most: no session of any protocol takes that long. */
const LAST_ROUND = 60

export type PartyKeys = Readonly<{ peer: Peer; keys: OwnKeys }>

/** What a relay does to one envelope on its way to one party: delays in ms, one per copy; none drops it. */
export type Delivery = (rng: Prng, from: PartyId, to: PartyId, relay: number) => readonly number[]

/** An envelope as a relay has it: which session it was posted in, and to whom it goes. */
export type Parcel = Readonly<{ session: number; to: PartyId; relay: number; bytes: Uint8Array }>
/** Bytes a party hands to relays; `only` says whom they reach. */
export type Posted = Readonly<{ bytes: Uint8Array; only?: readonly PartyId[] }>

export type WorldSession<State, Result> = Readonly<{
  subject: SessionSubject
  hasOpening: boolean
  machine: (self: PartyId, sid: Uint8Array, seed: Uint8Array) => RoundMachine<State, Result>
}>

type Surroundings = Readonly<{
  seed: number
  parties: readonly PartyKeys[]
  backend: DcrmBackend
  crypto: EnvelopeCrypto
  relayCount?: number
  roundTimeoutMs?: number
  delivery?: Delivery
  /** What a relay brings besides: altered copies, old envelopes, those of other sessions. `log` is all that was ever posted. */
  mischief?: (rng: Prng, parcel: Parcel, log: readonly Uint8Array[]) => readonly (Parcel & Readonly<{ afterMs: number }>)[]
  /** What a party hands to relays instead of an envelope it made. */
  corrupt?: (from: PartyId, envelope: Uint8Array, session: number) => readonly Posted[]
  /** Virtual time at which a party dies, or null. */
  killedAtMs?: (party: PartyId) => number | null
  /** Virtual time at which a dead party starts again, or null. */
  restartedAtMs?: (party: PartyId) => number | null
  /** Planted fault: a party that starts again does not look up which sessions it spoke in. */
  isForgetful?: boolean
  /** Latest start of a party. */
  startsWithinMs?: number
}>
export type WorldsOptions<State, Result> = Surroundings & Readonly<{ sessions: readonly WorldSession<State, Result>[] }>
export type WorldOptions<State, Result> = Surroundings & WorldSession<State, Result>

export type PartyEnd<Result> = Readonly<{
  result: Result | null
  code: string | null
  faults: readonly Fault[]
  disputes: readonly PartyId[]
  /** Who was missing when the run ended. */
  absent: readonly PartyId[]
  order: readonly string[]
  /** Which session it was in: parties that were told different openings are in different ones. */
  sid: string
  /** When its session ended, or its code threw. */
  endedAtMs: number | null
  /** Faults of equivocation whose evidence convinces nobody else. */
  unproven: readonly string[]
  /** What its own code threw. */
  thrown: string | null
}>

/** Ends of each session, and parties whose own envelopes would convict them. */
export type WorldsEnd<Result> = Readonly<{ ends: readonly ReadonlyMap<PartyId, PartyEnd<Result>>[]; convictable: ReadonlySet<PartyId> }>

type Node<State, Result> = {
  readonly session: number
  readonly id: PartyId
  context: SessionContext<State, Result>
  state: SessionState<State>
  end: PartyEnd<Result>
  isDead: boolean
}
type Event =
  | Readonly<{ kind: 'start' | 'restart'; session: number; to: PartyId }>
  | Readonly<{ kind: 'tick' }>
  | Readonly<{ kind: 'parcel'; parcel: Parcel }>

const BLANK = {
  result: null,
  code: null,
  faults: [],
  disputes: [],
  absent: [],
  order: [],
  sid: '',
  endedAtMs: null,
  unproven: [],
  thrown: null,
}

class World<State, Result> {
  readonly #options: WorldsOptions<State, Result>
  readonly #rng: Prng
  readonly #queue = new EventHeap<Event>()
  readonly #nodes: readonly Node<State, Result>[]
  readonly #log: Uint8Array[] = []
  readonly #joined = new Set<string>()
  readonly #said = new Map<string, Uint8Array>()
  readonly #convictable = new Set<PartyId>()

  constructor(options: WorldsOptions<State, Result>) {
    this.#options = options
    this.#rng = createPrng(options.seed)
    this.#nodes = options.sessions.flatMap(({ subject }, session) =>
      subject.set.map((id) => ({ session, id, ...this.#create(session, id, 0), end: BLANK, isDead: false })),
    )
  }

  #create(session: number, self: PartyId, life: number) {
    const { sessions, parties, backend, crypto, seed, roundTimeoutMs = 4000, relayCount = 1 } = this.#options
    const { subject, hasOpening, machine } = sessions[session] as WorldSession<State, Result>
    const own = parties.find(({ peer }) => peer.id === self) as PartyKeys
    const plan = {
      subject,
      hasOpening,
      descriptorHash: new Uint8Array(32).fill(7),
      parties: parties.map(({ peer }) => peer).filter(({ id }) => subject.set.includes(id)),
      self,
      roundTimeoutMs,
      relayCount,
      seed: backend.sha256(Uint8Array.of(seed & 255, (seed >> 8) & 255, (seed >> 16) & 255, seed >>> 24, self, session, life)),
      machine: (sid: Uint8Array, secret: Uint8Array) => machine(self, sid, secret),
    }
    return createSession<State, Result>(plan, own.keys, crypto, backend)
  }

  run(): WorldsEnd<Result> {
    const { startsWithinMs = 0, roundTimeoutMs = 4000, restartedAtMs } = this.#options
    for (const { session, id } of this.#nodes) {
      this.#queue.push(startsWithinMs === 0 ? 0 : this.#rng.below(startsWithinMs), { kind: 'start', session, to: id })
      const restartMs = restartedAtMs?.(id) ?? null
      if (restartMs !== null) this.#queue.push(restartMs, { kind: 'restart', session, to: id })
    }
    this.#queue.push(TICK_MS, { kind: 'tick' })
    const endMs = LAST_ROUND * roundTimeoutMs
    for (let next = this.#queue.pop(); next !== undefined && next.atMs < endMs; next = this.#queue.pop()) {
      if (this.#nodes.every(({ state, isDead }) => isDead || state.phase === 'over')) break
      this.#take(next.event, next.atMs)
    }
    const ends = this.#options.sessions.map(
      (_, session) =>
        new Map(
          this.#nodes.filter((node) => node.session === session).map(({ id, end, state }) => [id, { ...end, sid: bytesToHex(state.id) }]),
        ),
    )
    return { ends, convictable: this.#convictable }
  }

  #take(event: Event, nowMs: number): void {
    if (event.kind === 'tick') {
      for (const node of this.#nodes) this.#step(node, { kind: 'tick', nowMs })
      this.#queue.push(nowMs + TICK_MS, event)
      return
    }
    const { session, to } = event.kind === 'parcel' ? event.parcel : event
    const node = this.#nodes.find((each) => each.session === session && each.id === to)
    if (node === undefined) return
    if (event.kind === 'parcel') this.#step(node, { kind: 'envelope', relay: event.parcel.relay, bytes: event.parcel.bytes, nowMs })
    else if (event.kind === 'start') this.#step(node, { kind: 'start', nowMs })
    else this.#restart(node, nowMs)
  }

  /** Memory is gone; a session it has joined it never speaks in again. */
  #restart(node: Node<State, Result>, nowMs: number): void {
    if (!node.isDead || (this.#joined.has(`${node.session}/${node.id}`) && this.#options.isForgetful !== true)) return
    Object.assign(node, this.#create(node.session, node.id, 1), { isDead: false })
    this.#perform(node, { kind: 'start', nowMs }, Number.POSITIVE_INFINITY)
  }

  #step(node: Node<State, Result>, event: SessionEvent): void {
    if (node.isDead) return
    const { killedAtMs, restartedAtMs } = this.#options
    const killedMs = killedAtMs?.(node.id) ?? null
    const isBackMs = restartedAtMs?.(node.id) ?? null
    const isDying = killedMs !== null && event.nowMs >= killedMs && (isBackMs === null || event.nowMs < isBackMs)
    this.#perform(node, event, isDying ? this.#rng.below(4) : Number.POSITIVE_INFINITY)
    if (isDying) node.isDead = true
  }

  /** Of the effects, a party that dies carries out only the first ones. */
  #perform(node: Node<State, Result>, event: SessionEvent, effectsLeft: number): void {
    try {
      const { state, effects } = stepSession(node.context, node.state, event)
      node.state = state
      for (const effect of effects.slice(0, effectsLeft)) {
        if (effect.kind === 'join') this.#joined.add(`${node.session}/${node.id}`)
        if (effect.kind === 'send') this.#post(node, effect.relay, effect.envelope, event.nowMs)
        node.end = record(node.end, effect, event.nowMs, (fault, evidence) => this.#proves(fault, evidence))
      }
    } catch (cause) {
      node.end = { ...node.end, thrown: String(cause), endedAtMs: event.nowMs }
      node.isDead = true
    }
  }

  #proves({ accused }: Fault, evidence: readonly Uint8Array[]): boolean {
    const { parties, backend, crypto } = this.#options
    const signKey = parties.find(({ peer }) => peer.id === accused)?.peer.signKey
    return signKey !== undefined && judgeEvidence(backend, crypto.verify, accused, signKey, encodeEvidence(evidence)) !== null
  }

  #post({ session, id }: Node<State, Result>, relay: number, bytes: Uint8Array, nowMs: number): void {
    this.#remember(session, id, bytes)
    const { corrupt, sessions } = this.#options
    for (const posted of corrupt?.(id, bytes, session) ?? [{ bytes }]) {
      this.#log.push(posted.bytes)
      const addressed = decodeEnvelope(posted.bytes)?.to ?? null
      for (const to of sessions[session]?.subject.set ?? []) {
        if (to === id || (addressed !== null && addressed !== to) || posted.only?.includes(to) === false) continue
        this.#carry(id, { session, to, relay, bytes: posted.bytes }, nowMs)
      }
    }
  }

  #carry(from: PartyId, parcel: Parcel, nowMs: number): void {
    const { delivery = () => [10], mischief } = this.#options
    for (const delay of delivery(this.#rng, from, parcel.to, parcel.relay)) this.#queue.push(nowMs + delay, { kind: 'parcel', parcel })
    for (const more of mischief?.(this.#rng, parcel, this.#log) ?? [])
      this.#queue.push(nowMs + more.afterMs, { kind: 'parcel', parcel: more })
  }

  /** Whether what a party's own session says over its life could be turned against it. */
  #remember(session: number, id: PartyId, bytes: Uint8Array): void {
    const envelope = decodeEnvelope(bytes)
    if (envelope === null) return
    const place = envelopePlace(envelope)
    const before = this.#said.get(place) ?? bytes
    this.#said.set(place, before)
    const fault = { accused: id, class: 'proof', code: 'EQUIVOCATION', evidence: [] } as const
    const isContradicted = !equalBytes(before, bytes) && this.#proves(fault, [before, bytes])
    if (isContradicted || this.#isImpossible(session, envelope)) this.#convictable.add(id)
  }

  /** Whether the chain would convict whoever broadcasts this. */
  #isImpossible(session: number, envelope: Envelope): boolean {
    const { backend, sessions } = this.#options
    const { protocol, set } = sessions[session]?.subject ?? { protocol: '', set: [] }
    const known = BROADCASTING.find((each) => each === protocol)
    return known !== undefined && envelope.kind === 'broadcast' && isContentImpossible(backend, known, set, envelope)
  }
}

/** Runs sessions side by side to their ends at every party. */
export function runWorlds<State, Result>(options: WorldsOptions<State, Result>): WorldsEnd<Result> {
  return new World(options).run()
}

/** Runs one session to its end at every party. */
export function runWorld<State, Result>(options: WorldOptions<State, Result>): ReadonlyMap<PartyId, PartyEnd<Result>> {
  const { subject, hasOpening, machine, ...rest } = options
  return runWorlds({ ...rest, sessions: [{ subject, hasOpening, machine }] }).ends[0] ?? new Map()
}

function record<Result>(
  end: PartyEnd<Result>,
  effect: SessionEffect<Result>,
  nowMs: number,
  proves: (fault: Fault, evidence: readonly Uint8Array[]) => boolean,
): PartyEnd<Result> {
  const next = { ...end, order: [...end.order, effect.kind] }
  if (effect.kind === 'done') return { ...next, result: effect.result, endedAtMs: nowMs }
  if (effect.kind === 'aborted') return { ...next, code: effect.code, absent: effect.absent, endedAtMs: nowMs }
  if (effect.kind === 'dispute') return { ...next, disputes: [...end.disputes, effect.accused] }
  if (effect.kind !== 'fault') return next
  const { fault, evidence } = effect
  const isShown = fault.code !== 'EQUIVOCATION' || fault.class !== 'proof' || proves(fault, evidence)
  return { ...next, faults: [...end.faults, fault], unproven: isShown ? end.unproven : [...end.unproven, fault.code] }
}

/** Keys of a party that follow from its number. */
export function partyKeys(
  id: PartyId,
  crypto: EnvelopeCrypto,
  backend: DcrmBackend,
  publicKey: (secret: Uint8Array) => Uint8Array,
): PartyKeys {
  const signSecret = backend.sha256(Uint8Array.of(1, id >> 8, id & 255))
  const sealSecret = backend.sha256(Uint8Array.of(2, id >> 8, id & 255))
  return { peer: { id, signKey: publicKey(signSecret), sealKey: crypto.agreementKey(sealSecret) }, keys: { signSecret, sealSecret } }
}
