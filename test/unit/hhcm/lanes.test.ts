/** Grouping, ranks, lanes and the merge order. Expected values are computed here by hand or from first principles. @module */
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hexToBytes } from '#shared/bytes.ts'
import { dutiesOf, groupsOf, rankMembers } from '#shared/hhcm/duties.ts'
import { laneOf, laneOrder } from '#shared/hhcm/lanes.ts'
import { mergeOrder } from '#shared/hhcm/merge.ts'
import type { MergeClass } from '#shared/hhcm/merge.ts'
import { shuffledIndices } from '#shared/hhcm/shuffle.ts'
import type { Hash } from '#shared/types.ts'
import { simConfig, simValidators } from '#test/sim/chain-stub.ts'

const sha256 = (data: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(data).digest())
const seedOf = (text: string | number): Hash => `0x${createHash('sha256').update(`${text}`).digest('hex')}`
const hash32 = (byte: number): Hash => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`

/** Pearson's statistic against equal expectation. */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0)
}

describe('shuffle', () => {
  it('follows Fisher-Yates over a SHA-256 counter stream', () => {
    const key = Uint8Array.of(1, 2, 3)
    // The first digest has eight words, enough for five draws without rejection here.
    const digest = createHash('sha256')
      .update(Uint8Array.of(1, 2, 3, 0, 0, 0, 0))
      .digest()
    const expected = [0, 1, 2, 3, 4]
    for (let last = 4, word = 0; last > 0; last--, word++) {
      const chosen = digest.readUInt32BE(4 * word) % (last + 1)
      ;[expected[last], expected[chosen]] = [expected[chosen] ?? 0, expected[last] ?? 0]
    }
    expect(shuffledIndices(key, 5)).toEqual(expected)
  })

  it('is a permutation for any key and size', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(100), (key, count) => {
        expect(shuffledIndices(key, count).toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index))
      }),
    )
  })

  it('puts every item at every position equally often', () => {
    const counts = Array.from({ length: 36 }, () => 0)
    for (let trial = 0; trial < 6000; trial++)
      for (const [position, item] of shuffledIndices(hexToBytes(seedOf(trial)), 6).entries())
        counts[6 * position + item] = (counts[6 * position + item] ?? 0) + 1
    // 25 degrees of freedom: 52.6 is exceeded with probability 0.001.
    expect(chiSquare(counts)).toBeLessThan(52.6)
  })
})

describe('virtual groups', () => {
  it('partition the validators with sizes that differ by at most one (I10)', () => {
    fc.assert(
      fc.property(fc.nat(1_000_000), fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 16 }), (trial, count, laneCount) => {
        const groups = groupsOf(seedOf(trial), count, laneCount)
        expect(groups.flat().toSorted((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, index) => index))
        const sizes = groups.map(({ length }) => length)
        expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1)
      }),
      { numRuns: 50 },
    )
  })

  it('change with the seed', () => {
    const shapes = new Set(Array.from({ length: 50 }, (_, trial) => JSON.stringify(groupsOf(seedOf(trial), 21, 3))))
    expect(shapes.size).toBe(50)
  })
})

describe('ranks', () => {
  it('are won in proportion to stake', () => {
    const stakes = [1000n, 2000n, 3000n, 4000n]
    const wins = [0, 0, 0, 0]
    const trials = 10_000
    for (let trial = 0; trial < trials; trial++) {
      const [winner = 0] = rankMembers(seedOf(trial), 0, [0, 1, 2, 3], stakes, sha256)
      wins[winner] = (wins[winner] ?? 0) + 1
    }
    const statistic = wins.reduce((sum, won, index) => sum + (won - (trials * (index + 1)) / 10) ** 2 / ((trials * (index + 1)) / 10), 0)
    // 3 degrees of freedom: 16.3 is exceeded with probability 0.001.
    expect(statistic).toBeLessThan(16.3)
  })

  it('list every member once, members without stake last', () => {
    for (let trial = 0; trial < 50; trial++) {
      const ranked = rankMembers(seedOf(trial), 1, [2, 5, 7], [0n, 0n, 0n, 0n, 0n, 10n, 0n, 20n], sha256)
      expect(ranked.toSorted((a, b) => a - b)).toEqual([2, 5, 7])
      expect(ranked[2]).toBe(2)
    }
  })

  it('do not depend on the order in which the shuffle listed the members', () => {
    const config = simConfig(simValidators(7), 2, 0, null)
    const duties = dutiesOf(config, seedOf('x'), sha256)
    for (const [lane, members] of duties.entries())
      expect(
        rankMembers(
          seedOf('x'),
          lane,
          members.toSorted((a, b) => a - b),
          config.validators.map(({ stakeWei }) => stakeWei),
          sha256,
        ),
      ).toEqual(members)
  })
})

describe('lane of a transaction', () => {
  it('is SHA-256 of tag, randomness, kind and id modulo the lanes', () => {
    const randomness = seedOf('r')
    const to = `0x${'ab'.repeat(20)}` as const
    const digest = createHash('sha256')
      .update('fusion.lane')
      .update(hexToBytes(randomness))
      .update(Uint8Array.of(0))
      .update(hexToBytes(to))
      .digest('hex')
    expect(laneOf(randomness, { kind: 'call', to }, 5)).toBe(Number(BigInt(`0x${digest}`) % 5n))
  })

  it('keeps a call to an address apart from a transfer by it, and uses every lane', () => {
    const address = `0x${'11'.repeat(20)}` as const
    const lanes = (kind: 'call' | 'sender'): number[] =>
      Array.from({ length: 64 }, (_, trial) =>
        laneOf(seedOf(trial), kind === 'call' ? { kind, to: address } : { kind, sender: address }, 4),
      )
    expect(lanes('call')).not.toEqual(lanes('sender'))
    expect(new Set(lanes('call')).size).toBe(4)
    expect(laneOf(seedOf(1), { kind: 'entry', id: hash32(1) }, 1)).toBe(0)
    expect([0, 1]).toContain(laneOf(seedOf(1), { kind: 'set', id: hash32(1) }, 2))
  })
})

describe('merge order', () => {
  const trigger = (scheduledAtMs: number, id: number, occurrence: number): MergeClass => ({
    kind: 'trigger',
    scheduledAtMs,
    entryId: hash32(id),
    occurrence: hash32(occurrence),
  })
  const attestation = (set: number, shard: number, round: number): MergeClass => ({
    kind: 'attestation',
    sourceSet: hash32(set),
    shard,
    round,
  })
  const user: MergeClass = { kind: 'user' }

  it('is triggers by time, entry, occurrence; then users by lane; then attestations by set, shard, round', () => {
    const lanes: MergeClass[][] = [
      [user, attestation(2, 0, 1), trigger(5, 9, 1), user],
      [attestation(1, 1, 7), user, trigger(5, 2, 2), trigger(5, 2, 1), trigger(3, 9, 9), attestation(1, 0, 9), attestation(1, 1, 6)],
    ]
    const randomness = seedOf('merge')
    const users = laneOrder(randomness, 2).flatMap((lane) =>
      lane === 0
        ? [
            { lane: 0, index: 0 },
            { lane: 0, index: 3 },
          ]
        : [{ lane: 1, index: 1 }],
    )
    expect(mergeOrder(lanes, randomness)).toEqual([
      { lane: 1, index: 4 },
      { lane: 1, index: 3 },
      { lane: 1, index: 2 },
      { lane: 0, index: 2 },
      ...users,
      { lane: 1, index: 5 },
      { lane: 1, index: 6 },
      { lane: 1, index: 0 },
      { lane: 0, index: 1 },
    ])
  })

  it('gives no lane a fixed first place', () => {
    const firsts = new Set(Array.from({ length: 40 }, (_, trial) => mergeOrder([[user], [user]], seedOf(trial))[0]?.lane))
    expect(firsts.size).toBe(2)
  })

  it('places every transaction exactly once', () => {
    const some = fc.oneof(
      fc.constant(user),
      fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)).map(([time, id, occurrence]) => trigger(time, id, occurrence)),
      fc.tuple(fc.nat(3), fc.nat(3), fc.nat(3)).map(([set, shard, round]) => attestation(set, shard, round)),
    )
    fc.assert(
      fc.property(fc.array(fc.array(some, { maxLength: 6 }), { minLength: 1, maxLength: 5 }), fc.nat(1000), (lanes, trial) => {
        const places = mergeOrder(lanes, seedOf(trial)).map(({ lane, index }) => `${lane}:${index}`)
        expect(new Set(places).size).toBe(lanes.flat().length)
        expect(places.length).toBe(lanes.flat().length)
      }),
    )
  })
})
