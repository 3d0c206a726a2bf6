/** What a single broadcast proves against its sender, and that no honest message of any protocol proves anything. @module */
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { concatBytes } from '#shared/bytes.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import type { BroadcastingProtocol } from '#shared/dcrm/content.ts'
import { BROADCASTING, CONTENT_BYTES_MAX, isContentImpossible } from '#shared/dcrm/content.ts'
import type { ChildPath } from '#shared/dcrm/derive.ts'
import { childKey, childShare } from '#shared/dcrm/derive.ts'
import type { UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { encodeEnvelope, envelopeDigest } from '#shared/dcrm/envelope.ts'
import { contentBytesOf, encodeContentEvidence, judgeEvidence } from '#shared/dcrm/evidence.ts'
import { frostMachine } from '#shared/dcrm/frost.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import type { SessionSubject } from '#shared/dcrm/ids.ts'
import { openIdOf, sessionIdOf } from '#shared/dcrm/ids.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { provePossession } from '#shared/dcrm/vss.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { ecdsaTranscripts } from '#test/unit/dcrm/ecdsa-transcripts.ts'
import type { Spoken } from '#test/unit/dcrm/key-transcripts.ts'
import { hearing, keyTranscripts, recorded } from '#test/unit/dcrm/key-transcripts.ts'
import { dealtShares, hex, seedOf } from '#test/unit/dcrm/support.ts'

const PATH: ChildPath = { purpose: 'generic', subject: new Uint8Array(32) }
const SET: readonly PartyId[] = [1, 3]

/** A FROST signature of 1 and 3. */
function frost(scheme: 'taproot' | 'ed25519', hear: (spoken: Spoken) => void): void {
  const shares = dealtShares(scheme, 2, [1, 2, 3])
  const { publicKey } = shares.get(1) as KeyShare
  const child = childKey(nobleBackend, scheme, publicKey.descriptor.requestId, publicKey.commitments[0] as Uint8Array, PATH)
  const machine = (id: PartyId) =>
    frostMachine({
      backend: nobleBackend,
      share: childShare(nobleBackend, shares.get(id) as KeyShare, PATH) as KeyShare,
      set: SET,
      message: seedOf('message'),
      signingKey: child?.signingKey as Uint8Array,
      seed: seedOf(`frost ${id}`),
    })
  recorded(
    (tamper) => runLockstep(new Map(SET.map((id) => [id, machine(id)])), tamper),
    undefined,
    hearing(hear, 'frost', SET, seedOf('f')),
  )
}

/** Every broadcast of the golden transcripts, and of FROST. */
const spoken: Spoken[] = []
const hear = (each: Spoken): void => {
  spoken.push(each)
}
for (const scheme of ['ecdsa', 'ed25519'] as const) keyTranscripts(scheme, nobleBackend, hear)
ecdsaTranscripts(nobleBackend, hear)
for (const scheme of ['taproot', 'ed25519'] as const) frost(scheme, hear)

const isImpossible = ({ protocol, set, sid, from, round, payload }: Spoken): boolean =>
  isContentImpossible(nobleBackend, protocol, set, { id: sid, from, round, payload })
const said = (protocol: BroadcastingProtocol, round: number, at = 0): Spoken => {
  const found = spoken.filter((each) => each.protocol === protocol && each.round === round)[at]
  if (found === undefined) throw new Error(`nothing said in ${protocol} ${round}`)
  return found
}
/** Places of broadcasts that hold points or scalars, by protocol and round; the others hold hashes and lists. */
const HOLDS: readonly (readonly [BroadcastingProtocol, number, number])[] = [
  ['dkg', 1, 0],
  ['dkg', 3, 0],
  ['dkg', 4, 0],
  ['dkg', 6, 0],
  ['refresh', 1, 0],
  ['refresh', 4, 0],
  ['reshare', 1, 0],
  ['recover', 1, 0],
  ['frost', 1, 0],
  ['frost', 2, 0],
  ['ecdsa', 1, 0],
  ['blame', 1, 0],
]
const OUT_OF_RANGE = new Uint8Array(32).fill(0xff)
const damaged = (each: Spoken, at: number, bytes: Uint8Array): Spoken => ({
  ...each,
  payload: concatBytes(each.payload.slice(0, at), bytes, each.payload.slice(at + bytes.length)),
})

describe('an honest broadcast', () => {
  it('is possible in every protocol, round and scheme of the golden transcripts', () => {
    expect([...new Set(spoken.map(({ protocol }) => protocol))].toSorted()).toEqual([...BROADCASTING].toSorted())
    expect(new Set(spoken.map(({ protocol, round }) => `${protocol} ${round}`)).size).toBeGreaterThanOrEqual(20)
    expect(spoken.filter(isImpossible)).toEqual([])
  })
  it('is possible whoever else is in the session, in a round its protocol has', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: spoken.length - 1 }), fc.integer({ min: 8, max: 255 }), (index, round) => {
        const each = spoken[index] as Spoken
        expect(isImpossible({ ...each, round })).toBe(false)
      }),
    )
  })
  it('may show the parts of a sharing of zero', () => {
    const trace = { ...said('presign', 1), round: 6, payload: scalarBytes(secp256k1.Point.Fn.ORDER - 1n) }
    expect(isImpossible(trace)).toBe(false)
    expect(isImpossible({ ...trace, payload: OUT_OF_RANGE })).toBe(true)
    expect(isImpossible({ ...trace, payload: concatBytes(trace.payload, trace.payload) })).toBe(true)
  })
})

