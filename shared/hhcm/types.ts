/**
 * Objects and machine alphabet of HHCM consensus. Codecs are in codec.ts, the reducer in step.ts.
 * Source: whitepaper 5; consensus as specified in docs/protocol.md.
 * @module
 */
import type { Address, Hash, Height, Hex, Lane, Slot, UnixMs, Wei } from '#shared/types.ts'

/** A bookkeeping node of the fixed genesis set. */
export type Validator = Readonly<{
  /** secp256k1 operator address; receives rewards. */
  address: Address
  /** 32-byte Ed25519 key: votes, packages, blocks and the VRF. */
  consensusKey: Hex
  stakeWei: Wei
}>

export type HhcmConfig = Readonly<{
  chainId: number
  genesisHash: Hash
  genesisTimeMs: UnixMs
  slotMs: number
  /** X */
  laneCount: number
  /** K */
  powTries: number
  idleSlots: number
  /** Sorted by address. */
  validators: readonly Validator[]
  /** Own operator address, null for a node that only follows. */
  self: Address | null
}>

export type Checkpoint = Readonly<{ slot: Slot; blockHash: Hash }>

/** Signed header of one lane's ordered transaction list. Commits to nothing that depends on execution. */
export type PackageHeader = Readonly<{
  slot: Slot
  lane: Lane
  /** Position of the author in the lane's fallback order; 0 is the winner. */
  rank: number
  parentHash: Hash
  author: Address
  /** Root over the ordered raw transactions. */
  txRoot: Hash
  txCount: number
  bytes: number
  /** Ed25519 over the domain-separated header, 64 bytes. */
  signature: Hex
}>
export type Package = Readonly<{ hash: Hash; header: PackageHeader; txs: readonly Uint8Array[] }>

/** A group member's promise that it holds and serves the package's body. */
export type CoSignature = Readonly<{ slot: Slot; lane: Lane; packageHash: Hash; signer: Address; signature: Hex }>

/** A certified package together with its author's ticket in the proof-of-work race. */
export type Certificate = Readonly<{
  header: PackageHeader
  /** At least half of the group's stake, the author's own among them, sorted by signer. */
  coSignatures: readonly CoSignature[]
  /** ECVRF proof on (parent randomness, slot), 80 bytes. */
  vrfProof: Hex
  /** The n < K with the lowest digest. */
  ticketNonce: number
  /** Author's signature over (slot, lane, packageHash, vrfProof, ticketNonce). */
  signature: Hex
}>

/** One FFG vote; target.slot is the slot it was cast in, target.blockHash the head at the vote point. */
export type Vote = Readonly<{ source: Checkpoint; target: Checkpoint; voter: Address; signature: Hex }>

export type Header = Readonly<{
  number: Height
  slot: Slot
  parentHash: Hash
  author: Address
  lane: Lane
  /** Rank of the author's own package. */
  rank: number
  vrfProof: Hex
  ticketNonce: number
  /** R_h = SHA-256(R_{h−1}, y_h); skipped slots advance it as docs/protocol.md says. */
  randomness: Hash
  /** Hash of the RLP list of the X certificates, an empty list for an absent lane: the header commits to every byte of the envelope. */
  packagesRoot: Hash
  /** Hash of the list of votes the block carries. */
  votesRoot: Hash
  /** Merkle-Patricia roots as in Ethereum, over the merged order that was really executed. */
  txRoot: Hash
  receiptsRoot: Hash
  stateRoot: Hash
  /** 256 bytes. */
  logsBloom: Hex
  gasUsed: bigint
  gasLimit: bigint
  baseFeeWei: bigint
  /** Gas used by trigger transactions and their own base fee (EIP-1559 rule, target half of the trigger budget). */
  triggerGasUsed: bigint
  triggerBaseFeeWei: bigint
  signature: Hex
}>

/** What travels as "block" and what a node stores: header, per-lane certificates, votes; bodies are pulled by hash. */
export type BlockEnvelope = Readonly<{
  hash: Hash
  header: Header
  /** Length X, null for an absent lane. */
  certificates: readonly (Certificate | null)[]
  votes: readonly Vote[]
}>

export type Evidence = Readonly<{
  offence: 'DOUBLE_VOTE' | 'SURROUND_VOTE' | 'DOUBLE_BLOCK' | 'DOUBLE_PACKAGE' | 'DOUBLE_CO_SIGNATURE'
  offender: Address
  /** The two contradicting signed objects, encoded. */
  first: Uint8Array
  second: Uint8Array
}>

export type WireMessage =
  | Readonly<{ kind: 'package'; package: Package }>
  | Readonly<{ kind: 'coSignature'; coSignature: CoSignature }>
  | Readonly<{ kind: 'certificate'; certificate: Certificate }>
  | Readonly<{ kind: 'block'; block: BlockEnvelope }>
  | Readonly<{ kind: 'vote'; vote: Vote }>

