/** Admission, replacement and selection of user transactions; signatures come from viem. @module */
import { isPeerFault } from '#shared/chain/user-rules.ts'
import { decodeUserTransaction, intrinsicGas } from '#shared/chain/user-transaction.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { DecodeError } from '#shared/fault.ts'
import { laneOf } from '#shared/hhcm/lanes.ts'
import type { Address, Hex } from '#shared/types.ts'
import { addressOf, CHAIN_ID, createTestPool, dev, FSN, GWEI, signed } from '#test/unit/pool/fake-chain.ts'
import * as fc from 'fast-check'
import { keccak256, parseTransaction } from 'viem'
import type { TransactionSerialized } from 'viem'
import { describe, expect, it, vi } from 'vitest'

// Signatures and child processes on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

const CONTRACT: Address = `0x${'cc'.repeat(20)}`

describe('a decoded transaction', () => {
  const cases = {
    legacy: { type: 'legacy', gasPrice: 7n * GWEI, maxFeePerGas: undefined, maxPriorityFeePerGas: undefined },
    eip2930: {
      type: 'eip2930',
      gasPrice: 7n * GWEI,
      maxFeePerGas: undefined,
      maxPriorityFeePerGas: undefined,
      accessList: [{ address: CONTRACT, storageKeys: [`0x${'01'.repeat(32)}`] }],
    },
    eip1559: { data: '0x0102', to: undefined, gas: 100_000n },
  } as const
  it.each(Object.entries(cases))('of type %s equals what viem reads, hash and sender included', async (_, request) => {
    const raw = await signed(1, { nonce: 5, ...request } as never)
    const ours = decodeUserTransaction(nobleSuite, raw)
    const theirs = parseTransaction(bytesToHex(raw) as TransactionSerialized)
    expect(ours.hash).toBe(keccak256(bytesToHex(raw)))
    expect(ours.sender).toBe(addressOf(1))
    expect(ours.nonce).toBe(BigInt(theirs.nonce ?? 0))
    expect(ours.gasLimit).toBe(theirs.gas)
    expect(ours.to).toBe(theirs.to?.toLowerCase() ?? null)
    expect(ours.chainId).toBe(BigInt(theirs.chainId ?? -1))
    expect(bytesToHex(ours.data)).toBe(theirs.data ?? '0x')
    expect(ours.maxFeePerGasWei).toBe(theirs.maxFeePerGas ?? theirs.gasPrice)
  })

  it('of type 4 keeps its authorizations', async () => {
    const authorization = await dev(2).signAuthorization?.({ chainId: CHAIN_ID, contractAddress: CONTRACT, nonce: 3 })
    const raw = await signed(1, { type: 'eip7702', nonce: 0, gas: 100_000n, authorizationList: [authorization] } as never)
    const ours = decodeUserTransaction(nobleSuite, raw)
    expect(ours.sender).toBe(addressOf(1))
    expect(ours.authorizations).toEqual([
      {
        chainId: BigInt(CHAIN_ID),
        address: CONTRACT,
        nonce: 3n,
        yParity: BigInt(authorization?.yParity ?? 0),
        r: BigInt(authorization?.r ?? 0),
        s: BigInt(authorization?.s ?? 0),
      },
    ])
  })

  it('either decodes or throws a DecodeError, whatever the bytes', () => {
    const outcome = (bytes: Uint8Array): string => {
      try {
        decodeUserTransaction(nobleSuite, bytes)
        return 'decoded'
      } catch (error) {
        return error instanceof DecodeError ? 'decoded' : String(error)
      }
    }
    expect(() => fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => outcome(bytes) === 'decoded'))).not.toThrow()
  })

  it('costs the intrinsic gas of the yellow paper and EIP-2930, 3860, 7702', () => {
    const base = { to: CONTRACT, data: new Uint8Array(0), accessList: [], authorizations: [] }
    expect(intrinsicGas(base)).toBe(21_000n)
    expect(intrinsicGas({ ...base, data: Uint8Array.of(0, 1) })).toBe(21_000n + 4n + 16n)
    expect(intrinsicGas({ ...base, to: null, data: new Uint8Array(33) })).toBe(21_000n + 32_000n + 33n * 4n + 2n * 2n)
    expect(intrinsicGas({ ...base, accessList: [{ address: CONTRACT, storageKeys: [`0x${'00'.repeat(32)}`] }] })).toBe(
      21_000n + 2400n + 1900n,
    )
  })
})

