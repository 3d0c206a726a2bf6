/** Puts a node together: store, state, execution, chain, pool, JSON-RPC and network, in the order in which they need each other. @module */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { genesisHash } from '#shared/chain/genesis.ts'
import type { GenesisDocument } from '#shared/chain/genesis.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { HhcmConfig } from '#shared/hhcm/types.ts'
import type { Chain } from '#node/chain.ts'
import { createChain } from '#node/chain.ts'
import type { NodeConfig } from '#node/config.ts'
import { createConsensusKey } from '#node/consensus-key.ts'
import type { EmbeddedParty } from '#node/party/embedded.ts'
import { startEmbeddedParty } from '#node/party/embedded.ts'
import { createKeyHost } from '#node/dcrm/key-host.ts'
import { createNativeSuite } from '#node/crypto/native.ts'
import { withRecoveryCache } from '#node/crypto/recovery-cache.ts'
import { openExecution } from '#node/evm/context.ts'
import type { ExecutionContext } from '#node/evm/context.ts'
import { createEvmCaller } from '#node/evm/evm-caller.ts'
import { createExecutor, nextFees } from '#node/evm/executor.ts'
import { buildGenesis } from '#node/evm/genesis.ts'
import { createStateDb } from '#node/evm/state-db.ts'
import { keyPrecompile, triggerDecoder } from '#node/evm/precompile.ts'
import { genesisPredeploys, readGenesis } from '#node/genesis-tool.ts'
import { createHealth } from '#node/health-report.ts'
import type { ValidatorKeys } from '#node/keys.ts'
import { readKeys } from '#node/keys.ts'
import type { Logger } from '#node/log.ts'
import { createNatives } from '#node/evm/native/natives.ts'
import type { Natives } from '#node/evm/native/natives.ts'
import { startNode } from '#node/node.ts'
import type { RunningNode } from '#node/node.ts'
import { createPackaging } from '#node/pool/packaging.ts'
import type { Pool } from '#node/pool/pool.ts'
import { createPool } from '#node/pool/pool.ts'
import { createDispatcher } from '#node/rpc/dispatch.ts'
import { createHeadFeed } from '#node/rpc/head-feed.ts'
import { startRpcServer } from '#node/rpc/server.ts'
import { openChainStore } from '#node/store/chain-store.ts'
import { openLmdb } from '#node/store/lmdb.ts'
import { KEY_PRECOMPILE, TRIGGER_DECODER } from '#shared/system.ts'
import { openWal, WRITE_AHEAD_FILE } from '#node/wal.ts'

const CLIENT_VERSION = `fusion/v0.1.0/${process.platform}-${process.arch}/node${process.versions.node.split('.')[0]}`
/** Recovered signers kept: more than pool and recent blocks hold together. */
const SIGNERS_KEPT = 20_000

type OpenChain = Readonly<{
  chain: Chain
  context: ExecutionContext
  natives: Natives
  config: HhcmConfig
  suite: CryptoSuite
}>

function consensusConfig(document: GenesisDocument, suite: CryptoSuite, keys: ValidatorKeys | null): HhcmConfig {
  const { params, genesisTimeMs, validators } = document
  const isValidator = validators.some(({ address, consensusKey }) => address === keys?.address && consensusKey === keys.consensusKey)
  return {
    chainId: params.chainId,
    genesisHash: genesisHash(document, suite.keccak256),
    genesisTimeMs,
    slotMs: params.slotMs,
    laneCount: params.laneCount,
    powTries: params.powTries,
    idleSlots: params.idleSlots,
    validators,
    self: isValidator && keys !== null ? keys.address : null,
  }
}

async function openChain(dataDir: string, document: GenesisDocument, keys: ValidatorKeys | null): Promise<OpenChain> {
  const suite = withRecoveryCache(await createNativeSuite(), SIGNERS_KEPT)
  const config = consensusConfig(document, suite, keys)
  const store = openChainStore(openLmdb(join(dataDir, 'chain')))
  const state = createStateDb(store.nodes, suite.keccak256)
  const natives = createNatives({ params: document.params, config, suite })
  const context = openExecution({
    params: document.params,
    genesisTimeMs: document.genesisTimeMs,
    validators: document.validators,
    crypto: suite,
    state,
    headerByHash: (hash) => store.envelope(hash)?.header ?? null,
    receiptsByHash: (hash) => store.receipts(hash),
    natives: natives.executors,
    precompiles: new Map([
      [TRIGGER_DECODER, triggerDecoder(document.params.blockGasLimit)],
      [KEY_PRECOMPILE, keyPrecompile(createKeyHost(suite))],
    ]),
  })
  const chain = await createChain({
    store,
    executor: createExecutor(context),
    state,
    config,
    genesis: buildGenesis(document, genesisPredeploys(document, suite), state, suite),
  })
  natives.attach(context, chain)
  return { chain, context, natives, config, suite }
}

function openPool({ chain, natives, config, suite }: OpenChain, document: GenesisDocument): Pool {
  return createPool({
    chain,
    crypto: suite,
    laneCount: config.laneCount,
    blockGasLimit: document.params.blockGasLimit,
    nextBaseFeeWei: (parent) => nextFees(parent).baseFeeWei,
    validateNative: natives.validate,
  })
}

/** How long a started node asks for blocks by itself. */
const WARM_UP_MS = 60_000

/** True until a block becomes final after the start: so a network is seen to work at once, not at its next heartbeat. */
function createWarmUp(chain: Chain): () => boolean {
  const finalAtStart = chain.finalized().hash
  const deadline = Date.now() + WARM_UP_MS
  return () => chain.finalized().hash === finalAtStart && Date.now() < deadline
}

