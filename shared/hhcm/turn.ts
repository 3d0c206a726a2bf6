/** One run of the machine: its state, its tools, the effects so far, and the lookups all parts share. @module */
import { dutiesOf } from '#shared/hhcm/duties.ts'
import type { Duties } from '#shared/hhcm/duties.ts'
import type { Rules } from '#shared/hhcm/rules.ts'
import type { BlockNode, HhcmState } from '#shared/hhcm/state.ts'
import { phaseMs } from '#shared/hhcm/timetable.ts'
import type { Evidence, Header, HhcmConfig, HhcmCrypto, HhcmEffect, PeerId, Validator } from '#shared/hhcm/types.ts'
import type { Address, Hash, Hex, Lane, Slot } from '#shared/types.ts'
import { invariant } from '#shared/fault.ts'

/** Name under which the machine feeds itself. */
export const SELF_PEER: PeerId = 'self'

export type Turn = Readonly<{
  config: HhcmConfig
  state: HhcmState
  crypto: HhcmCrypto
  rules: Rules
  effects: HhcmEffect[]
}>

/** A node that must be in the tree. */
export function nodeOf(state: HhcmState, hash: Hash): BlockNode {
  const node = state.nodes.get(hash)
  invariant(node !== undefined, 'the tree holds root, head and everything between')
  return node
}

/** The block duties of the current slot build on: the head, or its parent while the head is of this very slot. */
export function baseOf(state: HhcmState): BlockNode {
  const head = nodeOf(state, state.head)
  if (head.header.slot < state.slot || head.hash === state.root) return head
  return nodeOf(state, head.header.parentHash)
}

/** Whether the current slot has reached a phase. */
export function isPast({ config, state }: Turn, permille: number): boolean {
  return state.nowMs >= phaseMs(config, state.slot, permille)
}

/** Seed of the duties in `slot` on a parent. */
export function seedOf({ crypto, rules }: Turn, parentHash: Hash, parent: Header, slot: Slot): Hash {
  return rules.slotSeed(parent, parentHash, slot, crypto.sha256)
}

const DUTIES_KEPT = 16

/** Duties of a seed, remembered for the last few seeds. */
export function dutiesFor({ config, state, crypto }: Turn, seed: Hash): Duties {
  const known = state.duties.get(seed)
  if (known !== undefined) return known
  const duties = dutiesOf(config, seed, crypto.sha256)
  state.duties.set(seed, duties)
  for (const oldest of state.duties.keys()) {
    if (state.duties.size <= DUTIES_KEPT) break
    state.duties.delete(oldest)
  }
  return duties
}

/** The validator of an address. */
export function validatorOf({ config, state }: Turn, address: Address): Validator | undefined {
  const index = state.validatorIndex.get(address)
  return index === undefined ? undefined : config.validators[index]
}

/** Stake of the members of one lane's group. */
export function groupStake({ config }: Turn, duties: Duties, lane: Lane): bigint {
  return (duties[lane] ?? []).reduce((sum, index) => sum + (config.validators[index]?.stakeWei ?? 0n), 0n)
}

/** Checks a validator's signature; false for an unknown signer. */
export function isSignedBy(turn: Turn, signer: Address, message: Uint8Array, signature: Hex): boolean {
  const validator = validatorOf(turn, signer)
  return validator !== undefined && turn.crypto.verify(validator.consensusKey, message, signature)
}

/** Reports a peer for something wrong whatever the head. */
export function blame(turn: Turn, peer: PeerId, fault: string): void {
  turn.effects.push({ kind: 'fault', peer, fault })
}

/** Hands out evidence once per offence, offender and slot. */
export function report(turn: Turn, evidence: Evidence, slot: Slot): void {
  const key = `${evidence.offence}:${evidence.offender}:${slot}`
  if (turn.state.reported.has(key)) return
  turn.state.reported.set(key, slot)
  turn.effects.push({ kind: 'evidence', evidence })
}
