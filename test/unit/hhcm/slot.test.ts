/** Whole slots of a small network: production, finality, fallbacks, silence, restarts, catching up. @module */
import { describe, expect, it } from 'vitest'
import { decodeBlock, encodeBlock } from '#shared/hhcm/codec.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import type { WireMessage } from '#shared/hhcm/types.ts'
import { Cluster, SLOT_MS } from '#test/unit/hhcm/cluster.ts'

const heads = (cluster: Cluster): string[] => [...new Set(cluster.nodes.map(({ state }) => state.head))]
const headOf = (cluster: Cluster, index = 0) => {
  const { state } = cluster.node(index)
  return state.nodes.get(state.head)
}
const slotsOf = (records: readonly { slot: number }[]): number[] => records.map(({ slot }) => slot)

describe('a calm network of four validators and two lanes', () => {
  const cluster = new Cluster()
  cluster.runToSlot(8, 900)

  it('makes one block per slot, with both lanes and rank 0, on the same head everywhere', () => {
    expect(heads(cluster)).toHaveLength(1)
    expect(headOf(cluster)?.header.number).toBe(8)
    for (const block of cluster.node(0).blocks.values()) {
      expect(block.header.slot).toBe(block.header.number)
      expect(block.certificates.every((certificate) => certificate?.header.rank === 0)).toBe(true)
      // Groups of two: both members have signed.
      expect(block.certificates.map((certificate) => certificate?.coSignatures.length)).toEqual([2, 2])
    }
  })

  it('finalises every block one slot after it was voted for', () => {
    for (const { state } of cluster.nodes) {
      expect(state.justified.slot).toBe(8)
      expect(state.finalized.slot).toBe(7)
    }
    expect(cluster.of(0, 'finalized').map(({ checkpoint }) => checkpoint.slot)).toEqual([0, 1, 2, 3, 4, 5, 6, 7].slice(1))
  })

  it('hands out a complete proof with every finality: more than two thirds on one link of consecutive slots', () => {
    for (const { checkpoint, votes } of cluster.of(1, 'finalized')) {
      expect(votes.length).toBeGreaterThanOrEqual(3)
      expect(new Set(votes.map(({ voter }) => voter)).size).toBe(votes.length)
      for (const vote of votes) {
        expect(vote.source).toEqual(checkpoint)
        expect(vote.target.slot).toBe(checkpoint.slot + 1)
      }
    }
  })

  it('carries the votes of the parent slot in each block', () => {
    const [, ...blocks] = cluster.node(0).blocks.values()
    for (const block of blocks) expect(block.votes.map(({ target }) => target.slot)).toEqual(Array(4).fill(block.header.slot - 1))
    expect(blocks).toHaveLength(7)
  })

  it('signs once per slot, each record written before its object leaves', () => {
    for (const { effects, index } of cluster.nodes) {
      expect(cluster.said(index, 'vote').map(({ vote }) => vote.target.slot)).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
      const packages = cluster.said(index, 'package').map((message) => message.package.header)
      expect(new Set(slotsOf(packages)).size).toBe(packages.length)
      for (const [at, effect] of effects.entries()) {
        if (effect.kind !== 'broadcast' || effect.message.kind === 'certificate') continue
        const { kind } = effect.message
        const before = effects.slice(0, at)
        const records = before.filter((earlier) => earlier.kind === 'persist' && earlier.record.kind === kind).length
        const sent = before.filter((earlier) => earlier.kind === 'broadcast' && earlier.message.kind === kind).length
        expect(records, `${kind} ${at}`).toBeGreaterThan(sent)
      }
    }
  })

  it('finds nobody at fault and keeps its memory small', () => {
    for (const { state, index } of cluster.nodes) {
      expect(cluster.faults(index)).toEqual([])
      expect(state.nodes.size).toBeLessThanOrEqual(3)
      expect(state.bodies.size).toBeLessThanOrEqual(16)
      expect(state.votes.size).toBeLessThanOrEqual(3)
      expect(state.orphans.size + state.requests.size + state.early.length).toBe(0)
    }
  })
})