async function refusal(request: Record<string, unknown>, index = 0): Promise<string> {
  const { pool } = createTestPool()
  const answer = await pool.add(await signed(index, { nonce: 0, ...request }), 'gossip')
  return 'hash' in answer ? 'accepted' : `${answer.code}: ${answer.message}`
}

describe('the pool refuses', () => {
  it('another chain id', async () => {
    expect(await refusal({ chainId: 1 })).toBe('CHAIN_ID_WRONG: invalid chain id for signer: have 1 want 81920')
  })
  it('a transaction without replay protection', async () => {
    const unprotected = { type: 'legacy', chainId: undefined, gasPrice: GWEI, maxFeePerGas: undefined, maxPriorityFeePerGas: undefined }
    expect(await refusal(unprotected)).toMatch(/^UNPROTECTED: only replay-protected/)
  })
  it('too little gas for the intrinsic cost', async () => {
    expect(await refusal({ gas: 20_999n })).toBe('INTRINSIC_GAS: intrinsic gas too low: gas 20999, minimum needed 21000')
  })
  it('more gas than a block has', async () => {
    expect(await refusal({ gas: 15_000_001n })).toBe('GAS_LIMIT: exceeds block gas limit: 15000001 > 15000000')
  })
  it('a tip above the fee', async () => {
    const { pool } = createTestPool()
    // viem refuses to sign this, so the fields are swapped in the encoding: [.., tip, fee] with both one-byte long.
    const raw = await signed(0, { nonce: 0, maxFeePerGas: 9n, maxPriorityFeePerGas: 9n })
    const at = bytesToHex(raw).indexOf('0909')
    const broken = hexToBytes(`${bytesToHex(raw).slice(0, at)}0a09${bytesToHex(raw).slice(at + 4)}`)
    expect(await pool.add(broken, 'gossip')).toMatchObject({ code: 'FEE_INVERTED' })
  })
  it('init code above 48 KiB', async () => {
    expect(await refusal({ to: undefined, data: `0x${'01'.repeat(49_153)}`, gas: 5_000_000n })).toMatch(
      /^INIT_CODE_SIZE: max initcode size/,
    )
  })
  it('a nonce the state has passed', async () => {
    const { pool, setAccount } = createTestPool()
    setAccount(addressOf(0), { balanceWei: FSN, nonce: 4n })
    expect(await pool.add(await signed(0, { nonce: 3 }), 'local')).toEqual({
      code: 'NONCE_TOO_LOW',
      message: 'nonce too low: next nonce 4, tx nonce 3',
    })
  })
  it('more than the sender can pay, waiting transactions included', async () => {
    const { pool } = createTestPool()
    expect(await refusal({ value: 1n }, 8)).toBe(
      'INSUFFICIENT_FUNDS: insufficient funds for gas * price + value: balance 0, tx cost 210000000000001, overshot 210000000000001',
    )
    await pool.add(await signed(0, { nonce: 0, value: 60n * FSN }), 'local')
    expect(await pool.add(await signed(0, { nonce: 1, value: 60n * FSN }), 'local')).toMatchObject({ code: 'INSUFFICIENT_FUNDS' })
  })
  it('a sender with contract code, but not one with a delegation', async () => {
    const { pool, setAccount } = createTestPool()
    setAccount(addressOf(0), { balanceWei: FSN, code: Uint8Array.of(0x60) })
    expect(await pool.add(await signed(0, { nonce: 0 }), 'local')).toEqual({ code: 'SENDER_HAS_CODE', message: 'sender not an eoa' })
    setAccount(addressOf(1), { balanceWei: FSN, code: hexToBytes(`0xef0100${'cc'.repeat(20)}`) })
    expect(await pool.add(await signed(1, { nonce: 0 }), 'local')).toHaveProperty('hash')
  })
  it('the same transaction twice', async () => {
    const { pool } = createTestPool()
    const raw = await signed(0, { nonce: 0 })
    await pool.add(raw, 'local')
    expect(await pool.add(raw, 'gossip')).toEqual({ code: 'ALREADY_KNOWN', message: 'already known' })
  })
  it('blobs, unknown types, garbage and oversized data', async () => {
    const { pool } = createTestPool()
    expect(await pool.add(Uint8Array.of(3, 0xc0), 'gossip')).toEqual({
      code: 'TYPE_UNSUPPORTED',
      message: 'transaction type not supported',
    })
    expect(await pool.add(Uint8Array.of(0x7e, 0xc0), 'gossip')).toMatchObject({ code: 'TYPE_UNSUPPORTED' })
    expect(await pool.add(new Uint8Array(0), 'gossip')).toMatchObject({ code: 'MALFORMED' })
    expect(await pool.add(Uint8Array.of(0xc3, 1, 2, 3), 'gossip')).toMatchObject({ code: 'MALFORMED' })
    expect(await pool.add(new Uint8Array(128 * 1024 + 1).fill(2), 'gossip')).toMatchObject({ code: 'OVERSIZED' })
  })
  it('a signature with high s', async () => {
    const { pool } = createTestPool()
    const raw = await signed(0, { nonce: 0 })
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const s = BigInt(bytesToHex(raw.subarray(-32)))
    const malleated = Uint8Array.from([...raw.subarray(0, -32), ...hexToBytes(`0x${(order - s).toString(16).padStart(64, '0')}`)])
    expect(await pool.add(malleated, 'gossip')).toEqual({ code: 'SIGNATURE_INVALID', message: 'invalid sender' })
  })
  it('a 65th transaction behind a gap', async () => {
    const { pool } = createTestPool()
    const small = { value: 0n, maxFeePerGas: GWEI, maxPriorityFeePerGas: 0n }
    for (let nonce = 1; nonce <= 64; nonce++) expect(await pool.add(await signed(0, { nonce, ...small }), 'local')).toHaveProperty('hash')
    expect(await pool.add(await signed(0, { nonce: 65, ...small }), 'local')).toEqual({
      code: 'ACCOUNT_LIMIT',
      message: 'account limit exceeded',
    })
    expect(await pool.add(await signed(0, { nonce: 0, ...small }), 'local')).toHaveProperty('hash')
  })
})

