/** What the block executor takes and gives. @module */
import type { Receipt } from '#shared/chain/types.ts'
import type { ExecutionInput, ExecutionRoots, Header } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'

/** Content-addressed store of trie nodes and contract code; keys are keccak-256 of the value. Reads are synchronous. */
export type NodeSource = Readonly<{ get: (hash: Hash) => Uint8Array | undefined }>

/** A transaction that failed at its turn: not in the block, no receipt, pays nothing. */
export type SkippedTransaction = Readonly<{ hash: Hash; code: string }>

export type Execution = Readonly<{
  roots: ExecutionRoots
  /** Raw transactions in executed order, and their receipts. */
  txs: readonly Uint8Array[]
  receipts: readonly Receipt[]
  skipped: readonly SkippedTransaction[]
  /** New trie nodes and code by hash, to be stored with the block in one transaction. */
  nodes: ReadonlyMap<Hash, Uint8Array>
}>

/** Why a block cannot be valid whatever its header says, for instance a broken supply identity. */
export type ExecutionRefusal = Readonly<{ refusal: string }>

export type Executor = Readonly<{
  /** Executes the merged block on the parent's state. Pure in (parent chain, input); commits nothing. */
  execute: (parent: Header, input: ExecutionInput) => Promise<Execution | ExecutionRefusal>
}>
