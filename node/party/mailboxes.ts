/** The mailboxes a party keeps for others: bounded in number and bytes, so that nobody fills the memory of a validator. @module */
import { hexToBytes } from '#shared/bytes.ts'
import type { Mailbox, PutOutcome, RelayEntry } from '#shared/dcrm/relay.ts'
import { RELAY_LIMITS, emptyMailbox, putEntry } from '#shared/dcrm/relay.ts'
import type { UnixMs } from '#shared/types.ts'

/** Sessions kept at once. */
const SESSIONS_MAX = 256
/** Bytes of all envelopes of all sessions. */
const BYTES_MAX = 64 * 1024 * 1024

const bytesIn = ({ entries }: Mailbox): number => entries.reduce((sum, { bytes }) => sum + bytes.length, 0)

/** Mailboxes by opening id, hex without prefix, in the order they were opened. */
export class Mailboxes {
  readonly #boxes = new Map<string, Mailbox>()
  readonly #isOwn: (openId: Uint8Array) => boolean
  #bytes = 0

  /** `isOwn` tells whether this party takes part in a session. */
  constructor(isOwn: (openId: Uint8Array) => boolean) {
    this.#isOwn = isOwn
  }

  /** A session's mailbox, empty for one that nobody opened. */
  at(id: string): Mailbox {
    return this.#boxes.get(id) ?? emptyMailbox(0)
  }

  /** Leaves an envelope; when there is no room, the oldest session this party is not in goes, or else its own oldest. */
  put(id: string, entry: RelayEntry, nowMs: UnixMs): PutOutcome {
    const { mailbox, outcome } = putEntry(this.#boxes.get(id) ?? emptyMailbox(nowMs), entry, nowMs)
    if (outcome !== 'STORED') return outcome
    this.#boxes.set(id, mailbox)
    this.#bytes += entry.bytes.length
    while (this.#boxes.size > SESSIONS_MAX || this.#bytes > BYTES_MAX) this.#drop(this.#leastNeeded(id))
    return outcome
  }

  /** Sessions are forgotten before anything is done with them. */
  forget(nowMs: UnixMs): void {
    for (const [id, { openedAtMs }] of this.#boxes) if (nowMs - openedAtMs > RELAY_LIMITS.lifetimeMs) this.#drop(id)
  }

  #leastNeeded(kept: string): string {
    const others = [...this.#boxes.keys()].filter((id) => id !== kept)
    // One mailbox alone is below both bounds, so there is another.
    return others.find((id) => !this.#isOwn(hexToBytes(`0x${id}`))) ?? others[0] ?? kept
  }

  #drop(id: string): void {
    this.#bytes -= bytesIn(this.at(id))
    this.#boxes.delete(id)
  }
}
