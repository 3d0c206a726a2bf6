/** Filters and subscriptions across a reorganisation, tags, log ranges, and the `fusion_` methods. @module */
import { bytesToHex } from '#shared/bytes.ts'
import { groupsOf } from '#shared/hhcm/duties.ts'
import { laneOf } from '#shared/hhcm/lanes.ts'
import type { BlockEnvelope } from '#shared/hhcm/types.ts'
import type { DevChain } from '#test/unit/rpc/dev-chain.ts'
import { startDevChain } from '#test/unit/rpc/dev-chain.ts'
import { addressOf, signed } from '#test/unit/pool/fake-chain.ts'
import { trigger } from '#test/unit/pool/native.ts'
import { AUTHOR, GENESIS_HASH, hashOf } from '#test/unit/store/blocks.ts'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

// Signatures and child processes on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

let node: DevChain
beforeEach(async () => {
  node = await startDevChain()
})
afterEach(() => node.close())

async function rpc<Result = unknown>(method: string, ...params: readonly unknown[]): Promise<Result> {
  const text = await node.dispatch(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }), null)
  const answer = JSON.parse(text ?? '{}') as { result: Result; error?: { message: string } }
  if (answer.error !== undefined) throw new Error(answer.error.message)
  return answer.result
}

/** A block with one trigger, hence one log with the entry as topic. */
async function sealTrigger(text: string, parent?: BlockEnvelope, slot?: number): Promise<BlockEnvelope> {
  await node.pool.add(await trigger(0, { occurrence: hashOf(text) }), 'local')
  return node.seal(parent, slot)
}

type RpcLog = Readonly<{ blockHash: string; removed: boolean; logIndex: string }>

describe('filters', () => {
  it('tell once about each new block, log and transaction', async () => {
    const [blocks, logs, pending] = await Promise.all([
      rpc<string>('eth_newBlockFilter'),
      rpc<string>('eth_newFilter', { topics: [hashOf('entry')] }),
      rpc<string>('eth_newPendingTransactionFilter'),
    ])
    const raw = await trigger(0, { occurrence: hashOf('one') })
    const added = await node.pool.add(raw, 'local')
    const one = await node.seal()
    const two = await node.seal()
    expect(await rpc('eth_getFilterChanges', blocks)).toEqual([one.hash, two.hash])
    expect((await rpc<RpcLog[]>('eth_getFilterChanges', logs)).map(({ blockHash }) => blockHash)).toEqual([one.hash])
    expect(await rpc('eth_getFilterChanges', pending)).toEqual([(added as { hash: string }).hash])
    for (const id of [blocks, logs, pending]) expect(await rpc('eth_getFilterChanges', id)).toEqual([])
    expect((await rpc<RpcLog[]>('eth_getFilterLogs', logs)).length).toBe(0)
    expect(await rpc('eth_uninstallFilter', logs)).toBe(true)
    expect(await rpc('eth_uninstallFilter', logs)).toBe(false)
    await expect(rpc('eth_getFilterChanges', logs)).rejects.toThrow('filter not found')
  })

  it('say which logs a reorganisation removed', async () => {
    const genesis = node.chain.head()
    const id = await rpc<string>('eth_newFilter', {})
    const left = await sealTrigger('left')
    const right = await sealTrigger('right', genesis, 5)
    expect((await rpc<RpcLog[]>('eth_getFilterChanges', id)).map(({ blockHash, removed }) => [blockHash, removed])).toEqual([
      [left.hash, false],
      [left.hash, true],
      [right.hash, false],
    ])
    expect((await rpc<RpcLog[]>('eth_getLogs', { fromBlock: '0x0' })).map(({ blockHash }) => blockHash)).toEqual([right.hash])
  })

  it('keep to their range of blocks', async () => {
    const id = await rpc<string>('eth_newFilter', { fromBlock: '0x1', toBlock: '0x1' })
    const one = await sealTrigger('one')
    await sealTrigger('two')
    expect((await rpc<RpcLog[]>('eth_getFilterChanges', id)).map(({ blockHash }) => blockHash)).toEqual([one.hash])
  })

  it('match topics by position, sets and wildcards', async () => {
    await sealTrigger('one')
    const count = async (filter: unknown): Promise<number> =>
      (await rpc<RpcLog[]>('eth_getLogs', { fromBlock: '0x0', ...(filter as object) })).length
    const entry = hashOf('entry')
    const other = hashOf('other')
    expect(
      await Promise.all([{}, { topics: [] }, { topics: [null] }, { topics: [entry] }, { topics: [[other, entry]] }].map(count)),
    ).toEqual([1, 1, 1, 1, 1])
    expect(
      await Promise.all(
        [{ topics: [other] }, { topics: [entry, null] }, { address: AUTHOR }, { address: [], topics: [[other]] }].map(count),
      ),
    ).toEqual([0, 0, 0, 0])
    expect(await count({ address: [AUTHOR, `0x${'46'.repeat(20)}`] })).toBe(1)
  })
})

