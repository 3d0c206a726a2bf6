/**
 * Key generation and refresh in lockstep: honest runs against plain interpolation and noble's FROST, and every lie a member can tell.
 * Source: paper 3.5.2; GJKR 1999; docs/dcrm.md, key generation.
 * @module
 */
import { describe, expect, it } from 'vitest'
import { keyCertificate } from '#shared/dcrm/certificate.ts'
import { childKey } from '#shared/dcrm/derive.ts'
import type { DkgResult } from '#shared/dcrm/dkg-state.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { evaluateInExponent } from '#shared/dcrm/polynomial.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { ed25519, ed25519_FROST } from '@noble/curves/ed25519.js'
import { schnorr, schnorr_FROST, secp256k1 } from '@noble/curves/secp256k1.js'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'
import type { Run } from '#test/unit/dcrm/dkg-support.ts'
import { broadcast, expectSound, faultsAt, inputOf, interpolated, resultsOf, run, sharesOf, silent } from '#test/unit/dcrm/dkg-support.ts'

describe('an honest run', () => {
  it.each([
    ['ed25519', 2, [1, 2, 3]],
    ['taproot', 3, [2, 5, 9, 700, 65535]],
    ['ecdsa', 3, [1, 2, 3, 4]],
  ] as const)('of %s %i of %j gives shares of one key, confirmed by all, and names nobody', (scheme, threshold, members) => {
    const outcomes = run({ scheme, threshold, members })
    const shares = expectSound(outcomes, threshold)
    const [result] = resultsOf(outcomes)
    expect(shares.size).toBe(members.length)
    expect(result?.confirmed).toEqual(members)
    expect(result?.share.publicKey).toMatchObject({ epoch: 0, qualified: members })
    expect(unhex(result?.certificate as Uint8Array)).toBe(unhex(keyCertificate(nobleBackend, (result as DkgResult).share.publicKey)))
    for (const id of members) expect(faultsAt(outcomes, id)).toEqual([])
  })
  it.each([
    ['taproot', schnorr_FROST],
    ['ed25519', ed25519_FROST],
  ] as const)('gives %s shares that noble’s FROST accepts as its own and signs with', (scheme, peer) => {
    const shares = sharesOf(run({ scheme, word: 'peer' }))
    const { publicKey } = shares.get(1) as KeyShare
    const identifier = (each: PartyId) => peer.Identifier.fromNumber(each)
    const little = (bytes: Uint8Array) => (scheme === 'ed25519' ? bytes.toReversed() : bytes)
    const group = {
      signers: { min: 2, max: 3 },
      commitments: [...publicKey.commitments],
      verifyingShares: Object.fromEntries([1, 2, 3].map((each, index) => [identifier(each), publicKey.publicShares[index]])),
    } as Parameters<typeof peer.validateSecret>[1]
    const secretOf = (id: PartyId) => ({ identifier: identifier(id), signingShare: little((shares.get(id) as KeyShare).secret) })
    for (const id of [1, 2, 3]) expect(() => peer.validateSecret(secretOf(id), group)).not.toThrow()
    const message = seedOf('message')
    for (const set of [
      [1, 2],
      [2, 3],
    ]) {
      const commits = set.map((id) => peer.commit(secretOf(id)))
      const list = commits.map(({ commitments }) => commitments)
      const partials = set.map((id, index) => [
        identifier(id),
        peer.signShare(secretOf(id), group, (commits[index] as (typeof commits)[0]).nonces, list, message),
      ])
      const signature = peer.aggregate(group, list, message, Object.fromEntries(partials) as Record<string, Uint8Array>)
      const key = publicKey.commitments[0] as Uint8Array
      const isValid =
        scheme === 'taproot' ? schnorr.verify(signature, message, key.slice(1)) : ed25519.verify(signature, message, key, { zip215: false })
      expect(isValid).toBe(true)
    }
  })
  it('takes five rounds without quarrels', () => {
    const rounds = new Set<number>()
    run({ tamper: (_from, round, sent) => (rounds.add(round), sent) })
    expect([...rounds]).toEqual([1, 2, 4, 5])
  })
  it('makes another key for another seed and another session', () => {
    const key = (word: string) => unhex((resultsOf(run({ word }))[0] as DkgResult).share.publicKey.commitments[0] as Uint8Array)
    expect(key('one')).not.toBe(key('two'))
  })
})

