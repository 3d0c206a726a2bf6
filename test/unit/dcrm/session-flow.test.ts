/** Opening, deadlines, relays and the end of a session, step by step. @module */
import { describe, expect, it } from 'vitest'
import { openIdOf, sessionIdOf } from '#shared/dcrm/ids.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { Room, SET, Seat, TIMEOUT_MS, directIn, keys, read, resign, sealed } from '#test/unit/dcrm/session-support.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

const whole = (round: number): string => SET.map((id) => `b${id}:${round}.${id}`).join(' ')
const openingOf = (seat: Seat): Uint8Array => {
  const [send] = seat.of('send')
  if (send === undefined) throw new Error('nothing was sent')
  return send.envelope
}
/** Everything of one sender is lost. */
const without = (lost: PartyId, fromRound = 1) => {
  const room = new Room(() => ({ rounds: [{}, {}] }))
  room.route = ({ from, round }, _to, _relay, bytes) => (from === lost && round >= fromRound ? [] : [bytes])
  return room
}

describe('the opening', () => {
  it('begins with the durable note that the session was joined, before anything is said', () => {
    const seat = new Seat(1)
    const effects = seat.start()
    expect(effects.map(({ kind }) => kind)).toEqual(['join', 'send'])
    expect(effects[0]).toEqual({ kind: 'join', openId: openIdOf(nobleBackend, seat.context.plan.subject) })
    expect(seat.start()).toEqual([])
  })
  it('also does so where there is no round 0', () => {
    expect(new Seat(1, { hasOpening: false }).start().map(({ kind }) => kind)).toEqual(['join', 'send', 'progress'])
  })
  it('says nonce, fresh agreement key and descriptor, and names the session by all nonces in order', () => {
    const room = new Room().start()
    const payloads = SET.map((id) => read(openingOf(room.seat(id))).payload)
    expect(new Set(payloads.map((payload) => unhex(payload.slice(0, 32)))).size).toBe(3)
    expect(new Set(payloads.map((payload) => unhex(payload.slice(32, 64)))).size).toBe(3)
    for (const payload of payloads) expect(payload.slice(64)).toEqual(seedOf('descriptor'))
    const sid = sessionIdOf(
      nobleBackend,
      room.seat(1).context.openId,
      payloads.map((payload) => payload.slice(0, 32)),
    )
    for (const { state } of room.seats) expect(state.id).toEqual(sid)
  })
  it('depends on the seed alone: another seed makes other nonces and keys', () => {
    const [one, two] = [seedOf('one'), seedOf('two')].map((seed) => {
      const seat = new Seat(1, { seed })
      seat.start()
      return read(openingOf(seat)).payload
    })
    expect(unhex(one?.slice(0, 32) ?? one ?? seedOf(''))).not.toBe(unhex(two?.slice(0, 32) ?? seedOf('')))
    expect(unhex(one?.slice(32, 64) ?? seedOf(''))).not.toBe(unhex(two?.slice(32, 64) ?? seedOf('')))
  })
  it('waits for everybody, then gives the attempt up and says who was missing', () => {
    const room = without(7, 0).start()
    room.pass(TIMEOUT_MS - 100)
    expect(room.seat(1).code).toBeNull()
    room.pass(100)
    expect(room.seat(1).of('aborted')).toEqual([{ kind: 'aborted', code: 'OPENING_INCOMPLETE', absent: [7] }])
  })
  it('ends when a party means something else', () => {
    const room = new Room((id) => (id === 2 ? { descriptorHash: seedOf('something else') } : {})).start()
    expect(room.seat(1).of('aborted')).toEqual([{ kind: 'aborted', code: 'DESCRIPTOR_DIFFERS', absent: [2] }])
    expect(room.seat(2).of('aborted')).toEqual([{ kind: 'aborted', code: 'DESCRIPTOR_DIFFERS', absent: [1, 7] }])
  })
  it('ends when a fresh or a registered key agrees on zero', () => {
    const fresh = new Room()
    fresh.route = ({ from, round, payload }, _to, _relay, bytes) => {
      const zero = Uint8Array.from(payload, (byte, index) => (index >= 32 && index < 64 ? 0 : byte))
      return [from === 2 && round === 0 ? resign(bytes, { payload: zero }) : bytes]
    }
    expect(fresh.start().seat(1).of('aborted')).toEqual([{ kind: 'aborted', code: 'AGREEMENT_ZERO', absent: [2] }])
    const parties = SET.map((id) => (id === 2 ? { ...keys(2).peer, sealKey: new Uint8Array(32) } : keys(id).peer))
    expect(new Room(() => ({ parties })).start().seat(1).of('aborted')).toEqual([{ kind: 'aborted', code: 'AGREEMENT_ZERO', absent: [2] }])
  })
  it('leaves one pair of secrets for each other party', () => {
    const room = new Room()
    room.route = ({ round }, _to, _relay, bytes) => (round === 0 ? [bytes] : [])
    expect([...room.start().seat(1).state.secrets.keys()]).toEqual([2, 7])
  })
  it('is needed for direct messages', () => {
    expect(() => new Seat(1, { hasOpening: false, rounds: [{ hasDirect: true }] }).start()).toThrow('opened session')
  })
  it('needs this party among the parties, and a relay', () => {
    expect(() => new Seat(1, { parties: [keys(2).peer] })).toThrow('takes part')
    expect(() => new Seat(1, { relayCount: 0 })).toThrow('takes part')
  })
  it('does nothing before its start', () => {
    const seat = new Seat(1)
    expect(seat.tick(5000)).toEqual([])
    expect(seat.state.phase).toBe('idle')
  })
})

