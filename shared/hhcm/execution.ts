/** What a block means to the executor, as a pure function of the envelope and its bodies. @module */
import { compareHex } from '#shared/bytes.ts'
import { isRecentVote } from '#shared/hhcm/check.ts'
import type { BlockEnvelope, Certificate, ExecutionInput, Package, Vote } from '#shared/hhcm/types.ts'
import type { Address, Hash, Slot } from '#shared/types.ts'

/** The input of a block that is still being built: certificates per lane and the votes it will carry. */
export function buildInput(
  block: Readonly<{
    parentHash: Hash
    /** Votes older than the parent prove a justification and earn nothing. */
    parentSlot: Slot
    slot: Slot
    author: Address
    certificates: readonly (Certificate | null)[]
    votes: readonly Vote[]
  }>,
  packages: readonly (Package | null)[],
): ExecutionInput {
  return {
    parentHash: block.parentHash,
    slot: block.slot,
    author: block.author,
    packages,
    voters: [...new Set(block.votes.filter((vote) => isRecentVote(vote, block.parentSlot)).map((vote) => vote.voter))].toSorted(compareHex),
    coSigners: block.certificates.map((certificate) => certificate?.coSignatures.map(({ signer }) => signer) ?? []),
  }
}

/** Execution input of a finished block; `packages` are its bodies in lane order, null for an absent lane. */
export function executionInput(block: BlockEnvelope, packages: readonly (Package | null)[], parentSlot: Slot): ExecutionInput {
  const { parentHash, slot, author } = block.header
  return buildInput({ parentHash, parentSlot, slot, author, certificates: block.certificates, votes: block.votes }, packages)
}
