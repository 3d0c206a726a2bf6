/** Hashing, scalars, polynomials and the reference backend. Expected values: hand computation, RFC 9380's hasher, Lagrange's theorem. @module */
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bigintToBytes, bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { descriptorFault, dkgModeOf, idsFault } from '#shared/dcrm/descriptor.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { encodeItems, idsBytes, listBytes } from '#shared/dcrm/hash.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { evaluate, evaluateInExponent, interpolate, inverse, lagrange, mod } from '#shared/dcrm/polynomial.ts'
import { decodePayload, decodeScalar, pointsBytes, scalarBytes, storedPoint } from '#shared/dcrm/codec.ts'
import { InvariantError } from '#shared/fault.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { encoded, seedOf, u64, unhex } from '#test/unit/dcrm/support.ts'

const groups = [nobleBackend.secp256k1, nobleBackend.ed25519]

describe('5 hashing, against ambiguous concatenation', () => {
  it('encodes each item with its length, so that no two lists share an encoding', () => {
    const list = fc.array(fc.uint8Array({ maxLength: 5 }), { maxLength: 4 })
    fc.assert(
      fc.property(list, list, (left, right) => {
        const same = left.length === right.length && left.every((item, index) => bytesToHex(item) === bytesToHex(right[index] ?? item))
        expect(bytesToHex(encodeItems('t', left)) === bytesToHex(encodeItems('t', right))).toBe(same)
      }),
      { numRuns: 2000 },
    )
  })
  it('writes lengths and counts big-endian', () => {
    expect(bytesToHex(encodeItems('a', [Uint8Array.of(7), 3]))).toBe(
      `0x00000010${Array.from('FUSION-DCRM/v1/a', (c) => c.charCodeAt(0).toString(16)).join('')}0000000107000000080000000000000003`,
    )
    expect(bytesToHex(idsBytes([1, 258]))).toBe('0x000200010102')
    expect(bytesToHex(listBytes([Uint8Array.of(9)]))).toBe('0x000000010000000109')
  })
})

describe('scalars and polynomials', () => {
  it.each(groups)('over $curve: inverses, Lagrange and images in the group agree', (group) => {
    const { order } = group
    const scalar = fc.bigInt({ min: 1n, max: order - 1n })
    fc.assert(
      fc.property(fc.array(scalar, { minLength: 3, maxLength: 3 }), fc.constantFrom([1, 2, 5], [7, 300, 65535]), (coefficients, ids) => {
        expect((inverse(coefficients[0] ?? 1n, order) * (coefficients[0] ?? 1n)) % order).toBe(1n)
        const shares = ids.map((id) => [id, evaluate(coefficients, id, order)] as const)
        const secret = shares.reduce((sum, [id, share]) => (sum + lagrange(ids, id, order) * share) % order, 0n)
        expect(secret).toBe(coefficients[0])
        expect(interpolate(shares, order)).toEqual(coefficients)
        const commitments = coefficients.map((coefficient) => group.mulBase(coefficient))
        expect(group.equals(evaluateInExponent(group, commitments, 300), group.mulBase(evaluate(coefficients, 300, order)))).toBe(true)
      }),
      { numRuns: 5 },
    )
  })
  it('refuses a scalar that is not below the order or not 32 bytes', () => {
    const { order } = nobleBackend.secp256k1
    expect(decodeScalar(scalarBytes(order - 1n), order)).toBe(order - 1n)
    expect(decodeScalar(scalarBytes(order), order)).toBe(null)
    expect(decodeScalar(new Uint8Array(31), order)).toBe(null)
    expect(decodeScalar(new Uint8Array(33), order)).toBe(null)
  })
  it('reduces into 0 … order − 1, whatever the sign', () => {
    expect([-8n, -7n, -1n, 0n, 6n, 7n, 8n].map((value) => mod(value, 7n))).toEqual([6n, 0n, 6n, 0n, 6n, 0n, 1n])
  })
  it('has no inverse of zero, in whatever form it comes', () => {
    for (const zero of [0n, 7n, -14n]) expect(() => inverse(zero, 7n)).toThrow(InvariantError)
  })
  it('does not interpolate at a point outside the set or through a point given twice', () => {
    expect(() => lagrange([1, 2], 3, 7n)).toThrow(InvariantError)
    expect(() => lagrange([1, 2, 2], 1, 7n)).toThrow(InvariantError)
    expect(() => lagrange([1, 1, 2], 1, 7n)).toThrow(InvariantError)
  })
})

