/** Execution bookkeeping, heads, reorganisations and restarts of the chain, over an executor that counts its runs. @module */
import { createChain } from '#node/chain.ts'
import type { Chain, StateReader } from '#node/chain.ts'
import type { Execution, Executor } from '#node/evm/types.ts'
import { createHeadFeed } from '#node/rpc/head-feed.ts'
import { openChainStore } from '#node/store/chain-store.ts'
import type { KeyValue } from '#node/store/key-value.ts'
import { openMemory } from '#node/store/memory.ts'
import { utf8ToBytes } from '#shared/bytes.ts'
import { executionInput } from '#shared/hhcm/execution.ts'
import type { BlockEnvelope, ExecutionInput } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'
import { EMPTY_ROOTS, GENESIS_HASH, hashOf, makeEnvelope, makePackage, makeReceipt } from '#test/unit/store/blocks.ts'
import { describe, expect, it } from 'vitest'

const genesis = { envelope: makeEnvelope(null, { slot: 0 }), nodes: new Map([[hashOf('genesis node'), utf8ToBytes('genesis node')]]) }
const noState: StateReader = {
  view: (root) => ({ root, account: () => null, code: () => new Uint8Array(0), storage: () => hashOf('zero') }),
  proof: () => ({ account: [], slots: [] }),
}

/** The state root is a hash over the parent's and the texts of the input: different content, different root. */
function stateRootOf(parentRoot: Hash, input: ExecutionInput): Hash {
  const texts = input.packages.flatMap((item) => item?.txs ?? []).map((raw) => Buffer.from(raw).toString())
  return hashOf([parentRoot, input.slot, ...texts].join('|'))
}

function countingExecutor(): Executor & { runs: number; running: number; overlapped: boolean } {
  const executor = {
    runs: 0,
    running: 0,
    overlapped: false,
    execute: async (parent: { stateRoot: Hash }, input: ExecutionInput): Promise<Execution | { refusal: string }> => {
      executor.runs++
      executor.overlapped ||= executor.running > 0
      executor.running++
      await new Promise((resolve) => setTimeout(resolve, 1))
      executor.running--
      const txs = input.packages.flatMap((item) => item?.txs ?? [])
      const texts = txs.map((raw) => Buffer.from(raw).toString())
      if (texts.includes('refuse')) return { refusal: 'supply identity broken' }
      if (texts.includes('throw')) throw new Error('executor bug')
      const stateRoot = stateRootOf(parent.stateRoot, input)
      return {
        roots: { ...EMPTY_ROOTS, stateRoot },
        txs,
        receipts: texts.map((text) => makeReceipt(hashOf(text))),
        skipped: [],
        nodes: new Map([[stateRoot, utf8ToBytes(stateRoot)]]),
      }
    },
  }
  return executor
}

async function open(database: KeyValue = openMemory(), from = genesis) {
  const executor = countingExecutor()
  const store = openChainStore(database)
  const config = { chainId: 1, genesisHash: GENESIS_HASH, genesisTimeMs: 1000, slotMs: 1500 }
  const chain = await createChain({ store, executor, state: noState, config, genesis: from })
  return { chain, executor, store, database }
}

function nextBlock(
  parent: BlockEnvelope,
  slot: number,
  texts: readonly string[],
): Readonly<{ envelope: BlockEnvelope; input: ExecutionInput }> {
  const item = makePackage({ slot, lane: 0, parentHash: parent.hash, txs: texts.map(utf8ToBytes) })
  const draft = executionInput(makeEnvelope(parent, { slot, packages: [item, null] }), [item, null], parent.header.slot)
  const roots = { ...EMPTY_ROOTS, stateRoot: stateRootOf(parent.header.stateRoot, draft) }
  const envelope = makeEnvelope(parent, { slot, packages: [item, null], roots })
  return { envelope, input: executionInput(envelope, [item, null], parent.header.slot) }
}

