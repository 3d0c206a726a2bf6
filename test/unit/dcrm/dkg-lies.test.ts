/** Every lie a member can tell while a key is generated, and what becomes of it. Source: paper 3.5.2 (1) d-e; GJKR 1999. @module */
import { describe, expect, it } from 'vitest'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import type { Tamper } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { both, broadcast, codeAt, direct, expectSound, faultsAt, flip, resultsOf, run, silent } from '#test/unit/dcrm/dkg-support.ts'

describe('dealing', () => {
  it('a wrong, malformed or missing pair is complained about, answered in public, and all go on with the answer', () => {
    for (const change of [
      (bytes: Uint8Array) => flip(bytes, 0),
      (bytes: Uint8Array) => flip(bytes, 63),
      () => new Uint8Array(64).fill(255),
      () => null,
    ]) {
      const outcomes = run({ tamper: direct(3, [1], change) })
      expect(expectSound(outcomes, 2).size).toBe(3)
      expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2, 3])
      for (const id of [1, 2, 3]) expect(faultsAt(outcomes, id)).toEqual([])
    }
  })
  it('a dealer that does not answer is out', () => {
    const outcomes = run({
      tamper: both(
        direct(3, [1], (bytes) => flip(bytes)),
        silent(3, 3),
      ),
    })
    expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2])
    expect(faultsAt(outcomes, 1)).toEqual(['3 absent MEMBER_ABSENT'])
  })
  it('a dealer that answers wrongly is out and proven wrong', () => {
    for (const change of [
      (bytes: Uint8Array) => flip(bytes, 31),
      (bytes: Uint8Array) => flip(bytes, 63),
      () => new Uint8Array(64).fill(255),
      (bytes: Uint8Array) => new Uint8Array([...bytes, ...bytes]),
    ]) {
      const outcomes = run({
        tamper: both(
          direct(3, [1], (bytes) => flip(bytes)),
          broadcast(3, 3, change),
        ),
      })
      expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2])
      expect(faultsAt(outcomes, 2)).toEqual(['3 proof ANSWER_WRONG'])
    }
  })
  it('one right answer does not excuse a wrong one beside it', () => {
    const members = [1, 2, 3, 4, 5]
    for (const at of [0, 64]) {
      const outcomes = run({
        threshold: 3,
        members,
        tamper: both(
          direct(5, [1, 2], (bytes) => flip(bytes)),
          broadcast(5, 3, (bytes) => flip(bytes, at + 63)),
        ),
      })
      expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2, 3, 4])
      expect(faultsAt(outcomes, 3)).toEqual(['5 proof ANSWER_WRONG'])
    }
  })
  it('a dealer with more than t − 1 complaints is out although it answers all', () => {
    const outcomes = run({ tamper: direct(3, [1, 2], (bytes) => flip(bytes)) })
    expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2])
    expect(faultsAt(outcomes, 1)).toEqual(['3 dispute DEALER_REJECTED'])
    const [fault] = outcomes.get(1)?.faults ?? []
    expect(fault?.evidence).toEqual([
      { round: 2, from: 1, to: null },
      { round: 2, from: 2, to: null },
    ])
  })
  it('that sent wrong pairs is disputed by those who got them, and one whose pairs did not arrive is only absent', () => {
    const members = [1, 2, 3, 4, 5]
    const lie = run({ threshold: 3, members, tamper: direct(5, [1, 2, 3], (bytes) => flip(bytes)) })
    for (const id of [1, 2, 3]) expect(faultsAt(lie, id)).toEqual(['5 dispute DEALER_REJECTED'])
    expect(faultsAt(lie, 4)).toEqual(['5 absent DEALER_REJECTED'])
    const loss = run({ threshold: 3, members, tamper: direct(5, [1, 2, 3], () => new Uint8Array(0)) })
    for (const id of [1, 2, 3, 4]) expect(faultsAt(loss, id)).toEqual(['5 absent DEALER_REJECTED'])
  })
  it('a false complaint harms nobody: the dealer answers and stays', () => {
    const outcomes = run({ tamper: broadcast(1, 2, () => Uint8Array.of(0, 1, 0, 3)) })
    expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2, 3])
    expect(faultsAt(outcomes, 2)).toEqual([])
  })
  it('malformed commitments put their dealer out, proven', () => {
    const outcomes = run({ tamper: broadcast(3, 1, (bytes) => new Uint8Array(bytes.length).fill(255)) })
    expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2])
    expect(faultsAt(outcomes, 1)).toEqual(['3 proof COMMITMENTS_MALFORMED'])
  })
  it('complaint lists with strangers, repetitions, disorder or loose bytes prove their sender wrong', () => {
    for (const list of [
      [0, 1, 0, 9],
      [0, 2, 0, 1, 0, 1],
      [0, 2, 0, 2, 0, 1],
      [0, 0, 0],
      [0, 2, 0, 1],
      [255, 255],
    ]) {
      const outcomes = run({ tamper: broadcast(3, 2, () => Uint8Array.from(list)) })
      expect(faultsAt(outcomes, 1)).toEqual(['3 proof COMPLAINTS_MALFORMED'])
      expectSound(outcomes, 2)
    }
  })
  it('a complaint about oneself, or about somebody whose dealing did not count, asks for no answer', () => {
    const rounds = new Set<number>()
    const listen: Tamper = (_from, round, sent) => (rounds.add(round), sent)
    const own = both(
      listen,
      broadcast(3, 2, () => Uint8Array.of(0, 1, 0, 3)),
    )
    expect(faultsAt(run({ tamper: own }), 1)).toEqual([])
    const malformed = both(
      listen,
      broadcast(3, 1, (bytes) => new Uint8Array(bytes.length).fill(255)),
      broadcast(2, 2, () => Uint8Array.of(0, 1, 0, 3)),
    )
    expect(faultsAt(run({ tamper: malformed }), 1)).toEqual(['3 proof COMMITMENTS_MALFORMED'])
    expect([...rounds]).toEqual([1, 2, 4, 5])
    const outcomes = run({
      threshold: 2,
      members: [1, 2, 3, 4],
      tamper: both(
        silent(4, 1),
        broadcast(3, 2, () => Uint8Array.of(0, 1, 0, 4)),
      ),
    })
    expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2, 3])
  })
  it('a member may complain about everybody, itself included, and changes nothing', () => {
    const answered = run({ tamper: broadcast(3, 2, () => Uint8Array.of(0, 3, 0, 1, 0, 2, 0, 3)) })
    expect(faultsAt(answered, 1)).toEqual([])
    expect(resultsOf(answered)[0]?.share.publicKey.qualified).toEqual([1, 2, 3])
  })
  it('who falls silent is counted absent once and awaited no more', () => {
    for (const since of [1, 2, 4, 5]) {
      const once = run({ tamper: (from, round, sent) => (from === 3 && round === since ? null : sent) })
      expect(faultsAt(once, 1)).toEqual(['3 absent MEMBER_ABSENT'])
      const forever = run({ tamper: silent(3, since) })
      expect(faultsAt(forever, 1)).toEqual(['3 absent MEMBER_ABSENT'])
    }
  })
  it('a fault beside a complaint is reported too', () => {
    const members = [1, 2, 3, 4, 5]
    const tamper = both(
      direct(5, [1], (bytes) => flip(bytes)),
      broadcast(4, 2, () => Uint8Array.of(0, 1)),
    )
    expect(faultsAt(run({ threshold: 3, members, tamper }), 1)).toEqual(['4 proof COMPLAINTS_MALFORMED'])
  })
  it('ends without enough dealers', () => {
    const outcomes = run({ threshold: 3, members: [1, 2, 3, 4, 5], tamper: both(silent(3, 1), silent(4, 1), silent(5, 1)) })
    expect(codeAt(outcomes, 1)).toBe('TOO_FEW_DEALERS')
  })
})

