/** What goes into an own package and which rules another author's must keep. @module */
import { createPackaging } from '#node/pool/packaging.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { laneOf } from '#shared/hhcm/lanes.ts'
import { addressOf, CHAIN_ID, createTestPool, FSN, signed } from '#test/unit/pool/fake-chain.ts'
import { ownTrigger, trigger } from '#test/unit/pool/native.ts'
import { AUTHOR, hashOf, makePackage } from '#test/unit/store/blocks.ts'
import { describe, expect, it } from 'vitest'

function packagingOver(laneCount = 1, due: readonly Uint8Array[] = []) {
  const test = createTestPool({ laneCount })
  const { chain, pool } = test
  const packaging = createPackaging({ chain, pool, laneCount, blockGasLimit: 15_000_000n, dueTriggers: () => Promise.resolve(due) })
  const parentHash = chain.head().hash
  const check = (txs: readonly Uint8Array[], lane = 0): string | null =>
    packaging.checkPackage(makePackage({ slot: 1, lane, parentHash, txs }))
  return { ...test, packaging, parentHash, check }
}

describe('an own package', () => {
  it('is empty when nothing waits', async () => {
    const { packaging, parentHash } = packagingOver()
    expect(await packaging.buildPackage(parentHash, 0, 1)).toEqual([])
    expect(await packaging.buildPackage(hashOf('unknown parent'), 0, 1)).toEqual([])
  })
  it('puts due triggers first and prefers a signed one of the same occurrence', async () => {
    const own = [ownTrigger(AUTHOR), ownTrigger(AUTHOR, { occurrence: hashOf('other') })]
    const { packaging, pool, parentHash, check } = packagingOver(1, own)
    const submitted = await trigger(1)
    const transfer = await signed(0, { nonce: 0 })
    await pool.add(submitted, 'gossip')
    await pool.add(transfer, 'local')
    const built = await packaging.buildPackage(parentHash, 0, 1)
    expect(built.map(bytesToHex)).toEqual([own[1], submitted, transfer].map((raw) => bytesToHex(raw ?? new Uint8Array(0))))
    expect(check(built)).toBeNull()
  })
})

describe('a foreign package is refused', () => {
  it('for a transaction of another lane', async () => {
    const { check, chain } = packagingOver(2)
    const raw = await signed(0, { nonce: 0 })
    const lane = laneOf(chain.head().header.randomness, { kind: 'sender', sender: addressOf(0) }, 2)
    expect([check([raw], lane), check([raw], 1 - lane)]).toEqual([null, 'WRONG_LANE'])
  })
  it('for nonces that do not follow the parent state', async () => {
    const { check } = packagingOver()
    const [zero, one] = [await signed(0, { nonce: 0 }), await signed(0, { nonce: 1 })]
    expect([check([zero, one]), check([one]), check([one, zero]), check([zero, zero])]).toEqual([
      null,
      'NONCE_GAP',
      'NONCE_GAP',
      'DUPLICATE',
    ])
  })
  it('for transactions their sender cannot pay together', async () => {
    const { check } = packagingOver()
    const [zero, one] = [await signed(0, { nonce: 0, value: 60n * FSN }), await signed(0, { nonce: 1, value: 60n * FSN })]
    expect([check([zero]), check([zero, one])]).toEqual([null, 'INSUFFICIENT_FUNDS'])
  })
  it('for another chain, a bad signature, garbage and static faults', async () => {
    const { check } = packagingOver()
    const broken = Uint8Array.from(await signed(0, { nonce: 0 }))
    broken[broken.length - 1] = (broken[broken.length - 1] ?? 0) ^ 1
    expect(check([await signed(0, { nonce: 0, chainId: CHAIN_ID + 1 })])).toBe('CHAIN_ID_WRONG')
    expect(check([await trigger(0, { chainId: 1 })])).toBe('CHAIN_ID_WRONG')
    expect(check([await signed(0, { nonce: 0, gas: 20_000n })])).toBe('INTRINSIC_GAS')
    expect(check([Uint8Array.of(1, 2, 3)])).toBe('RLP_INVALID')
    // The altered signature recovers to an account without balance, or to none.
    expect(['INSUFFICIENT_FUNDS', 'SIGNATURE_INVALID']).toContain(check([broken]))
  })
  it('for an unsigned trigger that benefits somebody else than its author', () => {
    const { check } = packagingOver()
    expect([check([ownTrigger(AUTHOR)]), check([ownTrigger(addressOf(3))])]).toEqual([null, 'BENEFICIARY'])
  })
  it('for a header that counts its body wrongly, and for an unknown parent', async () => {
    const { packaging, parentHash } = packagingOver()
    const honest = makePackage({ slot: 1, lane: 0, parentHash, txs: [await signed(0, { nonce: 0 })] })
    const check = (header: Partial<typeof honest.header>) => packaging.checkPackage({ ...honest, header: { ...honest.header, ...header } })
    expect([check({}), check({ txCount: 2 }), check({ bytes: 1 }), check({ parentHash: hashOf('unknown') })]).toEqual([
      null,
      'COUNT',
      'BYTES',
      'PARENT_UNKNOWN',
    ])
  })
})
