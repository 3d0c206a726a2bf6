/** A few machines with an instant network and a virtual clock, for directed tests. @module */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { createHhcmCrypto } from '#shared/hhcm/crypto.ts'
import { decodeWireMessage, encodeWireMessage } from '#shared/hhcm/wire.ts'
import { freshStart, initialState } from '#shared/hhcm/start.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import type { Rules } from '#shared/hhcm/rules.ts'
import type { HhcmState, Restored } from '#shared/hhcm/state.ts'
import { step } from '#shared/hhcm/step.ts'
import type {
  BlockEnvelope,
  HhcmConfig,
  HhcmCrypto,
  HhcmEffect,
  HhcmEvent,
  Package,
  WireMessage,
  WriteAheadRecord,
} from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'
import { simConfig, simExecute, simGenesis, simValidators } from '#test/sim/chain-stub.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { fakeCrypto } from '#test/sim/fake-crypto.ts'

export const SLOT_MS = 1500
const TICK_MS = 75

export type Node = {
  readonly index: number
  readonly config: HhcmConfig
  readonly crypto: HhcmCrypto
  state: HhcmState
  isUp: boolean
  readonly effects: HhcmEffect[]
  readonly wal: WriteAheadRecord[]
  readonly blocks: Map<Hash, BlockEnvelope>
}

type Options = Readonly<{
  count?: number
  laneCount?: number
  idleSlots?: number
  rules?: Rules
  /** Real keys, signatures and hashes, and every message through its encoding. */
  isReal?: boolean
  /** Transactions of the next package a node builds. */
  txs?: (node: Node) => readonly Uint8Array[]
  /** Whether a message goes from one node to another. */
  link?: (from: number, to: number, message: WireMessage) => boolean
}>

type Work = Extract<HhcmEffect, { kind: 'buildPackage' | 'checkPackage' | 'buildBlock' | 'execute' }>
const WORK: readonly string[] = ['buildPackage', 'checkPackage', 'buildBlock', 'execute'] satisfies Work['kind'][]
const isWork = (effect: HhcmEffect): effect is Work => WORK.includes(effect.kind)

export class Cluster {
  readonly nodes: Node[] = []
  readonly genesis: ReturnType<typeof simGenesis>
  readonly packages = new Map<Hash, Package>()
  options: Options
  nowMs = 0
  readonly #queue: Readonly<{ to: number; event: HhcmEvent }>[] = []

  constructor(options: Options = {}) {
    this.options = options
    const isReal = options.isReal === true
    const validators = simValidators(options.count ?? 4).map((validator) =>
      isReal ? { ...validator, consensusKey: bytesToHex(ed25519.getPublicKey(hexToBytes(validator.consensusKey))) } : validator,
    )
    const secrets = simValidators(validators.length).map(({ consensusKey }) => hexToBytes(consensusKey))
    const shape = [validators, options.laneCount ?? 2, options.idleSlots ?? 0] as const
    this.genesis = simGenesis(simConfig(...shape, null))
    for (const [index, validator] of validators.entries()) {
      const config = simConfig(...shape, validator.address)
      const secret = secrets[index]
      const crypto = isReal && secret !== undefined ? createHhcmCrypto(secret) : fakeCrypto(validator.consensusKey)
      const { state } = initialState(config, this.genesis, freshStart(this.genesis), crypto)
      this.nodes.push({ index, config, crypto, state, isUp: true, effects: [], wal: [], blocks: new Map() })
    }
  }

  node(index: number): Node {
    const node = this.nodes[index]
    if (node === undefined) throw new RangeError(`no node ${index}`)
    return node
  }

  /** Everything a node has broadcast of one kind. */
  said<Kind extends WireMessage['kind']>(index: number, kind: Kind): Extract<WireMessage, { kind: Kind }>[] {
    return this.node(index).effects.flatMap((effect) =>
      effect.kind === 'broadcast' && effect.message.kind === kind ? [effect.message as Extract<WireMessage, { kind: Kind }>] : [],
    )
  }

  of<Kind extends HhcmEffect['kind']>(index: number, kind: Kind): Extract<HhcmEffect, { kind: Kind }>[] {
    return this.node(index).effects.filter((effect): effect is Extract<HhcmEffect, { kind: Kind }> => effect.kind === kind)
  }

  faults(index: number): string[] {
    return this.of(index, 'fault').map(({ fault }) => fault)
  }

