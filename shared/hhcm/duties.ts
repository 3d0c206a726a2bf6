/**
 * Virtual grouping and the order of authors in each lane, from a slot's seed.
 * Source: whitepaper 5.5.1, f(alpha, beta) mod X with f the position in a keyed shuffle, so that group sizes differ by at most one;
 * inside a group the order is drawn by stake (5.5.2).
 * @module
 */
import { bytesToBigint, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { shuffledIndices } from '#shared/hhcm/shuffle.ts'
import type { HhcmConfig } from '#shared/hhcm/types.ts'
import type { Hash, Lane } from '#shared/types.ts'

/** Per lane the indices of the group's validators in author order: position 0 is the winner. */
export type Duties = readonly (readonly number[])[]

const GROUP_TAG = utf8ToBytes('fusion.group')
const RANK_TAG = utf8ToBytes('fusion.rank')

/** Groups before ranking: validator at shuffle position p belongs to group p mod X. */
export function groupsOf(seed: Hash, validatorCount: number, laneCount: number): number[][] {
  const groups: number[][] = Array.from({ length: laneCount }, () => [])
  const shuffled = shuffledIndices(concatBytes(GROUP_TAG, hexToBytes(seed)), validatorCount)
  for (const [position, validator] of shuffled.entries()) groups[position % laneCount]?.push(validator)
  return groups
}

/**
 * Order of a group's members, drawn one after the other without replacement with probability proportional to stake.
 * A draw is a 256-bit hash modulo the remaining stake; the bias is below 2^-160.
 */
export function rankMembers(
  seed: Hash,
  lane: Lane,
  members: readonly number[],
  stakes: readonly bigint[],
  sha256: (data: Uint8Array) => Uint8Array,
): number[] {
  const remaining = members.map((validator) => ({ validator, stake: stakes[validator] ?? 0n }))
  let total = remaining.reduce((sum, { stake }) => sum + stake, 0n)
  const ranked: number[] = []
  while (remaining.length > 0) {
    let chosen = 0
    if (total > 0n && remaining.length > 1) {
      let ticket = bytesToBigint(sha256(concatBytes(RANK_TAG, hexToBytes(seed), Uint8Array.of(lane, ranked.length)))) % total
      while (chosen < remaining.length - 1 && ticket >= (remaining[chosen]?.stake ?? 0n)) ticket -= remaining[chosen++]?.stake ?? 0n
    }
    for (const { validator, stake } of remaining.splice(chosen, 1)) {
      ranked.push(validator)
      total -= stake
    }
  }
  return ranked
}

/** Groups and ranks of every lane for one seed. */
export function dutiesOf(config: HhcmConfig, seed: Hash, sha256: (data: Uint8Array) => Uint8Array): Duties {
  const stakes = config.validators.map((validator) => validator.stakeWei)
  return groupsOf(seed, stakes.length, config.laneCount).map((members, lane) =>
    // Members are sorted first so that ranks depend on the set alone.
    rankMembers(
      seed,
      lane,
      members.toSorted((left, right) => left - right),
      stakes,
      sha256,
    ),
  )
}
