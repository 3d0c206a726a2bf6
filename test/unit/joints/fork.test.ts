/** Two blocks of one slot while one of four validators is dead: the network agrees again, nobody is punished, finality goes on. @module */
import type { Hash } from '#shared/types.ts'
import { Cluster } from '#test/unit/hhcm/cluster.ts'
import { describe, expect, it } from 'vitest'

const DEAD = 3
const LIVE = [0, 1, 2] as const
const FIRST_FORK_SLOT = 4

type Fork = Readonly<{ cluster: Cluster; slot: number; blocks: readonly Hash[] }>

/**
 * Runs until two representatives have built a block in one slot: the best one's block does not reach the others before the view freeze,
 * so the next one builds as well and the voters see different blocks.
 */
function forkInOneSlot(): Fork {
  const cluster = new Cluster()
  cluster.node(DEAD).isUp = false
  cluster.runToSlot(FIRST_FORK_SLOT - 1, 900)
  for (let slot = FIRST_FORK_SLOT; slot < FIRST_FORK_SLOT + 8; slot++) {
    const authors: number[] = []
    const held: Parameters<Cluster['message']>[] = []
    cluster.options = {
      link: (from, to, message) => {
        if (message.kind !== 'block' || message.block.header.slot !== slot) return true
        if (!authors.includes(from)) authors.push(from)
        held.push([to, message, `n${from}`])
        return false
      },
    }
    cluster.runToSlot(slot, 900)
    cluster.options = {}
    for (const late of held) cluster.message(...late)
    if (authors.length > 1) {
      const blocks = authors.flatMap((author) => cluster.said(author, 'block').filter(({ block }) => block.header.slot === slot))
      return { cluster, slot, blocks: blocks.map(({ block }) => block.hash) }
    }
  }
  throw new Error('no slot with two representatives')
}

describe('one validator dead and a fork in the same slot', () => {
  const { cluster, slot, blocks } = forkInOneSlot()
  const votedFor = (index: number): string | undefined =>
    cluster.said(index, 'vote').find(({ vote }) => vote.target.slot === slot)?.vote.target.blockHash

  it('splits the votes of that slot, so that neither block can be justified in it', () => {
    expect(new Set(blocks).size).toBe(2)
    expect(new Set(LIVE.map(votedFor)).size).toBeGreaterThan(1)
    for (const index of LIVE) expect(cluster.node(index).state.justified.slot).toBeLessThan(slot)
  })

  it('is decided by rank, sum of ranks and ticket before anybody builds again, whichever block came first', () => {
    cluster.runToSlot(slot + 1, 20)
    const [better] = blocks
      .map((hash) => {
        const node = cluster.node(0).state.nodes.get(hash)
        if (node === undefined) throw new Error('both blocks have arrived')
        const { rank, rankSum, ticket } = node.preference
        return { hash, order: [rank, rankSum].map((part) => String(part).padStart(9, '0')).join() + ticket }
      })
      .toSorted((left, right) => (left.order < right.order ? -1 : 1))
    expect(LIVE.map((index) => cluster.node(index).state.head)).toEqual(LIVE.map(() => better?.hash))
  })

  it('ends on one head at once: all live nodes build on the same of the two blocks', () => {
    cluster.runToSlot(slot + 1, 900)
    expect(new Set(LIVE.map((index) => cluster.node(index).state.head)).size).toBe(1)
    const head = cluster.node(0).state
    expect(head.nodes.get(head.head)?.header).toMatchObject({ slot: slot + 1 })
    expect(blocks).toContain(head.nodes.get(head.head)?.header.parentHash)
  })

  it('becomes final with the votes of the three, and the other block never does', () => {
    cluster.runToSlot(slot + 6, 900)
    for (const index of LIVE) expect(cluster.node(index).state.finalized.slot).toBe(slot + 5)
    const kept = blocks.filter((hash) => {
      for (
        let at = cluster.node(0).blocks.get(cluster.node(0).state.head);
        at !== undefined;
        at = cluster.node(0).blocks.get(at.header.parentHash)
      )
        if (at.hash === hash) return true
      return false
    })
    expect(kept).toHaveLength(1)
  })

  it('convicts nobody and finds no fault with anybody', () => {
    for (const index of LIVE) {
      expect(cluster.of(index, 'evidence')).toEqual([])
      expect(cluster.faults(index)).toEqual([])
    }
  })
})

describe('a fork with the dead validator back', () => {
  it('brings it to the common head, and it signs nothing twice', () => {
    const { cluster, slot } = forkInOneSlot()
    cluster.runToSlot(slot + 3, 900)
    cluster.restart(DEAD)
    cluster.runToSlot(slot + 8, 900)
    expect(new Set(cluster.nodes.map(({ state }) => state.head)).size).toBe(1)
    for (const { index, state } of cluster.nodes) {
      expect(state.finalized.slot).toBe(slot + 7)
      expect(cluster.of(index, 'evidence')).toEqual([])
    }
  })
})
