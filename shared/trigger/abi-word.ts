/**
 * The subset of Solidity's ABI a trigger can call with: one-word static types and `bytes`.
 * Source: Solidity contract ABI specification, "Formal Specification of the Encoding".
 * @module
 */
import { bigintToBytes, bytesToBigint, concatBytes } from '#shared/bytes.ts'

const WORD_BYTES = 32
const WORD_SPAN = 1n << 256n

/** What a type name stands for. */
export type AbiType =
  | Readonly<{ kind: 'uint' | 'int'; bits: number }>
  | Readonly<{ kind: 'address' }>
  | Readonly<{ kind: 'bool' }>
  | Readonly<{ kind: 'bytes' }>
  | Readonly<{ kind: 'fixedBytes'; length: number }>

/** Parses a canonical type name (`uint256`, not `uint`), or null. */
export function parseAbiType(name: string): AbiType | null {
  if (name === 'address' || name === 'bool' || name === 'bytes') return { kind: name }
  const integer = /^(u?int)([1-9]\d{0,2})$/.exec(name)
  if (integer !== null) {
    const bits = Number(integer[2])
    return bits % 8 === 0 && bits <= 256 ? { kind: integer[1] === 'uint' ? 'uint' : 'int', bits } : null
  }
  const fixed = /^bytes([1-9]\d?)$/.exec(name)
  if (fixed === null) return null
  const length = Number(fixed[1])
  return length <= WORD_BYTES ? { kind: 'fixedBytes', length } : null
}

/** Two's-complement word of an integer. @throws {RangeError} outside −2^255 … 2^256 − 1 */
export function integerWord(value: bigint): Uint8Array {
  if (value < -(WORD_SPAN / 2n)) throw new RangeError('integer does not fit a word')
  return bigintToBytes(value < 0n ? value + WORD_SPAN : value, WORD_BYTES)
}

/** Integer in a two's-complement byte string of any length. */
export function signedInteger(bytes: Uint8Array): bigint {
  const value = bytesToBigint(bytes)
  const span = 1n << BigInt(8 * bytes.length)
  return value >= span / 2n ? value - span : value
}

/** Whether a word is the one encoding of some value of a static type. */
export function isWordOf(type: AbiType, word: Uint8Array): boolean {
  if (word.length !== WORD_BYTES) return false
  switch (type.kind) {
    case 'uint':
      return bytesToBigint(word) >> BigInt(type.bits) === 0n
    case 'int': {
      const half = 1n << BigInt(type.bits - 1)
      const value = signedInteger(word)
      return value >= -half && value < half
    }
    case 'address':
      return bytesToBigint(word) >> 160n === 0n
    case 'bool':
      return bytesToBigint(word) <= 1n
    case 'fixedBytes':
      return word.subarray(type.length).every((byte) => byte === 0)
    case 'bytes':
      return false
  }
}

/** Selector followed by the head and tail of the values: a word each for static types, the content for `bytes`. */
export function encodeAbiCall(selector: Uint8Array, values: readonly Readonly<{ type: AbiType; content: Uint8Array }>[]): Uint8Array {
  const heads: Uint8Array[] = []
  const tails: Uint8Array[] = []
  let offset = WORD_BYTES * values.length
  for (const { type, content } of values) {
    if (type.kind !== 'bytes') {
      heads.push(content)
      continue
    }
    const padding = new Uint8Array((WORD_BYTES - (content.length % WORD_BYTES)) % WORD_BYTES)
    const tail = concatBytes(integerWord(BigInt(content.length)), content, padding)
    heads.push(integerWord(BigInt(offset)))
    tails.push(tail)
    offset += tail.length
  }
  return concatBytes(selector, ...heads, ...tails)
}
