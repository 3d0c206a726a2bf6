/** TriggerTx, EIP-2718 type 0x46. Codec functions are beside the type. @module */
import type { Address, Hash, Hex } from '#shared/types.ts'

/** 0x46 ‖ rlp([chainId, entryId, revision, occurrence, attempt, evidence, beneficiary, yParity, r, s]) */
export type TriggerTx = Readonly<{
  chainId: number
  entryId: Hash
  revision: number
  occurrence: Hash
  attempt: number
  /** At most EVIDENCE_BYTES_MAX. Empty for intrinsic conditions. */
  evidence: Uint8Array
  beneficiary: Address
  /** Null in a transaction that a lane author inserts for itself: encoded as yParity 0, r = s = 0. */
  signature: Readonly<{ yParity: 0 | 1; r: Hex; s: Hex }> | null
}>
