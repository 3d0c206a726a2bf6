/** Every gate must fail on a file that is bad on purpose; a gate that is green on nothing protects nothing. @module */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { describe, expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')
const bin = (name: string): string => path.join(root, 'node_modules/.bin', name)

function run(command: string, args: readonly string[], cwd = root): { status: number | null; output: string } {
  const done = spawnSync(bin(command), args, { cwd, encoding: 'utf8', env: { ...process.env, NO_COLOR: '1' } })
  return { status: done.status, output: done.stdout + done.stderr }
}

/** The project's lint rules without the ignore list that hides the canaries from the real run. */
function lintConfig(asShared: boolean): string {
  const config = JSON.parse(spawnSync('cat', [path.join(root, '.oxlintrc.json')], { encoding: 'utf8' }).stdout) as {
    ignorePatterns: string[]
    overrides: { files: string[] }[]
  }
  config.ignorePatterns = []
  if (asShared) for (const override of config.overrides) override.files = override.files.includes('shared/**') ? ['**/*.ts'] : ['none']
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'fusion-gate-')), 'oxlintrc.json')
  writeFileSync(file, JSON.stringify(config))
  return file
}

describe('each gate fails on its canary', () => {
  it('oxlint reports every planted fault, typed rules included', () => {
    const { status, output } = run('oxlint', ['-c', lintConfig(false), '--no-ignore', 'test/canary/lint.ts'])
    expect(status).not.toBe(0)
    for (const rule of [
      'no-floating-promises',
      'no-explicit-any',
      'no-unnecessary-condition',
      'switch-exhaustiveness-check',
      'require-array-sort-compare',
      'no-non-null-assertion',
    ])
      expect(output, rule).toContain(rule)
  })

  it('oxlint reports clock, randomness and host imports in the pure core', () => {
    const { status, output } = run('oxlint', ['-c', lintConfig(true), '--no-ignore', 'test/canary/shared-clock.ts'])
    expect(status).not.toBe(0)
    for (const rule of ['no-restricted-globals', 'no-restricted-properties', 'no-restricted-imports']) expect(output, rule).toContain(rule)
  })

  it('the compiler refuses host globals under the options of the pure core', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'fusion-gate-'))
    const config = path.join(folder, 'tsconfig.json')
    writeFileSync(
      config,
      JSON.stringify({
        extends: path.join(root, 'tsconfig.base.json'),
        compilerOptions: { rootDir: root, composite: false, emitDeclarationOnly: false, noEmit: true },
        files: [path.join(root, 'test/canary/types.ts')],
      }),
    )
    const { status, output } = run('tsc', ['-p', config])
    expect(status).not.toBe(0)
    for (const name of ['setTimeout', 'console', 'process']) expect(output).toContain(`Cannot find name '${name}'`)
  })

  it('oxfmt wants to change an unformatted file', () => {
    const config = path.join(mkdtempSync(path.join(tmpdir(), 'fusion-gate-')), 'oxfmtrc.json')
    writeFileSync(config, JSON.stringify({ semi: false, singleQuote: true }))
    expect(run('oxfmt', ['-c', config, '--check', 'test/canary/format.ts']).status).not.toBe(0)
  })

  it('jscpd reports a copied function', () => {
    const config = path.join(mkdtempSync(path.join(tmpdir(), 'fusion-gate-')), 'jscpd.json')
    writeFileSync(
      config,
      JSON.stringify({ minTokens: 50, minLines: 6, threshold: 0, exitCode: 1, format: ['typescript'], reporters: ['console'] }),
    )
    const { status, output } = run('jscpd', ['-c', config, 'test/canary'])
    expect(status).not.toBe(0)
    expect(output).toContain('copy-one.ts')
  })

  it('knip reports an unused file, an unused export and an unlisted dependency', () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'fusion-gate-'))
    writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ name: 'canary', type: 'module' }))
    writeFileSync(path.join(folder, 'knip.json'), JSON.stringify({ entry: ['entry.ts'], project: ['*.ts'] }))
    writeFileSync(path.join(folder, 'entry.ts'), "import { used } from './part.ts'\nimport 'unlisted-package'\nused()\n")
    writeFileSync(path.join(folder, 'part.ts'), 'export const used = (): void => {}\nexport const unusedExport = 1\n')
    writeFileSync(path.join(folder, 'orphan.ts'), 'export {}\n')
    const { status, output } = run('knip', ['--directory', folder])
    expect(status).not.toBe(0)
    for (const name of ['orphan.ts', 'unusedExport', 'unlisted-package']) expect(output).toContain(name)
  })
})
