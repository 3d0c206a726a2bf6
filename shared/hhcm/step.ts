/**
 * The consensus machine of one validator or follower. Total: no input of a peer makes it throw.
 *
 * Contract with the shell
 * - Feed `tick` with the current time often (every 25 ms or so) and before the first message; it is the only clock the machine has.
 * - Perform effects in order. `persist` must be on disk (fsync) before any later effect of the same or a later step is performed.
 * - `broadcast`: send to all peers; a `coSignature` may go to the author of its package alone. Do not feed it back.
 * - `buildPackage` → `packageBuilt` with the same slot, lane and parent; the transactions are chosen on the state of that parent.
 * - `checkPackage` → `packageChecked`: list rules of the package on its parent's state.
 * - `buildBlock` → `blockBuilt` with the input's slot and parent; `roots` null when the execution refuses.
 * - `execute` → `executed`: execute on the parent's state, valid when the roots equal the header's; then store block and bodies.
 *   An own block comes here too, right after it was built: keep the last execution result by input, so that it runs once.
 * - `request`: fetch one object by hash, from the named peer first, from any peer when null, and feed it as `message`. Serve packages and
 *   blocks of the last slots to others. Unanswered requests are repeated by the machine.
 * - `sync`: fetch all blocks after `fromNumber` of a peer's canonical chain, ascending, and feed each as `message` of kind block; bodies
 *   are requested by hash, or may be fed before as `message` of kind package right after their request.
 * - `head`, `justified`, `finalized`: persist and tell others. The votes of `finalized` are a complete proof of finality.
 * - `evidence`: store and publish. `fault`: lower the peer's score.
 * - `activity`: tell the machine whenever pool or calling list start or stop asking for a block.
 * @module
 */
import { buildBlockIfDue, sealBlock } from '#shared/hhcm/block-work.ts'
import { voteIfDue } from '#shared/hhcm/ffg.ts'
import { isActiveSlot } from '#shared/hhcm/idle.ts'
import { takeBlock, takeExecution, takeMessage } from '#shared/hhcm/intake.ts'
import { publishPackage, workInLane } from '#shared/hhcm/lane-work.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import type { Rules } from '#shared/hhcm/rules.ts'
import type { HhcmState } from '#shared/hhcm/state.ts'
import { nodeOf, SELF_PEER } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { HhcmConfig, HhcmCrypto, HhcmEffect, HhcmEvent } from '#shared/hhcm/types.ts'
import { advanceClock } from '#shared/hhcm/upkeep.ts'

function apply(turn: Turn, event: Exclude<HhcmEvent, { kind: 'message' }>): void {
  const { state } = turn
  switch (event.kind) {
    case 'tick':
      return advanceClock(turn, event.nowMs)
    case 'packageBuilt':
      return publishPackage(turn, event)
    case 'packageChecked':
      if (state.round.checks.has(event.packageHash)) state.round.checks.set(event.packageHash, event.valid ? 'valid' : 'invalid')
      return
    case 'blockBuilt': {
      const block = sealBlock(turn, event)
      if (block !== null) takeBlock(turn, block, SELF_PEER)
      return
    }
    case 'executed':
      return takeExecution(turn, event.blockHash, event.valid)
    case 'activity':
      state.isActivityWanted = event.wanted
  }
}

/** Everything the node does by itself in the current slot, given what it knows now. */
function act(turn: Turn): void {
  const { config, state } = turn
  const { quietUntil } = state.signed
  if (config.self === null || !state.validatorIndex.has(config.self)) return
  if (state.slot === 0 || quietUntil === null || state.slot <= quietUntil) return
  // A clock behind the chain must not make this node work on slots that are over.
  if (nodeOf(state, state.head).header.slot > state.slot) return
  const isActive =
    state.round.isTouched ||
    isActiveSlot({
      slot: state.slot,
      idleSlots: config.idleSlots,
      wanted: state.isActivityWanted,
      busyNumber: nodeOf(state, state.head).busyNumber,
      finalizedNumber: nodeOf(state, state.root).header.number,
    })
  workInLane(turn, isActive)
  buildBlockIfDue(turn)
  if (isActive) voteIfDue(turn)
}

/**
 * One step. Changes `state` in place and returns it with the effects to perform, in order. `isTaken` says of a message that it is
 * verified in full and of use to others; everything else must not be passed on.
 */
export function step(
  config: HhcmConfig,
  state: HhcmState,
  event: HhcmEvent,
  crypto: HhcmCrypto,
  rules: Rules = RULES,
): Readonly<{ state: HhcmState; effects: readonly HhcmEffect[]; isTaken: boolean }> {
  const turn: Turn = { config, state, crypto, rules, effects: [] }
  let isTaken = false
  if (event.kind === 'message') isTaken = takeMessage(turn, event.message, event.from)
  else apply(turn, event)
  act(turn)
  return { state, effects: turn.effects, isTaken }
}
