/**
 * How one party of a session cheats: inside its protocol, before anything is sealed and signed, or in the envelopes it signs. Each way says
 * whether it is silence to those it harms, for which absence is all that can be said. @module
 */
import { concatBytes } from '#shared/bytes.ts'
import type { Envelope } from '#shared/dcrm/envelope.ts'
import { decodeEnvelope, encodeEnvelope, envelopeDigest } from '#shared/dcrm/envelope.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import type { Inbox, Outgoing, RoundMachine, Step } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { AnyMachine, ProtocolName } from '#test/sim/dcrm-stage.ts'
import { PROTOCOLS, backend, crypto, parties } from '#test/sim/dcrm-stage.ts'
import type { Posted } from '#test/sim/dcrm-world.ts'
import type { Prng } from '#test/sim/prng.ts'

/** Makes a machine of the cheater with the seed, or with another one and a share that is not its own. */
export type Minds = (kind: 'own' | 'second' | 'wrong share') => AnyMachine

export type Cheat = Readonly<{
  name: string
  /** Nothing but absence can be said about it: what does not arrive, does not open, or contradicts what no two can compare. */
  isSilence: boolean
  /** The cheater's machine. */
  machine: (minds: Minds) => AnyMachine
  /** What it hands to relays instead of an envelope its session made. */
  corrupt: (envelope: Envelope, bytes: Uint8Array) => readonly Posted[]
}>

type Way = (at: Scene) => Omit<Cheat, 'name'>
type Scene = Readonly<{ rng: Prng; cheater: PartyId; set: readonly PartyId[]; protocol: ProtocolName; round: number }>

/** What a cheater's own machine sends instead of the truth, sealed and signed like it. */
type Lie = (round: number, sent: Outgoing) => Outgoing

const honest = (minds: Minds): AnyMachine => minds('own')
const unchanged = (_envelope: Envelope, bytes: Uint8Array): readonly Posted[] => [{ bytes }]

function lying<State, Result>(machine: RoundMachine<State, Result>, lie: Lie): RoundMachine<State, Result> {
  const spoil = (step: Step<State, Result>): Step<State, Result> =>
    step.kind === 'round' ? { ...step, send: lie(step.spec.round, step.send) } : step
  return { start: () => spoil(machine.start()), next: (state, inbox) => spoil(machine.next(state, inbox)) }
}

const inside = (isSilence: boolean, lie: Lie): Omit<Cheat, 'name'> => ({
  isSilence,
  machine: (minds) => lying(minds('own'), lie),
  corrupt: unchanged,
})
const outside = (isSilence: boolean, corrupt: Cheat['corrupt']): Omit<Cheat, 'name'> => ({ isSilence, machine: honest, corrupt })

/** One byte changed, the same wherever it is asked. */
function benderOf(rng: Prng): (bytes: Uint8Array) => Uint8Array {
  const [place, change] = [rng.below(1_000_000), 1 + rng.below(255)]
  return (bytes) => bytes.map((byte, index) => (index === place % bytes.length ? byte ^ change : byte))
}

const pick = <T>(rng: Prng, from: readonly T[]): T => from[rng.below(from.length)] as T
const others = ({ set, cheater }: Scene): readonly PartyId[] => set.filter((id) => id !== cheater)
const someOf = (rng: Prng, ids: readonly PartyId[]): readonly PartyId[] => {
  const [sure, rest] = [pick(rng, ids), ids.filter(() => rng.chance(0.5))]
  return ids.filter((id) => id === sure || rest.includes(id))
}

/** Seals and signs anew what the session of the cheater made, changed. */
function resigned(cheater: PartyId, envelope: Envelope, change: { payload: Uint8Array }): Uint8Array {
  const secret = parties.find(({ peer }) => peer.id === cheater)?.keys.signSecret ?? new Uint8Array(32)
  const changed = { ...envelope, ...change }
  return encodeEnvelope({ ...changed, signature: crypto.sign(secret, envelopeDigest(backend, changed)) })
}

