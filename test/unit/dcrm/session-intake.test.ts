/** What a session lets in, line by line: everything else a relay may bring changes nothing. @module */
import { describe, expect, it } from 'vitest'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import type { UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import { EVIDENCE_BYTES_LIMIT, encodeEvidence, judgeEvidence } from '#shared/dcrm/evidence.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { ToyPlan } from '#test/unit/dcrm/session-support.ts'
import { EPOCH, Room, Seat, broadcastIn, forge, keys, read, resign } from '#test/unit/dcrm/session-support.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

/** Party 1 waits in round 1 for broadcasts of all, which it hears one at a time. */
function waiting(plan: ToyPlan = {}): Readonly<{ seat: Seat; room: Room; good: UnsignedEnvelope }> {
  const room = new Room(() => plan)
  room.route = ({ round }, _to, _relay, bytes) => (round === 0 ? [bytes] : [])
  room.start()
  const seat = room.seat(1)
  const { id, chain } = seat.state
  const good = {
    id,
    epoch: EPOCH,
    round: 1,
    kind: 'broadcast',
    from: 2,
    to: null,
    seq: 0,
    previous: chain,
    payload: broadcastIn(1, 2),
  } as const
  return { seat, room, good }
}
/** Places held, and what came of the envelope. */
const taken = (seat: Seat, bytes: Uint8Array): readonly [number, number] => {
  const before = seat.state.accepted.size
  const effects = seat.take(bytes)
  return [seat.state.accepted.size - before, effects.filter(({ kind }) => kind !== 'send').length]
}

describe('a session takes in', () => {
  it('a signed message of its round, and reports whose it is', () => {
    const { seat, good } = waiting()
    expect(taken(seat, forge(good))).toEqual([1, 1])
    expect(seat.of('progress')).toContainEqual({ kind: 'progress', round: 1, name: 'toy 1', party: 2 })
  })
  it.each<[string, Partial<UnsignedEnvelope>]>([
    ['a broadcast of three rounds on', { round: 4 }],
    ['an echo', { kind: 'echo' }],
    ['a second echo', { kind: 'echo', seq: 1 }],
    ['a forward of a broadcast', { kind: 'forward', seq: 7 }],
    ['a forward of an echo', { kind: 'forward', seq: 0x10007 }],
    ['a direct message to it', { kind: 'direct', to: 1 }],
  ])('%s', (_what, change) => {
    const { seat, good } = waiting()
    expect(taken(seat, forge({ ...good, ...change }))[0]).toBe(1)
  })
})

describe('how far ahead a session listens', () => {
  it('is three rounds from the one it is in', () => {
    const room = new Room(() => ({ rounds: [{}, {}] }))
    room.route = ({ round }, _to, _relay, bytes) => (round < 2 ? [bytes] : [])
    const seat = room.start().seat(1)
    expect(seat.state.spec?.round).toBe(2)
    const { id, chain } = seat.state
    const far = {
      id,
      epoch: EPOCH,
      round: 5,
      kind: 'broadcast',
      from: 2,
      to: null,
      seq: 0,
      previous: chain,
      payload: broadcastIn(5, 2),
    } as const
    expect([taken(seat, forge(far))[0], taken(seat, forge({ ...far, round: 6 }))[0]]).toEqual([1, 0])
  })
  it('is three rounds from the first before it starts, where there is no opening', () => {
    const seat = new Seat(1, { hasOpening: false })
    const early = {
      id: seat.state.id,
      epoch: EPOCH,
      kind: 'broadcast',
      from: 2,
      to: null,
      seq: 0,
      previous: new Uint8Array(32),
      payload: broadcastIn(1, 2),
    } as const
    expect([1, 4, 5].map((round) => taken(seat, forge({ ...early, round }))[0])).toEqual([1, 1, 0])
  })
})

describe('a session drops without a word', () => {
  it.each<[string, Partial<UnsignedEnvelope>]>([
    ['another session id', { id: seedOf('elsewhere') }],
    ['another epoch', { epoch: EPOCH + 1 }],
    ['a round too far ahead', { round: 5 }],
    ['a round of the opening under the session id', { round: 0, payload: new Uint8Array(96) }],
    ['a sender outside the set', { from: 9 }],
    ['itself as the sender', { from: 1, seq: 0, round: 2 }],
    ['another receiver', { kind: 'direct', to: 7 }],
    ['a broadcast with a receiver', { to: 1 }],
    ['an echo with a receiver', { kind: 'echo', to: 1 }],
    ['a direct message to all', { kind: 'direct', to: null }],
    ['a numbered broadcast', { seq: 1 }],
    ['a numbered direct message', { kind: 'direct', to: 1, seq: 1 }],
    ['a third echo', { kind: 'echo', seq: 2 }],
    ['a forward of nobody', { kind: 'forward', seq: 9 }],
    ['a forward with a number of no meaning', { kind: 'forward', seq: 0x20007 }],
  ])('%s', (_what, change) => {
    const { seat, good } = waiting()
    expect(taken(seat, forge({ ...good, ...change }))).toEqual([0, 0])
    expect(taken(seat, forge(good))).toEqual([1, 1])
  })
  it('a signature of somebody else, and each bit changed on the way', () => {
    const { seat, good } = waiting()
    expect(taken(seat, forge(good, 7))).toEqual([0, 0])
    const bytes = forge(good)
    for (let index = 0; index < bytes.length; index++) expect(taken(seat, bytes.with(index, (bytes[index] ?? 0) ^ 1))).toEqual([0, 0])
    expect(taken(seat, bytes)).toEqual([1, 1])
  })
  it('an envelope of another version, cut short or too long', () => {
    const { seat, good } = waiting()
    const bytes = forge(good)
    for (const bad of [bytes.with(0, 2), bytes.with(1, 0), bytes.slice(0, -1), Uint8Array.from([...bytes, 0]), new Uint8Array(0)])
      expect(taken(seat, bad)).toEqual([0, 0])
  })
  it('round 1 in the name of the opening, before and after the session has its id', () => {
    const seat = new Seat(1)
    seat.start()
    const early = { id: seat.context.openId, epoch: EPOCH, round: 1, kind: 'broadcast', from: 2, to: null, seq: 0 } as const
    const bytes = forge({ ...early, previous: new Uint8Array(32), payload: broadcastIn(1, 2) })
    expect(taken(seat, bytes)).toEqual([0, 0])
    expect(seat.state.early).toEqual([])
    expect(taken(waiting().seat, bytes)).toEqual([0, 0])
  })
  it('an opening of another size, kind or receiver, or where there is none', () => {
    const room = new Room()
    const seat = room.seat(1)
    seat.start()
    const other = room.seat(2).start()[1]
    const bytes = other?.kind === 'send' ? other.envelope : new Uint8Array(0)
    const changes: readonly Partial<UnsignedEnvelope>[] = [
      { payload: new Uint8Array(95) },
      { payload: new Uint8Array(97) },
      { kind: 'echo' },
      { kind: 'direct', to: 1 },
      { to: 1 },
    ]
    for (const change of changes) expect(taken(seat, resign(bytes, change))).toEqual([0, 0])
    expect(taken(seat, bytes)).toEqual([1, 0])
    const closed = new Seat(1, { hasOpening: false })
    closed.start()
    expect(taken(closed, bytes)).toEqual([0, 0])
  })
  it('a repetition, which is not even verified again', () => {
    let verified = 0
    const crypto: EnvelopeCrypto = { ...nativeEnvelopeCrypto, verify: (...all) => (verified++, nativeEnvelopeCrypto.verify(...all)) }
    const { seat, good } = waiting({ crypto })
    taken(seat, forge(good))
    verified = 0
    expect(taken(seat, forge(good))).toEqual([0, 0])
    expect(verified).toBe(0)
  })
  it('anything once it is over', () => {
    const room = new Room().start()
    expect(room.seat(1).result).not.toBeNull()
    const { state } = room.seat(1)
    for (const bytes of room.sent) room.seat(1).take(resign(bytes, { payload: Uint8Array.of(1) }))
    expect(room.seat(1).state).toBe(state)
  })
})

describe('two different signed messages for one place', () => {
  const second = (good: UnsignedEnvelope): UnsignedEnvelope => ({ ...good, payload: Uint8Array.of(9, 9) })
  it('are proof that convinces a stranger, once', () => {
    const { seat, good } = waiting()
    seat.take(forge(good))
    expect(seat.take(forge(second(good))).map(({ kind }) => kind)).toEqual(['fault'])
    expect(seat.take(forge({ ...good, payload: Uint8Array.of(8, 8) }))).toEqual([])
    const faults = seat.of('fault')
    expect(faults.map(({ fault }) => fault)).toEqual([
      { accused: 2, class: 'proof', code: 'EQUIVOCATION', evidence: [{ round: 1, from: 2, to: null }] },
    ])
    const evidence = encodeEvidence(faults[0]?.evidence ?? [])
    expect(faults[0]?.proof).toEqual(evidence)
    expect(judgeEvidence(nobleBackend, nativeEnvelopeCrypto.verify, 2, keys(2).peer.signKey, evidence)).toBe('EQUIVOCATION')
    expect(seat.of('dispute')).toEqual([])
  })
  it('are so as well when only what they build on differs, and between echoes and direct messages', () => {
    const kinds: readonly Partial<UnsignedEnvelope>[] = [{}, { kind: 'echo' }, { kind: 'direct', to: 1 }, { round: 3 }]
    for (const change of kinds) {
      const { seat, good } = waiting()
      seat.take(forge({ ...good, ...change }))
      seat.take(forge({ ...good, ...change, previous: seedOf('another past') }))
      expect(seat.of('fault').map(({ fault }) => fault.accused)).toEqual([2])
    }
  })
  it('are so when a third party forwards the second, whatever that party is', () => {
    const { seat, good } = waiting()
    seat.take(forge(good))
    seat.take(forge({ ...good, kind: 'forward', from: 7, seq: 2, payload: forge(second(good)) }))
    expect(seat.of('fault').map(({ fault }) => fault.accused)).toEqual([2])
  })
  it('prove nothing when the second is not signed by the sender', () => {
    const { seat, good } = waiting()
    seat.take(forge(good))
    seat.take(forge(second(good), 7))
    seat.take(forge({ ...good, kind: 'forward', from: 7, seq: 2, payload: forge(second(good), 7) }))
    expect(seat.of('fault')).toEqual([])
  })
  it('prove nothing about forwards, of which a party may send what it likes', () => {
    const { seat, good } = waiting()
    seat.take(forge({ ...good, kind: 'forward', seq: 7, payload: Uint8Array.of(1) }))
    seat.take(forge({ ...good, kind: 'forward', seq: 7, payload: Uint8Array.of(2) }))
    expect(seat.of('fault')).toEqual([])
  })
  it('prove nothing in the opening, where a party that was restarted contradicts itself: the first counts', () => {
    const room = new Room()
    const seat = room.seat(1)
    seat.start()
    const opening = (from: number) =>
      room
        .seat(from)
        .start()
        .flatMap((effect) => (effect.kind === 'send' ? [effect.envelope] : []))[0] ?? new Uint8Array(0)
    const [two, seven] = [opening(2), opening(7)]
    expect(taken(seat, two)).toEqual([1, 0])
    expect(taken(seat, resign(two, { payload: new Uint8Array(96) }))).toEqual([0, 0])
    seat.take(seven)
    expect(seat.state.phase).toBe('round')
    expect(seat.of('fault')).toEqual([])
  })
  it('are a dispute, written down first, where no transaction can carry them', () => {
    const fits = (EVIDENCE_BYTES_LIMIT - 2 * (4 + 84 + 64)) / 2
    const kindsOf = (length: number) => {
      const { seat, good } = waiting()
      const large = (fill: number) => forge({ ...good, kind: 'direct', to: 1, payload: new Uint8Array(length).fill(fill) })
      seat.take(large(1))
      return [seat, seat.take(large(2)).map(({ kind }) => kind)] as const
    }
    expect(kindsOf(fits)[1]).toEqual(['fault'])
    const [seat, kinds] = kindsOf(fits + 1)
    expect(kinds).toEqual(['dispute', 'fault'])
    expect(seat.of('dispute')).toEqual([{ kind: 'dispute', accused: 2, code: 'EQUIVOCATION' }])
    expect(seat.of('fault')).toMatchObject([{ fault: { accused: 2, class: 'dispute', code: 'EQUIVOCATION' }, proof: null }])
  })
  it('of two parties name both', () => {
    const { seat, good } = waiting()
    for (const from of [2, 7])
      for (const payload of [Uint8Array.of(1, 1), Uint8Array.of(2, 2)]) seat.take(forge({ ...good, from, payload }))
    expect(seat.of('fault').map(({ fault }) => fault.accused)).toEqual([2, 7])
  })
})

describe('a forward', () => {
  it('brings the original in as if it had come by itself', () => {
    const { seat, good } = waiting()
    const forward = { ...good, kind: 'forward', from: 7, seq: 2, payload: forge(good) } as const
    expect(taken(seat, forge(forward))).toEqual([2, 1])
  })
  it('is only what says so: an original inside another message is not looked at', () => {
    const { seat, good } = waiting()
    expect(taken(seat, forge({ ...good, kind: 'echo', from: 7, payload: forge(good) }))[0]).toBe(1)
  })
  it('of a forward, of another session, or of rubbish brings nothing in', () => {
    for (const [seq, payload] of [
      [1, (good: UnsignedEnvelope) => forge({ ...good, kind: 'forward', seq: 7, payload: forge(good) })],
      [2, (good: UnsignedEnvelope) => forge({ ...good, id: seedOf('elsewhere') })],
      [7, () => Uint8Array.of(1, 2, 3)],
    ] as const) {
      const { seat, good } = waiting()
      expect(taken(seat, forge({ ...good, kind: 'forward', from: 7, seq, payload: payload(good) }))).toEqual([1, 0])
    }
  })
})

describe('what comes before the session has its id', () => {
  /** Party 1 in its opening, the others one round on. */
  function opening(plan: ToyPlan = {}) {
    const room = new Room(() => plan)
    const held: Uint8Array[] = []
    room.route = (_envelope, to, _relay, bytes) => (to === 1 ? (held.push(bytes), []) : [bytes])
    room.start()
    const others = held.filter((bytes) => read(bytes).round > 0)
    return { seat: room.seat(1), openings: held.filter((bytes) => read(bytes).round === 0), others }
  }
  it('is kept, and counts once the openings are here', () => {
    const { seat, openings, others } = opening()
    expect(others.length).toBe(2)
    for (const bytes of others) seat.take(bytes)
    expect(seat.state.early).toHaveLength(2)
    for (const bytes of openings) seat.take(bytes)
    expect(seat.state.phase).toBe('echo')
    expect(seat.state.early).toEqual([])
  })
  it('is kept once, signed only, sixteen of each sender, the latest ones', () => {
    const { seat, others } = opening()
    const [first] = others
    if (first === undefined) throw new Error('nobody spoke')
    for (const bytes of [first, first, resign(first, { payload: broadcastIn(9, 9) })]) seat.take(bytes)
    expect(seat.state.early).toHaveLength(2)
    seat.take(forge(read(first), 9))
    expect(seat.state.early).toHaveLength(2)
    const old = Array.from({ length: 20 }, (_, index) => resign(first, { id: seedOf(`old ${index}`) }))
    for (const bytes of old) seat.take(bytes)
    expect(seat.state.early.map(({ id }) => unhex(id))).toEqual(old.slice(4).map((bytes) => unhex(read(bytes).id)))
    seat.take(others[1] ?? new Uint8Array(0))
    expect(seat.state.early).toHaveLength(17)
  })
  it('is not kept where there is no opening, nor afterwards', () => {
    const closed = new Seat(1, { hasOpening: false })
    closed.start()
    const { good, seat } = waiting()
    for (const each of [closed, seat]) {
      each.take(forge({ ...good, id: seedOf('elsewhere') }))
      expect(each.state.early).toEqual([])
    }
  })
  it('is kept even before this party starts', () => {
    const seat = new Seat(1)
    const { others, openings } = opening()
    for (const bytes of [...others, ...openings]) expect(seat.take(bytes)).toEqual([])
    expect(seat.start()[0]?.kind).toBe('join')
    expect(seat.state.phase).toBe('echo')
  })
})

describe('an opening that comes again over a later relay', () => {
  it('asks for everything there, as its sender may lack an opening of those who went on; other messages do not', () => {
    const { seat, room, good } = waiting()
    const sentThere = () => seat.of('send').filter(({ relay }) => relay === 1).length
    const openings = room.sent.filter((bytes) => read(bytes).round === 0 && read(bytes).from === 2)
    const [opening = new Uint8Array(0)] = openings
    seat.take(forge(good))
    seat.take(resign(opening, { payload: new Uint8Array(96) }), 0, 1)
    seat.take(forge(good), 0, 1)
    expect(sentThere()).toBe(0)
    seat.take(opening, 0, 1)
    expect(sentThere()).toBe(2)
  })
})