describe('opening', () => {
  it('a false objection proves its sender wrong', () => {
    const pair = [...scalarBytes(1n), ...scalarBytes(2n)]
    const outcomes = run({ tamper: broadcast(1, 5, (bytes) => Uint8Array.from([0, 1, 0, 3, ...pair, ...bytes.slice(-32)])) })
    expect(faultsAt(outcomes, 2)).toEqual(['1 proof OBJECTION_FALSE'])
    expect(resultsOf(outcomes)[0]?.share.publicKey.qualified).toEqual([1, 2, 3])
  })
  it('an objection with the dealt pair against right images proves its sender wrong', () => {
    let dealt = new Uint8Array(64)
    const listen: Tamper = (from, round, sent) => {
      if (from === 3 && round === 1) dealt = (sent.direct.get(1) as Uint8Array).slice()
      return sent
    }
    const outcomes = run({
      tamper: both(
        listen,
        broadcast(1, 5, (bytes) => Uint8Array.from([0, 1, 0, 3, ...dealt, ...bytes.slice(-32)])),
      ),
    })
    expect(faultsAt(outcomes, 2)).toEqual(['1 proof OBJECTION_FALSE'])
  })
  it('an objection to a stranger, and a malformed one, prove their sender wrong', () => {
    const pair = [...scalarBytes(1n), ...scalarBytes(2n)]
    const stranger = run({ tamper: broadcast(1, 5, (bytes) => Uint8Array.from([0, 1, 0, 9, ...pair, ...bytes.slice(-32)])) })
    expect(faultsAt(stranger, 2)).toEqual(['1 proof OBJECTION_FALSE'])
    // Zeros are the pair of a dealer that committed to nothing at all.
    const nothing = run({ tamper: broadcast(1, 5, (bytes) => Uint8Array.from([0, 1, 0, 9, ...new Uint8Array(64), ...bytes.slice(-32)])) })
    expect(faultsAt(nothing, 2)).toEqual(['1 proof OBJECTION_FALSE'])
    const malformed = run({ tamper: broadcast(1, 5, (bytes) => Uint8Array.from([0, 1, ...bytes.slice(2)])) })
    expect(faultsAt(malformed, 2)).toEqual(['1 proof OBJECTIONS_MALFORMED'])
  })
  it('an objection with the dealt pair to a dealer that showed nothing proves its sender wrong', () => {
    let dealt = new Uint8Array(64)
    const listen: Tamper = (from, round, sent) => {
      if (from === 3 && round === 1) dealt = (sent.direct.get(1) as Uint8Array).slice()
      return sent
    }
    const lie = broadcast(1, 5, (bytes) => Uint8Array.from([0, 1, 0, 3, ...dealt, ...bytes.slice(-32)]))
    const outcomes = run({ tamper: both(listen, silent(3, 4), lie) })
    expect(faultsAt(outcomes, 2)).toEqual(['3 absent MEMBER_ABSENT', '1 proof OBJECTION_FALSE'])
    expectSound(new Map([...outcomes].filter(([id]) => id !== 3)), 2)
  })
  it('objections to everybody, the sender included, are each judged', () => {
    const pair = [...scalarBytes(1n), ...scalarBytes(2n)]
    const all = [1, 2, 3].flatMap((id) => [0, id, ...pair])
    const outcomes = run({ tamper: broadcast(1, 5, (bytes) => Uint8Array.from([0, 3, ...all, ...bytes.slice(-32)])) })
    expect(faultsAt(outcomes, 2)).toEqual(Array.from({ length: 3 }, () => '1 proof OBJECTION_FALSE'))
  })
  it('a dealer whose images are right but whose possession is not proven is exposed all the same', () => {
    const rounds = new Set<number>()
    const listen: Tamper = (_from, round, sent) => (rounds.add(round), sent)
    const unproven = broadcast(3, 4, (bytes) => flip(bytes))
    const outcomes = run({ tamper: both(listen, unproven) })
    expect(faultsAt(outcomes, 1)).toEqual(['3 proof POSSESSION_UNPROVEN'])
    expect([...rounds]).toContain(6)
    expect(resultsOf(outcomes)[0]?.share.publicKey.commitments).toEqual(resultsOf(run())[0]?.share.publicKey.commitments)
    expect(codeAt(run({ threshold: 3, members: [1, 2, 3, 4], tamper: unproven }), 1)).toBe('DEALER_EXPOSED')
  })
  it('wrong pairs in an extraction prove their sender wrong, and t right ones suffice', () => {
    const members = [1, 2, 3, 4, 5]
    const outcomes = run({
      threshold: 3,
      members,
      tamper: both(
        silent(5, 4),
        broadcast(4, 6, (bytes) => flip(bytes)),
      ),
    })
    expect(faultsAt(outcomes, 1)).toContain('4 proof EXTRACTION_WRONG')
    expectSound(new Map([...outcomes].filter(([id]) => id !== 5)), 3)
  })
  it('one right pair does not excuse a wrong one beside it, when two dealers left', () => {
    const members = [1, 2, 3, 4, 5]
    for (const at of [63, 127]) {
      const outcomes = run({
        threshold: 2,
        members,
        tamper: both(
          silent(4, 4),
          silent(5, 4),
          broadcast(1, 6, (bytes) => flip(bytes, at)),
        ),
      })
      expect(faultsAt(outcomes, 2)).toContain('1 proof EXTRACTION_WRONG')
      expectSound(new Map([...outcomes].filter(([id]) => id < 4)), 2)
    }
  })
  it('an extraction with fewer than t right pairs ends without a key', () => {
    const members = [1, 2, 3]
    const outcomes = run({
      threshold: 2,
      members,
      tamper: both(
        silent(3, 4),
        broadcast(2, 6, () => null),
      ),
    })
    expect(codeAt(outcomes, 1)).toBe('EXTRACTION_FAILED')
  })
  it('a member that confirms another digest is disputed and the key is not used', () => {
    const outcomes = run({ tamper: broadcast(3, 5, (bytes) => flip(bytes)) })
    expect(codeAt(outcomes, 1)).toBe('CERTIFICATE_MISMATCH')
    expect(faultsAt(outcomes, 1)).toEqual(['3 dispute CERTIFICATE_DIFFERS'])
    const later = run({
      threshold: 2,
      members: [1, 2, 3, 4, 5],
      tamper: both(
        silent(5, 4),
        broadcast(4, 7, (bytes) => flip(bytes)),
      ),
    })
    expect(faultsAt(later, 1)).toContain('4 dispute CERTIFICATE_DIFFERS')
  })
  it('too few confirmations make no key', () => {
    const outcomes = run({ threshold: 3, members: [1, 2, 3, 4, 5], tamper: both(silent(3, 5), silent(4, 5), silent(5, 5)) })
    expect(codeAt(outcomes, 1)).toBe('CERTIFICATE_INCOMPLETE')
  })
})

describe('without an honest majority', () => {
  const members = [1, 2, 3, 4]
  it('any dealer that is out ends the run and is named', () => {
    const outcomes = run({
      threshold: 3,
      members,
      tamper: both(
        direct(4, [1], (bytes) => flip(bytes)),
        broadcast(4, 3, (bytes) => flip(bytes)),
      ),
    })
    expect(codeAt(outcomes, 1)).toBe('DEALER_OUT')
    expect(faultsAt(outcomes, 1)).toEqual(['4 proof ANSWER_WRONG'])
  })
  it('any dealer that is exposed ends the run and is named', () => {
    const group = nobleBackend.ed25519
    const tamper = broadcast(
      4,
      4,
      (bytes) => new Uint8Array([...bytes.slice(0, 32), ...group.encode(group.mulBase(7n)), ...bytes.slice(64)]),
    )
    const outcomes = run({ threshold: 3, members, tamper })
    expect(codeAt(outcomes, 1)).toBe('DEALER_EXPOSED')
    expect(faultsAt(outcomes, 1)).toEqual(['4 proof IMAGES_WRONG'])
  })
})
