/** What convinces a judge that knows nothing but the accused's key. @module */
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { nobleEnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import type { UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import { EVIDENCE_BYTES_LIMIT, encodeEvidence, judgeEvidence } from '#shared/dcrm/evidence.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { forge, keys } from '#test/unit/dcrm/session-support.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

const first: UnsignedEnvelope = {
  id: seedOf('session'),
  epoch: 0,
  round: 1,
  kind: 'broadcast',
  from: 2,
  to: null,
  seq: 0,
  previous: seedOf('past'),
  payload: Uint8Array.of(1),
}
const judge = (evidence: Uint8Array, accused = 2, key = keys(accused).peer.signKey) =>
  judgeEvidence(nobleBackend, nobleEnvelopeCrypto.verify, accused, key, evidence)
const pair = (change: Partial<UnsignedEnvelope>, base: Partial<UnsignedEnvelope> = {}) =>
  encodeEvidence([forge({ ...first, ...base }), forge({ ...first, ...base, ...change })])

describe('evidence', () => {
  it('is its envelopes, each after its length', () => {
    expect(unhex(encodeEvidence([Uint8Array.of(1, 2), Uint8Array.of(), Uint8Array.of(3)]))).toBe('0000000201020000000000000001' + '03')
  })
  it('of two different messages for one place convicts', () => {
    expect(judge(pair({ payload: Uint8Array.of(2) }))).toBe('EQUIVOCATION')
    expect(judge(pair({ previous: seedOf('another past') }))).toBe('EQUIVOCATION')
    expect(judge(pair({ payload: Uint8Array.of(2) }, { kind: 'direct', to: 7 }))).toBe('EQUIVOCATION')
    expect(judge(pair({ payload: Uint8Array.of(2) }, { kind: 'echo', seq: 1 }))).toBe('EQUIVOCATION')
  })
  it.each<[string, Uint8Array]>([
    ['the same message twice', pair({})],
    ['messages of two sessions', pair({ id: seedOf('elsewhere') })],
    ['messages of two rounds', pair({ round: 2 })],
    ['messages of two kinds', pair({ kind: 'echo' })],
    ['messages to two receivers', pair({ to: 7 }, { kind: 'direct', to: 1 })],
    ['a first and a second echo', pair({ seq: 1 }, { kind: 'echo' })],
    ['messages of two senders', pair({ from: 7 })],
    ['openings, which a restarted party may repeat', pair({ payload: Uint8Array.of(2) }, { round: 0 })],
    ['forwards, of which each may carry something else', pair({ payload: Uint8Array.of(2) }, { kind: 'forward', seq: 1 })],
  ])('of %s convicts nobody', (_what, evidence) => {
    expect(judge(evidence)).toBeNull()
    expect(judge(evidence, 7)).toBeNull()
  })
  it('needs both signatures to be the accused own', () => {
    const second = { ...first, payload: Uint8Array.of(2) }
    expect(judge(encodeEvidence([forge(first), forge(second, 7)]))).toBeNull()
    expect(judge(encodeEvidence([forge(first, 7), forge(second)]))).toBeNull()
    expect(judge(pair({ payload: Uint8Array.of(2) }), 2, keys(7).peer.signKey)).toBeNull()
    expect(judge(pair({ payload: Uint8Array.of(2) }), 7, keys(2).peer.signKey)).toBeNull()
  })
  it('is not read in another form, and never throws', () => {
    const good = pair({ payload: Uint8Array.of(2) })
    const [one, two] = [forge(first), forge({ ...first, payload: Uint8Array.of(2) })]
    for (const bad of [
      new Uint8Array(0),
      good.slice(0, -1),
      Uint8Array.from([...good, 0]),
      encodeEvidence([one]),
      encodeEvidence([one, two, one]),
      encodeEvidence([one, Uint8Array.of(1)]),
      encodeEvidence([Uint8Array.of(1), two]),
      good.with(0, 0xff),
    ])
      expect(judge(bad)).toBeNull()
    fc.assert(fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => judge(bytes) === null))
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
        expect(judge(good.with(at, (good[at] ?? 0) ^ change))).toBeNull()
      }),
      { numRuns: 60 },
    )
  })
  it('may be as large as a transaction carries and no larger', () => {
    const header = 2 * (4 + 84 + 64)
    const sized = (length: number) =>
      encodeEvidence([forge({ ...first, payload: new Uint8Array(1) }), forge({ ...first, payload: new Uint8Array(length - header - 1) })])
    expect(sized(EVIDENCE_BYTES_LIMIT)).toHaveLength(20 * 1024)
    expect(judge(sized(EVIDENCE_BYTES_LIMIT))).toBe('EQUIVOCATION')
    expect(judge(sized(EVIDENCE_BYTES_LIMIT + 1))).toBeNull()
  })
})
