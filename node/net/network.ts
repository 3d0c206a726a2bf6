/**
 * The peer-to-peer side of a node: gossip, requests, standing connections, and who is who.
 * Transport: libp2p over TCP with noise and yamux; gossipsub without per-message signatures, since every object carries its own.
 * @module
 */
import { createHash } from 'node:crypto'
import { TopicValidatorResult, gossipsub } from '@libp2p/gossipsub'
import type { GossipSub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { createLibp2p } from 'libp2p'
import type { Libp2p } from 'libp2p'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { startDialer } from '#node/net/dialer.ts'
import { createPeerBook } from '#node/net/peer-book.ts'
import type { PeerBook } from '#node/net/peer-book.ts'
import { sendRequest, serveRequests } from '#node/net/requests.ts'
import type { RequestHandler } from '#node/net/requests.ts'
import { decodeStatus, encodeStatus, peerProofMessage } from '#node/net/status.ts'
import type { ChainProgress, PeerStatus } from '#node/net/status.ts'
import { GOSSIP_BYTES_MAX, GOSSIP_KINDS, topicOf } from '#node/net/topics.ts'
import type { GossipKind, RequestKind } from '#node/net/topics.ts'

/** Whether a message is passed on, dropped in silence (it depends on the head), or counted against the sender. */
export type Verdict = 'accept' | 'ignore' | 'reject'

export type NetworkConfig = Readonly<{
  genesisHash: Hash
  listenHost: string
  listenPort: number
  /** Multiaddrs to stay connected to. */
  peers: readonly string[]
  /** Validator run by this node and its signature, null for a follower. */
  identity: Readonly<{ address: Address; sign: (message: Uint8Array) => Hex }> | null
  /** Checks a claimed validator's signature; false for unknown validators. */
  verifyIdentity: (address: Address, message: Uint8Array, proof: Hex) => boolean
  progress: () => ChainProgress
  onMessage: (kind: GossipKind, bytes: Uint8Array, from: string) => Verdict | Promise<Verdict>
  onRequest: RequestHandler
  /** A peer told where it stands: on connecting and every few seconds. */
  onStatus: (peerId: string, status: PeerStatus) => void
  onNotice: (event: string, fields: Readonly<Record<string, string | number>>) => void
  /** Unix milliseconds. */
  now: () => number
}>

export type PeerInfo = Readonly<{ id: string; validator: Address | null; status: PeerStatus | null; points: number }>

export type Network = Readonly<{
  /** Listen addresses as multiaddrs, with the port really bound. */
  addresses: () => readonly string[]
  publish: (kind: GossipKind, bytes: Uint8Array) => void
  /** Answer of a peer, or null when it refused, is away or too slow. */
  request: (peerId: string, kind: RequestKind, body: Uint8Array) => Promise<Uint8Array | null>
  /** Peers with a proven or anonymous status on this chain. */
  peers: () => readonly PeerInfo[]
  /** Counts something that is wrong whatever the head; cuts the peer off after eight of them in a short time. */
  penalize: (peerId: string, fault: string) => void
  stop: () => Promise<void>
}>

const STATUS_EVERY_MS = 3_000

type GossipNode = Libp2p<{ pubsub: GossipSub; identify: unknown }>

const toBytes20 = (topic: string, data: Uint8Array): Uint8Array => createHash('sha256').update(topic).update(data).digest().subarray(0, 20)

function createNode(config: NetworkConfig, book: PeerBook): Promise<GossipNode> {
  return createLibp2p({
    addresses: { listen: [`/ip4/${config.listenHost}/tcp/${config.listenPort}`] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionGater: { denyInboundEncryptedConnection: (peer) => book.banned(peer.toString()) },
    // The defaults (5 new connections per second and host) reset the dials of neighbours that share one address.
    connectionManager: { inboundConnectionThreshold: 100, maxIncomingPendingConnections: 64, maxConnections: 200 },
    services: {
      identify: identify(),
      pubsub: gossipsub({
        globalSignaturePolicy: 'StrictNoSign',
        msgIdFn: (message) => toBytes20(message.topic, message.data),
        // Topic validators are awaited before forwarding; asyncValidation would want a second report on top of them.
        asyncValidation: false,
        emitSelf: false,
        floodPublish: true,
        allowPublishToZeroTopicPeers: true,
        ignoreDuplicatePublishError: true,
        allowedTopics: GOSSIP_KINDS.map((kind) => topicOf(config.genesisHash, kind)),
        maxInboundDataLength: 600 * 1024,
        scoreParams: {
          IPColocationFactorWeight: 0,
          appSpecificWeight: 1,
          appSpecificScore: (peer) => -book.points(peer),
        },
      }),
    },
  })
}

function judgeGossip(config: NetworkConfig, book: PeerBook, penalize: Network['penalize']) {
  return async (kind: GossipKind, from: string, data: Uint8Array): Promise<TopicValidatorResult> => {
    const record = book.get(from)
    if (data.length > GOSSIP_BYTES_MAX[kind]) {
      penalize(from, 'GOSSIP_TOO_LARGE')
      return TopicValidatorResult.Reject
    }
    const nowMs = config.now()
    const { messages, bytes } = kind === 'tx' || kind === 'trig' ? record.transactions : record.consensus
    if (!messages.take(1, nowMs) || !bytes.take(data.length, nowMs)) return TopicValidatorResult.Ignore
    const verdict = await config.onMessage(kind, data, from)
    if (verdict === 'accept') return TopicValidatorResult.Accept
    if (verdict === 'ignore') return TopicValidatorResult.Ignore
    penalize(from, 'GOSSIP_REJECTED')
    return TopicValidatorResult.Reject
  }
}

function subscribeAll(node: GossipNode, config: NetworkConfig, judge: ReturnType<typeof judgeGossip>): void {
  const { pubsub } = node.services
  for (const kind of GOSSIP_KINDS) {
    const topic = topicOf(config.genesisHash, kind)
    pubsub.topicValidators.set(topic, (peer, message) => judge(kind, peer.toString(), message.data))
    pubsub.subscribe(topic)
  }
}

/** Takes a peer's status answer. False when the peer is on another chain or lies about who it is. */
function takeStatus(config: NetworkConfig, book: PeerBook, peerId: string, answer: Uint8Array): boolean {
  const status = decodeStatus(answer)
  if (status.genesisHash !== config.genesisHash) return false
  if (status.validator !== null) {
    const message = peerProofMessage(config.genesisHash, peerId)
    if (!config.verifyIdentity(status.validator, message, status.proof)) return false
  }
  const record = book.get(peerId)
  record.status = status
  record.validator = status.validator
  config.onStatus(peerId, status)
  return true
}

function ownStatus(config: NetworkConfig, proof: Hex): PeerStatus {
  return { ...config.progress(), genesisHash: config.genesisHash, validator: config.identity?.address ?? null, proof }
}

function proveIdentity(config: NetworkConfig, node: GossipNode): Hex {
  const message = peerProofMessage(config.genesisHash, node.peerId.toString())
  return config.identity === null ? '0x' : config.identity.sign(message)
}

function createPenalizer(config: NetworkConfig, book: PeerBook, hangUp: (peerId: string) => void): Network['penalize'] {
  return (peerId, fault) => {
    const points = book.addFault(peerId)
    config.onNotice('peer-fault', { peer: peerId, fault, points: Math.round(points) })
    if (book.banned(peerId)) hangUp(peerId)
  }
}

/** Asks peers where they stand, on connecting and then regularly; parts from those of another chain and from impostors. */
function followStatus(
  node: GossipNode,
  config: NetworkConfig,
  book: PeerBook,
  request: Network['request'],
  penalize: Network['penalize'],
  hangUp: (peerId: string) => void,
): () => void {
  const ask = async (peerId: string): Promise<void> => {
    const answer = await request(peerId, 'status', new Uint8Array(0))
    if (answer === null) return
    try {
      if (takeStatus(config, book, peerId, answer)) return
      config.onNotice('peer-refused', { peer: peerId })
    } catch {
      penalize(peerId, 'STATUS_MALFORMED')
    }
    hangUp(peerId)
  }
  const askAll = (): void => {
    for (const peer of node.getPeers()) {
      book.connect(peer.toString())
      void ask(peer.toString())
    }
  }
  node.addEventListener('peer:connect', (event) => {
    book.connect(event.detail.toString())
    void ask(event.detail.toString())
  })
  node.addEventListener('peer:disconnect', (event) => book.forget(event.detail.toString()))
  askAll()
  const timer = setInterval(askAll, STATUS_EVERY_MS)
  return () => clearInterval(timer)
}

/** Starts listening, dialling and serving. Resolves when the port is bound. @throws when it cannot be bound */
export async function createNetwork(config: NetworkConfig): Promise<Network> {
  const book = createPeerBook(config.now)
  const node = await createNode(config, book)
  const hangUp = (peerId: string): void => {
    const peer = node.getPeers().find((candidate) => candidate.toString() === peerId)
    if (peer !== undefined) void node.hangUp(peer).catch(() => undefined)
  }
  const penalize = createPenalizer(config, book, hangUp)
  const proof = proveIdentity(config, node)
  const request: Network['request'] = (peerId, kind, body) => sendRequest(node, config.genesisHash, peerId, kind, body)
  const handler: RequestHandler = (kind, body, from) =>
    kind === 'status' ? Promise.resolve(encodeStatus(ownStatus(config, proof))) : config.onRequest(kind, body, from)

  await serveRequests(node, config.genesisHash, book, handler, config.now)
  subscribeAll(node, config, judgeGossip(config, book, penalize))
  const stopStatus = followStatus(node, config, book, request, penalize, hangUp)
  const stopDialer = startDialer(node, config.peers, book.banned)

  return {
    addresses: () => node.getMultiaddrs().map((address) => address.toString()),
    publish: (kind, bytes) => {
      void node.services.pubsub.publish(topicOf(config.genesisHash, kind), bytes).catch((cause: unknown) => {
        config.onNotice('publish-failed', { kind, cause: String(cause) })
      })
    },
    request,
    peers: () =>
      book
        .all()
        .filter((record) => record.status !== null)
        .map(({ id, validator, status }) => ({ id, validator, status, points: book.points(id) })),
    penalize,
    stop: async () => {
      stopStatus()
      await stopDialer()
      await node.stop()
    },
  }
}
