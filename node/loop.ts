/**
 * Drives the consensus machine: events in, effects out, in order. The machine decides; this file only performs.
 * What a peer sends can cost the peer its connection, never this process its life.
 * @module
 */
import type { Chain } from '#node/chain.ts'
import type { Logger } from '#node/log.ts'
import type { Network, Verdict } from '#node/net/network.ts'
import type { GossipKind } from '#node/net/topics.ts'
import type { Packaging } from '#node/pool/packaging.ts'
import type { Recent } from '#node/recent.ts'
import type { Syncer } from '#node/sync.ts'
import type { Wal } from '#node/wal.ts'
import { DecodeError } from '#shared/fault.ts'
import type { HhcmEffect, HhcmEvent, WireMessage } from '#shared/hhcm/types.ts'
import { decodeWireMessage, encodeWireMessage } from '#shared/hhcm/wire.ts'

/** Topic of each consensus object. */
const TOPIC_OF: Readonly<Record<WireMessage['kind'], GossipKind>> = {
  package: 'package',
  coSignature: 'cosig',
  certificate: 'cert',
  block: 'block',
  vote: 'vote',
}

const TICK_ACTIVE_MS = 30
const TICK_SILENT_MS = 150
/** Asking whether a block is wanted reads the pool and judges triggers: seldom from the clock, a little sooner when the pool grew. */
const ACTIVITY_EVERY_MS = 200
const ACTIVITY_PAUSE_MS = 50
/** Ticks without an effect after which the machine counts as silent: longer than any pause inside an active slot. */
const SILENT_AFTER_MS = 2_500

export type LoopParts = Readonly<{
  /** The machine: changes its own state and returns what is to be done, and whether a message is verified and of use to others. */
  step: (event: HhcmEvent) => Readonly<{ effects: readonly HhcmEffect[]; isTaken: boolean }>
  chain: Chain
  packaging: Packaging
  wal: Pick<Wal, 'append'>
  network: () => Pick<Network, 'publish' | 'penalize'>
  recent: Recent
  syncer: Syncer
  /** Whether pool or calling list ask for a block on the present head. */
  isWanted: () => Promise<boolean>
  log: Logger
  /** Our own bug, or a disk that refuses: nothing may be signed any more. */
  onFatal: (cause: unknown) => void
  now: () => number
}>

export type Loop = Readonly<{
  /** A consensus object from gossip. */
  onGossip: (kind: GossipKind, bytes: Uint8Array, from: string) => Verdict
  /** An object fetched from a peer; false when the machine had no use for it. */
  onFetched: (message: WireMessage, from: string) => boolean
  /** Pool or head changed: ask again whether a block is wanted. */
  refreshActivity: () => void
  start: () => void
  stop: () => void
}>

const NOT_TAKEN = { fault: null, isTaken: false } as const

class Driver {
  readonly #parts: LoopParts
  #timer: NodeJS.Timeout | null = null
  #stopped = false
  #lastEffectMs = 0
  #isAsking = false
  #isWanted = false
  #askedMs = Number.NEGATIVE_INFINITY

  constructor(parts: LoopParts) {
    this.#parts = parts
  }

  start(): void {
    this.#tick()
  }

