/** Bytes that arrive in parts and may be too many: what every reader of a stream from elsewhere counts with. @module */

/** Bytes of room at first; it doubles when it is full. */
const ROOM = 4096

/** Collects parts up to a limit in bytes. */
export class BoundedBytes {
  readonly #limit: number
  /** One buffer, whatever the parts: a sender may cut as finely as it likes. */
  #buffer = new Uint8Array(ROOM)
  #length = 0

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Takes a part unless all together would be longer than the limit; then the reader should hang up. */
  take(part: Uint8Array): boolean {
    const length = this.#length + part.length
    if (length > this.#limit) return false
    if (length > this.#buffer.length) {
      const larger = new Uint8Array(Math.max(length, 2 * this.#buffer.length))
      larger.set(this.#buffer.subarray(0, this.#length))
      this.#buffer = larger
    }
    this.#buffer.set(part, this.#length)
    this.#length = length
    return true
  }

  /** All that was taken. */
  whole(): Uint8Array {
    return this.#buffer.slice(0, this.#length)
  }
}
