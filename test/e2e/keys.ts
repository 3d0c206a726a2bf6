/** Keys on a running development network: orders by transaction, waits for what the parties make of them. @module */
import { createPublicKey, verify as nodeVerify } from 'node:crypto'
import type { Address, Hex } from 'viem'
import { createPublicClient, createWalletClient, defineChain, encodePacked, http, keccak256, parseEventLogs, toHex } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { ethereumAddress } from '#shared/dcrm/address.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import { waitFor } from '#node/supervisor/wait.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'

const SCHEMES: readonly Scheme[] = ['ecdsa', 'taproot', 'ed25519']
const FEE_WEI = 5n * 10n ** 16n
const ZERO: Hex = `0x${'00'.repeat(32)}`
/** Several attempts of twenty blocks. */
const TIMEOUT_MS = 150_000

export type KeyRow = Readonly<{
  id: Hex
  scheme: number
  state: number
  threshold: number
  epoch: number
  members: readonly number[]
  publicKey: Hex
}>

export type PartyRow = Readonly<{
  id: number
  account: Address
  signKey: Hex
  absences: number
  excludedAt: bigint
  generation: bigint
}>
/** An event of the key manager with the transaction that caused it. */
export type KeyEvent = Readonly<{ eventName: string; args: Readonly<Record<string, unknown>>; transactionHash: Hex; blockNumber: bigint }>

/** Arguments of the one event of a name. */
function argsOf(logs: readonly Readonly<{ eventName: string; args: unknown }>[], name: string): unknown {
  const log = logs.find(({ eventName }) => eventName === name)
  if (log === undefined) throw new Error(`no event ${name}`)
  return log.args
}

export class Keys {
  readonly #reader
  readonly #writer
  readonly rpcUrl: string
  #last: Promise<unknown> = Promise.resolve()

  constructor(rpcUrl: string, privateKey: Hex) {
    this.rpcUrl = rpcUrl
    const chain = defineChain({
      id: 81_920,
      name: 'f',
      nativeCurrency: { name: 'F', symbol: 'F', decimals: 18 },
      rpcUrls: { default: { http: [rpcUrl] } },
    })
    this.#reader = createPublicClient({ chain, transport: http(rpcUrl) })
    this.#writer = createWalletClient({ chain, transport: http(rpcUrl), account: privateKeyToAccount(privateKey) })
  }

  read(functionName: string, args: readonly unknown[] = []): Promise<unknown> {
    return this.#reader.readContract({ address: KEY_MANAGER, abi: keyManagerAbi, functionName, args } as never)
  }

