/**
 * The consensus key's operations on the host's own Ed25519, about ten times as fast as the portable ones.
 * Source: RFC 8032; key encodings RFC 8410.
 * @module
 */
import { createHash, createPrivateKey, createPublicKey, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { hexToBytes } from '#shared/bytes.ts'
import type { Hex } from '#shared/types.ts'

const PKCS8_PREFIX = hexToBytes('0x302e020100300506032b657004220420')
const SPKI_PREFIX = hexToBytes('0x302a300506032b6570032100')
const PUBLIC_KEYS_MAX = 1024

/** Private key object of a 32-byte seed. */
export const privateKeyOf = (seed: Uint8Array): KeyObject =>
  createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, seed]), format: 'der', type: 'pkcs8' })

const publicKeyOf = (key: Uint8Array): KeyObject => createPublicKey({ key: Buffer.concat([SPKI_PREFIX, key]), format: 'der', type: 'spki' })

/** 32-byte public key of a seed. */
export const publicBytesOf = (seed: Uint8Array): Uint8Array =>
  createPublicKey(privateKeyOf(seed)).export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length)

/** Signs with the seed's key; 64 bytes, deterministic. */
export const ed25519Sign = (key: KeyObject, message: Uint8Array): Uint8Array => sign(null, message, key)

/** A verifier that remembers parsed public keys. Wrong lengths and malformed keys verify as false. */
export function createEd25519Verifier(): (publicKey: Hex, message: Uint8Array, signature: Hex) => boolean {
  const parsed = new Map<Hex, KeyObject>()
  return (publicKey, message, signature) => {
    if (publicKey.length !== 66 || signature.length !== 130) return false
    let key = parsed.get(publicKey)
    if (key === undefined) {
      key = publicKeyOf(hexToBytes(publicKey))
      if (parsed.size >= PUBLIC_KEYS_MAX) parsed.clear()
      parsed.set(publicKey, key)
    }
    return verify(null, message, key, hexToBytes(signature))
  }
}

/** SHA-256 of the host. */
export const sha256 = (data: Uint8Array): Uint8Array => createHash('sha256').update(data).digest()
