/** Literal arguments of an action: JSON text on one side, ABI content on the other. @module */
import { bytesToBigint, bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { integerWord, signedInteger } from '#shared/trigger/abi-word.ts'
import type { AbiType } from '#shared/trigger/abi-word.ts'

const INTEGER = /^(?:0|-?[1-9][0-9]{0,77})$/
const BYTES = /^0x(?:[0-9a-f]{2})*$/

function integerContent({ kind, bits }: Extract<AbiType, { bits: number }>, literal: string): Uint8Array | null {
  if (!INTEGER.test(literal)) return null
  const value = BigInt(literal)
  const span = 1n << BigInt(bits)
  const [least, beyond] = kind === 'uint' ? [0n, span] : [-span / 2n, span / 2n]
  return value >= least && value < beyond ? integerWord(value) : null
}

function bytesContent(type: Extract<AbiType, { kind: 'address' | 'fixedBytes' | 'bytes' }>, literal: string): Uint8Array | null {
  if (!BYTES.test(literal)) return null
  const bytes = hexToBytes(literal)
  if (type.kind === 'bytes') return bytes
  if (bytes.length !== (type.kind === 'address' ? 20 : type.length)) return null
  const padding = new Uint8Array(32 - bytes.length)
  return type.kind === 'address' ? concatBytes(padding, bytes) : concatBytes(bytes, padding)
}

/** Content of a literal: a word for static types, the bytes for `bytes`. Null when the text is no value of the type. */
export function literalContent(type: AbiType, literal: string | boolean): Uint8Array | null {
  if (type.kind === 'bool') return typeof literal === 'boolean' ? integerWord(literal ? 1n : 0n) : null
  if (typeof literal === 'boolean') return null
  return 'bits' in type ? integerContent(type, literal) : bytesContent(type, literal)
}

/** The literal with this content. */
export function literalText(type: AbiType, content: Uint8Array): string | boolean {
  switch (type.kind) {
    case 'bool':
      return bytesToBigint(content) === 1n
    case 'uint':
      return bytesToBigint(content).toString()
    case 'int':
      return signedInteger(content).toString()
    case 'address':
      return bytesToHex(content.subarray(12))
    case 'fixedBytes':
      return bytesToHex(content.subarray(0, type.length))
    case 'bytes':
      return bytesToHex(content)
  }
}
