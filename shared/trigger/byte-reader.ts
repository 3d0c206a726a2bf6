/** Cursor over the canonical encoding of a description: fixed widths, big-endian, explicit lengths. @module */
import { bytesToBigint, bytesToHex, equalBytes, utf8ToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Hex } from '#shared/types.ts'

/** Strict UTF-8 (RFC 3629), or null: whatever does not encode back to the same bytes is refused, so overlong forms and surrogates are. */
export function utf8FromBytes(bytes: Uint8Array): string | null {
  let text = ''
  for (let index = 0; index < bytes.length;) {
    const lead = bytes[index] ?? 0
    const length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4
    let point = length === 1 ? lead : lead & (0x7f >> length)
    for (const byte of bytes.subarray(index + 1, index + length)) point = (point << 6) | (byte & 0x3f)
    if (point > 0x10ffff) return null
    text += String.fromCodePoint(point)
    index += length
  }
  return equalBytes(utf8ToBytes(text), bytes) ? text : null
}

/** Reads fields in order; every method throws `DecodeError` DESCRIPTION_INVALID naming the field. */
export class ByteReader {
  readonly #bytes: Uint8Array
  #offset = 0

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
  }

  /** Ends the decoding: nothing may be left. */
  end(): void {
    const left = this.#bytes.length - this.#offset
    if (left !== 0) this.fail('', `${left} bytes after the description`)
  }

  fail(path: string, message: string): never {
    throw new DecodeError('DESCRIPTION_INVALID', path, message)
  }

  bytes(path: string, length: number): Uint8Array {
    if (this.#offset + length > this.#bytes.length) this.fail(path, `${length} bytes expected, input ends`)
    const taken = this.#bytes.slice(this.#offset, this.#offset + length)
    this.#offset += length
    return taken
  }

  hex(path: string, length: number): Hex {
    return bytesToHex(this.bytes(path, length))
  }

  bigint(path: string, length: number): bigint {
    return bytesToBigint(this.bytes(path, length))
  }

  /** Unsigned integer of at most six bytes, which a number holds exactly. */
  integer(path: string, length: 1 | 2 | 4 | 6): number {
    return Number(this.bigint(path, length))
  }

  flag(path: string): boolean {
    const value = this.integer(path, 1)
    if (value > 1) this.fail(path, `expected 0 or 1, got ${value}`)
    return value === 1
  }

  /** Member of a closed list by its position. */
  member<T>(path: string, members: readonly T[]): T {
    const index = this.integer(path, 1)
    const found = members[index]
    if (found === undefined) return this.fail(path, `expected below ${members.length}, got ${index}`)
    return found
  }

  /** Text with a one-byte length in bytes. */
  text(path: string): string {
    const text = utf8FromBytes(this.bytes(path, this.integer(path, 1)))
    if (text === null) return this.fail(path, 'not UTF-8')
    return text
  }

  /** `count` items under numbered paths. */
  list<T>(path: string, count: number, read: (path: string) => T): T[] {
    return Array.from({ length: count }, (_, index) => read(`${path}/${index}`))
  }
}
