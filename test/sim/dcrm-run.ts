/** `npm run sim:dcrm -- --seeds N --first S`: key protocols over hostile relays; one line of JSON at the end, exit code 1 on a violation. @module */
import { parseArgs } from 'node:util'
import { runSeed } from '#test/sim/dcrm-campaign.ts'
import { MUTANTS } from '#test/sim/dcrm-mutants.ts'

const { values } = parseArgs({
  options: { seeds: { type: 'string' }, first: { type: 'string' }, mutant: { type: 'string' }, help: { type: 'boolean' } },
})
const names = Object.keys(MUTANTS).join(' ')
const isKnown = values.mutant === undefined || values.mutant in MUTANTS
if (values.help === true || !isKnown) {
  process.stdout.write(`usage: npm run sim:dcrm -- [--seeds 500] [--first 1] [--mutant NAME]\nmutants: ${names}\n`)
  process.exit(isKnown ? 0 : 2)
}
const seeds = Number(values.seeds ?? 500)
const first = Number(values.first ?? 1)
const mutant = MUTANTS[values.mutant ?? '']
const startedMs = Date.now()
const protocols: Record<string, number> = {}
const outcomes = { finished: 0, named: 0, disputed: 0, absent: 0, unnamed: 0 }
const counts = { lossless: 0, cheaters: 0, killed: 0, violations: 0 }
for (let seed = first; seed < first + seeds; seed++) {
  const report = runSeed(seed, mutant)
  const { protocol, outcome, isLossless, cheat, isKilled, violations } = report
  protocols[protocol] = (protocols[protocol] ?? 0) + 1
  outcomes[outcome]++
  if (isLossless) counts.lossless++
  if (cheat !== null) counts.cheaters++
  if (isKilled) counts.killed++
  counts.violations += violations.length
  for (const violation of violations)
    process.stderr.write(
      `seed ${seed} (${protocol}, ${report.weather}, ${cheat ?? 'no cheat'}${isKilled ? ', killed' : ''}): ${violation}\n`,
    )
  if ((seed - first + 1) % 500 === 0)
    process.stderr.write(`${seed - first + 1} of ${seeds} seeds, ${Math.round((Date.now() - startedMs) / 1000)} s\n`)
}
const { unnamed, ...said } = outcomes
const line = {
  seeds,
  first,
  ...protocols,
  ...counts,
  ...said,
  unnamedWithLoss: unnamed,
  seconds: Math.round((Date.now() - startedMs) / 1000),
}
process.stdout.write(`${JSON.stringify(line)}\n`)
process.exitCode = counts.violations > 0 ? 1 : 0
