/** What every relay does, whoever serves it: one table for the edge's object and for the one in a party. @module */
import { concatBytes } from '#shared/bytes.ts'
import { nobleEnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import type { UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import { ENVELOPE_BYTES_MAX, ENVELOPE_PAYLOAD_MAX, encodeEnvelope, envelopeDigest } from '#shared/dcrm/envelope.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { RELAY_LIMITS } from '#shared/dcrm/relay.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { expect, it } from 'vitest'

/** Registered parties; 9 is a stranger with a key of its own. */
export const REGISTERED = [1, 2, 3] as const
const secretOf = (party: number): Uint8Array => new Uint8Array(32).fill(party)
export const publicKeyOf = (party: number): Uint8Array => ed25519.getPublicKey(secretOf(party))
export const hexOf = (bytes: Uint8Array): string => Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')

/** Hex id of a session nobody used before. */
export const sessionId = (seed: number): string => seed.toString(16).padStart(64, '0')

/** A signed broadcast of party 1 in round 1, or what the change makes of it. */
export function envelope(change: Partial<UnsignedEnvelope> = {}, signer = change.from ?? 1): Uint8Array {
  const unsigned: UnsignedEnvelope = {
    id: new Uint8Array(32).fill(7),
    epoch: 0,
    round: 1,
    kind: 'broadcast',
    from: 1,
    to: null,
    seq: 0,
    previous: new Uint8Array(32),
    payload: Uint8Array.of(1, 2, 3),
    ...change,
  }
  const signature = nobleEnvelopeCrypto.sign(secretOf(signer), envelopeDigest(nobleBackend, unsigned))
  return encodeEnvelope({ ...unsigned, signature })
}

/** Text of the proof header by docs/dcrm.md: a signature over SHA-256 of tag, session and what is claimed, each after its length. */
export function proof(signer: number, tag: 'post' | 'listen', id: string, claimed: Uint8Array | number): string {
  const number = (value: number, length: number): Uint8Array =>
    Uint8Array.from({ length }, (_, index) => (length - index > 4 ? 0 : value >>> (8 * (length - index - 1))))
  const session = Uint8Array.from(id.match(/../g) ?? [], (digits) => Number.parseInt(digits, 16))
  const items = [new TextEncoder().encode(`FUSION-DCRM/v1/${tag}`), session, typeof claimed === 'number' ? number(claimed, 8) : claimed]
  const message = sha256(concatBytes(...items.flatMap((item) => [number(item.length, 4), item])))
  return hexOf(ed25519.sign(message, secretOf(signer)))
}

export type Page = {
  envelopes: { cursor: number; round: number; kind: string; from: number; bytes: string }[]
  next: number
  rounds: unknown
}
/** How a test reaches a relay: `fetch` with a path for one that it serves. */
export type Reach = (path: string, init?: RequestInit) => Promise<Response>

/** Leaves an envelope with its sender's proof, or another, or null for none: status and code of the answer. */
export async function post(
  reach: Reach,
  id: string,
  bytes: Uint8Array,
  proven: string | null = proof(bytes[41] ?? 1, 'post', id, bytes),
): Promise<readonly [number, string]> {
  const response = await reach(`/v1/sessions/${id}/envelopes`, {
    method: 'POST',
    body: Uint8Array.from(bytes),
    headers: { 'content-type': 'application/octet-stream', ...(proven === null ? {} : { 'fusion-proof': proven }) },
  })
  return [response.status, ((await response.json()) as { code: string }).code]
}

export async function list(reach: Reach, id: string, query = ''): Promise<Page> {
  const response = await reach(`/v1/sessions/${id}/envelopes${query}`)
  expect(response.status).toBe(200)
  return (await response.json()) as Page
}

const bytesOf = (base64: string): string => hexOf(Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)))