describe('a refusal', () => {
  it('blames the peer only for what is wrong whatever the head', () => {
    const faults = ['CHAIN_ID_WRONG', 'SIGNATURE_INVALID', 'MALFORMED', 'OVERSIZED', 'INTRINSIC_GAS']
    const states = ['NONCE_TOO_LOW', 'INSUFFICIENT_FUNDS', 'ALREADY_KNOWN', 'POOL_FULL', 'UNDERPRICED']
    expect(faults.map((code) => isPeerFault({ code, message: '' }))).toEqual(faults.map(() => true))
    expect(states.map((code) => isPeerFault({ code, message: '' }))).toEqual(states.map(() => false))
  })
  it('of gossip is remembered until the head changes', async () => {
    const { pool, setAccount, advance } = createTestPool()
    const raw = await signed(8, { nonce: 0 })
    expect(await pool.add(raw, 'gossip')).toMatchObject({ code: 'INSUFFICIENT_FUNDS' })
    setAccount(addressOf(8), { balanceWei: FSN })
    expect(await pool.add(raw, 'gossip')).toMatchObject({ code: 'INSUFFICIENT_FUNDS' })
    advance([])
    expect(await pool.add(raw, 'gossip')).toHaveProperty('hash')
  })
})

describe('a replacement', () => {
  it('needs ten percent more in both fees', async () => {
    const { pool } = createTestPool()
    await pool.add(await signed(0, { nonce: 0, maxFeePerGas: 100n, maxPriorityFeePerGas: 10n }), 'local')
    const refused = { code: 'UNDERPRICED', message: 'replacement transaction underpriced' }
    expect(await pool.add(await signed(0, { nonce: 0, maxFeePerGas: 109n, maxPriorityFeePerGas: 11n }), 'local')).toEqual(refused)
    expect(await pool.add(await signed(0, { nonce: 0, maxFeePerGas: 110n, maxPriorityFeePerGas: 10n }), 'local')).toEqual(refused)
    expect(await pool.add(await signed(0, { nonce: 0, maxFeePerGas: 110n, maxPriorityFeePerGas: 11n }), 'local')).toHaveProperty('hash')
    expect(pool.size()).toBe(1)
  })
})

const nonces = async (raws: readonly Uint8Array[]): Promise<readonly string[]> =>
  raws
    .map((raw) => decodeUserTransaction(nobleSuite, raw))
    .map((tx) => `${[0, 1, 2, 3].find((index) => addressOf(index) === tx.sender)}:${tx.nonce}`)

