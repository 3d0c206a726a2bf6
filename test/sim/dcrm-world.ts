/**
 * Sessions of several parties over relays that may drop, delay, repeat, reorder and split views, with a virtual clock. Everything follows from
 * one seed. @module
 */
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { BROADCASTING, isContentImpossible } from '#shared/dcrm/content.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { decodeEnvelope } from '#shared/dcrm/envelope.ts'
import type { Fault, RoundMachine } from '#shared/dcrm/round.ts'
import type { SessionSubject } from '#shared/dcrm/ids.ts'
import type { OwnKeys, Peer, SessionContext, SessionEffect, SessionEvent, SessionState } from '#shared/dcrm/session-types.ts'
import { createSession, stepSession } from '#shared/dcrm/session.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Prng } from '#test/sim/prng.ts'
import { createPrng } from '#test/sim/prng.ts'

export type PartyKeys = Readonly<{ peer: Peer; keys: OwnKeys }>

/** What a relay does to one envelope on its way to one party: delays in ms, one per copy; none drops it. */
export type Delivery = (rng: Prng, from: PartyId, to: PartyId, relay: number) => readonly number[]

export type WorldOptions<State, Result> = Readonly<{
  seed: number
  subject: SessionSubject
  hasOpening: boolean
  parties: readonly PartyKeys[]
  machine: (self: PartyId, sid: Uint8Array, seed: Uint8Array) => RoundMachine<State, Result>
  backend: DcrmBackend
  crypto: EnvelopeCrypto
  relayCount?: number
  roundTimeoutMs?: number
  delivery?: Delivery
  /** Bytes a party hands to relays instead of an envelope it made; several are several messages. */
  corrupt?: (from: PartyId, envelope: Uint8Array, rng: Prng) => readonly Uint8Array[]
  /** Virtual time at which a party stops for good, or null. */
  killedAtMs?: (party: PartyId) => number | null
  /** Envelopes of other sessions a relay slips in. */
  foreign?: readonly Uint8Array[]
}>

export type PartyEnd<Result> = Readonly<{
  result: Result | null
  code: string | null
  faults: readonly Fault[]
  disputes: readonly PartyId[]
  /** Who was missing when the run ended. */
  absent: readonly PartyId[]
  order: readonly string[]
  /** Rounds in which the chain would convict this party by its own broadcast. */
  guilty: readonly number[]
}>

type Message = Readonly<{ atMs: number; to: PartyId; relay: number; bytes: Uint8Array }>

/** Runs one session to its end at every party. */
export function runWorld<State, Result>(options: WorldOptions<State, Result>): ReadonlyMap<PartyId, PartyEnd<Result>> {
  const { parties, seed, subject, backend, crypto, relayCount = 1, roundTimeoutMs = 4000 } = options
  const rng = createPrng(seed)
  const deliver = options.delivery ?? (() => [10])
  const sessions = new Map<PartyId, { context: SessionContext<State, Result>; state: SessionState<State>; end: PartyEnd<Result> }>()
  const queue: Message[] = []
  const sentBy: Uint8Array[] = []
  for (const { peer, keys } of parties) {
    const session = createSession<State, Result>(
      {
        subject,
        hasOpening: options.hasOpening,
        descriptorHash: new Uint8Array(32).fill(7),
        parties: parties.map((each) => each.peer),
        self: peer.id,
        roundTimeoutMs,
        relayCount,
        seed: backend.sha256(Uint8Array.of(seed & 255, (seed >> 8) & 255, (seed >> 16) & 255, seed >>> 24, peer.id)),
        machine: (sid, own) => options.machine(peer.id, sid, own),
      },
      keys,
      crypto,
      backend,
    )
    sessions.set(peer.id, { ...session, end: { result: null, code: null, faults: [], disputes: [], absent: [], order: [], guilty: [] } })
  }
  const post = (from: PartyId, relay: number, bytes: Uint8Array, nowMs: number): void => {
    for (const copy of options.corrupt?.(from, bytes, rng) ?? [bytes]) {
      sentBy.push(copy)
      const to = decodeEnvelope(copy)?.to ?? null
      for (const { peer } of parties)
        if (peer.id !== from && (to === null || to === peer.id))
          for (const delay of deliver(rng, from, peer.id, relay)) queue.push({ atMs: nowMs + delay, to: peer.id, relay, bytes: copy })
    }
  }
  const handle = (id: PartyId, event: SessionEvent): void => {
    const session = sessions.get(id)
    const killed = options.killedAtMs?.(id) ?? null
    if (session === undefined || (killed !== null && event.nowMs >= killed)) return
    const { state, effects } = stepSession(session.context, session.state, event)
    const end = effects.reduce(record, session.end)
    const sent = effects.flatMap((effect) => (effect.kind === 'send' ? [effect.envelope] : []))
    const guilty = sent.flatMap((envelope) => guiltyRound(backend, subject, envelope))
    sessions.set(id, { ...session, state, end: { ...end, guilty: [...end.guilty, ...guilty] } })
    for (const effect of effects) if (effect.kind === 'send') post(id, effect.relay, effect.envelope, event.nowMs)
  }
  for (const { peer } of parties) handle(peer.id, { kind: 'start', nowMs: 0 })
  for (const bytes of options.foreign ?? [])
    for (const { peer } of parties) queue.push({ atMs: rng.below(2000), to: peer.id, relay: 0, bytes })
  const endMs = 60 * roundTimeoutMs
  for (let nowMs = 0, nextTick = 500; nowMs < endMs && [...sessions.values()].some(({ state }) => state.phase !== 'over');) {
    queue.sort((left, right) => left.atMs - right.atMs)
    const next = queue[0]
    if (next !== undefined && next.atMs <= nextTick) {
      queue.shift()
      nowMs = Math.max(nowMs, next.atMs)
      handle(next.to, { kind: 'envelope', relay: next.relay, bytes: next.bytes, nowMs })
    } else {
      nowMs = nextTick
      nextTick += 500
      for (const { peer } of parties) handle(peer.id, { kind: 'tick', nowMs })
    }
    if (parties.every(({ peer }) => (options.killedAtMs?.(peer.id) ?? null) !== null || sessions.get(peer.id)?.state.phase === 'over'))
      break
  }
  return new Map([...sessions].map(([id, { end }]) => [id, end]))
}

function guiltyRound(backend: DcrmBackend, subject: SessionSubject, bytes: Uint8Array): readonly number[] {
  const protocol = BROADCASTING.find((each) => each === subject.protocol)
  const envelope = decodeEnvelope(bytes)
  if (protocol === undefined || envelope?.kind !== 'broadcast') return []
  return isContentImpossible(backend, protocol, subject.set, envelope) ? [envelope.round] : []
}

function record<Result>(end: PartyEnd<Result>, effect: SessionEffect<Result>): PartyEnd<Result> {
  const next = { ...end, order: [...end.order, effect.kind] }
  if (effect.kind === 'done') return { ...next, result: effect.result }
  if (effect.kind === 'aborted') return { ...next, code: effect.code, absent: effect.absent }
  if (effect.kind === 'fault') return { ...next, faults: [...end.faults, effect.fault] }
  return effect.kind === 'dispute' ? { ...next, disputes: [...end.disputes, effect.accused] } : next
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
