/** One node: the consensus machine, its driver, the network, and the pool's gossip, joined. Used by the process and by tests. @module */
import { bytesToHex } from '#shared/bytes.ts'
import { initialState } from '#shared/hhcm/start.ts'
import type { Restored as MachineStart } from '#shared/hhcm/state.ts'
import { step } from '#shared/hhcm/step.ts'
import type { HhcmConfig, HhcmCrypto, Vote } from '#shared/hhcm/types.ts'
import { encodeWireMessage } from '#shared/hhcm/wire.ts'
import type { Hash } from '#shared/types.ts'
import type { Chain } from '#node/chain.ts'
import { startEdgeFeed } from '#node/edge-feed.ts'
import type { Logger } from '#node/log.ts'
import type { Loop } from '#node/loop.ts'
import { createLoop } from '#node/loop.ts'
import { createNetwork } from '#node/net/network.ts'
import type { Network, NetworkConfig, Verdict } from '#node/net/network.ts'
import type { PeerStatus } from '#node/net/status.ts'
import type { GossipKind } from '#node/net/topics.ts'
import { createPeerService } from '#node/peer-service.ts'
import { isNativeType } from '#node/pool/native-transaction.ts'
import type { Packaging } from '#node/pool/packaging.ts'
import type { Pool } from '#node/pool/pool.ts'
import { isPeerFault } from '#shared/chain/user-rules.ts'
import { createRecent } from '#node/recent.ts'
import { createSyncer } from '#node/sync.ts'
import type { Syncer } from '#node/sync.ts'
import type { Wal } from '#node/wal.ts'

export type NodeParts = Readonly<{
  config: HhcmConfig
  crypto: HhcmCrypto
  chain: Chain
  pool: Pool
  packaging: Packaging
  wal: Wal
  /** Whether pool or calling list ask for a block on the present head. */
  isWanted: () => Promise<boolean>
  net: Pick<NetworkConfig, 'listenHost' | 'listenPort' | 'peers'>
  edges: readonly string[]
  log: Logger
  onFatal: (cause: unknown) => void
}>

export type RunningNode = Readonly<{ network: Network; stop: () => Promise<void> }>

/** A peer this many blocks ahead means that gossip alone will not do. */
const BEHIND_BLOCKS = 2
/** How long own restored votes wait for peers before they are sent anyway. */
const GREETING_MS = 5_000

/** What the key has signed as far as the file still knows. */
function signedRecords({ condition, records }: Wal): MachineStart['writeAhead'] {
  if (condition === 'missing') return null
  return condition === 'damaged' ? [...records, { kind: 'quiet', until: null }] : records
}

/** What the machine starts from: the final block, everything stored above it, and every vote that is known. */
function machineStart({ chain, wal }: NodeParts): MachineStart {
  const { blocks, finalized, justified, votes } = chain.restored()
  const final = chain.envelope(finalized.blockHash)
  const withFinal = final === null || final.header.number === 0 ? blocks : [final, ...blocks]
  return {
    blocks: withFinal,
    finalized,
    justified,
    writeAhead: signedRecords(wal),
    votes: [...votes, ...withFinal.flatMap((block) => block.votes)],
  }
}

/** A step function that owns the machine's state, its first head, and the node's last votes, signed again for peers that lost them. */
function createMachine(parts: NodeParts): Readonly<{ step: Parameters<typeof createLoop>[0]['step']; head: Hash; votes: readonly Vote[] }> {
  const { config, crypto, chain } = parts
  const genesisHash = chain.hashByNumber(0)
  const genesis = genesisHash === null ? null : chain.envelope(genesisHash)
  if (genesis === null) throw new Error('the chain has a genesis block')
  const started = initialState(config, genesis, machineStart(parts), crypto)
  let { state } = started
  return {
    step: (event) => {
      const result = step(config, state, event, crypto)
      state = result.state
      return result
    },
    head: state.head,
    votes: started.votes,
  }
}

