/**
 * The reference crypto suite, in portable code: default of the edge, the simulator and every platform without native help.
 * Source: SEC 1 (secp256k1 recovery), RFC 8032 (Ed25519), FIPS 180-4, Keccak as Ethereum uses it.
 * @module
 */
import { bytesToHex, concatBytes } from '#shared/bytes.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { Address } from '#shared/types.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

/** Ethereum address of an uncompressed public key without its 0x04 prefix, given the hash to use. */
export function addressOfPublicKey(keccak256: CryptoSuite['keccak256'], publicKey: Uint8Array): Address {
  return bytesToHex(keccak256(publicKey).subarray(12))
}

function recoverAddress(digest: Uint8Array, r: Uint8Array, s: Uint8Array, yParity: 0 | 1): Address | null {
  if (digest.length !== 32 || r.length !== 32 || s.length !== 32) return null
  try {
    const signature = secp256k1.Signature.fromBytes(concatBytes(Uint8Array.of(yParity), r, s), 'recovered')
    return addressOfPublicKey(keccak_256, signature.recoverPublicKey(digest).toBytes(false).subarray(1))
  } catch {
    return null
  }
}

function ed25519Verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (publicKey.length !== 32 || signature.length !== 64) return false
  try {
    return ed25519.verify(signature, message, publicKey, { zip215: false })
  } catch {
    return false
  }
}

/** Keccak, SHA-256, secp256k1 recovery and strict Ed25519 verification over noble. */
export const nobleSuite: CryptoSuite = { keccak256: keccak_256, sha256, recoverAddress, ed25519Verify }
