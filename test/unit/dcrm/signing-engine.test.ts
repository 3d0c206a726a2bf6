/** The engine behind the signing measurements makes real keys and real signatures. @module */
import { describe, expect, it } from 'vitest'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import { createSigningBench } from '../../../bench/signing-engine.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

const DIGEST = seedOf('digest')
const ACCEPTED = {
  ecdsa: (key: Uint8Array, signature: Uint8Array) => secp256k1.verify(signature.slice(0, 64), DIGEST, key, { prehash: false }),
  taproot: (key: Uint8Array, signature: Uint8Array) => schnorr.verify(signature, DIGEST, key),
  ed25519: (key: Uint8Array, signature: Uint8Array) => ed25519.verify(signature, DIGEST, key, { zip215: false }),
}

describe.each(['ecdsa', 'taproot', 'ed25519'] as const)('the %s engine', (scheme) => {
  it('generates a key and signs with any two of three, each time anew', () => {
    const bench = createSigningBench(scheme)
    expect(bench.name).toBe(`fusion-${scheme}`)
    const { result: key, bytesPerParty } = bench.keygen(2, 3)
    expect(bytesPerParty).toBeGreaterThan(scheme === 'ecdsa' ? 2 * 2 * 8_448 : 0)
    const signatures = [
      [1, 2],
      [1, 3],
      [2, 3],
    ].map((signers) => bench.sign(key, signers, DIGEST))
    for (const { result } of signatures) expect(ACCEPTED[scheme](key.child.signingKey, result)).toBe(true)
    expect(new Set(signatures.map(({ result }) => Buffer.from(result).toString('hex'))).size).toBe(3)
    // Of ECDSA: both halves of a VOLE, commitment, statement, certificate and bond, partial.
    const sent = { ecdsa: 32 + 10_768 + 40_000 + 196 + 64 + 64, taproot: 66 + 32, ed25519: 64 + 32 }[scheme]
    expect(signatures[0]?.bytesPerParty).toBe(sent)
  })
})
