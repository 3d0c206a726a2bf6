/** What the simulator's omniscient observer checks: the invariants of the consensus design, over everything honest nodes say. @module */
import { surrounds } from '#shared/hhcm/evidence.ts'
import type { HhcmState } from '#shared/hhcm/state.ts'
import type { BlockEnvelope, Checkpoint, Evidence, Vote, WireMessage } from '#shared/hhcm/types.ts'
import type { Address, Hash } from '#shared/types.ts'

export type Violation = Readonly<{ rule: string; detail: string }>

/** Collects everything said and decided in one run. */
export class Watch {
  readonly violations: Violation[] = []
  readonly #blocks = new Map<Hash, { number: number; parentHash: Hash }>()
  readonly #finalByNumber = new Map<number, Hash>()
  readonly #said = new Map<string, string>()
  readonly #votes = new Map<Address, Vote[]>()
  readonly #honest: ReadonlySet<Address>
  evidenceCount = 0

  constructor(honest: ReadonlySet<Address>, genesis: Hash) {
    this.#honest = honest
    this.#blocks.set(genesis, { number: 0, parentHash: genesis })
    this.#finalByNumber.set(0, genesis)
  }

  violate(rule: string, detail: string): void {
    this.violations.push({ rule, detail })
  }

  /** I3: an honest key never signs two contradicting objects. */
  #once(key: string, content: string): void {
    const before = this.#said.get(key)
    if (before !== undefined && before !== content) this.violate('I3', `${key} said twice`)
    this.#said.set(key, content)
  }

  #vote(vote: Vote): void {
    this.#once(`vote ${vote.voter} ${vote.target.slot}`, `${vote.source.slot}${vote.source.blockHash}${vote.target.blockHash}`)
    const votes = this.#votes.get(vote.voter) ?? []
    if (votes.some((other) => surrounds(other, vote) || surrounds(vote, other))) this.violate('I3', `${vote.voter} surrounds`)
    votes.push(vote)
    this.#votes.set(vote.voter, votes)
  }

  /** A message leaves a node. */
  said(message: WireMessage, isHonest: boolean): void {
    if (message.kind === 'block') this.knowBlock(message.block)
    if (!isHonest) return
    switch (message.kind) {
      case 'block':
        return this.#once(`block ${message.block.header.author} ${message.block.header.slot}`, message.block.hash)
      case 'package':
        return this.#once(`package ${message.package.header.author} ${message.package.header.slot}`, message.package.hash)
      case 'coSignature': {
        const { signer, slot, lane, packageHash } = message.coSignature
        return this.#once(`co-signature ${signer} ${slot} ${lane}`, packageHash)
      }
      case 'certificate': {
        for (const { signer, slot, lane, packageHash } of message.certificate.coSignatures)
          if (this.#honest.has(signer)) this.#once(`co-signature ${signer} ${slot} ${lane}`, packageHash)
        return
      }
      case 'vote':
        return this.#vote(message.vote)
    }
  }

  knowBlock(block: BlockEnvelope): void {
    this.#blocks.set(block.hash, { number: block.header.number, parentHash: block.header.parentHash })
  }

  /** I1: final blocks of honest nodes lie on one chain. */
  finalized(node: number, checkpoint: Checkpoint): void {
    let hash = checkpoint.blockHash
    for (;;) {
      const block = this.#blocks.get(hash)
      if (block === undefined) return this.violate('I1', `node ${node} finalised an unknown block`)
      const known = this.#finalByNumber.get(block.number)
      if (known === hash) return
      if (known !== undefined) return this.violate('I1', `node ${node} finalised a second block ${block.number}`)
      this.#finalByNumber.set(block.number, hash)
      hash = block.parentHash
    }
  }

  /** I3, second half: no evidence names an honest node. */
  evidence(evidence: Evidence): void {
    this.evidenceCount++
    if (this.#honest.has(evidence.offender)) this.violate('I3', `evidence ${evidence.offence} names honest ${evidence.offender}`)
  }

  /** I4: the head descends from the final block, whose slot never goes down. I13: memory is bounded. */
  state(node: number, state: HhcmState, previousFinalSlot: number, slotsRun: number): void {
    if (state.finalized.slot < previousFinalSlot) this.violate('I4', `node ${node}: final slot went down`)
    let at = state.nodes.get(state.head)
    while (at !== undefined && at.hash !== state.root) at = state.nodes.get(at.header.parentHash)
    if (at === undefined) this.violate('I4', `node ${node}: head does not descend from the final block`)
    const sizes = [state.orphans.size, state.early.length, state.round.unplaced.length, state.bodies.size, state.requests.size]
    if (sizes.some((size) => size > 64 + 8 * slotsRun)) this.violate('I13', `node ${node}: ${sizes.join()}`)
  }
}
