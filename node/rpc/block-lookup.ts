/** From a block tag, number or hash to a stored block. @module */
import type { RpcContext } from '#node/rpc/context.ts'
import type { BlockRef } from '#node/rpc/params.ts'
import { serverError } from '#node/rpc/rpc-error.ts'
import type { BlockEnvelope } from '#shared/hhcm/types.ts'

function byNumber(number: number, { chain }: RpcContext): BlockEnvelope | null {
  const hash = chain.hashByNumber(number)
  return hash === null ? null : chain.envelope(hash)
}

/** The block a reference names, null when the node has none. `pending` is the head: what comes next is not executed yet. */
export function findBlock(ref: BlockRef, context: RpcContext): BlockEnvelope | null {
  const { chain } = context
  if (ref.kind === 'number') return byNumber(ref.number, context)
  if (ref.kind === 'hash') return chain.envelope(ref.hash)
  switch (ref.tag) {
    case 'latest':
    case 'pending':
      return chain.head()
    case 'safe':
      return chain.safe()
    case 'finalized':
      return chain.finalized()
    case 'earliest':
      return byNumber(0, context)
  }
}

/** The block whose state a read wants. @throws {RpcError} when the node does not have it */
export function requireBlock(ref: BlockRef, context: RpcContext): BlockEnvelope {
  const block = findBlock(ref, context)
  if (block === null) throw serverError(ref.kind === 'hash' ? 'header for hash not found' : 'header not found')
  if (ref.kind === 'hash' && ref.requireCanonical && context.chain.hashByNumber(block.header.number) !== block.hash)
    throw serverError('hash is not currently canonical')
  return block
}
