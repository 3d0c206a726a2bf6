/** The chain's own precompiles: they charge before they work, and a malformed input reverts with its code as text. @module */
import type { PrecompileFunction } from '#node/evm/native-types.ts'
import { utf8ToBytes } from '#shared/bytes.ts'
import type { DcrmHost } from '#shared/dcrm/precompile.ts'
import { dcrmGas, dcrmPrecompile } from '#shared/dcrm/precompile.ts'
import { DecodeError } from '#shared/fault.ts'
import { decoderGas, decoderPrecompile } from '#shared/trigger/decoder.ts'

function precompile(gasOf: (input: Uint8Array) => bigint, run: (input: Uint8Array) => Uint8Array): PrecompileFunction {
  return (input, gasLimit) => {
    const gasUsed = gasOf(input)
    if (gasLimit < gasUsed) return { returnValue: new Uint8Array(0), gasUsed: gasLimit, error: 'OUT_OF_GAS' }
    try {
      return { returnValue: run(input), gasUsed }
    } catch (error) {
      if (error instanceof DecodeError) return { returnValue: utf8ToBytes(error.code), gasUsed, error: 'REVERT' }
      throw error
    }
  }
}

/** Decodes and checks trigger descriptions. Source: docs/protocol.md, calling list. */
export function triggerDecoder(blockGasLimit: bigint): PrecompileFunction {
  return precompile(
    (input) => decoderGas(input.length),
    (input) => decoderPrecompile(input, blockGasLimit),
  )
}

/** Cryptography and draws of the key manager. Source: docs/protocol.md, key precompile. */
export function keyPrecompile(host: DcrmHost): PrecompileFunction {
  return precompile(dcrmGas, (input) => dcrmPrecompile(host, input))
}
