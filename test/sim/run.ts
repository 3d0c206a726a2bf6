/** `npm run sim -- --seeds N --first S [--n 4] [--f 1] [--mutant NAME]`: progress on stderr, one JSON line on stdout. @module */
import { parseArgs } from 'node:util'
import { runCampaign } from '#test/sim/campaign.ts'
import { MUTANTS } from '#test/sim/mutants.ts'

const { values } = parseArgs({
  options: {
    seeds: { type: 'string', default: '100' },
    first: { type: 'string', default: '1' },
    n: { type: 'string', default: '4' },
    f: { type: 'string', default: '1' },
    mutant: { type: 'string' },
  },
})
const { mutant } = values
if (mutant !== undefined && !Object.hasOwn(MUTANTS, mutant)) {
  process.stderr.write(`unknown mutant ${mutant}; known: ${Object.keys(MUTANTS).join(', ')}\n`)
  process.exit(2)
}
const [validatorCount, byzantineCount] = [Number(values.n), Number(values.f)]
const summary = runCampaign({
  first: Number(values.first),
  seeds: Number(values.seeds),
  validatorCount,
  byzantineCount,
  mutant: mutant === undefined ? null : MUTANTS[mutant as keyof typeof MUTANTS],
  onSeed: (seed, { violations, recoverySlots }) => {
    const [first] = violations
    if (first !== undefined || recoverySlots === null)
      process.stderr.write(`seed ${seed}: ${first === undefined ? 'no recovery' : `${first.rule} ${first.detail}`}\n`)
    else if (seed % 50 === 0) process.stderr.write(`seed ${seed}\n`)
  },
})
process.stdout.write(`${JSON.stringify({ n: validatorCount, f: byzantineCount, mutant: mutant ?? null, ...summary })}\n`)
const isSafe = summary.conflicts + summary.honestSlashable + summary.otherViolations === 0
process.exit(isSafe && summary.livenessFailures === 0 ? 0 : 1)
