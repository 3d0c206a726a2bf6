/**
 * The native backend against the reference and against OpenSSL. Expected values: node:crypto (ECDH and hashes), noble, FIPS 180-4, FIPS 202, SEC 1.
 * @module
 */
import { createECDH, createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { loadSecp256k1 } from '#node/crypto/addon.ts'
import type { Group, Point } from '#shared/dcrm/backend.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { hex, unhex } from '#test/unit/dcrm/support.ts'

const backend = createNativeBackend()
const native = backend.secp256k1
const reference = nobleBackend.secp256k1
const { order } = reference
const scalar = fc.oneof(fc.constantFrom(0n, 1n, 2n, order - 1n, order - 2n), fc.bigInt({ min: 0n, max: order - 1n }))
const nonZero = scalar.filter((value) => value !== 0n)

/** An encoding that also shows the identity. */
const shown = (group: Group, point: Point): string => (group.isIdentity(point) ? 'identity' : unhex(group.encode(point)))
/** The same calculation in both backends. */
const expectSame = (calculate: (group: typeof native) => Point): void => {
  expect(shown(native, calculate(native))).toBe(shown(reference, calculate(reference)))
}

describe('the native backend', () => {
  it('runs on libsecp256k1 here', () => {
    expect(loadSecp256k1()).not.toBe(null)
    expect(native).not.toBe(reference)
  })
  it('agrees with the reference on constants', () => {
    expect(native.order).toBe(order)
    expectSame((group) => group.generator)
    expectSame((group) => group.second)
    expect(native.isIdentity(native.identity)).toBe(true)
    expect(native.isIdentity(native.generator)).toBe(false)
  })
  it('multiplies as the reference does: both bases, secret and public, zero and the last scalar included', () => {
    fc.assert(
      fc.property(scalar, nonZero, (k, of) => {
        expectSame((group) => group.mulBase(k))
        expectSame((group) => group.mulSecond(k))
        expectSame((group) => group.mulSecret(group.mulBase(of), k))
        expectSame((group) => group.mulPublic(group.mulBase(of), k))
        expectSame((group) => group.mulPublic(group.generator, k))
      }),
      { numRuns: 25 },
    )
    for (const multiply of [native.mulPublic, native.mulSecret]) expect(native.isIdentity(multiply(native.identity, 5n))).toBe(true)
  })
  it('multiplies as OpenSSL does', () => {
    fc.assert(
      fc.property(nonZero, nonZero, (secret, other) => {
        const party = createECDH('secp256k1')
        party.setPrivateKey(scalarBytes(secret))
        expect(unhex(native.encode(native.mulBase(secret)))).toBe(party.getPublicKey('hex', 'compressed'))
        const point = native.mulBase(other)
        const { x } = native.coordinates(native.mulSecret(point, secret))
        expect(unhex(x)).toBe(party.computeSecret(native.encode(point)).toString('hex'))
      }),
      { numRuns: 25 },
    )
  })
  it('adds, negates and sums as the reference does, through doublings and the identity', () => {
    fc.assert(
      fc.property(scalar, scalar, scalar, (a, b, k) => {
        expectSame((group) => group.add(group.mulBase(a), group.mulBase(b)))
        expectSame((group) => group.add(group.mulBase(a), group.mulBase(a)))
        expectSame((group) => group.add(group.mulBase(a), group.negate(group.mulBase(a))))
        expectSame((group) => group.negate(group.mulBase(a)))
        expectSame((group) =>
          group.sumPublic([
            [group.mulBase(a), k],
            [group.mulBase(b), 1n],
            [group.second, a],
            [group.generator, k],
          ]),
        )
      }),
      { numRuns: 25 },
    )
    expect(native.isIdentity(native.sumPublic([]))).toBe(true)
    expectSame((group) =>
      group.sumPublic([
        [group.second, 3n],
        [group.second, order - 3n],
      ]),
    )
  })
  it('compares points, not how they were made', () => {
    const five = native.mulPublic(native.generator, 5n)
    expect(native.equals(native.mulBase(5n), five)).toBe(true)
    expect(native.equals(native.decode(native.encode(five)) ?? native.identity, five)).toBe(true)
    expect(native.equals(native.negate(five), five)).toBe(false)
    expect(native.equals(native.identity, five)).toBe(false)
    expect(native.equals(native.identity, native.sumPublic([]))).toBe(true)
  })
  it('shows coordinates and lifts them as the reference does', () => {
    fc.assert(
      fc.property(nonZero, (k) => {
        expect(native.coordinates(native.mulBase(k))).toEqual(reference.coordinates(reference.mulBase(k)))
        const { x } = reference.coordinates(reference.mulBase(k))
        const lifted = native.liftX(x)
        expect(shown(native, lifted ?? native.identity)).toBe(`02${unhex(x)}`)
      }),
      { numRuns: 15 },
    )
    // x = 5 is on no point; p and p + 1 are out of range though 1 is on one.
    const prime = 2n ** 256n - 2n ** 32n - 977n
    for (const [x, isThere] of [
      [0n, false],
      [1n, true],
      [5n, false],
      [prime, false],
      [prime + 1n, false],
    ] as const) {
      expect(native.liftX(scalarBytes(x)) !== null).toBe(isThere)
      expect(reference.liftX(scalarBytes(x)) !== null).toBe(isThere)
    }
    for (const group of [native, reference]) for (const length of [31, 33]) expect(group.liftX(new Uint8Array(length).fill(1))).toBe(null)
  })
  it('encodes many as one by one, and never the identity', () => {
    const points = [1n, 2n, order - 1n].map((k) => native.mulBase(k))
    expect(native.encodeAll(points).map((bytes) => unhex(bytes))).toEqual(points.map((point) => unhex(native.encode(point))))
    for (const group of [native, reference]) {
      expect(() => group.encode(group.identity)).toThrow('identity')
      expect(() => group.encodeAll([group.generator, group.identity])).toThrow('identity')
      expect(() => group.coordinates(group.identity)).toThrow('identity')
    }
  })
  it('15 points: decodes exactly what the reference decodes', () => {
    const good = native.encode(native.mulBase(7n))
    const uncompressed = createECDH('secp256k1')
    uncompressed.setPrivateKey(scalarBytes(7n))
    const long = new Uint8Array(uncompressed.getPublicKey())
    const hybrid = Uint8Array.from(long, (byte, index) => (index === 0 ? 6 | ((long[64] ?? 0) & 1) : byte))
    const prefixed = (prefix: number): Uint8Array => Uint8Array.of(prefix, ...good.subarray(1))
    const bad = [
      new Uint8Array(0),
      good.slice(0, 32),
      Uint8Array.of(...good, 0),
      long,
      hybrid,
      ...[0, 1, 4, 5, 6, 7, 255].map(prefixed),
      new Uint8Array(33),
      new Uint8Array(33).fill(255),
      hex('020000000000000000000000000000000000000000000000000000000000000005'),
      hex('02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc2f'),
      hex('03fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30'),
    ]
    for (const group of [native, reference]) {
      expect(shown(group, group.decode(good) ?? group.identity)).toBe(unhex(good))
      expect(bad.filter((bytes) => group.decode(bytes) !== null)).toEqual([])
    }
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), fc.constantFrom(2, 3), (x, prefix) => {
        const bytes = Uint8Array.of(prefix, ...x)
        const [left, right] = [native.decode(bytes), reference.decode(bytes)]
        expect(left === null ? null : shown(native, left)).toBe(right === null ? null : shown(reference, right))
      }),
      { numRuns: 40 },
    )
  })
  it('gives plain byte arrays, whose slices are copies', () => {
    const data = Uint8Array.of(1)
    for (const bytes of [backend.sha256(data), backend.sha512(data), backend.shake256(data, 7), native.encode(native.generator)]) {
      expect(Object.getPrototypeOf(bytes)).toBe(Uint8Array.prototype)
      bytes.slice().fill(0)
      expect(bytes.some((byte) => byte !== 0)).toBe(true)
    }
  })
  it('hashes as the standards and the reference do', () => {
    // FIPS 180-4 and FIPS 202: messages "abc" and the empty one.
    const abc = Uint8Array.of(97, 98, 99)
    for (const hashes of [backend, nobleBackend]) {
      expect(unhex(hashes.sha256(abc))).toBe('ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad')
      expect(unhex(hashes.sha512(abc).slice(0, 16))).toBe('ddaf35a193617abacc417349ae204131')
      expect(unhex(hashes.shake256(new Uint8Array(0), 32))).toBe('46b9dd2b0ba88d13233b3feb743eeb243fcd52ea62b81b82b50c27646ed5762f')
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.integer({ min: 1, max: 400 }), (data, length) => {
        expect(unhex(backend.sha256(data))).toBe(unhex(nobleBackend.sha256(data)))
        expect(unhex(backend.sha512(data))).toBe(unhex(nobleBackend.sha512(data)))
        expect(unhex(backend.shake256(data, length))).toBe(unhex(nobleBackend.shake256(data, length)))
        expect(unhex(nobleBackend.shake256(data, length))).toBe(createHash('shake256', { outputLength: length }).update(data).digest('hex'))
      }),
      { numRuns: 30 },
    )
  })
})

describe('without the addon', () => {
  it('is the reference with the hashes of the host', async () => {
    vi.resetModules()
    vi.doMock('#node/crypto/addon.ts', () => ({ loadSecp256k1: () => null }))
    const { createNativeBackend: createElsewhere } = await import('#node/dcrm/native-backend.ts')
    const elsewhere = createElsewhere()
    vi.doUnmock('#node/crypto/addon.ts')
    expect(unhex(elsewhere.secp256k1.encode(elsewhere.secp256k1.mulBase(5n)))).toBe(unhex(native.encode(native.mulBase(5n))))
    expect(elsewhere.secp256k1.generator instanceof Uint8Array).toBe(false)
    expect(native.generator instanceof Uint8Array).toBe(true)
    expect(unhex(elsewhere.sha256(Uint8Array.of(1)))).toBe(unhex(nobleBackend.sha256(Uint8Array.of(1))))
  })
})
