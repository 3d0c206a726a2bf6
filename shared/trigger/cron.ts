/**
 * Cron expressions in UTC: five fields, or six with seconds first. Lists, ranges, steps over `*` or a range, English month and
 * weekday names, 7 as Sunday. When day of month and day of week are both restricted (neither starts with `*`), either matches.
 * Refused, because known implementations disagree on them: `?`, L, W, #, `5/15`, ranges that run backwards.
 * Source: IEEE 1003.1 crontab; Vixie cron for steps, names and the day rule.
 * @module
 */
import { civilFromDays, daysFromCivil, weekdayOf } from '#shared/trigger/civil.ts'

/** A parsed expression: sorted values a second, minute, hour can have, and which days match. */
export type CronSchedule = Readonly<{
  seconds: readonly number[]
  minutes: readonly number[]
  hours: readonly number[]
  daysOfMonth: readonly number[]
  months: readonly number[]
  daysOfWeek: readonly number[]
  /** Day of month or day of week suffices; otherwise both must match. */
  eitherDay: boolean
}>

/** How far ahead and back a fire is searched: ten years, leap days included. */
const SEARCH_DAYS = 3653
const SECONDS_PER_DAY = 86_400
const MONTHS = ['JAN', 'FEB', 'MAR', 'APR', 'MAY', 'JUN', 'JUL', 'AUG', 'SEP', 'OCT', 'NOV', 'DEC']
const WEEKDAYS = ['SUN', 'MON', 'TUE', 'WED', 'THU', 'FRI', 'SAT']

type Field = Readonly<{ name: string; least: number; most: number; names: readonly string[]; firstName: number }>
const FIELDS: readonly Field[] = [
  { name: 'second', least: 0, most: 59, names: [], firstName: 0 },
  { name: 'minute', least: 0, most: 59, names: [], firstName: 0 },
  { name: 'hour', least: 0, most: 23, names: [], firstName: 0 },
  { name: 'day of month', least: 1, most: 31, names: [], firstName: 0 },
  { name: 'month', least: 1, most: 12, names: MONTHS, firstName: 1 },
  { name: 'day of week', least: 0, most: 7, names: WEEKDAYS, firstName: 0 },
]

function parseValue(text: string, field: Field): number | null {
  const named = field.names.indexOf(text.toUpperCase())
  if (named >= 0) return named + field.firstName
  if (!/^\d{1,2}$/.test(text)) return null
  const value = Number(text)
  return value >= field.least && value <= field.most ? value : null
}

function parseRange(range: string, field: Field): Readonly<{ from: number; to: number }> | null {
  if (range === '*') return { from: field.least, to: field.names === WEEKDAYS ? 6 : field.most }
  const ends = range.split('-').map((end) => parseValue(end, field))
  const [from, to = from] = ends
  return from === undefined || from === null || to === undefined || to === null || ends.length > 2 ? null : { from, to }
}

function parseItem(text: string, field: Field): readonly number[] | string {
  const [, range = '', step] = /^([^/]*)(?:\/([^/]*))?$/.exec(text) ?? []
  const ends = parseRange(range, field)
  if (ends === null) return `${field.name} "${text}" is not a value, a range or *`
  const { from, to } = ends
  if (from > to) return `${field.name} "${text}" runs backwards`
  if (step === undefined) return Array.from({ length: to - from + 1 }, (_, index) => from + index)
  if (range !== '*' && !range.includes('-')) return `${field.name} "${text}" has a step without a range`
  const stride = /^\d{1,2}$/.test(step) ? Number(step) : 0
  if (stride < 1 || stride > field.most) return `${field.name} "${text}" has a step outside 1 to ${field.most}`
  return Array.from({ length: Math.floor((to - from) / stride) + 1 }, (_, index) => from + index * stride)
}

function parseField(text: string, field: Field): readonly number[] | string {
  const values = new Set<number>()
  for (const item of text.split(',')) {
    const parsed = parseItem(item, field)
    if (typeof parsed === 'string') return parsed
    for (const value of parsed) values.add(field.names === WEEKDAYS ? value % 7 : value)
  }
  return [...values].toSorted((left, right) => left - right)
}

