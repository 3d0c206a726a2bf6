/** Many seeds of the simulator and their sum. @module */
import { performance } from 'node:perf_hooks'
import { RULES } from '#shared/hhcm/rules.ts'
import type { Mutant } from '#test/sim/mutants.ts'
import { simulate } from '#test/sim/world.ts'
import type { SimResult } from '#test/sim/world.ts'

/** Worst recovery the design allows, slots after the network heals. */
export const RECOVERY_SLOTS_MAX = 20

export type Campaign = Readonly<{
  first: number
  seeds: number
  validatorCount: number
  byzantineCount: number
  mutant: Mutant | null
  onSeed?: (seed: number, result: SimResult) => void
}>

export type Summary = Readonly<{
  seeds: number
  /** Seeds in which two honest nodes finalised conflicting blocks. */
  conflicts: number
  /** Seeds in which an honest key signed a contradiction, or evidence names one. */
  honestSlashable: number
  livenessFailures: number
  otherViolations: number
  meanFinalityLagSlots: number
  recoveryP50Slots: number
  recoveryMaxSlots: number
  evidence: number
  seedsPerSecond: number
}>

/** Runs consecutive seeds. Below a third of dishonest stake nothing may conflict and everything must recover. */
export function runCampaign(campaign: Campaign): Summary {
  const results: SimResult[] = []
  const start = performance.now()
  for (let seed = campaign.first; seed < campaign.first + campaign.seeds; seed++) {
    const result = simulate({
      seed,
      validatorCount: campaign.validatorCount,
      byzantineCount: campaign.byzantineCount,
      laneCount: 2,
      chaosSlots: 35,
      calmSlots: RECOVERY_SLOTS_MAX + 5,
      rules: campaign.mutant?.rules ?? RULES,
      isAmnesiac: campaign.mutant?.isAmnesiac ?? false,
    })
    results.push(result)
    campaign.onSeed?.(seed, result)
  }
  const has = (result: SimResult, rule: string): boolean => result.violations.some((violation) => violation.rule === rule)
  const isOther = ({ violations }: SimResult): boolean => violations.some(({ rule }) => rule !== 'I1' && rule !== 'I3')
  const recoveries = results.map(({ recoverySlots }) => recoverySlots ?? Infinity).toSorted((left, right) => left - right)
  const isDead = ({ recoverySlots }: SimResult): boolean => recoverySlots === null || recoverySlots > RECOVERY_SLOTS_MAX
  return {
    seeds: results.length,
    conflicts: results.filter((result) => has(result, 'I1')).length,
    honestSlashable: results.filter((result) => has(result, 'I3')).length,
    livenessFailures: results.filter(isDead).length,
    otherViolations: results.filter(isOther).length,
    meanFinalityLagSlots: results.reduce((sum, { finalityLagSlots }) => sum + finalityLagSlots, 0) / results.length,
    recoveryP50Slots: recoveries[Math.floor(recoveries.length / 2)] ?? 0,
    recoveryMaxSlots: recoveries.at(-1) ?? 0,
    evidence: results.reduce((sum, { evidenceCount }) => sum + evidenceCount, 0),
    seedsPerSecond: (1000 * results.length) / (performance.now() - start),
  }
}
