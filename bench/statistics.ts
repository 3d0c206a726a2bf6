/** Order statistics of measured times. @module */

/** One line of a table of times, in milliseconds unless its name says otherwise. Null where nothing was measured. */
export type Spread = Readonly<{ name: string; samples: number; p50: number | null; p99: number | null; max: number | null }>

/** The smallest value that at least this share of the values does not exceed (nearest rank). */
function percentile(sorted: readonly number[], percent: number): number | null {
  return sorted[Math.max(0, Math.ceil((sorted.length * percent) / 100) - 1)] ?? null
}

/** Summary of samples, whole numbers. */
export function spreadOf(name: string, samples: readonly number[]): Spread {
  const sorted = samples.map(Math.round).toSorted((left, right) => left - right)
  return { name, samples: sorted.length, p50: percentile(sorted, 50), p99: percentile(sorted, 99), max: sorted.at(-1) ?? null }
}

/** Median with the tenth and ninetieth percentile of samples that are fractions. */
export type Range = Readonly<{ samples: number; p10: number | null; p50: number | null; p90: number | null }>

/** Summary of samples, to a tenth. */
export function rangeOf(samples: readonly number[]): Range {
  const sorted = samples.map((sample) => Math.round(sample * 10) / 10).toSorted((left, right) => left - right)
  return { samples: sorted.length, p10: percentile(sorted, 10), p50: percentile(sorted, 50), p90: percentile(sorted, 90) }
}
