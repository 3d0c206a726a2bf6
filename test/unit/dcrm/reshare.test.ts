/** Resharing and recovery in lockstep: same key, other holders; every lie named. Expected values: plain interpolation. @module */
import { describe, expect, it } from 'vitest'
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { groupOfScheme } from '#shared/dcrm/descriptor.ts'
import type { Outcome, Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { inverse, lagrange, mod } from '#shared/dcrm/polynomial.ts'
import { recoveryMachine } from '#shared/dcrm/recovery.ts'
import { reshareMachine } from '#shared/dcrm/reshare.ts'
import type { ReshareInput, ReshareResult } from '#shared/dcrm/reshare.ts'
import type { Outgoing } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId, Scheme } from '#shared/dcrm/types.ts'
import { dealtShares, seedOf, unhex } from '#test/unit/dcrm/support.ts'

const group = nobleBackend.ed25519
const flip = (bytes: Uint8Array, at = bytes.length - 1): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))
const broadcast =
  (cheater: PartyId, inRound: number, change: (bytes: Uint8Array) => Uint8Array | null): Tamper =>
  (from, round, sent) =>
    from === cheater && round === inRound && sent.broadcast !== null ? { ...sent, broadcast: change(sent.broadcast) } : sent
const direct =
  (cheater: PartyId, inRound: number, to: readonly PartyId[], change: (bytes: Uint8Array) => Uint8Array): Tamper =>
  (from, round, sent): Outgoing =>
    from === cheater && round === inRound
      ? { ...sent, direct: new Map([...sent.direct].map(([id, bytes]) => [id, to.includes(id) ? change(bytes) : bytes])) }
      : sent
const both =
  (...tampers: readonly Tamper[]): Tamper =>
  (from, round, sent) =>
    tampers.reduce<Outgoing | null>((current, tamper) => (current === null ? null : tamper(from, round, current)), sent)
const named = (outcome: Outcome<unknown> | undefined): readonly string[] =>
  (outcome?.faults ?? []).map(({ accused, class: kind, code }) => `${accused} ${kind} ${code}`)

const OLD = [1, 2, 3]
type Plan = Readonly<{ scheme?: Scheme; dealers?: readonly PartyId[]; members?: readonly PartyId[]; threshold?: number; tamper?: Tamper }>
function reshare({ scheme = 'ed25519', dealers = [1, 3], members = [2, 3, 4, 6, 8], threshold = 3, tamper }: Plan = {}) {
  const shares = dealtShares(scheme, 2, OLD)
  const { publicKey: old } = shares.get(1) as KeyShare
  const next = { ...old.descriptor, threshold, members }
  const inputOf = (self: PartyId): ReshareInput => ({
    backend: nobleBackend,
    self,
    seed: seedOf(`reshare ${self}`),
    old,
    share: dealers.includes(self) ? (shares.get(self) as KeyShare) : null,
    dealers,
    next,
  })
  const ids = [...new Set([...dealers, ...members])].toSorted((left, right) => left - right)
  const machines = new Map(ids.map((id) => [id, reshareMachine(inputOf(id))]))
  return { old, inputOf, outcomes: runLockstep(machines, tamper).outcomes }
}
const resultOf = (outcome: Outcome<ReshareResult> | undefined): ReshareResult => {
  if (outcome?.kind !== 'done') throw new Error(`expected a result, got ${outcome?.code}`)
  return outcome.result
}

