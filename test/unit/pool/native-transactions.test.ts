/** Trigger and attestation transactions in the pool: identity, limits, judgement once per head. @module */
import type { PoolRefusal } from '#node/chain-reader.ts'
import type { NativeTransaction } from '#node/pool/native-transaction.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { Header } from '#shared/hhcm/types.ts'
import { accounts, addressOf as providerAddress } from '#test/unit/oracle/fixture.ts'
import { addressOf, createTestPool, FSN } from '#test/unit/pool/fake-chain.ts'
import { attestation, ownTrigger, trigger } from '#test/unit/pool/native.ts'
import { hashOf } from '#test/unit/store/blocks.ts'
import { describe, expect, it, vi } from 'vitest'

// Signatures and child processes on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

function poolWith(verdict: (native: NativeTransaction, head: Header) => PoolRefusal | null = () => null) {
  const judged: string[] = []
  const test = createTestPool({
    validateNative: (native, head) => {
      judged.push(native.hash)
      return Promise.resolve(verdict(native, head))
    },
  })
  for (const account of accounts) test.setAccount(providerAddress(account), { balanceWei: 10n * FSN })
  return { ...test, judged }
}

const code = (answer: Readonly<{ hash: string }> | PoolRefusal): string => ('hash' in answer ? 'accepted' : answer.code)

describe('a signed trigger', () => {
  it('is judged, kept and handed out for its lane', async () => {
    const { pool, chain, judged } = poolWith()
    const raw = await trigger(0)
    expect(code(await pool.add(raw, 'gossip'))).toBe('accepted')
    expect(judged).toHaveLength(1)
    expect(pool.select(chain.head(), 0, 1).map(bytesToHex)).toEqual([bytesToHex(raw)])
  })
  it('is one of at most two for its occurrence, and one of them is selected', async () => {
    const { pool, chain } = poolWith()
    expect(code(await pool.add(await trigger(0), 'gossip'))).toBe('accepted')
    expect(code(await pool.add(await trigger(1), 'gossip'))).toBe('accepted')
    expect(code(await pool.add(await trigger(2), 'gossip'))).toBe('OCCURRENCE_TAKEN')
    expect(pool.select(chain.head(), 0, 1)).toHaveLength(1)
    expect(code(await pool.add(await trigger(2, { attempt: 1 }), 'gossip'))).toBe('accepted')
  })
  it('is judged once per head, whatever the number of copies from different keys', async () => {
    const { pool, judged, advance } = poolWith(() => ({ code: 'NOT_DUE', message: 'not due' }))
    for (const index of [0, 1, 2, 3]) expect(code(await pool.add(await trigger(index), 'gossip'))).toBe('NOT_DUE')
    expect(judged).toHaveLength(1)
    advance([])
    expect(code(await pool.add(await trigger(0), 'gossip'))).toBe('NOT_DUE')
    expect(judged).toHaveLength(2)
  })
  it('with other evidence is judged again, but not for ever', async () => {
    const { pool, judged } = poolWith(() => ({ code: 'EVIDENCE', message: 'no' }))
    const codes: string[] = []
    for (let index = 0; index < 6; index++) codes.push(code(await pool.add(await trigger(0, { evidence: Uint8Array.of(index) }), 'gossip')))
    expect(codes).toEqual(['EVIDENCE', 'EVIDENCE', 'EVIDENCE', 'EVIDENCE', 'OCCURRENCE_JUDGED', 'OCCURRENCE_JUDGED'])
    expect(judged).toHaveLength(4)
  })
  it('is refused from an account with less than 1 FSN', async () => {
    const { pool, setAccount } = poolWith()
    setAccount(addressOf(4), { balanceWei: FSN - 1n })
    expect(code(await pool.add(await trigger(4), 'gossip'))).toBe('SIGNER_BALANCE')
  })
  it('is refused as the 65th of its account', async () => {
    const { pool } = poolWith()
    for (let index = 0; index < 64; index++)
      expect(code(await pool.add(await trigger(0, { occurrence: hashOf(`occurrence ${index}`) }), 'gossip'))).toBe('accepted')
    expect(code(await pool.add(await trigger(0, { occurrence: hashOf('one more') }), 'gossip'))).toBe('ACCOUNT_LIMIT')
    expect(code(await pool.add(await trigger(1, { occurrence: hashOf('one more') }), 'gossip'))).toBe('accepted')
  })
  it('is refused for another chain, and without signature', async () => {
    const { pool } = poolWith()
    expect(code(await pool.add(await trigger(0, { chainId: 1 }), 'gossip'))).toBe('CHAIN_ID_WRONG')
    expect(code(await pool.add(ownTrigger(addressOf(0)), 'gossip'))).toBe('NOT_GOSSIPED')
  })
  it('signed for another genesis comes from an account without balance', async () => {
    const { pool } = poolWith()
    expect(code(await pool.add(await trigger(0, {}, hashOf('other genesis')), 'gossip'))).toBe('SIGNER_BALANCE')
  })
  it('leaves when a new head makes it invalid', async () => {
    let isDue = true
    const { pool, advance } = poolWith(() => (isDue ? null : { code: 'NOT_DUE', message: 'not due' }))
    await pool.add(await trigger(0), 'gossip')
    advance([])
    await pool.settled()
    expect(pool.size()).toBe(1)
    isDue = false
    advance([])
    await pool.settled()
    expect(pool.size()).toBe(0)
  })
})

describe('an attestation', () => {
  it('gives way to one with more batches of the same round, never to one with fewer', async () => {
    // In several rounds, so that no order of hashes explains it.
    for (let round = 7; round < 15; round++) {
      const { pool, chain } = poolWith()
      const fuller = await attestation(round, 4)
      expect(code(await pool.add(await attestation(round, 3), 'gossip'))).toBe('accepted')
      expect(code(await pool.add(fuller, 'gossip'))).toBe('accepted')
      expect(code(await pool.add(await attestation(round, 2), 'gossip'))).toBe('ROUND_TAKEN')
      expect(pool.select(chain.head(), 0, 1).map(bytesToHex)).toEqual([bytesToHex(fuller)])
    }
  })
  it('of the oldest rounds is selected in their order, as many as a block may hold', async () => {
    const { pool, chain } = poolWith()
    const rounds = await Promise.all([7, 8, 9, 10, 11].map((round) => attestation(round, 3)))
    for (const raw of rounds.toReversed()) await pool.add(raw, 'gossip')
    expect(pool.select(chain.head(), 0, 1).map(bytesToHex)).toEqual(rounds.slice(0, 4).map(bytesToHex))
  })
  it('comes last in a package, triggers first', async () => {
    const { pool, chain } = poolWith()
    await pool.add(await attestation(7, 3), 'gossip')
    await pool.add(await trigger(0), 'gossip')
    expect(pool.select(chain.head(), 0, 1).map(([type]) => type)).toEqual([0x46, 0x47])
  })
  it('is refused when its submitter did not sign it', async () => {
    const { pool } = poolWith()
    const raw = await attestation(7, 3)
    const forged = Uint8Array.from(raw)
    forged[raw.length - 10] = (raw[raw.length - 10] ?? 0) ^ 1
    expect(code(await pool.add(forged, 'gossip'))).toBe('SIGNATURE_INVALID')
  })
})