/** Two machines of other randomness; what each receiver gets comes from one of them. */
function twoMinded(minds: Minds, self: PartyId, from: number, isFirst: () => boolean): AnyMachine {
  type Mind = Step<unknown, unknown>
  type Both = Readonly<{ first: Mind; second: Mind }>
  const merge = (first: Mind, second: Mind): Step<unknown, unknown> => {
    if (first.kind !== 'round') return first
    const state: Both = { first, second }
    if (second.kind !== 'round' || second.spec.round !== first.spec.round || first.spec.round < from) return { ...first, state }
    const [own, other] = [first.send, second.send]
    const direct = new Map([...own.direct].map(([to, bytes]) => [to, isFirst() ? bytes : (other.direct.get(to) ?? bytes)]))
    return { ...first, state, send: { broadcast: isFirst() ? own.broadcast : other.broadcast, direct } }
  }
  const [one, two] = [minds('own'), minds('second')]
  /** Each believes that it was heard. */
  const heardBy = (step: Mind, inbox: Inbox): Inbox => {
    const said = step.kind === 'round' ? step.send.broadcast : null
    return said === null || !inbox.broadcasts.has(self) ? inbox : { ...inbox, broadcasts: new Map([...inbox.broadcasts, [self, said]]) }
  }
  const follow = (machine: AnyMachine, step: Mind, inbox: Inbox): Mind =>
    step.kind === 'round' ? machine.next(step.state, heardBy(step, inbox)) : step
  return {
    start: () => merge(one.start(), two.start()),
    next: (state, inbox) => {
      const { first, second } = state as Both
      return merge(follow(one, first, inbox), follow(two, second, inbox))
    },
  }
}

/** Envelopes of the round the cheater has chosen to cheat in. */
const inRound =
  ({ round }: Scene, kinds: readonly Envelope['kind'][], lie: Cheat['corrupt']): Cheat['corrupt'] =>
  (envelope, bytes) =>
    envelope.round === round && kinds.includes(envelope.kind) && envelope.payload.length > 0 ? lie(envelope, bytes) : [{ bytes }]

/** Two envelopes for one place: one to some and one to the others, or both to all. */
function twoFaces({ rng, cheater, ...scene }: Scene, bend: (payload: Uint8Array) => Uint8Array): Cheat['corrupt'] {
  const [isSplit, deceived] = [rng.chance(0.6), someOf(rng, others({ rng, cheater, ...scene }))]
  const rest = scene.set.filter((id) => !deceived.includes(id))
  return (envelope, bytes) => {
    const lie = resigned(cheater, envelope, { payload: bend(envelope.payload) })
    return isSplit
      ? [
          { bytes: lie, only: deceived },
          { bytes, only: rest },
        ]
      : [{ bytes: lie }, { bytes }]
  }
}

const bentBroadcast: Way = ({ rng, round }) => {
  const bend = benderOf(rng)
  return inside(false, (at, sent) => (at !== round || sent.broadcast === null ? sent : { ...sent, broadcast: bend(sent.broadcast) }))
}
const bentDirects: Way = (scene) => {
  const [bend, victims] = [benderOf(scene.rng), someOf(scene.rng, others(scene))]
  return inside(false, (at, sent) =>
    at !== scene.round
      ? sent
      : { ...sent, direct: new Map([...sent.direct].map(([to, bytes]) => [to, victims.includes(to) ? bend(bytes) : bytes])) },
  )
}
const swappedDirects: Way = ({ round }) =>
  inside(false, (at, sent) => {
    const all = [...sent.direct]
    return at === round
      ? { ...sent, direct: new Map(all.map(([to], index) => [to, all[(index + 1) % all.length]?.[1] ?? new Uint8Array(0)])) }
      : sent
  })
