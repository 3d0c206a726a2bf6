/** Presigning in lockstep, against sums computed with every secret in hand, and against signers that cheat. @module */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import type { Tamper } from '#shared/dcrm/lockstep.ts'
import type { PairSetupResult, PairState } from '#shared/dcrm/pair-setup.ts'
import { decodePairState, encodePairState } from '#shared/dcrm/pair-setup.ts'
import { lagrange, mod } from '#shared/dcrm/polynomial.ts'
import type { PresignInput } from '#shared/dcrm/presign-state.ts'
import { commitmentOf } from '#shared/dcrm/presign-state.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { STATEMENT_BYTES, decodePresignature, encodePresignature, presignatureId } from '#shared/dcrm/presignature.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import {
  broadcasts,
  directs,
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
import type { Presigning } from '#test/unit/dcrm/presign-support.ts'
import { dealtShares, seedOf, unhex } from '#test/unit/dcrm/support.ts'

const { Point } = secp256k1
type NoblePoint = InstanceType<typeof Point>
const q = Point.Fn.ORDER
const PAIR = [3, 8] as const
const TRIO = [2, 7, 9] as const
const ALL_ONES = new Uint8Array(32).fill(0xff)

const total = (presignatures: readonly Presignature[], field: 'phi' | 'u' | 'v'): bigint =>
  presignatures.reduce((sum, each) => mod(sum + bytesToBigint(each[field]), q), 0n)
const secretOf = (shares: ReadonlyMap<PartyId, KeyShare>, set: readonly PartyId[]): bigint =>
  set.reduce((sum, id) => mod(sum + lagrange(set, id, q) * bytesToBigint(shares.get(id)?.secret ?? ALL_ONES), q), 0n)
const times = (point: NoblePoint, scalar: bigint): NoblePoint => (scalar === 0n ? Point.ZERO : point.multiplyUnsafe(scalar))
const point = (bytes: Uint8Array): NoblePoint => Point.fromBytes(bytes)

/** The fields of a statement by plain offsets: R 33, pk 33, salt 32, two Γ of 33, ψ 32. */
const fields = (bytes: Uint8Array) => ({
  bases: [point(bytes.slice(0, 33)), point(bytes.slice(33, 66))] as const,
  gammas: [point(bytes.slice(98, 131)), point(bytes.slice(131, 164))] as const,
  psi: bytesToBigint(bytes.slice(164)),
})

