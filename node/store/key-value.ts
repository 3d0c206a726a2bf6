/** Ordered key-value store with atomic batches: the only thing the chain store asks of a database. @module */

/** One change of a batch; a null value removes the key. */
export type Write = Readonly<{ key: Uint8Array; value: Uint8Array | null }>

/** Synchronous reads, atomic writes. */
export type KeyValue = Readonly<{
  get: (key: Uint8Array) => Uint8Array | undefined
  /** Entries whose key starts with `prefix`, in ascending byte order. */
  range: (prefix: Uint8Array) => Iterable<readonly [Uint8Array, Uint8Array]>
  /** All changes or none, in one transaction; visible to reads once the promise resolves. */
  write: (writes: readonly Write[]) => Promise<void>
  close: () => Promise<void>
}>
