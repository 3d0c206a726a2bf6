/** Base fee of the next block. Source: EIP-1559. @module */
import type { Wei } from '#shared/types.ts'

/** Largest step between blocks is one eighth. */
const CHANGE_DENOMINATOR = 8n

/**
 * Fee after a block that used `gasUsed` of what may be used twice `gasTarget`: up when more than the target was used, down when less.
 * The same rule serves all gas of a block and the trigger budget.
 */
export function nextBaseFee(baseFeeWei: Wei, gasUsed: bigint, gasTarget: bigint): Wei {
  if (gasUsed === gasTarget) return baseFeeWei
  if (gasUsed > gasTarget) {
    const step = (baseFeeWei * (gasUsed - gasTarget)) / gasTarget / CHANGE_DENOMINATOR
    return baseFeeWei + (step > 0n ? step : 1n)
  }
  return baseFeeWei - (baseFeeWei * (gasTarget - gasUsed)) / gasTarget / CHANGE_DENOMINATOR
}
