/** The engine behind the signing measurements makes real keys and real signatures. @module */
import { describe, expect, it } from 'vitest'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import { createMeasuredBench, createSigningBench } from '../../../bench/signing-engine.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

const DIGEST = seedOf('digest')
const ACCEPTED = {
  ecdsa: (key: Uint8Array, signature: Uint8Array) => secp256k1.verify(signature.slice(0, 64), DIGEST, key, { prehash: false }),
  taproot: (key: Uint8Array, signature: Uint8Array) => schnorr.verify(signature, DIGEST, key),
  ed25519: (key: Uint8Array, signature: Uint8Array) => ed25519.verify(signature, DIGEST, key, { zip215: false }),
}

describe.each(['ecdsa', 'taproot', 'ed25519'] as const)('the %s engine', (scheme) => {
  it('generates a key and signs with any two of three, each time anew', () => {
    const { name, keygen, sign } = createSigningBench(scheme)
    expect(name).toBe(`fusion-${scheme}`)
    const keys = keygen(2, 3)
    const signatures = [
      [1, 2],
      [1, 3],
      [2, 3],
    ].map((signers) => sign(keys, signers, DIGEST))
    for (const signature of signatures) expect(ACCEPTED[scheme](keys.child.signingKey, signature)).toBe(true)
    expect(new Set(signatures.map((signature) => Buffer.from(signature).toString('hex'))).size).toBe(3)
  })

  it('counts what the busiest party sends', () => {
    const steps = createMeasuredBench(scheme)
    const { result: key, bytesPerParty } = steps.keygen(2, 3)
    expect(bytesPerParty).toBeGreaterThan(scheme === 'ecdsa' ? 2 * 2 * 8_448 : 0)
    const presigned = scheme === 'ecdsa' ? steps.presign(key, [1, 2]) : null
    const signed = steps.signOnline(key, [1, 2], DIGEST, presigned?.result ?? null)
    // Of ECDSA: both halves of a VOLE, commitment, statement, certificate and bond; then the partial.
    const sent = { ecdsa: [32 + 10_768 + 40_000 + 196 + 64, 64], taproot: [0, 66 + 32], ed25519: [0, 64 + 32] }[scheme]
    expect([presigned?.bytesPerParty ?? 0, signed.bytesPerParty]).toEqual(sent)
  })
})
