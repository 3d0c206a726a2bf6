/**
 * Accounts, storage and code of any retained state, by root. Writing returns the new root and the new nodes; nothing is stored here.
 * Keys of both tries are hashed. Source: Ethereum yellow paper, 4.1; EIP-1186 for proofs.
 * @module
 */
import { fromHex, toHex } from '#node/evm/hex.ts'
import { toNibbles, encodeNode } from '#node/evm/trie-node.ts'
import type { TrieNode } from '#node/evm/trie-node.ts'
import { createNodeReader, EMPTY_ROOT, encodeTrie, trieGet, trieUpdate } from '#node/evm/trie.ts'
import type { TrieChange } from '#node/evm/trie.ts'
import type { NodeSource } from '#node/evm/types.ts'
import { bytesToBigint, padLeft } from '#shared/bytes.ts'
import type { Account, StateView } from '#shared/chain/types.ts'
import { decodeRlp, encodeRlp } from '#shared/codec/rlp.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { invariant } from '#shared/fault.ts'
import type { Address, Hash } from '#shared/types.ts'

/** Hash of empty code. */
export const EMPTY_CODE_HASH: Hash = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'
const ZERO_WORD: Hash = `0x${'00'.repeat(32)}`
/** Decoded nodes kept in memory; about 2 kB each. */
const NODES_KEPT = 20_000
const KEYS_KEPT = 50_000
const CODES_KEPT = 1000

/** What one account becomes. Storage values are minimal big-endian bytes, empty to delete. */
export type AccountWrite = Readonly<{
  account: Pick<Account, 'nonce' | 'balanceWei' | 'codeHash'> | null
  /** Whether storage from before is dropped first. */
  isStorageCleared: boolean
  storage: ReadonlyMap<Hash, Uint8Array>
}>

/** All changes of a block. `codes` holds new contract code by its hash. */
export type StateWrites = Readonly<{ accounts: ReadonlyMap<Address, AccountWrite>; codes: ReadonlyMap<Hash, Uint8Array> }>

export type StateProof = Readonly<{ account: readonly Uint8Array[]; slots: readonly (readonly Uint8Array[])[] }>

export type StateDb = Readonly<{
  account: (root: Hash, address: Address) => Account | null
  /** Minimal big-endian bytes, empty when the slot is zero. */
  storage: (storageRoot: Hash, slot: Hash) => Uint8Array
  code: (codeHash: Hash) => Uint8Array
  commit: (root: Hash, writes: StateWrites) => Readonly<{ root: Hash; nodes: ReadonlyMap<Hash, Uint8Array> }>
  view: (root: Hash) => StateView
  /** Trie nodes from the root to the account and to each slot; also for absent ones, whose absence they prove. */
  proof: (root: Hash, address: Address, slots: readonly Hash[]) => StateProof
}>

function decodeAccount(rlp: Uint8Array): Account {
  const fields = decodeRlp(rlp, 256)
  invariant(!(fields instanceof Uint8Array) && fields.length === 4, 'a state leaf is an account of four fields')
  const [nonce, balance, storageRoot, codeHash] = fields
  invariant(nonce instanceof Uint8Array && balance instanceof Uint8Array, 'account fields are bytes')
  invariant(storageRoot instanceof Uint8Array && codeHash instanceof Uint8Array, 'account fields are bytes')
  return { nonce: bytesToBigint(nonce), balanceWei: bytesToBigint(balance), storageRoot: toHex(storageRoot), codeHash: toHex(codeHash) }
}

const encodeAccount = (account: Account): Uint8Array =>
  encodeRlp([account.nonce, account.balanceWei, fromHex(account.storageRoot), fromHex(account.codeHash)])

function decodeStored(rlp: Uint8Array): Uint8Array {
  const value = decodeRlp(rlp, 64)
  invariant(value instanceof Uint8Array, 'a storage leaf is bytes')
  return value
}

/** Bounded map that forgets its oldest entries. */
function remember<Value>(capacity: number, make: (key: Hash) => Value): (key: Hash) => Value {
  const known = new Map<Hash, Value>()
  return (key) => {
    const found = known.get(key)
    if (found !== undefined) return found
    const made = make(key)
    if (known.size >= capacity) known.clear()
    known.set(key, made)
    return made
  }
}

