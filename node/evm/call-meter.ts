/**
 * Counts the message calls of one execution and stops it when its gas limit does not pay for the next one at the floor price.
 * Source: shared/chain/call-gas.ts.
 * @module
 */
import { EVMError } from '@ethereumjs/evm'
import type { EVM, EVMResult } from '@ethereumjs/evm'

/** Thrown through the EVM, which knows no such end; `depth` frames are open. */
class TooManyCalls extends Error {
  override readonly name = 'TooManyCalls'
  readonly depth: number

  constructor(depth: number) {
    super('too many message calls')
    this.depth = depth
  }
}

/** Every frame below the first is a call: of an account, a precompile or an empty address, or a creation. */
export class CallMeter {
  readonly #floorGas: bigint
  #made = 0
  #most = Number.POSITIVE_INFINITY

  /** `floorGas` 0n counts without limit. */
  constructor(evm: EVM, floorGas: bigint) {
    this.#floorGas = floorGas
    evm.events.on('beforeMessage', ({ depth }) => {
      if (depth === 0) return
      if (this.#made >= this.#most) throw new TooManyCalls(depth)
      this.#made++
    })
  }

  /** Begins an execution with this whole gas limit. */
  open(gasLimit: bigint): void {
    this.#made = 0
    this.#most = this.#floorGas === 0n ? Number.POSITIVE_INFINITY : Number(gasLimit / this.#floorGas)
  }

  /** Least gas to charge for the calls made since `open`; at most its gas limit. */
  get floorGas(): bigint {
    return BigInt(this.#made) * this.#floorGas
  }
}

/** An EVM result, the least gas to charge for its calls, and whether it was stopped for having too many. */
export type MeteredResult = EVMResult & Readonly<{ floorGas: bigint; hasTooManyCalls: boolean }>

/** What metering works on. */
type Metered = Readonly<{ evm: EVM; calls: CallMeter }>

/**
 * Runs under a whole gas limit, of which `intrinsicGas` is gone before the first instruction. An execution with too many calls ends as one
 * that ran out of gas: all gas is used, and the state, the warm set and transient storage are as before.
 */
export async function runMetered(
  { evm, calls }: Metered,
  gasLimit: bigint,
  intrinsicGas: bigint,
  run: () => Promise<EVMResult>,
): Promise<MeteredResult> {
  calls.open(gasLimit)
  try {
    return { ...(await run()), floorGas: calls.floorGas, hasTooManyCalls: false }
  } catch (error) {
    if (!(error instanceof TooManyCalls)) throw error
    for (let frame = 0; frame < error.depth; frame++) {
      await evm.journal.revert()
      evm.transientStorage.revert()
    }
    const execResult = {
      returnValue: new Uint8Array(0),
      executionGasUsed: gasLimit - intrinsicGas,
      exceptionError: new EVMError(EVMError.errorMessages.OUT_OF_GAS),
    }
    return { execResult, floorGas: calls.floorGas, hasTooManyCalls: true }
  }
}
