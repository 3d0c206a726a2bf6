/** Names for the reads of an evaluation, so that a shell can answer them in any order. @module */
import { bytesToHex } from '#shared/bytes.ts'
import type { ReadKey } from '#shared/trigger/types.ts'

/** Name of a key; equal keys have equal names. */
export function readKeyId(key: ReadKey): string {
  switch (key.kind) {
    case 'feedHistory':
      return `feedHistory:${key.feed}:${key.after}`
    case 'logs':
      return `logs:${key.afterPosition}:${key.addresses.join(',')}:${key.topics.map((accepted) => accepted.join(',')).join(';')}:${key.topics.length}`
    case 'call':
      return `call:${key.from}:${key.to}:${bytesToHex(key.data)}:${key.gasLimit}`
  }
}
