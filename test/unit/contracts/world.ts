/** A state with the predeployed contracts, and ordinary calls on it, for tests of contracts and native rules. @module */
import { BlockState } from '#node/evm/block-state.ts'
import { fromHex, toHex } from '#node/evm/hex.ts'
import { createChainCommon, createMachine } from '#node/evm/machine.ts'
import type { Machine } from '#node/evm/machine.ts'
import { openHost } from '#node/evm/native-host.ts'
import { predeploys } from '#node/evm/native/predeploys.ts'
import { keyPrecompile, triggerDecoder } from '#node/evm/precompile.ts'
import { createKeyHost } from '#node/dcrm/key-host.ts'
import { padLeft } from '#shared/bytes.ts'
import type { Log } from '#shared/chain/types.ts'
import type { Reading } from '#shared/codec/solidity-storage.ts'
import { readFrom } from '#shared/codec/solidity-storage.ts'
import type { SourceSetSpec } from '#shared/oracle/set-storage.ts'
import { DEVNET_PARAMS } from '#shared/params.ts'
import { KEY_MANAGER, KEY_PRECOMPILE, TRIGGER_DECODER } from '#shared/system.ts'
import type { Address, Hash, Hex, Wei } from '#shared/types.ts'
import { stateWith, suite } from '#test/unit/evm/support.ts'
import { Address as EvmAddress } from '@ethereumjs/util'
import type { Abi, ContractFunctionArgs, ContractFunctionName } from 'viem'
import { decodeErrorResult, decodeFunctionResult, encodeDeployData, encodeFunctionData } from 'viem'

export const GENESIS_HASH: Hash = `0x${'9e'.repeat(32)}`
export const FSN = 10n ** 18n
/** 2026-01-01T00:00:00Z */
export const START_MS = 1_767_225_600_000
const GAS_LIMIT = 30_000_000n

export type Outcome = Readonly<{ success: boolean; returnData: Uint8Array; gasUsed: bigint; logs: readonly Log[] }>

const precompiles = new Map([
  [TRIGGER_DECODER, triggerDecoder(DEVNET_PARAMS.blockGasLimit)],
  [KEY_PRECOMPILE, keyPrecompile(createKeyHost(suite))],
])

/** What a test may do with the state. */
export class World {
  readonly state: BlockState
  readonly #common = createChainCommon({ chainId: DEVNET_PARAMS.chainId, crypto: suite })
  height = 10
  timeMs = START_MS
  /** Hashes of earlier blocks. */
  hashOf: (height: number) => Hash | null = () => null

  constructor(state: BlockState) {
    this.state = state
  }

  machine(): Promise<Machine> {
    return createMachine({ chainId: DEVNET_PARAMS.chainId, crypto: suite, precompiles }, this.#common, this.state, {
      number: this.height,
      timestampSec: Math.floor(this.timeMs / 1000),
      prevRandao: GENESIS_HASH,
      gasLimit: GAS_LIMIT,
      baseFeeWei: 10n ** 9n,
      hashOf: (height) => this.hashOf(height),
    })
  }

  nextBlock(blocks = 1): void {
    this.height += blocks
    this.timeMs += blocks * DEVNET_PARAMS.slotMs
  }

  async send(from: Address, to: Address, data: Hex, valueWei: Wei = 0n): Promise<Outcome> {
    this.state.beginTransaction()
    const { host, logs } = openHost(await this.machine(), 10n ** 9n)
    const { success, returnData, gasUsed } = await host.call({ caller: from, to, data: fromHex(data), valueWei, gasLimit: GAS_LIMIT })
    return { success, returnData, gasUsed, logs }
  }

  /** Deploys with constructor arguments; returns the address. */
  async deploy(
    from: Address,
    creation: Readonly<{ abi: Abi; bytecode: Hex; args: readonly unknown[] }>,
    valueWei: Wei = 0n,
  ): Promise<Address> {
    this.state.beginTransaction()
    const { evm, block } = await this.machine()
    const { createdAddress, execResult } = await evm.runCall({
      block,
      caller: new EvmAddress(fromHex(from)),
      data: fromHex(encodeDeployData(creation)),
      value: valueWei,
      gasLimit: GAS_LIMIT,
    })
    if (createdAddress === undefined || execResult.exceptionError !== undefined) throw new Error('not deployed')
    return toHex(createdAddress.bytes)
  }

  read<T>(reading: Reading<T>): T {
    return readFrom(reading, {
      storage: (address, slot) => toHex(padLeft(this.state.slot(address, slot), 32)),
      code: (address) => this.state.code(address),
    })
  }
}

/** A contract by ABI and address; `send` returns the outcome, `call` the decoded result, `refused` the name of the custom error. */
export function contractAt<const A extends Abi>(world: World, abi: A, address: Address) {
  type Name = ContractFunctionName<A>
  const data = <N extends Name>(functionName: N, args: unknown): Hex =>
    encodeFunctionData({ abi, functionName, args } as unknown as Parameters<typeof encodeFunctionData>[0])
  const send = <N extends Name>(
    from: Address,
    functionName: N,
    args: ContractFunctionArgs<A, 'payable' | 'nonpayable', N>,
    valueWei: Wei = 0n,
  ) => world.send(from, address, data(functionName, args), valueWei)
  return {
    send,
    call: async <N extends Name>(functionName: N, args: ContractFunctionArgs<A, 'pure' | 'view', N>): Promise<unknown> => {
      const { returnData } = await world.send(`0x${'11'.repeat(20)}`, address, data(functionName, args))
      return decodeFunctionResult({ abi, functionName, data: toHex(returnData) } as unknown as Parameters<typeof decodeFunctionResult>[0])
    },
    refused: async <N extends Name>(
      from: Address,
      functionName: N,
      args: ContractFunctionArgs<A, 'payable' | 'nonpayable', N>,
      valueWei: Wei = 0n,
    ): Promise<string> => {
      const { success, returnData } = await send(from, functionName, args, valueWei)
      if (success) return 'SUCCESS'
      if (returnData.length < 4) return 'NO_REASON'
      return decodeErrorResult({ abi: abi as Abi, data: toHex(returnData) }).errorName
    },
  }
}

/** Operators of the validators. */
export const VALIDATORS: readonly Address[] = ['a', 'b', 'c', 'd'].map((digit): Address => `0x${`e${digit}`.repeat(20)}`)

/** A world with funded accounts and source sets that exist from genesis. */
export function createWorld(funded: readonly Address[], sets: readonly SourceSetSpec[] = []): World {
  const accounts = Object.fromEntries([
    ...funded.map((address) => [address, { balanceWei: 1000n * FSN }] as const),
    ...[...predeploys(GENESIS_HASH, sets, suite, { heartbeatBlocks: DEVNET_PARAMS.heartbeatBlocks, validators: VALIDATORS })].map(
      ([address, { code, storage }]) =>
        [
          address,
          {
            nonce: 1n,
            code,
            storage: Object.fromEntries([...storage].map(([slot, value]) => [slot, fromHex(value)])),
            balanceWei: 0n,
          },
        ] as const,
    ),
  ])
  const mark = { nonce: 1n, code: Uint8Array.of(0xfe) }
  const { db, root } = stateWith({ ...accounts, [TRIGGER_DECODER]: mark, [KEY_PRECOMPILE]: mark })
  const state = new BlockState(db, suite.keccak256, root)
  state.setSlot(KEY_MANAGER, `0x${'00'.repeat(32)}`, fromHex(GENESIS_HASH))
  return new World(state)
}