describe('resharing', () => {
  it.each(['ed25519', 'taproot', 'ecdsa'] as const)('gives a %s key to another committee with another threshold', (scheme) => {
    const { old, outcomes } = reshare({ scheme })
    const field = groupOfScheme(nobleBackend, scheme)
    const shares = [2, 3, 4, 6, 8].map((id) => resultOf(outcomes.get(id)).share as KeyShare)
    for (const set of [
      [2, 4, 8],
      [3, 6, 8],
    ]) {
      const secret = set.reduce((sum, id) => {
        const share = shares.find(({ self }) => self === id) as KeyShare
        return mod(sum + lagrange(set, id, field.order) * bytesToBigint(share.secret), field.order)
      }, 0n)
      expect(unhex(field.encode(field.mulBase(secret)))).toBe(unhex(old.commitments[0] as Uint8Array))
    }
    for (const { self, secret, publicKey } of shares) {
      expect(publicKey).toMatchObject({ epoch: 1, qualified: [1, 3], keyId: old.keyId })
      expect(unhex(field.encode(field.mulBase(bytesToBigint(secret))))).toBe(
        unhex(publicKey.publicShares[publicKey.descriptor.members.indexOf(self)] as Uint8Array),
      )
    }
    expect(resultOf(outcomes.get(1))).toMatchObject({ share: null, confirmed: [2, 3, 4, 6, 8] })
    for (const { faults } of outcomes.values()) expect(faults).toEqual([])
  })
  it('25 a dealer that shares something else than its share is proven wrong', () => {
    const { outcomes } = reshare({
      tamper: broadcast(1, 1, (bytes) => new Uint8Array([...group.encode(group.mulBase(9n)), ...bytes.slice(32)])),
    })
    for (const id of [2, 3, 4]) {
      expect(outcomes.get(id)).toMatchObject({ kind: 'aborted', code: 'DEALER_OUT' })
      expect(named(outcomes.get(id))).toEqual(['1 proof CONSTANT_WRONG'])
      expect(outcomes.get(id)?.faults[0]?.evidence).toEqual([{ round: 1, from: 1, to: null }])
    }
  })
  it('1 a vector of another length is as if never sent, one that does not decode proves its dealer wrong', () => {
    for (const change of [(bytes: Uint8Array) => bytes.slice(32), (bytes: Uint8Array) => new Uint8Array([...bytes, ...bytes.slice(0, 32)])])
      expect(named(reshare({ tamper: broadcast(1, 1, change) }).outcomes.get(4))).toEqual(['1 absent MEMBER_ABSENT'])
    expect(named(reshare({ tamper: broadcast(1, 1, (bytes) => bytes.map(() => 255)) }).outcomes.get(4))).toEqual([
      '1 proof IMAGES_MALFORMED',
    ])
  })
  it('a wrong value is answered in public, and all go on with the answer', () => {
    for (const change of [(bytes: Uint8Array) => flip(bytes), (bytes: Uint8Array) => bytes.map(() => 255)]) {
      const { old, outcomes } = reshare({ tamper: direct(1, 1, [4, 6], change) })
      const field = nobleBackend.ed25519
      for (const id of [2, 3, 4, 6, 8]) {
        const { share, publicKey } = resultOf(outcomes.get(id))
        expect(publicKey.commitments[0]).toEqual(old.commitments[0])
        expect(unhex(field.encode(field.mulBase(bytesToBigint((share as KeyShare).secret))))).toBe(
          unhex(publicKey.publicShares[publicKey.descriptor.members.indexOf(id)] as Uint8Array),
        )
      }
    }
  })
  it('only the accused answer, and whoever accuses confirms nothing yet', () => {
    const said: (readonly [number, PartyId, string])[] = []
    const listen: Tamper = (from, round, sent) => {
      if (sent.broadcast !== null) said.push([round, from, unhex(sent.broadcast.slice(-32))])
      return sent
    }
    reshare({
      tamper: both(
        direct(1, 1, [4], (bytes) => flip(bytes)),
        listen,
      ),
    })
    expect(said.flatMap(([round, from]) => (round === 3 ? [from] : []))).toEqual([1])
    expect(said.flatMap(([round, from, last]) => (round === 2 && last === '00'.repeat(32) ? [from] : []))).toEqual([4])
  })
  it('a complaint of a dealer about itself asks for no answer', () => {
    const rounds = new Set<number>()
    const listen: Tamper = (_from, round, sent) => (rounds.add(round), sent)
    const { outcomes } = reshare({
      tamper: both(
        listen,
        broadcast(3, 2, (bytes) => Uint8Array.from([0, 1, 0, 3, ...bytes.slice(-32)])),
      ),
    })
    expect([...rounds]).toEqual([1, 2])
    expect(resultOf(outcomes.get(4)).confirmed).toEqual([2, 3, 4, 6, 8])
  })
  it('a receiver that does not deal begins with nothing and sends nothing', () => {
    expect(reshareMachine(reshare().inputOf(4)).start()).toMatchObject({
      state: { coefficients: [], images: new Map(), values: new Map(), complaints: [] },
      send: { broadcast: null, direct: new Map() },
    })
  })
  it('stops where the constants do not sum up to the key it began with', () => {
    const { old, inputOf } = reshare()
    const other = { ...old, commitments: [group.encode(group.mulBase(5n)), ...old.commitments.slice(1)] }
    const machines = new Map([1, 2, 3, 4, 6, 8].map((id) => [id, reshareMachine({ ...inputOf(id), old: other })]))
    expect(() => runLockstep(machines)).toThrow('the same key')
  })
  it('a wrong answer proves the dealer wrong', () => {
    for (const change of [
      (bytes: Uint8Array) => flip(bytes),
      (bytes: Uint8Array) => bytes.map(() => 255),
      (bytes: Uint8Array) => new Uint8Array([...bytes, ...bytes]),
    ]) {
      const { outcomes } = reshare({
        tamper: both(
          direct(1, 1, [4], (bytes) => flip(bytes)),
          broadcast(1, 3, change),
        ),
      })
      expect(named(outcomes.get(6))).toEqual(['1 proof ANSWER_WRONG'])
    }
  })
  it('one right answer does not excuse a wrong one beside it', () => {
    for (const at of [31, 63]) {
      const tamper = both(
        direct(1, 1, [4, 6], (bytes) => flip(bytes)),
        broadcast(1, 3, (bytes) => flip(bytes, at)),
      )
      const outcome = reshare({ tamper }).outcomes.get(8)
      expect(named(outcome)).toEqual(['1 proof ANSWER_WRONG'])
      expect(outcome).toMatchObject({ kind: 'aborted', code: 'DEALER_OUT' })
    }
  })
  it('as many complaints as the new threshold reject a dealer before it has to show so many values', () => {
    const { outcomes } = reshare({ tamper: direct(1, 1, [2, 4, 6], (bytes) => flip(bytes)) })
    expect(named(outcomes.get(8))).toEqual(['1 absent DEALER_REJECTED'])
    expect(outcomes.get(8)).toMatchObject({ kind: 'aborted', code: 'DEALER_OUT' })
    expect(outcomes.get(8)?.faults[0]?.evidence).toEqual([2, 4, 6].map((from) => ({ round: 2, from, to: null })))
  })
  it('whoever got a wrong value disputes a rejected dealer, and whoever got none cannot', () => {
    const lie = reshare({ tamper: direct(1, 1, [2, 4, 6], (bytes) => flip(bytes)) }).outcomes
    for (const id of [2, 4, 6]) expect(named(lie.get(id))).toEqual(['1 dispute DEALER_REJECTED'])
    const loss = reshare({ tamper: direct(1, 1, [2, 4, 6], () => new Uint8Array(0)) }).outcomes
    for (const id of [2, 4, 6, 8]) expect(named(loss.get(id))).toEqual(['1 absent DEALER_REJECTED'])
  })
  it('complaints in another form than a list of dealers prove their sender wrong', () => {
    for (const list of [
      [0, 1, 0, 2],
      [0, 2, 0, 3, 0, 1],
      [0, 2, 0, 1, 0, 1],
      [0, 2, 0, 1],
      [0, 0, 0],
    ])
      expect(
        named(reshare({ tamper: broadcast(4, 2, (bytes) => Uint8Array.from([...list, ...bytes.slice(-32)])) }).outcomes.get(6)),
      ).toEqual(['4 proof COMPLAINTS_MALFORMED'])
  })
  it('a new member that confirms another digest is disputed', () => {
    const { outcomes } = reshare({ tamper: broadcast(4, 2, (bytes) => flip(bytes)) })
    expect(outcomes.get(6)).toMatchObject({ kind: 'aborted', code: 'CERTIFICATE_MISMATCH' })
    expect(named(outcomes.get(6))).toEqual(['4 dispute CERTIFICATE_DIFFERS'])
    expect(outcomes.get(6)?.faults[0]?.evidence).toEqual([{ round: 2, from: 4, to: null }])
    const later = reshare({
      tamper: both(
        direct(1, 1, [4], (bytes) => flip(bytes)),
        broadcast(8, 4, (bytes) => flip(bytes)),
      ),
    })
    expect(named(later.outcomes.get(6))).toEqual(['8 dispute CERTIFICATE_DIFFERS'])
  })
  it('a new member that falls silent ends the run, counted as absent', () => {
    for (const round of [2, 4]) {
      const silent: Tamper = (from, at, sent) => (from === 8 && at >= round ? null : sent)
      const { outcomes } = reshare({
        tamper: both(
          direct(1, 1, [4], (bytes) => flip(bytes)),
          silent,
        ),
      })
      expect(outcomes.get(6)).toMatchObject({ kind: 'aborted', code: 'MEMBER_OUT' })
      expect(named(outcomes.get(6))).toEqual(['8 absent MEMBER_ABSENT'])
    }
  })
  it('is refused with other than t dealers, with strangers, and for bystanders', () => {
    const { inputOf } = reshare()
    const input = inputOf(1)
    expect(() => reshareMachine({ ...input, dealers: [1] })).toThrow('exactly t')
    expect(() => reshareMachine({ ...input, dealers: [1, 9] })).toThrow('only old')
    expect(() => reshareMachine({ ...input, share: null })).toThrow('whoever deals')
    expect(() => reshareMachine({ ...inputOf(2), self: 9 })).toThrow('deals or receives')
    expect(() => reshareMachine({ ...input, dealers: [1, 1] })).toThrow('ascending')
    expect(() => reshareMachine({ ...input, dealers: [3, 1] })).toThrow('ascending')
  })
  it('4 is refused for a new committee with ids out of range or order, and for another scheme', () => {
    const { inputOf } = reshare()
    const input = inputOf(1)
    for (const members of [
      [0, 1, 2],
      [1, 2, 2],
      [1, 2],
    ])
      expect(() => reshareMachine({ ...input, next: { ...input.next, members } })).toThrow('descriptor')
    expect(() => reshareMachine({ ...input, next: { ...input.next, scheme: 'taproot' } })).toThrow('keeps its scheme')
  })
  it('names the messages that prove a wrong answer', () => {
    const tamper = both(
      direct(1, 1, [4], (bytes) => flip(bytes)),
      broadcast(1, 3, (bytes) => flip(bytes)),
    )
    expect(reshare({ tamper }).outcomes.get(6)?.faults[0]?.evidence).toEqual([
      { round: 3, from: 1, to: null },
      { round: 1, from: 1, to: null },
      { round: 2, from: 4, to: null },
    ])
  })
  it.each([2, 3])('ends without a key when a rushing dealer cancels the share of a receiver, up to round %i', (round) => {
    // Dealer 1 sees what dealer 3 gives to its accomplice 4 before it deals; t′ = 2 leaves it one coefficient to choose.
    const shares = dealtShares('ed25519', 2, OLD)
    const { order } = group
    const weighted = (id: PartyId) => mod(lagrange([1, 3], id, order) * bytesToBigint((shares.get(id) as KeyShare).secret), order)
    const { inputOf } = reshare({ members: [2, 4, 5], threshold: 2 })
    const other = reshareMachine(inputOf(3)).start()
    if (other.kind !== 'round') throw new Error('a run begins with a round')
    const seen = bytesToBigint(other.send.direct.get(4) as Uint8Array)
    const slope = mod((-seen - weighted(1)) * inverse(4n, order), order)
    const valueFor = (id: PartyId) => scalarBytes(mod(weighted(1) + slope * BigInt(id), order))
    const rush: Tamper = (from, at, sent) =>
      from === 1 && at === 1
        ? {
            broadcast: concatBytes(group.encode(group.mulBase(weighted(1))), group.encode(group.mulBase(slope))),
            direct: new Map([2, 4, 5].map((id) => [id, valueFor(id)])),
          }
        : sent
    const lie = broadcast(4, 2, (bytes) => Uint8Array.from([0, 1, 0, 3, ...bytes.slice(-32)]))
    const { outcomes } = reshare({ members: [2, 4, 5], threshold: 2, tamper: round === 2 ? rush : both(rush, lie) })
    for (const id of [2, 5]) expect(outcomes.get(id)).toMatchObject({ kind: 'aborted', code: 'KEY_IDENTITY', faults: [] })
  })
  it('25 shares of two epochs do not mix', () => {
    const { outcomes, old } = reshare({ members: [1, 2, 3], threshold: 2 })
    const shares = dealtShares('ed25519', 2, OLD)
    const secretOf = (id: PartyId, isNew: boolean) =>
      bytesToBigint((isNew ? (resultOf(outcomes.get(id)).share as KeyShare) : (shares.get(id) as KeyShare)).secret)
    const keyOf = (first: bigint, second: bigint) => {
      const sum = mod(lagrange([1, 2], 1, group.order) * first + lagrange([1, 2], 2, group.order) * second, group.order)
      return unhex(group.encode(group.mulBase(sum)))
    }
    const key = unhex(old.commitments[0] as Uint8Array)
    expect(keyOf(secretOf(1, true), secretOf(2, true))).toBe(key)
    expect(keyOf(secretOf(1, false), secretOf(2, true))).not.toBe(key)
    expect(keyOf(secretOf(1, true), secretOf(2, false))).not.toBe(key)
  })
})