describe('an impossible broadcast', () => {
  it.each(HOLDS)('of %s, round %i holds a point off the curve or a scalar out of range', (protocol, round, at) => {
    const each = said(protocol, round)
    expect(isImpossible(damaged(each, at, OUT_OF_RANGE))).toBe(true)
  })
  it('is of a size no key has', () => {
    for (const each of spoken) {
      expect(isImpossible({ ...each, payload: each.payload.slice(1) })).toBe(true)
      expect(isImpossible({ ...each, payload: concatBytes(each.payload, Uint8Array.of(0)) })).toBe(true)
      expect(isImpossible({ ...each, payload: new Uint8Array(0) })).toBe(true)
    }
  })
  it('deals for a threshold of one, or of more than the largest committee', () => {
    const point = ed25519.Point.BASE.toBytes()
    const dealing = (protocol: BroadcastingProtocol, count: number) =>
      isImpossible({ ...said(protocol, 1), payload: concatBytes(...Array.from({ length: count }, () => point)) })
    expect([1, 2, 32, 33].map((count) => dealing('dkg', count))).toEqual([true, false, false, true])
    expect([1, 2, 32, 33].map((count) => dealing('reshare', count))).toEqual([true, false, false, true])
    expect([1, 31, 32].map((count) => dealing('refresh', count))).toEqual([false, false, true])
    expect([1, 2, 3].map((count) => dealing('recover', count))).toEqual([true, false, true])
    expect([1, 2, 3].map((count) => dealing('frost', count))).toEqual([true, false, true])
  })
  it('shows images without knowing the constant: another session’s proof, another dealer’s, a response changed', () => {
    for (const at of [0, 3]) {
      const each = said('dkg', 4, at)
      expect(isImpossible(each)).toBe(false)
      expect(isImpossible({ ...each, sid: seedOf('another session') })).toBe(true)
      expect(isImpossible({ ...each, from: 9 })).toBe(true)
      expect(isImpossible(damaged(each, each.payload.length - 32, scalarBytes(7n)))).toBe(true)
    }
  })
  it('opens a polynomial of threshold one, though its author knows the constant', () => {
    const group = nobleBackend.secp256k1
    const { sid, from } = said('dkg', 4)
    const opening = (count: number) => {
      const { nonce, response } = provePossession(nobleBackend, group, createDrbg(nobleBackend, seedOf('opening'), 'test'), sid, from, 5n)
      const images = Array.from({ length: count }, (_, index) => group.mulBase(5n + BigInt(index)))
      return isImpossible({ ...said('dkg', 4), payload: concatBytes(...group.encodeAll([...images, nonce]), scalarBytes(response)) })
    }
    expect([1, 2, 32, 33].map(opening)).toEqual([true, false, false, true])
  })
  it('has more or fewer scalars than its round has, for the number of parties there are', () => {
    const scalars = (protocol: BroadcastingProtocol, round: number, set: readonly PartyId[]) => (count: number) =>
      isContentImpossible(nobleBackend, protocol, set, {
        id: seedOf('sid'),
        from: 1,
        round,
        payload: concatBytes(...Array.from({ length: count }, () => scalarBytes(9n))),
      })
    expect([0, 1, 2, 3, 34].map(scalars('dkg', 3, [1, 2, 3]))).toEqual([true, true, false, true, false])
    expect([1, 2, 3].map(scalars('presign', 6, [1, 2, 3]))).toEqual([true, false, true])
    expect([1, 2].map(scalars('frost', 2, [1, 2]))).toEqual([false, true])
    expect([1, 2, 4].map(scalars('ecdsa', 1, [1, 2]))).toEqual([true, false, true])
  })
  it('claims with statements about others than the parties there are, or with points of another curve', () => {
    const claim = (set: readonly PartyId[], count: number, point: Uint8Array = secp256k1.Point.BASE.toBytes(true)) =>
      isContentImpossible(nobleBackend, 'blame', set, {
        id: seedOf('sid'),
        from: 1,
        round: 1,
        payload: concatBytes(point, point, scalarBytes(1n), new Uint8Array(2 * 196 * count)),
      })
    expect([1, 2, 3].map((count) => claim([1, 2, 3], count))).toEqual([true, false, true])
    expect(claim([1, 2], 1)).toBe(false)
    expect(claim([1, 2], 1, ed25519.Point.BASE.toBytes())).toBe(true)
  })
  it('accuses strangers, twice, out of order, or more than there are', () => {
    const lists = (ids: readonly number[], tail = 0, count = ids.length) =>
      concatBytes(uintBytes(count, 2), ...ids.map((id) => uintBytes(id, 2)), new Uint8Array(tail))
    for (const [protocol, tail] of [
      ['dkg', 0],
      ['refresh', 0],
      ['reshare', 32],
    ] as const) {
      const list = (ids: readonly number[], count?: number) =>
        isImpossible({ ...said(protocol, 2), set: [1, 2, 3], payload: lists(ids, tail, count) })
      expect([[], [1], [2, 3], [1, 2, 3]].map((ids) => list(ids))).toEqual([false, false, false, false])
      expect([[4], [1, 1], [3, 2], [0]].map((ids) => list(ids))).toEqual([true, true, true, true])
      expect([list([1], 2), list([1, 2], 1)]).toEqual([true, true])
    }
  })
  it('objects more often than there are parties, or with scalars out of range', () => {
    const objection = (value: Uint8Array) => concatBytes(uintBytes(2, 2), value, scalarBytes(1n))
    const objects = (...all: readonly Uint8Array[]) =>
      isImpossible({ ...said('dkg', 5), payload: concatBytes(uintBytes(all.length, 2), ...all, seedOf('certificate')) })
    const good = objection(scalarBytes(5n))
    expect([objects(), objects(good), objects(good, good, good)]).toEqual([false, false, false])
    expect([objects(good, good, good, good), objects(objection(OUT_OF_RANGE))]).toEqual([true, true])
  })
  it('presigns for no batch, or for one that is too large', () => {
    const commits = (count: number) => isImpossible({ ...said('presign', 1), payload: new Uint8Array(32 * count) })
    expect([0, 1, 4, 5].map(commits)).toEqual([true, false, false, true])
    const agrees = (count: number) => isImpossible({ ...said('presign', 5), payload: new Uint8Array(32 * count) })
    expect([1, 2, 3, 8, 10].map(agrees)).toEqual([true, false, true, false, true])
  })
  it('is not looked for in more than 1280 bytes', () => {
    const large = (length: number) => isImpossible({ ...said('dkg', 3), payload: new Uint8Array(length).fill(0xff) })
    expect([large(CONTENT_BYTES_MAX), large(CONTENT_BYTES_MAX + 1)]).toEqual([true, false])
    expect(CONTENT_BYTES_MAX).toBe(1280)
  })
})

