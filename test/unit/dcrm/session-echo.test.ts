/** Agreement on broadcasts: what a relay or a two-faced party can do to it, and that no honest party is proven guilty of anything. @module */
import { describe, expect, it } from 'vitest'
import type { Envelope, EnvelopeKind } from '#shared/dcrm/envelope.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { envelopeDigest } from '#shared/dcrm/envelope.ts'
import type { Fault } from '#shared/dcrm/round.ts'
import { lastRounds } from '#shared/dcrm/session-echo.ts'
import type { SessionState } from '#shared/dcrm/session-types.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { ToyRound } from '#test/unit/dcrm/session-support.ts'
import { Room, SET, TIMEOUT_MS, broadcastIn, read, resign } from '#test/unit/dcrm/session-support.ts'
import { unhex } from '#test/unit/dcrm/support.ts'

const WHOLE = SET.map((id) => `b${id}:1.${id}`).join(' ')
const roomOf = (rounds: readonly ToyRound[] = [{}]): Room => new Room(() => ({ rounds, relayCount: 1 }))
const faultsOf = (room: Room, id: PartyId) =>
  room
    .seat(id)
    .of('fault')
    .map(({ fault }) => [fault.accused, fault.class, fault.code])
const codeOf = (room: Room, id: PartyId) =>
  room
    .seat(id)
    .of('aborted')
    .map(({ code, absent }) => [code, absent])[0]
const kindsOf = (room: Room, kind: EnvelopeKind) => room.sent.map(read).filter((envelope) => envelope.kind === kind)

describe('the last rounds of a party', () => {
  it('are the two in which it spoke last, whatever others said since', () => {
    const said = [
      [1, 1],
      [2, 1],
      [1, 2],
      [1, 2],
      [7, 3],
      [1, 4],
      [2, 5],
      [2, 6],
    ].map(([from, round], place): [string, Envelope] => [String(place), { from, round } as Envelope])
    const state = { accepted: new Map(said) } as unknown as SessionState<unknown>
    expect([1, 2, 7, 9].map((party) => lastRounds(state, party))).toEqual([[2, 4], [5, 6], [3], []])
  })
})

