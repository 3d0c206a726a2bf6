/**
 * The crypto suite of a validator: libsecp256k1 addon, WebAssembly Keccak, and the host's SHA-256 and Ed25519.
 * Falls back to the reference for whatever cannot be loaded; both are checked against each other by tests.
 * Source: SEC 1, RFC 8032; measured in docs/benchmarks.md.
 * @module
 */
import { createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { createEd25519Verifier } from '#node/crypto-native.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { addressOfPublicKey, nobleSuite } from '#shared/crypto/noble.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { createKeccak } from 'hash-wasm'

/** The part of the addon's interface that is used. */
type Secp256k1Addon = Readonly<{
  ecdsaRecover: (signature: Uint8Array, recoveryId: number, message: Uint8Array, compressed: boolean) => Uint8Array
}>

/** The addon, or null on a platform it is not built for. Its own fallback in JavaScript is slower than the reference, so it is not used. */
function loadAddon(): Secp256k1Addon | null {
  try {
    const require = createRequire(import.meta.url)
    return require('secp256k1/bindings') as Secp256k1Addon
  } catch {
    return null
  }
}

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
  const addon = loadAddon()
  const verifyEd25519 = createEd25519Verifier()
  return {
    keccak256,
    sha256: (data) => new Uint8Array(createHash('sha256').update(data).digest()),
    recoverAddress: addon === null ? nobleSuite.recoverAddress : recoverWith(addon, keccak256),
    ed25519Verify: (publicKey, message, signature) => verifyEd25519(bytesToHex(publicKey), message, bytesToHex(signature)),
  }
}
