/** Logs of the calling list and the feed registry, as far as the edge cares. @module */
import { decodeEventLog } from 'viem'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { feedRegistryAbi } from '#shared/api/abi/feed-registry.ts'
import { CALLING_LIST } from '#shared/system.ts'
import type { Hash } from '#shared/types.ts'
import type { ChainLog } from '#workers/chain/rpc.ts'

/** A firing, another change of a row, a new report of a feed, or a round of a shard, with or without new reports. */
export type NativeEvent = Readonly<
  | { kind: 'fired'; id: Hash; fireKey: Hash; occurrence: Hash; digest: Hash; success: boolean; gasUsed: bigint; log: ChainLog }
  | { kind: 'row'; id: Hash; isRegistration: boolean; log: ChainLog }
  | { kind: 'feed'; feed: Hash; log: ChainLog }
  | { kind: 'round'; sourceSet: Hash; shard: number; log: ChainLog }
>

function callingListEvent(log: ChainLog): NativeEvent | null {
  const { eventName, args } = decodeEventLog({
    abi: callingListAbi,
    data: log.data,
    topics: [log.topics[0] ?? '0x', ...log.topics.slice(1)],
  })
  if (eventName === 'TriggerFired')
    return {
      kind: 'fired',
      id: args.id,
      fireKey: args.fireKey,
      occurrence: args.occurrence,
      digest: args.digest,
      success: args.success,
      gasUsed: args.gasUsed,
      log,
    }
  return 'id' in args ? { kind: 'row', id: args.id, isRegistration: eventName === 'TriggerRegistered', log } : null
}

/** Reads a log; null for one that means nothing here, also one of a contract version this edge does not know. */
export function readEvent(log: ChainLog): NativeEvent | null {
  try {
    if (log.address === CALLING_LIST) return callingListEvent(log)
    const { eventName, args } = decodeEventLog({
      abi: feedRegistryAbi,
      data: log.data,
      topics: [log.topics[0] ?? '0x', ...log.topics.slice(1)],
    })
    if (eventName === 'FeedUpdated') return { kind: 'feed', feed: args.feed, log }
    return eventName === 'RoundAttested' ? { kind: 'round', sourceSet: args.sourceSet, shard: args.shard, log } : null
  } catch {
    return null
  }
}