/** Deals wrongly and answers the complaint wrongly too. */
const stubborn: Way = (scene) => {
  const [bend, victims] = [benderOf(scene.rng), someOf(scene.rng, others(scene))]
  return inside(false, (at, sent) => ({
    broadcast: at === 3 && sent.broadcast !== null ? bend(sent.broadcast) : sent.broadcast,
    direct: new Map([...sent.direct].map(([to, bytes]) => [to, victims.includes(to) ? bend(bytes) : bytes])),
  }))
}
/** The list in the second round of a dealing protocol names an honest dealer. */
const falseComplaint: Way = (scene) => {
  const accused = pick(scene.rng, others(scene))
  return inside(false, (at, sent) =>
    at !== 2 || sent.broadcast === null
      ? sent
      : { ...sent, broadcast: concatBytes(uintBytes(1, 2), uintBytes(accused, 2), sent.broadcast.slice(2)) },
  )
}
/** An objection to honest images, with a pair that was never dealt. */
const falseObjection: Way = (scene) => {
  const [accused, value] = [pick(scene.rng, others(scene)), 1 + scene.rng.below(255)]
  const pair = Uint8Array.from({ length: 64 }, (_, index) => (index % 32 === 31 ? value : 0))
  return inside(false, (at, sent) =>
    at !== 5 || sent.broadcast === null
      ? sent
      : { ...sent, broadcast: concatBytes(uintBytes(1, 2), uintBytes(accused, 2), pair, sent.broadcast.slice(-32)) },
  )
}
const resized: Way = ({ rng, round }) => {
  const isLonger = rng.chance(0.5)
  const change = (bytes: Uint8Array): Uint8Array => (isLonger ? concatBytes(bytes, Uint8Array.of(0)) : bytes.slice(0, -1))
  return inside(true, (at, { broadcast, direct }) =>
    at !== round
      ? { broadcast, direct }
      : { broadcast: broadcast && change(broadcast), direct: new Map([...direct].map(([to, bytes]) => [to, change(bytes)])) },
  )
}
const wrongShare: Way = () => ({ isSilence: false, machine: (minds) => minds('wrong share'), corrupt: unchanged })
const twoMinds: Way = ({ rng, round, cheater }) => ({
  isSilence: false,
  machine: (minds) => twoMinded(minds, cheater, round, () => rng.chance(0.5)),
  corrupt: unchanged,
})
const contradiction: Way = (scene) => outside(false, inRound(scene, ['broadcast'], twoFaces(scene, benderOf(scene.rng))))
const twoEchoes: Way = (scene) => outside(true, inRound(scene, ['echo'], twoFaces(scene, benderOf(scene.rng))))
const bentEcho: Way = (scene) => {
  const bend = benderOf(scene.rng)
  return outside(
    true,
    inRound(scene, ['echo'], (envelope) => [{ bytes: resigned(scene.cheater, envelope, { payload: bend(envelope.payload) }) }]),
  )
}
const unreadable: Way = (scene) => {
  const bend = benderOf(scene.rng)
  return outside(
    true,
    inRound(scene, ['direct'], (envelope) => [{ bytes: resigned(scene.cheater, envelope, { payload: bend(envelope.payload) }) }]),
  )
}
const silent: Way = ({ round }) => outside(true, (envelope, bytes) => (envelope.round >= round ? [] : [{ bytes }]))
const mute: Way = (scene) =>
  outside(
    true,
    inRound(scene, ['echo'], () => []),
  )
const withheld: Way = (scene) => {
  const victim = pick(scene.rng, others(scene))
  const rest = others(scene).filter((id) => id !== victim)
  return outside(
    true,
    inRound(scene, ['broadcast', 'direct'], (_envelope, bytes) => [{ bytes, only: rest }]),
  )
}
/** Another nonce or another ephemeral key for some. */
const twoOpenings: Way = (scene) => {
  const place = scene.rng.below(64)
  const bend = (payload: Uint8Array): Uint8Array => payload.map((byte, index) => (index === place ? byte ^ 1 : byte))
  return outside(true, inRound({ ...scene, round: 0 }, ['broadcast'], twoFaces(scene, bend)))
}
const badOpening: Way = (scene) => {
  const isZero = scene.rng.chance(0.5)
  const spoil = (payload: Uint8Array): Uint8Array =>
    payload.map((byte, index) => (isZero ? (index >= 32 && index < 64 ? 0 : byte) : index === 95 ? byte ^ 1 : byte))
  const lie: Cheat['corrupt'] = (envelope) => [{ bytes: resigned(scene.cheater, envelope, { payload: spoil(envelope.payload) }) }]
  return outside(true, inRound({ ...scene, round: 0 }, ['broadcast'], lie))
}

