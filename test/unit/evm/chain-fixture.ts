/** A small chain in memory whose blocks tests make by hand. @module */
import { openExecution } from '#node/evm/context.ts'
import type { ExecutionContext } from '#node/evm/context.ts'
import { createExecutor } from '#node/evm/executor.ts'
import { buildGenesis } from '#node/evm/genesis.ts'
import type { Predeploy } from '#node/evm/genesis.ts'
import type { NativeExecutors, PrecompileFunction } from '#node/evm/native-types.ts'
import { createStateDb } from '#node/evm/state-db.ts'
import type { StateDb } from '#node/evm/state-db.ts'
import type { Execution, ExecutionRefusal, Executor } from '#node/evm/types.ts'
import { bytesToHex, compareHex, hexToBytes } from '#shared/bytes.ts'
import type { GenesisDocument } from '#shared/chain/genesis.ts'
import type { Receipt, StateView } from '#shared/chain/types.ts'
import { blockHash } from '#shared/hhcm/signing.ts'
import type { ExecutionInput, Header, Package } from '#shared/hhcm/types.ts'
import { DEVNET_PARAMS } from '#shared/params.ts'
import type { ChainParams } from '#shared/params.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { mnemonicToAccount } from 'viem/accounts'
import type { HDAccount } from 'viem/accounts'
import { MemoryNodes, suite } from '#test/unit/evm/support.ts'

const MNEMONIC = 'test test test test test test test test test test test junk'
/** Wei in one FSN. */
export const FSN = 10n ** 18n
export const accounts: readonly HDAccount[] = Array.from({ length: 8 }, (_, addressIndex) => mnemonicToAccount(MNEMONIC, { addressIndex }))
export const addressOf = (account: HDAccount): Address => account.address.toLowerCase() as Address
const numbered = (prefix: string, index: number, bytes: number): Hex =>
  `0x${prefix}${index.toString(16).padStart(2 * bytes - prefix.length, '0')}`
export const validators = Array.from({ length: 4 }, (_, index) => ({
  address: numbered('aa', index + 1, 20),
  consensusKey: numbered('bb', index + 1, 32),
  stakeWei: 100_000n * FSN,
}))

export const noNatives: NativeExecutors = {
  trigger: () => Promise.resolve({ skip: 'NONE' }),
  attestation: () => Promise.resolve({ skip: 'NONE' }),
  scheduledAtMs: () => 0,
  omittedLanes: () => Promise.resolve(new Set()),
}

export type FixtureOptions = Readonly<{
  params?: Partial<ChainParams>
  natives?: NativeExecutors
  precompiles?: ReadonlyMap<Address, PrecompileFunction>
  predeploys?: ReadonlyMap<Address, Predeploy>
  timestampMs?: number
}>

/** Signed transactions per lane; null for a lane without a package. */
export type Lanes = readonly (readonly Hex[] | null)[]

export class ChainFixture {
  readonly params: ChainParams
  readonly document: GenesisDocument
  readonly state: StateDb
  readonly context: ExecutionContext
  readonly executor: Executor
  readonly nodes = new MemoryNodes()
  readonly headers = new Map<Hash, Header>()
  readonly receipts = new Map<Hash, readonly Receipt[]>()
  head: Readonly<{ hash: Hash; header: Header }>

  constructor({ params = {}, natives = noNatives, precompiles = new Map(), predeploys = new Map() }: FixtureOptions = {}) {
    this.params = { ...DEVNET_PARAMS, ...params }
    this.document = {
      params: this.params,
      genesisTimeMs: 1_700_000_000_500,
      salt: `0x${'5a'.repeat(32)}`,
      validators,
      alloc: accounts
        .map((account) => ({ address: addressOf(account), balanceWei: 1000n * FSN }))
        .toSorted((a, b) => compareHex(a.address, b.address)),
    }
    this.state = createStateDb(this.nodes, suite.keccak256)
    const { envelope, nodes } = buildGenesis(this.document, predeploys, this.state, suite)
    this.nodes.add(nodes)
    this.headers.set(envelope.hash, envelope.header)
    this.receipts.set(envelope.hash, [])
    this.head = envelope
    this.context = openExecution({
      params: this.params,
      genesisTimeMs: this.document.genesisTimeMs,
      validators,
      crypto: suite,
      state: this.state,
      headerByHash: (hash) => this.headers.get(hash) ?? null,
      receiptsByHash: (hash) => this.receipts.get(hash) ?? null,
      natives,
      precompiles,
    })
    this.executor = createExecutor(this.context)
  }

  get view(): StateView {
    return this.state.view(this.head.header.stateRoot)
  }

  balance(address: Address): bigint {
    return this.view.account(address)?.balanceWei ?? 0n
  }

  input(lanes: Lanes, slot = this.head.header.slot + 1): ExecutionInput {
    const packages = lanes.map((txs, lane): Package | null => {
      if (txs === null) return null
      const raws = txs.map((raw) => hexToBytes(raw))
      const author = validators[lane]?.address ?? '0x'
      const header = {
        slot,
        lane,
        rank: 0,
        parentHash: this.head.hash,
        author,
        txRoot: '0x',
        txCount: raws.length,
        bytes: 0,
        signature: '0x',
      } as const
      return { hash: numbered('cc', slot * 16 + lane, 32), header, txs: raws }
    })
    return {
      parentHash: this.head.hash,
      slot,
      author: validators[0]?.address ?? '0x',
      packages,
      voters: validators.map(({ address }) => address),
      coSigners: lanes.map((_, lane) => [validators[lane]?.address ?? '0x', validators[lane + 2]?.address ?? '0x']),
    }
  }

  async execute(lanes: Lanes, slot?: number): Promise<Execution | ExecutionRefusal> {
    return await this.executor.execute(this.head.header, this.input(lanes, slot))
  }

  /** Executes, stores and makes the block the head. */
  async advance(lanes: Lanes, slot = this.head.header.slot + 1): Promise<Execution> {
    const execution = await this.execute(lanes, slot)
    if ('refusal' in execution) throw new Error(execution.refusal)
    const { header } = this.head
    const unsigned = {
      ...header,
      ...execution.roots,
      number: header.number + 1,
      slot,
      parentHash: this.head.hash,
      randomness: bytesToHex(suite.sha256(hexToBytes(header.randomness))),
    }
    const hash = blockHash(unsigned)
    this.nodes.add(execution.nodes)
    this.headers.set(hash, unsigned)
    this.receipts.set(hash, execution.receipts)
    this.head = { hash, header: unsigned }
    return execution
  }

  /** Signs with viem, which knows nothing of our code. */
  async sign(
    account: HDAccount,
    fields: Readonly<{
      nonce: number
      to?: Address
      value?: bigint
      data?: Hex
      gas?: bigint
      tip?: bigint
      maxFee?: bigint
      chainId?: number
    }>,
  ): Promise<Hex> {
    return await account.signTransaction({
      type: 'eip1559',
      chainId: fields.chainId ?? this.params.chainId,
      nonce: fields.nonce,
      ...(fields.to === undefined ? {} : { to: fields.to }),
      value: fields.value ?? 0n,
      data: fields.data ?? '0x',
      gas: fields.gas ?? 21_000n,
      maxFeePerGas: fields.maxFee ?? 10n * this.params.initialBaseFeeWei,
      maxPriorityFeePerGas: fields.tip ?? 0n,
    })
  }
}
