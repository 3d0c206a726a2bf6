/** The libsecp256k1 addon, loaded in one place. Source: bitcoin-core/secp256k1 through its Node binding. @module */
import { createRequire } from 'node:module'

/** The part of the addon's interface that is used. Keys are 33 or 65 bytes, scalars 32 bytes in [1, order); each call throws otherwise. */
export type Secp256k1Addon = Readonly<{
  ecdsaRecover: (signature: Uint8Array, recoveryId: number, message: Uint8Array, compressed: boolean) => Uint8Array
  /** Constant-time k·G. */
  publicKeyCreate: (secret: Uint8Array, compressed: boolean) => Uint8Array
  publicKeyConvert: (key: Uint8Array, compressed: boolean) => Uint8Array
  publicKeyNegate: (key: Uint8Array, compressed: boolean) => Uint8Array
  /** Throws when the sum is the identity. */
  publicKeyCombine: (keys: readonly Uint8Array[], compressed: boolean) => Uint8Array
  /** Variable-time k·P. */
  publicKeyTweakMul: (key: Uint8Array, scalar: Uint8Array, compressed: boolean) => Uint8Array
  /** Constant-time k·P, handed to `hashfn` as its two coordinates. */
  ecdh: (
    key: Uint8Array,
    secret: Uint8Array,
    options: Readonly<{ hashfn: (x: Uint8Array, y: Uint8Array) => Uint8Array }>,
    output: Uint8Array,
  ) => Uint8Array
}>

/** The addon, or null on a platform it is not built for. Its own fallback in JavaScript is slower than the reference, so it is not used. */
export function loadSecp256k1(): Secp256k1Addon | null {
  try {
    const require = createRequire(import.meta.url)
    return require('secp256k1/bindings') as Secp256k1Addon
  } catch {
    return null
  }
}
