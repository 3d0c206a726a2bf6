/**
 * Fetches what this node lacks: single objects by hash, and ranges of blocks when it is behind. Everything fetched goes through the
 * consensus machine like gossip, so a peer that serves nonsense gains nothing and is found out.
 * @module
 */
import { DecodeError } from '#shared/fault.ts'
import { LANES_MAX } from '#shared/hhcm/codec.ts'
import type { Package, WireMessage } from '#shared/hhcm/types.ts'
import type { Hash, Height } from '#shared/types.ts'
import type { Chain } from '#node/chain.ts'
import type { Network } from '#node/net/network.ts'
import type { RequestKind } from '#node/net/topics.ts'
import {
  BLOCKS_PER_ANSWER,
  decodeFullBlocks,
  decodePackages,
  encodeBlockRange,
  encodeHash,
  encodeHashes,
  decodeFullBlock,
} from '#node/net/transfer.ts'
import type { FullBlock } from '#node/net/transfer.ts'
import type { Recent } from '#node/recent.ts'

/** A peer that has not answered after this long is not waited for alone. */
const PATIENCE_MS = 400
/** Bodies of fetched blocks that the machine has not asked for yet. */
const OFFERED_BYTES_MAX = 32 * 1024 * 1024
/** Peers asked for one object before giving up; the machine asks again when it still matters. */
const PEERS_PER_FETCH = 3
const FETCHES_MAX = 64
/** A range counts as lost when its last block is not stored after this long without any progress. */
const STALLED_MS = 15_000
const POLL_MS = 25

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

export type SyncerParts = Readonly<{
  chain: Pick<Chain, 'envelope' | 'head' | 'finalized'>
  network: () => Pick<Network, 'request' | 'peers' | 'penalize'>
  recent: Recent
  /** Hands a fetched object to the machine; false when the machine had no use for it. */
  deliver: (message: WireMessage, from: string) => boolean
  onNotice: (event: string, fields: Readonly<Record<string, string | number>>) => void
}>

export type Syncer = Readonly<{
  fetch: (what: 'block' | 'package', hash: Hash, from: string | null) => void
  /** Fetches canonical blocks above a height from whoever has most. One run at a time. */
  sync: (fromNumber: Height) => void
  stop: () => void
}>

class Fetcher {
  readonly #parts: SyncerParts
  readonly #running = new Set<Hash>()
  readonly #offered = new Map<Hash, Readonly<{ item: Package; peer: string }>>()
  #offeredBytes = 0
  #isSyncing = false
  #stopped = false

  constructor(parts: SyncerParts) {
    this.#parts = parts
  }

  stop(): void {
    this.#stopped = true
  }

  /** Decoded answer of a peer, null when it gave none; malformed ones cost it score. */
  async #ask<T>(peer: string, kind: RequestKind, body: Uint8Array, decode: (bytes: Uint8Array) => T): Promise<T | null> {
    const { network } = this.#parts
    const answer = await network().request(peer, kind, body)
    if (answer === null || this.#stopped) return null
    try {
      return decode(answer)
    } catch (cause) {
      if (!(cause instanceof DecodeError)) throw cause
      network().penalize(peer, cause.code)
      return null
    }
  }

  fetch(what: 'block' | 'package', hash: Hash, from: string | null): void {
    const { recent, deliver } = this.#parts
    const known = what === 'package' ? recent.package(hash) : null
    if (known !== null) {
      queueMicrotask(() => deliver({ kind: 'package', package: known }, from ?? 'self'))
      return
    }
    const offer = what === 'package' ? this.#takeOffer(hash) : null
    if (offer !== null) {
      queueMicrotask(() => {
        if (!deliver({ kind: 'package', package: offer.item }, offer.peer)) this.fetch(what, hash, from)
      })
      return
    }
    if (this.#running.has(hash) || this.#running.size >= FETCHES_MAX) return
    this.#running.add(hash)
    this.#fetchFromPeers(what, hash, from)
      .catch((cause: unknown) => this.#parts.onNotice('fetch-failed', { cause: String(cause) }))
      .finally(() => this.#running.delete(hash))
  }

  async #fetchFromPeers(what: 'block' | 'package', hash: Hash, from: string | null): Promise<void> {
    const ids = this.#parts
      .network()
      .peers()
      .map(({ id }) => id)
    const order = [...ids.filter((id) => id === from), ...ids.filter((id) => id !== from)].slice(0, PEERS_PER_FETCH)
    const attempts: Promise<boolean>[] = []
    for (const peer of order) {
      const attempt = this.#fetchFrom(peer, what, hash).catch((cause: unknown) => {
        this.#parts.onNotice('fetch-failed', { cause: String(cause) })
        return false
      })
      attempts.push(attempt)
      if (await Promise.race([attempt, sleep(PATIENCE_MS).then(() => false)])) return
    }
    await Promise.all(attempts)
  }

