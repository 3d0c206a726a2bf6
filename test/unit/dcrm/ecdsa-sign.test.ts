/** The online round: signatures as everybody else verifies them, refusals, and one use per presignature. @module */
import { createPublicKey, verify } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { Common, Hardfork, Mainnet } from '@ethereumjs/common'
import { createEVM } from '@ethereumjs/evm'
import { createAddressFromString } from '@ethereumjs/util'
import { bytesToBigint, concatBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Point } from '#shared/dcrm/backend.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { consume, decodeConsumed, encodeConsumed, resend } from '#shared/dcrm/consumption.ts'
import type { SigningContext } from '#shared/dcrm/ecdsa-sign.ts'
import { aggregateSignature, decodePartial, ecdsaMachine, partialSignature, signingContext } from '#shared/dcrm/ecdsa-sign.ts'
import { inverse, mod } from '#shared/dcrm/polynomial.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { verifyEcdsa } from '#shared/dcrm/verify.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { Used } from '#test/unit/dcrm/presign-support.ts'
import {
  broadcasts,
  encodedKeyOf,
  endOf,
  flipAt,
  namedBy,
  native,
  patch,
  presign,
  presignaturesOf,
  presigning,
  signOnline,
  tupleOf,
  used,
} from '#test/unit/dcrm/presign-support.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

const group = native.secp256k1
const q = group.order
const PAIR = [3, 8] as const
const TRIO = [2, 7, 9] as const
const setup = presigning(PAIR, 'online')
const presignatures = presignaturesOf(presign(setup))
const first = presignatures.get(3) as Presignature
const key = encodedKeyOf(setup)
const ALL_ONES = new Uint8Array(32).fill(0xff)

const signatureAt = (outcomes: ReturnType<typeof signOnline>, id: PartyId): Uint8Array => {
  const outcome = outcomes.get(id)
  if (outcome?.kind !== 'done') throw new Error(outcome?.code ?? 'no such signer')
  return outcome.result
}
const firstContext = (records: ReadonlyMap<PartyId, Used>): SigningContext => ([...records.values()][0] as Used).context

/** A call of precompile 0x01 in the reference EVM: the signer's address in 32 bytes, or nothing. */
async function ecrecover(digest: Uint8Array, signature: Uint8Array): Promise<string> {
  const evm = await createEVM({ common: new Common({ chain: Mainnet, hardfork: Hardfork.Prague }) })
  const v = new Uint8Array(32)
  v[31] = 27 + (signature[64] ?? 0)
  const data = concatBytes(digest, v, signature.slice(0, 64))
  const to = createAddressFromString('0x0000000000000000000000000000000000000001')
  return unhex((await evm.runCall({ to, data, gasLimit: 10_000n })).execResult.returnValue)
}
const paddedAddress = (encodedKey: Uint8Array): string =>
  unhex(new Uint8Array(12), keccak_256(secp256k1.Point.fromBytes(encodedKey).toBytes(false).slice(1)).slice(12))

describe('a signature by exactly t signers', () => {
  it.each([[PAIR], [TRIO]])('of %o is what noble and the EVM accept under the child key', async (set) => {
    const from = presigning(set, 'accepted', 2)
    const outcomes = presign(from)
    for (const index of [0, 1]) {
      const tuple = tupleOf(`accepted ${index}`)
      const records = used(from, presignaturesOf(outcomes, index), tuple)
      const ends = signOnline(records)
      const signature = signatureAt(ends, set[0])
      for (const id of set) expect(unhex(signatureAt(ends, id))).toBe(unhex(signature))
      const child = secp256k1.Point.fromBytes(encodedKeyOf(from)).add(secp256k1.Point.BASE.multiply(tuple.tweak))
      expect(unhex(firstContext(records).childKey)).toBe(unhex(child.toBytes()))
      expect(secp256k1.verify(signature.slice(0, 64), tuple.digest, child.toBytes(), { prehash: false, lowS: true })).toBe(true)
      expect(await ecrecover(tuple.digest, signature)).toBe(paddedAddress(child.toBytes()))
      expect(await ecrecover(tuple.digest, flipAt(signature, 64))).not.toBe(paddedAddress(child.toBytes()))
    }
  })

  it('over the digest of a message is what the host accepts for the message', () => {
    const message = utf8ToBytes('pay nobody')
    const tuple = { ...tupleOf('host'), digest: native.sha256(message) }
    const records = used(setup, presignatures, tuple)
    const signature = signatureAt(signOnline(records), 3).slice(0, 64)
    const bytes = Buffer.from(secp256k1.Point.fromBytes(firstContext(records).childKey).toBytes(false))
    const jwk = { kty: 'EC', crv: 'secp256k1', x: bytes.subarray(1, 33).toString('base64url'), y: bytes.subarray(33).toString('base64url') }
    const options = { key: createPublicKey({ key: jwk, format: 'jwk' }), dsaEncoding: 'ieee-p1363' as const }
    expect(verify('sha256', message, options, signature)).toBe(true)
    expect(verify('sha256', utf8ToBytes('pay somebody'), options, signature)).toBe(false)
  })

  it('signs under the vault key itself only with a tweak of zero', () => {
    const records = used(setup, presignatures, tupleOf('vault', 0n))
    expect(unhex(firstContext(records).childKey)).toBe(unhex(key))
    expect(verifyEcdsa(native, key, tupleOf('vault').digest, signatureAt(signOnline(records), 8))).toBe(true)
  })
})

