/** Hex integers as JSON-RPC writes them. @module */
import type { Hex } from '#shared/types.ts'

/** Non-negative integer without leading zeros. */
export const toQuantity = (value: bigint | number): Hex => `0x${value.toString(16)}`
