/** Verification at its edges. Signatures come from noble, or are solved for backwards: any r and s fit some message or some key. @module */
import { describe, expect, it } from 'vitest'
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import { verifyBip340, verifyEcdsa, verifyEd25519, verifySignature } from '#shared/dcrm/verify.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import { hex, seedOf } from '#test/unit/dcrm/support.ts'

const { Point } = secp256k1
const { Fn, Fp } = Point
const order = Fn.ORDER
const SECRET = seedOf('secret')
const DIGEST = seedOf('digest')
const d = bytesToBigint(SECRET)
const key = secp256k1.getPublicKey(SECRET)

const ecdsa = (digest: bigint, r: bigint, s: bigint, recovery: number, by = key): boolean =>
  verifyEcdsa(nobleBackend, by, scalarBytes(digest), concatBytes(scalarBytes(r), scalarBytes(s), Uint8Array.of(recovery)))
/** The message that r and s of the nonce k sign under `SECRET`: z = s·k − r·d. */
const messageFor = (k: bigint, r: bigint, s: bigint): bigint => Fn.sub(Fn.mul(s, k), Fn.mul(r, d))
const abscissa = (k: bigint): bigint => Point.BASE.multiply(k).toAffine().x

describe('ECDSA', () => {
  const [recovery = 9, ...compact] = secp256k1.sign(DIGEST, SECRET, { prehash: false, format: 'recovered' })
  const signature = Uint8Array.of(...compact, recovery)
  const [r, s] = [bytesToBigint(signature.slice(0, 32)), bytesToBigint(signature.slice(32, 64))]
  it('accepts what another signer made, with its own recovery id and no other', () => {
    expect([0, 1, 2, 3, 27].map((id) => verifyEcdsa(nobleBackend, key, DIGEST, signature.with(64, id)))).toEqual(
      [0, 1, 2, 3, 27].map((id) => id === recovery),
    )
  })
  it('accepts it in its exact length over exactly 32 bytes, by a key that is one', () => {
    const longer = concatBytes(Uint8Array.of(0), DIGEST)
    expect(bytesToBigint(longer)).toBe(bytesToBigint(DIGEST))
    const refused = [
      [key, DIGEST, signature.slice(0, 64)],
      [key, DIGEST, Uint8Array.of(...signature, 0)],
      [key, longer, signature],
      [key, DIGEST.slice(1), signature],
      [key.slice(1), DIGEST, signature],
      [new Uint8Array(33), DIGEST, signature],
    ] as const
    for (const [by, digest, bytes] of refused) expect(verifyEcdsa(nobleBackend, by, digest, bytes)).toBe(false)
  })
  it('refuses another message, r or s', () => {
    const z = bytesToBigint(DIGEST)
    expect(ecdsa(z, r, s, recovery)).toBe(true)
    expect([ecdsa(z + 1n, r, s, recovery), ecdsa(z, r + 1n, s, recovery), ecdsa(z, r, s + 1n, recovery)]).toEqual([false, false, false])
  })
  it('refuses scalars that are 0 or not below the order', () => {
    for (const bad of [0n, order, order + r, 2n ** 256n - 1n])
      for (const id of [0, 1, 2, 3]) {
        expect(ecdsa(bytesToBigint(DIGEST), bad % 2n ** 256n, s, id)).toBe(false)
        expect(ecdsa(bytesToBigint(DIGEST), r, bad % 2n ** 256n, id)).toBe(false)
      }
  })
  it('takes the largest low s, (q − 1)/2, and not the one above it', () => {
    const k = 1234567n
    const x = abscissa(k)
    for (const [low, isLow] of [
      [(order - 1n) / 2n, true],
      [(order + 1n) / 2n, false],
    ] as const) {
      const accepted = [0, 1].filter((id) => ecdsa(messageFor(k, x, low), x, low, id))
      expect(accepted.length).toBe(isLow ? 1 : 0)
    }
  })
  it('says in bit 1 of the recovery id that x(R) is not below the order', () => {
    // The first point with such an x, and the key for which R signs the message 7: P = (s·R − z·G)/r.
    let x = order + 1n
    while (Fp.isValid(x) && !isAbscissa(x)) x++
    const R = Point.fromBytes(concatBytes(Uint8Array.of(2), scalarBytes(x)))
    const small = x - order
    const by = R.multiply(3n).subtract(Point.BASE.multiply(7n)).multiply(Fn.inv(small)).toBytes()
    expect([0, 1, 2, 3].map((id) => ecdsa(7n, small, 3n, id, by))).toEqual([false, false, true, false])
  })
  it('is no signature where R would be the neutral point', () => {
    // z + r·d = 0.
    const z = Fn.neg(Fn.mul(r, d))
    for (const id of [0, 1, 2, 3]) expect(ecdsa(z, r, s, id)).toBe(false)
  })
})