async function extend(chain: Chain, parent: BlockEnvelope, slot: number, texts: readonly string[]): Promise<BlockEnvelope> {
  const { envelope, input } = nextBlock(parent, slot, texts)
  expect(await chain.executeBlock(envelope, input)).toBe(true)
  return envelope
}

describe('executing', () => {
  it('stores a block whose roots agree, and its state nodes with it', async () => {
    const { chain, store } = await open()
    const block = await extend(chain, genesis.envelope, 1, ['a'])
    expect(chain.block(block.hash)?.receipts.map(({ txHash }) => txHash)).toEqual([hashOf('a')])
    expect(store.nodes.get(block.header.stateRoot)).toBeDefined()
    expect(chain.head().hash).toBe(genesis.envelope.hash)
  })

  it.each(['stateRoot', 'txRoot', 'receiptsRoot'] as const)('refuses a block whose %s differs from the execution', async (field) => {
    const { chain } = await open()
    const { envelope, input } = nextBlock(genesis.envelope, 1, ['a'])
    const forged = { ...envelope, header: { ...envelope.header, [field]: hashOf('forged') } }
    expect(await chain.executeBlock(forged, input)).toBe(false)
    expect(chain.lastRefusal()).toContain(field)
    expect(chain.envelope(envelope.hash)).toBeNull()
  })

  it.each([
    ['gasUsed', 1n],
    ['gasLimit', 1n],
    ['baseFeeWei', 1n],
    ['triggerGasUsed', 1n],
    ['triggerBaseFeeWei', 1n],
    ['logsBloom', `0x${'ff'.repeat(256)}`],
  ] as const)('refuses a block whose %s differs', async (field, value) => {
    const { chain } = await open()
    const { envelope, input } = nextBlock(genesis.envelope, 1, [])
    expect(await chain.executeBlock({ ...envelope, header: { ...envelope.header, [field]: value } }, input)).toBe(false)
    expect(chain.lastRefusal()).toContain(field)
  })

  it('refuses a header that belongs to another input', async () => {
    const { chain } = await open()
    const { envelope, input } = nextBlock(genesis.envelope, 1, [])
    expect(await chain.executeBlock(envelope, { ...input, slot: 2 })).toBe(false)
    expect(await chain.executeBlock(envelope, { ...input, parentHash: hashOf('other') })).toBe(false)
  })

  it('passes the executor’s refusal on, and survives its bugs', async () => {
    const { chain } = await open()
    const { input } = nextBlock(genesis.envelope, 1, ['refuse'])
    expect(await chain.buildBlock(input)).toBeNull()
    expect(chain.lastRefusal()).toBe('supply identity broken')
    const broken = nextBlock(genesis.envelope, 1, ['throw'])
    await expect(chain.executeBlock(broken.envelope, broken.input)).rejects.toThrow('executor bug')
    await extend(chain, genesis.envelope, 1, ['fine'])
  })

  it('waits for no parent it does not have', async () => {
    const { chain, executor } = await open()
    const orphan = nextBlock({ ...genesis.envelope, hash: hashOf('unknown') }, 1, [])
    expect(await chain.executeBlock(orphan.envelope, orphan.input)).toBe(false)
    expect(executor.runs).toBe(0)
  })

  it('uses the result of building again for the same block, and runs one at a time', async () => {
    const { chain, executor } = await open()
    const own = nextBlock(genesis.envelope, 1, ['a'])
    const other = nextBlock(genesis.envelope, 1, ['b'])
    const [roots, stored] = await Promise.all([chain.buildBlock(own.input), chain.executeBlock(other.envelope, other.input)])
    expect(roots?.stateRoot).toBe(own.envelope.header.stateRoot)
    expect(stored).toBe(true)
    expect(await chain.executeBlock(own.envelope, own.input)).toBe(true)
    expect(await chain.executeBlock(own.envelope, own.input)).toBe(true)
    expect([executor.runs, executor.overlapped]).toEqual([2, false])
  })
})

