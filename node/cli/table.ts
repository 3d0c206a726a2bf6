/** Plain text for people: tables, amounts, times. @module */
import { visible } from '#shared/visible-text.ts'
import { formatEther } from 'viem'

/** A table with a head; columns are as wide as their widest cell. `rightAligned` are positions of numbers. A cell stays in its line. */
export function table(head: readonly string[], given: readonly (readonly string[])[], rightAligned: readonly number[] = []): string {
  const rows = given.map((cells) => cells.map(visible))
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)))
  const format = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => (rightAligned.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)))
      .join('  ')
      .trimEnd()
  return [format(head), format(widths.map((width) => '-'.repeat(width))), ...rows.map(format)].join('\n')
}

/** `name: value` lines with the values in one column. A value stays in its line. */
export function fields(pairs: readonly (readonly [string, string])[]): string {
  const width = Math.max(...pairs.map(([name]) => name.length))
  return pairs.map(([name, value]) => `${`${name}:`.padEnd(width + 1)} ${visible(value)}`).join('\n')
}

/** Wei as FSN. */
export const fsn = (wei: bigint | string): string => `${formatEther(BigInt(wei))} FSN`
/** The beginning of an id, enough to recognise it. */
export const short = (id: string): string => `${id.slice(0, 10)}…`
/** A time in UTC; a dash for none. */
export const instant = (timeMs: number | null): string => (timeMs === null || timeMs === 0 ? '-' : new Date(timeMs).toISOString())
