/** Hex of the execution layer's hot paths, through the host's own converter; same results as shared/bytes. @module */
import type { Hex } from '#shared/types.ts'

/** Bytes to lower-case hex with prefix. */
export function toHex(bytes: Uint8Array): Hex {
  return `0x${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('hex')}`
}

/** Prefixed hex of known good form to a plain byte array. */
export function fromHex(hex: Hex): Uint8Array {
  const buffer = Buffer.from(hex.slice(2), 'hex')
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)
}
