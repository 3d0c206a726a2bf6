/**
 * An EVM over one block state: Cancun rules and EIP-7702, no blobs, own crypto, the trigger decoder as a precompile.
 * Source: EIPs as bundled by @ethereumjs/evm; docs/protocol.md for what the block context holds.
 * @module
 */
import type { BlockState } from '#node/evm/block-state.ts'
import { CallMeter } from '#node/evm/call-meter.ts'
import { useFastInterpreter } from '#node/evm/fast-interpreter.ts'
import { fromHex } from '#node/evm/hex.ts'
import { useLeanJournal } from '#node/evm/lean-journal.ts'
import type { PrecompileFunction } from '#node/evm/native-types.ts'
import { bytesToBigint, padLeft } from '#shared/bytes.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { FEE_COLLECTOR } from '#shared/system.ts'
import type { Address, Hash, Height, Wei } from '#shared/types.ts'
import { Common, Hardfork, Mainnet } from '@ethereumjs/common'
import type { ParamsDict } from '@ethereumjs/common'
import { createEVM, EVMError, paramsEVM } from '@ethereumjs/evm'
import type { CustomPrecompile, EVM, EVMRunCallOpts } from '@ethereumjs/evm'
import { Address as EvmAddress } from '@ethereumjs/util'

/** What opcodes can learn of the block. */
export type BlockEnvironment = Readonly<{
  number: Height
  timestampSec: number
  /** Randomness of the parent. */
  prevRandao: Hash
  gasLimit: bigint
  baseFeeWei: Wei
  /** Hash of the ancestor at a height within the last 256 blocks. */
  hashOf: (height: Height) => Hash | null
}>

/** Settings of every machine of one chain. */
export type MachineConfig = Readonly<{
  chainId: number
  crypto: CryptoSuite
  precompiles: ReadonlyMap<Address, PrecompileFunction>
  /** The library's own instruction loop instead of the fast one; same results. */
  interpreter?: 'stock' | 'fast'
  /** Least gas of a message call; none when absent. */
  callFloorGas?: bigint
}>

/** KZG point evaluation needs a trusted setup that a chain without blobs has no use for; the address is an ordinary account. */
const KZG_POINT_EVALUATION: Address = `0x${'0a'.padStart(40, '0')}`

/** EIP numbers asked about at run time stay below this. */
const EIP_NUMBER_MAX = 10_000

/**
 * Prices of curve arithmetic and Blake2 on a chain of ours. They run in JavaScript here, 20 to 50 times slower than in the clients
 * Ethereum's prices (EIP-1108, EIP-152) were set for; at those, a block of them would take seconds. Measured by bench/block-gas.ts.
 */
const PRECOMPILE_PRICES = {
  bn254AddGas: 3000,
  bn254MulGas: 90_000,
  bn254PairingGas: 300_000,
  bn254PairingWordGas: 150_000,
  blake2RoundGas: 10,
} as const

/** Ethereum's gas schedule with this chain's prices. */
const CHAIN_GAS: ParamsDict = { ...paramsEVM, 1679: { ...paramsEVM[1679], ...PRECOMPILE_PRICES } }

/**
 * The rules of a chain as the EVM library wants them; share one among all machines of the chain. The library answers its hottest
 * questions by searching lists for each opcode, so the answers, which never change for one chain, are looked up once.
 */
export function createChainCommon({ chainId, crypto }: Pick<MachineConfig, 'chainId' | 'crypto'>, gas: ParamsDict = CHAIN_GAS): Common {
  const common = new Common({
    chain: { ...Mainnet, name: 'fusion', chainId },
    hardfork: Hardfork.Cancun,
    eips: [7702],
    params: gas,
    customCrypto: { keccak256: crypto.keccak256, sha256: crypto.sha256 },
  })
  const activated = new Set<number>()
  for (let eip = 0; eip < EIP_NUMBER_MAX; eip++) if (common.isActivatedEIP(eip)) activated.add(eip)
  const parameters = new Map<string, bigint>()
  const loadParameter = common.param.bind(common)
  const gteHardfork = common.gteHardfork.bind(common)
  const forks = new Map<string, boolean>()
  common.isActivatedEIP = (eip) => activated.has(eip)
  common.updateParams = () => undefined
  common.param = (name) => {
    const known = parameters.get(name)
    if (known !== undefined) return known
    const value = loadParameter(name)
    parameters.set(name, value)
    return value
  }
  common.gteHardfork = (fork) => {
    const known = forks.get(fork)
    if (known !== undefined) return known
    const isActive = gteHardfork(fork)
    forks.set(fork, isActive)
    return isActive
  }
  return common
}

