/**
 * Bit strings as little-endian 32-bit words, bit k in word k >> 5 at k & 31, and the transposition of a matrix of them.
 * Source: Warren, Hacker's Delight, 7-3 (block swaps).
 * @module
 */

/** Words from bytes, four each, little-endian. `bytes.length` is a multiple of 4. */
export function wordsOf(bytes: Uint8Array): Uint32Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const words = new Uint32Array(bytes.length / 4)
  for (let index = 0; index < words.length; index++) words[index] = view.getUint32(4 * index, true)
  return words
}

/** The inverse of `wordsOf`. */
export function bytesOfWords(words: Uint32Array): Uint8Array {
  const bytes = new Uint8Array(4 * words.length)
  const view = new DataView(bytes.buffer)
  for (let index = 0; index < words.length; index++) view.setUint32(4 * index, words[index] ?? 0, true)
  return bytes
}

/** Bit `index` of a string. */
export function bitOf(words: Uint32Array, index: number): 0 | 1 {
  return (((words[index >>> 5] ?? 0) >>> (index & 31)) & 1) as 0 | 1
}

/** Transposes 32 words of 32 bits in place: bit c of word r goes to bit r of word c. */
function transposeBlock(block: Uint32Array): void {
  let mask = 0x0000ffff
  for (let width = 16; width !== 0; width >>>= 1, mask ^= mask << width)
    for (let row = 0; row < 32; row = (row + width + 1) & ~width) {
      const other = row + width
      const swapped = (((block[row] ?? 0) >>> width) ^ (block[other] ?? 0)) & mask
      block[row] = (block[row] ?? 0) ^ (swapped << width)
      block[other] = (block[other] ?? 0) ^ swapped
    }
}

/**
 * Rows of a matrix given by columns. `columns` holds `count` strings of `words` words each; the result holds 32·`rowWords` rows of count/32
 * words each, made of the first `rowWords` words of the columns. `count` is a multiple of 32.
 */
export function transposeColumns(columns: Uint32Array, count: number, words: number, rowWords: number): Uint32Array {
  const width = count / 32
  const rows = new Uint32Array(32 * rowWords * width)
  const block = new Uint32Array(32)
  for (let group = 0; group < width; group++)
    for (let word = 0; word < rowWords; word++) {
      for (let lane = 0; lane < 32; lane++) block[lane] = columns[(32 * group + lane) * words + word] ?? 0
      transposeBlock(block)
      for (let bit = 0; bit < 32; bit++) rows[(32 * word + bit) * width + group] = block[bit] ?? 0
    }
  return rows
}
