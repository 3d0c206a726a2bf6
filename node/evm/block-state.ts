/**
 * The state a block's transactions run on: writes in memory over one parent root, with nested checkpoints, and the state manager
 * interface @ethereumjs/evm wants. Nothing reaches the trie before the block ends. Sources: yellow paper 6; EIP-2200 for original values.
 * @module
 */
import { fromHex, toHex } from '#node/evm/hex.ts'
import { EMPTY_CODE_HASH } from '#node/evm/state-db.ts'
import type { AccountWrite, StateDb, StateWrites } from '#node/evm/state-db.ts'
import { EMPTY_ROOT } from '#node/evm/trie.ts'
import { padLeft } from '#shared/bytes.ts'
import type { Account, StateView } from '#shared/chain/types.ts'
import { invariant } from '#shared/fault.ts'
import type { Address, Hash, Wei } from '#shared/types.ts'
import type { AccountFields, StateManagerInterface } from '@ethereumjs/common'
import { Account as EvmAccount, KECCAK256_NULL, KECCAK256_RLP } from '@ethereumjs/util'
import type { Address as EvmAddress } from '@ethereumjs/util'

const NOTHING = new Uint8Array(0)
const DONE: Promise<void> = Promise.resolve()
const EMPTY_ACCOUNT: Account = { nonce: 0n, balanceWei: 0n, storageRoot: EMPTY_ROOT, codeHash: EMPTY_CODE_HASH }

function withoutLeadingZeros(value: Uint8Array): Uint8Array {
  let start = 0
  while (start < value.length && value[start] === 0) start++
  return value.subarray(start)
}

const isSame = (present: Account | null, put: Account): boolean =>
  present !== null &&
  present.nonce === put.nonce &&
  present.balanceWei === put.balanceWei &&
  present.storageRoot === put.storageRoot &&
  present.codeHash === put.codeHash

/** Two-level map: slots by account. */
class Slots {
  readonly #accounts = new Map<Address, Map<Hash, Uint8Array>>()

  get(address: Address, slot: Hash): Uint8Array | undefined {
    return this.#accounts.get(address)?.get(slot)
  }

  /** Undefined forgets the slot. */
  set(address: Address, slot: Hash, value: Uint8Array | undefined): void {
    const slots = this.#accounts.get(address)
    if (value === undefined) slots?.delete(slot)
    else if (slots === undefined) this.#accounts.set(address, new Map([[slot, value]]))
    else slots.set(slot, value)
  }

  of(address: Address): Map<Hash, Uint8Array> | undefined {
    return this.#accounts.get(address)
  }

  replace(address: Address, slots: Map<Hash, Uint8Array> | undefined): void {
    if (slots === undefined) this.#accounts.delete(address)
    else this.#accounts.set(address, slots)
  }

  addresses(): IterableIterator<Address> {
    return this.#accounts.keys()
  }

  clear(): void {
    this.#accounts.clear()
  }
}