type Fit = (protocol: ProtocolName, set: readonly PartyId[]) => boolean
type Rounds = Readonly<{ broadcast: readonly number[]; direct: readonly number[]; echo: readonly number[] }>

/** Rounds of each protocol in which a party sends broadcasts, direct messages and echoes. */
const dealing = { broadcast: [1, 2, 4, 5], direct: [1], echo: [1, 2, 4, 5] }
const ROUNDS: Readonly<Record<ProtocolName, Rounds>> = {
  dkg: dealing,
  refresh: dealing,
  reshare: { broadcast: [1, 2], direct: [1], echo: [1, 2] },
  recover: { broadcast: [1], direct: [1, 2], echo: [1] },
  setup: { broadcast: [], direct: [1, 2, 3], echo: [] },
  presign: { broadcast: [1, 5], direct: [2, 3, 4], echo: [1, 5] },
  ecdsa: { broadcast: [1], direct: [], echo: [] },
  blame: { broadcast: [1], direct: [], echo: [1] },
  frost: { broadcast: [1, 2], direct: [], echo: [1] },
}

const DEALING: readonly ProtocolName[] = ['dkg', 'refresh', 'reshare']
const where =
  (...names: readonly ProtocolName[]): Fit =>
  (protocol) =>
    names.includes(protocol)
const has =
  (kind: keyof Rounds): Fit =>
  (protocol) =>
    ROUNDS[protocol][kind].length > 0
const opens: Fit = (protocol) => PROTOCOLS[protocol].hasOpening

/** Ways to cheat: how, where they fit, and of which messages the round is that they strike in. */
const WAYS: Readonly<Record<string, readonly [way: Way, fit: Fit, strikes: keyof Rounds | 'any']>> = {
  'bent broadcast': [bentBroadcast, has('broadcast'), 'broadcast'],
  'bent directs': [bentDirects, has('direct'), 'direct'],
  'swapped directs': [swappedDirects, (protocol, set) => has('direct')(protocol, set) && set.length > 2, 'direct'],
  stubborn: [stubborn, where(...DEALING), 'any'],
  'false complaint': [falseComplaint, where(...DEALING), 'any'],
  'false objection': [falseObjection, where('dkg', 'refresh'), 'any'],
  resized: [resized, () => true, 'any'],
  'wrong share': [wrongShare, where('refresh', 'reshare', 'recover', 'presign', 'frost'), 'any'],
  'two minds': [twoMinds, (protocol) => protocol !== 'ecdsa', 'any'],
  contradiction: [contradiction, has('broadcast'), 'broadcast'],
  'two echoes': [twoEchoes, has('echo'), 'echo'],
  'bent echo': [bentEcho, has('echo'), 'echo'],
  unreadable: [unreadable, has('direct'), 'direct'],
  silent: [silent, () => true, 'any'],
  mute: [mute, has('echo'), 'echo'],
  withheld: [withheld, () => true, 'any'],
  'two openings': [twoOpenings, opens, 'any'],
  'bad opening': [badOpening, opens, 'any'],
}

/** A way to cheat that fits, chosen with the round it strikes in. */
export function cheatOf(rng: Prng, cheater: PartyId, set: readonly PartyId[], protocol: ProtocolName): Cheat {
  const fitting = Object.entries(WAYS).filter(([, [, fit]]) => fit(protocol, set))
  const [name, [way, , strikes]] = pick(rng, fitting)
  const { broadcast, direct, echo } = ROUNDS[protocol]
  const round = pick(rng, { broadcast, direct, echo, any: [...broadcast, ...direct] }[strikes])
  return { name, ...way({ rng, cheater, set, protocol, round }) }
}

/** A cheater's envelopes as it hands them to relays. */
export const corrupted =
  (cheat: Cheat) =>
  (bytes: Uint8Array): readonly Posted[] => {
    const envelope = decodeEnvelope(bytes)
    return envelope === null ? [{ bytes }] : cheat.corrupt(envelope, bytes)
  }
