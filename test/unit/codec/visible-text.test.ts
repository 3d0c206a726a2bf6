/** Text of others where people read it. @module */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasHidden, visible, visibleLines } from '#shared/visible-text.ts'

// What Unicode calls control characters, line separators, and those that begin, end or override a direction.
const ACTING = /\p{Cc}|\p{Zl}|\p{Zp}|[\u202a-\u202e\u2066-\u2069]/u
const texts = fc.string({
  unit: fc.oneof(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), fc.constantFrom('\n', '\u001b', '\u009b', '\u202e')),
})

describe('visible text', () => {
  it('has no character that acts on a terminal, and says which there were', () => {
    expect(visible('\u001b[2Jhttp://x\n\u009b\u202e')).toBe(String.raw`\u001b[2Jhttp://x\u000a\u009b\u202e`)
    fc.assert(
      fc.property(texts, (text) => {
        expect(hasHidden(text)).toBe(ACTING.test(text))
        expect(ACTING.test(visible(text))).toBe(false)
        expect(visibleLines(text).split('\n')).toEqual(text.split('\n').map(visible))
      }),
    )
  })

  it('is the text itself when there are none, and the same JSON otherwise', () => {
    expect(visible('12 § é 漢字 👩‍👩‍👧 \\u001b')).toBe('12 § é 漢字 👩‍👩‍👧 \\u001b')
    fc.assert(
      fc.property(texts, (text) => {
        expect(JSON.parse(visibleLines(JSON.stringify({ text }, null, 2)))).toEqual({ text })
      }),
    )
  })
})
