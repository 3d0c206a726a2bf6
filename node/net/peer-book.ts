/**
 * What this node knows of each connected peer: status, penalty points and rate limits.
 * Only what is wrong whatever the head costs points; they fade, so one bad build does not part neighbours for ever.
 * @module
 */
import type { Address } from '#shared/types.ts'
import type { PeerStatus } from '#node/net/status.ts'
import { createTokenBucket } from '#node/net/token-bucket.ts'
import type { TokenBucket } from '#node/net/token-bucket.ts'

/** Points at which a peer is cut off, just before gossip greylists it; a fault is ten points and one point fades per second. */
const CUTOFF_POINTS = 80
/** Points below which a peer that was cut off may come back. */
const PARDON_POINTS = 40
const FAULT_POINTS = 10
const FADE_PER_SECOND = 1

const GOSSIP_BURST = 4000
const GOSSIP_PER_SECOND = 1000
const GOSSIP_BYTES_BURST = 16 * 1024 * 1024
const GOSSIP_BYTES_PER_SECOND = 4 * 1024 * 1024
const REQUEST_BURST = 100
const REQUEST_PER_SECOND = 25
/** A request of a few bytes may be answered with megabytes: who catches up needs a chain quickly, and then little. */
const ANSWER_BYTES_BURST = 64 * 1024 * 1024
const ANSWER_BYTES_PER_SECOND = 8 * 1024 * 1024

type GossipAllowance = Readonly<{ messages: TokenBucket; bytes: TokenBucket }>

export type PeerRecord = {
  readonly id: string
  /** Proven validator behind the peer, null until and unless proven. */
  validator: Address | null
  status: PeerStatus | null
  points: number
  pointsAtMs: number
  banned: boolean
  /** Transactions and consensus apart: however many transactions a peer passes on, its votes and blocks are heard. */
  readonly transactions: GossipAllowance
  readonly consensus: GossipAllowance
  readonly requests: TokenBucket
  /** Bytes of answers. */
  readonly answers: TokenBucket
}

export type PeerBook = Readonly<{
  forget: (id: string) => void
  all: () => readonly PeerRecord[]
  /** Marks a peer as connected. */
  connect: (id: string) => void
  /** The record of a peer, connected or just gone. */
  get: (id: string) => PeerRecord
  /** Adds a fault; returns the points the peer has now. */
  addFault: (id: string) => number
  /** Whether the peer was cut off and is not pardoned yet. */
  banned: (id: string) => boolean
  /** Penalty points now. */
  points: (id: string) => number
}>

const allowance = (nowMs: number): GossipAllowance => ({
  messages: createTokenBucket(GOSSIP_BURST, GOSSIP_PER_SECOND, nowMs),
  bytes: createTokenBucket(GOSSIP_BYTES_BURST, GOSSIP_BYTES_PER_SECOND, nowMs),
})

/** Peers forgotten while they have points stay known until the points have faded, so that reconnecting clears nothing. */
export function createPeerBook(now: () => number): PeerBook {
  const records = new Map<string, PeerRecord>()
  const connected = new Set<string>()
  const create = (id: string): PeerRecord => ({
    id,
    validator: null,
    status: null,
    points: 0,
    pointsAtMs: now(),
    banned: false,
    transactions: allowance(now()),
    consensus: allowance(now()),
    requests: createTokenBucket(REQUEST_BURST, REQUEST_PER_SECOND, now()),
    answers: createTokenBucket(ANSWER_BYTES_BURST, ANSWER_BYTES_PER_SECOND, now()),
  })
  const fade = (known: PeerRecord): number => {
    const nowMs = now()
    known.points = Math.max(0, known.points - (FADE_PER_SECOND * Math.max(0, nowMs - known.pointsAtMs)) / 1000)
    known.pointsAtMs = nowMs
    if (known.points < PARDON_POINTS) known.banned = false
    return known.points
  }
  const record = (id: string): PeerRecord => {
    const known = records.get(id)
    if (known !== undefined) return known
    const created = create(id)
    records.set(id, created)
    return created
  }
  return {
    connect: (id) => {
      connected.add(id)
      record(id)
    },
    get: record,
    forget: (id) => {
      connected.delete(id)
      for (const [key, known] of records) if (!connected.has(key) && fade(known) === 0) records.delete(key)
    },
    all: () => [...records.values()].filter((known) => connected.has(known.id)),
    addFault: (id) => {
      const faulty = record(id)
      faulty.points = fade(faulty) + FAULT_POINTS
      if (faulty.points >= CUTOFF_POINTS) faulty.banned = true
      return faulty.points
    },
    banned: (id) => {
      const known = records.get(id)
      if (known === undefined) return false
      fade(known)
      return known.banned
    },
    points: (id) => {
      const known = records.get(id)
      return known === undefined ? 0 : fade(known)
    },
  }
}
