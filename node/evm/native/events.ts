/**
 * Logs that the protocol writes in the name of its contracts; declared in ICallingList.sol and IFeedRegistry.sol.
 * Source: Solidity ABI, events.
 * @module
 */
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { feedRegistryAbi } from '#shared/api/abi/feed-registry.ts'
import { bigintToBytes, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { Log } from '#shared/chain/types.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import { FEED_STATUSES } from '#shared/oracle/batch.ts'
import type { FeedMedian } from '#shared/oracle/verify-attestation.ts'
import { CALLING_LIST, FEED_REGISTRY } from '#shared/system.ts'
import type { Due, Entry } from '#shared/trigger/types.ts'
import type { Hash, Wei } from '#shared/types.ts'
import { toEventSelector } from 'viem'
import type { AbiEvent } from 'viem'

/** Return data kept in a log, bytes. */
const RETURN_DATA_MAX = 256

const topicOf = (abi: readonly Readonly<{ type: string; name?: string }>[], eventName: string): Hash => {
  const event = abi.find(({ type, name }) => type === 'event' && name === eventName)
  return toEventSelector(event as AbiEvent)
}
const TOPICS = {
  fired: topicOf(callingListAbi, 'TriggerFired'),
  armed: topicOf(callingListAbi, 'TriggerArmed'),
  missed: topicOf(callingListAbi, 'TriggerMissed'),
  roundAttested: topicOf(feedRegistryAbi, 'RoundAttested'),
} as const

/** First topic of FeedUpdated. */
export const FEED_UPDATED_TOPIC: Hash = topicOf(feedRegistryAbi, 'FeedUpdated')

const word = (value: bigint | number | boolean): Uint8Array => bigintToBytes(BigInt.asUintN(256, BigInt(value)), 32)
const padRight = (bytes: Uint8Array): Uint8Array => concatBytes(bytes, new Uint8Array((32 - (bytes.length % 32)) % 32))
/** ASCII text of at most 32 bytes as a left-aligned word. */
const textWord = (text: string): Hash => bytesToHex(padRight(utf8ToBytes(text)))

/** What happened in a fire besides the occurrence itself. */
export type FireResult = Readonly<{ fireKey: Hash; success: boolean; gasUsed: bigint; costWei: Wei; returnData: Uint8Array }>

/** TriggerFired. */
export function firedLog(entry: Entry, due: Due, { fireKey, success, gasUsed, costWei, returnData }: FireResult): Log {
  const kept = returnData.subarray(0, RETURN_DATA_MAX)
  const head = [BigInt(due.occurrence), entry.revision, entry.attempt, success, due.scheduledAtMs, gasUsed, costWei].map(word)
  const tail = [word(32 * (head.length + 1)), word(kept.length), padRight(kept)]
  return { address: CALLING_LIST, topics: [TOPICS.fired, entry.id, fireKey, due.digest], data: concatBytes(...head, ...tail) }
}

/** TriggerArmed. */
export function armedLog(entry: Entry, due: Due, costWei: Wei): Log {
  return { address: CALLING_LIST, topics: [TOPICS.armed, entry.id], data: concatBytes(hexToBytes(due.occurrence), word(costWei)) }
}

/** TriggerMissed. */
export function missedLog(entry: Entry, due: Due, reason: string, count: number, costWei: Wei): Log {
  return {
    address: CALLING_LIST,
    topics: [TOPICS.missed, entry.id, textWord(reason)],
    data: concatBytes(hexToBytes(due.occurrence), word(count), word(costWei)),
  }
}

/** FeedUpdated. */
export function feedUpdatedLog(median: FeedMedian, sequence: bigint, round: number): Log {
  return {
    address: FEED_REGISTRY,
    topics: [FEED_UPDATED_TOPIC, median.feed, toWord(sequence)],
    data: concatBytes(word(median.value), word(FEED_STATUSES.indexOf(median.status)), word(round), word(median.observedAtMs)),
  }
}

/** RoundAttested. */
export function roundAttestedLog(
  place: Readonly<{ sourceSet: Hash; shard: number; round: number }>,
  signatures: number,
  costWei: Wei,
): Log {
  return {
    address: FEED_REGISTRY,
    topics: [TOPICS.roundAttested, place.sourceSet, toWord(BigInt(place.shard))],
    data: concatBytes(word(place.round), word(signatures), word(costWei)),
  }
}
