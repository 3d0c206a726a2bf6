/** Conversions between bytes, hex and integers; big-endian throughout. @module */
import { DecodeError } from '#shared/fault.ts'
import type { Hex } from '#shared/types.ts'

const DIGITS = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, '0'))

/** Bytes to lower-case hex with prefix. */
export function bytesToHex(bytes: Uint8Array): Hex {
  let text = ''
  for (const byte of bytes) text += DIGITS[byte]
  return `0x${text}`
}

/** Value of a hex digit that is known to be one: letters have bit 6 set and start at 1. */
const nibble = (code: number): number => (code & 15) + (code >> 6) * 9

/** Lower- or upper-case prefixed hex of even length to bytes. @throws {DecodeError} HEX_INVALID */
export function hexToBytes(hex: string): Uint8Array {
  if (!/^0x(?:[0-9a-fA-F]{2})*$/.test(hex))
    throw new DecodeError('HEX_INVALID', '', `expected 0x and an even number of hex digits, got ${hex.length} characters`)
  const bytes = new Uint8Array((hex.length - 2) / 2)
  for (let index = 0; index < bytes.length; index++)
    bytes[index] = (nibble(hex.charCodeAt(2 + 2 * index)) << 4) | nibble(hex.charCodeAt(3 + 2 * index))
  return bytes
}

/** Unsigned big-endian integer of any length. */
export function bytesToBigint(bytes: Uint8Array): bigint {
  return bytes.length === 0 ? 0n : BigInt(bytesToHex(bytes))
}

/** Unsigned integer to exactly `length` big-endian bytes. @throws {RangeError} when it does not fit */
export function bigintToBytes(value: bigint, length: number): Uint8Array {
  if (value < 0n || value >= 1n << BigInt(8 * length)) throw new RangeError(`integer does not fit ${length} bytes`)
  return hexToBytes(`0x${value.toString(16).padStart(2 * length, '0')}`)
}

/** Unsigned integer to its shortest big-endian form; zero is empty, as RLP wants it. */
export function bigintToMinimalBytes(value: bigint): Uint8Array {
  if (value === 0n) return new Uint8Array(0)
  const digits = value.toString(16)
  return hexToBytes(`0x${digits.length % 2 === 0 ? digits : `0${digits}`}`)
}

/** Concatenates byte strings. */
export function concatBytes(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((total, part) => total + part.length, 0))
  let offset = 0
  for (const part of parts) {
    joined.set(part, offset)
    offset += part.length
  }
  return joined
}

/** Left-pads to `length` bytes. @throws {RangeError} when longer */
export function padLeft(bytes: Uint8Array, length: number): Uint8Array {
  if (bytes.length > length) throw new RangeError(`expected at most ${length} bytes, got ${bytes.length}`)
  const padded = new Uint8Array(length)
  padded.set(bytes, length - bytes.length)
  return padded
}

/** Equality of two byte strings; not constant-time, for public data only. */
export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && left.every((byte, index) => byte === right[index])
}

/** UTF-8 bytes of a string. Lone surrogates become U+FFFD. Written out because `shared/` has no host globals. */
export function utf8ToBytes(text: string): Uint8Array {
  const out: number[] = []
  for (const character of text) {
    let point = character.codePointAt(0) ?? 0
    if (point >= 0xd800 && point <= 0xdfff) point = 0xfffd
    if (point < 0x80) out.push(point)
    else if (point < 0x800) out.push(0xc0 | (point >> 6), 0x80 | (point & 63))
    else if (point < 0x10000) out.push(0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63))
    else out.push(0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63))
  }
  return Uint8Array.from(out)
}

/** Ordering of lower-case hex strings of equal length; the one comparator for sorting ids. */
export function compareHex(left: Hex, right: Hex): number {
  return left < right ? -1 : left > right ? 1 : 0
}
