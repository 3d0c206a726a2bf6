/** House rules that no linter knows, as one test. Each rule is a function from a file to its violations, and each has a canary. @module */
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')

type SourceFile = Readonly<{ name: string; text: string }>
type Rule = (file: SourceFile) => readonly string[]

const tracked = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter((name) => name !== '')
const read = (name: string): SourceFile => ({ name, text: readFileSync(path.join(root, name), 'utf8') })
const isSource = (name: string): boolean =>
  /^(shared|node|workers|contracts|bench|examples|test)\/.*\.ts$/.test(name) && !name.startsWith('test/canary/')
const sources = tracked.filter((name) => isSource(name)).map(read)
const side = (name: string): string => name.split('/')[0] ?? ''

/** Who may import whom; `test` may import everything. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  shared: ['shared'],
  node: ['shared', 'node'],
  workers: ['shared', 'workers'],
  contracts: ['shared', 'node'],
  bench: ['shared', 'node'],
  examples: ['shared', 'node'],
}
const GENERATED = /^shared\/api\/abi\//
/** Files above the limit that may only shrink: name → lines. */
const LINES_RATCHET: Readonly<Record<string, number>> = {}
const LINES_MAX = 400

const lines = (text: string): readonly string[] => text.split('\n')
const matching =
  (pattern: RegExp, what: string): Rule =>
  ({ text }) =>
    lines(text).flatMap((line, index) => (pattern.test(line) ? [`line ${index + 1}: ${what}`] : []))

