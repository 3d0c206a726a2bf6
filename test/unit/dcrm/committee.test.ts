/** Who is seated and who signs. Expected values: exhaustive search in the test, binomials by floating point, properties. @module */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseCommittee, chooseSigningSet, largestSigningSet } from '#shared/dcrm/committee.ts'
import type { Dispute } from '#shared/dcrm/committee.ts'
import { committeeSize, lossNumerator } from '#shared/dcrm/committee-size.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { InvariantError } from '#shared/fault.ts'
import type { Hex } from '#shared/types.ts'
import { hashed, seedOf, u64 } from '#test/unit/dcrm/support.ts'

const draw = (word: string, attempt = 0) => ({ randomness: seedOf(word), requestId: seedOf('request'), attempt })
const candidates = (count: number, operators: number) =>
  Array.from({ length: count }, (_, index) => ({ id: index + 1, operator: `0x0${index % operators}` as Hex }))
const isApart = (disputes: readonly Dispute[], left: number, right: number) =>
  disputes.some(([one, other]) => (one === left && other === right) || (one === right && other === left))
const isClique = (set: readonly number[], disputes: readonly Dispute[]) =>
  set.every((left) => set.every((right) => left === right || !isApart(disputes, left, right)))
const subsets = (ids: readonly number[]): readonly (readonly number[])[] =>
  ids.reduce<number[][]>((all, id) => [...all, ...all.map((set) => [...set, id])], [[]])

describe('a committee', () => {
  it('has distinct operators and ascending ids, whatever is drawn', () => {
    for (let index = 0; index < 50; index++) {
      const seated = chooseCommittee(nobleBackend, draw(`draw ${index}`), candidates(12, 5), 5)
      expect(seated).toEqual(seated?.toSorted((left, right) => left - right))
      expect(new Set(seated?.map((id) => (id - 1) % 5)).size).toBe(5)
    }
  })
  it('is seated in the order of the hashes of randomness, request, attempt and id', () => {
    const given = draw('order', 3)
    const hashOf = (id: number) => hashed('seat', given.randomness, given.requestId, u64(3), u64(id))
    const order = candidates(12, 12)
      .map(({ id }) => id)
      .toSorted((left, right) => (hashOf(left) < hashOf(right) ? -1 : 1))
    const expected = order.slice(0, 5).toSorted((left, right) => left - right)
    expect(chooseCommittee(nobleBackend, given, candidates(12, 12), 5)).toEqual(expected)
  })
  it('does not exist with too few operators', () => {
    expect(chooseCommittee(nobleBackend, draw('few'), candidates(12, 4), 5)).toBe(null)
  })
  it('counts a party named twice once', () => {
    const twice = [...candidates(2, 2), { id: 1, operator: '0x09' as Hex }]
    expect(chooseCommittee(nobleBackend, draw('twice'), twice, 3)).toBe(null)
  })
  it('seats everybody equally often', () => {
    const seats = new Map<number, number>()
    for (let index = 0; index < 600; index++)
      for (const id of chooseCommittee(nobleBackend, draw(`fair ${index}`), candidates(6, 6), 2) ?? [])
        seats.set(id, (seats.get(id) ?? 0) + 1)
    // Each expects 200 with a deviation of 11.5; five deviations.
    for (const count of seats.values()) expect(Math.abs(count - 200)).toBeLessThan(58)
    expect(seats.size).toBe(6)
  })
  it('changes with randomness, request and attempt', () => {
    const many = candidates(30, 30)
    const of = (given: ReturnType<typeof draw>) => String(chooseCommittee(nobleBackend, given, many, 5))
    const base = of(draw('base'))
    expect(of(draw('base'))).toBe(base)
    expect(of(draw('other'))).not.toBe(base)
    expect(of(draw('base', 1))).not.toBe(base)
    expect(of({ ...draw('base'), requestId: seedOf('another') })).not.toBe(base)
  })
})

