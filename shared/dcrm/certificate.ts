/** The one digest all members confirm before a key may be used. Source: docs/dcrm.md, key generation. @module */
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import { hashItems, idsBytes, listBytes } from '#shared/dcrm/hash.ts'
import { descriptorHash } from '#shared/dcrm/ids.ts'
import type { PublicKey } from '#shared/dcrm/types.ts'

/** Bytes of a certificate. */
export const CERTIFICATE_BYTES = 32

/** A certificate as it was sent, null for any other length. */
export function decodeCertificate(payload: Uint8Array): Uint8Array | null {
  return decodePayload(payload, (reader) => reader.bytes(CERTIFICATE_BYTES))
}

/** K = H("key-final", descriptor, keyId, epoch, A_0 … A_d, X_1 … X_n, QUAL). */
export function keyCertificate(hashes: Pick<DcrmBackend, 'sha256'>, key: PublicKey): Uint8Array {
  const { descriptor, keyId, epoch, commitments, publicShares, qualified } = key
  return hashItems(
    hashes,
    'key-final',
    descriptorHash(hashes, descriptor),
    keyId,
    epoch,
    listBytes(commitments),
    listBytes(publicShares),
    idsBytes(qualified),
  )
}
