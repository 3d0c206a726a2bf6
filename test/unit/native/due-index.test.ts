/** The index of what is due: the same on every path to a block, forks included, as when it is built afresh. @module */
import { SortedIds } from '#node/evm/native/sorted-ids.ts'
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { logRelayAbi, logRelayCreation } from '#shared/api/abi/log-relay.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import type { Condition } from '#shared/trigger/types.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { onEvent } from '#test/unit/native/event-trigger.ts'
import { NativeChain, OWNER, PRICE, owner } from '#test/unit/native/native-chain.ts'
import fc from 'fast-check'
import { encodeFunctionData } from 'viem'
import { describe, expect, it } from 'vitest'

const feedAt = (value: bigint): Condition => ({
  kind: 'feed.compare',
  feed: PRICE,
  maxAgeSec: 600,
  op: 'lt',
  value,
  rearm: value + 5n,
  holdReports: 1,
  holdSec: 0,
})
const RELAY = {
  signature: 'relay(bytes32,address,bytes)',
  types: ['bytes32', 'address', 'bytes'],
  args: [{ ref: 'event.topic1' }, { ref: 'event.address' }, { ref: 'event.data' }],
} as const

type Stage = Readonly<{ chain: NativeChain; relay: Address; ids: readonly Hash[] }>

/** A chain with one row of every kind that the index knows. */
async function stage(): Promise<Stage> {
  const chain = new NativeChain()
  await chain.registerSet()
  const [beat, relay, sink] = [
    await chain.deploy(heartbeatAbi, heartbeatCreation, [owner]),
    await chain.deploy(logRelayAbi, logRelayCreation, [owner]),
    await chain.deploy(logRelayAbi, logRelayCreation, [owner]),
  ]
  const timed = (when: Extract<Parameters<typeof onEvent>[0], 'active'>) =>
    onEvent(when, { to: beat, signature: 'beat(uint64)', types: ['uint64'], args: [{ ref: 'fire.scheduledAt' }] })
  const ids = [
    await chain.register({
      ...timed('active'),
      mode: {
        type: 'timing',
        when: { kind: 'interval', anchorMs: 1_700_000_000_000, everySec: 7 },
        missed: { mode: 'latest', graceSec: 60 },
      },
    }),
    await chain.register({
      ...timed('active'),
      mode: { type: 'timing', when: { kind: 'height', at: 3, every: 4 }, missed: { mode: 'skip' } },
    }),
    await chain.register(
      onEvent(feedAt(100n), { to: beat, signature: 'beat(uint64)', types: ['uint64'], args: [{ lit: new Uint8Array(32) }] }),
    ),
    await chain.register(onEvent(feedAt(90n), { to: beat, signature: 'nothing()', types: [], args: [] })),
    await chain.register(onEvent({ kind: 'log', addresses: [relay], topics: [] }, { to: sink, ...RELAY })),
    await chain.register(
      onEvent('active', { to: beat, signature: 'beat(uint64)', types: ['uint64'], args: [{ lit: new Uint8Array(32) }] }),
    ),
  ]
  return { chain, relay, ids }
}

type Move = Readonly<
  | { kind: 'price'; value: number }
  | { kind: 'log' | 'activate' | 'idle' | 'run' }
  | { kind: 'pause' | 'resume' | 'cancel'; row: number }
  | { kind: 'fork'; depth: number }
>

async function perform(move: Move, { chain, relay, ids }: Stage, heads: NativeChain['fixture']['head'][]): Promise<void> {
  const own: Hex[] = []
  if (move.kind === 'fork') {
    const back = heads.at(-1 - (move.depth % heads.length))
    if (back !== undefined) chain.fixture.head = back
    return
  }
  if (move.kind === 'price') own.push(await chain.priceTx(BigInt(move.value)))
  if (move.kind === 'log')
    own.push(
      await chain.sign(OWNER, {
        to: relay,
        data: encodeFunctionData({ abi: logRelayAbi, functionName: 'start', args: [toWord(1n)] }),
        gas: 100_000n,
      }),
    )
  if (move.kind === 'activate') own.push(await chain.sign(OWNER, chain.call('activate', [ids.at(-1)])))
  if (move.kind === 'pause' || move.kind === 'resume' || move.kind === 'cancel')
    own.push(await chain.sign(OWNER, chain.call(move.kind, [ids[move.row % ids.length]])))
  if (move.kind === 'run') await chain.run()
  else await chain.block(own)
}

const anyMove: fc.Arbitrary<Move> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('price' as const), value: fc.integer({ min: 80, max: 120 }) }) },
  {
    weight: 4,
    arbitrary: fc.constantFrom(
      { kind: 'log' as const },
      { kind: 'activate' as const },
      { kind: 'idle' as const },
      { kind: 'run' as const },
    ),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('pause' as const, 'resume' as const), row: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('cancel' as const), row: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('fork' as const), depth: fc.nat(6) }) },
)

describe('the due index', () => {
  it('moved over blocks and forks finds exactly what a fresh one finds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyMove, { minLength: 4, maxLength: 14 }), async (moves) => {
        const staged = await stage()
        const { chain } = staged
        const heads = [chain.fixture.head]
        for (const move of moves) {
          await perform(move, staged, heads)
          heads.push(chain.fixture.head)
          const slot = chain.header.slot + 1
          expect(await chain.due(slot)).toEqual(
            (await chain.freshNatives().dueTriggers(chain.header, 0, slot)).map((raw) => `0x${Buffer.from(raw).toString('hex')}`),
          )
        }
      }),
      { numRuns: 12, seed: 7 },
    )
  }, 120_000)
})

describe('ids in order', () => {
  it('are those of a sorted array, after any insertions and removals', () => {
    const id = (n: number): Hash => toWord(BigInt(n))
    fc.assert(
      fc.property(fc.array(fc.record({ key: fc.nat(20), n: fc.nat(20), isRemoval: fc.boolean() })), fc.nat(20), (steps, limit) => {
        const sorted = new SortedIds()
        const naive = new Map<Hash, number>()
        for (const { key, n, isRemoval } of steps) {
          const known = naive.get(id(n))
          if (isRemoval && known !== undefined) {
            sorted.remove(known, id(n))
            naive.delete(id(n))
          } else if (known === undefined) {
            sorted.add(key, id(n))
            naive.set(id(n), key)
          } else sorted.remove(known + 1, id(n))
        }
        const expected = [...naive]
          .filter(([, key]) => key <= limit)
          .toSorted(([leftId, left], [rightId, right]) => left - right || (leftId < rightId ? -1 : 1))
        expect(sorted.upTo(limit)).toEqual(expected.map(([known]) => known))
      }),
    )
  })
})
