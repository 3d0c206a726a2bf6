/**
 * What the execution layer of one chain is made of, and the views on past blocks it derives from it.
 * Source: joints of block context and parent view, docs/protocol.md.
 * @module
 */
import { BlockState } from '#node/evm/block-state.ts'
import { createChainCommon, createMachine } from '#node/evm/machine.ts'
import type { BlockEnvironment, Machine, MachineConfig } from '#node/evm/machine.ts'
import type { NativeExecutors, PrecompileFunction } from '#node/evm/native-types.ts'
import type { StateDb } from '#node/evm/state-db.ts'
import { callFloorGas } from '#shared/chain/call-gas.ts'
import type { Receipt } from '#shared/chain/types.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { Header, Validator } from '#shared/hhcm/types.ts'
import { PARENT_VIEW_BLOCKS } from '#shared/params.ts'
import type { ChainParams } from '#shared/params.ts'
import type { Address, Hash, Height, Slot, UnixMs } from '#shared/types.ts'

/** Everything execution depends on. Headers and receipts are looked up by hash, so every fork has its own past. */
export type ExecutionConfig = Readonly<{
  params: ChainParams
  genesisTimeMs: UnixMs
  validators: readonly Validator[]
  crypto: CryptoSuite
  state: StateDb
  headerByHash: (hash: Hash) => Header | null
  receiptsByHash: (hash: Hash) => readonly Receipt[] | null
  natives: NativeExecutors
  precompiles: ReadonlyMap<Address, PrecompileFunction>
  interpreter?: MachineConfig['interpreter']
}>

/** A config with what is made once per chain. */
export type ExecutionContext = ExecutionConfig &
  Readonly<{
    /** Machine on a state, in a block that does not exist yet: child of `parent` in `slot`. */
    nextMachine: (parent: Header, parentHash: Hash, slot: Slot, baseFeeWei: bigint) => Promise<Machine>
    /** Machine on the state after a block, with that block's own context. */
    machineAt: (header: Header) => Promise<Machine>
    timeMs: (slot: Slot) => UnixMs
    /** Block of this height on the chain that ends with `header`, or null outside the last PARENT_VIEW_BLOCKS. */
    ancestor: (hash: Hash, header: Header, height: Height) => Readonly<{ hash: Hash; header: Header }> | null
  }>

const HEADERS_KEPT = 4096

/** Opens the execution layer of one chain. */
export function openExecution(config: ExecutionConfig): ExecutionContext {
  const { params, crypto, precompiles, state, interpreter = 'fast' } = config
  const machineConfig = { chainId: params.chainId, crypto, precompiles, interpreter, callFloorGas: callFloorGas(params) }
  const common = createChainCommon(machineConfig)
  const known = new Map<Hash, Header>()
  const headerByHash = (hash: Hash): Header | null => {
    const header = known.get(hash) ?? config.headerByHash(hash)
    if (header === null) return null
    if (known.size >= HEADERS_KEPT) known.clear()
    known.set(hash, header)
    return header
  }
  const timeMs = (slot: Slot): UnixMs => config.genesisTimeMs + slot * params.slotMs
  const ancestor: ExecutionContext['ancestor'] = (hash, header, height) => {
    if (height > header.number || height < 0 || header.number - height >= PARENT_VIEW_BLOCKS) return null
    let at = { hash, header }
    while (at.header.number > height) {
      const parent = headerByHash(at.header.parentHash)
      if (parent === null) return null
      at = { hash: at.header.parentHash, header: parent }
    }
    return at
  }
  const machine = (root: Hash, environment: BlockEnvironment): Promise<Machine> =>
    createMachine(machineConfig, common, new BlockState(state, crypto.keccak256, root), environment)
  return {
    ...config,
    headerByHash,
    timeMs,
    ancestor,
    nextMachine: (parent, parentHash, slot, baseFeeWei) =>
      machine(parent.stateRoot, {
        number: parent.number + 1,
        timestampSec: Math.floor(timeMs(slot) / 1000),
        prevRandao: parent.randomness,
        gasLimit: params.blockGasLimit,
        baseFeeWei,
        hashOf: (height) => ancestor(parentHash, parent, height)?.hash ?? null,
      }),
    machineAt: (header) => {
      const parent = headerByHash(header.parentHash)
      return machine(header.stateRoot, {
        number: header.number,
        timestampSec: Math.floor(timeMs(header.slot) / 1000),
        prevRandao: parent?.randomness ?? header.randomness,
        gasLimit: params.blockGasLimit,
        baseFeeWei: header.baseFeeWei,
        hashOf: (height) => (parent === null ? null : (ancestor(header.parentHash, parent, height)?.hash ?? null)),
      })
    },
  }
}
