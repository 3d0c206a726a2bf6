/** Questions to one validator over JSON-RPC, with checked answers. @module */
import * as z from 'zod'
import { CommandFailed } from '#node/cli/command.ts'
import { callRpc } from '#node/supervisor/wait.ts'

/** Asks one method. @throws {CommandFailed} when there is no answer, an error, or something else than promised */
export async function askValidator<T extends z.ZodType>(
  url: string,
  schema: T,
  method: string,
  params: readonly unknown[] = [],
): Promise<z.output<T>> {
  let answer: unknown
  try {
    answer = await callRpc(url, method, params)
  } catch (error) {
    throw new CommandFailed(`validator ${url} did not answer ${method} (${error instanceof Error ? error.message : String(error)})`)
  }
  const result = schema.safeParse(answer)
  if (!result.success) throw new CommandFailed(`validator ${url} answered ${method} with something else than promised`)
  return result.data
}

const zPoint = z.object({ number: z.int().nonnegative(), hash: z.string() })
/** `fusion_finality`. */
export const zFinality = z.object({ head: zPoint, safe: zPoint, finalized: zPoint })
/** `fusion_evidence`: offences of validators. */
export const zValidatorEvidence = z.array(
  z.object({ offence: z.union([z.string(), z.number()]), offender: z.string(), first: z.string(), second: z.string() }),
)
