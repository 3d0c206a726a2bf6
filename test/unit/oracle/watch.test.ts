/** The watcher of a foreign chain, driven by a model chain that reorganises. @module */
import fc from 'fast-check'
import { keccak256, toHex } from 'viem'
import { describe, expect, it } from 'vitest'
import type { ForeignBlock, Transfer, WatchConfig, WatchEffect, WatchState } from '#shared/oracle/watch.ts'
import { FETCH_AHEAD, WATCH_DEPTH_MAX, emptyWatch, rescan, stepWatch, wantedHeights } from '#shared/oracle/watch.ts'
import type { Address, Hash } from '#shared/types.ts'

const shop: Address = `0x${'50'.repeat(20)}`
const payer: Address = `0x${'a0'.repeat(20)}`
const config: WatchConfig = { chain: 31337n, watches: [{ to: shop, confirmations: 2 }] }
const hashOf = (text: string): Hash => keccak256(toHex(text))
const payment = (name: string, to: Address = shop): Transfer => ({ txid: hashOf(name), from: payer, to, amountWei: 7n })

/** A chain as an array of blocks; `branch` makes equal heights differ. */
function block(parent: ForeignBlock | undefined, branch: string, transfers: readonly Transfer[] = []): ForeignBlock {
  const height = (parent?.height ?? -1) + 1
  return {
    height,
    hash: hashOf(`${branch}${height}${parent?.hash}`),
    parentHash: parent?.hash ?? hashOf('none'),
    timeMs: 1000 * height,
    transfers,
  }
}
function extend(chain: readonly ForeignBlock[], branch: string, transfers: readonly (readonly Transfer[])[]): readonly ForeignBlock[] {
  return transfers.reduce<readonly ForeignBlock[]>((all, some) => [...all, block(all.at(-1), branch, some)], chain)
}
const empty = (count: number) => Array.from({ length: count }, (): readonly Transfer[] => [])

/** What a shell does: report the head, then bring what is wanted until nothing is. */
function sync(state: WatchState, chain: readonly ForeignBlock[], using: WatchConfig = config) {
  const effects: WatchEffect[] = []
  let current = state
  const step = (event: Parameters<typeof stepWatch>[1]) => {
    const done = stepWatch(current, event, using)
    current = done.state
    effects.push(...done.effects)
  }
  const head = chain.at(-1)
  if (head === undefined) throw new Error('a chain has a head')
  step({ kind: 'head', height: head.height, hash: head.hash })
  for (let wanted = wantedHeights(current); wanted.length > 0; wanted = wantedHeights(current))
    for (const height of wanted) {
      const found = chain[height]
      if (found !== undefined) step({ kind: 'block', block: found })
    }
  return { state: current, effects }
}
const deposits = (effects: readonly WatchEffect[]) => effects.flatMap((effect) => (effect.kind === 'deposit' ? [effect.deposit.txid] : []))

describe('a payment', () => {
  const chain = extend([], 'a', [[], [payment('one'), payment('elsewhere', payer)], []])

  it('is stated once when it is deep enough, with everything a fact needs', () => {
    const started = sync(emptyWatch, chain.slice(0, 1))
    const early = sync(started.state, chain.slice(0, 2))
    expect(early.effects).toEqual([])
    const { state, effects } = sync(early.state, chain)
    const [, found] = chain
    expect(effects).toEqual([
      {
        kind: 'deposit',
        asOfMs: 1000,
        deposit: {
          chain: 31337n,
          txid: hashOf('one'),
          from: payer,
          to: shop,
          amountWei: 7n,
          height: 1,
          blockHash: found?.hash,
          confirmations: 2,
        },
      },
    ])
    expect(sync(state, extend(chain, 'a', empty(3))).effects).toEqual([])
  })

  it('is stated per depth asked for', () => {
    const watches = [1, 3].map((confirmations) => ({ to: shop, confirmations }))
    const start = sync(emptyWatch, chain.slice(0, 1)).state
    const depths = (effects: readonly WatchEffect[]) =>
      effects.flatMap((one) => (one.kind === 'deposit' ? [one.deposit.confirmations] : []))
    const two = sync(start, chain, { ...config, watches })
    expect(depths(two.effects)).toEqual([1])
    expect(depths(sync(two.state, extend(chain, 'a', empty(1)), { ...config, watches }).effects)).toEqual([3])
  })

  it('to an address watched later is found by reading again', () => {
    const none = { ...config, watches: [] }
    const { state } = sync(sync(emptyWatch, chain.slice(0, 1), none).state, chain, none)
    expect(sync(state, chain).effects).toEqual([])
    expect(deposits(sync(rescan(state, 2), chain).effects)).toEqual([hashOf('one')])
    expect(rescan(emptyWatch, 2)).toEqual(emptyWatch)
  })
})