describe('judging content', () => {
  const native = createNativeBackend()
  const group = nobleBackend.secp256k1
  /** What payloads are made of: points and scalars of both groups, numbers, and what only looks like one of them. */
  const pieces: readonly Uint8Array[] = [
    secp256k1.Point.BASE.toBytes(),
    secp256k1.Point.BASE.negate().toBytes(),
    group.encode(group.second),
    ed25519.Point.BASE.toBytes(),
    // The identity of Ed25519, a point of order 2, one of order 8, and a second encoding of a point.
    hex('0100000000000000000000000000000000000000000000000000000000000000'),
    hex('ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'),
    hex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a'),
    hex('eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f'),
    scalarBytes(0n),
    scalarBytes(secp256k1.Point.Fn.ORDER - 1n),
    scalarBytes(secp256k1.Point.Fn.ORDER),
    scalarBytes(ed25519.Point.Fn.ORDER),
    OUT_OF_RANGE,
    Uint8Array.of(2, ...OUT_OF_RANGE),
    new Uint8Array(33),
    uintBytes(0, 2),
    uintBytes(1, 2),
    uintBytes(65_535, 2),
    Uint8Array.of(7),
  ]
  const payloads = fc.oneof(
    fc.array(fc.constantFrom(...pieces), { maxLength: 40 }).map((list) => concatBytes(...list)),
    fc.tuple(fc.constantFrom(...pieces), fc.nat(40)).map(([piece, count]) => concatBytes(...Array.from({ length: count }, () => piece))),
    fc.uint8Array({ maxLength: 300 }),
  )
  const sets = fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { minLength: 1, maxLength: 64 })
  it('ends with one answer, the same on both backends, whatever is said in whatever round', () => {
    fc.assert(
      fc.property(fc.constantFrom(...BROADCASTING), fc.nat(8), sets, payloads, (protocol, round, ids, payload) => {
        const set = ids.toSorted((left, right) => left - right)
        const envelope = { id: seedOf('session'), from: set[0] ?? 1, round, payload }
        const verdict = isContentImpossible(nobleBackend, protocol, set, envelope)
        expect([verdict, isContentImpossible(native, protocol, set, envelope)]).toEqual([verdict, verdict])
      }),
      { numRuns: 400 },
    )
  })
  it('ends with one answer about honest broadcasts of which one byte is another', () => {
    fc.assert(
      fc.property(fc.constantFrom(...spoken), fc.nat(), fc.integer({ min: 1, max: 255 }), (each, place, change) => {
        const { protocol, set, sid, from, round, payload } = each
        const at = place % payload.length
        const envelope = { id: sid, from, round, payload: payload.with(at, (payload[at] ?? 0) ^ change) }
        const verdict = isContentImpossible(nobleBackend, protocol, set, envelope)
        expect(isContentImpossible(native, protocol, set, envelope)).toBe(verdict)
      }),
      { numRuns: 200 },
    )
  })
})