describe('a presignature', () => {
  it.each([[PAIR], [TRIO]])('of signers %o holds shares of φ, φ·r and φ·x', (set) => {
    const setup = presigning(set, 'oracle', 2)
    const outcomes = presign(setup)
    const x = secretOf(setup.shares, set)
    for (const index of [0, 1]) {
      const presignatures = [...presignaturesOf(outcomes, index).values()]
      expect(new Set(presignatures.map(({ psid, nonce, certificate, bonds }) => unhex(psid, nonce, certificate, ...bonds))).size).toBe(1)
      const { nonce } = presignatures[0] as Presignature
      const phi = total(presignatures, 'phi')
      expect(total(presignatures, 'v')).toBe(mod(phi * x, q))
      expect(times(Point.BASE, total(presignatures, 'u')).equals(times(point(nonce), phi))).toBe(true)
    }
  })

  it('satisfies the relations that blame rests on at every signer', () => {
    const setup = presigning(TRIO, 'relations')
    const key = point([...setup.shares.values()][0]?.publicKey.commitments[0] as Uint8Array)
    for (const { statements, nonce, phi, u, v } of presignaturesOf(presign(setup)).values())
      for (const [side, share, base] of [
        [0, u, point(nonce)],
        [1, v, key],
      ] as const) {
        let correction = Point.ZERO
        for (const { sent, received } of statements) {
          const [own, theirs] = [fields(sent), fields(received)]
          correction = correction
            .add(times(own.bases[side], theirs.psi))
            .subtract(times(theirs.bases[side], own.psi))
            .add(own.gammas[side])
            .subtract(theirs.gammas[side])
        }
        const expected = times(base, bytesToBigint(phi)).add(correction)
        expect(times(Point.BASE, bytesToBigint(share)).equals(expected)).toBe(true)
      }
  })

  it('differs in everything between drafts, sessions, epochs and sets', () => {
    const setup = presigning(PAIR, 'names', 2)
    const psids = [0, 1].map((index) => unhex([...presignaturesOf(presign(setup), index).values()][0]?.psid as Uint8Array))
    const changed = (change: (input: PresignInput) => PresignInput): string => {
      const inputs = new Map([...setup.inputs].map(([id, input]) => [id, change(input)]))
      return unhex([...presignaturesOf(presign({ ...setup, inputs })).values()][0]?.psid as Uint8Array)
    }
    psids.push(changed((input) => ({ ...input, sid: seedOf('other') })))
    psids.push(changed(({ share, ...input }) => ({ ...input, share: { ...share, publicKey: { ...share.publicKey, epoch: 1 } } })))
    psids.push(
      changed(({ share, ...input }) => ({ ...input, share: { ...share, publicKey: { ...share.publicKey, keyId: seedOf('key') } } })),
    )
    const { share, sid } = setup.inputs.get(3) as PresignInput
    const ofSet = (set: readonly PartyId[]) => unhex(presignatureId(native, share.publicKey, set, sid, 0))
    expect(ofSet(PAIR)).toBe(psids[0])
    psids.push(ofSet([3, 60_000]))
    expect(new Set(psids).size).toBe(6)
  })

  it('survives storing, and nothing but its exact bytes is read back', () => {
    const presignature = [...presignaturesOf(presign(presigning(TRIO, 'codec'))).values()][1] as Presignature
    const bytes = encodePresignature(presignature)
    const read = decodePresignature(bytes) as Presignature
    expect(unhex(encodePresignature(read))).toBe(unhex(bytes))
    expect([read.set, read.epoch, read.statements.map(({ peer }) => peer)]).toEqual([TRIO, 0, [2, 9]])
    for (const field of ['psid', 'keyId', 'nonce', 'phi', 'u', 'v', 'certificate'] as const)
      expect(unhex(read[field])).toBe(unhex(presignature[field]))
    expect(decodePresignature(bytes.slice(1))).toBeNull()
    expect(decodePresignature(bytes.slice(0, -1))).toBeNull()
    expect(decodePresignature(concatBytes(bytes, new Uint8Array(1)))).toBeNull()
  })
})

it('pairs that were stored and read back from a buffer of the host still presign', () => {
  const setup = presigning(PAIR, 'stored')
  const stored = ({ pairs, ...input }: PresignInput): PresignInput => {
    const read = [...pairs].map(([peer, pair]) => [peer, decodePairState(Buffer.from(encodePairState(pair))) as PairState] as const)
    return { ...input, pairs: new Map(read) }
  }
  const outcomes = presign({ ...setup, inputs: new Map([...setup.inputs].map(([id, input]) => [id, stored(input)])) })
  expect(PAIR.map((id) => endOf(outcomes, id))).toEqual(['done', 'done'])
})

