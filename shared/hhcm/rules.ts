/**
 * The protocol's decisions as one record, so that tests can replace one at a time and show that the replacement is caught.
 * Everything outside tests uses `RULES`.
 * @module
 */
import type { Duties } from '#shared/hhcm/duties.ts'
import { ticketSeed } from '#shared/hhcm/pow.ts'
import { comparePreference } from '#shared/hhcm/preference.ts'
import type { Preference } from '#shared/hhcm/preference.ts'
import { slotSeed } from '#shared/hhcm/randomness.ts'
import { PHASE } from '#shared/hhcm/timetable.ts'
import type { Checkpoint, Header, HhcmCrypto } from '#shared/hhcm/types.ts'
import type { Address, Hash, Lane, Slot } from '#shared/types.ts'

type Sha256 = HhcmCrypto['sha256']

export type Rules = Readonly<{
  /** More than two thirds of the stake. */
  isSupermajority: (stake: bigint, total: bigint) => boolean
  /** Whether a justified link makes its source final. */
  isFinalizing: (source: Checkpoint, target: Checkpoint) => boolean
  /** Checkpoint below which the fork choice does not look. */
  forkStart: (view: Readonly<{ justified: Checkpoint; finalized: Checkpoint }>) => Checkpoint
  /** Blocks that arrive after this point of a slot wait for the next slot before the fork choice sees them. */
  freezePermille: number
  comparePreference: (left: Preference, right: Preference) => number
  slotSeed: (parent: Header, parentHash: Hash, slot: Slot, sha256: Sha256) => Hash
  ticketSeed: (
    race: Readonly<{
      genesisHash: Hash
      seed: Hash
      slot: Slot
      lane: Lane
      author: Address
      vrfOutput: Uint8Array
      packageHash: Hash
    }>,
    sha256: Sha256,
  ) => Uint8Array
  /** Position of a validator in a lane's author order, -1 when it has no place there. */
  rankOf: (duties: Duties, lane: Lane, validator: number) => number
}>

/** The rules of the protocol. */
export const RULES: Rules = {
  isSupermajority: (stake, total) => 3n * stake > 2n * total,
  isFinalizing: (source, target) => target.slot === source.slot + 1,
  forkStart: ({ justified }) => justified,
  freezePermille: PHASE.freeze,
  comparePreference,
  slotSeed: (parent, _parentHash, slot, sha256) => slotSeed(parent, slot, sha256),
  ticketSeed,
  rankOf: (duties, lane, validator) => duties[lane]?.indexOf(validator) ?? -1,
}
