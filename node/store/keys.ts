/** Key layout of the chain store: one letter per record kind, then fixed-width fields, so that byte order is the order of numbers. @module */
import { bigintToBytes, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { Hash, Height } from '#shared/types.ts'

const kind = (letter: string, ...parts: readonly Uint8Array[]): Uint8Array => concatBytes(utf8ToBytes(letter), ...parts)
const height8 = (height: Height): Uint8Array => bigintToBytes(BigInt(height), 8)

/** Keys of every record kind. */
export const KEYS = {
  /** rlp([schema version, genesis hash]) */
  meta: kind('m'),
  /** rlp([head, justified slot, justified hash, final slot, final hash]) */
  pointers: kind('p'),
  envelope: (hash: Hash) => kind('b', hexToBytes(hash)),
  txs: (hash: Hash) => kind('t', hexToBytes(hash)),
  receipts: (hash: Hash) => kind('r', hexToBytes(hash)),
  packageList: (hash: Hash) => kind('l', hexToBytes(hash)),
  package: (hash: Hash) => kind('k', hexToBytes(hash)),
  canonical: (height: Height) => kind('n', height8(height)),
  atHeight: (height: Height) => kind('h', height8(height)),
  blockAt: (height: Height, hash: Hash) => kind('h', height8(height), hexToBytes(hash)),
  place: (txHash: Hash) => kind('x', hexToBytes(txHash)),
  node: (hash: Hash) => kind('s', hexToBytes(hash)),
  votes: (hash: Hash) => kind('v', hexToBytes(hash)),
  /** Votes that justified the checkpoint of the pointers. */
  justifiedVotes: kind('j'),
  evidence: (hash: Hash) => kind('e', hexToBytes(hash)),
  allEvidence: kind('e'),
} as const
