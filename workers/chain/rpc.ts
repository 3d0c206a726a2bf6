/**
 * JSON-RPC to the validators: reads go to the first that answers, transactions to all. Nothing read here is trusted further than a
 * projection or a submission that validators check again.
 * @module
 */
import { RpcError } from '#shared/api/json-rpc.ts'
import * as z from 'zod'
import { zAddress, zHash } from '#shared/api/http.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { config, type Env } from '#workers/env.ts'

const TIMEOUT_MS = 4000
const ANSWER_BYTES_MAX = 8 * 1024 * 1024

const zAnswer = z.object({
  result: z.unknown().optional(),
  error: z.object({ code: z.number(), message: z.string(), data: z.unknown().optional() }).optional(),
})

/** No validator could be reached. */
export class ChainUnreachableError extends Error {
  override readonly name = 'ChainUnreachableError'
}

/** One JSON-RPC call to one endpoint. @throws {RpcError} the endpoint refused; any other error: it did not answer properly */
export async function callOne(url: string, method: string, params: readonly unknown[]): Promise<unknown> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
    signal: AbortSignal.timeout(TIMEOUT_MS),
    redirect: 'manual',
  })
  if (!response.ok) {
    await response.body?.cancel()
    throw new Error(`endpoint answered ${response.status}`)
  }
  const text = await response.text()
  if (text.length > ANSWER_BYTES_MAX) throw new Error('answer is too large')
  const answer = zAnswer.parse(JSON.parse(text))
  if (answer.error !== undefined) throw new RpcError(answer.error.code, answer.error.message, answer.error.data)
  return answer.result
}

/** Which endpoint answered last, so that a dead one is not asked first each time. */
const preferred = new Map<string, number>()

