/**
 * The finality rule itself. Random simulation does not find that finalising a link over a gap is unsafe, so this searches all histories
 * of a small model, and replays the shortest counterexample on the machine.
 * @module
 */
import { describe, expect, it } from 'vitest'
import { bytesToHex } from '#shared/bytes.ts'
import { surrounds } from '#shared/hhcm/evidence.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import type { Rules } from '#shared/hhcm/rules.ts'
import { blockHash, blockPayload, votePayload, votesRoot } from '#shared/hhcm/signing.ts'
import type { BlockEnvelope, Checkpoint, Vote } from '#shared/hhcm/types.ts'
import { simValidators } from '#test/sim/chain-stub.ts'
import { fakeCrypto } from '#test/sim/fake-crypto.ts'
import { MUTANTS } from '#test/sim/mutants.ts'
import { Cluster } from '#test/unit/hhcm/cluster.ts'

const GENESIS: Checkpoint = { slot: 0, blockHash: '0x00' }
const BRANCHES = ['0xb1', '0xc1'] as const
type Link = Readonly<{ source: Checkpoint; target: Checkpoint }>

/**
 * All histories of a voter that is in every quorum and breaks no slashing rule: per slot no vote, or a vote on one of two branches from
 * any checkpoint justified there. Every link it signs is taken as a supermajority link: its fellows may be dishonest. Gives the first
 * history in which both branches become final.
 */
function findConflict(rules: Pick<Rules, 'isFinalizing'>, slots: number): readonly Link[] | null {
  const isSafe = (links: readonly Link[]): boolean => {
    const final = links.filter(({ source, target }) => source.slot > 0 && rules.isFinalizing(source, target))
    return new Set(final.map(({ source }) => source.blockHash)).size < 2
  }
  const search = (links: readonly Link[], slot: number): readonly Link[] | null => {
    if (!isSafe(links)) return links
    if (slot > slots) return null
    const justified = [GENESIS, ...links.map(({ target }) => target)]
    const votes = BRANCHES.flatMap((blockHash) =>
      justified
        .filter((source) => source.slot === 0 || source.blockHash === blockHash)
        .map((source) => ({ source, target: { slot, blockHash } })),
    ).filter((vote) => !links.some((earlier) => surrounds(vote, earlier) || surrounds(earlier, vote)))
    for (const vote of votes) {
      const found = search([...links, vote], slot + 1)
      if (found !== null) return found
    }
    return search(links, slot + 1)
  }
  return search([], 1)
}

describe('every history of six slots on two branches', () => {
  it('never finalises both branches without a slashable vote', () => {
    expect(findConflict(RULES, 6)).toBeNull()
  })

  it('does when links over a gap finalise: the search can fail', () => {
    const found = findConflict(MUTANTS['non-consecutive-finality'].rules, 6)
    expect(found).not.toBeNull()
  })
})

