/** Envelope cryptography of a node: the host's Ed25519, X25519, HKDF and ChaCha20-Poly1305. Same bytes as the reference. @module */
import type { KeyObject } from 'node:crypto'
import { createCipheriv, createDecipheriv, createPrivateKey, createPublicKey, diffieHellman, hkdfSync, sign, verify } from 'node:crypto'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { SEAL_BYTES, nobleEnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'

/** DER before a raw key. Source: RFC 8410. */
const PREFIX = {
  ed25519Private: '302e020100300506032b657004220420',
  ed25519Public: '302a300506032b6570032100',
  x25519Private: '302e020100300506032b656e04220420',
  x25519Public: '302a300506032b656e032100',
} as const

const der = (prefix: string, key: Uint8Array): Buffer => Buffer.concat([Buffer.from(prefix, 'hex'), key])
const privateKey = (prefix: string, secret: Uint8Array): KeyObject =>
  createPrivateKey({ key: der(prefix, secret), format: 'der', type: 'pkcs8' })
const publicKeyOf = (prefix: string, key: Uint8Array): KeyObject => createPublicKey({ key: der(prefix, key), format: 'der', type: 'spki' })

const ALGORITHM = 'chacha20-poly1305'

function open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, data: Uint8Array): Uint8Array | null {
  if (sealed.length < SEAL_BYTES) return null
  const decipher = createDecipheriv(ALGORITHM, key, nonce, { authTagLength: SEAL_BYTES })
  decipher.setAAD(data, { plaintextLength: sealed.length - SEAL_BYTES })
  decipher.setAuthTag(sealed.subarray(sealed.length - SEAL_BYTES))
  try {
    return new Uint8Array(Buffer.concat([decipher.update(sealed.subarray(0, sealed.length - SEAL_BYTES)), decipher.final()]))
  } catch {
    return null
  }
}

function seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, data: Uint8Array): Uint8Array {
  const cipher = createCipheriv(ALGORITHM, key, nonce, { authTagLength: SEAL_BYTES })
  cipher.setAAD(data, { plaintextLength: plain.length })
  const body = Buffer.concat([cipher.update(plain), cipher.final()])
  return new Uint8Array(Buffer.concat([body, cipher.getAuthTag()]))
}

function agree(secret: Uint8Array, publicKey: Uint8Array): Uint8Array | null {
  if (publicKey.length !== 32) return null
  try {
    const shared = diffieHellman({
      privateKey: privateKey(PREFIX.x25519Private, secret),
      publicKey: publicKeyOf(PREFIX.x25519Public, publicKey),
    })
    return shared.every((byte) => byte === 0) ? null : new Uint8Array(shared)
  } catch {
    // OpenSSL refuses keys of small order, which is what null says.
    return null
  }
}

function isSigned(key: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (key.length !== 32 || signature.length !== 64) return false
  try {
    return verify(null, message, publicKeyOf(PREFIX.ed25519Public, key), signature)
  } catch {
    return false
  }
}

/** Native primitives; the public X25519 key, needed once per session, is the reference's. */
export const nativeEnvelopeCrypto: EnvelopeCrypto = {
  sign: (secret, message) => new Uint8Array(sign(null, message, privateKey(PREFIX.ed25519Private, secret))),
  verify: isSigned,
  agree,
  agreementKey: nobleEnvelopeCrypto.agreementKey,
  hkdf: (material, salt, info) => new Uint8Array(hkdfSync('sha256', material, salt, info, 32)),
  seal,
  open,
}
