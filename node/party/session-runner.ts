/**
 * Drives one session: events in, effects out, in the order the machine gives them. What must be durable is written before the next effect is
 * looked at. Source: docs/dcrm.md, sessions.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import type { Custody } from '#node/party/custody.ts'
import type { RelayClient } from '#node/party/relay-client.ts'
import { createRelayClient } from '#node/party/relay-client.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { Fault } from '#shared/dcrm/round.ts'
import type { SessionContext, SessionEffect, SessionEvent, SessionPlan, SessionState } from '#shared/dcrm/session-types.ts'
import { createSession, stepSession } from '#shared/dcrm/session.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Hash } from '#shared/types.ts'

const TICK_MS = 250
/** How often the first relay is asked, and the others. */
const POLL_MS = 150
const POLL_OTHERS_MS = 500
const POST_TRIES = 20
const POST_RETRY_MS = 500

/** A fault a party names, with what the chain would convict by, if anything. */
export type Accusation = Readonly<{ fault: Fault; proof: Uint8Array | null }>
export type SessionEnd<Result> = Readonly<{ accusations: readonly Accusation[]; openId: Hash }> &
  (Readonly<{ kind: 'done'; result: Result }> | Readonly<{ kind: 'aborted'; code: string; absent: readonly PartyId[] }>)

type Aborted = Extract<SessionEnd<unknown>, Readonly<{ kind: 'aborted' }>>
/** The end of a session that came to nothing through no absence. */
export const aborted = (code: string, openId: Hash, accusations: readonly Accusation[] = []): Aborted => ({
  kind: 'aborted',
  code,
  absent: [],
  accusations,
  openId,
})

export type SessionJob<State, Result> = Readonly<{
  /** Key and epoch the session is for: where disputes belong. */
  key: Hash
  plan: Omit<SessionPlan<State, Result>, 'seed' | 'relayCount'>
  /** Relay URLs in the order all parties use. */
  relays: readonly string[]
  /** Whether it works with what pairs share: then it ends as soon as this party has accused anybody in it, in whichever session. */
  isPaired: boolean
  onProgress: (round: string, party: PartyId) => void
}>

export type RunnerParts = Readonly<{ custody: Custody; backend: DcrmBackend; signal: AbortSignal; nowMs: () => number }>

/** Runs a session to its end. Refuses one this party has spoken in before: its secrets of then are gone. */
export async function runSession<State, Result>(parts: RunnerParts, job: SessionJob<State, Result>): Promise<SessionEnd<Result>> {
  const { custody, backend } = parts
  const plan = { ...job.plan, seed: new Uint8Array(randomBytes(32)), relayCount: job.relays.length }
  const { context, state } = createSession<State, Result>(plan, custody.identity().keys, nativeEnvelopeCrypto, backend)
  const openId = bytesToHex(context.openId)
  if (custody.hasJoined(context.openId)) return aborted('ALREADY_JOINED', openId)
  return new Running(parts, job, context, state).run()
}

class Running<State, Result> {
  readonly #parts: RunnerParts
  readonly #job: SessionJob<State, Result>
  readonly #context: SessionContext<State, Result>
  readonly #stop = new AbortController()
  readonly #relays: readonly RelayClient[]
  readonly #accusations: Accusation[] = []
  readonly #openId: Hash
  #state: SessionState<State>
  #isOver = false
  #finish: (end: SessionEnd<Result>) => void = () => undefined
  #fail: (cause: unknown) => void = () => undefined

