/**
 * The bounded proof-of-work race: every representative has exactly K tries, the lowest digest wins.
 * The ticket does not commit to content, so that varying the content gains nothing.
 * Source: whitepaper 5.2, 5.3, 5.5.2 (layer 2), made independent of hardware.
 * @module
 */
import { bigintToBytes, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { Address, Hash, Lane, Slot } from '#shared/types.ts'

type Sha256 = (data: Uint8Array) => Uint8Array

/** A try of the race and its digest. */
export type Ticket = Readonly<{ nonce: number; digest: Hash }>

const TICKET_TAG = utf8ToBytes('fusion.ticket')

function isBelow(left: Uint8Array, right: Uint8Array): boolean {
  for (let index = 0; index < left.length; index++) {
    const difference = (left[index] ?? 0) - (right[index] ?? 0)
    if (difference !== 0) return difference < 0
  }
  return false
}

/** SHA-256("fusion.ticket" ‖ genesisHash ‖ seed ‖ slot ‖ lane ‖ author ‖ VRF output). */
export function ticketSeed(
  race: Readonly<{ genesisHash: Hash; seed: Hash; slot: Slot; lane: Lane; author: Address; vrfOutput: Uint8Array }>,
  sha256: Sha256,
): Uint8Array {
  return sha256(
    concatBytes(
      TICKET_TAG,
      hexToBytes(race.genesisHash),
      hexToBytes(race.seed),
      bigintToBytes(BigInt(race.slot), 8),
      bigintToBytes(BigInt(race.lane), 2),
      hexToBytes(race.author),
      race.vrfOutput,
    ),
  )
}

/** Digest of one try: SHA-256(ticketSeed ‖ uint32 nonce). */
export function ticketDigest(seed: Uint8Array, nonce: number, sha256: Sha256): Hash {
  return bytesToHex(sha256(concatBytes(seed, bigintToBytes(BigInt(nonce), 4))))
}

/** The best of all `tries` tries. */
export function findTicket(seed: Uint8Array, tries: number, sha256: Sha256): Ticket {
  const input = concatBytes(seed, new Uint8Array(4))
  const nonceView = new DataView(input.buffer, input.byteOffset + seed.length, 4)
  let best = sha256(input)
  let bestNonce = 0
  for (let nonce = 1; nonce < tries; nonce++) {
    nonceView.setUint32(0, nonce)
    const digest = sha256(input)
    if (isBelow(digest, best)) {
      best = digest
      bestNonce = nonce
    }
  }
  return { nonce: bestNonce, digest: bytesToHex(best) }
}