class Database {
  readonly #source: NodeSource
  readonly #keccak256: CryptoSuite['keccak256']
  readonly #nodes: ReturnType<typeof createNodeReader>
  readonly #path: (key: Hash) => Uint8Array
  readonly #code: (codeHash: Hash) => Uint8Array

  constructor(source: NodeSource, keccak256: CryptoSuite['keccak256']) {
    this.#source = source
    this.#keccak256 = keccak256
    this.#nodes = createNodeReader(source, NODES_KEPT)
    this.#path = remember(KEYS_KEPT, (key) => toNibbles(keccak256(fromHex(key))))
    this.#code = remember(CODES_KEPT, (codeHash) => this.#loadCode(codeHash))
  }

  #loadCode(codeHash: Hash): Uint8Array {
    const code = this.#source.get(codeHash)
    invariant(code !== undefined, `code ${codeHash} is not in the store`)
    return code
  }

  #root(root: Hash): Hash | null {
    return root === EMPTY_ROOT ? null : root
  }

  account(root: Hash, address: Address): Account | null {
    const rlp = trieGet(this.#root(root), this.#path(address), this.#nodes.read)
    return rlp === undefined ? null : decodeAccount(rlp)
  }

  storage(storageRoot: Hash, slot: Hash): Uint8Array {
    if (storageRoot === EMPTY_ROOT) return new Uint8Array(0)
    const rlp = trieGet(storageRoot, this.#path(slot), this.#nodes.read)
    return rlp === undefined ? new Uint8Array(0) : decodeStored(rlp)
  }

  code(codeHash: Hash): Uint8Array {
    return codeHash === EMPTY_CODE_HASH ? new Uint8Array(0) : this.#code(codeHash)
  }

  commit(root: Hash, writes: StateWrites): ReturnType<StateDb['commit']> {
    const nodes = new Map<Hash, Uint8Array>(writes.codes)
    const store = (hash: Hash, rlp: Uint8Array, node: TrieNode): void => {
      nodes.set(hash, rlp)
      this.#nodes.keep(hash, node)
    }
    const write = (from: Hash, changes: readonly TrieChange[]): Hash =>
      encodeTrie(trieUpdate(this.#root(from), changes, this.#nodes.read), this.#keccak256, store)
    const changes: TrieChange[] = []
    for (const [address, { account, isStorageCleared, storage }] of writes.accounts) {
      const path = this.#path(address)
      if (account === null) {
        changes.push({ path, value: null })
        continue
      }
      const before = isStorageCleared ? EMPTY_ROOT : (this.account(root, address)?.storageRoot ?? EMPTY_ROOT)
      const slots = Array.from(storage, ([slot, value]) => ({
        path: this.#path(slot),
        value: value.length === 0 ? null : encodeRlp(value),
      }))
      changes.push({ path, value: encodeAccount({ ...account, storageRoot: write(before, slots) }) })
    }
    return { root: write(root, changes), nodes }
  }

  proof(root: Hash, address: Address, slots: readonly Hash[]): StateProof {
    const prove = (from: Hash, key: Hash): readonly Uint8Array[] => {
      const visited: Uint8Array[] = []
      trieGet(this.#root(from), this.#path(key), this.#nodes.read, (node) => {
        if (node.reference?.kind === 'hash') visited.push(encodeNode(node))
      })
      return visited
    }
    const storageRoot = this.account(root, address)?.storageRoot ?? EMPTY_ROOT
    return { account: prove(root, address), slots: slots.map((slot) => prove(storageRoot, slot)) }
  }
}

/** A state database over a store of trie nodes and code. */
export function createStateDb(source: NodeSource, keccak256: CryptoSuite['keccak256']): StateDb {
  const database = new Database(source, keccak256)
  const view = (root: Hash): StateView => ({
    root,
    account: (address) => database.account(root, address),
    code: (address) => database.code(database.account(root, address)?.codeHash ?? EMPTY_CODE_HASH),
    storage: (address, slot) => {
      const value = database.storage(database.account(root, address)?.storageRoot ?? EMPTY_ROOT, slot)
      return value.length === 0 ? ZERO_WORD : toHex(padLeft(value, 32))
    },
  })
  return {
    account: (root, address) => database.account(root, address),
    storage: (storageRoot, slot) => database.storage(storageRoot, slot),
    code: (codeHash) => database.code(codeHash),
    commit: (root, writes) => database.commit(root, writes),
    view,
    proof: (root, address, slots) => database.proof(root, address, slots),
  }
}
