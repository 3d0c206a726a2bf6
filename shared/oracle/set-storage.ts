/**
 * Source sets that exist from genesis: the storage that registering them in a fresh feed registry would have left.
 * Source: contracts/src/FeedRegistry.sol, whose result a test compares with this.
 * @module
 */
import { compareHex } from '#shared/bytes.ts'
import type { StorageWrite } from '#shared/codec/solidity-storage.ts'
import { arraySlot, arrayWrites, mappingSlot, slotAfter, stringWrites, toWord, withField } from '#shared/codec/solidity-storage.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { FEED_REGISTRY_SLOTS, FEED_STATE, FEED_WORDS, SET_WORDS, feedSlot } from '#shared/oracle/feed-registry.ts'
import { feedId, sourceSetId } from '#shared/oracle/ids.ts'
import type { Address, Hash, Wei } from '#shared/types.ts'

type Keccak = Pick<CryptoSuite, 'keccak256'>

/** A feed to register. A value is stored when it differs by `deviationPpm` millionths from the last stored one, or after `heartbeatSec`. */
export type FeedSpec = Readonly<{ name: string; decimals: number; deviationPpm: number; heartbeatSec: number }>

/** A source set to register. `shards` is empty for reporters. */
export type SourceSetSpec = Readonly<{
  name: string
  kind: 'provider' | 'reporter'
  owner: Address
  members: readonly Address[]
  roundMs: number
  fundingWei: Wei
  shards: readonly (readonly FeedSpec[])[]
}>

/** A set's members and shards in the order the registry demands. */
export function sortedSet(spec: SourceSetSpec, suite: Keccak): SourceSetSpec {
  const set = sourceSetId(spec.owner, spec.name, suite)
  const byId = (left: FeedSpec, right: FeedSpec): number => compareHex(feedId(set, left.name, suite), feedId(set, right.name, suite))
  return {
    ...spec,
    members: spec.members.toSorted(compareHex),
    shards: spec.shards.map((feeds) => feeds.toSorted(byId)),
  }
}

function feedWrites(set: Hash, shard: number, feed: FeedSpec, suite: Keccak): StorageWrite[] {
  const base = feedSlot(feedId(set, feed.name, suite), suite)
  const fields = [
    [FEED_STATE.shard, shard],
    [FEED_STATE.decimals, feed.decimals],
    [FEED_STATE.deviationPpm, feed.deviationPpm],
    [FEED_STATE.heartbeatSec, feed.heartbeatSec],
  ] as const
  const state = fields.reduce((word, [[offset, bits], value]) => withField(word, offset, bits, BigInt(value)), 0n)
  return [
    { slot: toWord(base), value: set },
    { slot: toWord(slotAfter(base, FEED_WORDS.state)), value: toWord(state) },
    ...stringWrites(slotAfter(base, FEED_WORDS.name), feed.name, suite),
  ]
}

function setWrites(spec: SourceSetSpec, suite: Keccak): StorageWrite[] {
  const id = sourceSetId(spec.owner, spec.name, suite)
  const base = mappingSlot(id, FEED_REGISTRY_SLOTS.sets, suite)
  const owned = withField(BigInt(spec.owner), 160, 32, BigInt(spec.roundMs))
  const head = withField(owned, 192, 8, spec.kind === 'provider' ? 1n : 2n)
  const shardsBase = slotAfter(base, SET_WORDS.shards)
  const shardArrays = spec.shards.flatMap((feeds, shard) =>
    arrayWrites(
      slotAfter(arraySlot(shardsBase, suite), shard),
      feeds.map((feed) => BigInt(feedId(id, feed.name, suite))),
      suite,
    ),
  )
  return [
    { slot: toWord(slotAfter(base, SET_WORDS.owner)), value: toWord(head) },
    { slot: toWord(slotAfter(base, SET_WORDS.funding)), value: toWord(spec.fundingWei) },
    ...arrayWrites(
      slotAfter(base, SET_WORDS.members),
      spec.members.map((member) => BigInt(member)),
      suite,
    ),
    { slot: toWord(shardsBase), value: toWord(BigInt(spec.shards.length)) },
    ...shardArrays,
    ...stringWrites(slotAfter(base, SET_WORDS.name), spec.name, suite),
    ...spec.shards.flatMap((feeds, shard) => feeds.flatMap((feed) => feedWrites(id, shard, feed, suite))),
  ]
}

/** Storage of a registry that begins with these sets, which must be sorted. */
export function feedRegistryGenesis(genesisHash: Hash, specs: readonly SourceSetSpec[], suite: Keccak): StorageWrite[] {
  const ids = specs.map((spec) => BigInt(sourceSetId(spec.owner, spec.name, suite)))
  return [
    { slot: toWord(FEED_REGISTRY_SLOTS.genesisHash), value: genesisHash },
    ...arrayWrites(FEED_REGISTRY_SLOTS.setIds, ids, suite),
    ...specs.flatMap((spec) => setWrites(spec, suite)),
  ].filter(({ value }) => BigInt(value) !== 0n)
}
