/** Envelopes: one form, one digest, sealed payloads. Expected values: Wycheproof and RFC vectors through both implementations, hand-built bytes. @module */
import { existsSync, readFileSync } from 'node:fs'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { messageKey, nobleEnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import type { UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import {
  ENVELOPE_HEADER_BYTES,
  ENVELOPE_PAYLOAD_MAX,
  ENVELOPE_SIGNATURE_BYTES,
  associatedData,
  decodeEnvelope,
  encodeEnvelope,
  envelopeDigest,
  envelopePlace,
} from '#shared/dcrm/envelope.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { hex, seedOf, unhex } from '#test/unit/dcrm/support.ts'

const unsigned: UnsignedEnvelope = {
  id: seedOf('id'),
  epoch: 3,
  round: 2,
  kind: 'direct',
  from: 258,
  to: 9,
  seq: 0,
  previous: seedOf('chain'),
  payload: Uint8Array.of(1, 2, 3),
}
const signed = (change: Partial<UnsignedEnvelope> = {}) => ({ ...unsigned, ...change, signature: new Uint8Array(64).fill(7) })

describe('an envelope', () => {
  it('has a header of 84 bytes in the order of the protocol', () => {
    const bytes = encodeEnvelope(signed())
    expect(bytes).toHaveLength(ENVELOPE_HEADER_BYTES + 3 + ENVELOPE_SIGNATURE_BYTES)
    expect(unhex(bytes.slice(0, ENVELOPE_HEADER_BYTES))).toBe(
      `0101${unhex(seedOf('id'))}000000030201010200090000000${'0'}${unhex(seedOf('chain'))}00000003`,
    )
  })
  it('comes back as it was, to one or to all', () => {
    for (const to of [9, null]) expect(decodeEnvelope(encodeEnvelope(signed({ to })))).toEqual(signed({ to }))
  })
  it.each([
    ['another version', 0, 2],
    ['another suite', 1, 2],
    ['an unknown kind', 39, 4],
  ])('is refused with %s', (_, at, value) => {
    const bytes = encodeEnvelope(signed())
    bytes[at] = value
    expect(decodeEnvelope(bytes)).toBe(null)
  })
  it('is refused from nobody, from everybody, and to nobody', () => {
    for (const change of [{ from: 0 }, { from: 0xffff }, { to: 0 }]) expect(decodeEnvelope(encodeEnvelope(signed(change)))).toBe(null)
  })
  it('is refused when it is cut, longer, or of another length than it says', () => {
    const bytes = encodeEnvelope(signed())
    expect(decodeEnvelope(bytes.slice(1))).toBe(null)
    expect(decodeEnvelope(bytes.slice(0, -1))).toBe(null)
    expect(decodeEnvelope(new Uint8Array([...bytes, 0]))).toBe(null)
    for (const length of [2, 4, 0xffffffff]) {
      const lying = bytes.slice()
      new DataView(lying.buffer).setUint32(80, length)
      expect(decodeEnvelope(lying)).toBe(null)
    }
  })
  it('is refused above the largest payload, and taken at it', () => {
    expect(decodeEnvelope(encodeEnvelope(signed({ payload: new Uint8Array(ENVELOPE_PAYLOAD_MAX) })))).not.toBe(null)
    expect(decodeEnvelope(encodeEnvelope(signed({ payload: new Uint8Array(ENVELOPE_PAYLOAD_MAX + 1) })))).toBe(null)
  })
  it('never makes the decoder throw, whatever comes', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => decodeEnvelope(bytes) === null || bytes.length >= 148)
    expect(fc.check(property).counterexample).toBe(null)
  })
  it('signs every field: a change of any changes the digest', () => {
    const base = unhex(envelopeDigest(nobleBackend, unsigned))
    const changes: readonly Partial<UnsignedEnvelope>[] = [
      { id: seedOf('other') },
      { epoch: 4 },
      { round: 3 },
      { kind: 'broadcast' },
      { from: 259 },
      { to: 10 },
      { to: null },
      { seq: 1 },
      { previous: seedOf('other') },
      { payload: Uint8Array.of(1, 2, 4) },
      { payload: Uint8Array.of(1, 2) },
    ]
    const digests = changes.map((change) => unhex(envelopeDigest(nobleBackend, { ...unsigned, ...change })))
    expect(new Set([base, ...digests]).size).toBe(changes.length + 1)
  })
  it('has one place per session, round, kind, sender, receiver and number', () => {
    const places = [{}, { id: seedOf('x') }, { round: 3 }, { kind: 'echo' as const }, { from: 1 }, { to: null }, { seq: 1 }].map((change) =>
      envelopePlace({ ...unsigned, ...change }),
    )
    expect(new Set(places).size).toBe(places.length)
    expect(envelopePlace({ ...unsigned, payload: new Uint8Array(0), previous: seedOf('x'), epoch: 9 })).toBe(envelopePlace(unsigned))
  })
  it('binds a ciphertext to its place but not to its own length', () => {
    expect(unhex(associatedData({ ...unsigned, payload: new Uint8Array(9) }))).toBe(unhex(associatedData(unsigned)))
    expect(unhex(associatedData({ ...unsigned, to: 8 }))).not.toBe(unhex(associatedData(unsigned)))
  })
})

