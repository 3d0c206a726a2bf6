/**
 * What the machine does with a message: refuse, hold, or take. A peer loses score only for what is wrong whatever the head;
 * everything that depends on time or on blocks not here yet is dropped or held in silence.
 *
 * A function that takes something says whether it is verified in full. Only that may be passed on: a neighbour that can judge what this
 * node could not would blame this node for it.
 * @module
 */
import { certify, checkBlock, packageFault } from '#shared/hhcm/check.ts'
import { executionInput } from '#shared/hhcm/execution.ts'
import { applyOpenLinks, takeVote } from '#shared/hhcm/ffg.ts'
import { blockPayload, certificatePayload, coSignaturePayload, packageHash, packagePayload } from '#shared/hhcm/signing.ts'
import { hasBlockRoom, hasPackageRoom, sightBlock, sightCertificate, sightPackage } from '#shared/hhcm/sightings.ts'
import type { BlockNode, Held } from '#shared/hhcm/state.ts'
import { admit, attach, blockNode, detach } from '#shared/hhcm/tree.ts'
import { blame, dutiesFor, isSignedBy, nodeOf, seedOf } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { BlockEnvelope, Certificate, CoSignature, Package, PeerId, WireMessage } from '#shared/hhcm/types.ts'
import type { Address, Hash } from '#shared/types.ts'

/** Blocks whose parent is unknown; each author has an equal part, and two at least. */
const ORPHANS_MAX = 64
/** Blocks that are not executed yet; a syncing peer sends more later. */
const WAITING_MAX = 512
/** Held messages of one author and kind: one, and one more from an equivocator. */
const HELD_PER_KIND = 2
/** Co-signatures of one validator in a slot: one per lane it may belong to on different parents. */
const CO_SIGNATURES_MAX = 4
/** Distance to the head from which asking block by block is too slow. */
const SYNC_DISTANCE = 4
/** Slots between two calls for sync. */
const SYNC_PAUSE_SLOTS = 4

/** Asks for an object once until it comes; asked again as time passes. */
function request(turn: Turn, what: 'block' | 'package', hash: Hash, from: PeerId | null): void {
  const { state, effects } = turn
  if (state.requests.has(hash)) return
  state.requests.set(hash, { what, atMs: state.nowMs })
  effects.push({ kind: 'request', what, hash, from })
}

/** Asks the shell to bring all blocks after the final one, not too often. */
export function callForSync(turn: Turn): void {
  const { state, effects } = turn
  if (state.syncedSlot !== -1 && state.slot < state.syncedSlot + SYNC_PAUSE_SLOTS) return
  state.syncedSlot = state.slot
  effects.push({ kind: 'sync', fromNumber: nodeOf(state, state.root).header.number })
}

type Authored = Exclude<WireMessage, { kind: 'vote' }>

function authorOf(message: Authored): Address {
  switch (message.kind) {
    case 'package':
      return message.package.header.author
    case 'coSignature':
      return message.coSignature.signer
    case 'certificate':
      return message.certificate.header.author
    case 'block':
      return message.block.header.author
  }
}

/** Whether the author itself made the message; all that can be checked before its parent is here. */
function isAuthentic(turn: Turn, message: Authored): boolean {
  const { genesisHash } = turn.config
  switch (message.kind) {
    case 'package': {
      const { header, hash } = message.package
      return isSignedBy(turn, header.author, packagePayload(genesisHash, hash), header.signature)
    }
    case 'coSignature': {
      const { coSignature } = message
      return isSignedBy(turn, coSignature.signer, coSignaturePayload(genesisHash, coSignature), coSignature.signature)
    }
    case 'certificate': {
      const { certificate } = message
      const hash = packageHash(certificate.header, turn.crypto.keccak256)
      return isSignedBy(turn, certificate.header.author, certificatePayload(genesisHash, hash, certificate), certificate.signature)
    }
    case 'block': {
      const { header, hash } = message.block
      return isSignedBy(turn, header.author, blockPayload(genesisHash, hash), header.signature)
    }
  }
}

/** Keeps a message for later, a few per author; false and a fault when its author did not make it. */
function hold(turn: Turn, list: Held[], message: Authored, from: PeerId): boolean {
  const author = authorOf(message)
  // By kind, because a relay may change the co-signers of a certificate: that must not shut out its author's other messages.
  const isAlike = (held: Held): boolean => held.message.kind === message.kind && authorOf(held.message) === author
  if (list.filter(isAlike).length >= HELD_PER_KIND) return false
  if (!isAuthentic(turn, message)) {
    blame(turn, from, 'HELD_SIGNATURE')
    return false
  }
  list.push({ from, message })
  return true
}

