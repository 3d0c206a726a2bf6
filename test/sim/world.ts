/**
 * Deterministic simulator of the consensus machine: virtual clock, seeded faults, split-brain adversary.
 * A byzantine validator runs one machine per side of the network with the same key; each side sees a consistent, lively validator, and
 * the validator equivocates in everything. Chaos first (drops, delays, duplicates, partitions, crashes), then the network heals.
 * @module
 */
import { initialState, freshStart } from '#shared/hhcm/start.ts'
import { step } from '#shared/hhcm/step.ts'
import type { Rules } from '#shared/hhcm/rules.ts'
import type { BlockEnvelope, HhcmConfig, HhcmEffect, HhcmEvent, Validator, Vote, WireMessage } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'
import { simConfig, simExecute, simGenesis, simValidators } from '#test/sim/chain-stub.ts'
import { recover } from '#test/sim/brain.ts'
import type { Brain, Disk } from '#test/sim/brain.ts'
import { fakeCrypto } from '#test/sim/fake-crypto.ts'
import { createPrng, EventHeap } from '#test/sim/prng.ts'
import type { Prng } from '#test/sim/prng.ts'
import { Watch } from '#test/sim/watch.ts'

export type SimOptions = Readonly<{
  seed: number
  validatorCount: number
  byzantineCount: number
  laneCount: number
  chaosSlots: number
  calmSlots: number
  rules: Rules
  /** Mutant: a restarted node has forgotten what it signed. */
  isAmnesiac: boolean
}>

export type SimResult = Readonly<{
  violations: Watch['violations']
  /** Final slots behind the clock at the end, worst honest node. */
  finalityLagSlots: number
  /** Slots from healing until every honest node had finalised a slot after healing; null when it never happened. */
  recoverySlots: number | null
  evidenceCount: number
  faultCount: number
  steps: number
}>

type Event =
  | Readonly<{ kind: 'tick'; brain: number }>
  | Readonly<{ kind: 'deliver'; brain: number; event: HhcmEvent; life: number | null }>
  | Readonly<{ kind: 'crash'; brain: number }>
  | Readonly<{ kind: 'restart'; brain: number }>
  | Readonly<{ kind: 'partition' }>

const SLOT_MS = 1500
const TICK_MS = 75

class World {
  readonly #options: SimOptions
  readonly #prng: Prng
  readonly #heap = new EventHeap<Event>()
  readonly #brains: Brain[] = []
  readonly #validators: Validator[]
  readonly #genesis: ReturnType<typeof simGenesis>
  readonly #watch: Watch
  readonly #byHash = new Map<Hash, BlockEnvelope>()
  #sides: number[]
  #isPartitioned = false
  /** Directed links that are cut: what one says the other does not hear, though it may hear the answer. */
  #cuts = new Set<string>()
  #nowMs = 0
  #faultCount = 0
  #steps = 0
  #recoveryMs: number | null = null

  constructor(options: SimOptions) {
    this.#options = options
    this.#prng = createPrng(options.seed)
    this.#validators = simValidators(options.validatorCount)
    const idleSlots = this.#prng.chance(0.25) ? 20 : 0
    const config = simConfig(this.#validators, options.laneCount, idleSlots, null)
    this.#genesis = simGenesis(config)
    const honest = new Set(this.#validators.slice(options.byzantineCount).map(({ address }) => address))
    this.#watch = new Watch(honest, this.#genesis.hash)
    for (const [index, validator] of this.#validators.entries()) {
      const isHonest = index >= options.byzantineCount
      for (const side of isHonest ? [0] : [0, 1]) this.#addBrain(index, isHonest, side, { ...config, self: validator.address })
    }
    this.#sides = this.#brains.map(({ side }) => side)
  }

  #addBrain(validator: number, isHonest: boolean, side: number, config: HhcmConfig): void {
    const crypto = fakeCrypto(this.#validators[validator]?.consensusKey ?? '0x')
    const start = freshStart(this.#genesis)
    const { state } = initialState(config, this.#genesis, start, crypto, this.#options.rules)
    const disk: Disk = { wal: [], blocks: [], packages: new Map(), finalized: start.finalized, justified: start.justified, votes: [] }
    const id = this.#brains.length
    this.#brains.push({
      id,
      validator,
      isHonest,
      side,
      config,
      crypto,
      skewMs: this.#prng.below(200) - 100,
      state,
      disk,
      isUp: true,
      life: 0,
      finalSlot: 0,
    })
  }

  get #healMs(): number {
    return this.#options.chaosSlots * SLOT_MS
  }
  get #isChaos(): boolean {
    return this.#nowMs < this.#healMs
  }