describe('rounds', () => {
  it('hand the protocol what all said, in every kind of round', () => {
    const rounds = [{}, { isEchoed: false }, { hasDirect: true }, { hasBroadcast: false, hasDirect: true, isEchoed: false }]
    for (const hasOpening of [true, false]) {
      const room = new Room(() => ({ rounds: hasOpening ? rounds : rounds.slice(0, 2), hasOpening })).start()
      const heard = [whole(1), whole(2), `${whole(3)} d2:3.2.1 d7:3.7.1`, 'd2:4.2.1 d7:4.7.1']
      expect(room.seat(1).result).toEqual(hasOpening ? heard : heard.slice(0, 2))
      for (const { effects } of room.seats) expect(effects.filter(({ kind }) => kind === 'fault' || kind === 'aborted')).toEqual([])
    }
  })
  it('follow one another at once when what they wait for is here already', () => {
    const rounds = [{ isEchoed: false }, { isEchoed: false }, { isEchoed: false }]
    const room = new Room(() => ({ rounds, hasOpening: false }))
    const held: Uint8Array[] = []
    room.route = (_envelope, to, _relay, bytes) => (to === 1 ? (held.push(bytes), []) : [bytes])
    room.start()
    // Party 1 was heard in round 1; parties 2 and 7 wait for it in round 2.
    const [last, ...early] = held.toSorted((left, right) => read(left).round - read(right).round)
    for (const bytes of early) room.seat(1).take(bytes)
    expect(room.seat(1).state.spec?.round).toBe(1)
    room.seat(1).take(last ?? new Uint8Array(0))
    expect(room.seat(1).state.spec?.round).toBe(3)
  })
  it('report each sender once', () => {
    const room = new Room(() => ({ rounds: [{ hasDirect: true }, {}] })).start()
    const reports = room
      .seat(1)
      .of('progress')
      .map(({ round, party }) => `${round}/${party}`)
    expect(reports.toSorted()).toEqual(['1/1', '1/2', '1/7', '2/1', '2/2', '2/7'])
  })
  it('go on without a silent party after the deadline, not before', () => {
    const room = without(7).start()
    room.pass(TIMEOUT_MS - 100)
    expect(room.seat(1).state.phase).toBe('round')
    room.pass(100)
    expect(room.seat(1).state.phase).toBe('echo')
    room.pass(4 * TIMEOUT_MS)
    expect(room.seat(1).result).toEqual(['b1:1.1 b2:1.2', 'b1:2.1 b2:2.2'])
    expect(room.seat(1).of('fault')).toEqual([])
  })
  it('do not go on without direct messages before the deadline either', () => {
    const room = new Room(() => ({ rounds: [{ hasDirect: true }] }))
    room.route = ({ kind, from }, to, _relay, bytes) => (kind === 'direct' && from === 2 && to === 1 ? [] : [bytes])
    room.start().pass(TIMEOUT_MS - 100)
    expect(room.seat(1).state.phase).toBe('round')
    room.pass(TIMEOUT_MS)
    expect(room.seat(1).result).toEqual([`${whole(1)} d7:1.7.1`])
  })
  it('count a direct message that builds on another past for nothing, though it opens', () => {
    const room = new Room(() => ({ rounds: [{ hasDirect: true }] }))
    let other: Uint8Array | null = null
    room.route = ({ kind, from }, to, _relay, bytes) => {
      if (kind !== 'direct' || from !== 7 || to !== 1) return [bytes]
      const { context, state, id } = room.seat(7)
      other ??= sealed({ context, id, state: { ...state, chain: seedOf('another past') } } as Seat, 1, 1, directIn(1, 7, 1))
      return [other]
    }
    room.start().pass(2 * TIMEOUT_MS)
    expect(room.seat(1).result).toEqual([`${whole(1)} d2:1.2.1`])
    expect(room.seat(2).result).toEqual([`${whole(1)} d1:1.1.2 d7:1.7.2`])
  })
  it('count a broadcast that builds on another past, or has a wrong size, for nothing', () => {
    for (const change of [{ previous: seedOf('another past') }, { payload: Uint8Array.of(1) }, { payload: Uint8Array.of(1, 7, 0) }]) {
      const room = new Room(() => ({ rounds: [{ isEchoed: false }] }))
      room.route = ({ from, round }, _to, _relay, bytes) => [from === 7 && round === 1 ? resign(bytes, change) : bytes]
      room.start().pass(TIMEOUT_MS)
      expect(room.seat(1).result).toEqual(['b1:1.1 b2:1.2'])
      expect(room.seat(1).of('fault')).toEqual([])
    }
  })
  it('chain to what was agreed: each echoed round changes the past of the next', () => {
    const room = new Room(() => ({ rounds: [{}, {}, { isEchoed: false }, {}] })).start()
    const pasts = [1, 2, 3, 4].map((round) => {
      const said = room.sent.map(read).filter((envelope) => envelope.round === round && envelope.kind === 'broadcast')
      expect(new Set(said.map(({ previous }) => unhex(previous))).size).toBe(1)
      return unhex(said[0]?.previous ?? new Uint8Array(0))
    })
    expect(new Set(pasts.slice(0, 3)).size).toBe(3)
    // A round without echo adds nothing: what was said there may look different to each.
    expect(pasts[3]).toBe(pasts[2])
  })
})

