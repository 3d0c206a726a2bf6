/**
 * Trigger and attestation transactions waiting for a block. They have no nonce: a trigger is one of at most two for its occurrence,
 * an attestation the fullest one of its round.
 * @module
 */
import type { PoolRefusal } from '#node/chain-reader.ts'
import type { AttestationTransaction, NativeTransaction, TriggerTransaction } from '#node/pool/native-transaction.ts'
import { refuse } from '#shared/chain/user-rules.ts'
import type { StateView } from '#shared/chain/types.ts'
import type { Header } from '#shared/hhcm/types.ts'
import { ROUNDS_PER_BLOCK_MAX } from '#shared/params.ts'
import type { Hash } from '#shared/types.ts'

/** Full validity on a head; null when valid. */
export type NativeValidator = (native: NativeTransaction, head: Header) => Promise<PoolRefusal | null>

const TRIGGERS_PER_KEY_MAX = 2
/** Different evidences judged for one key on one head; more copies are refused unread. */
const JUDGEMENTS_PER_KEY_MAX = 4
const PENDING_PER_SIGNER_MAX = 64
/** Least balance of an account whose native transactions are taken: makes fresh keys cost something. */
const SIGNER_BALANCE_MIN_WEI = 10n ** 18n
const TRIGGERS_MAX = 4096
const ATTESTATIONS_MAX = 1024

const shardKey = ({ tx }: AttestationTransaction): string => `${tx.sourceSet}/${tx.shard}`
const roundKey = (native: AttestationTransaction): string => `${shardKey(native)}/${native.tx.round}`

/** More batches beat fewer, then the lower hash. */
const isBetter = (next: AttestationTransaction, old: AttestationTransaction): boolean =>
  next.tx.batches.length === old.tx.batches.length ? next.hash < old.hash : next.tx.batches.length > old.tx.batches.length

/** The waiting native transactions of one node. */
export class NativePool {
  readonly #validate: NativeValidator
  readonly #byHash = new Map<Hash, NativeTransaction>()
  readonly #triggers = new Map<string, TriggerTransaction[]>()
  readonly #attestations = new Map<string, AttestationTransaction>()
  /** Per trigger key and evidence the verdict on the current head. */
  #verdicts = new Map<string, Map<Hash, Promise<PoolRefusal | null>>>()
  #head: Hash | null = null

  constructor(validate: NativeValidator) {
    this.#validate = validate
  }

  get size(): number {
    return this.#byHash.size
  }

  get(hash: Hash): NativeTransaction | null {
    return this.#byHash.get(hash) ?? null
  }

