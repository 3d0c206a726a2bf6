/** The key manager as the CLI sees it: reads, orders, and the waiting for what parties make of them. @module */
import type { PrivateKeyAccount } from 'viem'
import { BaseError, createPublicClient, createWalletClient, defineChain, http, parseEventLogs } from 'viem'
import type { HDAccount } from 'viem/accounts'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { openIdOf } from '#shared/dcrm/ids.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Hash, Hex, Wei } from '#shared/types.ts'
import { CommandFailed, UsageError } from '#node/cli/command.ts'
import type { Session } from '#node/cli/session.ts'
import * as z from 'zod'

/** Schemes by their number on chain. */
export const SCHEMES: readonly Scheme[] = ['ecdsa', 'taproot', 'ed25519']
export const KEY_STATES = ['none', 'pending', 'active', 'frozen', 'failed'] as const
export const OPERATION_KINDS = ['create', 'refresh', 'reshare', 'recover'] as const
export const OPERATION_STATES = ['none', 'requested', 'seated', 'done', 'frozen', 'failed'] as const
const PROTOCOLS = ['dkg', 'refresh', 'reshare', 'recover'] as const
/** Names of the rounds of each protocol, by number; 0 opens the session. */
const ROUNDS: Readonly<Record<(typeof PROTOCOLS)[number], readonly string[]>> = {
  dkg: ['opening', 'deal', 'complain', 'answer', 'open', 'object', 'extract', 'confirm'],
  refresh: ['opening', 'deal', 'complain', 'answer', 'open', 'object', 'extract', 'confirm'],
  reshare: ['opening', 'deal', 'complain', 'answer', 'confirm'],
  recover: ['opening', 'split', 'hand'],
}

/** Least fee of a session per member, as the contract has it. */
export const FEE_PER_MEMBER_WEI: Wei = 10n ** 15n
const POLL_MS = 700
/** Subject of keys the CLI uses: none. */
export const NO_SUBJECT: Hash = `0x${'00'.repeat(32)}`
/** Number of purpose `generic`. */
export const GENERIC = 3

export type KeyRow = Readonly<{
  id: Hash
  owner: string
  scheme: number
  state: number
  threshold: number
  epoch: number
  activeAt: bigint
  members: readonly number[]
  publicKey: Hex
}>
export type OperationRow = Readonly<{
  id: Hash
  key: Hash
  kind: number
  state: number
  threshold: number
  attempt: number
  lost: number
  confirmations: number
  members: readonly number[]
  dealers: readonly number[]
}>
export type RequestRow = Readonly<{ id: Hash; key: Hash; state: number; digest: Hash; signature: Hex }>

const zPage = z.object({ envelopes: z.array(z.object({ round: z.int(), kind: z.string(), from: z.int() })), next: z.int() })

/** Error of a call in the contract's own words. */
function failure(error: unknown): Error {
  if (!(error instanceof BaseError)) return error as Error
  const named = /Error: (\w+)\(\)/.exec(error.message)?.[1]
  return new CommandFailed(named === undefined ? error.shortMessage : `the key manager refuses: ${named}`)
}

export class KeyChain {
  readonly #session: Session
  readonly #reader
  readonly #chain
  readonly #rpcUrl: string

