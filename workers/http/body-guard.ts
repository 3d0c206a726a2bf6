/** What is checked about a request body before it is parsed: type, size, depth. @module */
import { createMiddleware } from 'hono/factory'
import { bodyLimit } from 'hono/body-limit'
import type { AppEnv } from '#workers/http/context.ts'
import { ApiProblem } from '#workers/http/problem.ts'

/** Largest body of any request: a batch of 64 feeds or a trigger of 16 kB, with room. */
export const BODY_BYTES_MAX = 65_536
const DEPTH_MAX = 16

/** Whether JSON text nests deeper than `max`, without parsing it. */
export function isDeeperThan(text: string, max: number): boolean {
  let depth = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (inString) {
      if (character === '\\') index++
      else if (character === '"') inString = false
    } else if (character === '"') inString = true
    else if (character === '{' || character === '[') {
      depth++
      if (depth > max) return true
    } else if (character === '}' || character === ']') depth--
  }
  return false
}

/** Refuses bodies above the size before they are read. */
export const sizeGuard = bodyLimit({
  maxSize: BODY_BYTES_MAX,
  onError: () => {
    throw new ApiProblem('BODY_TOO_LARGE', `At most ${BODY_BYTES_MAX} bytes.`)
  },
})

/** Refuses bodies that are not declared JSON or nest too deeply. */
export const formGuard = createMiddleware<AppEnv>(async (c, next) => {
  if (c.req.method === 'POST' || c.req.method === 'PATCH') {
    const type = c.req.header('content-type') ?? ''
    if (!/^application\/json\s*(?:;|$)/i.test(type)) throw new ApiProblem('CONTENT_TYPE', 'Send content-type: application/json.')
    if (isDeeperThan(await c.req.text(), DEPTH_MAX))
      throw new ApiProblem('INVALID_REQUEST', 'See errors.', [{ pointer: '', code: 'TOO_DEEP', detail: `at most ${DEPTH_MAX} levels` }])
  }
  await next()
})
