/** What happens as slots pass: a new round, held messages, repeated requests, and forgetting. All memory of the machine is bounded here. @module */
import { pruneVotes } from '#shared/hhcm/ffg.ts'
import { callForSync, takeMessage } from '#shared/hhcm/intake.ts'
import { emptyRound } from '#shared/hhcm/state.ts'
import type { HhcmState } from '#shared/hhcm/state.ts'
import { slotAt } from '#shared/hhcm/timetable.ts'
import { admitDeferred, detach } from '#shared/hhcm/tree.ts'
import { nodeOf } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { Hash, Slot, UnixMs } from '#shared/types.ts'

/** Slots after which packages of a slot are forgotten unless a waiting block needs them. */
const BODY_SLOTS = 3
/** Slots after which a sighting, a verdict or a report is forgotten. */
const MEMORY_SLOTS = 32
/** Slots a block may wait for its bodies or its parent. */
const WAIT_SLOTS = 32
/** Silence after a lost write-ahead file, in slots: longer than any message of this key can still be on its way. */
const RECOVERY_SLOTS = 64
/** A request is repeated after this part of a slot. */
const REQUEST_REPEAT_PERMILLE = 400

function neededPackages(state: HhcmState): Set<Hash> {
  const needed = new Set<Hash>()
  for (const node of state.nodes.values()) {
    if (node.status === 'valid') continue
    for (const hash of node.packageHashes) if (hash !== null) needed.add(hash)
  }
  return needed
}

function dropOlder<Key>(map: Map<Key, Slot>, oldest: Slot): void {
  for (const [key, slot] of map) if (slot < oldest) map.delete(key)
}

function dropOlderKeys<Value>(map: Map<string, Value>, oldest: Slot): void {
  for (const key of map.keys()) if (Number.parseInt(key, 10) < oldest) map.delete(key)
}

function forget(turn: Turn): void {
  const { state } = turn
  for (const node of state.nodes.values())
    if (node.status === 'waiting' && node.arrivedSlot < state.slot - WAIT_SLOTS && state.nodes.has(node.hash)) detach(state, node)
  for (const [hash, { arrivedSlot }] of state.orphans) if (arrivedSlot < state.slot - WAIT_SLOTS) state.orphans.delete(hash)
  const needed = neededPackages(state)
  for (const [hash, { header }] of state.bodies) if (header.slot < state.slot - BODY_SLOTS && !needed.has(hash)) state.bodies.delete(hash)
  const parents = new Set([...state.orphans.values()].map(({ block }) => block.header.parentHash))
  for (const [hash, { what }] of state.requests) if (!(what === 'package' ? needed : parents).has(hash)) state.requests.delete(hash)
  for (const [key, { certificate }] of state.verified) if (certificate.header.slot < state.slot - 2) state.verified.delete(key)
  const oldest = state.slot - MEMORY_SLOTS
  dropOlder(state.invalid, oldest)
  dropOlder(state.reported, oldest)
  dropOlderKeys(state.seenPackages, oldest)
  dropOlderKeys(state.seenHeaders, oldest)
  pruneVotes(state)
}

function startSlot(turn: Turn, slot: Slot): void {
  const { state } = turn
  state.slot = slot
  state.round = emptyRound(slot)
  state.source = state.justified
  forget(turn)
  admitDeferred(turn)
  const held = state.early
  state.early = []
  for (const { from, message } of held) takeMessage(turn, message, from)
  if (state.orphans.size > 0) callForSync(turn)
}

function repeatRequests(turn: Turn): void {
  const { config, state, effects } = turn
  const pauseMs = Math.floor((config.slotMs * REQUEST_REPEAT_PERMILLE) / 1000)
  for (const [hash, pending] of state.requests) {
    if (state.nowMs < pending.atMs + pauseMs) continue
    pending.atMs = state.nowMs
    effects.push({ kind: 'request', what: pending.what, hash, from: null })
  }
}

/** After a lost record. On disk, so that a second crash does not end the silence. */
function fallSilent({ config, state, effects }: Turn, clockSlot: Slot): void {
  const slot = Math.max(clockSlot, nodeOf(state, state.head).header.slot)
  // A chain younger than the silence cannot hold a forgotten signature older than it.
  const until = slot > RECOVERY_SLOTS ? slot + RECOVERY_SLOTS : 0
  state.signed.quietUntil = until
  if (config.self !== null) effects.push({ kind: 'persist', record: { kind: 'quiet', until } })
}

/** Moves the clock forward; a clock that goes back is ignored. */
export function advanceClock(turn: Turn, nowMs: UnixMs): void {
  const { config, state } = turn
  if (nowMs <= state.nowMs) return
  state.nowMs = nowMs
  const slot = slotAt(config, nowMs)
  if (state.signed.quietUntil === null) fallSilent(turn, slot)
  if (slot > state.slot) startSlot(turn, slot)
  repeatRequests(turn)
}