  private constructor(session: Session, rpcUrl: string, chainId: number) {
    this.#session = session
    this.#rpcUrl = rpcUrl
    this.#chain = defineChain({
      id: chainId,
      name: 'fusion',
      nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
      rpcUrls: { default: { http: [rpcUrl] } },
    })
    this.#reader = createPublicClient({ chain: this.#chain, transport: http(rpcUrl), pollingInterval: 300 })
  }

  /** @throws {CommandFailed} when no validator answers */
  static async open(session: Session): Promise<KeyChain> {
    const rpcUrl = await session.rpcUrl()
    try {
      return new KeyChain(session, rpcUrl, await createPublicClient({ transport: http(rpcUrl) }).getChainId())
    } catch (error) {
      throw failure(error)
    }
  }

  async read<T>(functionName: string, args: readonly unknown[] = []): Promise<T> {
    try {
      return (await this.#reader.readContract({ address: KEY_MANAGER, abi: keyManagerAbi, functionName, args } as never)) as T
    } catch (error) {
      throw failure(error)
    }
  }

  /** Sends an order; gives its events by name. */
  async order(functionName: string, args: readonly unknown[], value: Wei): Promise<ReadonlyMap<string, unknown>> {
    const account: PrivateKeyAccount | HDAccount = await this.#session.account()
    const writer = createWalletClient({ chain: this.#chain, transport: http(this.#rpcUrl), account })
    const call = { address: KEY_MANAGER, abi: keyManagerAbi, functionName, args, value, account } as never
    try {
      const { request } = await this.#reader.simulateContract(call)
      const hash = await writer.writeContract(request as never)
      const receipt = await this.#reader.waitForTransactionReceipt({ hash })
      if (receipt.status !== 'success') throw new CommandFailed(`transaction ${hash} failed`)
      this.#session.progress(`ordered in block ${receipt.blockNumber}`)
      return new Map(parseEventLogs({ abi: keyManagerAbi, logs: receipt.logs }).map(({ eventName, args: values }) => [eventName, values]))
    } catch (error) {
      throw failure(error)
    }
  }

  /** A key. @throws {CommandFailed} when there is none of this name */
  async key(id: Hash): Promise<KeyRow> {
    const row = await this.read<KeyRow>('keyOf', [id])
    if (row.state === 0) throw new CommandFailed(`there is no key ${id}`)
    return row
  }

  /** Milliseconds the user is willing to wait. */
  get #timeoutMs(): number {
    return (this.#session.count('timeout-seconds') ?? 180) * 1000
  }

  /** Polls until `look` gives something. @throws {CommandFailed} naming what did not happen */
  async waitFor<T>(what: string, look: () => Promise<T | null>): Promise<T> {
    const deadline = Date.now() + this.#timeoutMs
    for (;;) {
      const found = await look()
      if (found !== null) return found
      if (Date.now() > deadline)
        throw new CommandFailed(
          `${what} did not happen within ${this.#timeoutMs / 1000} s; it goes on without this command: see fusion key status`,
        )
      await new Promise((done) => setTimeout(done, POLL_MS))
    }
  }

  /** Follows an operation to its end, a line per seating, per party and round, and per confirmation. */
  async follow(operation: Hash): Promise<OperationRow> {
    const seen = new Set<string>()
    const say = (line: string): void => {
      if (seen.has(line)) return
      seen.add(line)
      this.#session.progress(line)
    }
    const cursors = new Map<string, number>()
    return this.waitFor('the end of the operation', async () => {
      const row = await this.read<OperationRow>('operation', [operation])
      if (row.state === 2) {
        say(
          `attempt ${row.attempt}: committee ${row.members.join(', ')}${row.dealers.length > 0 ? `, dealt by ${row.dealers.join(', ')}` : ''}`,
        )
        await this.#rounds(row, cursors, say)
        for (const [index, member] of row.members.entries())
          if (((row.confirmations >>> index) & 1) === 1) say(`attempt ${row.attempt}: party ${member} confirms on chain`)
      }
      if (row.state === 4) throw new CommandFailed('two members confirmed different keys; the operation is frozen')
      if (row.state === 5) throw new CommandFailed('no committee finished in any attempt')
      return row.state === 3 ? row : null
    })
  }

  /** What the edge's relay shows of a session: who has sent which round. It may be away, then only confirmations are shown. */
  async #rounds(row: OperationRow, cursors: Map<string, number>, say: (line: string) => void): Promise<void> {
    const protocol = PROTOCOLS[row.kind] ?? 'dkg'
    const { epoch } = await this.key(row.key)
    const parties = row.kind === 3 ? [...row.dealers, row.lost] : [...row.members, ...row.dealers]
    const set = [...new Set(parties)].toSorted((left, right) => left - right)
    const subject = { chainId: this.#chain.id, protocol, requestId: hexToBytes(row.id), epoch, set, attempt: row.attempt }
    const openId = bytesToHex(openIdOf(nobleBackend, subject)).slice(2)
    try {
      const answer = await fetch(`${this.#session.edgeUrl}/v1/sessions/${openId}/envelopes?after=${cursors.get(openId) ?? 0}`, {
        signal: AbortSignal.timeout(3000),
      })
      const page = zPage.parse(await answer.json())
      cursors.set(openId, page.next)
      for (const { round, kind, from } of page.envelopes)
        if (kind !== 'echo' && kind !== 'forward')
          say(`attempt ${row.attempt}: round ${round} ${ROUNDS[protocol][round] ?? ''}: party ${from}`)
    } catch {
      // The relay is convenience; the chain says what counts.
    }
  }

  /** Waits for a signature. */
  signature(request: Hash): Promise<RequestRow> {
    return this.waitFor('the signature', async () => {
      const row = await this.read<RequestRow>('signatureOf', [request])
      return row.state === 2 ? row : null
    })
  }
}

/** A scheme by its name. @throws {UsageError} */
export function readScheme(text: string | undefined): number {
  const number = SCHEMES.findIndex((scheme) => scheme === text)
  if (number < 0) throw new UsageError(`--scheme expects ${SCHEMES.join(', ')}, got "${text ?? ''}"`)
  return number
}
