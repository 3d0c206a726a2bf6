/** Dealing and its checks, over both curves. Expected values: noble's points, SHA-256 over items written out by hand, the algebra. @module */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bigintToBytes, bytesToBigint, concatBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { Group, Point } from '#shared/dcrm/backend.ts'
import { decodePayload, scalarBytes } from '#shared/dcrm/codec.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { mod } from '#shared/dcrm/polynomial.ts'
import type { Dealt, Pair, Polynomials, Possession } from '#shared/dcrm/vss.ts'
import {
  arePairsValid,
  commitmentsBytes,
  decodePair,
  drawPolynomials,
  encodeCommitments,
  encodePair,
  feldmanCommitments,
  isPairValid,
  isPossessionValid,
  isValueValid,
  pairFor,
  pedersenCommitments,
  provePossession,
  readCommitments,
} from '#shared/dcrm/vss.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { sha256, sha512 } from '@noble/hashes/sha2.js'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

const groups = [nobleBackend.secp256k1, nobleBackend.ed25519]
const drbgOf = (word: string) => createDrbg(nobleBackend, seedOf(word), 'test')
const polynomials: Polynomials = { values: [5n, 7n, 11n], blinds: [13n, 17n, 19n] }
const SID = seedOf('sid')

describe.each(groups)('dealing over $curve', (group: Group) => {
  const { order } = group
  const commit = () => pedersenCommitments(group, polynomials)

  it('evaluates both polynomials at the receiver', () => {
    expect(pairFor(group, polynomials, 3)).toEqual({ value: 5n + 21n + 99n, blind: 13n + 51n + 171n })
  })
  it('commits as noble does', () => {
    const curve = group.curve === 'secp256k1' ? secp256k1.Point : ed25519.Point
    const second = curve.fromBytes(group.encode(group.second))
    expect(group.encodeAll(commit()).map((bytes) => unhex(bytes))).toEqual(
      polynomials.values.map((value, index) => {
        const blind = second.multiply(polynomials.blinds[index] as bigint) as typeof curve.BASE
        return unhex((curve.BASE.multiply(value) as typeof curve.BASE).add(blind as never).toBytes())
      }),
    )
    expect(group.encodeAll(feldmanCommitments(group, polynomials.values)).map((bytes) => unhex(bytes))).toEqual(
      polynomials.values.map((value) => unhex(curve.BASE.multiply(value).toBytes())),
    )
  })
  it('draws as many coefficients as asked, all different, the constant ones zero on demand', () => {
    const { values, blinds } = drawPolynomials(group, drbgOf('draw'), 4, false)
    expect([values.length, blinds.length, new Set([...values, ...blinds]).size]).toEqual([4, 4, 8])
    const zero = drawPolynomials(group, drbgOf('draw'), 3, true)
    expect([zero.values[0], zero.blinds[0]]).toEqual([0n, 0n])
    expect(new Set([...zero.values, ...zero.blinds]).size).toBe(5)
  })
  it('accepts the pair and the value dealt, and no other, for no other receiver', () => {
    const pair = pairFor(group, polynomials, 3)
    const commitments = commit()
    const images = feldmanCommitments(group, polynomials.values)
    expect(isPairValid(group, commitments, 3, pair)).toBe(true)
    expect(isPairValid(group, commitments, 4, pair)).toBe(false)
    expect(isPairValid(group, commitments, 3, { ...pair, value: pair.value + 1n })).toBe(false)
    expect(isPairValid(group, commitments, 3, { ...pair, blind: pair.blind + 1n })).toBe(false)
    expect(isPairValid(group, commitments.slice(0, 2), 3, pair)).toBe(false)
    expect(isValueValid(group, images, 3, pair.value)).toBe(true)
    expect(isValueValid(group, images, 4, pair.value)).toBe(false)
    expect(isValueValid(group, images, 3, pair.value + 1n)).toBe(false)
  })
  it('checks many dealers at once, and lets no two errors cancel', () => {
    const dealers = ['a', 'b', 'c'].map((word) => drawPolynomials(group, drbgOf(word), 2, false))
    const dealt = dealers.map((each): Dealt => ({ commitments: pedersenCommitments(group, each), pair: pairFor(group, each, 2) }))
    const check = (list: readonly Dealt[]) => arePairsValid(group, drbgOf('weights'), 2, list)
    const shift = (index: number, change: (pair: Pair) => Pair) => (list: readonly Dealt[]) =>
      list.map((each, at) => (at === index ? { ...each, pair: change(each.pair) } : each))
    const value = (by: bigint) => (pair: Pair) => ({ ...pair, value: mod(pair.value + by, order) })
    const blind = (by: bigint) => (pair: Pair) => ({ ...pair, blind: mod(pair.blind + by, order) })
    expect(check(dealt)).toBe(true)
    expect(check([])).toBe(true)
    for (const index of [0, 1, 2]) for (const change of [value(1n), blind(1n)]) expect(check(shift(index, change)(dealt))).toBe(false)
    expect(check(shift(0, value(1n))(shift(1, value(-1n))(dealt)))).toBe(false)
    expect(check(shift(0, blind(1n))(shift(2, blind(-1n))(dealt)))).toBe(false)
    expect(arePairsValid(group, drbgOf('weights'), 3, dealt)).toBe(false)
  })
  it('15 writes and reads exactly t commitments, one less when the constant is implied', () => {
    const read = (payload: Uint8Array, threshold: number, isZero: boolean) =>
      decodePayload(payload, (reader) => readCommitments(group, reader, threshold, isZero))
    const same = (left: readonly Point[] | null, right: readonly Point[]) =>
      left?.length === right.length && left.every((point, index) => group.equals(point, right[index] as Point))
    const commitments = commit()
    const whole = encodeCommitments(group, commitments, false)
    expect(whole.length).toBe(3 * group.pointBytes)
    expect(commitmentsBytes(group, 3, false)).toBe(3 * group.pointBytes)
    expect(commitmentsBytes(group, 3, true)).toBe(2 * group.pointBytes)
    expect(same(read(whole, 3, false), commitments)).toBe(true)
    for (const threshold of [0, 2, 4]) expect(read(whole, threshold, false)).toBe(null)
    const short = encodeCommitments(group, commitments, true)
    expect(unhex(short)).toBe(unhex(whole.slice(group.pointBytes)))
    expect(same(read(short, 3, true), [group.identity, ...commitments.slice(1)])).toBe(true)
    expect(read(whole, 3, true)).toBe(null)
    expect(read(new Uint8Array(0), 3, false)).toBe(null)
  })
  it('15 writes and reads pairs of canonical scalars only', () => {
    const pair = { value: 258n, blind: order - 1n }
    expect(unhex(encodePair(pair))).toBe(`${'0102'.padStart(64, '0')}${(order - 1n).toString(16).padStart(64, '0')}`)
    expect(decodePair(group, encodePair(pair))).toEqual(pair)
    expect(decodePair(group, concatBytes(bigintToBytes(order, 32), scalarBytes(1n)))).toBe(null)
    expect(decodePair(group, concatBytes(scalarBytes(1n), bigintToBytes(order, 32)))).toBe(null)
    for (const length of [0, 63, 65]) expect(decodePair(group, new Uint8Array(length))).toBe(null)
  })
})