/** Whether anything can be done in a block on the present head: a transaction that fits a lane, or a trigger that is due. */
async function isBlockWanted({ chain, natives, config }: OpenChain, pool: Pool, isWarmingUp: () => boolean): Promise<boolean> {
  if (isWarmingUp()) return true
  const head = chain.head()
  if (pool.size() > 0) {
    for (let lane = 0; lane < config.laneCount; lane++) if (pool.select(head, lane, config.laneCount).length > 0) return true
  }
  const slot = Math.max(head.header.slot + 1, Math.floor((Date.now() - config.genesisTimeMs) / config.slotMs))
  return natives.hasDue(head.header, slot)
}

async function serveRpc(
  nodeConfig: NodeConfig,
  open: OpenChain,
  pool: Pool,
  document: GenesisDocument,
  peers: () => RunningNode['network'] | null,
  log: Logger,
) {
  const { chain, context, natives, config, suite } = open
  const feed = createHeadFeed(chain)
  const dispatch = createDispatcher(
    {
      chain,
      pool,
      evm: createEvmCaller(context),
      native: natives.reads,
      crypto: suite,
      config,
      params: document.params,
      nextBaseFeeWei: (parent) => nextFees(parent).baseFeeWei,
      clientVersion: CLIENT_VERSION,
      peerCount: () => peers()?.peers().length ?? 0,
      feed,
    },
    (method, error) => log.error('rpc-failed', { method, cause: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
  )
  const server = await startRpcServer({
    host: nodeConfig.rpcHost,
    port: nodeConfig.rpcPort,
    dispatch,
    info: () => ({ name: 'fusion', version: CLIENT_VERSION, chainId: config.chainId, genesisHash: config.genesisHash }),
    health: createHealth(chain, config, () => peers()?.peers() ?? []),
  })
  return {
    port: server.port,
    stop: async () => {
      feed.stop()
      await server.close()
    },
  }
}

/** The party of a validator that was given a passphrase; its relay list begins with the edges. */
function startParty(
  nodeConfig: NodeConfig,
  chainId: number,
  keys: ValidatorKeys | null,
  rpcPort: number,
  log: Logger,
): EmbeddedParty | null {
  const { partyPassphraseFile, partyHost, partyPort, partyPublicUrl, partyRenewKeys, dataDir, edges } = nodeConfig
  if (partyPassphraseFile === '' || keys === null) return null
  const passphrase = readFileSync(partyPassphraseFile, 'utf8').trim()
  const settings = {
    rpcUrl: `http://127.0.0.1:${rpcPort}`,
    chainId,
    dataDir: join(dataDir, 'party'),
    operatorKey: keys.operatorKey,
    passphrase,
    edgeRelays: edges,
    host: partyHost,
    port: partyPort,
    publicUrl: partyPublicUrl === '' ? null : partyPublicUrl,
    renewsKeys: partyRenewKeys,
  }
  return startEmbeddedParty(settings, nodeConfig.logLevel, log)
}

/** Starts everything; the returned function ends it in reverse. @throws when a setting, file or port does not allow it */
export async function composeNode(nodeConfig: NodeConfig, log: Logger, onFatal: (cause: unknown) => void): Promise<() => Promise<void>> {
  const document = readGenesis(nodeConfig.genesis)
  const keys = readKeys(nodeConfig.key)
  const open = await openChain(nodeConfig.dataDir, document, keys)
  const { chain, natives, config, suite } = open
  const pool = openPool(open, document)
  const packaging = createPackaging({
    chain,
    pool,
    laneCount: config.laneCount,
    blockGasLimit: document.params.blockGasLimit,
    dueTriggers: (parent, lane, slot) => natives.dueTriggers(parent, lane, slot),
  })
  const isWarmingUp = createWarmUp(chain)
  const wal = openWal(join(nodeConfig.dataDir, WRITE_AHEAD_FILE))
  if (wal.condition !== 'intact') log.warn(`write-ahead-${wal.condition}`, { records: wal.records.length })
  let node: RunningNode | null = null
  const rpc = await serveRpc(nodeConfig, open, pool, document, () => node?.network ?? null, log)
  node = await startNode({
    config,
    crypto: createConsensusKey(config.self === null ? null : (keys?.consensusSeed ?? null), suite),
    chain,
    pool,
    packaging,
    wal,
    isWanted: () => isBlockWanted(open, pool, isWarmingUp),
    net: { listenHost: nodeConfig.p2pHost, listenPort: nodeConfig.p2pPort, peers: nodeConfig.peers },
    edges: nodeConfig.edges,
    log,
    onFatal,
  })
  const running = node
  log.info('started', {
    chainId: config.chainId,
    genesis: config.genesisHash,
    validator: config.self ?? 'none',
    head: chain.head().header.number,
    final: chain.finalized().header.number,
    rpc: rpc.port,
    p2p: running.network.addresses()[0] ?? '',
  })
  const party = startParty(nodeConfig, config.chainId, keys, rpc.port, log)
  const stopLog = chain.onChange(({ kind, block, reverted }) => {
    const fields = { number: block.header.number, slot: block.header.slot, hash: block.hash, reverted: reverted.length }
    if (kind === 'head') log.info('head', fields)
    else log.debug(kind, fields)
  })
  return async () => {
    await party?.stop()
    await running.stop()
    stopLog()
    await rpc.stop()
    pool.stop()
    await pool.settled()
    await chain.close()
    wal.close()
  }
}