describe('tags', () => {
  it('name head, justified and final block, and the reorganised block stays readable by hash', async () => {
    const genesis = node.chain.head()
    const one = await node.seal()
    await node.finalize(one)
    const two = await node.seal()
    const number = async (tag: string): Promise<string> => (await rpc<{ number: string }>('eth_getBlockByNumber', tag, false)).number
    expect(await Promise.all(['earliest', 'finalized', 'safe', 'latest', 'pending'].map(number))).toEqual([
      '0x0',
      '0x1',
      '0x1',
      '0x2',
      '0x3',
    ])
    expect(await rpc('fusion_finality')).toMatchObject({
      head: { number: 2, hash: two.hash },
      safe: { number: 1, hash: one.hash },
      finalized: { number: 1, hash: one.hash, slot: 1 },
    })
    const side = await node.seal(one, 7)
    await expect(rpc('eth_getBalance', AUTHOR, { blockHash: two.hash, requireCanonical: true })).rejects.toThrow('not currently canonical')
    expect(await rpc('eth_getBalance', AUTHOR, { blockHash: two.hash })).toMatch(/^0x/)
    expect((await rpc<{ hash: string }>('eth_getBlockByNumber', '0x2', false)).hash).toBe(side.hash)
    expect(genesis.header.number).toBe(0)
  })
})

describe('a transfer', () => {
  it('is found by hash, by place in its block, and in block receipts', async () => {
    const raw = await signed(0, { nonce: 0 })
    const { hash } = (await node.pool.add(raw, 'local')) as { hash: string }
    const block = await node.seal()
    const byHash = await rpc<{ blockHash: string }>('eth_getTransactionByHash', hash)
    expect(byHash.blockHash).toBe(block.hash)
    expect(await rpc('eth_getTransactionByBlockHashAndIndex', block.hash, '0x0')).toEqual(byHash)
    expect(await rpc('eth_getTransactionByBlockNumberAndIndex', 'latest', '0x0')).toEqual(byHash)
    expect(await rpc('eth_getTransactionByBlockNumberAndIndex', 'latest', '0x1')).toBeNull()
    expect(await rpc('eth_getBlockTransactionCountByNumber', '0x1')).toBe('0x1')
    expect(await rpc('eth_getBlockReceipts', block.hash)).toEqual([await rpc('eth_getTransactionReceipt', hash)])
    expect(await rpc('debug_getRawTransaction', hash)).toBe(bytesToHex(raw))
  })
})

describe('fusion methods', () => {
  it('describe the chain and its validators', async () => {
    expect(await rpc('fusion_meta')).toMatchObject({
      chainId: 81920,
      genesisHash: GENESIS_HASH,
      slotMs: 1500,
      laneCount: 2,
      validators: [{ address: AUTHOR, stakeWei: '1000000000000000000' }],
    })
  })
  it('give groups of the next slot, lanes and packages of a block', async () => {
    const raw = await signed(0, { nonce: 0 })
    const { randomness } = node.chain.head().header
    const lane = laneOf(randomness, { kind: 'sender', sender: addressOf(0) }, 2)
    expect(await rpc('fusion_laneOf', bytesToHex(raw))).toMatchObject({ lane, laneCount: 2 })
    const groups = await rpc<{ slot: number; lanes: { members: string[] }[] }>('fusion_groups', 'latest')
    expect(groups.slot).toBe(1)
    expect(groups.lanes.map(({ members }) => members)).toEqual(groupsOf(randomness, 1, 2).map((members) => members.map(() => AUTHOR)))
    await node.pool.add(raw, 'local')
    const block = await node.seal()
    const packages = await rpc<{ lanes: { hash: string; txCount: number }[] }>('fusion_blockPackages', block.hash)
    expect(packages.lanes.map(({ txCount }) => txCount)).toEqual(lane === 0 ? [1, 0] : [0, 1])
    const found = await rpc<{ txs: string[]; author: string }>('fusion_package', packages.lanes[lane]?.hash)
    expect([found.txs, found.author]).toEqual([[bytesToHex(raw)], AUTHOR])
    expect(await rpc('fusion_package', hashOf('unknown'))).toBeNull()
  })
  it('list evidence', async () => {
    const evidence = { offence: 'DOUBLE_VOTE', offender: AUTHOR, first: Uint8Array.of(1), second: Uint8Array.of(2) } as const
    await node.chain.putEvidence(evidence)
    expect(await rpc('fusion_evidence')).toEqual([{ offence: 'DOUBLE_VOTE', offender: AUTHOR, first: '0x01', second: '0x02' }])
  })
  it('pass pages and pinned blocks to the native reads', async () => {
    const block = await node.seal()
    expect(await rpc('fusion_callingList', { after: 5, limit: 10 })).toEqual({ total: 0, items: [], after: 5, limit: 10 })
    expect(await rpc('fusion_callingList')).toMatchObject({ after: 0, limit: 500 })
    expect(await rpc('fusion_feedHistory', { feed: hashOf('f'), after: '7', limit: 3 }, 'latest')).toEqual({
      feed: hashOf('f'),
      after: '7',
      limit: 3,
    })
    expect(await rpc('fusion_read', { kind: 'feedHistory' }, block.hash)).toEqual({ key: { kind: 'feedHistory' }, number: 1 })
    await expect(rpc('fusion_read', {}, hashOf('unknown'))).rejects.toThrow('header for hash not found')
  })
})
