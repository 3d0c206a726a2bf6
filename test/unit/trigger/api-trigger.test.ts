/** Triggers as JSON: the way in, every refusal, the way back. @module */
import { formatInstant, parseInstant } from '#shared/api/instant.ts'
import { parseTriggerJson, triggerFromJson } from '#shared/api/trigger.ts'
import type { FeedResolver, TriggerJson, TriggerParse } from '#shared/api/trigger.ts'
import { triggerToJson } from '#shared/api/trigger-rendering.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { checkDescription } from '#shared/trigger/limits.ts'
import type { TriggerDescription } from '#shared/trigger/types.ts'
import { BUDGET, DEPOSIT, FEED, START_MS, TARGET } from '#test/unit/trigger/samples.ts'
import fc from 'fast-check'
import { toFunctionSelector } from 'viem'
import { describe, expect, it } from 'vitest'

const resolve: FeedResolver = (feed) => (feed === 'demo/eth-usd' || feed === FEED ? { id: FEED, decimals: 2 } : null)

const LIQUIDATE: TriggerJson = {
  v: 1,
  name: 'liquidate',
  mode: {
    type: 'event',
    when: {
      kind: 'feed.compare',
      source: { feed: 'demo/eth-usd', maxAgeSec: 60 },
      op: 'lt',
      value: '1800.50',
      edge: { mode: 'rising', rearm: '1815', holdReports: 2, holdSec: 0 },
    },
  },
  action: {
    to: TARGET,
    value: '0',
    abi: 'liquidate(uint256,bytes32,bool,int8,bytes)',
    args: [{ ref: 'feed.value' }, { ref: 'report.digest' }, { lit: true }, { lit: '-1' }, { lit: '0xcafe' }],
    gasLimit: 200_000,
  },
  limits: {
    notBefore: '2026-01-01T00:00:00Z',
    expiresAt: '2026-12-31T23:59:59.500+01:00',
    maxFires: 3,
    cooldownSec: 60,
    overlap: 'serial',
    maxFeePerGas: '10000000000',
    onHighGas: 'wait',
    freshForSec: 120,
  },
  onRevert: { retries: 2, backoffSec: 10, thenPause: true },
  funding: { reserve: '10000000000000000', lowWater: '1000000000000000', tip: '1000000000000', attestationFee: '5' },
  privacy: 'public',
}
const EXPECTED: TriggerDescription = {
  version: 1,
  name: 'liquidate',
  mode: {
    type: 'event',
    when: { kind: 'feed.compare', feed: FEED, maxAgeSec: 60, op: 'lt', value: 180_050n, rearm: 181_500n, holdReports: 2, holdSec: 0 },
  },
  action: {
    to: TARGET,
    valueWei: 0n,
    selector: toFunctionSelector('liquidate(uint256,bytes32,bool,int8,bytes)'),
    types: ['uint256', 'bytes32', 'bool', 'int8', 'bytes'],
    args: [
      { ref: 'feed.value' },
      { ref: 'report.digest' },
      { lit: hexToBytes(`0x${'00'.repeat(31)}01`) },
      { lit: hexToBytes(`0x${'ff'.repeat(32)}`) },
      { lit: Uint8Array.of(0xca, 0xfe) },
    ],
    gasLimit: 200_000,
  },
  limits: {
    notBeforeMs: START_MS,
    expiresAtMs: Date.parse('2026-12-31T22:59:59.500Z'),
    maxFires: 3,
    cooldownSec: 60,
    maxFeePerGasWei: 10n ** 10n,
    freshForSec: 120,
  },
  onRevert: { retries: 2, backoffSec: 10, thenPause: true },
  funding: { reserveWei: 10n ** 16n, lowWaterWei: 10n ** 15n, tipWei: 10n ** 12n, attestationFeeWei: 5n },
}