const both = [
  ['reference', nobleEnvelopeCrypto],
  ['native', nativeEnvelopeCrypto],
] as const

describe.each(both)('%s cryptography of envelopes', (_, crypto) => {
  const [alice, bob] = [seedOf('alice'), seedOf('bob')]
  it('agrees with the other implementation on every operation', () => {
    const other = crypto === nobleEnvelopeCrypto ? nativeEnvelopeCrypto : nobleEnvelopeCrypto
    const [key, nonce, data] = [seedOf('key'), new Uint8Array(12).fill(3), Uint8Array.of(5)]
    expect(unhex(crypto.sign(alice, data))).toBe(unhex(other.sign(alice, data)))
    expect(unhex(crypto.seal(key, nonce, alice, data))).toBe(unhex(other.seal(key, nonce, alice, data)))
    expect(unhex(crypto.hkdf(alice, bob, data))).toBe(unhex(other.hkdf(alice, bob, data)))
    expect(crypto.agree(alice, other.agreementKey(bob))).toEqual(other.agree(bob, crypto.agreementKey(alice)))
    expect(other.open(key, nonce, crypto.seal(key, nonce, alice, data), data)).toEqual(alice)
  })
  it('opens nothing that was changed, cut, or meant for another place', () => {
    const [key, nonce, data] = [seedOf('key'), new Uint8Array(12), Uint8Array.of(5)]
    const sealed = crypto.seal(key, nonce, alice, data)
    expect(
      crypto.open(
        key,
        nonce,
        sealed.map((byte, index) => (index === 4 ? byte ^ 1 : byte)),
        data,
      ),
    ).toBe(null)
    expect(crypto.open(key, nonce, sealed.slice(0, 15), data)).toBe(null)
    expect(crypto.open(key, nonce, sealed, Uint8Array.of(6))).toBe(null)
    expect(crypto.open(seedOf('other'), nonce, sealed, data)).toBe(null)
  })
  it('refuses keys and signatures of another length, and agreement on nothing', () => {
    expect(crypto.verify(new Uint8Array(31), alice, new Uint8Array(64))).toBe(false)
    expect(crypto.verify(alice, alice, new Uint8Array(63))).toBe(false)
    expect(crypto.agree(alice, new Uint8Array(32))).toBe(null)
    expect(crypto.agree(alice, new Uint8Array(31))).toBe(null)
  })
  it('12 has a key of its own for each session, direction and round', () => {
    const secrets = { ephemeral: alice, registered: bob }
    const keys = [
      messageKey(crypto, secrets, seedOf('sid'), 1, 2, 1),
      messageKey(crypto, secrets, seedOf('sid'), 2, 1, 1),
      messageKey(crypto, secrets, seedOf('sid'), 1, 2, 2),
      messageKey(crypto, secrets, seedOf('other'), 1, 2, 1),
      messageKey(crypto, { ephemeral: bob, registered: bob }, seedOf('sid'), 1, 2, 1),
      messageKey(crypto, { ephemeral: alice, registered: alice }, seedOf('sid'), 1, 2, 1),
    ].map(({ key, nonce }) => unhex(key, nonce))
    expect(new Set(keys).size).toBe(keys.length)
  })
})

const FOLDER = '../shared/vectors/wycheproof'
const skips = !existsSync(FOLDER) && process.env['CI'] === undefined
type Case = Readonly<Record<'tcId' | 'result' | 'key' | 'iv' | 'aad' | 'msg' | 'ct' | 'tag' | 'public' | 'private' | 'shared', string>> &
  Readonly<{ flags: readonly string[] }>
const cases = (name: string): readonly Case[] =>
  (JSON.parse(readFileSync(`${FOLDER}/${name}`, 'utf8')) as { testGroups: { tests: Case[] }[] }).testGroups.flatMap(({ tests }) => tests)

describe.skipIf(skips).each(both)('Wycheproof with the %s implementation', (_, crypto) => {
  it('ChaCha20-Poly1305 opens exactly the valid ciphertexts', () => {
    const rows = cases('chacha20_poly1305_test.json').filter(({ iv }) => iv.length === 24)
    expect(rows.length).toBeGreaterThan(100)
    for (const { tcId, key, iv, aad, msg, ct, tag, result } of rows) {
      const opened = crypto.open(hex(key), hex(iv), hex(ct + tag), hex(aad))
      expect([tcId, opened === null ? null : unhex(opened)]).toEqual([tcId, result === 'valid' ? msg : null])
    }
  })
  it('X25519 gives the shared secret, or nothing where that is zero', () => {
    const rows = cases('x25519_test.json')
    expect(rows.length).toBeGreaterThan(100)
    for (const { tcId, public: key, private: secret, shared } of rows) {
      const agreed = crypto.agree(hex(secret), hex(key))
      expect([tcId, agreed === null ? '00'.repeat(32) : unhex(agreed)]).toEqual([tcId, shared])
    }
  })
})
