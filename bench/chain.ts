/** Ordinary clients of a development network, triggers registered by plain contract calls, and what their firings left in the chain. @module */
import { createPublicClient, createWalletClient, defineChain, http, parseEventLogs } from 'viem'
import type { Chain, PublicClient, TransactionReceipt, Transport, WalletClient } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import { privateKeyToAccount } from 'viem/accounts'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import type { TriggerJson } from '#shared/api/trigger.ts'
import { triggerFromJson } from '#shared/api/trigger.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { feedId, sourceSetId } from '#shared/oracle/ids.ts'
import { CALLING_LIST } from '#shared/system.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import type { Address, Hash, Hex, UnixMs, Wei } from '#shared/types.ts'
import { OWNER_INDEX, devAccount } from '#node/supervisor/accounts.ts'
import { callRpc } from '#node/supervisor/wait.ts'

const RECEIPT_TIMEOUT_MS = 90_000
const YEAR_MS = 365 * 86_400_000
/** Decimals of the development network's feeds. Source: their genesis. */
const DECIMALS: Readonly<Record<string, number>> = {
  'demo/sp500': 2,
  'demo/seattle-precipitation': 1,
  'demo/seattle-temp-max': 1,
  'edge-http/json-source': 2,
}

export type Clients = Readonly<{
  wallet: WalletClient<Transport, Chain, PrivateKeyAccount>
  reader: PublicClient<Transport, Chain>
  address: Address
}>

/** Wallet of a development account and reader, both on one validator. */
export async function openClients(rpcUrl: string, accountIndex: number): Promise<Clients> {
  const chain = defineChain({
    id: Number(await callRpc(rpcUrl, 'eth_chainId')),
    name: 'FUSION development network',
    nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
  })
  const transport = http(rpcUrl, { timeout: 30_000 })
  const account = privateKeyToAccount(devAccount(accountIndex).privateKey)
  return {
    wallet: createWalletClient({ account, chain, transport }),
    reader: createPublicClient({ chain, transport, pollingInterval: 200 }),
    address: account.address.toLowerCase() as Address,
  }
}

/** Waits for a transaction and insists on success. @throws {Error} when it failed */
export async function succeeded({ reader }: Clients, hash: Hash): Promise<TransactionReceipt> {
  const receipt = await reader.waitForTransactionReceipt({ hash, timeout: RECEIPT_TIMEOUT_MS })
  if (receipt.status !== 'success') throw new Error(`transaction ${hash} failed`)
  return receipt
}

/** Deploys a contract and gives its address. */
export async function deployed(clients: Clients, creation: Hex, abi: readonly unknown[], args: readonly unknown[] = []): Promise<Address> {
  const { contractAddress } = await succeeded(clients, await clients.wallet.deployContract({ abi, bytecode: creation, args } as never))
  return (contractAddress ?? '0x').toLowerCase() as Address
}

/** Terms that a test or a measurement does not care about. */
export const commonTerms = (): Pick<TriggerJson, 'v' | 'limits' | 'onRevert' | 'funding'> => ({
  v: 1,
  limits: { expiresAt: Date.now() + YEAR_MS, maxFires: 1_000_000, cooldownSec: 0, maxFeePerGas: '100000000000', freshForSec: 0 },
  onRevert: { retries: 0, backoffSec: 1, thenPause: false },
  funding: { reserve: '0', lowWater: '0', tip: '1000000000', attestationFee: '0' },
})

/** Id and decimals of a feed of the development network, by "set/feed". */
function resolveFeed(name: string): Readonly<{ id: Hash; decimals: number }> | null {
  const [set = '', feed = ''] = name.split('/')
  const decimals = DECIMALS[name]
  return decimals === undefined
    ? null
    : { id: feedId(sourceSetId(devAccount(OWNER_INDEX).address, set, nobleSuite), feed, nobleSuite), decimals }
}

