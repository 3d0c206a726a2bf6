/** What a party reads of the chain, pinned to one finalised block, and the transactions it sends. @module */
import type { Account, Chain, PublicClient, Transport, WalletClient } from 'viem'
import { createPublicClient, createWalletClient, defineChain, encodeAbiParameters, http, keccak256 } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { allPages } from '#node/party/pages.ts'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import type { Dispute } from '#shared/dcrm/committee.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Address, Hash, Height, Hex } from '#shared/types.ts'
import * as z from 'zod'

/** Rows of one call: a view has the gas of a block. */
const PAGE = 50
/** State of a key that signs. */
export const KEY_ACTIVE = 2
/** The present one, and those in which the attempts under way began. */
const BOARDS_KEPT = 32
/**
 * Enough for what parties call with the largest committee, and little enough for a lane; what is not used is not paid. The longest evidence against a
 * party with renewed keys takes more, which whoever brings it by hand may give.
 */
const CALL_GAS = 4_000_000n

export type ChainParty = Readonly<{
  id: PartyId
  account: Address
  signKey: Hash
  sealKey: Hash
  bondWei: bigint
  absences: number
  excludedAt: bigint
  instanceId: Hash
  generation: bigint
  relayUrl: string
}>
export type ChainKey = Readonly<{
  id: Hash
  owner: Address
  scheme: number
  state: number
  threshold: number
  epoch: number
  activeAt: bigint
  heartbeatEpoch: bigint
  members: readonly PartyId[]
  publicKey: Hex
  digest: Hash
}>
export type ChainOperation = Readonly<{
  id: Hash
  key: Hash
  kind: number
  state: number
  threshold: number
  size: number
  attempt: number
  lost: PartyId
  requestedAt: bigint
  seatedAt: bigint
  confirmations: number
  members: readonly PartyId[]
  dealers: readonly PartyId[]
}>
export type ChainRequest = Readonly<{
  id: Hash
  key: Hash
  state: number
  requestedAt: bigint
  subject: Hash
  message: Hash
  digest: Hash
  /** Said to have missed an attempt. */
  excluded: readonly PartyId[]
}>

/** Everything the duties of one moment follow from. */
export type Board = Readonly<{
  height: Height
  /** Blocks between two proofs of signature of a key: the same for ever. */
  heartbeatBlocks: number
  parties: readonly ChainParty[]
  keys: readonly ChainKey[]
  operations: readonly ChainOperation[]
  requests: readonly ChainRequest[]
  disputes: ReadonlyMap<Hash, readonly Dispute[]>
}>

const zHeader = z.object({ number: z.int(), hash: z.string(), randomness: z.string(), raw: z.string() })
/** A block's randomness with the canonical header that proves it. */
export type ProvenRandomness = Readonly<{ randomness: Hash; raw: Hex }>

/** The chain through one validator's JSON-RPC. */
export class ChainView {
  readonly #reader: PublicClient<Transport, Chain>
  readonly #writer: WalletClient<Transport, Chain, Account>
  readonly account: Address
  readonly #boards = new Map<Height, Board>()
  #heartbeatBlocks: number | null = null
  /** Two transactions at once would take the same number. */
  #submitting: Promise<unknown> = Promise.resolve()
  readonly #headers = new Map<Height, ProvenRandomness>()

  constructor(rpcUrl: string, chainId: number, operatorKey: Hex) {
    const chain = defineChain({
      id: chainId,
      name: 'fusion',
      nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
      rpcUrls: { default: { http: [rpcUrl] } },
    })
    const transport = http(rpcUrl, { timeout: 10_000, retryCount: 0, batch: { batchSize: 50, wait: 0 } })
    const account = privateKeyToAccount(operatorKey)
    this.account = account.address.toLowerCase() as Address
    this.#reader = createPublicClient({ chain, transport })
    this.#writer = createWalletClient({ chain, transport, account })
  }

