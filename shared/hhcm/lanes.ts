/**
 * Which lane a transaction belongs to, and in which order lanes are merged; both keyed by the parent block's randomness.
 * Source: whitepaper 5.5.1 (groups take disjoint transactions), with the group number derived instead of chosen.
 * @module
 */
import { bytesToBigint, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { shuffledIndices } from '#shared/hhcm/shuffle.ts'
import type { Address, Hash, Lane } from '#shared/types.ts'
import { sha256 } from '@noble/hashes/sha2.js'

/** What decides the lane: the called contract, the sender of a plain transfer or deployment, the trigger entry, the source set. */
export type LaneKey =
  | Readonly<{ kind: 'call'; to: Address }>
  | Readonly<{ kind: 'sender'; sender: Address }>
  | Readonly<{ kind: 'entry'; id: Hash }>
  | Readonly<{ kind: 'set'; id: Hash }>

const LANE_TAG = utf8ToBytes('fusion.lane')
const ORDER_TAG = utf8ToBytes('fusion.lane-order')

function keyBytes(key: LaneKey): Uint8Array {
  switch (key.kind) {
    case 'call':
      return concatBytes(Uint8Array.of(0), hexToBytes(key.to))
    case 'sender':
      return concatBytes(Uint8Array.of(1), hexToBytes(key.sender))
    case 'entry':
      return concatBytes(Uint8Array.of(2), hexToBytes(key.id))
    case 'set':
      return concatBytes(Uint8Array.of(3), hexToBytes(key.id))
  }
}

/** Lane of a transaction in a block whose parent has this randomness: SHA-256("fusion.lane" ‖ R ‖ kind ‖ id) mod X. */
export function laneOf(randomness: Hash, key: LaneKey, laneCount: number): Lane {
  if (laneCount === 1) return 0
  return Number(bytesToBigint(sha256(concatBytes(LANE_TAG, hexToBytes(randomness), keyBytes(key)))) % BigInt(laneCount))
}

/** Order in which the lanes of a block are merged, so that no lane is always first. */
export function laneOrder(randomness: Hash, laneCount: number): Lane[] {
  return shuffledIndices(concatBytes(ORDER_TAG, hexToBytes(randomness)), laneCount)
}
