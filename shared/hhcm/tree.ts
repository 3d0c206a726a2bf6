/**
 * The tree of blocks above the last final one, and the fork choice over its executed part.
 * Heaviest chain from the highest justified checkpoint, each block weighing one because each cost the same bounded work;
 * between equals the better first differing block. Source: docs/protocol.md, "Fork choice".
 * @module
 */
import { provenSlot } from '#shared/hhcm/check.ts'
import { isPast, nodeOf } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { BlockNode, Certified, HhcmState } from '#shared/hhcm/state.ts'
import { rankSumOf } from '#shared/hhcm/preference.ts'
import { EMPTY_TX_ROOT } from '#shared/hhcm/signing.ts'
import type { BlockEnvelope, Header, PeerId } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'

/** Node of the root: genesis, or a final block from disk. Its preference and certificates are never read. */
export function rootNode(hash: Hash, header: Header): BlockNode {
  return {
    hash,
    header,
    envelope: null,
    packageHashes: [],
    preference: { rank: 0, rankSum: 0, ticket: hash, blockHash: hash },
    busyNumber: 0,
    provenSlot: 0,
    from: 'disk',
    arrivedSlot: 0,
    isLate: false,
    status: 'valid',
  }
}

/** Node of a verified block. */
export function blockNode(
  turn: Turn,
  block: BlockEnvelope,
  parent: BlockNode,
  lanes: readonly (Pick<Certified, 'packageHash' | 'certificate' | 'ticket'> | null)[],
  from: PeerId,
): BlockNode {
  const { header, hash } = block
  return {
    hash,
    header,
    envelope: block,
    packageHashes: lanes.map((lane) => lane?.packageHash ?? null),
    preference: {
      rank: header.rank,
      rankSum: rankSumOf(
        lanes.map((lane) => lane?.certificate.header.rank ?? null),
        turn.config.validators.length,
      ),
      ticket: lanes[header.lane]?.ticket ?? hash,
      blockHash: hash,
    },
    busyNumber: header.txRoot === EMPTY_TX_ROOT ? parent.busyNumber : header.number,
    provenSlot: Math.max(parent.provenSlot, provenSlot(turn, block.votes)),
    from,
    arrivedSlot: turn.state.slot,
    isLate: isPast(turn, turn.rules.freezePermille),
    status: 'waiting',
  }
}

/** Puts a node under its parent. */
export function attach(state: HhcmState, node: BlockNode): void {
  state.nodes.set(node.hash, node)
  const siblings = state.children.get(node.header.parentHash)
  if (siblings === undefined) state.children.set(node.header.parentHash, [node.hash])
  else siblings.push(node.hash)
}

/** Whether `ancestor` is `node` or on the way from it to the root. */
export function descendsFrom(state: HhcmState, node: BlockNode, ancestor: BlockNode): boolean {
  let at: BlockNode | undefined = node
  while (at !== undefined && at.header.number > ancestor.header.number) at = state.nodes.get(at.header.parentHash)
  return at?.hash === ancestor.hash
}

/** A node and everything above it, parents first. */
export function subtree(state: HhcmState, top: Hash): Hash[] {
  const found: Hash[] = [top]
  for (let next = 0; next < found.length; next++) found.push(...(state.children.get(found[next] ?? top) ?? []))
  return found
}

/** Removes a node and everything above it. */
export function detach(state: HhcmState, top: BlockNode): Hash[] {
  const removed = subtree(state, top.hash)
  for (const hash of removed) {
    state.nodes.delete(hash)
    state.children.delete(hash)
  }
  const siblings = state.children.get(top.header.parentHash)?.filter((hash) => hash !== top.hash) ?? []
  if (siblings.length === 0) state.children.delete(top.header.parentHash)
  else state.children.set(top.header.parentHash, siblings)
  state.deferred = state.deferred.filter((hash) => state.nodes.has(hash))
  return removed
}

/** Makes a block the root and forgets what does not descend from it. */
export function reroot(state: HhcmState, root: BlockNode): void {
  const kept = new Set(subtree(state, root.hash))
  for (const hash of state.nodes.keys()) {
    if (kept.has(hash)) continue
    state.nodes.delete(hash)
    state.children.delete(hash)
  }
  state.root = root.hash
  state.deferred = state.deferred.filter((hash) => kept.has(hash))
}

/** Whether `left` is a better head than `right`: longer, or better at the first block where they differ. */
function isBetter({ state, rules }: Turn, left: BlockNode, right: BlockNode): boolean {
  if (left.header.number !== right.header.number) return left.header.number > right.header.number
  let a = left
  let b = right
  while (a.hash !== b.hash && a.header.parentHash !== b.header.parentHash) {
    const [parentA, parentB] = [state.nodes.get(a.header.parentHash), state.nodes.get(b.header.parentHash)]
    if (parentA === undefined || parentB === undefined) break
    a = parentA
    b = parentB
  }
  return a.hash !== b.hash && rules.comparePreference(a.preference, b.preference) < 0
}

/** Block from which the fork choice starts. */
function startNode({ state, rules }: Turn): BlockNode {
  return state.nodes.get(rules.forkStart(state).blockHash) ?? nodeOf(state, state.root)
}

function setHead(turn: Turn, node: BlockNode): void {
  if (node.hash === turn.state.head) return
  turn.state.head = node.hash
  turn.effects.push({ kind: 'head', blockHash: node.hash })
}

/** Lets an executed block compete for the head. */
export function considerHead(turn: Turn, node: BlockNode): void {
  const head = nodeOf(turn.state, turn.state.head)
  if (node.header.parentHash === head.hash) setHead(turn, node)
  else if (isBetter(turn, node, head) && descendsFrom(turn.state, node, startNode(turn))) setHead(turn, node)
}

/** Makes the head descend from the fork choice's start again, after that moved. */
export function refreshHead(turn: Turn): void {
  const { state } = turn
  const start = startNode(turn)
  const head = state.nodes.get(state.head)
  if (head !== undefined && descendsFrom(state, head, start)) return
  let best = start
  for (const hash of subtree(state, start.hash)) {
    const node = nodeOf(state, hash)
    if (node.status === 'valid' && !state.deferred.includes(hash) && isBetter(turn, node, best)) best = node
  }
  setHead(turn, best)
}

/** An executed block enters the fork choice, in the next slot when it came after the view freeze. */
export function admit(turn: Turn, node: BlockNode): void {
  const { state } = turn
  const isHeldBack = (node.isLate && node.arrivedSlot === state.slot) || state.deferred.includes(node.header.parentHash)
  if (isHeldBack) state.deferred.push(node.hash)
  else considerHead(turn, node)
}

/** Lets the blocks of the last slot that came late enter the fork choice. */
export function admitDeferred(turn: Turn): void {
  const waiting = turn.state.deferred
  turn.state.deferred = []
  for (const hash of waiting) {
    const node = turn.state.nodes.get(hash)
    if (node !== undefined) considerHead(turn, node)
  }
}