  /** Whether a message from one brain reaches another. */
  #isLinked(from: Brain, to: Brain): boolean {
    if (from.validator === to.validator || this.#cuts.has(`${from.id}>${to.id}`)) return false
    // A brain shows itself to its own side only, always: nobody ever sees the validator's other life directly.
    const isSameSide = this.#sides[from.id] === this.#sides[to.id]
    if (!from.isHonest || !to.isHonest) return isSameSide
    return !this.#isPartitioned || isSameSide
  }

  #delayMs(): number {
    if (!this.#isChaos) return 5 + this.#prng.below(60)
    return this.#prng.chance(0.1) ? this.#prng.below(4000) : 5 + this.#prng.below(150)
  }

  #send(from: Brain, message: WireMessage): void {
    this.#watch.said(message, from.isHonest)
    // A dishonest author may keep a body back while its certificate travels.
    if (!from.isHonest && message.kind === 'package' && this.#prng.chance(0.1)) return
    for (const to of this.#brains) {
      if (!this.#isLinked(from, to) || (this.#isChaos && this.#prng.chance(0.1))) continue
      const event: HhcmEvent = { kind: 'message', from: `n${from.validator}`, message }
      const copies = this.#isChaos && this.#prng.chance(0.05) ? 2 : 1
      for (let copy = 0; copy < copies; copy++)
        this.#heap.push(this.#nowMs + this.#delayMs(), { kind: 'deliver', brain: to.id, event, life: null })
    }
  }

  #answer(brain: Brain, event: HhcmEvent, delayMs: number): void {
    this.#heap.push(this.#nowMs + delayMs, { kind: 'deliver', brain: brain.id, event, life: brain.life })
  }

  #feed(brain: Brain, event: HhcmEvent): void {
    this.#steps++
    const { effects } = step(brain.config, brain.state, event, brain.crypto, this.#options.rules)
    // A crash may hit between two effects; what was not yet performed never happens.
    const isCut = effects.length > 0 && brain.isHonest && this.#isChaos && this.#prng.chance(0.002)
    const performed = isCut ? effects.slice(0, this.#prng.below(effects.length)) : effects
    for (const effect of performed) this.#perform(brain, effect)
    if (isCut) this.#crash(brain)
    else if (brain.isHonest && event.kind === 'tick') {
      this.#watch.state(brain.id, brain.state, brain.finalSlot, brain.state.slot)
      brain.finalSlot = brain.state.finalized.slot
    }
  }

  #perform(brain: Brain, effect: HhcmEffect): void {
    switch (effect.kind) {
      case 'buildPackage':
      case 'checkPackage':
      case 'buildBlock':
      case 'execute':
        return this.#work(brain, effect)
      case 'persist':
        brain.disk.wal.push(effect.record)
        return
      case 'broadcast':
        if (effect.message.kind === 'package') brain.disk.packages.set(effect.message.package.hash, effect.message.package)
        return this.#send(brain, effect.message)
      case 'request':
        return this.#serve(brain, effect.what, effect.hash)
      case 'sync':
        return this.#sync(brain, effect.fromNumber)
      case 'justified':
        brain.disk.justified = effect.checkpoint
        brain.disk.votes = effect.votes
        return
      case 'head':
        return
      case 'finalized':
      case 'evidence':
      case 'fault':
        return this.#observe(brain, effect)
    }
  }

