/**
 * Addresses of signing keys on other chains, in test encodings only: nothing credits a payment to them until a bridge contract owns the key.
 * Source: BIP173, BIP350 (bech32, bech32m), BIP341 output scripts; EIP-55; Ethereum yellow paper, appendix F.
 * @module
 */
import { bytesToHex } from '#shared/bytes.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import { ripemd160 } from '@noble/hashes/legacy.js'
import { sha256 } from '@noble/hashes/sha2.js'
import { base58, bech32, bech32m } from '@scure/base'

/** Human-readable part of Bitcoin's regression-test network. */
const REGTEST = 'bcrt'

/** One address of a key: which chain it is for and its text there. */
export type ForeignAddress = Readonly<{ chain: 'bitcoin-regtest' | 'ethereum' | 'ed25519'; text: string }>

/** Ethereum address, 20 bytes, of a compressed secp256k1 key. @throws {Error} for bytes that are no key */
export function ethereumAddress(compressed: Uint8Array): Uint8Array {
  return keccak_256(secp256k1.Point.fromBytes(compressed).toBytes(false).subarray(1)).subarray(12)
}

/** Source: EIP-55. */
function checksummed(address: Uint8Array): string {
  const digits = bytesToHex(address).slice(2)
  const hash = bytesToHex(keccak_256(Uint8Array.from(digits, (character) => character.charCodeAt(0)))).slice(2)
  const cased = Array.from(digits, (digit, index) => (Number.parseInt(hash.charAt(index), 16) >= 8 ? digit.toUpperCase() : digit))
  return `0x${cased.join('')}`
}

/** Addresses a signing key (see `childKey`) has in test encodings. Taproot keys pay to `bcrt1p…`, ECDSA keys to an Ethereum address and to `bcrt1q…`. */
export function testAddresses(scheme: Scheme, signingKey: Uint8Array): readonly ForeignAddress[] {
  if (scheme === 'ed25519') return [{ chain: 'ed25519', text: base58.encode(signingKey) }]
  if (scheme === 'taproot') return [{ chain: 'bitcoin-regtest', text: bech32m.encode(REGTEST, [1, ...bech32m.toWords(signingKey)]) }]
  const keyHash = ripemd160(sha256(signingKey))
  return [
    { chain: 'ethereum', text: checksummed(ethereumAddress(signingKey)) },
    { chain: 'bitcoin-regtest', text: bech32.encode(REGTEST, [0, ...bech32.toWords(keyHash)]) },
  ]
}