describe('the reference backend', () => {
  it.each(groups)('decodes on $curve only what it would encode', (group) => {
    const bytes = group.encode(group.mulBase(5n))
    expect(bytesToHex(group.encode(group.decode(bytes) ?? group.generator))).toBe(bytesToHex(bytes))
    expect(group.decode(bytes.slice(1))).toBe(null)
    expect(group.decode(new Uint8Array(group.pointBytes))).toBe(null)
    expect(group.decode(new Uint8Array(group.pointBytes).fill(255))).toBe(null)
  })
  it('has two groups by name, with uncompressed points and lengths of others refused', () => {
    expect(groups.map(({ curve, pointBytes }) => [curve, pointBytes])).toEqual([
      ['secp256k1', 33],
      ['ed25519', 32],
    ])
    expect(nobleBackend.secp256k1.decode(secp256k1.Point.BASE.toBytes(false))).toBe(null)
    for (const group of groups) for (const length of [0, 1, 31, 64, 65, 66]) expect(group.decode(new Uint8Array(length).fill(2))).toBe(null)
  })
  it('multiplies by zero, where a sum has such a term', () => {
    for (const group of groups) {
      const five = group.mulBase(5n)
      for (const zero of [group.mulPublic(five, 0n), group.mulSecret(five, 0n), group.mulBase(0n), group.mulSecond(0n)])
        expect(group.isIdentity(zero)).toBe(true)
      const sum = group.sumPublic([
        [five, 0n],
        [group.generator, 3n],
      ])
      expect(group.equals(sum, group.mulBase(3n))).toBe(true)
      expect(group.isIdentity(group.sumPublic([]))).toBe(true)
      expect(() => group.encode(group.identity)).toThrow(InvariantError)
    }
  })
  it('lifts an x of 32 bytes that is in range and on the curve to the point with even y', () => {
    const { liftX, encode } = nobleBackend.secp256k1
    const prime = 2n ** 256n - 2n ** 32n - 977n
    // y² = x³ + 7: x = 1 has a root, 5 has none (SEC 2 arithmetic); p + 1 is 1 again.
    expect(encode(liftX(scalarBytes(1n)) ?? nobleBackend.secp256k1.identity)).toEqual(concatBytes(Uint8Array.of(2), scalarBytes(1n)))
    expect([0n, 5n, prime, prime + 1n].map((x) => liftX(scalarBytes(x)))).toEqual([null, null, null, null])
    expect([0, 31, 33, 64].map((length) => liftX(new Uint8Array(length).fill(1)))).toEqual([null, null, null, null])
  })
  it('21 refuses Ed25519 points of small order, with torsion, and not in canonical form', () => {
    // Points of order 1, 2, 4 and 8; source: RFC 8032 arithmetic, the well-known list of eight.
    for (const hex of [
      '0100000000000000000000000000000000000000000000000000000000000000',
      'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
      '0000000000000000000000000000000000000000000000000000000000000000',
      'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
      'eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    ])
      expect(nobleBackend.ed25519.decode(hexToBytes(`0x${hex}`))).toBe(null)
  })
  it('pins the second base of both curves', () => {
    expect(groups.map((group) => bytesToHex(group.encode(group.second)))).toMatchInlineSnapshot(`
      [
        "0x02b96bdc234b6a421301dc4179257db52805a5f397780a8eaa2d2fb66bc2e07051",
        "0xafe0a578d6d1ce82983d6f094c0c53bf5a4a0750f1265bd64baae27059223842",
      ]
    `)
  })
  it('reads fields in order and reports anything missing, left over or out of range', () => {
    const read = (bytes: Uint8Array) => decodePayload(bytes, (reader) => reader.uint(2))
    expect(read(Uint8Array.of(1, 2))).toBe(258)
    expect(read(Uint8Array.of(1))).toBe(null)
    expect(read(Uint8Array.of(1, 2, 3))).toBe(null)
  })
  it('reads zeros for a field that is cut or not there', () => {
    const seen: Uint8Array[] = []
    const result = decodePayload(Uint8Array.of(1, 2, 3), (reader) => seen.push(reader.bytes(2), reader.bytes(2), reader.bytes(1)))
    expect(result).toBe(null)
    expect(seen).toEqual([Uint8Array.of(1, 2), Uint8Array.of(0, 0), Uint8Array.of(0)])
  })
  it('reads copies: a payload that changes later changes nothing', () => {
    const payload = Buffer.of(1, 2)
    const read = decodePayload(payload, (reader) => reader.bytes(2))
    payload[0] = 9
    expect(read).toEqual(Uint8Array.of(1, 2))
  })
  it('reads scalars below the order only', () => {
    const { order } = nobleBackend.ed25519
    const read = (bytes: Uint8Array) => decodePayload(bytes, (reader) => reader.scalar(order))
    expect([0n, 1n, order - 1n].map((value) => read(scalarBytes(value)))).toEqual([0n, 1n, order - 1n])
    expect([order, 2n ** 256n - 1n].map((value) => read(scalarBytes(value)))).toEqual([null, null])
  })
  it.each(groups)('reads exactly so many points of $curve, each of them valid', (group) => {
    const points = [3n, 4n].map((k) => group.mulBase(k))
    const payload = pointsBytes(group, points)
    expect(payload).toEqual(concatBytes(...points.map((point) => group.encode(point))))
    const read = (bytes: Uint8Array, count: number) => decodePayload(bytes, (reader) => reader.points(group, count))
    expect(read(payload, 2)?.map((point) => group.encode(point))).toEqual(points.map((point) => group.encode(point)))
    expect([1, 3].map((count) => read(payload, count))).toEqual([null, null])
    expect(read(payload.with(group.pointBytes, 255), 2)).toBe(null)
  })
  it.each(groups)('takes back a point of $curve that it stored, and nothing else', (group) => {
    const bytes = group.encode(group.mulBase(7n))
    expect(group.encode(storedPoint(group, bytes))).toEqual(bytes)
    for (const broken of [undefined, new Uint8Array(0), bytes.slice(1)]) expect(() => storedPoint(group, broken)).toThrow(InvariantError)
  })
})

describe('descriptors', () => {
  const base = { chainId: 1, requestId: new Uint8Array(32), scheme: 'ecdsa', threshold: 2, members: [1, 2, 3] } as const
  it('refuses ids that are 0, too large, fractional, repeated or out of order', () => {
    expect(
      [
        [0, 1],
        [1, 65536],
        [1, 1.5],
        [2, 2],
        [3, 1],
      ].map((ids) => idsFault(ids)),
    ).toEqual(['PARTY_ID_RANGE', 'PARTY_ID_RANGE', 'PARTY_ID_RANGE', 'PARTY_IDS_ORDER', 'PARTY_IDS_ORDER'])
    expect(idsFault([1, 65535])).toBe(null)
  })
  it('refuses thresholds below 2 or above the committee, and short request ids', () => {
    expect(descriptorFault(base)).toBe(null)
    expect(descriptorFault({ ...base, threshold: 3 })).toBe(null)
    expect(descriptorFault({ ...base, threshold: 1 })).toBe('THRESHOLD_RANGE')
    expect(descriptorFault({ ...base, threshold: 2.5 })).toBe('THRESHOLD_RANGE')
    expect(descriptorFault({ ...base, threshold: 4 })).toBe('THRESHOLD_ABOVE_COMMITTEE')
    expect(descriptorFault({ ...base, requestId: new Uint8Array(31) })).toBe('REQUEST_ID_LENGTH')
    const sized = (length: number) => descriptorFault({ ...base, members: Array.from({ length }, (_, index) => index + 1) })
    expect([sized(32), sized(33)]).toEqual([null, 'COMMITTEE_TOO_LARGE'])
    expect(descriptorFault({ ...base, members: [1, 3, 2] })).toBe('PARTY_IDS_ORDER')
  })
  it('promises guaranteed output exactly where honest members are a majority', () => {
    const mode = (threshold: number, size: number) =>
      dkgModeOf({ threshold, members: Array.from({ length: size }, (_, index) => index + 1) })
    expect([mode(2, 3), mode(3, 5), mode(5, 9), mode(7, 10), mode(14, 20)]).toEqual(['R', 'R', 'R', 'B', 'B'])
  })
})

describe('the generator', () => {
  it('is a function of its seed and never repeats itself', () => {
    const make = (label: string) => createDrbg(nobleBackend, new Uint8Array(32).fill(1), label)
    const [left, right] = [make('a'), make('a')]
    expect(left.bytes(32)).toEqual(right.bytes(32))
    expect(left.bytes(32)).not.toEqual(make('a').bytes(32))
    expect(make('b').bytes(32)).not.toEqual(make('a').bytes(32))
  })
  it('gives the n-th output as SHAKE256 of seed, label and n', () => {
    const seed = seedOf('generator')
    const drbg = createDrbg(nobleBackend, seed, 'label')
    const expected = (counter: number, outputLength: number) =>
      createHash('shake256', { outputLength })
        .update(encoded('drbg', seed, Buffer.from('label'), u64(counter)))
        .digest('hex')
    expect(unhex(drbg.bytes(32))).toBe(expected(0, 32))
    expect(unhex(drbg.bytes(70))).toBe(expected(1, 70))
    const { order } = nobleBackend.ed25519
    expect(drbg.scalar({ order })).toBe((BigInt(`0x${expected(2, 64)}`) % (order - 1n)) + 1n)
  })
  it('gives scalars from 1 to one below the order', () => {
    const scalarFrom = (output: bigint) => {
      const drbg = createDrbg({ shake256: (_, length) => bigintToBytes(output, length) }, new Uint8Array(32), 'edges')
      return drbg.scalar({ order: 101n })
    }
    expect([0n, 1n, 99n, 100n, 101n].map(scalarFrom)).toEqual([1n, 2n, 100n, 1n, 2n])
  })
  it('takes seeds of 32 bytes only', () => {
    for (const length of [0, 31, 33]) expect(() => createDrbg(nobleBackend, new Uint8Array(length), 'a')).toThrow(InvariantError)
  })
})
