/**
 * The chain as this node holds it: executes blocks through the executor, stores them, moves the head and tells who listens.
 * Executions run one after another; reads never wait for them.
 * @module
 */
import type { ChainReader } from '#node/chain-reader.ts'
import type { Execution, Executor } from '#node/evm/types.ts'
import { Lru } from '#node/store/lru.ts'
import type { BlockCommit, ChainStore } from '#node/store/types.ts'
import type { StateView } from '#shared/chain/types.ts'
import { DecodeError, invariant } from '#shared/fault.ts'
import type { BlockEnvelope, Checkpoint, Evidence, ExecutionInput, ExecutionRoots, Header, Vote } from '#shared/hhcm/types.ts'
import type { Address, Hash, UnixMs } from '#shared/types.ts'

/** State reads by root; implemented by the state database over the store's nodes. */
export type StateReader = Readonly<{
  view: (root: Hash) => StateView
  /** Trie nodes from the root to the account and to each slot. */
  proof: (root: Hash, address: Address, slots: readonly Hash[]) => ReturnType<ChainReader['proof']>
}>

/** What a chain is built over. */
export type ChainOptions = Readonly<{
  store: ChainStore
  executor: Executor
  state: StateReader
  config: Readonly<{ chainId: number; genesisHash: Hash; genesisTimeMs: UnixMs; slotMs: number }>
  /** Block 0 with its state. Written when the store is empty, compared otherwise. */
  genesis: Pick<BlockCommit, 'envelope' | 'nodes'>
}>

/** What a restarted node starts its consensus machine from. */
export type Restored = Readonly<{
  /** Blocks above the final one, all forks, by height. */
  blocks: readonly BlockEnvelope[]
  head: Hash
  finalized: Checkpoint
  justified: Checkpoint
  /** Votes that proved the final and the justified checkpoint. */
  votes: readonly Vote[]
}>

/** The chain with the operations only the consensus driver performs. */
export type Chain = ChainReader &
  Readonly<{
    store: ChainStore
    /** Executes without storing; null when the input cannot make a valid block. */
    buildBlock: (input: ExecutionInput) => Promise<ExecutionRoots | null>
    /** Executes, compares every root with the header and stores the block. True when it is stored now. Parents come first. */
    executeBlock: (envelope: BlockEnvelope, input: ExecutionInput) => Promise<boolean>
    /** Makes a stored block the head. */
    setHead: (hash: Hash) => Promise<void>
    setJustified: (checkpoint: Checkpoint, votes: readonly Vote[]) => Promise<void>
    setFinalized: (checkpoint: Checkpoint, votes: readonly Vote[]) => Promise<void>
    putEvidence: (evidence: Evidence) => Promise<void>
    restored: () => Restored
    /** Why the last executed block was refused; for logs. */
    lastRefusal: () => string | null
    /** Waits for running work and closes the store. */
    close: () => Promise<void>
  }>

type Listener = Parameters<ChainReader['onChange']>[0]
type Change = Parameters<Listener>[0]

/** Own blocks are executed twice otherwise: once to build, once when consensus says so. */
const KEPT_EXECUTIONS = 8

const ROOT_FIELDS = [
  'txRoot',
  'receiptsRoot',
  'stateRoot',
  'logsBloom',
  'gasUsed',
  'gasLimit',
  'baseFeeWei',
  'triggerGasUsed',
  'triggerBaseFeeWei',
] as const satisfies readonly (keyof ExecutionRoots)[]

/** First root in which header and execution differ, null when all agree. */
function differingRoot(header: Header, roots: ExecutionRoots): keyof ExecutionRoots | null {
  return ROOT_FIELDS.find((field) => header[field] !== roots[field]) ?? null
}

/** Identity of an execution: everything its result depends on. */
function inputKey(input: ExecutionInput): string {
  const packages = input.packages.map((item) => item?.hash ?? '-').join(',')
  const coSigners = input.coSigners.map((signers) => signers.join('+')).join(',')
  return [input.parentHash, input.slot, input.author, packages, input.voters.join('+'), coSigners].join('|')
}

/** Runs tasks one after another; a failing task does not stop the next. */
class Serial {
  #last: Promise<unknown> = Promise.resolve()

  run<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(task, task)
    this.#last = result.catch(() => undefined)
    return result
  }

  async settled(): Promise<void> {
    await this.#last
  }
}

class BlockRunner {
  readonly #store: ChainStore
  readonly #executor: Executor
  readonly #kept = new Lru<Execution>(KEPT_EXECUTIONS)
  refusal: string | null = null

  constructor(store: ChainStore, executor: Executor) {
    this.#store = store
    this.#executor = executor
  }