/** Reads from the first validator that answers. @throws {RpcError} @throws {ChainUnreachableError} */
export async function call<T>(env: Env, schema: z.ZodType<T>, method: string, params: readonly unknown[]): Promise<T> {
  const urls = config(env).rpcUrls
  const start = preferred.get(env.RPC_URLS) ?? 0
  for (let offset = 0; offset < urls.length; offset++) {
    const index = (start + offset) % urls.length
    try {
      const result = schema.parse(await callOne(urls[index] ?? '', method, params))
      preferred.set(env.RPC_URLS, index)
      return result
    } catch (error) {
      if (error instanceof RpcError) throw error
      console.warn(`rpc ${method} on endpoint ${index}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  throw new ChainUnreachableError('no validator answers')
}

/** What each validator said to a raw transaction. */
export type Broadcast = Readonly<{
  accepted: boolean
  /** At least one validator judged it and refused, and none took it: sending it again as it is cannot help. */
  refused: boolean
  outcomes: readonly string[]
}>

/** Refusals that mean the effect is already there or on its way: repeating is harmless. */
const ALREADY = /already known|already fired|ALREADY|KNOWN_TRANSACTION|POOL_FULL_FOR_KEY/

type Outcome = Readonly<{ verdict: 'accepted' | 'refused' | 'away'; text: string }>

async function sendOne(url: string, raw: Hex): Promise<Outcome> {
  try {
    await callOne(url, 'eth_sendRawTransaction', [raw])
    return { verdict: 'accepted', text: 'ok' }
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error)
    if (!(error instanceof RpcError)) return { verdict: 'away', text }
    return { verdict: ALREADY.test(text) ? 'accepted' : 'refused', text }
  }
}

/** How long the slower validators are waited for once one has accepted. */
const GRACE_MS = 500

/** Sends to every validator; accepted when one takes it or already has it. A slow one is not waited for then. */
export async function broadcast(env: Env, raw: Hex): Promise<Broadcast> {
  const known: Outcome[] = []
  const sends = config(env).rpcUrls.map(async (url) => {
    const outcome = await sendOne(url, raw)
    known.push(outcome)
    if (outcome.verdict !== 'accepted') throw new Error('not accepted')
  })
  const all = Promise.allSettled(sends)
  const grace = Promise.any(sends).then(
    () => new Promise((resolve) => setTimeout(resolve, GRACE_MS)),
    () => undefined,
  )
  await Promise.race([all, grace])
  const accepted = known.some(({ verdict }) => verdict === 'accepted')
  return {
    accepted,
    refused: !accepted && known.some(({ verdict }) => verdict === 'refused'),
    outcomes: known.map(({ text }) => text),
  }
}

const zQuantity = z
  .string()
  .regex(/^0x[0-9a-f]+$/)
  .transform((text) => BigInt(text))
/** Hex quantity that fits a safe integer. */
export const zCountQuantity = zQuantity.transform(Number)
const zSmall = z.union([z.int(), zCountQuantity])
const zData = z.string().regex(/^0x(?:[0-9a-f]{2})*$/) as unknown as z.ZodType<Hex>

/** Header fields that the edge needs. */
export const zBlock = z
  .object({
    number: zSmall,
    hash: zHash,
    parentHash: zHash,
    timestamp: zSmall,
    gasUsed: zQuantity,
    gasLimit: zQuantity,
    triggerGasUsed: zQuantity,
    baseFeePerGas: zQuantity,
    transactions: z.array(zHash),
    slot: zSmall,
    triggerBaseFeeWei: zQuantity,
  })
  .nullable()
export type Block = NonNullable<z.infer<typeof zBlock>>

/** A log as eth_getLogs gives it. */
export const zLogs = z.array(
  z.object({
    address: zAddress,
    topics: z.array(zHash),
    data: zData,
    blockNumber: zSmall,
    blockHash: zHash,
    transactionHash: zHash,
    logIndex: zSmall,
  }),
)
export type ChainLog = z.infer<typeof zLogs>[number]

const zReceipt = z.object({ status: zSmall, blockNumber: zSmall, logs: zLogs }).nullable()

/** Canonical block by number, or null. */
export const blockByNumber = (env: Env, height: number): Promise<Block | null> =>
  call(env, zBlock, 'eth_getBlockByNumber', [`0x${height.toString(16)}`, false])
/** Logs of some contracts over a range of heights, inclusive. */
export const logsBetween = (env: Env, from: number, to: number, addresses: readonly Address[]): Promise<ChainLog[]> =>
  call(env, zLogs, 'eth_getLogs', [{ fromBlock: `0x${from.toString(16)}`, toBlock: `0x${to.toString(16)}`, address: addresses }])
/** Receipt of an included transaction, or null. */
export const receipt = (env: Env, hash: Hash) => call(env, zReceipt, 'eth_getTransactionReceipt', [hash])
/** Balance in wei at the head. */
export const balance = (env: Env, address: Address): Promise<bigint> => call(env, zQuantity, 'eth_getBalance', [address, 'latest'])
/** Next nonce after everything pending. */
export const pendingNonce = (env: Env, address: Address): Promise<bigint> =>
  call(env, zQuantity, 'eth_getTransactionCount', [address, 'pending'])
/** A call on the head. @throws {RpcError} with revert data when it reverts */
export const ethCall = (env: Env, request: Readonly<{ from?: Address; to: Address; data: Hex; gas?: Hex }>, at = 'latest'): Promise<Hex> =>
  call(env, zData, 'eth_call', [request, at])
/** Gas a transaction needs. @throws {RpcError} when it would revert */
export const estimateGas = (env: Env, request: Readonly<{ from: Address; to: Address; data: Hex; value?: Hex }>): Promise<bigint> =>
  call(env, zQuantity, 'eth_estimateGas', [request])

const zMeta = z.object({
  chainId: zSmall,
  genesisHash: zHash,
  genesisTimeMs: zSmall,
  slotMs: zSmall,
  blockGasLimit: zQuantity.or(z.string().regex(/^\d+$/).transform(BigInt)),
})
/** What identifies the chain; constant as long as it lives. */
export type ChainMeta = z.infer<typeof zMeta>
const metas = new Map<string, ChainMeta>()

/** Identity of the chain behind the configured endpoints. */
export async function chainMeta(env: Env): Promise<ChainMeta> {
  const known = metas.get(env.RPC_URLS)
  if (known !== undefined) return known
  const meta = await call(env, zMeta, 'fusion_meta', [])
  metas.set(env.RPC_URLS, meta)
  return meta
}

const zPoint = z.object({ number: zSmall, hash: zHash })
const zFinality = z.object({ head: zPoint, safe: zPoint, finalized: zPoint })
/** Head, justified and final block. */
export type Finality = z.infer<typeof zFinality>
export const finality = (env: Env): Promise<Finality> => call(env, zFinality, 'fusion_finality', [])
/** The same of one validator, for the status page. */
export const finalityOf = async (url: string): Promise<Finality> => zFinality.parse(await callOne(url, 'fusion_finality', []))