function parseFields(texts: readonly string[], fields: readonly Field[]): readonly (readonly number[])[] | string {
  const lists: (readonly number[])[] = []
  for (const [index, field] of fields.entries()) {
    const parsed = parseField(texts[index] ?? '', field)
    if (typeof parsed === 'string') return parsed
    lists.push(parsed)
  }
  return lists
}

/** Parses an expression; a string is the reason it is refused, for its author. */
export function parseCron(expression: string): CronSchedule | string {
  if (!/^[\u0020-\u007e]*$/.test(expression)) return 'only printable ASCII is allowed'
  const texts = expression.split(' ').filter((text) => text !== '')
  if (texts.length !== 5 && texts.length !== 6) return `expected 5 or 6 fields, got ${texts.length}`
  const lists = parseFields(texts.length === 6 ? texts : ['0', ...texts], FIELDS)
  if (typeof lists === 'string') return lists
  const [seconds = [], minutes = [], hours = [], daysOfMonth = [], months = [], daysOfWeek = []] = lists
  const restricted = (text: string | undefined): boolean => text?.startsWith('*') === false
  return { seconds, minutes, hours, daysOfMonth, months, daysOfWeek, eitherDay: restricted(texts.at(-3)) && restricted(texts.at(-1)) }
}

function dayMatches(schedule: CronSchedule, day: number, dayNumber: number): boolean {
  const ofMonth = schedule.daysOfMonth.includes(day)
  const ofWeek = schedule.daysOfWeek.includes(weekdayOf(dayNumber))
  return schedule.eitherDay ? ofMonth || ofWeek : ofMonth && ofWeek
}

/** Earliest or latest fire of a day not before or not after a second of that day; null when there is none. */
function timeWithin(schedule: CronSchedule, bound: number, direction: 1 | -1): number | null {
  const inOrder = (values: readonly number[]): readonly number[] => (direction === 1 ? values : values.toReversed())
  const fits = (time: number): boolean => (direction === 1 ? time >= bound : time <= bound)
  const farEnd = direction === 1 ? 1 : 0
  for (const hour of inOrder(schedule.hours)) {
    if (!fits(hour * 3600 + farEnd * 3599)) continue
    for (const minute of inOrder(schedule.minutes)) {
      const start = hour * 3600 + minute * 60
      if (!fits(start + farEnd * 59)) continue
      const second = inOrder(schedule.seconds).find((value) => fits(start + value))
      if (second !== undefined) return start + second
    }
  }
  return null
}

function search(schedule: CronSchedule, fromSec: number, direction: 1 | -1): number | null {
  const firstDay = Math.floor(fromSec / SECONDS_PER_DAY)
  let bound = fromSec - firstDay * SECONDS_PER_DAY
  for (let dayNumber = firstDay; Math.abs(dayNumber - firstDay) <= SEARCH_DAYS; dayNumber += direction) {
    const { year, month, day } = civilFromDays(dayNumber)
    if (!schedule.months.includes(month)) {
      const edge =
        direction === 1 ? daysFromCivil({ year: month === 12 ? year + 1 : year, month: (month % 12) + 1, day: 1 }) : dayNumber - day + 1
      dayNumber = direction === 1 ? edge - 1 : edge
    } else if (dayMatches(schedule, day, dayNumber)) {
      const time = timeWithin(schedule, bound, direction)
      if (time !== null) return dayNumber * SECONDS_PER_DAY + time
    }
    bound = direction === 1 ? 0 : SECONDS_PER_DAY - 1
  }
  return null
}

/** First fire at or after a second since the epoch, or null when the next ten years have none. */
export function cronFrom(schedule: CronSchedule, fromSec: number): number | null {
  return search(schedule, fromSec, 1)
}

/** Last fire at or before a second since the epoch, or null when the ten years before have none. */
export function cronUpTo(schedule: CronSchedule, toSec: number): number | null {
  return search(schedule, toSec, -1)
}
