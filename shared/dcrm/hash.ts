/**
 * The one way key protocols hash: every item carries its length, so no two lists of items share an encoding.
 * H(tag, a1, …) = SHA-256(len32(tag) ‖ tag ‖ len32(a1) ‖ a1 ‖ …). Tags read `FUSION-DCRM/v1/<protocol>/<use>`.
 * Source: docs/dcrm.md, hashing; the attack it closes is the shuffle of ambiguous concatenations (TSSHOCK).
 * @module
 */
import { bytesToBigint, concatBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Scalar } from '#shared/dcrm/backend.ts'

/** Begin of every tag. */
const PREFIX = 'FUSION-DCRM/v1/'

/** Something to hash: bytes, text as UTF-8, or a non-negative integer below 2^64 as 8 bytes. */
export type HashItem = Uint8Array | string | number

/** Integer as `length` big-endian bytes; the value is known to fit. */
export function uintBytes(value: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  let rest = value
  for (let index = length - 1; index >= 0; index--) {
    bytes[index] = rest % 256
    rest = Math.floor(rest / 256)
  }
  return bytes
}

const itemBytes = (item: HashItem): Uint8Array =>
  typeof item === 'string' ? utf8ToBytes(item) : typeof item === 'number' ? uintBytes(item, 8) : item

/** The unambiguous encoding that is hashed. Injective over lists of byte strings. */
export function encodeItems(tag: string, items: readonly HashItem[]): Uint8Array {
  const parts: Uint8Array[] = []
  for (const item of [`${PREFIX}${tag}`, ...items]) {
    const bytes = itemBytes(item)
    parts.push(uintBytes(bytes.length, 4), bytes)
  }
  return concatBytes(...parts)
}

/** H(tag, items): 32 bytes. */
export function hashItems(backend: Pick<DcrmBackend, 'sha256'>, tag: string, ...items: readonly HashItem[]): Uint8Array {
  return backend.sha256(encodeItems(tag, items))
}

/** H2S(tag, items): a scalar of the group. secp256k1's order is within 2^-128 of 2^256, so 32 bytes do; Ed25519 reduces 64. */
export function hashToScalar(
  backend: Pick<DcrmBackend, 'sha256' | 'sha512'>,
  group: Pick<Group, 'curve' | 'order'>,
  tag: string,
  ...items: readonly HashItem[]
): Scalar {
  const data = encodeItems(tag, items)
  return bytesToBigint(group.curve === 'secp256k1' ? backend.sha256(data) : backend.sha512(data)) % group.order
}

/** A list of ids with its count, as hash input. */
export function idsBytes(ids: readonly number[]): Uint8Array {
  return concatBytes(uintBytes(ids.length, 2), ...ids.map((id) => uintBytes(id, 2)))
}

/** A list of byte strings as one unambiguous item. */
export function listBytes(items: readonly Uint8Array[]): Uint8Array {
  return concatBytes(uintBytes(items.length, 4), ...items.flatMap((item) => [uintBytes(item.length, 4), item]))
}