  constructor(parts: RunnerParts, job: SessionJob<State, Result>, context: SessionContext<State, Result>, state: SessionState<State>) {
    this.#parts = parts
    this.#job = job
    this.#context = context
    this.#state = state
    this.#openId = bytesToHex(context.openId)
    const access = { session: context, self: job.plan.self, signal: AbortSignal.any([parts.signal, this.#stop.signal]) }
    const onPush = (bytes: Uint8Array): void => this.#take(0, bytes)
    // Parties meet at the first relay; the others are seldom used, and asking them now and then is enough.
    this.#relays = job.relays.map((url, index) => createRelayClient(url, access, index === 0 ? onPush : null))
  }

  async run(): Promise<SessionEnd<Result>> {
    const ended = new Promise<SessionEnd<Result>>((done, fail) => {
      this.#finish = done
      this.#fail = fail
    })
    const timers = [
      setInterval(() => this.#step({ kind: 'tick', nowMs: this.#parts.nowMs() }), TICK_MS),
      ...this.#relays.map((_, index) => this.#poll(index, index === 0 ? POLL_MS : POLL_OTHERS_MS)),
    ]
    const onAbort = (): void => this.#end(aborted('STOPPED', this.#openId))
    this.#parts.signal.addEventListener('abort', onAbort)
    try {
      this.#step({ kind: 'start', nowMs: this.#parts.nowMs() })
      return await ended
    } finally {
      for (const timer of timers) clearInterval(timer)
      this.#parts.signal.removeEventListener('abort', onAbort)
      // Envelopes still on their way belong to parties that are not done yet.
      setTimeout(() => this.#stop.abort(), 5000).unref()
    }
  }

  #poll(index: number, everyMs: number): NodeJS.Timeout {
    const relay = this.#relays[index]
    let isBusy = relay === undefined
    return setInterval(() => {
      if (isBusy) return
      isBusy = true
      void relay?.read().then((envelopes) => {
        isBusy = false
        for (const bytes of envelopes) this.#take(index, bytes)
      })
    }, everyMs)
  }

  #take(relay: number, bytes: Uint8Array): void {
    this.#step({ kind: 'envelope', relay, bytes, nowMs: this.#parts.nowMs() })
  }

  /** Sessions of one pair may run at once, and each of them could be a probe: the first that fails ends them all. */
  #isShutOut(): boolean {
    const { key, isPaired, plan } = this.#job
    const parties = plan.parties.map(({ id }) => id)
    return isPaired && this.#parts.custody.hasDisputed(key, plan.subject.epoch, parties)
  }

  #step(event: SessionEvent): void {
    if (this.#isOver) return
    try {
      if (this.#isShutOut()) return this.#end(aborted('DISPUTED', this.#openId, this.#accusations))
      const { state, effects } = stepSession(this.#context, this.#state, event)
      this.#state = state
      for (const effect of effects) this.#perform(effect)
    } catch (cause) {
      this.#isOver = true
      this.#fail(cause)
    }
  }

  #end(end: SessionEnd<Result>): void {
    this.#isOver = true
    this.#finish(end)
  }

  #perform(effect: SessionEffect<Result>): void {
    const { custody } = this.#parts
    const { key, plan } = this.#job
    switch (effect.kind) {
      case 'join':
        custody.join(effect.openId)
        break
      case 'dispute':
        custody.dispute(key, plan.subject.epoch, effect.accused, effect.code)
        break
      case 'send':
        void this.#post(effect.relay, effect.envelope)
        break
      case 'progress':
        this.#job.onProgress(effect.name, effect.party)
        break
      case 'fault':
        this.#accusations.push({ fault: effect.fault, proof: effect.proof })
        break
      case 'done':
        this.#end({ kind: 'done', result: effect.result, accusations: this.#accusations, openId: this.#openId })
        break
      case 'aborted':
        this.#end({ ...aborted(effect.code, this.#openId, this.#accusations), absent: effect.absent })
        break
    }
  }

  async #post(index: number, envelope: Uint8Array): Promise<void> {
    const relay = this.#relays[index]
    for (let attempt = 0; relay !== undefined && attempt < POST_TRIES && !this.#stop.signal.aborted; attempt++) {
      if (await relay.post(envelope)) return
      await new Promise((done) => setTimeout(done, POST_RETRY_MS))
    }
  }
}
