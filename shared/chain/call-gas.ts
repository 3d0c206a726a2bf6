/**
 * The least gas a message call is charged. Gas prices of calls assume a client whose frames cost nanoseconds; where a frame costs
 * microseconds, a block of nothing but calls would outlast its slot. As with the calldata floor of EIP-7623, code that does real work
 * never meets the floor. Source: docs/protocol.md, "Execution".
 * @module
 */
import type { ChainParams } from '#shared/params.ts'

/** Gas per call such that a block's whole gas pays for at most `blockCallLimit` of them. */
export function callFloorGas({ blockGasLimit, blockCallLimit }: Pick<ChainParams, 'blockGasLimit' | 'blockCallLimit'>): bigint {
  const most = BigInt(blockCallLimit)
  return (blockGasLimit + most - 1n) / most
}
