/** Points in time in JSON: integer milliseconds, or RFC 3339 text in UTC or with an offset. No host clock or zone is involved. @module */
import { civilFromDays, daysFromCivil } from '#shared/trigger/civil.ts'
import type { UnixMs } from '#shared/types.ts'

const CLOCK = String.raw`([01]\d|2[0-3]):([0-5]\d)`
const RFC_3339 = new RegExp(String.raw`^(\d{4})-(\d{2})-(\d{2})[Tt]${CLOCK}:([0-5]\d)(?:\.(\d{1,3}))?(?:[Zz]|([+-])${CLOCK})$`)
const DAY_MS = 86_400_000

const isDate = (year: number, month: number, day: number): boolean => {
  const back = civilFromDays(daysFromCivil({ year, month, day }))
  return month >= 1 && month <= 12 && back.month === month && back.day === day
}

/** Milliseconds since the epoch of an RFC 3339 text with at most three decimals, or null. Leap seconds are not times of the chain. */
export function parseInstant(text: string): UnixMs | null {
  const match = RFC_3339.exec(text)
  if (match === null) return null
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as [number, number, number, number, number, number]
  const [fraction = '', sign, offsetHour = '0', offsetMinute = '0'] = match.slice(7)
  if (!isDate(year, month, day)) return null
  const offsetMs = (Number(offsetHour) * 60 + Number(offsetMinute)) * 60_000 * (sign === '-' ? -1 : 1)
  const inDayMs = ((hour * 60 + minute) * 60 + second) * 1000 + Number(fraction.padEnd(3, '0'))
  const instant = daysFromCivil({ year, month, day }) * DAY_MS + inDayMs - offsetMs
  return instant >= 0 ? instant : null
}

/** RFC 3339 text in UTC; milliseconds only where there are any. */
export function formatInstant(timeMs: UnixMs): string {
  const days = Math.floor(timeMs / DAY_MS)
  const { year, month, day } = civilFromDays(days)
  const inDay = timeMs - days * DAY_MS
  const two = (value: number): string => value.toString().padStart(2, '0')
  const clock = [Math.floor(inDay / 3_600_000), Math.floor(inDay / 60_000) % 60, Math.floor(inDay / 1000) % 60].map(two).join(':')
  const fraction = inDay % 1000 === 0 ? '' : `.${(inDay % 1000).toString().padStart(3, '0')}`
  return `${year.toString().padStart(4, '0')}-${two(month)}-${two(day)}T${clock}${fraction}Z`
}
