/** The example descriptions are valid as they stand. @module */
import { readFileSync, readdirSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseTriggerJson } from '#shared/api/trigger.ts'
import { decodeDescription, encodeDescription } from '#shared/trigger/codec.ts'
import { checkDescription, triggerGasBudget } from '#shared/trigger/limits.ts'

const folder = path.resolve(import.meta.dirname, '../../../examples/triggers')
const files = readdirSync(folder)

describe('example triggers', () => {
  it.each(files)('%s is accepted by a chain with 15 M gas per block', (file) => {
    const parsed = parseTriggerJson(readFileSync(path.join(folder, file), 'utf8'), () => ({ id: `0x${'ab'.repeat(32)}`, decimals: 2 }))
    if (!parsed.ok) throw new Error(JSON.stringify(parsed.issues))
    expect(decodeDescription(encodeDescription(parsed.description))).toEqual(parsed.description)
    const context = { timeMs: Date.UTC(2026, 10, 25), height: 1, triggerGasBudget: triggerGasBudget(15_000_000n) }
    expect(checkDescription(parsed.description, context)).toMatchObject({ ok: true })
  })

  it('exist', () => {
    expect(files.length).toBeGreaterThanOrEqual(3)
  })
})