describe('fallbacks', () => {
  it('one of four dead: blocks and finality go on', () => {
    const cluster = new Cluster()
    cluster.node(3).isUp = false
    cluster.runToSlot(12, 900)
    expect(headOf(cluster)?.header.number).toBe(12)
    expect(cluster.node(0).state.finalized.slot).toBe(11)
    const missing = [...cluster.node(0).blocks.values()].flatMap(({ certificates }) => certificates.filter((lane) => lane === null))
    expect(missing).toEqual([])
    const ranks = [...cluster.node(0).blocks.values()].flatMap(({ certificates }) => certificates.map((lane) => lane?.header.rank ?? 0))
    expect(ranks).toContain(1)
  })

  it('a rank-1 package comes only after rank 0 had its time, and is co-signed no sooner', () => {
    const cluster = new Cluster()
    cluster.runToSlot(1, 100)
    expect(cluster.nodes.flatMap(({ index }) => cluster.said(index, 'package')).map((message) => message.package.header.rank)).toEqual([
      0, 0,
    ])
    const silenced = new Cluster({ link: (_from, _to, message) => message.kind !== 'package' || message.package.header.rank > 0 })
    silenced.runToSlot(1, 100)
    expect(silenced.nodes.flatMap(({ index }) => silenced.said(index, 'package'))).toHaveLength(2)
    silenced.runToSlot(1, 250)
    expect(silenced.nodes.flatMap(({ index }) => silenced.said(index, 'package'))).toHaveLength(4)
  })

  it('an author alone certifies itself at the deadline with half of a group of two, not before', () => {
    const cluster = new Cluster({ link: (_from, _to, message) => message.kind !== 'coSignature' })
    cluster.runToSlot(1, 350)
    expect(cluster.nodes.flatMap(({ index }) => cluster.said(index, 'certificate'))).toEqual([])
    cluster.runToSlot(1, 450)
    const certificates = cluster.nodes.flatMap(({ index }) => cluster.said(index, 'certificate'))
    expect(certificates.map(({ certificate }) => certificate.coSignatures.length)).toEqual([1, 1])
  })

  it('the second representative builds when the first stays silent, and not when it does not', () => {
    const calm = new Cluster()
    calm.runToSlot(1, 690)
    expect(calm.nodes.flatMap(({ index }) => calm.said(index, 'block'))).toHaveLength(1)
    const [first] = calm.nodes.filter(({ index }) => calm.said(index, 'block').length > 0)
    const muted = new Cluster({ link: (from, _to, message) => !(from === first?.index && message.kind === 'block') })
    muted.runToSlot(1, 690)
    const authors = muted.nodes.filter(({ index }) => muted.said(index, 'block').length > 0)
    expect(authors).toHaveLength(2)
  })

  it('a lane nobody serves is left out after the build deadline', () => {
    const one = new Cluster({ count: 1, laneCount: 2 })
    one.runToSlot(3, 900)
    expect(headOf(one)?.header.number).toBe(3)
    expect([...one.node(0).blocks.values()].every(({ certificates }) => certificates[1] === null)).toBe(true)
  })
})

describe('the view freeze', () => {
  const lateRun = (freezes: boolean): Cluster => {
    const cluster = new Cluster({ rules: freezes ? RULES : { ...RULES, freezePermille: 5000 } })
    cluster.runToSlot(3, 900)
    const held: WireMessage[] = []
    cluster.options = {
      ...cluster.options,
      link: (_from, to, message) => {
        const isHeld = message.kind === 'block' && to === 2
        if (isHeld) held.push(message)
        return !isHeld
      },
    }
    cluster.runToSlot(4, 730)
    for (const message of held) cluster.message(2, message)
    cluster.runToSlot(4, 900)
    return cluster
  }

  it('a block after .70 is executed but not voted for in its slot, and becomes the head in the next', () => {
    const cluster = lateRun(true)
    const [vote] = cluster.said(2, 'vote').slice(-1)
    expect(vote?.vote.target.slot).toBe(4)
    expect(cluster.node(2).blocks.get(vote?.vote.target.blockHash ?? '0x')?.header.slot).toBe(3)
    cluster.runToSlot(5, 0)
    expect(headOf(cluster, 2)?.header.slot).toBe(4)
  })

  it('the test notices a machine that votes for late blocks', () => {
    const cluster = lateRun(false)
    const [vote] = cluster.said(2, 'vote').slice(-1)
    expect(cluster.node(2).blocks.get(vote?.vote.target.blockHash ?? '0x')?.header.slot).toBe(4)
  })
})

