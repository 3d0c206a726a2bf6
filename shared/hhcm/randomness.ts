/**
 * The randomness chain: every block adds the VRF output of its author, every skipped slot changes the seed of the next one.
 * Source: whitepaper 5.2, 5.5.1 with the block hash replaced, because a block hash can be ground (docs/whitepaper-map.md).
 * @module
 */
import { bigintToBytes, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { Hash, Slot } from '#shared/types.ts'

type Sha256 = (data: Uint8Array) => Uint8Array

const SKIP_TAG = utf8ToBytes('fusion.skip')
const VRF_TAG = utf8ToBytes('fusion.vrf')
const GENESIS_TAG = utf8ToBytes('fusion-genesis')

const slotBytes = (slot: Slot): Uint8Array => bigintToBytes(BigInt(slot), 8)

/** Randomness of block 0. */
export function genesisRandomness(genesisHash: Hash, sha256: Sha256): Hash {
  return bytesToHex(sha256(concatBytes(GENESIS_TAG, hexToBytes(genesisHash))))
}

/**
 * Seed of all duties in `slot` on a parent: the parent's randomness, or after skipped slots
 * SHA-256("fusion.skip" ‖ R ‖ first skipped slot ‖ number of them), one hash however long the gap.
 */
export function slotSeed(parent: Readonly<{ randomness: Hash; slot: Slot }>, slot: Slot, sha256: Sha256): Hash {
  const skipped = slot - parent.slot - 1
  if (skipped <= 0) return parent.randomness
  return bytesToHex(sha256(concatBytes(SKIP_TAG, hexToBytes(parent.randomness), slotBytes(parent.slot + 1), slotBytes(skipped))))
}

/** What an author proves with its VRF key: "fusion.vrf" ‖ genesisHash ‖ seed ‖ slot. */
export function vrfInput(genesisHash: Hash, seed: Hash, slot: Slot): Uint8Array {
  return concatBytes(VRF_TAG, hexToBytes(genesisHash), hexToBytes(seed), slotBytes(slot))
}

/** R of a block: SHA-256(seed ‖ VRF output of its author). */
export function blockRandomness(seed: Hash, vrfOutput: Uint8Array, sha256: Sha256): Hash {
  return bytesToHex(sha256(concatBytes(hexToBytes(seed), vrfOutput)))
}
