/** A key manager over JSON-RPC on loopback, just enough of a chain for the commands about keys; the tests move its operations along. @module */
import type { Hex } from 'viem'
import {
  decodeFunctionData,
  encodeAbiParameters,
  encodeErrorResult,
  encodeEventTopics,
  encodeFunctionResult,
  keccak256,
  parseTransaction,
} from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { runLine } from '#node/cli/run.ts'
import { addressOf } from '#node/sdk/index.ts'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Answer, Route } from '../sdk/fake-edge.ts'
import { CHAIN_ID, GENESIS, metaOf, startFakeEdge } from '../sdk/fake-edge.ts'

const operator = mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: 10 })
export const OWNER: Hex = '0xf39fd6e51aad88f6f4ce6ab8827279cfffb92266'
export const KEY: Hex = `0x${'c1'.repeat(32)}`
export const OPERATION: Hex = `0x${'0e'.repeat(32)}`
export const REQUEST: Hex = `0x${'5e'.repeat(32)}`
const ZERO: Hex = `0x${'00'.repeat(32)}`
const QUANTITIES = { eth_getTransactionCount: '0x0', eth_estimateGas: '0x30d40', eth_gasPrice: '0x1', eth_maxPriorityFeePerGas: '0x0' }

export const keyRow = {
  id: KEY,
  owner: OWNER,
  scheme: 0,
  state: 2,
  threshold: 3,
  epoch: 4,
  activeAt: 9n,
  heartbeatEpoch: 0n,
  members: [1, 2, 4, 5, 7],
  publicKey: '0x' as Hex,
  digest: ZERO,
}
export const operationRow = {
  id: OPERATION,
  key: KEY,
  kind: 0,
  state: 2,
  threshold: 3,
  size: 5,
  attempt: 0,
  lost: 0,
  requestedAt: 8n,
  seatedAt: 12n,
  confirmations: 0,
  randomness: ZERO,
  digest: ZERO,
  members: [1, 2, 4, 5, 7] as number[],
  dealers: [] as number[],
  excluded: [] as number[],
  publicKey: '0x' as Hex,
  feeWei: 0n,
}
export const requestRow = {
  id: REQUEST,
  key: KEY,
  state: 1,
  requestedAt: 8n,
  subject: ZERO,
  message: ZERO,
  digest: ZERO,
  feeWei: 0n,
  signature: '0x' as Hex,
  excluded: [] as number[],
  excludedFrom: [] as number[],
}
export const partyRow = (id: number, relayUrl: string) => ({
  id,
  account: OWNER,
  seats: 1,
  absences: 0,
  signKey: ZERO,
  sealKey: ZERO,
  bondWei: 10n,
  excludedAt: 0n,
  instanceId: ZERO,
  generation: 1n,
  relayUrl,
})

/** What the contract answers, by function; a list is answered one after the other, its last for ever. */
export type Views = Record<string, unknown>
type Sent = Readonly<{ functionName: string; args: readonly unknown[]; value: bigint }>

/** The contract refuses by a custom error. */
export class Refusal {
  readonly name: string
  constructor(name: string) {
    this.name = name
  }
}
/** Answers in turn. */
export class Turns {
  readonly #answers: unknown[]
  constructor(...answers: unknown[]) {
    this.#answers = answers
  }
  next(): unknown {
    return this.#answers.length > 1 ? this.#answers.shift() : this.#answers[0]
  }
}

const ORDERS = ['requestKey', 'requestRefresh', 'requestReshare', 'requestRecovery', 'requestSignature']
const settled = (value: unknown): unknown => (value instanceof Turns ? value.next() : value)

