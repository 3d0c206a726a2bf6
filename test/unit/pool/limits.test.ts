/** Capacity of the pool, rules no library will sign against, and heads that move by more than one block. @module */
import { NativePool } from '#node/pool/native-pool.ts'
import { decodeNativeTransaction } from '#node/pool/native-transaction.ts'
import { checkStatic } from '#shared/chain/user-rules.ts'
import { decodeUserTransaction } from '#shared/chain/user-transaction.ts'
import { UserPool } from '#node/pool/user-pool.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { decodeTriggerTx, encodeTriggerTx } from '#shared/trigger/transaction.ts'
import { addressOf, CHAIN_ID, createTestPool, FSN, signed } from '#test/unit/pool/fake-chain.ts'
import { trigger } from '#test/unit/pool/native.ts'
import { hashOf } from '#test/unit/store/blocks.ts'
import { describe, expect, it } from 'vitest'

const decoded = async (index: number, request: Record<string, unknown>) => decodeUserTransaction(nobleSuite, await signed(index, request))

describe('a full pool', () => {
  async function filled() {
    const { chain } = createTestPool()
    const state = chain.stateAt(chain.head().header)
    const users = new UserPool(3)
    for (const [index, nonce, tip] of [
      [0, 0, 2n],
      [0, 1, 9n],
      [1, 0, 5n],
    ] as const)
      expect(users.add(await decoded(index, { nonce, maxPriorityFeePerGas: tip }), state)).toBeNull()
    return { users, state }
  }

  it('refuses what pays no more than the cheapest last transaction of a sender', async () => {
    const { users, state } = await filled()
    expect(users.add(await decoded(2, { nonce: 0, maxPriorityFeePerGas: 5n }), state)).toEqual({
      code: 'POOL_FULL',
      message: 'txpool is full',
    })
    expect(users.size).toBe(3)
  })
  it('gives way to what pays more, and opens no gap', async () => {
    const { users, state } = await filled()
    expect(users.add(await decoded(2, { nonce: 0, maxPriorityFeePerGas: 6n }), state)).toBeNull()
    expect(users.all().map(({ sender, nonce }) => [sender, nonce])).toEqual([
      [addressOf(0), 0n],
      [addressOf(0), 1n],
      [addressOf(2), 0n],
    ])
  })
  it('lets nobody push out an own transaction', async () => {
    const { users, state } = await filled()
    expect(users.add(await decoded(1, { nonce: 1, maxPriorityFeePerGas: 99n }), state)).toMatchObject({ code: 'POOL_FULL' })
  })
  it('still takes a replacement', async () => {
    const { users, state } = await filled()
    const better = { nonce: 0, maxPriorityFeePerGas: 10n, maxFeePerGas: 20_000_000_000n }
    expect(users.add(await decoded(1, better), state)).toBeNull()
    expect(users.size).toBe(3)
  })
})

describe('one sender', () => {
  it('has at most 1,024 transactions that could run', async () => {
    const { chain } = createTestPool()
    const state = chain.stateAt(chain.head().header)
    const users = new UserPool(5000)
    const tx = await decoded(0, { nonce: 0, value: 0n })
    const codes = Array.from(
      { length: 1025 },
      (_, nonce) => users.add({ ...tx, nonce: BigInt(nonce), hash: hashOf(String(nonce)) }, state)?.code,
    )
    expect([codes.slice(0, 1024).every((code) => code === undefined), codes[1024]]).toEqual([true, 'ACCOUNT_LIMIT'])
  })
})

describe('a malformed envelope', () => {
  const legacy = (to: Uint8Array, v: number) => encodeRlp([0, 1, 21_000, to, 0, new Uint8Array(0), v, 1, 1])
  const typed = (yParity: number) =>
    Uint8Array.of(2, ...encodeRlp([CHAIN_ID, 0, 1, 1, 21_000, new Uint8Array(20), 0, new Uint8Array(0), [], yParity, 1, 1]))
  it.each([
    ['a destination of 19 bytes', legacy(new Uint8Array(19), 27), 'FIELD_INVALID at tx.to'],
    ['a legacy recovery value of 26', legacy(new Uint8Array(20), 26), 'SIGNATURE_INVALID at tx.v'],
    ['a parity of 2', typed(2), 'SIGNATURE_INVALID at tx.yParity'],
    ['a field too many', Uint8Array.of(1, ...encodeRlp(Array.from({ length: 12 }, () => 0))), 'FIELD_INVALID at tx:'],
  ])('with %s is refused', (_, raw, message) => {
    expect(() => decodeUserTransaction(nobleSuite, raw)).toThrow(message)
  })
})

