/** What a running command may use: its line, the edge, a validator, a key. @module */
import { readFileSync } from 'node:fs'
import type { PrivateKeyAccount } from 'viem'
import { parseEther } from 'viem'
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'
import type { HDAccount } from 'viem/accounts'
import { DEVNET_PARAMS } from '#shared/params.ts'
import type { Address, Hash, Hex, Wei } from '#shared/types.ts'
import type { Line } from '#node/cli/command.ts'
import { CommandFailed, UsageError } from '#node/cli/command.ts'
import { FusionClient } from '#node/sdk/index.ts'
import { devnetPorts } from '#node/supervisor/ports.ts'

const PHRASE = 'test test test test test test test test test test test junk'
const VALIDATORS = 4

/** Variables of the environment the CLI reads. */
export type Environment = Readonly<Record<string, string | undefined>>

/** One invocation. */
export class Session {
  readonly line: Line
  readonly #environment: Environment
  /** Shows a line while the command is still running. */
  readonly progress: (line: string) => void

  constructor(line: Line, environment: Environment, progress: (line: string) => void = () => undefined) {
    this.line = line
    this.#environment = environment
    this.progress = progress
  }

  /** Operand at a position that the command's form guarantees. */
  operand(index: number): string {
    const operand = this.line.operands[index]
    if (operand === undefined) throw new UsageError(`operand ${index + 1} is missing`)
    return operand
  }

  option(name: string): string | undefined {
    return this.line.strings[name]
  }

  flag(name: string): boolean {
    return this.line.flags.has(name)
  }

  /** Positive integer option. @throws {UsageError} */
  count(name: string): number | undefined {
    const text = this.option(name)
    if (text === undefined) return undefined
    if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new UsageError(`--${name} expects a positive number, got "${text}"`)
    return Number(text)
  }

  get edgeUrl(): string {
    const given = this.option('edge') ?? this.#environment['FUSION_EDGE']
    if (given === undefined) return `http://127.0.0.1:${this.#ports.edge}`
    if (!/^https?:\/\//.test(given)) throw new UsageError(`--edge expects an http or https URL, got "${given}"`)
    return given
  }

  get #ports() {
    const offset = Number(this.#environment['FUSION_PORT_OFFSET'] ?? '0')
    try {
      return devnetPorts(VALIDATORS, offset)
    } catch (error) {
      throw new UsageError(error instanceof Error ? error.message : String(error))
    }
  }

  /** Validators given on the line or in the environment, as a list. */
  get #givenRpcUrls(): readonly string[] | null {
    const given = this.option('rpc') ?? this.#environment['FUSION_RPC']
    return given === undefined ? null : given.split(',').map((url) => url.trim())
  }

  /** Validators to ask: given, else those the edge names, else the fixed ports of a development network. */
  async rpcUrls(): Promise<readonly string[]> {
    const given = this.#givenRpcUrls
    if (given !== null) return given
    try {
      return (await this.client().meta()).rpcUrls
    } catch {
      return this.#ports.rpc.map((port) => `http://127.0.0.1:${port}`)
    }
  }

  /** The validator that sends and reads. */
  async rpcUrl(): Promise<string> {
    const [first] = await this.rpcUrls()
    if (first === undefined) throw new CommandFailed('no validator is known; give --rpc URL')
    return first
  }

  /** A client of the edge. */
  client(): FusionClient {
    const [rpcUrl] = this.#givenRpcUrls ?? []
    return new FusionClient({ edgeUrl: this.edgeUrl, attempts: 2, ...(rpcUrl === undefined ? {} : { rpcUrl }) })
  }

  /** The signing account. The public phrase is refused on networks that are not for development. @throws {UsageError} */
  async account(): Promise<PrivateKeyAccount | HDAccount> {
    const index = this.option('account')
    if (index === undefined) return privateKeyToAccount(this.#readKey())
    if (!/^(?:0|[1-9][0-9]{0,5})$/.test(index)) throw new UsageError(`--account expects a number, got "${index}"`)
    const { chainId } = await this.client().meta()
    if (chainId !== Number(this.#environment['FUSION_CHAIN_ID'] ?? DEVNET_PARAMS.chainId))
      throw new UsageError(`--account is for development networks; chain ${chainId} is not one (its key is known to everybody)`)
    return mnemonicToAccount(PHRASE, { addressIndex: Number(index) })
  }

  #readKey(): Hex {
    const file = this.option('key-file')
    const where = file === undefined ? 'FUSION_KEY' : file
    let text: string
    try {
      text = (file === undefined ? this.#environment['FUSION_KEY'] : readFileSync(file, 'utf8'))?.trim() ?? ''
    } catch {
      throw new UsageError(`cannot read the key file ${where}`)
    }
    if (text === '') throw new UsageError('a key is needed: --key-file FILE, FUSION_KEY, or --account N on a development network')
    const key = text.startsWith('0x') ? text : `0x${text}`
    // The text itself is never shown: it may be a key with a typo.
    if (!/^0x[0-9a-fA-F]{64}$/.test(key)) throw new UsageError(`${where} does not hold a private key of 32 bytes as hex`)
    return key as Hex
  }
}

/** A 32-byte id from a command line. @throws {UsageError} */
export function readId(text: string): Hash {
  if (!/^0x[0-9a-fA-F]{64}$/.test(text)) throw new UsageError(`expected an id of 32 bytes as hex, got "${text}"`)
  return text.toLowerCase() as Hash
}

/** An address from a command line. @throws {UsageError} */
export function readAddress(text: string): Address {
  if (!/^0x[0-9a-fA-F]{40}$/.test(text)) throw new UsageError(`expected an address, got "${text}"`)
  return text.toLowerCase() as Address
}

/** An amount of FSN from a command line, like 1.5. @throws {UsageError} */
export function readFsn(text: string): Wei {
  if (!/^[0-9]{1,12}(?:\.[0-9]{1,18})?$/.test(text)) throw new UsageError(`expected an amount of FSN like 1.5, got "${text}"`)
  return parseEther(text)
}
