/** The feed registry's contract and its mirror agree on every word. @module */
import { fromHex } from '#node/evm/hex.ts'
import { feedRegistryAbi } from '#shared/api/abi/feed-registry.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import {
  readFeed,
  readHistory,
  readReporters,
  readRoundMark,
  roundWrite,
  readSourceSet,
  readSourceSetIds,
} from '#shared/oracle/feed-registry.ts'
import type { Feed } from '#shared/oracle/feed-registry.ts'
import { feedId, reportDigest, sourceSetId } from '#shared/oracle/ids.ts'
import { isStored, storeMedian } from '#shared/oracle/round-storage.ts'
import { sortedSet } from '#shared/oracle/set-storage.ts'
import type { SourceSetSpec } from '#shared/oracle/set-storage.ts'
import type { FeedMedian } from '#shared/oracle/verify-attestation.ts'
import { FEED_REGISTRY } from '#shared/system.ts'
import type { Address, Hash } from '#shared/types.ts'
import { FSN, GENESIS_HASH, contractAt, createWorld } from '#test/unit/contracts/world.ts'
import type { World } from '#test/unit/contracts/world.ts'
import { suite } from '#test/unit/evm/support.ts'
import { describe, expect, it } from 'vitest'

const OWNER: Address = `0x${'a1'.repeat(20)}`
const STRANGER: Address = `0x${'a2'.repeat(20)}`
const member = (index: number): Address => `0x${(index + 1).toString(16).padStart(40, '0')}`
const LONG_NAME = 'a feed whose name is longer than thirty-one bytes, as names may be'.slice(0, 60)

const SPEC: SourceSetSpec = sortedSet(
  {
    name: 'demo',
    kind: 'provider',
    owner: OWNER,
    members: [2, 0, 3, 1].map(member),
    roundMs: 1500,
    fundingWei: 5n * FSN,
    shards: [
      [
        { name: 'sp500', decimals: 2, deviationPpm: 1000, heartbeatSec: 60 },
        { name: 'rain', decimals: 1, deviationPpm: 0, heartbeatSec: 3600 },
      ],
      [{ name: LONG_NAME, decimals: 18, deviationPpm: 4_000_000_000, heartbeatSec: 4_000_000_000 }],
    ],
  },
  suite,
)
const SET = sourceSetId(OWNER, 'demo', suite)
const SP500 = feedId(SET, 'sp500', suite)

const KINDS = { provider: 1, reporter: 2 } as const
type Arguments = readonly [string, number, readonly Address[], number, SourceSetSpec['shards']]
const argumentsOf = (spec: SourceSetSpec): Arguments => [spec.name, KINDS[spec.kind], spec.members, spec.roundMs, spec.shards]

const registryOf = (world: World) => contractAt(world, feedRegistryAbi, FEED_REGISTRY)

async function registered(): Promise<World> {
  const world = createWorld([OWNER, STRANGER])
  const { success } = await registryOf(world).send(OWNER, 'registerSourceSet', argumentsOf(SPEC), SPEC.fundingWei)
  expect(success).toBe(true)
  return world
}

const wordOf = (value: Uint8Array): Hash => toWord(BigInt(`0x00${Buffer.from(value).toString('hex')}`))

function storageOf(world: World): Record<string, Hash> {
  const writes = world.state.writes().accounts.get(FEED_REGISTRY)
  return Object.fromEntries([...(writes?.storage ?? [])].map(([slot, value]) => [slot, wordOf(value)]))
}

