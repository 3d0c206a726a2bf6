/**
 * The trigger language and the alphabet of its one evaluator.
 * Source: whitepaper 4.2.1, 4.4.1, 4.4.2. JSON is a rendering of these types; the chain knows the binary encoding only.
 * @module
 */
import type { Log } from '#shared/chain/types.ts'
import type { Address, Hash, Height, Hex, UnixMs, Wei } from '#shared/types.ts'

/** What happens to fires that were due while nothing could run them. */
export type Missed = Readonly<{ mode: 'skip' } | { mode: 'latest'; graceSec: number } | { mode: 'all'; max: number; graceSec: number }>

export type Timing =
  | Readonly<{ kind: 'at'; timesMs: readonly UnixMs[] }>
  | Readonly<{ kind: 'interval'; anchorMs: UnixMs; everySec: number }>
  /** Five fields, or six with seconds first; UTC. */
  | Readonly<{ kind: 'cron'; expr: string }>
  /** `every` is 0 for a single height. */
  | Readonly<{ kind: 'height'; at: Height; every: number }>

export type CompareOp = 'lt' | 'le' | 'gt' | 'ge'

export type Condition =
  /** Rising edge with mandatory re-arm level on the far side of `value`; values are fixed-point integers in the feed's own decimals. */
  | Readonly<{
      kind: 'feed.compare'
      feed: Hash
      maxAgeSec: number
      op: CompareOp
      value: bigint
      rearm: bigint
      holdReports: number
      holdSec: number
    }>
  /** Own-chain log; per position a list of accepted topics, empty means any. */
  | Readonly<{ kind: 'log'; addresses: readonly Address[]; topics: readonly (readonly Hash[])[] }>
  /** STATICCALL on the parent state that must return true; rising edge unless `edge` is level. */
  | Readonly<{ kind: 'view'; to: Address; data: Uint8Array; gasLimit: number; everyBlocks: number; edge: 'rising' | 'level' }>
  /** Payment of the foreign chain's native coin, attested by a reporter set at depth `confirmations`. */
  | Readonly<{ kind: 'chain.deposit'; chain: bigint; reporters: Hash; to: Address; minWei: Wei; confirmations: number }>

export type Mode =
  | Readonly<{ type: 'active' }>
  | Readonly<{ type: 'timing'; when: Timing; missed: Missed }>
  | Readonly<{ type: 'event'; when: Condition }>

/**
 * Values a fire can put into its call. Times are Unix milliseconds; `fire.scheduledAt` of a height trigger is the height.
 * A negative `feed.value` in an unsigned argument becomes 0.
 */
export type Ref =
  | 'fire.scheduledAt'
  | 'fire.key'
  | 'fire.seq'
  | 'feed.value'
  | 'feed.observedAt'
  | 'report.digest'
  | 'event.address'
  | 'event.topic1'
  | 'event.topic2'
  | 'event.topic3'
  | 'event.data'
  | 'deposit.from'
  | 'deposit.amount'
  | 'deposit.txid'

/** A literal is the ABI word (32 bytes) of a static type, or the content of `bytes`. */
export type Argument = Readonly<{ lit: Uint8Array } | { ref: Ref }>

export type Action = Readonly<{
  to: Address
  valueWei: Wei
  selector: Hex
  /** ABI type names, static types and `bytes` only; same length as `args`. */
  types: readonly string[]
  args: readonly Argument[]
  gasLimit: number
}>

export type TriggerDescription = Readonly<{
  version: 1
  /** At most 64 UTF-8 bytes. */
  name: string
  mode: Mode
  action: Action
  limits: Readonly<{
    notBeforeMs: UnixMs
    expiresAtMs: UnixMs
    maxFires: number
    cooldownSec: number
    maxFeePerGasWei: Wei
    /** An occurrence older than this is missed; 0 is no limit. Only for timing, feed.compare and log. */
    freshForSec: number
  }>
  onRevert: Readonly<{ retries: number; backoffSec: number; thenPause: boolean }>
  funding: Readonly<{ reserveWei: Wei; lowWaterWei: Wei; tipWei: Wei; attestationFeeWei: Wei }>
}>

export type TriggerStatus = 'ACTIVE' | 'PAUSED' | 'EXHAUSTED' | 'EXPIRED' | 'CANCELLED'

/** One row of the calling list: the description and its small on-chain state. */
export type Entry = Readonly<{
  id: Hash
  owner: Address
  /** Stable caller of this owner's triggers: last 20 bytes of keccak("fusion.trigger", owner). */
  caller: Address
  revision: number
  description: TriggerDescription
  descHash: Hash
  status: TriggerStatus
  registeredAt: Readonly<{ height: Height; timeMs: UnixMs }>
  fundingWei: Wei
  fires: number
  missed: number
  /** Consecutive failed attempts of the current occurrence. */
  attempt: number
  backoffUntilMs: UnixMs
  lastFireMs: UnixMs
  /** Timing: the next due time in Unix ms, or the next height. 0 when there is none. */
  dueAt: number
  /** Edge conditions. */
  armed: boolean
  /** Feed: last report consumed (ring sequence). Log: last consumed position. View: last evaluated height. */
  cursor: bigint
  /** Counts rising edges consumed; `active`: activations requested. */
  edgeCount: number
}>