const isAbscissa = (x: bigint): boolean => {
  try {
    Point.fromBytes(concatBytes(Uint8Array.of(2), scalarBytes(x)))
    return true
  } catch {
    return false
  }
}

describe.each([
  ['BIP340', verifyBip340, schnorr.getPublicKey(SECRET), schnorr.sign(DIGEST, SECRET), order],
  ['Ed25519', verifyEd25519, ed25519.getPublicKey(SECRET), ed25519.sign(DIGEST, SECRET), ed25519.Point.Fn.ORDER],
] as const)('%s', (name, verify, publicKey, signature, q) => {
  const accepts = (bytes: Uint8Array, by: Uint8Array = publicKey): boolean => verify(nobleBackend, by, DIGEST, bytes)
  const [nonce, response] = [signature.slice(0, 32), signature.slice(32)]
  const scalar = (value: bigint): Uint8Array => (name === 'BIP340' ? scalarBytes(value) : scalarBytes(value).toReversed())
  const value = bytesToBigint(name === 'BIP340' ? response : response.toReversed())
  it('accepts 64 bytes and no other length', () => {
    expect(accepts(signature)).toBe(true)
    for (const bytes of [
      new Uint8Array(0),
      signature.slice(0, 32),
      signature.slice(0, 63),
      signature.slice(1),
      Uint8Array.of(...signature, 0),
    ])
      expect(accepts(bytes)).toBe(false)
  })
  it('refuses keys that are none: of another length, out of range, on no curve', () => {
    for (const by of [
      publicKey.slice(1),
      Uint8Array.of(...publicKey, 0),
      new Uint8Array(32).fill(255),
      hex('05'.padStart(64, '0')),
      hex('02'.padEnd(64, '0')),
    ])
      expect(accepts(signature, by)).toBe(false)
  })
  it('refuses a response that is another, or the same plus the order', () => {
    expect(accepts(concatBytes(nonce, scalar(value)))).toBe(true)
    expect(accepts(concatBytes(nonce, scalar(value ^ 1n)))).toBe(false)
    const tooLarge = [q, value + q].filter((each) => each < 2n ** 256n)
    expect(tooLarge.map((each) => accepts(concatBytes(nonce, scalar(each))))).toEqual(tooLarge.map(() => false))
  })
  it('refuses a nonce that is another, or none', () => {
    for (const other of [nonce.with(9, (nonce[9] ?? 0) ^ 1), new Uint8Array(32), new Uint8Array(32).fill(255)])
      expect(accepts(concatBytes(other, response))).toBe(false)
  })
})

describe('a signature of a child key', () => {
  it('is over 32 bytes, also where its scheme could sign others', () => {
    const made: readonly (readonly [Scheme, Uint8Array, (message: Uint8Array) => Uint8Array])[] = [
      ['taproot', schnorr.getPublicKey(SECRET), (message) => schnorr.sign(message, SECRET)],
      ['ed25519', ed25519.getPublicKey(SECRET), (message) => ed25519.sign(message, SECRET)],
    ]
    for (const [scheme, by, sign] of made)
      for (const length of [0, 31, 32, 33]) {
        const message = new Uint8Array(length).fill(1)
        expect([scheme, length, verifySignature(nobleBackend, scheme, by, message, sign(message))]).toEqual([scheme, length, length === 32])
      }
  })
  it('is checked by the rule of its scheme', () => {
    const [recovery = 9, ...compact] = secp256k1.sign(DIGEST, SECRET, { prehash: false, format: 'recovered' })
    expect(verifySignature(nobleBackend, 'ecdsa', key, DIGEST, Uint8Array.of(...compact, recovery))).toBe(true)
    expect(verifySignature(nobleBackend, 'ecdsa', key, DIGEST, Uint8Array.of(...compact, recovery ^ 1))).toBe(false)
  })
})