const EMPTY = new Uint8Array(0)
const ZERO_HASH: Hash = `0x${'00'.repeat(32)}`

function precompileOf(address: Address, run: PrecompileFunction): CustomPrecompile {
  return {
    address,
    function: ({ data, gasLimit }) => {
      const { returnValue, gasUsed, error } = run(data, gasLimit)
      if (error === undefined && gasUsed <= gasLimit) return { returnValue, executionGasUsed: gasUsed }
      if (error === 'REVERT' && gasUsed <= gasLimit)
        return { returnValue, executionGasUsed: gasUsed, exceptionError: new EVMError(EVMError.errorMessages.REVERT) }
      return { returnValue: EMPTY, executionGasUsed: gasLimit, exceptionError: new EVMError(EVMError.errorMessages.OUT_OF_GAS) }
    },
  }
}

const ECRECOVER: Address = `0x${'01'.padStart(40, '0')}`
const ECRECOVER_GAS = 3000n

/** The signer's address, 32 bytes, or nothing; through our own curve backend. Source: yellow paper, appendix E.1. */
function ecrecoverWith(crypto: CryptoSuite): PrecompileFunction {
  return (data, gasLimit) => {
    if (gasLimit < ECRECOVER_GAS) return { returnValue: EMPTY, gasUsed: gasLimit, error: 'OUT_OF_GAS' }
    const input = new Uint8Array(128)
    input.set(data.subarray(0, 128))
    const parity = bytesToBigint(input.subarray(32, 64)) - 27n
    if (parity !== 0n && parity !== 1n) return { returnValue: EMPTY, gasUsed: ECRECOVER_GAS }
    const signer = crypto.recoverAddress(input.subarray(0, 32), input.subarray(64, 96), input.subarray(96, 128), parity === 1n ? 1 : 0)
    return { returnValue: signer === null ? EMPTY : padLeft(fromHex(signer), 32), gasUsed: ECRECOVER_GAS }
  }
}

/** One EVM, the state it works on and the block it believes to be in. */
export type Machine = Readonly<{
  evm: EVM
  state: BlockState
  block: NonNullable<EVMRunCallOpts['block']>
  crypto: CryptoSuite
  calls: CallMeter
}>

/** A fresh machine. Cheap enough for one call; `common` is shared. */
export async function createMachine(
  config: MachineConfig,
  common: Common,
  state: BlockState,
  environment: BlockEnvironment,
): Promise<Machine> {
  const blockchain = {
    getBlock: (height: number) => Promise.resolve({ hash: () => fromHex(environment.hashOf(height) ?? ZERO_HASH) }),
    putBlock: () => Promise.resolve(),
    shallowCopy: () => blockchain,
  }
  const customPrecompiles: CustomPrecompile[] = [
    { address: KZG_POINT_EVALUATION },
    precompileOf(ECRECOVER, ecrecoverWith(config.crypto)),
    ...Array.from(config.precompiles, ([address, run]) => precompileOf(address, run)),
  ]
  const evm = await createEVM({ common, stateManager: state, blockchain, customPrecompiles })
  if (config.interpreter !== 'stock') {
    await useFastInterpreter(evm)
    useLeanJournal(evm)
  }
  const block = {
    header: {
      number: BigInt(environment.number),
      coinbase: new EvmAddress(fromHex(FEE_COLLECTOR)),
      timestamp: BigInt(environment.timestampSec),
      difficulty: 0n,
      prevRandao: fromHex(environment.prevRandao),
      gasLimit: environment.gasLimit,
      baseFeePerGas: environment.baseFeeWei,
      getBlobGasPrice: () => 1n,
    },
  }
  return { evm, state, block, crypto: config.crypto, calls: new CallMeter(evm, config.callFloorGas ?? 0n) }
}