/** Call data argument of `register`. @throws {Error} with what is wrong with it */
function encoded(trigger: TriggerJson): Hex {
  const parsed = triggerFromJson(trigger, resolveFeed)
  if (!parsed.ok) throw new Error(`${trigger.name}: ${JSON.stringify(parsed.issues)}`)
  return bytesToHex(encodeDescription(parsed.description))
}

/** Registers triggers by plain contract calls, all sent at once; ids in the same order. `valueWei` each pays deposit and funding. */
export async function registerAll(clients: Clients, triggers: readonly TriggerJson[], valueWei: Wei): Promise<readonly Hash[]> {
  const { wallet, reader, address } = clients
  const call = (trigger: TriggerJson) =>
    ({ address: CALLING_LIST, abi: callingListAbi, functionName: 'register', args: [encoded(trigger)], value: valueWei }) as const
  const [first] = triggers
  if (first === undefined) return []
  const [estimate, nonce, fees] = await Promise.all([
    reader.estimateContractGas({ ...call(first), account: address }),
    reader.getTransactionCount({ address, blockTag: 'pending' }),
    reader.estimateFeesPerGas(),
  ])
  // One estimate serves all: descriptions differ by a few bytes.
  const gas = (estimate * 3n) / 2n
  const hashes: Hash[] = []
  for (const [index, trigger] of triggers.entries())
    hashes.push(
      await wallet.writeContract({
        ...call(trigger),
        gas,
        nonce: nonce + index,
        maxFeePerGas: fees.maxFeePerGas * 4n,
        maxPriorityFeePerGas: fees.maxPriorityFeePerGas,
      }),
    )
  const receipts = await Promise.all(hashes.map((hash) => succeeded(clients, hash)))
  return receipts.map(({ logs }) => {
    const [event] = parseEventLogs({ abi: callingListAbi, eventName: 'TriggerRegistered', logs })
    if (event === undefined) throw new Error('a registration left no event')
    return event.args.id
  })
}

/** One execution as the chain recorded it. */
export type FiredEvent = Readonly<{
  id: Hash
  fireKey: Hash
  digest: Hash
  success: boolean
  scheduledAtMs: UnixMs
  blockNumber: number
  txHash: Hash
}>

/** Every TriggerFired of these entries, or of all when none is named, from a block on, in chain order. */
export async function firedEvents({ reader }: Clients, ids: readonly Hash[], fromBlock: number): Promise<readonly FiredEvent[]> {
  const logs = await reader.getContractEvents({
    address: CALLING_LIST,
    abi: callingListAbi,
    eventName: 'TriggerFired',
    args: ids.length === 0 ? {} : { id: [...ids] },
    fromBlock: BigInt(fromBlock),
    strict: true,
  })
  return logs.map(({ args, blockNumber, transactionHash }) => ({
    id: args.id,
    fireKey: args.fireKey,
    digest: args.digest,
    success: args.success,
    scheduledAtMs: Number(args.scheduledAtMs),
    blockNumber: Number(blockNumber),
    txHash: transactionHash,
  }))
}

/** What of a block decides when something could fire. */
export type BlockFacts = Readonly<{ number: number; timeMs: UnixMs; randomness: Hash; laneIncluded: readonly boolean[] }>

/** A block's time, the randomness it gives to the next, and which lanes have a package in it. @throws {Error} when the node has no such block */
export async function blockFacts(url: string, number: number): Promise<BlockFacts> {
  const tag = `0x${number.toString(16)}`
  const [block, packages] = await Promise.all([
    callRpc(url, 'eth_getBlockByNumber', [tag, false]) as Promise<Readonly<{ timestampMs: Hex; mixHash: Hash }> | null>,
    callRpc(url, 'fusion_blockPackages', [tag]) as Promise<Readonly<{ lanes: readonly unknown[] }>>,
  ])
  if (block === null) throw new Error(`no block ${number}`)
  return { number, timeMs: Number(block.timestampMs), randomness: block.mixHash, laneIncluded: packages.lanes.map((lane) => lane !== null) }
}
