/** Both stores keep the same contract, and LMDB keeps it across processes. @module */
import { openChainStore } from '#node/store/chain-store.ts'
import type { KeyValue } from '#node/store/key-value.ts'
import { openLmdb } from '#node/store/lmdb.ts'
import { openMemory } from '#node/store/memory.ts'
import type { BlockCommit, ChainStore } from '#node/store/types.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import { utf8ToBytes } from '#shared/bytes.ts'
import { GENESIS_HASH, hashOf, makeCommit } from '#test/unit/store/blocks.ts'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'

const directories: string[] = []
const databases: KeyValue[] = []

function temporaryDirectory(): string {
  const directory = mkdtempSync(path.join(tmpdir(), 'fusion-store-'))
  directories.push(directory)
  return directory
}

afterEach(async () => {
  for (const database of databases.splice(0)) await database.close()
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

const OPENERS: Readonly<Record<string, () => KeyValue>> = {
  memory: openMemory,
  lmdb: () => openLmdb(temporaryDirectory()),
}

const genesis = makeCommit(null, 0, [])

async function withChain(database: KeyValue, ...commits: readonly BlockCommit[]): Promise<ChainStore> {
  databases.push(database)
  const store = openChainStore(database)
  await store.initialise(genesis)
  for (const commit of commits) await store.putBlock(commit)
  return store
}

describe.each(Object.entries(OPENERS))('the %s store', (_, open) => {
  it('gives a block back as it was put', async () => {
    const one = makeCommit(genesis.envelope, 1, ['first', 'second'])
    const store = await withChain(open(), one)
    expect(store.block(one.envelope.hash)).toEqual({ envelope: one.envelope, txs: one.txs, receipts: one.receipts })
    const [item] = one.packages
    expect(store.packageHashes(one.envelope.hash)).toEqual([item?.hash, null])
    expect(store.package(item?.hash ?? '0x')).toEqual(item)
    expect(store.nodes.get(hashOf('node 1'))).toEqual(utf8ToBytes('node 1'))
    expect(store.nodes.get(hashOf('absent'))).toBeUndefined()
    expect(store.block(hashOf('absent'))).toBeNull()
  })

  it('does not make a stored block canonical before the head moves', async () => {
    const one = makeCommit(genesis.envelope, 1, ['first'])
    const store = await withChain(open(), one)
    expect(store.hashByNumber(1)).toBeNull()
    expect(store.transactionPlace(hashOf('first'))).toBeNull()
    expect(await store.moveHead(one.envelope.hash)).toEqual({ reverted: [], applied: [one.envelope.hash] })
    expect(store.hashByNumber(1)).toBe(one.envelope.hash)
    expect(store.transactionPlace(hashOf('first'))).toEqual({ blockHash: one.envelope.hash, index: 0 })
    expect(store.pointers()?.head).toBe(one.envelope.hash)
  })

  it('moves numbers and transactions to the other branch in a reorganisation', async () => {
    const left1 = makeCommit(genesis.envelope, 1, ['a', 'b'])
    const left2 = makeCommit(left1.envelope, 2, ['c'])
    const right1 = makeCommit(genesis.envelope, 3, ['b', 'd'])
    const store = await withChain(open(), left1, left2, right1)
    await store.moveHead(left2.envelope.hash)
    expect(await store.moveHead(right1.envelope.hash)).toEqual({
      reverted: [left1.envelope.hash, left2.envelope.hash],
      applied: [right1.envelope.hash],
    })
    expect(store.hashByNumber(1)).toBe(right1.envelope.hash)
    expect(store.hashByNumber(2)).toBeNull()
    expect(store.transactionPlace(hashOf('a'))).toBeNull()
    expect(store.transactionPlace(hashOf('b'))).toEqual({ blockHash: right1.envelope.hash, index: 0 })
    expect(store.transactionPlace(hashOf('d'))).toEqual({ blockHash: right1.envelope.hash, index: 1 })
  })

  it('drops the bodies of orphans when their height is final and keeps every state node', async () => {
    const kept = makeCommit(genesis.envelope, 1, ['a'])
    const orphan = makeCommit(genesis.envelope, 2, ['b'])
    const above = makeCommit(kept.envelope, 3, ['c'])
    const store = await withChain(open(), kept, orphan, above)
    await store.moveHead(above.envelope.hash)
    await store.setFinalized({ slot: 5, blockHash: kept.envelope.hash }, [])
    expect(store.block(orphan.envelope.hash)).toBeNull()
    expect(store.package(orphan.packages[0]?.hash ?? '0x')).toBeNull()
    expect(store.nodes.get(hashOf('node 2'))).toEqual(utf8ToBytes('node 2'))
    expect(store.hashesAt(1)).toEqual([kept.envelope.hash])
    expect(store.block(kept.envelope.hash)?.txs).toEqual(kept.txs)
    expect(store.pointers()?.finalized).toEqual({ slot: 5, blockHash: kept.envelope.hash })
  })

  it('keeps the votes of a final checkpoint and evidence', async () => {
    const one = makeCommit(genesis.envelope, 1, [])
    const store = await withChain(open(), one)
    const source = { slot: 0, blockHash: genesis.envelope.hash }
    const vote = {
      source,
      target: { slot: 2, blockHash: one.envelope.hash },
      voter: `0x${'01'.repeat(20)}`,
      signature: `0x${'02'.repeat(64)}`,
    } as const
    await store.moveHead(one.envelope.hash)
    await store.setFinalized({ slot: 2, blockHash: one.envelope.hash }, [vote])
    expect(store.finalityVotes(one.envelope.hash)).toEqual([vote])
    expect(store.finalityVotes(genesis.envelope.hash)).toBeNull()
    const evidence = { offence: 'DOUBLE_VOTE', offender: vote.voter, first: utf8ToBytes('one'), second: utf8ToBytes('two') } as const
    await store.putEvidence(evidence)
    await store.putEvidence(evidence)
    expect(store.evidence()).toEqual([evidence])
  })

  it('names both versions when another schema wrote the data', async () => {
    const database = open()
    databases.push(database)
    await database.write([{ key: utf8ToBytes('m'), value: encodeRlp([7, GENESIS_HASH]) }])
    expect(() => openChainStore(database)).toThrow(/STORE_VERSION.*version 7.*version 1/)
  })

  it('refuses to open when the head block is missing', async () => {
    const database = open()
    await withChain(database)
    await database.write([
      { key: Uint8Array.from([...utf8ToBytes('b'), ...Buffer.from(genesis.envelope.hash.slice(2), 'hex')]), value: null },
    ])
    expect(() => openChainStore(database)).toThrow(/STORE_DAMAGED/)
  })

  it('lists keys of one prefix in byte order', async () => {
    const database = open()
    databases.push(database)
    const keys = [Uint8Array.of(5, 255), Uint8Array.of(5), Uint8Array.of(6), Uint8Array.of(5, 0, 1), Uint8Array.of(4, 255)]
    await database.write(keys.map((key) => ({ key, value: key })))
    expect([...database.range(Uint8Array.of(5))].map(([key]) => [...key])).toEqual([[5], [5, 0, 1], [5, 255]])
  })
})

const WRITER = `
import { openLmdb } from '#node/store/lmdb.ts'
import { openChainStore } from '#node/store/chain-store.ts'
import { makeCommit } from '#test/unit/store/blocks.ts'
const store = openChainStore(openLmdb(process.argv[1]))
let last = makeCommit(null, 0, [])
await store.initialise(last)
process.stdout.write('ready')
for (let slot = 1; ; slot++) {
  const next = makeCommit(last.envelope, slot, Array.from({ length: 50 }, (_, index) => 'tx ' + slot + ' ' + index))
  await store.putBlock(next)
  await store.moveHead(next.envelope.hash)
  last = next
}
`

describe('an LMDB store whose process is killed while it writes', () => {
  it.each([40, 90, 160])('opens consistently after SIGKILL at %d ms', async (delayMs) => {
    const directory = temporaryDirectory()
    const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, directory], { stdio: ['ignore', 'pipe', 'inherit'] })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    await new Promise((resolve) => setTimeout(resolve, delayMs))
    const exited = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGKILL')
    await exited
    const database = openLmdb(directory)
    databases.push(database)
    const store = openChainStore(database)
    const head = store.block(store.pointers()?.head ?? '0x')
    const number = head?.envelope.header.number ?? -1
    expect(number).toBeGreaterThanOrEqual(0)
    expect(store.hashByNumber(number + 1)).toBeNull()
    for (let height = 1; height <= number; height++) {
      const hash = store.hashByNumber(height) ?? '0x'
      expect(store.block(hash)?.txs).toHaveLength(50)
      expect(store.transactionPlace(hashOf(`tx ${height} 49`))).toEqual({ blockHash: hash, index: 49 })
      expect(store.nodes.get(hashOf(`node ${height}`))).toBeDefined()
    }
  })
})