/** Writes of one block over a parent state. Reads are synchronous; the asynchronous methods are what the EVM calls. */
export class BlockState implements StateManagerInterface {
  readonly #db: StateDb
  readonly #keccak256: (data: Uint8Array) => Uint8Array
  readonly #root: Hash
  readonly #parentAccounts = new Map<Address, Account | null>()
  readonly #parentSlots = new Slots()
  readonly #accounts = new Map<Address, Account | null>()
  readonly #slots = new Slots()
  readonly #cleared = new Set<Address>()
  readonly #codes = new Map<Hash, Uint8Array>()
  readonly #undo: (() => void)[] = []
  readonly #marks: number[] = []
  /** Values and balances from before the current transaction, of what it wrote. */
  readonly #originalSlots = new Slots()
  readonly #balancesBefore = new Map<Address, Wei>()
  /** Hashes in the form the EVM holds them, and back, so that an account it puts back as it was costs no conversion. */
  readonly #bytes = new Map<Hash, Uint8Array>([
    [EMPTY_CODE_HASH, KECCAK256_NULL],
    [EMPTY_ROOT, KECCAK256_RLP],
  ])
  readonly #hashes = new WeakMap<Uint8Array, Hash>([
    [KECCAK256_NULL, EMPTY_CODE_HASH],
    [KECCAK256_RLP, EMPTY_ROOT],
  ])

  constructor(db: StateDb, keccak256: (data: Uint8Array) => Uint8Array, root: Hash) {
    this.#db = db
    this.#keccak256 = keccak256
    this.#root = root
  }

  #bytesOf(hash: Hash): Uint8Array {
    const known = this.#bytes.get(hash)
    if (known !== undefined) return known
    const made = fromHex(hash)
    this.#bytes.set(hash, made)
    this.#hashes.set(made, hash)
    return made
  }

  #hashOf(bytes: Uint8Array): Hash {
    return this.#hashes.get(bytes) ?? toHex(bytes)
  }

  /** State of an account in the parent. */
  #parentAccount(address: Address): Account | null {
    const known = this.#parentAccounts.get(address)
    if (known !== undefined) return known
    const loaded = this.#db.account(this.#root, address)
    this.#parentAccounts.set(address, loaded)
    return loaded
  }

  #parentSlot(address: Address, slot: Hash): Uint8Array {
    const known = this.#parentSlots.get(address, slot)
    if (known !== undefined) return known
    const loaded = this.#db.storage(this.#parentAccount(address)?.storageRoot ?? EMPTY_ROOT, slot)
    this.#parentSlots.set(address, slot, loaded)
    return loaded
  }

  account(address: Address): Account | null {
    const written = this.#accounts.get(address)
    return written === undefined ? this.#parentAccount(address) : written
  }

  /** Null deletes the account; its storage is dropped by `dropStorage`. */
  setAccount(address: Address, account: Account | null): void {
    const written = this.#accounts.get(address)
    if (!this.#balancesBefore.has(address)) this.#balancesBefore.set(address, this.balance(address))
    this.#undo.push(() => {
      if (written === undefined) this.#accounts.delete(address)
      else this.#accounts.set(address, written)
    })
    this.#accounts.set(address, account)
  }

  balance(address: Address): Wei {
    return this.account(address)?.balanceWei ?? 0n
  }

  /** Adds to (or takes from) a balance; the account comes into being when needed. */
  addBalance(address: Address, deltaWei: Wei): void {
    const account = this.account(address) ?? EMPTY_ACCOUNT
    invariant(account.balanceWei + deltaWei >= 0n, 'callers check that the balance suffices')
    this.setAccount(address, { ...account, balanceWei: account.balanceWei + deltaWei })
  }

  increaseNonce(address: Address): void {
    const account = this.account(address) ?? EMPTY_ACCOUNT
    this.setAccount(address, { ...account, nonce: account.nonce + 1n })
  }

  code(address: Address): Uint8Array {
    const codeHash = this.account(address)?.codeHash ?? EMPTY_CODE_HASH
    return this.#codes.get(codeHash) ?? this.#db.code(codeHash)
  }

  setCode(address: Address, code: Uint8Array): void {
    const codeHash = code.length === 0 ? EMPTY_CODE_HASH : toHex(this.#keccak256(code))
    if (code.length > 0) this.#codes.set(codeHash, code)
    this.setAccount(address, { ...(this.account(address) ?? EMPTY_ACCOUNT), codeHash })
  }

  /** Minimal bytes of a slot. */
  slot(address: Address, slot: Hash): Uint8Array {
    return this.#slots.get(address, slot) ?? (this.#cleared.has(address) ? NOTHING : this.#parentSlot(address, slot))
  }

  setSlot(address: Address, slot: Hash, value: Uint8Array): void {
    if (this.#originalSlots.get(address, slot) === undefined) this.#originalSlots.set(address, slot, this.slot(address, slot))
    const written = this.#slots.get(address, slot)
    this.#undo.push(() => this.#slots.set(address, slot, written))
    this.#slots.set(address, slot, withoutLeadingZeros(value))
  }

  dropStorage(address: Address): void {
    const written = this.#slots.of(address)
    const wasCleared = this.#cleared.has(address)
    if (written === undefined && wasCleared) return
    this.#undo.push(() => {
      this.#slots.replace(address, written)
      if (!wasCleared) this.#cleared.delete(address)
    })
    this.#slots.replace(address, undefined)
    this.#cleared.add(address)
  }

  /** Forgets what original values and balances were; call at the start of each transaction. */
  beginTransaction(): void {
    this.#originalSlots.clear()
    this.#balancesBefore.clear()
  }

  /** Sum of all balance changes since `beginTransaction`: 0 when value only moved. */
  transactionDelta(): Wei {
    let sum = 0n
    for (const [address, before] of this.#balancesBefore) sum += this.balance(address) - before
    return sum
  }

  /** Sum of all balance changes since the parent. */
  blockDelta(): Wei {
    let sum = 0n
    for (const [address, account] of this.#accounts) sum += (account?.balanceWei ?? 0n) - (this.#parentAccount(address)?.balanceWei ?? 0n)
    return sum
  }

  #writeOf(address: Address): AccountWrite {
    const account = this.account(address)
    return { account, isStorageCleared: this.#cleared.has(address), storage: this.#slots.of(address) ?? new Map() }
  }

  /** Everything that differs from the parent. */
  writes(): StateWrites {
    const accounts = new Map<Address, AccountWrite>()
    const codes = new Map<Hash, Uint8Array>()
    for (const address of new Set([...this.#accounts.keys(), ...this.#slots.addresses()])) {
      const write = this.#writeOf(address)
      const before = this.#parentAccount(address)
      if (write.account === null && before === null) continue
      accounts.set(address, write)
      const code = this.#codes.get(write.account?.codeHash ?? EMPTY_CODE_HASH)
      if (write.account !== null && code !== undefined) codes.set(write.account.codeHash, code)
    }
    return { accounts, codes }
  }

  /** Present state, not a copy, in the form rules read. `root` is the parent's. */
  view(): StateView {
    return {
      root: this.#root,
      account: (address) => this.account(address),
      code: (address) => this.code(address),
      storage: (address, slot) => toHex(padLeft(this.slot(address, slot), 32)),
    }
  }

  /** Opens a checkpoint. The result names it for `undoTo`. */
  mark(): number {
    return this.#marks.push(this.#undo.length) - 1
  }

  keep(): void {
    this.#marks.pop()
    if (this.#marks.length === 0) this.#undo.length = 0
  }

  undo(): void {
    this.undoTo(this.#marks.length - 1)
  }

  /** Undoes everything since a checkpoint, whatever checkpoints a fault has left open inside it. */
  undoTo(checkpoint: number): void {
    const mark = this.#marks[checkpoint]
    invariant(mark !== undefined, 'the checkpoint is open')
    this.#marks.length = checkpoint
    while (this.#undo.length > mark) this.#undo.pop()?.()
  }

  /** Original values for EIP-2200, as the EVM asks for them. */
  readonly originalStorageCache = {
    get: (address: EvmAddress, key: Uint8Array): Promise<Uint8Array> => {
      const account = toHex(address.bytes)
      const slot = toHex(key)
      return Promise.resolve(this.#originalSlots.get(account, slot) ?? this.slot(account, slot))
    },
    clear: (): void => undefined,
  }

  getAccount(address: EvmAddress): Promise<EvmAccount | undefined> {
    const account = this.account(toHex(address.bytes))
    if (account === null) return Promise.resolve(undefined)
    return Promise.resolve(
      new EvmAccount(account.nonce, account.balanceWei, this.#bytesOf(account.storageRoot), this.#bytesOf(account.codeHash)),
    )
  }

  /** The EVM puts both parties of every call back, mostly unchanged; those leave no trace. */
  putAccount(address: EvmAddress, account?: EvmAccount): Promise<void> {
    const key = toHex(address.bytes)
    if (account === undefined) this.setAccount(key, null)
    else {
      const { nonce, balance: balanceWei } = account
      const put = { nonce, balanceWei, storageRoot: this.#hashOf(account.storageRoot), codeHash: this.#hashOf(account.codeHash) }
      if (!isSame(this.account(key), put)) this.setAccount(key, put)
    }
    return DONE
  }

  deleteAccount(address: EvmAddress): Promise<void> {
    const key = toHex(address.bytes)
    this.setAccount(key, null)
    this.dropStorage(key)
    return Promise.resolve()
  }

  modifyAccountFields(address: EvmAddress, fields: AccountFields): Promise<void> {
    const key = toHex(address.bytes)
    const account = this.account(key) ?? EMPTY_ACCOUNT
    this.setAccount(key, {
      nonce: fields.nonce ?? account.nonce,
      balanceWei: fields.balance ?? account.balanceWei,
      storageRoot: fields.storageRoot === undefined ? account.storageRoot : toHex(fields.storageRoot),
      codeHash: fields.codeHash === undefined ? account.codeHash : toHex(fields.codeHash),
    })
    return Promise.resolve()
  }

  putCode(address: EvmAddress, value: Uint8Array): Promise<void> {
    this.setCode(toHex(address.bytes), value)
    return Promise.resolve()
  }

  getCode(address: EvmAddress): Promise<Uint8Array> {
    return Promise.resolve(this.code(toHex(address.bytes)))
  }

  getCodeSize(address: EvmAddress): Promise<number> {
    return Promise.resolve(this.code(toHex(address.bytes)).length)
  }

  getStorage(address: EvmAddress, key: Uint8Array): Promise<Uint8Array> {
    return Promise.resolve(this.slot(toHex(address.bytes), toHex(key)))
  }

  putStorage(address: EvmAddress, key: Uint8Array, value: Uint8Array): Promise<void> {
    this.setSlot(toHex(address.bytes), toHex(key), value)
    return Promise.resolve()
  }

  clearStorage(address: EvmAddress): Promise<void> {
    this.dropStorage(toHex(address.bytes))
    return Promise.resolve()
  }

  checkpoint(): Promise<void> {
    this.mark()
    return DONE
  }

  commit(): Promise<void> {
    this.keep()
    return DONE
  }

  revert(): Promise<void> {
    this.undo()
    return DONE
  }

  getStateRoot(): Promise<Uint8Array> {
    return Promise.resolve(fromHex(this.#root))
  }

  hasStateRoot(root: Uint8Array): Promise<boolean> {
    return Promise.resolve(toHex(root) === this.#root)
  }

  /** A block's state has one parent for its whole life. */
  setStateRoot(): Promise<void> {
    invariant(false, 'the parent of a block state never changes')
  }

  clearCaches(): void {
    this.#parentAccounts.clear()
    this.#parentSlots.clear()
  }

  /** A fresh state over the same parent, without this block's writes. */
  shallowCopy(): BlockState {
    return new BlockState(this.#db, this.#keccak256, this.#root)
  }
}
