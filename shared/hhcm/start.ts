/** The machine's state at start-up, from genesis or from disk. @module */
import { bytesToHex } from '#shared/bytes.ts'
import { invariant } from '#shared/fault.ts'
import { takeVote } from '#shared/hhcm/ffg.ts'
import { ticketDigest } from '#shared/hhcm/pow.ts'
import { vrfInput } from '#shared/hhcm/randomness.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import type { Rules } from '#shared/hhcm/rules.ts'
import { packageHash, votePayload } from '#shared/hhcm/signing.ts'
import { bareState } from '#shared/hhcm/state.ts'
import type { BlockNode, HhcmState, Restored } from '#shared/hhcm/state.ts'
import { attach, blockNode, considerHead, refreshHead, rootNode } from '#shared/hhcm/tree.ts'
import { SELF_PEER, seedOf, validatorOf } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { BlockEnvelope, Checkpoint, Header, HhcmConfig, HhcmCrypto, Vote } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'

/** Own votes of the write-ahead file that are signed again at start-up, because peers may have lost them. */
const VOTES_RESIGNED = 16

/** What a node without a disk starts from. */
export function freshStart(genesis: Readonly<{ hash: Hash }>): Restored {
  const checkpoint: Checkpoint = { slot: 0, blockHash: genesis.hash }
  return { blocks: [], finalized: checkpoint, justified: checkpoint, writeAhead: [], votes: [] }
}

/** Ticket of a stored block's author; the VRF proof was verified before the block was stored. */
function storedTicket(turn: Turn, block: BlockEnvelope, parent: BlockNode): Hash {
  const { config, crypto, rules } = turn
  const { slot, lane, author, vrfProof, ticketNonce } = block.header
  const seed = seedOf(turn, parent.hash, parent.header, slot)
  const key = validatorOf(turn, author)?.consensusKey ?? '0x'
  const vrfOutput = crypto.vrfVerify(key, vrfInput(config.genesisHash, seed, slot), vrfProof)
  const own = block.certificates[lane]
  invariant(vrfOutput !== null && own !== null && own !== undefined, 'a stored block was verified before it was stored')
  const race = { ...config, seed, slot, lane, author, vrfOutput, packageHash: packageHash(own.header, crypto.keccak256) }
  return ticketDigest(rules.ticketSeed(race, crypto.sha256), ticketNonce, crypto.sha256)
}

function restoreBlock(turn: Turn, block: BlockEnvelope): void {
  const { state, crypto } = turn
  const parent = state.nodes.get(block.header.parentHash)
  if (parent === undefined || state.nodes.has(block.hash)) return
  const ticket = storedTicket(turn, block, parent)
  const lanes = block.certificates.map((certificate) =>
    certificate === null ? null : { packageHash: packageHash(certificate.header, crypto.keccak256), certificate, ticket },
  )
  const node = blockNode(turn, block, parent, lanes, 'disk')
  node.status = 'valid'
  attach(state, node)
  considerHead(turn, node)
}

function resign(turn: Turn, restored: Restored): Vote[] {
  const { config, crypto } = turn
  const { self } = config
  if (self === null) return []
  return (restored.writeAhead ?? [])
    .flatMap((record) => (record.kind === 'vote' ? [record] : []))
    .slice(-VOTES_RESIGNED)
    .map(({ source, target }) => ({
      source,
      target,
      voter: self,
      signature: bytesToHex(crypto.sign(votePayload(config.genesisHash, { source, target }))),
    }))
}

/**
 * State before the first event, and the node's own last votes signed again: broadcast them first, a peer may have lost them in its
 * crash, and a justification that only they prove would be lost with them.
 */
export function initialState(
  config: HhcmConfig,
  genesis: Readonly<{ hash: Hash; header: Header }>,
  restored: Restored,
  crypto: HhcmCrypto,
  rules: Rules = RULES,
): Readonly<{ state: HhcmState; votes: readonly Vote[] }> {
  const final = restored.blocks.find(({ hash }) => hash === restored.finalized.blockHash)
  invariant(final !== undefined || restored.finalized.blockHash === genesis.hash, 'the final block is genesis or among the stored blocks')
  const root = final === undefined ? rootNode(genesis.hash, genesis.header) : rootNode(final.hash, final.header)
  const state = bareState(config, root, restored)
  const turn: Turn = { config, state, crypto, rules, effects: [] }
  for (const block of restored.blocks) restoreBlock(turn, block)
  // Blocks come by height, whatever is justified: the head must not stay on a branch that nobody may vote for.
  refreshHead(turn)
  const votes = resign(turn, restored)
  // The clock has not started: votes are admitted up to the newest of them.
  state.slot = Math.max(0, ...[...votes, ...restored.votes].map((vote) => vote.target.slot))
  for (const vote of [...votes, ...restored.votes]) takeVote(turn, vote, SELF_PEER, true)
  state.slot = 0
  return { state, votes }
}
