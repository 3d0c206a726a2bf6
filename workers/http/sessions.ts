/** The relay of signing sessions: envelopes in, envelopes out, by page or socket. @module */
import { createRoute, z } from '@hono/zod-openapi'
import { PROOF_HEADER } from '#shared/dcrm/relay-proof.ts'
import { json, problems, subApp } from '#workers/http/context.ts'
import { zodProblem } from '#workers/http/problem.ts'

const zId = z.string().regex(/^[0-9a-f]{64}$/)
const params = z.object({ id: zId.openapi({ description: 'Opening id of the session, 64 hex digits' }) })
const query = z.object({
  after: z
    .string()
    .regex(/^\d{1,9}$/)
    .optional()
    .openapi({ description: 'Cursor of the last envelope seen' }),
  to: z
    .string()
    .regex(/^[1-9]\d{0,4}$/)
    .optional()
    .openapi({ description: 'Only what this party should read' }),
})
const zProof = z
  .string()
  .regex(/^[0-9a-f]{128}$/)
  .openapi({
    description: 'Ed25519 signature of the party over H("post", session, envelope), or to listen over H("listen", session, party)',
  })
const zCode = z.object({ code: z.string() })
const zPage = z.object({
  envelopes: z.array(z.object({ cursor: z.int(), round: z.int(), kind: z.string(), from: z.int(), bytes: z.base64() })),
  next: z.int(),
  rounds: z.array(z.object({ round: z.int(), atMs: z.int() })),
})

const postRoute = createRoute({
  method: 'post',
  path: '/v1/sessions/{id}/envelopes',
  tags: ['validators'],
  summary: 'Leave one signed envelope; the first of its place is kept',
  request: {
    params,
    headers: z.object({ [PROOF_HEADER]: zProof }),
    body: { required: true, content: { 'application/octet-stream': { schema: z.string().openapi({ format: 'binary' }) } } },
  },
  responses: {
    201: json(zCode, 'Stored'),
    200: json(zCode, 'The same is there'),
    409: json(zCode, 'Another has the place'),
    413: json(zCode, 'Too large or too many'),
    422: json(zCode, 'Not an envelope that a registered party means for this session'),
    503: json(zCode, 'No validator tells who is registered'),
    ...problems,
  },
})
const listRoute = createRoute({
  method: 'get',
  path: '/v1/sessions/{id}/envelopes',
  tags: ['validators'],
  summary: 'Envelopes after a cursor, oldest first',
  request: { params, query },
  responses: {
    200: json(zPage, 'A page, and when the first envelope of each round came'),
    400: json(zCode, 'Cursor or party malformed'),
    ...problems,
  },
})
const socketRoute = createRoute({
  method: 'get',
  path: '/v1/sessions/{id}/socket',
  tags: ['validators'],
  summary: 'The same as a WebSocket: each frame is a cursor of 4 bytes and an envelope',
  request: { params, query, headers: z.object({ [PROOF_HEADER]: zProof.optional() }) },
  responses: {
    101: { description: 'Switching protocols; `ping` is answered with `pong`' },
    400: json(zCode, 'Cursor or party malformed'),
    426: json(zCode, 'Not a WebSocket'),
    503: json(zCode, 'Too many sockets, and this one is not proven to be of a registered party'),
    ...problems,
  },
})

/** Routes of the relay. The object answers for itself: what it holds is opaque here. */
export const sessionRoutes = subApp()
for (const route of [postRoute, listRoute, socketRoute]) {
  sessionRoutes.openAPIRegistry.registerPath(route)
  sessionRoutes.on(route.method, route.getRoutingPath(), (c) => {
    const parsed = params.safeParse({ id: c.req.param('id') })
    if (!parsed.success) throw zodProblem(parsed.error)
    return c.env.SIGNING.get(c.env.SIGNING.idFromName(parsed.data.id)).fetch(c.req.raw)
  })
}
