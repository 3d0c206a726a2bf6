/** Rate limit of one peer for one resource. @module */

export type TokenBucket = Readonly<{
  /** Takes `amount` tokens; false, and nothing taken, when there are fewer. */
  take: (amount: number, nowMs: number) => boolean
}>

/** A bucket that starts full with `burst` tokens and refills at `perSecond`. */
export function createTokenBucket(burst: number, perSecond: number, startMs: number): TokenBucket {
  let tokens = burst
  let filledMs = startMs
  return {
    take: (amount, nowMs) => {
      tokens = Math.min(burst, tokens + (Math.max(0, nowMs - filledMs) * perSecond) / 1000)
      filledMs = Math.max(filledMs, nowMs)
      if (tokens < amount) return false
      tokens -= amount
      return true
    },
  }
}
