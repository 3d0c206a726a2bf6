/**
 * Persistent Merkle-Patricia trie over a content-addressed store: an update makes new nodes along the touched paths and leaves the
 * old trie readable, so every retained root is a state and forks need no undo. Changes are applied in batches, so that each touched
 * node is made, encoded and hashed once per block. Source: Ethereum yellow paper, appendix D.
 * @module
 */
import { toHex } from '#node/evm/hex.ts'
import { branch, decodeNode, detached, encodeNode, extension, leaf, toNibbles } from '#node/evm/trie-node.ts'
import type { ExtensionNode, TrieChild, TrieNode } from '#node/evm/trie-node.ts'
import type { NodeSource } from '#node/evm/types.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { invariant } from '#shared/fault.ts'
import type { Hash } from '#shared/types.ts'

/** Root of the empty trie: keccak of the RLP of the empty string. */
export const EMPTY_ROOT: Hash = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

/** One change: nibbles of the key, new value or null to delete. */
export type TrieChange = Readonly<{ path: Uint8Array; value: Uint8Array | null }>

/** Access to nodes: decoded ones are kept for a while. */
export type NodeReader = (hash: Hash) => TrieNode

/** A reader over a source that keeps the `capacity` most recently used decoded nodes. A missing node is a bug or a damaged store. */
export function createNodeReader(
  source: NodeSource,
  capacity: number,
): Readonly<{ read: NodeReader; keep: (hash: Hash, node: TrieNode) => void }> {
  const recent = new Map<Hash, TrieNode>()
  const keep = (hash: Hash, node: TrieNode): void => {
    if (recent.size >= capacity) {
      const oldest = recent.keys().next()
      if (oldest.done !== true) recent.delete(oldest.value)
    }
    recent.set(hash, node)
  }
  const read = (hash: Hash): TrieNode => {
    const known = recent.get(hash)
    if (known !== undefined) {
      recent.delete(hash)
      recent.set(hash, known)
      return known
    }
    const rlp = source.get(hash)
    invariant(rlp !== undefined, `trie node ${hash} is not in the store`)
    const node = decodeNode(rlp, hash)
    keep(hash, node)
    return node
  }
  return { read, keep }
}

const resolve = (child: TrieChild, read: NodeReader): TrieNode => (typeof child === 'string' ? read(child) : child)

function startsWith(path: Uint8Array, depth: number, part: Uint8Array): boolean {
  for (let index = 0; index < part.length; index++) if (path[depth + index] !== part[index]) return false
  return true
}

/** Value under a key, undefined when absent. `visit` sees every node on the way, for proofs. */
export function trieGet(
  root: TrieChild | null,
  path: Uint8Array,
  read: NodeReader,
  visit?: (node: TrieNode) => void,
): Uint8Array | undefined {
  let child = root
  let depth = 0
  while (child !== null) {
    const node: TrieNode = resolve(child, read)
    visit?.(node)
    if (node.kind === 'leaf') return node.path.length === path.length - depth && startsWith(path, depth, node.path) ? node.value : undefined
    if (node.kind === 'extension') {
      if (!startsWith(path, depth, node.path)) return undefined
      depth += node.path.length
      child = node.child
    } else {
      child = node.children[path[depth] ?? 0] ?? null
      depth++
    }
  }
  return undefined
}

/** A child below a path, in normal form: short nodes are joined. */
function below(path: Uint8Array, child: TrieChild | null, read: NodeReader): TrieChild | null {
  if (child === null || path.length === 0) return child
  const node = resolve(child, read)
  if (node.kind === 'branch') return extension(path, child)
  const joined = new Uint8Array(path.length + node.path.length)
  joined.set(path)
  joined.set(node.path, path.length)
  return node.kind === 'leaf' ? leaf(joined, node.value) : extension(joined, node.child)
}

function commonLength(changes: readonly TrieChange[], depth: number): number {
  const [first, ...rest] = changes
  invariant(first !== undefined, 'there are changes')
  let length = first.path.length - depth
  for (const { path } of rest) {
    let same = 0
    while (same < length && path[depth + same] === first.path[depth + same]) same++
    length = same
  }
  return length
}

function groupByNibble(changes: readonly TrieChange[], depth: number): TrieChange[][] {
  const groups: TrieChange[][] = Array.from({ length: 16 }, () => [])
  for (const change of changes) groups[change.path[depth] ?? 0]?.push(change)
  return groups
}

/** A trie of these insertions alone. */
function build(insertions: readonly TrieChange[], depth: number): TrieNode | null {
  const [first] = insertions
  if (first === undefined) return null
  if (insertions.length === 1) {
    invariant(first.value !== null, 'insertions have values')
    return leaf(first.path.subarray(depth), first.value)
  }
  const shared = commonLength(insertions, depth)
  const made = branch(groupByNibble(insertions, depth + shared).map((group) => build(group, depth + shared + 1)))
  return shared === 0 ? made : extension(first.path.subarray(depth, depth + shared), made)
}