  async #execution(input: ExecutionInput): Promise<Execution | null> {
    const key = inputKey(input)
    const kept = this.#kept.get(key)
    if (kept !== undefined) return kept
    const parent = this.#store.envelope(input.parentHash)
    if (parent === null) {
      this.refusal = `parent ${input.parentHash} is not stored`
      return null
    }
    const execution = await this.#executor.execute(parent.header, input)
    if ('refusal' in execution) {
      this.refusal = execution.refusal
      return null
    }
    this.#kept.set(key, execution)
    return execution
  }

  async build(input: ExecutionInput): Promise<ExecutionRoots | null> {
    const execution = await this.#execution(input)
    return execution === null ? null : execution.roots
  }

  async execute(envelope: BlockEnvelope, input: ExecutionInput): Promise<boolean> {
    if (this.#store.envelope(envelope.hash) !== null) return true
    const { header } = envelope
    if (header.parentHash !== input.parentHash || header.slot !== input.slot || header.author !== input.author) {
      this.refusal = 'header and input name different blocks'
      return false
    }
    const execution = await this.#execution(input)
    if (execution === null) return false
    const differing = differingRoot(header, execution.roots)
    if (differing !== null) {
      this.refusal = `block ${header.number}: ${differing} is ${header[differing]} in the header, executed ${execution.roots[differing]}`
      return false
    }
    const { txs, receipts, nodes } = execution
    await this.#store.putBlock({ envelope, packages: input.packages, txs, receipts, nodes })
    this.#kept.delete(inputKey(input))
    return true
  }
}

async function openGenesis(store: ChainStore, genesis: ChainOptions['genesis']): Promise<void> {
  const stored = store.genesis()
  const wanted = genesis.envelope.header.parentHash
  if (stored === null) {
    await store.initialise({ ...genesis, packages: [], txs: [], receipts: [] })
    return
  }
  if (stored !== wanted)
    throw new DecodeError(
      'STORE_OTHER_CHAIN',
      'meta.genesisHash',
      `the data directory belongs to chain ${stored}, the genesis file says ${wanted}`,
    )
  if (store.hashByNumber(0) !== genesis.envelope.hash)
    throw new DecodeError(
      'STORE_OTHER_RULES',
      'block 0',
      `another version of this program made the data directory, with block 0 ${store.hashByNumber(0)} instead of ${genesis.envelope.hash}; go on with that version, or start anew with --fresh`,
    )
}

function restoredFrom(store: ChainStore): Restored {
  const pointers = store.pointers()
  invariant(pointers !== null, 'the store has a genesis block')
  const blocks: BlockEnvelope[] = []
  const base = store.envelope(pointers.finalized.blockHash)
  invariant(base !== null, 'the final block is stored')
  for (let height = base.header.number + 1; ; height++) {
    const hashes = store.hashesAt(height)
    if (hashes.length === 0) break
    for (const hash of hashes) {
      const envelope = store.envelope(hash)
      if (envelope !== null) blocks.push(envelope)
    }
  }
  const { head, finalized, justified } = pointers
  const votes = [...(store.finalityVotes(finalized.blockHash) ?? []), ...store.justifiedVotes()]
  return { blocks, head, finalized, justified, votes }
}

function chainReads({ store, state, config }: ChainOptions, listeners: Set<Listener>): ChainReader {
  const pointed = (pick: (pointers: NonNullable<ReturnType<ChainStore['pointers']>>) => Hash): BlockEnvelope => {
    const pointers = store.pointers()
    invariant(pointers !== null, 'the store has a genesis block')
    const envelope = store.envelope(pick(pointers))
    invariant(envelope !== null, 'pointers name stored blocks')
    return envelope
  }
  return {
    chainId: config.chainId,
    genesisHash: config.genesisHash,
    slotTimeMs: (slot) => config.genesisTimeMs + slot * config.slotMs,
    head: () => pointed((pointers) => pointers.head),
    safe: () => pointed((pointers) => pointers.justified.blockHash),
    finalized: () => pointed((pointers) => pointers.finalized.blockHash),
    hashByNumber: (height) => store.hashByNumber(height),
    envelope: (hash) => store.envelope(hash),
    block: (hash) => store.block(hash),
    package: (hash) => store.package(hash),
    transactionPlace: (hash) => store.transactionPlace(hash),
    stateAt: (header) => state.view(header.stateRoot),
    proof: (header, address, slots) => state.proof(header.stateRoot, address, slots),
    onChange: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}

/**
 * Opens the chain of a store, writing genesis when the store is empty.
 * @throws {DecodeError} STORE_OTHER_CHAIN when the store holds another network, STORE_OTHER_RULES when its block 0 is of other contracts
 */
export async function createChain(options: ChainOptions): Promise<Chain> {
  const { store } = options
  await openGenesis(store, options.genesis)
  const listeners = new Set<Listener>()
  const reader = chainReads(options, listeners)
  const runner = new BlockRunner(store, options.executor)
  const serial = new Serial()
  const notify = (change: Change): void => {
    for (const listener of listeners) listener(change)
  }
  return {
    ...reader,
    store,
    buildBlock: (input) => serial.run(() => runner.build(input)),
    executeBlock: (envelope, input) => serial.run(() => runner.execute(envelope, input)),
    setHead: (hash) =>
      serial.run(async () => {
        if (store.pointers()?.head === hash) return
        const { reverted } = await store.moveHead(hash)
        notify({ kind: 'head', block: reader.head(), reverted })
      }),
    setJustified: (checkpoint, votes) =>
      serial.run(async () => {
        await store.setJustified(checkpoint, votes)
        notify({ kind: 'safe', block: reader.safe(), reverted: [] })
      }),
    setFinalized: (checkpoint, votes) =>
      serial.run(async () => {
        await store.setFinalized(checkpoint, votes)
        notify({ kind: 'finalized', block: reader.finalized(), reverted: [] })
      }),
    putEvidence: (evidence) => serial.run(() => store.putEvidence(evidence)),
    restored: () => restoredFrom(store),
    lastRefusal: () => runner.refusal,
    close: async () => {
      await serial.settled()
      await store.close()
    },
  }
}