describe('row 24: a signing set', () => {
  const setup = presigning(TRIO, 'sets')
  const input = setup.inputs.get(2) as PresignInput
  it.each([
    ['has one signer too few', 'exactly t members', { set: [2, 7] }],
    ['has one signer too many', 'exactly t members', { set: [2, 7, 9, 60_000] }],
    ['holds a stranger', 'exactly t members', { set: [2, 7, 11] }],
    ['lacks this party', 'only members of the set', { set: [7, 9, 60_000] }],
    ['asks for no presignature', 'bounded size', { count: 0 }],
    ['asks for half a presignature', 'bounded size', { count: 1.5 }],
    ['asks for more than a batch', 'bounded size', { count: 5 }],
    ['has no pair that is set up', 'every pair', { pairs: new Map<PartyId, PairState>() }],
    ['has one pair that is not set up', 'every pair', { pairs: new Map([...input.pairs].slice(1)) }],
    ['belongs to another scheme', 'for ECDSA', { share: dealtShares('taproot', 3, [2, 7, 9]).get(2) as KeyShare }],
  ])('that %s is refused', (_name, reason, change) => {
    expect(() => presignMachine(input)).not.toThrow()
    expect(() => presignMachine({ ...input, ...change })).toThrow(reason)
  })
  it('may have as many presignatures as a batch holds', () => {
    expect(() => presignMachine({ ...input, count: 4 })).not.toThrow()
  })
})

/** Offsets in messages. */
const ETA = 416 * 96
const MU = ETA + 32
const OTHER_POINT = Point.BASE.multiply(77n).toBytes()

/** Signer 7 cheats 2 in a way only 2 sees: 9 only notices that the run ended. */
const DISPUTES: readonly (readonly [string, Tamper, string])[] = [
  ['the matrix', directs(7, 2, 2, (bytes) => flipAt(bytes, 5)), 'EXTENSION_CHECK'],
  ['the tag of the choices', directs(7, 2, 2, (bytes) => flipAt(bytes, 8_704)), 'EXTENSION_CHECK'],
  ['the tag of a column', directs(7, 2, 2, (bytes) => flipAt(bytes, 10_767)), 'EXTENSION_CHECK'],
  ['a correction', directs(7, 2, 3, (bytes) => flipAt(bytes, 31)), 'PRODUCT_CHECK'],
  ['a correction into no scalar', directs(7, 2, 3, (bytes) => patch(bytes, 64, ALL_ONES)), 'PRODUCT_CHECK'],
  ['the response η', directs(7, 2, 3, (bytes) => flipAt(bytes, ETA + 31)), 'PRODUCT_CHECK'],
  ['the digest μ', directs(7, 2, 3, (bytes) => flipAt(bytes, MU)), 'PRODUCT_CHECK'],
  ['Γᵘ', directs(7, 2, 4, (bytes) => patch(bytes, 98, OTHER_POINT)), 'REVEAL_CHECK'],
  ['Γᵛ', directs(7, 2, 4, (bytes) => patch(bytes, 131, OTHER_POINT)), 'REVEAL_CHECK'],
]
const PROOFS: readonly (readonly [string, Tamper, string])[] = [
  ['R into another point', directs(7, 2, 4, (bytes) => patch(bytes, 0, OTHER_POINT)), 'OPENING_WRONG'],
  ['pk into another point', directs(7, 2, 4, (bytes) => patch(bytes, 33, OTHER_POINT)), 'OPENING_WRONG'],
  ['the salt', directs(7, 2, 4, (bytes) => flipAt(bytes, 66)), 'OPENING_WRONG'],
  ['R into no point', directs(7, 2, 4, (bytes) => patch(bytes, 0, new Uint8Array(33))), 'REVEAL_MALFORMED'],
  ['pk into no point', directs(7, 2, 4, (bytes) => patch(bytes, 33, new Uint8Array(33))), 'REVEAL_MALFORMED'],
  ['Γᵘ into no point', directs(7, 2, 4, (bytes) => patch(bytes, 98, new Uint8Array(33))), 'REVEAL_MALFORMED'],
  ['Γᵛ into no point', directs(7, 2, 4, (bytes) => patch(bytes, 131, new Uint8Array(33))), 'REVEAL_MALFORMED'],
  ['ψ into no scalar', directs(7, 2, 4, (bytes) => patch(bytes, 164, ALL_ONES)), 'REVEAL_MALFORMED'],
]

