/** `npm run sim:crash -- --seeds N --first S`: kills of a signer; one line of JSON at the end, exit code 1 on a violation. @module */
import { parseArgs } from 'node:util'
import { createCrashStage, runCrashSeed } from '#test/sim/party-crash.ts'

const { values } = parseArgs({ options: { seeds: { type: 'string' }, first: { type: 'string' } } })
const seeds = Number(values.seeds ?? 50)
const first = Number(values.first ?? 1)
const startedMs = Date.now()
const stage = createCrashStage()
const counts = { sent: 0, kills: 0, violations: 0 }
for (let seed = first; seed < first + seeds; seed++) {
  const { sent, kills, violations } = runCrashSeed(stage, seed)
  counts.sent += sent
  counts.kills += kills
  counts.violations += violations.length
  for (const violation of violations) process.stderr.write(`seed ${seed}: ${violation}\n`)
  if ((seed - first + 1) % 100 === 0) process.stderr.write(`${seed - first + 1} of ${seeds} seeds\n`)
}
process.stdout.write(`${JSON.stringify({ seeds, first, ...counts, seconds: Math.round((Date.now() - startedMs) / 1000) })}\n`)
process.exitCode = counts.violations > 0 ? 1 : 0
