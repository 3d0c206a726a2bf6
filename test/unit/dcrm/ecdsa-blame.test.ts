/** Blame after a signature that does not verify: the cheater is named, alone or in company, and never an honest signer. @module */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import type { BlameInput, BlameResult, BlameState } from '#shared/dcrm/ecdsa-blame.ts'
import { blameMachine } from '#shared/dcrm/ecdsa-blame.ts'
import type { Partial } from '#shared/dcrm/ecdsa-sign.ts'
import { aggregateSignature, decodePartial } from '#shared/dcrm/ecdsa-sign.ts'
import type { Outcome, Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { inverse, mod } from '#shared/dcrm/polynomial.ts'
import type { PresignInput, PresignState } from '#shared/dcrm/presign-state.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature, Statements } from '#shared/dcrm/presignature.ts'
import { STATEMENT_BYTES, bondOf, pairsOf } from '#shared/dcrm/presignature.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
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
import { seedOf } from '#test/unit/dcrm/support.ts'

const TRIO = [2, 7, 9] as const
const group = native.secp256k1
const q = group.order
const tuple = tupleOf('blame')
const ALL_ONES = new Uint8Array(32).fill(0xff)
/** Bytes before the statements in a claim, and where the response is. */
const PROOF = 98
const RESPONSE = 66

const setup = presigning(TRIO, 'blame')
const honest = presignaturesOf(presign(setup))

type Case = Readonly<{
  presignatures: ReadonlyMap<PartyId, Presignature>
  records: ReadonlyMap<PartyId, Used>
  partials: Map<PartyId, Partial>
}>
const caseOf = (presignatures: ReadonlyMap<PartyId, Presignature>): Case => {
  const records = used(setup, presignatures, tuple)
  const partials = new Map([...records].map(([id, { record }]) => [id, decodePartial(q, record.partial) as Partial]))
  return { presignatures, records, partials }
}
const shifted = (partial: Partial | undefined, change: Readonly<{ w?: bigint; u?: bigint }>): Partial => ({
  w: mod((partial?.w ?? 0n) + (change.w ?? 0n), q),
  u: mod((partial?.u ?? 0n) + (change.u ?? 0n), q),
})
const inputOf = ({ presignatures, records, partials }: Case, self: PartyId): BlameInput => {
  const presignature = presignatures.get(self) as Presignature
  return {
    backend: native,
    self,
    presignature,
    context: (records.get(self) as Used).context,
    digest: tuple.digest,
    tweak: tuple.tweak,
    encodedKey: encodedKeyOf(setup),
    partials,
    phi: bytesToBigint(presignature.phi),
    seed: seedOf(`blame ${self}`),
  }
}
const blame = (some: Case, tamper?: Tamper): ReadonlyMap<PartyId, Outcome<BlameResult>> =>
  runLockstep<BlameState, BlameResult>(new Map(TRIO.map((id) => [id, blameMachine(inputOf(some, id))])), tamper).outcomes
const cheatersAt = (outcomes: ReadonlyMap<PartyId, Outcome<BlameResult>>, id: PartyId): BlameResult => {
  const outcome = outcomes.get(id)
  return outcome?.kind === 'done' ? outcome.result : [-1]
}

describe('blame', () => {
  it('names nobody while all partials are right', () => {
    const outcomes = blame(caseOf(honest))
    for (const id of TRIO) expect([cheatersAt(outcomes, id), namedBy(outcomes, id)]).toEqual([[], []])
  })

  it.each([
    ['w', { w: 1n }],
    ['u′', { u: 1n }],
    ['both', { w: 5n, u: q - 9n }],
  ])('proves who sent a wrong %s', (_name, change) => {
    const spoiled = caseOf(honest)
    spoiled.partials.set(7, shifted(spoiled.partials.get(7), change))
    const { context } = spoiled.records.get(2) as Used
    expect(aggregateSignature(native, context, tuple.digest, [...spoiled.partials.values()])).toBeNull()
    const outcomes = blame(spoiled)
    for (const id of [2, 9]) expect([cheatersAt(outcomes, id), namedBy(outcomes, id)]).toEqual([[7], ['7 proof PARTIAL_WRONG']])
    expect(namedBy(outcomes, 7)).toEqual([])
    expect(outcomes.get(2)?.faults[0]?.evidence).toEqual([{ round: 1, from: 7, to: null }])
  })

  it('proves who sent partials of another φ, on one side or on both', () => {
    for (const [w, u] of [
      [3n, 1n],
      [1n, 3n],
    ] as const) {
      const spoiled = caseOf(honest)
      const own = spoiled.partials.get(7) as Partial
      spoiled.partials.set(7, { w: mod(own.w * w, q), u: mod(own.u * u, q) })
      expect(cheatersAt(blame(spoiled), 2)).toEqual([7])
    }
  })

  it('names all who cheated, and counts silence as silence', () => {
    const spoiled = caseOf(honest)
    spoiled.partials.set(7, shifted(spoiled.partials.get(7), { w: 1n }))
    const outcomes = blame(spoiled, (from, _round, sent) => (from === 9 ? null : sent))
    expect(namedBy(outcomes, 2)).toEqual(['7 proof PARTIAL_WRONG', '9 absent SIGNER_ABSENT'])
    expect(cheatersAt(outcomes, 2)).toEqual([7, 9])
  })

  it('is refused before all partials are there: their lack would look like guilt', () => {
    const early = caseOf(honest)
    early.partials.delete(9)
    expect(() => blameMachine(inputOf(early, 2))).toThrow('all partials')
  })
})

describe('a claim', () => {
  const wrong = (change: (bytes: Uint8Array) => Uint8Array): readonly string[] =>
    namedBy(blame(caseOf(honest), broadcasts(7, 1, change)), 2)
  const other = group.encode(group.mulBase(77n))

  it('whose proof is for other values is refused', () => {
    expect(wrong((bytes) => patch(bytes, 0, other))).toEqual(['7 proof PARTIAL_WRONG'])
    expect(wrong((bytes) => patch(bytes, 33, other))).toEqual(['7 proof PARTIAL_WRONG'])
    expect(wrong((bytes) => flipAt(bytes, RESPONSE + 31))).toEqual(['7 proof PARTIAL_WRONG'])
  })
  it('of no points or no scalar is malformed', () => {
    expect(wrong((bytes) => patch(bytes, 0, new Uint8Array(33)))).toEqual(['7 proof CLAIM_MALFORMED'])
    expect(wrong((bytes) => patch(bytes, 33, new Uint8Array(33)))).toEqual(['7 proof CLAIM_MALFORMED'])
    expect(wrong((bytes) => patch(bytes, RESPONSE, ALL_ONES))).toEqual(['7 proof CLAIM_MALFORMED'])
  })
  it.each([0, 1, 2, 3])('with another statement (%i) than the pair bound itself to is refused', (index) => {
    expect(wrong((bytes) => flipAt(bytes, PROOF + (index + 1) * STATEMENT_BYTES - 1))).toEqual(['7 proof STATEMENT_DIFFERS'])
    expect(wrong((bytes) => flipAt(bytes, PROOF + index * STATEMENT_BYTES + 70))).toEqual(['7 proof STATEMENT_DIFFERS'])
  })
  it('of another signer or presignature proves nothing', () => {
    const foreign = presignaturesOf(presign(presigning(TRIO, 'foreign')))
    const claimOf = (some: Case, id: PartyId): Uint8Array => {
      const step = blameMachine(inputOf(some, id)).start()
      return (step.kind === 'round' ? step.send.broadcast : null) ?? ALL_ONES
    }
    expect(wrong(() => claimOf(caseOf(honest), 9))).toEqual(['7 proof STATEMENT_DIFFERS'])
    const statements = claimOf(caseOf(honest), 7).slice(PROOF)
    expect(wrong(() => concatBytes(claimOf(caseOf(foreign), 7).slice(0, PROOF), statements))).toEqual(['7 proof PARTIAL_WRONG'])
  })
  it('is proof and statements of exactly the set, echoed', () => {
    expect(blameMachine(inputOf(caseOf(honest), 7)).start()).toMatchObject({
      spec: {
        round: 1,
        name: 'blame',
        broadcastFrom: TRIO,
        broadcastSize: PROOF + 4 * STATEMENT_BYTES,
        directFrom: [],
        directSize: 0,
        isEchoed: true,
      },
    })
  })
})

describe('a signer whose store lost what it kept', () => {
  const own = inputOf(caseOf(honest), 7)
  it.each([
    ['key', { encodedKey: new Uint8Array(33) }, 'a stored key is a valid point'],
    [
      'statements',
      { presignature: { ...own.presignature, statements: own.presignature.statements.map((each) => ({ ...each, sent: ALL_ONES })) } },
      'own statements are well formed',
    ],
  ])('claims nothing with a broken %s', (_name, change, reason) => {
    expect(() => blameMachine({ ...own, ...change }).start()).toThrow(reason)
  })
})

/** A machine of presigning that tells victims another ψ and binds itself to it. */
function lyingMachine(input: PresignInput, victims: readonly PartyId[], offset: bigint): ReturnType<typeof presignMachine> {
  const machine = presignMachine(input)
  return {
    ...machine,
    next: (state, inbox) => {
      const step = machine.next(state, inbox)
      if (step.kind !== 'round' || step.spec.name !== 'reveal') return step
      const changed = (peer: PartyId, bytes: Uint8Array): Uint8Array =>
        victims.includes(peer) ? patch(Uint8Array.from(bytes), 164, scalarBytes(mod(bytesToBigint(bytes.slice(164)) + offset, q))) : bytes
      const lie = (messages: ReadonlyMap<PartyId, Uint8Array>) =>
        new Map([...messages].map(([peer, bytes]) => [peer, changed(peer, bytes)]))
      const next: PresignState = { ...step.state, sent: lie(step.state.sent) }
      return { ...step, state: next, send: { ...step.send, direct: lie(step.send.direct) } }
    },
  }
}

describe('cheating that presigning cannot see', () => {
  const lying = (offset: bigint) =>
    presignaturesOf(presign(setup, undefined, new Map([[7, lyingMachine(setup.inputs.get(7) as PresignInput, [2], offset)]])))

  it('fails the signature and is proven afterwards, never against who was lied to', () => {
    const some = caseOf(lying(1n))
    const online = signOnline(some.records)
    expect(endOf(online, 2)).toBe('BAD_PARTIAL')
    const outcomes = blame(some)
    for (const id of [2, 9]) expect(namedBy(outcomes, id)).toEqual(['7 proof PARTIAL_WRONG'])
  })
  it('a pair that agreed on a lie cannot agree on another one later', () => {
    // 7 and 9 spoil w of 7 and both claim statements with a Γᵛ that makes up for it.
    const some = caseOf(honest)
    const excess = 12_345n
    some.partials.set(7, shifted(some.partials.get(7), { w: excess }))
    const { r } = (some.records.get(7) as Used).context
    const repaired = (bytes: Uint8Array): Uint8Array => {
      const gamma = group.decode(bytes.slice(131, 164))
      if (gamma === null) throw new Error('a statement holds points')
      return patch(Uint8Array.from(bytes), 131, group.encode(group.add(gamma, group.mulBase(mod(excess * inverse(r, q), q)))))
    }
    const colluding = (presignature: Presignature): Presignature => ({
      ...presignature,
      statements: presignature.statements.map(({ peer, sent, received }) => ({
        peer,
        sent: presignature === honest.get(7) && peer === 9 ? repaired(sent) : sent,
        received: presignature === honest.get(9) && peer === 7 ? repaired(received) : received,
      })),
    })
    const liars = new Map([...honest].map(([id, presignature]) => [id, colluding(presignature)]))
    const outcomes = blame({ ...some, presignatures: liars })
    expect(namedBy(outcomes, 2)).toEqual(['7 proof STATEMENT_DIFFERS', '9 proof STATEMENT_DIFFERS'])
    // Without the bonds the lie of 7 would have passed: bound to it, its proof holds.
    const bonds = pairsOf(TRIO).map(([low, high], index) => {
      const { psid, statements } = liars.get(low) as Presignature
      const said = statements.find(({ peer }) => peer === high)
      return low === 7 ? bondOf(native, psid, [low, high], said?.sent ?? ALL_ONES, said?.received ?? ALL_ONES) : honest.get(2)?.bonds[index]
    }) as readonly Uint8Array[]
    const unbound = new Map([...liars].map(([id, presignature]) => [id, { ...presignature, bonds }]))
    expect(namedBy(blame({ ...some, presignatures: unbound }), 2)).toEqual(['9 proof PARTIAL_WRONG'])
  })
  it('two that bound themselves to no statements at all prove nothing', () => {
    const nothing = new Uint8Array(STATEMENT_BYTES)
    const { sent, received } = (honest.get(7) as Presignature).statements[1] as Statements
    for (const [out, back] of [
      [nothing, nothing],
      [sent, nothing],
      [nothing, received],
    ] as const) {
      const bound = new Map(
        [...honest].map(([id, each]) => [id, { ...each, bonds: each.bonds.with(2, bondOf(native, each.psid, [7, 9], out, back)) }]),
      )
      // The claim of 7 is about 2 first, then about 9; that of 9 about 2 first, then about 7.
      const claim = (one: Uint8Array, two: Uint8Array) => (bytes: Uint8Array) =>
        concatBytes(bytes.slice(0, PROOF + 2 * STATEMENT_BYTES), one, two)
      const outcomes = blame({ ...caseOf(honest), presignatures: bound }, (from, round, message) =>
        broadcasts(9, 1, claim(back, out))(from, round, broadcasts(7, 1, claim(out, back))(from, round, message) ?? message),
      )
      expect(namedBy(outcomes, 2)).toEqual(['7 proof PARTIAL_WRONG', '9 proof PARTIAL_WRONG'])
    }
  })
  it('row 27: whatever partials and ψ a signer sends, nobody honest is named and an invalid signature names somebody', () => {
    const small = fc.bigInt({ min: 0n, max: 3n })
    fc.assert(
      fc.property(small, small, small, (offset, w, u) => {
        const some = caseOf(lying(offset))
        some.partials.set(7, shifted(some.partials.get(7), { w, u }))
        const { context } = some.records.get(2) as Used
        const isValid = aggregateSignature(native, context, tuple.digest, [...some.partials.values()]) !== null
        const outcomes = blame(some)
        for (const id of [2, 9]) expect(cheatersAt(outcomes, id)).toEqual(isValid ? [] : [7])
      }),
      { numRuns: 8 },
    )
  })
})
