/**
 * Finality: votes of all validators, one per slot, from a justified checkpoint to the head.
 * More than two thirds of the stake on one link justify its target; if the target's slot directly follows the source's, the source is final.
 *
 * A link with a supermajority also proves that its source is justified: some honest voter among its signers saw that, unless two thirds
 * of the stake are dishonest. So one link is a complete proof of finality, and a node that missed earlier votes needs none of them.
 * Source: Casper the Friendly Finality Gadget, with one checkpoint per slot; docs/protocol.md, "Vote".
 * @module
 */
import { bytesToHex } from '#shared/bytes.ts'
import { isKnownVote, isSameVote, linkKey, voteFault } from '#shared/hhcm/check.ts'
import { encodeVote } from '#shared/hhcm/codec.ts'
import { surrounds } from '#shared/hhcm/evidence.ts'
import { votePayload } from '#shared/hhcm/signing.ts'
import type { BlockNode, HhcmState, Link } from '#shared/hhcm/state.ts'
import { PHASE } from '#shared/hhcm/timetable.ts'
import { descendsFrom, refreshHead, reroot } from '#shared/hhcm/tree.ts'
import { blame, isPast, nodeOf, report, SELF_PEER, validatorOf } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { Checkpoint, PeerId, Vote } from '#shared/hhcm/types.ts'
import type { Address } from '#shared/types.ts'

/** Slots of votes kept while nothing becomes final. */
const VOTE_SLOTS_KEPT = 512

function reportSurround(turn: Turn, vote: Vote): void {
  for (const bySlot of turn.state.votes.values()) {
    for (const other of bySlot.get(vote.voter) ?? []) {
      if (!surrounds(vote, other) && !surrounds(other, vote)) continue
      const evidence = { offence: 'SURROUND_VOTE', offender: vote.voter, first: encodeVote(other), second: encodeVote(vote) } as const
      report(turn, evidence, vote.target.slot)
    }
  }
}

function dropVotesUpTo(state: HhcmState, slot: number): void {
  for (const key of state.votes.keys()) if (key <= slot) state.votes.delete(key)
  for (const [key, link] of state.links) {
    if (link.target.slot > slot) continue
    state.links.delete(key)
    state.openLinks.delete(key)
  }
}

function finalize(turn: Turn, link: Link): void {
  const { state } = turn
  state.finalized = link.source
  const root = state.nodes.get(link.source.blockHash)
  if (root !== undefined && root.hash !== state.root) reroot(state, root)
  // More than a third of dishonest stake can justify beside the final chain; such a checkpoint must not lead the fork choice.
  if (!state.nodes.has(state.justified.blockHash)) state.justified = link.target
  dropVotesUpTo(state, link.source.slot)
  turn.effects.push({ kind: 'finalized', checkpoint: link.source, votes: [...link.votes] })
  refreshHead(turn)
}

const isSameCheckpoint = (left: Checkpoint, right: Checkpoint): boolean => left.slot === right.slot && left.blockHash === right.blockHash

/** The blocks of a link; null while one is missing or not executed. A source below the final block is represented by the root. */
function blocksOf(state: HhcmState, link: Link): Readonly<{ source: BlockNode; target: BlockNode }> | null {
  const target = state.nodes.get(link.target.blockHash)
  const isOld = link.source.slot <= state.finalized.slot
  const source = state.nodes.get(link.source.blockHash) ?? (isOld ? state.nodes.get(state.root) : undefined)
  return target?.status === 'valid' && source !== undefined ? { source, target } : null
}

function justify(turn: Turn, link: Link): void {
  const { state } = turn
  for (const checkpoint of [link.source, link.target])
    if (checkpoint.slot > state.source.slot && checkpoint.slot < state.slot) state.source = checkpoint
  // After a restart the checkpoint comes from disk and its proof from the votes that are counted again.
  if (isSameCheckpoint(link.target, state.justified) && state.justifiedVotes.length === 0) state.justifiedVotes = [...link.votes]
  if (link.target.slot <= state.justified.slot) return
  state.justified = link.target
  state.justifiedVotes = [...link.votes]
  turn.effects.push({ kind: 'justified', checkpoint: link.target, votes: state.justifiedVotes })
  refreshHead(turn)
}

