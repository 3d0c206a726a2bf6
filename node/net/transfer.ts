/** Blocks with their bodies, and packages, as peers ask for and hand them over. @module */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { FieldReader, decodeRlp, encodeRlp } from '#shared/codec/rlp.ts'
import { LANES_MAX, decodeBlock, decodePackage, encodeBlock, encodePackage } from '#shared/hhcm/codec.ts'
import type { BlockEnvelope, Package } from '#shared/hhcm/types.ts'
import type { Hash, Height } from '#shared/types.ts'
import { ANSWER_BYTES_MAX, GOSSIP_BYTES_MAX, REQUEST_BYTES_MAX } from '#node/net/topics.ts'

/** Blocks in one answer. */
export const BLOCKS_PER_ANSWER = 64
/** Packages in one answer. */
export const PACKAGES_PER_ANSWER = 32

/** A block and the bodies of its lanes; null for an absent lane. */
export type FullBlock = Readonly<{ envelope: BlockEnvelope; packages: readonly (Package | null)[] }>

export type BlockRange = Readonly<{ from: Height; count: number }>

const NOTHING = new Uint8Array(0)

export const encodeBlockRange = (range: BlockRange): Uint8Array => encodeRlp([range.from, range.count])

/** @throws {DecodeError} */
export function decodeBlockRange(bytes: Uint8Array): BlockRange {
  const reader = new FieldReader(decodeRlp(bytes, REQUEST_BYTES_MAX), 'range', 2)
  return { from: reader.integer('from', Number.MAX_SAFE_INTEGER), count: reader.integer('count', BLOCKS_PER_ANSWER) }
}

export const encodeHashes = (hashes: readonly Hash[]): Uint8Array => encodeRlp(hashes.map(hexToBytes))

/** @throws {DecodeError} */
export function decodeHashes(bytes: Uint8Array): readonly Hash[] {
  const outer = new FieldReader([decodeRlp(bytes, REQUEST_BYTES_MAX)], 'request')
  const items = outer.list('hashes', PACKAGES_PER_ANSWER)
  const reader = new FieldReader(items, 'hashes')
  return items.map((_, index) => reader.fixed(String(index), 32))
}

/** One full block as bytes, as it stands in an answer. */
export const encodeFullBlock = ({ envelope, packages }: FullBlock): Uint8Array =>
  encodeRlp([encodeBlock(envelope), packages.map((item) => (item === null ? NOTHING : encodePackage(item)))])

/** @throws {DecodeError} */
export function decodeFullBlock(bytes: Uint8Array): FullBlock {
  const reader = new FieldReader(decodeRlp(bytes, ANSWER_BYTES_MAX.blocks), 'block', 2)
  const envelope = decodeBlock(reader.bytes('envelope', GOSSIP_BYTES_MAX.block))
  const items = reader.list('packages', LANES_MAX)
  const lanes = new FieldReader(items, 'packages')
  const packages = items.map((_, lane) => {
    const body = lanes.bytes(String(lane), GOSSIP_BYTES_MAX.package)
    return body.length === 0 ? null : decodePackage(body)
  })
  return { envelope, packages }
}

/** Blocks of an answer, in the order sent. */
export const encodeFullBlocks = (blocks: readonly Uint8Array[]): Uint8Array => encodeRlp(blocks)

/** @throws {DecodeError} */
export function decodeFullBlocks(bytes: Uint8Array): readonly FullBlock[] {
  const outer = new FieldReader([decodeRlp(bytes, ANSWER_BYTES_MAX.blocks)], 'answer')
  const items = outer.list('blocks', BLOCKS_PER_ANSWER)
  const reader = new FieldReader(items, 'blocks')
  return items.map((_, index) => decodeFullBlock(reader.bytes(String(index), ANSWER_BYTES_MAX.blocks)))
}

export const encodePackages = (packages: readonly Package[]): Uint8Array => encodeRlp(packages.map(encodePackage))

/** @throws {DecodeError} */
export function decodePackages(bytes: Uint8Array): readonly Package[] {
  const outer = new FieldReader([decodeRlp(bytes, ANSWER_BYTES_MAX.packages)], 'answer')
  const items = outer.list('packages', PACKAGES_PER_ANSWER)
  const reader = new FieldReader(items, 'packages')
  return items.map((_, index) => decodePackage(reader.bytes(String(index), GOSSIP_BYTES_MAX.package)))
}

/** Hash as the whole body of a request for one block. */
export const encodeHash = (hash: Hash): Uint8Array => hexToBytes(hash)

/** Null unless the body is exactly one hash. */
export const decodeHash = (bytes: Uint8Array): Hash | null => (bytes.length === 32 ? bytesToHex(bytes) : null)
