/** One node in one process: real store, executor, pool and RPC server, sealed by the test instead of by consensus. @module */
import { createChain } from '#node/chain.ts'
import type { Chain } from '#node/chain.ts'
import { createNativeSuite } from '#node/crypto/native.ts'
import { createEvmCaller } from '#node/evm/evm-caller.ts'
import { openExecution } from '#node/evm/context.ts'
import { createExecutor, nextFees } from '#node/evm/executor.ts'
import type { NativeExecutors } from '#node/evm/native-types.ts'
import { createStateDb, EMPTY_CODE_HASH } from '#node/evm/state-db.ts'
import { EMPTY_ROOT } from '#node/evm/trie.ts'
import { createPackaging } from '#node/pool/packaging.ts'
import { createPool } from '#node/pool/pool.ts'
import type { Pool } from '#node/pool/pool.ts'
import type { RpcContext } from '#node/rpc/context.ts'
import { createDispatcher } from '#node/rpc/dispatch.ts'
import type { Dispatcher } from '#node/rpc/dispatch.ts'
import { createHeadFeed } from '#node/rpc/head-feed.ts'
import type { NativeReads } from '#node/rpc/native-reads.ts'
import { startRpcServer } from '#node/rpc/server.ts'
import { openChainStore } from '#node/store/chain-store.ts'
import { openMemory } from '#node/store/memory.ts'
import { executionInput } from '#shared/hhcm/execution.ts'
import type { BlockEnvelope, HhcmConfig, Package } from '#shared/hhcm/types.ts'
import { DEVNET_PARAMS } from '#shared/params.ts'
import { FEED_REGISTRY, NODE_RESERVE } from '#shared/system.ts'
import type { Address, Hash } from '#shared/types.ts'
import { accounts, addressOf as providerAddress } from '#test/unit/oracle/fixture.ts'
import { addressOf, FSN } from '#test/unit/pool/fake-chain.ts'
import { AUTHOR, EMPTY_ROOTS, GENESIS_HASH, hashOf, makeEnvelope, makePackage } from '#test/unit/store/blocks.ts'

export const TRIGGER_CALLER: Address = `0x${'7c'.repeat(20)}`
const GENESIS_TIME_MS = 1_700_000_000_000

/** Native transactions that only leave a log: enough to put both types into real blocks. */
const LOGGING_NATIVES: NativeExecutors = {
  trigger: (host, tx) => {
    host.log({ address: `0x${'46'.repeat(20)}`, topics: [tx.entryId], data: new Uint8Array(0) })
    return Promise.resolve({ status: 1, gasUsed: 50_000n, effectiveGasPriceWei: 0n, from: TRIGGER_CALLER, to: `0x${'99'.repeat(20)}` })
  },
  attestation: (host, tx) => {
    host.log({ address: FEED_REGISTRY, topics: [tx.sourceSet], data: new Uint8Array(0) })
    return Promise.resolve({ status: 1, gasUsed: 60_000n, effectiveGasPriceWei: 0n, from: tx.submitter, to: FEED_REGISTRY })
  },
  scheduledAtMs: () => 0,
  omittedLanes: () => Promise.resolve(new Set()),
}

const NO_READS: NativeReads = {
  callingList: ({ after, limit }) => ({ total: 0, items: [], after, limit }),
  entry: () => null,
  explain: () => Promise.resolve(null),
  sourceSets: () => [],
  feed: () => null,
  feedHistory: (feed, { after, limit }) => ({ feed, after: after.toString(), limit }),
  read: (key, header) => Promise.resolve({ key, number: header.number }),
}

/** Pace of the blocks that follow a transaction. */
const TRAILING_MS = 400

export type DevChain = Readonly<{
  url: string
  chain: Chain
  pool: Pool
  dispatch: Dispatcher
  context: RpcContext
  faults: readonly unknown[]
  /** Builds, executes and makes head one block on `parent`. */
  seal: (parent?: BlockEnvelope, slot?: number) => Promise<BlockEnvelope>
  /** Seals whenever something waits, until stopped. */
  autoSeal: () => () => void
  finalize: (block: BlockEnvelope) => Promise<void>
  close: () => Promise<void>
}>

const balances = (): ReadonlyMap<Address, bigint> =>
  new Map([
    ...Array.from({ length: 10 }, (_, index) => [addressOf(index), 10_000n * FSN] as const),
    ...accounts.map((account) => [providerAddress(account), 10n * FSN] as const),
    [NODE_RESERVE, 1_000_000n * FSN] as const,
  ])

