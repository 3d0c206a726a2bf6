/** A validator's JSON-RPC as the edge sees it, in memory: what the tests put in is what it answers, and it keeps what it was sent. @module */
import type { SourceSetJson, FeedReportJson } from '#shared/api/chain-reads.ts'
import { entryToJson } from '#shared/api/entry.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { feedId, sourceSetId } from '#shared/oracle/ids.ts'
import type { Entry } from '#shared/trigger/types.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { keccak256, toHex } from 'viem'

export const GENESIS: Hash = `0x${'11'.repeat(32)}`
export const CHAIN_ID = 81920
export const SLOT_MS = 1500
/** Rounds are long here, so that a loaded machine finishes inside one. */
export const ROUND_MS = 4000

export type FakeBlock = { number: number; hash: Hash; parentHash: Hash; slot: number; transactions: Hash[] }
export type FakeLog = {
  address: Address
  topics: Hash[]
  data: Hex
  blockNumber: number
  blockHash: Hash
  transactionHash: Hash
  logIndex: number
}
type RpcFailure = { code: number; message: string; data?: unknown }

/** Thrown by a handler to answer with a JSON-RPC error. */
export class Refusal extends Error {
  readonly failure: RpcFailure

  constructor(code: number, message: string, data?: unknown) {
    super(message)
    this.failure = { code, message, data }
  }
}

export class FakeChain {
  readonly genesisTimeMs: number
  readonly blocks: FakeBlock[] = []
  readonly logs: FakeLog[] = []
  readonly entries = new Map<Hash, Entry>()
  readonly sets: SourceSetJson[] = []
  readonly reports = new Map<Hash, FeedReportJson[]>()
  readonly receipts = new Map<Hash, unknown>()
  readonly sent: Hex[] = []
  readonly reads = new Map<string, unknown>()
  readonly others = new Map<string, (url: string) => Response | Promise<Response>>()
  readonly calls = new Map<string, number>()
  finalized = 0
  isAway = false
  sendError: RpcFailure | null = null
  ethCall: (request: { to: Address; data: Hex; from?: Address }) => Hex = () => toHex(0n, { size: 32 })
  estimate: () => Hex = () => '0x30d40'

  constructor(nowMs: number) {
    this.genesisTimeMs = nowMs - 100 * SLOT_MS
    this.addBlock([], 99)
  }

  get head(): FakeBlock {
    const head = this.blocks.at(-1)
    if (head === undefined) throw new Error('the chain has a block')
    return head
  }

  addBlock(transactions: Hash[] = [], slot = this.head.slot + 1, salt = ''): FakeBlock {
    const number = this.blocks.length
    const parentHash = this.blocks.at(-1)?.hash ?? GENESIS
    const block = { number, hash: keccak256(toHex(`${number}/${parentHash}/${salt}`)), parentHash, slot, transactions }
    this.blocks.push(block)
    return block
  }

  /** Drops blocks from a height up, with their logs. */
  cut(height: number): void {
    this.blocks.length = height
    const kept = this.logs.filter((log) => log.blockNumber < height)
    this.logs.length = 0
    this.logs.push(...kept)
  }

  addSet(
    owner: Address,
    name: string,
    kind: 'provider' | 'reporter',
    members: Address[],
    feeds: readonly { name: string; decimals: number }[],
  ) {
    const id = sourceSetId(owner, name, nobleSuite)
    const shard = feeds
      .map((feed) => ({ ...feed, id: feedId(id, feed.name, nobleSuite) }))
      .sort((left, right) => (left.id < right.id ? -1 : 1))
    const set: SourceSetJson = {
      id,
      name,
      kind,
      owner,
      members: [...members].sort((left, right) => (left < right ? -1 : 1)),
      roundMs: ROUND_MS,
      fundingWei: '1000000000000000000',
      shards: kind === 'provider' ? [shard] : [],
    }
    this.sets.push(set)
    return set
  }

  timeMs(slot: number): number {
    return this.genesisTimeMs + slot * SLOT_MS
  }

