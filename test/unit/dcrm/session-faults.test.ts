/** What a session says of those its protocol accuses: to whom, in which order, with which evidence and which proof. @module */
import { describe, expect, it } from 'vitest'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { judgeEvidence } from '#shared/dcrm/evidence.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Fault } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { Room, keys, read } from '#test/unit/dcrm/session-support.ts'

const fault = (accused: PartyId, kind: Fault['class'], evidence: Fault['evidence'] = []): Fault => ({
  accused,
  class: kind,
  code: `TOY_${kind}`,
  evidence,
})

describe('faults', () => {
  it('come as disputes first, to be written down before anything else is done, then all with their messages', () => {
    const faults = [
      fault(2, 'proof', [{ round: 1, from: 2, to: null }]),
      fault(7, 'dispute', [{ round: 1, from: 7, to: 1 }]),
      fault(2, 'absent'),
    ]
    const room = new Room((id) => ({ rounds: [{ hasDirect: true, ...(id === 1 ? { faults } : {}) }, {}] })).start()
    const { effects } = room.seat(1)
    const at = effects.findIndex(({ kind }) => kind === 'dispute')
    expect(effects.slice(at, at + 5).map(({ kind }) => kind)).toEqual(['dispute', 'fault', 'fault', 'fault', 'send'])
    expect(effects[at]).toEqual({ kind: 'dispute', accused: 7, code: 'TOY_dispute' })
    const [proof, dispute, absent] = room.seat(1).of('fault')
    expect(proof?.evidence.map((bytes) => read(bytes)).map(({ from, round, kind }) => [from, round, kind])).toEqual([[2, 1, 'broadcast']])
    expect(dispute?.evidence.map((bytes) => read(bytes)).map(({ from, to, kind }) => [from, to, kind])).toEqual([[7, 1, 'direct']])
    expect(absent?.evidence).toEqual([])
  })
  it.each([
    ['dkg', true, 'CONTENT_IMPOSSIBLE'],
    ['frost', false, 'CONTENT_IMPOSSIBLE'],
    ['toy', true, null],
  ] as const)(
    'of the accused’s own broadcasts come with what a judge convicts by, where one of them suffices: %s',
    (protocol, hasOpening, code) => {
      const rounds = [
        { faults: [fault(2, 'proof', [{ round: 1, from: 2, to: null }]), fault(7, 'dispute', [{ round: 1, from: 7, to: null }])] },
        {},
      ]
      // What the toy protocol says is no message of the others.
      const room = new Room((id) => ({ protocol, hasOpening, rounds: id === 1 ? rounds : [{}, {}] })).start()
      const [proof, dispute] = room.seat(1).of('fault')
      const verdict = (accused: number) =>
        judgeEvidence(nobleBackend, nativeEnvelopeCrypto.verify, accused, keys(accused).peer.signKey, proof?.proof ?? new Uint8Array(0))
      expect([verdict(2), verdict(7)]).toEqual([code, null])
      expect(proof?.proof === null).toBe(code === null)
      expect(dispute?.proof).toBeNull()
    },
  )
  it('whose broadcasts convict nobody by themselves come without a proof', () => {
    const rounds = [{}, { faults: [fault(2, 'proof', [{ round: 2, from: 2, to: null }])] }]
    // In its second round nobody broadcasts in a recovery, so the chain does not judge what is said there.
    const room = new Room((id) => ({ protocol: 'recover', hasOpening: true, rounds: id === 1 ? rounds : [{}, {}] })).start()
    const [proof] = room.seat(1).of('fault')
    expect(proof?.evidence.map((bytes) => read(bytes).round)).toEqual([2])
    expect(proof?.proof).toBeNull()
  })
  it('of a protocol that gives up say who was absent, and nobody else', () => {
    const faults = [fault(2, 'proof'), fault(7, 'absent')]
    const room = new Room(() => ({ rounds: [{ faults, abort: 'TOY_OVER' }] })).start()
    expect(room.seat(1).of('aborted')).toEqual([{ kind: 'aborted', code: 'TOY_OVER', absent: [7] }])
  })
  it('refer to messages that are not here without evidence', () => {
    const room = new Room(() => ({ rounds: [{ faults: [fault(2, 'proof', [{ round: 9, from: 2, to: null }])] }] })).start()
    expect(room.seat(1).of('fault')[0]?.evidence).toEqual([])
  })
})
