/**
 * The feed registry's storage: source sets, feeds and their history rings as the contract FeedRegistry lays them out.
 * Source: contracts/src/FeedRegistry.sol, whose layout a test compares with this. Whitepaper 4.2.2.
 * @module
 */
import type { Reading, StorageWrite } from '#shared/codec/solidity-storage.ts'
import {
  addressOf,
  arraySlot,
  fieldOf,
  mappingSlot,
  numberOf,
  readRange,
  readSlot,
  readString,
  readWords,
  slotAfter,
  toWord,
  withField,
} from '#shared/codec/solidity-storage.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { invariant } from '#shared/fault.ts'
import { FEED_STATUSES } from '#shared/oracle/batch.ts'
import { reportDigest } from '#shared/oracle/ids.ts'
import type { SourceSet } from '#shared/oracle/types.ts'
import { FEED_RING_REPORTS } from '#shared/params.ts'
import { FEED_REGISTRY } from '#shared/system.ts'
import type { FeedReport } from '#shared/trigger/types.ts'
import type { Address, Hash, Height, Wei } from '#shared/types.ts'

type Keccak = Pick<CryptoSuite, 'keccak256'>

/** Slots of the contract's variables. */
export const FEED_REGISTRY_SLOTS = { genesisHash: 0n, setIds: 1n, sets: 2n, feeds: 3n } as const
/** Words of a set's row. */
export const SET_WORDS = { owner: 0, funding: 1, members: 2, shards: 3, name: 4, nextRounds: 5 } as const
/** Words of a feed's row. */
export const FEED_WORDS = { sourceSet: 0, state: 1, name: 2, ring: 3 } as const
/** Bits of a feed's state word. */
export const FEED_STATE = { shard: [0, 16], decimals: [16, 8], deviationPpm: [24, 32], heartbeatSec: [56, 32], sequence: [88, 64] } as const
/** Bits of a report's first two words; the third is the bitmap of reporters. */
export const REPORT_HEAD = { value: [0, 192], status: [192, 8], afterGap: [200, 8], observedAtMs: [208, 48] } as const
/** Bits of a report's second word. */
export const REPORT_TAIL = { firstRound: [0, 64], lastRound: [64, 64], sequence: [128, 64], lastObservedAtMs: [192, 48] } as const

/** What the registry knows of a feed. `sequence` is the newest report's, 0 for none. */
export type Feed = Readonly<{
  id: Hash
  sourceSet: Hash
  shard: number
  decimals: number
  deviationPpm: number
  heartbeatSec: number
  sequence: bigint
  name: string
}>

/** A source set and its name. */
export type NamedSourceSet = SourceSet & Readonly<{ name: string }>

const setSlot = (id: Hash, suite: Keccak): bigint => mappingSlot(id, FEED_REGISTRY_SLOTS.sets, suite)
/** First slot of a feed's row. */
export const feedSlot = (id: Hash, suite: Keccak): bigint => mappingSlot(id, FEED_REGISTRY_SLOTS.feeds, suite)

/** First of the three slots of a report. */
export function reportSlot(feed: Hash, sequence: bigint, suite: Keccak): bigint {
  return mappingSlot(sequence % BigInt(FEED_RING_REPORTS), slotAfter(feedSlot(feed, suite), FEED_WORDS.ring), suite)
}

/** Ids of all source sets in order of registration. */
export function* readSourceSetIds(suite: Keccak): Reading<Hash[]> {
  return (yield* readWords(FEED_REGISTRY, FEED_REGISTRY_SLOTS.setIds, suite)).map((word) => toWord(word))
}

/** A source set, or null. */
export function* readSourceSet(id: Hash, suite: Keccak): Reading<NamedSourceSet | null> {
  const base = setSlot(id, suite)
  const head = yield* readSlot(FEED_REGISTRY, base)
  const kind = numberOf(head, 192, 8)
  if (kind === 0) return null
  const fundingWei = yield* readSlot(FEED_REGISTRY, slotAfter(base, SET_WORDS.funding))
  const members = (yield* readWords(FEED_REGISTRY, slotAfter(base, SET_WORDS.members), suite)).map((word) => addressOf(word, 0))
  const shardCount = Number(yield* readSlot(FEED_REGISTRY, slotAfter(base, SET_WORDS.shards)))
  const feeds: Hash[][] = []
  for (let shard = 0; shard < shardCount; shard++) {
    const shards = arraySlot(slotAfter(base, SET_WORDS.shards), suite)
    feeds.push((yield* readWords(FEED_REGISTRY, slotAfter(shards, shard), suite)).map((word) => toWord(word)))
  }
  const name = yield* readString(FEED_REGISTRY, slotAfter(base, SET_WORDS.name), suite)
  return {
    id,
    name,
    kind: kind === 1 ? 'provider' : 'reporter',
    owner: addressOf(head, 0),
    members,
    roundMs: numberOf(head, 160, 32),
    shardCount,
    feeds,
    fundingWei,
  }
}

/** Where a shard stands: its last attested round (−1 for none), the block that brought it, and how many rounds that block brought. */
export type RoundMark = Readonly<{ lastRound: number; height: Height; count: number }>

/** Bits of a shard's round word; the first field is the last round plus 1. */
const ROUND_MARK = { next: [0, 64], height: [64, 48], count: [112, 16] } as const

