/**
 * The precompile that registration goes through: decodes a description, checks every limit and computes the first due time,
 * so that no row in state can fail to decode.
 * @module
 */
import { bigintToBytes, bytesToBigint, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { decodeDescription } from '#shared/trigger/codec.ts'
import { checkDescription, triggerGasBudget } from '#shared/trigger/limits.ts'
import type { Mode } from '#shared/trigger/types.ts'

/** Number of a kind in the precompile's output and in the calling list's rows. */
const KIND_CODES = {
  active: 1,
  at: 2,
  interval: 3,
  cron: 4,
  height: 5,
  'feed.compare': 6,
  log: 7,
  view: 8,
  'chain.deposit': 9,
} as const

const GAS_BASE = 12_000
const GAS_PER_BYTE = 30
/** Time word, height word. */
const PREFIX_BYTES = 64

/** Number of a mode's kind: 1 active, 2 at, 3 interval, 4 cron, 5 height, 6 feed.compare, 7 log, 8 view, 9 chain.deposit. */
export function kindCode(mode: Mode): number {
  return KIND_CODES[mode.type === 'active' ? 'active' : mode.when.kind]
}

/** Gas of the precompile, a function of the input's length alone. */
export function decoderGas(inputLength: number): bigint {
  return BigInt(GAS_BASE + GAS_PER_BYTE * inputLength)
}

/**
 * Input: timeMs (32) ‖ height (32) ‖ description. Output, eight words: first due time or height, kind, gas of a fire, expiresAtMs,
 * maxFires, reserveWei, watch key, deposit in wei.
 * @throws {DecodeError} whatever is wrong with the input or the description; the call then fails
 */
export function decoderPrecompile(input: Uint8Array, blockGasLimit: bigint): Uint8Array {
  if (input.length < PREFIX_BYTES) throw new DecodeError('INPUT_SHORT', '', `expected at least ${PREFIX_BYTES} bytes, got ${input.length}`)
  const timeMs = bytesToBigint(input.subarray(0, 32))
  const height = bytesToBigint(input.subarray(32, PREFIX_BYTES))
  if (timeMs >> 48n !== 0n || height >> 48n !== 0n) throw new DecodeError('INPUT_RANGE', '', 'time and height have at most 48 bits')
  const description = decodeDescription(input.subarray(PREFIX_BYTES))
  const checked = checkDescription(description, {
    timeMs: Number(timeMs),
    height: Number(height),
    triggerGasBudget: triggerGasBudget(blockGasLimit),
  })
  if (!checked.ok) throw new DecodeError(checked.code, checked.path, checked.message)
  const word = (value: bigint | number): Uint8Array => bigintToBytes(BigInt(value), 32)
  return concatBytes(
    word(checked.dueAt),
    word(kindCode(description.mode)),
    word(checked.fireGas),
    word(description.limits.expiresAtMs),
    word(description.limits.maxFires),
    word(description.funding.reserveWei),
    hexToBytes(checked.watchKey),
    word(checked.depositWei),
  )
}
