/** Descriptions, rows and generators the trigger tests share. @module */
import { DEVNET_PARAMS } from '#shared/params.ts'
import { REFS, descHash } from '#shared/trigger/codec.ts'
import { stableCaller } from '#shared/trigger/ids.ts'
import type { Condition, Entry, EvaluationContext, Mode, Timing, TriggerDescription } from '#shared/trigger/types.ts'
import type { Hex } from '#shared/types.ts'
import fc from 'fast-check'

export const OWNER: Hex = `0x${'aa'.repeat(20)}`
export const TARGET: Hex = `0x${'bb'.repeat(20)}`
export const FEED: Hex = `0x${'f1'.repeat(32)}`
export const ZERO_HASH: Hex = `0x${'00'.repeat(32)}`
/** 2026-01-01T00:00:00Z, checked against `date -u -d @1767225600`. */
export const START_MS = 1_767_225_600_000
export const YEAR_MS = 31_536_000_000
export const BUDGET = (15_000_000n * 25n) / 100n

/** A valid daily trigger; tests change what they are about. */
export const DAILY: TriggerDescription = {
  version: 1,
  name: 'daily',
  mode: { type: 'timing', when: { kind: 'cron', expr: '0 9 * * *' }, missed: { mode: 'skip' } },
  action: { to: TARGET, valueWei: 0n, selector: '0x12345678', types: [], args: [], gasLimit: 100_000 },
  limits: {
    notBeforeMs: 0,
    expiresAtMs: START_MS + YEAR_MS,
    maxFires: 1000,
    cooldownSec: 0,
    maxFeePerGasWei: 10n ** 10n,
    freshForSec: 0,
  },
  onRevert: { retries: 2, backoffSec: 10, thenPause: true },
  funding: { reserveWei: 10n ** 16n, lowWaterWei: 10n ** 15n, tipWei: 10n ** 12n, attestationFeeWei: 0n },
}

export const withMode = (mode: Mode): TriggerDescription => ({ ...DAILY, mode })
export const onTiming = (when: Timing): TriggerDescription => withMode({ type: 'timing', when, missed: { mode: 'skip' } })
export const onEvent = (when: Condition): TriggerDescription => withMode({ type: 'event', when })

/** Falls below 1800.00, re-armed at 1815.00, two decimals. */
export const STOP_LOSS: Extract<Condition, { kind: 'feed.compare' }> = {
  kind: 'feed.compare',
  feed: FEED,
  maxAgeSec: 60,
  op: 'lt',
  value: 180_000n,
  rearm: 181_500n,
  holdReports: 1,
  holdSec: 0,
}
export const ANY_LOG: Extract<Condition, { kind: 'log' }> = { kind: 'log', addresses: [TARGET], topics: [] }
export const PROBE: Extract<Condition, { kind: 'view' }> = {
  kind: 'view',
  to: TARGET,
  data: Uint8Array.of(1, 2, 3, 4),
  gasLimit: 50_000,
  everyBlocks: 1,
  edge: 'rising',
}
export const DEPOSIT: Extract<Condition, { kind: 'chain.deposit' }> = {
  kind: 'chain.deposit',
  chain: 31_337n,
  reporters: `0x${'e1'.repeat(32)}`,
  to: TARGET,
  minWei: 10n ** 18n,
  confirmations: 3,
}

/** A live row, registered at START_MS in block 10. */
export function entryOf(description: TriggerDescription, change: Partial<Entry> = {}): Entry {
  return {
    id: `0x${'01'.repeat(32)}`,
    owner: OWNER,
    caller: stableCaller(OWNER),
    revision: 1,
    description,
    descHash: descHash(description),
    status: 'ACTIVE',
    registeredAt: { height: 10, timeMs: START_MS },
    fundingWei: 10n ** 18n,
    fires: 0,
    missed: 0,
    attempt: 0,
    backoffUntilMs: 0,
    lastFireMs: 0,
    dueAt: 0,
    armed: true,
    cursor: 0n,
    edgeCount: 0,
    ...change,
  }
}

const SLOT_MS = DEVNET_PARAMS.slotMs
/** The block at `height` of a chain without empty slots whose block 10 is at START_MS. */
export function contextAt(height: number, change: Partial<EvaluationContext> = {}): EvaluationContext {
  const timeMs = START_MS + (height - 10) * SLOT_MS
  return {
    timeMs,
    height,
    parentTimeMs: timeMs - SLOT_MS,
    onTimeAfterMs: timeMs - 17 * SLOT_MS,
    slotMs: SLOT_MS,
    triggerBaseFeeWei: 10n ** 9n,
    ...change,
  }
}