/** Sends a node to execution once its parent is executed and its bodies are here; asks for missing bodies. */
function executeIfReady(turn: Turn, node: BlockNode): void {
  const { state, effects } = turn
  if (node.status !== 'waiting' || node.envelope === null) return
  const packages = node.packageHashes.map((hash) => (hash === null ? null : state.bodies.get(hash)))
  for (const [lane, hash] of node.packageHashes.entries())
    if (hash !== null && packages[lane] === undefined) request(turn, 'package', hash, node.from)
  const parent = state.nodes.get(node.header.parentHash)
  if (packages.includes(undefined) || parent?.status !== 'valid') return
  node.status = 'executing'
  const input = executionInput(
    node.envelope,
    packages.map((body) => body ?? null),
    parent.header.slot,
  )
  effects.push({ kind: 'execute', block: node.envelope, input })
}

function takePackage(turn: Turn, value: Package, from: PeerId): boolean {
  const { state } = turn
  const { header, hash } = value
  const isRequested = state.requests.get(hash)?.what === 'package'
  if (isRequested) {
    // The certificate that named this hash is verified. The hash leaves the signature open, which others will check when they get it here.
    if (!isAuthentic(turn, { kind: 'package', package: value })) {
      blame(turn, from, 'PACKAGE_SIGNATURE')
      return false
    }
    state.requests.delete(hash)
    state.bodies.set(hash, value)
    for (const node of state.nodes.values()) if (node.packageHashes.includes(hash)) executeIfReady(turn, node)
  }
  if (header.slot !== state.slot || state.round.packages.has(hash) || !hasPackageRoom(turn, header)) return isRequested
  const parent = state.nodes.get(header.parentHash)
  if (parent === undefined) {
    const isHeld = hold(turn, state.round.unplaced, { kind: 'package', package: value }, from)
    if (isHeld) request(turn, 'block', header.parentHash, from)
    return false
  }
  const fault = packageFault(turn, header, hash, parent)
  if (fault !== null) {
    blame(turn, from, fault)
    return false
  }
  state.round.packages.set(hash, header)
  state.bodies.set(hash, value)
  state.round.isTouched = true
  sightPackage(turn, header)
  return true
}

function takeCoSignature(turn: Turn, value: CoSignature, from: PeerId): boolean {
  const { state } = turn
  const { own, coSigned } = state.round
  const count = coSigned.get(value.signer) ?? 0
  if (value.slot !== state.slot || count >= CO_SIGNATURES_MAX) return false
  if (!isAuthentic(turn, { kind: 'coSignature', coSignature: value })) {
    blame(turn, from, 'CO_SIGNATURE')
    return false
  }
  coSigned.set(value.signer, count + 1)
  // Only the author collects; everybody else sees co-signatures in the certificate.
  if (own === null || own.isCertified || value.packageHash !== own.package.hash) return true
  const parent = state.nodes.get(own.package.header.parentHash)
  const index = state.validatorIndex.get(value.signer)
  if (parent === undefined || index === undefined) return true
  const { slot, lane } = own.package.header
  const duties = dutiesFor(turn, seedOf(turn, parent.hash, parent.header, slot))
  const isMember = value.lane === lane && duties[lane]?.includes(index) === true
  if (isMember) own.coSignatures.set(value.signer, value)
  return true
}

function takeCertificate(turn: Turn, value: Certificate, from: PeerId): boolean {
  const { state, crypto } = turn
  const { round } = state
  const { header } = value
  if (header.slot !== state.slot) return false
  const hash = packageHash(header, crypto.keccak256)
  if (round.certificates.has(hash) || !hasPackageRoom(turn, header)) return false
  const parent = state.nodes.get(header.parentHash)
  if (parent === undefined) {
    const isHeld = hold(turn, round.unplaced, { kind: 'certificate', certificate: value }, from)
    if (isHeld) request(turn, 'block', header.parentHash, from)
    return false
  }
  const certified = certify(turn, value, parent)
  if (typeof certified === 'string') {
    blame(turn, from, certified)
    return false
  }
  round.isTouched = true
  sightPackage(turn, header)
  sightCertificate(turn, certified)
  round.certificates.set(hash, certified)
  if (!state.bodies.has(hash)) request(turn, 'package', hash, from)
  return true
}

function holdOrphan(turn: Turn, block: BlockEnvelope, from: PeerId): void {
  const { state } = turn
  const root = nodeOf(state, state.root)
  if (block.header.number <= root.header.number) return
  if (state.invalid.has(block.header.parentHash)) return
  if (!isAuthentic(turn, { kind: 'block', block })) {
    blame(turn, from, 'BLOCK_SIGNATURE')
    return
  }
  if (block.header.number > nodeOf(state, state.head).header.number + SYNC_DISTANCE) callForSync(turn)
  const own = [...state.orphans.values()].filter((orphan) => orphan.block.header.author === block.header.author)
  const [oldest] = own
  if (oldest !== undefined && own.length >= Math.max(2, Math.floor(ORPHANS_MAX / turn.config.validators.length)))
    state.orphans.delete(oldest.block.hash)
  state.requests.delete(block.hash)
  state.orphans.set(block.hash, { block, from, arrivedSlot: state.slot })
  if (!state.orphans.has(block.header.parentHash)) request(turn, 'block', block.header.parentHash, from)
}

