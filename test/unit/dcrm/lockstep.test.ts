/** Parties in one process, by a toy protocol that writes down what each of them sees. @module */
import { describe, expect, it } from 'vitest'
import { isSized, runLockstep } from '#shared/dcrm/lockstep.ts'
import type { Fault, Outgoing, RoundMachine, RoundSpec } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { InvariantError } from '#shared/fault.ts'

const ALL = [1, 2, 3]
const others = (self: PartyId): readonly PartyId[] => ALL.filter((id) => id !== self)
const slow = (accused: PartyId, code: string): Fault => ({ accused, class: 'absent', code, evidence: [] })

type Seen = Readonly<{ broadcasts: Readonly<Record<string, string>>; directs: Readonly<Record<string, string>> }>

const specOf = (self: PartyId, round: number): RoundSpec => ({
  round,
  name: `T${round}`,
  broadcastFrom: ALL,
  broadcastSize: 2,
  directFrom: others(self),
  directSize: { min: 1, max: 2 },
  isEchoed: false,
})
const messages = (self: PartyId, round: number): Outgoing => ({
  broadcast: Uint8Array.of(self, round),
  direct: new Map(others(self).map((to) => [to, Uint8Array.of(10 * self + to)])),
})
const shown = (payloads: ReadonlyMap<PartyId, Uint8Array>): Readonly<Record<string, string>> =>
  Object.fromEntries([...payloads].map(([from, payload]) => [from, String(payload)]))

/** Two rounds, a fault in each step; the result is what arrived. */
const toy = (self: PartyId, first = 1): RoundMachine<readonly Seen[], readonly Seen[]> => ({
  start: () => ({ kind: 'round', state: [], spec: specOf(self, first), send: messages(self, first), faults: [slow(9, `START_${self}`)] }),
  next: (state, { broadcasts, directs }) => {
    const seen = [...state, { broadcasts: shown(broadcasts), directs: shown(directs) }]
    const faults = [slow(9, `NEXT_${state.length}`)]
    if (seen.length === 2) return self === 3 ? { kind: 'aborted', code: 'TIRED', faults } : { kind: 'done', result: seen, faults }
    return { kind: 'round', state: seen, spec: specOf(self, first + 1), send: messages(self, first + 1), faults }
  },
})
const machines = (of: (self: PartyId) => RoundMachine<readonly Seen[], readonly Seen[]> = toy) => new Map(ALL.map((id) => [id, of(id)]))
const seenBy = (id: PartyId, run: ReturnType<typeof runLockstep<readonly Seen[], readonly Seen[]>>): readonly Seen[] => {
  const outcome = run.outcomes.get(id)
  return outcome?.kind === 'done' ? outcome.result : []
}

describe('parties in lockstep', () => {
  it('get every broadcast, their own among them, and the direct messages to them', () => {
    const run = runLockstep(machines())
    expect(seenBy(1, run)).toEqual([
      { broadcasts: { 1: '1,1', 2: '2,1', 3: '3,1' }, directs: { 2: '21', 3: '31' } },
      { broadcasts: { 1: '1,2', 2: '2,2', 3: '3,2' }, directs: { 2: '21', 3: '31' } },
    ])
  })
  it('end with all the faults they named on the way', () => {
    const { outcomes } = runLockstep(machines())
    const codes = (id: PartyId) => outcomes.get(id)?.faults.map(({ code }) => code)
    expect([...outcomes].map(([id, { kind }]) => `${id} ${kind}`)).toEqual(['1 done', '2 done', '3 aborted'])
    expect(outcomes.get(3)).toMatchObject({ code: 'TIRED' })
    expect(codes(1)).toEqual(['START_1', 'NEXT_0', 'NEXT_1'])
    expect(codes(3)).toEqual(['START_3', 'NEXT_0', 'NEXT_1'])
  })
  it('do not get what was never sent or has another size than the round asks for', () => {
    const run = runLockstep(machines(), (from, round, sent) => {
      if (round === 1) return from === 2 ? null : sent
      if (from === 2) return { broadcast: Uint8Array.of(1), direct: new Map([[1, Uint8Array.of(1, 2, 3)]]) }
      return from === 3 ? { broadcast: null, direct: new Map([[1, Uint8Array.of(5, 6)]]) } : sent
    })
    expect(seenBy(1, run)).toEqual([
      { broadcasts: { 1: '1,1', 3: '3,1' }, directs: { 3: '31' } },
      { broadcasts: { 1: '1,2' }, directs: { 3: '5,6' } },
    ])
  })
  it('send as many bytes as leave them: a broadcast once for each other party, after tampering', () => {
    // Each round: 2 bytes to two others, and one byte to each.
    expect([...runLockstep(machines()).bytesSent]).toEqual([
      [1, 12],
      [2, 12],
      [3, 12],
    ])
    const { bytesSent } = runLockstep(machines(), (from, round, sent) => {
      if (from === 1) return round === 1 ? null : { ...sent, broadcast: null }
      return from === 2 ? { ...sent, broadcast: new Uint8Array(7) } : sent
    })
    expect([...bytesSent].toSorted(([left], [right]) => left - right)).toEqual([
      [1, 2],
      [2, 32],
      [3, 12],
    ])
  })
  it('are all in the same round, or something is wrong with them', () => {
    expect(() => runLockstep(machines((self) => toy(self, self === 2 ? 2 : 1)))).toThrow(InvariantError)
  })
})

describe('the size of a payload', () => {
  it('is exact, or within both bounds', () => {
    const sizes = [0, 1, 2, 3, 4].map((length) => new Uint8Array(length))
    expect(sizes.map((payload) => isSized(payload, 2))).toEqual([false, false, true, false, false])
    expect(sizes.map((payload) => isSized(payload, { min: 1, max: 3 }))).toEqual([false, true, true, true, false])
  })
})