describe('an echo', () => {
  it('says of each sender in order what is held', () => {
    const room = roomOf().start()
    const digests = SET.map((id) => {
      const said = kindsOf(room, 'broadcast').find(({ from, round }) => from === id && round === 1)
      return `000${id}${said === undefined ? '' : unhex(envelopeDigest(nobleBackend, said))}`
    })
    expect(kindsOf(room, 'echo').map(({ payload }) => unhex(payload))).toEqual(SET.map(() => digests.join('')))
    expect(kindsOf(room, 'forward')).toEqual([])
  })
  it('is needed of whoever spoke before the protocol goes on, for two deadlines: it may have waited for one itself', () => {
    const room = roomOf()
    room.route = ({ kind, from }, _to, _relay, bytes) => (kind === 'echo' && from === 2 ? [] : [bytes])
    room.start().pass(2 * TIMEOUT_MS - 100)
    expect(room.seat(1).state.phase).toBe('echo')
    room.pass(100)
    expect(codeOf(room, 1)).toEqual(['ECHO_INCOMPLETE', [2]])
  })
  it('is not needed of a party that said nothing in the round, and waited for once when it said nothing in the one before', () => {
    const room = roomOf([{ speakers: [1, 2] }, { speakers: [1, 2] }])
    room.route = ({ round, from }, _to, _relay, bytes) => (round > 0 && from === 7 ? [] : [bytes])
    room.start().pass(2 * TIMEOUT_MS - 100)
    expect(room.seat(1).state.spec?.round).toBe(1)
    room.pass(100)
    expect(room.seat(1).state.spec?.round).toBe(2)
    room.pass(TIMEOUT_MS - 100)
    expect(room.seat(1).result).toBeNull()
    room.pass(100)
    expect(room.seat(1).result).toEqual(['b1:1.1 b2:1.2', 'b1:2.1 b2:2.2'])
  })
  it('is waited for of a party that has nothing to say and hears somebody late, so that it is not left behind', () => {
    const room = roomOf([{ speakers: [1, 2] }])
    room.route = ({ kind, from, round }, to, _relay, bytes) =>
      kind === 'broadcast' && round === 1 && from === 2 && to === 7 ? [] : [bytes]
    room.start().pass(3 * TIMEOUT_MS)
    for (const { result } of room.seats) expect(result).toEqual(['b1:1.1 b2:1.2'])
  })
  it('that is all a party has to say, and is not said, makes it absent when the protocol gives up for want of somebody else', () => {
    const missed = (kind: Fault['class'], rounds: ToyRound = {}) => {
      const faults: readonly Fault[] = [{ accused: 2, class: kind, code: 'TOY_FAULT', evidence: [] }]
      const room = roomOf([{ ...rounds, speakers: [1, 2], faults, abort: 'TOY_OVER' }])
      room.route = ({ from, round }, _to, _relay, bytes) => (round > 0 && from === 7 ? [] : [bytes])
      return codeOf(room.start().pass(2 * TIMEOUT_MS), 1)
    }
    expect(missed('absent')).toEqual(['TOY_OVER', [2, 7]])
    expect(missed('proof')).toEqual(['TOY_OVER', []])
    expect(missed('absent', { isEchoed: false })).toEqual(['TOY_OVER', [2]])
  })
  it.each<[string, (payload: Uint8Array) => Uint8Array]>([
    ['too short', (payload) => payload.slice(1)],
    ['too long', (payload) => Uint8Array.from([...payload, 0])],
    ['about other senders', (payload) => payload.with(1, 9)],
    ['about senders in another order', (payload) => Uint8Array.from([...payload.slice(34), ...payload.slice(0, 34)])],
  ])('%s was never said', (_what, change) => {
    const room = roomOf()
    room.route = ({ kind, from, payload }, _to, _relay, bytes) => [
      kind === 'echo' && from === 2 ? resign(bytes, { payload: change(payload) }) : bytes,
    ]
    room.start().pass(2 * TIMEOUT_MS)
    expect(codeOf(room, 1)).toEqual(['ECHO_INCOMPLETE', [2]])
    expect(kindsOf(room, 'forward').filter(({ from }) => from !== 2)).toEqual([])
  })
  it('that builds on another past was never said', () => {
    const room = roomOf()
    room.route = ({ kind, from }, _to, _relay, bytes) => [
      kind === 'echo' && from === 2 ? resign(bytes, { previous: new Uint8Array(32) }) : bytes,
    ]
    room.start().pass(2 * TIMEOUT_MS)
    expect(codeOf(room, 1)).toEqual(['ECHO_INCOMPLETE', [2]])
  })
})

