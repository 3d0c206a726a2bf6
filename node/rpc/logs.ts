/** Log queries: bloom first, receipts second, bounded range and count. Bloom positions: yellow paper, section 4.3.1. @module */
import { findBlock } from '#node/rpc/block-lookup.ts'
import { breathe } from '#node/rpc/breathe.ts'
import type { RpcContext } from '#node/rpc/context.ts'
import type { LogFilter } from '#node/rpc/params.ts'
import { renderLog } from '#node/rpc/render-transaction.ts'
import { INVALID_PARAMS, LIMIT_EXCEEDED, serverError } from '#node/rpc/rpc-error.ts'
import { RpcError } from '#shared/api/json-rpc.ts'
import { hexToBytes } from '#shared/bytes.ts'
import type { Log } from '#shared/chain/types.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { BlockEnvelope } from '#shared/hhcm/types.ts'
import type { Hex } from '#shared/types.ts'

const RANGE_BLOCKS_MAX = 10_000
const RESULTS_MAX = 10_000
/** Blocks looked at before other work of the process gets its turn. */
const BLOCKS_PER_TURN = 128

type Match = Pick<LogFilter, 'address' | 'topics'>

function isInBloom(bloom: Uint8Array, value: Hex, crypto: CryptoSuite): boolean {
  const digest = crypto.keccak256(hexToBytes(value))
  return [0, 2, 4].every((offset) => {
    const bit = (((digest[offset] ?? 0) << 8) | (digest[offset + 1] ?? 0)) & 2047
    return ((bloom[255 - (bit >> 3)] ?? 0) & (1 << (bit & 7))) !== 0
  })
}

/** Whether a block can hold a matching log. Never false for one that does. */
function mayMatch(logsBloom: Hex, { address, topics }: Match, crypto: CryptoSuite): boolean {
  if (address.length === 0 && topics.every((accepted) => accepted.length === 0)) return true
  const bloom = hexToBytes(logsBloom)
  const anyOf = (values: readonly Hex[]): boolean => values.length === 0 || values.some((value) => isInBloom(bloom, value, crypto))
  return anyOf(address) && topics.every(anyOf)
}

/** Address in the set, and per position one of the accepted topics; an empty set accepts all. */
export function matchesLog(log: Log, { address, topics }: Match): boolean {
  if (address.length > 0 && !address.includes(log.address)) return false
  return topics.every((accepted, index) => {
    const topic = log.topics[index]
    return topic !== undefined && (accepted.length === 0 || accepted.includes(topic))
  })
}

/** Matching logs of one block, rendered. */
export function logsOfBlock(envelope: BlockEnvelope, filter: Match, removed: boolean, context: RpcContext): readonly unknown[] {
  if (!mayMatch(envelope.header.logsBloom, filter, context.crypto)) return []
  const found: unknown[] = []
  let logIndex = 0
  for (const [txIndex, { txHash, logs }] of (context.chain.store.receipts(envelope.hash) ?? []).entries())
    for (const log of logs) {
      if (matchesLog(log, filter)) found.push(renderLog(log, { envelope, txHash, txIndex, logIndex, removed }, context))
      logIndex++
    }
  return found
}

function boundary(ref: LogFilter['fromBlock'], context: RpcContext): number {
  const wanted = ref ?? ({ kind: 'tag', tag: 'latest' } as const)
  return wanted.kind === 'number' ? wanted.number : (findBlock(wanted, context)?.header.number ?? 0)
}

/** Answer of eth_getLogs. @throws {RpcError} for an impossible or too large range */
export async function queryLogs(filter: LogFilter, context: RpcContext): Promise<readonly unknown[]> {
  const { chain } = context
  if (typeof filter.blockHash === 'string') {
    const envelope = chain.envelope(filter.blockHash)
    if (envelope === null) throw serverError('unknown block')
    return logsOfBlock(envelope, filter, false, context)
  }
  const from = boundary(filter.fromBlock, context)
  const to = boundary(filter.toBlock, context)
  const head = chain.head().header.number
  if (from > to) throw new RpcError(INVALID_PARAMS, 'invalid block range params')
  if (from > head || to > head) throw new RpcError(INVALID_PARAMS, 'block range extends beyond current head block')
  if (to - from >= RANGE_BLOCKS_MAX)
    throw new RpcError(LIMIT_EXCEEDED, `query spans ${to - from + 1} blocks, at most ${RANGE_BLOCKS_MAX}; narrow fromBlock and toBlock`)
  const found: unknown[] = []
  for (let height = from; height <= to; height++) {
    if ((height - from) % BLOCKS_PER_TURN === BLOCKS_PER_TURN - 1) await breathe()
    const envelope = findBlock({ kind: 'number', number: height }, context)
    if (envelope === null) continue
    found.push(...logsOfBlock(envelope, filter, false, context))
    if (found.length > RESULTS_MAX)
      throw new RpcError(LIMIT_EXCEEDED, `query returned more than ${RESULTS_MAX} results; try the range ${from} to ${height - 1}`)
  }
  return found
}