type Json = Readonly<Record<string, unknown>>
/** LIQUIDATE with another value at a pointer; undefined removes it. */
function changed(pointer: string, value: unknown, base: unknown = LIQUIDATE): unknown {
  const [head = '', ...rest] = pointer.slice(1).split('/')
  if (Array.isArray(base))
    return base.map((item: unknown, index) =>
      index === Number(head) ? (rest.length === 0 ? value : changed(`/${rest.join('/')}`, value, item)) : item,
    )
  const object = base as Json
  const next = rest.length === 0 ? value : changed(`/${rest.join('/')}`, value, object[head] ?? {})
  return Object.fromEntries(Object.entries({ ...object, [head]: next }).filter(([, member]) => member !== undefined))
}
const when = (condition: unknown): unknown =>
  changed('/mode', { type: 'event', when: condition }, changed('/action', { to: TARGET, abi: 'f()', args: [], gasLimit: 21_000 }))
const timing = (timingJson: unknown): unknown =>
  changed(
    '/mode',
    { type: 'timing', when: timingJson, missed: { mode: 'skip' } },
    changed('/action', { to: TARGET, abi: 'f()', args: [], gasLimit: 21_000 }),
  )
const parse = (json: unknown): TriggerParse => triggerFromJson(json, resolve)
const firstIssue = (result: TriggerParse): unknown =>
  result.ok ? 'accepted' : { code: result.issues[0]?.code, pointer: result.issues[0]?.pointer }

const VIEW = {
  kind: 'view',
  to: TARGET,
  data: '0x01020304',
  gas: 50_000,
  returns: 'bool',
  checkEvery: { blocks: 2 },
  edge: { mode: 'level' },
}
const LOG = { kind: 'log', addresses: [TARGET], topics: [[FEED], [], [FEED, FEED]] }
const PAYMENT = {
  kind: 'chain.deposit',
  chain: '31337',
  reporters: DEPOSIT.reporters,
  to: TARGET,
  asset: 'native',
  min: '1000000000000000000',
  finality: { level: 'depth', confirmations: 3 },
}

