/**
 * Names of the calling list: entries, the stable caller of an owner, and the key of one fire.
 * Source: whitepaper 4.4.1 (one row per contract and description).
 * @module
 */
import { bigintToBytes, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { Address, Hash } from '#shared/types.ts'
import { keccak_256 } from '@noble/hashes/sha3.js'

/** Entry of an owner's `counter`-th registration: keccak256("fusion.entry" ‖ owner ‖ counter as 8 bytes). */
export function entryId(owner: Address, counter: bigint): Hash {
  return bytesToHex(keccak_256(concatBytes(utf8ToBytes('fusion.entry'), hexToBytes(owner), bigintToBytes(counter, 8))))
}

/** Address that calls for all triggers of an owner: low 20 bytes of keccak256("fusion.trigger" ‖ owner). */
export function stableCaller(owner: Address): Address {
  return bytesToHex(keccak_256(concatBytes(utf8ToBytes('fusion.trigger'), hexToBytes(owner))).subarray(12))
}

/** Key of one fire: keccak256(entryId ‖ revision as 4 bytes ‖ occurrence). */
export function fireKey(id: Hash, revision: number, occurrence: Hash): Hash {
  return bytesToHex(keccak_256(concatBytes(hexToBytes(id), bigintToBytes(BigInt(revision), 4), hexToBytes(occurrence))))
}
