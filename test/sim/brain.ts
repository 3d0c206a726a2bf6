/** One machine of the simulator and what its process keeps on disk. @module */
import type { HhcmState, Restored } from '#shared/hhcm/state.ts'
import type { BlockEnvelope, Checkpoint, HhcmConfig, HhcmCrypto, Package, Vote, WriteAheadRecord } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'

export type Disk = {
  wal: WriteAheadRecord[]
  /** Stored blocks in order; the tail behind `synced` is lost in a crash. */
  blocks: BlockEnvelope[]
  packages: Map<Hash, Package>
  finalized: Checkpoint
  justified: Checkpoint
  votes: readonly Vote[]
}
/** One machine: an honest validator, or one brain of a byzantine one. */
export type Brain = {
  readonly id: number
  readonly validator: number
  readonly isHonest: boolean
  /** Side of the network a byzantine brain talks to. */
  readonly side: number
  readonly config: HhcmConfig
  readonly crypto: HhcmCrypto
  skewMs: number
  state: HhcmState
  disk: Disk
  isUp: boolean
  /** Grows with every restart, so that answers to a dead process are dropped. */
  life: number
  finalSlot: number
}
/**
 * What a restarted process reads. The last `lost` blocks were not synced and are gone, and with them every pointer to them;
 * the write-ahead file is always synced.
 */
export function recover(disk: Disk, lost: number, genesisHash: Hash, isAmnesiac: boolean): Restored {
  if (lost > 0) disk.blocks = disk.blocks.slice(0, Math.max(0, disk.blocks.length - lost))
  const stored = new Map(disk.blocks.map((block) => [block.hash, block]))
  const isStored = ({ blockHash }: Checkpoint): boolean => blockHash === genesisHash || stored.has(blockHash)
  if (!isStored(disk.finalized)) disk.finalized = { slot: 0, blockHash: genesisHash }
  if (!isStored(disk.justified)) disk.justified = disk.finalized
  const final = stored.get(disk.finalized.blockHash)
  const above = disk.blocks.filter((block) => block.header.number > (final?.header.number ?? 0))
  return {
    blocks: final === undefined ? above : [final, ...above],
    finalized: disk.finalized,
    justified: disk.justified,
    writeAhead: isAmnesiac ? [] : disk.wal,
    votes: disk.votes,
  }
}