describe('relays', () => {
  const sends = (seat: Seat, relay: number) => seat.of('send').filter((each) => each.relay === relay).length
  it('are one, as long as nothing is late; only the last two rounds go to the next too, for whoever they were kept from', () => {
    const room = new Room(() => ({ rounds: [{}, {}] })).start()
    const sent = room.seat(1).of('send')
    expect(sent.filter(({ relay }) => relay === 0)).toHaveLength(5)
    const again = sent.filter(({ relay }) => relay !== 0)
    expect(again.map(({ relay, envelope }) => [relay, read(envelope).round, read(envelope).kind])).toEqual([
      [1, 1, 'broadcast'],
      [1, 1, 'echo'],
      [1, 2, 'broadcast'],
      [1, 2, 'echo'],
    ])
    expect(room.seat(1).effects.at(-1)?.kind).toBe('done')
  })
  it('that keep the last message of a party from another are made good by the next, though that party is gone', () => {
    const room = new Room()
    room.route = ({ kind, from }, to, relay, bytes) => (kind === 'echo' && from === 1 && to === 2 && relay === 0 ? [] : [bytes])
    room.start().pass(TIMEOUT_MS)
    for (const { result } of room.seats) expect(result).toEqual([whole(1)])
    expect(
      new Room(() => ({ relayCount: 1 }))
        .start()
        .seat(1)
        .of('send')
        .every(({ relay }) => relay === 0),
    ).toBe(true)
  })
  it('that keep the last message of a party whose session failed from another are made good too, so that it does not look absent', () => {
    const room = new Room(() => ({ rounds: [{ isEchoed: false, abort: 'SPOILED' }] }))
    room.route = ({ from, round }, to, relay, bytes) => (round === 1 && from === 1 && to === 2 && relay === 0 ? [] : [bytes])
    room.start().pass(1)
    for (const { effects } of room.seats) expect(effects.at(-1)).toEqual({ kind: 'aborted', code: 'SPOILED', absent: [] })
  })
  it('that keep the last but one message from whoever has nothing to say in the last round are made good too', () => {
    const room = new Room(() => ({ rounds: [{}, { speakers: [1], isEchoed: false }] }))
    room.route = ({ kind, from, round }, to, relay, bytes) =>
      kind === 'echo' && round === 1 && from === 1 && to === 2 && relay === 0 ? [] : [bytes]
    room.start().pass(TIMEOUT_MS / 10)
    for (const { result } of room.seats) expect(result).toEqual([whole(1), 'b1:2.1'])
  })
  it('that keep an opening from others do not hide that it means something else', () => {
    const room = new Room((id) => (id === 1 ? { descriptorHash: new Uint8Array(32) } : {}))
    room.route = ({ from }, to, relay, bytes) => (from === 1 && to === 2 && relay === 0 ? [] : [bytes])
    room.start().pass(1)
    expect(room.seat(2).effects.at(-1)).toEqual({ kind: 'aborted', code: 'DESCRIPTOR_DIFFERS', absent: [1] })
  })
  it('are joined by the next after half of a phase, which is told everything, and by one only in a phase', () => {
    const seat = new Seat(1)
    seat.start()
    seat.tick(TIMEOUT_MS / 2 - 1)
    expect(sends(seat, 1)).toBe(0)
    seat.tick(TIMEOUT_MS / 2)
    expect([sends(seat, 0), sends(seat, 1), sends(seat, 2)]).toEqual([1, 1, 0])
    seat.tick(TIMEOUT_MS / 2 + 100)
    expect([sends(seat, 0), sends(seat, 1), sends(seat, 2)]).toEqual([1, 1, 0])
  })
  it('are counted from the start of the phase, whenever that is', () => {
    const seat = new Seat(1)
    seat.start(1)
    seat.tick(TIMEOUT_MS / 2)
    expect(seat.state.reach).toBe(0)
    seat.tick(TIMEOUT_MS / 2 + 1)
    expect(seat.state.reach).toBe(1)
  })
  it('are not given up again when somebody writes to an earlier one', () => {
    const room = new Room()
    const seat = room.seat(1)
    seat.start()
    seat.tick(TIMEOUT_MS / 2)
    room.seat(2).start()
    seat.take(openingOf(room.seat(2)), TIMEOUT_MS / 2, 0)
    expect([seat.state.reach, sends(seat, 1)]).toEqual([1, 1])
  })
  it('are known before the start: a party that was written to over the second begins there too', () => {
    const room = new Room()
    room.seat(2).start()
    expect(room.seat(1).take(openingOf(room.seat(2)), 0, 1)).toEqual([])
    room.seat(1).start()
    expect([sends(room.seat(1), 0), sends(room.seat(1), 1)]).toEqual([1, 1])
  })
  it('go on being used: later messages go to all of them', () => {
    const room = new Room(() => ({ rounds: [{}, {}] }))
    room.route = (_envelope, _to, relay, bytes) => (relay === 0 ? [] : [bytes])
    room.start().pass(3 * TIMEOUT_MS)
    for (const seat of room.seats) {
      expect(seat.result).toEqual([whole(1), whole(2)])
      expect(sends(seat, 1)).toBe(sends(seat, 0))
    }
  })
  it('end with the last: there is no relay after it', () => {
    const room = without(7)
    room.start().pass(8 * TIMEOUT_MS)
    expect(
      Math.max(
        ...room
          .seat(1)
          .of('send')
          .map(({ relay }) => relay),
      ),
    ).toBe(2)
    const single = new Seat(1, { relayCount: 1 })
    single.start()
    single.tick(TIMEOUT_MS / 2)
    expect(sends(single, 1)).toBe(0)
  })
  it('are used up to the one where another party writes, and no further than there are', () => {
    const room = new Room()
    const bytes = (id: PartyId): Uint8Array => {
      room.seat(id).start()
      return openingOf(room.seat(id))
    }
    const seat = room.seat(1)
    seat.start()
    seat.take(bytes(2), 0, 1)
    expect([sends(seat, 0), sends(seat, 1), sends(seat, 2)]).toEqual([1, 1, 0])
    seat.take(bytes(2), 0, 2)
    expect(sends(seat, 2)).toBe(0)
    seat.take(bytes(7), 0, 9)
    expect(seat.state.reach).toBe(2)
    expect(seat.of('send').every(({ relay }) => relay <= 2)).toBe(true)
  })
})

