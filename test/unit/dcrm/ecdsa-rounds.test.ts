/** The rounds of a threshold ECDSA signature as the message tables of docs/dcrm.md have them, in batches, and what a broken store does to them. @module */
import { describe, expect, it } from 'vitest'
import type { DcrmBackend, Term } from '#shared/dcrm/backend.ts'
import { ecdsaMachine } from '#shared/dcrm/ecdsa-sign.ts'
import type { Tamper } from '#shared/dcrm/lockstep.ts'
import type { PresignInput, PresignState } from '#shared/dcrm/presign-state.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { STATEMENT_BYTES } from '#shared/dcrm/presignature.ts'
import type { RoundMachine, RoundSpec, Step } from '#shared/dcrm/round.ts'
import type { PublicKey, PartyId } from '#shared/dcrm/types.ts'
import type { Presigning, Used } from '#test/unit/dcrm/presign-support.ts'
import {
  broadcasts,
  directs,
  endOf,
  flipAt,
  namedBy,
  native,
  presign,
  presignaturesOf,
  presigning,
  tupleOf,
  used,
} from '#test/unit/dcrm/presign-support.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

const TRIO = [2, 7, 9] as const
const PAIR = [3, 8] as const
const NO_POINT = new Uint8Array(33)

/** One signer's input changed. */
const withInput = (setup: Presigning, id: PartyId, change: (input: PresignInput) => Partial<PresignInput>): Presigning => ({
  ...setup,
  inputs: new Map([...setup.inputs].map(([each, input]) => [each, each === id ? { ...input, ...change(input) } : input])),
})

/** What one signer awaits, round by round. */
function roundsOf(setup: Presigning, id: PartyId): readonly RoundSpec[] {
  const machine = presignMachine(setup.inputs.get(id) as PresignInput)
  const specs: RoundSpec[] = []
  const noted = (step: Step<PresignState, readonly Presignature[]>) => {
    if (step.kind === 'round') specs.push(step.spec)
    return step
  }
  const watched: RoundMachine<PresignState, readonly Presignature[]> = {
    start: () => noted(machine.start()),
    next: (state, inbox) => noted(machine.next(state, inbox)),
  }
  presign(setup, undefined, new Map([[id, watched]]))
  return specs
}

const broadcast = { broadcastFrom: TRIO, directFrom: [], directSize: 0, isEchoed: true }
const direct = { broadcastFrom: [], broadcastSize: 0, directFrom: [7, 9], isEchoed: false }

describe('the rounds', () => {
  it('of presigning have the names, senders and sizes of the table', () => {
    expect(roundsOf(presigning(TRIO, 'rounds', 2), 2)).toEqual([
      { round: 1, name: 'commit', ...broadcast, broadcastSize: 2 * 32 },
      { round: 2, name: 'extend', ...direct, directSize: 2 * 10_768 },
      { round: 3, name: 'multiply', ...direct, directSize: 2 * (39_936 + 32 + 32) },
      { round: 4, name: 'reveal', ...direct, directSize: 2 * 196 },
      { round: 5, name: 'agree', ...broadcast, broadcastSize: 2 * (32 + 2 * 32) },
    ])
  })
  it('of a trace end with the parts of zero of one draft, one for each other signer', () => {
    const wrong = withInput(presigning(TRIO, 'rounds', 2), 7, ({ share }) => ({ share: { ...share, secret: seedOf('another share') } }))
    expect(roundsOf(wrong, 2).at(-1)).toEqual({ round: 6, name: 'trace', ...broadcast, broadcastSize: 2 * 32 })
  })
  it('of signing are one, by the name of sign', () => {
    const setup = presigning(PAIR, 'rounds')
    const { record, context } = used(setup, presignaturesOf(presign(setup)), tupleOf('rounds')).get(3) as Used
    const step = ecdsaMachine({ backend: native, self: 3, set: PAIR, context, digest: record.digest, partial: record.partial }).start()
    expect(step.kind === 'round' && step.spec).toEqual({
      round: 1,
      name: 'sign',
      broadcastFrom: PAIR,
      broadcastSize: 64,
      directFrom: [],
      directSize: 0,
      isEchoed: false,
    })
  })
})

