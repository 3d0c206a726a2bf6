/** Fee suggestions and fee history. Source: EIP-1559; feeHistory as in the execution API specification. @module */
import { findBlock, requireBlock } from '#node/rpc/block-lookup.ts'
import { method } from '#node/rpc/context.ts'
import type { MethodTable, RpcContext } from '#node/rpc/context.ts'
import { blockNumber, count } from '#node/rpc/params.ts'
import type { BlockRef } from '#node/rpc/params.ts'
import { toQuantity } from '#node/rpc/quantity.ts'
import { invalidParams } from '#node/rpc/rpc-error.ts'
import { ATTESTATION_TX_TYPE, TRIGGER_TX_TYPE } from '#shared/params.ts'
import type { BlockEnvelope } from '#shared/hhcm/types.ts'
import type { Wei } from '#shared/types.ts'
import * as z from 'zod'

const HISTORY_BLOCKS_MAX = 1024
const PERCENTILES_MAX = 100
/** Blocks a tip suggestion looks back, and the tip when they hold no user transaction: 0.1 gwei. */
const SUGGESTION_BLOCKS = 10
const DEFAULT_TIP_WEI = 100_000_000n

type Tip = Readonly<{ tipWei: Wei; gasUsed: bigint }>

/** Tips of a block's user transactions in rising order, with the gas each used. */
function tipsOf(envelope: BlockEnvelope, { chain }: RpcContext): readonly Tip[] {
  const receipts = chain.store.receipts(envelope.hash) ?? []
  return receipts
    .filter(({ txType }) => txType !== TRIGGER_TX_TYPE && txType !== ATTESTATION_TX_TYPE)
    .map(({ effectiveGasPriceWei, gasUsed }) => ({ tipWei: effectiveGasPriceWei - envelope.header.baseFeeWei, gasUsed }))
    .toSorted((left, right) => (left.tipWei < right.tipWei ? -1 : left.tipWei > right.tipWei ? 1 : 0))
}

/** Median tip of the last blocks' user transactions. */
export function suggestedTipWei(context: RpcContext): Wei {
  const { chain } = context
  const tips: Wei[] = []
  let block: BlockEnvelope | null = chain.head()
  for (let index = 0; index < SUGGESTION_BLOCKS && block !== null; index++) {
    tips.push(...tipsOf(block, context).map(({ tipWei }) => tipWei))
    block = chain.envelope(block.header.parentHash)
  }
  const middle = tips.toSorted((left, right) => (left < right ? -1 : left > right ? 1 : 0))[tips.length >> 1]
  return middle ?? DEFAULT_TIP_WEI
}

/** Base fee of the next block. */
export const nextBaseFeeWei = (context: RpcContext): Wei => context.nextBaseFeeWei(context.chain.head().header)

/** Tip that `percent` of the block's used gas paid at most. */
function percentile(tips: readonly Tip[], percent: number, gasUsed: bigint): Wei {
  const threshold = (gasUsed * BigInt(Math.round(percent * 100))) / 10_000n
  let sum = 0n
  for (const tip of tips) {
    sum += tip.gasUsed
    if (sum >= threshold) return tip.tipWei
  }
  return tips.at(-1)?.tipWei ?? 0n
}

function feeHistory(blockCount: number, newest: BlockRef, percentiles: readonly number[], context: RpcContext): unknown {
  if (percentiles.some((value, index) => value < 0 || value > 100 || value < (percentiles[index - 1] ?? 0)))
    throw invalidParams('invalid reward percentile: expected rising values from 0 to 100')
  const last = requireBlock(newest, context)
  const length = Math.min(blockCount, HISTORY_BLOCKS_MAX, last.header.number + 1)
  const oldest = last.header.number - length + 1
  const blocks = Array.from({ length }, (_, index) => findBlock({ kind: 'number', number: oldest + index }, context)).filter(
    (block) => block !== null,
  )
  const baseFees = [...blocks.map(({ header }) => header.baseFeeWei), context.nextBaseFeeWei(last.header)]
  const rewards = blocks.map((block) => {
    const tips = tipsOf(block, context)
    const gasUsed = tips.reduce((total, tip) => total + tip.gasUsed, 0n)
    return percentiles.map((percent) => toQuantity(percentile(tips, percent, gasUsed)))
  })
  return {
    oldestBlock: toQuantity(oldest),
    baseFeePerGas: (length === 0 ? [] : baseFees).map(toQuantity),
    gasUsedRatio: blocks.map(({ header }) => Number((header.gasUsed * 1_000_000n) / header.gasLimit) / 1_000_000),
    ...(percentiles.length === 0 ? {} : { reward: rewards }),
  }
}

const percentileList = z
  .array(z.number())
  .max(PERCENTILES_MAX)
  .nullish()
  .transform((value) => value ?? [])

/** Prices of gas. */
export const FEE_METHODS: MethodTable = {
  eth_gasPrice: method(z.tuple([]), (_, context) => toQuantity(nextBaseFeeWei(context) + suggestedTipWei(context))),
  eth_maxPriorityFeePerGas: method(z.tuple([]), (_, context) => toQuantity(suggestedTipWei(context))),
  eth_baseFee: method(z.tuple([]), (_, context) => toQuantity(nextBaseFeeWei(context))),
  // Blob transactions are refused, so the excess is always zero and BLOBBASEFEE its minimum.
  eth_blobBaseFee: method(z.tuple([]), () => '0x1'),
  eth_feeHistory: method(z.tuple([count, blockNumber, percentileList]), ([blocks, newest, percentiles], context) =>
    feeHistory(blocks, newest, percentiles, context),
  ),
}
