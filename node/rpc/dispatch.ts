/** JSON-RPC 2.0: one text in, one text or nothing out. Source: JSON-RPC 2.0 specification, sections 4 to 6. @module */
import { BLOCK_METHODS } from '#node/rpc/block-methods.ts'
import { CALL_METHODS } from '#node/rpc/call-methods.ts'
import type { MethodTable, RpcContext, Session } from '#node/rpc/context.ts'
import { FEE_METHODS } from '#node/rpc/fee-methods.ts'
import { breathe } from '#node/rpc/breathe.ts'
import { filterMethods } from '#node/rpc/filter-methods.ts'
import { FUSION_METHODS } from '#node/rpc/fusion-methods.ts'
import { NODE_METHODS } from '#node/rpc/node-methods.ts'
import { INTERNAL_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR } from '#node/rpc/rpc-error.ts'
import { RpcError } from '#shared/api/json-rpc.ts'
import { STATE_METHODS } from '#node/rpc/state-methods.ts'
import * as z from 'zod'

/** Requests in one batch, and nesting of brackets in one text. */
const BATCH_MAX = 200
const DEPTH_MAX = 64

const requestSchema = z.object({
  jsonrpc: z.literal('2.0').optional(),
  id: z.union([z.string(), z.number(), z.null()]).optional(),
  method: z.string().max(128),
  params: z.union([z.array(z.unknown()), z.null(), z.record(z.string(), z.unknown())]).optional(),
})

type Id = string | number | null
type Answer = Readonly<{ jsonrpc: '2.0'; id: Id }> & (Readonly<{ result: unknown }> | Readonly<{ error: unknown }>)

/** Answers one text; null when it held notifications only. Never rejects. */
export type Dispatcher = (text: string, session: Session | null) => Promise<string | null>

/** Deepest nesting of a JSON text, without parsing it. */
function nestingDepth(text: string): number {
  let depth = 0
  let deepest = 0
  let isInString = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (isInString) {
      if (character === '\\') index++
      else if (character === '"') isInString = false
    } else if (character === '"') isInString = true
    else if (character === '[' || character === '{') deepest = Math.max(deepest, ++depth)
    else if (character === ']' || character === '}') depth--
  }
  return deepest
}

function errorAnswer(id: Id, error: unknown): Answer {
  if (error instanceof RpcError) {
    const { code, message, data } = error
    return { jsonrpc: '2.0', id, error: data === undefined ? { code, message } : { code, message, data } }
  }
  return { jsonrpc: '2.0', id, error: { code: INTERNAL_ERROR, message: 'internal error' } }
}

const readableId = (request: unknown): Id => {
  const parsed = z.object({ id: z.union([z.string(), z.number()]) }).safeParse(request)
  return parsed.success ? parsed.data.id : null
}

class Runner {
  readonly #methods: MethodTable
  readonly #context: RpcContext
  readonly #onFault: (method: string, error: unknown) => void

  constructor(methods: MethodTable, context: RpcContext, onFault: (method: string, error: unknown) => void) {
    this.#methods = methods
    this.#context = context
    this.#onFault = onFault
  }

  async one(request: unknown, session: Session | null): Promise<Answer | null> {
    const parsed = requestSchema.safeParse(request)
    if (!parsed.success) return errorAnswer(readableId(request), new RpcError(INVALID_REQUEST, 'invalid request'))
    const { id, method, params } = parsed.data
    const answer = await this.#call(method, params ?? [], id ?? null, session)
    return id === undefined ? null : answer
  }

  async #call(name: string, params: unknown, id: Id, session: Session | null): Promise<Answer> {
    try {
      const run = Object.hasOwn(this.#methods, name) ? this.#methods[name] : undefined
      if (run === undefined) throw new RpcError(METHOD_NOT_FOUND, `the method ${name} does not exist/is not available`)
      if (!Array.isArray(params)) throw new RpcError(-32602, 'expected params as an array')
      const result = await run(params, this.#context, session)
      return { jsonrpc: '2.0', id, result: result ?? null }
    } catch (error) {
      if (!(error instanceof RpcError)) this.#onFault(name, error)
      return errorAnswer(id, error)
    }
  }
}

function parse(text: string): unknown {
  if (nestingDepth(text) > DEPTH_MAX) throw new RpcError(PARSE_ERROR, `nested deeper than ${DEPTH_MAX}`)
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw new RpcError(PARSE_ERROR, 'parse error')
  }
}

/** A dispatcher over all methods. `onFault` hears of our own bugs; the caller gets "internal error". */
export function createDispatcher(context: RpcContext, onFault: (method: string, error: unknown) => void): Dispatcher {
  const methods: MethodTable = {
    ...NODE_METHODS,
    ...BLOCK_METHODS,
    ...STATE_METHODS,
    ...FEE_METHODS,
    ...CALL_METHODS,
    ...FUSION_METHODS,
    ...filterMethods(),
    rpc_modules: () => ({ eth: '1.0', net: '1.0', web3: '1.0', txpool: '1.0', debug: '1.0', fusion: '1.0' }),
  }
  const runner = new Runner(methods, context, onFault)
  return async (text, session) => {
    let request: unknown
    try {
      request = parse(text)
    } catch (error) {
      return JSON.stringify(errorAnswer(null, error))
    }
    if (!Array.isArray(request)) {
      const answer = await runner.one(request, session)
      return answer === null ? null : JSON.stringify(answer)
    }
    if (request.length === 0 || request.length > BATCH_MAX)
      return JSON.stringify(
        errorAnswer(null, new RpcError(INVALID_REQUEST, request.length === 0 ? 'empty batch' : `batch of more than ${BATCH_MAX}`)),
      )
    const answers: Answer[] = []
    for (const item of request) {
      // A batch of heavy calls must leave the process time for consensus between them.
      await breathe()
      const answer = await runner.one(item, session)
      if (answer !== null) answers.push(answer)
    }
    return answers.length === 0 ? null : JSON.stringify(answers)
  }
}
