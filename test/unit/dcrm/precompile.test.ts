/** The key precompile: layouts, gas before work, and answers that agree with the parties' rules and with outside verifiers. @module */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { keyPrecompile } from '#node/evm/precompile.ts'
import { createKeyHost } from '#node/dcrm/key-host.ts'
import { bytesToBigint, bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { chooseCommittee, chooseSigningSet } from '#shared/dcrm/committee.ts'
import { childKey } from '#shared/dcrm/derive.ts'
import { genericDigest, heartbeatDigest } from '#shared/dcrm/digest.ts'
import { encodeContentEvidence, encodeEvidence, judgeEvidence } from '#shared/dcrm/evidence.ts'
import { encodeEnvelope, envelopeDigest } from '#shared/dcrm/envelope.ts'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import { openIdOf } from '#shared/dcrm/ids.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { DcrmHost } from '#shared/dcrm/precompile.ts'
import { DCRM_INPUT_MAX, DCRM_SELECTOR, dcrmGas, dcrmPrecompile } from '#shared/dcrm/precompile.ts'
import { encodeHeader } from '#shared/hhcm/codec.ts'
import { blockHash } from '#shared/hhcm/signing.ts'
import { suite } from '#test/unit/evm/support.ts'
import { sampleBlock } from '#test/unit/hhcm/samples.ts'
import { dealtShares, hex, seedOf, unhex } from '#test/unit/dcrm/support.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'

const host = createKeyHost(suite)
const run = (selector: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  dcrmPrecompile(host, concatBytes(Uint8Array.of(selector), ...parts))
const verify = (scheme: number, key: Uint8Array, digest: Uint8Array, signature: Uint8Array): number =>
  run(DCRM_SELECTOR.verify, Uint8Array.of(scheme, key.length), key, digest, signature).at(-1) ?? 9
const ids = (bytes: Uint8Array): readonly number[] =>
  Array.from({ length: bytes.length / 2 }, (_, index) => (bytes[2 * index] ?? 0) * 256 + (bytes[2 * index + 1] ?? 0))
const graph = (members: readonly number[], disputes: readonly (readonly [number, number])[], out: readonly number[]): Uint8Array =>
  concatBytes(
    Uint8Array.of(members.length),
    ...members.map((id) => uintBytes(id, 2)),
    uintBytes(disputes.length, 2),
    ...disputes.flat().map((id) => uintBytes(id, 2)),
    Uint8Array.of(out.length),
    ...out.map((id) => uintBytes(id, 2)),
  )
const ADDRESSES_OF_ONE = ['0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf', 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080']
const draw = { randomness: seedOf('randomness'), requestId: seedOf('request'), attempt: 258 }
const drawBytes = concatBytes(draw.randomness, draw.requestId, uintBytes(draw.attempt, 2))

describe('verification', () => {
  const digest = seedOf('digest')
  it('accepts what others sign, by key and by address, and nothing that was changed', () => {
    const secret = seedOf('secret')
    const [recovery = 0, ...rs] = secp256k1.sign(digest, secret, { prehash: false, format: 'recovered' })
    const ecdsa = Uint8Array.of(...rs, recovery)
    const key = secp256k1.getPublicKey(secret)
    const account = suite.keccak256(secp256k1.Point.fromBytes(key).toBytes(false).slice(1)).slice(12)
    const cases = [
      [0, key, ecdsa],
      [1, schnorr.getPublicKey(secret), schnorr.sign(digest, secret)],
      [2, ed25519.getPublicKey(secret), ed25519.sign(digest, secret)],
      [3, account, ecdsa],
    ] as const
    for (const [scheme, by, signature] of cases) {
      expect([scheme, verify(scheme, by, digest, signature)]).toEqual([scheme, 1])
      for (const at of [3, 40]) {
        const changed = signature.map((byte, index) => (index === at ? byte ^ 1 : byte))
        expect([scheme, at, verify(scheme, by, digest, changed)]).toEqual([scheme, at, 0])
      }
      expect(verify(scheme, by, seedOf('other'), signature)).toBe(0)
      expect(verify(scheme, by, digest, signature.slice(1))).toBe(0)
    }
  })
  it('refuses high s and unknown recovery ids by address too', () => {
    const secret = seedOf('secret')
    const account = suite.keccak256(secp256k1.Point.fromBytes(secp256k1.getPublicKey(secret)).toBytes(false).slice(1)).slice(12)
    const [recovery = 0, ...rs] = secp256k1.sign(digest, secret, { prehash: false, format: 'recovered' })
    const order = secp256k1.Point.Fn.ORDER
    const high = (order - BigInt(`0x${Buffer.from(rs.slice(32)).toString('hex')}`)).toString(16).padStart(64, '0')
    expect(verify(3, account, digest, Uint8Array.of(...rs.slice(0, 32), ...hex(high), recovery ^ 1))).toBe(0)
    expect(verify(3, account, digest, Uint8Array.of(...rs, recovery + 2))).toBe(0)
    expect(verify(3, account, digest, Uint8Array.of(...rs, recovery, 0))).toBe(0)
    expect(verify(3, account, digest, Uint8Array.of(...rs))).toBe(0)
  })
  it('takes half of the order as low and the next as high', () => {
    const half = secp256k1.Point.Fn.ORDER / 2n
    const r = secp256k1.Point.BASE.multiply(7n).toBytes().slice(1)
    for (const [s, verdict] of [
      [half, 1],
      [half + 1n, 0],
    ] as const) {
      const rs = Uint8Array.of(...r, ...hex(s.toString(16).padStart(64, '0')))
      const key = secp256k1.Signature.fromBytes(rs).addRecoveryBit(0).recoverPublicKey(digest)
      const account = suite.keccak256(key.toBytes(false).slice(1)).slice(12)
      expect(verify(3, account, digest, Uint8Array.of(...rs, 0))).toBe(verdict)
    }
  })
  it('leaves Ed25519 to the one rule of the chain', () => {
    const lenient = { ...host, suite: { ...suite, ed25519Verify: () => true } }
    const input = Uint8Array.of(DCRM_SELECTOR.verify, 2, 32, ...new Uint8Array(32 + 32 + 64))
    expect([dcrmPrecompile(host, input).at(-1), dcrmPrecompile(lenient, input).at(-1)]).toEqual([0, 1])
  })
})

const FOLDER = '../shared/vectors'
const skips = !existsSync(FOLDER) && process.env['CI'] === undefined
if (skips) console.log('skipped: signature vectors are not in ../shared/vectors')

describe.skipIf(skips)('vectors from outside', () => {
  it('BIP340: the precompile says what the BIP says for digests of 32 bytes', () => {
    const rows = readFileSync(`${FOLDER}/bips/bip-0340/test-vectors.csv`, 'utf8').trim().split('\n').slice(1)
    expect(rows.length).toBeGreaterThan(15)
    for (const row of rows) {
      const [index, , key = '', , message = '', signature = '', result] = row.split(',')
      const verdict = message.length === 64 ? verify(1, hex(key), hex(message), hex(signature)) : Number(result === 'TRUE')
      expect([index, verdict]).toEqual([index, Number(result === 'TRUE')])
    }
  })
  it('Wycheproof ECDSA: exactly the valid signatures with low s, for some recovery id', () => {
    type File = {
      testGroups: { publicKey: { uncompressed: string }; tests: { tcId: number; msg: string; sig: string; result: string }[] }[]
    }
    const file = JSON.parse(readFileSync(`${FOLDER}/wycheproof/ecdsa_secp256k1_sha256_p1363_test.json`, 'utf8')) as File
    expect(file.testGroups.length).toBeGreaterThan(20)
    for (const { publicKey, tests } of file.testGroups)
      for (const { tcId, msg, sig, result } of tests) {
        const digest = new Uint8Array(createHash('sha256').update(hex(msg)).digest())
        const key = secp256k1.Point.fromHex(publicKey.uncompressed).toBytes()
        const accepted = [0, 1, 2, 3].some((recovery) => verify(0, key, digest, Uint8Array.of(...hex(sig), recovery)) === 1)
        const isLow = sig.length === 128 && BigInt(`0x${sig.slice(64)}`) <= secp256k1.Point.Fn.ORDER / 2n
        expect([tcId, accepted]).toEqual([tcId, result === 'valid' && isLow])
      }
  })
})

describe('draws', () => {
  it('are those of the parties', () => {
    const candidates = [3, 5, 300].map((id) => ({ id, operator: bytesToHex(seedOf(`operator ${id}`).slice(0, 20)) }))
    const packed = concatBytes(...candidates.flatMap(({ id, operator }) => [uintBytes(id, 2), hexToBytes(operator)]))
    expect(ids(run(DCRM_SELECTOR.committee, drawBytes, Uint8Array.of(2, 3), packed))).toEqual(
      chooseCommittee(nobleBackend, draw, candidates, 2),
    )
    expect(run(DCRM_SELECTOR.committee, drawBytes, Uint8Array.of(4, 3), packed)).toHaveLength(0)
    const set = run(DCRM_SELECTOR.signingSet, drawBytes, Uint8Array.of(2), graph([1, 2, 3, 4], [[1, 2]], [4]))
    expect(ids(set)).toEqual(chooseSigningSet(nobleBackend, draw, [1, 2, 3, 4], 2, [[1, 2]], [4]))
    expect(run(DCRM_SELECTOR.signingSet, drawBytes, Uint8Array.of(3), graph([1, 2, 3, 4], [[1, 2]], [4]))).toHaveLength(0)
    expect(run(DCRM_SELECTOR.largestSet, graph([1, 2, 3, 4], [[1, 2]], [4])).at(-1)).toBe(2)
  })
})

describe('keys, digests, headers and evidence', () => {
  it('are those of the parties', () => {
    const key = dealtShares('taproot', 2, [1, 2], 'precompile').get(1)?.publicKey.commitments[0] as Uint8Array
    const subject = seedOf('subject')
    const child = run(DCRM_SELECTOR.childKey, Uint8Array.of(1), draw.requestId, Uint8Array.of(3), subject, key)
    expect(unhex(child)).toBe(
      unhex(childKey(nobleBackend, 'taproot', draw.requestId, key, { purpose: 'generic', subject })?.signingKey as Uint8Array),
    )
    expect(Buffer.from(run(DCRM_SELECTOR.address, Uint8Array.of(1), child)).toString()).toMatch(/^bcrt1p[0-9a-z]{58}$/)
    expect(unhex(run(DCRM_SELECTOR.genericDigest, seedOf('g'), seedOf('r'), seedOf('m')))).toBe(
      unhex(genericDigest(nobleBackend, seedOf('g'), seedOf('r'), seedOf('m'))),
    )
    const epoch = 2 ** 33 + 5
    expect(unhex(run(DCRM_SELECTOR.heartbeatDigest, seedOf('g'), seedOf('k'), uintBytes(epoch, 8), seedOf('x')))).toBe(
      unhex(heartbeatDigest(nobleBackend, seedOf('g'), seedOf('k'), epoch, seedOf('x'))),
    )
  })
  it('children of Ed25519 keys have keys of 32 bytes', () => {
    const key = dealtShares('ed25519', 2, [1, 2], 'precompile').get(1)?.publicKey.commitments[0] as Uint8Array
    const subject = seedOf('subject')
    const expected = childKey(nobleBackend, 'ed25519', draw.requestId, key, { purpose: 'change', subject })?.signingKey as Uint8Array
    expect(unhex(run(DCRM_SELECTOR.childKey, Uint8Array.of(2), draw.requestId, Uint8Array.of(1), subject, key))).toBe(unhex(expected))
  })
  it('an ECDSA key has an address on Ethereum and one on Bitcoin', () => {
    // The generator itself, private key 1: addresses any wallet shows.
    const text = Buffer.from(run(DCRM_SELECTOR.address, Uint8Array.of(0), secp256k1.Point.BASE.toBytes())).toString()
    expect(text.split(' ').toSorted()).toEqual(ADDRESSES_OF_ONE)
  })
  it('a header gives its hash, height and randomness', () => {
    const { header } = sampleBlock
    const output = run(DCRM_SELECTOR.header, encodeHeader(header))
    expect(bytesToHex(output.slice(0, 32))).toBe(blockHash(header, suite.keccak256))
    expect(bytesToBigint(output.slice(32, 64))).toBe(BigInt(header.number))
    expect(bytesToHex(output.slice(64))).toBe(header.randomness)
  })
  it('two signed envelopes for one place convict their signer, and nobody else', () => {
    const secret = seedOf('signer')
    const key = ed25519.getPublicKey(secret)
    const envelope = (payload: number, round = 1, from = 7) => {
      const unsigned = {
        id: seedOf('sid'),
        epoch: 0,
        round,
        kind: 'broadcast' as const,
        from,
        to: null,
        seq: 0,
        previous: seedOf('p'),
        payload: Uint8Array.of(payload),
      }
      return encodeEnvelope({ ...unsigned, signature: nativeEnvelopeCrypto.sign(secret, envelopeDigest(nobleBackend, unsigned)) })
    }
    const judge = (accused: number, by: Uint8Array, ...envelopes: readonly Uint8Array[]): string =>
      Buffer.from(run(DCRM_SELECTOR.judge, uintBytes(accused, 2), by, encodeEvidence(envelopes))).toString()
    expect(judge(7, key, envelope(1), envelope(2))).toBe('EQUIVOCATION')
    expect(judge(7, key, envelope(1), envelope(1))).toBe('')
    expect(judge(8, key, envelope(1), envelope(2))).toBe('')
    expect(judge(7, ed25519.getPublicKey(seedOf('other')), envelope(1), envelope(2))).toBe('')
    expect(judge(7, key, envelope(1, 0), envelope(2, 0))).toBe('')
    expect(judge(7, key, envelope(1, 1), envelope(2, 2))).toBe('')
    expect(judge(7, key, envelope(1))).toBe('')
    expect(judge(0x0107, key, envelope(1, 1, 0x0107), envelope(2, 1, 0x0107))).toBe('EQUIVOCATION')
    expect(judge(0x0107, key, envelope(1), envelope(2))).toBe('')
  })
  it('one signed broadcast that nobody honest can have sent convicts its signer, on both backends', () => {
    const secret = seedOf('signer')
    const key = ed25519.getPublicKey(secret)
    const subject = { chainId: 81_920, protocol: 'frost', requestId: seedOf('request'), epoch: 2, set: [3, 7], attempt: 1 }
    const unsigned = {
      id: openIdOf(nobleBackend, subject),
      epoch: 2,
      round: 1,
      kind: 'broadcast' as const,
      from: 7,
      to: null,
      seq: 0,
      previous: seedOf('p'),
    }
    const point = secp256k1.Point.BASE.toBytes()
    const judge = (accused: number, payload: Uint8Array): readonly string[] => {
      const envelope = encodeEnvelope({
        ...unsigned,
        payload,
        signature: nativeEnvelopeCrypto.sign(secret, envelopeDigest(nobleBackend, { ...unsigned, payload })),
      })
      const evidence = encodeContentEvidence(envelope, subject, []) ?? new Uint8Array(0)
      const input = concatBytes(Uint8Array.of(DCRM_SELECTOR.judge), uintBytes(accused, 2), key, evidence)
      const judgeEither: DcrmHost['judge'] = (...about) => judgeEvidence(nobleBackend, suite.ed25519Verify, ...about)
      const hosts: readonly DcrmHost[] = [host, { ...host, backend: nobleBackend, judge: judgeEither }]
      return hosts.map((each) => Buffer.from(dcrmPrecompile(each, input)).toString())
    }
    expect(judge(7, concatBytes(point, point))).toEqual(['', ''])
    expect(judge(7, concatBytes(point, point.with(0, 5)))).toEqual(['CONTENT_IMPOSSIBLE', 'CONTENT_IMPOSSIBLE'])
    expect(judge(3, concatBytes(point, point.with(0, 5)))).toEqual(['', ''])
  })
  it('no evidence convicts nobody, be it empty or as long as it may be', () => {
    expect(run(DCRM_SELECTOR.judge, new Uint8Array(34))).toHaveLength(0)
    expect(run(DCRM_SELECTOR.judge, new Uint8Array(DCRM_INPUT_MAX - 1))).toHaveLength(0)
  })
})

/** An input for the judge with evidence of this kind and, in its last three bytes, this length. */
const judging = (kind: number, ...length: readonly [number, number, number]): readonly number[] => [
  7,
  ...new Uint8Array(34),
  kind,
  0,
  ...length,
]

/** First bytes, length and gas of inputs, by docs/protocol.md. */
const GAS: readonly (readonly [readonly number[], number, bigint])[] = [
  [[], 0, 700n],
  [[1], 100, 1900n],
  [[2], 1, 712n + 600n],
  [[2], 22, 700n + 264n + 600n],
  [[2], 23, 700n + 276n + 1200n],
  [[3, 0], 100, 1900n + 9000n],
  [[3, 1], 100, 1900n + 9000n],
  [[3, 2], 100, 1900n + 9000n],
  [[3, 3], 100, 1900n + 9000n],
  [[3, 4], 100, 1900n],
  [[4, 0], 100, 1900n + 15_000n],
  [[4, 1], 100, 1900n + 18_000n],
  [[4, 2], 100, 1900n + 100_000n],
  [[4, 3], 100, 1900n],
  [[5, 0], 100, 1900n + 18_000n],
  [[5, 1], 100, 1900n + 3000n],
  [[5, 2], 100, 1900n + 3000n],
  [[5], 1, 712n + 18_000n],
  [[6], 100, 1900n + 79_200n],
  [[7], 100, 1900n + 20_000n],
  // Evidence begins at byte 35: its kind, then the length of an envelope, of which 148 bytes are not payload.
  [judging(0, 0, 5, 0), 100, 1900n + 20_000n],
  [judging(1, 0, 0, 148), 100, 1900n + 20_000n],
  [judging(1, 0, 0, 149), 100, 1900n + 20_000n + 120_000n + 60_000n],
  [judging(1, 0, 0, 180), 100, 1900n + 20_000n + 120_000n + 60_000n],
  [judging(1, 0, 0, 181), 100, 1900n + 20_000n + 120_000n + 120_000n],
  [judging(1, 0, 5, 148), 100, 1900n + 20_000n + 120_000n + 40n * 60_000n],
  [judging(1, 255, 255, 255), 100, 1900n + 20_000n + 120_000n + 40n * 60_000n],
  [[8], 100, 1900n],
  [[9], 100, 1900n],
  [[10], 100, 1900n + 79_200n],
  [[11], 100, 1900n],
]

describe('input that is not of the promised form', () => {
  it.each([
    ['no selector', []],
    ['an unknown selector', [11]],
    ['verification by an unknown scheme', [3, 4, 0]],
    ['verification cut before its digest', [3, 1, 32, 1, 2]],
    ['a child of an unknown scheme', [4, 3]],
    ['a child cut short', [4, 0, 1]],
    ['an address of an unknown scheme', [5, 3]],
    ['an address of no key', [5, 1, 1, 2]],
    ['a committee cut short', [2, 1]],
    ['a signing set cut short', [6, 1]],
    ['a largest set with loose bytes', [10, 0, 0, 0, 0, 0]],
    ['members out of order', [10, 2, 0, 2, 0, 1, 0, 0, 0]],
    ['a digest cut short', [8, 1]],
    ['a heartbeat cut short', [9, 1]],
    ['a header that is none', [1, 192]],
    ['evidence without an accused', [7, 1]],
  ])('reverts with a code: %s', (_, bytes) => {
    const outcome = keyPrecompile(host)(Uint8Array.from(bytes), 10_000_000n)
    expect(outcome.error).toBe('REVERT')
    expect(Buffer.from(outcome.returnValue).toString()).toMatch(/^[A-Z_]+$/)
  })
  it('refuses candidates without a number, a threshold of nothing, and too much', () => {
    expect(() => run(2, drawBytes, Uint8Array.of(1, 1), new Uint8Array(22))).toThrow('DCRM_INPUT')
    expect(() => run(2, drawBytes, Uint8Array.of(1, 2), new Uint8Array(22), uintBytes(5, 2), new Uint8Array(20))).toThrow('DCRM_INPUT')
    expect(() => run(6, drawBytes, Uint8Array.of(0), graph([1], [], []))).toThrow('DCRM_INPUT')
    expect(() => run(7, new Uint8Array(DCRM_INPUT_MAX))).toThrow('DCRM_INPUT')
  })
  it('refuses more members than a committee has', () => {
    const members = Array.from({ length: 33 }, (_, index) => index + 1)
    expect(run(DCRM_SELECTOR.largestSet, graph(members.slice(0, 32), [], [])).at(-1)).toBe(32)
    expect(() => run(DCRM_SELECTOR.largestSet, graph(members, [], []))).toThrow('DCRM_INPUT')
    const every = Array.from({ length: 992 }, (): [number, number] => [1, 2])
    expect(run(DCRM_SELECTOR.largestSet, graph([1, 2, 3], every, [])).at(-1)).toBe(2)
    expect(() => run(DCRM_SELECTOR.largestSet, graph([1, 2, 3], [...every, [1, 2]], []))).toThrow('DCRM_INPUT')
  })
  it('refuses keys that are none', () => {
    const point = secp256k1.Point.BASE.toBytes()
    const subject = seedOf('subject')
    const noPoint = Uint8Array.of(2, ...new Uint8Array(32).fill(0xff))
    const fault = expect.objectContaining({ code: 'DCRM_INPUT', path: '' }) as Error
    expect(() => run(4, Uint8Array.of(0), draw.requestId, Uint8Array.of(3), subject, noPoint)).toThrow(fault)
    expect(() => run(4, Uint8Array.of(0), draw.requestId, Uint8Array.of(4), subject, point)).toThrow(fault)
    expect(() => run(5, Uint8Array.of(0), noPoint)).toThrow(fault)
    expect(() => run(5, Uint8Array.of(0), point.slice(1))).toThrow(fault)
    expect(() => run(5, Uint8Array.of(1), point)).toThrow(fault)
    expect(run(5, Uint8Array.of(1), point.slice(1)).length).toBeGreaterThan(0)
    expect(() => run(3, Uint8Array.of(4, 32), new Uint8Array(128))).toThrow(fault)
    expect(() => run(3, Uint8Array.of(1, 32), new Uint8Array(63))).toThrow(fault)
    expect(run(3, Uint8Array.of(1, 32), new Uint8Array(64)).at(-1)).toBe(0)
  })
  it.each(GAS)('costs what the protocol says: %j of %i bytes', (first, length, gas) => {
    expect(dcrmGas(Uint8Array.of(...first, ...new Uint8Array(length - first.length)))).toBe(gas)
  })
  it('is charged before any work, by what its first bytes and length say', () => {
    const input = Uint8Array.of(3, 1, 32, ...new Uint8Array(64))
    const outcome = keyPrecompile(host)(input, dcrmGas(input) - 1n)
    expect(outcome).toMatchObject({ error: 'OUT_OF_GAS', gasUsed: dcrmGas(input) - 1n })
    for (const selector of [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 99]) {
      const short = dcrmGas(Uint8Array.of(selector, 1, 2))
      expect(dcrmGas(Uint8Array.of(selector, 1, ...new Uint8Array(1000)))).toBeGreaterThan(short)
    }
    expect(dcrmGas(Uint8Array.of(4, 2))).toBeGreaterThan(dcrmGas(Uint8Array.of(4, 1)))
    expect(dcrmGas(Uint8Array.of(5, 0))).toBeGreaterThan(dcrmGas(Uint8Array.of(5, 1)))
  })
})