describe('the head', () => {
  it('moves with its index and says which blocks left', async () => {
    const { chain } = await open()
    const left1 = await extend(chain, genesis.envelope, 1, ['a'])
    const left2 = await extend(chain, left1, 2, ['b'])
    const right = await extend(chain, genesis.envelope, 3, ['c'])
    const changes: unknown[] = []
    chain.onChange(({ kind, block, reverted }) => changes.push([kind, block.hash, reverted]))
    await chain.setHead(left2.hash)
    await chain.setHead(right.hash)
    await chain.setHead(right.hash)
    expect(changes).toEqual([
      ['head', left2.hash, []],
      ['head', right.hash, [left1.hash, left2.hash]],
    ])
    expect([chain.hashByNumber(1), chain.hashByNumber(2)]).toEqual([right.hash, null])
  })

  it('is followed block by block by the feed, removed ones newest first', async () => {
    const { chain } = await open()
    const feed = createHeadFeed(chain)
    const left1 = await extend(chain, genesis.envelope, 1, ['a'])
    const left2 = await extend(chain, left1, 2, ['b'])
    const right1 = await extend(chain, genesis.envelope, 3, ['c'])
    const right2 = await extend(chain, right1, 4, ['d'])
    await chain.setHead(left2.hash)
    await chain.setHead(right2.hash)
    expect(feed.since(0).map(({ block, removed }) => [block.hash, removed])).toEqual([
      [left1.hash, false],
      [left2.hash, false],
      [left2.hash, true],
      [left1.hash, true],
      [right1.hash, false],
      [right2.hash, false],
    ])
    expect(feed.since(feed.position())).toEqual([])
  })
})

describe('a restart', () => {
  it('finds head, checkpoints, votes and every block above the final one', async () => {
    const first = await open()
    const one = await extend(first.chain, genesis.envelope, 1, ['a'])
    const two = await extend(first.chain, one, 2, ['b'])
    const fork = await extend(first.chain, one, 3, ['c'])
    await first.chain.setHead(two.hash)
    const vote = {
      source: { slot: 0, blockHash: genesis.envelope.hash },
      target: { slot: 1, blockHash: one.hash },
      voter: `0x${'01'.repeat(20)}`,
      signature: `0x${'02'.repeat(64)}`,
    } as const
    const proof = { ...vote, target: { slot: 2, blockHash: two.hash } }
    await first.chain.setJustified({ slot: 2, blockHash: two.hash }, [proof])
    await first.chain.setFinalized({ slot: 1, blockHash: one.hash }, [vote])
    await first.chain.close()
    const { chain } = await open(first.database)
    const { blocks, ...rest } = chain.restored()
    expect(rest).toEqual({
      head: two.hash,
      finalized: { slot: 1, blockHash: one.hash },
      justified: { slot: 2, blockHash: two.hash },
      votes: [vote, proof],
    })
    expect(blocks.map(({ hash }) => hash).toSorted()).toEqual([two.hash, fork.hash].toSorted())
    expect([chain.head().hash, chain.safe().hash, chain.finalized().hash]).toEqual([two.hash, two.hash, one.hash])
  })

  it('with another genesis is refused, naming both chains', async () => {
    const { database } = await open()
    const other = makeEnvelope(
      { ...genesis.envelope, hash: hashOf('other genesis'), header: { ...genesis.envelope.header, number: -1 } },
      { slot: 0 },
    )
    await expect(open(database, { ...genesis, envelope: other })).rejects.toThrow(
      new RegExp(`STORE_OTHER_CHAIN.*${GENESIS_HASH}.*${hashOf('other genesis')}`),
    )
  })

  it('of the same network with other contracts in block 0 is refused, naming both blocks and the way out', async () => {
    const { database } = await open()
    const other = { ...genesis.envelope, hash: hashOf('other contracts') }
    await expect(open(database, { ...genesis, envelope: other })).rejects.toThrow(
      new RegExp(`STORE_OTHER_RULES.*${genesis.envelope.hash}.*${hashOf('other contracts')}.*--fresh`),
    )
  })
})