describe('a signer that changes', () => {
  const setup = presigning(TRIO, 'cheats')

  it.each(DISPUTES)('%s is disputed by the one that sees it, and by nobody else', (_name, tamper, code) => {
    const outcomes = presign(setup, tamper)
    expect(endOf(outcomes, 2)).toBe('PEER_CHEATED')
    expect(namedBy(outcomes, 2)).toEqual([`7 dispute ${code}`])
    expect(outcomes.get(2)?.faults[0]?.evidence).toEqual([{ round: { E: 2, P: 3, R: 4 }[code[0] as 'E'], from: 7, to: 2 }])
    expect(namedBy(outcomes, 9).filter((fault) => !fault.includes('absent'))).toEqual([])
    expect(endOf(outcomes, 9)).toBe('SIGNER_ABSENT')
  })

  it.each(PROOFS)('%s is proven wrong by its own messages', (_name, tamper, code) => {
    const outcomes = presign(setup, tamper)
    expect(endOf(outcomes, 2)).toBe('PEER_CHEATED')
    expect(namedBy(outcomes, 2)).toEqual([`7 proof ${code}`])
    const opening = { round: 4, from: 7, to: 2 }
    expect(outcomes.get(2)?.faults[0]?.evidence).toEqual(code === 'OPENING_WRONG' ? [{ round: 1, from: 7, to: null }, opening] : [opening])
  })

  it('its commitment is proven wrong by everybody', () => {
    const outcomes = presign(
      setup,
      broadcasts(7, 1, (bytes) => flipAt(bytes, 0)),
    )
    for (const id of [2, 9]) expect(namedBy(outcomes, id)).toEqual(['7 proof OPENING_WRONG'])
  })

  it('the second draft of a batch is found like the first', () => {
    const batch = presigning(PAIR, 'batch', 2)
    const ends = (tamper: Tamper) => namedBy(presign(batch, tamper), 3)
    expect(ends(directs(8, 3, 2, (bytes) => flipAt(bytes, 10_768 + 3)))).toEqual(['8 dispute EXTENSION_CHECK'])
    expect(ends(directs(8, 3, 3, (bytes) => flipAt(bytes, 40_000 + 3)))).toEqual(['8 dispute PRODUCT_CHECK'])
    expect(ends(directs(8, 3, 4, (bytes) => flipAt(bytes, STATEMENT_BYTES + 66)))).toEqual(['8 proof OPENING_WRONG'])
    expect(ends(directs(8, 3, 4, (bytes) => patch(bytes, STATEMENT_BYTES + 98, OTHER_POINT)))).toEqual(['8 dispute REVEAL_CHECK'])
    expect(ends(broadcasts(8, 5, (bytes) => flipAt(bytes, 64)))).toEqual(['8 dispute PRESIGNATURE_DIFFERS'])
    expect(ends(broadcasts(8, 5, (bytes) => flipAt(bytes, 127)))).toEqual(['8 dispute PRESIGNATURE_DIFFERS'])
  })

  it('ψ on the way is disputed, because the two of a pair bind themselves to what they told each other', () => {
    const outcomes = presign(
      setup,
      directs(7, 2, 4, (bytes) => flipAt(bytes, 195)),
    )
    expect(namedBy(outcomes, 2)).toEqual(['7 dispute PRESIGNATURE_DIFFERS'])
    expect(namedBy(outcomes, 7)).toEqual(['2 dispute PRESIGNATURE_DIFFERS'])
    expect([endOf(outcomes, 9), namedBy(outcomes, 9)]).toEqual(['PRESIGNATURE_DIFFERS', []])
  })

  it('the certificate is disputed by all', () => {
    const outcomes = presign(
      setup,
      broadcasts(7, 5, (bytes) => flipAt(bytes, 31)),
    )
    for (const id of [2, 9]) expect(namedBy(outcomes, id)).toEqual(['7 dispute PRESIGNATURE_DIFFERS'])
    expect(outcomes.get(2)?.faults[0]?.evidence).toEqual([{ round: 5, from: 7, to: null }])
  })

  it('one of its bonds is disputed by the other end', () => {
    const outcomes = presign(
      setup,
      broadcasts(7, 5, (bytes) => flipAt(bytes, 95)),
    )
    expect([namedBy(outcomes, 2), namedBy(outcomes, 9)]).toEqual([[], ['7 dispute PRESIGNATURE_DIFFERS']])
    expect(endOf(outcomes, 2)).toBe('PRESIGNATURE_DIFFERS')
  })
})