export async function startDevChain(): Promise<DevChain> {
  const crypto = await createNativeSuite()
  const params = DEVNET_PARAMS
  const store = openChainStore(openMemory())
  const fresh = createStateDb(store.nodes, crypto.keccak256)
  const { root, nodes } = fresh.commit(EMPTY_ROOT, {
    accounts: new Map(
      [...balances()].map(([address, balanceWei]) => [
        address,
        { account: { nonce: 0n, balanceWei, codeHash: EMPTY_CODE_HASH }, isStorageCleared: false, storage: new Map() },
      ]),
    ),
    codes: new Map(),
  })
  const config: HhcmConfig = {
    chainId: params.chainId,
    genesisHash: GENESIS_HASH,
    genesisTimeMs: GENESIS_TIME_MS,
    slotMs: params.slotMs,
    laneCount: params.laneCount,
    powTries: params.powTries,
    idleSlots: params.idleSlots,
    validators: [{ address: AUTHOR, consensusKey: `0x${'11'.repeat(32)}`, stakeWei: FSN }],
    self: AUTHOR,
  }
  const genesis = makeEnvelope(null, {
    slot: 0,
    roots: { ...EMPTY_ROOTS, stateRoot: root, gasLimit: params.blockGasLimit, baseFeeWei: params.initialBaseFeeWei },
  })
  const state = createStateDb(store.nodes, crypto.keccak256)
  const execution = openExecution({
    params,
    genesisTimeMs: GENESIS_TIME_MS,
    validators: config.validators,
    crypto,
    state,
    headerByHash: (hash) => store.envelope(hash)?.header ?? null,
    receiptsByHash: (hash) => store.receipts(hash),
    natives: LOGGING_NATIVES,
    precompiles: new Map(),
  })
  const chain = await createChain({ store, executor: createExecutor(execution), state, config, genesis: { envelope: genesis, nodes } })
  const nextBaseFeeWei = (parent: BlockEnvelope['header']) => nextFees(parent).baseFeeWei
  const { laneCount, blockGasLimit } = params
  const pool = createPool({ chain, crypto, laneCount, blockGasLimit, nextBaseFeeWei, validateNative: () => Promise.resolve(null) })
  const packaging = createPackaging({ chain, pool, laneCount, blockGasLimit, dueTriggers: () => Promise.resolve([]) })
  const feed = createHeadFeed(chain)
  const context: RpcContext = {
    chain,
    pool,
    evm: createEvmCaller(execution),
    native: NO_READS,
    crypto,
    config,
    params,
    nextBaseFeeWei,
    clientVersion: 'fusion/test',
    peerCount: () => 0,
    feed,
  }
  const faults: unknown[] = []
  const dispatch = createDispatcher(context, (method, error) => faults.push([method, error]))
  const server = await startRpcServer({
    host: '127.0.0.1',
    port: 0,
    dispatch,
    info: () => ({ chainId: params.chainId }),
    health: () => ({ healthy: true }),
  })

  const seal: DevChain['seal'] = async (parent = chain.head(), slot = parent.header.slot + 1) => {
    const packages: Package[] = []
    for (let lane = 0; lane < laneCount; lane++)
      packages.push(makePackage({ slot, lane, parentHash: parent.hash, txs: await packaging.buildPackage(parent.hash, lane, slot) }))
    const randomness: Hash = hashOf(`randomness ${slot}`)
    const draft = makeEnvelope(parent, { slot, packages, randomness })
    const roots = await chain.buildBlock(executionInput(draft, packages, parent.header.slot))
    if (roots === null) throw new Error(`block refused: ${chain.lastRefusal()}`)
    const envelope = makeEnvelope(parent, { slot, packages, roots, randomness })
    if (!(await chain.executeBlock(envelope, executionInput(envelope, packages, parent.header.slot))))
      throw new Error(chain.lastRefusal() ?? 'refused')
    await chain.setHead(envelope.hash)
    await pool.settled()
    return envelope
  }
  return {
    url: `http://127.0.0.1:${server.port}`,
    chain,
    pool,
    dispatch,
    context,
    faults,
    seal,
    autoSeal: () => {
      let isRunning = true
      // Like the network, which goes on until a transaction is final: a client that looked away must still see a new block.
      let trailing = 0
      let sealedMs = 0
      const run = async (): Promise<void> => {
        while (isRunning) {
          const isBusy = pool.content().some(({ queued }) => !queued)
          if (isBusy || (trailing > 0 && Date.now() - sealedMs >= TRAILING_MS)) {
            await seal()
            trailing = isBusy ? 3 : trailing - 1
            sealedMs = Date.now()
          }
          await new Promise((resolve) => setTimeout(resolve, 20))
        }
      }
      run().catch((error: unknown) => faults.push(['seal', error]))
      return () => {
        isRunning = false
      }
    },
    finalize: async (block) => {
      const checkpoint = { slot: block.header.slot, blockHash: block.hash }
      await chain.setJustified(checkpoint, [])
      await chain.setFinalized(checkpoint, [])
    },
    close: async () => {
      await server.close()
      pool.stop()
      feed.stop()
      await chain.close()
    },
  }
}
