/** Randomness, tickets, preference between blocks, and the properties that keep them from being ground. @module */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { findTicket, ticketDigest, ticketSeed } from '#shared/hhcm/pow.ts'
import { comparePreference, rankSumOf } from '#shared/hhcm/preference.ts'
import { blockRandomness, genesisRandomness, slotSeed, vrfInput } from '#shared/hhcm/randomness.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import type { Hash } from '#shared/types.ts'
import { simConfig, simGenesis, simValidators } from '#test/sim/chain-stub.ts'
import { MUTANTS } from '#test/sim/mutants.ts'
import { Cluster } from '#test/unit/hhcm/cluster.ts'

const sha256 = (data: Uint8Array): Uint8Array => new Uint8Array(createHash('sha256').update(data).digest())
const digestOf = (...parts: readonly Uint8Array[]): Hash => bytesToHex(sha256(concatBytes(...parts)))
const utf8 = (text: string): Uint8Array => new TextEncoder().encode(text)
const hash32 = (byte: number): Hash => `0x${byte.toString(16).padStart(2, '0').repeat(32)}`
const u64 = (value: number): Uint8Array => {
  const bytes = new Uint8Array(8)
  new DataView(bytes.buffer).setBigUint64(0, BigInt(value))
  return bytes
}
const race = {
  genesisHash: hash32(1),
  seed: hash32(2),
  slot: 9,
  lane: 1,
  author: `0x${'03'.repeat(20)}`,
  vrfOutput: new Uint8Array(64).fill(4),
} as const

describe('the randomness chain', () => {
  const parent = { randomness: hash32(7), slot: 10 }

  it('starts from the genesis hash and adds the output of each author', () => {
    expect(genesisRandomness(hash32(1), sha256)).toBe(digestOf(utf8('fusion-genesis'), hexToBytes(hash32(1))))
    expect(blockRandomness(hash32(5), Uint8Array.of(1, 2), sha256)).toBe(digestOf(hexToBytes(hash32(5)), Uint8Array.of(1, 2)))
    expect(bytesToHex(vrfInput(hash32(1), hash32(2), 9))).toBe(
      bytesToHex(concatBytes(utf8('fusion.vrf'), hexToBytes(hash32(1)), hexToBytes(hash32(2)), u64(9))),
    )
  })

  it("gives the parent's randomness to the next slot and one hash to any later one, however long the gap", () => {
    let hashes = 0
    const counted = (data: Uint8Array): Uint8Array => {
      hashes++
      return sha256(data)
    }
    expect(slotSeed(parent, 11, counted)).toBe(parent.randomness)
    expect(slotSeed(parent, 14, counted)).toBe(digestOf(utf8('fusion.skip'), hexToBytes(parent.randomness), u64(11), u64(3)))
    expect(slotSeed(parent, 1_000_014, counted)).not.toBe(slotSeed(parent, 14, counted))
    expect(hashes).toBe(3)
  })

  it('does not depend on the content of the block, so that content cannot be ground', () => {
    const { header } = simGenesis(simConfig(simValidators(4), 2, 0, null))
    const seeds = (rules: typeof RULES): Set<Hash> =>
      new Set(Array.from({ length: 20 }, (_, index) => rules.slotSeed({ ...header, gasUsed: BigInt(index) }, hash32(index), 1, sha256)))
    expect(seeds(RULES).size).toBe(1)
    expect(seeds(MUTANTS['hash-seed'].rules).size).toBe(20)
  })
})

describe('the bounded race', () => {
  it('hashes tag, chain, seed, slot, lane, author and VRF output, and the nonce', () => {
    const seed = ticketSeed(race, sha256)
    const parts = [utf8('fusion.ticket'), hexToBytes(race.genesisHash), hexToBytes(race.seed), u64(9), Uint8Array.of(0, 1)]
    expect(bytesToHex(seed)).toBe(digestOf(...parts, hexToBytes(race.author), race.vrfOutput))
    expect(ticketDigest(seed, 258, sha256)).toBe(digestOf(seed, Uint8Array.of(0, 0, 1, 2)))
  })

  it('finds the lowest of exactly K digests', () => {
    const seed = ticketSeed(race, sha256)
    const digests = Array.from({ length: 300 }, (_, nonce) => ticketDigest(seed, nonce, sha256))
    const lowest = digests.toSorted()[0]
    expect(findTicket(seed, 300, sha256)).toEqual({ nonce: digests.indexOf(lowest ?? '0x'), digest: lowest })
    let tries = 0
    findTicket(seed, 77, (data) => {
      tries++
      return sha256(data)
    })
    expect(tries).toBe(77)
  })

  it('gives the same ticket for any content', () => {
    const tickets = (rules: typeof RULES): Set<string> =>
      new Set(Array.from({ length: 20 }, (_, index) => bytesToHex(rules.ticketSeed({ ...race, packageHash: hash32(index) }, sha256))))
    expect(tickets(RULES).size).toBe(1)
    expect(tickets(MUTANTS['content-ticket'].rules).size).toBe(20)
  })

  it('is won equally often by each of four representatives, whatever their speed', () => {
    const wins = [0, 0, 0, 0]
    for (let slot = 0; slot < 2000; slot++) {
      const digests = wins.map((_, lane) => findTicket(ticketSeed({ ...race, slot, lane }, sha256), 16, sha256).digest)
      const winner = digests.indexOf(digests.toSorted()[0] ?? '0x')
      wins[winner] = (wins[winner] ?? 0) + 1
    }
    const statistic = wins.reduce((sum, won) => sum + (won - 500) ** 2 / 500, 0)
    // 3 degrees of freedom: 16.3 is exceeded with probability 0.001.
    expect(statistic).toBeLessThan(16.3)
  })
})

describe('preference between blocks', () => {
  const base = { rank: 0, rankSum: 0, ticket: hash32(9), blockHash: hash32(9) }

  it('is rank, then the sum of ranks, then ticket, then hash; lower is better', () => {
    const ordered = [
      base,
      { ...base, blockHash: hash32(10) },
      { ...base, ticket: hash32(10), blockHash: hash32(1) },
      { ...base, rankSum: 1, ticket: hash32(1) },
      { ...base, rank: 1, ticket: hash32(1) },
    ]
    for (const [left, a] of ordered.entries())
      for (const [right, b] of ordered.entries()) expect(Math.sign(comparePreference(a, b))).toBe(Math.sign(left - right))
  })

  it('counts an absent lane as worse than any rank', () => {
    expect(rankSumOf([0, null], 4)).toBeGreaterThan(rankSumOf([0, 3], 4))
  })

  /** Share of blocks with a rank-0 author when in every slot the co-signers of one lane are cut off from its winner. */
  function authorsRank(rules: typeof RULES): number[] {
    const cluster = new Cluster({ rules, link: (_from, _to, message) => message.kind !== 'package' || message.package.header.rank > 0 })
    cluster.runToSlot(20, 900)
    const { state, blocks } = cluster.node(0)
    const ranks: number[] = []
    for (let at = blocks.get(state.head); at !== undefined; at = blocks.get(at.header.parentHash)) ranks.push(at.header.rank)
    return ranks
  }

  it('lets no late rank win against a winner that certified itself; the planted fault lets it', () => {
    expect(authorsRank(RULES).every((rank) => rank === 0)).toBe(true)
    expect(authorsRank(MUTANTS['higher-rank'].rules).some((rank) => rank === 1)).toBe(true)
  })
})
