/**
 * State of the consensus machine and its start from a genesis or from disk.
 * The machine owns its state: `step` changes it in place and returns it, because copying it for every message would cost more than the
 * message. It is plain data (maps, lists, strings, integers), so `structuredClone` gives an independent branch.
 * @module
 */
import type { Duties } from '#shared/hhcm/duties.ts'
import type { Preference } from '#shared/hhcm/preference.ts'
import type {
  BlockEnvelope,
  Certificate,
  Checkpoint,
  CoSignature,
  Header,
  HhcmConfig,
  Package,
  PackageHeader,
  PeerId,
  Vote,
  WireMessage,
  WriteAheadRecord,
} from '#shared/hhcm/types.ts'
import type { Address, Hash, Height, Lane, Slot, UnixMs } from '#shared/types.ts'

/** A block above the last final one, or that one itself. */
export type BlockNode = {
  readonly hash: Hash
  readonly header: Header
  /** Null for genesis only. */
  readonly envelope: BlockEnvelope | null
  /** Package hash per lane. */
  readonly packageHashes: readonly (Hash | null)[]
  readonly preference: Preference
  /** Number of the last block up to this one that has transactions. */
  readonly busyNumber: Height
  /** Highest slot whose justification the chain up to this block proves. */
  readonly provenSlot: Slot
  readonly from: PeerId
  readonly arrivedSlot: Slot
  /** Arrived after the view freeze of `arrivedSlot`. */
  readonly isLate: boolean
  status: 'waiting' | 'executing' | 'valid'
}

/** A verified certificate. */
export type Certified = Readonly<{
  packageHash: Hash
  certificate: Certificate
  vrfOutput: Uint8Array
  ticket: Hash
}>

/** Votes from one checkpoint to another. */
export type Link = { readonly source: Checkpoint; readonly target: Checkpoint; readonly votes: Vote[]; stake: bigint }

/** A message that cannot be judged yet. */
export type Held = Readonly<{ from: PeerId; message: Exclude<WireMessage, { kind: 'vote' }> }>

/** Work of the current slot. */
export type Round = {
  readonly slot: Slot
  readonly packages: Map<Hash, PackageHeader>
  readonly checks: Map<Hash, 'asked' | 'valid' | 'invalid'>
  readonly certificates: Map<Hash, Certified>
  /** Verified co-signatures of each validator in this slot. */
  readonly coSigned: Map<Address, number>
  /** Packages and certificates on a parent that is not here yet. */
  readonly unplaced: Held[]
  /** Parent for which an own package was asked. */
  packageAsked: Hash | null
  own: { readonly package: Package; readonly coSignatures: Map<Address, CoSignature>; isCertified: boolean } | null
  /** Content of the block the shell is building. */
  build: Readonly<{ parentHash: Hash; certificates: readonly (Certificate | null)[]; votes: readonly Vote[]; own: Certified }> | null
  /** A valid package, certificate or block of this slot was seen, so that somebody is not silent. */
  isTouched: boolean
}

/** What this key has signed; never goes down. */
export type Signed = {
  packageSlot: Slot
  blockSlot: Slot
  readonly coSignatureSlots: Map<Lane, Slot>
  vote: Readonly<{ source: Checkpoint; target: Checkpoint }> | null
  /** After a lost write-ahead file: nothing is signed up to this slot. Null until the first tick tells the time. */
  quietUntil: Slot | null
}

