/** The head as evaluations need it. @module */
import { nextBaseFee } from '#shared/chain/base-fee.ts'
import { triggerGasBudget } from '#shared/trigger/limits.ts'
import type { Hash } from '#shared/types.ts'
import type { Block, ChainMeta } from '#workers/chain/rpc.ts'

/** A block, and what follows from it for the next one. */
export type Head = Readonly<{
  number: number
  hash: Hash
  slot: number
  timeMs: number
  /** Slot of the block ON_TIME_BLOCKS + 1 below the next one, −1 when the chain is shorter. */
  onTimeAfterSlot: number
  /** Trigger base fee of the next block. */
  nextTriggerBaseFeeWei: bigint
}>

/** The head made of a block. */
export const headOf = (block: Block, meta: ChainMeta, onTimeAfterSlot: number): Head => ({
  number: block.number,
  hash: block.hash,
  slot: block.slot,
  timeMs: meta.genesisTimeMs + block.slot * meta.slotMs,
  onTimeAfterSlot,
  nextTriggerBaseFeeWei: nextBaseFee(block.triggerBaseFeeWei, block.triggerGasUsed, triggerGasBudget(block.gasLimit) / 2n),
})
