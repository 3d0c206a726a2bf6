/** Batches: hashes against viem, and one test per rule. @module */
import fc from 'fast-check'
import { concat, encodeAbiParameters, encodePacked, hashTypedData, keccak256, parseAbiParameters } from 'viem'
import { describe, expect, it } from 'vitest'
import { bytesToHex } from '#shared/bytes.ts'
import { BATCH_TYPE, FEED_STATUSES, batchDigest, batchFault, batchMessage, flatHash, merkleRoot } from '#shared/oracle/batch.ts'
import { attestationDomain } from '#shared/oracle/eip712.ts'
import type { Batch, Leaf } from '#shared/oracle/types.ts'
import type { Hex } from '#shared/types.ts'
import { ROUND_MS, accounts, batchAt, feedA, feedB, genesisHash, leaf, signBatch, suite } from './fixture.ts'

const [provider, other] = accounts
if (provider === undefined || other === undefined) throw new Error('accounts exist')

const statusCode = (one: Leaf): number => FEED_STATUSES.indexOf(one.status)
const types = ['bytes32', 'int192', 'uint64', 'int192', 'int192', 'uint8'] as const
const values = (one: Leaf) => [one.feed, one.value, one.confidence, one.low, one.high, statusCode(one)] as const
const treeLeaf = (one: Leaf): Hex =>
  keccak256(keccak256(encodeAbiParameters(parseAbiParameters('bytes32, int192, uint64, int192, int192, uint8'), values(one))))
const pair = (a: Hex, b: Hex): Hex => keccak256(a < b ? concat([a, b]) : concat([b, a]))

const anyLeaf = (feed: Hex) =>
  fc
    .tuple(fc.bigInt(-(2n ** 190n), 2n ** 190n), fc.bigInt(0n, 2n ** 64n - 1n), fc.constantFrom(...FEED_STATUSES))
    .map(([value, confidence, status]) => leaf(feed, value, { confidence, status, low: value - 3n, high: value + 5n }))

describe('hashes of a batch', () => {
  it('flat is keccak of the packed leaves', () => {
    fc.assert(
      fc.property(anyLeaf(feedA), anyLeaf(feedB), (a, b) => {
        expect(flatHash([a, b], suite)).toBe(keccak256(concat([encodePacked(types, values(a)), encodePacked(types, values(b))])))
      }),
    )
  })

  it('root is the sorted-pair tree over twice-hashed leaves, an odd last node moving up', () => {
    const leaves = [1n, -2n, 3n].map((value, index) => leaf(`0x${`0${index + 1}`.repeat(32)}`, value))
    const [a, b, c] = leaves.map((one) => treeLeaf(one))
    if (a === undefined || b === undefined || c === undefined) throw new Error('three leaves')
    expect(merkleRoot(leaves.slice(0, 1), suite)).toBe(a)
    expect(merkleRoot(leaves, suite)).toBe(pair(pair(a, b), c))
  })

  it('digest equals the typed-data hash of an independent implementation', () => {
    fc.assert(
      fc.property(anyLeaf(feedA), fc.nat(65_535), fc.nat(), (one, shard, round) => {
        const batch = batchAt(round, [one], { shard })
        const expected = hashTypedData({
          domain: attestationDomain(genesisHash),
          types: { Batch: BATCH_TYPE.members },
          primaryType: 'Batch',
          message: batchMessage(batch, suite),
        })
        expect(bytesToHex(batchDigest(batch, genesisHash, suite))).toBe(expected)
      }),
      { numRuns: 30 },
    )
  })
})

describe('a batch is refused', async () => {
  const good = await signBatch(provider, batchAt(7, [leaf(feedA, 10n), leaf(feedB, 20n)]))
  const fault = (batch: Batch) => batchFault(batch, ROUND_MS, genesisHash, suite)

  it('not when it is as signed', () => {
    expect(fault(good)).toBeNull()
  })

  it('with a changed value, shard, round, time, provider or genesis', () => {
    expect(fault({ ...good, leaves: [leaf(feedA, 11n), leaf(feedB, 20n)] })).toBe('SIGNATURE_INVALID')
    expect(fault({ ...good, shard: 1 })).toBe('SIGNATURE_INVALID')
    expect(fault({ ...good, observedAtMs: good.observedAtMs + 1 })).toBe('SIGNATURE_INVALID')
    expect(fault({ ...good, provider: feedA })).toBe('SIGNATURE_INVALID')
    expect(batchFault(good, ROUND_MS, feedA, suite)).toBe('SIGNATURE_INVALID')
  })

  it('with a time outside its round', () => {
    expect(fault({ ...good, round: 8 })).toBe('TIME_NOT_IN_ROUND')
    expect(fault({ ...good, observedAtMs: 8 * ROUND_MS })).toBe('TIME_NOT_IN_ROUND')
  })

  it('with a high s or a foreign recovery byte', () => {
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const s = BigInt(`0x${good.signature.slice(66, 130)}`)
    const highS = (order - s).toString(16).padStart(64, '0')
    const flipped = good.signature.endsWith('00') ? '01' : '00'
    expect(fault({ ...good, signature: `0x${good.signature.slice(2, 66)}${highS}${flipped}` })).toBe('SIGNATURE_INVALID')
    expect(fault({ ...good, signature: `${good.signature.slice(0, -2)}1b` as Hex })).toBe('SIGNATURE_INVALID')
    expect(fault({ ...good, signature: `${good.signature}00` as Hex })).toBe('SIGNATURE_INVALID')
  })

  it('with no leaves, too many, unsorted or repeated ones', async () => {
    expect(fault({ ...good, leaves: [] })).toBe('LEAVES_EMPTY')
    const many = Array.from({ length: 65 }, (_, index) => leaf(`0x${index.toString(16).padStart(64, '0')}`, 1n))
    expect(fault({ ...good, leaves: many })).toBe('LEAVES_TOO_MANY')
    expect(fault({ ...good, leaves: [leaf(feedB, 1n), leaf(feedA, 1n)] })).toBe('LEAVES_UNSORTED')
    expect(fault({ ...good, leaves: [leaf(feedA, 1n), leaf(feedA, 1n)] })).toBe('LEAVES_UNSORTED')
  })

  it('with numbers out of range', () => {
    for (const bad of [
      leaf(feedA, 2n ** 191n),
      leaf(feedA, 1n, { confidence: 2n ** 64n }),
      leaf(feedA, 1n, { confidence: -1n }),
      leaf(feedA, 1n, { low: 2n }),
      leaf(feedA, 3n, { high: 2n }),
    ])
      expect(fault({ ...good, leaves: [bad] })).toBe('VALUE_RANGE')
  })
})
