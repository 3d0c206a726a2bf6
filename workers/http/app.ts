/** The HTTP surface: guards, routes by kind of user, OpenAPI, two pages, and one place where errors become problems. @module */
import { OpenAPIHono } from '@hono/zod-openapi'
import { cors } from 'hono/cors'
import { etag } from 'hono/etag'
import { secureHeaders } from 'hono/secure-headers'
import type { AppEnv } from '#workers/http/context.ts'
import { formGuard, sizeGuard } from '#workers/http/body-guard.ts'
import { docsPage } from '#workers/http/docs-page.ts'
import { idempotent } from '#workers/http/idempotency.ts'
import { metaRoutes } from '#workers/http/meta.ts'
import { ApiProblem, problemResponse } from '#workers/http/problem.ts'
import { providerRoutes } from '#workers/http/providers.ts'
import { readStatus } from '#workers/http/status.ts'
import { sessionRoutes } from '#workers/http/sessions.ts'
import { statusPage } from '#workers/http/status-page.ts'
import { intentRoutes } from '#workers/http/trigger-intents.ts'
import { triggerRoutes } from '#workers/http/triggers.ts'
import { validatorRoutes } from '#workers/http/validators.ts'

const DOCUMENT = {
  openapi: '3.1.0',
  info: {
    title: 'FUSION edge',
    version: '1.0.0',
    description:
      'Triggers for dapps, batches for data providers, bundles for validators. State changes are signed intents; nothing here is trusted.',
  },
  tags: [{ name: 'dapps' }, { name: 'providers' }, { name: 'validators' }, { name: 'meta' }],
}

/** The application; `wrangler` serves it through workers/index.ts. */
export const app = new OpenAPIHono<AppEnv>()

app.onError((error, c) => problemResponse(error, c.req.path))
app.notFound((c) => problemResponse(new ApiProblem('METHOD_UNKNOWN', 'See /docs.'), c.req.path))

app.use(
  '*',
  secureHeaders({
    contentSecurityPolicy: {
      defaultSrc: ["'none'"],
      styleSrc: ["'unsafe-inline'"],
      frameAncestors: ["'none'"],
      baseUri: ["'none'"],
      formAction: ["'none'"],
    },
    referrerPolicy: 'no-referrer',
    crossOriginResourcePolicy: 'cross-origin',
  }),
)
app.use(
  '/v1/*',
  cors({
    origin: '*',
    allowMethods: ['GET', 'POST', 'PATCH', 'OPTIONS'],
    allowHeaders: ['content-type', 'idempotency-key', 'if-match', 'if-none-match', 'last-event-id'],
    exposeHeaders: ['location', 'etag', 'retry-after', 'idempotency-replayed'],
  }),
)
// Envelopes are bytes with a limit of their own, and nothing about them is JSON.
app.route('/', sessionRoutes)
app.use('*', sizeGuard, formGuard)
app.use('/v1/*', idempotent)
app.use('/v1/triggers/*', etag())
app.use('/v1/feeds/*', etag())

app.route('/', triggerRoutes)
app.route('/', intentRoutes)
app.route('/', providerRoutes)
app.route('/', validatorRoutes)
app.route('/', metaRoutes)

app.doc31('/openapi.json', DOCUMENT)
app.get('/docs', (c) => c.html(docsPage(app.getOpenAPI31Document(DOCUMENT))))
app.get('/', async (c) => {
  c.header('cache-control', 'no-store')
  return c.html(statusPage(await readStatus(c.env)))
})