describe('a refresh', () => {
  it('keeps the key, changes every share, and old and new shares do not mix', () => {
    const bases = sharesOf(run({ threshold: 3, members: [1, 2, 4, 5, 6] }))
    const outcomes = run({ threshold: 3, members: [1, 2, 4, 5, 6], bases, word: 'refresh' })
    const shares = expectSound(outcomes, 3)
    const [before] = bases.values()
    const [after] = shares.values()
    expect(after?.publicKey.commitments[0]).toEqual(before?.publicKey.commitments[0])
    expect(after?.publicKey.keyId).toEqual(before?.publicKey.keyId)
    expect(after?.publicKey.epoch).toBe(1)
    for (const id of [1, 2, 4, 5, 6]) expect(shares.get(id)?.secret).not.toEqual(bases.get(id)?.secret)
    const mixed = new Map([...shares, [1, bases.get(1) as KeyShare]])
    expect(interpolated(mixed, [1, 2, 4])).not.toBe(interpolated(shares, [1, 2, 4]))
  })
  it('cannot move the key: one commitment less travels, the constant one is the identity', () => {
    const bases = sharesOf(run())
    const sizes = new Set<number>()
    run({ bases, word: 'r', tamper: (_from, round, sent) => (round === 1 && sizes.add(sent.broadcast?.length ?? 0), sent) })
    expect([...sizes]).toEqual([32])
  })
  it('reconstructs a dealer that leaves, and still keeps the key', () => {
    const bases = sharesOf(run())
    const outcomes = run({ bases, word: 'r', tamper: silent(3, 4) })
    const shares = expectSound(new Map([...outcomes].filter(([id]) => id !== 3)), 2)
    expect(shares.get(1)?.publicKey.commitments[0]).toEqual(bases.get(1)?.publicKey.commitments[0])
  })
})

describe('1 threshold raising', () => {
  it.each([[-1], [1], [2], [-2]])('a vector of %i commitments too many counts for nothing', (extra) => {
    const group = nobleBackend.ed25519
    const tamper = broadcast(3, 1, (bytes) =>
      extra < 0
        ? bytes.slice(0, bytes.length + 32 * extra)
        : new Uint8Array([...bytes, ...Array.from({ length: extra }, () => [...group.encode(group.generator)]).flat()]),
    )
    const outcomes = run({ tamper })
    expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2])
    expect(resultsOf(outcomes)[0]?.share.publicKey.commitments).toHaveLength(2)
  })
  it.each([[-32], [32]])('images of a length that differs by %i bytes are as if never sent', (extra) => {
    const tamper = broadcast(3, 4, (bytes) => (extra < 0 ? bytes.slice(0, extra) : new Uint8Array([...bytes, ...new Uint8Array(extra)])))
    const outcomes = run({ tamper })
    expect(faultsAt(outcomes, 1)).toContain('3 absent MEMBER_ABSENT')
    expectSound(new Map([...outcomes].filter(([id]) => id !== 3)), 2)
  })
})

describe('2 rogue keys', () => {
  it('a dealer whose image is not its own constant is exposed, and its contribution stays what it committed to', () => {
    const group = nobleBackend.ed25519
    const honest = resultsOf(run())[0]?.share.publicKey.commitments[0] as Uint8Array
    const tamper = broadcast(3, 4, (bytes) => new Uint8Array([...group.encode(group.mulBase(5n)), ...bytes.slice(32)]))
    const outcomes = run({ tamper })
    expect(faultsAt(outcomes, 1)).toContain('3 proof POSSESSION_UNPROVEN')
    expect(resultsOf(outcomes)[0]?.share.publicKey.commitments[0]).toEqual(honest)
  })
  it('a rushing dealer cannot make the key its own: what it shows instead of its commitment fails proof and shares', () => {
    const group = nobleBackend.ed25519
    const seen: Uint8Array[] = []
    const outcomes = run({
      tamper: (from, round, sent) => {
        if (round !== 4 || sent.broadcast === null) return sent
        if (from !== 3) seen.push(sent.broadcast.slice(0, 32))
        if (from !== 3) return sent
        const others = seen.map((bytes) => group.negate(group.decode(bytes) as NonNullable<ReturnType<typeof group.decode>>))
        const rogue = others.reduce((sum, point) => group.add(sum, point), group.mulBase(5n))
        return { ...sent, broadcast: new Uint8Array([...group.encode(rogue), ...sent.broadcast.slice(32)]) }
      },
    })
    expect(seen).toHaveLength(2)
    const key = resultsOf(outcomes)[0]?.share.publicKey.commitments[0] as Uint8Array
    expect(unhex(key)).not.toBe(unhex(group.encode(group.mulBase(5n))))
    expect(key).toEqual(resultsOf(run())[0]?.share.publicKey.commitments[0])
    for (const id of [1, 2]) expect(faultsAt(outcomes, id)).toContain('3 proof POSSESSION_UNPROVEN')
  })
  it('a proof of possession from another session or of another dealer does not count', () => {
    for (const [word, from] of [
      ['other', 3],
      ['run', 2],
    ] as const) {
      const stolen: Uint8Array[] = []
      run({ word, tamper: (id, round, sent) => (id === from && round === 4 && sent.broadcast && stolen.push(sent.broadcast), sent) })
      const tamper = broadcast(3, 4, (bytes) => new Uint8Array([...bytes.slice(0, 64), ...(stolen[0] as Uint8Array).slice(64)]))
      expect(faultsAt(run({ tamper }), 1)).toContain('3 proof POSSESSION_UNPROVEN')
    }
  })
  it('images that do not fit a share are proven wrong by the pair that was dealt', () => {
    const group = nobleBackend.ed25519
    const tamper = broadcast(
      3,
      4,
      (bytes) => new Uint8Array([...bytes.slice(0, 32), ...group.encode(group.mulBase(7n)), ...bytes.slice(64)]),
    )
    const outcomes = run({ tamper })
    for (const id of [1, 2]) expect(faultsAt(outcomes, id)).toEqual(['3 proof IMAGES_WRONG'])
    expectSound(new Map([...outcomes].filter(([id]) => id !== 3)), 2)
  })
})

