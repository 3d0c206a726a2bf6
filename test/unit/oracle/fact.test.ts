/** Facts and the evidence made of them. @module */
import { encodeAbiParameters, hashTypedData, keccak256, parseAbiParameters, toBytes } from 'viem'
import { describe, expect, it } from 'vitest'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import { decodeDepositEvidence, encodeDepositEvidence, verifyDepositEvidence } from '#shared/oracle/deposit-evidence.ts'
import { attestationDomain } from '#shared/oracle/eip712.ts'
import { FACT_TYPE, decodeDepositBody, depositFact, encodeDepositBody, factDigest, factFault } from '#shared/oracle/fact.ts'
import type { DepositFact } from '#shared/trigger/types.ts'
import { accounts, feedA, genesisHash, setId, signFact, sourceSet, suite } from './fixture.ts'

const deposit: DepositFact = {
  chain: 31337n,
  txid: `0x${'71'.repeat(32)}`,
  from: `0x${'f0'.repeat(20)}`,
  to: `0x${'70'.repeat(20)}`,
  amountWei: 3n * 10n ** 18n,
  height: 77,
  blockHash: `0x${'b1'.repeat(32)}`,
  confirmations: 2,
}
const unsigned = depositFact(setId, 1_700_000_000_000, deposit, suite)
const set = sourceSet(5, 'reporter')

describe('a deposit fact', () => {
  it('has the body a Solidity contract decodes', () => {
    const types = parseAbiParameters('uint256, bytes32, address, address, uint256, uint48, bytes32, uint32')
    const { chain, txid, from, to, amountWei, height, blockHash, confirmations } = deposit
    const expected = encodeAbiParameters(types, [chain, txid, from, to, amountWei, height, blockHash, confirmations])
    expect(bytesToHex(encodeDepositBody(deposit))).toBe(expected)
    expect(decodeDepositBody(encodeDepositBody(deposit))).toEqual(deposit)
    const highest = { ...deposit, height: 2 ** 48 - 1, confirmations: 2 ** 32 - 1 }
    expect(decodeDepositBody(encodeDepositBody(highest))).toEqual(highest)
  })

  it('has exactly one encoding', () => {
    const body = encodeDepositBody(deposit)
    const dirty = (index: number, byte: number) => body.with(index, byte)
    expect(() => decodeDepositBody(body.subarray(1))).toThrow('expected 256 bytes')
    expect(() => decodeDepositBody(dirty(64, 1))).toThrow('deposit.from')
    expect(() => decodeDepositBody(dirty(96, 1))).toThrow('deposit.to')
    expect(() => decodeDepositBody(dirty(160, 1))).toThrow('deposit.height')
    expect(() => decodeDepositBody(dirty(224, 1))).toThrow('deposit.confirmations')
    expect(() => decodeDepositBody(dirty(255, 0))).toThrow('at least 1')
  })

  it('is signed as EIP-712 prescribes', () => {
    const expected = hashTypedData({
      domain: attestationDomain(genesisHash),
      types: { Fact: FACT_TYPE.members },
      primaryType: 'Fact',
      message: {
        sourceSet: setId,
        schema: keccak256(toBytes('Deposit')),
        subject: keccak256(encodeAbiParameters(parseAbiParameters('uint256, bytes32'), [deposit.chain, deposit.txid])),
        asOfMs: 1_700_000_000_000n,
        body: keccak256(encodeDepositBody(deposit)),
      },
    })
    expect(bytesToHex(factDigest(unsigned, genesisHash, suite))).toBe(expected)
  })

  it('is refused when its subject, body or signer is another', async () => {
    const [one, two] = await Promise.all(accounts.slice(0, 2).map((account) => signFact(account, unsigned)))
    if (one === undefined || two === undefined) throw new Error('two facts')
    expect(factFault(one, genesisHash, suite)).toBeNull()
    expect(factFault({ ...one, subject: feedA }, genesisHash, suite)).toBe('SUBJECT')
    expect(factFault({ ...one, body: one.body.subarray(1) }, genesisHash, suite)).toBe('DEPOSIT_INVALID')
    expect(factFault({ ...one, asOfMs: one.asOfMs + 1 }, genesisHash, suite)).toBe('SIGNATURE_INVALID')
    expect(factFault({ ...one, reporter: two.reporter }, genesisHash, suite)).toBe('SIGNATURE_INVALID')
    expect(factFault(one, feedA, suite)).toBe('SIGNATURE_INVALID')
  })
})

describe('evidence of a deposit', async () => {
  // Five members have a fault budget of 1; identical facts need floor((5 + 1) / 2) + 1 = 4 signatures.
  const facts = await Promise.all(accounts.slice(0, 5).map((account) => signFact(account, unsigned)))
  const raw = (count: number, change: (signatures: string[]) => string[] = (all) => all) => {
    const sorted = facts.slice(0, count).toSorted((a, b) => (a.reporter < b.reporter ? -1 : 1))
    return encodeRlp([setId, unsigned.asOfMs, unsigned.body, change(sorted.map((fact) => fact.signature)).map((s) => hexToBytes(s))])
  }
  const verify = (bytes: Uint8Array) => verifyDepositEvidence(bytes, set, genesisHash, suite)

  it('names the payment and its reporters in order, whatever order they came in', () => {
    const bytes = encodeDepositEvidence([...facts].reverse())
    expect(bytes.length).toBeLessThanOrEqual(2048)
    expect(verify(bytes)).toEqual({ ok: true, deposit, reporters: set.members })
    expect(decodeDepositEvidence(bytes)).toMatchObject({ sourceSet: setId, asOfMs: unsigned.asOfMs, deposit })
  })

  it('needs four of five, not three', () => {
    expect(verify(raw(3))).toEqual({ ok: false, code: 'QUORUM' })
    expect(verify(raw(4))).toMatchObject({ ok: true })
  })

  it('counts no signer twice and keeps one order', () => {
    expect(verify(raw(4, ([a = '', b = '', c = '']) => [a, b, c, c]))).toEqual({ ok: false, code: 'REPORTERS_UNSORTED' })
    expect(verify(raw(4, (all) => all.toReversed()))).toEqual({ ok: false, code: 'REPORTERS_UNSORTED' })
  })

  it('is worth nothing from strangers, broken signatures or another set', async () => {
    const stranger = await signFact(accounts[6] ?? (accounts[0] as never), unsigned)
    expect(verify(raw(4, (all) => [...all.slice(0, 3), stranger.signature]))).toEqual({ ok: false, code: 'REPORTER_UNKNOWN' })
    expect(verify(raw(4, (all) => [...all.slice(0, 3), `0x${'00'.repeat(65)}`]))).toEqual({ ok: false, code: 'SIGNATURE_INVALID' })
    expect(verifyDepositEvidence(raw(4), { ...set, id: feedA }, genesisHash, suite)).toEqual({ ok: false, code: 'SOURCE_SET' })
    expect(verifyDepositEvidence(raw(4), { ...set, kind: 'provider' }, genesisHash, suite)).toEqual({ ok: false, code: 'SOURCE_SET' })
    expect(verify(raw(4).subarray(1))).toEqual({ ok: false, code: 'EVIDENCE_INVALID' })
    expect(verify(raw(4, (all) => [...all, '0x01']))).toEqual({ ok: false, code: 'EVIDENCE_INVALID' })
  })
})