function recover(tamper?: Tamper, scheme: Scheme = 'ed25519') {
  const shares = dealtShares(scheme, 3, [1, 2, 5, 7, 8])
  const { publicKey } = shares.get(1) as KeyShare
  const helpers = [1, 5, 8]
  const inputOf = (self: PartyId) => ({
    backend: nobleBackend,
    self,
    seed: seedOf(`recover ${self}`),
    publicKey,
    share: self === 7 ? null : (shares.get(self) as KeyShare),
    helpers,
    lost: 7,
  })
  const sent = new Map<PartyId, Uint8Array[]>()
  const listen: Tamper = (from, round, outgoing) => {
    if (round === 2) sent.set(from, [...outgoing.direct.values()])
    return outgoing
  }
  const machines = new Map([...helpers, 7].map((id) => [id, recoveryMachine(inputOf(id))]))
  return { shares, inputOf, sent, outcomes: runLockstep(machines, tamper === undefined ? listen : both(listen, tamper)).outcomes }
}

describe('recovery of a lost share', () => {
  it.each(['ed25519', 'taproot', 'ecdsa'] as const)('gives back exactly the %s share that was lost', (scheme) => {
    const { shares, outcomes } = recover(undefined, scheme)
    const outcome = outcomes.get(7)
    expect(outcome?.kind === 'done' && outcome.result).toEqual(shares.get(7))
    for (const id of [1, 5, 8]) expect(outcomes.get(id)).toEqual({ kind: 'done', result: null, faults: [] })
    expect(outcome?.faults).toEqual([])
  })
  it('hands over sums that are no helper’s weighted share', () => {
    const { shares, sent } = recover()
    for (const id of [1, 5, 8]) {
      const weighted = mod(lagrange([1, 5, 8], id, group.order, 7) * bytesToBigint((shares.get(id) as KeyShare).secret), group.order)
      expect(unhex(sent.get(id)?.[0] as Uint8Array)).not.toBe(unhex(scalarBytes(weighted)))
    }
  })
  it('25 a split that does not sum to the helper’s share proves it wrong', () => {
    const change = (bytes: Uint8Array) => new Uint8Array([...group.encode(group.mulBase(3n)), ...bytes.slice(32)])
    for (const id of [1, 8, 7])
      expect(recover(broadcast(5, 1, change)).outcomes.get(id)).toEqual({
        kind: 'aborted',
        code: 'HELPER_OUT',
        faults: [{ accused: 5, class: 'proof', code: 'SPLIT_WRONG', evidence: [{ round: 1, from: 5, to: null }] }],
      })
  })
  it('a split that does not decode proves the helper wrong; one of another length was never sent', () => {
    expect(named(recover(broadcast(5, 1, (bytes) => bytes.map(() => 255))).outcomes.get(7))).toEqual(['5 proof SPLIT_MALFORMED'])
    expect(named(recover(broadcast(5, 1, (bytes) => bytes.slice(32))).outcomes.get(7))).toEqual(['5 absent MEMBER_ABSENT'])
  })
  it('a wrong or malformed part disputes its helper', () => {
    for (const change of [(bytes: Uint8Array) => flip(bytes), (bytes: Uint8Array) => bytes.map(() => 255)]) {
      const { outcomes } = recover(direct(5, 1, [8], change))
      expect(outcomes.get(8)).toMatchObject({ kind: 'aborted', code: 'HELPER_OUT' })
      expect(outcomes.get(8)?.faults).toEqual([
        { accused: 5, class: 'dispute', code: 'PART_WRONG', evidence: [{ round: 1, from: 5, to: 8 }] },
      ])
    }
  })
  it('a wrong or malformed sum disputes its helper', () => {
    for (const change of [(bytes: Uint8Array) => flip(bytes), (bytes: Uint8Array) => bytes.map(() => 255)]) {
      const { outcomes } = recover(direct(5, 2, [7], change))
      expect(outcomes.get(7)).toMatchObject({ kind: 'aborted', code: 'HELPER_OUT' })
      expect(outcomes.get(7)?.faults).toEqual([
        { accused: 5, class: 'dispute', code: 'SUM_WRONG', evidence: [{ round: 2, from: 5, to: 7 }] },
      ])
    }
  })
  it('a part or a sum that never arrives makes its helper absent, not disputed', () => {
    const lose =
      (inRound: number, to: PartyId): Tamper =>
      (from, round, sent) =>
        from === 5 && round === inRound ? { ...sent, direct: new Map([...sent.direct].filter(([id]) => id !== to)) } : sent
    for (const [round, to] of [
      [1, 8],
      [2, 7],
    ] as const) {
      const outcome = recover(lose(round, to)).outcomes.get(to)
      expect(outcome).toMatchObject({ kind: 'aborted', code: 'HELPER_OUT' })
      expect(outcome?.faults).toEqual([{ accused: 5, class: 'absent', code: 'MEMBER_ABSENT', evidence: [{ round, from: 5, to }] }])
    }
  })
  it('gives no share that is not the one of the public share', () => {
    const { inputOf } = recover()
    const { publicKey } = inputOf(7)
    const publicShares = publicKey.publicShares.with(3, group.encode(group.mulBase(5n)))
    const machines = new Map([1, 5, 8, 7].map((id) => [id, recoveryMachine({ ...inputOf(id), publicKey: { ...publicKey, publicShares } })]))
    expect(runLockstep(machines).outcomes.get(7)).toEqual({ kind: 'aborted', code: 'SHARE_UNFIT', faults: [] })
  })
  it('is refused with other than t helpers, with strangers, or when the lost member helps', () => {
    const { inputOf } = recover()
    const input = inputOf(1)
    expect(() => recoveryMachine({ ...input, helpers: [1, 5] })).toThrow('exactly t')
    expect(() => recoveryMachine({ ...input, helpers: [1, 5, 9] })).toThrow('exactly t')
    expect(() => recoveryMachine({ ...input, helpers: [1, 1, 5] })).toThrow('ascending')
    expect(() => recoveryMachine({ ...input, helpers: [5, 1, 8] })).toThrow('ascending')
    expect(() => recoveryMachine({ ...input, lost: 5 })).toThrow('not a helper')
    expect(() => recoveryMachine({ ...input, lost: 9 })).toThrow('not a helper')
    expect(() => recoveryMachine({ ...input, share: null })).toThrow('helpers bring')
    expect(() => recoveryMachine({ ...inputOf(7), share: input.share })).toThrow('helpers bring')
  })
})
