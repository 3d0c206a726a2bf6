/** Slots and the points inside them, all pure functions of genesis time and slot length. Source: docs/protocol.md, "Slot". @module */
import type { HhcmConfig } from '#shared/hhcm/types.ts'
import type { Slot, UnixMs } from '#shared/types.ts'

type Clock = Pick<HhcmConfig, 'genesisTimeMs' | 'slotMs'>

/** Points of a slot in thousandths of its length. */
export const PHASE = {
  /** Rank 0 publishes its package. */
  package: 50,
  /** Each further rank waits this much longer, and a co-signer with it. */
  rankStep: 100,
  /** From here half of the group's stake is enough to certify. */
  certify: 400,
  /** From here the best representative builds without waiting for missing lanes. */
  build: 520,
  /** Each further representative waits this much longer for a better block. */
  buildStep: 80,
  /** Blocks that arrive later are not voted for in this slot. */
  freeze: 700,
  vote: 750,
} as const

/** Slot of a moment; 0 up to the end of the first slot, also before genesis. */
export function slotAt(clock: Clock, nowMs: UnixMs): Slot {
  return Math.max(0, Math.floor((nowMs - clock.genesisTimeMs) / clock.slotMs))
}

/** Start of a slot; also the time of a block in it. */
export function slotStartMs(clock: Clock, slot: Slot): UnixMs {
  return clock.genesisTimeMs + slot * clock.slotMs
}

/** Moment of a phase of a slot. */
export function phaseMs(clock: Clock, slot: Slot, permille: number): UnixMs {
  return slotStartMs(clock, slot) + Math.floor((clock.slotMs * permille) / 1000)
}
