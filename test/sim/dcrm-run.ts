/** `npm run sim:dcrm -- --seeds N --first S`: key protocols over hostile relays; one line of JSON at the end, exit code 1 on a violation. @module */
import { parseArgs } from 'node:util'
import { createStage, runSeed } from '#test/sim/dcrm-campaign.ts'

const { values } = parseArgs({ options: { seeds: { type: 'string' }, first: { type: 'string' }, help: { type: 'boolean' } } })
if (values.help === true) {
  process.stdout.write('usage: npm run sim:dcrm -- [--seeds 500] [--first 1]\n')
  process.exit(0)
}
const seeds = Number(values.seeds ?? 500)
const first = Number(values.first ?? 1)
const startedMs = Date.now()
const stage = createStage()
const counts = { frost: 0, ecdsa: 0, dkg: 0, presign: 0, finished: 0, cheaters: 0, named: 0, violations: 0 }
for (let seed = first; seed < first + seeds; seed++) {
  const report = runSeed(stage, seed)
  counts[report.protocol]++
  if (report.finished) counts.finished++
  if (report.cheater !== null) counts.cheaters++
  if (report.named) counts.named++
  counts.violations += report.violations.length
  for (const violation of report.violations) process.stderr.write(`seed ${seed} (${report.protocol}): ${violation}\n`)
  if ((seed - first + 1) % 500 === 0)
    process.stderr.write(`${seed - first + 1} of ${seeds} seeds, ${Math.round((Date.now() - startedMs) / 1000)} s\n`)
}
process.stdout.write(`${JSON.stringify({ seeds, first, ...counts, seconds: Math.round((Date.now() - startedMs) / 1000) })}\n`)
process.exitCode = counts.violations > 0 ? 1 : 0