  /** Feeds one event and everything that follows from it at the same moment. */
  feed(index: number, event: HhcmEvent): void {
    this.#queue.push({ to: index, event })
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const node = this.node(next.to)
      if (!node.isUp) continue
      const { effects } = step(node.config, node.state, next.event, node.crypto, this.options.rules ?? RULES)
      for (const effect of effects) {
        node.effects.push(effect)
        this.#perform(node, effect)
      }
    }
  }

  message(index: number, message: WireMessage, from = 'peer'): void {
    this.feed(index, { kind: 'message', from, message })
  }

  #answer(node: Node, event: HhcmEvent): void {
    this.#queue.push({ to: node.index, event })
  }

  #broadcast(node: Node, sent: WireMessage): void {
    const message = this.options.isReal === true ? decodeWireMessage(encodeWireMessage(sent)) : sent
    if (message.kind === 'package') this.packages.set(message.package.hash, message.package)
    for (const to of this.nodes)
      if (to !== node && (this.options.link?.(node.index, to.index, message) ?? true))
        this.#queue.push({ to: to.index, event: { kind: 'message', from: `n${node.index}`, message } })
  }

  /** The executor's and the pool's answer. */
  #work(node: Node, effect: Work): HhcmEvent {
    switch (effect.kind) {
      case 'buildPackage': {
        const { slot, lane, parentHash } = effect
        return { kind: 'packageBuilt', slot, lane, parentHash, txs: this.options.txs?.(node) ?? [] }
      }
      case 'checkPackage':
        return { kind: 'packageChecked', packageHash: effect.package.hash, valid: true }
      case 'buildBlock':
        return { kind: 'blockBuilt', slot: effect.input.slot, parentHash: effect.input.parentHash, roots: simExecute(effect.input) }
      case 'execute': {
        node.blocks.set(effect.block.hash, effect.block)
        const valid = simExecute(effect.input).stateRoot === effect.block.header.stateRoot
        return { kind: 'executed', blockHash: effect.block.hash, valid }
      }
    }
  }

  #perform(node: Node, effect: HhcmEffect): void {
    if (effect.kind === 'persist') node.wal.push(effect.record)
    else if (effect.kind === 'broadcast') this.#broadcast(node, effect.message)
    else if (effect.kind === 'request') this.#serve(node, effect.what, effect.hash)
    else if (effect.kind === 'sync') this.#sync(node, effect.fromNumber)
    else if (isWork(effect)) this.#answer(node, this.#work(node, effect))
  }

  #canAsk(node: Node, peer: Node): boolean {
    return peer !== node && peer.isUp && (this.options.link?.(peer.index, node.index, ANY) ?? true)
  }

  #serve(node: Node, what: 'block' | 'package', hash: Hash): void {
    const peer = this.nodes.find((other) => this.#canAsk(node, other) && (what === 'package' || other.blocks.has(hash)))
    const block = peer?.blocks.get(hash)
    const body = this.packages.get(hash)
    if (what === 'block' && block !== undefined) this.#answer(node, { kind: 'message', from: 'p', message: { kind: 'block', block } })
    if (what === 'package' && peer !== undefined && body !== undefined)
      this.#answer(node, { kind: 'message', from: 'p', message: { kind: 'package', package: body } })
  }

  #sync(node: Node, fromNumber: number): void {
    const peer = this.nodes.find((other) => this.#canAsk(node, other))
    const chain: BlockEnvelope[] = []
    for (
      let at = peer?.blocks.get(peer.state.head);
      at !== undefined && at.header.number > fromNumber;
      at = peer?.blocks.get(at.header.parentHash)
    )
      chain.unshift(at)
    for (const block of chain) this.#answer(node, { kind: 'message', from: 'p', message: { kind: 'block', block } })
  }

  /** Ticks all nodes up to a moment. */
  runTo(untilMs: number): void {
    while (this.nowMs + TICK_MS <= untilMs) {
      this.nowMs += TICK_MS
      for (const node of this.nodes) this.feed(node.index, { kind: 'tick', nowMs: this.nowMs })
    }
  }

  /** Runs up to a fraction (thousandths) of a slot. */
  runToSlot(slot: number, permille = 0): void {
    this.runTo(slot * SLOT_MS + (SLOT_MS * permille) / 1000)
  }

  /** Kills a node and starts it again from what it stored. */
  restart(index: number, change: Partial<Restored> = {}): void {
    const node = this.node(index)
    const finalNumber = node.blocks.get(node.state.finalized.blockHash)?.header.number ?? 0
    const blocks = [...node.blocks.values()].filter(({ header }) => header.number >= finalNumber)
    const restored: Restored = {
      blocks: blocks.toSorted((left, right) => left.header.number - right.header.number),
      finalized: node.state.finalized,
      justified: node.state.justified,
      writeAhead: [...node.wal],
      votes: node.state.justifiedVotes,
      ...change,
    }
    node.state = initialState(node.config, this.genesis, restored, node.crypto).state
    node.isUp = true
  }
}

/** Stands for requests when a test's `link` is asked about them. */
const ANY: WireMessage = {
  kind: 'coSignature',
  coSignature: { slot: 0, lane: 0, packageHash: '0x', signer: '0x', signature: '0x' },
}
