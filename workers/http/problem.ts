/** Every refusal as `application/problem+json` with a stable code. Source: RFC 9457. @module */
import { HTTPException } from 'hono/http-exception'
import type { ContentfulStatusCode } from 'hono/utils/http-status'
import * as z from 'zod'
import type { Problem } from '#shared/api/http.ts'
import { DecodeError } from '#shared/fault.ts'
import { ChainUnreachableError } from '#workers/chain/rpc.ts'
import { RpcError } from '#shared/api/json-rpc.ts'

const TITLES = {
  MALFORMED_JSON: [400, 'The body is not JSON'],
  INVALID_REQUEST: [400, 'The request does not have the promised form'],
  NOT_FOUND: [404, 'There is no such thing'],
  METHOD_UNKNOWN: [404, 'There is no such route'],
  CONFLICT: [409, 'It contradicts what is already there'],
  IDEMPOTENCY_RUNNING: [409, 'A request with this Idempotency-Key still runs'],
  PRECONDITION_FAILED: [412, 'The entry has another revision'],
  CURSOR_GONE: [410, 'The cursor is outside what is kept'],
  BODY_TOO_LARGE: [413, 'The body is too large'],
  CONTENT_TYPE: [415, 'The body must be application/json'],
  IDEMPOTENCY_MISMATCH: [422, 'This Idempotency-Key was used with another body'],
  TRIGGER_INVALID: [422, 'The trigger breaks a rule'],
  SIGNATURE_INVALID: [422, 'The signature is not by the named key over this content'],
  BALANCE_TOO_LOW: [422, 'The owner cannot pay for it'],
  RELAY_FEE_TOO_LOW: [422, 'The relay fee is below what this edge asks'],
  INTENT_REFUSED: [422, 'The calling list refuses the intent'],
  BATCH_REFUSED: [422, 'The batch breaks a rule'],
  FACT_REFUSED: [422, 'The fact breaks a rule'],
  SOURCE_SET_UNKNOWN: [404, 'There is no such source set'],
  RATE_LIMITED: [429, 'Too many requests'],
  FAUCET_OFF: [404, 'This network has no faucet'],
  INTERNAL: [500, 'The edge failed'],
  CHAIN_ERROR: [502, 'A validator refused the read'],
  CHAIN_UNREACHABLE: [503, 'No validator answers'],
} as const satisfies Record<string, readonly [ContentfulStatusCode, string]>

type ProblemCode = keyof typeof TITLES
type ProblemItem = NonNullable<Problem['errors']>[number]

/** Ends a request with a problem. Thrown by handlers, turned into an answer in one place. */
export class ApiProblem extends Error {
  override readonly name = 'ApiProblem'
  readonly code: ProblemCode
  readonly errors: readonly ProblemItem[]
  readonly headers: Readonly<Record<string, string>>

  constructor(code: ProblemCode, detail: string, errors: readonly ProblemItem[] = [], headers: Readonly<Record<string, string>> = {}) {
    super(detail)
    this.code = code
    this.errors = errors
    this.headers = headers
  }
}

const pointer = (path: readonly PropertyKey[]): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/** What zod found, as pointers into the body. */
export function zodProblem(error: z.core.$ZodError): ApiProblem {
  const errors = error.issues
    .slice(0, 20)
    .flatMap((issue): ProblemItem[] =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => ({ pointer: pointer([...issue.path, key]), code: 'UNKNOWN_FIELD', detail: 'this field does not exist' }))
        : [{ pointer: pointer(issue.path), code: issue.code.toUpperCase(), detail: issue.message }],
    )
  return new ApiProblem('INVALID_REQUEST', 'See errors.', errors)
}

function fromUnknown(error: unknown): ApiProblem {
  if (error instanceof ApiProblem) return error
  if (error instanceof z.core.$ZodError) return zodProblem(error)
  if (error instanceof DecodeError)
    return new ApiProblem('INVALID_REQUEST', 'See errors.', [{ pointer: error.path, code: error.code, detail: error.message }])
  if (error instanceof ChainUnreachableError) return new ApiProblem('CHAIN_UNREACHABLE', 'Try again later.', [], { 'retry-after': '2' })
  if (error instanceof RpcError) return new ApiProblem('CHAIN_ERROR', error.message.slice(0, 300))
  if (error instanceof HTTPException && error.status === 413) return new ApiProblem('BODY_TOO_LARGE', 'See limits in /v1/meta.')
  if (error instanceof HTTPException && error.status === 400) return new ApiProblem('MALFORMED_JSON', 'The body could not be parsed.')
  console.error('request failed', error instanceof Error ? error.stack : String(error))
  return new ApiProblem('INTERNAL', 'The reason is in the log of the edge.')
}

/** The answer for anything thrown while serving a request. Bugs are logged and show nothing of themselves. */
export function problemResponse(error: unknown, instance: string): Response {
  const problem = fromUnknown(error)
  const [status, title] = TITLES[problem.code]
  const body: Problem = {
    type: `urn:fusion:problem:${problem.code.toLowerCase().replaceAll('_', '-')}`,
    title,
    status,
    code: problem.code,
    detail: problem.message,
    instance,
    ...(problem.errors.length > 0 && { errors: [...problem.errors] }),
  }
  return Response.json(body, { status, headers: { 'content-type': 'application/problem+json', ...problem.headers } })
}
