/** Child keys, addresses and digests. Expected values: BIP341 arithmetic by noble, known addresses of known keys, hand-built hashes. @module */
import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { bytesToBigint } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { ethereumAddress, testAddresses } from '#shared/dcrm/address.ts'
import { attemptAt, genericDigest, heartbeatDigest, signingEntropy } from '#shared/dcrm/digest.ts'
import type { ChildPath } from '#shared/dcrm/derive.ts'
import { childKey, childShare, childTweak } from '#shared/dcrm/derive.ts'
import { groupOfScheme } from '#shared/dcrm/descriptor.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { lagrange } from '#shared/dcrm/polynomial.ts'
import type { KeyShare, Scheme } from '#shared/dcrm/types.ts'
import { InvariantError } from '#shared/fault.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import { dealtShares, encoded, hashed, hex, seedOf, u64, unhex } from '#test/unit/dcrm/support.ts'

const path = (purpose: ChildPath['purpose'], subject: Uint8Array = new Uint8Array(32)): ChildPath => ({ purpose, subject })
const keyOf = (scheme: Scheme, word: string) => {
  const shares = dealtShares(scheme, 2, [3, 5, 8], word)
  const { publicKey } = shares.get(3) as KeyShare
  return { shares, requestId: publicKey.descriptor.requestId, key: publicKey.commitments[0] as Uint8Array }
}

describe('child keys', () => {
  it('tweak by the hash of request, key, purpose and subject', () => {
    const { requestId, key } = keyOf('ecdsa', 'tweak')
    const subject = seedOf('subject')
    const expected = BigInt(`0x${hashed('derive', requestId, key, u64(1), subject)}`) % secp256k1.Point.Fn.ORDER
    expect(childTweak(nobleBackend, 'ecdsa', requestId, key, path('change', subject))).toBe(expected)
    expect(unhex(childKey(nobleBackend, 'ecdsa', requestId, key, path('change', subject))?.signingKey as Uint8Array)).toBe(
      secp256k1.Point.fromBytes(key).add(secp256k1.Point.BASE.multiply(expected)).toHex(),
    )
  })
  it('number the purposes 0 lock-in, 1 change, 2 heartbeat, 3 generic', () => {
    const { requestId, key } = keyOf('ecdsa', 'purposes')
    for (const [number, purpose] of (['lock-in', 'change', 'heartbeat', 'generic'] as const).entries())
      expect(childTweak(nobleBackend, 'ecdsa', requestId, key, path(purpose))).toBe(
        BigInt(`0x${hashed('derive', requestId, key, u64(number), new Uint8Array(32))}`) % secp256k1.Point.Fn.ORDER,
      )
  })
  it('of Ed25519 are tweaked by 64 bytes of SHA-512, big-endian, modulo the order', () => {
    const { requestId, key } = keyOf('ed25519', 'tweak')
    const subject = seedOf('subject')
    const wide = createHash('sha512')
      .update(encoded('derive', requestId, key, u64(3), subject))
      .digest('hex')
    const expected = BigInt(`0x${wide}`) % ed25519.Point.Fn.ORDER
    expect(childTweak(nobleBackend, 'ed25519', requestId, key, path('generic', subject))).toBe(expected)
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
  it('do not exist where a hash would make them the neutral point or go past the order, and neither do shares of them', () => {
    const order = secp256k1.Point.Fn.ORDER
    // With a hash that always says `digest`, both tweaks are known beforehand.
    const weak = (digest: Uint8Array): DcrmBackend => ({ ...nobleBackend, sha256: () => digest })
    const childOf = (backend: DcrmBackend, scheme: Scheme, secret: bigint) => {
      const key = secp256k1.Point.BASE.multiply(((secret % order) + order) % order).toBytes()
      return childKey(backend, scheme, seedOf('r'), key, path('generic'))
    }
    const past = weak(new Uint8Array(32).fill(255))
    expect(childOf(past, 'ecdsa', 5n)).not.toBe(null)
    expect(childOf(past, 'taproot', 5n)).toBe(null)
    const [share] = dealtShares('taproot', 2, [3, 5], 'past').values()
    expect(childShare(past, share as KeyShare, path('generic'))).toBe(null)
    // The tweak c of both steps, such that −cG has even y: X = −cG ends at its child, X = −2cG at the output key.
    const c = [1n, 2n, 3n, 4n, 5n, 6n, 7n].find((each) => secp256k1.Point.BASE.multiply(order - each).toBytes()[0] === 2) ?? 0n
    const backend = weak(hex(c.toString(16).padStart(64, '0')))
    expect(['ecdsa', 'taproot'].map((scheme) => childOf(backend, scheme as Scheme, -c))).toEqual([null, null])
    expect(childOf(backend, 'taproot', -2n * c)).toBe(null)
    expect(childOf(backend, 'taproot', -3n * c)).not.toBe(null)
  })
  it('have no shares where the stored key is broken', () => {
    const share = keyOf('taproot', 'broken').shares.get(3) as KeyShare
    const { publicKey } = share
    const [constant] = publicKey.commitments
    const broken = [
      { commitments: [] },
      { commitments: [constant as Uint8Array, new Uint8Array(33)] },
      { publicShares: [new Uint8Array(33), ...publicKey.publicShares.slice(1)] },
    ]
    for (const part of broken)
      expect(() => childShare(nobleBackend, { ...share, publicKey: { ...publicKey, ...part } }, path('generic'))).toThrow(InvariantError)
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
    // The first wallet vector of BIP341, with the checksum of BIP350 for the regression-test network.
    expect(testAddresses('taproot', hex('53a1f6e454df1aa2776a2814a721372d6258050de330b3c6d10ee8f4e0dda343'))).toEqual([
      { chain: 'bitcoin-regtest', text: 'bcrt1p2wsldez5mud2yam29q22wgfh9439spgduvct83k3pm50fcxa5dpsw5tudp' },
    ])
    // The first key of RFC 8032 as Solana writes it.
    expect(testAddresses('ed25519', hex('d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a'))).toEqual([
      { chain: 'ed25519', text: 'FVen3X669xLzsi6N2V91DoiyzHzg1uAgqiT8jZ9nS96Z' },
    ])
  })
})

describe('digests', () => {
  const [genesis, request, message] = [seedOf('genesis'), seedOf('request'), seedOf('message')]
  it('carry a tag of their own, the chain and the request', () => {
    expect(unhex(genericDigest(nobleBackend, genesis, request, message))).toBe(hashed('sign/generic', genesis, request, message))
    expect(unhex(heartbeatDigest(nobleBackend, genesis, request, 7, message))).toBe(
      hashed('sign/heartbeat', genesis, request, u64(7), message),
    )
    expect(unhex(signingEntropy(nobleBackend, message, request))).toBe(hashed('rho', message, request))
  })
  it('belong to attempts of 20 blocks counted from the opening', () => {
    expect([99, 100, 119, 120, 160].map((height) => attemptAt(height, 100))).toEqual([null, 0, 0, 1, 3])
  })
})
