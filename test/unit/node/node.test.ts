/** Four nodes with the real machine, network, chain and driver in one process; only execution is a stand-in. @module */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { afterEach, describe, expect, it } from 'vitest'
import { createChain } from '#node/chain.ts'
import type { Chain } from '#node/chain.ts'
import { createConsensusKey } from '#node/consensus-key.ts'
import type { Executor } from '#node/evm/types.ts'
import { createKeys } from '#node/keys.ts'
import type { ValidatorKeys } from '#node/keys.ts'
import { startNode } from '#node/node.ts'
import type { RunningNode } from '#node/node.ts'
import type { Pool } from '#node/pool/pool.ts'
import { openChainStore } from '#node/store/chain-store.ts'
import type { KeyValue } from '#node/store/key-value.ts'
import { openMemory } from '#node/store/memory.ts'
import { openWal } from '#node/wal.ts'
import { bytesToHex, compareHex, concatBytes } from '#shared/bytes.ts'
import { EMPTY_TX_ROOT } from '#shared/hhcm/signing.ts'
import type { HhcmConfig } from '#shared/hhcm/types.ts'
import { EMPTY_ROOTS, GENESIS_HASH, makeEnvelope } from '#test/unit/store/blocks.ts'

const SLOT_MS = 700
const folder = mkdtempSync(join(tmpdir(), 'fusion-node-'))

type Running = Readonly<{ node: RunningNode; chain: Chain; send: (raw: Uint8Array) => void; warnings: string[]; fatal: unknown[] }>
const running: Running[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map(({ node }) => node.stop()))
  rmSync(folder, { recursive: true, force: true })
})

/** Roots that depend on the merged transactions and nothing else. */
const executor: Executor = {
  execute: async (_parent, input) => {
    const txs = input.packages.flatMap((item) => item?.txs ?? [])
    const txRoot = txs.length === 0 ? EMPTY_TX_ROOT : bytesToHex(keccak_256(concatBytes(...txs)))
    return { roots: { ...EMPTY_ROOTS, txRoot }, txs: [], receipts: [], skipped: [], nodes: new Map() }
  },
}

/** A pool that offers everything to every package of lane 0. */
function createFakePool() {
  const waiting: Uint8Array[] = []
  const listeners = new Set<Parameters<Pool['onAdded']>[0]>()
  const pool = {
    onAdded: (listener: Parameters<Pool['onAdded']>[0]) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    add: async (raw: Uint8Array) => {
      waiting.push(raw)
      return { hash: bytesToHex(keccak_256(raw)) }
    },
  }
  return { pool: pool as unknown as Pool, waiting, listeners }
}

type Setup = Readonly<{ config: HhcmConfig; keys: readonly ValidatorKeys[]; ports: number[] }>

function setup(): Setup {
  const keys = Array.from({ length: 4 }, createKeys).toSorted((left, right) => compareHex(left.address, right.address))
  const config: HhcmConfig = {
    chainId: 1,
    genesisHash: GENESIS_HASH,
    genesisTimeMs: Date.now() - 100,
    slotMs: SLOT_MS,
    laneCount: 2,
    powTries: 256,
    idleSlots: 0,
    validators: keys.map(({ address, consensusKey }) => ({ address, consensusKey, stakeWei: 100n })),
    self: null,
  }
  return { config, keys, ports: [] }
}

async function start({ config, keys, ports }: Setup, index: number, database: KeyValue = openMemory()): Promise<Running> {
  const own = keys[index]
  if (own === undefined) throw new Error('no such validator')
  const warnings: string[] = []
  const fatal: unknown[] = []
  const note = (event: string, fields?: unknown) => warnings.push(`${index} ${event} ${JSON.stringify(fields ?? '')}`)
  const chain = await createChain({
    store: openChainStore(database),
    executor,
    state: {
      view: () => {
        throw new Error('no state here')
      },
      proof: () => ({ account: [], slots: [] }),
    },
    config,
    genesis: { envelope: makeEnvelope(null, { slot: 0 }), nodes: new Map() },
  })
  const { pool, waiting, listeners } = createFakePool()
  const node = await startNode({
    config: { ...config, self: own.address },
    crypto: createConsensusKey(own.consensusSeed, { keccak256: keccak_256 }),
    chain,
    pool,
    packaging: { buildPackage: async (_parent, lane) => (lane === 0 ? [...waiting] : []), checkPackage: () => null },
    wal: openWal(join(folder, `wal-${index}`)),
    isWanted: async () => false,
    net: { listenHost: '127.0.0.1', listenPort: 0, peers: ports.map((port) => `/ip4/127.0.0.1/tcp/${port}`) },
    edges: [],
    log: { debug: () => undefined, info: () => undefined, warn: note, error: note, close: () => undefined },
    onFatal: (cause) => fatal.push(cause),
  })
  ports.push(Number(/tcp\/(\d+)/.exec(node.network.addresses()[0] ?? '')?.[1]))
  const send = (raw: Uint8Array) => {
    waiting.push(raw)
    for (const listener of listeners) listener(bytesToHex(keccak_256(raw)), raw, 'local')
  }
  const result = { node, chain, send, warnings, fatal }
  running.push(result)
  return result
}

async function until(condition: () => boolean, what: string, timeoutMs: number): Promise<void> {
  const deadline = Date.now() + timeoutMs
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}\n${running.flatMap(({ warnings }) => warnings).join('\n')}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

const agreeOn = (number: number): void => {
  expect(new Set(running.map(({ chain }) => chain.hashByNumber(number))).size).toBe(1)
}

describe('nodes in one process', () => {
  it('finalise one chain, gossip transactions, bring a late node up to it, and take up after a restart', async () => {
    const shared = setup()
    const [a, b, c] = [await start(shared, 0), await start(shared, 1), await start(shared, 2)]
    a.send(Uint8Array.of(2, 7))
    await until(() => [a, b, c].every(({ chain }) => chain.finalized().header.number >= 2), 'two final blocks', 20_000)
    await until(() => b.chain.head().header.txRoot !== EMPTY_TX_ROOT, 'the transaction in a block of another node', 20_000)

    const database = openMemory()
    const late = await start(shared, 3, database)
    await until(() => late.chain.finalized().header.number >= 4, 'the late node follows', 20_000)
    agreeOn(2)
    agreeOn(late.chain.finalized().header.number)

    await late.node.stop()
    running.splice(running.indexOf(late), 1)
    const before = late.chain.finalized()
    await until(() => a.chain.finalized().header.number >= before.header.number + 3, 'three of four go on', 20_000)
    // As if killed between storing the head and pointing at it.
    const tip = late.chain.head().header
    await openChainStore(database).moveHead(tip.parentHash)
    const again = await start(shared, 3, database)
    expect(again.chain.head().header.number).toBeGreaterThanOrEqual(tip.number)
    expect(again.chain.finalized().hash).toBe(before.hash)
    await until(() => again.chain.finalized().header.number >= before.header.number + 5, 'the restarted node follows', 20_000)
    agreeOn(before.header.number + 4)
    expect(running.flatMap(({ fatal }) => fatal)).toEqual([])
    expect(running.flatMap(({ warnings }) => warnings)).toEqual([])
  }, 90_000)
})
