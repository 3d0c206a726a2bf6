/**
 * The transaction pool: user and native transactions, validated on the head, handed out per lane.
 * Source: whitepaper 5.3.3; the pool is node-local and never part of consensus.
 * @module
 */
import type { ChainReader, PoolRefusal, TransactionPool } from '#node/chain-reader.ts'
import { NativePool } from '#node/pool/native-pool.ts'
import type { NativeValidator } from '#node/pool/native-pool.ts'
import { decodeNativeTransaction, isNativeType, nativeLaneKey } from '#node/pool/native-transaction.ts'
import type { NativeTransaction } from '#node/pool/native-transaction.ts'
import { checkStatic, refuse } from '#shared/chain/user-rules.ts'
import { decodeUserTransaction, TRANSACTION_BYTES_MAX, userLaneKey } from '#shared/chain/user-transaction.ts'
import type { UserTransaction } from '#shared/chain/user-transaction.ts'
import { UserPool } from '#node/pool/user-pool.ts'
import { Lru } from '#node/store/lru.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { DecodeError } from '#shared/fault.ts'
import { laneOf } from '#shared/hhcm/lanes.ts'
import type { LaneKey } from '#shared/hhcm/lanes.ts'
import type { BlockEnvelope, Header } from '#shared/hhcm/types.ts'
import {
  ATTESTATION_BYTES_MAX,
  ATTESTATION_TX_TYPE,
  EVIDENCE_BYTES_MAX,
  PACKAGE_BYTES_MAX,
  PACKAGE_TX_COUNT_MAX,
  TRIGGER_TX_TYPE,
} from '#shared/params.ts'
import type { Address, Hash, Wei } from '#shared/types.ts'

/** User transactions the pool holds per lane. */
const USER_PER_LANE_MAX = 4096
const TRIGGER_BYTES_MAX = EVIDENCE_BYTES_MAX + 512
/** Native transactions of one package. */
const TRIGGERS_PER_PACKAGE_MAX = 256
/** Refusals remembered, so that the same bytes from many peers cost once per head. */
const REFUSALS_KEPT = 8192
const SENDERS_KEPT = 16_384

/** Decoded form of any transaction this chain knows. */
export type PooledForm = Readonly<{ kind: 'user'; tx: UserTransaction }> | Readonly<{ kind: 'native'; tx: NativeTransaction }>

/** What a pool is built over. */
export type PoolOptions = Readonly<{
  chain: ChainReader
  crypto: CryptoSuite
  laneCount: number
  blockGasLimit: bigint
  /** Base fee of a block on this parent. */
  nextBaseFeeWei: (parent: Header) => Wei
  validateNative: NativeValidator
}>

/** The pool with what packaging and shutdown need beside the interface. */
export type Pool = TransactionPool &
  Readonly<{
    /** Decodes any transaction, with a cache by hash. @throws {DecodeError} */
    decode: (raw: Uint8Array) => PooledForm
    /** Signed triggers of the lane by occurrence key. */
    triggers: (parent: BlockEnvelope, lane: number, laneCount: number) => ReadonlyMap<string, Uint8Array>
    /** Resolves once work started by the last head change is done. */
    settled: () => Promise<void>
    stop: () => void
  }>

function bytesMax(raw: Uint8Array): number {
  if (raw[0] === TRIGGER_TX_TYPE) return TRIGGER_BYTES_MAX
  return raw[0] === ATTESTATION_TX_TYPE ? ATTESTATION_BYTES_MAX : TRANSACTION_BYTES_MAX
}

/** What a decoding failure means to a wallet and to a peer. */
function refusalOf(fault: DecodeError): PoolRefusal {
  if (fault.code === 'TYPE_UNSUPPORTED') return refuse('TYPE_UNSUPPORTED', 'transaction type not supported')
  if (fault.code === 'SIGNATURE_INVALID') return refuse('SIGNATURE_INVALID', 'invalid sender')
  return refuse('MALFORMED', `rlp: ${fault.message}`)
}

