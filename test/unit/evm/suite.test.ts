/** Both crypto suites against each other and outside vectors. Sources: EIP-155, RFC 8032, Wycheproof. @module */
import { createHash, generateKeyPairSync, sign } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { withRecoveryCache } from '#node/crypto/recovery-cache.ts'
import { bigintToBytes, bytesToBigint, hexToBytes } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { suite } from '#test/unit/evm/support.ts'

const ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
const ED25519_VECTORS = '../shared/vectors/wycheproof/ed25519_test.json'

type Wycheproof = Readonly<{
  testGroups: readonly Readonly<{
    publicKey: { pk: string }
    tests: readonly Readonly<{ tcId: number; msg: string; sig: string; result: string }>[]
  }>[]
}>

const suites = [
  ['portable', nobleSuite],
  ['native', suite],
] as const

if (!existsSync(ED25519_VECTORS)) console.log('skipped: the Wycheproof vectors are not in ../shared/vectors')

describe.each(suites)('the %s suite', (_, tested) => {
  test('hashes the known answers', () => {
    expect(Buffer.from(tested.keccak256(new Uint8Array(0))).toString('hex')).toBe(
      'c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470',
    )
    expect(Buffer.from(tested.sha256(Buffer.from('abc'))).toString('hex')).toBe(
      'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    )
  })

  test('recovers the signer of the EIP-155 example', () => {
    const digest = hexToBytes('0xdaf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53')
    const r = hexToBytes('0x28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276')
    const s = hexToBytes('0x67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83')
    expect(tested.recoverAddress(digest, r, s, 0)).toBe('0x9d8a62f656a8d1615c1294fd71e9cfb3e4855a4f')
  })

  test('refuses values no signature can have', () => {
    const digest = new Uint8Array(32).fill(1)
    const one = bigintToBytes(1n, 32)
    for (const wrong of [new Uint8Array(32), bigintToBytes(ORDER, 32), new Uint8Array(31)]) {
      expect(tested.recoverAddress(digest, wrong, one, 0)).toBeNull()
      expect(tested.recoverAddress(digest, one, wrong, 0)).toBeNull()
    }
    expect(tested.recoverAddress(new Uint8Array(31), one, one, 0)).toBeNull()
  })

  test('verifies what the host signs with Ed25519 and nothing else', () => {
    const { privateKey, publicKey } = generateKeyPairSync('ed25519')
    const key = publicKey.export({ format: 'der', type: 'spki' }).subarray(12)
    const message = Buffer.from('a vote')
    const signature = sign(null, message, privateKey)
    expect(tested.ed25519Verify(key, message, signature)).toBe(true)
    expect(tested.ed25519Verify(key, Buffer.from('a veto'), signature)).toBe(false)
    expect(tested.ed25519Verify(key, message, signature.subarray(1))).toBe(false)
    expect(tested.ed25519Verify(key.subarray(1), message, signature)).toBe(false)
  })

  test.skipIf(!existsSync(ED25519_VECTORS) && process.env['CI'] === undefined)(
    'judges the Ed25519 vectors of Wycheproof as they say',
    () => {
      const vectors = JSON.parse(readFileSync(ED25519_VECTORS, 'utf8')) as Wycheproof
      const wrong = vectors.testGroups.flatMap(({ publicKey, tests }) =>
        tests.filter(
          ({ msg, sig, result }) =>
            tested.ed25519Verify(Buffer.from(publicKey.pk, 'hex'), Buffer.from(msg, 'hex'), Buffer.from(sig, 'hex')) !==
            (result === 'valid'),
        ),
      )
      expect(wrong.map(({ tcId }) => tcId)).toEqual([])
    },
  )
})

test('both suites recover the same signer from good, high-s and arbitrary signatures', () => {
  const word = fc.bigInt({ min: 0n, max: 2n ** 256n - 1n })
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.bigInt({ min: 1n, max: ORDER - 1n }),
      word,
      fc.boolean(),
      (digest, secret, noise, isNoise) => {
        const signature = secp256k1.sign(digest, bigintToBytes(secret, 32), { prehash: false, format: 'recovered' })
        const r = isNoise ? bigintToBytes(noise, 32) : signature.subarray(1, 33)
        const low = signature.subarray(33)
        const high = bigintToBytes(ORDER - bytesToBigint(low), 32)
        for (const s of [low, high]) {
          for (const parity of [0, 1] as const)
            expect(suite.recoverAddress(digest, r, s, parity)).toBe(nobleSuite.recoverAddress(digest, r, s, parity))
        }
      },
    ),
    { numRuns: 40 },
  )
})

test('both suites hash alike', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (data) => {
      expect(suite.keccak256(data)).toEqual(nobleSuite.keccak256(data))
      expect(suite.sha256(data)).toEqual(new Uint8Array(createHash('sha256').update(data).digest()))
      expect(nobleSuite.sha256(data)).toEqual(suite.sha256(data))
    }),
  )
})

test('a remembered signer is recovered once, also when there is none', () => {
  let calls = 0
  const counted = withRecoveryCache({ ...nobleSuite, recoverAddress: (...args) => (calls++, nobleSuite.recoverAddress(...args)) }, 4)
  const digest = new Uint8Array(32).fill(7)
  const signature = secp256k1.sign(digest, bigintToBytes(5n, 32), { prehash: false, format: 'recovered' })
  const parity = signature[0] === 1 ? 1 : 0
  const signer = counted.recoverAddress(digest, signature.subarray(1, 33), signature.subarray(33), parity)
  expect(signer).not.toBeNull()
  expect(counted.recoverAddress(digest, signature.subarray(1, 33), signature.subarray(33), parity)).toBe(signer)
  expect(counted.recoverAddress(digest, new Uint8Array(32), new Uint8Array(32), 0)).toBeNull()
  expect(counted.recoverAddress(digest, new Uint8Array(32), new Uint8Array(32), 0)).toBeNull()
  expect(calls).toBe(2)
})
