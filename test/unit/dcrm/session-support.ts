/** Small sessions whose every envelope a test can see, drop, forge and repeat: three parties, a toy protocol, a clock by hand. @module */
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { messageKey } from '#shared/dcrm/envelope-crypto.ts'
import type { Envelope, UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import { associatedData, decodeEnvelope, encodeEnvelope, envelopeDigest } from '#shared/dcrm/envelope.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Fault, Inbox, PayloadSize, RoundMachine, Step } from '#shared/dcrm/round.ts'
import type { SessionContext, SessionEffect, SessionEvent, SessionPlan, SessionState } from '#shared/dcrm/session-types.ts'
import { createSession, stepSession } from '#shared/dcrm/session.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { partyKeys } from '#test/sim/dcrm-world.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'
import { ed25519 } from '@noble/curves/ed25519.js'

export const SET: readonly PartyId[] = [1, 2, 7]
export const TIMEOUT_MS = 1000
export const EPOCH = 3
const STRANGER: PartyId = 9
const keysOf = new Map([...SET, STRANGER].map((id) => [id, partyKeys(id, nativeEnvelopeCrypto, nobleBackend, ed25519.getPublicKey)]))
export const keys = (id: PartyId) => keysOf.get(id) as ReturnType<typeof partyKeys>

/** What happens in a round of the toy protocol, and what a party finds wrong in it. */
export type ToyRound = Readonly<{
  isEchoed?: boolean
  hasBroadcast?: boolean
  hasDirect?: boolean
  broadcastSize?: PayloadSize
  directSize?: PayloadSize
  /** Who sends broadcasts; all by default. */
  speakers?: readonly PartyId[]
  faults?: readonly Fault[]
  abort?: string
}>
type ToyState = Readonly<{ round: number; heard: readonly string[] }>
export type Heard = readonly string[]

/** Broadcast of the toy protocol: two bytes. Direct message: three. */
export const broadcastIn = (round: number, from: PartyId): Uint8Array => Uint8Array.of(round, from)
export const directIn = (round: number, from: PartyId, to: PartyId): Uint8Array => Uint8Array.of(round, from, to)

const told = ({ broadcasts, directs }: Inbox): string =>
  [
    ...[...broadcasts].map(([from, bytes]) => `b${from}:${bytes.join('.')}`),
    ...[...directs].map(([from, bytes]) => `d${from}:${bytes.join('.')}`),
  ]
    .toSorted()
    .join(' ')

const USUAL = { isEchoed: true, hasBroadcast: true, hasDirect: false, broadcastSize: 2, directSize: 3 } as const

/** Says who it is in every round and ends with what it heard. */
export function toyMachine(self: PartyId, rounds: readonly ToyRound[], set: readonly PartyId[] = SET): RoundMachine<ToyState, Heard> {
  const others = set.filter((id) => id !== self)
  const enter = (round: number, heard: Heard): Step<ToyState, Heard> => {
    const { faults = [], abort } = rounds[round - 2] ?? {}
    const now = rounds[round - 1]
    if (abort !== undefined) return { kind: 'aborted', code: abort, faults }
    return now === undefined ? { kind: 'done', result: heard, faults } : speak(round, heard, faults, now)
  }
  const speak = (round: number, heard: Heard, faults: readonly Fault[], now: ToyRound): Step<ToyState, Heard> => {
    const { isEchoed, hasBroadcast, hasDirect, broadcastSize, directSize } = { ...USUAL, ...now }
    const broadcastFrom = hasBroadcast ? (now.speakers ?? set) : []
    const directFrom = hasDirect ? others : []
    return {
      kind: 'round',
      state: { round, heard },
      faults,
      spec: { round, name: `toy ${round}`, broadcastFrom, broadcastSize, directFrom, directSize, isEchoed },
      send: {
        broadcast: broadcastFrom.includes(self) ? broadcastIn(round, self) : null,
        direct: new Map(directFrom.map((to) => [to, directIn(round, self, to)])),
      },
    }
  }
  return { start: () => enter(1, []), next: ({ round, heard }, inbox) => enter(round + 1, [...heard, told(inbox)]) }
}

export type ToyPlan = Partial<Omit<SessionPlan<ToyState, Heard>, 'subject' | 'machine'>> &
  Readonly<{ rounds?: readonly ToyRound[]; protocol?: string; attempt?: number; epoch?: number; crypto?: EnvelopeCrypto }>

/** One party of a session. */
export class Seat {
  readonly id: PartyId
  readonly context: SessionContext<ToyState, Heard>
  readonly effects: SessionEffect<Heard>[] = []
  state: SessionState<ToyState>

  constructor(
    id: PartyId,
    { rounds = [{}], protocol = 'toy', attempt = 0, epoch = EPOCH, crypto = nativeEnvelopeCrypto, ...change }: ToyPlan = {},
  ) {
    this.id = id
    const plan: SessionPlan<ToyState, Heard> = {
      subject: { chainId: 81_920, protocol, requestId: seedOf('request'), epoch, set: SET, attempt },
      hasOpening: true,
      descriptorHash: seedOf('descriptor'),
      parties: SET.map((each) => keys(each).peer),
      self: id,
      roundTimeoutMs: TIMEOUT_MS,
      relayCount: 3,
      seed: seedOf(`seed ${id}`),
      machine: () => toyMachine(id, rounds),
      ...change,
    }
    const { context, state } = createSession(plan, keys(id).keys, crypto, nobleBackend)
    this.context = context
    this.state = state
  }

  step(event: SessionEvent): readonly SessionEffect<Heard>[] {
    const { state, effects } = stepSession(this.context, this.state, event)
    this.state = state
    this.effects.push(...effects)
    return effects
  }

  start(nowMs = 0) {
    return this.step({ kind: 'start', nowMs })
  }

  tick(nowMs: number) {
    return this.step({ kind: 'tick', nowMs })
  }

  take(bytes: Uint8Array, nowMs = 0, relay = 0) {
    return this.step({ kind: 'envelope', relay, bytes, nowMs })
  }

  of<Kind extends SessionEffect<Heard>['kind']>(kind: Kind): readonly Extract<SessionEffect<Heard>, { kind: Kind }>[] {
    return this.effects.filter((effect): effect is Extract<SessionEffect<Heard>, { kind: Kind }> => effect.kind === kind)
  }

  get result(): Heard | null {
    return this.of('done')[0]?.result ?? null
  }

  get code(): string | null {
    return this.of('aborted')[0]?.code ?? null
  }
}

/** What a test does to an envelope on its way: more than one delivers each, none drops it. */
export type Route = (envelope: Envelope, to: PartyId, relay: number, bytes: Uint8Array) => readonly Uint8Array[]

/** Parties and the wire between them. */
export class Room {
  readonly seats: readonly Seat[]
  readonly sent: Uint8Array[] = []
  route: Route = (_envelope, _to, _relay, bytes) => [bytes]
  nowMs = 0
  readonly #seen = new Map<PartyId, number>()

  constructor(plans: (id: PartyId) => ToyPlan = () => ({}), set: readonly PartyId[] = SET) {
    this.seats = set.map((id) => new Seat(id, plans(id)))
  }

  seat(id: PartyId): Seat {
    return this.seats.find((each) => each.id === id) as Seat
  }

  /** Starts all, and delivers until nothing moves. */
  start(): this {
    for (const seat of this.seats) seat.start(this.nowMs)
    return this.settle()
  }

  /** Lets time pass in ticks of a tenth of a phase. */
  pass(ms: number): this {
    for (const end = this.nowMs + ms; this.nowMs < end;) {
      this.nowMs += TIMEOUT_MS / 10
      for (const seat of this.seats) seat.tick(this.nowMs)
      this.settle()
    }
    return this
  }

  settle(): this {
    for (let isMoving = true; isMoving;) {
      isMoving = false
      for (const seat of this.seats) {
        const sends = seat.of('send')
        for (const { relay, envelope } of sends.slice(this.#seen.get(seat.id) ?? 0)) {
          isMoving = true
          this.#carry(seat.id, relay, envelope)
        }
        this.#seen.set(seat.id, sends.length)
      }
    }
    return this
  }

  #carry(from: PartyId, relay: number, bytes: Uint8Array): void {
    this.sent.push(bytes)
    const envelope = read(bytes)
    for (const seat of this.seats)
      if (seat.id !== from && (envelope.to === null || envelope.to === seat.id))
        for (const each of this.route(envelope, seat.id, relay, bytes)) seat.take(each, this.nowMs, relay)
  }
}

/** An envelope that must be one. */
export function read(bytes: Uint8Array): Envelope {
  const envelope = decodeEnvelope(bytes)
  if (envelope === null) throw new Error('no envelope')
  return envelope
}

/** Signs anything in the name of anybody. */
export function forge(unsigned: UnsignedEnvelope, signer = unsigned.from): Uint8Array {
  const signature = nativeEnvelopeCrypto.sign(keys(signer).keys.signSecret, envelopeDigest(nobleBackend, unsigned))
  return encodeEnvelope({ ...unsigned, signature })
}

/** The same message with other fields, signed again by its sender. */
export const resign = (bytes: Uint8Array, change: Partial<UnsignedEnvelope>): Uint8Array => forge({ ...read(bytes), ...change })

/** A direct message sealed as the sender's own session would. */
export function sealed(seat: Seat, to: PartyId, round: number, plain: Uint8Array): Uint8Array {
  const { state, context } = seat
  const secrets = state.secrets.get(to)
  if (secrets === undefined) throw new Error('the session is not open')
  const { key, nonce } = messageKey(nativeEnvelopeCrypto, secrets, state.id, seat.id, to, round)
  const unsigned = {
    id: state.id,
    epoch: context.plan.subject.epoch,
    round,
    kind: 'direct' as const,
    from: seat.id,
    to,
    seq: 0,
    previous: state.chain,
    payload: new Uint8Array(0),
  }
  return forge({ ...unsigned, payload: nativeEnvelopeCrypto.seal(key, nonce, plain, associatedData(unsigned)) })
}
