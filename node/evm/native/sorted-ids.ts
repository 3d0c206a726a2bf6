/** Ids ordered by a number: what is due first is found first. @module */
import type { Hash } from '#shared/types.ts'

type Item = Readonly<{ key: number; id: Hash }>

const precedes = (left: Item, right: Item): boolean => left.key < right.key || (left.key === right.key && left.id < right.id)

/** An ordered list with binary search. */
export class SortedIds {
  readonly #items: Item[] = []

  #position(item: Item): number {
    let low = 0
    let high = this.#items.length
    while (low < high) {
      const middle = (low + high) >> 1
      const there = this.#items[middle]
      if (there !== undefined && precedes(there, item)) low = middle + 1
      else high = middle
    }
    return low
  }

  add(key: number, id: Hash): void {
    const item = { key, id }
    this.#items.splice(this.#position(item), 0, item)
  }

  remove(key: number, id: Hash): void {
    const position = this.#position({ key, id })
    const there = this.#items[position]
    if (there?.key === key && there.id === id) this.#items.splice(position, 1)
  }

  /** Ids with a key at or below `limit`, lowest first. */
  upTo(limit: number): readonly Hash[] {
    const ids: Hash[] = []
    for (const { key, id } of this.#items) {
      if (key > limit) break
      ids.push(id)
    }
    return ids
  }

  clear(): void {
    this.#items.length = 0
  }
}
