/** A few seeds of the campaign over hostile relays, and that it finds what is planted. @module */
import { describe, expect, it } from 'vitest'
import { runSeed } from '#test/sim/dcrm-campaign.ts'
import type { Mutant } from '#test/sim/dcrm-mutants.ts'
import { MUTANTS } from '#test/sim/dcrm-mutants.ts'

/** The last has parties of a large set that give up, so that their words suffice to record an absence. */
const SEEDS = [...Array.from({ length: 40 }, (_, index) => index + 1), 223]

describe('a campaign of key sessions', () => {
  it(
    'finds nobody honest blamed, nothing signed but what was ordered, and no session broken without a culprit',
    { timeout: 60_000 },
    () => {
      expect(SEEDS.flatMap((seed) => runSeed(seed).violations)).toEqual([])
    },
  )
  it.each<[string, Mutant]>(Object.entries(MUTANTS))('finds the planted fault %s', { timeout: 60_000 }, (_name, mutant) => {
    expect(SEEDS.some((seed) => runSeed(seed, mutant).violations.length > 0)).toBe(true)
  })
  it('tells the same of one seed every time', () => {
    expect(runSeed(17)).toEqual(runSeed(17))
  })
})
