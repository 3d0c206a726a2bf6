/** Proofs of faults, and every way in which they prove nothing. @module */
import { describe, expect, it } from 'vitest'
import { bytesToHex } from '#shared/bytes.ts'
import { batchDigest } from '#shared/oracle/batch.ts'
import { provesContradiction, provesEquivocation, provesOmission } from '#shared/oracle/evidence.ts'
import { depositFact } from '#shared/oracle/fact.ts'
import { RECEIPT_TYPE, receiptMessage } from '#shared/oracle/receipt.ts'
import { attestationDomain } from '#shared/oracle/eip712.ts'
import { toCanonicalSignature } from '#shared/oracle/signature.ts'
import type { TestAccount } from './fixture.ts'
import {
  accounts,
  addressOf,
  batchAt,
  chainId,
  feedA,
  feedB,
  genesisHash,
  leaf,
  setId,
  signAttestation,
  signBatch,
  signFact,
  suite,
} from './fixture.ts'

const [provider, other, collector] = accounts as [TestAccount, TestAccount, TestAccount]
const context = { genesisHash, suite }
const first = await signBatch(provider, batchAt(5, [leaf(feedA, 1n)]))
const second = await signBatch(provider, batchAt(5, [leaf(feedA, 2n)]))

describe('equivocation', () => {
  it('is two signed contents for one round', () => {
    expect(provesEquivocation(first, second, context)).toBe(true)
    expect(provesEquivocation(second, first, context)).toBe(true)
  })

  it('is not one content, another round, shard, set or provider, nor a forged one', async () => {
    const elsewhere = [
      first,
      await signBatch(provider, batchAt(6, [leaf(feedA, 2n)])),
      await signBatch(provider, batchAt(5, [leaf(feedA, 2n)], { shard: 1 })),
      await signBatch(provider, batchAt(5, [leaf(feedA, 2n)], { sourceSet: feedB })),
      await signBatch(other, batchAt(5, [leaf(feedA, 2n)])),
      { ...second, leaves: [leaf(feedA, 3n)] },
      { ...second, signature: first.signature },
    ]
    expect(elsewhere.map((batch) => provesEquivocation(first, batch, context))).toEqual(elsewhere.map(() => false))
    expect(provesEquivocation({ ...first, signature: second.signature }, second, context)).toBe(false)
    expect(provesEquivocation(first, second, { genesisHash: feedA, suite })).toBe(false)
  })
})

describe('contradiction', async () => {
  const deposit = {
    chain: 31337n,
    txid: feedA,
    from: addressOf(provider),
    to: addressOf(other),
    amountWei: 5n,
    height: 7,
    blockHash: feedB,
    confirmations: 2,
  }
  const sign = (changes: Partial<typeof deposit>, account = provider, set = setId) =>
    signFact(account, depositFact(set, 1000, { ...deposit, ...changes }, suite))
  const honest = await sign({})

  it('is two signed contents for one payment in one block', async () => {
    expect(provesContradiction(honest, await sign({ amountWei: 6n }), context)).toBe(true)
  })

  it('is not the same content, another block, depth, payment, reporter or set, nor a forged one', async () => {
    const others = [
      honest,
      await sign({ amountWei: 6n, blockHash: setId }),
      await sign({ amountWei: 6n, confirmations: 3 }),
      await sign({ amountWei: 6n, txid: feedB }),
      await sign({ amountWei: 6n }, other),
      await sign({ amountWei: 6n }, provider, feedB),
      { ...(await sign({ amountWei: 6n })), asOfMs: 5 },
    ]
    expect(others.map((fact) => provesContradiction(honest, fact, context))).toEqual(others.map(() => false))
    expect(provesContradiction({ ...honest, asOfMs: 5 }, await sign({ amountWei: 6n }), context)).toBe(false)
  })
})

describe('omission', async () => {
  const kept = await signBatch(other, batchAt(5, [leaf(feedA, 2n)]))
  const tx = await signAttestation(collector, { chainId, sourceSet: setId, shard: 0, round: 5, batches: [kept] })
  const receiptFrom = async (account: TestAccount, digest = bytesToHex(batchDigest(first, genesisHash, suite))) => {
    const unsigned = { collector: addressOf(account), digest, sequence: 1, receivedAtMs: 9 }
    const wallet = await account.signTypedData({
      domain: attestationDomain(genesisHash),
      types: { Receipt: RECEIPT_TYPE.members },
      primaryType: 'Receipt',
      message: receiptMessage(unsigned),
    })
    return { ...unsigned, signature: toCanonicalSignature(wallet) }
  }
  const receipt = await receiptFrom(collector)

  it('is a receipt and a transaction of the same collector without the batch', () => {
    expect(provesOmission(receipt, first, tx, context)).toBe(true)
  })

  it('is nothing when the batch is there, the receipt is for another, or somebody else submitted', async () => {
    const full = await signAttestation(collector, { chainId, sourceSet: setId, shard: 0, round: 5, batches: [first] })
    const next = await signAttestation(collector, { chainId, sourceSet: setId, shard: 0, round: 6, batches: [kept] })
    const foreign = await signAttestation(other, { chainId, sourceSet: setId, shard: 0, round: 5, batches: [kept] })
    expect([full, next, foreign].map((one) => provesOmission(receipt, first, one, context))).toEqual([false, false, false])
    expect(provesOmission(await receiptFrom(collector, feedA), first, tx, context)).toBe(false)
    expect(provesOmission(await receiptFrom(other), first, tx, context)).toBe(false)
    expect(provesOmission({ ...receipt, sequence: 2 }, first, tx, context)).toBe(false)
    expect(provesOmission(receipt, first, { ...tx, signature: kept.signature }, context)).toBe(false)
  })

  it('is nothing when there was no room', async () => {
    const many = Array.from({ length: 64 }, (_, index) => leaf(`0x${index.toString(16).padStart(64, '0')}`, 1n))
    const wide = await signBatch(provider, batchAt(5, many))
    const sixWide = Array.from({ length: 6 }, (_, index) => ({ ...wide, provider: `0x${'0'.repeat(39)}${index}` as const }))
    const crowded = await signAttestation(collector, { chainId, sourceSet: setId, shard: 0, round: 5, batches: sixWide })
    const wideReceipt = await receiptFrom(collector, bytesToHex(batchDigest(wide, genesisHash, suite)))
    expect(provesOmission(wideReceipt, wide, crowded, context)).toBe(false)
    const roomy = await signAttestation(collector, { chainId, sourceSet: setId, shard: 0, round: 5, batches: sixWide.slice(0, 5) })
    expect(provesOmission(wideReceipt, wide, roomy, context)).toBe(true)
  })
})
