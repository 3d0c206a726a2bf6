/**
 * What the executor gives a native transaction (EIP-2718 types 0x46 and 0x47) at its turn, and what it wants back.
 * Source: joints of block order and budgets, docs/protocol.md.
 * @module
 */
import type { CallRequest, CallResult, NativeHost } from '#node/chain-reader.ts'
import type { Receipt, StateView } from '#shared/chain/types.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { ExecutionInput, Header } from '#shared/hhcm/types.ts'
import type { AttestationTx } from '#shared/oracle/types.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { Address, Hash, Height, Lane, Slot, UnixMs, Wei } from '#shared/types.ts'

/** Everything own-chain conditions may be judged on: the parent's state, and headers and receipts of its last blocks. */
export type ParentView = Readonly<{
  header: Header
  state: StateView
  /** The parent's ancestor (or itself) at this height; null outside the last PARENT_VIEW_BLOCKS. Never a block of another fork. */
  ancestor: (height: Height) => Readonly<{ header: Header; receipts: readonly Receipt[] }> | null
  /** Call on the parent's state with the parent's header as context; changes nothing. */
  call: (request: CallRequest) => Promise<CallResult>
}>

/** The block being built, as far as it is known while transactions run. */
export type BlockContext = Readonly<{
  parent: ParentView
  number: Height
  slot: Slot
  timeMs: UnixMs
  baseFeeWei: Wei
  triggerBaseFeeWei: Wei
  /** Author of the block. */
  author: Address
}>

/** What one native transaction may know and use. */
export type NativeContext = BlockContext &
  Readonly<{
    txHash: Hash
    /** Author of the package that carries the transaction. */
    packageAuthor: Address
    /** Whole gas this transaction may use: what its budget and the block have left. */
    gasLeft: bigint
    crypto: CryptoSuite
  }>

/**
 * `skip`: invalid at its turn; every change made through the host is undone and the transaction is not in the block.
 * Otherwise it is in the block; its receipt holds the logs of `host.log` and of successful `host.call`s in their order.
 * `gasUsed` above `gasLeft` counts as skipped.
 */
export type NativeOutcome =
  | Readonly<{ skip: string }>
  | Readonly<{ status: 0 | 1; gasUsed: bigint; effectiveGasPriceWei: Wei; from: Address; to: Address }>

/** The native transactions' rules, supplied to the executor. Each is a pure function of parent view, block context and current state. */
export type NativeExecutors = Readonly<{
  trigger: (host: NativeHost, tx: TriggerTx, context: NativeContext) => Promise<NativeOutcome>
  attestation: (host: NativeHost, tx: AttestationTx, context: NativeContext) => Promise<NativeOutcome>
  /** Due time the parent's state gives a trigger transaction: its place in the block. 0 when the entry is unknown. */
  scheduledAtMs: (tx: TriggerTx, parent: ParentView) => number
  /** Lanes whose package leaves out a due and funded trigger that its budget had room for; their authors lose the package reward. */
  omittedLanes: (input: ExecutionInput, context: BlockContext) => Promise<ReadonlySet<Lane>>
}>

/** A deterministic stateless contract behind an address, charged before it works. */
export type PrecompileFunction = (
  data: Uint8Array,
  gasLimit: bigint,
) => Readonly<{ returnValue: Uint8Array; gasUsed: bigint; error?: 'OUT_OF_GAS' | 'REVERT' }>
