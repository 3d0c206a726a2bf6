/** The test matrix names only code and tests that exist, and sees enough removals to mean something. @module */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '../../..')
const read = (name: string): string => readFileSync(path.join(root, name), 'utf8')

const rows = read('docs/test-matrix.md')
  .split('\n')
  .filter((line) => /^\| (?!seam|input|-)/.test(line) && line.includes('`'))
  .map((line) => {
    const cells = line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
    const [, rule = '', enforced = '', proven = '', kind = '', removal = ''] = cells
    const [, file = '', name = ''] = /^`([^`]+)`(?:: (\w+))?$/.exec(enforced) ?? []
    const [, testFile = '', test = ''] = /^`([^`]+)`: (.+)$/.exec(proven) ?? []
    return { rule, file, name, testFile, test, kind, removal, cells: cells.length }
  })

describe('docs/test-matrix.md', () => {
  it('names files, functions and tests that exist', () => {
    expect(rows.length).toBeGreaterThan(80)
    const wrong = rows.flatMap(({ rule, file, name, testFile, test, cells }) => {
      if (cells !== 6 || !existsSync(path.join(root, file)) || !existsSync(path.join(root, testFile))) return [`${rule}: file`]
      const isNamed = read(file).includes(name)
      // A name may be broken over lines or contain an escaped apostrophe in the source.
      const isTested = test !== '' && read(testFile).replaceAll("\\'", "'").includes(test)
      return [...(isNamed ? [] : [`${rule}: ${file} has no ${name}`]), ...(isTested ? [] : [`${rule}: ${testFile} has no "${test}"`])]
    })
    expect(wrong).toEqual([])
  })

  it('keeps rules short, kinds known, and a third of the removals seen', () => {
    expect(rows.filter(({ rule }) => rule.split(' ').length > 15)).toEqual([])
    const kinds = ['unit', 'property', 'sim', 'node', 'workers', 'e2e']
    expect(rows.filter(({ kind }) => !kinds.includes(kind))).toEqual([])
    expect(rows.filter(({ removal }) => !['', 'seen'].includes(removal))).toEqual([])
    expect(rows.filter(({ removal }) => removal === 'seen').length * 3).toBeGreaterThan(rows.length)
  })
})
