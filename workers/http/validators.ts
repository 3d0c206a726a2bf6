/** What validators take from an edge: bundles by page or stream, and evidence. @module */
import { createRoute } from '@hono/zod-openapi'
import { zBundlePage, zBundleQuery, zEvidencePage, zStreamQuery } from '#shared/api/http-oracle.ts'
import { zPageQuery } from '#shared/api/http.ts'
import { evidencePage } from '#workers/db/records.ts'
import { json, problems, subApp } from '#workers/http/context.ts'
import { pageOffset } from '#workers/http/cursor.ts'
import { ApiProblem } from '#workers/http/problem.ts'
import { bundleLog } from '#workers/oracle/bundle-log.ts'

const listRoute = createRoute({
  method: 'get',
  path: '/v1/bundles',
  tags: ['validators'],
  summary: 'Bundles after a cursor, oldest first',
  request: { query: zBundleQuery },
  responses: { 200: json(zBundlePage, 'A page; `head` is the newest sequence'), ...problems },
})

const streamRoute = createRoute({
  method: 'get',
  path: '/v1/bundles/stream',
  tags: ['validators'],
  summary: 'Bundles as server-sent events; from the newest, or after Last-Event-ID or ?after=',
  request: { query: zStreamQuery },
  responses: {
    200: { description: 'Frames `bundle` (id = sequence) and, every 5 s, `tick`', content: { 'text/event-stream': {} } },
    ...problems,
  },
})

const evidenceRoute = createRoute({
  method: 'get',
  path: '/v1/evidence',
  tags: ['validators'],
  summary: 'Proven faults of providers and reporters, newest first',
  request: { query: zPageQuery },
  responses: { 200: json(zEvidencePage, 'A page'), ...problems },
})

/** Frames that were pruned cannot be given; 0 means from the oldest one held. */
function checkCursor(after: number, head: number, oldest: number): void {
  if (after !== 0 && after < oldest - 1)
    throw new ApiProblem('CURSOR_GONE', `The log holds ${oldest} to ${head}; start after ${oldest - 1}.`)
}

/** Routes for validators. */
export const validatorRoutes = subApp()
  .openapi(listRoute, async (c) => {
    const { after, limit } = c.req.valid('query')
    const page = await bundleLog(c.env).page(after, limit)
    checkCursor(after, page.head, page.oldest)
    return c.json(page, 200)
  })
  .openapi(streamRoute, async (c) => {
    const asked = c.req.header('last-event-id') ?? c.req.valid('query').after
    const log = bundleLog(c.env)
    const { head, oldest } = await log.page(0, 1)
    const after = asked === undefined ? head : Number(asked)
    if (!Number.isSafeInteger(after) || after < 0)
      throw new ApiProblem('INVALID_REQUEST', 'See errors.', [
        { pointer: 'Last-Event-ID', code: 'INVALID_FORMAT', detail: 'expected the sequence of a bundle' },
      ])
    checkCursor(after, head, oldest)
    return log.fetch(`https://bundles/stream?after=${after}`)
  })
  .openapi(evidenceRoute, async (c) => {
    const { cursor, limit } = c.req.valid('query')
    const offset = pageOffset(cursor)
    const rows = await evidencePage(c.env, offset, limit)
    const items = rows.map(({ firstJson, secondJson, seenMs, ...row }) => ({
      ...row,
      first: JSON.parse(firstJson) as unknown,
      second: JSON.parse(secondJson) as unknown,
      seenAtMs: seenMs,
    }))
    return c.json({ items, next: rows.length === limit ? String(offset + limit) : null }, 200)
  })