describe('static rules', () => {
  it.each([
    ['the last nonce of EIP-2681', { nonce: 2n ** 64n - 1n }, 'NONCE_MAX'],
    ['a set-code transaction without authorization', { type: 4 }, 'MALFORMED'],
    ['a set-code transaction that creates', { type: 4, to: null, authorizations: [{}], gasLimit: 200_000n }, 'MALFORMED'],
    ['nothing wrong', {}, undefined],
  ] as const)('refuse %s', async (_, changes, code) => {
    const tx = await decoded(0, { nonce: 0 })
    expect(checkStatic({ ...tx, ...changes } as typeof tx, CHAIN_ID, 15_000_000n)?.code).toBe(code)
  })
})

describe('a head that moves by several blocks', () => {
  it('drops what the blocks in between made impossible', async () => {
    const { pool, setAccount, advance } = createTestPool()
    const raw = await signed(0, { nonce: 0 })
    await pool.add(raw, 'local')
    advance([])
    setAccount(addressOf(0), { balanceWei: FSN, nonce: 1n })
    advance([raw], [], true)
    advance([])
    expect(pool.size()).toBe(0)
  })
  it('drops what its sender can no longer pay', async () => {
    const { pool, setAccount, advance } = createTestPool()
    await pool.add(await signed(0, { nonce: 0, value: 50n * FSN }), 'local')
    setAccount(addressOf(0), { balanceWei: FSN })
    advance([], [], true)
    advance([])
    expect(pool.size()).toBe(0)
  })
})

describe('native transactions', () => {
  it('above their own size limits are refused before they are decoded', async () => {
    const { pool } = createTestPool()
    expect(await pool.add(Uint8Array.of(0x46, ...new Uint8Array(2048 + 512)), 'gossip')).toMatchObject({ code: 'OVERSIZED' })
    expect(await pool.add(Uint8Array.of(0x47, ...new Uint8Array(48 * 1024)), 'gossip')).toMatchObject({ code: 'OVERSIZED' })
  })
  it('with revision 0, without beneficiary, or with a signature no key can have made are refused', async () => {
    const { pool } = createTestPool()
    const refused = async (raw: Uint8Array) => pool.add(raw, 'gossip')
    expect(await refused(await trigger(0, { revision: 0 }))).toMatchObject({ code: 'MALFORMED' })
    expect(await refused(await trigger(0, { beneficiary: `0x${'00'.repeat(20)}` }))).toMatchObject({ code: 'MALFORMED' })
    const tx = decodeTriggerTx(await trigger(0))
    // No point of secp256k1 has x = 5: 5³ + 7 is not a square.
    const signature = { yParity: 0, r: `0x${'05'.padStart(64, '0')}`, s: `0x${'01'.padStart(64, '0')}` } as const
    expect(await refused(encodeTriggerTx({ ...tx, signature }))).toMatchObject({ code: 'SIGNATURE_INVALID' })
  })
  it('whose judgement fails are refused, and leave when it fails on a new head', async () => {
    let isBroken = true
    const { pool, advance } = createTestPool({
      validateNative: () => (isBroken ? Promise.reject(new Error('bug')) : Promise.resolve(null)),
    })
    const raw = await trigger(0)
    expect(await pool.add(raw, 'gossip')).toEqual({ code: 'NOT_JUDGED', message: 'not judged: bug' })
    isBroken = false
    advance([])
    expect(await pool.add(raw, 'gossip')).toHaveProperty('hash')
    isBroken = true
    advance([])
    await pool.settled()
    expect(pool.size()).toBe(0)
  })
  it('judged at the same time still keep to two per occurrence', async () => {
    const { pool } = createTestPool({ validateNative: () => new Promise((resolve) => setTimeout(() => resolve(null), 5)) })
    const raws = await Promise.all([0, 1, 2].map((index) => trigger(index)))
    const answers = await Promise.all(raws.map((raw) => pool.add(raw, 'gossip')))
    expect(answers.map((answer) => 'hash' in answer)).toEqual([true, true, false])
    expect(pool.size()).toBe(2)
  })
  it('are not judged on a head that has moved on', async () => {
    const { chain } = createTestPool()
    const judged: string[] = []
    const natives = new NativePool((native) => {
      judged.push(native.hash)
      return Promise.resolve(judged.length === 1 ? null : { code: 'NOT_DUE', message: 'not due' })
    })
    const native = decodeNativeTransaction(await trigger(0), chain.genesisHash, nobleSuite)
    await natives.add(native, chain.head(), chain.stateAt(chain.head().header))
    await natives.revalidate(chain.head().header, () => false)
    expect([judged.length, natives.size]).toEqual([1, 1])
    await natives.revalidate(chain.head().header, () => true)
    expect([judged.length, natives.size]).toEqual([2, 0])
  })
  it('are selected anew only when the pool has changed', async () => {
    const { pool, chain } = createTestPool()
    const first = pool.select(chain.head(), 0, 1)
    expect(pool.select(chain.head(), 0, 1)).toBe(first)
    await pool.add(await trigger(0), 'gossip')
    expect(pool.select(chain.head(), 0, 1)).toHaveLength(1)
  })
})
