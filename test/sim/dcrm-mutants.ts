/** Key sessions with one planted fault each. A campaign that does not notice its mutant proves nothing. @module */
import type { Fault, Step } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import type { AnyMachine, Place } from '#test/sim/dcrm-stage.ts'
import { machineAt } from '#test/sim/dcrm-stage.ts'
import type { WorldsOptions } from '#test/sim/dcrm-world.ts'
import { crypto } from '#test/sim/dcrm-stage.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

type Make = typeof machineAt

/** What a fault changes: the machines of honest parties, the names of sessions, or what surrounds them. */
export type Mutant = Readonly<{
  make?: (make: Make) => Make
  requestId?: Uint8Array
  surroundings?:
    | Pick<WorldsOptions<unknown, unknown>, 'crypto' | 'isForgetful' | 'roundTimeoutMs'>
    | Readonly<{ isForgetful: true }>
    | Readonly<{ roundTimeoutMs: number }>
}>

type AnyStep = Step<unknown, unknown>

const steps = (change: (step: AnyStep, self: PartyId, place: Place) => AnyStep): Mutant => ({
  make: (make) => (place, self, sid, seed, isWrong) => {
    const machine = make(place, self, sid, seed, isWrong)
    const changed: AnyMachine = {
      start: () => change(machine.start(), self, place),
      next: (state, inbox) => change(machine.next(state, inbox), self, place),
    }
    return changed
  },
})

const faults = (change: (fault: Fault, self: PartyId) => readonly Fault[]): Mutant =>
  steps((step, self) => ({ ...step, faults: step.faults.flatMap((fault) => change(fault, self)) }))

const absences = (set: readonly PartyId[], self: PartyId): readonly Fault[] =>
  set.filter((id) => id !== self).map((accused) => ({ accused, class: 'absent', code: 'MEMBER_ABSENT', evidence: [] }))

/** Leaves a share that is not the one the committee knows. */
const spoiled = (result: unknown): unknown => {
  const { share } = result as { share?: KeyShare | null }
  return share == null ? result : { ...(result as object), share: { ...share, secret: seedOf('spoiled') } }
}

/** By name, as `--mutant` takes them. */
export const MUTANTS: Readonly<Record<string, Mutant>> = {
  'no-echo': steps((step) => (step.kind === 'round' ? { ...step, spec: { ...step.spec, isEchoed: false } } : step)),
  'no-signature': { surroundings: { crypto: { ...crypto, verify: () => true } } },
  'one-session-id': { requestId: seedOf('one for all') },
  forgetful: { surroundings: { isForgetful: true } },
  hasty: { surroundings: { roundTimeoutMs: 300 } },
  'blames-receiver': faults((fault, self) => [fault.class === 'absent' ? fault : { ...fault, accused: self }]),
  'silence-is-a-lie': faults((fault) => [fault.class === 'absent' ? { ...fault, class: 'dispute' } : fault]),
  'names-nobody': faults(() => []),
  'lies-are-silence': faults((fault) => [{ ...fault, class: 'absent' }]),
  'signs-something-else': {
    make: (make) => (place, self, sid, seed, isWrong) => make({ ...place, message: seedOf('something else') }, self, sid, seed, isWrong),
  },
  'calls-all-absent': steps((step, self, { set }) =>
    step.kind === 'aborted' ? { ...step, faults: [...step.faults, ...absences(set, self)] } : step,
  ),
  'keeps-another-share': steps((step, self) => (step.kind === 'done' && self === 2 ? { ...step, result: spoiled(step.result) } : step)),
}