describe('a signing set', () => {
  const members = [2, 3, 5, 8, 13, 21, 34]
  const pairs = members.flatMap((left, index) => members.slice(index + 1).map((right): Dispute => [left, right]))
  it('is a clique of exactly t members that are not excluded, if and only if there is one', () => {
    fc.assert(
      fc.property(fc.subarray(pairs), fc.subarray(members), fc.integer({ min: 2, max: 5 }), (disputes, excluded, threshold) => {
        const set = chooseSigningSet(nobleBackend, draw('any'), members, threshold, disputes, excluded)
        const able = members.filter((id) => !excluded.includes(id))
        const best = Math.max(
          ...subsets(able)
            .filter((each) => isClique(each, disputes))
            .map((each) => each.length),
        )
        expect(largestSigningSet(members, disputes, excluded)).toBe(best)
        expect(set === null).toBe(best < threshold)
        if (set === null) return
        expect(set).toHaveLength(threshold)
        expect(set.every((id) => able.includes(id)) && isClique(set, disputes)).toBe(true)
        expect(set).toEqual(set.toSorted((left, right) => left - right))
      }),
      { numRuns: 200 },
    )
  })
  it('keeps disputing members apart whoever accused whom', () => {
    for (const dispute of [
      [2, 3],
      [3, 2],
    ] as const)
      expect(chooseSigningSet(nobleBackend, draw('pair'), [2, 3], 2, [dispute], [])).toBe(null)
  })
  it('is another one at the next attempt, sooner or later every one', () => {
    const seen = new Set(
      Array.from({ length: 60 }, (_, attempt) => String(chooseSigningSet(nobleBackend, draw('retry', attempt), [1, 2, 3], 2, [], []))),
    )
    expect(seen).toEqual(new Set(['1,2', '1,3', '2,3']))
  })
  it('is the first of all such sets in the order of the draw', () => {
    // With no disputes the drawn order itself shows: the set of size n + 1 extends the set of size n.
    const prefix = (size: number) => chooseSigningSet(nobleBackend, draw('order'), members, size, [], []) ?? []
    const order = members.map((_, index) => prefix(index + 1).find((id) => !prefix(index).includes(id)) ?? 0)
    const rank = (set: readonly number[]) => set.map((id) => order.indexOf(id)).toSorted((left, right) => left - right)
    fc.assert(
      fc.property(fc.subarray(pairs), fc.integer({ min: 1, max: 5 }), (disputes, threshold) => {
        const ranks = subsets(members)
          .filter((each) => each.length === threshold && isClique(each, disputes))
          .map(rank)
          .toSorted((left, right) => (left.map((each) => String(each)).join('') < right.map((each) => String(each)).join('') ? -1 : 1))
        const set = chooseSigningSet(nobleBackend, draw('order'), members, threshold, disputes, [])
        expect(set === null ? undefined : rank(set)).toEqual(ranks[0])
      }),
      { numRuns: 100 },
    )
  })
  it('is drawn in the order of hashes of its own', () => {
    const given = draw('order', 3)
    const hashOf = (id: number) => hashed('signers', given.randomness, given.requestId, u64(3), u64(id))
    const order = members.toSorted((left, right) => (hashOf(left) < hashOf(right) ? -1 : 1))
    const expected = order.slice(0, 4).toSorted((left, right) => left - right)
    expect(chooseSigningSet(nobleBackend, given, members, 4, [], [])).toEqual(expected)
  })
  it('is the largest where somebody with the most disputes must sign, and where such a one must not', () => {
    const apart = (...disputes: readonly Dispute[]) => largestSigningSet([0, 1, 2, 3, 4, 5], disputes, [])
    // 0, 1 and 2 have no dispute among each other; 1 has three with others, as many as anybody.
    expect(apart([3, 1], [3, 2], [4, 0], [4, 1], [4, 2], [5, 0], [5, 1], [5, 3])).toBe(3)
    // 0, 1, 3 and 5 have none; 2 and 4 have three each.
    expect(apart([2, 0], [2, 1], [4, 0], [4, 1], [4, 2])).toBe(4)
    expect(apart([2, 0], [2, 1], [4, 0], [4, 2], [4, 3], [5, 1], [5, 3])).toBe(3)
  })
  it('is not sought among more than 32, the most a committee has', () => {
    const many = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
    expect(largestSigningSet(many(32), [], [])).toBe(32)
    expect(() => largestSigningSet(many(33), [], [])).toThrow(InvariantError)
  })
  it('ignores disputes of strangers and with oneself', () => {
    // Of three in a row of two disputes the outer ones sign, whatever they say of themselves.
    const row: readonly Dispute[] = [
      [1, 2],
      [1, 3],
      [2, 2],
      [3, 3],
    ]
    expect(largestSigningSet([1, 2, 3], row, [])).toBe(2)
    expect(
      largestSigningSet(
        [1, 2],
        [
          [1, 1],
          [1, 9],
          [9, 2],
        ],
        [],
      ),
    ).toBe(2)
  })
  it('costs little whatever the disputes are', () => {
    const all = Array.from({ length: 32 }, (_, index) => index + 1)
    const groups = (size: number) =>
      all.flatMap((left) =>
        all
          .filter((right) => right > left && right - 1 - ((right - 1) % size) === left - 1 - ((left - 1) % size))
          .map((right): Dispute => [left, right]),
      )
    // A search that extends sets one by one takes a tenth of a second for each of these.
    for (let round = 0; round < 40; round++) expect([2, 3, 4].map((size) => largestSigningSet(all, groups(size), []))).toEqual([16, 11, 8])
  }, 4000)
  it('is found among 32 members with many disputes', () => {
    const all = Array.from({ length: 32 }, (_, index) => index + 1)
    // Eight groups of four that all dispute with each other inside: the largest clique takes one of each group.
    const disputes = all.flatMap((left) =>
      all.filter((right) => right > left && right % 8 === left % 8).map((right): Dispute => [left, right]),
    )
    expect(largestSigningSet(all, disputes, [])).toBe(8)
    expect(chooseSigningSet(nobleBackend, draw('large'), all, 9, disputes, [])).toBe(null)
  })
})