/** A stored report of one feed: the value held for every round in firstRound..lastRound. */
export type FeedReport = Readonly<{
  /** Position in the feed's history, from 1, never reused. */
  sequence: bigint
  value: bigint
  status: 'OK' | 'WIDE' | 'HALTED' | 'CLOSED'
  firstRound: number
  lastRound: number
  observedAtMs: UnixMs
  /** Latest observation that confirmed the value. */
  lastObservedAtMs: UnixMs
  /** Whether rounds are missing between this report and the one before. */
  afterGap: boolean
  digest: Hash
}>

/** An attested payment on a foreign chain, as reporters signed it. */
export type DepositFact = Readonly<{
  chain: bigint
  txid: Hash
  from: Address
  to: Address
  amountWei: Wei
  height: Height
  blockHash: Hash
  confirmations: number
}>

/** The closed set of things an evaluation may read, all pinned to the parent block. */
export type ReadKey =
  | Readonly<{ kind: 'feedHistory'; feed: Hash; after: bigint }>
  | Readonly<{ kind: 'logs'; afterPosition: bigint; addresses: readonly Address[]; topics: readonly (readonly Hash[])[] }>
  | Readonly<{ kind: 'call'; from: Address; to: Address; data: Uint8Array; gasLimit: number }>

export type ReadValue =
  /** Reports after the cursor in order; `oldest` is the first sequence the ring still holds, 0 when there is none. */
  | Readonly<{ kind: 'feedHistory'; reports: readonly FeedReport[]; oldest: bigint }>
  /** Logs in chain order; position = height << 32 | log index in block. `oldestHeight` is the first height still held. */
  | Readonly<{ kind: 'logs'; logs: readonly Readonly<{ position: bigint; log: Log; timeMs: UnixMs }>[]; oldestHeight: Height }>
  | Readonly<{ kind: 'call'; success: boolean; returnData: Uint8Array; gasUsed: bigint }>

/** The slot a fire would execute in, and its parent. */
export type EvaluationContext = Readonly<{
  /** Time of the block being built: genesis + slot × T. */
  timeMs: UnixMs
  height: Height
  /** Time of the parent block. */
  parentTimeMs: UnixMs
  /** Time of the block ON_TIME_BLOCKS + 1 below this one, −1 when the chain is shorter: an occurrence after it is on time. */
  onTimeAfterMs: UnixMs
  slotMs: number
  triggerBaseFeeWei: Wei
}>

export type Reason =
  | 'NOT_DUE'
  | 'NOT_BEFORE'
  | 'EXPIRED'
  | 'EXHAUSTED'
  | 'PAUSED'
  | 'CANCELLED'
  | 'COOLDOWN'
  | 'BACKOFF'
  | 'FUNDS'
  | 'FEE_TOO_LOW'
  | 'NOT_ARMED'
  | 'CONDITION_FALSE'
  | 'HOLDING'
  | 'STALE'
  | 'SOURCE'
  | 'NO_REPORT'
  | 'AWAITING_EVIDENCE'
  | 'VIEW_REVERTED'
  | 'MISSED_LATE'
  | 'MISSED_STALE_EVENT'
  | 'MISSED_LOG_PRUNED'
  | 'MISSED_LOG_TOO_LARGE'
  | 'MISSED_REPORTS_PRUNED'
  | 'ALREADY_FIRED'

/** A firing that is due: what makes it unique and what it calls. */
export type Due = Readonly<{
  /** `arm` re-arms an edge trigger without a call; `fire` calls; `miss` only advances the row past dropped fires. */
  action: 'fire' | 'arm' | 'miss'
  /** 32-byte discriminator: scheduledAt | height | edge counter | log position | hash of (chain, txid). */
  occurrence: Hash
  scheduledAtMs: UnixMs
  /** Why the fires before this one, or this one if it is a miss, were dropped; null when none was. */
  missedReason: Reason | null
  /** State of the row after this occurrence is consumed. */
  next: Readonly<{ dueAt: number; armed: boolean; cursor: bigint; edgeCount: number; missedAdd: number }>
  /** Empty for `arm` and `miss`. */
  callData: Uint8Array
  /** Digest of the report that made the condition true; zero when there is none. */
  digest: Hash
}>

/** What a TriggerTx of an attested condition brings, checked by the caller: quorum reached on every fact. */
export type VerifiedEvidence = Readonly<{
  deposits: readonly DepositFact[]
  /** Whether this occurrence of the entry's revision was consumed before. */
  fired: (occurrence: Hash) => boolean
}>

export type Evaluation =
  | Readonly<{ kind: 'need'; keys: readonly ReadKey[] }>
  | Readonly<{ kind: 'due'; due: Due }>
  /** `retryAtMs` is when it can next become due by time alone, 0 when only an event can change it. */
  | Readonly<{ kind: 'notDue'; reason: Reason; retryAtMs: UnixMs }>
  | Readonly<{ kind: 'unknown'; reason: Reason }>
