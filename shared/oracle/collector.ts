/**
 * Collecting one shard's batches round by round, as a pure machine: the same code in a Durable Object, in a validator and in the simulator.
 * A collector is a convenience without authority: it can only be late or omit, and its receipts prove an omission.
 * The shell keeps the state before it acts on effects, signs receipts and bundles, and wakes it at `nextDeadlineMs`.
 * Source: whitepaper 4.2.2.
 * @module
 */
import { bytesToHex, compareHex } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import type { BatchFault } from '#shared/oracle/batch.ts'
import { batchDigest, batchFault, batchFields, roundOf } from '#shared/oracle/batch.ts'
import type { UnsignedReceipt } from '#shared/oracle/receipt.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import type { UnsignedAttestationTx } from '#shared/oracle/transaction.ts'
import type { Batch, SourceSet } from '#shared/oracle/types.ts'
import { CLOCK_SKEW_MS } from '#shared/oracle/verify-attestation.ts'
import { ATTESTATION_BYTES_MAX, valueQuorum } from '#shared/params.ts'
import type { Address, Hash, UnixMs } from '#shared/types.ts'

/** How long after its end a round waits for late batches: the clocks and paths of honest providers differ. */
const GRACE_MS = 500
/** Closed rounds remembered, so that a repeat gets the receipt it got before. */
export const CLOSED_ROUNDS_KEPT = 16
/** Bytes of an AttestationTx besides its batches, generously. */
const ENVELOPE_BYTES = 256

/** Who collects what. The set is the one active on chain; the shell brings a newer one when it changes. */
export type CollectorConfig = Readonly<{
  set: SourceSet
  shard: number
  chainId: number
  genesisHash: Hash
  collector: Address
  suite: Recovery
}>

/** A batch as taken: what its receipt says. */
export type AcceptedBatch = Readonly<{ batch: Batch; digest: Hash; sequence: number; receivedAtMs: UnixMs }>
/** One round: its batches, who contradicted himself, and whether it is closed. */
export type CollectedRound = Readonly<{
  round: number
  accepted: readonly AcceptedBatch[]
  equivocators: readonly Address[]
  isClosed: boolean
}>
/** Rounds in rising order; `closedThrough` is the newest closed round, −1 at first. */
export type CollectorState = Readonly<{ nextSequence: number; closedThrough: number; rounds: readonly CollectedRound[] }>

/** A batch came, or time passed. */
export type CollectorEvent = Readonly<{ kind: 'batch'; batch: Batch; nowMs: UnixMs }> | Readonly<{ kind: 'tick'; nowMs: UnixMs }>

/** Stable codes of refusal. */
export type CollectorRefusal =
  | BatchFault
  | 'SOURCE_SET'
  | 'SHARD_UNKNOWN'
  | 'PROVIDER_UNKNOWN'
  | 'FEED_UNKNOWN'
  | 'ROUND_AHEAD'
  | 'ROUND_CLOSED'
  | 'ROUND_EXPIRED'
  | 'EQUIVOCATION'

/** What the shell has to do. Bundles come in rising order of round. */
export type CollectorEffect =
  | Readonly<{ kind: 'receipt'; receipt: UnsignedReceipt }>
  | Readonly<{ kind: 'refuse'; code: CollectorRefusal }>
  /** Sign and submit. `batchAtMs` is when the last of its batches came. */
  | Readonly<{ kind: 'bundle'; tx: UnsignedAttestationTx; batchAtMs: UnixMs; missing: readonly Address[] }>
  /** A round that closed without a quorum, or whose quorum does not fit a transaction: a visible gap. */
  | Readonly<{ kind: 'lapse'; round: number; batchCount: number }>
  /** Two validly signed, different batches of one provider for one round. */
  | Readonly<{ kind: 'equivocation'; first: Batch; second: Batch }>

/** Outcome of a step. */
export type CollectorStep = Readonly<{ state: CollectorState; effects: readonly CollectorEffect[] }>

/** A collector that has seen nothing. */
export const emptyCollector: CollectorState = { nextSequence: 1, closedThrough: -1, rounds: [] }

const deadlineMs = (round: number, roundMs: number): UnixMs => (round + 1) * roundMs + Math.min(GRACE_MS, roundMs)
const receiptOf = (accepted: AcceptedBatch, config: CollectorConfig): UnsignedReceipt => ({
  collector: config.collector,
  digest: accepted.digest,
  sequence: accepted.sequence,
  receivedAtMs: accepted.receivedAtMs,
})
const refuse = (state: CollectorState, code: CollectorRefusal): CollectorStep => ({ state, effects: [{ kind: 'refuse', code }] })

/** When the collector next wants a tick: the deadline of its oldest open round, or null when none is open. */
export function nextDeadlineMs(state: CollectorState, config: CollectorConfig): UnixMs | null {
  const open = state.rounds.find((round) => !round.isClosed)
  return open === undefined ? null : deadlineMs(open.round, config.set.roundMs)
}

function placeFault(batch: Batch, nowMs: UnixMs, config: CollectorConfig): CollectorRefusal | null {
  if (batch.sourceSet !== config.set.id || config.set.kind !== 'provider') return 'SOURCE_SET'
  const feeds = config.set.feeds[config.shard]
  if (batch.shard !== config.shard || feeds === undefined) return 'SHARD_UNKNOWN'
  if (!config.set.members.includes(batch.provider)) return 'PROVIDER_UNKNOWN'
  if (batch.leaves.some((leaf) => !feeds.includes(leaf.feed))) return 'FEED_UNKNOWN'
  if (roundOf(batch.observedAtMs, config.set.roundMs) !== batch.round) return 'TIME_NOT_IN_ROUND'
  return batch.observedAtMs > nowMs + CLOCK_SKEW_MS ? 'ROUND_AHEAD' : null
}

