/** Key generation at its edges: copies, identities, lost messages, evidence. Expected values: the protocol's algebra by hand. @module */
import { describe, expect, it } from 'vitest'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import type { Tamper } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { mod } from '#shared/dcrm/polynomial.ts'
import type { Fault } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Polynomials } from '#shared/dcrm/vss.ts'
import type { Options, Run } from '#test/unit/dcrm/dkg-support.ts'
import {
  both,
  broadcast,
  codeAt,
  direct,
  expectSound,
  faultsAt,
  flip,
  inputOf,
  polynomialsOf,
  resultsOf,
  run,
  sharesOf,
  silent,
} from '#test/unit/dcrm/dkg-support.ts'

const { order } = nobleBackend.ed25519
const qualifiedOf = (outcomes: Run) => resultsOf(outcomes)[0]?.share.publicKey.qualified
const without = (outcomes: Run, gone: PartyId): Run => new Map([...outcomes].filter(([id]) => id !== gone))
/** −(a_k of the others) by coefficient. */
const opposite = (others: readonly Polynomials[], index: number): bigint =>
  mod(-others.reduce((sum, { values }) => sum + (values[index] ?? 0n), 0n), order)

describe('copied commitments', () => {
  const copying = (options: Options = {}): Run => {
    let stolen = new Uint8Array(0)
    return run({
      ...options,
      tamper: (from, round, sent) => {
        if (round !== 1 || sent.broadcast === null) return sent
        if (from === 1) stolen = sent.broadcast.slice()
        return from === 3 ? { ...sent, broadcast: stolen } : sent
      },
    })
  }
  it('of an honest dealer put the copier out, and name nobody else', () => {
    const outcomes = copying()
    expect(qualifiedOf(outcomes)).toEqual([1, 2])
    for (const id of [1, 2]) expect(new Set(faultsAt(outcomes, id))).toEqual(new Set(['3 proof ANSWER_WRONG', '3 dispute DEALER_REJECTED']))
  })
  it('of one colluder by another put both out', () => {
    const members = [1, 2, 3, 4, 5]
    const dealt = polynomialsOf(4, { threshold: 3, members })
    const puppets = new Map([5, 4].map((id) => [id, { dealt }]))
    const outcomes = run({ threshold: 3, members, puppets })
    expect(qualifiedOf(outcomes)).toEqual([1, 2, 3])
    expect(outcomes.get(1)?.faults).toEqual(
      [
        [4, 5],
        [5, 4],
      ].map(([accused, from]) => ({
        accused,
        class: 'dispute',
        code: 'COMMITMENTS_COPIED',
        evidence: [
          { round: 1, from: accused, to: null },
          { round: 1, from, to: null },
        ],
      })),
    )
  })
  it('of one colluder by another end a run without an honest majority', () => {
    const options = { threshold: 3, members: [1, 2, 3, 4] }
    const dealt = polynomialsOf(4, options)
    const outcomes = run({ ...options, puppets: new Map([3, 4].map((id) => [id, { dealt }])) })
    expect(codeAt(outcomes, 1)).toBe('DEALER_OUT')
    expect(faultsAt(outcomes, 1)).toEqual(['3 dispute COMMITMENTS_COPIED', '4 dispute COMMITMENTS_COPIED'])
  })
  it('that agree in a part only are no copies', () => {
    const { values, blinds } = polynomialsOf(2, {})
    const dealt = { values: [values[0] ?? 0n, 5n], blinds: [blinds[0] ?? 0n, 6n] }
    expect(qualifiedOf(run({ puppets: new Map([[3, { dealt }]]) }))).toEqual([1, 2, 3])
  })
})

describe('an identity', () => {
  const opposed = (index: number): bigint =>
    opposite(
      [1, 2].map((id) => polynomialsOf(id, {})),
      index,
    )
  it.each([
    ['the key', () => [opposed(0), 9n]],
    ['the public share of member 2', () => [mod(opposed(0) + 2n * opposed(1) - 2n * 9n, order), 9n]],
    ['a later commitment', () => [9n, opposed(1)]],
  ])('as %s ends the run, with everybody present and after an extraction', (_name, valuesOf) => {
    const dealt = { values: valuesOf(), blinds: polynomialsOf(3, {}).blinds }
    const puppets = new Map([[3, { dealt }]])
    const rounds: number[] = []
    const listen: Tamper = (_from, round, sent) => (rounds.push(round), sent)
    for (const outcomes of [run({ puppets }), run({ puppets, tamper: both(listen, silent(3, 4)) })])
      for (const id of [1, 2]) expect(codeAt(outcomes, id)).toBe('KEY_IDENTITY')
    expect(faultsAt(run({ puppets }), 1)).toEqual([])
    // Nobody is asked to confirm what cannot be a key.
    expect(Math.max(...rounds)).toBe(6)
  })
})

describe('an extraction', () => {
  it('by more members than the threshold gives the same commitments as one by as many', () => {
    const options = { members: [1, 2, 3, 4, 5], threshold: 2 }
    const rounds: number[] = []
    const listen: Tamper = (_from, round, sent) => (rounds.push(round), sent)
    const outcomes = run({ ...options, tamper: both(listen, silent(5, 4)) })
    const whole = sharesOf(run(options))
    for (const [id, share] of sharesOf(outcomes)) {
      expect(share.publicKey.commitments).toEqual(whole.get(1)?.publicKey.commitments)
      expect(share.secret).toEqual(whole.get(id)?.secret)
    }
    expect(Math.max(...rounds)).toBe(7)
  })
})