describe('a selection', () => {
  it('takes the best tips first and keeps the order of one sender', async () => {
    const { pool, chain } = createTestPool()
    const tips = [
      [0, 1, 9n],
      [0, 0, 2n],
      [1, 0, 5n],
      [2, 0, 3n],
      [2, 1, 1n],
    ] as const
    for (const [sender, nonce, tip] of tips) await pool.add(await signed(sender, { nonce, maxPriorityFeePerGas: tip }), 'local')
    expect(await nonces(pool.select(chain.head(), 0, 1))).toEqual(['1:0', '2:0', '0:0', '0:1', '2:1'])
  })
  it('leaves out what waits behind a gap, pays below the base fee or cannot be paid together', async () => {
    const { pool, chain, setAccount } = createTestPool()
    await pool.add(await signed(0, { nonce: 1 }), 'local')
    await pool.add(await signed(1, { nonce: 0, maxFeePerGas: GWEI - 1n, maxPriorityFeePerGas: 1n }), 'local')
    await pool.add(await signed(2, { nonce: 0, value: 50n * FSN }), 'local')
    await pool.add(await signed(2, { nonce: 1, value: 40n * FSN }), 'local')
    setAccount(addressOf(2), { balanceWei: 60n * FSN })
    expect(await nonces(pool.select(chain.head(), 0, 1))).toEqual(['2:0'])
  })
  it('stops at the gas of a block and goes on with what still fits', async () => {
    const { pool, chain } = createTestPool()
    await pool.add(await signed(0, { nonce: 0, gas: 10_000_000n, maxPriorityFeePerGas: 3n }), 'local')
    await pool.add(await signed(1, { nonce: 0, gas: 10_000_000n, maxPriorityFeePerGas: 2n }), 'local')
    await pool.add(await signed(2, { nonce: 0, maxPriorityFeePerGas: 1n }), 'local')
    expect(await nonces(pool.select(chain.head(), 0, 1))).toEqual(['0:0', '2:0'])
  })
  it('stops at the bytes of a package', async () => {
    const { pool, chain } = createTestPool()
    const data: Hex = `0x${'00'.repeat(100_000)}`
    for (const index of [0, 1, 2]) await pool.add(await signed(index, { nonce: 0, data, gas: 1_000_000n }), 'local')
    expect(pool.select(chain.head(), 0, 1)).toHaveLength(2)
  })
  it('splits by lane, a call by its contract and a transfer by its sender', async () => {
    const { pool, chain } = createTestPool({ laneCount: 4 })
    const raws = await Promise.all(
      [0, 1, 2, 3].map((index) => signed(index, { nonce: 0, ...(index > 1 ? { to: CONTRACT, data: '0x01020304', gas: 30_000n } : {}) })),
    )
    for (const raw of raws) await pool.add(raw, 'local')
    const { randomness } = chain.head().header
    const expected = [0, 1, 2, 3].map((index) =>
      laneOf(randomness, index > 1 ? { kind: 'call', to: CONTRACT } : { kind: 'sender', sender: addressOf(index) }, 4),
    )
    const found = await Promise.all(
      [0, 1, 2, 3].map(async (lane) => (await nonces(pool.select(chain.head(), lane, 4))).map((name) => Number(name.split(':')[0]))),
    )
    expect([0, 1, 2, 3].map((index) => found.findIndex((senders) => senders.includes(index)))).toEqual(expected)
  })
})

describe('a head change', () => {
  it('removes what is in the block, and what its sender can no longer send', async () => {
    const { pool, setAccount, advance } = createTestPool()
    const mined = await signed(0, { nonce: 0 })
    await pool.add(mined, 'local')
    await pool.add(await signed(1, { nonce: 0 }), 'local')
    setAccount(addressOf(0), { balanceWei: FSN, nonce: 1n })
    advance([mined])
    expect(pool.content().map(({ from }) => from)).toEqual([addressOf(1)])
    expect(pool.nextNonce(addressOf(0))).toBe(1n)
  })
  it('brings the transactions of reverted blocks back', async () => {
    const { pool, advance } = createTestPool()
    const raw = await signed(0, { nonce: 0 })
    await pool.add(raw, 'local')
    const block = advance([raw])
    expect(pool.size()).toBe(0)
    advance([], [block.hash])
    await pool.settled()
    expect(pool.content().map(({ raw: waiting }) => bytesToHex(waiting))).toEqual([bytesToHex(raw)])
  })
})

describe('the next nonce', () => {
  it('follows the run of waiting transactions and stops at the gap', async () => {
    const { pool } = createTestPool()
    for (const nonce of [0, 1, 3]) await pool.add(await signed(0, { nonce }), 'local')
    expect(pool.nextNonce(addressOf(0))).toBe(2n)
    expect(pool.content().map(({ nonce, queued }) => [nonce, queued])).toEqual([
      [0n, false],
      [1n, false],
      [3n, true],
    ])
  })
})
