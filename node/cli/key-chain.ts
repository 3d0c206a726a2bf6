/** The key manager as the CLI sees it: reads, orders with their fee, and waiting with one deadline for a whole command. @module */
import { BaseError, HttpRequestError, TimeoutError, createPublicClient, createWalletClient, defineChain, http, parseEventLogs } from 'viem'
import type { Account } from 'viem'
import type { ChainKey, ChainOperation, ChainParty, ChainRequest } from '#node/party/chain-view.ts'
import { KEY_ACTIVE } from '#node/party/chain-view.ts'
import { allPages } from '#node/party/pages.ts'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { SCHEMES } from '#shared/dcrm/descriptor.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Address, Hash, Hex, Wei } from '#shared/types.ts'
import { CommandFailed, UsageError } from '#node/cli/command.ts'
import type { Session } from '#node/cli/session.ts'
import { fsn } from '#node/cli/table.ts'
import { addressOf } from '#node/sdk/index.ts'

/** States of a key by their number on chain. */
export const KEY_STATES: readonly string[] = ['none', 'pending', 'active', 'frozen', 'failed']
/** States of an order to make or change a key. */
export const OPERATION_STATES: readonly string[] = ['none', 'requested', 'seated', 'done', 'frozen', 'failed']
/** States of an order to sign. */
export const SIGNATURE_STATE = { pending: 1, signed: 2, expired: 3 } as const

/** Standing of an account by its number on chain. */
const STANDINGS: readonly string[] = ['none', 'admitted', 'validator']

/** Least fee of a session per member, as the contract has it. */
const FEE_PER_MEMBER_WEI: Wei = 10n ** 15n
const DEFAULT_TIMEOUT_SECONDS = 180
const POLL_MS = 500
/** Rows asked for at once, so that one call stays small. */
const PAGE = 50

/** An order to sign with its outcome. */
export type SignatureRow = ChainRequest & Readonly<{ signature: Hex }>

/** What refusals of the contract mean to who ordered. */
const REFUSALS: ReadonlyMap<string, string> = new Map([
  ['FeeTooSmall', 'the fee is below what the contract asks per member'],
  ['NotAValidator', 'only the account of a validator may vouch for an operator'],
  ['NotAMember', 'the party holds no share of this key, or is excluded for good'],
  ['NotTheOwner', 'only the owner of a key may order this'],
  ['SizeInvalid', 'expected 2 ≤ threshold ≤ committee ≤ 32'],
  ['TooFewCandidates', 'fewer parties serve than the committee needs; see fusion key status'],
  [
    'TooManyOpen',
    'an operation on this key is open already, or too many wait, of yours (8 orders, 32 signatures) or on this network; see fusion key status',
  ],
  ['UnknownKey', 'there is no active key of this name'],
])

/** A failed call in words a user can act on; keeps its cause. */
function failure(error: unknown): Error {
  if (!(error instanceof BaseError)) return error as Error
  const named = /Error: (\w+)\(\)/.exec(error.message)?.[1]
  const text =
    named === undefined ? error.shortMessage : `the key manager refuses with ${named}: ${REFUSALS.get(named) ?? 'see its documentation'}`
  return new CommandFailed(text, { cause: error })
}

/** Whether asking again may help: nobody answered. */
function isAway({ cause }: Error): boolean {
  return cause instanceof BaseError && cause.walk((part) => part instanceof HttpRequestError || part instanceof TimeoutError) !== null
}

/** Events of an order by name. */
export type Events = ReadonlyMap<string, Readonly<Record<string, unknown>>>

/** A hash in an event. @throws {CommandFailed} when the contract did not emit it */
export function hashIn(events: Events, event: string, field: string): Hash {
  const value = events.get(event)?.[field]
  if (typeof value === 'string') return value as Hash
  throw new CommandFailed(`expected the event ${event} from the key manager, got ${[...events.keys()].join(', ') || 'none'}`)
}

export class KeyChain {
  readonly #session: Session
  readonly #reader
  readonly #chain
  readonly #rpcUrl: string
  readonly #timeoutSeconds: number
  readonly #deadline: number