describe('a signer that is silent', () => {
  it.each([1, 2, 3, 4, 5])('in round %i is absent and nothing worse', (since) => {
    const outcomes = presign(presigning(PAIR, 'silence'), (from, round, sent) => (from === 8 && round >= since ? null : sent))
    expect([endOf(outcomes, 3), namedBy(outcomes, 3)]).toEqual(['SIGNER_ABSENT', ['8 absent SIGNER_ABSENT']])
    expect(endOf(outcomes, 8)).toBe('SIGNER_ABSENT')
    const to = since === 1 || since === 5 ? null : 3
    expect(outcomes.get(3)?.faults[0]?.evidence).toEqual([{ round: since, from: 8, to }])
  })
})

describe('keys that do not sum up', () => {
  const withInput = (setup: Presigning, id: PartyId, change: (input: PresignInput) => PresignInput): Presigning => ({
    ...setup,
    inputs: new Map([...setup.inputs].map(([each, input]) => [each, each === id ? change(input) : input])),
  })
  const honest = presigning(TRIO, 'trace')
  const wrongShare = withInput(honest, 7, (input) => ({ ...input, share: { ...input.share, secret: seedOf('another share') } }))
  const wrongZero = withInput(honest, 7, (input) => ({
    ...input,
    pairs: new Map(
      [...input.pairs].map(([peer, pair]) => [peer, peer === 2 ? { ...pair, zero: seedOf('zero') } : pair]),
    ) as PairSetupResult,
  }))

  it('prove who used another share', () => {
    const outcomes = presign(wrongShare)
    for (const id of [2, 9]) {
      expect([endOf(outcomes, id), namedBy(outcomes, id)]).toEqual(['KEYS_DO_NOT_SUM', ['7 proof KEY_SHARE_WRONG']])
      expect(outcomes.get(id)?.faults[0]?.evidence).toEqual([
        { round: 1, from: 7, to: null },
        { round: 4, from: 7, to: id },
        { round: 6, from: 7, to: null },
      ])
    }
  })
  it('make the pair dispute that has two zeros', () => {
    const outcomes = presign(wrongZero)
    expect(namedBy(outcomes, 2)).toEqual(['7 dispute ZERO_DIFFERS'])
    expect(namedBy(outcomes, 9)).toEqual([])
    expect(endOf(outcomes, 9)).toBe('KEYS_DO_NOT_SUM')
  })
  it('prove who shows no scalar, and who is silent', () => {
    const malformed = presign(
      wrongShare,
      broadcasts(7, 6, (bytes) => patch(bytes, 32, ALL_ONES)),
    )
    expect([endOf(malformed, 2), namedBy(malformed, 2)]).toEqual(['KEYS_DO_NOT_SUM', ['7 proof TRACE_MALFORMED']])
    const silent = presign(wrongShare, (from, round, sent) => (from === 7 && round === 6 ? null : sent))
    for (const id of TRIO) expect([endOf(silent, id), namedBy(silent, id)]).toEqual(['SIGNER_ABSENT', ['7 absent SIGNER_ABSENT']])
  })
  it('are traced in the draft that broke', () => {
    const batch = presigning(PAIR, 'second', 2)
    const machine = presignMachine(batch.inputs.get(8) as PresignInput)
    const puppet = {
      ...machine,
      start: () => {
        const step = machine.start()
        if (step.kind !== 'round') throw new Error('a run begins with a round')
        const [first, second] = step.state.drafts
        if (first === undefined || second === undefined) throw new Error('a batch of two')
        const { secp256k1: group } = native
        const wrong = { ...second, secret: 5n, key: group.mulBase(5n) }
        const commit = commitmentOf(native, wrong.psid, 8, group.encode(wrong.nonce), group.encode(wrong.key), wrong.salt)
        const broadcast = concatBytes((step.send.broadcast as Uint8Array).slice(0, 32), commit)
        return { ...step, state: { ...step.state, drafts: [first, wrong] }, send: { ...step.send, broadcast } }
      },
    }
    const outcomes = presign(batch, undefined, new Map([[8, puppet]]))
    expect(namedBy(outcomes, 3)).toEqual(['8 proof KEY_SHARE_WRONG'])
  })
})

