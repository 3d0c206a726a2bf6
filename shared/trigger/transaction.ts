/**
 * TriggerTx: names one occurrence of one entry, and carries the evidence of an attested condition.
 * Source: EIP-2718 (envelope, type 0x46), EIP-2 (low s).
 * @module
 */
import { bigintToBytes, bytesToBigint, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { FieldReader, decodeRlp, encodeRlp } from '#shared/codec/rlp.ts'
import type { RlpInput } from '#shared/codec/rlp.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { DecodeError } from '#shared/fault.ts'
import { EVIDENCE_BYTES_MAX, TRIGGER_TX_TYPE } from '#shared/params.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'

/** 0x46 ‖ rlp([chainId, entryId, revision, occurrence, attempt, evidence, beneficiary, yParity, r, s]) */
export type TriggerTx = Readonly<{
  chainId: number
  entryId: Hash
  revision: number
  occurrence: Hash
  attempt: number
  /** At most EVIDENCE_BYTES_MAX. Empty for intrinsic conditions. */
  evidence: Uint8Array
  beneficiary: Address
  /** Null in a transaction that a lane author inserts for itself: encoded as yParity 0, r = s = 0. */
  signature: Readonly<{ yParity: 0 | 1; r: Hex; s: Hex }> | null
}>

/** Evidence plus every other field at its largest, rounded up. */
const TRIGGER_TX_BYTES_MAX = EVIDENCE_BYTES_MAX + 256
/** Order of secp256k1. Source: SEC 2, 2.4.1. */
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const SIGNING_TAG = utf8ToBytes('fusion.trigger-tx')

function unsignedFields(tx: TriggerTx): RlpInput[] {
  return [tx.chainId, tx.entryId, tx.revision, tx.occurrence, tx.attempt, tx.evidence, tx.beneficiary]
}

/** Raw EIP-2718 form. */
export function encodeTriggerTx(tx: TriggerTx): Uint8Array {
  const { signature } = tx
  const tail: RlpInput[] =
    signature === null ? [0, 0, 0] : [signature.yParity, bytesToBigint(hexToBytes(signature.r)), bytesToBigint(hexToBytes(signature.s))]
  return concatBytes(Uint8Array.of(TRIGGER_TX_TYPE), encodeRlp([...unsignedFields(tx), ...tail]))
}

function readSignature(reader: FieldReader): TriggerTx['signature'] {
  const yParity = reader.integer('yParity', 1) === 0 ? 0 : 1
  const r = reader.bigint('r', 256)
  const s = reader.bigint('s', 256)
  if (yParity === 0 && r === 0n && s === 0n) return null
  if (r === 0n || r >= CURVE_ORDER) throw new DecodeError('SIGNATURE_INVALID', 'triggerTx.r', 'expected 1 ≤ r < order of the curve')
  if (s === 0n || s > CURVE_ORDER / 2n) throw new DecodeError('SIGNATURE_INVALID', 'triggerTx.s', 'expected 1 ≤ s ≤ half of the order')
  return { yParity, r: bytesToHex(bigintToBytes(r, 32)), s: bytesToHex(bigintToBytes(s, 32)) }
}

/** The one transaction with this raw form. @throws {DecodeError} TX_TYPE, RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID, SIGNATURE_INVALID */
export function decodeTriggerTx(raw: Uint8Array): TriggerTx {
  if (raw[0] !== TRIGGER_TX_TYPE) throw new DecodeError('TX_TYPE', 'triggerTx', `expected type ${TRIGGER_TX_TYPE}`)
  const reader = new FieldReader(decodeRlp(raw.subarray(1), TRIGGER_TX_BYTES_MAX), 'triggerTx', 10)
  return {
    chainId: reader.integer('chainId', Number.MAX_SAFE_INTEGER),
    entryId: reader.fixed('entryId', 32),
    revision: reader.integer('revision', 0xffff_ffff),
    occurrence: reader.fixed('occurrence', 32),
    attempt: reader.integer('attempt', 255),
    evidence: reader.bytes('evidence', EVIDENCE_BYTES_MAX),
    beneficiary: reader.fixed('beneficiary', 20),
    signature: readSignature(reader),
  }
}

/** What a submitter signs: keccak256("fusion.trigger-tx" ‖ genesisHash ‖ rlp of the first seven fields). */
export function triggerTxDigest(tx: TriggerTx, genesisHash: Hash, suite: CryptoSuite): Uint8Array {
  return suite.keccak256(concatBytes(SIGNING_TAG, hexToBytes(genesisHash), encodeRlp(unsignedFields(tx))))
}

/** Transaction hash: keccak256 of the raw form, signature included. */
export function triggerTxHash(raw: Uint8Array, suite: CryptoSuite): Hash {
  return bytesToHex(suite.keccak256(raw))
}

/** Account that signed, or null for an unsigned transaction and for a signature that recovers to nobody. */
export function triggerTxSubmitter(tx: TriggerTx, genesisHash: Hash, suite: CryptoSuite): Address | null {
  if (tx.signature === null) return null
  const { r, s, yParity } = tx.signature
  return suite.recoverAddress(triggerTxDigest(tx, genesisHash, suite), hexToBytes(r), hexToBytes(s), yParity)
}

/** Rules that hold whatever the state; null when all do. Codes: CHAIN_ID, REVISION, BENEFICIARY. */
export function refuseTriggerTx(tx: TriggerTx, chainId: number): 'CHAIN_ID' | 'REVISION' | 'BENEFICIARY' | null {
  if (tx.chainId !== chainId) return 'CHAIN_ID'
  if (tx.revision === 0) return 'REVISION'
  if (/^0x0{40}$/.test(tx.beneficiary)) return 'BENEFICIARY'
  return null
}