describe('registration', () => {
  it('is read by the mirror as it was sent', async () => {
    const world = await registered()
    expect(world.read(readSourceSetIds(suite))).toEqual([SET])
    expect(world.read(readSourceSet(SET, suite))).toEqual({
      id: SET,
      name: 'demo',
      kind: 'provider',
      owner: OWNER,
      members: [0, 1, 2, 3].map(member),
      roundMs: 1500,
      shardCount: 2,
      feeds: SPEC.shards.map((feeds) => feeds.map(({ name }) => feedId(SET, name, suite))),
      fundingWei: 5n * FSN,
    })
    expect(world.read(readFeed(feedId(SET, LONG_NAME, suite), suite))).toEqual({
      id: feedId(SET, LONG_NAME, suite),
      sourceSet: SET,
      shard: 1,
      decimals: 18,
      deviationPpm: 4_000_000_000,
      heartbeatSec: 4_000_000_000,
      sequence: 0n,
      name: LONG_NAME,
    })
    expect(world.read(readSourceSet(SP500, suite))).toBeNull()
    expect(world.read(readFeed(SET, suite))).toBeNull()
  })

  it('at genesis leaves the same storage as a registration by transaction', async () => {
    const byTransaction = await registered()
    const empty = createWorld([])
    const atGenesis = createWorld([], [SPEC])
    const written = storageOf(byTransaction)
    const slots = Object.keys(written) as Hash[]
    expect(Object.fromEntries(slots.map((slot) => [slot, wordOf(atGenesis.state.slot(FEED_REGISTRY, slot))]))).toEqual(written)
    expect(slots.length).toBeGreaterThan(20)
    expect(await registryOf(atGenesis).call('sourceSetOf', [SET])).toEqual(await registryOf(byTransaction).call('sourceSetOf', [SET]))
    expect(await registryOf(empty).call('count', [])).toBe(0n)
    expect(await registryOf(atGenesis).call('genesisHash', [])).toBe(GENESIS_HASH)
  })

  it.each<[string, Partial<SourceSetSpec>]>([
    ['NameInvalid', { name: '' }],
    ['NameInvalid', { name: 'x'.repeat(65) }],
    ['RoundLengthInvalid', { roundMs: 199 }],
    ['RoundLengthInvalid', { roundMs: 60_001 }],
    ['MembersInvalid', { members: [] }],
    ['MembersInvalid', { members: [member(1), member(0)] }],
    ['MembersInvalid', { members: [member(1), member(1)] }],
    ['MembersInvalid', { members: Array.from({ length: 65 }, (_, index) => member(index)) }],
    ['ShardsInvalid', { shards: [] }],
    ['ShardsInvalid', { shards: [[]] }],
    ['ShardsInvalid', { kind: 'reporter' }],
    ['FeedsUnsorted', { shards: SPEC.shards.map((feeds) => feeds.toReversed()) }],
    ['NameInvalid', { shards: [[{ name: '', decimals: 0, deviationPpm: 0, heartbeatSec: 0 }]] }],
    ['AlreadyRegistered', { shards: [...SPEC.shards, ...SPEC.shards] }],
  ])('refuses with %s', async (name, change) => {
    const world = createWorld([OWNER])
    expect(await registryOf(world).refused(OWNER, 'registerSourceSet', argumentsOf({ ...SPEC, ...change }))).toBe(name)
  })

  it('is possible once per owner and name', async () => {
    const world = await registered()
    expect(await registryOf(world).refused(OWNER, 'registerSourceSet', argumentsOf(SPEC))).toBe('AlreadyRegistered')
    expect(await registryOf(world).refused(STRANGER, 'registerSourceSet', argumentsOf(SPEC))).toBe('SUCCESS')
  })
})

describe('funding', () => {
  it('comes from anyone and goes back to the owner only', async () => {
    const world = await registered()
    const registry = registryOf(world)
    expect(await registry.refused(STRANGER, 'fundSet', [SET], FSN)).toBe('SUCCESS')
    expect(await registry.refused(STRANGER, 'fundSet', [SP500], FSN)).toBe('UnknownSourceSet')
    expect(await registry.refused(STRANGER, 'withdrawSet', [SET, 1n])).toBe('NotOwner')
    expect(await registry.refused(OWNER, 'withdrawSet', [SET, 6n * FSN + 1n])).toBe('InsufficientFunding')
    const before = world.state.balance(OWNER)
    expect(await registry.refused(OWNER, 'withdrawSet', [SET, 6n * FSN])).toBe('SUCCESS')
    expect(world.state.balance(OWNER) - before).toBe(6n * FSN)
    expect(world.state.balance(FEED_REGISTRY)).toBe(0n)
  })
})

const median = (value: bigint, observedAtMs: number, change: Partial<FeedMedian> = {}): FeedMedian => ({
  feed: SP500,
  value,
  spread: 0n,
  status: 'OK',
  observedAtMs,
  reporters: [member(0), member(2), member(3)],
  ...change,
})

function post(world: World, round: number, value: bigint, change: Partial<FeedMedian> = {}): bigint | null {
  const feed = world.read(readFeed(SP500, suite)) as Feed
  const set = world.read(readSourceSet(SET, suite))
  const { writes, sequence } = world.read(storeMedian(feed, median(value, round * 1500 + 100, change), round, set?.members ?? [], suite))
  for (const write of [...writes, roundWrite(SET, 0, { lastRound: round, height: 7, count: 3 }, suite)])
    world.state.setSlot(FEED_REGISTRY, write.slot, fromHex(write.value))
  return sequence
}