export type HhcmState = {
  nowMs: UnixMs
  slot: Slot
  readonly validatorIndex: ReadonlyMap<Address, number>
  readonly totalStakeWei: bigint
  root: Hash
  head: Hash
  readonly nodes: Map<Hash, BlockNode>
  readonly children: Map<Hash, Hash[]>
  readonly orphans: Map<Hash, Readonly<{ block: BlockEnvelope; from: PeerId; arrivedSlot: Slot }>>
  readonly invalid: Map<Hash, Slot>
  /** Valid blocks that wait for the next slot before the fork choice sees them. */
  deferred: Hash[]
  justified: Checkpoint
  /** The votes that justified it, empty for genesis. */
  justifiedVotes: readonly Vote[]
  /** Highest justified checkpoint before the current slot: source of the own vote, which may come after the slot's own justification. */
  source: Checkpoint
  finalized: Checkpoint
  /** By target slot, then voter; two votes of one voter are kept when they contradict each other. */
  readonly votes: Map<Slot, Map<Address, readonly Vote[]>>
  readonly links: Map<string, Link>
  /** Keys of links with a supermajority whose blocks are not here yet. */
  readonly openLinks: Set<string>
  readonly bodies: Map<Hash, Package>
  readonly requests: Map<Hash, { readonly what: 'block' | 'package'; atMs: UnixMs }>
  syncedSlot: Slot
  round: Round
  /** Messages of the next slot. */
  early: Held[]
  readonly signed: Signed
  isActivityWanted: boolean
  readonly duties: Map<Hash, Duties>
  readonly verified: Map<string, Certified>
  readonly seenPackages: Map<string, readonly PackageHeader[]>
  readonly seenHeaders: Map<string, readonly Header[]>
  readonly reported: Map<string, Slot>
}

/** What a node brings back from its disk. */
export type Restored = Readonly<{
  /** The final block unless it is genesis, then every stored block above it, parents first. All were executed. */
  blocks: readonly BlockEnvelope[]
  finalized: Checkpoint
  justified: Checkpoint
  /** Null when the write-ahead file is missing; of a damaged one what is left, and an open silence as the last record. */
  writeAhead: readonly WriteAheadRecord[] | null
  /** Verified votes from disk: those of stored blocks, and best also those of the last `justified` effect. */
  votes: readonly Vote[]
}>

/** A fresh round. */
export function emptyRound(slot: Slot): Round {
  return {
    slot,
    packages: new Map(),
    checks: new Map(),
    certificates: new Map(),
    coSigned: new Map(),
    unplaced: [],
    packageAsked: null,
    own: null,
    build: null,
    isTouched: false,
  }
}

function signedFrom(records: readonly WriteAheadRecord[] | null): Signed {
  const signed: Signed = { packageSlot: 0, blockSlot: 0, coSignatureSlots: new Map(), vote: null, quietUntil: records === null ? null : 0 }
  for (const record of records ?? []) {
    if (record.kind === 'package') signed.packageSlot = Math.max(signed.packageSlot, record.slot)
    else if (record.kind === 'block') signed.blockSlot = Math.max(signed.blockSlot, record.slot)
    else if (record.kind === 'coSignature')
      signed.coSignatureSlots.set(record.lane, Math.max(signed.coSignatureSlots.get(record.lane) ?? 0, record.slot))
    else if (record.kind === 'quiet') signed.quietUntil = record.until
    else if (signed.vote === null || record.target.slot > signed.vote.target.slot)
      signed.vote = { source: record.source, target: record.target }
  }
  return signed
}

/** State before any event, holding nothing but the root block. */
export function bareState(
  config: HhcmConfig,
  root: BlockNode,
  restored: Pick<Restored, 'finalized' | 'justified' | 'writeAhead'>,
): HhcmState {
  return {
    nowMs: 0,
    slot: 0,
    validatorIndex: new Map(config.validators.map((validator, index) => [validator.address, index])),
    totalStakeWei: config.validators.reduce((sum, { stakeWei }) => sum + stakeWei, 0n),
    root: root.hash,
    head: root.hash,
    nodes: new Map([[root.hash, root]]),
    children: new Map(),
    orphans: new Map(),
    invalid: new Map(),
    deferred: [],
    justified: restored.justified,
    source: restored.justified,
    justifiedVotes: [],
    finalized: restored.finalized,
    votes: new Map(),
    links: new Map(),
    openLinks: new Set(),
    bodies: new Map(),
    requests: new Map(),
    syncedSlot: -1,
    round: emptyRound(0),
    early: [],
    signed: signedFrom(restored.writeAhead),
    isActivityWanted: false,
    duties: new Map(),
    verified: new Map(),
    seenPackages: new Map(),
    seenHeaders: new Map(),
    reported: new Map(),
  }
}
