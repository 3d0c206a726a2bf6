/** Fast stand-ins for signatures and the VRF: a hash of key and message. Unforgeable only because nobody in the simulator forges. @module */
import { hash } from 'node:crypto'
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { HhcmCrypto } from '#shared/hhcm/types.ts'
import type { Hex } from '#shared/types.ts'

const VRF = utf8ToBytes('vrf')
const digest = (name: 'sha256' | 'sha512', ...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(hash(name, concatBytes(...parts), 'buffer'))
const sha256 = (data: Uint8Array): Uint8Array => digest('sha256', data)
const keys = new Map<Hex, Uint8Array>()

function keyOf(publicKey: Hex): Uint8Array {
  const known = keys.get(publicKey)
  if (known !== undefined) return known
  const bytes = hexToBytes(publicKey)
  keys.set(publicKey, bytes)
  return bytes
}

/** Operations of the key whose public part is `publicKey`; "keccak" is SHA-256 here because nothing outside sees these hashes. */
export function fakeCrypto(publicKey: Hex): HhcmCrypto {
  const own = keyOf(publicKey)
  const proof = (key: Uint8Array, input: Uint8Array): Uint8Array => concatBytes(digest('sha512', key, VRF, input), new Uint8Array(16))
  return {
    sign: (message) => digest('sha512', own, message),
    verify: (key, message, signature) => bytesToHex(digest('sha512', keyOf(key), message)) === signature,
    vrfProve: (input) => proof(own, input),
    vrfVerify: (key, input, given) => (bytesToHex(proof(keyOf(key), input)) === given ? digest('sha512', hexToBytes(given)) : null),
    sha256,
    keccak256: sha256,
  }
}
