/** The precompile behind which trigger descriptions are decoded and checked. Source: docs/protocol.md, calling list. @module */
import type { PrecompileFunction } from '#node/evm/native-types.ts'
import { utf8ToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { decoderGas, decoderPrecompile } from '#shared/trigger/decoder.ts'

/** Charges by the input's length first; a malformed description reverts with its code as text. */
export function triggerDecoder(blockGasLimit: bigint): PrecompileFunction {
  return (data, gasLimit) => {
    const gasUsed = decoderGas(data.length)
    if (gasLimit < gasUsed) return { returnValue: new Uint8Array(0), gasUsed: gasLimit, error: 'OUT_OF_GAS' }
    try {
      return { returnValue: decoderPrecompile(data, blockGasLimit), gasUsed }
    } catch (error) {
      if (error instanceof DecodeError) return { returnValue: utf8ToBytes(error.code), gasUsed, error: 'REVERT' }
      throw error
    }
  }
}