const hasModuleHeader: Rule = ({ name, text }) =>
  GENERATED.test(name) || /^(#!.*\n)?\/\*\*[\s\S]*?@module\s*\*\//.test(text) ? [] : ['no @module header at the top']
const isShort: Rule = ({ name, text }) => {
  const count = lines(text).length - 1
  return GENERATED.test(name) || count <= (LINES_RATCHET[name] ?? LINES_MAX) ? [] : [`${count} lines, at most ${LINES_MAX}`]
}
const importsDownwards: Rule = ({ name, text }) => {
  const allowed = MAY_IMPORT[side(name)]
  if (allowed === undefined) return []
  return [...text.matchAll(/from '#(\w+)\//g)].flatMap(([, target = '']) => (allowed.includes(target) ? [] : [`imports #${target}`]))
}
const isPure: Rule = (file) =>
  side(file.name) === 'shared'
    ? matching(
        /\b(?:async|await)\b(?!.*\*\/)(?!['"`])|\bDate\.|new Date\b|Math\.random|\bIntl\b|localeCompare|\.normalize\(|setTimeout|performance\.|\.(?:sort|toSorted)\(\)|parseFloat/,
        'clock, randomness, locale, float or async in the pure core',
      )({ ...file, text: file.text.replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, (comment) => comment.replaceAll(/[^\n]/g, '')) })
    : []
const hasNoLooseEnds = matching(/\b(?:TODO|FIXME|XXX|HACK)\b/, 'unfinished marker')
const usesGlossary = matching(
  /\b(?:pegIn|pegOut|wrapIn|wrapOut|callList|triggerList|bookkeeper|superNode|masterNode)\w*/i,
  'a synonym the glossary forbids',
)
const isNotDrawer: Rule = ({ name }) => (/\/(?:utils?|helpers?|misc|common)\.ts$/.test(name) ? ['a file is named after a noun'] : [])
const namesNoMachine = matching(/\/(?:work|root|home)\/[a-z]|registry\.npmjs|deb\.debian\.org/, 'a path of a machine or a package host')

/** Headings of a document in lower case, without what follows in parentheses. */
const headingsOf = (document: string): ReadonlySet<string> =>
  new Set(
    tracked.includes(document)
      ? [...read(document).text.matchAll(/^#+ ([^(\n]+)/gm)].map(([, heading = '']) => heading.trim().toLowerCase().replaceAll(',', ''))
      : [],
  )
const citesHeadings: Rule = ({ text }) =>
  [...text.matchAll(/\b(docs\/[\w/-]+\.md), ([a-z][a-z ]*)(?=[.;:)])/g)].flatMap(([, document = '', section = '']) =>
    headingsOf(document).has(section) ? [] : [`cites ${section}, which is no heading of ${document}`],
  )

const RULES: Readonly<Record<string, Rule>> = {
  hasModuleHeader,
  isShort,
  importsDownwards,
  isPure,
  hasNoLooseEnds,
  usesGlossary,
  isNotDrawer,
  namesNoMachine,
  citesHeadings,
}
const SELF = 'test/unit/tidy.test.ts'

/** Share of one-line comments whose words already stand in the next two lines; noisy, therefore capped and not forbidden. */
function narratingShare(files: readonly SourceFile[]): number {
  let comments = 0
  let narrating = 0
  for (const { text } of files) {
    const all = lines(text)
    for (const [index, line] of all.entries()) {
      const comment = /^\s*\/\/\s*(.+)$/.exec(line)?.[1]
      if (comment === undefined) continue
      const words = comment.toLowerCase().match(/[a-z]{4,}/g) ?? []
      if (words.length < 2) continue
      comments++
      const code = `${all[index + 1] ?? ''} ${all[index + 2] ?? ''}`.toLowerCase()
      if (words.every((word) => code.includes(word))) narrating++
    }
  }
  return comments === 0 ? 0 : narrating / comments
}

describe('house rules', () => {
  for (const [name, rule] of Object.entries(RULES))
    it(`every source file obeys ${name}`, () => {
      const found = sources
        .filter((file) => file.name !== SELF)
        .flatMap((file) => rule(file).map((violation) => `${file.name}: ${violation}`))
      expect(found).toEqual([])
    })

  it('comments that repeat the code stay below 8 %', () => {
    expect(narratingShare(sources)).toBeLessThanOrEqual(0.08)
  })

  it('the lockfile names no package host', () => {
    expect(read('package-lock.json').text).not.toContain('"resolved"')
  })

  it('every suppression carries a reason', () => {
    const found = sources.flatMap(({ name, text }) =>
      lines(text).flatMap((line, index) =>
        /(?:oxlint|eslint)-disable/.test(line) && !/-- \w/.test(line) && name !== SELF ? [`${name}:${index + 1}`] : [],
      ),
    )
    expect(found).toEqual([])
  })

  it('documents name no machine', () => {
    const documents = tracked
      .filter((name) => /\.(?:md|toml|ya?ml|json|sol)$|^\.ci\/|Dockerfile$/.test(name) && name !== 'package-lock.json')
      .map(read)
    expect(documents.flatMap((file) => namesNoMachine(file).map((violation) => `${file.name}: ${violation}`))).toEqual([])
  })
})

describe('each house rule finds its planted violation', () => {
  const planted: Readonly<Record<keyof typeof RULES, SourceFile>> = {
    hasModuleHeader: { name: 'shared/a.ts', text: 'export const a = 1\n' },
    isShort: { name: 'shared/a.ts', text: 'x\n'.repeat(401) },
    importsDownwards: { name: 'shared/a.ts', text: "import { a } from '#node/a.ts'\n" },
    isPure: { name: 'shared/a.ts', text: 'const now = Date.now()\n' },
    hasNoLooseEnds: { name: 'node/a.ts', text: '// TO' + 'DO later\n' },
    usesGlossary: { name: 'node/a.ts', text: 'const pegInAmount = 1\n' },
    isNotDrawer: { name: 'node/utils.ts', text: '' },
    namesNoMachine: { name: 'docs/a.md', text: 'see /root/a\n' },
    citesHeadings: { name: 'node/a.ts', text: '/** Source: docs/protocol.md, no such thing. */' },
  }
  for (const [name, rule] of Object.entries(RULES))
    it(name, () => {
      const file = planted[name]
      expect(file === undefined ? [] : rule(file)).toHaveLength(1)
    })
})
