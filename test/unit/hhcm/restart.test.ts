/** What a restarted validator takes from its disk: the head, and the silence of a key whose record was lost. @module */
import { describe, expect, it } from 'vitest'
import type { WireMessage } from '#shared/hhcm/types.ts'
import { Cluster, SLOT_MS } from '#test/unit/hhcm/cluster.ts'

describe('restart beside the justified block', () => {
  it('keeps the head on the justified chain although a late block of the same height is preferred', () => {
    const cluster = new Cluster()
    cluster.runToSlot(5, 990)
    // The first block of slot 6 comes after everybody has voted for the second one.
    let late: { from: number; message: WireMessage } | null = null
    cluster.options = {
      link: (from, _to, message) => {
        if (message.kind !== 'block') return true
        late ??= { from, message }
        return late.from !== from
      },
    }
    cluster.runToSlot(6, 860)
    const held = late as { from: number; message: WireMessage } | null
    if (held === null || held.message.kind !== 'block') throw new Error('slot 6 made no block')
    const { block } = held.message
    const others = cluster.nodes.filter(({ index }) => index !== held.from)
    for (const { index } of others) cluster.message(index, held.message)
    for (const { index, state } of others) {
      const before = state.head
      expect(state.nodes.get(block.hash)?.status).toBe('valid')
      expect(state.justified).toEqual({ slot: 6, blockHash: before })
      expect(before).not.toBe(block.hash)
      const stored = cluster.node(index).blocks
      // As a store lists them: by height, then in the order of the hashes.
      for (const order of [1, -1]) {
        cluster.restart(index, {
          blocks: [...stored.values()]
            .filter(({ header }) => header.number >= 5)
            .toSorted((left, right) => left.header.number - right.header.number || order * (left.hash < right.hash ? -1 : 1)),
        })
        expect(cluster.node(index).state.head).toBe(before)
      }
    }
    cluster.options = {}
    cluster.runToSlot(8, 900)
    expect(cluster.node(0).state.finalized.slot).toBe(7)
  })
})

describe('a lost record', () => {
  const signedBy3 = (cluster: Cluster, since: number): number =>
    cluster
      .node(3)
      .effects.slice(since)
      .filter((effect) => effect.kind === 'persist' && effect.record.kind !== 'quiet').length

  it('stays lost when the node is killed again in its silence', () => {
    const cluster = new Cluster()
    cluster.runToSlot(70, 900)
    const { length: forgotten } = cluster.node(3).wal
    cluster.restart(3, { writeAhead: null })
    cluster.runToSlot(72, 900)
    // What the second life reads is what the first one wrote: nothing but its silence.
    const since = cluster.node(3).effects.length
    expect(cluster.node(3).wal.slice(forgotten)).toEqual([{ kind: 'quiet', until: 134 }])
    cluster.restart(3, { writeAhead: cluster.node(3).wal.slice(forgotten) })
    cluster.runToSlot(75, 900)
    expect(signedBy3(cluster, since)).toBe(0)
  })

  it('of which some is left binds by what is left, and by silence', () => {
    const cluster = new Cluster()
    cluster.runToSlot(70, 900)
    const { wal } = cluster.node(3)
    cluster.restart(3, { writeAhead: [...wal, { kind: 'quiet', until: null }] })
    expect(cluster.node(3).state.signed.vote?.target.slot).toBe(70)
    const since = cluster.node(3).effects.length
    cluster.runToSlot(72, 900)
    expect(signedBy3(cluster, since)).toBe(0)
    expect(wal.at(-1)).toEqual({ kind: 'quiet', until: 134 })
  })

  it('means silence by the age of the chain even when the clock says that it is young', () => {
    const cluster = new Cluster()
    cluster.runToSlot(70, 900)
    cluster.restart(3, { writeAhead: null })
    cluster.feed(3, { kind: 'tick', nowMs: 3 * SLOT_MS })
    expect(cluster.node(3).state.signed.quietUntil).toBe(134)
  })
})
