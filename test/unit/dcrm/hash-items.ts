/** Reads hash inputs back: len32(tag) ‖ tag ‖ len32(item) ‖ item ‖ … as docs/dcrm.md, hashing, has them. @module */
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { unhex } from '#test/unit/dcrm/support.ts'

const PREFIX = 'FUSION-DCRM/v1/'

/** The tag without its beginning, the items as hex, and what follows the last whole one. */
export type Heard = Readonly<{ tag: string; items: readonly string[]; rest: Uint8Array }>

/** Null for an input without a tag. */
export function itemsOf(data: Uint8Array): Heard | null {
  const parts: Uint8Array[] = []
  let at = 0
  while (at + 4 <= data.length && parts.length < 12) {
    const length = Buffer.from(data).readUInt32BE(at)
    if (at + 4 + length > data.length) break
    parts.push(data.slice(at + 4, at + 4 + length))
    at += 4 + length
  }
  const tag = Buffer.from(parts[0] ?? []).toString()
  return tag.startsWith(PREFIX)
    ? { tag: tag.slice(PREFIX.length), items: parts.slice(1).map((part) => unhex(part)), rest: data.slice(at) }
    : null
}

/** The backend with every input of its hashes told to `note` first. */
export function overheard(backend: DcrmBackend, note: (data: Uint8Array) => void): DcrmBackend {
  const hashed =
    <Rest extends readonly unknown[]>(hash: (data: Uint8Array, ...rest: Rest) => Uint8Array) =>
    (data: Uint8Array, ...rest: Rest): Uint8Array => {
      note(data)
      return hash(data, ...rest)
    }
  return { ...backend, sha256: hashed(backend.sha256), sha512: hashed(backend.sha512), shake256: hashed(backend.shake256) }
}
