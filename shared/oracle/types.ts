/** Signed observations and the transaction that carries them. Source: whitepaper 4.2.2; EIP-712. @module */
import type { Address, Hash, Hex, UnixMs } from '#shared/types.ts'

export type FeedStatus = 'OK' | 'WIDE' | 'HALTED' | 'CLOSED'

/** One feed's value in a batch. `value` is a signed 192-bit integer in the feed's decimals; lo/hi the extremes since the last round. */
export type Leaf = Readonly<{ feed: Hash; value: bigint; confidence: bigint; low: bigint; high: bigint; status: FeedStatus }>

/** A provider's signed values for one round of one shard. At most SHARD_FEEDS_MAX leaves, sorted by feed id. */
export type Batch = Readonly<{
  sourceSet: Hash
  shard: number
  round: number
  observedAtMs: UnixMs
  leaves: readonly Leaf[]
  provider: Address
  /** 65 bytes r ‖ s ‖ yParity, low s. */
  signature: Hex
}>

export type SourceSet = Readonly<{
  id: Hash
  kind: 'provider' | 'reporter'
  /** Sorted, distinct. */
  members: readonly Address[]
  /** Round length. */
  roundMs: number
  shardCount: number
  /** Feeds of each shard, sorted. Empty for reporters. */
  feeds: readonly (readonly Hash[])[]
  owner: Address
  fundingWei: bigint
}>

/** Receipt a collector signs for every accepted batch. */
export type BatchReceipt = Readonly<{ collector: Address; digest: Hash; sequence: number; receivedAtMs: UnixMs; signature: Hex }>

/** EIP-2718 type 0x47: rlp([chainId, sourceSet, shard, round, batches, submitter, signature]). */
export type AttestationTx = Readonly<{
  chainId: number
  sourceSet: Hash
  shard: number
  round: number
  /** At least valueQuorum(n), sorted by provider. */
  batches: readonly Batch[]
  submitter: Address
  signature: Hex
}>

/** A fact signed by one reporter: EIP-712 Fact(sourceSet, schema, subject, asOfMs, body). */
export type SignedFact = Readonly<{
  sourceSet: Hash
  schema: 'Deposit'
  subject: Hash
  asOfMs: UnixMs
  /** Canonical encoding of the fact; all signatures are over identical bytes. */
  body: Uint8Array
  reporter: Address
  signature: Hex
}>
