/**
 * What threshold keys sign by themselves. Each digest hashes under a tag of its own together with the chain's genesis, so it can never be the
 * digest of a foreign transaction, of another chain or of another purpose. Source: docs/dcrm.md, duties.
 * @module
 */
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { hashItems } from '#shared/dcrm/hash.ts'

type Hashes = Pick<DcrmBackend, 'sha256'>

/** Blocks after a request whose randomness fixes what must not be chosen by the requester. */
export const ENTROPY_DELAY_BLOCKS = 4
/** Blocks one attempt of a session lasts. */
export const ATTEMPT_BLOCKS = 20

/** 32 bytes signed for `requestSignature`: the request's name and the 32 bytes the requester wants covered. */
export function genericDigest(hashes: Hashes, genesisHash: Uint8Array, signatureId: Uint8Array, message: Uint8Array): Uint8Array {
  return hashItems(hashes, 'sign/generic', genesisHash, signatureId, message)
}

/** 32 bytes of a committee's proof of signature in one epoch of the chain. `randomness` is that of the first block of the epoch. */
export function heartbeatDigest(
  hashes: Hashes,
  genesisHash: Uint8Array,
  keyRequestId: Uint8Array,
  epochIndex: number,
  randomness: Uint8Array,
): Uint8Array {
  return hashItems(hashes, 'sign/heartbeat', genesisHash, keyRequestId, epochIndex, randomness)
}

/** ρ = H("rho", R, requestId): entropy of one signing, unknown when its message was fixed. `randomness` is that of the block that opens the session. */
export function signingEntropy(hashes: Hashes, randomness: Uint8Array, requestId: Uint8Array): Uint8Array {
  return hashItems(hashes, 'rho', randomness, requestId)
}

/** Which retry a session is in, or null before it opens. All heights are of finalised blocks. */
export function attemptAt(finalisedHeight: number, openingHeight: number): number | null {
  return finalisedHeight < openingHeight ? null : Math.floor((finalisedHeight - openingHeight) / ATTEMPT_BLOCKS)
}
