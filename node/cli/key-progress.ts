/** What an order to make or change a key goes through, as lines: draws, rounds as a relay shows them, confirmations. @module */
import * as z from 'zod'
import { CommandFailed } from '#node/cli/command.ts'
import type { KeyChain } from '#node/cli/key-chain.ts'
import { confirmedBy } from '#node/cli/key-chain.ts'
import type { Session } from '#node/cli/session.ts'
import type { ChainOperation } from '#node/party/chain-view.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { openIdOf } from '#shared/dcrm/ids.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Hash } from '#shared/types.ts'

const STATE = { requested: 1, seated: 2, done: 3, frozen: 4, failed: 5 } as const
const DKG_ROUNDS = ['opening', 'deal', 'complain', 'answer', 'open', 'object', 'extract', 'confirm']
/** Sessions of each kind of operation by its number on chain, and the names of their rounds by number. */
const KINDS = [
  { name: 'create', protocol: 'dkg', rounds: DKG_ROUNDS },
  { name: 'refresh', protocol: 'refresh', rounds: DKG_ROUNDS },
  { name: 'reshare', protocol: 'reshare', rounds: ['opening', 'deal', 'complain', 'answer', 'confirm'] },
  { name: 'recover', protocol: 'recover', rounds: ['opening', 'split', 'hand'] },
] as const
const RELAY_TIMEOUT_MS = 3000
/** Pages read in one look, so that a relay without end cannot hold the command. */
const PAGES_MAX = 100

const zPage = z.object({ envelopes: z.array(z.object({ round: z.int(), kind: z.string(), from: z.int() })), next: z.int() })
type Page = z.infer<typeof zPage>

/** Kind of an operation by its number on chain. */
export function kindOf({ kind }: ChainOperation): (typeof KINDS)[number] {
  const found = KINDS[kind]
  if (found === undefined) throw new CommandFailed(`expected an operation of kind 0 to ${KINDS.length - 1}, got ${kind}`)
  return found
}

/** Parties of an operation's session, ascending. */
export function sessionParties({ kind, members, dealers, lost }: ChainOperation): readonly number[] {
  const all = KINDS[kind]?.name === 'recover' ? [...dealers, lost] : [...members, ...dealers]
  return [...new Set(all)].toSorted((left, right) => left - right)
}

/** Who is seated, in words. */
export function seating(operation: ChainOperation): string {
  const { members, dealers, lost } = operation
  const { name } = kindOf(operation)
  if (name === 'recover') return `parties ${dealers.join(', ')} help party ${lost}`
  return `committee ${members.join(', ')}${name === 'reshare' ? `, dealt by ${dealers.join(', ')}` : ''}`
}

/** Name of an operation's session in its relays, hex without 0x. `epoch` is the key's before the operation. */
export function relayName(operation: ChainOperation, chainId: number, epoch: number): string {
  const { protocol } = kindOf(operation)
  const subject = {
    chainId,
    protocol,
    requestId: hexToBytes(operation.id),
    epoch,
    set: sessionParties(operation),
    attempt: operation.attempt,
  }
  return bytesToHex(openIdOf(nobleBackend, subject)).slice(2)
}

/** Follows one operation. Every line is told once. */
export class OperationProgress {
  readonly #session: Session
  readonly #chain: KeyChain
  readonly #epoch: number
  readonly #told = new Set<string>()
  readonly #cursors = new Map<string, number>()

  /** `epoch` is the key's before the operation; its sessions carry it. */
  constructor(session: Session, chain: KeyChain, epoch: number) {
    this.#session = session
    this.#chain = chain
    this.#epoch = epoch
  }

  /** Waits for the end of an operation. @throws {CommandFailed} when it failed, froze or took too long */
  async follow(operation: Hash, key: Hash): Promise<ChainOperation> {
    this.#say(`operation ${operation} on key ${key}`)
    return this.#chain.waitFor(`the end of operation ${operation}`, `fusion key status ${key}`, async () => {
      const row = await this.#chain.operation(operation)
      const { state } = row
      if (state === STATE.requested) await this.#waiting(operation)
      else if (row.members.length > 0) await this.#seated(row)
      if (state === STATE.frozen)
        throw new CommandFailed('members confirmed different keys, so the operation is frozen; its fee is credited back')
      if (state === STATE.failed)
        throw new CommandFailed(`no committee finished, the last was attempt ${row.attempt}; the fee is credited back`)
      return state === STATE.done ? row : null
    })
  }

  #say(line: string): void {
    if (this.#told.has(line)) return
    this.#told.add(line)
    this.#session.progress(line)
  }

  async #waiting(operation: Hash): Promise<void> {
    this.#say(`waiting for block ${await this.#chain.seatHeight(operation)}, whose randomness draws the parties`)
  }

  async #seated(row: ChainOperation): Promise<void> {
    this.#say(`attempt ${row.attempt}: ${seating(row)}`)
    await this.#rounds(row)
    for (const party of confirmedBy(row)) this.#say(`attempt ${row.attempt}: party ${party} confirms on chain`)
  }

  /** What the edge's relay shows of the session. It is convenience: the chain says what counts. */
  async #rounds(row: ChainOperation): Promise<void> {
    const { rounds } = kindOf(row)
    const id = relayName(row, this.#chain.chainId, this.#epoch)
    for (let pages = 0; pages < PAGES_MAX; pages += 1) {
      const after = this.#cursors.get(id) ?? 0
      const page = await this.#page(id, after)
      for (const { round, kind, from } of page?.envelopes ?? [])
        if (kind === 'broadcast' || kind === 'direct')
          this.#say(`attempt ${row.attempt}: round ${round} ${rounds[round] ?? 'unknown'}: party ${from}`)
      if (page === null || page.next <= after) return
      this.#cursors.set(id, page.next)
    }
  }

  async #page(id: string, after: number): Promise<Page | null> {
    const url = `${this.#session.edgeUrl}/v1/sessions/${id}/envelopes?after=${after}`
    try {
      const answer = await fetch(url, { signal: AbortSignal.timeout(RELAY_TIMEOUT_MS) })
      if (answer.ok) return zPage.parse(await answer.json())
      await answer.body?.cancel()
    } catch {
      // Said below, whatever the reason.
    }
    this.#say(`the relay at ${this.#session.edgeUrl} does not show rounds; following confirmations on chain only`)
    return null
  }
}
