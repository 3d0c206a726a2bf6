/** AttestationTx: its one encoding, and every reason to refuse it. @module */
import { encodePacked, hashTypedData, keccak256, toRlp } from 'viem'
import { describe, expect, it } from 'vitest'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import { DecodeError } from '#shared/fault.ts'
import { receiptDigest, isReceiptValid } from '#shared/oracle/receipt.ts'
import { reportDigest } from '#shared/oracle/ids.ts'
import { attestationTxHash, attestationTxSigner, decodeAttestationTx, encodeAttestationTx } from '#shared/oracle/transaction.ts'
import type { AttestationTx, Batch } from '#shared/oracle/types.ts'
import { ATTESTATION_WINDOW_MS, CLOCK_SKEW_MS, verifyAttestation } from '#shared/oracle/verify-attestation.ts'
import {
  ROUND_MS,
  accounts,
  addressOf,
  batchAt,
  chainId,
  feedA,
  feedB,
  feeds,
  genesisHash,
  leaf,
  setId,
  signAttestation,
  signBatch,
  sourceSet,
  suite,
} from './fixture.ts'

const ROUND = 1000
const set = sourceSet(4)
const [submitter] = accounts.slice(6)
if (submitter === undefined) throw new Error('accounts exist')
const batches = await Promise.all(
  accounts.slice(0, 4).map((account, index) => signBatch(account, batchAt(ROUND, [leaf(feedA, 100n + BigInt(index)), leaf(feedB, -5n)]))),
)
const context = { chainId, genesisHash, blockTimeMs: (ROUND + 2) * ROUND_MS, lastRound: ROUND - 1 }
const make = (changes: Partial<AttestationTx> = {}) =>
  signAttestation(submitter, { chainId, sourceSet: setId, shard: 0, round: ROUND, batches, ...changes })
const good = await make()

describe('AttestationTx', () => {
  it('survives its encoding', () => {
    const raw = encodeAttestationTx(good)
    expect(raw[0]).toBe(0x47)
    expect(decodeAttestationTx(raw)).toEqual(good)
    expect(attestationTxSigner(good, genesisHash, suite)).toBe(addressOf(submitter))
    expect(attestationTxHash(raw, suite)).toBe(keccak256(raw))
  })

  it('has the layout of the specification', () => {
    const golden: AttestationTx = {
      chainId: 81920,
      sourceSet: `0x${'aa'.repeat(32)}`,
      shard: 0,
      round: 5,
      batches: [
        {
          sourceSet: `0x${'aa'.repeat(32)}`,
          shard: 0,
          round: 5,
          provider: `0x${'bb'.repeat(20)}`,
          observedAtMs: 7600,
          leaves: [{ feed: `0x${'cc'.repeat(32)}`, value: -1n, confidence: 2n, low: -3n, high: 4n, status: 'WIDE' }],
          signature: `0x${'dd'.repeat(65)}`,
        },
      ],
      submitter: `0x${'ee'.repeat(20)}`,
      signature: `0x${'ff'.repeat(65)}`,
    }
    const leafFields = [
      `0x${'cc'.repeat(32)}`,
      `0x${'ff'.repeat(24)}`,
      '0x02',
      `0x${'ff'.repeat(23)}fd`,
      `0x${'00'.repeat(23)}04`,
      '0x01',
    ] as const
    const batchFields = [`0x${'bb'.repeat(20)}`, '0x1db0', [leafFields], `0x${'dd'.repeat(65)}`] as const
    const fields = [
      '0x014000',
      `0x${'aa'.repeat(32)}`,
      '0x',
      '0x05',
      [batchFields],
      `0x${'ee'.repeat(20)}`,
      `0x${'ff'.repeat(65)}`,
    ] as const
    expect(bytesToHex(encodeAttestationTx(golden))).toBe(`0x47${toRlp(fields as never).slice(2)}`)
    expect(decodeAttestationTx(encodeAttestationTx(golden))).toEqual(golden)
  })

  it('is refused in any other form', () => {
    const code = (raw: Uint8Array): string => {
      try {
        decodeAttestationTx(raw)
      } catch (error) {
        if (error instanceof DecodeError) return error.code
      }
      return 'none'
    }
    const raw = encodeAttestationTx(good)
    expect(code(raw.with(0, 0x46))).toBe('TX_TYPE')
    expect(code(new Uint8Array(0))).toBe('TX_TYPE')
    expect(code(Uint8Array.of(...raw, 0))).toBe('RLP_INVALID')
    expect(code(new Uint8Array(48 * 1024 + 1).fill(0x47))).toBe('RLP_TOO_LARGE')
    expect(code(encodeAttestationTx({ ...good, batches: [...batches].reverse() }))).toBe('BATCHES_UNSORTED')
    expect(code(encodeAttestationTx({ ...good, batches: [batches[0], batches[0]] as Batch[] }))).toBe('BATCHES_UNSORTED')
    expect(code(encodeAttestationTx({ ...good, batches: [] }))).toBe('BATCHES_UNSORTED')
    expect(
      code(encodeAttestationTx({ ...good, batches: batches.map((batch) => ({ ...batch, leaves: [...batch.leaves].reverse() })) })),
    ).toBe('LEAVES_UNSORTED')
    expect(code(encodeAttestationTx({ ...good, batches: batches.map((batch) => ({ ...batch, leaves: [] })) }))).toBe('LEAVES_EMPTY')
    expect(code(encodeAttestationTx({ ...good, signature: '0x00' }))).toBe('FIELD_INVALID')
    expect(code(encodeAttestationTx({ ...good, shard: 65_536 }))).toBe('FIELD_INVALID')
    expect(code(Uint8Array.of(0x47, ...encodeRlp([hexToBytes('0x00'), setId, 0, 1, [], feedA.slice(0, 42) as `0x${string}`, '0x'])))).toBe(
      'FIELD_INVALID',
    )
  })
})