describe('the products of all peers', () => {
  /** The backend, noting every sum of multiples in variable time. */
  const listening = (sums: (readonly Term[])[]): DcrmBackend => ({
    ...native,
    secp256k1: {
      ...native.secp256k1,
      sumPublic: (terms) => {
        sums.push(terms)
        return native.secp256k1.sumPublic(terms)
      },
    },
  })
  it('are checked in one combination per draft, with full-size weights that never occur twice', () => {
    const sums: (readonly Term[])[] = []
    const outcomes = presign(presigning(TRIO, 'weights', 2, listening(sums)))
    for (const id of TRIO) expect([endOf(outcomes, id), namedBy(outcomes, id)]).toEqual(['done', []])
    // G once, and for each of two peers R, Γᵘ, pk and Γᵛ.
    expect(sums.map((terms) => terms.length)).toEqual(Array.from({ length: 3 * 2 }, () => 1 + 2 * 4))
    const weights = sums.flatMap((terms) => terms.filter((_, index) => index > 0 && index % 2 === 0).map(([, weight]) => weight))
    expect(new Set(weights).size).toBe(3 * 2 * 4)
    for (const weight of weights) expect(weight > 1n << 200n).toBe(true)
  })
})

describe('in a batch', () => {
  const pair = presigning(PAIR, 'twice', 2)
  /** Changes the same byte of both drafts. */
  const twice = (size: number, at: number) => (bytes: Uint8Array) => flipAt(flipAt(bytes, at), size + at)
  const CHEATS: readonly (readonly [string, Tamper, string])[] = [
    ['extensions', directs(8, 3, 2, twice(10_768, 5)), 'dispute EXTENSION_CHECK'],
    ['products', directs(8, 3, 3, twice(40_000, 31)), 'dispute PRODUCT_CHECK'],
    ['openings', directs(8, 3, 4, twice(STATEMENT_BYTES, 66)), 'proof OPENING_WRONG'],
    ['agreements', broadcasts(8, 5, twice(64, 31)), 'dispute PRESIGNATURE_DIFFERS'],
  ]
  it.each(CHEATS)('two wrong %s are one fault: one probe, not two', (_name, tamper, fault) => {
    expect(namedBy(presign(pair, tamper), 3)).toEqual([`8 ${fault}`])
  })
  it('two wrong Γ are one fault', () => {
    const other = native.secp256k1.encode(native.secp256k1.mulBase(77n))
    const wrong = (bytes: Uint8Array): Uint8Array => {
      const out = bytes.slice()
      for (const draft of [0, 1]) out.set(other, draft * STATEMENT_BYTES + 98)
      return out
    }
    expect(namedBy(presign(pair, directs(8, 3, 4, wrong)), 3)).toEqual(['8 dispute REVEAL_CHECK'])
  })
  it.each([0, 1])('two others that contradict each other in draft %i end the run for everybody', (draft) => {
    const setup = presigning(TRIO, 'contradiction', 2)
    // Its certificate, its bond with 2, its bond with 9.
    const outcomes = presign(
      setup,
      broadcasts(7, 5, (bytes) => flipAt(bytes, 96 * draft + 64)),
    )
    expect([endOf(outcomes, 2), namedBy(outcomes, 2)]).toEqual(['PRESIGNATURE_DIFFERS', []])
    expect([endOf(outcomes, 9), namedBy(outcomes, 9)]).toEqual(['PRESIGNATURE_DIFFERS', ['7 dispute PRESIGNATURE_DIFFERS']])
  })
})

describe('a store that lost what it kept', () => {
  const setup = presigning(PAIR, 'store')
  const withKey = (change: (key: PublicKey) => Partial<PublicKey>, secret?: Uint8Array): Presigning =>
    withInput(setup, 3, ({ share }) => ({
      share: { ...share, publicKey: { ...share.publicKey, ...change(share.publicKey) }, secret: secret ?? share.secret },
    }))

  it('stops the signer before it confirms keys against no point', () => {
    const broken = withKey(({ commitments }) => ({ commitments: [NO_POINT, ...commitments.slice(1)] }))
    expect(() => presign(broken)).toThrow('a stored key holds valid points')
    expect(() => presign(withKey(() => ({ commitments: [] })))).toThrow('a key has t commitments')
  })
  it('stops the signer before it names anybody for an image that is no point', () => {
    const lost = withKey(({ publicShares }) => ({ publicShares: publicShares.map(() => NO_POINT) }), seedOf('another share'))
    expect(() => presign(lost)).toThrow('a stored key holds valid points')
    expect(() => presign(withKey(() => ({ publicShares: [] }), seedOf('another share')))).toThrow('an image of each share')
  })
})
