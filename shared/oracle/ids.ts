/** Names of source sets, feeds and reports as 32-byte ids. Lengths before hashing are fixed or last, so that no two inputs share a preimage. @module */
import { bigintToBytes, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { Keccak } from '#shared/oracle/eip712.ts'
import type { Address, Hash } from '#shared/types.ts'

const SOURCE = utf8ToBytes('fusion.source')
const FEED = utf8ToBytes('fusion.feed')

/** Id of a source set: keccak("fusion.source" ‖ owner ‖ name). */
export function sourceSetId(owner: Address, name: string, suite: Keccak): Hash {
  return bytesToHex(suite.keccak256(concatBytes(SOURCE, hexToBytes(owner), utf8ToBytes(name))))
}

/** Id of a feed: keccak("fusion.feed" ‖ source set ‖ name). */
export function feedId(sourceSet: Hash, name: string, suite: Keccak): Hash {
  return bytesToHex(suite.keccak256(concatBytes(FEED, hexToBytes(sourceSet), utf8ToBytes(name))))
}

/** Id of one stored report: keccak(feed ‖ round ‖ value as two's complement), 32 + 8 + 32 bytes. */
export function reportDigest(feed: Hash, round: number, value: bigint, suite: Keccak): Hash {
  const word = bigintToBytes(BigInt.asUintN(256, value), 32)
  return bytesToHex(suite.keccak256(concatBytes(hexToBytes(feed), bigintToBytes(BigInt(round), 8), word)))
}