describe('an attestation is', () => {
  const verify = (tx: AttestationTx, changes: Partial<typeof context> = {}, using = set) => {
    const verdict = verifyAttestation(tx, using, { ...context, ...changes }, suite)
    return verdict.ok ? 'ok' : verdict.code
  }

  it('valid with medians, spread and reporters', () => {
    const everyone = set.members
    const observedAtMs = ROUND * ROUND_MS + 100
    const expected = {
      ok: true,
      medians: feeds.map((feed) =>
        feed === feedA
          ? { feed, value: 101n, spread: 1n, status: 'OK', observedAtMs, reporters: everyone }
          : { feed, value: -5n, spread: 0n, status: 'OK', observedAtMs, reporters: everyone },
      ),
    }
    expect(verifyAttestation(good, set, context, suite)).toEqual(expected)
  })

  it('valid with 2f + 1 of n batches, not with fewer', async () => {
    expect(verify(await make({ batches: batches.slice(0, 3) }))).toBe('ok')
    expect(verify(await make({ batches: batches.slice(0, 2) }))).toBe('QUORUM')
  })

  it('silent about a feed that too few covered', async () => {
    const partial = await signBatch(accounts[2] as never, batchAt(ROUND, [leaf(feedA, 100n)]))
    const verdict = verifyAttestation(await make({ batches: [...batches.slice(0, 2), partial] }), set, context, suite)
    expect(verdict.ok && verdict.medians.map(({ feed }) => feed)).toEqual([feedA])
  })

  it('refused on another chain, set, kind or shard', async () => {
    expect(verify(await make({ chainId: 1 }))).toBe('CHAIN_ID')
    expect(verify(good, {}, { ...set, id: feedA })).toBe('SOURCE_SET')
    expect(verify(good, {}, { ...set, kind: 'reporter' })).toBe('SOURCE_SET')
    expect(verify(await make({ shard: 1 }))).toBe('SHARD_UNKNOWN')
    expect(verify(good, { genesisHash: feedA })).toBe('SUBMITTER_SIGNATURE')
  })

  it('refused out of order, too late or from the future', () => {
    expect(verify(good, { lastRound: ROUND })).toBe('ROUND_NOT_RISING')
    const last = (ROUND + 1) * ROUND_MS + ATTESTATION_WINDOW_MS
    expect(verify(good, { blockTimeMs: last })).toBe('ok')
    expect(verify(good, { blockTimeMs: last + 1 })).toBe('ROUND_EXPIRED')
    const observedAtMs = ROUND * ROUND_MS + 100
    expect(verify(good, { blockTimeMs: observedAtMs - CLOCK_SKEW_MS })).toBe('ok')
    expect(verify(good, { blockTimeMs: observedAtMs - CLOCK_SKEW_MS - 1 })).toBe('ROUND_AHEAD')
  })

  it('refused with a stranger, a duplicate or an unknown feed', async () => {
    const stranger = await signBatch(submitter, batchAt(ROUND, [leaf(feedA, 1n)]))
    expect(verify(await make({ batches: [...batches, stranger] }))).toBe('PROVIDER_UNKNOWN')
    expect(verify(await make({ batches: [...batches, batches[0] as Batch] }))).toBe('PROVIDER_DUPLICATE')
    expect(verify(good, {}, { ...set, feeds: [[feedA]] })).toBe('FEED_UNKNOWN')
  })

  it('refused with one forged batch or a forged submitter', async () => {
    const forged = batches.map((batch, index) => (index === 3 ? { ...batch, leaves: [leaf(feedA, 9n), leaf(feedB, 9n)] } : batch))
    expect(verify(await make({ batches: forged }))).toBe('SIGNATURE_INVALID')
    expect(verify({ ...good, submitter: set.members[0] ?? '0x' })).toBe('SUBMITTER_SIGNATURE')
    const stale = await Promise.all(
      accounts.slice(0, 4).map((account) => signBatch(account, batchAt(ROUND, [leaf(feedA, 1n)], { observedAtMs: ROUND * ROUND_MS - 1 }))),
    )
    expect(verify(await make({ batches: stale }))).toBe('TIME_NOT_IN_ROUND')
  })
})

