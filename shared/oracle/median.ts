/**
 * From individually signed values to one number that no f of them can move outside the honest range.
 * Source: whitepaper 4.2.2; order statistics. Even counts take the lower middle: some source said exactly that.
 * @module
 */
import { invariant } from '#shared/fault.ts'
import type { FeedStatus } from '#shared/oracle/types.ts'
import { faultBudget } from '#shared/params.ts'

const compareBigint = (left: bigint, right: bigint): number => (left < right ? -1 : left > right ? 1 : 0)

/** Lower middle of the sorted values. Expects at least one. */
export function lowerMedian(values: readonly bigint[]): bigint {
  const sorted = values.toSorted(compareBigint)
  const middle = sorted[Math.floor((sorted.length - 1) / 2)]
  invariant(middle !== undefined, 'a median needs a value')
  return middle
}

/** Distance between the (f+1)-th lowest and (f+1)-th highest value: f liars cannot widen it beyond what honest sources disagree. */
export function robustSpread(values: readonly bigint[], memberCount: number): bigint {
  const sorted = values.toSorted(compareBigint)
  const cut = faultBudget(memberCount)
  const low = sorted[cut]
  const high = sorted[sorted.length - 1 - cut]
  return low === undefined || high === undefined || high < low ? 0n : high - low
}

/** One member's word on one feed. */
export type Observation = Readonly<{ value: bigint; status: FeedStatus; observedAtMs: number }>
/** What a quorum of observations says together. */
export type Aggregate = Readonly<{ value: bigint; spread: bigint; status: FeedStatus; observedAtMs: number }>

const isWide = (spread: bigint, value: bigint, limitPpm: number): boolean =>
  value !== 0n && spread * 1_000_000n > BigInt(limitPpm) * (value < 0n ? -value : value)

const isPriced = (status: FeedStatus): boolean => status === 'OK' || status === 'WIDE'

/**
 * Aggregate of one feed, or null below `quorum` observations. Values of sources that quote decide when they reach the quorum themselves;
 * otherwise the feed is HALTED, or CLOSED when more sources say so, with the median of all as its last known value.
 */
export function aggregate(
  observations: readonly Observation[],
  memberCount: number,
  quorum: number,
  spreadLimitPpm: number,
): Aggregate | null {
  if (observations.length < quorum) return null
  const priced = observations.filter(({ status }) => isPriced(status))
  const counted = priced.length >= quorum ? priced : observations
  const values = counted.map(({ value }) => value)
  const value = lowerMedian(values)
  const spread = robustSpread(values, memberCount)
  const observedAtMs = Number(lowerMedian(counted.map((one) => BigInt(one.observedAtMs))))
  if (priced.length < quorum) {
    const closed = observations.filter(({ status }) => status === 'CLOSED').length
    return { value, spread, observedAtMs, status: 2 * closed > observations.length - priced.length ? 'CLOSED' : 'HALTED' }
  }
  const plain = priced.filter(({ status }) => status === 'OK').length
  return { value, spread, observedAtMs, status: plain < quorum || isWide(spread, value, spreadLimitPpm) ? 'WIDE' : 'OK' }
}