  private constructor(session: Session, rpcUrl: string, chainId: number, timeoutSeconds: number) {
    this.#session = session
    this.#rpcUrl = rpcUrl
    this.#timeoutSeconds = timeoutSeconds
    this.#deadline = Date.now() + timeoutSeconds * 1000
    this.#chain = defineChain({
      id: chainId,
      name: 'fusion',
      nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
      rpcUrls: { default: { http: [rpcUrl] } },
    })
    this.#reader = createPublicClient({ chain: this.#chain, transport: this.#transport, pollingInterval: 300, cacheTime: 0 })
  }

  /** @throws {CommandFailed} when no validator answers @throws {UsageError} for a timeout that is no number */
  static async open(session: Session): Promise<KeyChain> {
    const timeoutSeconds = session.count('timeout-seconds') ?? DEFAULT_TIMEOUT_SECONDS
    const rpcUrl = await session.rpcUrl()
    try {
      return new KeyChain(
        session,
        rpcUrl,
        await createPublicClient({ transport: http(rpcUrl, { retryCount: 1 }) }).getChainId(),
        timeoutSeconds,
      )
    } catch (error) {
      throw new CommandFailed(`validator ${rpcUrl} does not answer (${failure(error).message})`)
    }
  }

  get #transport() {
    return http(this.#rpcUrl, { timeout: 10_000, retryCount: 1 })
  }

  get chainId(): number {
    return this.#chain.id
  }

  async #read<T>(functionName: string, args: readonly unknown[] = []): Promise<T> {
    try {
      return (await this.#reader.readContract({ address: KEY_MANAGER, abi: keyManagerAbi, functionName, args } as never)) as T
    } catch (error) {
      throw failure(error)
    }
  }

  /** A key. @throws {CommandFailed} when there is none of this name */
  async key(id: Hash): Promise<ChainKey> {
    const row = await this.#read<ChainKey>('keyOf', [id])
    if (row.state === 0) throw new CommandFailed(`there is no key ${id}; fusion key list shows all`)
    return row
  }

  /** A key its owner orders something about. @throws {CommandFailed} when it is not active, or another's */
  async ownKey(id: Hash): Promise<ChainKey> {
    const [row, account] = [await this.key(id), addressOf(await this.#session.account())]
    if (row.state !== KEY_ACTIVE) throw new CommandFailed(`expected an active key, ${id} is ${KEY_STATES[row.state] ?? 'unknown'}`)
    if (row.owner.toLowerCase() !== account)
      throw new CommandFailed(`expected an order by the owner ${row.owner.toLowerCase()}, the signing account is ${account}`)
    return row
  }

  keys(): Promise<readonly ChainKey[]> {
    return allPages<ChainKey>(PAGE, (rows) => this.#read('keys', [BigInt(rows.length), BigInt(PAGE)]))
  }

  parties(): Promise<readonly ChainParty[]> {
    return allPages<ChainParty>(PAGE, (rows) => this.#read('parties', [rows.at(-1)?.id ?? 0, PAGE]))
  }

  /** Whether an account may run a party, and how many validators have vouched for it. */
  async standing(account: Address): Promise<Readonly<{ standing: string; words: number }>> {
    const [standing, words] = await this.#read<readonly [number, number]>('standingOf', [account])
    return { standing: STANDINGS[standing] ?? 'unknown', words }
  }

  operation(id: Hash): Promise<ChainOperation> {
    return this.#read('operation', [id])
  }

  openOperations(): Promise<readonly ChainOperation[]> {
    return this.#read('openOperations')
  }

  pendingSignatures(): Promise<readonly SignatureRow[]> {
    return this.#read('pendingSignatures')
  }

  signature(id: Hash): Promise<SignatureRow> {
    return this.#read('signatureOf', [id])
  }

  /** Block whose randomness decides an operation's next seating. */
  async seatHeight(operation: Hash): Promise<number> {
    return Number(await this.#read<bigint>('seatHeight', [operation]))
  }

  /** Pairs of members that cannot work together: accuser and accused. */
  async disputes(key: Hash): Promise<readonly (readonly [number, number])[]> {
    return (await this.#read<readonly number[]>('disputesOf', [key])).map((pair) => [pair >>> 16, pair & 0xffff])
  }

  /** How many members can sign together, how many must, and how many more than that should. */
  async health(key: Hash): Promise<Readonly<{ live: number; threshold: number; margin: number }>> {
    const [live, threshold, margin] = await this.#read<readonly [bigint, bigint, bigint]>('health', [key])
    return { live: Number(live), threshold: Number(threshold), margin: Number(margin) }
  }

  genesisHash(): Promise<Hash> {
    return this.#read('genesisHash')
  }

  /** Addresses of a child key as the contract tells them. */
  async addresses(key: Hash, purpose: number, subject: Hash): Promise<readonly string[]> {
    return (await this.#read<string>('addressOf', [key, purpose, subject])).split(' ')
  }

  /** Sends an order with the fee of so many members and waits for its block; gives its events. @throws {CommandFailed} */
  async order(functionName: string, args: readonly unknown[], members: number): Promise<Events> {
    const account = await this.#session.account()
    const value = FEE_PER_MEMBER_WEI * BigInt(members)
    try {
      await this.#checkFunds(account, value)
      const writer = createWalletClient({ chain: this.#chain, transport: this.#transport, account })
      const call = { address: KEY_MANAGER, abi: keyManagerAbi, functionName, args, value, account } as never
      const { request } = await this.#reader.simulateContract(call)
      const hash = await writer.writeContract(request as never)
      this.#session.progress(`sent ${hash} with a fee of ${fsn(value)}`)
      const receipt = await this.#reader.waitForTransactionReceipt({ hash, timeout: Math.max(1, this.#deadline - Date.now()) })
      if (receipt.status !== 'success') throw new CommandFailed(`transaction ${hash} reverted in block ${receipt.blockNumber}`)
      this.#session.progress(`ordered in block ${receipt.blockNumber}`)
      return new Map(parseEventLogs({ abi: keyManagerAbi, logs: receipt.logs }).map(({ eventName, args: fields }) => [eventName, fields]))
    } catch (error) {
      throw failure(error)
    }
  }

  async #checkFunds({ address }: Account, feeWei: Wei): Promise<void> {
    const balanceWei = await this.#reader.getBalance({ address })
    if (balanceWei <= feeWei)
      throw new CommandFailed(
        `${address.toLowerCase()} has ${fsn(balanceWei)} and needs ${fsn(feeWei)} and gas; on a development network: fusion faucet`,
      )
  }

  /** Polls until `look` gives something; a validator that is away for a while is no end. @throws {CommandFailed} naming what did not happen */
  async waitFor<T>(what: string, whereToLook: string, look: () => Promise<T | null>): Promise<T> {
    let wasAway = ''
    for (;;) {
      try {
        const found = await look()
        if (found !== null) return found
        wasAway = ''
      } catch (error) {
        if (!(error instanceof Error) || !isAway(error)) throw error
        if (wasAway === '') this.#session.progress(`validator ${this.#rpcUrl} does not answer; still asking`)
        wasAway = `; validator ${this.#rpcUrl} does not answer`
      }
      if (Date.now() >= this.#deadline)
        throw new CommandFailed(
          `expected ${what} within ${this.#timeoutSeconds} s${wasAway}. It goes on without this command: ${whereToLook}`,
        )
      await new Promise((done) => setTimeout(done, POLL_MS))
    }
  }
}

/** A scheme's number by its name. @throws {UsageError} */
export function readScheme(text: string | undefined): number {
  const number = SCHEMES.findIndex((scheme) => scheme === text)
  if (number < 0) throw new UsageError(`--scheme expects ${SCHEMES.join(', ')}, got ${text === undefined ? 'nothing' : `"${text}"`}`)
  return number
}

/** Name of a scheme on chain. */
export const schemeOf = ({ scheme }: ChainKey): Scheme => SCHEMES[scheme] ?? 'ecdsa'
/** Parties whose bit is set. */
export const confirmedBy = ({ members, confirmations }: ChainOperation): readonly number[] =>
  members.filter((_, index) => ((confirmations >>> index) & 1) === 1)
