/** Reads of a foreign EVM chain, checked at the boundary. @module */
import * as z from 'zod'
import { zHash } from '#shared/api/http.ts'
import type { ForeignBlock, Transfer } from '#shared/oracle/watch.ts'
import type { Address, Height } from '#shared/types.ts'
import { callOne } from '#workers/chain/rpc.ts'

const zQuantity = z
  .string()
  .regex(/^0x[0-9a-f]+$/)
  .transform((text) => BigInt(text))
const zAddressAnyCase = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/)
  .transform((text) => text.toLowerCase() as Address)

const zTransaction = z.object({ hash: zHash, from: zAddressAnyCase, to: zAddressAnyCase.nullish(), value: zQuantity })
const zHead = z.object({ number: zQuantity.transform(Number), hash: zHash })
const zBlock = z
  .object({
    number: zQuantity.transform(Number),
    hash: zHash,
    parentHash: zHash,
    timestamp: zQuantity.transform(Number),
    transactions: z.array(zTransaction),
  })
  .nullable()
const zReceipt = z.object({ status: zQuantity.transform(Number) }).nullable()

/** Number and hash of the newest block. */
export const foreignHead = async (url: string) => zHead.parse(await callOne(url, 'eth_getBlockByNumber', ['latest', false]))

/** A block with its successful payments to the watched addresses, or null when the node does not have it. */
export async function foreignBlock(url: string, height: Height, watched: ReadonlySet<Address>): Promise<ForeignBlock | null> {
  const block = zBlock.parse(await callOne(url, 'eth_getBlockByNumber', [`0x${height.toString(16)}`, true]))
  if (block === null) return null
  const transfers: Transfer[] = []
  for (const { hash, from, to, value } of block.transactions) {
    if (to === null || to === undefined || value === 0n || !watched.has(to)) continue
    const receipt = zReceipt.parse(await callOne(url, 'eth_getTransactionReceipt', [hash]))
    if (receipt?.status === 1) transfers.push({ txid: hash, from, to, amountWei: value })
  }
  return { height: block.number, hash: block.hash, parentHash: block.parentHash, timeMs: block.timestamp * 1000, transfers }
}
