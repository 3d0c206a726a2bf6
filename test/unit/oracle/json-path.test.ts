/** Singular JSONPath against the published compliance suite, JSON text against the platform's own parser. @module */
import { existsSync, readFileSync } from 'node:fs'
import path from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { DecodeError } from '#shared/fault.ts'
import { parseSingularPath, selectNode } from '#shared/oracle/json-path.ts'
import type { JsonNode } from '#shared/oracle/json-text.ts'
import { JSON_TEXT_MAX, parseJsonText } from '#shared/oracle/json-text.ts'

const suiteFile = path.resolve(import.meta.dirname, '../../../../shared/vectors/jsonpath/cts.json')
type Case = Readonly<{
  name: string
  selector: string
  document?: unknown
  result?: readonly unknown[]
  results?: unknown
  invalid_selector?: boolean
}>

function plain(node: JsonNode): unknown {
  switch (node.kind) {
    case 'number':
      return Number(node.text)
    case 'string':
      return node.text
    case 'literal':
      return node.value
    case 'array':
      return node.items.map((item) => plain(item))
    case 'object':
      return Object.fromEntries([...node.members].map(([name, value]) => [name, plain(value)]))
  }
}

const steps = (query: string) => {
  try {
    return parseSingularPath(query)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

/** Whether a valid query has only child segments with one name or index: no `*`, `..`, `?`, `:` or `,` outside its quoted names. */
const isSingular = (query: string): boolean => !/[*?:,]|\.\./.test(query.replaceAll(/'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"/g, "''"))

describe('singular queries', () => {
  const cases: readonly Case[] = existsSync(suiteFile) ? JSON.parse(readFileSync(suiteFile, 'utf8')).tests : []
  if (cases.length === 0) console.log('skipped: the JSONPath compliance suite is not in ../shared/vectors')

  it.runIf(cases.length > 0 || process.env['CI'] !== undefined)('of the compliance suite give its result, all others are refused', () => {
    const counts = { singular: 0, refused: 0 }
    const wrong: string[] = []
    const note = (name: string, isRight: boolean): void => {
      if (!isRight) wrong.push(name)
    }
    for (const { name, selector, document, result, invalid_selector } of cases) {
      const parsed = steps(selector)
      if (invalid_selector === true || !isSingular(selector)) {
        note(name, parsed === null)
        counts.refused++
      } else {
        const node = parsed === null ? null : selectNode(parseJsonText(JSON.stringify(document)), parsed)
        const found = node === null ? [] : [plain(node)]
        note(name, parsed !== null && JSON.stringify(found) === JSON.stringify(result))
        counts.singular++
      }
    }
    expect(wrong).toEqual([])
    expect(counts.singular + counts.refused).toBe(703)
    expect(counts.singular).toBe(79)
  })

  it('are short', () => {
    expect(steps(`$${'[0]'.repeat(32)}`)).toHaveLength(32)
    expect(steps(`$${'[0]'.repeat(33)}`)).toBeNull()
    expect(steps(`$.${'a'.repeat(255)}`)).toBeNull()
  })
})

describe('JSON text', () => {
  it('means what the platform says it means', () => {
    fc.assert(
      fc.property(fc.json(), fc.constantFrom(0, 2), (text, indent) => {
        const pretty = JSON.stringify(JSON.parse(text), null, indent)
        expect(plain(parseJsonText(pretty))).toEqual(JSON.parse(pretty))
      }),
    )
  })

  it('keeps every digit', () => {
    expect(parseJsonText('[12345678901234567890.123, -0.10e-7]')).toEqual({
      kind: 'array',
      items: [
        { kind: 'number', text: '12345678901234567890.123' },
        { kind: 'number', text: '-0.10e-7' },
      ],
    })
  })

  it('reads escapes', () => {
    expect(parseJsonText(String.raw`"\u0041\n\\\"\/\ud83d\ude00"`)).toEqual({ kind: 'string', text: 'A\n\\"/😀' })
  })

  it('refuses what is not JSON', () => {
    for (const bad of [
      '',
      ' ',
      '{',
      '[1,]',
      '{"a":1,}',
      '{a:1}',
      '01',
      '1.',
      '.5',
      '+1',
      'NaN',
      "'a'",
      '"\n"',
      String.raw`"\x"`,
      '"a',
      '1 2',
      'tru',
      '[1 2]',
      '{"a" 1}',
      '{"a":1 "b":2}',
    ])
      expect(() => parseJsonText(bad)).toThrow('JSON_INVALID')
  })

  it('refuses repeated names, depth and size', () => {
    expect(() => parseJsonText('{"a":1,"\\u0061":2}')).toThrow('repeats')
    expect(() => parseJsonText('['.repeat(66) + ']'.repeat(66))).toThrow('nested deeper')
    expect(parseJsonText('['.repeat(65) + ']'.repeat(65)).kind).toBe('array')
    expect(() => parseJsonText(' '.repeat(JSON_TEXT_MAX + 1))).toThrow('JSON_TOO_LARGE')
    const long = 'x'.repeat(JSON_TEXT_MAX - 2)
    expect(parseJsonText(`"${long}"`)).toEqual({ kind: 'string', text: long })
  })
})
