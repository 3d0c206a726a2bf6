/** Operations of this node's consensus key: signatures and hashes by the host, the VRF by the portable code. @module */
import { hexToBytes } from '#shared/bytes.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { vrfProve, vrfVerify } from '#shared/crypto/vrf.ts'
import type { HhcmCrypto } from '#shared/hhcm/types.ts'
import { createEd25519Verifier, ed25519Sign, privateKeyOf, sha256 } from '#node/crypto-native.ts'

/** The machine's crypto. A follower has no seed: it never signs, and asking it to is our bug. */
export function createConsensusKey(seed: Uint8Array | null, suite: Pick<CryptoSuite, 'keccak256'>): HhcmCrypto {
  const key = seed === null ? null : privateKeyOf(seed)
  const need = <T>(value: T | null): T => {
    if (value === null) throw new Error('a follower has no consensus key')
    return value
  }
  return {
    sign: (message) => ed25519Sign(need(key), message),
    verify: createEd25519Verifier(),
    vrfProve: (input) => vrfProve(need(seed), input),
    vrfVerify: (publicKey, input, proof) => vrfVerify(hexToBytes(publicKey), input, hexToBytes(proof)),
    sha256,
    keccak256: suite.keccak256,
  }
}
