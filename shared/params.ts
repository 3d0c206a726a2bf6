/** Every protocol constant: name, unit, source, why. Values that differ between networks are in `ChainParams`. @module */

/** Total supply in wei: 81,920,000 FSN (whitepaper 6.3.2). */
export const SUPPLY_WEI = 81_920_000n * 10n ** 18n
/** Number of validators a fault budget f = floor((n − 1) / 3) is derived from; every quorum in the project uses these two functions. */
export const faultBudget = (memberCount: number): number => Math.floor((memberCount - 1) / 3)
/** Identical signatures that make a fact: two quorums always share an honest member. */
export const factQuorum = (memberCount: number): number => Math.floor((memberCount + faultBudget(memberCount)) / 2) + 1
/** Distinct signed values that make a number: the median lies between two honest ones. */
export const valueQuorum = (memberCount: number): number => 2 * faultBudget(memberCount) + 1

/** EIP-2718 types of the two native transactions. */
export const TRIGGER_TX_TYPE = 0x46
export const ATTESTATION_TX_TYPE = 0x47
/** Largest evidence field of a TriggerTx, bytes. */
export const EVIDENCE_BYTES_MAX = 2048
/** Largest AttestationTx, bytes. */
export const ATTESTATION_BYTES_MAX = 48 * 1024
/** Feeds in one shard of a source set: keeps a signed batch whole inside an AttestationTx. */
export const SHARD_FEEDS_MAX = 64
/** Rounds of one shard that a block may hold: a set whose rounds are as long as slots catches up after missed slots without a gap. */
export const ROUNDS_PER_BLOCK_MAX = 4
/** Largest body of a package, bytes of its transactions. */
export const PACKAGE_BYTES_MAX = 256 * 1024
/** Transactions in one package. */
export const PACKAGE_TX_COUNT_MAX = 4096
/** Own-chain headers, receipts and logs every validator holds; older logs cannot fire. */
export const PARENT_VIEW_BLOCKS = 256
/** An occurrence is on time within this many blocks after the first block at or past its time. */
export const ON_TIME_BLOCKS = 16
/** Share of block gas that attestations may use, percent. */
export const ATTESTATION_GAS_PERCENT = 15
/** Share of block gas that triggers may use, percent; registration refuses an entry above half of it. */
export const TRIGGER_GAS_PERCENT = 25
/** Least reports a feed's history ring holds. */
export const FEED_RING_REPORTS = 4096

/** Numbers fixed by the genesis of one network. All times integer milliseconds. */
export type ChainParams = Readonly<{
  chainId: number
  /** Slot length T. */
  slotMs: number
  /** X: groups, lanes and representatives. */
  laneCount: number
  /** K: tries each representative has in the proof-of-work race. */
  powTries: number
  /** Gas limit of a block, constant. Chosen so that all validators of a devnet execute a full block in a quarter slot. */
  blockGasLimit: bigint
  /** Message calls a block's gas can pay for; fixes the least gas of a call, see `callFloorGas`. */
  blockCallLimit: number
  /** EIP-1559 base fee of block 1, wei per gas. */
  initialBaseFeeWei: bigint
  /** Silence: an idle chain makes a block at least every this many slots. */
  idleSlots: number
  /** Blocks between two proofs of signature of a key: room for one attempt at least, and never more than a contract sees of the past. */
  heartbeatBlocks: number
  /** Emission per block with rewards = reserve × rate >> 48. */
  emissionRate: bigint
}>

/** Parameters of the development network. Source: consensus design, devnet column. */
export const DEVNET_PARAMS: ChainParams = {
  chainId: 81920,
  slotMs: 1500,
  laneCount: 2,
  powTries: 4096,
  // Four validators on two cores may spend 0.25 T = 375 ms: 187 ms of CPU each. bench/block-gas.ts measures 155 ms for a block of 256-bit
  // arithmetic and 185 to 235 ms for one of warm loads.
  blockGasLimit: 10_000_000n,
  // A call costs 14 to 28 µs of CPU whatever its gas: 2000 gas at least. bench/block-gas.ts measures 120 to 150 ms for a block of calls that
  // do nothing, 1.7 s without the floor, and 250 to 275 ms for one with warm loads between its calls.
  blockCallLimit: 5000,
  initialBaseFeeWei: 1_000_000_000n,
  idleSlots: 20,
  heartbeatBlocks: 200,
  emissionRate: 2_318_422n,
}
