/** Limits of log queries and filters. @module */
import type { RpcContext } from '#node/rpc/context.ts'
import { filterMethods } from '#node/rpc/filter-methods.ts'
import { queryLogs } from '#node/rpc/logs.ts'
import { logFilter } from '#node/rpc/params.ts'
import { RpcError } from '#shared/api/json-rpc.ts'
import { logsBloom } from '#shared/chain/receipt.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { AUTHOR, hashOf, makeEnvelope, makeReceipt } from '#test/unit/store/blocks.ts'
import { afterEach, describe, expect, it, vi } from 'vitest'

const log = { address: AUTHOR, topics: [hashOf('topic')], data: new Uint8Array(0) }
const block = makeEnvelope(null, { slot: 0 })

/** A chain of `height` equal blocks with `logCount` logs each; `receiptReads` counts looks behind the bloom. */
function contextOf(height: number, logCount: number, bloom = logsBloom([log], nobleSuite.keccak256)) {
  const at = (number: number) => ({ ...block, header: { ...block.header, number, logsBloom: bloom } })
  const counter = { receiptReads: 0 }
  const context = {
    chain: {
      head: () => at(height),
      hashByNumber: (number: number) => hashOf(String(number)),
      envelope: () => at(0),
      slotTimeMs: () => 0,
      store: {
        receipts: () => {
          counter.receiptReads++
          return [makeReceipt(hashOf('tx'), { logs: Array.from({ length: logCount }, () => log) })]
        },
      },
    },
    crypto: nobleSuite,
    feed: { position: () => 0, since: () => [] },
  } as unknown as RpcContext
  return { context, counter }
}

const query = (filter: unknown, context: RpcContext) => queryLogs(logFilter.parse(filter), context)

describe('a log query', () => {
  it('over more than 10,000 blocks is refused and says so', async () => {
    const { context } = contextOf(20_000, 0)
    await expect(query({ fromBlock: '0x1', toBlock: '0x2711' }, context)).rejects.toMatchObject({
      code: -32005,
      message: /spans 10001 blocks/,
    })
    await expect(query({ fromBlock: '0x1', toBlock: '0x2710' }, context)).resolves.toEqual([])
  })
  it('with more than 10,000 results is refused and names a range that fits', async () => {
    const { context } = contextOf(10, 4000)
    await expect(query({ fromBlock: '0x1', toBlock: '0x3' }, context)).rejects.toMatchObject({
      code: -32005,
      message: /try the range 1 to 2/,
    })
    await expect(query({ fromBlock: '0x1', toBlock: '0x2' }, context)).resolves.toHaveLength(8000)
  })
  it('does not read blocks whose bloom excludes address or topic', async () => {
    const { context, counter } = contextOf(10, 1)
    expect(await query({ fromBlock: '0x0', topics: [hashOf('absent')] }, context)).toEqual([])
    expect(await query({ fromBlock: '0x0', address: `0x${'0f'.repeat(20)}` }, context)).toEqual([])
    expect(counter.receiptReads).toBe(0)
    expect(await query({ fromBlock: '0x0', topics: [hashOf('topic')], address: AUTHOR }, context)).toHaveLength(11)
  })
})

describe('filters', () => {
  const methods = filterMethods()
  const run = (name: string, ...params: readonly unknown[]): unknown => methods[name]?.(params, contextOf(1, 0).context, null)
  afterEach(() => vi.useRealTimers())

  it('are limited in number, and forgotten when nobody polls them for five minutes', () => {
    vi.useFakeTimers({ now: 0 })
    const first = run('eth_newBlockFilter')
    for (let index = 1; index < 4096; index++) run('eth_newBlockFilter')
    expect(() => run('eth_newBlockFilter')).toThrow(RpcError)
    vi.setSystemTime(4 * 60_000)
    expect(run('eth_getFilterChanges', first)).toEqual([])
    vi.setSystemTime(6 * 60_000)
    expect(run('eth_newBlockFilter')).toMatch(/^0x/)
    expect(run('eth_getFilterChanges', first)).toEqual([])
    vi.setSystemTime(12 * 60_000)
    run('eth_newBlockFilter')
    expect(() => run('eth_getFilterChanges', first)).toThrow('filter not found')
  })
})
