/**
 * The crypto suite of a validator: libsecp256k1 addon, WebAssembly Keccak, and the host's SHA-256 and Ed25519.
 * Falls back to the reference for whatever cannot be loaded; both are checked against each other by tests.
 * Source: SEC 1, RFC 8032; measured in docs/benchmarks.md.
 * @module
 */
import { createHash } from 'node:crypto'
import type { Secp256k1Addon } from '#node/crypto/addon.ts'
import { loadSecp256k1 } from '#node/crypto/addon.ts'
import { createEd25519Verifier } from '#node/crypto-native.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { addressOfPublicKey, nobleSuite } from '#shared/crypto/noble.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { createKeccak } from 'hash-wasm'

async function loadKeccak(): Promise<CryptoSuite['keccak256']> {
  try {
    const hasher = await createKeccak(256)
    return (data) => hasher.init().update(data).digest('binary')
  } catch {
    return nobleSuite.keccak256
  }
}

function recoverWith(addon: Secp256k1Addon, keccak256: CryptoSuite['keccak256']): CryptoSuite['recoverAddress'] {
  const signature = new Uint8Array(64)
  return (digest, r, s, yParity) => {
    if (digest.length !== 32 || r.length !== 32 || s.length !== 32) return null
    signature.set(r, 0)
    signature.set(s, 32)
    try {
      return addressOfPublicKey(keccak256, addon.ecdsaRecover(signature, yParity, digest, false).subarray(1))
    } catch {
      return null
    }
  }
}

/** Loads the fastest implementation of each operation this host has. */
export async function createNativeSuite(): Promise<CryptoSuite> {
  const keccak256 = await loadKeccak()
  const addon = loadSecp256k1()
  const verifyEd25519 = createEd25519Verifier()
  return {
    keccak256,
    sha256: (data) => new Uint8Array(createHash('sha256').update(data).digest()),
    recoverAddress: addon === null ? nobleSuite.recoverAddress : recoverWith(addon, keccak256),
    ed25519Verify: (publicKey, message, signature) => verifyEd25519(bytesToHex(publicKey), message, bytesToHex(signature)),
  }
}
