/** `eth_` methods that read blocks, transactions, receipts and logs. @module */
import type { StoredBlock } from '#node/chain-reader.ts'
import { findBlock } from '#node/rpc/block-lookup.ts'
import { method } from '#node/rpc/context.ts'
import type { MethodTable, RpcContext } from '#node/rpc/context.ts'
import { queryLogs } from '#node/rpc/logs.ts'
import { blockNumber, blockRef, count, hash, logFilter } from '#node/rpc/params.ts'
import type { BlockRef } from '#node/rpc/params.ts'
import { toQuantity } from '#node/rpc/quantity.ts'
import { renderBlock, renderPendingBlock } from '#node/rpc/render-block.ts'
import { renderPending, renderReceipt, renderTransaction } from '#node/rpc/render-transaction.ts'
import type { Hash } from '#shared/types.ts'
import * as z from 'zod'

const isFull = z
  .boolean()
  .nullish()
  .transform((value) => value ?? false)

function storedBlock(ref: BlockRef, context: RpcContext): StoredBlock | null {
  const envelope = findBlock(ref, context)
  return envelope === null ? null : context.chain.block(envelope.hash)
}

const hashRef = (value: Hash): BlockRef => ({ kind: 'hash', hash: value, requireCanonical: false })

function blockAnswer(ref: BlockRef, full: boolean, context: RpcContext): unknown {
  if (ref.kind === 'tag' && ref.tag === 'pending') return renderPendingBlock(full, context)
  const block = storedBlock(ref, context)
  return block === null ? null : renderBlock(block, full, context)
}

function transactionCount(ref: BlockRef, context: RpcContext): unknown {
  const block = storedBlock(ref, context)
  return block === null ? null : toQuantity(block.txs.length)
}

function transactionAt(ref: BlockRef, index: number, context: RpcContext): unknown {
  const block = storedBlock(ref, context)
  return block === null ? null : renderTransaction(block, index, context)
}

/** Canonical inclusion of a transaction, with its block. */
function placed(txHash: Hash, { chain }: RpcContext): Readonly<{ block: StoredBlock; index: number }> | null {
  const place = chain.transactionPlace(txHash)
  const block = place === null ? null : chain.block(place.blockHash)
  return place === null || block === null ? null : { block, index: place.index }
}

function transactionByHash(txHash: Hash, context: RpcContext): unknown {
  const found = placed(txHash, context)
  if (found !== null) return renderTransaction(found.block, found.index, context)
  const waiting = context.pool.get(txHash)
  return waiting === null ? null : renderPending(waiting, context)
}

function receiptByHash(txHash: Hash, context: RpcContext): unknown {
  const found = placed(txHash, context)
  return found === null ? null : renderReceipt(found.block, found.index, context)
}

function blockReceipts(ref: BlockRef, context: RpcContext): unknown {
  const block = storedBlock(ref, context)
  return block === null ? null : block.receipts.map((_, index) => renderReceipt(block, index, context))
}

const noUncle = (): null => null

/** Blocks, transactions, receipts and logs. */
export const BLOCK_METHODS: MethodTable = {
  eth_blockNumber: method(z.tuple([]), (_, { chain }) => toQuantity(chain.head().header.number)),
  eth_getBlockByNumber: method(z.tuple([blockNumber, isFull]), ([ref, full], context) => blockAnswer(ref, full, context)),
  eth_getBlockByHash: method(z.tuple([hash, isFull]), ([value, full], context) => blockAnswer(hashRef(value), full, context)),
  eth_getBlockTransactionCountByNumber: method(z.tuple([blockNumber]), ([ref], context) => transactionCount(ref, context)),
  eth_getBlockTransactionCountByHash: method(z.tuple([hash]), ([value], context) => transactionCount(hashRef(value), context)),
  eth_getUncleCountByBlockNumber: method(z.tuple([blockNumber]), ([ref], context) => (findBlock(ref, context) === null ? null : '0x0')),
  eth_getUncleCountByBlockHash: method(z.tuple([hash]), ([value], context) => (findBlock(hashRef(value), context) === null ? null : '0x0')),
  eth_getUncleByBlockNumberAndIndex: method(z.tuple([blockNumber, count]), noUncle),
  eth_getUncleByBlockHashAndIndex: method(z.tuple([hash, count]), noUncle),
  eth_getTransactionByHash: method(z.tuple([hash]), ([value], context) => transactionByHash(value, context)),
  eth_getTransactionByBlockNumberAndIndex: method(z.tuple([blockNumber, count]), ([ref, index], context) =>
    transactionAt(ref, index, context),
  ),
  eth_getTransactionByBlockHashAndIndex: method(z.tuple([hash, count]), ([value, index], context) =>
    transactionAt(hashRef(value), index, context),
  ),
  eth_getTransactionReceipt: method(z.tuple([hash]), ([value], context) => receiptByHash(value, context)),
  eth_getBlockReceipts: method(z.tuple([blockRef]), ([ref], context) => blockReceipts(ref, context)),
  eth_getLogs: method(z.tuple([logFilter]), ([filter], context) => queryLogs(filter, context)),
}