  readonly fetch = async (input: RequestInfo | URL, init?: RequestInit): Promise<Response> => {
    const request = new Request(input, init)
    const other = this.others.get(new URL(request.url).host)
    if (other !== undefined) return other(request.url)
    if (this.isAway) throw new TypeError('network connection lost')
    const { id, method, params } = (await request.json()) as { id: number; method: string; params: unknown[] }
    this.calls.set(method, (this.calls.get(method) ?? 0) + 1)
    try {
      return Response.json({ jsonrpc: '2.0', id, result: this.#answer(method, params) })
    } catch (error) {
      const failure = error instanceof Refusal ? error.failure : { code: -32603, message: String(error) }
      return Response.json({ jsonrpc: '2.0', id, error: failure })
    }
  }

  #answer(method: string, params: unknown[]): unknown {
    switch (method) {
      case 'fusion_meta':
        return { chainId: CHAIN_ID, genesisHash: GENESIS, genesisTimeMs: this.genesisTimeMs, slotMs: SLOT_MS, blockGasLimit: '15000000' }
      case 'fusion_finality': {
        const point = (block: FakeBlock | undefined) => ({ number: block?.number ?? 0, hash: block?.hash ?? GENESIS })
        return { head: point(this.head), safe: point(this.blocks[this.finalized]), finalized: point(this.blocks[this.finalized]) }
      }
      case 'eth_getBlockByNumber':
        return this.#block(Number(params[0]))
      case 'eth_getLogs':
        return this.#logs(params[0] as { fromBlock: Hex; toBlock: Hex; address: Address[] })
      case 'fusion_sourceSets':
        return this.sets
      case 'fusion_feed':
        return this.#feed(params[0] as Hash)
      case 'fusion_feedHistory':
        return this.#history(params[0] as { feed: Hash; after: string; limit: number })
      case 'fusion_callingList':
        return { total: this.entries.size, items: [...this.entries.values()].map((entry) => entryToJson(entry)) }
      case 'fusion_entry': {
        const entry = this.entries.get(params[0] as Hash)
        return entry === undefined ? null : entryToJson(entry)
      }
      case 'fusion_explain':
        return null
      case 'fusion_read':
        return this.reads.get(JSON.stringify(params[0])) ?? this.reads.get((params[0] as { kind: string }).kind)
      default:
        return this.#ethereum(method, params)
    }
  }

  #ethereum(method: string, params: unknown[]): unknown {
    switch (method) {
      case 'eth_call':
        return this.ethCall(params[0] as { to: Address; data: Hex })
      case 'eth_estimateGas':
        return this.estimate()
      case 'eth_getBalance':
        return '0xde0b6b3a7640000'
      case 'eth_getTransactionCount':
        return '0x7'
      case 'eth_getTransactionReceipt':
        return this.receipts.get(params[0] as Hash) ?? null
      case 'eth_sendRawTransaction': {
        if (this.sendError !== null) throw new Refusal(this.sendError.code, this.sendError.message)
        const raw = params[0] as Hex
        if (!this.sent.includes(raw)) this.sent.push(raw)
        return keccak256(raw)
      }
      default:
        throw new Refusal(-32601, `the method ${method} does not exist`)
    }
  }

  #block(number: number): unknown {
    const block = this.blocks[number]
    if (block === undefined) return null
    return {
      number: toHex(block.number),
      hash: block.hash,
      parentHash: block.parentHash,
      timestamp: toHex(Math.floor(this.timeMs(block.slot) / 1000)),
      gasUsed: '0x0',
      gasLimit: '0xe4e1c0',
      triggerGasUsed: '0x0',
      baseFeePerGas: '0x3b9aca00',
      transactions: block.transactions,
      slot: toHex(block.slot),
      triggerBaseFeeWei: '0x3b9aca00',
    }
  }

  #logs({ fromBlock, toBlock, address }: { fromBlock: Hex; toBlock: Hex; address: Address[] }): unknown {
    return this.logs
      .filter((log) => log.blockNumber >= Number(fromBlock) && log.blockNumber <= Number(toBlock) && address.includes(log.address))
      .map((log) => ({ ...log, blockNumber: toHex(log.blockNumber), logIndex: toHex(log.logIndex) }))
  }

  #feed(id: Hash): unknown {
    for (const set of this.sets)
      for (const [shard, feeds] of set.shards.entries()) {
        const feed = feeds.find((one) => one.id === id)
        if (feed !== undefined) return { ...feed, sourceSet: set.id, shard, latest: this.reports.get(id)?.at(-1) ?? null }
      }
    return null
  }

  #history({ feed, after, limit }: { feed: Hash; after: string; limit: number }): unknown {
    return (this.reports.get(feed) ?? []).filter(({ sequence }) => BigInt(sequence) > BigInt(after)).slice(0, limit)
  }
}