function logOf(functionName: string) {
  const isSignature = functionName === 'requestSignature'
  const topics = isSignature
    ? encodeEventTopics({ abi: keyManagerAbi, eventName: 'SignatureRequested', args: { id: REQUEST, key: KEY } })
    : encodeEventTopics({ abi: keyManagerAbi, eventName: 'OperationRequested', args: { operation: OPERATION, key: KEY } })
  const data = isSignature ? encodeAbiParameters([{ type: 'bytes32' }], [ZERO]) : encodeAbiParameters([{ type: 'uint8' }], [0])
  const place = { blockNumber: '0x8', blockHash: ZERO, transactionHash: ZERO, transactionIndex: '0x0', logIndex: '0x0', removed: false }
  return { address: KEY_MANAGER, topics, data, ...place }
}

function receiptOf(hash: unknown, functionName: string, status: string) {
  const gas = { cumulativeGasUsed: '0x1', gasUsed: '0x1', effectiveGasPrice: '0x1' }
  const place = { blockNumber: '0x8', blockHash: ZERO, transactionHash: hash, transactionIndex: '0x0' }
  return {
    ...place,
    ...gas,
    status,
    logs: [logOf(functionName)],
    logsBloom: '0x',
    type: '0x2',
    from: OWNER,
    to: KEY_MANAGER,
    contractAddress: null,
  }
}

/** Starts edge and chain in one; `views` may be changed while a command runs. */
export async function startFakeKeys(views: Views, routes: Readonly<Record<string, Route>> = {}) {
  const sent: Sent[] = []
  const call = (data: Hex): Readonly<{ result: Hex } | { error: object }> => {
    const { functionName } = decodeFunctionData({ abi: keyManagerAbi, data })
    const answer = settled(views[functionName]) ?? (ORDERS.includes(functionName) ? OPERATION : undefined)
    if (answer instanceof Refusal)
      return {
        error: { code: 3, message: 'execution reverted', data: encodeErrorResult({ abi: keyManagerAbi, errorName: answer.name } as never) },
      }
    if (answer === undefined) return { error: { code: -32601, message: `the fake has no ${functionName}` } }
    return { result: encodeFunctionResult({ abi: keyManagerAbi, functionName, result: answer } as never) }
  }
  const send = (raw: Hex): Hex => {
    const { data = '0x', value = 0n } = parseTransaction(raw)
    const { functionName, args } = decodeFunctionData({ abi: keyManagerAbi, data })
    sent.push({ functionName, args, value })
    return keccak256(raw)
  }
  const answerRpc: Route = ({ body }): Answer => {
    const { id, method, params } = body as { id: number; method: string; params: readonly unknown[] }
    if (views['away'] !== undefined && settled(views['away']) === true) return { status: 503, text: 'away' }
    const results: Readonly<Record<string, (() => unknown) | undefined>> = {
      ...Object.fromEntries(Object.entries(QUANTITIES).map(([name, quantity]) => [name, () => quantity])),
      eth_chainId: () => `0x${CHAIN_ID.toString(16)}`,
      eth_blockNumber: () => '0x9',
      eth_getBalance: () => views['balance'] ?? '0xde0b6b3a7640000',
      eth_sendRawTransaction: () => send(params[0] as Hex),
      eth_getTransactionReceipt: () =>
        receiptOf(params[0], sent.at(-1)?.functionName ?? '', (views['receipt'] as string | undefined) ?? '0x1'),
      eth_getBlockByNumber: () => ({ number: '0x9', timestamp: '0x1', baseFeePerGas: '0x1', transactions: [] }),
    }
    if (method === 'eth_call') return { json: { jsonrpc: '2.0', id, ...call((params[0] as { data: Hex }).data) } }
    return { json: { jsonrpc: '2.0', id, result: results[method]?.() ?? null } }
  }
  const started = await startFakeEdge({
    'GET /v1/meta': () => ({ json: { ...metaOf(addressOf(operator), `${started.edgeUrl}/rpc`), genesisHash: GENESIS } }),
    'POST /rpc': answerRpc,
    ...routes,
  })
  const lines: string[] = []
  const run = (line: readonly string[]) => runLine(['key', ...line], { FUSION_EDGE: started.edgeUrl }, (told) => lines.push(told))
  return { ...started, run, sent, lines }
}
