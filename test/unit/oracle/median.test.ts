/** The median of enough values stays between two honest ones wherever the faulty stand. @module */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { aggregate, lowerMedian, robustSpread } from '#shared/oracle/median.ts'
import type { Observation } from '#shared/oracle/median.ts'
import { faultBudget, valueQuorum } from '#shared/params.ts'

const at = (value: bigint, status: Observation['status'] = 'OK', observedAtMs = 0): Observation => ({ value, status, observedAtMs })

describe('the median', () => {
  it('is the middle, and the lower middle of an even count', () => {
    expect(lowerMedian([3n])).toBe(3n)
    expect(lowerMedian([10n, 9n, -1n])).toBe(9n)
    expect(lowerMedian([10n, 9n, 100n, 11n])).toBe(10n)
  })

  it('never leaves the honest hull, nor does a liar widen the spread beyond it', () => {
    const placement = fc.integer({ min: 1, max: 13 }).chain((memberCount) => {
      const faulty = faultBudget(memberCount)
      const honest = fc.integer({ min: valueQuorum(memberCount) - faulty, max: memberCount - faulty })
      return honest.chain((count) =>
        fc.record({
          memberCount: fc.constant(memberCount),
          honest: fc.array(fc.bigInt(-1000n, 1000n), { minLength: count, maxLength: count }),
          lies: fc.array(fc.bigInt(-(10n ** 30n), 10n ** 30n), { minLength: faulty, maxLength: faulty }),
        }),
      )
    })
    fc.assert(
      fc.property(placement, ({ memberCount, honest, lies }) => {
        const sorted = honest.toSorted((a, b) => (a < b ? -1 : 1))
        const [low = 0n] = sorted
        const high = sorted.at(-1) ?? 0n
        const median = lowerMedian([...honest, ...lies])
        expect(median >= low && median <= high).toBe(true)
        expect(robustSpread([...honest, ...lies], memberCount) <= high - low).toBe(true)
      }),
      { numRuns: 500 },
    )
  })
})

describe('an aggregate', () => {
  it('needs a quorum', () => {
    expect(aggregate([at(1n), at(2n)], 4, 3, 1000)).toBeNull()
  })

  it('carries the median, the spread inside the fault budget and the lower median time', () => {
    expect(aggregate([at(100n, 'OK', 5), at(101n, 'OK', 7), at(102n, 'OK', 6), at(9999n, 'OK', 8)], 4, 3, 200_000)).toEqual({
      value: 101n,
      spread: 1n,
      status: 'OK',
      observedAtMs: 6,
    })
  })

  it('is WIDE when honest sources disagree beyond the limit or say so themselves', () => {
    expect(aggregate([at(100n), at(100n), at(200n), at(200n)], 4, 3, 200_000)?.status).toBe('WIDE')
    expect(aggregate([at(-100n), at(-100n), at(-121n), at(-121n)], 4, 3, 200_000)).toMatchObject({
      status: 'OK',
      value: -121n,
      spread: 21n,
    })
    expect(aggregate([at(-121n), at(-100n), at(-100n), at(-122n)], 4, 3, 170_000)?.status).toBe('WIDE')
    expect(aggregate([at(5n), at(5n, 'WIDE'), at(5n, 'WIDE')], 4, 3, 200_000)?.status).toBe('WIDE')
  })

  it('ignores a source that does not quote as long as a quorum does', () => {
    expect(aggregate([at(5n), at(6n), at(7n), at(0n, 'HALTED')], 4, 3, 200_000)).toMatchObject({ status: 'OK', value: 6n })
    expect(aggregate([at(50n), at(51n), at(52n), at(0n, 'HALTED')], 4, 3, 200_000)).toMatchObject({ status: 'OK', value: 51n })
  })

  it('is HALTED without a quoting quorum, CLOSED when most of the silent say so', () => {
    expect(aggregate([at(5n), at(5n, 'HALTED'), at(5n, 'CLOSED')], 4, 3, 200_000)?.status).toBe('HALTED')
    expect(aggregate([at(5n), at(5n, 'CLOSED'), at(5n, 'CLOSED')], 4, 3, 200_000)?.status).toBe('CLOSED')
  })
})