/** Batches in order of provider that fit one transaction together. */
function fitting(accepted: readonly AcceptedBatch[]): readonly AcceptedBatch[] {
  let room = ATTESTATION_BYTES_MAX - ENVELOPE_BYTES
  return accepted
    .toSorted((left, right) => compareHex(left.batch.provider, right.batch.provider))
    .filter(({ batch }) => {
      room -= encodeRlp(batchFields(batch)).length
      return room >= 0
    })
}

function closeRound(round: CollectedRound, config: CollectorConfig): CollectorEffect {
  const chosen = fitting(round.accepted)
  if (chosen.length < valueQuorum(config.set.members.length))
    return { kind: 'lapse', round: round.round, batchCount: round.accepted.length }
  return {
    kind: 'bundle',
    tx: {
      chainId: config.chainId,
      sourceSet: config.set.id,
      shard: config.shard,
      round: round.round,
      batches: chosen.map(({ batch }) => batch),
    },
    batchAtMs: chosen.reduce((latest, one) => Math.max(latest, one.receivedAtMs), 0),
    missing: config.set.members.filter((member) => chosen.every(({ batch }) => batch.provider !== member)),
  }
}

/** Closes every open round up to `through`, oldest first, so that bundles rise. */
function closeThrough(state: CollectorState, through: number, config: CollectorConfig): CollectorStep {
  const closing = state.rounds.filter((round) => !round.isClosed && round.round <= through)
  if (closing.length === 0) return { state, effects: [] }
  const rounds = state.rounds
    .map((round) => (round.round <= through ? { ...round, isClosed: true } : round))
    .filter((round, index, all) => !round.isClosed || index >= all.filter(({ isClosed }) => isClosed).length - CLOSED_ROUNDS_KEPT)
  const closedThrough = Math.max(state.closedThrough, through)
  return { state: { ...state, rounds, closedThrough }, effects: closing.map((round) => closeRound(round, config)) }
}

function withRound(state: CollectorState, round: CollectedRound): CollectorState {
  const others = state.rounds.filter((one) => one.round !== round.round)
  return { ...state, rounds: [...others, round].toSorted((left, right) => left.round - right.round) }
}

/** A provider's second word in a round: a repeat gets the first receipt again, anything else is equivocation. */
function onSecondBatch(
  state: CollectorState,
  round: CollectedRound,
  known: AcceptedBatch,
  batch: Batch,
  config: CollectorConfig,
): CollectorStep {
  const fault = batchFault(batch, config.set.roundMs, config.genesisHash, config.suite)
  if (fault !== null) return refuse(state, fault)
  if (bytesToHex(batchDigest(batch, config.genesisHash, config.suite)) === known.digest)
    return { state, effects: [{ kind: 'receipt', receipt: receiptOf(known, config) }] }
  if (round.equivocators.includes(batch.provider)) return refuse(state, 'EQUIVOCATION')
  return {
    state: withRound(state, { ...round, equivocators: [...round.equivocators, batch.provider] }),
    effects: [
      { kind: 'equivocation', first: known.batch, second: batch },
      { kind: 'refuse', code: 'EQUIVOCATION' },
    ],
  }
}

function onBatch(state: CollectorState, batch: Batch, nowMs: UnixMs, config: CollectorConfig): CollectorStep {
  const misplaced = placeFault(batch, nowMs, config)
  if (misplaced !== null) return refuse(state, misplaced)
  const round = state.rounds.find((one) => one.round === batch.round)
  const known = round?.accepted.find((one) => one.batch.provider === batch.provider)
  if (round !== undefined && known !== undefined) return onSecondBatch(state, round, known, batch, config)
  if (round?.isClosed === true || (round === undefined && batch.round <= state.closedThrough))
    return refuse(state, round === undefined ? 'ROUND_EXPIRED' : 'ROUND_CLOSED')
  if (nowMs >= deadlineMs(batch.round, config.set.roundMs)) return refuse(state, 'ROUND_EXPIRED')
  const fault = batchFault(batch, config.set.roundMs, config.genesisHash, config.suite)
  if (fault !== null) return refuse(state, fault)
  const accepted: AcceptedBatch = {
    batch,
    digest: bytesToHex(batchDigest(batch, config.genesisHash, config.suite)),
    sequence: state.nextSequence,
    receivedAtMs: nowMs,
  }
  const base = round ?? { round: batch.round, accepted: [], equivocators: [], isClosed: false }
  const grown = { ...base, accepted: [...base.accepted, accepted] }
  const next = { ...withRound(state, grown), nextSequence: state.nextSequence + 1 }
  const receipt: CollectorEffect = { kind: 'receipt', receipt: receiptOf(accepted, config) }
  if (grown.accepted.length < config.set.members.length) return { state: next, effects: [receipt] }
  const closed = closeThrough(next, batch.round, config)
  return { state: closed.state, effects: [receipt, ...closed.effects] }
}

function onTick(state: CollectorState, nowMs: UnixMs, config: CollectorConfig): CollectorStep {
  const overdue = state.rounds.filter((round) => !round.isClosed && deadlineMs(round.round, config.set.roundMs) <= nowMs)
  return closeThrough(state, overdue.at(-1)?.round ?? -1, config)
}

/** One step. Total: whatever comes, it answers with state and effects. */
export function stepCollector(state: CollectorState, event: CollectorEvent, config: CollectorConfig): CollectorStep {
  return event.kind === 'tick' ? onTick(state, event.nowMs, config) : onBatch(state, event.batch, event.nowMs, config)
}
