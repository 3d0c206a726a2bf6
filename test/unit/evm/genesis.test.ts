/** Where the supply is in block 0, and what a network is. Source: whitepaper 6.3.2. @module */
import { describe, expect, test } from 'vitest'
import { buildGenesis } from '#node/evm/genesis.ts'
import { createStateDb } from '#node/evm/state-db.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { decodeGenesisJson, genesisToJson } from '#shared/chain/genesis-json.ts'
import { genesisBalances, genesisHash } from '#shared/chain/genesis.ts'
import { blockHash } from '#shared/hhcm/signing.ts'
import { CALLING_LIST, FEED_REGISTRY, FOUNDATION, KEY_MANAGER, NODE_RESERVE, STAKING, TEAM_VESTING } from '#shared/system.ts'
import { ChainFixture, FSN } from '#test/unit/evm/chain-fixture.ts'
import { MemoryNodes, suite } from '#test/unit/evm/support.ts'

const chain = new ChainFixture()
const { document } = chain
const SLOT_ZERO = `0x${'00'.repeat(32)}` as const

describe('genesis', () => {
  test('places 81,920,000 FSN: a tenth, a third, the stake, the allocations and the rest', () => {
    const balances = genesisBalances(document)
    expect([...balances.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(81_920_000n * FSN)
    expect(balances.get(TEAM_VESTING)).toBe(8_192_000n * FSN)
    expect(balances.get(NODE_RESERVE)).toBe(27_306_666_666_666_666_666_666_666n)
    expect(balances.get(STAKING)).toBe(400_000n * FSN)
    expect(balances.get(FOUNDATION)).toBe(46_421_333_333_333_333_333_333_334n - 400_000n * FSN - 8000n * FSN)
  })

  test('refuses to spend more than the foundation has', () => {
    const greedy = { ...document, alloc: [{ address: `0x${'ee'.repeat(20)}` as const, balanceWei: 46_021_334n * FSN }] }
    expect(() => genesisBalances(greedy)).toThrow('GENESIS_OVERSPENT')
  })

  test('pays custody out of the reserve of the nodes, and nothing else', () => {
    const withCustody = (balanceWei: bigint) => genesisBalances({ ...document, alloc: [{ address: KEY_MANAGER, balanceWei }] })
    const without = genesisBalances({ ...document, alloc: [] })
    const balances = withCustody(10_000n * FSN)
    expect([...balances.values()].reduce((sum, amount) => sum + amount, 0n)).toBe(81_920_000n * FSN)
    expect(balances.get(KEY_MANAGER)).toBe(10_000n * FSN)
    expect(balances.get(NODE_RESERVE)).toBe(27_306_666_666_666_666_666_666_666n - 10_000n * FSN)
    expect(balances.get(FOUNDATION)).toBe(without.get(FOUNDATION))
    expect(withCustody(27_306_666_666_666_666_666_666_666n).get(NODE_RESERVE)).toBe(0n)
    expect(() => withCustody(27_306_666_666_666_666_666_666_667n)).toThrow('GENESIS_OVERSPENT')
  })

  test('has an identity that every part of the document changes', () => {
    const identity = genesisHash(document, suite.keccak256)
    const [validator] = document.validators
    const changed = [
      { ...document, salt: `0x${'01'.repeat(32)}` as const },
      { ...document, genesisTimeMs: document.genesisTimeMs + 1 },
      { ...document, params: { ...document.params, chainId: 1 } },
      { ...document, params: { ...document.params, emissionRate: 1n } },
      { ...document, params: { ...document.params, heartbeatBlocks: 199 } },
      { ...document, validators: document.validators.slice(1) },
      { ...document, alloc: document.alloc.slice(1) },
    ]
    const hashes = new Set([identity, ...changed.map((other) => genesisHash(other, suite.keccak256))])
    expect(hashes.size).toBe(changed.length + 1)
    expect(validator).toBeDefined()
    expect(genesisHash({ ...document }, suite.keccak256)).toBe(identity)
  })

  test('wants its lists in order and without repetition', () => {
    const [one, two] = document.alloc
    expect(() => genesisHash({ ...document, alloc: document.alloc.toReversed() }, suite.keccak256)).toThrow('GENESIS_ORDER')
    expect(() => genesisHash({ ...document, alloc: [one, one].flatMap((entry) => entry ?? []) }, suite.keccak256)).toThrow('GENESIS_ORDER')
    expect(() => genesisHash({ ...document, validators: document.validators.toReversed() }, suite.keccak256)).toThrow('GENESIS_ORDER')
    expect(two).toBeDefined()
  })

  test('is its own parent, and tells contracts who it is', () => {
    const { hash, header } = chain.head
    const identity = genesisHash(document, suite.keccak256)
    expect(header).toMatchObject({ number: 0, slot: 0, parentHash: identity })
    expect(hash).toBe(blockHash(header))
    expect(chain.view.storage(CALLING_LIST, SLOT_ZERO)).toBe(identity)
    expect(chain.view.storage(FEED_REGISTRY, SLOT_ZERO)).toBe(identity)
    expect(chain.view.storage(KEY_MANAGER, SLOT_ZERO)).toBe(identity)
  })

  test('is the same for everybody, and differs with the contracts in it', () => {
    const build = (predeploys: Parameters<typeof buildGenesis>[1]) =>
      buildGenesis(document, predeploys, createStateDb(new MemoryNodes(), suite.keccak256), suite).envelope.hash
    expect(build(new Map())).toBe(chain.head.hash)
    expect(build(new Map([[CALLING_LIST, { code: hexToBytes('0x00'), storage: new Map() }]]))).not.toBe(chain.head.hash)
  })
})

describe('the genesis file', () => {
  test('is read back as it was', () => {
    expect(decodeGenesisJson(JSON.parse(JSON.stringify(genesisToJson(document))))).toEqual(document)
  })

  test.each([
    ['an unknown field', { ...(genesisToJson(document) as object), extra: 1 }],
    ['a number for an amount', { ...(genesisToJson(document) as object), alloc: [{ address: `0x${'11'.repeat(20)}`, balanceWei: 1 }] }],
    ['a short address', { ...(genesisToJson(document) as object), alloc: [{ address: '0x11', balanceWei: '1' }] }],
    ['no validators', { ...(genesisToJson(document) as object), validators: [] }],
    ['nothing', null],
  ])('with %s is refused', (_, json) => {
    expect(() => decodeGenesisJson(json)).toThrow('GENESIS_INVALID')
  })
})
