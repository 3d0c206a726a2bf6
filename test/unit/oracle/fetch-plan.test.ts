/** Polling: which round, which number, what silence looks like. @module */
import fc from 'fast-check'
import { formatUnits, parseUnits } from 'viem'
import { describe, expect, it } from 'vitest'
import { fromFixedPoint, toFixedPoint } from '#shared/oracle/decimal.ts'
import type { JsonSource } from '#shared/oracle/fetch-plan.ts'
import { batchOfFetch, extractValue, fetchedKey, leafFor, nextFetchMs, planFetches } from '#shared/oracle/fetch-plan.ts'
import { feedA, feedB, setId } from './fixture.ts'

const source = (changes: Partial<JsonSource> = {}): JsonSource => ({
  feed: feedA,
  sourceSet: setId,
  shard: 0,
  roundMs: 1500,
  url: 'http://127.0.0.1:8790/',
  select: '$.price',
  decimals: 2,
  ...changes,
})

describe('fixed point', () => {
  it('agrees with viem on plain decimals', () => {
    fc.assert(
      fc.property(fc.bigInt(-(10n ** 40n), 10n ** 40n), fc.nat(18), (value, decimals) => {
        expect(toFixedPoint(formatUnits(value, decimals), decimals)).toBe(value)
        expect(parseUnits(fromFixedPoint(value, decimals), decimals)).toBe(value)
      }),
    )
  })

  it('knows exponents and rounds half away from zero', () => {
    expect(toFixedPoint('1.5e3', 0)).toBe(1500n)
    expect(toFixedPoint('1.25E-1', 4)).toBe(1250n)
    expect(toFixedPoint('0.005', 2)).toBe(1n)
    expect(toFixedPoint('-0.005', 2)).toBe(-1n)
    expect(toFixedPoint('0.00499', 2)).toBe(0n)
    expect(toFixedPoint('12345678901234567890.123', 2)).toBe(1234567890123456789012n)
    expect(fromFixedPoint(-5n, 2)).toBe('-0.05')
    expect(fromFixedPoint(7n, 0)).toBe('7')
  })

  it('refuses what is no sane decimal', () => {
    for (const bad of ['', '-', '1.', '.5', '0x10', '1e', '1e99', '1e-99', '1_000', ' 1', '1'.repeat(129), 'NaN'])
      expect(() => toFixedPoint(bad, 2)).toThrow('DECIMAL_INVALID')
  })
})

describe('fetching', () => {
  it('is due once per round and shard, and never for a round that passed', () => {
    const sources = [source(), source({ feed: feedB }), source({ shard: 1, roundMs: 5000 })]
    const [first, second] = planFetches(sources, new Map(), 15_000)
    expect(first).toEqual({ sourceSet: setId, shard: 0, round: 10, sources: sources.slice(0, 2) })
    expect(second).toEqual({ sourceSet: setId, shard: 1, round: 3, sources: sources.slice(2) })
    const fetched = new Map([
      [fetchedKey(first ?? source()), 10],
      [fetchedKey(second ?? source()), 3],
    ])
    expect(planFetches(sources, fetched, 16_499)).toEqual([])
    expect(planFetches(sources, fetched, 29_999).map(({ round }) => round)).toEqual([19, 5])
    expect(nextFetchMs(sources, 15_000)).toBe(16_500)
    expect(nextFetchMs([], 15_000)).toBeNull()
  })

  it('takes one number out of the answer, as number or as decimal text', () => {
    expect(extractValue(source(), '{"price": 1394.46}')).toBe(139_446n)
    expect(extractValue(source({ select: '$.data[-1]["p"]' }), '{"data":[{"p":"1"},{"p":"2.5"}]}')).toBe(250n)
    expect(() => extractValue(source(), '{}')).toThrow('SELECT_EMPTY')
    expect(() => extractValue(source(), '{"price":null}')).toThrow('SELECT_TYPE')
    expect(() => extractValue(source(), '{"price":"abc"}')).toThrow('DECIMAL_INVALID')
    expect(() => extractValue(source(), '{"price":1e60}')).toThrow('VALUE_RANGE')
    expect(() => extractValue(source(), '<html>')).toThrow('JSON_INVALID')
  })

  it('keeps the extremes between two rounds', () => {
    expect(leafFor(feedA, 5n, null)).toMatchObject({ low: 5n, high: 5n })
    expect(leafFor(feedA, 5n, 7n)).toMatchObject({ low: 5n, high: 7n })
    expect(leafFor(feedA, 5n, 3n)).toMatchObject({ low: 3n, high: 5n })
  })

  it('makes a sorted batch, halting what failed and leaving out what never answered', () => {
    const a = source()
    const b = source({ feed: feedB })
    const plan = { sourceSet: setId, shard: 0, round: 10, sources: [b, a] }
    const good = batchOfFetch(
      plan,
      [
        { source: b, body: '{"price":2}' },
        { source: a, failure: 'TIMEOUT' },
      ],
      new Map(),
      15_100,
    )
    expect(good).toEqual({
      batch: { sourceSet: setId, shard: 0, round: 10, observedAtMs: 15_100, leaves: [leafFor(feedB, 200n, null)] },
      values: new Map([[feedB, 200n]]),
      faults: [{ feed: feedA, code: 'TIMEOUT' }],
    })
    const next = batchOfFetch(
      plan,
      [
        { source: b, body: 'oops' },
        { source: a, body: '{"price":1}' },
      ],
      good.values,
      16_600,
    )
    expect(next.batch?.leaves).toEqual([leafFor(feedA, 100n, null), { ...leafFor(feedB, 200n, null), status: 'HALTED' }])
    expect(next.faults).toEqual([{ feed: feedB, code: 'JSON_INVALID' }])
    expect(batchOfFetch(plan, [{ source: a, failure: 'TIMEOUT' }], new Map(), 15_100).batch).toBeNull()
  })
})
