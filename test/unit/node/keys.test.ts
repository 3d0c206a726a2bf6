/** Key files and the native Ed25519 against the portable one. @module */
import { chmodSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ed25519 } from '@noble/curves/ed25519.js'
import { computeAddress } from 'ethers'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { createEd25519Verifier, ed25519Sign, privateKeyOf, publicBytesOf } from '#node/crypto-native.ts'
import { createKeys, readKeys, writeKeys } from '#node/keys.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'

const folder = mkdtempSync(join(tmpdir(), 'fusion-keys-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('validator key file', () => {
  it('comes back as written, readable by the owner only, never overwritten', () => {
    const path = join(folder, 'key.json')
    const keys = createKeys()
    writeKeys(path, keys)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readKeys(path)).toEqual({ ...keys, consensusSeed: new Uint8Array(keys.consensusSeed) })
    expect(() => writeKeys(path, createKeys())).toThrow(/EEXIST/)
    expect(keys.address).toBe(computeAddress(keys.operatorKey).toLowerCase())
  })

  it('is refused when others may read it or it is not one, without showing its content', () => {
    const open = join(folder, 'open.json')
    writeKeys(open, createKeys())
    chmodSync(open, 0o644)
    expect(() => readKeys(open)).toThrow(/KEY_FILE_OPEN/)
    const broken = join(folder, 'broken.json')
    writeFileSync(broken, '{"version":1,"operatorKey":"0xsecret"}', { mode: 0o600 })
    expect(() => readKeys(broken)).toThrow(/KEY_FILE_INVALID/)
    expect(() => readKeys(broken)).not.toThrow(/secret/)
    expect(readKeys(join(folder, 'none.json'))).toBeNull()
  })
})

describe('native Ed25519', () => {
  const bytes32 = fc.uint8Array({ minLength: 32, maxLength: 32 })

  it('agrees with an independent implementation on keys and signatures', () => {
    fc.assert(
      fc.property(bytes32, fc.uint8Array({ maxLength: 200 }), (seed, message) => {
        expect(bytesToHex(publicBytesOf(seed))).toBe(bytesToHex(ed25519.getPublicKey(seed)))
        expect(bytesToHex(ed25519Sign(privateKeyOf(seed), message))).toBe(bytesToHex(ed25519.sign(message, seed)))
      }),
      { numRuns: 20 },
    )
  })

  it('verifies the first test vector of RFC 8032 and refuses it with any bit flipped', () => {
    const verify = createEd25519Verifier()
    const key = '0xd75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'
    const signature = hexToBytes(
      '0xe5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b',
    )
    expect(verify(key, new Uint8Array(0), bytesToHex(signature))).toBe(true)
    for (let bit = 0; bit < 512; bit += 37) {
      const flipped = signature.map((byte, index) => (index === bit >> 3 ? byte ^ (1 << (bit & 7)) : byte))
      expect(verify(key, new Uint8Array(0), bytesToHex(flipped))).toBe(false)
    }
  })

  it('says false, and never throws, for keys and signatures of any shape', () => {
    const verify = createEd25519Verifier()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ maxLength: 70 }), (key, signature) => {
        expect(verify(bytesToHex(key), Uint8Array.of(1), bytesToHex(signature))).toBe(false)
      }),
    )
    expect(verify(`0x${'ff'.repeat(32)}`, Uint8Array.of(1), `0x${'ff'.repeat(64)}`)).toBe(false)
  })
})
