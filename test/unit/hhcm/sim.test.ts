/** The simulator in short: clean seeds, and planted faults that must be caught. More seeds: `npm run sim`. @module */
import { describe, expect, it } from 'vitest'
import { runCampaign } from '#test/sim/campaign.ts'
import { MUTANTS } from '#test/sim/mutants.ts'
import { createPrng, EventHeap } from '#test/sim/prng.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import { simulate } from '#test/sim/world.ts'

const SIZES = [
  { validatorCount: 4, byzantineCount: 0, seeds: 4 },
  { validatorCount: 4, byzantineCount: 1, seeds: 6 },
  { validatorCount: 7, byzantineCount: 2, seeds: 3 },
] as const

describe('below a third of dishonest stake', () => {
  it.each(SIZES)(
    '$validatorCount validators, $byzantineCount of them split-brained: no conflict, no honest evidence, recovery',
    (size) => {
      const summary = runCampaign({ ...size, first: 1, mutant: null })
      expect(summary).toMatchObject({ conflicts: 0, honestSlashable: 0, livenessFailures: 0, otherViolations: 0 })
      expect(summary.meanFinalityLagSlots).toBeLessThan(6)
      expect(summary.evidence > 0).toBe(size.byzantineCount > 0)
    },
    120_000,
  )

  it('a calm network is never more than three slots behind (I14)', () => {
    for (let seed = 1; seed <= 3; seed++) {
      const options = {
        seed,
        validatorCount: 4,
        byzantineCount: 0,
        laneCount: 2,
        chaosSlots: 0,
        calmSlots: 20,
        rules: RULES,
        isAmnesiac: false,
      }
      expect(simulate(options).finalityLagSlots).toBeLessThanOrEqual(3)
    }
  }, 60_000)

  it('one seed is one history', () => {
    const options = {
      seed: 7,
      validatorCount: 4,
      byzantineCount: 1,
      laneCount: 2,
      chaosSlots: 10,
      calmSlots: 5,
      rules: RULES,
      isAmnesiac: false,
    }
    expect(simulate(options)).toEqual(simulate(options))
  }, 60_000)
})

describe('planted faults', () => {
  // Seeds that are known to catch the fault: the simulator must go on finding what it once found.
  const campaign = (
    mutant: keyof typeof MUTANTS,
    first: number,
    seeds: number,
    [validatorCount, byzantineCount]: readonly [number, number] = [7, 2],
  ) => runCampaign({ first, seeds, validatorCount, byzantineCount, mutant: MUTANTS[mutant] })

  it('a quorum of one half lets two chains become final', () => {
    expect(campaign('quorum-half', 1, 2).conflicts).toBeGreaterThan(0)
  }, 120_000)

  it('a fork choice that ignores the justified checkpoint does not recover', () => {
    const { livenessFailures, conflicts, honestSlashable } = campaign('ignore-justified', 4, 1)
    expect(livenessFailures + conflicts + honestSlashable).toBeGreaterThan(0)
  }, 120_000)

  it('a node that forgets what it signed convicts itself', () => {
    expect(campaign('amnesia', 20, 1, [4, 0]).honestSlashable).toBeGreaterThan(0)
  }, 120_000)
})

describe("the simulator's tools", () => {
  it('the heap pops by time, then by order of insertion', () => {
    const prng = createPrng(3)
    const heap = new EventHeap<number>()
    const times = Array.from({ length: 500 }, () => prng.below(40))
    for (const [index, atMs] of times.entries()) heap.push(atMs, index)
    const popped = Array.from({ length: 500 }, () => heap.pop()?.event ?? -1)
    const expected = times.map((atMs, index) => ({ atMs, index })).toSorted((a, b) => a.atMs - b.atMs || a.index - b.index)
    expect(popped).toEqual(expected.map(({ index }) => index))
    expect(heap.pop()).toBeUndefined()
    expect(heap.size).toBe(0)
  })
})
