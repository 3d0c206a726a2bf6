/**
 * One recorded chain, replayed to equal roots by another process on another Node; the Workers runtime replays the same record in its own test.
 * The record is frozen: when it differs, the rules have changed, and every running chain would fork. If that is meant, run with `-u`.
 * @module
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { replay } from '#test/unit/joints/replay.ts'
import type { Outcome, Recording } from '#test/unit/joints/replay.ts'
import { tell } from '#test/unit/joints/story.ts'
import { afterAll, describe, expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '../../..')
const RECORD = path.join(import.meta.dirname, 'recorded-chain.jsonl')
const folder = mkdtempSync(path.join(tmpdir(), 'fusion-runtimes-'))
afterAll(() => rmSync(folder, { recursive: true }))

const toLines = ({ document, blocks }: Recording): string => [document, ...blocks].map((line) => `${JSON.stringify(line)}\n`).join('')
function fromLines(text: string): Recording {
  const [document, ...blocks] = text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  return { document, blocks: blocks as Recording['blocks'] }
}

/** A Node of at least version 20 that is not the one running this test, null when the machine has none. */
function otherNode(): string | null {
  // Without `which` there is no output, which names no file.
  const found = String(spawnSync('which', ['-a', 'node'], { encoding: 'utf8' }).stdout).split('\n')
  for (const candidate of [...found, '/usr/bin/node', '/usr/local/bin/node'].filter((name) => existsSync(name))) {
    const version = spawnSync(candidate, ['--version'], { encoding: 'utf8' }).stdout.trim()
    if (Number(/^v(\d+)\./.exec(version)?.[1] ?? 0) >= 20 && version !== process.version) return realpathSync(candidate)
  }
  return null
}

/** Copies a file and all it imports from the project, without types: an older Node reads no TypeScript. */
function emit(name: string, done: Set<string>): void {
  if (done.has(name)) return
  done.add(name)
  const script = stripTypeScriptTypes(readFileSync(path.join(root, name), 'utf8'))
  const target = path.join(folder, name.replace(/\.ts$/, '.js'))
  mkdirSync(path.dirname(target), { recursive: true })
  writeFileSync(
    target,
    script.replaceAll(/from '#([^']+)\.ts'/g, (_, imported: string) => {
      emit(`${imported}.ts`, done)
      return `from '#${imported}.js'`
    }),
  )
}

function replayElsewhere(node: string): readonly Outcome[] {
  const emitted = new Set<string>()
  emit('test/unit/joints/replay.ts', emitted)
  const imports = { '#shared/*': './shared/*', '#node/*': './node/*', '#test/*': './test/*' }
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ type: 'module', imports }))
  symlinkSync(path.join(root, 'node_modules'), path.join(folder, 'node_modules'))
  writeFileSync(path.join(folder, 'record.json'), JSON.stringify(fromLines(readFileSync(RECORD, 'utf8'))))
  writeFileSync(
    path.join(folder, 'run.js'),
    `import { readFileSync } from 'node:fs'
     import { replay } from '#test/unit/joints/replay.js'
     console.log(JSON.stringify(await replay(JSON.parse(readFileSync('record.json', 'utf8')))))`,
  )
  const { stdout, stderr, status } = spawnSync(node, ['run.js'], { cwd: folder, encoding: 'utf8', maxBuffer: 1 << 24 })
  if (status !== 0) throw new Error(stderr)
  return JSON.parse(stdout) as readonly Outcome[]
}

describe('the recorded chain', () => {
  it('is what the rules make of the story today', async () => {
    const told = await tell()
    expect(told.blocks.flatMap(({ outcome }) => outcome.types)).toEqual(expect.arrayContaining([0x02, 0x46, 0x47]))
    expect(told.blocks.flatMap(({ outcome }) => outcome.skipped)).toEqual(['NONCE_TOO_LOW', 'ROUND_NOT_RISING'])
    await expect(toLines(told)).toMatchFileSnapshot(RECORD)
  })

  it('is replayed to equal roots by portable code in this process', async () => {
    const record = fromLines(readFileSync(RECORD, 'utf8'))
    expect(await replay(record)).toEqual(record.blocks.map(({ outcome }) => outcome))
  })

  const node = otherNode()
  if (node === null) console.log('no second Node of version 20 or later on this machine: its replay is skipped')
  it.skipIf(node === null)('is replayed to equal roots by another version of Node', () => {
    const record = fromLines(readFileSync(RECORD, 'utf8'))
    expect(replayElsewhere(node ?? '')).toEqual(record.blocks.map(({ outcome }) => outcome))
  })
})
