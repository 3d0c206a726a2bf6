/**
 * Layer 2 of a slot: the representatives of the lanes race, the best one merges the packages into a block.
 * Source: whitepaper 5.5.2; docs/protocol.md, "Slot".
 * @module
 */
import { bytesToHex, compareHex } from '#shared/bytes.ts'
import { VOTES_PER_BLOCK_MAX } from '#shared/hhcm/codec.ts'
import { buildInput } from '#shared/hhcm/execution.ts'
import { rankSumOf } from '#shared/hhcm/preference.ts'
import { blockRandomness } from '#shared/hhcm/randomness.ts'
import { blockHash, blockPayload, packagesRoot, votesRoot } from '#shared/hhcm/signing.ts'
import type { BlockNode, Certified } from '#shared/hhcm/state.ts'
import { PHASE } from '#shared/hhcm/timetable.ts'
import { baseOf, isPast, seedOf } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { BlockEnvelope, Header, HhcmEvent, Vote } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'

const rankOf = (certified: Certified): number => certified.certificate.header.rank

/** Order among representatives, which all include the same lanes: own rank, then ticket. */
function byRace(left: Certified, right: Certified): number {
  return rankOf(left) - rankOf(right) || compareHex(left.ticket, right.ticket) || compareHex(left.packageHash, right.packageHash)
}

/** Certificates on the base whose bodies are here, best first. */
function candidates({ state }: Turn, base: BlockNode): Certified[] {
  return [...state.round.certificates.values()]
    .filter(({ certificate, packageHash }) => certificate.header.parentHash === base.hash && state.bodies.has(packageHash))
    .toSorted(byRace)
}

/** The best certificate of each lane, the given one for its own lane. */
function lanesFor(turn: Turn, own: Certified, ordered: readonly Certified[]): (Certified | null)[] {
  const lanes: (Certified | null)[] = Array.from({ length: turn.config.laneCount }, () => null)
  for (const certified of [own, ...ordered]) {
    const { lane } = certified.certificate.header
    lanes[lane] ??= certified
  }
  return lanes
}

/** A block whose bodies are kept back can never be voted for, so it stops nobody from building. */
function hasBetterBlock(turn: Turn, base: BlockNode, own: Certified, lanes: readonly (Certified | null)[]): boolean {
  const { state, config, rules } = turn
  const ranks = lanes.map((lane) => (lane === null ? null : rankOf(lane)))
  const mine = { rank: rankOf(own), rankSum: rankSumOf(ranks, config.validators.length), ticket: own.ticket, blockHash: own.packageHash }
  return (state.children.get(base.hash) ?? []).some((hash) => {
    const other = state.nodes.get(hash)
    return other?.header.slot === state.slot && other.status !== 'waiting' && rules.comparePreference(other.preference, mine) < 0
  })
}

/**
 * Votes the next block carries: the proof of the highest justified checkpoint if the chain lacks it, and those cast since the parent,
 * one per voter and slot, the newest slots first when there are too many.
 */
function votesFor({ state }: Turn, base: BlockNode): Vote[] {
  const { justified, justifiedVotes } = state
  const isProofDue = justified.slot < base.header.slot && justified.slot > base.provenSlot
  const carried: Vote[] = isProofDue ? [...justifiedVotes] : []
  const slots = [...state.votes.keys()].filter((slot) => slot >= base.header.slot && slot < state.slot)
  for (const slot of slots.toSorted((left, right) => right - left)) {
    const bySlot = state.votes.get(slot)
    if (bySlot === undefined || carried.length + bySlot.size > VOTES_PER_BLOCK_MAX) break
    for (const [vote] of bySlot.values()) if (vote !== undefined) carried.push(vote)
  }
  return carried.toSorted((left, right) => left.target.slot - right.target.slot || compareHex(left.voter, right.voter))
}

/** Asks the shell to execute the block when it is this representative's turn. */
export function buildBlockIfDue(turn: Turn): void {
  const { config, state, effects } = turn
  const { round } = state
  const ownHash = round.own?.isCertified === true ? round.own.package.hash : null
  if (ownHash === null || config.self === null || state.signed.blockSlot >= state.slot) return
  const base = baseOf(state)
  if (round.build?.parentHash === base.hash) return
  const ordered = candidates(turn, base)
  const own = ordered.find(({ packageHash }) => packageHash === ownHash)
  if (own === undefined) return
  const lanes = lanesFor(turn, own, ordered)
  const bestOfLanes = new Set(ordered.filter((one, at) => ordered.findIndex((two) => isSameLane(one, two)) === at))
  const isBest = (certified: Certified): number => (bestOfLanes.has(certified) ? 0 : 1)
  const place = ordered.toSorted((left, right) => isBest(left) - isBest(right)).indexOf(own)
  const isEarly = place === 0 && lanes.every((lane) => lane !== null)
  if (!isEarly && !isPast(turn, PHASE.build + place * PHASE.buildStep)) return
  if (hasBetterBlock(turn, base, own, lanes)) return
  const certificates = lanes.map((lane) => lane?.certificate ?? null)
  const votes = votesFor(turn, base)
  round.build = { parentHash: base.hash, certificates, votes, own }
  const packages = lanes.map((lane) => (lane === null ? null : (state.bodies.get(lane.packageHash) ?? null)))
  const content = { parentHash: base.hash, parentSlot: base.header.slot, slot: state.slot, author: config.self, certificates, votes }
  effects.push({ kind: 'buildBlock', input: buildInput(content, packages) })
}

function isSameLane(left: Certified, right: Certified): boolean {
  return left.certificate.header.lane === right.certificate.header.lane
}

/** Signs the executed block. Null when the slot or the base has moved on, the build failed, or nothing was asked. */
export function sealBlock(turn: Turn, built: Extract<HhcmEvent, { kind: 'blockBuilt' }>): BlockEnvelope | null {
  const { config, state, crypto, effects } = turn
  const { build } = state.round
  const base = baseOf(state)
  if (build === null || built.slot !== state.slot || built.parentHash !== build.parentHash || build.parentHash !== base.hash) return null
  if (built.roots === null || config.self === null || state.signed.blockSlot >= state.slot) return null
  const { header: own, vrfProof, ticketNonce } = build.own.certificate
  const seed = seedOf(turn, base.hash, base.header, state.slot)
  const unsigned: Omit<Header, 'signature'> = {
    ...built.roots,
    number: base.header.number + 1,
    slot: state.slot,
    parentHash: base.hash,
    author: config.self,
    lane: own.lane,
    rank: own.rank,
    vrfProof,
    ticketNonce,
    randomness: blockRandomness(seed, build.own.vrfOutput, crypto.sha256),
    packagesRoot: packagesRoot(build.certificates, crypto.keccak256),
    votesRoot: votesRoot(build.votes, crypto.keccak256),
  }
  const hash: Hash = blockHash(unsigned, crypto.keccak256)
  const header = { ...unsigned, signature: bytesToHex(crypto.sign(blockPayload(config.genesisHash, hash))) }
  const block: BlockEnvelope = { hash, header, certificates: build.certificates, votes: build.votes }
  state.signed.blockSlot = state.slot
  effects.push(
    { kind: 'persist', record: { kind: 'block', slot: state.slot, hash } },
    { kind: 'broadcast', message: { kind: 'block', block } },
  )
  return block
}
