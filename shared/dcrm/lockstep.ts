/**
 * Runs all parties of a protocol in one process, every message delivered: for measurements, tests and tools that hold all shares anyway.
 * `tamper` may change or drop what one party sends. Sizes are checked as a session checks them.
 * @module
 */
import type { Fault, Inbox, Outgoing, PayloadSize, RoundMachine, RoundSpec, Step } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { invariant } from '#shared/fault.ts'

/** How a run ended for one party, with all faults it named on the way. */
export type Outcome<Result> = Readonly<{ faults: readonly Fault[] }> &
  (Readonly<{ kind: 'done'; result: Result }> | Readonly<{ kind: 'aborted'; code: string }>)

/** Changes what a party sends in a round; null silences it. */
export type Tamper = (from: PartyId, round: number, sent: Outgoing) => Outgoing | null

/** Bytes one party sent, a broadcast counted once per receiver. */
export type LockstepRun<Result> = Readonly<{ outcomes: ReadonlyMap<PartyId, Outcome<Result>>; bytesSent: ReadonlyMap<PartyId, number> }>

/** Whether a payload has the size a round asks for. */
export function isSized(payload: Uint8Array, size: PayloadSize): boolean {
  return typeof size === 'number' ? payload.length === size : payload.length >= size.min && payload.length <= size.max
}

const inboxOf = (self: PartyId, spec: RoundSpec, sent: ReadonlyMap<PartyId, Outgoing>): Inbox => {
  const broadcasts = new Map<PartyId, Uint8Array>()
  const directs = new Map<PartyId, Uint8Array>()
  for (const from of spec.broadcastFrom) {
    const payload = sent.get(from)?.broadcast
    if (payload && isSized(payload, spec.broadcastSize)) broadcasts.set(from, payload)
  }
  for (const from of spec.directFrom) {
    const payload = sent.get(from)?.direct.get(self)
    if (payload && isSized(payload, spec.directSize)) directs.set(from, payload)
  }
  return { broadcasts, directs }
}

/** Steps all machines round by round until each is done. All machines that go on must be in the same round. */
export function runLockstep<State, Result>(
  machines: ReadonlyMap<PartyId, RoundMachine<State, Result>>,
  tamper: Tamper = (_from, _round, sent) => sent,
): LockstepRun<Result> {
  type Running = Extract<Step<State, Result>, { kind: 'round' }> & Readonly<{ machine: RoundMachine<State, Result> }>
  const faults = new Map<PartyId, readonly Fault[]>()
  const outcomes = new Map<PartyId, Outcome<Result>>()
  const bytesSent = new Map<PartyId, number>()
  let running = new Map<PartyId, Running>()
  const take = (id: PartyId, machine: RoundMachine<State, Result>, step: Step<State, Result>): void => {
    const named = [...(faults.get(id) ?? []), ...step.faults]
    faults.set(id, named)
    if (step.kind === 'round') running.set(id, { ...step, machine })
    else outcomes.set(id, { ...step, faults: named })
  }
  for (const [id, machine] of machines) take(id, machine, machine.start())
  while (running.size > 0) {
    const current = running
    running = new Map()
    const sent = new Map<PartyId, Outgoing>()
    const [round] = [...current.values()].map(({ spec }) => spec.round)
    for (const [id, { spec, send }] of current) {
      invariant(spec.round === round, 'machines in lockstep are in one round')
      const outgoing = tamper(id, spec.round, send)
      if (outgoing === null) continue
      sent.set(id, outgoing)
      const direct = [...outgoing.direct.values()].reduce((sum, payload) => sum + payload.length, 0)
      const broadcast = (outgoing.broadcast?.length ?? 0) * (machines.size - 1)
      bytesSent.set(id, (bytesSent.get(id) ?? 0) + direct + broadcast)
    }
    for (const [id, { machine, state, spec }] of current) take(id, machine, machine.next(state, inboxOf(id, spec, sent)))
  }
  return { outcomes, bytesSent }
}
