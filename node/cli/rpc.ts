/** Questions to one validator over JSON-RPC, with checked answers. @module */
import * as z from 'zod'
import { CommandFailed } from '#node/cli/command.ts'

const TIMEOUT_MS = 5_000
const zAnswer = z.union([z.object({ error: z.object({ code: z.number(), message: z.string() }) }), z.object({ result: z.unknown() })])

/** Calls one method. @throws {CommandFailed} when there is no answer, an error, or something else than promised */
export async function callRpc<T extends z.ZodType>(
  url: string,
  schema: T,
  method: string,
  params: readonly unknown[],
): Promise<z.output<T>> {
  let json: unknown
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    json = await response.json()
  } catch (error) {
    throw new CommandFailed(`no answer from validator ${url} (${error instanceof Error ? error.message : String(error)})`)
  }
  const answer = zAnswer.safeParse(json)
  if (!answer.success) throw new CommandFailed(`${url} does not speak JSON-RPC`)
  if ('error' in answer.data) throw new CommandFailed(`${url} refused ${method}: ${answer.data.error.message}`)
  const result = schema.safeParse(answer.data.result)
  if (!result.success) throw new CommandFailed(`${url} answered ${method} with something else than promised`)
  return result.data
}

const zPoint = z.object({ number: z.int().nonnegative(), hash: z.string() })
/** `fusion_finality`. */
export const zFinality = z.object({ head: zPoint, safe: zPoint, finalized: zPoint })
/** `fusion_evidence`: offences of validators. */
export const zValidatorEvidence = z.array(z.object({ offence: z.string(), offender: z.string(), first: z.string(), second: z.string() }))