describe('unequal echoes', () => {
  it('bring the original to whoever lacks it, and all go on with the same', () => {
    const room = roomOf()
    room.route = ({ kind, from }, to, _relay, bytes) =>
      kind === 'broadcast' && from === 2 && to === 1 && read(bytes).round === 1 ? [] : [bytes]
    room.start().pass(3 * TIMEOUT_MS)
    for (const { result, effects } of room.seats) {
      expect(result).toEqual([WHOLE])
      expect(effects.filter(({ kind }) => kind === 'fault' || kind === 'dispute')).toEqual([])
    }
    expect(
      kindsOf(room, 'forward')
        .filter(({ seq }) => seq < 0x10000)
        .every(({ seq }) => seq === 2),
    ).toBe(true)
  })
  it('give the originals half of a phase', () => {
    const room = roomOf()
    room.route = ({ kind, from, round }, to, _relay, bytes) =>
      kind === 'broadcast' && from === 2 && to === 1 && round === 1 ? [] : [bytes]
    room.start().pass(TIMEOUT_MS)
    expect(room.seat(1).state.phase).toBe('exchange')
    room.pass(TIMEOUT_MS / 2 - 100)
    expect(room.seat(1).state.phase).toBe('exchange')
    room.pass(100)
    expect(room.seat(1).result).toEqual([WHOLE])
  })
  it('prove a party two-faced that said one thing to one and another to the other, and nobody else', () => {
    const room = roomOf()
    room.route = ({ kind, from, round }, to, _relay, bytes) => [
      kind === 'broadcast' && round === 1 && from === 7 && to === 2 ? resign(bytes, { payload: Uint8Array.of(6, 6) }) : bytes,
    ]
    room.start().pass(4 * TIMEOUT_MS)
    for (const id of [1, 2]) {
      expect(faultsOf(room, id)).toEqual([[7, 'proof', 'EQUIVOCATION']])
      expect(room.seat(id).of('dispute')).toEqual([])
      expect(codeOf(room, id)).toEqual(['VIEWS_DIFFER', []])
    }
  })
  it('name whoever differs in more than what the two-faced one said', () => {
    const room = roomOf()
    room.route = ({ kind, from, round, seq, payload }, to, _relay, bytes) => {
      if (kind === 'broadcast' && round === 1 && from === 7 && to === 2) return [resign(bytes, { payload: Uint8Array.of(6, 6) })]
      return kind === 'echo' && seq === 1 && from === 2 ? [resign(bytes, { payload: payload.with(5, (payload[5] ?? 0) ^ 1) })] : [bytes]
    }
    room.start().pass(4 * TIMEOUT_MS)
    expect(codeOf(room, 1)).toEqual(['VIEWS_DIFFER', [2]])
  })
  it('are exchanged even if the one that caused them keeps its echo back, so that no honest party looks mute', () => {
    const room = roomOf()
    room.route = ({ kind, from, round }, to, _relay, bytes) => {
      if (from !== 7 || round === 0) return [bytes]
      return kind === 'broadcast' && to === 1 ? [bytes] : []
    }
    room.start().pass(6 * TIMEOUT_MS)
    for (const id of [1, 2]) {
      expect(codeOf(room, id)).toEqual(['ECHO_INCOMPLETE', [7]])
      expect(faultsOf(room, id)).toEqual([])
    }
  })
  it('that stay unequal end the attempt and say who saw otherwise', () => {
    const room = roomOf()
    const lies: Uint8Array[] = []
    room.route = ({ kind, from, payload }, _to, _relay, bytes) => {
      if (kind !== 'echo' || from !== 7) return [bytes]
      lies.push(resign(bytes, { payload: payload.with(5, (payload[5] ?? 0) ^ 1) }))
      return lies.slice(-1)
    }
    room.start().pass(TIMEOUT_MS / 2)
    for (const id of [1, 2]) {
      expect(room.seat(id).state.phase).toBe('second echo')
      room.seat(id).take(resign(lies[0] ?? new Uint8Array(0), { seq: 1 }), room.nowMs)
      expect(codeOf(room, id)).toEqual(['VIEWS_DIFFER', [7]])
      expect(faultsOf(room, id)).toEqual([])
    }
  })
  it('let a second echo be missed like a first', () => {
    const room = roomOf()
    room.route = ({ kind, from, round, seq }, to, _relay, bytes) => {
      if (kind === 'broadcast' && round === 1 && from === 2 && to === 1) return []
      return kind === 'echo' && seq === 1 && from === 2 ? [] : [bytes]
    }
    room.start().pass(4 * TIMEOUT_MS)
    expect(codeOf(room, 1)).toEqual(['ECHO_INCOMPLETE', [2]])
  })
  it('told to one alone do not make those look absent who were told nothing, went on, and hear nobody any more', () => {
    const told = (secondEcho: boolean) => {
      const room = roomOf()
      const echoes: Uint8Array[] = []
      room.route = ({ kind, from, payload }, to, _relay, bytes) => {
        if (kind !== 'echo' || from !== 7 || to !== 2) return [bytes]
        echoes.push(bytes)
        return [resign(bytes, { payload: payload.with(5, (payload[5] ?? 0) ^ 1) })]
      }
      room.start().pass(TIMEOUT_MS)
      expect(room.seat(1).result).toEqual([WHOLE])
      if (secondEcho) room.seat(2).take(resign(echoes[0] ?? new Uint8Array(0), { seq: 1 }), room.nowMs)
      return room.pass(2 * TIMEOUT_MS)
    }
    expect(codeOf(told(false), 2)).toEqual(['ECHO_INCOMPLETE', [7]])
    expect(told(true).seat(2).result).toEqual([WHOLE])
  })
  it('are forwarded to all, so that everybody sees that they are unequal', () => {
    const room = roomOf()
    // Party 7 echoes as if it held nothing of 2, to party 1 only; party 2 hears of it by a forward.
    room.route = ({ kind, from, payload, seq }, to, _relay, bytes) => {
      if (kind !== 'echo' || from !== 7 || seq !== 0) return [bytes]
      return to === 1 ? [resign(bytes, { payload: payload.with(40, (payload[40] ?? 0) ^ 1) })] : []
    }
    room.start().pass(4 * TIMEOUT_MS)
    expect(kindsOf(room, 'forward').some(({ from, seq }) => from === 1 && seq === 0x10007)).toBe(true)
    expect([faultsOf(room, 1), faultsOf(room, 2)]).toEqual([[], []])
  })
})

