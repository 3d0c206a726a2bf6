/**
 * How large a committee must be so that losing most of it at once is as unlikely as asked. Exact arithmetic: probabilities are integers in
 * millionths and powers of ten. Source: paper 3.5.1 (1).
 * @module
 */
import { MAX_COMMITTEE } from '#shared/dcrm/descriptor.ts'

const MILLION = 1_000_000n

/** What a committee has to stand. */
export type CommitteeDemand = Readonly<{
  /** Share of time a member is there, in millionths: 990,000 is 99 %. */
  availabilityPpm: number
  /** Bound 10^-k of the probability that fewer than t members are there at one moment. */
  maxLossExponent: number
  /** Independent operators there are; members beyond them would fail together. */
  domains: number
}>

/** Signers required of how many. */
export type CommitteeSize = Readonly<{ threshold: number; size: number }>

function choose(count: number, picked: number): bigint {
  let result = 1n
  for (let index = 1; index <= picked; index++) result = (result * BigInt(count - picked + index)) / BigInt(index)
  return result
}

/** Probability that fewer than `threshold` of `size` are there, as a numerator over 10^(6·size). Members fail independently. */
export function lossNumerator(availabilityPpm: number, { threshold, size }: CommitteeSize): bigint {
  const here = BigInt(availabilityPpm)
  let sum = 0n
  for (let count = 0; count < threshold; count++)
    sum += choose(size, count) * here ** BigInt(count) * (MILLION - here) ** BigInt(size - count)
  return sum
}

/**
 * The smallest committee of size 2t − 1 whose loss probability is at most the demanded one, or null when the domains do not suffice.
 * 2t − 1 members keep a majority honest, so key generation has guaranteed output, and a thief must corrupt that majority.
 */
export function committeeSize({ availabilityPpm, maxLossExponent, domains }: CommitteeDemand): CommitteeSize | null {
  for (let threshold = 2; 2 * threshold - 1 <= Math.min(domains, MAX_COMMITTEE); threshold++) {
    const size = 2 * threshold - 1
    const loss = lossNumerator(availabilityPpm, { threshold, size })
    if (loss * 10n ** BigInt(maxLossExponent) <= MILLION ** BigInt(size)) return { threshold, size }
  }
  return null
}
