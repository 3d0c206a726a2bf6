/** Seeded random numbers and an event heap for the simulator: one seed, one history. Source: xoshiro128**, Blackman and Vigna. @module */

export type Prng = Readonly<{
  /** Integer in [0, bound). */
  below: (bound: number) => number
  chance: (probability: number) => boolean
}>

/** A generator of its own for every seed. */
export function createPrng(seed: number): Prng {
  const state = new Uint32Array(4)
  let mixed = seed >>> 0
  for (let index = 0; index < 4; index++) {
    mixed = (mixed + 0x9e3779b9) >>> 0
    let word = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b)
    word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35)
    state[index] = (word ^ (word >>> 16)) >>> 0
  }
  const rotate = (word: number, by: number): number => ((word << by) | (word >>> (32 - by))) >>> 0
  const next = (): number => {
    const [a = 0, b = 0, c = 0, d = 0] = state
    const result = Math.imul(rotate(Math.imul(b, 5) >>> 0, 7), 9) >>> 0
    const shifted = (b << 9) >>> 0
    const third = c ^ a
    const fourth = d ^ b
    state[1] = b ^ third
    state[0] = a ^ fourth
    state[2] = third ^ shifted
    state[3] = rotate(fourth >>> 0, 11)
    return result
  }
  return { below: (bound) => next() % bound, chance: (probability) => next() < probability * 0x1_0000_0000 }
}

export type Scheduled<T> = Readonly<{ atMs: number; order: number; event: T }>

/** Earliest first; equal times in order of insertion. */
export class EventHeap<T> {
  readonly #items: Scheduled<T>[] = []
  #order = 0

  get size(): number {
    return this.#items.length
  }

  #isBefore(left: number, right: number): boolean {
    const a = this.#items[left]
    const b = this.#items[right]
    if (a === undefined || b === undefined) return b === undefined
    return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order)
  }

  #swap(left: number, right: number): void {
    const a = this.#items[left]
    const b = this.#items[right]
    if (a === undefined || b === undefined) return
    this.#items[left] = b
    this.#items[right] = a
  }

  push(atMs: number, event: T): void {
    this.#items.push({ atMs, order: this.#order++, event })
    for (let at = this.#items.length - 1; at > 0;) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(at, parent)) break
      this.#swap(at, parent)
      at = parent
    }
  }

  pop(): Scheduled<T> | undefined {
    const [top] = this.#items
    const last = this.#items.pop()
    if (last === undefined || this.#items.length === 0) return top
    this.#items[0] = last
    for (let at = 0; ;) {
      const left = 2 * at + 1
      if (left >= this.#items.length) break
      const right = left + 1
      const smaller = right < this.#items.length && this.#isBefore(right, left) ? right : left
      if (!this.#isBefore(smaller, at)) break
      this.#swap(smaller, at)
      at = smaller
    }
    return top
  }
}
