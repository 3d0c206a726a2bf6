/** User transactions waiting for a block: one queue per sender by nonce, best payers first across senders. @module */
import type { PoolRefusal } from '#node/chain-reader.ts'
import { checkAccount, mayReplace, refuse } from '#shared/chain/user-rules.ts'
import { maxCostWei } from '#shared/chain/user-transaction.ts'
import type { UserTransaction } from '#shared/chain/user-transaction.ts'
import type { StateView } from '#shared/chain/types.ts'
import type { Address, Hash, Wei } from '#shared/types.ts'

/** Transactions of one sender that could run one after another. */
const RUNNABLE_PER_SENDER_MAX = 1024
/** Transactions of one sender that wait behind a gap. */
const GAPPED_PER_SENDER_MAX = 64

/** A transaction and its place in the order of arrival. */
export type PooledTransaction = Readonly<{ tx: UserTransaction; sequence: number }>

/** Limits of one package, and which transactions may be in it. */
export type Selection = Readonly<{
  state: StateView
  baseFeeWei: Wei
  isInLane: (tx: UserTransaction) => boolean
  gasMax: bigint
  bytesMax: number
  countMax: number
}>

const tipWei = (tx: UserTransaction, baseFeeWei: Wei): Wei => {
  const above = tx.maxFeePerGasWei - baseFeeWei
  return above < tx.maxPriorityFeePerGasWei ? above : tx.maxPriorityFeePerGasWei
}

/** Takes from several runs, always the best-paying head; among equals the one that came first. */
function* mergeByTip(runs: readonly (readonly PooledTransaction[])[], baseFeeWei: Wei): Generator<PooledTransaction, void, boolean> {
  const heads = runs.filter((run) => run.length > 0).map((run) => ({ run, index: 0 }))
  const current = (head: (typeof heads)[number]): PooledTransaction | undefined => head.run[head.index]
  const before = (left: PooledTransaction, right: PooledTransaction): number => {
    const difference = tipWei(right.tx, baseFeeWei) - tipWei(left.tx, baseFeeWei)
    return difference === 0n ? left.sequence - right.sequence : difference > 0n ? 1 : -1
  }
  heads.sort((left, right) => {
    const [one, two] = [current(left), current(right)]
    return one === undefined || two === undefined ? 0 : before(one, two)
  })
  for (let head = heads.shift(); head !== undefined; head = heads.shift()) {
    const entry = current(head)
    if (entry === undefined) continue
    const taken = yield entry
    if (!taken) continue
    head.index++
    const next = current(head)
    if (next === undefined) continue
    let low = 0
    let high = heads.length
    while (low < high) {
      const middle = (low + high) >> 1
      const other = heads[middle]
      const otherEntry = other === undefined ? undefined : current(other)
      if (otherEntry !== undefined && before(otherEntry, next) <= 0) low = middle + 1
      else high = middle
    }
    heads.splice(low, 0, head)
  }
}

