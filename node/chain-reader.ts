/** What JSON-RPC, pool and network may ask of the chain; implemented by node/chain.ts over the store. @module */
import type { Log, Receipt, Refusal, StateView } from '#shared/chain/types.ts'
import type { BlockEnvelope, Header, Package } from '#shared/hhcm/types.ts'
import type { Address, Hash, Height, Wei } from '#shared/types.ts'

export type StoredBlock = Readonly<{
  envelope: BlockEnvelope
  /** Raw transactions in executed order: triggers, user transactions, attestations. */
  txs: readonly Uint8Array[]
  receipts: readonly Receipt[]
}>

export type ChainReader = Readonly<{
  chainId: number
  genesisHash: Hash
  slotTimeMs: (slot: number) => number
  /** Head of the fork choice; `safe` is the highest justified block, `finalized` the highest final one. */
  head: () => BlockEnvelope
  safe: () => BlockEnvelope
  finalized: () => BlockEnvelope
  /** Canonical chain only. */
  hashByNumber: (height: Height) => Hash | null
  envelope: (hash: Hash) => BlockEnvelope | null
  block: (hash: Hash) => StoredBlock | null
  package: (hash: Hash) => Package | null
  /** Canonical inclusion of a transaction. */
  transactionPlace: (hash: Hash) => Readonly<{ blockHash: Hash; index: number }> | null
  stateAt: (header: Header) => StateView
  /** Merkle-Patricia nodes from the root to account and slots, for eth_getProof. */
  proof: (
    header: Header,
    address: Address,
    slots: readonly Hash[],
  ) => Readonly<{ account: readonly Uint8Array[]; slots: readonly (readonly Uint8Array[])[] }>
  /** Called after the head, the justified or the final block changed. Returns the unsubscriber. */
  onChange: (
    listener: (change: Readonly<{ kind: 'head' | 'safe' | 'finalized'; block: BlockEnvelope; reverted: readonly Hash[] }>) => void,
  ) => () => void
}>

export type CallRequest = Readonly<{
  from?: Address
  to?: Address | null
  data?: Uint8Array
  valueWei?: Wei
  gasLimit?: bigint
  gasPriceWei?: Wei
  isStatic?: boolean
}>
export type StateOverride = Readonly<
  Record<
    Address,
    Readonly<{
      balanceWei?: Wei
      nonce?: bigint
      code?: Uint8Array
      state?: Readonly<Record<Hash, Hash>>
      stateDiff?: Readonly<Record<Hash, Hash>>
    }>
  >
>
export type CallResult = Readonly<{
  success: boolean
  returnData: Uint8Array
  gasUsed: bigint
  error: string | null
  logs: readonly Log[]
  createdAddress: Address | null
}>

/** Reads that need the EVM. `header` is the block whose post-state and context are used. */
export type EvmCaller = Readonly<{
  call: (request: CallRequest, header: Header, override?: StateOverride) => Promise<CallResult>
  /** Least gas limit with which the call succeeds, intrinsic gas included; the failed call when none does. */
  estimateGas: (request: CallRequest, header: Header, override?: StateOverride) => Promise<Readonly<{ gas: bigint }> | CallResult>
  /** Addresses and slots the call touches beyond what is warm anyway, and the call's result with that list. */
  accessList: (
    request: CallRequest,
    header: Header,
  ) => Promise<Readonly<{ accessList: readonly Readonly<{ address: Address; storageKeys: readonly Hash[] }>[]; result: CallResult }>>
}>

export type PoolRefusal = Refusal

/** Transactions waiting for a lane. Native types live in the same pool under their own rules. */
export type TransactionPool = Readonly<{
  /** Full validation against the head. The raw form is the EIP-2718 envelope. */
  add: (raw: Uint8Array, origin: 'local' | 'gossip') => Promise<Readonly<{ hash: Hash }> | PoolRefusal>
  get: (hash: Hash) => Uint8Array | null
  /** Next nonce after everything pending from this sender. */
  nextNonce: (address: Address) => bigint
  /** Ordered content of a package for one lane on this parent; cut at bytes, count and gas. */
  select: (parent: BlockEnvelope, lane: number, laneCount: number) => readonly Uint8Array[]
  size: () => number
  content: () => readonly Readonly<{ hash: Hash; from: Address; nonce: bigint; raw: Uint8Array; queued: boolean }>[]
  onAdded: (listener: (hash: Hash, raw: Uint8Array, origin: 'local' | 'gossip') => void) => () => void
}>

/** Host access a native transaction has while it executes at its turn; every movement of value conserves the sum. */
export type NativeHost = Readonly<{
  storage: (address: Address, slot: Hash) => Promise<Hash>
  setStorage: (address: Address, slot: Hash, value: Hash) => Promise<void>
  code: (address: Address) => Promise<Uint8Array>
  balance: (address: Address) => Promise<Wei>
  /** False, and nothing changes, when `from` has less. */
  transfer: (from: Address, to: Address, amountWei: Wei) => Promise<boolean>
  log: (log: Log) => void
  /** A call inside its own checkpoint; reverts undo the callee's changes only. Nonces never move. */
  call: (call: Readonly<{ caller: Address; to: Address; data: Uint8Array; valueWei: Wei; gasLimit: bigint }>) => Promise<CallResult>
}>