describe('silence', () => {
  it('an idle chain makes three blocks every idleSlots and nothing between, and all but the last two are final', () => {
    const cluster = new Cluster({ idleSlots: 10 })
    cluster.runToSlot(29, 900)
    expect([...cluster.node(0).blocks.values()].map(({ header }) => header.slot)).toEqual([1, 2, 10, 11, 12, 20, 21, 22])
    expect(cluster.node(0).state.finalized.slot).toBe(21)
  })

  it('a transaction at one node wakes everybody until it is final, then the chain sleeps again', () => {
    let isPending = false
    const cluster = new Cluster({ idleSlots: 20, txs: (node) => (isPending && node.index === 0 ? [Uint8Array.of(1)] : []) })
    cluster.runToSlot(5, 0)
    expect(headOf(cluster)?.header.slot).toBe(2)
    isPending = true
    cluster.feed(0, { kind: 'activity', wanted: true })
    while (headOf(cluster)?.busyNumber === 0 && cluster.nowMs < 20 * SLOT_MS) cluster.runTo(cluster.nowMs + SLOT_MS)
    const busySlot = headOf(cluster)?.header.slot ?? 0
    isPending = false
    cluster.feed(0, { kind: 'activity', wanted: false })
    expect(busySlot).toBeLessThan(15)
    cluster.runToSlot(busySlot + 3, 0)
    for (const { state } of cluster.nodes) expect(state.finalized.slot).toBeGreaterThanOrEqual(busySlot)
    const sleeping = headOf(cluster)?.header.slot
    cluster.runToSlot(19, 900)
    expect(headOf(cluster)?.header.slot).toBe(sleeping)
  })
})

describe('restart', () => {
  it('all four killed and restored with their records go on at once and contradict nothing', () => {
    const cluster = new Cluster()
    cluster.runToSlot(6, 800)
    for (const { index } of cluster.nodes) cluster.restart(index)
    cluster.runToSlot(9, 900)
    expect(headOf(cluster)?.header.slot).toBe(9)
    expect(cluster.node(0).state.finalized.slot).toBe(8)
    for (const { index } of cluster.nodes) {
      const targets = cluster.said(index, 'vote').map(({ vote }) => vote.target.slot)
      expect(new Set(targets).size).toBe(targets.length)
      expect(cluster.of(index, 'evidence')).toEqual([])
    }
  })

  it('restores the same head, final block and root', () => {
    const cluster = new Cluster()
    cluster.runToSlot(6, 900)
    const before = { ...cluster.node(1).state }
    cluster.restart(1)
    const { state } = cluster.node(1)
    expect([state.head, state.root, state.finalized, state.justified]).toEqual([
      before.head,
      before.root,
      before.finalized,
      before.justified,
    ])
    expect(state.nodes.get(state.head)?.preference).toEqual(before.nodes.get(before.head)?.preference)
  })

  it('signs nothing for 64 slots when its record is lost on an older chain, and at once on a young one', () => {
    const cluster = new Cluster({ idleSlots: 0 })
    cluster.runToSlot(70, 900)
    cluster.restart(3, { writeAhead: null })
    const before = cluster.node(3).effects.length
    cluster.runToSlot(134, 900)
    const signed = (): number =>
      cluster
        .node(3)
        .effects.slice(before)
        .filter((effect) => effect.kind === 'persist' && effect.record.kind !== 'quiet').length
    expect(signed()).toBe(0)
    expect(cluster.node(0).state.finalized.slot).toBe(133)
    cluster.runToSlot(140, 900)
    expect(signed()).toBeGreaterThan(5)
    const young = new Cluster()
    young.runToSlot(3, 900)
    young.restart(3, { writeAhead: null })
    young.runToSlot(4, 900)
    expect(young.said(3, 'vote').at(-1)?.vote.target.slot).toBe(4)
  })
})