describe('a trigger in JSON', () => {
  it('becomes its description, with every number exact', () => {
    expect(parse(LIQUIDATE)).toEqual({ ok: true, description: EXPECTED })
    expect(parseTriggerJson(JSON.stringify(LIQUIDATE), resolve)).toEqual({ ok: true, description: EXPECTED })
    expect(checkDescription(EXPECTED, { timeMs: START_MS, height: 1, triggerGasBudget: BUDGET }).ok).toBe(true)
  })

  it.each<[string, unknown, TriggerDescription['mode']]>([
    ['active', changed('/mode', { type: 'active' }, changed('/action/args', [], changed('/action/abi', 'f()'))), { type: 'active' }],
    [
      'at',
      timing({ kind: 'at', times: [5, '1970-01-01T00:00:00.006Z'] }),
      { type: 'timing', when: { kind: 'at', timesMs: [5, 6] }, missed: { mode: 'skip' } },
    ],
    [
      'interval',
      timing({ kind: 'interval', anchor: 7, everySec: 60, jitterSec: 0 }),
      { type: 'timing', when: { kind: 'interval', anchorMs: 7, everySec: 60 }, missed: { mode: 'skip' } },
    ],
    [
      'cron',
      timing({ kind: 'cron', expr: '0 9 * * *', tz: 'UTC' }),
      { type: 'timing', when: { kind: 'cron', expr: '0 9 * * *' }, missed: { mode: 'skip' } },
    ],
    ['height', timing({ kind: 'height', at: 9 }), { type: 'timing', when: { kind: 'height', at: 9, every: 0 }, missed: { mode: 'skip' } }],
    [
      'view',
      when(VIEW),
      {
        type: 'event',
        when: { kind: 'view', to: TARGET, data: Uint8Array.of(1, 2, 3, 4), gasLimit: 50_000, everyBlocks: 2, edge: 'level' },
      },
    ],
    ['log', when(LOG), { type: 'event', when: { kind: 'log', addresses: [TARGET], topics: [[FEED], [], [FEED, FEED]] } }],
    ['deposit', when(PAYMENT), { type: 'event', when: DEPOSIT }],
  ])('%s', (_, json, mode) => {
    expect(parse(json)).toMatchObject({ ok: true, description: { mode } })
  })

  it.each([
    '/mode',
    '/mode/when/edge/rearm',
    '/limits/expiresAt',
    '/limits/maxFires',
    '/limits/cooldownSec',
    '/limits/freshForSec',
    '/onRevert',
    '/funding/tip',
    '/name',
    '/v',
  ])('has no default for %s', (pointer) => {
    expect(parse(changed(pointer, undefined)).ok).toBe(false)
  })

  it.each<[string, unknown, string, string]>([
    ['a timing without missed policy', changed('/mode', { type: 'timing', when: { kind: 'height', at: 1 } }), 'SCHEMA', '/mode/missed'],
    ['an unknown key', changed('/limits/nonsense', 1), 'SCHEMA', '/limits'],
    ['a number for an amount', changed('/funding/tip', 5), 'SCHEMA', '/funding/tip'],
    ['an amount with a leading zero', changed('/funding/tip', '05'), 'SCHEMA', '/funding/tip'],
    ['upper-case hex', changed('/action/to', `0x${'BB'.repeat(20)}`), 'SCHEMA', '/action/to'],
    ['a number for a threshold', changed('/mode/when/value', 1800.5), 'SCHEMA', '/mode/when/value'],
    ['a threshold with an exponent', changed('/mode/when/value', '1e3'), 'SCHEMA', '/mode/when/value'],
    ['another version', changed('/v', 2), 'SCHEMA', '/v'],
    ['a fraction', changed('/limits/maxFires', 1.5), 'SCHEMA', '/limits/maxFires'],
    ['a time that is none', changed('/limits/expiresAt', '2026-02-30T00:00:00Z'), 'SCHEMA', '/limits/expiresAt'],
    ['spaces in the signature', changed('/action/abi', 'f(uint256, bytes32)'), 'SCHEMA', '/action/abi'],
    ['an unknown reference', changed('/action/args/0', { ref: 'http.value' }), 'SCHEMA', '/action/args/0'],
    ['__proto__', JSON.parse(JSON.stringify(LIQUIDATE).replace('"v":1', '"v":1,"__proto__":{}')), 'SCHEMA', ''],
    ['null', null, 'SCHEMA', ''],
    ['an array', [], 'SCHEMA', ''],
    ['a threshold finer than the feed', changed('/mode/when/value', '1800.505'), 'TOO_FINE', '/mode/when/value'],
    ['a re-arm finer than the feed', changed('/mode/when/edge/rearm', '1815.001'), 'TOO_FINE', '/mode/when/edge/rearm'],
    ['an unknown feed', changed('/mode/when/source/feed', 'demo/none'), 'FEED_UNKNOWN', '/mode/when/source/feed'],
    ['too few arguments', changed('/action/args', []), 'ARITY', '/action/args'],
    [
      'an alias of a type',
      changed('/action/abi', 'f(uint,bytes32,bool,int8,bytes)', changed('/action/args/0', { lit: '1' })),
      'TYPE_UNSUPPORTED',
      '/action/abi',
    ],
    ['a literal of another type', changed('/action/args/3', { lit: '128' }), 'LITERAL_INVALID', '/action/args/3/lit'],
    ['a number beyond its width', changed('/limits/cooldownSec', 2 ** 32), 'DESCRIPTION_INVALID', '/limits/cooldownSec'],
    ['an amount beyond its width', changed('/funding/reserve', (2n ** 128n).toString()), 'DESCRIPTION_INVALID', '/funding/reserve'],
  ])('refuses %s', (_, json, code, pointer) => {
    expect(firstIssue(parse(json))).toEqual({ code, pointer })
  })

  it.each<[string, unknown, string, string]>([
    ...['feed.deviation', 'feed.stale', 'http', 'chain.tx', 'chain.absent', 'after', 'all', 'any', 'not'].map(
      (kind): [string, unknown, string, string] => [kind, when({ kind }), 'KIND_UNSUPPORTED', '/mode/when/kind'],
    ),
    ['a time zone', timing({ kind: 'cron', expr: '* * * * *', tz: 'Europe/Zurich' }), 'TIME_ZONE_UNSUPPORTED', '/mode/when/tz'],
    ['a time zone database', timing({ kind: 'cron', expr: '* * * * *', tzdb: '2026c' }), 'TIME_ZONE_UNSUPPORTED', '/mode/when/tzdb'],
    ['a gap rule', timing({ kind: 'cron', expr: '* * * * *', gap: 'shift' }), 'TIME_ZONE_UNSUPPORTED', '/mode/when/gap'],
    ['an overlap rule', timing({ kind: 'cron', expr: '* * * * *', overlap: 'first' }), 'TIME_ZONE_UNSUPPORTED', '/mode/when/overlap'],
    ['jitter', timing({ kind: 'interval', anchor: 1, everySec: 60, jitterSec: 5 }), 'JITTER_UNSUPPORTED', '/mode/when/jitterSec'],
    ['minSources', changed('/mode/when/source/minSources', 2), 'MIN_SOURCES_UNSUPPORTED', '/mode/when/source/minSources'],
    ['where', when({ ...LOG, where: 'x > 1' }), 'LOG_WHERE_UNSUPPORTED', '/mode/when/where'],
    ['batch', when({ ...LOG, batch: 4 }), 'LOG_BATCH_UNSUPPORTED', '/mode/when/batch'],
    ['finalized', when({ ...PAYMENT, finality: { level: 'finalized' } }), 'FINALITY_UNSUPPORTED', '/mode/when/finality/level'],
    ['safe', when({ ...PAYMENT, finality: { level: 'safe' } }), 'FINALITY_UNSUPPORTED', '/mode/when/finality/level'],
    ['a token', when({ ...PAYMENT, asset: TARGET }), 'ASSET_UNSUPPORTED', '/mode/when/asset'],
    ['a reference', when({ ...PAYMENT, reference: '0x01' }), 'REFERENCE_UNSUPPORTED', '/mode/when/reference'],
    ['parallel', changed('/limits/overlap', 'parallel'), 'OVERLAP_UNSUPPORTED', '/limits/overlap'],
    ['drop', changed('/limits/onHighGas', 'drop'), 'ON_HIGH_GAS_UNSUPPORTED', '/limits/onHighGas'],
    ['perDayCap', changed('/funding/perDayCap', '1'), 'PER_DAY_CAP_UNSUPPORTED', '/funding/perDayCap'],
    ['a funding account', changed('/funding/account', TARGET), 'FUNDING_ACCOUNT_UNSUPPORTED', '/funding/account'],
    ['commit-reveal', changed('/privacy', 'commit-reveal'), 'PRIVACY_UNSUPPORTED', '/privacy'],
  ])('refuses %s by name', (_, json, code, pointer) => {
    expect(firstIssue(parse(json))).toEqual({ code, pointer })
  })

  it('refuses what a parser need not survive, before parsing', () => {
    const text = JSON.stringify(LIQUIDATE)
    const deep = `${'['.repeat(100_000)}`
    expect(firstIssue(parseTriggerJson(deep, resolve))).toEqual({ code: 'JSON_TOO_LARGE', pointer: '' })
    expect(firstIssue(parseTriggerJson('['.repeat(2000), resolve))).toEqual({ code: 'JSON_TOO_DEEP', pointer: '' })
    expect(firstIssue(parseTriggerJson(`{"a":${'['.repeat(8)}${']'.repeat(8)}}`, resolve))).toEqual({ code: 'JSON_TOO_DEEP', pointer: '' })
    expect(firstIssue(parseTriggerJson(`{"a":"${'['.repeat(20)}"}`, resolve))).toMatchObject({ code: 'SCHEMA' })
    expect(firstIssue(parseTriggerJson(`{"a":${'['.repeat(7)}${']'.repeat(7)}}`, resolve))).toMatchObject({ code: 'SCHEMA' })
    expect(firstIssue(parseTriggerJson(`${text}${' '.repeat(16_384 - text.length)}`, resolve))).toBe('accepted')
    expect(firstIssue(parseTriggerJson(`${text}${' '.repeat(16_385 - text.length)}`, resolve))).toEqual({
      code: 'JSON_TOO_LARGE',
      pointer: '',
    })
    expect(firstIssue(parseTriggerJson(`"${'€'.repeat(6000)}"`, resolve))).toEqual({ code: 'JSON_TOO_LARGE', pointer: '' })
    expect(firstIssue(parseTriggerJson('{', resolve))).toEqual({ code: 'JSON_INVALID', pointer: '' })
  })

  it('never throws, whatever the text', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.json({ maxDepth: 10 })), (text) => {
        expect(parseTriggerJson(text, resolve).ok).toBe(false)
      }),
      { numRuns: 500 },
    )
    const pointers = ['/mode/when/value', '/mode/when/source/feed', '/action/abi', '/action/args', '/action/args/2/lit', '/name', '/limits']
    fc.assert(
      fc.property(
        fc.constantFrom(...pointers),
        fc.oneof(fc.string(), fc.constantFrom('f(uint8)', '0.001', '-1'), fc.jsonValue()),
        (at, value) => {
          const parsed = parseTriggerJson(JSON.stringify(changed(at, value)), resolve)
          expect(parsed.ok || parsed.issues.every(({ code }) => code !== '')).toBe(true)
        },
      ),
      { numRuns: 500 },
    )
  })

  it('comes back from its description, with the selector in place of the name', () => {
    const jsons = [
      LIQUIDATE,
      when(VIEW),
      when(LOG),
      when(PAYMENT),
      timing({ kind: 'at', times: [5, 6] }),
      timing({ kind: 'interval', anchor: 7, everySec: 60 }),
      timing({ kind: 'cron', expr: '0 9 * * *' }),
      timing({ kind: 'height', at: 9, every: 3 }),
      changed('/mode', { type: 'active' }, changed('/action/args', [], changed('/action/abi', 'f()'))),
    ]
    for (const json of jsons) {
      const first = parse(json)
      const rendered = first.ok ? triggerToJson(first.description, () => 2) : null
      expect(parse(rendered)).toEqual(first)
    }
    expect(triggerToJson(EXPECTED, () => 2)).toMatchObject({
      mode: { when: { source: { feed: FEED }, value: '1800.50', edge: { rearm: '1815.00' } } },
      action: { abi: `${EXPECTED.action.selector}(uint256,bytes32,bool,int8,bytes)`, args: LIQUIDATE.action.args },
      limits: { expiresAt: EXPECTED.limits.expiresAtMs },
    })
  })
})