describe('the size of a committee', () => {
  const probability = (availability: number, threshold: number, size: number): number => {
    const choose = (n: number, k: number): number => (k === 0 ? 1 : (choose(n, k - 1) * (n - k + 1)) / k)
    let sum = 0
    for (let count = 0; count < threshold; count++)
      sum += choose(size, count) * availability ** count * (1 - availability) ** (size - count)
    return sum
  }
  it('is the smallest of 2t − 1 that keeps the bound', () => {
    const thresholds = Array.from({ length: 15 }, (_, index) => index + 2)
    for (const availability of [0.9, 0.95, 0.99, 0.999])
      for (const exponent of [3, 6, 9]) {
        const threshold = thresholds.find((each) => probability(availability, each, 2 * each - 1) <= 10 ** -exponent)
        const expected = threshold === undefined ? null : { threshold, size: 2 * threshold - 1 }
        expect(committeeSize({ availabilityPpm: Math.round(availability * 1e6), maxLossExponent: exponent, domains: 32 })).toEqual(expected)
      }
  })
  it('is exact: a bound met exactly is met', () => {
    // Availability 1/2, 2 of 3: loss 1/2.
    expect(lossNumerator(500_000, { threshold: 2, size: 3 })).toBe(500_000n * 10n ** 12n)
    expect(committeeSize({ availabilityPpm: 900_000, maxLossExponent: 0, domains: 3 })).toEqual({ threshold: 2, size: 3 })
    // Members that are never there are lost with probability 1 = 10^0.
    expect(committeeSize({ availabilityPpm: 0, maxLossExponent: 0, domains: 3 })).toEqual({ threshold: 2, size: 3 })
  })
  it('needs as many operators as members', () => {
    expect(committeeSize({ availabilityPpm: 990_000, maxLossExponent: 4, domains: 5 })).toEqual({ threshold: 3, size: 5 })
    expect(committeeSize({ availabilityPpm: 990_000, maxLossExponent: 4, domains: 4 })).toBe(null)
    expect(committeeSize({ availabilityPpm: 500_000, maxLossExponent: 12, domains: 1000 })).toBe(null)
  })
})