describe('restart with half of the votes', () => {
  it('proves a justification with all of its votes or not at all', () => {
    const cluster = new Cluster()
    cluster.runToSlot(6, 900)
    const { justified, justifiedVotes } = cluster.node(0).state
    expect(justifiedVotes.length).toBeGreaterThanOrEqual(3)
    cluster.restart(0, { votes: justifiedVotes.slice(0, 2), writeAhead: [] })
    expect(cluster.node(0).state.justified).toEqual(justified)
    expect(cluster.node(0).state.justifiedVotes).toEqual([])
    cluster.restart(0, { votes: justifiedVotes })
    expect(cluster.node(0).state.justifiedVotes.length).toBeGreaterThanOrEqual(3)
  })
})

describe('catching up', () => {
  it('a node that was away fetches blocks and bodies, and learns finality from the votes they carry', () => {
    const txs = ({ index }: { index: number }): Uint8Array[] => [Uint8Array.of(index)]
    const cluster = new Cluster({ txs, link: (_from, to) => to !== 3 })
    cluster.runToSlot(40, 900)
    // Alone, half of a group of two certifies: it made a chain of its own that nobody else has voted for.
    expect(headOf(cluster, 3)?.hash).not.toBe(headOf(cluster, 0)?.hash)
    expect(cluster.node(3).state.finalized.slot).toBe(0)
    cluster.options = { txs }
    cluster.runToSlot(43, 900)
    expect(headOf(cluster, 3)?.hash).toBe(headOf(cluster, 0)?.hash)
    expect(cluster.node(3).state.finalized.slot).toBe(42)
    expect(cluster.faults(3)).toEqual([])
  })

  it('a follower without a key follows and says nothing', () => {
    const cluster = new Cluster({ count: 5 })
    const follower = cluster.node(4)
    Object.assign(follower, { config: { ...follower.config, self: null } })
    cluster.runToSlot(6, 900)
    expect(headOf(cluster, 4)?.hash).toBe(headOf(cluster, 0)?.hash)
    expect(cluster.of(4, 'broadcast')).toEqual([])
    expect(follower.state.finalized.slot).toBe(5)
  })

  it('nodes that disagree on the justified checkpoint agree again through the proof a block carries', () => {
    const cluster = new Cluster()
    cluster.runToSlot(4, 700)
    // Votes of slot 4 reach only nodes 0 and 1, which alone see slot 4 justified.
    cluster.options = { link: (_from, to, message) => !(message.kind === 'vote' && message.vote.target.slot === 4 && to >= 2) }
    cluster.runToSlot(4, 950)
    expect(cluster.nodes.map(({ state }) => state.justified.slot)).toEqual([4, 4, 3, 3])
    // All blocks up to slot 6 are lost, so that slot 4 leaves the window of recent votes.
    cluster.options = { link: (_from, _to, message) => message.kind === 'vote' && message.vote.target.slot > 4 }
    cluster.runToSlot(6, 950)
    expect(cluster.nodes.map(({ state }) => state.justified.slot)).toEqual([4, 4, 3, 3])
    cluster.options = {}
    cluster.runToSlot(12, 950)
    for (const { state } of cluster.nodes) expect(state.finalized.slot).toBe(11)
  })
})

describe('with real keys and through the wire', () => {
  it('four validators with noble signatures, VRF and Keccak make and finalise blocks', () => {
    const cluster = new Cluster({ isReal: true, txs: ({ index }) => [Uint8Array.of(2, index)] })
    cluster.runToSlot(4, 900)
    expect(headOf(cluster)?.header.number).toBe(4)
    expect(cluster.node(3).state.finalized.slot).toBe(3)
    for (const { index } of cluster.nodes) expect(cluster.faults(index)).toEqual([])
    for (const block of cluster.node(0).blocks.values()) expect(decodeBlock(encodeBlock(block))).toEqual(block)
  }, 30_000)
})
