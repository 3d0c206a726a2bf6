/** The changes no test can notice, each with the reason: behaviour stays the same. What is not listed here and survives is a missing test. @module */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as z from 'zod'

const zPosition = z.object({ line: z.int().positive(), column: z.int().positive() })
const zMutant = z.object({
  status: z.string(),
  mutatorName: z.string(),
  replacement: z.string().optional(),
  location: z.object({ start: zPosition, end: zPosition }),
})
export const zReport = z.object({ files: z.record(z.string(), z.object({ source: z.string(), mutants: z.array(zMutant) })) })
const zSurvivor = z.strictObject({
  file: z.string().min(1),
  /** The whole line where the change begins, without the space around it: line numbers would not last. */
  line: z.string().min(1),
  replacement: z.string(),
  reason: z.string().min(10),
})
export type Survivor = z.infer<typeof zSurvivor>
export type Score = Readonly<{ killed: number; survived: number; score: number; unlisted: readonly string[] }>

/** The listed survivors of one part, none when it has no list. @throws {z.ZodError} for a list of another form */
export function listedSurvivors(part: string): readonly Survivor[] {
  const path = join(import.meta.dirname, 'survivors', `${part}.json`)
  return existsSync(path) ? z.array(zSurvivor).parse(JSON.parse(readFileSync(path, 'utf8'))) : []
}

/** What a report of changed programs says: how many were noticed, and which of the others have no listed reason. */
export function scoreOf(report: z.infer<typeof zReport>, listed: readonly Survivor[]): Score {
  let killed = 0
  let survived = 0
  const unlisted: string[] = []
  for (const [file, { source, mutants }] of Object.entries(report.files)) {
    const lines = source.split('\n')
    for (const { status, mutatorName, replacement = '', location } of mutants) {
      if (status === 'Killed' || status === 'Timeout') killed++
      if (status !== 'Survived' && status !== 'NoCoverage') continue
      survived++
      const line = (lines[location.start.line - 1] ?? '').trim()
      if (listed.some((each) => each.file === file && each.line === line && each.replacement === replacement)) continue
      unlisted.push(`${file}:${location.start.line}:${location.start.column} ${mutatorName}: ${line} → ${replacement}`)
    }
  }
  return { killed, survived, score: Math.floor((1000 * killed) / Math.max(1, killed + survived)) / 10, unlisted }
}