describe('the end', () => {
  it('takes the secrets of the session along, whichever end it is', () => {
    for (const room of [
      new Room().start(),
      without(7, 0).start().pass(TIMEOUT_MS),
      new Room(() => ({ rounds: [{ abort: 'TOY_OVER' }] })).start(),
    ]) {
      const { state } = room.seat(1)
      expect(state.phase).toBe('over')
      expect([state.inner, state.secrets.size, unhex(state.machineSeed)]).toEqual([null, 0, '00'.repeat(32)])
    }
  })
  it('comes once, and nothing after it', () => {
    const room = new Room().start()
    const seat = room.seat(1)
    const { state } = seat
    const before = seat.effects.length
    for (const nowMs of [1000, 9000]) seat.tick(nowMs)
    seat.start(9000)
    expect(seat.effects).toHaveLength(before)
    expect(seat.state).toBe(state)
    expect(seat.of('done')).toHaveLength(1)
  })
  it('cannot be followed by another life: a party killed in any round is missed, never blamed', () => {
    for (const lastRound of [0, 1, 2, 3]) {
      const room = new Room(() => ({ rounds: [{ hasDirect: true }, {}, { isEchoed: false }] }))
      room.route = ({ from, round }, _to, _relay, bytes) => (from === 2 && round >= lastRound ? [] : [bytes])
      room.start().pass(9 * TIMEOUT_MS)
      for (const id of [1, 7]) {
        expect(room.seat(id).state.phase).toBe('over')
        expect([...room.seat(id).of('fault'), ...room.seat(id).of('dispute')]).toEqual([])
      }
    }
  })
  it('seals nothing for strangers to the session', () => {
    const room = new Room().start()
    expect(() => sealed(room.seat(1), 2, 1, Uint8Array.of(1))).toThrow('not open')
  })
})
