/** Transactions per second through JSON-RPC: signed beforehand, sent in batches to all validators, counted when they are in blocks. @module */
import { encodeFunctionData, keccak256, parseEther, parseGwei } from 'viem'
import type { PrivateKeyAccount } from 'viem/accounts'
import { generatePrivateKey, privateKeyToAccount } from 'viem/accounts'
import { testTokenAbi, testTokenCreation } from '#shared/api/abi/test-token.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { callRpc } from '#node/supervisor/wait.ts'
import type { Clients } from './chain.ts'
import { deployed, openClients, succeeded } from './chain.ts'

const SENDERS = 100
/** Calls in one JSON-RPC batch. */
const BATCH = 100
const FUND_WEI = parseEther('50')
const RECIPIENT: Address = `0x${'be'.repeat(20)}`
const INCLUDED_TIMEOUT_MS = 120_000
const FUNDING_ACCOUNT = 9

export type Throughput = Readonly<{
  name: string
  transactions: number
  blocks: number
  /** From the first request until the last transaction was seen in a block. */
  seconds: number
  perSecond: number
  gasPerBlockMax: number
}>

type Call = Readonly<{ to: Address; data: Hex; gas: bigint; value: bigint }>

/** Sends raw transactions in one request. @throws {Error} with the first refusal */
async function sendBatch(url: string, raws: readonly Hex[]): Promise<void> {
  const body = raws.map((raw, id) => ({ jsonrpc: '2.0', id, method: 'eth_sendRawTransaction', params: [raw] }))
  const response = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
  const answers = (await response.json()) as readonly Readonly<{ error?: { message: string } }>[]
  const refusal = answers.find(({ error }) => error !== undefined)
  if (refusal !== undefined) throw new Error(`a validator refused: ${refusal.error?.message ?? ''}`)
}

type BlockRow = Readonly<{ number: Hex; hash: Hash; parentHash: Hash; transactions: readonly Hash[]; gasUsed: Hex }>

const blockAt = (url: string, tag: string): Promise<BlockRow | null> =>
  callRpc(url, 'eth_getBlockByNumber', [tag, false]) as Promise<BlockRow | null>

/** The chain above a block as one validator shows it; blocks that leave it are replaced. */
class Branch {
  readonly #url: string
  readonly #above: number
  #blocks: readonly BlockRow[] = []

  constructor(url: string, above: number) {
    this.#url = url
    this.#above = above
  }

  get blocks(): readonly BlockRow[] {
    return this.#blocks
  }

