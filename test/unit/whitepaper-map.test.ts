/** The map of the whitepaper names only what exists, covers every section, and says why where we differ. @module */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'

const root = path.resolve(import.meta.dirname, '../..')
const STATUSES = ['same', 'stricter', 'different', 'not yet', 'declined']
const SECTIONS =
  '2.2 2.3 3.1 3.2 3.3.1 3.3.2 3.3.3 3.4.1 3.4.2 3.4.3 3.5.1 3.5.2 3.5.3 4.1.1 4.1.2 4.2.1 4.2.2 4.2.3 4.3 4.4.1 4.4.2 4.4.3 4.5 5.1.1 5.1.2 5.2 5.3 5.4.1 5.4.2 5.4.3 5.5.1 5.5.2 5.5.3 6.1 6.2.1 6.2.2 6.2.3 6.2.4 6.3.1 6.3.2'.split(
    ' ',
  )

const rows = readFileSync(path.join(root, 'docs/whitepaper-map.md'), 'utf8')
  .split('\n')
  .filter((line) => /^\| \d/.test(line))
  .map((line) => {
    const [section = '', , status = '', built = '', file = '', test = ''] = line
      .slice(1, -1)
      .split('|')
      .map((cell) => cell.trim())
    return { section, status, built, named: [...`${file} ${test}`.matchAll(/`([^`]+)`/g)].map(([, name = '']) => name), test }
  })

describe('docs/whitepaper-map.md', () => {
  it('has a row for every section from 2.2 to 6.3', () => {
    const covered = new Set(rows.map(({ section }) => section.split(' ')[0]))
    expect(SECTIONS.filter((section) => !covered.has(section))).toEqual([])
  })

  it('names only files and tests that exist', () => {
    expect(
      rows.flatMap(({ section, named }) => named.filter((name) => !existsSync(path.join(root, name))).map((name) => `${section}: ${name}`)),
    ).toEqual([])
  })

  it('gives every row a known status, and every built row a file', () => {
    const wrong = rows.filter(
      ({ status, named }) => !STATUSES.includes(status) || (['same', 'stricter', 'different'].includes(status) && named.length === 0),
    )
    expect(wrong).toEqual([])
  })

  it('says what was built wherever it is stricter or different', () => {
    expect(rows.filter(({ status, built }) => ['stricter', 'different'].includes(status) && built.length < 40)).toEqual([])
  })
})
