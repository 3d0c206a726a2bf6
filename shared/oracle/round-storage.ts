/**
 * What an accepted round writes: every round counts, but a report is stored only when it says something new. Between two stored
 * reports the value stayed within the feed's deviation in every round. Source: whitepaper 4.2.2; docs/protocol.md, "Feeds".
 * @module
 */
import type { Reading, StorageWrite } from '#shared/codec/solidity-storage.ts'
import { readSlot, slotAfter, toWord, withField } from '#shared/codec/solidity-storage.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { FEED_STATUSES } from '#shared/oracle/batch.ts'
import type { Feed } from '#shared/oracle/feed-registry.ts'
import { FEED_STATE, FEED_WORDS, REPORT_HEAD, REPORT_TAIL, feedSlot, readLatestReport, reportSlot } from '#shared/oracle/feed-registry.ts'
import type { FeedMedian } from '#shared/oracle/verify-attestation.ts'
import { FEED_REGISTRY } from '#shared/system.ts'
import type { FeedReport } from '#shared/trigger/types.ts'
import type { Address } from '#shared/types.ts'

type Keccak = Pick<CryptoSuite, 'keccak256'>

const PPM = 1_000_000n
const magnitude = (value: bigint): bigint => (value < 0n ? -value : value)

/** Whether a median deserves a report of its own after the last one: first, gap, status, deviation or heartbeat. */
export function isStored(
  feed: Pick<Feed, 'deviationPpm' | 'heartbeatSec'>,
  last: FeedReport | null,
  median: FeedMedian,
  round: number,
): boolean {
  if (last === null || round > last.lastRound + 1 || median.status !== last.status) return true
  const change = magnitude(median.value - last.value)
  if (change !== 0n && change * PPM >= BigInt(feed.deviationPpm) * magnitude(last.value)) return true
  return median.observedAtMs - last.observedAtMs >= feed.heartbeatSec * 1000
}

/** Storage after one feed's median; `sequence` is the new report's, null when the last one was only extended. */
export type FeedChange = Readonly<{ writes: readonly StorageWrite[]; sequence: bigint | null }>

function* extended(feed: Feed, median: FeedMedian, round: number, suite: Keccak): Reading<FeedChange> {
  const slot = slotAfter(reportSlot(feed.id, feed.sequence, suite), 1)
  const tail = yield* readSlot(FEED_REGISTRY, slot)
  const counted = withField(tail, ...REPORT_TAIL.lastRound, BigInt(round))
  const value = withField(counted, ...REPORT_TAIL.lastObservedAtMs, BigInt(median.observedAtMs))
  return { writes: [{ slot: toWord(slot), value: toWord(value) }], sequence: null }
}

function* stored(
  feed: Feed,
  median: FeedMedian,
  place: Readonly<{ round: number; isGap: boolean; members: readonly Address[] }>,
  suite: Keccak,
): Reading<FeedChange> {
  const sequence = feed.sequence + 1n
  const head = [
    [REPORT_HEAD.value, BigInt.asUintN(192, median.value)],
    [REPORT_HEAD.status, BigInt(FEED_STATUSES.indexOf(median.status))],
    [REPORT_HEAD.afterGap, place.isGap ? 1n : 0n],
    [REPORT_HEAD.observedAtMs, BigInt(median.observedAtMs)],
  ] as const
  const tail = [
    [REPORT_TAIL.firstRound, BigInt(place.round)],
    [REPORT_TAIL.lastRound, BigInt(place.round)],
    [REPORT_TAIL.sequence, sequence],
    [REPORT_TAIL.lastObservedAtMs, BigInt(median.observedAtMs)],
  ] as const
  const packed = (fields: readonly (readonly [readonly [number, number], bigint])[]): bigint =>
    fields.reduce((word, [[offset, bits], value]) => withField(word, offset, bits, value), 0n)
  const reporters = place.members.reduce(
    (bits, member, index) => (median.reporters.includes(member) ? bits | (1n << BigInt(index)) : bits),
    0n,
  )
  const base = reportSlot(feed.id, sequence, suite)
  const stateSlot = slotAfter(feedSlot(feed.id, suite), FEED_WORDS.state)
  const state = withField(yield* readSlot(FEED_REGISTRY, stateSlot), ...FEED_STATE.sequence, sequence)
  const words = [packed(head), packed(tail), reporters]
  const writes = words.map((word, index) => ({ slot: toWord(slotAfter(base, index)), value: toWord(word) }))
  return { writes: [...writes, { slot: toWord(stateSlot), value: toWord(state) }], sequence }
}

/** Writes of one feed's median in one round. */
export function* storeMedian(
  feed: Feed,
  median: FeedMedian,
  round: number,
  members: readonly Address[],
  suite: Keccak,
): Reading<FeedChange> {
  const last = yield* readLatestReport(feed.id, suite)
  if (!isStored(feed, last, median, round)) return yield* extended(feed, median, round, suite)
  const isGap = last !== null && round > last.lastRound + 1
  return yield* stored(feed, median, { round, isGap, members }, suite)
}