describe('a lost message', () => {
  it('with the complaint of a member leaves it without a share; it stops and blames nobody, the others go on', () => {
    const outcomes = run({
      tamper: both(
        direct(3, [1], (bytes) => flip(bytes)),
        broadcast(1, 2, () => null),
      ),
    })
    expect(codeAt(outcomes, 1)).toBe('SHARE_MISSING')
    expect(codeAt(outcomes, 2)).toBe('done')
    expect(resultsOf(outcomes)[0]?.confirmed).toEqual([2, 3])
    for (const id of [1, 2]) expect((outcomes.get(id)?.faults ?? []).map(({ class: kind }) => kind)).not.toContain('proof')
  })
  it('with the objection of a member leaves it with a share that does not fit; it stops, the others go on', () => {
    const dealt = polynomialsOf(3, {})
    // Another line through the value of member 2.
    const [constant = 0n, slope = 0n] = dealt.values
    const shown = { ...dealt, values: [mod(constant - 2n, order), mod(slope + 1n, order)] }
    const puppets = new Map([[3, { dealt, shown }]])
    const outcomes = run({ puppets, tamper: broadcast(1, 5, () => null) })
    expect(codeAt(outcomes, 1)).toBe('SHARE_UNFIT')
    expect(codeAt(outcomes, 2)).toBe('done')
    expect(resultsOf(outcomes)[0]?.confirmed).toEqual([2, 3])
    const heard = run({ puppets })
    // The puppet itself cannot follow any further.
    expect(faultsAt(heard, 2)).toEqual(['3 proof IMAGES_WRONG', '3 absent MEMBER_ABSENT'])
    expectSound(without(heard, 3), 2)
    expect(resultsOf(heard)[0]?.share.publicKey.commitments[0]).toEqual(resultsOf(run())[0]?.share.publicKey.commitments[0])
  })
})

describe('evidence', () => {
  const evidenceOf = (outcomes: Run, at: PartyId, code: string): Fault['evidence'] | undefined =>
    outcomes.get(at)?.faults.find((fault) => fault.code === code)?.evidence
  const said = (...messages: readonly (readonly [number, PartyId])[]) => messages.map(([round, from]) => ({ round, from, to: null }))
  it('of a wrong answer is the answer, the commitments and the complaints it answers', () => {
    const outcomes = run({
      tamper: both(
        direct(3, [1], (bytes) => flip(bytes)),
        broadcast(3, 3, (bytes) => flip(bytes)),
      ),
    })
    expect(evidenceOf(outcomes, 2, 'ANSWER_WRONG')).toEqual(said([3, 3], [1, 3], [2, 1]))
  })
  it('of wrong images is both kinds of commitments and the first objection', () => {
    const group = nobleBackend.ed25519
    const change = (bytes: Uint8Array) => new Uint8Array([...bytes.slice(0, 32), ...group.encode(group.mulBase(7n)), ...bytes.slice(64)])
    const outcomes = run({ tamper: broadcast(3, 4, change) })
    expect(evidenceOf(outcomes, 2, 'IMAGES_WRONG')).toEqual(said([1, 3], [4, 3], [5, 1]))
  })
  it('of silence is the place of the message that never came', () => {
    expect(evidenceOf(run({ tamper: silent(3, 4) }), 1, 'MEMBER_ABSENT')).toEqual(said([4, 3]))
  })
  it('of malformed commitments, an unproven possession and another certificate is that one message', () => {
    const cases = [
      [1, 'COMMITMENTS_MALFORMED', (bytes: Uint8Array) => bytes.map(() => 255)],
      [4, 'POSSESSION_UNPROVEN', (bytes: Uint8Array) => flip(bytes)],
      [5, 'CERTIFICATE_DIFFERS', (bytes: Uint8Array) => flip(bytes)],
    ] as const
    for (const [round, code, change] of cases)
      expect(evidenceOf(run({ tamper: broadcast(3, round, change) }), 1, code)).toEqual(said([round, 3]))
  })
  it('of a false objection is the objection and what it objects to', () => {
    const change = (bytes: Uint8Array) => Uint8Array.from([0, 1, 0, 3, ...new Uint8Array(64), ...bytes.slice(-32)])
    expect(evidenceOf(run({ tamper: broadcast(1, 5, change) }), 2, 'OBJECTION_FALSE')).toEqual(said([5, 1], [1, 3], [4, 3]))
  })
  it('of a wrong extraction is the extraction and the commitments of whoever left', () => {
    const tamper = both(
      silent(5, 4),
      broadcast(4, 6, (bytes) => flip(bytes)),
    )
    const outcomes = run({ threshold: 3, members: [1, 2, 3, 4, 5], tamper })
    expect(evidenceOf(outcomes, 1, 'EXTRACTION_WRONG')).toEqual(said([6, 4], [1, 5]))
  })
})

describe('a run', () => {
  it('begins without knowing of a dealing, a complaint, a qualified or an exposed dealer', () => {
    expect(dkgMachine(inputOf(1, {})).start()).toMatchObject({
      state: { commitments: new Map(), complaints: [], qualified: [], images: new Map(), exposed: [] },
    })
  })
})

describe('a refresh', () => {
  it('begins with the own share of the same key only', () => {
    const bases = sharesOf(run())
    const input = inputOf(1, { bases })
    expect(() => dkgMachine(input)).not.toThrow()
    expect(() => dkgMachine({ ...input, base: bases.get(2) ?? null })).toThrow('own share')
    expect(() => dkgMachine({ ...input, descriptor: { ...input.descriptor, members: [1, 2, 4] } })).toThrow('own share')
  })
})