describe('row 18: what moves the nonce', () => {
  const shiftOf = (change: Partial<ReturnType<typeof tupleOf>>, psid = first.psid, nonce = first.nonce, vault = key): bigint => {
    const context = signingContext(native, vault, nonce, psid, { ...tupleOf('shift'), ...change })
    if (typeof context === 'string') throw new Error(context)
    return context.shift
  }
  it('depends on digest, child, entropy, presignature and key', () => {
    const tuple = tupleOf('shift')
    const other = secp256k1.Point.BASE.multiply(9n).toBytes()
    const shifts = [
      shiftOf({}),
      ...[0, 31].flatMap((at) => [shiftOf({ digest: flipAt(tuple.digest, at) }), shiftOf({ entropy: flipAt(tuple.entropy, at) })]),
      shiftOf({ tweak: tuple.tweak + 1n }),
      shiftOf({}, flipAt(first.psid, 0)),
      shiftOf({}, first.psid, other),
      shiftOf({}, first.psid, first.nonce, other),
    ]
    expect(new Set(shifts).size).toBe(shifts.length)
    expect(shiftOf({})).toBe(shifts[0])
  })
  it('is applied to the nonce that the signature shows', () => {
    const records = used(setup, presignatures, tupleOf('shift'))
    const { shift, r } = firstContext(records)
    const moved = secp256k1.Point.fromBytes(first.nonce).add(secp256k1.Point.BASE.multiply(shift))
    expect(r).toBe(mod(moved.toAffine().x, q))
    expect(bytesToBigint(signatureAt(signOnline(records), 3).slice(0, 32))).toBe(r)
  })
})

describe('rows 8, 16: a presignature serves one tuple', () => {
  const tuple = tupleOf('once')
  const { record } = used(setup, presignatures, tuple).get(3) as Used

  it('whose stored partial is sent again, and no other ever', () => {
    expect(resend(record, { ...tuple })).toBe(record.partial)
    expect(resend(record, { ...tuple, digest: flipAt(tuple.digest, 31) })).toBeNull()
    expect(resend(record, { ...tuple, tweak: tuple.tweak + 1n })).toBeNull()
    expect(resend(record, { ...tuple, entropy: flipAt(tuple.entropy, 0) })).toBeNull()
  })
  it('and what is stored holds nothing that could sign another', () => {
    const bytes = encodeConsumed(record)
    expect(bytes).toHaveLength(192)
    for (const field of ['phi', 'u', 'v'] as const) expect(unhex(bytes)).not.toContain(unhex(first[field]))
    expect(encodeConsumed(decodeConsumed(bytes, q) as typeof record)).toEqual(bytes)
    expect(resend(decodeConsumed(bytes, q) as typeof record, tuple)).toEqual(record.partial)
    expect(decodeConsumed(bytes.slice(1), q)).toBeNull()
    expect(decodeConsumed(concatBytes(bytes, new Uint8Array(1)), q)).toBeNull()
    expect(decodeConsumed(patch(bytes, 64, ALL_ONES), q)).toBeNull()
  })
})