  /** One at a time, so that each has its own nonce. */
  async send(functionName: string, args: readonly unknown[], value = FEE_WEI) {
    const call = { address: KEY_MANAGER, abi: keyManagerAbi, functionName, args, value, gas: 2_000_000n } as never
    const sent = this.#last.then(async () => {
      const hash = await this.#writer.writeContract(call)
      return this.#reader.waitForTransactionReceipt({ hash, pollingInterval: 300 })
    })
    this.#last = sent.catch(() => undefined)
    const receipt = await sent
    if (receipt.status !== 'success') throw new Error(`${functionName} was refused`)
    return parseEventLogs({ abi: keyManagerAbi, logs: receipt.logs })
  }

  async parties(): Promise<readonly PartyRow[]> {
    return (await this.read('parties', [0, 100])) as readonly PartyRow[]
  }

  /** All events so far, oldest first. */
  async events(name: string): Promise<readonly KeyEvent[]> {
    const logs = await this.#reader.getContractEvents({ address: KEY_MANAGER, abi: keyManagerAbi, fromBlock: 0n })
    return (logs as unknown as readonly KeyEvent[]).filter(({ eventName }) => eventName === name)
  }

  /** Account that sent a transaction. */
  async senderOf(transaction: Hex): Promise<string> {
    return (await this.#reader.getTransaction({ hash: transaction })).from.toLowerCase()
  }

  key(id: Hex): Promise<KeyRow> {
    return this.read('keyOf', [id]) as Promise<KeyRow>
  }

  /** Waits until the parties have made the key active in at least this epoch. */
  active(id: Hex, epoch: number): Promise<KeyRow> {
    return waitFor(
      async () => {
        const row = await this.key(id)
        return row.state === 2 && row.epoch >= epoch ? row : null
      },
      { what: `key in epoch ${epoch}`, timeoutMs: TIMEOUT_MS, everyMs: 500 },
    )
  }

  async create(scheme: Scheme, threshold: number, size: number): Promise<KeyRow> {
    const logs = await this.send('requestKey', [SCHEMES.indexOf(scheme), threshold, size])
    return this.active((argsOf(logs, 'OperationRequested') as { key: Hex }).key, 0)
  }

  /** Orders a change and waits until it is done. */
  async change(functionName: string, args: readonly unknown[]): Promise<void> {
    const logs = await this.send(functionName, args)
    const { operation } = argsOf(logs, 'OperationRequested') as { operation: Hex }
    await waitFor(async () => (((await this.read('operation', [operation])) as { state: number }).state === 3 ? true : null), {
      what: `${functionName} done`,
      timeoutMs: TIMEOUT_MS,
      everyMs: 500,
    })
  }

  /** Orders a signature over the hash of a text; gives digest and signature. */
  async sign(id: Hex, text: string): Promise<Readonly<{ digest: Hex; signature: Hex; request: Hex }>> {
    const logs = await this.send('requestSignature', [id, ZERO, keccak256(toHex(text))])
    return this.signature((argsOf(logs, 'SignatureRequested') as { id: Hex }).id)
  }

  signature(request: Hex): Promise<Readonly<{ digest: Hex; signature: Hex; request: Hex }>> {
    return waitFor(
      async () => {
        const row = (await this.read('signatureOf', [request])) as { state: number; digest: Hex; signature: Hex }
        return row.state === 2 ? { digest: row.digest, signature: row.signature, request } : null
      },
      { what: 'signature', timeoutMs: TIMEOUT_MS, everyMs: 400 },
    )
  }

  /** Who accepts a signature, by verifiers that share no code with the signers. */
  async acceptedBy(row: KeyRow, { digest, signature }: Readonly<{ digest: Hex; signature: Hex }>): Promise<readonly string[]> {
    const key = hexToBytes((await this.read('signingKey', [row.id, 3, ZERO])) as Hex)
    const [message, bytes] = [hexToBytes(digest), hexToBytes(signature)]
    const verdicts: [string, boolean | Promise<boolean>][] = []
    if (SCHEMES[row.scheme] === 'taproot') verdicts.push(['noble', schnorr.verify(bytes, message, key)])
    if (SCHEMES[row.scheme] === 'ed25519') {
      const spki = createPublicKey({
        key: Buffer.concat([Buffer.from('302a300506032b6570032100', 'hex'), key]),
        format: 'der',
        type: 'spki',
      })
      verdicts.push(['noble', ed25519.verify(bytes, message, key, { zip215: false })], ['node', nodeVerify(null, message, spki, bytes)])
    }
    if (SCHEMES[row.scheme] === 'ecdsa') {
      verdicts.push(['noble', secp256k1.verify(bytes.slice(0, 64), message, key, { prehash: false })])
      verdicts.push(['evm', this.#recovers(message, bytes, ethereumAddress(key))])
    }
    const settled = await Promise.all(verdicts.map(async ([name, verdict]) => ((await verdict) ? [name] : [])))
    return settled.flat()
  }

  /** ecrecover inside the EVM. */
  async #recovers(digest: Uint8Array, signature: Uint8Array, address: Uint8Array): Promise<boolean> {
    const data = encodePacked(
      ['bytes32', 'uint256', 'bytes32', 'bytes32'],
      [toHex(digest), BigInt(27 + (signature[64] ?? 0)), toHex(signature.slice(0, 32)), toHex(signature.slice(32, 64))],
    )
    const { data: answer } = await this.#reader.call({ to: '0x0000000000000000000000000000000000000001', data })
    return answer === `0x${'00'.repeat(12)}${toHex(address).slice(2)}`
  }
}
