/** `web3_`, `net_`, `txpool_`, cheap `debug_` methods, and the `eth_` ones about the node itself. @module */
import { requireBlock } from '#node/rpc/block-lookup.ts'
import { method } from '#node/rpc/context.ts'
import type { MethodTable, RpcContext } from '#node/rpc/context.ts'
import { address, blockRef, bytes, hash } from '#node/rpc/params.ts'
import { toQuantity } from '#node/rpc/quantity.ts'
import { renderPending } from '#node/rpc/render-transaction.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { encodeBlock, encodeHeader } from '#shared/hhcm/codec.ts'
import type { Address, Hash } from '#shared/types.ts'
import * as z from 'zod'

type PoolContent = Record<'pending' | 'queued', Record<string, Record<string, unknown>>>

function poolContent(context: RpcContext, only: Address | null): PoolContent {
  const content: PoolContent = { pending: {}, queued: {} }
  for (const { from, nonce, raw, queued } of context.pool.content()) {
    if (only !== null && from !== only) continue
    const bySender = (content[queued ? 'queued' : 'pending'][from] ??= {})
    bySender[nonce.toString()] = renderPending(raw, context)
  }
  return content
}

function poolStatus({ pool }: RpcContext): unknown {
  const queued = pool.content().filter((item) => item.queued).length
  return { pending: toQuantity(pool.size() - queued), queued: toQuantity(queued) }
}

function rawTransaction(txHash: Hash, { chain, pool }: RpcContext): unknown {
  const place = chain.transactionPlace(txHash)
  const raw = place === null ? pool.get(txHash) : chain.block(place.blockHash)?.txs[place.index]
  return raw === null || raw === undefined ? null : bytesToHex(raw)
}

/** The node, its pool and raw objects. */
export const NODE_METHODS: MethodTable = {
  web3_clientVersion: method(z.tuple([]), (_, { clientVersion }) => clientVersion),
  web3_sha3: method(z.tuple([bytes]), ([data], { crypto }) => bytesToHex(crypto.keccak256(data))),
  net_version: method(z.tuple([]), (_, { chain }) => String(chain.chainId)),
  net_listening: method(z.tuple([]), () => true),
  net_peerCount: method(z.tuple([]), (_, { peerCount }) => toQuantity(peerCount())),
  eth_chainId: method(z.tuple([]), (_, { chain }) => toQuantity(chain.chainId)),
  eth_syncing: method(z.tuple([]), () => false),
  eth_accounts: method(z.tuple([]), () => []),
  txpool_status: method(z.tuple([]), (_, context) => poolStatus(context)),
  txpool_content: method(z.tuple([]), (_, context) => poolContent(context, null)),
  txpool_contentFrom: method(z.tuple([address]), ([from], context) => {
    const { pending, queued } = poolContent(context, from)
    return { pending: pending[from] ?? {}, queued: queued[from] ?? {} }
  }),
  debug_getRawHeader: method(z.tuple([blockRef]), ([ref], context) => bytesToHex(encodeHeader(requireBlock(ref, context).header))),
  debug_getRawBlock: method(z.tuple([blockRef]), ([ref], context) => bytesToHex(encodeBlock(requireBlock(ref, context)))),
  debug_getRawTransaction: method(z.tuple([hash]), ([txHash], context) => rawTransaction(txHash, context)),
  eth_getRawTransactionByHash: method(z.tuple([hash]), ([txHash], context) => rawTransaction(txHash, context)),
}
