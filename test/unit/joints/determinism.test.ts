/**
 * What must not appear in the pure core, because two hosts may answer it differently: each rule on every file of `shared/`, and each on a
 * line that breaks it. Clock, randomness and host globals are held by the linter and the compiler.
 * @module
 */
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'

const shared = path.resolve(import.meta.dirname, '../../../shared')
const files = readdirSync(shared, { recursive: true, encoding: 'utf8' }).filter(
  (name) => name.endsWith('.ts') && !name.startsWith('api/abi/'),
)

/** Comments and text are no code. */
const codeOf = (text: string): string =>
  text.replaceAll(/\/\*[\s\S]*?\*\/|(?<=^|\s)\/\/.*$|'(?:[^'\\\n]|\\.)*'|`[^`]*`/gm, (part) => part.replaceAll(/[^\n]/g, ' '))

type Rule = Readonly<{ pattern: RegExp; breaks: string; keeps: string }>
const RULES: Readonly<Record<string, Rule>> = {
  'sorting without a comparator compares text': {
    pattern: /\.(?:sort|toSorted)\(\s*\)/,
    breaks: '[10n, 9n].sort()',
    keeps: 'a.toSorted(byAge)',
  },
  'iterating over a plain object has an order of its own': {
    pattern: /\bObject\.(?:keys|values|entries|fromEntries)\(|\bfor\s*\(\s*(?:const|let)\s+\w+\s+in\b/,
    breaks: 'for (const key in row) use(key)',
    keeps: 'for (const [key, row] of rows) use(key, row)',
  },
  'text of other scripts changes with the host': {
    pattern: /\.(?:normalize|localeCompare|toLocale\w+)\(|\.toLowerCase\(/,
    breaks: 'name.toLowerCase() === other',
    keeps: 'compareHex(left, right)',
  },
  'floats round': {
    pattern:
      /\b(?:parseFloat|toFixed|toPrecision|Float(?:32|64)Array)\b|\bMath\.(?!abs|ceil|clz32|floor|imul|max|min|trunc\b)\w+|(?<![\w.])\d+\.\d+/,
    breaks: 'const share = 0.25 * stake',
    keeps: 'const share = stake / 4n',
  },
  'amounts and weights are no numbers': {
    pattern: /\bNumber\([^()]*(?:[wW]ei|[sS]take)\b/,
    breaks: 'Number(amountWei) * 2',
    keeps: 'amountWei * 2n',
  },
  'waiting has an order of its own': { pattern: /\b(?:async|await|Promise)\b/, breaks: 'await read(key)', keeps: 'yield* read(key)' },
  'time and language are the host’s': { pattern: /\bIntl\b|\bDate\b|\bTemporal\b/, breaks: 'new Date(0)', keeps: 'civilFromDays(0)' },
}

describe.each(Object.entries(RULES))('%s', (_, { pattern, breaks, keeps }) => {
  it('holds in every file of the pure core', () => {
    const found = files.flatMap((name) =>
      codeOf(readFileSync(path.join(shared, name), 'utf8'))
        .split('\n')
        .flatMap((line, index) => (pattern.test(line) ? [`${name}:${index + 1} ${line.trim()}`] : [])),
    )
    expect(found).toEqual([])
  })

  it('is noticed, and what is right is not', () => {
    expect(pattern.test(codeOf(breaks))).toBe(true)
    expect(pattern.test(codeOf(keeps))).toBe(false)
  })
})
