/** What fits in a block, and that nothing starves. @module */
import { compareAge, selectWithinBudget } from '#shared/trigger/budget.ts'
import type { DueItem } from '#shared/trigger/budget.ts'
import fc from 'fast-check'
import { numberToHex } from 'viem'
import { describe, expect, it } from 'vitest'

const item = (id: number, scheduledAtMs: number, tip: number, gas: number): DueItem => ({
  entryId: numberToHex(id, { size: 32 }),
  occurrence: numberToHex(scheduledAtMs, { size: 32 }),
  scheduledAtMs,
  tipWei: BigInt(tip),
  gas,
})
const ids = (items: readonly DueItem[]): number[] => items.map(({ entryId }) => Number(entryId))

describe('the order of age', () => {
  it('is time, then entry, then occurrence', () => {
    const items = [item(2, 5, 0, 1), item(1, 5, 9, 1), item(3, 4, 0, 1), { ...item(1, 5, 9, 1), occurrence: numberToHex(4, { size: 32 }) }]
    expect(items.toSorted(compareAge).map(({ entryId, occurrence }) => [Number(entryId), Number(occurrence)])).toEqual([
      [3, 4],
      [1, 4],
      [1, 5],
      [2, 5],
    ])
  })
})

describe('the trigger budget', () => {
  it('takes everything that fits, in order of age', () => {
    expect(ids(selectWithinBudget([item(1, 9, 1, 30), item(2, 3, 5, 30), item(3, 6, 0, 30)], 100))).toEqual([2, 3, 1])
  })

  it('gives a quarter to age and the rest to tips', () => {
    const old = [1, 2, 3, 4].map((id) => item(id, id, 0, 25))
    const rich = [5, 6, 7, 8].map((id) => item(id, 100, 10 + id, 25))
    expect(ids(selectWithinBudget([...old, ...rich], 100))).toEqual([1, 6, 7, 8])
  })

  it('gives age all that fits in its quarter, not the oldest alone', () => {
    const old = [1, 2, 3].map((id) => item(id, id, 0, 10))
    const rich = [4, 5, 6, 7, 8, 9, 10].map((id) => item(id, 100, 10 + id, 10))
    expect(ids(selectWithinBudget([...old, ...rich], 80))).toEqual([1, 2, 5, 6, 7, 8, 9, 10])
  })

  it('breaks ties of tips by age', () => {
    expect(ids(selectWithinBudget([item(1, 1, 0, 50), item(2, 7, 5, 50), item(3, 6, 5, 50)], 100))).toEqual([1, 3])
  })

  it('takes the oldest even if it is more than a quarter', () => {
    expect(ids(selectWithinBudget([item(1, 1, 0, 50), item(2, 2, 99, 60)], 100))).toEqual([1])
  })

  it('fills what is left with smaller ones', () => {
    expect(ids(selectWithinBudget([item(1, 1, 0, 60), item(2, 2, 9, 50), item(3, 3, 1, 40)], 100))).toEqual([1, 3])
  })

  it('takes nothing that does not fit alone', () => {
    expect(selectWithinBudget([item(1, 1, 0, 101)], 100)).toEqual([])
    expect(selectWithinBudget([], 100)).toEqual([])
  })

  const due = fc.array(fc.tuple(fc.nat(50), fc.nat(50), fc.nat(20), fc.integer({ min: 1, max: 50 })), { maxLength: 60 })

  it('never exceeds the budget, never depends on the order given, never takes one twice', () => {
    fc.assert(
      fc.property(due, (tuples) => {
        const items = tuples.map(([, at, tip, gas], index) => item(index, at, tip, gas))
        const chosen = selectWithinBudget(items, 100)
        expect(chosen.reduce((total, { gas }) => total + gas, 0)).toBeLessThanOrEqual(100)
        expect(new Set(chosen).size).toBe(chosen.length)
        expect(selectWithinBudget(items.toReversed(), 100)).toEqual(chosen)
      }),
    )
  })

  it('runs every due item in the end, though younger ones that tip more keep coming', () => {
    fc.assert(
      fc.property(due, fc.integer({ min: 1, max: 50 }), (tuples, rivalGas) => {
        let waiting = tuples.map(([, at, tip, gas], index) => item(index, at, tip, gas))
        for (let block = 0; waiting.length > 0; block++) {
          expect(block).toBeLessThanOrEqual(tuples.length)
          const rivals = Array.from({ length: 10 }, (_, index) => item(1000 + index, 100 + block, 1_000_000, rivalGas))
          const chosen = new Set(selectWithinBudget([...waiting, ...rivals], 100))
          waiting = waiting.filter((one) => !chosen.has(one))
        }
      }),
    )
  })
})