/** H2S of the items, written out: four bytes of length before each. */
function challengeByHand(group: Group, dealer: number, image: Point, nonce: Point): bigint {
  const items = [
    utf8ToBytes('FUSION-DCRM/v1/dkg/possession'),
    SID,
    bigintToBytes(BigInt(dealer), 8),
    group.encode(image),
    group.encode(nonce),
  ]
  const data = concatBytes(...items.flatMap((item) => [bigintToBytes(BigInt(item.length), 4), item]))
  return bytesToBigint(group.curve === 'secp256k1' ? sha256(data) : sha512(data)) % group.order
}

describe.each(groups)('2 proofs of possession over $curve', (group: Group) => {
  const secret = 123456789n
  const image = group.mulBase(secret)
  const prove = () => provePossession(nobleBackend, group, drbgOf('possession'), SID, 7, secret)
  const check = (sid: Uint8Array, dealer: number, point: Point, shown: Possession) =>
    isPossessionValid(nobleBackend, group, sid, dealer, point, shown)

  it('hold for their session, dealer and image', () => {
    expect(check(SID, 7, image, prove())).toBe(true)
  })
  it('are the proof of Schnorr with a challenge over everything', () => {
    const proof = prove()
    const weight = challengeByHand(group, 7, image, proof.nonce)
    const right = group.add(proof.nonce, group.mulPublic(image, weight))
    expect(group.equals(group.mulBase(proof.response), right)).toBe(true)
  })
  it('hold for nothing else', () => {
    const proof = prove()
    expect(check(seedOf('other'), 7, image, proof)).toBe(false)
    expect(check(SID, 8, image, proof)).toBe(false)
    expect(check(SID, 7, group.mulBase(secret + 1n), proof)).toBe(false)
    expect(check(SID, 7, image, { ...proof, response: mod(proof.response + 1n, group.order) })).toBe(false)
    expect(check(SID, 7, image, { ...proof, nonce: group.add(proof.nonce, group.generator) })).toBe(false)
  })
  it('cannot be made for the image that cancels what others deal', () => {
    const proof = prove()
    // Against others' images that sum to the generator the rogue one is the identity, which no decoder lets in.
    const scalar = fc.bigInt({ min: 2n, max: group.order - 1n })
    const property = fc.property(scalar, scalar, (other, response) => {
      const rogue = group.add(group.generator, group.negate(group.mulBase(other)))
      return !check(SID, 7, rogue, { ...proof, response })
    })
    expect(fc.check(property, { numRuns: 20 }).counterexample).toBe(null)
  })
})