/** Gossiped transactions: what is wrong whatever the head costs the sender, everything else is dropped in silence. */
async function takeTransaction(pool: Pool, kind: GossipKind, raw: Uint8Array): Promise<Verdict> {
  if (isNativeType(raw) !== (kind === 'trig')) return 'reject'
  const result = await pool.add(raw, 'gossip')
  if ('hash' in result) return 'accept'
  return isPeerFault(result) ? 'reject' : 'ignore'
}

function networkConfig(parts: NodeParts, loop: Loop, syncer: Syncer, service: NetworkConfig['onRequest']): NetworkConfig {
  const { config, crypto, chain, pool, log } = parts
  const { self } = config
  const keys = new Map(config.validators.map(({ address, consensusKey }) => [address, consensusKey]))
  return {
    ...parts.net,
    genesisHash: config.genesisHash,
    identity: self === null ? null : { address: self, sign: (message) => bytesToHex(crypto.sign(message)) },
    verifyIdentity: (address, message, proof) => {
      const key = keys.get(address)
      return key !== undefined && crypto.verify(key, message, proof)
    },
    progress: () => {
      const [head, final] = [chain.head(), chain.finalized()]
      return { headNumber: head.header.number, headHash: head.hash, finalizedNumber: final.header.number, finalizedHash: final.hash }
    },
    onMessage: (kind, bytes, from) =>
      kind === 'tx' || kind === 'trig' ? takeTransaction(pool, kind, bytes) : loop.onGossip(kind, bytes, from),
    onRequest: service,
    onStatus: (_peer: string, status: PeerStatus) => {
      if (status.headNumber > chain.head().header.number + BEHIND_BLOCKS) syncer.sync(chain.finalized().header.number)
    },
    onNotice: (event, fields) => log.info(event, fields),
    now: Date.now,
  }
}

/** Sends the restored votes once the configured peers are met: a vote sent to nobody helps nobody. */
function greet(network: Network, votes: readonly Vote[], peerCount: number): () => void {
  const deadline = Date.now() + GREETING_MS
  const timer = setInterval(() => {
    if (network.peers().length < peerCount && Date.now() < deadline) return
    clearInterval(timer)
    for (const vote of votes) network.publish('vote', encodeWireMessage({ kind: 'vote', vote }))
  }, 100)
  return () => clearInterval(timer)
}

/** Starts a node on an open chain. Resolves when the peer-to-peer port is bound. */
export async function startNode(parts: NodeParts): Promise<RunningNode> {
  const { chain, pool, packaging, wal, log, onFatal } = parts
  const machine = createMachine(parts)
  // A crash between storing a block and moving the head leaves the store behind the machine, which tells changes only.
  await chain.setHead(machine.head)
  const recent = createRecent()
  let network: Network | null = null
  const net = (): Network => {
    if (network === null) throw new Error('the network starts before the machine')
    return network
  }
  const syncer = createSyncer({
    chain,
    network: net,
    recent,
    deliver: (message, from) => loop.onFetched(message, from),
    onNotice: (event, fields) => log.info(event, fields),
  })
  const loop: Loop = createLoop({
    step: machine.step,
    chain,
    packaging,
    wal,
    network: net,
    recent,
    syncer,
    isWanted: parts.isWanted,
    log,
    onFatal,
    now: Date.now,
  })
  network = await createNetwork(networkConfig(parts, loop, syncer, createPeerService({ chain, recent })))
  const stopListening = pool.onAdded((_hash, raw, origin) => {
    if (origin === 'local') net().publish(isNativeType(raw) ? 'trig' : 'tx', raw)
    loop.refreshActivity()
  })
  const stopFeed = startEdgeFeed({
    urls: parts.edges,
    submit: async (raw) => {
      const result = await pool.add(raw, 'local')
      return 'hash' in result || result.code === 'ALREADY_KNOWN' ? null : result.code
    },
    onNotice: (event, fields) => log.info(event, fields),
  })
  const stopGreeting = greet(network, machine.votes, parts.net.peers.length)
  loop.start()
  return {
    network,
    stop: async () => {
      loop.stop()
      syncer.stop()
      stopGreeting()
      stopListening()
      await stopFeed()
      await net().stop()
    },
  }
}
