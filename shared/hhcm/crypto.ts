/** The reference operations of a validator's consensus key, over noble. @module */
import { hexToBytes } from '#shared/bytes.ts'
import { vrfProve, vrfVerify } from '#shared/crypto/vrf.ts'
import type { HhcmCrypto } from '#shared/hhcm/types.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

/**
 * Signing, VRF and hashing with a 32-byte Ed25519 secret key. Verification is strict RFC 8032 (no ZIP-215 relaxations), so that a
 * native verifier may replace it. Source: RFC 8032, RFC 9381.
 */
export function createHhcmCrypto(secretKey: Uint8Array): HhcmCrypto {
  return {
    sign: (message) => ed25519.sign(message, secretKey),
    verify: (publicKey, message, signature) => {
      try {
        return ed25519.verify(hexToBytes(signature), message, hexToBytes(publicKey), { zip215: false })
      } catch {
        return false
      }
    },
    vrfProve: (input) => vrfProve(secretKey, input),
    vrfVerify: (publicKey, input, proof) => vrfVerify(hexToBytes(publicKey), input, hexToBytes(proof)),
    sha256,
    keccak256: keccak_256,
  }
}
