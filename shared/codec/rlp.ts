/**
 * Strict RLP for protocol objects: canonical lengths, no trailing bytes, bounded size and depth, typed field readers.
 * Source: Ethereum yellow paper, appendix B.
 * @module
 */
import { bigintToMinimalBytes, bytesToBigint, bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Hex } from '#shared/types.ts'

export type RlpItem = Uint8Array | readonly RlpItem[]
/** What `encodeRlp` takes: hex strings are bytes, integers become their minimal form. */
export type RlpInput = Uint8Array | Hex | bigint | number | readonly RlpInput[]

/** Deepest list nesting any protocol object has, with room to spare. */
const DEPTH_MAX = 12

function encodeLength(length: number, offset: number): Uint8Array {
  if (length < 56) return Uint8Array.of(offset + length)
  const size = bigintToMinimalBytes(BigInt(length))
  return concatBytes(Uint8Array.of(offset + 55 + size.length), size)
}

function inputToBytes(input: Uint8Array | Hex | bigint | number): Uint8Array {
  if (typeof input === 'string') return hexToBytes(input)
  if (typeof input === 'number' || typeof input === 'bigint') return bigintToMinimalBytes(BigInt(input))
  return input
}

/** RLP of nested lists of bytes, hex and non-negative integers. */
export function encodeRlp(input: RlpInput): Uint8Array {
  if (Array.isArray(input)) {
    const body = concatBytes(...input.map((item: RlpInput) => encodeRlp(item)))
    return concatBytes(encodeLength(body.length, 0xc0), body)
  }
  const bytes = inputToBytes(input as Uint8Array | Hex | bigint | number)
  const [first] = bytes
  if (bytes.length === 1 && first !== undefined && first < 0x80) return bytes
  return concatBytes(encodeLength(bytes.length, 0x80), bytes)
}

type Cursor = { readonly bytes: Uint8Array; offset: number }

function fail(message: string): never {
  throw new DecodeError('RLP_INVALID', '', message)
}

function takeBytes(cursor: Cursor, length: number): Uint8Array {
  if (cursor.offset + length > cursor.bytes.length) fail(`item of ${length} bytes runs past the end`)
  const taken = cursor.bytes.subarray(cursor.offset, cursor.offset + length)
  cursor.offset += length
  return taken
}

function takeLongLength(cursor: Cursor, sizeLength: number): number {
  const size = takeBytes(cursor, sizeLength)
  if (size[0] === 0 || sizeLength > 4) fail('length is not canonical')
  const length = Number(bytesToBigint(size))
  if (length < 56) fail('length is not canonical')
  return length
}

function takeList(cursor: Cursor, length: number, depth: number): readonly RlpItem[] {
  if (depth >= DEPTH_MAX) fail(`nested deeper than ${DEPTH_MAX}`)
  const end = cursor.offset + length
  if (end > cursor.bytes.length) fail(`list of ${length} bytes runs past the end`)
  const items: RlpItem[] = []
  while (cursor.offset < end) items.push(takeItem(cursor, depth + 1))
  if (cursor.offset !== end) fail('list items overrun their list')
  return items
}

function takeItem(cursor: Cursor, depth: number): RlpItem {
  const prefix = takeBytes(cursor, 1)[0] ?? 0
  if (prefix < 0x80) return Uint8Array.of(prefix)
  if (prefix < 0xc0) {
    const bytes = takeBytes(cursor, prefix < 0xb8 ? prefix - 0x80 : takeLongLength(cursor, prefix - 0xb7))
    if (prefix === 0x81 && (bytes[0] ?? 0) < 0x80) fail('single byte is not canonical')
    return bytes
  }
  return takeList(cursor, prefix < 0xf8 ? prefix - 0xc0 : takeLongLength(cursor, prefix - 0xf7), depth)
}

/** Decodes exactly one item that fills `bytes`. @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE */
export function decodeRlp(bytes: Uint8Array, sizeMax: number): RlpItem {
  if (bytes.length > sizeMax) throw new DecodeError('RLP_TOO_LARGE', '', `expected at most ${sizeMax} bytes, got ${bytes.length}`)
  const cursor: Cursor = { bytes, offset: 0 }
  const item = takeItem(cursor, 0)
  if (cursor.offset !== bytes.length) fail(`${bytes.length - cursor.offset} bytes after the item`)
  return item
}

/** Reads the fields of one RLP list in order; every reader throws `DecodeError` FIELD_INVALID with the field's path. */
export class FieldReader {
  readonly #items: readonly RlpItem[]
  readonly #path: string
  #index = 0

  constructor(item: RlpItem, path: string, fieldCount?: number) {
    if (!Array.isArray(item)) throw new DecodeError('FIELD_INVALID', path, 'expected a list, got bytes')
    this.#items = item as readonly RlpItem[]
    this.#path = path
    if (fieldCount !== undefined && this.#items.length !== fieldCount)
      throw new DecodeError('FIELD_INVALID', path, `expected ${fieldCount} fields, got ${this.#items.length}`)
  }

  get remaining(): number {
    return this.#items.length - this.#index
  }

  #next(name: string): RlpItem {
    const item = this.#items[this.#index++]
    if (item === undefined) throw new DecodeError('FIELD_INVALID', `${this.#path}.${name}`, 'field is missing')
    return item
  }

  #invalid(name: string, message: string): never {
    throw new DecodeError('FIELD_INVALID', `${this.#path}.${name}`, message)
  }

  /** Byte string of at most `lengthMax` bytes. */
  bytes(name: string, lengthMax: number): Uint8Array {
    const item = this.#next(name)
    if (!(item instanceof Uint8Array)) return this.#invalid(name, 'expected bytes, got a list')
    if (item.length > lengthMax) return this.#invalid(name, `expected at most ${lengthMax} bytes, got ${item.length}`)
    return item
  }

  /** Byte string of exactly `length` bytes, as hex. */
  fixed(name: string, length: number): Hex {
    const bytes = this.bytes(name, length)
    if (bytes.length !== length) return this.#invalid(name, `expected ${length} bytes, got ${bytes.length}`)
    return bytesToHex(bytes)
  }

  /** Canonical unsigned integer below 2^bits. */
  bigint(name: string, bits: number): bigint {
    const bytes = this.bytes(name, Math.ceil(bits / 8))
    if (bytes[0] === 0) return this.#invalid(name, 'integer has a leading zero')
    const value = bytesToBigint(bytes)
    if (value >> BigInt(bits) !== 0n) return this.#invalid(name, `integer exceeds ${bits} bits`)
    return value
  }

  /** Canonical unsigned integer up to `max`, which is a safe integer. */
  integer(name: string, max: number): number {
    const value = this.bigint(name, 53)
    if (value > BigInt(max)) return this.#invalid(name, `expected at most ${max}, got ${value}`)
    return Number(value)
  }

  /** Nested list of at most `countMax` items. */
  list(name: string, countMax: number): readonly RlpItem[] {
    const item = this.#next(name)
    if (item instanceof Uint8Array) return this.#invalid(name, 'expected a list, got bytes')
    if (item.length > countMax) return this.#invalid(name, `expected at most ${countMax} items, got ${item.length}`)
    return item
  }

  /** A reader over a nested list. */
  nested(name: string, fieldCount?: number): FieldReader {
    return new FieldReader(this.#next(name), `${this.#path}.${name}`, fieldCount)
  }
}