describe('a broadcast that comes after the echo', () => {
  it('is no part of the round that was agreed without it, whoever got it', () => {
    const room = roomOf([{}, {}])
    const [late, echoes]: [Uint8Array[], Uint8Array[]] = [[], []]
    // Party 7 keeps its broadcast back until the others have echoed, tells party 1 alone, and echoes that it said nothing.
    room.route = ({ kind, from, round, payload }, _to, _relay, bytes) => {
      if (from !== 7 || round === 0) return [bytes]
      if (kind === 'broadcast') late.push(bytes)
      if (kind === 'echo') echoes.push(resign(bytes, { payload: Uint8Array.from(payload, (byte, index) => (index >= 70 ? 0 : byte)) }))
      return []
    }
    room.start().pass(TIMEOUT_MS)
    for (const id of [1, 2]) expect(room.seat(id).state.phase).toBe('echo')
    room.seat(1).take(late[0] ?? new Uint8Array(0), room.nowMs)
    for (const id of [1, 2]) room.seat(id).take(echoes[0] ?? new Uint8Array(0), room.nowMs)
    room.settle().pass(3 * TIMEOUT_MS)
    for (const id of [1, 2]) expect([room.seat(id).result, faultsOf(room, id)]).toEqual([['b1:1.1 b2:1.2', 'b1:2.1 b2:2.2'], []])
  })
})

describe('a broadcast of a wrong size', () => {
  it('counts for nothing whether it comes early or in its round, so that views do not differ over it', () => {
    const room = roomOf([{}, {}])
    const early: Uint8Array[] = []
    room.route = ({ kind, from, round }, to, _relay, bytes) => {
      if (from !== 7 || kind !== 'broadcast' || round !== 2) return [bytes]
      const wrong = resign(bytes, { payload: Uint8Array.of(2, 7, 7) })
      early.push(wrong)
      return to === 1 ? [wrong] : []
    }
    room.start()
    room.route = ({ from }, _to, _relay, bytes) => (from === 7 ? [] : [bytes])
    room.pass(TIMEOUT_MS - 100)
    room.seat(2).take(early[0] ?? broadcastIn(2, 7), room.nowMs)
    room.pass(3 * TIMEOUT_MS)
    for (const id of [1, 2])
      expect([room.seat(id).result?.[1], faultsOf(room, id), codeOf(room, id)]).toEqual(['b1:2.1 b2:2.2', [], undefined])
  })
})