  /** Height of the last final block. */
  async finalHeight(): Promise<Height> {
    return Number((await this.#reader.getBlock({ blockTag: 'finalized' })).number)
  }

  /** The board at a final height, which never changes. */
  async board(finalised: Height): Promise<Board> {
    const known = this.#boards.get(finalised)
    if (known !== undefined) return known
    const board = await this.#readBoard(finalised)
    if (this.#boards.size >= BOARDS_KEPT) this.#boards.delete(Math.min(...this.#boards.keys()))
    this.#boards.set(finalised, board)
    return board
  }

  async #readBoard(finalised: Height): Promise<Board> {
    const at = { address: KEY_MANAGER, abi: keyManagerAbi, blockNumber: BigInt(finalised) } as const
    const [parties, keys, operations, requests] = await Promise.all([
      allPages<ChainParty>(PAGE, (rows) =>
        this.#reader.readContract({ ...at, functionName: 'parties', args: [rows.at(-1)?.id ?? 0, PAGE] }),
      ),
      allPages<ChainKey>(PAGE, (rows) =>
        this.#reader.readContract({ ...at, functionName: 'keys', args: [BigInt(rows.length), BigInt(PAGE)] }),
      ),
      this.#reader.readContract({ ...at, functionName: 'openOperations' }),
      this.#reader.readContract({ ...at, functionName: 'pendingSignatures' }),
    ])
    const disputes = await Promise.all(
      keys
        .filter(({ state }) => state === KEY_ACTIVE)
        .map(async ({ id }) => {
          const pairs = await this.#reader.readContract({ ...at, functionName: 'disputesOf', args: [id] })
          return [id, pairs.map((pair): Dispute => [pair >>> 16, pair & 0xffff])] as const
        }),
    )
    const lower = <T extends Readonly<{ account: string }>>(party: T) => ({ ...party, account: party.account.toLowerCase() as Address })
    this.#heartbeatBlocks ??= Number(await this.#reader.readContract({ ...at, functionName: 'heartbeatBlocks' }))
    return {
      height: finalised,
      heartbeatBlocks: this.#heartbeatBlocks,
      parties: parties.map(lower) as readonly ChainParty[],
      keys: keys as readonly ChainKey[],
      operations: operations as readonly ChainOperation[],
      requests: requests as readonly ChainRequest[],
      disputes: new Map(disputes),
    }
  }

  /** Name of the network: slot 0 of the key manager. */
  async genesisHash(): Promise<Hash> {
    return (await this.#reader.readContract({ address: KEY_MANAGER, abi: keyManagerAbi, functionName: 'genesisHash' })) as Hash
  }

  /** Randomness of a block. Asked for final heights, so the answer never changes. */
  async randomness(height: Height): Promise<ProvenRandomness> {
    const known = this.#headers.get(height)
    if (known !== undefined) return known
    const raw: unknown = await this.#reader.request({ method: 'fusion_header', params: [`0x${height.toString(16)}`] } as never)
    const header = zHeader.parse(raw)
    const proven = { randomness: header.randomness as Hash, raw: header.raw as Hex }
    if (this.#headers.size > 512) this.#headers.clear()
    this.#headers.set(height, proven)
    return proven
  }

  /** The block whose randomness decides an operation's next seating. */
  async seatHeight(operation: Hash): Promise<Height> {
    return Number(
      await this.#reader.readContract({ address: KEY_MANAGER, abi: keyManagerAbi, functionName: 'seatHeight', args: [operation] }),
    )
  }

  /**
   * Sends a call of the key manager after trying it, and waits until it is in a block. Gives the name of the error that refuses it, or null.
   * Others may have done the same in between, so a refusal is no fault.
   */
  async send(functionName: string, args: readonly unknown[], valueWei = 0n): Promise<string | null> {
    const call = { address: KEY_MANAGER, abi: keyManagerAbi, functionName, args, value: valueWei, account: this.#writer.account } as never
    try {
      const submitted = this.#submitting.then(() => this.#submit(call))
      this.#submitting = submitted.catch(() => undefined)
      const receipt = await this.#reader.waitForTransactionReceipt({ hash: await submitted, pollingInterval: 400, timeout: 60_000 })
      return receipt.status === 'success' ? null : 'REVERTED'
    } catch (cause) {
      return refusalOf(cause)
    }
  }

  async #submit(call: never): Promise<Hash> {
    await this.#reader.simulateContract(call)
    // What a call costs depends on who came first: the last confirmation does the work of all.
    return this.#writer.writeContract({ ...(call as object), gas: CALL_GAS } as never)
  }
}

/** Name of the custom error in a failed call, or its first line. */
function refusalOf(cause: unknown): string {
  const text = cause instanceof Error ? cause.message : String(cause)
  const named = /Error: (\w+)\(\)/.exec(text)?.[1]
  return named ?? (text.split('\n')[0] ?? 'UNKNOWN').slice(0, 200)
}

/** Name of a heartbeat's session: keccak256(abi.encode(key, epoch)). */
export function heartbeatName(key: Hash, epoch: number): Hash {
  const encoded = encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint64' }], [key, BigInt(epoch)])
  return keccak256(encoded)
}
