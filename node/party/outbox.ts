/** What a party has to tell the chain, by name: sent one at a time, and again until the final chain shows it or has no use for it. @module */
import type { Logger } from '#node/log.ts'
import type { Board } from '#node/party/chain-view.ts'
import { lineOf } from '#node/party/enrolment.ts'

/** A final block shows what was sent some slots later; until then it is not sent again. */
const RESEND_MS = 15_000

/** The block that decides is not final yet. */
export const NOT_YET = 'NOT_YET'

/** `send` gives the name of the error that refuses it, or null. */
export type Outgoing = Readonly<{ isWanted: (board: Board) => boolean; notBeforeMs: number; send: () => Promise<string | null> }>

export class Outbox {
  readonly #log: Logger
  readonly #nowMs: () => number
  readonly #waiting = new Map<string, Outgoing>()
  readonly #sending = new Set<string>()

  constructor(log: Logger, nowMs: () => number) {
    this.#log = log
    this.#nowMs = nowMs
  }

  /** Whether nothing waits and nothing is on its way. */
  get isEmpty(): boolean {
    return this.#waiting.size === 0 && this.#sending.size === 0
  }

  /** Keeps something to be told; what had the same name is replaced. */
  put(name: string, outgoing: Outgoing): void {
    this.#waiting.set(name, outgoing)
  }

  /** Keeps something unless that name is waiting already, so that being asked often is no reason to send sooner. */
  ensure(name: string, outgoing: Outgoing): void {
    const { notBeforeMs } = this.#waiting.get(name) ?? outgoing
    this.#waiting.set(name, { ...outgoing, notBeforeMs })
  }

  /** Sends what a board does not show yet and is due. */
  tell(board: Board): void {
    for (const [name, { isWanted, notBeforeMs, send }] of this.#waiting) {
      if (!isWanted(board)) this.#waiting.delete(name)
      else if (this.#nowMs() >= notBeforeMs) {
        this.#waiting.set(name, { isWanted, send, notBeforeMs: this.#nowMs() + RESEND_MS })
        this.once(name, send)
      }
    }
  }

  /** Sends now, once at a time; a refusal is somebody else's success or comes again with the next block. */
  once(name: string, send: Outgoing['send']): void {
    if (this.#sending.has(name)) return
    this.#sending.add(name)
    void send()
      .then((refusal) => {
        if (refusal !== NOT_YET) this.#log.info('sent', { name, refusal })
      })
      .catch((cause: unknown) => this.#log.warn('send-failed', { name, cause: lineOf(cause) }))
      .finally(() => this.#sending.delete(name))
  }
}
