/** Cron in UTC: rules typed from the standard and Vixie cron, and a brute-force comparison over every second or minute. @module */
import { civilFromDays, daysFromCivil, weekdayOf } from '#shared/trigger/civil.ts'
import { cronFrom, cronUpTo, parseCron } from '#shared/trigger/cron.ts'
import type { CronSchedule } from '#shared/trigger/cron.ts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

const sec = (iso: string): number => Date.parse(iso) / 1000
const parsed = (expression: string): CronSchedule => {
  const schedule = parseCron(expression)
  if (typeof schedule === 'string') throw new Error(schedule)
  return schedule
}
const next = (expression: string, iso: string): string | null => {
  const found = cronFrom(parsed(expression), sec(iso))
  return found === null ? null : new Date(found * 1000).toISOString().replace('.000', '')
}

describe('civil dates', () => {
  it('agree with the host calendar over four centuries', () => {
    fc.assert(
      fc.property(fc.integer({ min: -80_000, max: 80_000 }), (days) => {
        const date = new Date(days * 86_400_000)
        const civil = { year: date.getUTCFullYear(), month: date.getUTCMonth() + 1, day: date.getUTCDate() }
        expect(civilFromDays(days)).toEqual(civil)
        expect(daysFromCivil(civil)).toBe(days)
        expect(weekdayOf(days)).toBe(date.getUTCDay())
      }),
      { numRuns: 2000 },
    )
  })
})

