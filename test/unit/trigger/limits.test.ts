/** Registration: every rule has an input that breaks only it, and the precompile's words. @module */
import { bigintToBytes, bytesToBigint, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import { decoderGas, decoderPrecompile, kindCode } from '#shared/trigger/decoder.ts'
import { checkDescription, triggerGasBudget } from '#shared/trigger/limits.ts'
import type { Action, Condition, Ref, TriggerDescription } from '#shared/trigger/types.ts'
import {
  ANY_LOG,
  BUDGET,
  DAILY,
  DEPOSIT,
  FEED,
  PROBE,
  START_MS,
  STOP_LOSS,
  TARGET,
  YEAR_MS,
  anyDescription,
  onEvent,
  onTiming,
  withMode,
} from '#test/unit/trigger/samples.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const CONTEXT = { timeMs: START_MS, height: 10, triggerGasBudget: BUDGET }
const limits = (change: Partial<TriggerDescription['limits']>, base = DAILY): TriggerDescription => ({
  ...base,
  limits: { ...base.limits, ...change },
})
const action = (change: Partial<Action>, base = DAILY): TriggerDescription => ({ ...base, action: { ...base.action, ...change } })
const onRevert = (change: Partial<TriggerDescription['onRevert']>): TriggerDescription => ({
  ...DAILY,
  onRevert: { ...DAILY.onRevert, ...change },
})
const feed = (change: Partial<typeof STOP_LOSS>): TriggerDescription => onEvent({ ...STOP_LOSS, ...change })
const log = (change: Partial<typeof ANY_LOG>): TriggerDescription => onEvent({ ...ANY_LOG, ...change })
const view = (change: Partial<typeof PROBE>): TriggerDescription => onEvent({ ...PROBE, ...change })
const deposit = (change: Partial<typeof DEPOSIT>): TriggerDescription => onEvent({ ...DEPOSIT, ...change })
const call = (type: string, argument: Action['args'][number], when?: Condition): TriggerDescription =>
  action({ types: [type], args: [argument] }, when === undefined ? DAILY : onEvent(when))
const topic = FEED

describe('registration accepts', () => {
  it.each<[string, TriggerDescription, number]>([
    ['a daily cron', DAILY, START_MS + 9 * 3_600_000],
    [
      'an interval that starts later',
      limits({ notBeforeMs: START_MS + 90_000 }, onTiming({ kind: 'interval', anchorMs: START_MS, everySec: 60 })),
      START_MS + 120_000,
    ],
    ['times of which the first has passed', onTiming({ kind: 'at', timesMs: [START_MS - 1, START_MS + 7] }), START_MS + 7],
    ['the very next height', onTiming({ kind: 'height', at: 1, every: 10 }), 11],
    ['active', withMode({ type: 'active' }), 0],
    ['a stop loss', onEvent(STOP_LOSS), 0],
    ['any log', onEvent(ANY_LOG), 0],
    ['a view', onEvent(PROBE), 0],
    ['a deposit', onEvent(DEPOSIT), 0],
  ])('%s', (_, description, dueAt) => {
    expect(checkDescription(description, CONTEXT)).toMatchObject({ ok: true, dueAt })
  })

  it('and says what it costs and is watched by', () => {
    expect(checkDescription(onEvent(PROBE), CONTEXT)).toEqual({
      ok: true,
      dueAt: 0,
      // 5,000 and the view's own 50,000.
      evaluationGas: 55_000,
      fireGas: 21_000 + 55_000 + 100_000,
      depositWei: BigInt(encodeDescription(onEvent(PROBE)).length) * 10n ** 13n,
      watchKey: `0x${'00'.repeat(12)}${'bb'.repeat(20)}`,
    })
    expect(checkDescription(onEvent(DEPOSIT), CONTEXT)).toMatchObject({
      fireGas: 21_000 + 60_000 + 2048 * 16 + 100_000,
      watchKey: `0x${31_337n.toString(16).padStart(64, '0')}`,
    })
    expect(checkDescription(onEvent(STOP_LOSS), CONTEXT)).toMatchObject({ watchKey: FEED })
    expect(checkDescription(onEvent(ANY_LOG), CONTEXT)).toMatchObject({ watchKey: `0x${'00'.repeat(12)}${'bb'.repeat(20)}` })
    expect(checkDescription(DAILY, CONTEXT)).toMatchObject({ watchKey: `0x${'00'.repeat(32)}` })
  })

  it.each<[Ref, string, Condition | undefined]>([
    ['fire.scheduledAt', 'uint64', undefined],
    ['fire.key', 'bytes32', undefined],
    ['fire.seq', 'uint32', undefined],
    ['feed.value', 'int192', STOP_LOSS],
    ['feed.value', 'uint256', STOP_LOSS],
    ['feed.observedAt', 'uint256', STOP_LOSS],
    ['report.digest', 'bytes32', STOP_LOSS],
    ['event.address', 'address', ANY_LOG],
    ['event.topic1', 'uint256', ANY_LOG],
    ['event.topic2', 'address', ANY_LOG],
    ['event.topic3', 'bytes32', ANY_LOG],
    ['event.data', 'bytes', ANY_LOG],
    ['deposit.from', 'address', DEPOSIT],
    ['deposit.amount', 'uint256', DEPOSIT],
    ['deposit.txid', 'bytes32', DEPOSIT],
  ])('%s as %s', (ref, type, when) => {
    expect(checkDescription(call(type, { ref }, when), CONTEXT)).toMatchObject({ ok: true })
  })
})

describe('registration refuses', () => {
  it.each<[string, TriggerDescription, string, string]>([
    ['a name of 65 bytes', { ...DAILY, name: `${'a'.repeat(62)}€` }, 'NAME_TOO_LONG', '/name'],
    ['a name with a control character', { ...DAILY, name: 'a\u0000' }, 'NAME_CONTROL', '/name'],
    ['a name that turns the text around', { ...DAILY, name: 'a\u202eb' }, 'NAME_CONTROL', '/name'],
    ['an expiry that is now', limits({ expiresAtMs: START_MS }), 'EXPIRES_PAST', '/limits/expiresAt'],
    ['an expiry at the start', limits({ notBeforeMs: START_MS + YEAR_MS }), 'EXPIRES_BEFORE_START', '/limits/expiresAt'],
    ['no fires', limits({ maxFires: 0 }), 'MAX_FIRES', '/limits/maxFires'],
    ['no fee', limits({ maxFeePerGasWei: 0n }), 'MAX_FEE', '/limits/maxFeePerGas'],
    ['freshness of a view', limits({ freshForSec: 1 }, onEvent(PROBE)), 'FRESH_NOT_APPLICABLE', '/limits/freshForSec'],
    ['freshness of a deposit', limits({ freshForSec: 1 }, onEvent(DEPOSIT)), 'FRESH_NOT_APPLICABLE', '/limits/freshForSec'],
    ['freshness of active', limits({ freshForSec: 1 }, withMode({ type: 'active' })), 'FRESH_NOT_APPLICABLE', '/limits/freshForSec'],
    ['no times', onTiming({ kind: 'at', timesMs: [] }), 'TIMES_COUNT', '/mode/when/times'],
    [
      '65 times',
      onTiming({ kind: 'at', timesMs: Array.from({ length: 65 }, (_, index) => START_MS + index) }),
      'TIMES_COUNT',
      '/mode/when/times',
    ],
    ['equal times', onTiming({ kind: 'at', timesMs: [START_MS, START_MS] }), 'TIMES_ORDER', '/mode/when/times/1'],
    ['a time at the expiry', onTiming({ kind: 'at', timesMs: [START_MS + YEAR_MS] }), 'EXPIRES_BEFORE_TIMES', '/limits/expiresAt'],
    ['times that have passed', onTiming({ kind: 'at', timesMs: [START_MS - 1] }), 'NEVER_FIRES', '/mode/when'],
    ['a zero interval', onTiming({ kind: 'interval', anchorMs: START_MS, everySec: 0 }), 'INTERVAL', '/mode/when/everySec'],
    [
      'an interval that begins after the expiry',
      onTiming({ kind: 'interval', anchorMs: START_MS + YEAR_MS, everySec: 9 }),
      'NEVER_FIRES',
      '/mode/when',
    ],
    ['cron that does not parse', onTiming({ kind: 'cron', expr: '* * * *' }), 'CRON', '/mode/when/expr'],
    ['30 February', onTiming({ kind: 'cron', expr: '0 0 30 2 *' }), 'NEVER_FIRES', '/mode/when'],
    ['a height that is past', onTiming({ kind: 'height', at: 10, every: 0 }), 'NEVER_FIRES', '/mode/when'],
    [
      'catching up none',
      withMode({ type: 'timing', when: { kind: 'cron', expr: '* * * * *' }, missed: { mode: 'all', max: 0, graceSec: 0 } }),
      'MISSED_MAX',
      '/mode/missed/max',
    ],
    [
      'catching up 101',
      withMode({ type: 'timing', when: { kind: 'cron', expr: '* * * * *' }, missed: { mode: 'all', max: 101, graceSec: 0 } }),
      'MISSED_MAX',
      '/mode/missed/max',
    ],
    ['re-arm at the value', feed({ rearm: STOP_LOSS.value }), 'REARM_SIDE', '/mode/when/edge/rearm'],
    ['re-arm on the near side of lt', feed({ rearm: STOP_LOSS.value - 1n }), 'REARM_SIDE', '/mode/when/edge/rearm'],
    ['re-arm on the near side of ge', feed({ op: 'ge' }), 'REARM_SIDE', '/mode/when/edge/rearm'],
    ['re-arm at the value of gt', feed({ op: 'gt', rearm: STOP_LOSS.value }), 'REARM_SIDE', '/mode/when/edge/rearm'],
    ['no report held', feed({ holdReports: 0 }), 'HOLD_REPORTS', '/mode/when/edge/holdReports'],
    ['a hold beyond the ring', feed({ holdReports: 4097 }), 'HOLD_REPORTS', '/mode/when/edge/holdReports'],
    ['a hold beyond a day', feed({ holdSec: 86_401 }), 'HOLD_SEC', '/mode/when/edge/holdSec'],
    ['no age', feed({ maxAgeSec: 0 }), 'MAX_AGE', '/mode/when/source/maxAgeSec'],
    ['no address', log({ addresses: [] }), 'LOG_ADDRESSES', '/mode/when/addresses'],
    ['17 addresses', log({ addresses: Array.from({ length: 17 }, () => TARGET) }), 'LOG_ADDRESSES', '/mode/when/addresses'],
    ['five topic positions', log({ topics: [[topic], [topic], [topic], [topic], [topic]] }), 'LOG_TOPICS', '/mode/when/topics'],
    ['17 topics', log({ topics: [Array.from({ length: 17 }, () => topic)] }), 'LOG_TOPICS', '/mode/when/topics/0'],
    ['a last position that accepts all', log({ topics: [[topic], []] }), 'LOG_TOPICS', '/mode/when/topics'],
    ['a view without gas', view({ gasLimit: 0 }), 'VIEW_GAS', '/mode/when/gas'],
    ['a view above 500,000 gas', view({ gasLimit: 500_001 }), 'VIEW_GAS', '/mode/when/gas'],
    ['a view every 0 blocks', view({ everyBlocks: 0 }), 'VIEW_EVERY', '/mode/when/checkEvery/blocks'],
    ['a level view without cooldown', view({ edge: 'level' }), 'LEVEL_COOLDOWN', '/limits/cooldownSec'],
    ['chain 0', deposit({ chain: 0n }), 'DEPOSIT_CHAIN', '/mode/when/chain'],
    ['a deposit of nothing', deposit({ minWei: 0n }), 'DEPOSIT_MIN', '/mode/when/min'],
    ['no confirmation', deposit({ confirmations: 0 }), 'CONFIRMATIONS', '/mode/when/finality/confirmations'],
    ['no target', action({ to: `0x${'00'.repeat(20)}` }), 'TARGET_ZERO', '/action/to'],
    ['gas below any call', action({ gasLimit: 20_999 }), 'GAS_LIMIT', '/action/gasLimit'],
    ['gas above 10 million', action({ gasLimit: 10_000_001 }), 'GAS_LIMIT', '/action/gasLimit'],
    // Half of 3,750,000 less 21,000 and 5,000 is 1,849,000.
    ['a fire above half the budget', action({ gasLimit: 1_849_001 }), 'GAS_ABOVE_BUDGET', '/action/gasLimit'],
    [
      '17 arguments',
      action({ types: Array.from({ length: 17 }, () => 'bool'), args: Array.from({ length: 17 }, () => ({ lit: new Uint8Array(32) })) }),
      'ARGS_COUNT',
      '/action/args',
    ],
    ['an array', call('uint256[]', { lit: new Uint8Array(32) }), 'TYPE_UNSUPPORTED', '/action/abi'],
    ['a literal of another width', call('uint8', { lit: Uint8Array.of(1) }), 'LITERAL_INVALID', '/action/args/0'],
    ['a literal out of range', call('uint8', { lit: new Uint8Array(32).fill(1) }), 'LITERAL_INVALID', '/action/args/0'],
    ['a feed value of a timer', call('uint256', { ref: 'feed.value' }), 'REF_UNAVAILABLE', '/action/args/0'],
    ['event data of a feed', call('bytes', { ref: 'event.data' }, STOP_LOSS), 'REF_UNAVAILABLE', '/action/args/0'],
    ['a deposit of a log', call('bytes32', { ref: 'deposit.txid' }, ANY_LOG), 'REF_UNAVAILABLE', '/action/args/0'],
    ['a feed value in 64 bits', call('uint64', { ref: 'feed.value' }, STOP_LOSS), 'REF_TYPE', '/action/args/0'],
    ['event data as a word', call('bytes32', { ref: 'event.data' }, ANY_LOG), 'REF_TYPE', '/action/args/0'],
    ['a topic as bytes', call('bytes', { ref: 'event.topic1' }, ANY_LOG), 'REF_TYPE', '/action/args/0'],
    ['nine retries', onRevert({ retries: 9 }), 'RETRIES', '/onRevert/retries'],
    ['retries without backoff', onRevert({ backoffSec: 0 }), 'BACKOFF', '/onRevert/backoffSec'],
    ['a backoff above a day', onRevert({ backoffSec: 86_401 }), 'BACKOFF', '/onRevert/backoffSec'],
    ['what has no encoding', limits({ cooldownSec: 2 ** 32 }), 'DESCRIPTION_INVALID', '/limits/cooldownSec'],
  ])('%s', (_, description, code, path) => {
    expect(checkDescription(description, CONTEXT)).toMatchObject({ ok: false, code, path })
  })

  it('nothing at the limits themselves', () => {
    const accepted = [
      { ...DAILY, name: 'ab'.repeat(32) },
      action({ gasLimit: 1_849_000 }),
      action({ gasLimit: 21_000 }),
      feed({ holdReports: 4096, holdSec: 86_400, rearm: STOP_LOSS.value + 1n }),
      feed({ op: 'ge', rearm: STOP_LOSS.value - 1n }),
      view({ gasLimit: 500_000 }),
      limits({ cooldownSec: 1 }, view({ edge: 'level' })),
      onRevert({ retries: 0, backoffSec: 0 }),
      onRevert({ retries: 8, backoffSec: 86_400 }),
      limits({ freshForSec: 1 }, onEvent(ANY_LOG)),
    ]
    expect(accepted.map((description) => checkDescription(description, CONTEXT).ok)).toEqual(accepted.map(() => true))
  })

  it('or accepts, and never throws, whatever the description', () => {
    fc.assert(
      fc.property(anyDescription, (description) => {
        expect(typeof checkDescription(description, CONTEXT).ok).toBe('boolean')
      }),
      { numRuns: 500 },
    )
  })
})

describe('the decoder precompile', () => {
  const BLOCK_GAS = 15_000_000n
  const input = (timeMs: bigint, height: bigint, description: Uint8Array): Uint8Array =>
    concatBytes(bigintToBytes(timeMs, 32), bigintToBytes(height, 32), description)
  const words = (output: Uint8Array): bigint[] =>
    Array.from({ length: output.length / 32 }, (_, index) => bytesToBigint(output.subarray(32 * index, 32 * index + 32)))

  it('answers eight words', () => {
    const output = decoderPrecompile(input(BigInt(START_MS), 10n, encodeDescription(onEvent(STOP_LOSS))), BLOCK_GAS)
    expect(words(output)).toEqual([
      0n,
      6n,
      136_000n,
      BigInt(START_MS + YEAR_MS),
      1000n,
      10n ** 16n,
      bytesToBigint(hexToBytes(FEED)),
      BigInt(encodeDescription(onEvent(STOP_LOSS)).length) * 10n ** 13n,
    ])
  })

  it('numbers the kinds', () => {
    const modes = [
      withMode({ type: 'active' }),
      onTiming({ kind: 'at', timesMs: [1] }),
      onTiming({ kind: 'interval', anchorMs: 1, everySec: 1 }),
      DAILY,
      onTiming({ kind: 'height', at: 1, every: 1 }),
      onEvent(STOP_LOSS),
      onEvent(ANY_LOG),
      onEvent(PROBE),
      onEvent(DEPOSIT),
    ]
    expect(modes.map(({ mode }) => kindCode(mode))).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9])
  })

  it.each<[string, Uint8Array, string]>([
    ['a short input', new Uint8Array(63), 'INPUT_SHORT'],
    ['a time beyond 48 bits', input(1n << 48n, 10n, encodeDescription(DAILY)), 'INPUT_RANGE'],
    ['a height beyond 48 bits', input(1n, 1n << 48n, encodeDescription(DAILY)), 'INPUT_RANGE'],
    ['bytes that do not decode', input(1n, 1n, Uint8Array.of(9)), 'DESCRIPTION_INVALID'],
    ['a description that breaks a rule', input(1n, 1n, encodeDescription(limits({ maxFires: 0 }))), 'MAX_FIRES'],
  ])('fails on %s', (_, bytes, code) => {
    expect(() => decoderPrecompile(bytes, BLOCK_GAS)).toThrow(expect.objectContaining({ code }))
  })

  it('judges gas by a quarter of the block and charges by length', () => {
    expect(triggerGasBudget(BLOCK_GAS)).toBe(3_750_000n)
    expect(() => decoderPrecompile(input(BigInt(START_MS), 10n, encodeDescription(DAILY)), 1_000_000n)).toThrow(
      expect.objectContaining({ code: 'GAS_ABOVE_BUDGET' }),
    )
    expect(decoderGas(4096 + 64) - decoderGas(64)).toBe(4096n * 30n)
  })
})
