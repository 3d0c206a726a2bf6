/**
 * AttestationTx, EIP-2718 type 0x47: rlp([chainId, sourceSet, shard, round, batches, submitter, signature]). No nonce: unique by
 * (set, shard, round). Source: EIP-2718; docs/protocol.md.
 * @module
 */
import { bytesToHex, compareHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { RlpInput } from '#shared/codec/rlp.ts'
import { FieldReader, decodeRlp, encodeRlp } from '#shared/codec/rlp.ts'
import { DecodeError } from '#shared/fault.ts'
import { batchFields, readBatch } from '#shared/oracle/batch.ts'
import type { Keccak } from '#shared/oracle/eip712.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import { SIGNATURE_BYTES, recoverSigner } from '#shared/oracle/signature.ts'
import type { AttestationTx } from '#shared/oracle/types.ts'
import { ATTESTATION_BYTES_MAX, ATTESTATION_TX_TYPE } from '#shared/params.ts'
import type { Address, Hash } from '#shared/types.ts'

const TAG = utf8ToBytes('fusion.attestation-tx')
/** Batches in one transaction: more members than this do not fit its size anyway. */
const BATCHES_MAX = 128
const SHARD_MAX = 65_535

/** What the submitter signs over. */
export type UnsignedAttestationTx = Omit<AttestationTx, 'submitter' | 'signature'>

function unsignedFields(tx: UnsignedAttestationTx): readonly RlpInput[] {
  return [tx.chainId, tx.sourceSet, tx.shard, tx.round, tx.batches.map((batch) => batchFields(batch))]
}

/** The envelope, type byte first. */
export function encodeAttestationTx(tx: AttestationTx): Uint8Array {
  return concatBytes(Uint8Array.of(ATTESTATION_TX_TYPE), encodeRlp([...unsignedFields(tx), tx.submitter, tx.signature]))
}

/** Decodes an envelope in its one accepted form. @throws {DecodeError} TX_TYPE, RLP_*, FIELD_INVALID, BATCHES_UNSORTED, LEAVES_*, VALUE_RANGE */
export function decodeAttestationTx(raw: Uint8Array): AttestationTx {
  if (raw[0] !== ATTESTATION_TX_TYPE) throw new DecodeError('TX_TYPE', 'attestation', 'expected type 0x47')
  const reader = new FieldReader(decodeRlp(raw.subarray(1), ATTESTATION_BYTES_MAX - 1), 'attestation', 7)
  const chainId = reader.integer('chainId', Number.MAX_SAFE_INTEGER)
  const sourceSet = reader.fixed('sourceSet', 32)
  const shard = reader.integer('shard', SHARD_MAX)
  const round = reader.integer('round', Number.MAX_SAFE_INTEGER)
  const batches = reader.list('batches', BATCHES_MAX).map((item, index) => {
    const path = `attestation.batches.${index}`
    return readBatch(new FieldReader(item, path, 4), path, { sourceSet, shard, round })
  })
  if (
    batches.length === 0 ||
    batches.some((batch, index) => index > 0 && compareHex(batches[index - 1]?.provider ?? '0x', batch.provider) >= 0)
  )
    throw new DecodeError('BATCHES_UNSORTED', 'attestation.batches', 'expected at least one batch, in strictly rising order of provider')
  const submitter = reader.fixed('submitter', 20)
  return { chainId, sourceSet, shard, round, batches, submitter, signature: reader.fixed('signature', SIGNATURE_BYTES) }
}

/** The digest a submitter signs: keccak(tag ‖ genesisHash ‖ rlp of the first five fields). */
export function attestationTxDigest(tx: UnsignedAttestationTx, genesisHash: Hash, suite: Keccak): Uint8Array {
  return suite.keccak256(concatBytes(TAG, hexToBytes(genesisHash), encodeRlp(unsignedFields(tx))))
}

/** Who signed the transaction, or null; valid only when equal to `tx.submitter`. */
export function attestationTxSigner(tx: AttestationTx, genesisHash: Hash, suite: Recovery): Address | null {
  return recoverSigner(attestationTxDigest(tx, genesisHash, suite), tx.signature, suite)
}

/** Transaction hash: keccak of the envelope. */
export function attestationTxHash(raw: Uint8Array, suite: Keccak): Hash {
  return bytesToHex(suite.keccak256(raw))
}
