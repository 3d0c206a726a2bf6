/** Gossip topics of one chain and the largest message each may carry. Source: consensus design, network table. @module */
import type { Hash } from '#shared/types.ts'

/** Kinds of gossip: user transactions, native transactions, and the five consensus objects. */
export const GOSSIP_KINDS = ['tx', 'trig', 'package', 'cosig', 'cert', 'block', 'vote'] as const
export type GossipKind = (typeof GOSSIP_KINDS)[number]

/** Largest payload per kind, bytes; a longer one costs the sender score. */
export const GOSSIP_BYTES_MAX: Readonly<Record<GossipKind, number>> = {
  tx: 128 * 1024,
  trig: 64 * 1024,
  package: 512 * 1024,
  cosig: 1024,
  cert: 16 * 1024,
  block: 128 * 1024,
  vote: 1024,
}

/** Kinds of request: a peer's status, blocks by number or hash with their bodies, packages by hash. */
export const REQUEST_KINDS = ['status', 'blocks', 'block', 'packages'] as const
export type RequestKind = (typeof REQUEST_KINDS)[number]

/** Largest request of any kind, bytes. */
export const REQUEST_BYTES_MAX = 4096
/** Largest answer per kind, bytes. A server stops adding blocks at half of it. */
export const ANSWER_BYTES_MAX: Readonly<Record<RequestKind, number>> = {
  status: 1024,
  blocks: 8 * 1024 * 1024,
  block: 4 * 1024 * 1024,
  packages: 4 * 1024 * 1024,
}

const prefix = (genesisHash: Hash): string => `/hhcm/${genesisHash.slice(2, 10)}`

/** Gossip topic of a kind; carries the chain so that two networks on one machine never mix. */
export const topicOf = (genesisHash: Hash, kind: GossipKind): string => `${prefix(genesisHash)}/${kind}`

/** Stream protocol of a request kind. */
export const protocolOf = (genesisHash: Hash, kind: RequestKind): string => `${prefix(genesisHash)}/${kind}/1`
