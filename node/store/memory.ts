/** Key-value store in memory, for tests and throw-away nodes; same contract as the LMDB one. @module */
import { bytesToHex, compareHex, hexToBytes } from '#shared/bytes.ts'
import type { Hex } from '#shared/types.ts'

import type { KeyValue } from '#node/store/key-value.ts'

/** An empty store that lives as long as the process. */
export function openMemory(): KeyValue {
  const entries = new Map<Hex, Uint8Array>()
  return {
    get: (key) => entries.get(bytesToHex(key)),
    range: (prefix) => {
      const start = bytesToHex(prefix)
      const keys = [...entries.keys()].filter((key) => key.startsWith(start)).toSorted(compareHex)
      return keys.map((key) => [hexToBytes(key), entries.get(key) ?? new Uint8Array(0)] as const)
    },
    write: (writes) => {
      for (const { key, value } of writes)
        if (value === null) entries.delete(bytesToHex(key))
        else entries.set(bytesToHex(key), value)
      return Promise.resolve()
    },
    close: () => Promise.resolve(),
  }
}