/** Everything of a block the executor needs; a pure function of it and the parent state gives the roots. */
export type ExecutionInput = Readonly<{
  parentHash: Hash
  slot: Slot
  author: Address
  /** Length X, in lane order; the merge permutes them by the parent's randomness. */
  packages: readonly (Package | null)[]
  /** Distinct voters whose votes since the parent the block carries, sorted. */
  voters: readonly Address[]
  /** Per lane the signers of the certificate. */
  coSigners: readonly (readonly Address[])[]
}>

export type ExecutionRoots = Pick<
  Header,
  'txRoot' | 'receiptsRoot' | 'stateRoot' | 'logsBloom' | 'gasUsed' | 'gasLimit' | 'baseFeeWei' | 'triggerGasUsed' | 'triggerBaseFeeWei'
>

/** Written with fsync before the object it protects leaves the process. */
export type WriteAheadRecord =
  | Readonly<{ kind: 'package'; slot: Slot; lane: Lane; hash: Hash }>
  | Readonly<{ kind: 'coSignature'; slot: Slot; lane: Lane; hash: Hash }>
  | Readonly<{ kind: 'block'; slot: Slot; hash: Hash }>
  | Readonly<{ kind: 'vote'; source: Checkpoint; target: Checkpoint }>
  /** The record was lost: nothing is signed up to this slot. Null, never on disk, tells the machine that a part of its record is lost. */
  | Readonly<{ kind: 'quiet'; until: Slot | null }>

/** Name of the peer a message came from; opaque to the machine, returned in faults. */
export type PeerId = string

export type HhcmEvent =
  | Readonly<{ kind: 'tick'; nowMs: UnixMs }>
  /** Decoded and size-checked by the shell; signatures are checked by the machine. */
  | Readonly<{ kind: 'message'; from: PeerId; message: WireMessage }>
  /** Answers to effects of the same name. */
  | Readonly<{ kind: 'packageBuilt'; slot: Slot; lane: Lane; parentHash: Hash; txs: readonly Uint8Array[] }>
  | Readonly<{ kind: 'packageChecked'; packageHash: Hash; valid: boolean }>
  | Readonly<{ kind: 'blockBuilt'; slot: Slot; parentHash: Hash; roots: ExecutionRoots | null }>
  | Readonly<{ kind: 'executed'; blockHash: Hash; valid: boolean }>
  /** Whether pool or calling list ask for a block on top of the head. */
  | Readonly<{ kind: 'activity'; wanted: boolean }>

export type HhcmEffect =
  /** Performed, with fsync, before any later effect of the same step. */
  | Readonly<{ kind: 'persist'; record: WriteAheadRecord }>
  | Readonly<{ kind: 'broadcast'; message: WireMessage }>
  | Readonly<{ kind: 'buildPackage'; slot: Slot; lane: Lane; parentHash: Hash }>
  | Readonly<{ kind: 'checkPackage'; package: Package }>
  | Readonly<{ kind: 'buildBlock'; input: ExecutionInput }>
  /** Execute and, when the roots equal the header's, store the block. Parents come first. */
  | Readonly<{ kind: 'execute'; block: BlockEnvelope; input: ExecutionInput }>
  | Readonly<{ kind: 'request'; what: 'block' | 'package'; hash: Hash; from: PeerId | null }>
  /** The chain is behind: fetch blocks after `fromNumber` from peers. */
  | Readonly<{ kind: 'sync'; fromNumber: Height }>
  | Readonly<{ kind: 'head'; blockHash: Hash }>
  | Readonly<{ kind: 'justified'; checkpoint: Checkpoint; votes: readonly Vote[] }>
  | Readonly<{ kind: 'finalized'; checkpoint: Checkpoint; votes: readonly Vote[] }>
  | Readonly<{ kind: 'evidence'; evidence: Evidence }>
  /** Wrong whatever the head: the peer loses score. */
  | Readonly<{ kind: 'fault'; peer: PeerId; fault: string }>

/** Deterministic operations of this node's own consensus key, and verification of others'. The simulator passes a fast fake. */
export type HhcmCrypto = Readonly<{
  sign: (message: Uint8Array) => Uint8Array
  verify: (publicKey: Hex, message: Uint8Array, signature: Hex) => boolean
  vrfProve: (input: Uint8Array) => Uint8Array
  /** The 64-byte VRF output, or null for a wrong proof. Source: RFC 9381, ECVRF-EDWARDS25519-SHA512-TAI. */
  vrfVerify: (publicKey: Hex, input: Uint8Array, proof: Hex) => Uint8Array | null
  sha256: (data: Uint8Array) => Uint8Array
  keccak256: (data: Uint8Array) => Uint8Array
}>
