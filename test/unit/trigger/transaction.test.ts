/** TriggerTx: golden bytes, signatures by an outside library, refusals. @module */
import { bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import {
  decodeTriggerTx,
  encodeTriggerTx,
  refuseTriggerTx,
  triggerTxDigest,
  triggerTxHash,
  triggerTxSubmitter,
} from '#shared/trigger/transaction.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { concat, keccak256, numberToHex, parseSignature, toBytes, toRlp } from 'viem'
import { privateKeyToAccount, publicKeyToAddress, sign } from 'viem/accounts'
import { describe, expect, it } from 'vitest'

const GENESIS = `0x${'9e'.repeat(32)}` as const
const KEY = `0x${'11'.repeat(32)}` as const
/** Only what these tests need, on viem and noble directly. */
const suite: CryptoSuite = {
  keccak256: (data) => toBytes(keccak256(data)),
  sha256: () => new Uint8Array(32),
  recoverAddress: (digest, r, s, yParity) => {
    try {
      const point = secp256k1.Signature.fromBytes(concatBytes(r, s)).addRecoveryBit(yParity).recoverPublicKey(digest)
      return publicKeyToAddress(bytesToHex(point.toBytes(false))).toLowerCase() as `0x${string}`
    } catch {
      return null
    }
  },
  ed25519Verify: () => false,
}

const UNSIGNED: TriggerTx = {
  chainId: 81920,
  entryId: `0x${'01'.repeat(32)}`,
  revision: 3,
  occurrence: `0x${'02'.repeat(32)}`,
  attempt: 0,
  evidence: Uint8Array.of(0xca, 0xfe),
  beneficiary: `0x${'cc'.repeat(20)}`,
  signature: null,
}
const FIELDS = [numberToHex(81920), UNSIGNED.entryId, '0x03', UNSIGNED.occurrence, '0x', '0xcafe', UNSIGNED.beneficiary] as const

async function signed(): Promise<TriggerTx> {
  const hash = keccak256(concat([toBytes('fusion.trigger-tx'), toBytes(GENESIS), toRlp([...FIELDS], 'bytes')]))
  const { r, s, yParity } = parseSignature(await sign({ hash, privateKey: KEY, to: 'hex' }))
  return { ...UNSIGNED, signature: { yParity: yParity === 0 ? 0 : 1, r, s } }
}

describe('TriggerTx', () => {
  it('is the bytes an independent RLP encoder makes', () => {
    expect(bytesToHex(encodeTriggerTx(UNSIGNED))).toBe(concat(['0x46', toRlp([...FIELDS, '0x', '0x', '0x'])]))
  })

  it('decodes to itself, unsigned and signed', async () => {
    const tx = await signed()
    expect(decodeTriggerTx(encodeTriggerTx(UNSIGNED))).toEqual(UNSIGNED)
    expect(decodeTriggerTx(encodeTriggerTx(tx))).toEqual(tx)
  })

  it('is signed over tag, genesis and the first seven fields, and recovers the submitter', async () => {
    const tx = await signed()
    expect(bytesToHex(triggerTxDigest(tx, GENESIS, suite))).toBe(
      keccak256(concat([toBytes('fusion.trigger-tx'), toBytes(GENESIS), toRlp([...FIELDS], 'bytes')])),
    )
    expect(triggerTxSubmitter(tx, GENESIS, suite)).toBe(privateKeyToAccount(KEY).address.toLowerCase())
    expect(triggerTxSubmitter(tx, `0x${'9f'.repeat(32)}`, suite)).not.toBe(privateKeyToAccount(KEY).address.toLowerCase())
    expect(triggerTxSubmitter(UNSIGNED, GENESIS, suite)).toBeNull()
  })

  it('is named by the keccak of its raw form', async () => {
    const raw = encodeTriggerTx(await signed())
    expect(triggerTxHash(raw, suite)).toBe(keccak256(raw))
  })

  const list = (...tail: (Uint8Array | bigint | number)[]): Uint8Array =>
    concatBytes(
      Uint8Array.of(0x46),
      encodeRlp([81920, UNSIGNED.entryId, 3, UNSIGNED.occurrence, 0, '0xcafe', UNSIGNED.beneficiary, ...tail]),
    )
  const N = secp256k1.Point.CURVE().n
  it.each([
    ['another type', concatBytes(Uint8Array.of(0x47), encodeTriggerTx(UNSIGNED).subarray(1)), 'TX_TYPE'],
    ['nothing', new Uint8Array(0), 'TX_TYPE'],
    ['a missing field', list(0, 0), 'FIELD_INVALID'],
    ['a field too many', list(0, 0, 0, 0), 'FIELD_INVALID'],
    ['bytes after the list', concatBytes(list(0, 0, 0), Uint8Array.of(0)), 'RLP_INVALID'],
    ['parity above one', list(2, 1n, 1n), 'FIELD_INVALID'],
    ['r = 0 with s set', list(0, 0n, 1n), 'SIGNATURE_INVALID'],
    ['s = 0 with r set', list(0, 1n, 0n), 'SIGNATURE_INVALID'],
    ['parity without signature', list(1, 0n, 0n), 'SIGNATURE_INVALID'],
    ['r at the order', list(0, N, 1n), 'SIGNATURE_INVALID'],
    ['high s', list(0, 1n, N / 2n + 1n), 'SIGNATURE_INVALID'],
    ['padded r', list(0, Uint8Array.of(0, 1), 1n), 'FIELD_INVALID'],
    ['evidence above the limit', encodeTriggerTx({ ...UNSIGNED, evidence: new Uint8Array(2049) }), 'FIELD_INVALID'],
    ['a huge envelope', concatBytes(Uint8Array.of(0x46), new Uint8Array(3000)), 'RLP_TOO_LARGE'],
    ['an attempt above a byte', encodeTriggerTx({ ...UNSIGNED, attempt: 256 }), 'FIELD_INVALID'],
    ['a revision above four bytes', encodeTriggerTx({ ...UNSIGNED, revision: 2 ** 32 }), 'FIELD_INVALID'],
  ])('refuses %s', (_, raw, code) => {
    expect(() => decodeTriggerTx(raw)).toThrow(expect.objectContaining({ code }))
  })

  it('accepts the largest low s', () => {
    const raw = list(0, 1n, N / 2n)
    expect(encodeTriggerTx(decodeTriggerTx(raw))).toEqual(raw)
    expect(hexToBytes(decodeTriggerTx(raw).signature?.s ?? '0x')).toHaveLength(32)
  })

  it('refuses what no state can make valid', () => {
    expect(refuseTriggerTx(UNSIGNED, 81920)).toBeNull()
    expect(refuseTriggerTx(UNSIGNED, 1)).toBe('CHAIN_ID')
    expect(refuseTriggerTx({ ...UNSIGNED, revision: 0 }, 81920)).toBe('REVISION')
    expect(refuseTriggerTx({ ...UNSIGNED, beneficiary: `0x${'00'.repeat(20)}` }, 81920)).toBe('BENEFICIARY')
  })
})