/** A judgement that fails is a refusal: what a peer sent must neither stop this node nor stay in the pool. */
function guarded(validate: NativeValidator): NativeValidator {
  return async (native, head) => {
    try {
      return await validate(native, head)
    } catch (cause) {
      return refuse('NOT_JUDGED', `not judged: ${cause instanceof Error ? cause.message : String(cause)}`)
    }
  }
}

class Transactions {
  readonly #options: PoolOptions
  readonly #decoded = new Lru<PooledForm>(SENDERS_KEPT)
  readonly #refused = new Lru<Readonly<{ head: Hash; refusal: PoolRefusal }>>(REFUSALS_KEPT)
  readonly #listeners = new Set<Parameters<TransactionPool['onAdded']>[0]>()
  readonly users: UserPool
  readonly natives: NativePool
  #work: Promise<void> = Promise.resolve()
  #lastHead: Hash | null = null
  /** Last selections, valid while the pool does not change: a waiting driver asks again and again. */
  #selected = new Map<string, readonly Uint8Array[]>()

  constructor(options: PoolOptions) {
    this.#options = options
    this.users = new UserPool(USER_PER_LANE_MAX * options.laneCount)
    this.natives = new NativePool(guarded(options.validateNative))
  }

  decode(raw: Uint8Array): PooledForm {
    const { crypto, chain } = this.#options
    const hash = bytesToHex(crypto.keccak256(raw))
    const known = this.#decoded.get(hash)
    if (known !== undefined) return known
    const form: PooledForm = isNativeType(raw)
      ? { kind: 'native', tx: decodeNativeTransaction(raw, chain.genesisHash, crypto) }
      : { kind: 'user', tx: decodeUserTransaction(crypto, raw) }
    this.#decoded.set(hash, form)
    return form
  }

