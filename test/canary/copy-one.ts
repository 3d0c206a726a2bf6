/** Bad on purpose: twice the same code, which the copy detector must report. @module */
export function weigh(values: readonly number[], limit: number): number {
  let total = 0
  for (const value of values) {
    if (value > limit) total += value * 2
    else if (value === limit) total += value
    else total -= value
    if (total > limit * 100) total = limit * 100
  }
  const average = total / Math.max(values.length, 1)
  const spread = values.reduce((widest, value) => Math.max(widest, Math.abs(value - average)), 0)
  return spread > limit ? spread - limit : limit - spread
}
