/**
 * `npm run mutation -- [part …]`: changes the key protocols in small ways, one at a time, and counts which changes no test notices. Parts run one after
 * another, each with its own fast tests. One line of JSON per part. @module
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import * as z from 'zod'

const ROOT = resolve(import.meta.dirname, '../..')
const UNIT = 'unit/dcrm'
type Part = Readonly<{ files: readonly string[]; tests: readonly string[] }>

const PARTS: Readonly<Record<string, Part>> = {
  sharing: {
    files: ['vss', 'dkg*', 'certificate', 'reshare', 'recovery'],
    tests: ['dkg', 'dkg-lies', 'dkg-edge', 'dkg-payloads', 'vss', 'reshare', 'key-transcripts', 'key-rounds'],
  },
  frost: {
    files: ['frost*', 'derive', 'committee*', 'digest', 'verify', 'address', 'polynomial', 'hash', 'codec', 'drbg', 'descriptor', 'ids'],
    tests: ['foundation', 'frost', 'derive', 'committee', '../../vectors/dcrm/signatures'],
  },
  ecdsa: { files: ['presign*', 'ecdsa*', 'consumption'], tests: ['presign', 'ecdsa-sign', 'ecdsa-blame', 'ecdsa-transcripts'] },
  transfers: {
    files: ['base-ot', 'bit-matrix', 'gf128', 'ot-extension', 'vole', 'pair-setup', 'scalar-bytes'],
    tests: ['base-ot', 'ot-extension', 'pair-setup', 'vole', 'domains'],
  },
  session: {
    files: ['envelope*', 'session*', 'relay', 'evidence', 'precompile'],
    tests: [
      'envelope',
      'evidence',
      'session',
      'session-intake',
      'session-replay',
      'session-flow',
      'session-echo',
      'session-names',
      'relay',
      'precompile',
      'kill',
    ],
  },
}

const zReport = z.object({ files: z.record(z.string(), z.object({ mutants: z.array(z.object({ status: z.string() })) })) })

function measure(name: string, { files, tests }: Part): Readonly<{ part: string; killed: number; survived: number; score: number }> {
  const mutate = files.map((file) => `shared/dcrm/${file}.ts`).join(',')
  const names = tests.map((test) => join(UNIT, test)).join(',')
  const stryker = join(ROOT, 'node_modules/.bin/stryker')
  const { status } = spawnSync(stryker, ['run', 'test/mutation/stryker.config.json', '--mutate', mutate], {
    cwd: ROOT,
    env: { ...process.env, FUSION_MUTATION_TESTS: names },
    stdio: 'inherit',
  })
  if (status !== 0) throw new Error(`the measurement of ${name} failed`)
  const report = zReport.parse(JSON.parse(readFileSync(join(ROOT, '.cache/mutation/report.json'), 'utf8')))
  const statuses = Object.values(report.files).flatMap(({ mutants }) => mutants.map((mutant) => mutant.status))
  const killed = statuses.filter((each) => each === 'Killed' || each === 'Timeout').length
  const survived = statuses.filter((each) => each === 'Survived' || each === 'NoCoverage').length
  return { part: name, killed, survived, score: Math.round((1000 * killed) / (killed + survived)) / 10 }
}

const { positionals, values } = parseArgs({ allowPositionals: true, options: { help: { type: 'boolean' } } })
if (values.help === true) process.stdout.write(`usage: npm run mutation -- [${Object.keys(PARTS).join('] [')}]\n`)
else
  for (const [name, part] of Object.entries(PARTS))
    if (positionals.length === 0 || positionals.includes(name)) process.stdout.write(`${JSON.stringify(measure(name, part))}\n`)