/** The waiting user transactions of one node. */
export class UserPool {
  readonly #capacity: number
  readonly #byHash = new Map<Hash, PooledTransaction>()
  readonly #bySender = new Map<Address, Map<bigint, PooledTransaction>>()
  #sequence = 0

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#byHash.size
  }

  get(hash: Hash): UserTransaction | null {
    return this.#byHash.get(hash)?.tx ?? null
  }

  all(): readonly UserTransaction[] {
    return [...this.#byHash.values()].map(({ tx }) => tx)
  }

  /** State nonce plus the run of waiting transactions that follows it. */
  nextNonce(address: Address, state: StateView): bigint {
    const queue = this.#bySender.get(address)
    let nonce = state.account(address)?.nonce ?? 0n
    while (queue?.has(nonce) === true) nonce++
    return nonce
  }

  /** Adds a statically valid transaction, or says why not. */
  add(tx: UserTransaction, state: StateView): PoolRefusal | null {
    if (this.#byHash.has(tx.hash)) return refuse('ALREADY_KNOWN', 'already known')
    const queue = this.#bySender.get(tx.sender) ?? new Map<bigint, PooledTransaction>()
    const replaced = queue.get(tx.nonce)
    let queuedCostWei = 0n
    for (const other of queue.values()) if (other !== replaced && other.tx.nonce < tx.nonce) queuedCostWei += maxCostWei(other.tx)
    const refusal = checkAccount(tx, state, queuedCostWei)
    if (refusal !== null) return refusal
    if (replaced !== undefined && !mayReplace(replaced.tx, tx)) return refuse('UNDERPRICED', 'replacement transaction underpriced')
    if (replaced === undefined) {
      const full = this.#checkRoom(tx, queue, state)
      if (full !== null) return full
    } else this.#byHash.delete(replaced.tx.hash)
    const entry = { tx, sequence: this.#sequence++ }
    queue.set(tx.nonce, entry)
    this.#bySender.set(tx.sender, queue)
    this.#byHash.set(tx.hash, entry)
    return null
  }

  #checkRoom(tx: UserTransaction, queue: ReadonlyMap<bigint, PooledTransaction>, state: StateView): PoolRefusal | null {
    const next = this.nextNonce(tx.sender, state)
    const runnable = next - (state.account(tx.sender)?.nonce ?? 0n)
    const gapped = BigInt(queue.size) - runnable
    if (runnable >= BigInt(RUNNABLE_PER_SENDER_MAX) || (tx.nonce > next && gapped >= BigInt(GAPPED_PER_SENDER_MAX)))
      return refuse('ACCOUNT_LIMIT', 'account limit exceeded')
    if (this.#byHash.size < this.#capacity) return null
    const cheapest = this.#cheapestTail()
    if (cheapest === null || cheapest.maxPriorityFeePerGasWei >= tx.maxPriorityFeePerGasWei || cheapest.sender === tx.sender)
      return refuse('POOL_FULL', 'txpool is full')
    this.remove(cheapest.hash)
    return null
  }

  /** Cheapest transaction with nothing of its sender behind it, so that dropping it opens no gap. */
  #cheapestTail(): UserTransaction | null {
    let cheapest: UserTransaction | null = null
    for (const queue of this.#bySender.values()) {
      let tail: UserTransaction | null = null
      for (const { tx } of queue.values()) if (tail === null || tx.nonce > tail.nonce) tail = tx
      if (tail !== null && (cheapest === null || tail.maxPriorityFeePerGasWei < cheapest.maxPriorityFeePerGasWei)) cheapest = tail
    }
    return cheapest
  }

  remove(hash: Hash): void {
    const entry = this.#byHash.get(hash)
    if (entry === undefined) return
    this.#byHash.delete(hash)
    const queue = this.#bySender.get(entry.tx.sender)
    queue?.delete(entry.tx.nonce)
    if (queue?.size === 0) this.#bySender.delete(entry.tx.sender)
  }

  /** Drops what can never run on this state; of all senders when `senders` is null. */
  revalidate(state: StateView, senders: Iterable<Address> | null): void {
    for (const sender of senders ?? [...this.#bySender.keys()]) {
      const account = state.account(sender)
      for (const { tx } of this.#bySender.get(sender)?.values() ?? [])
        if (tx.nonce < (account?.nonce ?? 0n) || maxCostWei(tx) > (account?.balanceWei ?? 0n)) this.remove(tx.hash)
    }
  }

  /** Waiting transactions of a sender in order of nonce, and whether each waits behind a gap. */
  content(state: StateView): readonly Readonly<{ tx: UserTransaction; queued: boolean }>[] {
    return [...this.#bySender].flatMap(([sender, queue]) => {
      const next = this.nextNonce(sender, state)
      return [...queue.values()]
        .toSorted((left, right) => Number(left.tx.nonce - right.tx.nonce))
        .map(({ tx }) => ({ tx, queued: tx.nonce > next }))
    })
  }

  /** Nonces from the state's on without a gap, payable together, all in the lane. */
  #run(sender: Address, queue: ReadonlyMap<bigint, PooledTransaction>, selection: Selection): readonly PooledTransaction[] {
    const account = selection.state.account(sender)
    if (account === null) return []
    const run: PooledTransaction[] = []
    let balanceWei = account.balanceWei
    for (let nonce = account.nonce; ; nonce++) {
      const entry = queue.get(nonce)
      if (entry === undefined || entry.tx.maxFeePerGasWei < selection.baseFeeWei || !selection.isInLane(entry.tx)) return run
      balanceWei -= maxCostWei(entry.tx)
      if (balanceWei < 0n) return run
      run.push(entry)
    }
  }

  /** Ordered content of a package: best tip first across senders, nonces of one sender in order, cut at every limit. */
  select(selection: Selection): readonly UserTransaction[] {
    const runs = [...this.#bySender].map(([sender, queue]) => this.#run(sender, queue, selection))
    const chosen: UserTransaction[] = []
    let gas = 0n
    let bytes = 0
    const merged = mergeByTip(runs, selection.baseFeeWei)
    for (let step = merged.next(true); step.done !== true;) {
      const { tx } = step.value
      const fits = gas + tx.gasLimit <= selection.gasMax && bytes + tx.raw.length <= selection.bytesMax
      if (fits) {
        chosen.push(tx)
        gas += tx.gasLimit
        bytes += tx.raw.length
      }
      if (chosen.length >= selection.countMax) break
      step = merged.next(fits)
    }
    return chosen
  }
}