it('row 17: halves of a set that were shown two messages get no signature for either', () => {
  const [one, two] = [tupleOf('one'), tupleOf('two')]
  const outcomes = signOnline(used(setup, presignatures, (id) => (id === 3 ? one : two)))
  expect([endOf(outcomes, 3), endOf(outcomes, 8)]).toEqual(['BAD_PARTIAL', 'BAD_PARTIAL'])
})

/** A backend whose re-randomisation is a given δ. */
const forced = (shift: bigint): DcrmBackend => ({
  ...native,
  sha256: (data) => (Buffer.from(data).includes('ecdsa/rerandomise') ? scalarBytes(shift) : native.sha256(data)),
})
const minus = (point: Point, scalar: bigint): Uint8Array =>
  group.encode(group.add(point, group.negate(group.mulPublic(group.generator, scalar))))
const lift = (x: bigint): Point => group.liftX(scalarBytes(x)) as Point

describe('row 19: degenerate values are refused', () => {
  const tuple = tupleOf('degenerate')
  it('a digest of 0 modulo q', () => {
    for (const digest of [new Uint8Array(32), scalarBytes(q)]) {
      expect(signingContext(native, key, first.nonce, first.psid, { ...tuple, digest })).toBe('DIGEST_ZERO')
      expect(consume(native, key, first, { ...tuple, digest })).toBe('DIGEST_ZERO')
    }
  })
  it('a child key that is the identity', () => {
    const vault = group.encode(group.mulBase(5n))
    expect(signingContext(native, vault, first.nonce, first.psid, { ...tuple, tweak: q - 5n })).toBe('KEY_IDENTITY')
  })
  it('a nonce that is moved to the identity', () => {
    const nonce = group.encode(group.mulBase(5n))
    expect(signingContext(forced(q - 5n), key, nonce, first.psid, tuple)).toBe('NONCE_IDENTITY')
  })
  it('a nonce whose abscissa is 0 modulo q', () => {
    expect(signingContext(forced(5n), key, minus(lift(q), 5n), first.psid, tuple)).toBe('NONCE_ZERO')
  })
  it('an inverse of 0 and a signature of 0', () => {
    const { context } = used(setup, presignatures, tuple).get(3) as Used
    expect(
      aggregateSignature(native, context, tuple.digest, [
        { w: 1n, u: 7n },
        { w: 1n, u: q - 7n },
      ]),
    ).toBeNull()
    expect(
      aggregateSignature(native, context, tuple.digest, [
        { w: 7n, u: 1n },
        { w: q - 7n, u: 1n },
      ]),
    ).toBeNull()
  })
})

describe('row 20: what is sent out is canonical', () => {
  const { digest } = tupleOf('canonical')
  /** A key for which (r, s) with the given nonce point is a signature: X = (s·R − m·G)/r. */
  const fitted = (nonce: Point, s: bigint): SigningContext => {
    const { x, isOdd } = group.coordinates(nonce)
    const abscissa = bytesToBigint(x)
    const r = mod(abscissa, q)
    const weight = inverse(r, q)
    const child = group.sumPublic([
      [nonce, mod(s * weight, q)],
      [group.generator, mod(-bytesToBigint(digest) * weight, q)],
    ])
    return { childKey: group.encode(child), shift: 0n, nonce, r, recovery: (isOdd ? 1 : 0) | (abscissa >= q ? 2 : 0) }
  }
  const nonces = [lift(q + 2n), group.negate(lift(q + 2n)), lift(1n), group.negate(lift(1n))]

  it.each([7n, q / 2n, q / 2n + 1n, q - 7n])('low s and the right recovery id, for s = %i', (s) => {
    for (const nonce of nonces) {
      const context = fitted(nonce, s)
      const signature = aggregateSignature(native, context, digest, [
        { w: mod(s - 3n, q), u: 4n },
        { w: 3n, u: q - 3n },
      ]) as Uint8Array
      const [value, recovery] = [bytesToBigint(signature.slice(32, 64)), signature[64] as number]
      expect(value <= q / 2n).toBe(true)
      expect(value).toBe(s > q / 2n ? q - s : s)
      const parsed = new secp256k1.Signature(bytesToBigint(signature.slice(0, 32)), value, recovery)
      expect(unhex(parsed.recoverPublicKey(digest).toBytes())).toBe(unhex(context.childKey))
    }
  })
  it('with the second bit of the recovery id when the abscissa is at or above q', () => {
    const context = signingContext(forced(5n), key, minus(lift(q + 2n), 5n), first.psid, tupleOf('canonical'))
    expect(context).toMatchObject({ r: 2n, recovery: 2 })
    const odd = signingContext(forced(5n), key, minus(group.negate(lift(q + 2n)), 5n), first.psid, tupleOf('canonical'))
    expect(odd).toMatchObject({ r: 2n, recovery: 3 })
  })
})