  async #admit(form: PooledForm, head: BlockEnvelope): Promise<PoolRefusal | null> {
    const { chain, blockGasLimit } = this.#options
    const state = chain.stateAt(head.header)
    if (form.kind === 'user') return checkStatic(form.tx, chain.chainId, blockGasLimit) ?? this.users.add(form.tx, state)
    const { chainId } = form.tx.tx
    if (chainId !== chain.chainId) return refuse('CHAIN_ID_WRONG', `invalid chain id for signer: have ${chainId} want ${chain.chainId}`)
    return this.natives.add(form.tx, head, state)
  }

  async add(raw: Uint8Array, origin: 'local' | 'gossip'): Promise<Readonly<{ hash: Hash }> | PoolRefusal> {
    if (raw.length > bytesMax(raw)) return refuse('OVERSIZED', `oversized data: transaction size ${raw.length}, limit ${bytesMax(raw)}`)
    const hash = bytesToHex(this.#options.crypto.keccak256(raw))
    const head = this.#options.chain.head()
    const remembered = this.#refused.get(hash)
    if (remembered?.head === head.hash && origin === 'gossip') return remembered.refusal
    let refusal: PoolRefusal | null
    try {
      refusal = await this.#admit(this.decode(raw), head)
    } catch (fault) {
      if (!(fault instanceof DecodeError)) throw fault
      refusal = refusalOf(fault)
    }
    if (refusal !== null) {
      if (refusal.code !== 'ALREADY_KNOWN') this.#refused.set(hash, { head: head.hash, refusal })
      return refusal
    }
    this.#selected.clear()
    for (const listener of this.#listeners) listener(hash, raw, origin)
    return { hash }
  }

  onAdded(listener: Parameters<TransactionPool['onAdded']>[0]): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** Follows the chain: what a block holds leaves, what a reorganisation took out of the chain returns. */
  onHead(head: BlockEnvelope, reverted: readonly Hash[]): void {
    const { chain } = this.#options
    const state = chain.stateAt(head.header)
    const block = chain.block(head.hash)
    for (const { txHash } of block?.receipts ?? []) {
      this.users.remove(txHash)
      this.natives.remove(txHash)
    }
    // One block further, only its senders' accounts have moved on; after any other step every sender is looked at.
    const isNextBlock = reverted.length === 0 && head.header.parentHash === this.#lastHead
    this.#lastHead = head.hash
    const senders = !isNextBlock ? null : new Set<Address>((block?.receipts ?? []).map(({ from }) => from))
    this.users.revalidate(state, senders)
    this.#selected.clear()
    const isCurrent = (): boolean => chain.head().hash === head.hash
    this.#work = this.#work.then(async () => {
      for (const hash of reverted)
        for (const raw of chain.block(hash)?.txs ?? [])
          if (chain.transactionPlace(bytesToHex(this.#options.crypto.keccak256(raw))) === null) await this.#restore(raw)
      await this.natives.revalidate(head.header, isCurrent)
      this.#selected.clear()
    })
  }

  async #restore(raw: Uint8Array): Promise<void> {
    const form = this.decode(raw)
    if (form.kind === 'native' && form.tx.signer === null) return
    await this.#admit(form, this.#options.chain.head())
  }

  settled(): Promise<void> {
    return this.#work
  }

  /** Transactions of one lane on this parent: triggers, users by tip, attestations. */
  select(parent: BlockEnvelope, lane: number, laneCount: number): readonly Uint8Array[] {
    const key = `${parent.hash}/${lane}/${laneCount}`
    const selected = this.#selected.get(key) ?? this.#select(parent, lane, laneCount)
    this.#selected.set(key, selected)
    return selected
  }

  #select(parent: BlockEnvelope, lane: number, laneCount: number): readonly Uint8Array[] {
    const { chain, blockGasLimit, nextBaseFeeWei } = this.#options
    const { randomness } = parent.header
    const inLane = (key: LaneKey): boolean => laneOf(randomness, key, laneCount) === lane
    const { triggers, attestations } = this.natives.select((tx) => inLane(nativeLaneKey(tx)))
    const first = triggers.slice(0, TRIGGERS_PER_PACKAGE_MAX).map(({ raw }) => raw)
    let bytes = first.reduce((total, raw) => total + raw.length, 0)
    const last: Uint8Array[] = []
    for (const { raw } of attestations) {
      if (bytes + raw.length > PACKAGE_BYTES_MAX / 2) break
      bytes += raw.length
      last.push(raw)
    }
    const users = this.users.select({
      state: chain.stateAt(parent.header),
      baseFeeWei: nextBaseFeeWei(parent.header),
      isInLane: (tx) => inLane(userLaneKey(tx)),
      gasMax: blockGasLimit,
      bytesMax: PACKAGE_BYTES_MAX - bytes,
      countMax: PACKAGE_TX_COUNT_MAX - first.length - last.length,
    })
    return [...first, ...users.map(({ raw }) => raw), ...last]
  }
}

/** A pool that follows `chain` until it is stopped. */
export function createPool(options: PoolOptions): Pool {
  const { chain } = options
  const transactions = new Transactions(options)
  const { users, natives } = transactions
  const headState = () => chain.stateAt(chain.head().header)
  const stop = chain.onChange(({ kind, block, reverted }) => {
    if (kind === 'head') transactions.onHead(block, reverted)
  })
  return {
    add: (raw, origin) => transactions.add(raw, origin),
    get: (hash) => (users.get(hash) ?? natives.get(hash))?.raw ?? null,
    nextNonce: (address) => users.nextNonce(address, headState()),
    select: (parent, lane, laneCount) => transactions.select(parent, lane, laneCount),
    size: () => users.size + natives.size,
    content: () => [
      ...users.content(headState()).map(({ tx, queued }) => ({ hash: tx.hash, from: tx.sender, nonce: tx.nonce, raw: tx.raw, queued })),
      ...natives
        .all()
        .map((tx) => ({ hash: tx.hash, from: tx.signer ?? `0x${'00'.repeat(20)}`, nonce: 0n, raw: tx.raw, queued: false }) as const),
    ],
    onAdded: (listener) => transactions.onAdded(listener),
    decode: (raw) => transactions.decode(raw),
    triggers: (parent, lane, laneCount) => {
      const inLane = (tx: NativeTransaction): boolean => laneOf(parent.header.randomness, nativeLaneKey(tx), laneCount) === lane
      return new Map(natives.select(inLane).triggers.map((tx) => [tx.key, tx.raw]))
    },
    settled: () => transactions.settled(),
    stop,
  }
}
