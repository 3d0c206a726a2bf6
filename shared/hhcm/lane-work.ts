/**
 * Layer 1 of a slot: publishing the own package, co-signing the best package of the own lane, certifying.
 * Source: whitepaper 5.5.2 (a group's winner by stake); docs/protocol.md, "Slot".
 * @module
 */
import { bytesToHex, compareHex } from '#shared/bytes.ts'
import { invariant } from '#shared/fault.ts'
import { isHalf } from '#shared/hhcm/check.ts'
import type { Duties } from '#shared/hhcm/duties.ts'
import { findTicket } from '#shared/hhcm/pow.ts'
import { vrfInput } from '#shared/hhcm/randomness.ts'
import { certificatePayload, coSignaturePayload, packageHash, packagePayload, packageTxRoot } from '#shared/hhcm/signing.ts'
import type { BlockNode } from '#shared/hhcm/state.ts'
import { sightPackage } from '#shared/hhcm/sightings.ts'
import { PHASE } from '#shared/hhcm/timetable.ts'
import { baseOf, dutiesFor, groupStake, isPast, seedOf, validatorOf } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { Certificate, CoSignature, HhcmEvent, Package, PackageHeader } from '#shared/hhcm/types.ts'
import type { Address, Hash, Lane } from '#shared/types.ts'
import { PACKAGE_BYTES_MAX, PACKAGE_TX_COUNT_MAX } from '#shared/params.ts'

/** Place of this node in the current slot. */
type Post = Readonly<{ self: Address; base: BlockNode; seed: Hash; duties: Duties; lane: Lane; rank: number }>

/** Lane and rank of this node in the current slot, null for a follower. */
function postOf(turn: Turn): Post | null {
  const { config, state } = turn
  const index = config.self === null ? undefined : state.validatorIndex.get(config.self)
  if (config.self === null || index === undefined) return null
  const base = baseOf(state)
  const seed = seedOf(turn, base.hash, base.header, state.slot)
  const duties = dutiesFor(turn, seed)
  const lane = duties.findIndex((members) => members.includes(index))
  return { self: config.self, base, seed, duties, lane, rank: duties[lane]?.indexOf(index) ?? -1 }
}

const rankDue = (rank: number): number => PHASE.package + rank * PHASE.rankStep

function hasBetterPackage(turn: Turn, post: Post): boolean {
  const { packages, checks } = turn.state.round
  return [...packages].some(
    ([hash, header]) =>
      header.lane === post.lane && header.parentHash === post.base.hash && header.rank < post.rank && checks.get(hash) !== 'invalid',
  )
}

function askForPackage(turn: Turn, post: Post): void {
  const { state, effects } = turn
  const { round, signed } = state
  if (signed.packageSlot >= state.slot || (signed.coSignatureSlots.get(post.lane) ?? 0) >= state.slot) return
  if (round.packageAsked === post.base.hash || !isPast(turn, rankDue(post.rank)) || isPast(turn, PHASE.certify)) return
  if (hasBetterPackage(turn, post)) return
  round.packageAsked = post.base.hash
  effects.push({ kind: 'buildPackage', slot: state.slot, lane: post.lane, parentHash: post.base.hash })
}

function coSign(turn: Turn, hash: Hash, post: Post): CoSignature {
  const { config, state, crypto, effects } = turn
  const unsigned = { slot: state.slot, lane: post.lane, packageHash: hash }
  state.signed.coSignatureSlots.set(post.lane, state.slot)
  effects.push({ kind: 'persist', record: { kind: 'coSignature', slot: state.slot, lane: post.lane, hash } })
  return { ...unsigned, signer: post.self, signature: bytesToHex(crypto.sign(coSignaturePayload(config.genesisHash, unsigned))) }
}

