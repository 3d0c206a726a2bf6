/** A small table of JSON values by integer key inside a Durable Object: rows are bounded, so that no state outgrows one. @module */

const replacer = (_key: string, value: unknown): unknown => {
  if (typeof value === 'bigint') return { $bigint: value.toString() }
  if (value instanceof Uint8Array) return { $bytes: Array.from(value) }
  return value
}

const reviver = (_key: string, value: unknown): unknown => {
  if (typeof value !== 'object' || value === null) return value
  if ('$bigint' in value && typeof value.$bigint === 'string') return BigInt(value.$bigint)
  if ('$bytes' in value && Array.isArray(value.$bytes)) return Uint8Array.from(value.$bytes as number[])
  return value
}

/** Values in order of first insertion. Bigints and bytes survive. */
export class ObjectTable<Value> {
  readonly #storage: DurableObjectStorage
  readonly #name: string

  constructor(storage: DurableObjectStorage, name: 'rounds' | 'outbox' | 'statements' | 'proven' | 'blocks') {
    this.#storage = storage
    this.#name = name
    storage.sql.exec(`CREATE TABLE IF NOT EXISTS ${name} (ordinal INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, json TEXT NOT NULL)`)
  }

  all(): Value[] {
    return this.#storage.sql
      .exec<{ json: string }>(`SELECT json FROM ${this.#name} ORDER BY ordinal`)
      .toArray()
      .map(({ json }) => JSON.parse(json, reviver) as Value)
  }

  isEmpty(): boolean {
    return this.#storage.sql.exec<{ count: number }>(`SELECT count(*) AS count FROM ${this.#name}`).one().count === 0
  }

  put(key: string, value: Value): void {
    this.#storage.sql.exec(
      `INSERT INTO ${this.#name} (key, json) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET json = excluded.json`,
      key,
      JSON.stringify(value, replacer),
    )
  }

  remove(key: string): void {
    this.#storage.sql.exec(`DELETE FROM ${this.#name} WHERE key = ?`, key)
  }

  /** Writes only what differs between two lists of immutable values. */
  replace(before: readonly Value[], after: readonly Value[], keyOf: (value: Value) => string): void {
    const had = new Set(before)
    const keys = new Set(after.map((value) => keyOf(value)))
    for (const value of before) if (!keys.has(keyOf(value))) this.remove(keyOf(value))
    for (const value of after) if (!had.has(value)) this.put(keyOf(value), value)
  }
}
