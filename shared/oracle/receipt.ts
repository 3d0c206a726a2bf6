/** What a collector signs for every batch it took: proof against it when the batch is missing from its bundle. Source: EIP-712. @module */
import type { Keccak } from '#shared/oracle/eip712.ts'
import { attestationSeparator, structHash, structType, typedDigest } from '#shared/oracle/eip712.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import { recoverSigner } from '#shared/oracle/signature.ts'
import type { BatchReceipt } from '#shared/oracle/types.ts'
import type { Hash } from '#shared/types.ts'

/** Struct under a collector's signature; `digest` is the provider's own signing digest. */
export const RECEIPT_TYPE = structType('Receipt', [
  { name: 'collector', type: 'address' },
  { name: 'digest', type: 'bytes32' },
  { name: 'sequence', type: 'uint64' },
  { name: 'receivedAtMs', type: 'uint64' },
])

/** A receipt before it is signed. */
export type UnsignedReceipt = Omit<BatchReceipt, 'signature'>

/** Values of the typed struct. */
export const receiptMessage = (receipt: UnsignedReceipt) => ({
  collector: receipt.collector,
  digest: receipt.digest,
  sequence: BigInt(receipt.sequence),
  receivedAtMs: BigInt(receipt.receivedAtMs),
})

/** The digest a collector signs. */
export function receiptDigest(receipt: UnsignedReceipt, genesisHash: Hash, suite: Keccak): Uint8Array {
  return typedDigest(attestationSeparator(genesisHash, suite), structHash(RECEIPT_TYPE, receiptMessage(receipt), suite), suite)
}

/** Whether the named collector signed the receipt. */
export function isReceiptValid(receipt: BatchReceipt, genesisHash: Hash, suite: Recovery): boolean {
  return recoverSigner(receiptDigest(receipt, genesisHash, suite), receipt.signature, suite) === receipt.collector
}
