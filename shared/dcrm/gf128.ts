/**
 * The field of 2^128 elements modulo x^128 + x^7 + x^2 + x + 1; bit k of an element is the coefficient of x^k. Used for one thing: a linear
 * hash of bit strings with random weights. Source: docs/dcrm.md, OT extension.
 * @module
 */

/** Words of an element. */
export const GF_WORDS = 4
const NIBBLES = 32
const ENTRIES = 16
const TABLE_WORDS = NIBBLES * ENTRIES * GF_WORDS

/** For each nibble of a factor, at each position, its product with one fixed element. */
function productTable(element: Uint32Array): Uint32Array {
  const table = new Uint32Array(TABLE_WORDS)
  const power = element.slice()
  for (let nibble = 0; nibble < NIBBLES; nibble++)
    for (let bit = 1; bit < ENTRIES; bit <<= 1) {
      for (let rest = 0; rest < bit; rest++)
        for (let word = 0; word < GF_WORDS; word++)
          table[(nibble * ENTRIES + bit + rest) * GF_WORDS + word] =
            (table[(nibble * ENTRIES + rest) * GF_WORDS + word] ?? 0) ^ (power[word] ?? 0)
      double(power)
    }
  return table
}

/** Multiplies an element by x, in place. */
function double(element: Uint32Array): void {
  const carry = (element[3] ?? 0) >>> 31
  for (let word = GF_WORDS - 1; word > 0; word--) element[word] = ((element[word] ?? 0) << 1) | ((element[word - 1] ?? 0) >>> 31)
  element[0] = ((element[0] ?? 0) << 1) ^ (carry === 1 ? 0x87 : 0)
}

/**
 * y ↦ Σ χ_k·y_k + y_m for strings of 544 bits: y_0 … y_2 are its first blocks of 128 bits, y_3 the next 32 bits, y_m the last 128.
 * `weights` are χ_0 … χ_3, 16 words. The function reads 17 words from `offset` and writes 4 words to `target`.
 */
export function linearHash(weights: Uint32Array): (words: Uint32Array, offset: number, target: Uint32Array) => void {
  const tables = [0, 4, 8, 12].map((start) => productTable(weights.subarray(start, start + GF_WORDS)))
  const MASK_AT = 13
  return (words, offset, target) => {
    let [first, second, third, fourth] = [0, 1, 2, 3].map((word) => words[offset + MASK_AT + word] ?? 0) as [number, number, number, number]
    for (let word = 0; word < MASK_AT; word++) {
      const table = tables[word >>> 2] as Uint32Array
      const bits = words[offset + word] ?? 0
      for (let nibble = 0; nibble < 8; nibble++) {
        const at = (((word & 3) * 8 + nibble) * ENTRIES + ((bits >>> (4 * nibble)) & 15)) * GF_WORDS
        first ^= table[at] ?? 0
        second ^= table[at + 1] ?? 0
        third ^= table[at + 2] ?? 0
        fourth ^= table[at + 3] ?? 0
      }
    }
    target[0] = first
    target[1] = second
    target[2] = third
    target[3] = fourth
  }
}
