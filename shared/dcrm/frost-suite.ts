/**
 * The three FROST ciphersuites: RFC 9591 for Ed25519 and secp256k1, and the Taproot variant whose result is a BIP340 signature.
 * Source: RFC 9591 sections 6.1 and 6.5; BIP340.
 * @module
 */
import { bytesToBigint, concatBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Point, Scalar } from '#shared/dcrm/backend.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { mod } from '#shared/dcrm/polynomial.ts'
import { bip340Challenge, ed25519Challenge } from '#shared/dcrm/verify.ts'
import { secp256k1_hasher } from '@noble/curves/secp256k1.js'

/** What differs between ciphersuites. Hash names as in RFC 9591. */
export type FrostSuite = Readonly<{
  group: Group
  /** SerializeScalar: little-endian for Ed25519. */
  encodeScalar: (scalar: Scalar) => Uint8Array
  /** Binding factors. */
  h1: (message: Uint8Array) => Scalar
  /** Nonces. */
  h3: (message: Uint8Array) => Scalar
  /** Message digest and commitment-list digest. */
  h4: (message: Uint8Array) => Uint8Array
  h5: (message: Uint8Array) => Uint8Array
  /** H2 over nonce point, key and message. */
  challenge: (nonce: Point, key: Point, message: Uint8Array) => Scalar
  /** Signature bytes of nonce point and response. */
  encodeSignature: (nonce: Point, response: Scalar) => Uint8Array
  /** BIP340 knows points by x only: key and nonce count as their multiple with even y. */
  isXOnly: boolean
}>

function secp256k1Suite(backend: DcrmBackend, context: string, isXOnly: boolean): FrostSuite {
  const group = backend.secp256k1
  const toScalar = (use: string) => {
    const DST = utf8ToBytes(`${context}${use}`)
    return (message: Uint8Array): Scalar => secp256k1_hasher.hashToScalar(message, { DST })
  }
  const digest = (use: string) => {
    const prefix = utf8ToBytes(`${context}${use}`)
    return (message: Uint8Array): Uint8Array => backend.sha256(concatBytes(prefix, message))
  }
  const h2 = toScalar('chal')
  const xOf = (point: Point): Uint8Array => group.coordinates(point).x
  return {
    group,
    encodeScalar: scalarBytes,
    h1: toScalar('rho'),
    h3: toScalar('nonce'),
    h4: digest('msg'),
    h5: digest('com'),
    challenge: isXOnly
      ? (nonce, key, message) => bip340Challenge(backend, xOf(nonce), xOf(key), message)
      : (nonce, key, message) => h2(concatBytes(group.encode(nonce), group.encode(key), message)),
    encodeSignature: (nonce, response) => concatBytes(isXOnly ? xOf(nonce) : group.encode(nonce), scalarBytes(response)),
    isXOnly,
  }
}

function ed25519Suite(backend: DcrmBackend): FrostSuite {
  const group = backend.ed25519
  const hash = (use: string) => {
    const prefix = utf8ToBytes(`FROST-ED25519-SHA512-v1${use}`)
    return (message: Uint8Array): Uint8Array => backend.sha512(concatBytes(prefix, message))
  }
  const toScalar = (use: string) => {
    const digest = hash(use)
    return (message: Uint8Array): Scalar => mod(bytesToBigint(digest(message).toReversed()), group.order)
  }
  const encodeScalar = (scalar: Scalar): Uint8Array => scalarBytes(scalar).toReversed()
  return {
    group,
    encodeScalar,
    h1: toScalar('rho'),
    h3: toScalar('nonce'),
    h4: hash('msg'),
    h5: hash('com'),
    challenge: (nonce, key, message) => ed25519Challenge(backend, group.encode(nonce), group.encode(key), message),
    encodeSignature: (nonce, response) => concatBytes(group.encode(nonce), encodeScalar(response)),
    isXOnly: false,
  }
}

/** `taproot` and `ed25519` are schemes of keys here; `secp256k1` is RFC 9591's own suite. */
export function frostSuite(backend: DcrmBackend, name: 'taproot' | 'ed25519' | 'secp256k1'): FrostSuite {
  if (name === 'ed25519') return ed25519Suite(backend)
  return name === 'taproot'
    ? secp256k1Suite(backend, 'FROST-secp256k1-SHA256-TR-v1', true)
    : secp256k1Suite(backend, 'FROST-secp256k1-SHA256-v1', false)
}