describe('instants', () => {
  it('read RFC 3339 as the host does', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 4_000_000_000_000 }), fc.integer({ min: -1439, max: 1439 }), (timeMs, offsetMin) => {
        const iso = new Date(timeMs).toISOString()
        expect(parseInstant(iso)).toBe(timeMs)
        expect(parseInstant(formatInstant(timeMs))).toBe(timeMs)
        expect(Date.parse(formatInstant(timeMs))).toBe(timeMs)
        const two = (value: number): string => String(value).padStart(2, '0')
        const size = Math.abs(offsetMin)
        const shifted = `${new Date(timeMs).toISOString().slice(0, -1)}${offsetMin < 0 ? '-' : '+'}${two(Math.floor(size / 60))}:${two(size % 60)}`
        fc.pre(timeMs > 86_400_000)
        expect(parseInstant(shifted)).toBe(Date.parse(shifted))
      }),
    )
    expect(formatInstant(START_MS)).toBe('2026-01-01T00:00:00Z')
    expect(parseInstant('2026-01-01t00:00:00.5z')).toBe(START_MS + 500)
  })

  it.each([
    '2026-01-01',
    '2026-01-01T00:00Z',
    '2026-01-01T00:00:00',
    '2026-01-01 00:00:00Z',
    '2026-02-29T00:00:00Z',
    '2026-00-01T00:00:00Z',
    '2026-13-01T00:00:00Z',
    '2026-01-00T00:00:00Z',
    '2026-01-01T24:00:00Z',
    '2026-01-01T00:60:00Z',
    '2026-01-01T00:00:60Z',
    '2026-01-01T00:00:00+24:00',
    '2026-01-01T00:00:00+00:60',
    '2026-01-01T00:00:00.1234Z',
    '1969-12-31T23:59:59Z',
    '',
  ])('refuse %j', (text) => {
    expect(parseInstant(text)).toBeNull()
  })
})