/** Reads where a shard stands. */
export function* readRoundMark(set: Hash, shard: number, suite: Keccak): Reading<RoundMark> {
  const word = yield* readSlot(FEED_REGISTRY, roundSlot(set, shard, suite))
  return {
    lastRound: Number(fieldOf(word, ...ROUND_MARK.next)) - 1,
    height: numberOf(word, ...ROUND_MARK.height),
    count: numberOf(word, ...ROUND_MARK.count),
  }
}

/** Makes a round the shard's last one. */
export function roundWrite(set: Hash, shard: number, { lastRound, height, count }: RoundMark, suite: Keccak): StorageWrite {
  const counted = withField(withField(0n, ...ROUND_MARK.height, BigInt(height)), ...ROUND_MARK.count, BigInt(count))
  return { slot: toWord(roundSlot(set, shard, suite)), value: toWord(withField(counted, ...ROUND_MARK.next, BigInt(lastRound) + 1n)) }
}

function roundSlot(set: Hash, shard: number, suite: Keccak): bigint {
  return mappingSlot(BigInt(shard), slotAfter(setSlot(set, suite), SET_WORDS.nextRounds), suite)
}

/** A feed, or null. */
export function* readFeed(id: Hash, suite: Keccak): Reading<Feed | null> {
  const base = feedSlot(id, suite)
  const sourceSet = yield* readSlot(FEED_REGISTRY, base)
  if (sourceSet === 0n) return null
  const state = yield* readSlot(FEED_REGISTRY, slotAfter(base, FEED_WORDS.state))
  const number = (field: readonly [number, number]): number => numberOf(state, ...field)
  return {
    id,
    sourceSet: toWord(sourceSet),
    shard: number(FEED_STATE.shard),
    decimals: number(FEED_STATE.decimals),
    deviationPpm: number(FEED_STATE.deviationPpm),
    heartbeatSec: number(FEED_STATE.heartbeatSec),
    sequence: fieldOf(state, ...FEED_STATE.sequence),
    name: yield* readString(FEED_REGISTRY, slotAfter(base, FEED_WORDS.name), suite),
  }
}

/** Sequence of a feed's newest report, 0 for none or for no such feed. */
export function* readSequence(feed: Hash, suite: Keccak): Reading<bigint> {
  const state = yield* readSlot(FEED_REGISTRY, slotAfter(feedSlot(feed, suite), FEED_WORDS.state))
  return fieldOf(state, ...FEED_STATE.sequence)
}

/** First sequence the ring still holds when `newest` is the last, 0 when there is none. */
export function oldestSequence(newest: bigint): bigint {
  const ring = BigInt(FEED_RING_REPORTS)
  return newest > ring ? newest - ring + 1n : newest === 0n ? 0n : 1n
}

/** A report that the ring holds. */
export function* readReport(feed: Hash, sequence: bigint, suite: Keccak): Reading<FeedReport> {
  const [head = 0n, tail = 0n] = yield* readRange(FEED_REGISTRY, reportSlot(feed, sequence, suite), 0, 2)
  const status = FEED_STATUSES[numberOf(head, ...REPORT_HEAD.status)]
  invariant(status !== undefined && fieldOf(tail, ...REPORT_TAIL.sequence) === sequence, 'a sequence within bounds is stored')
  const value = BigInt.asIntN(192, fieldOf(head, ...REPORT_HEAD.value))
  const firstRound = Number(fieldOf(tail, ...REPORT_TAIL.firstRound))
  return {
    sequence,
    value,
    status,
    firstRound,
    lastRound: Number(fieldOf(tail, ...REPORT_TAIL.lastRound)),
    observedAtMs: numberOf(head, ...REPORT_HEAD.observedAtMs),
    lastObservedAtMs: numberOf(tail, ...REPORT_TAIL.lastObservedAtMs),
    afterGap: fieldOf(head, ...REPORT_HEAD.afterGap) === 1n,
    digest: reportDigest(feed, firstRound, value, suite),
  }
}

/** Newest report of a feed, or null. */
export function* readLatestReport(feed: Hash, suite: Keccak): Reading<FeedReport | null> {
  const newest = yield* readSequence(feed, suite)
  return newest === 0n ? null : yield* readReport(feed, newest, suite)
}

/** Reports after a sequence, oldest first, at most `limit`; `oldest` is the first sequence held, 0 for none. */
export function* readHistory(
  feed: Hash,
  after: bigint,
  limit: number,
  suite: Keccak,
): Reading<Readonly<{ reports: readonly FeedReport[]; oldest: bigint }>> {
  const newest = yield* readSequence(feed, suite)
  const oldest = oldestSequence(newest)
  const reports: FeedReport[] = []
  for (let sequence = after < oldest ? oldest : after + 1n; sequence !== 0n && sequence <= newest && reports.length < limit; sequence++)
    reports.push(yield* readReport(feed, sequence, suite))
  return { reports, oldest }
}

/** Members whose signed values made a stored report. */
export function* readReporters(feed: Hash, sequence: bigint, members: readonly Address[], suite: Keccak): Reading<Address[]> {
  const bitmap = yield* readSlot(FEED_REGISTRY, slotAfter(reportSlot(feed, sequence, suite), 2))
  return members.filter((_, index) => ((bitmap >> BigInt(index)) & 1n) === 1n)
}

/** Funding of a set after a charge. */
export function fundingWrite(set: SourceSet, fundingWei: Wei, suite: Keccak): StorageWrite {
  return {
    slot: toWord(slotAfter(setSlot(set.id, suite), SET_WORDS.funding)),
    value: toWord(withField(0n, 0, 128, fundingWei)),
  }
}
