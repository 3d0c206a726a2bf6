/** Log lines stay one line each, whatever a peer puts into a field. @module */
import { describe, expect, it } from 'vitest'
import { formatLine } from '#node/log.ts'

describe('log line', () => {
  it('has time, level, part, event and fields', () => {
    expect(formatLine(0, 'info', 'net', 'peer', { id: 'a', n: 3, ok: true })).toBe(
      '1970-01-01T00:00:00.000Z info  net peer id=a n=3 ok=true',
    )
  })

  it('quotes spaces, drops control characters and cuts long values', () => {
    const line = formatLine(0, 'warn', 'net', 'fault', { text: `a\nb\u001b[31m "q"`, long: 'x'.repeat(1000) })
    expect(line).not.toContain('\n')
    expect(line).not.toContain('\u001b')
    expect(line).toContain('text="a b [31m \\"q\\""')
    expect(line.length).toBeLessThan(600)
  })
})