  #observe(brain: Brain, effect: Extract<HhcmEffect, { kind: 'finalized' | 'evidence' | 'fault' }>): void {
    if (effect.kind === 'finalized') brain.disk.finalized = effect.checkpoint
    if (effect.kind === 'fault') this.#faultCount++
    if (!brain.isHonest) return
    if (effect.kind === 'finalized') this.#watch.finalized(brain.id, effect.checkpoint)
    else if (effect.kind === 'evidence') this.#watch.evidence(effect.evidence)
    else this.#watch.violate('FAULT', `${brain.id} blames ${effect.peer}: ${effect.fault}`)
  }

  #work(brain: Brain, effect: Extract<HhcmEffect, { kind: 'buildPackage' | 'checkPackage' | 'buildBlock' | 'execute' }>): void {
    switch (effect.kind) {
      case 'buildPackage': {
        const { slot, lane, parentHash } = effect
        const txs = this.#prng.chance(0.4) ? [Uint8Array.of(slot & 255, lane, brain.id, this.#prng.below(256))] : []
        return this.#answer(brain, { kind: 'packageBuilt', slot, lane, parentHash, txs }, 1 + this.#prng.below(20))
      }
      case 'checkPackage':
        brain.disk.packages.set(effect.package.hash, effect.package)
        return this.#answer(brain, { kind: 'packageChecked', packageHash: effect.package.hash, valid: true }, 1 + this.#prng.below(20))
      case 'buildBlock': {
        const { slot, parentHash } = effect.input
        const right = simExecute(effect.input)
        const roots = brain.isHonest || !this.#prng.chance(0.1) ? right : { ...right, stateRoot: this.#genesis.hash }
        return this.#answer(brain, { kind: 'blockBuilt', slot, parentHash, roots }, 10 + this.#prng.below(100))
      }
      case 'execute': {
        const valid = simExecute(effect.input).stateRoot === effect.block.header.stateRoot
        for (const body of effect.input.packages) if (body !== null) brain.disk.packages.set(body.hash, body)
        if (valid) brain.disk.blocks.push(effect.block)
        this.#byHash.set(effect.block.hash, effect.block)
        return this.#answer(brain, { kind: 'executed', blockHash: effect.block.hash, valid }, 10 + this.#prng.below(100))
      }
    }
  }

  #peerOf(brain: Brain): Brain | undefined {
    const peers = this.#brains.filter((peer) => peer.isUp && this.#isLinked(peer, brain))
    return peers[this.#prng.below(Math.max(1, peers.length))]
  }

  #serve(brain: Brain, what: 'block' | 'package', hash: Hash): void {
    const peer = this.#peerOf(brain)
    if (peer === undefined || (this.#isChaos && this.#prng.chance(0.2))) return
    const from = `n${peer.validator}`
    const block = what === 'block' ? peer.disk.blocks.find((stored) => stored.hash === hash) : undefined
    const body = what === 'package' ? (peer.disk.packages.get(hash) ?? peer.state.bodies.get(hash)) : undefined
    const message: WireMessage | null =
      block !== undefined ? { kind: 'block', block } : body !== undefined ? { kind: 'package', package: body } : null
    if (message !== null) this.#answer(brain, { kind: 'message', from, message }, this.#delayMs())
  }

  #sync(brain: Brain, fromNumber: number): void {
    const peer = this.#peerOf(brain)
    if (peer === undefined) return
    const chain: BlockEnvelope[] = []
    let at = this.#byHash.get(peer.state.head)
    while (at !== undefined && at.header.number > fromNumber) {
      chain.unshift(at)
      at = this.#byHash.get(at.header.parentHash)
    }
    const delayMs = this.#delayMs()
    for (const [index, block] of chain.entries())
      this.#answer(brain, { kind: 'message', from: `n${peer.validator}`, message: { kind: 'block', block } }, delayMs + index)
  }

  #crash(brain: Brain): void {
    brain.isUp = false
    brain.life++
    this.#heap.push(this.#nowMs + 200 + this.#prng.below(6000), { kind: 'restart', brain: brain.id })
  }

  #restart(brain: Brain): void {
    const restored = recover(brain.disk, this.#prng.below(3), this.#genesis.hash, this.#options.isAmnesiac)
    const { state, votes } = initialState(brain.config, this.#genesis, restored, brain.crypto, this.#options.rules)
    brain.state = state
    brain.isUp = true
    brain.finalSlot = state.finalized.slot
    for (const vote of votes) this.#send(brain, { kind: 'vote', vote } satisfies { kind: 'vote'; vote: Vote })
    this.#tick(brain)
  }

  #tick(brain: Brain): void {
    this.#feed(brain, { kind: 'activity', wanted: this.#prng.chance(0.3) })
    // Clocks are set right, within a tenth of a second, when the network heals.
    const skewMs = this.#isChaos ? 4 * brain.skewMs : brain.skewMs
    this.#feed(brain, { kind: 'tick', nowMs: Math.max(0, this.#nowMs + skewMs) })
  }

  #handle(event: Event): void {
    if (event.kind === 'partition') return this.#repartition()
    const brain = this.#brains[event.brain]
    if (brain === undefined) return
    switch (event.kind) {
      case 'tick':
        this.#heap.push(this.#nowMs + TICK_MS, event)
        if (brain.isUp) this.#tick(brain)
        return
      case 'deliver':
        if (brain.isUp && (event.life === null || event.life === brain.life)) this.#feed(brain, event.event)
        return
      case 'crash':
        if (brain.isUp) this.#crash(brain)
        return
      case 'restart':
        this.#restart(brain)
    }
  }

  /** Draws new sides for the honest nodes; byzantine brains keep theirs. */
  #repartition(): void {
    this.#cuts.clear()
    if (!this.#isChaos) {
      this.#isPartitioned = false
      return
    }
    for (const from of this.#brains) for (const to of this.#brains) if (this.#prng.chance(0.05)) this.#cuts.add(`${from.id}>${to.id}`)
    this.#isPartitioned = this.#prng.chance(0.7)
    for (const brain of this.#brains) if (brain.isHonest) this.#sides[brain.id] = this.#prng.below(2)
    this.#heap.push(this.#nowMs + 1500 + this.#prng.below(15_000), { kind: 'partition' })
  }

  #schedule(): void {
    for (const brain of this.#brains) {
      this.#heap.push(this.#prng.below(TICK_MS), { kind: 'tick', brain: brain.id })
      for (let crashes = brain.isHonest && this.#options.chaosSlots > 0 ? this.#prng.below(3) : 0; crashes > 0; crashes--)
        this.#heap.push(this.#prng.below(this.#healMs), { kind: 'crash', brain: brain.id })
    }
    this.#heap.push(0, { kind: 'partition' })
    this.#heap.push(this.#healMs, { kind: 'partition' })
  }

  run(): SimResult {
    this.#schedule()
    const endMs = this.#healMs + this.#options.calmSlots * SLOT_MS
    const honest = this.#brains.filter(({ isHonest }) => isHonest)
    for (;;) {
      const next = this.#heap.pop()
      if (next === undefined || next.atMs >= endMs) break
      this.#nowMs = next.atMs
      this.#handle(next.event)
      const healSlot = this.#options.chaosSlots
      if (this.#recoveryMs === null && !this.#isChaos && honest.every(({ state }) => state.finalized.slot >= healSlot))
        this.#recoveryMs = this.#nowMs
    }
    const slot = Math.floor(endMs / SLOT_MS)
    return {
      violations: this.#watch.violations,
      finalityLagSlots: Math.max(...honest.map(({ state }) => slot - state.finalized.slot)),
      recoverySlots: this.#recoveryMs === null ? null : (this.#recoveryMs - this.#healMs) / SLOT_MS,
      evidenceCount: this.#watch.evidenceCount,
      faultCount: this.#faultCount,
      steps: this.#steps,
    }
  }
}

/** Runs one seed to its end. */
export function simulate(options: SimOptions): SimResult {
  return new World(options).run()
}