describe('receipts and report ids', () => {
  it('bind collector, batch and order', async () => {
    const unsigned = { collector: addressOf(submitter), digest: feedA, sequence: 3, receivedAtMs: 99 }
    const domain = { name: 'Fusion Attestation', version: '1', salt: genesisHash } as const
    const types = {
      Receipt: [
        { name: 'collector', type: 'address' },
        { name: 'digest', type: 'bytes32' },
        { name: 'sequence', type: 'uint64' },
        { name: 'receivedAtMs', type: 'uint64' },
      ],
    } as const
    const message = { collector: addressOf(submitter), digest: feedA, sequence: 3n, receivedAtMs: 99n }
    expect(bytesToHex(receiptDigest(unsigned, genesisHash, suite))).toBe(hashTypedData({ domain, types, primaryType: 'Receipt', message }))
    const wallet = await submitter.signTypedData({ domain, types, primaryType: 'Receipt', message })
    const signature = `${wallet.slice(0, -2)}${wallet.endsWith('1b') ? '00' : '01'}` as `0x${string}`
    expect(isReceiptValid({ ...unsigned, signature }, genesisHash, suite)).toBe(true)
    expect(isReceiptValid({ ...unsigned, sequence: 4, signature }, genesisHash, suite)).toBe(false)
  })

  it('hash a report as Solidity packs it', () => {
    const expected = keccak256(encodePacked(['bytes32', 'uint64', 'int256'], [feedA, 12n, -7n]))
    expect(reportDigest(feedA, 12, -7n, suite)).toBe(expected)
  })
})