function updateLeaf(path: Uint8Array, value: Uint8Array, changes: readonly TrieChange[], depth: number): TrieNode | null {
  const insertions = changes.filter((change) => change.value !== null)
  const isChanged = changes.some((change) => startsWith(change.path, depth, path))
  if (isChanged) return build(insertions, depth)
  const prefix = changes[0]?.path.subarray(0, depth) ?? new Uint8Array(0)
  const whole = new Uint8Array(depth + path.length)
  whole.set(prefix)
  whole.set(path, depth)
  return build([...insertions, { path: whole, value }], depth)
}

function updateExtension(node: ExtensionNode, changes: readonly TrieChange[], depth: number, read: NodeReader): TrieChild | null {
  const { path } = node
  let split = path.length
  for (const change of changes) {
    if (change.value === null) continue
    let same = 0
    while (same < split && change.path[depth + same] === path[same]) same++
    split = same
  }
  if (split === path.length) {
    const inside = changes.filter((change) => startsWith(change.path, depth, path))
    return below(path, update(node.child, inside, depth + path.length, read), read)
  }
  const children = Array.from({ length: 16 }, (): TrieChild | null => null)
  const rest = path.subarray(split + 1)
  children[path[split] ?? 0] = rest.length === 0 ? node.child : extension(rest, node.child)
  const inside = changes.filter((change) => startsWith(change.path, depth, path.subarray(0, split)))
  return below(path.subarray(0, split), updateBranch(children, inside, depth + split, read), read)
}

function updateBranch(
  before: readonly (TrieChild | null)[],
  changes: readonly TrieChange[],
  depth: number,
  read: NodeReader,
): TrieChild | null {
  const groups = groupByNibble(changes, depth)
  const children = before.map((child, nibble) => update(child, groups[nibble] ?? [], depth + 1, read))
  const left = children.flatMap((child, nibble) => (child === null ? [] : [nibble]))
  const [only] = left
  if (only === undefined) return null
  if (left.length > 1) return branch(children)
  return below(Uint8Array.of(only), children[only] ?? null, read)
}

function update(child: TrieChild | null, changes: readonly TrieChange[], depth: number, read: NodeReader): TrieChild | null {
  if (changes.length === 0) return child
  if (child === null) {
    return build(
      changes.filter((change) => change.value !== null),
      depth,
    )
  }
  const node = resolve(child, read)
  if (node.kind === 'leaf') return updateLeaf(node.path, node.value, changes, depth)
  if (node.kind === 'extension') return updateExtension(node, changes, depth, read)
  return updateBranch(node.children, changes, depth, read)
}

/** The trie after all changes; keys must be distinct and of one length (or prefix-free). The old root stays valid. */
export function trieUpdate(root: TrieChild | null, changes: readonly TrieChange[], read: NodeReader): TrieChild | null {
  return update(root, changes, 0, read)
}

/** What is called for each node that is named by its hash. The node holds no other in memory except inline ones. */
export type NodeSink = (hash: Hash, rlp: Uint8Array, node: TrieNode) => void

/** Encodes and hashes every node that is new, children first. Returns the root's hash. */
export function encodeTrie(root: TrieChild | null, keccak256: CryptoSuite['keccak256'], store: NodeSink): Hash {
  const put = (node: TrieNode, rlp: Uint8Array): Hash => {
    const bytes = keccak256(rlp)
    const hash = toHex(bytes)
    node.reference = { kind: 'hash', hash, bytes }
    store(hash, rlp, detached(node))
    return hash
  }
  const encode = (child: TrieChild): void => {
    if (typeof child === 'string' || child.reference !== null) return
    encodeChildren(child)
    const rlp = encodeNode(child)
    if (rlp.length < 32) child.reference = { kind: 'inline', rlp }
    else put(child, rlp)
  }
  const encodeChildren = (node: TrieNode): void => {
    if (node.kind === 'extension') encode(node.child)
    if (node.kind === 'branch') for (const next of node.children) if (next !== null) encode(next)
  }
  if (root === null) return EMPTY_ROOT
  if (typeof root === 'string') return root
  if (root.reference?.kind === 'hash') return root.reference.hash
  encodeChildren(root)
  return put({ ...root }, encodeNode(root))
}

/** Root of a list as Ethereum builds it for transactions and receipts: the key is the RLP of the index. */
export function listRoot(items: readonly Uint8Array[], keccak256: CryptoSuite['keccak256']): Hash {
  const trie = build(
    items.map((value, index) => ({ path: toNibbles(encodeRlp(index)), value })),
    0,
  )
  return encodeTrie(trie, keccak256, () => undefined)
}
