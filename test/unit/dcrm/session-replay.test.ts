/** Direct messages, replays and rubbish: what a relay or a member can do with envelopes of other places, and that it comes to nothing. @module */
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import type { UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import { encodeEnvelope } from '#shared/dcrm/envelope.ts'
import { EPOCH, Room, SET, forge, read, resign, sealed } from '#test/unit/dcrm/session-support.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

describe('a direct message', () => {
  const plan = {
    rounds: [
      { hasBroadcast: false, hasDirect: true, isEchoed: false },
      { hasBroadcast: false, hasDirect: true, isEchoed: false },
    ],
  }
  /** What party 1 hears in round 1 when 2's message is replaced. */
  function heard(replace: (room: Room, bytes: Uint8Array) => readonly Uint8Array[]): string {
    const room = new Room(() => plan)
    room.route = ({ round, from, kind }, to, relay, bytes) => {
      if (kind !== 'direct' || round !== 1 || from !== 2 || to !== 1) return [bytes]
      return relay === 0 ? replace(room, bytes) : []
    }
    room.start().pass(3000)
    return room.seat(1).result?.[0] ?? String(room.seat(1).code)
  }
  const both = 'd2:1.2.1 d7:1.7.1'
  const without = 'd7:1.7.1'
  it('is heard when it is what its sender sealed', () => {
    expect(heard((_room, bytes) => [bytes])).toBe(both)
    expect(heard((room) => [sealed(room.seat(2), 1, 1, Uint8Array.of(1, 2, 1))])).toBe(both)
  })
  it('of another size was never sent', () => {
    expect(heard((room) => [sealed(room.seat(2), 1, 1, Uint8Array.of(1, 2))])).toBe(without)
    expect(heard((room) => [sealed(room.seat(2), 1, 1, Uint8Array.of(1, 2, 1, 0))])).toBe(without)
  })
  it('may have every size of a range and no other', () => {
    const ranged = (length: number): string => {
      const room = new Room(() => ({ rounds: [{ ...plan.rounds[0], directSize: { min: 2, max: 3 } }, ...plan.rounds] }))
      room.route = ({ round, from }, to, _relay, bytes) =>
        round === 1 && from === 2 && to === 1 ? [sealed(room.seat(2), 1, 1, new Uint8Array(length))] : [bytes]
      return room.start().pass(2000).seat(1).result?.[0] ?? ''
    }
    expect([1, 2, 3, 4].map((length) => ranged(length).startsWith('d2'))).toEqual([false, true, true, false])
  })
  it('that builds on another past was never sent', () => {
    expect(heard((_room, bytes) => [resign(bytes, { previous: seedOf('another past') })])).toBe(without)
  })
  it('of another direction, round, pair or session does not open', () => {
    const foreign = new Room(() => ({ ...plan, attempt: 1 })).start()
    const of2 = Uint8Array.of(1, 2, 1)
    const old = foreign.sent.find((bytes) => read(bytes).from === 2 && read(bytes).to === 1) ?? new Uint8Array(0)
    const cases: readonly [string, (room: Room) => Uint8Array][] = [
      ['direction', (room) => read(sealed(room.seat(1), 2, 1, of2)).payload],
      ['pair', (room) => read(sealed(room.seat(2), 7, 1, of2)).payload],
      ['session', () => read(old).payload],
      ['round', (room) => read(sealed(room.seat(2), 1, 2, of2)).payload],
    ]
    for (const [name, payload] of cases)
      expect([name, heard((room, bytes) => [resign(bytes, { payload: payload(room) })])]).toEqual([name, without])
  })
  it('meets no key and nonce that another has met, in either direction, nor after a relay was changed', () => {
    const used: string[] = []
    const crypto: EnvelopeCrypto = {
      ...nativeEnvelopeCrypto,
      seal: (key, nonce, plain, data) => (used.push(unhex(key, nonce)), nativeEnvelopeCrypto.seal(key, nonce, plain, data)),
    }
    for (const attempt of [0, 1]) {
      const room = new Room(() => ({ ...plan, rounds: [...plan.rounds, ...plan.rounds], crypto, attempt }))
      room.route = ({ round }, _to, relay, bytes) => (round > 1 && relay === 0 ? [] : [bytes])
      room.start().pass(4000)
      expect(room.seats.map(({ result }) => result?.length)).toEqual([4, 4, 4])
    }
    expect(used).toHaveLength(2 * 4 * 6)
    expect(new Set(used).size).toBe(used.length)
  })
})

describe('replay', () => {
  const rounds = [{ hasDirect: true }, { hasDirect: true }]
  it('of a whole session into one of another attempt or epoch changes nothing', () => {
    for (const change of [{ attempt: 1 }, { epoch: EPOCH + 1 }, { attempt: 1, epoch: EPOCH - 1 }]) {
      const old = new Room(() => ({ rounds })).start().sent
      const room = new Room(() => ({ rounds, ...change }))
      room.route = (_envelope, _to, _relay, bytes) => [...old, bytes, ...old]
      room.start().pass(300)
      for (const { result, effects } of room.seats) {
        expect(result).toHaveLength(2)
        expect(effects.filter(({ kind }) => kind === 'fault' || kind === 'dispute' || kind === 'aborted')).toEqual([])
      }
    }
  })
  it('of every envelope in another place of the header is dropped for its signature', () => {
    const room = new Room(() => ({ rounds }))
    const bent: readonly Partial<UnsignedEnvelope>[] = [
      { round: 2 },
      { from: 2 },
      { from: 7 },
      { to: 1 },
      { kind: 'echo' },
      { seq: 1 },
      { epoch: 4 },
    ]
    room.route = (envelope, _to, _relay, bytes) => [...bent.map((change) => encodeEnvelope({ ...envelope, ...change })), bytes]
    room.start()
    for (const { result, effects } of room.seats) {
      expect(result).toHaveLength(2)
      expect(effects.filter(({ kind }) => kind === 'fault')).toEqual([])
    }
  })
})

describe('rubbish', () => {
  it('never stops a session, names anybody or throws', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }),
        fc.array(fc.tuple(fc.nat(), fc.nat(255))),
        (noise, flips) => {
          const room = new Room(() => ({ rounds: [{ hasDirect: true }, {}] }))
          room.route = (_envelope, _to, _relay, bytes) => {
            const bent = flips.map(([at, byte]) => bytes.with(at % bytes.length, byte))
            return [...noise, ...bent, bytes, ...noise]
          }
          room.start()
          for (const { result, effects } of room.seats) {
            expect(result).toHaveLength(2)
            expect(effects.every(({ kind }) => ['join', 'send', 'progress', 'done'].includes(kind))).toBe(true)
          }
        },
      ),
      { numRuns: 25 },
    )
  })
  it('signed by a member stops nothing that goes on without that member', () => {
    const payload = fc.uint8Array({ maxLength: 120 })
    const round = fc.integer({ min: 1, max: 4 })
    fc.assert(
      fc.property(
        fc.array(fc.tuple(round, fc.constantFrom('broadcast' as const, 'echo' as const, 'forward' as const), payload)),
        (messages) => {
          const room = new Room(() => ({ rounds: [{ isEchoed: false }] }))
          room.route = ({ from, id, previous, round: now }, to, _relay, bytes) => {
            if (from !== 7 || now === 0) return [bytes]
            return messages.map(([at, kind, content]) =>
              forge({ id, epoch: EPOCH, round: at, kind, from: 7, to: null, seq: kind === 'forward' ? to : 0, previous, payload: content }),
            )
          }
          room.start().pass(2000)
          for (const id of SET.slice(0, 2)) {
            const seat = room.seat(id)
            expect(seat.result?.[0]).toContain('b1:1.1 b2:1.2')
            expect(seat.of('fault').every(({ fault }) => fault.accused === 7)).toBe(true)
          }
        },
      ),
      { numRuns: 40 },
    )
  })
})