function waitingCount(turn: Turn): number {
  let count = 0
  for (const node of turn.state.nodes.values()) if (node.status !== 'valid') count++
  return count
}

/** Takes a block from a peer or from this node's own work; true when it is verified. */
export function takeBlock(turn: Turn, block: BlockEnvelope, from: PeerId): boolean {
  const { state } = turn
  if (state.nodes.has(block.hash) || state.orphans.has(block.hash) || state.invalid.has(block.hash)) return false
  if (block.header.slot > state.slot) return false
  // A third block of an equivocator is of interest only when somebody built on it.
  if (!state.requests.has(block.hash) && !hasBlockRoom(turn, block.header)) return false
  const parent = state.nodes.get(block.header.parentHash)
  if (parent === undefined) {
    holdOrphan(turn, block, from)
    return false
  }
  if (parent.status !== 'valid' && waitingCount(turn) >= WAITING_MAX) return false
  const lanes = checkBlock(turn, block, parent)
  if (typeof lanes === 'string') {
    blame(turn, from, lanes)
    return false
  }
  // Not before: the hash leaves the signature open, and a copy with a wrong one answers nothing.
  state.requests.delete(block.hash)
  if (block.header.slot === state.slot) state.round.isTouched = true
  sightBlock(turn, block)
  const node = blockNode(turn, block, parent, lanes, from)
  attach(state, node)
  for (const vote of block.votes) takeVote(turn, vote, from, true)
  // Its own votes may make a block of another branch final, and the block itself worthless.
  if (!state.nodes.has(block.hash)) return true
  executeIfReady(turn, node)
  adopt(turn, block.hash)
  return true
}

/** Takes what waited for a block. Whoever passed it on could judge it as little as this node, so what is wrong with it is no peer's fault. */
function adopt(turn: Turn, parentHash: Hash): void {
  const { effects } = turn
  const before = effects.length
  takeWaiting(turn, parentHash)
  effects.push(...effects.splice(before).filter(({ kind }) => kind !== 'fault'))
}

function takeWaiting(turn: Turn, parentHash: Hash): void {
  const { state } = turn
  // Listed before any is taken: taking one may hold another again.
  for (const { block, from } of [...state.orphans.values()].filter((orphan) => orphan.block.header.parentHash === parentHash)) {
    state.orphans.delete(block.hash)
    takeBlock(turn, block, from)
  }
  if (!state.round.unplaced.some(({ message }) => isOn(message, parentHash))) return
  const held = state.round.unplaced.splice(0)
  for (const { message, from } of held) takeMessage(turn, message, from)
}

function isOn(message: Authored, parentHash: Hash): boolean {
  if (message.kind === 'package') return message.package.header.parentHash === parentHash
  return message.kind === 'certificate' && message.certificate.header.parentHash === parentHash
}

/** The shell's verdict on a block. */
export function takeExecution(turn: Turn, blockHash: Hash, isValid: boolean): void {
  const { state } = turn
  const node = state.nodes.get(blockHash)
  if (node === undefined || node.status !== 'executing') return
  if (!isValid) {
    for (const hash of detach(state, node)) state.invalid.set(hash, state.slot)
    return
  }
  node.status = 'valid'
  admit(turn, node)
  applyOpenLinks(turn)
  for (const hash of state.children.get(blockHash) ?? []) {
    const child = state.nodes.get(hash)
    if (child !== undefined) executeIfReady(turn, child)
  }
}

function slotOf(message: Authored): number {
  switch (message.kind) {
    case 'package':
      return message.package.header.slot
    case 'coSignature':
      return message.coSignature.slot
    case 'certificate':
      return message.certificate.header.slot
    case 'block':
      return message.block.header.slot
  }
}

/** Takes any message; one slot ahead it is held until that slot, further ahead dropped. True when it is verified and of use to others. */
export function takeMessage(turn: Turn, message: WireMessage, from: PeerId): boolean {
  const { state } = turn
  if (message.kind !== 'vote' && slotOf(message) > state.slot) {
    if (slotOf(message) === state.slot + 1) hold(turn, state.early, message, from)
    return false
  }
  switch (message.kind) {
    case 'package':
      return takePackage(turn, message.package, from)
    case 'coSignature':
      return takeCoSignature(turn, message.coSignature, from)
    case 'certificate':
      return takeCertificate(turn, message.certificate, from)
    case 'block':
      return takeBlock(turn, message.block, from)
    case 'vote':
      return takeVote(turn, message.vote, from, false)
  }
}
