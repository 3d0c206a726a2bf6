/** A session while one event is handled: the state that changes and the effects that gather. @module */
import type { Envelope, UnsignedEnvelope } from '#shared/dcrm/envelope.ts'
import { encodeEnvelope, envelopeDigest, envelopePlace } from '#shared/dcrm/envelope.ts'
import type { SessionContext, SessionEffect, SessionState } from '#shared/dcrm/session-types.ts'

/** A session in motion while one event is handled. */
export class Turn<State, Result> {
  readonly context: SessionContext<State, Result>
  readonly nowMs: number
  readonly effects: SessionEffect<Result>[] = []
  state: SessionState<State>

  constructor(context: SessionContext<State, Result>, state: SessionState<State>, nowMs: number) {
    this.context = context
    this.state = state
    this.nowMs = nowMs
  }

  set(change: Partial<SessionState<State>>): void {
    this.state = { ...this.state, ...change }
  }

  enter(phase: SessionState<State>['phase']): void {
    this.set({ phase, phaseSinceMs: this.nowMs })
  }

  /** Whether the phase has lasted this many times the time of a round, or of a part of it. */
  isLate(times = 1, parts = 1): boolean {
    return (this.nowMs - this.state.phaseSinceMs) * parts >= times * this.context.plan.roundTimeoutMs
  }

  /** Signs, keeps and sends to every relay in reach. */
  send(unsigned: Omit<UnsignedEnvelope, 'epoch' | 'from' | 'id' | 'previous'>): void {
    const { plan, keys, crypto, backend } = this.context
    const whole = { ...unsigned, epoch: plan.subject.epoch, from: plan.self, id: this.state.id, previous: this.state.chain }
    const envelope: Envelope = { ...whole, signature: crypto.sign(keys.signSecret, envelopeDigest(backend, whole)) }
    const bytes = encodeEnvelope(envelope)
    const accepted = new Map([...this.state.accepted, [envelopePlace(envelope), envelope]])
    this.set({ sent: [...this.state.sent, bytes], accepted })
    for (let relay = 0; relay <= this.state.reach; relay++) this.effects.push({ kind: 'send', relay, envelope: bytes })
  }

  /** Secrets of a session end with it. */
  forget(): void {
    this.set({ inner: null, secrets: new Map(), machineSeed: new Uint8Array(32) })
  }
}