  /** Follows the head; whether anything changed. */
  async follow(): Promise<boolean> {
    const news: BlockRow[] = []
    let next = await blockAt(this.#url, 'latest')
    while (next !== null && Number(next.number) > this.#above && !this.#blocks.some(({ hash }) => hash === next?.hash)) {
      news.unshift(next)
      next = (await callRpc(this.#url, 'eth_getBlockByHash', [next.parentHash, false])) as BlockRow | null
    }
    const [first] = news
    if (first === undefined) return false
    this.#blocks = [...this.#blocks.filter(({ number }) => Number(number) < Number(first.number)), ...news]
    return true
  }
}

/** Follows blocks until all are in one. */
async function untilIncluded(
  url: string,
  hashes: readonly Hash[],
  above: number,
): Promise<Readonly<{ blocks: number; gasPerBlockMax: number }>> {
  const wanted = new Set(hashes)
  const branch = new Branch(url, above)
  const deadline = Date.now() + INCLUDED_TIMEOUT_MS
  let included = 0
  while (included < wanted.size) {
    if (Date.now() > deadline)
      throw new Error(`${wanted.size - included} of ${hashes.length} transactions in no block after ${INCLUDED_TIMEOUT_MS / 1000} s`)
    if (await branch.follow())
      included = branch.blocks.flatMap(({ transactions }) => transactions).filter((hash) => wanted.has(hash)).length
    else await new Promise((resolve) => setTimeout(resolve, 50))
  }
  const filled = branch.blocks.filter(({ transactions }) => transactions.some((hash) => wanted.has(hash)))
  return { blocks: filled.length, gasPerBlockMax: Math.max(...filled.map(({ gasUsed }) => Number(gasUsed))) }
}

/** Signs `perSender` calls of each sender, from a nonce on. */
async function signAll(
  chainId: number,
  senders: readonly PrivateKeyAccount[],
  perSender: number,
  firstNonce: number,
  call: Call,
): Promise<readonly (readonly Hex[])[]> {
  const fees = { maxFeePerGas: parseGwei('1000'), maxPriorityFeePerGas: parseGwei('1') }
  return Promise.all(
    senders.map((sender) =>
      Promise.all(
        Array.from({ length: perSender }, (_, index) =>
          sender.signTransaction({ type: 'eip1559', chainId, nonce: firstNonce + index, ...fees, ...call }),
        ),
      ),
    ),
  )
}

async function measure(
  name: string,
  clients: Clients,
  rpcUrls: readonly string[],
  signed: readonly (readonly Hex[])[],
): Promise<Throughput> {
  const hashes = signed.flat().map((raw) => keccak256(raw))
  const head = Number(await clients.reader.getBlockNumber({ cacheTime: 0 }))
  // All transactions of one sender go to one validator, in the order of their nonces.
  const queues = rpcUrls.map((_, index) => signed.filter((_raws, sender) => sender % rpcUrls.length === index).flat())
  const startedMs = performance.now()
  const sending = rpcUrls.map(async (url, index) => {
    const raws = queues[index] ?? []
    for (let at = 0; at < raws.length; at += BATCH) await sendBatch(url, raws.slice(at, at + BATCH))
  })
  const [included] = await Promise.all([untilIncluded(rpcUrls[0] ?? '', hashes, head), ...sending])
  const seconds = (performance.now() - startedMs) / 1000
  return {
    name,
    transactions: hashes.length,
    blocks: included.blocks,
    seconds: Math.round(seconds * 10) / 10,
    perSecond: Math.round(hashes.length / seconds),
    gasPerBlockMax: included.gasPerBlockMax,
  }
}

/** Gives every sender coins and tokens. */
async function fund(clients: Clients, token: Address, senders: readonly PrivateKeyAccount[], perSender: number): Promise<void> {
  const { wallet, reader, address } = clients
  let nonce = await reader.getTransactionCount({ address, blockTag: 'pending' })
  const fees = { maxFeePerGas: parseGwei('1000'), maxPriorityFeePerGas: parseGwei('1') }
  const hashes: Hash[] = []
  for (const sender of senders) {
    hashes.push(await wallet.sendTransaction({ to: sender.address, value: FUND_WEI, gas: 21_000n, nonce: nonce++, ...fees }))
    const mint = { address: token, abi: testTokenAbi, functionName: 'mint', args: [sender.address, BigInt(perSender)] } as const
    hashes.push(await wallet.writeContract({ ...mint, gas: 100_000n, nonce: nonce++, ...fees }))
  }
  await Promise.all(hashes.map((hash) => succeeded(clients, hash)))
}

/** Plain transfers, then ERC-20 transfers, `count` of each. */
export async function measureThroughput(rpcUrls: readonly string[], count: number): Promise<readonly Throughput[]> {
  const clients = await openClients(rpcUrls[0] ?? '', FUNDING_ACCOUNT)
  const chainId = clients.reader.chain.id
  const perSender = Math.ceil(count / SENDERS)
  const senders = Array.from({ length: SENDERS }, () => privateKeyToAccount(generatePrivateKey()))
  const token = await deployed(clients, testTokenCreation, testTokenAbi)
  await fund(clients, token, senders, perSender)
  const transfers = await signAll(chainId, senders, perSender, 0, { to: RECIPIENT, data: '0x', gas: 21_000n, value: 1n })
  // A first token of its own: no sender pays for the recipient's storage slot, so that one estimate serves all.
  await succeeded(
    clients,
    await clients.wallet.writeContract({ address: token, abi: testTokenAbi, functionName: 'mint', args: [RECIPIENT, 1n] }),
  )
  const sample = { address: token, abi: testTokenAbi, functionName: 'transfer', args: [RECIPIENT, 1n] } as const
  const gas = await clients.reader.estimateContractGas({ ...sample, account: senders[0]?.address ?? RECIPIENT })
  const data = encodeFunctionData({ abi: testTokenAbi, functionName: 'transfer', args: [RECIPIENT, 1n] })
  const tokens = await signAll(chainId, senders, perSender, perSender, { to: token, data, gas, value: 0n })
  return [await measure('transfer', clients, rpcUrls, transfers), await measure('ERC-20 transfer', clients, rpcUrls, tokens)]
}
