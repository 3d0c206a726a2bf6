/**
 * Nodes of the Merkle-Patricia trie and their RLP. A child is a node in memory or the hash of one to be loaded.
 * Source: Ethereum yellow paper, appendices C and D. Branches hold no value: all our keys have one length or are prefix-free.
 * @module
 */
import { fromHex, toHex } from '#node/evm/hex.ts'
import { decodeRlp, encodeRlp } from '#shared/codec/rlp.ts'
import type { RlpInput, RlpItem } from '#shared/codec/rlp.ts'
import { invariant } from '#shared/fault.ts'
import type { Hash } from '#shared/types.ts'

/** How a parent names this node once it is encoded: hash as bytes, or the node's own RLP when that is shorter than a hash. */
export type NodeReference = Readonly<{ kind: 'hash'; hash: Hash; bytes: Uint8Array } | { kind: 'inline'; rlp: Uint8Array }>
/** The one mutable field: set once, when the node is first encoded. */
type Encoded = { reference: NodeReference | null }

export type LeafNode = Readonly<{ kind: 'leaf'; path: Uint8Array; value: Uint8Array }> & Encoded
export type ExtensionNode = Readonly<{ kind: 'extension'; path: Uint8Array; child: TrieChild }> & Encoded
export type BranchNode = Readonly<{ kind: 'branch'; children: readonly (TrieChild | null)[] }> & Encoded
/** One node; `path` is in nibbles. `reference` is null until the node is encoded. */
export type TrieNode = LeafNode | ExtensionNode | BranchNode
export type TrieChild = TrieNode | Hash

/** Above any stored node: state leaves are small, branches hold 16 hashes. */
const NODE_BYTES_MAX = 4096

export const leaf = (path: Uint8Array, value: Uint8Array): LeafNode => ({ kind: 'leaf', path, value, reference: null })
export const extension = (path: Uint8Array, child: TrieChild): ExtensionNode => ({ kind: 'extension', path, child, reference: null })
export const branch = (children: readonly (TrieChild | null)[]): BranchNode => ({ kind: 'branch', children, reference: null })

/** Half-bytes of a key, high first. */
export function toNibbles(bytes: Uint8Array): Uint8Array {
  const nibbles = new Uint8Array(2 * bytes.length)
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] ?? 0
    nibbles[2 * index] = byte >> 4
    nibbles[2 * index + 1] = byte & 15
  }
  return nibbles
}

/** Hex-prefix encoding. Source: yellow paper, appendix C. */
function packPath(path: Uint8Array, isLeaf: boolean): Uint8Array {
  const isOdd = path.length % 2 === 1
  const packed = new Uint8Array((path.length >> 1) + 1)
  packed[0] = (isLeaf ? 0x20 : 0) | (isOdd ? 0x10 | (path[0] ?? 0) : 0)
  for (let index = isOdd ? 1 : 0, at = 1; index < path.length; index += 2) packed[at++] = ((path[index] ?? 0) << 4) | (path[index + 1] ?? 0)
  return packed
}

function unpackPath(packed: Uint8Array): Readonly<{ path: Uint8Array; isLeaf: boolean }> {
  const flags = (packed[0] ?? 0) >> 4
  return { path: toNibbles(packed).subarray((flags & 1) === 1 ? 1 : 2), isLeaf: (flags & 2) === 2 }
}

const EMPTY_STRING = Uint8Array.of(0x80)
const HASH_PREFIX = Uint8Array.of(0xa0)

function lengthHeader(length: number, offset: number): Uint8Array {
  if (length < 56) return Uint8Array.of(offset + length)
  if (length < 256) return Uint8Array.of(offset + 56, length)
  if (length < 65_536) return Uint8Array.of(offset + 57, length >> 8, length & 255)
  return Uint8Array.of(offset + 58, length >> 16, (length >> 8) & 255, length & 255)
}

function pushString(bytes: Uint8Array, parts: Uint8Array[]): void {
  if (bytes.length !== 1 || (bytes[0] ?? 0) >= 0x80) parts.push(lengthHeader(bytes.length, 0x80))
  parts.push(bytes)
}

function listOf(parts: readonly Uint8Array[]): Uint8Array {
  let length = 0
  for (const part of parts) length += part.length
  invariant(length < 1 << 24, 'trie nodes are smaller than 16 MiB')
  const header = lengthHeader(length, 0xc0)
  const out = new Uint8Array(header.length + length)
  out.set(header)
  let offset = header.length
  for (const part of parts) {
    out.set(part, offset)
    offset += part.length
  }
  return out
}

function pushChild(child: TrieChild, parts: Uint8Array[]): void {
  if (typeof child === 'string') {
    parts.push(HASH_PREFIX, fromHex(child))
    return
  }
  invariant(child.reference !== null, 'children are encoded before their parent')
  if (child.reference.kind === 'inline') parts.push(child.reference.rlp)
  else parts.push(HASH_PREFIX, child.reference.bytes)
}

/** RLP of a node whose children are encoded. */
export function encodeNode(node: TrieNode): Uint8Array {
  const parts: Uint8Array[] = []
  if (node.kind === 'branch') {
    for (const child of node.children) {
      if (child === null) parts.push(EMPTY_STRING)
      else pushChild(child, parts)
    }
    parts.push(EMPTY_STRING)
    return listOf(parts)
  }
  pushString(packPath(node.path, node.kind === 'leaf'), parts)
  if (node.kind === 'leaf') pushString(node.value, parts)
  else pushChild(node.child, parts)
  return listOf(parts)
}

/** The same node with children named by hash instead of held in memory, so that keeping it does not keep a whole trie. */
export function detached(node: TrieNode): TrieNode {
  const named = (child: TrieChild): TrieChild =>
    typeof child !== 'string' && child.reference?.kind === 'hash' ? child.reference.hash : child
  if (node.kind === 'branch') return { ...node, children: node.children.map((child) => (child === null ? null : named(child))) }
  return node.kind === 'extension' ? { ...node, child: named(node.child) } : node
}

function childOf(item: RlpItem): TrieChild | null {
  if (!(item instanceof Uint8Array)) return nodeOf(item, { kind: 'inline', rlp: encodeRlp(item as RlpInput) })
  return item.length === 0 ? null : toHex(item)
}

function nodeOf(item: RlpItem, reference: NodeReference): TrieNode {
  invariant(!(item instanceof Uint8Array), 'a stored trie node is a list')
  if (item.length === 17) return { kind: 'branch', children: item.slice(0, 16).map(childOf), reference }
  const [packed, second] = item
  invariant(packed instanceof Uint8Array && second !== undefined, 'a stored short node has a path and a second field')
  const { path, isLeaf } = unpackPath(packed)
  if (isLeaf) {
    invariant(second instanceof Uint8Array, 'a leaf holds bytes')
    return { kind: 'leaf', path, value: second, reference }
  }
  const child = childOf(second)
  invariant(child !== null, 'an extension has a child')
  return { kind: 'extension', path, child, reference }
}

/** Decodes a stored node. The bytes come from our own store, so a malformed one is a bug or a damaged disk. */
export function decodeNode(rlp: Uint8Array, hash: Hash): TrieNode {
  return nodeOf(decodeRlp(rlp, NODE_BYTES_MAX), { kind: 'hash', hash, bytes: fromHex(hash) })
}
