/**
 * What is wrong with a package, certificate or block whatever the head: everything here depends on the object and its parent's header.
 * Cheap checks come first, the VRF last. A fault is a stable code, null means nothing is wrong.
 * @module
 */
import { VOTES_PER_BLOCK_MAX } from '#shared/hhcm/codec.ts'
import { ticketDigest } from '#shared/hhcm/pow.ts'
import { blockRandomness, vrfInput } from '#shared/hhcm/randomness.ts'
import { blockPayload, certificatePayload, coSignaturePayload, packageHash, packagePayload, votePayload } from '#shared/hhcm/signing.ts'
import type { BlockNode, Certified } from '#shared/hhcm/state.ts'
import { dutiesFor, groupStake, isSignedBy, seedOf, validatorOf } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { BlockEnvelope, Certificate, PackageHeader, Vote } from '#shared/hhcm/types.ts'
import type { Address, Hash, Slot } from '#shared/types.ts'

/** Whether at least half of a group's stake has signed: the threshold at which one of two members may go on alone. */
export function isHalf(signed: bigint, group: bigint): boolean {
  return 2n * signed >= group
}

/** Faults of a package header on its parent; the signature is checked unless the same header was checked before. */
export function packageFault(turn: Turn, header: PackageHeader, hash: Hash, parent: BlockNode): string | null {
  const author = turn.state.validatorIndex.get(header.author)
  if (author === undefined) return 'PACKAGE_AUTHOR'
  if (header.slot <= parent.header.slot) return 'PACKAGE_SLOT'
  if (header.lane >= turn.config.laneCount) return 'PACKAGE_LANE'
  const duties = dutiesFor(turn, seedOf(turn, parent.hash, parent.header, header.slot))
  const rank = turn.rules.rankOf(duties, header.lane, author)
  if (rank === -1) return 'PACKAGE_LANE'
  if (rank !== header.rank) return 'PACKAGE_RANK'
  if (!isSignedBy(turn, header.author, packagePayload(turn.config.genesisHash, hash), header.signature)) return 'PACKAGE_SIGNATURE'
  return null
}

function coSignersFault(turn: Turn, certificate: Certificate, hash: Hash, parent: BlockNode): string | null {
  const { header, coSignatures } = certificate
  const duties = dutiesFor(turn, seedOf(turn, parent.hash, parent.header, header.slot))
  let stake = 0n
  let previous: Address = '0x'
  let hasAuthor = false
  for (const coSignature of coSignatures) {
    if (coSignature.signer <= previous) return 'CERTIFICATE_ORDER'
    previous = coSignature.signer
    const index = turn.state.validatorIndex.get(coSignature.signer)
    if (index === undefined || duties[header.lane]?.includes(index) !== true) return 'CERTIFICATE_SIGNER'
    if (coSignature.packageHash !== hash || coSignature.slot !== header.slot || coSignature.lane !== header.lane)
      return 'CERTIFICATE_SIGNATURE'
    stake += turn.config.validators[index]?.stakeWei ?? 0n
    hasAuthor ||= coSignature.signer === header.author
  }
  if (!hasAuthor || !isHalf(stake, groupStake(turn, duties, header.lane))) return 'CERTIFICATE_QUORUM'
  const payload = coSignaturePayload(turn.config.genesisHash, { slot: header.slot, lane: header.lane, packageHash: hash })
  return coSignatures.every(({ signer, signature }) => isSignedBy(turn, signer, payload, signature)) ? null : 'CERTIFICATE_SIGNATURE'
}

function certificateKey(certificate: Certificate): string {
  const { header, coSignatures, vrfProof, ticketNonce, signature } = certificate
  const signers = coSignatures.map((coSignature) => coSignature.signer + coSignature.signature).join()
  return [header.parentHash, header.txRoot, header.signature, header.rank, header.lane, vrfProof, ticketNonce, signature, signers].join()
}

/** Verifies a certificate on its parent, once per distinct certificate. */
export function certify(turn: Turn, certificate: Certificate, parent: BlockNode): Certified | string {
  const { config, state, crypto, rules } = turn
  const { header, vrfProof, ticketNonce } = certificate
  const hash = packageHash(header, crypto.keccak256)
  const key = hash + certificateKey(certificate)
  const known = state.verified.get(key)
  if (known !== undefined) return known
  if (ticketNonce >= config.powTries) return 'CERTIFICATE_TICKET'
  const fault = packageFault(turn, header, hash, parent) ?? coSignersFault(turn, certificate, hash, parent)
  if (fault !== null) return fault
  const payload = certificatePayload(config.genesisHash, hash, certificate)
  if (!isSignedBy(turn, header.author, payload, certificate.signature)) return 'CERTIFICATE_SIGNATURE'
  const seed = seedOf(turn, parent.hash, parent.header, header.slot)
  const author = validatorOf(turn, header.author)
  const vrfOutput =
    author === undefined ? null : crypto.vrfVerify(author.consensusKey, vrfInput(config.genesisHash, seed, header.slot), vrfProof)
  if (vrfOutput === null) return 'CERTIFICATE_VRF'
  const race = { ...config, seed, slot: header.slot, lane: header.lane, author: header.author, vrfOutput, packageHash: hash }
  const ticket = ticketDigest(rules.ticketSeed(race, crypto.sha256), ticketNonce, crypto.sha256)
  const certified: Certified = { packageHash: hash, certificate, vrfOutput, ticket }
  state.verified.set(key, certified)
  return certified
}

