/**
 * Whether a well-formed description makes sense and fits the chain. Run by the precompile at registration and by the edge before.
 * Source: whitepaper 4.4.1; limits in docs/protocol.md, "Trigger description".
 * @module
 */
import { DecodeError } from '#shared/fault.ts'
import { utf8ToBytes } from '#shared/bytes.ts'
import { refuseAction } from '#shared/trigger/action-rules.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import { refuseCondition, refuseTiming } from '#shared/trigger/condition-rules.ts'
import { evaluationGas, fireGas } from '#shared/trigger/gas.ts'
import { dueFrom } from '#shared/trigger/timing.ts'
import { hasHidden } from '#shared/visible-text.ts'
import type { Mode, TriggerDescription } from '#shared/trigger/types.ts'
import type { Hash, Height, UnixMs, Wei } from '#shared/types.ts'
import { TRIGGER_GAS_PERCENT } from '#shared/params.ts'

/** Why a description is refused: a stable code, a JSON pointer into the description, and what was expected. */
export type Refusal = Readonly<{ code: string; path: string; message: string }>

/** Facts of the chain a description is judged against. */
export type LimitContext = Readonly<{ timeMs: UnixMs; height: Height; triggerGasBudget: bigint }>

/** What the chain stores beside an accepted description. */
export type Acceptance = Readonly<{
  ok: true
  /** First due time in ms or height; 0 for modes without one. */
  dueAt: number
  evaluationGas: number
  /** Most gas one fire can use, evaluation included. */
  fireGas: number
  /** Refundable deposit for the stored bytes. */
  depositWei: Wei
  /** What an index finds the entry by: feed id, first log address, view target, foreign chain; zero for timing and active. */
  watchKey: Hash
}>

const NAME_BYTES_MAX = 64
const RETRIES_MAX = 8
const DAY_SEC = 86_400
/** Refundable price of one stored byte: 1e13 wei, a fire's worth of deposit for a kilobyte. */
const DEPOSIT_WEI_PER_BYTE = 10n ** 13n

/** Gas of a block that triggers may use together, of a block with this gas limit. */
export function triggerGasBudget(blockGasLimit: bigint): bigint {
  return (blockGasLimit * BigInt(TRIGGER_GAS_PERCENT)) / 100n
}

/** Whether what it takes to drop a stale occurrence exists: its time. */
function hasEventTime(mode: Mode): boolean {
  return mode.type === 'timing' || (mode.type === 'event' && (mode.when.kind === 'feed.compare' || mode.when.kind === 'log'))
}

function refuseLimits({ name, mode, limits }: TriggerDescription, context: LimitContext): Refusal | null {
  if (utf8ToBytes(name).length > NAME_BYTES_MAX)
    return { code: 'NAME_TOO_LONG', path: '/name', message: `expected at most ${NAME_BYTES_MAX} UTF-8 bytes` }
  if (hasHidden(name)) return { code: 'NAME_CONTROL', path: '/name', message: 'control and direction characters are not allowed' }
  if (limits.expiresAtMs <= context.timeMs)
    return { code: 'EXPIRES_PAST', path: '/limits/expiresAt', message: `expected after ${context.timeMs}, got ${limits.expiresAtMs}` }
  if (limits.expiresAtMs <= limits.notBeforeMs)
    return { code: 'EXPIRES_BEFORE_START', path: '/limits/expiresAt', message: 'expected after notBefore' }
  if (limits.maxFires === 0) return { code: 'MAX_FIRES', path: '/limits/maxFires', message: 'expected at least 1' }
  if (limits.maxFeePerGasWei === 0n) return { code: 'MAX_FEE', path: '/limits/maxFeePerGas', message: 'expected at least 1 wei' }
  if (limits.freshForSec > 0 && !hasEventTime(mode))
    return { code: 'FRESH_NOT_APPLICABLE', path: '/limits/freshForSec', message: 'this mode has no time of its own; expected 0' }
  return null
}

function refuseRetries({ onRevert }: TriggerDescription): Refusal | null {
  if (onRevert.retries > RETRIES_MAX) return { code: 'RETRIES', path: '/onRevert/retries', message: `expected at most ${RETRIES_MAX}` }
  if (onRevert.retries > 0 && (onRevert.backoffSec < 1 || onRevert.backoffSec > DAY_SEC))
    return { code: 'BACKOFF', path: '/onRevert/backoffSec', message: `expected 1 to ${DAY_SEC} when there are retries` }
  return null
}

function refuseGas(description: TriggerDescription, context: LimitContext): Refusal | null {
  const gas = BigInt(fireGas(description))
  const most = context.triggerGasBudget / 2n
  return gas > most
    ? { code: 'GAS_ABOVE_BUDGET', path: '/action/gasLimit', message: `a fire needs ${gas} gas, half of the trigger budget is ${most}` }
    : null
}

function watchKeyOf(mode: Mode): Hash {
  const padded = (hex: string): Hash => `0x${hex.padStart(64, '0')}`
  if (mode.type !== 'event') return padded('')
  const { when } = mode
  switch (when.kind) {
    case 'feed.compare':
      return when.feed
    case 'log':
      return padded((when.addresses[0] ?? '0x').slice(2))
    case 'view':
      return padded(when.to.slice(2))
    case 'chain.deposit':
      return padded(when.chain.toString(16))
  }
}

function firstDue({ mode, limits }: TriggerDescription, context: LimitContext): number {
  if (mode.type !== 'timing') return 0
  if (mode.when.kind === 'height') return dueFrom(mode.when, context.height + 1)
  const due = dueFrom(mode.when, Math.max(context.timeMs, limits.notBeforeMs))
  return due < limits.expiresAtMs ? due : 0
}

function encodedLength(description: TriggerDescription): number | Refusal {
  try {
    return encodeDescription(description).length
  } catch (error) {
    if (error instanceof DecodeError) return { code: error.code, path: error.path, message: error.message }
    throw error
  }
}

/** Judges a description for registration in a block at `timeMs` and `height`. The first broken rule is reported. */
export function checkDescription(description: TriggerDescription, context: LimitContext): Acceptance | Readonly<Refusal & { ok: false }> {
  const { mode } = description
  const bytes = encodedLength(description)
  if (typeof bytes !== 'number') return { ok: false, ...bytes }
  const refusal =
    refuseLimits(description, context) ??
    (mode.type === 'timing'
      ? refuseTiming(mode, description.limits)
      : mode.type === 'event'
        ? refuseCondition(mode.when, description.limits)
        : null) ??
    refuseAction(description.action, mode) ??
    refuseRetries(description) ??
    refuseGas(description, context)
  if (refusal !== null) return { ok: false, ...refusal }
  const dueAt = firstDue(description, context)
  if (mode.type === 'timing' && dueAt === 0)
    return { ok: false, code: 'NEVER_FIRES', path: '/mode/when', message: 'no fire before expiresAt and within ten years' }
  return {
    ok: true,
    dueAt,
    evaluationGas: evaluationGas(mode),
    fireGas: fireGas(description),
    depositWei: BigInt(bytes) * DEPOSIT_WEI_PER_BYTE,
    watchKey: watchKeyOf(mode),
  }
}
