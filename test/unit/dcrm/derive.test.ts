/** Child keys, addresses and digests. Expected values: BIP341 arithmetic by noble, known addresses of known keys, hand-built hashes. @module */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { bytesToBigint } from '#shared/bytes.ts'
import { ethereumAddress, testAddresses } from '#shared/dcrm/address.ts'
import { attemptAt, genericDigest, heartbeatDigest, signingEntropy } from '#shared/dcrm/digest.ts'
import type { ChildPath } from '#shared/dcrm/derive.ts'
import { childKey, childShare, childTweak } from '#shared/dcrm/derive.ts'
import { groupOfScheme } from '#shared/dcrm/descriptor.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { lagrange } from '#shared/dcrm/polynomial.ts'
import type { KeyShare, Scheme } from '#shared/dcrm/types.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import { dealtShares, hex, seedOf, unhex } from '#test/unit/dcrm/support.ts'

const path = (purpose: ChildPath['purpose'], subject: Uint8Array = new Uint8Array(32)): ChildPath => ({ purpose, subject })
const items = (tag: string, ...parts: readonly Uint8Array[]): string => {
  const hash = createHash('sha256')
  for (const part of [Buffer.from(`FUSION-DCRM/v1/${tag}`), ...parts]) {
    const length = Buffer.alloc(4)
    length.writeUInt32BE(part.length)
    hash.update(length).update(part)
  }
  return hash.digest('hex')
}
const u64 = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}
const keyOf = (scheme: Scheme, word: string) => {
  const shares = dealtShares(scheme, 2, [3, 5, 8], word)
  const { publicKey } = shares.get(3) as KeyShare
  return { shares, requestId: publicKey.descriptor.requestId, key: publicKey.commitments[0] as Uint8Array }
}

describe('child keys', () => {
  it('tweak by the hash of request, key, purpose and subject', () => {
    const { requestId, key } = keyOf('ecdsa', 'tweak')
    const subject = seedOf('subject')
    const expected = BigInt(`0x${items('derive', requestId, key, u64(1), subject)}`) % secp256k1.Point.Fn.ORDER
    expect(childTweak(nobleBackend, 'ecdsa', requestId, key, path('change', subject))).toBe(expected)
    expect(unhex(childKey(nobleBackend, 'ecdsa', requestId, key, path('change', subject))?.signingKey as Uint8Array)).toBe(
      secp256k1.Point.fromBytes(key).add(secp256k1.Point.BASE.multiply(expected)).toHex(),
    )
  })
  it('differ by purpose and by subject', () => {
    const { requestId, key } = keyOf('taproot', 'separate')
    const paths = [path('lock-in'), path('change'), path('heartbeat'), path('generic'), path('generic', seedOf('other'))]
    const keys = paths.map((each) => unhex(childKey(nobleBackend, 'taproot', requestId, key, each)?.signingKey as Uint8Array))
    expect(new Set(keys).size).toBe(paths.length)
  })
  it('of Taproot are output keys: tweak, even y, then the empty-script tweak', () => {
    for (const word of ['a', 'b', 'c', 'd', 'e']) {
      const { requestId, key } = keyOf('taproot', word)
      const child = childKey(nobleBackend, 'taproot', requestId, key, path('lock-in'))
      const internalX = (child as NonNullable<typeof child>).internal.slice(1)
      const internal = schnorr.utils.lift_x(bytesToBigint(internalX))
      const tap = bytesToBigint(schnorr.utils.taggedHash('TapTweak', internalX))
      expect(unhex(child?.signingKey as Uint8Array)).toBe(internal.add(secp256k1.Point.BASE.multiply(tap)).toHex().slice(2))
    }
  })
  it.each(['taproot', 'ed25519'] as const)('of %s have shares that interpolate to them', (scheme) => {
    for (const word of ['a', 'b', 'c', 'd']) {
      const { shares, requestId, key } = keyOf(scheme, word)
      const group = groupOfScheme(nobleBackend, scheme)
      const child = childKey(nobleBackend, scheme, requestId, key, path('generic'))
      const moved = [3, 8].map((id) => childShare(nobleBackend, shares.get(id) as KeyShare, path('generic')) as KeyShare)
      const secret = moved.reduce((sum, share) => sum + lagrange([3, 8], share.self, group.order) * bytesToBigint(share.secret), 0n)
      const point = group.encode(group.mulBase(secret % group.order))
      expect(unhex(point)).toBe(unhex(moved[0]?.publicKey.commitments[0] as Uint8Array))
      expect(unhex(scheme === 'taproot' ? point.slice(1) : point)).toBe(unhex(child?.signingKey as Uint8Array))
      for (const share of moved) {
        const index = share.publicKey.descriptor.members.indexOf(share.self)
        expect(unhex(share.publicKey.publicShares[index] as Uint8Array)).toBe(
          unhex(group.encode(group.mulBase(bytesToBigint(share.secret)))),
        )
        expect(share.publicKey.commitments).toHaveLength(2)
      }
      const [, slope] = moved[0]?.publicKey.commitments ?? []
      const [, known] = moved[1]?.publicKey.commitments ?? []
      expect(unhex(slope as Uint8Array)).toBe(unhex(known as Uint8Array))
    }
  })
  it('do not exist for bytes that are no key', () => {
    expect(childKey(nobleBackend, 'ecdsa', seedOf('r'), new Uint8Array(33), path('generic'))).toBe(null)
  })
  it('are not made by tweaking ECDSA shares', () => {
    expect(() => childShare(nobleBackend, keyOf('ecdsa', 'a').shares.get(3) as KeyShare, path('generic'))).toThrow('ECDSA')
  })
})

describe('addresses', () => {
  it('of the generator’s key are the ones everybody knows', () => {
    const key = hex('0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798')
    expect(unhex(ethereumAddress(key))).toBe('7e5f4552091a69125d5dfcb7b8c2659029395bdf')
    expect(testAddresses('ecdsa', key)).toEqual([
      { chain: 'ethereum', text: '0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf' },
      { chain: 'bitcoin-regtest', text: 'bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080' },
    ])
  })
  it('of Taproot and Ed25519 encode the key itself', () => {
    const [taproot] = testAddresses('taproot', hex('53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343'))
    expect(taproot?.text).toMatch(/^bcrt1p2wsldez5mud2yam29q22wgfh9439spgduvct83k3pm50fcxa5dps/)
    const key = ed25519.getPublicKey(seedOf('solana'))
    expect(testAddresses('ed25519', key)[0]?.text).toMatch(/^[1-9A-HJ-NP-Za-km-z]{43,44}$/)
  })
})

describe('digests', () => {
  const [genesis, request, message] = [seedOf('genesis'), seedOf('request'), seedOf('message')]
  it('carry a tag of their own, the chain and the request', () => {
    expect(unhex(genericDigest(nobleBackend, genesis, request, message))).toBe(items('sign/generic', genesis, request, message))
    expect(unhex(heartbeatDigest(nobleBackend, genesis, request, 7, message))).toBe(
      items('sign/heartbeat', genesis, request, u64(7), message),
    )
    expect(unhex(signingEntropy(nobleBackend, message, request))).toBe(items('rho', message, request))
  })
  it('belong to attempts of 20 blocks counted from the opening', () => {
    expect([99, 100, 119, 120, 160].map((height) => attemptAt(height, 100))).toEqual([null, 0, 0, 1, 3])
  })
})
