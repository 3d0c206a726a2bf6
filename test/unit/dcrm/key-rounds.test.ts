/** What sessions are told to expect in each round of the protocols that make or move keys. Expected values: the message tables, by hand. @module */
import { describe, expect, it } from 'vitest'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import type { Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { recoveryMachine } from '#shared/dcrm/recovery.ts'
import { reshareMachine } from '#shared/dcrm/reshare.ts'
import type { RoundMachine, RoundSpec, Step } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { both, direct, flip, inputOf, run, sharesOf, silent } from '#test/unit/dcrm/dkg-support.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'

/** Runs all machines and gives what each expected, by party. */
function specsOf<State, Result>(machines: ReadonlyMap<PartyId, RoundMachine<State, Result>>, tamper?: Tamper) {
  const specs = new Map<PartyId, RoundSpec[]>([...machines.keys()].map((id) => [id, []]))
  const watched = new Map<PartyId, RoundMachine<State, Result>>()
  for (const [id, machine] of machines) {
    const watch = (step: Step<State, Result>): Step<State, Result> => {
      if (step.kind === 'round') specs.get(id)?.push(step.spec)
      return step
    }
    watched.set(id, { start: () => watch(machine.start()), next: (state, inbox) => watch(machine.next(state, inbox)) })
  }
  runLockstep(watched, tamper)
  return specs
}
const spec = (
  round: number,
  name: string,
  broadcastFrom: readonly PartyId[],
  broadcastSize: RoundSpec['broadcastSize'],
  isEchoed: boolean,
  directFrom: readonly PartyId[] = [],
  directSize = 0,
): RoundSpec => ({ round, name, broadcastFrom, broadcastSize, directFrom, directSize, isEchoed })

describe('rounds', () => {
  it('of a generation with every kind of trouble', () => {
    const options = { scheme: 'ecdsa' } as const
    const tamper = both(
      direct(3, [1], (bytes) => flip(bytes)),
      silent(3, 5),
      (from, round, sent) => (from === 3 && round === 4 ? null : sent),
    )
    const specs = specsOf(new Map([1, 2, 3].map((id) => [id, dkgMachine(inputOf(id, options))])), tamper)
    expect(specs.get(1)).toEqual([
      spec(1, 'deal', [1, 2, 3], 66, true, [2, 3], 64),
      spec(2, 'complain', [1, 2, 3], { min: 2, max: 8 }, true),
      spec(3, 'answer', [3], { min: 64, max: 192 }, true),
      spec(4, 'open', [1, 2, 3], 66 + 33 + 32, true),
      spec(5, 'object', [1, 2], { min: 34, max: 2 + 3 * 66 + 32 }, true),
      spec(6, 'extract', [1, 2], 64, true),
      spec(7, 'confirm', [1, 2], 32, false),
    ])
  })
  it('of a generation await no images of a dealer that fell silent before', () => {
    const specs = specsOf(new Map([1, 2, 3].map((id) => [id, dkgMachine(inputOf(id, {}))])), silent(3, 2))
    expect(specs.get(1)?.map(({ round, broadcastFrom }) => [round, broadcastFrom])).toEqual([
      [1, [1, 2, 3]],
      [2, [1, 2, 3]],
      [4, [1, 2]],
      [5, [1, 2]],
      [6, [1, 2]],
      [7, [1, 2]],
    ])
  })
  it('of a refresh: one point less, no proof of possession', () => {
    const options = { scheme: 'ecdsa', word: 'refresh', bases: sharesOf(run({ scheme: 'ecdsa' })) } as const
    const specs = specsOf(new Map([1, 2, 3].map((id) => [id, dkgMachine(inputOf(id, options))])))
    expect(specs.get(2)?.map(({ round, broadcastSize }) => [round, broadcastSize])).toEqual([
      [1, 33],
      [2, { min: 2, max: 8 }],
      [4, 33],
      [5, { min: 34, max: 232 }],
    ])
  })
  it('of a resharing, for a dealer that leaves, one that stays, and a new member', () => {
    const shares = dealtShares('ecdsa', 2, [1, 2, 3])
    const { publicKey: old } = shares.get(1) as KeyShare
    const members = [2, 4, 5, 6]
    const input = { backend: nobleBackend, old, dealers: [1, 2], next: { ...old.descriptor, threshold: 3, members } }
    const machine = (self: PartyId) =>
      reshareMachine({ ...input, self, seed: seedOf(`${self}`), share: self < 3 ? (shares.get(self) as KeyShare) : null })
    const specs = specsOf(
      new Map([1, 2, 4, 5, 6].map((id) => [id, machine(id)])),
      direct(1, [4], (bytes) => flip(bytes)),
    )
    const rest = [
      spec(2, 'complain', members, { min: 34, max: 38 }, true),
      spec(3, 'answer', [1], { min: 32, max: 128 }, true),
      spec(4, 'confirm', members, 32, false),
    ].map((each) => ({ ...each, directSize: 32 }))
    expect(specs.get(1)).toEqual([spec(1, 'deal', [1, 2], 99, true, [], 32), ...rest])
    expect(specs.get(2)).toEqual([spec(1, 'deal', [1, 2], 99, true, [1], 32), ...rest])
    expect(specs.get(4)).toEqual([spec(1, 'deal', [1, 2], 99, true, [1, 2], 32), ...rest])
  })
  it('of a recovery, for a helper and for whoever lost its share', () => {
    const shares = dealtShares('ecdsa', 2, [1, 2, 3])
    const { publicKey } = shares.get(1) as KeyShare
    const input = { backend: nobleBackend, publicKey, helpers: [1, 2], lost: 3 }
    const machine = (self: PartyId) =>
      recoveryMachine({ ...input, self, seed: seedOf(`${self}`), share: self === 3 ? null : (shares.get(self) as KeyShare) })
    const specs = specsOf(new Map([1, 2, 3].map((id) => [id, machine(id)])))
    expect(specs.get(1)).toEqual([spec(1, 'split', [1, 2], 66, true, [2], 32), spec(2, 'hand', [], 0, false, [], 32)])
    expect(specs.get(3)).toEqual([spec(1, 'split', [1, 2], 66, true, [], 32), spec(2, 'hand', [], 0, false, [1, 2], 32)])
  })
})
