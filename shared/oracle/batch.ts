/**
 * A provider's signed values of one round of one shard: encoding, the hashes under its signature, and its own validity.
 * Source: whitepaper 4.2.2; EIP-712. The Merkle root is the sorted-pair form that common Solidity verifiers check.
 * @module
 */
import { bigintToBytes, bytesToBigint, bytesToHex, compareHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import type { FieldReader, RlpInput } from '#shared/codec/rlp.ts'
import { FieldReader as Reader } from '#shared/codec/rlp.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Keccak } from '#shared/oracle/eip712.ts'
import { attestationSeparator, structHash, structType, typedDigest } from '#shared/oracle/eip712.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import { SIGNATURE_BYTES, recoverSigner } from '#shared/oracle/signature.ts'
import type { Batch, FeedStatus, Leaf } from '#shared/oracle/types.ts'
import { SHARD_FEEDS_MAX } from '#shared/params.ts'
import type { Hash, Hex } from '#shared/types.ts'

/** Struct under a provider's signature. `flat` binds the leaves for validators, `root` for proofs on other chains. */
export const BATCH_TYPE = structType('Batch', [
  { name: 'sourceSet', type: 'bytes32' },
  { name: 'shard', type: 'uint16' },
  { name: 'round', type: 'uint64' },
  { name: 'observedAtMs', type: 'uint64' },
  { name: 'flat', type: 'bytes32' },
  { name: 'root', type: 'bytes32' },
])

/** Status codes in the order of their encoding. */
export const FEED_STATUSES: readonly FeedStatus[] = ['OK', 'WIDE', 'HALTED', 'CLOSED']
const VALUE_BYTES = 24
const VALUE_BITS = 8 * VALUE_BYTES
const CONFIDENCE_BITS = 64
/** Largest integer a round or time may be: exact in a JavaScript number. */
const SAFE_MAX = Number.MAX_SAFE_INTEGER

const signed = (value: bigint, bytes: number): Uint8Array => bigintToBytes(BigInt.asUintN(8 * bytes, value), bytes)
const statusCode = (status: FeedStatus): number => FEED_STATUSES.indexOf(status)

/** Whether an integer fits the 192 bits of a value. */
export const fitsValue = (value: bigint): boolean => BigInt.asIntN(VALUE_BITS, value) === value

function leafBytes(leaf: Leaf): Uint8Array {
  return concatBytes(
    hexToBytes(leaf.feed),
    signed(leaf.value, VALUE_BYTES),
    bigintToBytes(leaf.confidence, CONFIDENCE_BITS / 8),
    signed(leaf.low, VALUE_BYTES),
    signed(leaf.high, VALUE_BYTES),
    Uint8Array.of(statusCode(leaf.status)),
  )
}

/** keccak of the packed leaves in order: feed 32, value 24, confidence 8, low 24, high 24, status 1. */
export function flatHash(leaves: readonly Leaf[], suite: Keccak): Hash {
  return bytesToHex(suite.keccak256(concatBytes(...leaves.map((leaf) => leafBytes(leaf)))))
}

function treeLeaf(leaf: Leaf, suite: Keccak): Uint8Array {
  const words = concatBytes(
    hexToBytes(leaf.feed),
    signed(leaf.value, 32),
    bigintToBytes(leaf.confidence, 32),
    signed(leaf.low, 32),
    signed(leaf.high, 32),
    bigintToBytes(BigInt(statusCode(leaf.status)), 32),
  )
  return suite.keccak256(suite.keccak256(words))
}

function pairHash(left: Uint8Array, right: Uint8Array, suite: Keccak): Uint8Array {
  const isOrdered = compareHex(bytesToHex(left), bytesToHex(right)) <= 0
  return suite.keccak256(isOrdered ? concatBytes(left, right) : concatBytes(right, left))
}

/** Root of the tree over keccak(keccak(abi.encode(leaf))); pairs are sorted, an odd last node moves up. Zero word for no leaves. */
export function merkleRoot(leaves: readonly Leaf[], suite: Keccak): Hash {
  let level = leaves.map((leaf) => treeLeaf(leaf, suite))
  while (level.length > 1) {
    const above: Uint8Array[] = []
    for (let index = 0; index < level.length; index += 2) {
      const [left, right] = level.slice(index, index + 2)
      if (left !== undefined) above.push(right === undefined ? left : pairHash(left, right, suite))
    }
    level = above
  }
  return bytesToHex(level[0] ?? new Uint8Array(32))
}

/** The part of a batch that is signed. */
export type UnsignedBatch = Omit<Batch, 'signature' | 'provider'>

/** Values of the typed struct, as a wallet shows them. */
export function batchMessage(batch: UnsignedBatch, suite: Keccak) {
  return {
    sourceSet: batch.sourceSet,
    shard: batch.shard,
    round: BigInt(batch.round),
    observedAtMs: BigInt(batch.observedAtMs),
    flat: flatHash(batch.leaves, suite),
    root: merkleRoot(batch.leaves, suite),
  }
}

/** The digest a provider signs. */
export function batchDigest(batch: UnsignedBatch, genesisHash: Hash, suite: Keccak): Uint8Array {
  return typedDigest(attestationSeparator(genesisHash, suite), structHash(BATCH_TYPE, batchMessage(batch, suite), suite), suite)
}

/** Stable codes for what is wrong with a batch, whoever looks at it. */
export type BatchFault = 'LEAVES_EMPTY' | 'LEAVES_TOO_MANY' | 'LEAVES_UNSORTED' | 'VALUE_RANGE' | 'TIME_NOT_IN_ROUND' | 'SIGNATURE_INVALID'

/** First rule a leaf list breaks, or null. */
export function leavesFault(leaves: readonly Leaf[]): BatchFault | null {
  if (leaves.length === 0) return 'LEAVES_EMPTY'
  if (leaves.length > SHARD_FEEDS_MAX) return 'LEAVES_TOO_MANY'
  if (leaves.some((leaf, index) => index > 0 && compareHex(leaves[index - 1]?.feed ?? '0x', leaf.feed) >= 0)) return 'LEAVES_UNSORTED'
  const inRange = leaves.every(
    ({ value, low, high, confidence }) =>
      [value, low, high].every((number) => fitsValue(number)) &&
      low <= value &&
      value <= high &&
      confidence >= 0n &&
      confidence < 1n << BigInt(CONFIDENCE_BITS),
  )
  return inRange ? null : 'VALUE_RANGE'
}

/** Round that an observation belongs to. A round is the half-open interval [round × roundMs, (round + 1) × roundMs). */
export const roundOf = (observedAtMs: number, roundMs: number): number => Math.floor(observedAtMs / roundMs)

/** First rule a batch breaks on its own, signature last because it is dear, or null. */
export function batchFault(batch: Batch, roundMs: number, genesisHash: Hash, suite: Recovery): BatchFault | null {
  const fault = leavesFault(batch.leaves)
  if (fault !== null) return fault
  if (roundOf(batch.observedAtMs, roundMs) !== batch.round) return 'TIME_NOT_IN_ROUND'
  return recoverSigner(batchDigest(batch, genesisHash, suite), batch.signature, suite) === batch.provider ? null : 'SIGNATURE_INVALID'
}

/** Fields of a batch inside an AttestationTx: [provider, observedAtMs, leaves, signature]. */
export function batchFields(batch: Batch): RlpInput {
  const leaves = batch.leaves.map((leaf) => [
    leaf.feed,
    signed(leaf.value, VALUE_BYTES),
    leaf.confidence,
    signed(leaf.low, VALUE_BYTES),
    signed(leaf.high, VALUE_BYTES),
    statusCode(leaf.status),
  ])
  return [batch.provider, batch.observedAtMs, leaves, batch.signature]
}

function readSigned(reader: FieldReader, name: string): bigint {
  return BigInt.asIntN(VALUE_BITS, bytesToBigint(hexToBytes(reader.fixed(name, VALUE_BYTES))))
}

function readLeaf(reader: FieldReader, path: string): Leaf {
  const feed = reader.fixed('feed', 32)
  const value = readSigned(reader, 'value')
  const confidence = reader.bigint('confidence', CONFIDENCE_BITS)
  const low = readSigned(reader, 'low')
  const high = readSigned(reader, 'high')
  const status = FEED_STATUSES[reader.integer('status', FEED_STATUSES.length - 1)]
  if (status === undefined) throw new DecodeError('FIELD_INVALID', `${path}.status`, 'unknown status')
  return { feed, value, confidence, low, high, status }
}

/** Reads what `batchFields` wrote. Order and ranges are checked too: exactly one encoding per batch. @throws {DecodeError} */
export function readBatch(reader: FieldReader, path: string, place: Pick<Batch, 'sourceSet' | 'shard' | 'round'>): Batch {
  const provider = reader.fixed('provider', 20)
  const observedAtMs = reader.integer('observedAtMs', SAFE_MAX)
  const leaves = reader
    .list('leaves', SHARD_FEEDS_MAX)
    .map((item, index) => readLeaf(new Reader(item, `${path}.leaves.${index}`, 6), `${path}.leaves.${index}`))
  const fault = leavesFault(leaves)
  if (fault !== null)
    throw new DecodeError(fault, `${path}.leaves`, 'expected 1 to 64 leaves in rising order of feed with low ≤ value ≤ high')
  const signature: Hex = reader.fixed('signature', SIGNATURE_BYTES)
  return { ...place, observedAtMs, leaves, provider, signature }
}