/** Whether two votes say the same, whatever their signatures. */
export function isSameVote(left: Vote, right: Vote): boolean {
  return (
    left.source.slot === right.source.slot &&
    left.source.blockHash === right.source.blockHash &&
    left.target.slot === right.target.slot &&
    left.target.blockHash === right.target.blockHash &&
    left.voter === right.voter
  )
}

/** Faults of a vote by itself: order of its checkpoints, voter, signature. */
export function voteFault(turn: Turn, vote: Vote): string | null {
  if (vote.source.slot >= vote.target.slot) return 'VOTE_ORDER'
  if (validatorOf(turn, vote.voter) === undefined) return 'VOTE_VOTER'
  return isSignedBy(turn, vote.voter, votePayload(turn.config.genesisHash, vote), vote.signature) ? null : 'VOTE_SIGNATURE'
}

/** Whether a carried vote was cast since the block's parent; older ones prove a justification. */
export function isRecentVote(vote: Vote, parentSlot: Slot): boolean {
  return vote.target.slot >= parentSlot
}

/** A link is described by its four fields. */
export function linkKey({ source, target }: Pick<Vote, 'source' | 'target'>): string {
  return `${source.slot}:${source.blockHash}:${target.slot}:${target.blockHash}`
}

/** The highest target slot that the votes justify by themselves, 0 for none. */
export function provenSlot(turn: Turn, votes: readonly Vote[]): Slot {
  const stakes = new Map<string, bigint>()
  let proven = 0
  for (const vote of votes) {
    const key = linkKey(vote)
    const stake = (stakes.get(key) ?? 0n) + (validatorOf(turn, vote.voter)?.stakeWei ?? 0n)
    stakes.set(key, stake)
    if (turn.rules.isSupermajority(stake, turn.state.totalStakeWei)) proven = Math.max(proven, vote.target.slot)
  }
  return proven
}

/**
 * Votes a block may carry, in order of (target slot, voter), distinct: those cast from its parent's slot to the slot before its own, and
 * before them the complete proof of one older justification. The windows of a chain's blocks do not overlap, so no vote is rewarded
 * twice; the proof lets nodes that saw different votes agree again on what is justified.
 */
export function carriedVotesFault(turn: Turn, votes: readonly Vote[], parentSlot: Slot, slot: Slot): string | null {
  if (votes.length > VOTES_PER_BLOCK_MAX) return 'BLOCK_VOTES'
  let previous = ''
  for (const vote of votes) {
    const key = `${vote.target.slot.toString().padStart(16, '0')}${vote.voter}`
    if (vote.target.slot >= slot || key <= previous) return 'BLOCK_VOTES'
    previous = key
  }
  const proof = votes.filter((vote) => !isRecentVote(vote, parentSlot))
  const [first] = proof
  if (first === undefined) return null
  const isOneLink = proof.every((vote) => linkKey(vote) === linkKey(first))
  return isOneLink && provenSlot(turn, proof) === first.target.slot ? null : 'BLOCK_VOTES'
}

function lanesFault(block: BlockEnvelope): string | null {
  const { header, certificates } = block
  for (const [lane, certificate] of certificates.entries()) {
    if (certificate === null) continue
    const { header: included } = certificate
    if (included.lane !== lane || included.slot !== header.slot || included.parentHash !== header.parentHash) return 'BLOCK_LANES'
  }
  const own = certificates[header.lane]
  if (own === undefined || own === null || own.header.author !== header.author || own.header.rank !== header.rank) return 'BLOCK_LANES'
  return own.vrfProof === header.vrfProof && own.ticketNonce === header.ticketNonce ? null : 'BLOCK_TICKET'
}

/** Whether this very vote, signature included, was verified before. */
export function isKnownVote(turn: Turn, vote: Vote): boolean {
  const votes = turn.state.votes.get(vote.target.slot)?.get(vote.voter) ?? []
  return votes.some((known) => known.signature === vote.signature && isSameVote(known, vote))
}

function envelopeFault(turn: Turn, block: BlockEnvelope, parent: BlockNode): string | null {
  const { config } = turn
  const { header, certificates, votes } = block
  if (header.number !== parent.header.number + 1 || header.slot <= parent.header.slot) return 'BLOCK_NUMBER'
  if (certificates.length !== config.laneCount) return 'BLOCK_LANES'
  const fault = lanesFault(block) ?? carriedVotesFault(turn, votes, parent.header.slot, header.slot)
  if (fault !== null) return fault
  return isSignedBy(turn, header.author, blockPayload(config.genesisHash, block.hash), header.signature) ? null : 'BLOCK_SIGNATURE'
}

/**
 * Verifies a block on its parent, the votes it carries included; gives the certificates of its lanes.
 * The decoder has compared hash and both list roots with the header already.
 */
export function checkBlock(turn: Turn, block: BlockEnvelope, parent: BlockNode): readonly (Certified | null)[] | string {
  const { header, certificates, votes } = block
  const fault = envelopeFault(turn, block, parent)
  if (fault !== null) return fault
  for (const vote of votes) {
    const wrong = isKnownVote(turn, vote) ? null : voteFault(turn, vote)
    if (wrong !== null) return wrong
  }
  const lanes: (Certified | null)[] = []
  for (const certificate of certificates) {
    const certified = certificate === null ? null : certify(turn, certificate, parent)
    if (typeof certified === 'string') return certified
    lanes.push(certified)
  }
  const own = lanes[header.lane]
  if (own === null || own === undefined) return 'BLOCK_LANES'
  const seed = seedOf(turn, parent.hash, parent.header, header.slot)
  return blockRandomness(seed, own.vrfOutput, turn.crypto.sha256) === header.randomness ? lanes : 'BLOCK_RANDOMNESS'
}