  stop(): void {
    this.#stopped = true
    if (this.#timer !== null) clearTimeout(this.#timer)
  }

  #tick(): void {
    if (this.#stopped) return
    const nowMs = this.#parts.now()
    this.handle({ kind: 'tick', nowMs })
    this.#askActivity(ACTIVITY_EVERY_MS)
    const isSilent = nowMs - this.#lastEffectMs > SILENT_AFTER_MS
    this.#timer = setTimeout(() => this.#tick(), isSilent ? TICK_SILENT_MS : TICK_ACTIVE_MS)
  }

  /** The pool grew: only a node that wants no block yet has to ask. */
  refreshActivity(): void {
    if (!this.#isWanted) this.#askActivity(ACTIVITY_PAUSE_MS)
  }

  /** Asks once at a time and not too often; only a change is an event. */
  #askActivity(pauseMs: number): void {
    const nowMs = this.#parts.now()
    if (this.#isAsking || this.#stopped || nowMs - this.#askedMs < pauseMs) return
    this.#askedMs = nowMs
    this.#isAsking = true
    this.#parts
      .isWanted()
      .then((wanted) => {
        if (wanted === this.#isWanted) return
        this.#isWanted = wanted
        this.handle({ kind: 'activity', wanted })
      })
      .catch((cause: unknown) => this.#parts.log.error('activity-failed', { cause: describe(cause) }))
      .finally(() => {
        this.#isAsking = false
      })
  }

  /** One event through the machine. Gives the fault the machine found with `from`, if any, and whether to pass a message on. */
  handle(event: HhcmEvent, from: string | null = null): Readonly<{ fault: string | null; isTaken: boolean }> {
    if (this.#stopped) return NOT_TAKEN
    let result: ReturnType<LoopParts['step']>
    try {
      result = this.#parts.step(event)
    } catch (cause) {
      // A message that the machine cannot digest must not end the process of everybody who receives it.
      if (event.kind === 'message') this.#parts.log.error('step-failed', { event: event.message.kind, cause: describe(cause) })
      else this.#parts.onFatal(cause)
      return NOT_TAKEN
    }
    const { effects, isTaken } = result
    if (effects.length > 0) this.#lastEffectMs = this.#parts.now()
    let fault: string | null = null
    for (const effect of effects) {
      if (effect.kind !== 'fault') this.#perform(effect)
      else if (effect.peer === from) fault = effect.fault
      // Found later, in something this peer only passed on: no reason to part from it.
      else this.#parts.log.debug('late-fault', { peer: effect.peer, fault: effect.fault })
    }
    return { fault, isTaken }
  }

  #perform(effect: Exclude<HhcmEffect, { kind: 'fault' }>): void {
    const { chain, wal, network, recent, syncer, log } = this.#parts
    switch (effect.kind) {
      case 'persist':
        try {
          wal.append(effect.record)
        } catch (cause) {
          this.stop()
          this.#parts.onFatal(cause)
        }
        return
      case 'broadcast':
        if (this.#stopped) return
        recent.remember(effect.message)
        network().publish(TOPIC_OF[effect.message.kind], encodeWireMessage(effect.message))
        return
      case 'request':
        syncer.fetch(effect.what, effect.hash, effect.from)
        return
      case 'sync':
        syncer.sync(effect.fromNumber)
        return
      case 'head':
        this.#run('head', () => chain.setHead(effect.blockHash))
        return
      case 'justified':
        this.#run('justified', () => chain.setJustified(effect.checkpoint, effect.votes))
        return
      case 'finalized':
        this.#run('finalized', () => chain.setFinalized(effect.checkpoint, effect.votes))
        return
      case 'evidence':
        log.warn('evidence', { offence: effect.evidence.offence, offender: effect.evidence.offender })
        this.#run('evidence', () => chain.putEvidence(effect.evidence))
        return
      case 'buildPackage':
      case 'checkPackage':
      case 'buildBlock':
      case 'execute':
        this.#compute(effect)
    }
  }

  /** Work whose result is an event. A failure is an answer too: one bad input must not stop every validator at once. */
  #compute(effect: Extract<HhcmEffect, { kind: 'buildPackage' | 'checkPackage' | 'buildBlock' | 'execute' }>): void {
    const { chain, packaging, log } = this.#parts
    switch (effect.kind) {
      case 'buildPackage': {
        const { slot, lane, parentHash } = effect
        this.#run(
          'buildPackage',
          () => packaging.buildPackage(parentHash, lane, slot),
          [],
          (txs) => this.handle({ kind: 'packageBuilt', slot, lane, parentHash, txs }),
        )
        return
      }
      case 'checkPackage': {
        const { hash } = effect.package
        this.#run(
          'checkPackage',
          async () => packaging.checkPackage(effect.package),
          'CHECK_FAILED',
          (reason) => {
            if (reason !== null) log.warn('package-refused', { package: hash, reason })
            this.handle({ kind: 'packageChecked', packageHash: hash, valid: reason === null })
          },
        )
        return
      }
      case 'buildBlock': {
        const { slot, parentHash } = effect.input
        this.#run(
          'buildBlock',
          () => chain.buildBlock(effect.input),
          null,
          (roots) => this.handle({ kind: 'blockBuilt', slot, parentHash, roots }),
        )
        return
      }
      case 'execute': {
        const { hash } = effect.block
        this.#run(
          'execute',
          () => chain.executeBlock(effect.block, effect.input),
          false,
          (valid) => {
            if (!valid) log.warn('block-refused', { block: hash, number: effect.block.header.number, reason: chain.lastRefusal() })
            this.handle({ kind: 'executed', blockHash: hash, valid })
          },
        )
      }
    }
  }

  #run<T>(what: string, task: () => Promise<T>, instead?: T, done?: (value: T) => unknown): void {
    task()
      .catch((cause: unknown) => {
        this.#parts.log.error('effect-failed', { effect: what, cause: describe(cause) })
        return instead
      })
      .then((value) => done?.(value as T))
      .catch((cause: unknown) => this.#parts.onFatal(cause))
  }
}

const describe = (cause: unknown): string => (cause instanceof Error ? (cause.stack ?? cause.message) : String(cause))

/** The driver of one node's machine. */
export function createLoop(parts: LoopParts): Loop {
  const driver = new Driver(parts)
  const take = (message: WireMessage, from: string): ReturnType<Driver['handle']> => {
    const result = driver.handle({ kind: 'message', from, message }, from)
    // What is not verified would push out what others ask for, and be ours in their eyes.
    if (result.fault === null && result.isTaken) parts.recent.remember(message)
    return result
  }
  return {
    onGossip: (kind, bytes, from) => {
      try {
        const message = decodeWireMessage(bytes)
        if (TOPIC_OF[message.kind] !== kind) return 'reject'
        const { fault, isTaken } = take(message, from)
        if (fault !== null) return 'reject'
        return isTaken ? 'accept' : 'ignore'
      } catch (cause) {
        if (cause instanceof DecodeError) return 'reject'
        throw cause
      }
    },
    onFetched: (message, from) => {
      const { fault, isTaken } = take(message, from)
      if (fault !== null) parts.network().penalize(from, fault)
      return fault === null && isTaken
    },
    refreshActivity: () => driver.refreshActivity(),
    start: () => driver.start(),
    stop: () => driver.stop(),
  }
}
