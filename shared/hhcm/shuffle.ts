/**
 * Deterministic permutation keyed by 32 bytes or more: Fisher-Yates over a SHA-256 counter stream, unbiased by rejection.
 * Source: whitepaper 5.5.1 (determination of grouping); Knuth, TAOCP 2, algorithm P.
 * @module
 */
import { concatBytes } from '#shared/bytes.ts'
import { sha256 } from '@noble/hashes/sha2.js'

const WORD_RANGE = 0x1_0000_0000
const WORDS_PER_DIGEST = 8

/** Unbiased integers from SHA-256(key ‖ uint32 counter), read as big-endian 32-bit words. */
class CounterStream {
  readonly #key: Uint8Array
  #words: DataView = new DataView(new ArrayBuffer(0))
  #used = WORDS_PER_DIGEST
  #counter = 0

  constructor(key: Uint8Array) {
    this.#key = key
  }

  #word(): number {
    if (this.#used === WORDS_PER_DIGEST) {
      const counter = new Uint8Array(4)
      new DataView(counter.buffer).setUint32(0, this.#counter++)
      const digest = sha256(concatBytes(this.#key, counter))
      this.#words = new DataView(digest.buffer, digest.byteOffset, digest.length)
      this.#used = 0
    }
    return this.#words.getUint32(4 * this.#used++)
  }

  below(bound: number): number {
    const limit = WORD_RANGE - (WORD_RANGE % bound)
    let word = this.#word()
    while (word >= limit) word = this.#word()
    return word % bound
  }
}

/** The permutation of 0..count−1 that `key` selects; `result[position]` is the item at that position. */
export function shuffledIndices(key: Uint8Array, count: number): number[] {
  const stream = new CounterStream(key)
  const items = Array.from({ length: count }, (_, index) => index)
  for (let last = count - 1; last > 0; last--) {
    const chosen = stream.below(last + 1)
    const moved = items[last] ?? 0
    items[last] = items[chosen] ?? 0
    items[chosen] = moved
  }
  return items
}
