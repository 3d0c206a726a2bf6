/**
 * Key-value store on LMDB. A batch is one write transaction: after `kill -9` at any moment a reader sees all of it or nothing of it.
 * @module
 */
import type { KeyValue } from '#node/store/key-value.ts'
import { open } from 'lmdb'

const plain = (buffer: Buffer): Uint8Array => new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.length)

/** First key above every key that starts with `prefix`; undefined when there is none. */
function prefixEnd(prefix: Uint8Array): Uint8Array | undefined {
  const end = Uint8Array.from(prefix)
  for (let index = end.length - 1; index >= 0; index--) {
    const byte = end[index] ?? 0
    if (byte < 0xff) {
      end[index] = byte + 1
      return end.subarray(0, index + 1)
    }
  }
  return undefined
}

/** Opens or creates the database in `directory`. One process at a time writes to it. */
export function openLmdb(directory: string): KeyValue {
  const database = open<Buffer, Uint8Array>({ path: directory, encoding: 'binary', keyEncoding: 'binary', noMemInit: true, maxDbs: 2 })
  return {
    get: (key) => {
      const value = database.getBinary(key)
      return value === undefined ? undefined : plain(value)
    },
    range: function* (prefix) {
      const end = prefixEnd(prefix)
      for (const { key, value } of database.getRange({ start: prefix, ...(end === undefined ? {} : { end }) }))
        yield [Uint8Array.from(key), Uint8Array.from(value)] as const
    },
    write: async (writes) => {
      if (writes.length === 0) return
      await database.batch(() => {
        for (const { key, value } of writes)
          if (value === null) void database.remove(key)
          else void database.put(key, Buffer.from(value.buffer, value.byteOffset, value.length))
      })
    },
    close: () => database.close(),
  }
}