describe('cron', () => {
  it.each([
    ['* * * * *', '2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z'],
    ['* * * * *', '2026-01-01T00:00:01Z', '2026-01-01T00:01:00Z'],
    ['*/15 * * * * *', '2026-01-01T00:00:46Z', '2026-01-01T00:01:00Z'],
    ['30 9 * * *', '2026-01-01T09:30:01Z', '2026-01-02T09:30:00Z'],
    ['0 0 1 1 *', '2026-01-01T00:00:01Z', '2027-01-01T00:00:00Z'],
    ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00:00Z'],
    ['0 0 29 2 *', '2096-03-01T00:00:00Z', '2104-02-29T00:00:00Z'],
    ['0 0 31 * *', '2026-04-01T00:00:00Z', '2026-05-31T00:00:00Z'],
    ['0 12 * * MON', '2026-01-01T00:00:00Z', '2026-01-05T12:00:00Z'],
    ['0 12 * jan-mar sun', '2026-01-05T00:00:00Z', '2026-01-11T12:00:00Z'],
    ['0 12 * * 7', '2026-01-01T00:00:00Z', '2026-01-04T12:00:00Z'],
    ['0 12 * * 5-7', '2026-01-04T12:00:01Z', '2026-01-09T12:00:00Z'],
    ['10-50/20 * * * *', '2026-01-01T00:31:00Z', '2026-01-01T00:50:00Z'],
    ['5,1,3 * * * *', '2026-01-01T00:02:00Z', '2026-01-01T00:03:00Z'],
    ['59 59 23 31 12 *', '2026-01-01T00:00:00Z', '2026-12-31T23:59:59Z'],
    // Day of month or day of week when both are restricted: the 13th, or any Friday.
    ['0 0 13 * FRI', '2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z'],
    ['0 0 13 * FRI', '2026-01-10T00:00:00Z', '2026-01-13T00:00:00Z'],
    // A field that starts with * is not restricted, even with a step: odd days that are Fridays.
    ['0 0 */2 * FRI', '2026-01-03T00:00:00Z', '2026-01-09T00:00:00Z'],
    ['0 0 13 * */5', '2026-01-01T00:00:00Z', '2026-02-13T00:00:00Z'],
  ])('%s after %s is %s', (expression, from, expected) => {
    expect(next(expression, from)).toBe(expected)
  })

  it.each([
    ['0 0 30 2 *', 'a day that never comes'],
    ['0 0 31 4,6,9,11 *', 'the 31st of short months'],
  ])('%s has no fire: %s', (expression) => {
    expect(next(expression, '2026-01-01T00:00:00Z')).toBeNull()
    expect(cronUpTo(parsed(expression), sec('2026-01-01T00:00:00Z'))).toBeNull()
  })

  it.each([
    ['', 'expected 5 or 6 fields, got 0'],
    ['* * * *', 'expected 5 or 6 fields, got 4'],
    ['* * * * * * *', 'expected 5 or 6 fields, got 7'],
    ['? * * * *', 'minute "?" is not a value, a range or *'],
    ['* * L * *', 'day of month "L" is not a value, a range or *'],
    ['* * 15W * *', 'day of month "15W" is not a value, a range or *'],
    ['* * * * 5#2', 'day of week "5#2" is not a value, a range or *'],
    ['5/15 * * * *', 'minute "5/15" has a step without a range'],
    ['22-2 * * * *', 'minute "22-2" runs backwards'],
    ['60 * * * *', 'minute "60" is not a value, a range or *'],
    ['* 24 * * *', 'hour "24" is not a value, a range or *'],
    ['* * 0 * *', 'day of month "0" is not a value, a range or *'],
    ['* * * 13 *', 'month "13" is not a value, a range or *'],
    ['* * * * 8', 'day of week "8" is not a value, a range or *'],
    ['*/0 * * * *', 'minute "*/0" has a step outside 1 to 59'],
    ['*/60 * * * *', 'minute "*/60" has a step outside 1 to 59'],
    ['1,,2 * * * *', 'minute "" is not a value, a range or *'],
    ['1-2-3 * * * *', 'minute "1-2-3" is not a value, a range or *'],
    ['*/2/3 * * * *', 'minute "*/2/3" is not a value, a range or *'],
    ['-1 * * * *', 'minute "-1" is not a value, a range or *'],
    ['MON * * * *', 'minute "MON" is not a value, a range or *'],
    ['* * * * *\t', 'only printable ASCII is allowed'],
    ['@daily', 'expected 5 or 6 fields, got 1'],
    ['١ * * * *', 'only printable ASCII is allowed'],
  ])('refuses %j: %s', (expression, reason) => {
    expect(parseCron(expression)).toBe(reason)
  })

  /** A matcher that knows the rules from the text, not from the schedule: one field against one value. */
  const fieldMatches = (text: string, value: number): boolean =>
    text.split(',').some((item) => {
      const [range = '', step = '1'] = item.split('/')
      const [low, high] = range === '*' ? [null, null] : range.split('-').map(Number)
      const start = low ?? 0
      const inside = range === '*' || (value >= start && value <= (high ?? start))
      return inside && (value - start) % Number(step) === 0
    })
  const item = (most: number, least: number): fc.Arbitrary<string> =>
    fc.oneof(
      fc.constant('*'),
      fc.integer({ min: least, max: most }).map(String),
      fc
        .tuple(fc.integer({ min: least, max: most }), fc.integer({ min: least, max: most }))
        .map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      fc.tuple(fc.integer({ min: least, max: most }), fc.integer({ min: 1, max: most })).map(([a, step]) => `${a}-${most}/${step}`),
    )

  it('agrees with walking minute by minute, forwards and backwards', () => {
    const expression = fc.tuple(item(59, 0), item(23, 0), item(31, 1), item(12, 1), item(6, 0))
    fc.assert(
      fc.property(expression, fc.integer({ min: 1_700_000_000, max: 1_900_000_000 }), (fields, from) => {
        const schedule = parsed(fields.join(' '))
        const [minute, hour, day, month, weekday] = fields
        const matches = (at: number): boolean => {
          const date = new Date(at * 1000)
          const ofMonth = fieldMatches(day, date.getUTCDate())
          const ofWeek = fieldMatches(weekday, date.getUTCDay())
          const either = !day.startsWith('*') && !weekday.startsWith('*')
          return (
            fieldMatches(minute, date.getUTCMinutes()) &&
            fieldMatches(hour, date.getUTCHours()) &&
            fieldMatches(month, date.getUTCMonth() + 1) &&
            (either ? ofMonth || ofWeek : ofMonth && ofWeek)
          )
        }
        const found = cronFrom(schedule, from)
        const start = Math.ceil(from / 60) * 60
        const walked = Array.from({ length: 3000 }, (_, index) => start + index * 60)
        const expected = walked.find(matches)
        expect(found === null || found > (walked.at(-1) ?? 0) ? undefined : found).toBe(expected)
        fc.pre(found !== null)
        const before = cronUpTo(schedule, found - 1)
        expect(matches(found)).toBe(true)
        expect(cronUpTo(schedule, found)).toBe(found)
        expect(before === null || (before < from && matches(before))).toBe(true)
      }),
      { numRuns: 150 },
    )
  })
})