it('nonces that cancel out end the run without blame', () => {
  const setup = presigning(PAIR, 'cancel')
  const { secp256k1: group } = native
  const honest = presignMachine(setup.inputs.get(3) as PresignInput).start()
  const machine = presignMachine(setup.inputs.get(8) as PresignInput)
  const puppet = {
    ...machine,
    start: () => {
      const step = machine.start()
      if (step.kind !== 'round' || honest.kind !== 'round') throw new Error('a run begins with a round')
      const [[draft], [theirs]] = [step.state.drafts, honest.state.drafts]
      if (draft === undefined || theirs === undefined) throw new Error('a batch of one')
      const opposite = { ...draft, r: q - theirs.r, nonce: group.negate(theirs.nonce) }
      const broadcast = commitmentOf(native, draft.psid, 8, group.encode(opposite.nonce), group.encode(draft.key), draft.salt)
      return { ...step, state: { ...step.state, drafts: [opposite] }, send: { ...step.send, broadcast } }
    },
  }
  const outcomes = presign(setup, undefined, new Map([[8, puppet]]))
  for (const id of PAIR) expect([endOf(outcomes, id), namedBy(outcomes, id)]).toEqual(['NONCE_IDENTITY', []])
})

it('row 27: whatever single message is changed, no honest signer is named by proof, and what is finished signs', () => {
  const setup = presigning(PAIR, 'fuzz')
  const change = fc.record({ round: fc.integer({ min: 1, max: 5 }), at: fc.nat(), byte: fc.integer({ min: 1, max: 255 }) })
  fc.assert(
    fc.property(change, ({ round, at, byte }) => {
      const alter = (bytes: Uint8Array): Uint8Array => bytes.map((old, index) => (index === at % bytes.length ? old ^ byte : old))
      const tamper: Tamper = (from, now, sent) =>
        directs(8, 3, round, alter)(from, now, broadcasts(8, round, alter)(from, now, sent) ?? sent)
      const outcomes = presign(setup, tamper)
      expect(namedBy(outcomes, 8).filter((fault) => fault.includes('proof'))).toEqual([])
      expect(namedBy(outcomes, 3)).toHaveLength(1)
      expect(namedBy(outcomes, 3)[0]).toMatch(/^8 (proof|dispute) /)
    }),
    { numRuns: 60 },
  )
})

it('every presignature of a full batch makes one signature', () => {
  const setup = presigning(PAIR, 'full', 4)
  const outcomes = presign(setup)
  const signatures = [0, 1, 2, 3].map((index) => {
    const records = used(setup, presignaturesOf(outcomes, index), tupleOf(`full ${index}`))
    const end = signOnline(records).get(3)
    const childKey = [...records.values()][0]?.context.childKey as Uint8Array
    const signature = end?.kind === 'done' ? end.result : ALL_ONES
    expect(secp256k1.verify(signature.slice(0, 64), tupleOf(`full ${index}`).digest, childKey, { prehash: false })).toBe(true)
    return unhex(signature.slice(0, 32))
  })
  expect(new Set(signatures).size).toBe(4)
})