  async #fetchFrom(peer: string, what: 'block' | 'package', hash: Hash): Promise<boolean> {
    if (what === 'block') {
      const full = await this.#ask(peer, 'block', encodeHash(hash), decodeFullBlock)
      if (full?.envelope.hash !== hash) return false
      // A block that the machine holds for later is an answer too; what it refuses it asks for again.
      this.#take(full, peer)
      return true
    }
    const packages = await this.#ask(peer, 'packages', encodeHashes([hash]), decodePackages)
    const found = packages?.find((item) => item.hash === hash)
    if (found === undefined) return false
    return this.#parts.deliver({ kind: 'package', package: found }, peer)
  }

  /** The bodies wait in memory for the machine to ask for them, which it does as soon as it has accepted the block. */
  #take({ envelope, packages }: FullBlock, peer: string): boolean {
    for (const item of packages) if (item !== null) this.#offer(item, peer)
    return this.#parts.deliver({ kind: 'block', block: envelope }, peer)
  }

  /** Not among the recent objects, which this node gives to others: nobody has verified these. */
  #offer(item: Package, peer: string): void {
    this.#takeOffer(item.hash)
    this.#offered.set(item.hash, { item, peer })
    this.#offeredBytes += item.header.bytes
    for (const oldest of this.#offered.keys()) {
      if (this.#offeredBytes <= OFFERED_BYTES_MAX && this.#offered.size <= BLOCKS_PER_ANSWER * LANES_MAX) break
      this.#takeOffer(oldest)
    }
  }

  #takeOffer(hash: Hash): Readonly<{ item: Package; peer: string }> | null {
    const offer = this.#offered.get(hash)
    if (offer === undefined) return null
    this.#offered.delete(hash)
    this.#offeredBytes -= offer.item.header.bytes
    return offer
  }

  sync(fromNumber: Height): void {
    if (this.#isSyncing || this.#stopped) return
    this.#isSyncing = true
    this.#syncFromPeers(fromNumber)
      .catch((cause: unknown) => this.#parts.onNotice('sync-failed', { cause: String(cause) }))
      .finally(() => {
        this.#isSyncing = false
      })
  }

  async #syncFromPeers(fromNumber: Height): Promise<void> {
    const peers = this.#parts
      .network()
      .peers()
      .toSorted((left, right) => (right.status?.headNumber ?? 0) - (left.status?.headNumber ?? 0))
    // Who claims most may have nothing: every peer is asked for what the ones before did not give.
    let number = fromNumber
    for (const { id } of peers) number = await this.#syncFrom(id, number)
    if (number > fromNumber) this.#parts.onNotice('synced', { from: fromNumber, to: number })
  }

  /** Height reached with this peer; the same as before when it was of no use. */
  async #syncFrom(peer: string, fromNumber: Height): Promise<Height> {
    let number = fromNumber
    for (;;) {
      const blocks = await this.#ask(peer, 'blocks', encodeBlockRange({ from: number + 1, count: BLOCKS_PER_ANSWER }), decodeFullBlocks)
      const last = blocks?.at(-1)
      if (blocks === null || last === undefined || last.envelope.header.number <= number) return number
      const taken = blocks.filter((block) => this.#take(block, peer))
      // What the machine does not take will never be stored, and waiting for it would keep the next peer waiting.
      if (taken.length === 0 && this.#parts.chain.envelope(last.envelope.hash) === null) return number
      if (!(await this.#stored(last.envelope.hash))) return number
      number = last.envelope.header.number
    }
  }

  /** Waits until a block is stored; false when nothing moves for too long. */
  async #stored(hash: Hash): Promise<boolean> {
    const { chain } = this.#parts
    let head = chain.head().hash
    let movedMs = Date.now()
    while (!this.#stopped && chain.envelope(hash) === null) {
      if (chain.head().hash !== head) {
        head = chain.head().hash
        movedMs = Date.now()
      }
      if (Date.now() - movedMs > STALLED_MS) return false
      await sleep(POLL_MS)
    }
    return !this.#stopped
  }
}

/** Fetching for one node. */
export function createSyncer(parts: SyncerParts): Syncer {
  const fetcher = new Fetcher(parts)
  return {
    fetch: (what, hash, from) => fetcher.fetch(what, hash, from),
    sync: (fromNumber) => fetcher.sync(fromNumber),
    stop: () => fetcher.stop(),
  }
}