describe('a reorganisation', () => {
  const base = extend([], 'a', empty(4))
  const started = sync(sync(emptyWatch, base.slice(0, 1)).state, base).state

  it('before the depth leaves the payment unstated', () => {
    const { state, effects } = sync(started, extend(base, 'a', [[payment('one')]]))
    expect(effects).toEqual([])
    const moved = sync(state, extend(base, 'b', empty(3)))
    expect(deposits(moved.effects)).toEqual([])
    expect(moved.effects.map(({ kind }) => kind)).toEqual(['rewound'])
  })

  it('at the same height is noticed by the hash of the head', () => {
    const { state } = sync(started, extend(base, 'a', [[]]))
    const other = extend(base, 'b', [[payment('one')]])
    expect(sync(state, other).effects.map(({ kind }) => kind)).toEqual(['rewound'])
    expect(deposits(sync(sync(state, other).state, extend(other, 'b', empty(1))).effects)).toEqual([hashOf('one')])
  })

  it('below the depth is shown with what had been stated, and the payment is stated anew in its new block', () => {
    const first = sync(started, extend(base, 'a', [[payment('one')], []]))
    expect(deposits(first.effects)).toEqual([hashOf('one')])
    const second = sync(first.state, extend(base, 'b', [[], [payment('one')], []]))
    expect(second.effects.map((effect) => (effect.kind === 'rewound' ? effect.statedDepth : effect.kind))).toEqual([1, 2, 'deposit'])
  })

  it('deeper than what is held, a restart and lost blocks are gaps one can see', () => {
    const long = extend([], 'a', empty(WATCH_DEPTH_MAX + 10))
    const { state } = sync(sync(emptyWatch, long.slice(0, 1)).state, long)
    expect(state.blocks).toHaveLength(WATCH_DEPTH_MAX)
    const gaps = (effects: readonly WatchEffect[]) => effects.filter(({ kind }) => kind === 'gap')
    const replaced = sync(state, extend([], 'z', empty(WATCH_DEPTH_MAX + 12)))
    expect(gaps(replaced.effects)).toEqual([{ kind: 'gap', from: 9, to: 9 }])
    expect(replaced.state.nextHeight).toBe(WATCH_DEPTH_MAX + 12)
    const restarted = sync(state, extend([], 'y', empty(3)))
    expect(restarted.state.nextHeight).toBe(3)
    expect(restarted.effects).toHaveLength(WATCH_DEPTH_MAX + 1)
    expect(gaps(restarted.effects)).toEqual([{ kind: 'gap', from: 0, to: 1 }])
    const lost = stepWatch({ ...state, headHeight: 500 }, { kind: 'unavailable', height: 74, oldest: 100 }, config)
    expect(lost.effects).toEqual([{ kind: 'gap', from: 74, to: 99 }])
    expect(wantedHeights(lost.state)).toEqual(Array.from({ length: FETCH_AHEAD }, (_, index) => 100 + index))
    expect(stepWatch(state, { kind: 'unavailable', height: 3, oldest: 100 }, config).effects).toEqual([])
  })

  it('of the very first block is followed without inventing a block before it', () => {
    const { state } = sync(emptyWatch, extend([], 'a', empty(1)))
    const other = sync(state, extend([], 'b', [[payment('one')], []]))
    expect(other.effects.map(({ kind }) => kind)).toEqual(['rewound', 'deposit'])
  })

  it('in any sequence ends with exactly the deposits of the final chain stated, and never one that was not deep enough', () => {
    const move = fc.record({ back: fc.nat(5), forward: fc.integer({ min: 1, max: 5 }), payAt: fc.nat(4) })
    fc.assert(
      fc.property(fc.array(move, { minLength: 1, maxLength: 12 }), (moves) => {
        let chain = base
        let state = started
        const stated = new Set<Hash>()
        for (const [index, { back, forward, payAt }] of moves.entries()) {
          const kept = chain.slice(0, Math.max(4, chain.length - back))
          const added = Array.from({ length: forward }, (_, at) => (at === payAt ? [payment(`${index}`)] : []))
          chain = extend(kept, `m${index}`, added)
          const synced = sync(state, chain)
          state = synced.state
          const facts = synced.effects.flatMap((effect) => (effect.kind === 'deposit' ? [effect.deposit] : []))
          for (const { txid, blockHash } of facts) stated.add(`${txid}${blockHash.slice(2)}`)
          expect(facts.filter(({ height, blockHash }) => chain[height]?.hash !== blockHash || chain.length - height < 2)).toEqual([])
        }
        const deep = chain.slice(0, -1).flatMap(({ hash, transfers }) => transfers.map(({ txid }): Hash => `${txid}${hash.slice(2)}`))
        expect(deep.filter((one) => !stated.has(one))).toEqual([])
      }),
      { numRuns: 100 },
    )
  })
})

it('blocks that repeat or come out of order change nothing', () => {
  const chain = extend([], 'a', empty(6))
  const { state } = sync(sync(emptyWatch, chain.slice(0, 1)).state, chain.slice(0, 3))
  const steps = chain.filter(({ height }) => height !== 3).map((one) => stepWatch(state, { kind: 'block', block: one }, config))
  expect(steps).toEqual(Array.from({ length: 5 }, () => ({ state, effects: [] })))
})