describe('3 key bias by late abort', () => {
  const keyOf = (outcomes: Run) => resultsOf(outcomes)[0]?.share.publicKey.commitments[0] as Uint8Array
  it('a dealer that leaves after it saw the images changes nothing about the key', () => {
    const honest = run({ threshold: 2, members: [1, 2, 3] })
    for (const since of [2, 4, 5]) {
      const outcomes = run({ tamper: silent(3, since) })
      expect(keyOf(outcomes)).toEqual(keyOf(honest))
      expect(faultsAt(outcomes, 1)).toContain('3 absent MEMBER_ABSENT')
    }
  })
})

describe('4 share indices', () => {
  it.each([
    ['zero', [0, 1, 2]],
    ['a repeated one', [1, 1, 2]],
    ['out of order', [2, 1, 3]],
    ['beyond a registry number', [1, 2, 65536]],
    ['the group order', [1, 2, Number(nobleBackend.ed25519.order)]],
    ['a fraction', [1, 1.5, 2]],
  ])('with %s never reach the protocol', (_name, members) => {
    expect(() => dkgMachine(inputOf(1, { members }))).toThrow('descriptor')
  })
  it('are those of members only', () => {
    expect(() => dkgMachine(inputOf(9, {}))).toThrow('members')
  })
})

describe('22 the Taproot output key of a generated key', () => {
  it('commits to no script, whatever a dealer does', () => {
    const group = nobleBackend.secp256k1
    const lie = broadcast(3, 4, (bytes) => new Uint8Array([...group.encode(group.mulBase(5n)), ...bytes.slice(33)]))
    for (const tamper of [lie, silent(3, 4), silent(3, 1)]) {
      const { publicKey } = (resultsOf(run({ scheme: 'taproot', tamper }))[0] as DkgResult).share
      const path = { purpose: 'generic', subject: new Uint8Array(32) } as const
      const child = childKey(nobleBackend, 'taproot', publicKey.descriptor.requestId, publicKey.commitments[0] as Uint8Array, path)
      const internal = child?.internal.slice(1) as Uint8Array
      // BIP341 with noble: lift_x(internal) + TapTweak(internal)·G, no root.
      const tweak = BigInt(`0x${unhex(schnorr.utils.taggedHash('TapTweak', internal))}`)
      const output = schnorr.utils.lift_x(BigInt(`0x${unhex(internal)}`)).add(secp256k1.Point.BASE.multiply(tweak))
      expect(unhex(child?.signingKey as Uint8Array)).toBe(unhex(output.toBytes().slice(1)))
    }
  })
})

describe('images of the whole key', () => {
  it('are the public shares in the order of the members', () => {
    const { publicKey } = (resultsOf(run({ members: [4, 6, 9] }))[0] as DkgResult).share
    const group = nobleBackend.ed25519
    const points = publicKey.commitments.map((bytes) => group.decode(bytes) as NonNullable<ReturnType<typeof group.decode>>)
    expect(publicKey.publicShares.map((bytes) => unhex(bytes))).toEqual(
      [4, 6, 9].map((id) => unhex(group.encode(evaluateInExponent(group, points, id)))),
    )
  })
})