/** Applies a supermajority link when its blocks are here; false when it must wait for them. */
function applyLink(turn: Turn, link: Link): boolean {
  const { state, rules } = turn
  const blocks = blocksOf(state, link)
  if (blocks === null) return false
  if (!descendsFrom(state, blocks.target, blocks.source) || blocks.target.header.slot > link.target.slot) return true
  justify(turn, link)
  if (rules.isFinalizing(link.source, link.target) && link.source.slot > state.finalized.slot) finalize(turn, link)
  return true
}

/** Tries all supermajority links that still wait for blocks. */
export function applyOpenLinks(turn: Turn): void {
  const { state } = turn
  for (const key of state.openLinks) {
    const link = state.links.get(key)
    if (link === undefined || applyLink(turn, link)) state.openLinks.delete(key)
  }
}

function count(turn: Turn, vote: Vote): void {
  const { state, rules } = turn
  const key = linkKey(vote)
  const link = state.links.get(key) ?? { source: vote.source, target: vote.target, votes: [], stake: 0n }
  state.links.set(key, link)
  const wasMajority = rules.isSupermajority(link.stake, state.totalStakeWei)
  link.votes.push(vote)
  link.stake += validatorOf(turn, vote.voter)?.stakeWei ?? 0n
  if (!wasMajority && rules.isSupermajority(link.stake, state.totalStakeWei)) {
    state.openLinks.add(key)
    applyOpenLinks(turn)
  }
}

/**
 * Takes a vote from gossip, from a block or from this node. `isVerified` when its signature was checked already.
 * True when the vote, signature included, is verified and not too old or too new to count.
 */
export function takeVote(turn: Turn, vote: Vote, from: PeerId, isVerified: boolean): boolean {
  const { state } = turn
  const { slot } = vote.target
  // Stale votes change nothing, and votes from the future would fill memory.
  if (slot <= state.finalized.slot || slot > state.slot + 1) return false
  const bySlot = state.votes.get(slot) ?? new Map<Address, readonly Vote[]>()
  const previous = bySlot.get(vote.voter) ?? []
  if (previous.some((known) => isSameVote(known, vote)) || previous.length >= 2) return isKnownVote(turn, vote)
  const fault = isVerified || isKnownVote(turn, vote) ? null : voteFault(turn, vote)
  if (fault !== null) {
    blame(turn, from, fault)
    return false
  }
  const [first] = previous
  if (first !== undefined)
    report(turn, { offence: 'DOUBLE_VOTE', offender: vote.voter, first: encodeVote(first), second: encodeVote(vote) }, slot)
  reportSurround(turn, vote)
  bySlot.set(vote.voter, [...previous, vote])
  state.votes.set(slot, bySlot)
  // An equivocator's votes count on every link they name: nodes that saw only one of them must not disagree for ever.
  count(turn, vote)
  return true
}

/** Forgets votes of a long time without finality, so that memory stays bounded. */
export function pruneVotes(state: HhcmState): void {
  const oldest = state.slot - VOTE_SLOTS_KEPT
  if (oldest > state.finalized.slot) dropVotesUpTo(state, oldest)
}

/** Whether this key may cast a vote without contradicting one it has signed. */
function mayVote({ state }: Turn, source: Checkpoint): boolean {
  const last = state.signed.vote
  const block = state.nodes.get(source.blockHash)
  if (block === undefined || !descendsFrom(state, nodeOf(state, state.head), block)) return false
  return source.slot < state.slot && (last === null || (state.slot > last.target.slot && source.slot >= last.source.slot))
}

/** Signs and counts an own vote; the record goes to disk before the vote leaves. */
export function castVote(turn: Turn, source: Checkpoint, target: Checkpoint): void {
  const { config, state, crypto, effects } = turn
  if (config.self === null) return
  const signature = bytesToHex(crypto.sign(votePayload(config.genesisHash, { source, target })))
  const vote: Vote = { source, target, voter: config.self, signature }
  state.signed.vote = { source, target }
  effects.push({ kind: 'persist', record: { kind: 'vote', source, target } }, { kind: 'broadcast', message: { kind: 'vote', vote } })
  takeVote(turn, vote, SELF_PEER, true)
}

/** Votes for the head once per slot, from the vote point on. */
export function voteIfDue(turn: Turn): void {
  const { state } = turn
  if (isPast(turn, PHASE.vote) && mayVote(turn, state.source)) castVote(turn, state.source, { slot: state.slot, blockHash: state.head })
}