/** The shell's transactions become a signed package, unless the head has moved or a better package has come meanwhile. */
export function publishPackage(turn: Turn, built: Extract<HhcmEvent, { kind: 'packageBuilt' }>): void {
  const { config, state, crypto, effects } = turn
  const post = postOf(turn)
  if (post === null || built.slot !== state.slot || built.parentHash !== post.base.hash || built.lane !== post.lane) return
  if (state.signed.packageSlot >= state.slot || (state.signed.coSignatureSlots.get(post.lane) ?? 0) >= state.slot) return
  if (hasBetterPackage(turn, post)) return
  const bytes = built.txs.reduce((sum, tx) => sum + tx.length, 0)
  invariant(bytes <= PACKAGE_BYTES_MAX && built.txs.length <= PACKAGE_TX_COUNT_MAX, 'the pool cuts a package at its limits')
  const unsigned: Omit<PackageHeader, 'signature'> = {
    slot: state.slot,
    lane: post.lane,
    rank: post.rank,
    parentHash: post.base.hash,
    author: post.self,
    txRoot: packageTxRoot(built.txs, crypto.keccak256),
    txCount: built.txs.length,
    bytes,
  }
  const hash = packageHash(unsigned, crypto.keccak256)
  const header = { ...unsigned, signature: bytesToHex(crypto.sign(packagePayload(config.genesisHash, hash))) }
  const own: Package = { hash, header, txs: built.txs }
  state.signed.packageSlot = state.slot
  effects.push({ kind: 'persist', record: { kind: 'package', slot: state.slot, lane: post.lane, hash } })
  const coSignature = coSign(turn, hash, post)
  state.round.own = { package: own, coSignatures: new Map([[post.self, coSignature]]), isCertified: false }
  state.round.packages.set(hash, header)
  state.bodies.set(hash, own)
  state.round.isTouched = true
  sightPackage(turn, header)
  effects.push({ kind: 'broadcast', message: { kind: 'package', package: own } })
}

/** Packages this node may co-sign: of its lane, on its base, bodies present. */
function laneHeaders({ state }: Turn, post: Post): [Hash, PackageHeader][] {
  return [...state.round.packages].filter(
    ([hash, header]) => header.lane === post.lane && header.parentHash === post.base.hash && state.bodies.has(hash),
  )
}

function reviewPackages(turn: Turn, post: Post): void {
  const { state, effects } = turn
  const { checks } = state.round
  if (state.round.packages.size === 0 || isPast(turn, PHASE.build)) return
  if ((state.signed.coSignatureSlots.get(post.lane) ?? 0) >= state.slot) return
  const headers = laneHeaders(turn, post)
  for (const [hash] of headers) {
    const body = state.bodies.get(hash)
    if (body === undefined || checks.has(hash)) continue
    checks.set(hash, 'asked')
    effects.push({ kind: 'checkPackage', package: body })
  }
  const [best] = headers
    .filter(([hash]) => checks.get(hash) === 'valid')
    .toSorted(([leftHash, left], [rightHash, right]) => left.rank - right.rank || compareHex(leftHash, rightHash))
  // A late rank is signed no sooner than it may be published, so that a better one has its time.
  if (best !== undefined && isPast(turn, rankDue(best[1].rank)))
    effects.push({ kind: 'broadcast', message: { kind: 'coSignature', coSignature: coSign(turn, best[0], post) } })
}

function certifyOwn(turn: Turn, post: Post): void {
  const { config, state, crypto, rules, effects } = turn
  const { own } = state.round
  if (own === null || own.isCertified) return
  const group = groupStake(turn, post.duties, post.lane)
  let stake = 0n
  for (const signer of own.coSignatures.keys()) stake += validatorOf(turn, signer)?.stakeWei ?? 0n
  if (stake !== group && !(isPast(turn, PHASE.certify) && isHalf(stake, group))) return
  own.isCertified = true
  const { hash, header } = own.package
  const input = vrfInput(config.genesisHash, post.seed, state.slot)
  const vrfProof = bytesToHex(crypto.vrfProve(input))
  const vrfOutput = crypto.vrfVerify(validatorOf(turn, post.self)?.consensusKey ?? '0x', input, vrfProof)
  invariant(vrfOutput !== null, 'the own proof verifies under the own key')
  const race = { ...config, seed: post.seed, slot: state.slot, lane: post.lane, author: post.self, vrfOutput, packageHash: hash }
  const ticket = findTicket(rules.ticketSeed(race, crypto.sha256), config.powTries, crypto.sha256)
  const coSignatures = [...own.coSignatures.values()].toSorted((left, right) => compareHex(left.signer, right.signer))
  const unsigned = { header, vrfProof, ticketNonce: ticket.nonce }
  const signature = bytesToHex(crypto.sign(certificatePayload(config.genesisHash, hash, unsigned)))
  const certificate: Certificate = { ...unsigned, coSignatures, signature }
  state.round.certificates.set(hash, { packageHash: hash, certificate, vrfOutput, ticket: ticket.digest })
  effects.push({ kind: 'broadcast', message: { kind: 'certificate', certificate } })
}

/** Everything layer 1 does by itself as time passes and messages come. */
export function workInLane(turn: Turn, isActive: boolean): void {
  const post = postOf(turn)
  if (post === null || post.rank === -1) return
  if (isActive) askForPackage(turn, post)
  reviewPackages(turn, post)
  // The own package was built on the block that was the base then; a certificate for another parent is worthless.
  if (turn.state.round.own?.package.header.parentHash === post.base.hash) certifyOwn(turn, post)
}
