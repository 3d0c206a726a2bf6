/**
 * Which of two blocks of the same weight is better.
 * The rank comes before the ticket because a group of two can certify itself: a late rank would otherwise win half of the races.
 * Source: docs/protocol.md, "Fork choice".
 * @module
 */
import { compareHex } from '#shared/bytes.ts'
import type { Hash } from '#shared/types.ts'

/** Lower is better, field by field. */
export type Preference = Readonly<{
  /** Rank of the author's own package. */
  rank: number
  /** Ranks of all lanes; an absent lane counts as one more than the last possible rank, so that leaving lanes out never pays. */
  rankSum: number
  ticket: Hash
  blockHash: Hash
}>

/** Negative when `left` is better. Total: ends at the block hash. */
export function comparePreference(left: Preference, right: Preference): number {
  return (
    left.rank - right.rank ||
    left.rankSum - right.rankSum ||
    compareHex(left.ticket, right.ticket) ||
    compareHex(left.blockHash, right.blockHash)
  )
}

/** Sum of the included ranks, null standing for an absent lane. */
export function rankSumOf(ranks: readonly (number | null)[], validatorCount: number): number {
  return ranks.reduce<number>((sum, rank) => sum + (rank ?? validatorCount), 0)
}