/** Registers the tests. `reach` is asked for late, when the relay is up. */
export function relayBehaviour(reach: Reach): void {
  it('stores an envelope, says so again, and lets no other have its place', async () => {
    const id = sessionId(0x101)
    const [first, second] = [envelope(), envelope({ payload: Uint8Array.of(4) })]
    expect(await post(reach, id, first)).toEqual([201, 'STORED'])
    expect(await post(reach, id, first)).toEqual([200, 'SAME'])
    expect(await post(reach, id, second)).toEqual([409, 'TAKEN'])
    const { envelopes } = await list(reach, id)
    expect(envelopes.map(({ bytes }) => bytesOf(bytes))).toEqual([hexOf(first)])
    expect((await list(reach, sessionId(0x102))).envelopes).toEqual([])
  })

  it('gives envelopes in the order they came, after a cursor, and tells when each round began', async () => {
    const id = sessionId(0x103)
    const before = Date.now()
    await post(reach, id, envelope({ round: 2, from: 2 }))
    await post(reach, id, envelope({ round: 1, from: 3 }))
    await post(reach, id, envelope({ round: 2, from: 1, kind: 'echo' }))
    const whole = await list(reach, id)
    expect(whole.envelopes.map(({ cursor, round, kind, from }) => ({ cursor, round, kind, from }))).toEqual([
      { cursor: 1, round: 2, kind: 'broadcast', from: 2 },
      { cursor: 2, round: 1, kind: 'broadcast', from: 3 },
      { cursor: 3, round: 2, kind: 'echo', from: 1 },
    ])
    expect(whole.next).toBe(3)
    const time = expect.toSatisfy((atMs: number) => atMs >= before - 1000 && atMs <= Date.now() + 1000)
    expect(whole.rounds).toEqual([
      { round: 1, atMs: time },
      { round: 2, atMs: time },
    ])
    expect((await list(reach, id, '?after=2')).envelopes.map(({ cursor }) => cursor)).toEqual([3])
    expect(await list(reach, id, '?after=3')).toMatchObject({ envelopes: [], next: 3 })
  })

  it('gives a party what is for it or for all, and moves its cursor past the rest', async () => {
    const id = sessionId(0x104)
    await post(reach, id, envelope({ kind: 'direct', to: 2 }))
    await post(reach, id, envelope({ from: 2 }))
    await post(reach, id, envelope({ kind: 'direct', to: 3 }))
    expect((await list(reach, id, '?to=2')).envelopes.map(({ cursor }) => cursor)).toEqual([1, 2])
    expect(await list(reach, id, '?to=2&after=2')).toMatchObject({ envelopes: [], next: 3 })
    expect((await list(reach, id, '?to=3')).envelopes.map(({ cursor }) => cursor)).toEqual([2, 3])
    expect((await list(reach, id)).envelopes).toHaveLength(3)
  })

  it('refuses what is no signed envelope of a registered party', async () => {
    const id = sessionId(0x105)
    const good = envelope()
    expect(await post(reach, id, new Uint8Array(0))).toEqual([422, 'ENVELOPE_MALFORMED'])
    expect(await post(reach, id, good.slice(0, -1))).toEqual([422, 'ENVELOPE_MALFORMED'])
    expect(await post(reach, id, envelope({ from: 9 }))).toEqual([422, 'SENDER_UNKNOWN'])
    expect(await post(reach, id, envelope({}, 2))).toEqual([422, 'SIGNATURE_WRONG'])
    const bent = good.slice()
    bent[100] = (bent[100] ?? 0) ^ 1
    expect(await post(reach, id, bent)).toEqual([422, 'SIGNATURE_WRONG'])
    expect(await list(reach, id)).toEqual({ envelopes: [], next: 0, rounds: [] })
  })

  it('refuses an envelope that its sender does not mean for this session, and counts it against nobody', async () => {
    const [id, other] = [sessionId(0x10a), sessionId(0x10b)]
    const [first, second] = [envelope({ payload: new Uint8Array(100) }), envelope({ seq: 1 })]
    expect(await post(reach, id, first)).toEqual([201, 'STORED'])
    const good = proof(1, 'post', other, first)
    const wrong = [
      null,
      '',
      'x'.repeat(128),
      good.toUpperCase(),
      good.slice(2),
      `${good}00`,
      `0x${good.slice(2)}`,
      proof(1, 'post', id, first),
      proof(1, 'post', other, second),
      proof(2, 'post', other, first),
      proof(1, 'listen', other, first),
    ]
    for (const proven of wrong) expect([proven, await post(reach, other, first, proven)]).toEqual([proven, [422, 'PROOF_WRONG']])
    expect(await list(reach, other)).toEqual({ envelopes: [], next: 0, rounds: [] })
    expect(await post(reach, other, first, good)).toEqual([201, 'STORED'])
  })

  it('refuses queries and paths of another form', async () => {
    const path = `/v1/sessions/${sessionId(0x106)}/envelopes`
    for (const [query, code] of [
      ['?after=-1', 'CURSOR_INVALID'],
      ['?after=1.5', 'CURSOR_INVALID'],
      ['?after=x', 'CURSOR_INVALID'],
      ['?to=0', 'PARTY_INVALID'],
      ['?to=all', 'PARTY_INVALID'],
      ['?to=123456', 'PARTY_INVALID'],
    ]) {
      const response = await reach(`${path}${query}`)
      expect([query, response.status, await response.json()]).toEqual([query, 400, { code }])
    }
    for (const bad of ['zz', sessionId(1).toUpperCase().replace(/1$/, 'A'), sessionId(1).slice(1)]) {
      const response = await reach(`/v1/sessions/${bad}/envelopes`)
      await response.body?.cancel()
      expect([400, 404]).toContain(response.status)
    }
  })

  it('takes the largest envelope and nothing larger', async () => {
    const id = sessionId(0x107)
    const largest = envelope({ payload: new Uint8Array(ENVELOPE_PAYLOAD_MAX) })
    expect(largest).toHaveLength(ENVELOPE_BYTES_MAX)
    expect(await post(reach, id, largest)).toEqual([201, 'STORED'])
    expect(bytesOf((await list(reach, id)).envelopes[0]?.bytes ?? '')).toBe(hexOf(largest))
    expect(await post(reach, id, new Uint8Array(ENVELOPE_BYTES_MAX + 1))).toEqual([413, 'ENVELOPE_TOO_LARGE'])
  })

  it('keeps no more of one sender than its part, and goes on with the others', async () => {
    const id = sessionId(0x108)
    const payload = new Uint8Array(ENVELOPE_PAYLOAD_MAX)
    const fit = Math.floor(RELAY_LIMITS.senderBytes / ENVELOPE_BYTES_MAX)
    for (let seq = 0; seq < fit; seq++) expect((await post(reach, id, envelope({ seq, payload })))[1]).toBe('STORED')
    expect(await post(reach, id, envelope({ seq: fit, payload }))).toEqual([413, 'FULL'])
    expect(await post(reach, id, envelope({ from: 2, payload }))).toEqual([201, 'STORED'])
  })

  it('answers with pages, and the cursor leads through them', async () => {
    const id = sessionId(0x109)
    const count = RELAY_LIMITS.page + 2
    for (let seq = 0; seq < count; seq++) await post(reach, id, envelope({ seq }))
    const first = await list(reach, id)
    expect([first.envelopes.length, first.next]).toEqual([RELAY_LIMITS.page, RELAY_LIMITS.page])
    expect((await list(reach, id, `?after=${first.next}`)).envelopes.map(({ cursor }) => cursor)).toEqual([count - 1, count])
  })
}
