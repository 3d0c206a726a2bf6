/** Native transactions as pool, packaging and JSON-RPC see them: decoded, signer recovered, identity named. @module */
import { bytesToHex } from '#shared/bytes.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { DecodeError } from '#shared/fault.ts'
import type { LaneKey } from '#shared/hhcm/lanes.ts'
import { attestationTxSigner, decodeAttestationTx } from '#shared/oracle/transaction.ts'
import type { AttestationTx } from '#shared/oracle/types.ts'
import { ATTESTATION_TX_TYPE, TRIGGER_TX_TYPE } from '#shared/params.ts'
import { decodeTriggerTx, refuseTriggerTx, triggerTxSubmitter } from '#shared/trigger/transaction.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { Address, Hash } from '#shared/types.ts'

/** A decoded 0x46. */
export type TriggerTransaction = Readonly<{
  kind: 'trigger'
  hash: Hash
  raw: Uint8Array
  tx: TriggerTx
  /** Identity of (entryId, revision, occurrence, attempt). */
  key: string
  /** Identity of the evidence beside the key. */
  evidenceHash: Hash
  /** Null when a package author made it for itself. */
  signer: Address | null
}>
/** A decoded 0x47 whose submitter signed it. */
export type AttestationTransaction = Readonly<{ kind: 'attestation'; hash: Hash; raw: Uint8Array; tx: AttestationTx; signer: Address }>
/** Either of the two. */
export type NativeTransaction = TriggerTransaction | AttestationTransaction

/** Whether the envelope's type is one of the two native ones. */
export const isNativeType = (raw: Uint8Array): boolean => raw[0] === TRIGGER_TX_TYPE || raw[0] === ATTESTATION_TX_TYPE

/** Lane key of a native transaction: its entry, or its source set. */
export const nativeLaneKey = (native: NativeTransaction): LaneKey =>
  native.kind === 'trigger' ? { kind: 'entry', id: native.tx.entryId } : { kind: 'set', id: native.tx.sourceSet }

function decodeTrigger(raw: Uint8Array, hash: Hash, genesisHash: Hash, crypto: CryptoSuite): TriggerTransaction {
  const tx = decodeTriggerTx(raw)
  const fault = refuseTriggerTx(tx, tx.chainId)
  if (fault !== null) throw new DecodeError('FIELD_INVALID', `trigger.${fault.toLowerCase()}`, 'not a possible value')
  const signer = triggerTxSubmitter(tx, genesisHash, crypto)
  if (tx.signature !== null && signer === null) throw new DecodeError('SIGNATURE_INVALID', 'trigger.signature', 'no key made it')
  const key = [tx.entryId, tx.revision, tx.occurrence, tx.attempt].join('/')
  return { kind: 'trigger', hash, raw, tx, key, evidenceHash: bytesToHex(crypto.keccak256(tx.evidence)), signer }
}

/**
 * Decodes a 0x46 or 0x47 envelope and recovers its signer. The chain id is left to the caller.
 * @throws {DecodeError} TX_TYPE, RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID, SIGNATURE_INVALID and the codecs' own codes
 */
export function decodeNativeTransaction(raw: Uint8Array, genesisHash: Hash, crypto: CryptoSuite): NativeTransaction {
  const hash = bytesToHex(crypto.keccak256(raw))
  if (raw[0] === TRIGGER_TX_TYPE) return decodeTrigger(raw, hash, genesisHash, crypto)
  const tx = decodeAttestationTx(raw)
  if (attestationTxSigner(tx, genesisHash, crypto) !== tx.submitter)
    throw new DecodeError('SIGNATURE_INVALID', 'attestation.signature', 'the submitter did not make it')
  return { kind: 'attestation', hash, raw, tx, signer: tx.submitter }
}
