/** Routes of data providers and of readers of feeds. @module */
import { createRoute } from '@hono/zod-openapi'
import { zFeedHistoryRead } from '#shared/api/chain-reads.ts'
import { zBatch, zFact, zFactAccepted, zFeed, zFeedList, zHistory, zHistoryQuery, zReceipt } from '#shared/api/http-oracle.ts'
import { zIdPath } from '#shared/api/http.ts'
import { call } from '#workers/chain/rpc.ts'
import { body, json, problems, subApp } from '#workers/http/context.ts'
import { ApiProblem } from '#workers/http/problem.ts'
import { collector } from '#workers/oracle/collector.ts'
import { factCollector } from '#workers/oracle/fact-collector.ts'
import { allFeeds, feedById } from '#workers/oracle/feeds.ts'
import { sourceSet } from '#workers/oracle/registry.ts'

const FEEDS_MAX = 64

const batchRoute = createRoute({
  method: 'post',
  path: '/v1/batches',
  tags: ['providers'],
  summary: 'Publish a signed batch; the answer is a signed receipt, the same for a repeat',
  request: { body: body(zBatch) },
  responses: { 200: json(zReceipt, 'Receipt'), ...problems },
})

const factRoute = createRoute({
  method: 'post',
  path: '/v1/facts',
  tags: ['providers'],
  summary: 'Publish a signed fact of a foreign chain',
  request: { body: body(zFact) },
  responses: { 202: json(zFactAccepted, 'Taken'), ...problems },
})

const feedsRoute = createRoute({
  method: 'get',
  path: '/v1/feeds',
  tags: ['providers'],
  summary: 'All feeds with their newest report',
  responses: { 200: json(zFeedList, 'Feeds'), ...problems },
})

const latestRoute = createRoute({
  method: 'get',
  path: '/v1/feeds/{id}/latest',
  tags: ['providers'],
  summary: 'One feed with its newest report',
  request: { params: zIdPath },
  responses: { 200: json(zFeed, 'Feed'), ...problems },
})

const historyRoute = createRoute({
  method: 'get',
  path: '/v1/feeds/{id}/history',
  tags: ['providers'],
  summary: 'Stored reports after a sequence, oldest first',
  request: { params: zIdPath, query: zHistoryQuery },
  responses: { 200: json(zHistory, 'A page'), ...problems },
})

/** Routes for providers. */
export const providerRoutes = subApp()
  .openapi(batchRoute, async (c) => {
    const batch = c.req.valid('json')
    const set = await sourceSet(c.env, batch.sourceSet)
    if (set === null) throw new ApiProblem('SOURCE_SET_UNKNOWN', 'See /v1/feeds.')
    if (set.shards[batch.shard] === undefined)
      throw new ApiProblem('BATCH_REFUSED', 'See errors.', [
        { pointer: '/shard', code: 'SHARD_UNKNOWN', detail: `the set has ${set.shards.length}` },
      ])
    const taken = await collector(c.env, batch.sourceSet, batch.shard).take(batch)
    if (!taken.ok)
      throw new ApiProblem('BATCH_REFUSED', 'See errors.', [{ pointer: taken.pointer, code: taken.code, detail: taken.detail }])
    return c.json(taken.receipt, 200)
  })
  .openapi(factRoute, async (c) => {
    const fact = c.req.valid('json')
    if ((await sourceSet(c.env, fact.sourceSet)) === null) throw new ApiProblem('SOURCE_SET_UNKNOWN', 'See /v1/feeds.')
    const taken = await factCollector(c.env, fact.sourceSet).take(fact)
    if (!taken.ok) throw new ApiProblem('FACT_REFUSED', 'See errors.', [{ pointer: taken.pointer, code: taken.code, detail: taken.detail }])
    return c.json(taken.accepted, 202)
  })
  .openapi(feedsRoute, async (c) => c.json({ items: await allFeeds(c.env, FEEDS_MAX) }, 200))
  .openapi(latestRoute, async (c) => {
    const feed = await feedById(c.env, c.req.valid('param').id)
    if (feed === null) throw new ApiProblem('NOT_FOUND', 'No feed has this id.')
    return c.json(feed, 200)
  })
  .openapi(historyRoute, async (c) => {
    const { id } = c.req.valid('param')
    const { after, limit } = c.req.valid('query')
    if ((await feedById(c.env, id)) === null) throw new ApiProblem('NOT_FOUND', 'No feed has this id.')
    const items = await call(c.env, zFeedHistoryRead, 'fusion_feedHistory', [{ feed: id, after, limit }, 'latest'])
    return c.json({ items, next: items.length === limit ? (items.at(-1)?.sequence ?? null) : null }, 200)
  })