describe('history', () => {
  it('written natively is read by Solidity and by the mirror', async () => {
    const world = await registered()
    expect(post(world, 100, -450_000n)).toBe(1n)
    expect(post(world, 101, -450_100n)).toBeNull()
    expect(post(world, 102, -451_000n, { status: 'WIDE' })).toBe(2n)
    expect(post(world, 104, -451_000n, { status: 'WIDE' })).toBe(3n)
    const registry = registryOf(world)
    expect(await registry.call('reportAt', [SP500, 1n])).toEqual({
      value: -450_000n,
      status: 0,
      afterGap: false,
      observedAtMs: 150_100,
      firstRound: 100n,
      lastRound: 101n,
      sequence: 1n,
      lastObservedAtMs: 151_600,
      reporters: 0b1101n,
    })
    expect(await registry.call('latest', [SP500])).toMatchObject({
      value: -451_000n,
      status: 1,
      afterGap: true,
      firstRound: 104n,
      sequence: 3n,
    })
    expect(await registry.call('bounds', [SP500])).toEqual([1n, 3n])
    expect(await registry.call('nextRound', [SET, 0])).toBe(105n)
    expect(world.read(readRoundMark(SET, 0, suite))).toEqual({ lastRound: 104, height: 7, count: 3 })
    expect(world.read(readRoundMark(SET, 1, suite))).toEqual({ lastRound: -1, height: 0, count: 0 })
    const { reports, oldest } = world.read(readHistory(SP500, 1n, 10, suite))
    expect(oldest).toBe(1n)
    expect(reports.map(({ sequence, value, afterGap }) => [sequence, value, afterGap])).toEqual([
      [2n, -451_000n, false],
      [3n, -451_000n, true],
    ])
    expect(reports[1]?.digest).toBe(reportDigest(SP500, 104, -451_000n, suite))
    expect(world.read(readReporters(SP500, 3n, SPEC.members, suite))).toEqual([member(0), member(2), member(3)])
  })

  it('forgets the oldest reports beyond the ring', async () => {
    const world = await registered()
    for (let round = 0; round < 4100; round++) post(world, round, BigInt(round % 2 === 0 ? 1_000_000 : 2_000_000))
    const registry = registryOf(world)
    expect(await registry.call('bounds', [SP500])).toEqual([5n, 4100n])
    expect(await registry.call('reportAt', [SP500, 5n])).toMatchObject({ sequence: 5n, firstRound: 4n })
    const { success } = await world.send(STRANGER, FEED_REGISTRY, `0x${'00'.repeat(4)}`)
    expect(success).toBe(false)
    const { reports, oldest } = world.read(readHistory(SP500, 0n, 2, suite))
    expect([oldest, reports[0]?.sequence, reports.length]).toEqual([5n, 5n, 2])
  })

  it('stores what is new and only counts the rest', () => {
    const last = {
      sequence: 1n,
      value: 100_000n,
      status: 'OK' as const,
      firstRound: 1,
      lastRound: 9,
      observedAtMs: 1_000_000,
      lastObservedAtMs: 1_013_000,
      afterGap: false,
      digest: SP500,
    }
    const feed = { deviationPpm: 1000, heartbeatSec: 60 }
    const at = (value: bigint, seconds: number, status: FeedMedian['status'] = 'OK') =>
      median(value, 1_000_000 + seconds * 1000, { status })
    expect(isStored(feed, null, at(1n, 0), 10)).toBe(true)
    expect(isStored(feed, last, at(100_000n, 15), 10)).toBe(false)
    expect(isStored(feed, last, at(100_099n, 15), 10)).toBe(false)
    expect(isStored(feed, last, at(100_100n, 15), 10)).toBe(true)
    expect(isStored(feed, last, at(99_900n, 15), 10)).toBe(true)
    expect(isStored(feed, last, at(100_000n, 15), 11)).toBe(true)
    expect(isStored(feed, last, at(100_000n, 15, 'HALTED'), 10)).toBe(true)
    expect(isStored(feed, last, at(100_000n, 59), 10)).toBe(false)
    expect(isStored(feed, last, at(100_000n, 60), 10)).toBe(true)
    expect(isStored({ ...feed, deviationPpm: 0 }, last, at(100_001n, 15), 10)).toBe(true)
    expect(isStored({ ...feed, deviationPpm: 0 }, last, at(100_000n, 15), 10)).toBe(false)
  })
})
