/** A chain of loopback with a key manager's parties, keys and leases: enough for a party to enrol, follow and report. @module */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import {
  decodeFunctionData,
  encodeErrorResult,
  encodeFunctionResult,
  getAbiItem,
  keccak256,
  parseTransaction,
  recoverTransactionAddress,
  zeroAddress,
  zeroHash,
} from 'viem'

type Row = Record<string, unknown>
type Named = 'parties' | 'keys' | 'openOperations' | 'pendingSignatures'

const emptyOf = (type: string): unknown => {
  if (type.endsWith('[]')) return []
  if (type === 'bytes32') return zeroHash
  if (type === 'address') return zeroAddress
  if (type === 'string') return ''
  return type.startsWith('bytes') ? '0x' : 0n
}
/** A row of a list with everything empty but what is given. */
function row(list: Named, fields: Row): Row {
  const [{ components }] = getAbiItem({ abi: keyManagerAbi, name: list }).outputs as unknown as [
    { components: { name: string; type: string }[] },
  ]
  return { ...Object.fromEntries(components.map(({ name, type }) => [name, emptyOf(type)])), ...fields }
}

type Question = Readonly<{ id: number; method: string; params?: never[] }>

class Revert extends Error {}
const hexOf = (value: number): Hex => `0x${value.toString(16)}`

export class KeyChain {
  /** Height of the last final block; grows with every question about it unless it is held. */
  height = 100
  isHeld = false
  chainId = 81920
  readonly genesisHash: Hash = `0x${'11'.repeat(32)}`
  readonly parties = new Map<Address, Row>()
  keys: Row[] = []
  operations: Row[] = []
  requests: Row[] = []
  /** Names of what was sent, in order, and the arguments. */
  readonly sent: string[] = []
  readonly calls: Readonly<{ functionName: string; args: readonly unknown[] }>[] = []
  /** Methods that fail now. */
  readonly failing = new Set<string>()
  readonly #server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => void this.#answer(Buffer.concat(parts).toString()).then((text) => response.end(text)))
  })
  readonly #nonces = new Map<Address, number>()

  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #answer(body: string): Promise<string> {
    const questions = JSON.parse(body) as Question | Question[]
    if (!Array.isArray(questions)) return JSON.stringify(await this.#reply(questions))
    return JSON.stringify(await Promise.all(questions.map((question) => this.#reply(question))))
  }

  async #reply({ id, method, params = [] }: Question): Promise<unknown> {
    try {
      return { jsonrpc: '2.0', id, result: await this.#call(method, params) }
    } catch (cause) {
      const error =
        cause instanceof Revert ? { code: 3, message: 'execution reverted', data: cause.message } : { code: -32000, message: String(cause) }
      return { jsonrpc: '2.0', id, error }
    }
  }

  #call(method: string, params: readonly never[]): unknown {
    const [first] = params as unknown as [never]
    const text = first as string
    const methods: Readonly<Record<string, () => unknown>> = {
      eth_chainId: () => hexOf(this.chainId),
      eth_blockNumber: () => hexOf(this.height),
      eth_getBlockByNumber: () => {
        if (!this.isHeld && text === 'finalized') this.height++
        return { number: hexOf(this.height), hash: zeroHash, baseFeePerGas: '0x1', timestamp: '0x1', transactions: [] }
      },
      eth_getTransactionCount: () => hexOf(this.#nonces.get(text.toLowerCase() as Address) ?? 0),
      eth_maxPriorityFeePerGas: () => '0x1',
      eth_call: () => {
        const { from, data } = first as { from?: Address; data: Hex }
        return this.#run(data, from ?? zeroAddress, false)
      },
      eth_sendRawTransaction: () => this.#take(first),
      eth_getTransactionReceipt: () => ({ transactionHash: first, status: '0x1', blockNumber: hexOf(this.height), logs: [] }),
      fusion_header: () => ({ number: Number(first), hash: zeroHash, randomness: keccak256(first), raw: '0x00' }),
    }
    const answer = this.failing.has(method) ? undefined : methods[method]
    if (answer === undefined) throw new Error(`the method ${method} does not exist`)
    return answer()
  }

  async #take(raw: Hex): Promise<Hash> {
    const from = (await recoverTransactionAddress({ serializedTransaction: raw as never })).toLowerCase() as Address
    const { data = '0x', nonce = 0 } = parseTransaction(raw)
    const known = this.#nonces.get(from) ?? 0
    if (nonce !== known) throw new Error(`nonce ${nonce}, expected ${known}`)
    this.#nonces.set(from, known + 1)
    this.#run(data, from, true)
    return keccak256(raw)
  }

  #run(data: Hex, from: Address, isKept: boolean): Hex {
    const { functionName, args = [] } = decodeFunctionData({ abi: keyManagerAbi, data }) as {
      functionName: string
      args?: readonly unknown[]
    }
    const result = (value: unknown): Hex => encodeFunctionResult({ abi: keyManagerAbi, functionName, result: value } as never)
    const known: Readonly<Record<string, () => unknown>> = {
      parties: () => [...this.parties.values()],
      keys: () => this.keys.map((key) => row('keys', key)),
      openOperations: () => this.operations.map((operation) => row('openOperations', operation)),
      pendingSignatures: () => this.requests.map((request) => row('pendingSignatures', request)),
      disputesOf: () => [],
      genesisHash: () => this.genesisHash,
      heartbeatBlocks: () => 1024n,
      seatHeight: () => BigInt(this.height),
    }
    const read = known[functionName]
    if (read !== undefined) return result(read())
    if (isKept) {
      this.sent.push(functionName)
      this.calls.push({ functionName, args })
    }
    const account = from.toLowerCase() as Address
    if (functionName === 'registerParty') return result(this.#register(account, args, isKept))
    if (functionName === 'renewLease') this.#renew(account, args, isKept)
    return '0x'
  }

  #register(account: Address, [signKey, sealKey, relayUrl]: readonly unknown[], isKept: boolean): number {
    const id = this.parties.size + 1
    if (isKept) this.parties.set(account, row('parties', { id, account, signKey, sealKey, relayUrl }))
    return id
  }

  #renew(account: Address, [instanceId, generation]: readonly unknown[], isKept: boolean): void {
    const party = this.parties.get(account) ?? {}
    if ((generation as bigint) <= (party['generation'] as bigint))
      throw new Revert(encodeErrorResult({ abi: keyManagerAbi, errorName: 'LeaseNotNewer' }))
    if (isKept) this.parties.set(account, { ...party, instanceId, generation })
  }
}
