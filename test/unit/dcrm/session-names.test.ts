/** Names, tags and keys of sessions, computed a second time from their description with the host's own hashes. @module */
import { createHash, hkdfSync } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { messageKey, nobleEnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { encodeEnvelope, envelopeDigest, envelopePlace } from '#shared/dcrm/envelope.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { roundOf, viewOf } from '#shared/dcrm/session-echo.ts'
import { Room, Seat, read } from '#test/unit/dcrm/session-support.ts'
import { hex, seedOf, unhex } from '#test/unit/dcrm/support.ts'

const sized = (bytes: Uint8Array): readonly Uint8Array[] => {
  const length = Buffer.alloc(4)
  length.writeUInt32BE(bytes.length)
  return [length, bytes]
}
/** H(tag, items): SHA-256 over everything with its length before it. */
const hash = (tag: string, ...items: readonly Uint8Array[]): string =>
  createHash('sha256')
    .update(Buffer.concat([Buffer.from(`FUSION-DCRM/v1/${tag}`), ...items].flatMap(sized)))
    .digest('hex')

const sample = {
  id: new Uint8Array(32).fill(0x0a),
  epoch: 1,
  round: 5,
  kind: 'direct',
  from: 3,
  to: 4,
  seq: 6,
  previous: new Uint8Array(32).fill(0x0b),
  payload: Uint8Array.of(1, 2, 3),
} as const

describe('names of the protocol', () => {
  it('give a signature its message', () => {
    const header = encodeEnvelope({ ...sample, signature: new Uint8Array(64) }).slice(0, 84)
    expect(unhex(envelopeDigest(nobleBackend, sample))).toBe(hash('env', header, sample.payload))
  })
  it('give an envelope its place', () => {
    expect(envelopePlace(sample)).toBe(`${'0a'.repeat(32)}/5/direct/3/4/6`)
    expect(envelopePlace({ ...sample, to: null, kind: 'echo' })).toBe(`${'0a'.repeat(32)}/5/echo/3/all/6`)
  })
  it('give a direct message its key and nonce', () => {
    const [ephemeral, registered, sid] = [seedOf('e'), seedOf('r'), seedOf('sid')]
    const info = Buffer.concat([Buffer.from('FUSION-DCRM/v1/direct'), hex('0003'), hex('0004'), hex('00000005')])
    const expected = Buffer.from(hkdfSync('sha256', Buffer.concat([ephemeral, registered]), sid, info, 32)).toString('hex')
    const { key, nonce } = messageKey(nobleEnvelopeCrypto, { ephemeral, registered }, sid, 3, 4, 5)
    expect([unhex(key), unhex(nonce)]).toEqual([expected, '000000000000000000000005'])
  })
  it('give a session its past: its own id first, then what was agreed', () => {
    const room = new Room(() => ({ rounds: [{}, {}] })).start()
    const { id } = room.seat(1).state
    const said = room.sent.map(read)
    const first = hash('chain', id)
    const pastOf = (round: number) => said.find((envelope) => envelope.round === round)?.previous ?? new Uint8Array(0)
    expect(unhex(pastOf(1))).toBe(first)
    const view = said.find(({ kind, round }) => kind === 'echo' && round === 1)?.payload ?? new Uint8Array(0)
    expect(unhex(pastOf(2))).toBe(hash('chain', hex(first), hex('0000000000000001'), view))
  })
  it('keep what the opening shows apart from what the protocol draws', () => {
    const seed = seedOf('seed')
    const seat = new Seat(1, { seed })
    const opening = createDrbg(nobleBackend, seed, 'session/opening')
    const [send] = seat.start().slice(1)
    const payload = send?.kind === 'send' ? read(send.envelope).payload : new Uint8Array(0)
    expect(unhex(payload.slice(0, 32))).toBe(unhex(opening.bytes(32)))
    expect(unhex(payload.slice(32, 64))).toBe(unhex(nobleEnvelopeCrypto.agreementKey(opening.bytes(32))))
    expect(unhex(seat.state.machineSeed)).toBe(unhex(createDrbg(nobleBackend, seed, 'session/machine').bytes(32)))
  })
  it('are none of a round before there is one', () => {
    const seat = new Seat(1)
    expect(() => roundOf(seat.state)).toThrow('in a round')
    expect(() => viewOf(seat.context, seat.state)).toThrow('in a round')
  })
})

describe('a key that makes every signature valid', () => {
  it('is refused by the reference: the neutral point signs nothing', () => {
    const neutral = new Uint8Array(32).with(0, 1)
    const signature = new Uint8Array(64).with(0, 1)
    expect(nobleEnvelopeCrypto.verify(neutral, seedOf('anything'), signature)).toBe(false)
  })
})