describe('on the machine', () => {
  /** Blocks of slot 1 and of slot 2, both children of genesis, with their bodies. */
  function branches(): Readonly<{ first: BlockEnvelope; second: BlockEnvelope; cluster: Cluster }> {
    const one = new Cluster()
    one.runToSlot(1, 740)
    const two = new Cluster({ link: (_from, _to, message) => message.kind !== 'block' || message.block.header.slot > 1 })
    // Nobody keeps the block of slot 1: all start again without it and without votes.
    two.nowMs = 1.99 * 1500
    two.runToSlot(2, 740)
    const [first] = one.node(0).blocks.values()
    const [second] = two.node(0).blocks.values()
    if (first === undefined || second === undefined) throw new Error('no blocks')
    const cluster = new Cluster({ link: () => true })
    for (const [hash, body] of [...one.packages, ...two.packages]) cluster.packages.set(hash, body)
    return { first, second, cluster }
  }

  function voteBy(index: number, source: Checkpoint, target: Checkpoint, cluster: Cluster): Vote {
    const { config } = cluster.node(0)
    const key = simValidators(4)[index]
    const signature = bytesToHex(fakeCrypto(key?.consensusKey ?? '0x').sign(votePayload(config.genesisHash, { source, target })))
    return { source, target, voter: key?.address ?? '0x', signature }
  }

  /** A block with other votes or place, signed again by its author. */
  function remade(cluster: Cluster, block: BlockEnvelope, change: Partial<BlockEnvelope['header']>, votes: readonly Vote[]): BlockEnvelope {
    const { config, crypto } = cluster.node(0)
    const header = { ...block.header, ...change, votesRoot: votesRoot(votes, crypto.keccak256) }
    const hash = blockHash(header, crypto.keccak256)
    const key = config.validators.find(({ address }) => address === header.author)?.consensusKey ?? '0x'
    const signature = bytesToHex(fakeCrypto(key).sign(blockPayload(config.genesisHash, hash)))
    return { ...block, hash, votes, header: { ...header, signature } }
  }

  /** Two followers, one fed the votes of one branch each. Per voter: 0→1, 0→2, 1→3, 2→4, no two of which contradict. */
  function replay(rules: Rules): string[] {
    const { first, second, cluster } = branches()
    cluster.options = { rules, link: () => false }
    const genesis: Checkpoint = { slot: 0, blockHash: cluster.genesis.hash }
    const at = (block: BlockEnvelope, slot: number): Checkpoint => ({ slot, blockHash: block.hash })
    const links: [Checkpoint, Checkpoint][][] = [
      [
        [genesis, at(first, 1)],
        [at(first, 1), at(first, 3)],
      ],
      [
        [genesis, at(second, 2)],
        [at(second, 2), at(second, 4)],
      ],
    ]
    return links.map((votes, index) => {
      const node = cluster.node(index)
      Object.assign(node, { config: { ...node.config, self: null } })
      cluster.feed(index, { kind: 'tick', nowMs: 4 * 1500 + 1 })
      for (const block of [first, second]) {
        cluster.message(index, { kind: 'block', block })
        for (const body of cluster.packages.values()) cluster.message(index, { kind: 'package', package: body })
      }
      for (const [source, target] of votes)
        for (const voter of [0, 1, 2]) cluster.message(index, { kind: 'vote', vote: voteBy(voter, source, target, cluster) })
      expect(node.state.justified).toEqual(votes[1]?.[1])
      return node.state.finalized.blockHash
    })
  }

  it('links over a gap justify and do not finalise', () => {
    const cluster = new Cluster()
    expect(replay(RULES)).toEqual([cluster.genesis.hash, cluster.genesis.hash])
  })

  it('the mutant finalises two conflicting blocks on the same unslashable votes', () => {
    const [left, right] = replay(MUTANTS['non-consecutive-finality'].rules)
    expect(left).not.toBe(right)
    expect([left, right]).not.toContain(new Cluster().genesis.hash)
  })

  it('a block whose votes make another branch final goes, and what waits for it does not keep the machine busy', () => {
    const { first, second, cluster } = branches()
    const other = new Cluster({ link: (_from, _to, message) => message.kind !== 'block' || message.block.header.slot > 1 })
    other.nowMs = 1.99 * 1500
    other.runToSlot(3, 740)
    const third = [...other.node(0).blocks.values()].find(({ header }) => header.slot === 3)
    if (third === undefined) throw new Error('no third block')
    for (const [hash, body] of other.packages) cluster.packages.set(hash, body)
    const at = (slot: number): Checkpoint => ({ slot, blockHash: first.hash })
    const votes = [0, 1, 2].map((voter) => voteBy(voter, at(1), at(2), cluster))
    const traitor = remade(cluster, third, { parentHash: second.hash }, votes)
    const child = remade(cluster, third, { parentHash: traitor.hash, number: 3, slot: 4 }, [])
    cluster.options = { link: () => false }
    const node = cluster.node(0)
    Object.assign(node, { config: { ...node.config, self: null } })
    cluster.feed(0, { kind: 'tick', nowMs: 4 * 1500 + 1 })
    cluster.message(0, { kind: 'block', block: child })
    for (const block of [first, second]) {
      cluster.message(0, { kind: 'block', block })
      for (const body of cluster.packages.values()) cluster.message(0, { kind: 'package', package: body })
    }
    expect(node.state.orphans.size).toBe(1)
    cluster.message(0, { kind: 'block', block: traitor })
    expect(cluster.faults(0)).toEqual([])
    expect(node.state.finalized).toEqual(at(1))
    expect([...node.state.nodes.keys()]).toEqual([first.hash])
  })

  it('exactly two thirds of the stake justify nothing', () => {
    // Six of nine equal validators.
    expect([6n, 7n].map((stake) => RULES.isSupermajority(stake, 9n))).toEqual([false, true])
    const cluster = new Cluster({ link: (_from, to, message) => message.kind !== 'vote' || to < 3, count: 6 })
    cluster.node(4).isUp = false
    cluster.node(5).isUp = false
    cluster.runToSlot(6, 900)
    for (const { state } of cluster.nodes) expect(state.justified.slot).toBe(0)
  })
})
