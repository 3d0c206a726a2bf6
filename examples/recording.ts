/** Recorded series to replay: monthly S&P 500 and daily weather of Seattle. Data: vega-datasets. @module */
import { readFileSync } from 'node:fs'

/** Names of feeds this example can serve. */
export const SERIES = ['sp500', 'seattle-precipitation', 'seattle-temp-max'] as const
export type SeriesName = (typeof SERIES)[number]

/** One recorded point: decimal text as recorded. */
export type Point = Readonly<{ date: string; value: string }>

function readColumns(file: string, column: string): readonly Point[] {
  const path = new URL(`../node_modules/vega-datasets/data/${file}`, import.meta.url)
  const [head = '', ...lines] = readFileSync(path, 'utf8').trim().split('\n')
  const at = head.split(',').indexOf(column)
  return lines.map((line) => {
    const cells = line.split(',')
    return { date: cells[0] ?? '', value: cells[at] ?? '' }
  })
}

/** The whole recording of one series. */
export function readSeries(name: SeriesName): readonly Point[] {
  if (name === 'sp500') return readColumns('sp500.csv', 'price')
  return readColumns('seattle-weather.csv', name === 'seattle-precipitation' ? 'precipitation' : 'temp_max')
}

/** The point at a step, from the beginning again after the end. */
export function pointAt(series: readonly Point[], step: number): Point {
  const point = series[step % series.length]
  if (point === undefined) throw new RangeError('the recording is empty')
  return point
}
