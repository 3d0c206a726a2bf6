/**
 * `npm run mutation -- [part …]`: changes the key protocols in small ways, one at a time, and counts which changes no test notices. Parts run one after
 * another, each with its own fast tests. One line of JSON per part; ends with 1 when a part is below its floor or a survivor has no listed reason. @module
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { listedSurvivors, scoreOf, zReport } from './survivors.ts'
import type { Score } from './survivors.ts'

const ROOT = resolve(import.meta.dirname, '../..')
const UNIT = 'unit/dcrm'
const REPORTS = join(ROOT, '.cache/mutation')
/** Of all changes of a part, in percent. */
const FLOOR = 95
type Part = Readonly<{ files: readonly string[]; tests: readonly string[] }>

const PARTS: Readonly<Record<string, Part>> = {
  sharing: {
    files: ['vss', 'dkg*', 'certificate', 'reshare', 'recovery'],
    tests: ['dkg', 'dkg-lies', 'dkg-edge', 'dkg-payloads', 'vss', 'reshare', 'key-transcripts', 'key-rounds'],
  },
  frost: {
    files: [
      'frost*',
      'derive',
      'committee*',
      'digest',
      'verify',
      'address',
      'polynomial',
      'hash',
      'codec',
      'drbg',
      'descriptor',
      'ids',
      'backend',
      'noble-backend',
      'lockstep',
    ],
    tests: [
      'foundation',
      'frost',
      'derive',
      'committee',
      'ids',
      'verify',
      'precompile',
      'native-backend',
      'lockstep',
      '../../vectors/dcrm/signatures',
    ],
  },
  ecdsa: {
    files: ['presign*', 'ecdsa*', 'consumption'],
    tests: ['presign', 'ecdsa-rounds', 'ecdsa-domains', 'ecdsa-sign', 'ecdsa-blame', 'ecdsa-transcripts'],
  },
  transfers: {
    files: ['base-ot', 'bit-matrix', 'gf128', 'ot-extension', 'vole', 'pair-setup', 'scalar-bytes'],
    tests: ['base-ot', 'ot-extension', 'pair-setup', 'vole', 'domains'],
  },
  session: {
    files: ['envelope*', 'session*', 'relay', 'evidence', 'content', 'precompile'],
    tests: [
      'envelope',
      'evidence',
      'content',
      'session',
      'session-intake',
      'session-replay',
      'session-flow',
      'session-faults',
      'session-echo',
      'session-names',
      'relay',
      '../party/relay-server',
      'precompile',
      'kill',
    ],
  },
}

/** Tests find vectors beside the project; what is measured is a copy that lies elsewhere. */
function linkVectors(): void {
  const [beside, link] = [join(ROOT, '../shared'), join(ROOT, '.cache/stryker/shared')]
  mkdirSync(dirname(link), { recursive: true })
  if (existsSync(beside) && !existsSync(link)) symlinkSync(beside, link)
}

function measure(name: string, { files, tests }: Part, isAfresh: boolean): Score & Readonly<{ part: string }> {
  const mutate = files.map((file) => `shared/dcrm/${file}.ts`).join(',')
  const stryker = join(ROOT, 'node_modules/.bin/stryker')
  const kept = join(REPORTS, `${name}.json`)
  mkdirSync(REPORTS, { recursive: true })
  linkVectors()
  const { status } = spawnSync(
    stryker,
    [
      'run',
      'test/mutation/stryker.config.json',
      '--mutate',
      mutate,
      '--incremental',
      '--incrementalFile',
      kept,
      ...(isAfresh ? ['--force'] : []),
    ],
    { cwd: ROOT, env: { ...process.env, FUSION_MUTATION_TESTS: tests.map((test) => join(UNIT, test)).join(',') }, stdio: 'inherit' },
  )
  if (status !== 0) throw new Error(`the measurement of ${name} failed`)
  return { part: name, ...scoreOf(zReport.parse(JSON.parse(readFileSync(join(REPORTS, 'report.json'), 'utf8'))), listedSurvivors(name)) }
}

const HELP = `usage: npm run mutation -- [${Object.keys(PARTS).join('] [')}] [--afresh]

  Changes and tests that are as they were at the last run keep its result, unless --afresh.
`
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { help: { type: 'boolean', short: 'h' }, afresh: { type: 'boolean' } },
})
const unknown = positionals.filter((name) => PARTS[name] === undefined)
if (unknown.length > 0) throw new Error(`expected parts of ${Object.keys(PARTS).join(', ')}, got ${unknown.join(', ')}`)
if (values.help === true) process.stdout.write(HELP)
else
  for (const [name, part] of Object.entries(PARTS)) {
    if (positionals.length > 0 && !positionals.includes(name)) continue
    const { unlisted, ...result } = measure(name, part, values.afresh === true)
    for (const line of unlisted) process.stdout.write(`no test notices, and no reason is listed: ${line}\n`)
    process.stdout.write(`${JSON.stringify({ ...result, unlisted: unlisted.length })}\n`)
    if (result.score < FLOOR || unlisted.length > 0) process.exitCode = 1
  }
