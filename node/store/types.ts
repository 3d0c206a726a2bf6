/** What the node keeps on disk about the chain. @module */
import type { StoredBlock } from '#node/chain-reader.ts'
import type { NodeSource } from '#node/evm/types.ts'
import type { Receipt } from '#shared/chain/types.ts'
import type { BlockEnvelope, Checkpoint, Evidence, Package, Vote } from '#shared/hhcm/types.ts'
import type { Hash, Height } from '#shared/types.ts'

/** Head of the fork choice, highest justified and highest final checkpoint; switched together with the indexes they imply. */
export type Pointers = Readonly<{ head: Hash; justified: Checkpoint; finalized: Checkpoint }>

/** Everything of an executed block, written in one transaction. */
export type BlockCommit = Readonly<{
  envelope: BlockEnvelope
  /** Length X, null for an absent lane. */
  packages: readonly (Package | null)[]
  txs: readonly Uint8Array[]
  receipts: readonly Receipt[]
  nodes: ReadonlyMap<Hash, Uint8Array>
}>

/** Blocks that left and joined the canonical chain, oldest first. */
export type HeadMove = Readonly<{ reverted: readonly Hash[]; applied: readonly Hash[] }>

/** The chain on disk; reads are synchronous, every change is one transaction. */
export type ChainStore = Readonly<{
  nodes: NodeSource
  /** Null in an empty store. */
  pointers: () => Pointers | null
  genesis: () => Hash | null
  envelope: (hash: Hash) => BlockEnvelope | null
  block: (hash: Hash) => StoredBlock | null
  receipts: (hash: Hash) => readonly Receipt[] | null
  /** Hashes of a block's packages, null where the lane is absent. */
  packageHashes: (hash: Hash) => readonly (Hash | null)[] | null
  package: (hash: Hash) => Package | null
  /** Canonical chain only. */
  hashByNumber: (height: Height) => Hash | null
  /** Every stored block of this height, canonical or not. */
  hashesAt: (height: Height) => readonly Hash[]
  transactionPlace: (hash: Hash) => Readonly<{ blockHash: Hash; index: number }> | null
  /** Writes block 0 and points everything at it. Only for an empty store. */
  initialise: (genesis: BlockCommit) => Promise<void>
  putBlock: (commit: BlockCommit) => Promise<void>
  /** Makes a stored block the canonical head. */
  moveHead: (head: Hash) => Promise<HeadMove>
  /** Stores the votes that prove it beside it. */
  setJustified: (checkpoint: Checkpoint, votes: readonly Vote[]) => Promise<void>
  /** Stores the votes that prove it and drops the bodies of blocks that can no longer become canonical. */
  setFinalized: (checkpoint: Checkpoint, votes: readonly Vote[]) => Promise<void>
  /** Votes that finalised this block, null when it was not itself a final checkpoint. */
  finalityVotes: (hash: Hash) => readonly Vote[] | null
  /** Votes that justified the highest justified checkpoint, none before the first. */
  justifiedVotes: () => readonly Vote[]
  putEvidence: (evidence: Evidence) => Promise<void>
  evidence: () => readonly Evidence[]
  close: () => Promise<void>
}>
