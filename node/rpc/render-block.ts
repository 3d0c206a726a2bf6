/** Blocks in the shape of Ethereum's execution API, with this chain's own fields beside it. @module */
import type { StoredBlock } from '#node/chain-reader.ts'
import type { RpcContext } from '#node/rpc/context.ts'
import { toQuantity } from '#node/rpc/quantity.ts'
import { renderPending, renderTransaction } from '#node/rpc/render-transaction.ts'
import { encodeBlock } from '#shared/hhcm/codec.ts'
import type { BlockEnvelope } from '#shared/hhcm/types.ts'
import { FEE_COLLECTOR } from '#shared/system.ts'
import type { Hash } from '#shared/types.ts'

type Json = Readonly<Record<string, unknown>>

/** keccak256(rlp([])): the uncle list every block has. */
const NO_UNCLES: Hash = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347'

function headerFields(envelope: BlockEnvelope, context: RpcContext): Json {
  const { header } = envelope
  const timeMs = context.chain.slotTimeMs(header.slot)
  return {
    number: toQuantity(header.number),
    hash: envelope.hash,
    parentHash: header.parentHash,
    sha3Uncles: NO_UNCLES,
    miner: FEE_COLLECTOR,
    stateRoot: header.stateRoot,
    transactionsRoot: header.txRoot,
    receiptsRoot: header.receiptsRoot,
    logsBloom: header.logsBloom,
    difficulty: '0x0',
    totalDifficulty: '0x0',
    gasLimit: toQuantity(header.gasLimit),
    gasUsed: toQuantity(header.gasUsed),
    timestamp: toQuantity(Math.floor(timeMs / 1000)),
    extraData: '0x',
    mixHash: header.randomness,
    nonce: '0x0000000000000000',
    baseFeePerGas: toQuantity(header.baseFeeWei),
    slot: toQuantity(header.slot),
    timestampMs: toQuantity(timeMs),
    author: header.author,
    lane: toQuantity(header.lane),
    packagesRoot: header.packagesRoot,
    triggerGasUsed: toQuantity(header.triggerGasUsed),
    triggerBaseFeeWei: toQuantity(header.triggerBaseFeeWei),
  }
}

/** Header alone, as `newHeads` sends it. */
export const renderHeader = headerFields

/** A stored block; transactions whole or by hash. */
export function renderBlock(block: StoredBlock, isFull: boolean, context: RpcContext): Json {
  const size = encodeBlock(block.envelope).length + block.txs.reduce((total, raw) => total + raw.length, 0)
  return {
    ...headerFields(block.envelope, context),
    size: toQuantity(size),
    transactions: isFull
      ? block.txs.map((_, index) => renderTransaction(block, index, context))
      : block.receipts.map(({ txHash }) => txHash),
    uncles: [],
  }
}

/** What is known of the next block: its number, its base fee and the runnable transactions of the pool. Nothing in it is executed. */
export function renderPendingBlock(isFull: boolean, context: RpcContext): Json {
  const { chain, pool, nextBaseFeeWei } = context
  const head = chain.head()
  const waiting = pool.content().filter(({ queued }) => !queued)
  const slot = head.header.slot + 1
  return {
    ...headerFields(head, context),
    number: toQuantity(head.header.number + 1),
    hash: null,
    parentHash: head.hash,
    nonce: null,
    logsBloom: null,
    miner: null,
    author: null,
    slot: toQuantity(slot),
    timestamp: toQuantity(Math.floor(chain.slotTimeMs(slot) / 1000)),
    timestampMs: toQuantity(chain.slotTimeMs(slot)),
    gasUsed: '0x0',
    triggerGasUsed: '0x0',
    baseFeePerGas: toQuantity(nextBaseFeeWei(head.header)),
    size: '0x0',
    transactions: waiting.map(({ hash, raw }) => (isFull ? renderPending(raw, context) : hash)),
    uncles: [],
  }
}
