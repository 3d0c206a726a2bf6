/** Genesis and keys of a new network, and the answer of GET /health. @module */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { decodeGenesisJson, genesisToJson } from '#shared/chain/genesis-json.ts'
import { genesisPredeploys, loadOrCreateDevnet, readGenesis } from '#node/genesis-tool.ts'
import { createHealth } from '#node/health-report.ts'
import { readKeys } from '#node/keys.ts'
import { openWal } from '#node/wal.ts'
import { genesisBalances } from '#shared/chain/genesis.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { CALLING_LIST, FEED_REGISTRY, KEY_CONDUCT, KEY_MANAGER } from '#shared/system.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusion-genesis-'))
afterAll(() => rmSync(folder, { recursive: true }))
const fresh = () => mkdtempSync(join(folder, 'net-'))

describe('a new network', () => {
  it('has sorted validators whose keys lie in their folders, readable by the owner only', () => {
    const dataDir = fresh()
    const { document, validators } = loadOrCreateDevnet(dataDir, { chainId: 81_920 }, 4)
    expect(document.validators.map(({ address }) => address)).toEqual(validators.map(({ address }) => address))
    for (const [index, { address, consensusKey }] of document.validators.entries()) {
      const path = join(dataDir, 'validators', String(index), 'keys')
      expect(readKeys(path)).toMatchObject({ address, consensusKey })
      expect(statSync(path).mode & 0o777).toBe(0o600)
      // Keys made a moment ago have signed nothing: such a network starts at once, however late.
      expect(openWal(join(dataDir, 'validators', String(index), 'write-ahead')).condition).toBe('intact')
    }
  })

  it('places the whole supply of 81,920,000 FSN', () => {
    const { document } = loadOrCreateDevnet(fresh(), { chainId: 81_920 }, 4)
    const total = [...genesisBalances(document).values()].reduce((sum, value) => sum + value, 0n)
    expect(total).toBe(81_920_000n * 10n ** 18n)
  })

  it('has the key manager, its other half and 10,000 FSN for custody', () => {
    const { document } = loadOrCreateDevnet(fresh(), { chainId: 81_920 }, 4)
    const contracts = genesisPredeploys(document, nobleSuite)
    expect([KEY_MANAGER, KEY_CONDUCT].map((address) => (contracts.get(address)?.code.length ?? 0) > 10_000)).toEqual([true, true])
    expect(genesisBalances(document).get(KEY_MANAGER)).toBe(10_000n * 10n ** 18n)
    expect(genesisBalances(document).get(KEY_CONDUCT)).toBeUndefined()
  })

  it('tells the key manager how often keys prove themselves: what was asked for, within what a contract can see', () => {
    const slotTwo = `0x${'2'.padStart(64, '0')}` as const
    const beatsOf = (heartbeatBlocks?: number) => {
      const { document } = loadOrCreateDevnet(
        fresh(),
        { chainId: 81_920, ...(heartbeatBlocks === undefined ? {} : { heartbeatBlocks }) },
        4,
      )
      return Number(genesisPredeploys(document, nobleSuite).get(KEY_MANAGER)?.storage.get(slotTwo))
    }
    expect([beatsOf(), beatsOf(40)]).toEqual([200, 40])
    const json = genesisToJson(loadOrCreateDevnet(fresh(), { chainId: 81_920 }, 4).document) as { params: object }
    const read = (heartbeatBlocks: number) =>
      decodeGenesisJson({ ...json, params: { ...json.params, heartbeatBlocks } }).params.heartbeatBlocks
    expect([read(20), read(256)]).toEqual([20, 256])
    for (const wrong of [19, 257, 40.5]) expect(() => read(wrong)).toThrow('GENESIS_INVALID at params.heartbeatBlocks')
  })

  it('is the same again on the next start and another one in another folder', () => {
    const dataDir = fresh()
    const first = loadOrCreateDevnet(dataDir, { chainId: 81_920 }, 4)
    expect(loadOrCreateDevnet(dataDir, { chainId: 81_920 }, 4)).toEqual(first)
    expect(loadOrCreateDevnet(fresh(), { chainId: 81_920 }, 4).genesisHash).not.toBe(first.genesisHash)
  })

  it('is refused under another chain id and without its keys', () => {
    const dataDir = fresh()
    loadOrCreateDevnet(dataDir, { chainId: 81_920 }, 4)
    expect(() => loadOrCreateDevnet(dataDir, { chainId: 5 }, 4)).toThrow(/GENESIS_CHAIN_ID/)
    rmSync(join(dataDir, 'validators', '2', 'keys'))
    expect(() => loadOrCreateDevnet(dataDir, { chainId: 81_920 }, 4)).toThrow(/GENESIS_KEYS/)
  })

  it('has the development source sets exactly when the document funds them', () => {
    const { document } = loadOrCreateDevnet(fresh(), { chainId: 81_920 }, 4)
    const storageOf = (given: typeof document) => genesisPredeploys(given, nobleSuite).get(FEED_REGISTRY)?.storage.size ?? 0
    const without = { ...document, alloc: document.alloc.filter(({ address }) => address !== FEED_REGISTRY) }
    expect(storageOf(document)).toBeGreaterThan(20)
    expect(storageOf(without)).toBeLessThan(5)
    expect(genesisPredeploys(without, nobleSuite).has(CALLING_LIST)).toBe(true)
  })

  it('names the file that is no genesis document', () => {
    const path = join(folder, 'genesis.json')
    expect(() => readGenesis(path)).toThrow(/GENESIS_UNREADABLE/)
    writeFileSync(path, '{')
    expect(() => readGenesis(path)).toThrow(/GENESIS_UNREADABLE/)
    writeFileSync(path, '{"params":{}}')
    expect(() => readGenesis(path)).toThrow(/GENESIS_INVALID/)
    expect(readFileSync(path, 'utf8')).toBe('{"params":{}}')
  })
})

describe('GET /health', () => {
  const chainAt = (number: number) =>
    ({ head: () => ({ header: { number } }), finalized: () => ({ header: { number: number - 2 } }) }) as never
  const peersAt = (...numbers: number[]) => numbers.map((headNumber) => ({ status: { headNumber } as never }))
  const health = (head: number, validators: number, ...peers: number[]) =>
    createHealth(chainAt(head), { validators: Array.from({ length: validators }) as never }, () => peersAt(...peers))()

  it('is healthy while it follows the best of its peers', () => {
    expect(health(10, 4, 9, 12)).toEqual({ healthy: true, head: 10, finalized: 8, peers: 2, behind: 2 })
    expect(health(10, 4, 9, 15).healthy).toBe(false)
  })

  it('is not healthy without any peer, unless it is alone by design', () => {
    expect(health(10, 4).healthy).toBe(false)
    expect(health(10, 1).healthy).toBe(true)
  })
})