describe('evidence of content', () => {
  const secret = seedOf('signer')
  const signKey = ed25519.getPublicKey(secret)
  const subjectOf = (protocol: string): SessionSubject => ({
    chainId: 0xf000_0001,
    protocol,
    requestId: seedOf('request'),
    epoch: 70_000,
    set: [1, 2, 300],
    attempt: 90_000,
  })
  const nonces = [seedOf('one'), seedOf('two'), seedOf('three')]
  const idOf = (protocol: string) => {
    const openId = openIdOf(nobleBackend, subjectOf(protocol))
    return ['frost', 'ecdsa', 'blame'].includes(protocol) ? openId : sessionIdOf(nobleBackend, openId, nonces)
  }
  const signed = (protocol: string, change: Partial<UnsignedEnvelope> = {}): Uint8Array => {
    const unsigned: UnsignedEnvelope = {
      id: idOf(protocol),
      epoch: 70_000,
      round: 1,
      kind: 'broadcast',
      from: 300,
      to: null,
      seq: 0,
      previous: seedOf('past'),
      payload: Uint8Array.of(1),
      ...change,
    }
    return encodeEnvelope({ ...unsigned, signature: nativeEnvelopeCrypto.sign(secret, envelopeDigest(nobleBackend, unsigned)) })
  }
  const evidenceOf = (protocol: string, envelope = signed(protocol), named = protocol): Uint8Array => {
    const own = ['frost', 'ecdsa', 'blame'].includes(named) ? [] : nonces
    return encodeContentEvidence(envelope, subjectOf(named), own) ?? new Uint8Array(0)
  }
  const judge = (evidence: Uint8Array, accused = 300, key = signKey) =>
    judgeEvidence(nobleBackend, nativeEnvelopeCrypto.verify, accused, key, evidence)

  it.each(BROADCASTING)('of %s convicts the signer of an impossible broadcast, and nobody else', (protocol) => {
    const evidence = evidenceOf(protocol)
    expect(judge(evidence)).toBe('CONTENT_IMPOSSIBLE')
    expect(judge(evidence, 2)).toBeNull()
    expect(judge(evidence, 300, ed25519.getPublicKey(seedOf('other')))).toBeNull()
  })
  it('never convicts the author of a possible one, whatever protocol its bearer claims the session was of', () => {
    const [dealing, partial] = [said('dkg', 1).payload, said('ecdsa', 1).payload]
    for (const claimed of BROADCASTING) {
      expect(judge(evidenceOf('dkg', signed('dkg', { payload: dealing }), claimed))).toBeNull()
      expect(judge(evidenceOf('ecdsa', signed('ecdsa', { payload: partial }), claimed))).toBeNull()
    }
  })
  it('is about broadcasts after the opening only', () => {
    expect(judge(evidenceOf('dkg', signed('dkg', { round: 0 })))).toBeNull()
    expect(judge(evidenceOf('dkg', signed('dkg', { kind: 'echo' })))).toBeNull()
    expect(judge(evidenceOf('dkg', signed('dkg', { kind: 'direct', to: 2 })))).toBeNull()
    expect(judge(evidenceOf('dkg', signed('dkg', { kind: 'forward' })))).toBeNull()
    expect(judge(evidenceOf('dkg', signed('dkg', { round: 8 })))).toBeNull()
  })
  it('must name the session to the last bit: any change acquits', () => {
    const evidence = evidenceOf('dkg')
    fc.assert(
      fc.property(fc.nat(evidence.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        expect(judge(evidence.with(at, (evidence[at] ?? 0) ^ change))).toBeNull()
      }),
      { numRuns: 150 },
    )
    for (const bad of [evidence.slice(0, -1), concatBytes(evidence, Uint8Array.of(0)), evidence.slice(0, 1)]) expect(judge(bad)).toBeNull()
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => judge(concatBytes(Uint8Array.of(1), bytes)) === null))
  })
  it.each<readonly [string, readonly PartyId[]]>([
    ['nobody', []],
    ['others only', [1, 2]],
    ['a party twice', [1, 300, 300]],
    ['parties out of order', [300, 1]],
    ['nobody by the number 0', [0, 300]],
    ['more than two committees', Array.from({ length: 65 }, (_, index) => index + 236)],
  ])('is not of a session of %s, and such a session breaks no judge', (_who, set) => {
    for (const protocol of BROADCASTING) {
      const subject = { ...subjectOf(protocol), set }
      const own = ['frost', 'ecdsa', 'blame'].includes(protocol) ? [] : set.map((id) => seedOf(`nonce ${id}`))
      const openId = openIdOf(nobleBackend, subject)
      const id = own.length === 0 && ['frost', 'ecdsa', 'blame'].includes(protocol) ? openId : sessionIdOf(nobleBackend, openId, own)
      expect(judge(encodeContentEvidence(signed(protocol, { id }), subject, own) ?? new Uint8Array(0))).toBeNull()
    }
  })
  it('is of a session of two committees at most', () => {
    const set = Array.from({ length: 64 }, (_, index) => index + 237)
    const subject = { ...subjectOf('frost'), set }
    const envelope = signed('frost', { id: openIdOf(nobleBackend, subject) })
    expect(judge(encodeContentEvidence(envelope, subject, []) ?? new Uint8Array(0))).toBe('CONTENT_IMPOSSIBLE')
  })
  it('is of a protocol by one of their numbers', () => {
    const evidence = evidenceOf('dkg')
    const at = 1 + 4 + signed('dkg').length + 4
    expect(evidence[at]).toBe(0)
    for (const number of [BROADCASTING.length, 255]) expect(judge(evidence.with(at, number))).toBeNull()
  })
  it('is not made of protocols that broadcast nothing', () => {
    expect(encodeContentEvidence(signed('setup'), subjectOf('setup'), nonces)).toBeNull()
  })
  it('says how much there is to read, at most 1280 bytes, and nothing where there are two envelopes', () => {
    const of = (length: number) => contentBytesOf(evidenceOf('dkg', signed('dkg', { payload: new Uint8Array(length) })))
    expect([0, 1, 99, 1280, 1281, 5000].map(of)).toEqual([0, 1, 99, 1280, 1280, 1280])
    expect(contentBytesOf(Uint8Array.of(0, 0, 0, 255, 0))).toBe(0)
    expect(contentBytesOf(Uint8Array.of(1, 0, 0, 0, 20))).toBe(0)
    expect(contentBytesOf(Uint8Array.of(1, 255, 255, 255, 255))).toBe(1280)
    expect(contentBytesOf(new Uint8Array(0))).toBe(0)
  })
})
