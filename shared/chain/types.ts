/** Accounts, receipts and state reads as every part of the project sees them. @module */
import type { Address, Hash, Hex, Wei } from '#shared/types.ts'

export type Account = Readonly<{ nonce: bigint; balanceWei: Wei; storageRoot: Hash; codeHash: Hash }>

export type Log = Readonly<{ address: Address; topics: readonly Hash[]; data: Uint8Array }>

/** EIP-2718 receipt with what JSON-RPC needs beside it. */
export type Receipt = Readonly<{
  txType: number
  txHash: Hash
  status: 0 | 1
  cumulativeGasUsed: bigint
  gasUsed: bigint
  effectiveGasPriceWei: Wei
  from: Address
  to: Address | null
  contractAddress: Address | null
  logsBloom: Hex
  logs: readonly Log[]
}>

/** One state, identified by its root. Reads of absent things give null, empty code and the zero word. */
export type StateView = Readonly<{
  root: Hash
  account: (address: Address) => Account | null
  code: (address: Address) => Uint8Array
  storage: (address: Address, slot: Hash) => Hash
}>

/** Why a transaction is not taken: a stable code, and the wording Ethereum clients use. */
export type Refusal = Readonly<{ code: string; message: string }>