  all(): readonly NativeTransaction[] {
    return [...this.#byHash.values()]
  }

  async add(tx: NativeTransaction, head: Readonly<{ hash: Hash; header: Header }>, state: StateView): Promise<PoolRefusal | null> {
    if (this.#byHash.has(tx.hash)) return refuse('ALREADY_KNOWN', 'already known')
    const refusal = this.#checkSigner(tx, state) ?? this.#checkRoom(tx) ?? (await this.#judge(tx, head))
    if (refusal !== null) return refusal
    // Others may have been added while the judgement was awaited.
    if (this.#byHash.has(tx.hash)) return refuse('ALREADY_KNOWN', 'already known')
    const crowded = this.#checkRoom(tx)
    if (crowded !== null) return crowded
    if (tx.kind === 'attestation') {
      const old = this.#attestations.get(roundKey(tx))
      if (old !== undefined) this.#byHash.delete(old.hash)
      this.#attestations.set(roundKey(tx), tx)
    } else this.#triggers.set(tx.key, [...(this.#triggers.get(tx.key) ?? []), tx])
    this.#byHash.set(tx.hash, tx)
    return null
  }

  #checkSigner(tx: NativeTransaction, state: StateView): PoolRefusal | null {
    if (tx.signer === null) return refuse('NOT_GOSSIPED', 'unsigned trigger transactions are made by package authors only')
    const balanceWei = state.account(tx.signer)?.balanceWei ?? 0n
    if (balanceWei < SIGNER_BALANCE_MIN_WEI)
      return refuse(
        'SIGNER_BALANCE',
        `insufficient funds: the submitter of a native transaction holds at least 1 FSN, has ${balanceWei} wei`,
      )
    let pending = 0
    for (const other of this.#byHash.values()) if (other.signer === tx.signer) pending++
    return pending < PENDING_PER_SIGNER_MAX ? null : refuse('ACCOUNT_LIMIT', 'account limit exceeded')
  }

  #checkRoom(tx: NativeTransaction): PoolRefusal | null {
    if (tx.kind === 'attestation') {
      const old = this.#attestations.get(roundKey(tx))
      if (old !== undefined)
        return isBetter(tx, old) ? null : refuse('ROUND_TAKEN', 'already known: a fuller attestation of this round waits')
      return this.#attestations.size < ATTESTATIONS_MAX ? null : refuse('POOL_FULL', 'txpool is full')
    }
    if ((this.#triggers.get(tx.key)?.length ?? 0) >= TRIGGERS_PER_KEY_MAX)
      return refuse('OCCURRENCE_TAKEN', 'already known: two transactions for this occurrence wait')
    return this.#triggers.size < TRIGGERS_MAX ? null : refuse('POOL_FULL', 'txpool is full')
  }

  /** Judges a trigger's key and evidence once per head, whatever the number of copies. */
  #judge(tx: NativeTransaction, head: Readonly<{ hash: Hash; header: Header }>): Promise<PoolRefusal | null> {
    if (tx.kind === 'attestation') return this.#validate(tx, head.header)
    if (this.#head !== head.hash) {
      this.#head = head.hash
      this.#verdicts = new Map()
    }
    const verdicts = this.#verdicts.get(tx.key) ?? new Map<Hash, Promise<PoolRefusal | null>>()
    this.#verdicts.set(tx.key, verdicts)
    const known = verdicts.get(tx.evidenceHash)
    if (known !== undefined) return known
    if (verdicts.size >= JUDGEMENTS_PER_KEY_MAX)
      return Promise.resolve(refuse('OCCURRENCE_JUDGED', 'this occurrence was judged often enough on this head'))
    const verdict = this.#validate(tx, head.header)
    verdicts.set(tx.evidenceHash, verdict)
    return verdict
  }

  remove(hash: Hash): void {
    const tx = this.#byHash.get(hash)
    if (tx === undefined) return
    this.#byHash.delete(hash)
    if (tx.kind === 'attestation') {
      this.#attestations.delete(roundKey(tx))
      return
    }
    const left = (this.#triggers.get(tx.key) ?? []).filter((other) => other.hash !== hash)
    if (left.length === 0) this.#triggers.delete(tx.key)
    else this.#triggers.set(tx.key, left)
  }

  /** Drops what is not valid on a new head; stops early when `isCurrent` says that the head moved on. */
  async revalidate(head: Header, isCurrent: () => boolean): Promise<void> {
    for (const tx of this.all()) {
      if (!isCurrent()) return
      if ((await this.#validate(tx, head)) !== null) this.remove(tx.hash)
    }
  }

  /** One trigger per occurrence, and of each shard the oldest rounds that a block may hold, in order. */
  select(
    isInLane: (tx: NativeTransaction) => boolean,
  ): Readonly<{ triggers: readonly TriggerTransaction[]; attestations: readonly AttestationTransaction[] }> {
    const triggers = [...this.#triggers.values()].flatMap((same) => same.slice(0, 1)).filter(isInLane)
    const byShard = Map.groupBy([...this.#attestations.values()].filter(isInLane), shardKey)
    const attestations = [...byShard.values()].flatMap((rounds) =>
      rounds.toSorted((left, right) => left.tx.round - right.tx.round).slice(0, ROUNDS_PER_BLOCK_MAX),
    )
    return { triggers, attestations }
  }
}