describe('the online round', () => {
  const tuple = tupleOf('round')
  const records = used(setup, presignatures, tuple)

  it('is one broadcast of 64 bytes that needs no echo', () => {
    const { record, context } = records.get(3) as Used
    const machine = ecdsaMachine({ backend: native, self: 3, set: PAIR, context, digest: tuple.digest, partial: record.partial })
    const step = machine.start()
    expect(step).toMatchObject({
      kind: 'round',
      spec: { round: 1, broadcastFrom: PAIR, broadcastSize: 64, directFrom: [], directSize: 0, isEchoed: false },
    })
    expect(step.kind === 'round' && step.send.broadcast).toBe(record.partial)
  })
  it('sends w = (m + r·ε)·φ + r·v and u′ = u + δ·φ', () => {
    const { record, context } = records.get(3) as Used
    const [phi, u, v] = [first.phi, first.u, first.v].map(bytesToBigint) as [bigint, bigint, bigint]
    const w = ((bytesToBigint(tuple.digest) + context.r * tuple.tweak) * phi + context.r * v) % q
    expect(unhex(record.partial)).toBe(unhex(scalarBytes(w), scalarBytes((u + context.shift * phi) % q)))
    expect(partialSignature(q, first, context, tuple)).toEqual(record.partial)
    expect(decodePartial(q, record.partial)).toEqual({ w, u: (u + context.shift * phi) % q })
  })
  it.each([31, 63])('with a wrong partial (byte %i) ends without a name: that is for the blame protocol', (at) => {
    const outcomes = signOnline(
      records,
      broadcasts(8, 1, (bytes) => flipAt(bytes, at)),
    )
    expect([endOf(outcomes, 3), namedBy(outcomes, 3)]).toEqual(['BAD_PARTIAL', []])
  })
  it.each([0, 32])('proves who sent no scalar (at %i)', (at) => {
    const outcomes = signOnline(
      records,
      broadcasts(8, 1, (bytes) => patch(bytes, at, ALL_ONES)),
    )
    expect([endOf(outcomes, 3), namedBy(outcomes, 3)]).toEqual(['PARTIALS_INCOMPLETE', ['8 proof PARTIAL_MALFORMED']])
    expect(outcomes.get(3)?.faults[0]?.evidence).toEqual([{ round: 1, from: 8, to: null }])
  })
  it('counts silence as silence', () => {
    const outcomes = signOnline(records, (from, _round, sent) => (from === 8 ? null : sent))
    expect([endOf(outcomes, 3), namedBy(outcomes, 3)]).toEqual(['PARTIALS_INCOMPLETE', ['8 absent SIGNER_ABSENT']])
  })
  it('of right partials ends without a fault', () => {
    const outcomes = signOnline(records)
    for (const id of PAIR) expect([endOf(outcomes, id), namedBy(outcomes, id)]).toEqual(['done', []])
  })
  it('is never reached with a stored key or nonce that is no point', () => {
    const none = new Uint8Array(33)
    expect(() => signingContext(native, none, first.nonce, first.psid, tuple)).toThrow('a stored key is a valid point')
    expect(() => signingContext(native, key, none, first.psid, tuple)).toThrow('a stored nonce is a valid point')
  })
  it('refuses a partial of another size and a signer outside the set', () => {
    const { record, context } = records.get(3) as Used
    const input = { backend: native, self: 3, set: PAIR, context, digest: tuple.digest, partial: record.partial }
    expect(() => ecdsaMachine({ ...input, self: 4 })).toThrow('a signer of the set')
    expect(() => ecdsaMachine({ ...input, partial: seedOf('short') })).toThrow('a signer of the set')
  })
})