const hex = (length: number): fc.Arbitrary<Hex> =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes): Hex => `0x${Buffer.from(bytes).toString('hex')}`)
const u = (bits: number): fc.Arbitrary<number> => fc.integer({ min: 0, max: 2 ** bits - 1 })
const wide = (bits: number): fc.Arbitrary<bigint> => fc.bigInt({ min: 0n, max: 2n ** BigInt(bits) - 1n })
const value = fc.bigInt({ min: -(2n ** 191n), max: 2n ** 191n - 1n })

const timing: fc.Arbitrary<Timing> = fc.oneof(
  fc.record({ kind: fc.constant('at' as const), timesMs: fc.array(u(48), { maxLength: 64 }) }),
  fc.record({ kind: fc.constant('interval' as const), anchorMs: u(48), everySec: u(32) }),
  fc.record({ kind: fc.constant('cron' as const), expr: fc.string({ maxLength: 60 }) }),
  fc.record({ kind: fc.constant('height' as const), at: u(48), every: u(32) }),
)
const condition: fc.Arbitrary<Condition> = fc.oneof(
  fc.record({
    kind: fc.constant('feed.compare' as const),
    feed: hex(32),
    maxAgeSec: u(32),
    op: fc.constantFrom('lt' as const, 'le' as const, 'gt' as const, 'ge' as const),
    value,
    rearm: value,
    holdReports: u(16),
    holdSec: u(32),
  }),
  fc.record({
    kind: fc.constant('log' as const),
    addresses: fc.array(hex(20), { maxLength: 4 }),
    topics: fc.array(fc.array(hex(32), { maxLength: 3 }), { maxLength: 4 }),
  }),
  fc.record({
    kind: fc.constant('view' as const),
    to: hex(20),
    data: fc.uint8Array({ maxLength: 300 }),
    gasLimit: u(32),
    everyBlocks: u(32),
    edge: fc.constantFrom('rising' as const, 'level' as const),
  }),
  fc.record({
    kind: fc.constant('chain.deposit' as const),
    chain: wide(256),
    reporters: hex(32),
    to: hex(20),
    minWei: wide(256),
    confirmations: u(16),
  }),
)
const missed = fc.oneof(
  fc.constant({ mode: 'skip' as const }),
  fc.record({ mode: fc.constant('latest' as const), graceSec: u(32) }),
  fc.record({ mode: fc.constant('all' as const), max: u(8), graceSec: u(32) }),
)
const mode: fc.Arbitrary<Mode> = fc.oneof(
  fc.constant({ type: 'active' as const }),
  fc.record({ type: fc.constant('timing' as const), when: timing, missed }),
  fc.record({ type: fc.constant('event' as const), when: condition }),
)
const argument = fc.oneof(fc.record({ lit: fc.uint8Array({ maxLength: 64 }) }), fc.record({ ref: fc.constantFrom(...REFS) }))

/** Any description that has an encoding, sensible or not. */
export const anyDescription: fc.Arbitrary<TriggerDescription> = fc
  .record({
    version: fc.constant(1 as const),
    name: fc.string({ unit: 'grapheme', maxLength: 10 }),
    mode,
    call: fc.array(fc.tuple(fc.constantFrom('uint256', 'bytes', 'address', 'nonsense'), argument), { maxLength: 8 }),
    to: hex(20),
    selector: hex(4),
    gasLimit: u(32),
    valueWei: wide(128),
    limits: fc.record({
      notBeforeMs: u(48),
      expiresAtMs: u(48),
      maxFires: u(32),
      cooldownSec: u(32),
      maxFeePerGasWei: wide(128),
      freshForSec: u(32),
    }),
    onRevert: fc.record({ retries: u(8), backoffSec: u(32), thenPause: fc.boolean() }),
    funding: fc.record({ reserveWei: wide(128), lowWaterWei: wide(128), tipWei: wide(128), attestationFeeWei: wide(128) }),
  })
  .map(({ call, to, selector, gasLimit, valueWei, ...rest }) => ({
    ...rest,
    action: { to, valueWei, selector, types: call.map(([type]) => type), args: call.map(([, arg]) => arg), gasLimit },
  }))
