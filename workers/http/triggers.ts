/** Routes that read and try triggers. @module */
import { createRoute } from '@hono/zod-openapi'
import { zExplainRead } from '#shared/api/chain-reads.ts'
import { entryFromJson, entryToJson } from '#shared/api/entry.ts'
import {
  type TriggerRow,
  zExplain,
  zFirePage,
  zSchedule,
  zScheduleQuery,
  zSimulateRequest,
  zSimulateResponse,
  zTriggerPage,
  zTriggerQuery,
  zTriggerRow,
  zValidateRequest,
  zValidateResponse,
} from '#shared/api/http-trigger.ts'
import { zHash, zIdPath, zPageQuery } from '#shared/api/http.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { descHash, encodeDescription } from '#shared/trigger/codec.ts'
import { dueFrom } from '#shared/trigger/timing.ts'
import type { Entry } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import { call, finality } from '#workers/chain/rpc.ts'
import { entryPage, firePage } from '#workers/db/pages.ts'
import type { Env } from '#workers/env.ts'
import { body, json, problems, subApp } from '#workers/http/context.ts'
import { pageOffset } from '#workers/http/cursor.ts'
import { ApiProblem } from '#workers/http/problem.ts'
import { acceptTrigger, renderTrigger } from '#workers/triggers/description.ts'
import { readEntry } from '#workers/triggers/evaluation.ts'
import { simulate } from '#workers/triggers/simulation.ts'
import { summaryOf } from '#workers/triggers/summary.ts'

const validateRoute = createRoute({
  method: 'post',
  path: '/v1/triggers:validate',
  tags: ['dapps'],
  summary: 'Check a description and get its encoding, hash and price',
  request: { body: body(zValidateRequest) },
  responses: { 200: json(zValidateResponse, 'Valid'), ...problems },
})

const simulateRoute = createRoute({
  method: 'post',
  path: '/v1/triggers:simulate',
  tags: ['dapps'],
  summary: 'Would it fire on the head, and what would its call do',
  request: { body: body(zSimulateRequest) },
  responses: { 200: json(zSimulateResponse, 'Outcome'), ...problems },
})

const listRoute = createRoute({
  method: 'get',
  path: '/v1/triggers',
  tags: ['dapps'],
  summary: 'Rows of the calling list in order of id',
  request: { query: zTriggerQuery },
  responses: { 200: json(zTriggerPage, 'A page'), ...problems },
})

const getRoute = createRoute({
  method: 'get',
  path: '/v1/triggers/{id}',
  tags: ['dapps'],
  summary: 'One row, read from the head',
  request: { params: zIdPath },
  responses: { 200: json(zTriggerRow, 'Row'), ...problems },
})

const firesRoute = createRoute({
  method: 'get',
  path: '/v1/triggers/{id}/fires',
  tags: ['dapps'],
  summary: 'Fires of a trigger, newest first',
  request: { params: zIdPath, query: zPageQuery },
  responses: { 200: json(zFirePage, 'A page'), ...problems },
})

const explainRoute = createRoute({
  method: 'get',
  path: '/v1/triggers/{id}/explain',
  tags: ['dapps'],
  summary: 'Why it does or does not fire now',
  request: { params: zIdPath },
  responses: { 200: json(zExplain, 'Reason'), ...problems },
})

const scheduleRoute = createRoute({
  method: 'get',
  path: '/v1/triggers/{id}/schedule',
  tags: ['dapps'],
  summary: 'The next due times of a timing trigger',
  request: { params: zIdPath, query: zScheduleQuery },
  responses: { 200: json(zSchedule, 'Times'), ...problems },
})

async function toRow(env: Env, entry: Entry, blockNumber: number): Promise<TriggerRow> {
  return {
    ...summaryOf(entry),
    blockNumber,
    entry: entryToJson(entry),
    trigger: await renderTrigger(env, entry.description),
  }
}

async function requireEntry(env: Env, id: Hash): Promise<Readonly<{ entry: Entry; blockNumber: number }>> {
  const { head } = await finality(env)
  const entry = await readEntry(env, id, head.hash)
  if (entry === null) throw new ApiProblem('NOT_FOUND', 'No trigger has this id.')
  return { entry, blockNumber: head.number }
}

/** The next `count` due values of a row, beginning with the stored one. */
function schedule(entry: Entry, count: number): number[] {
  const { mode } = entry.description
  const due: number[] = []
  for (let next = entry.dueAt; mode.type === 'timing' && next !== 0 && due.length < count; next = dueFrom(mode.when, next + 1))
    due.push(next)
  return due
}

/** Routes for dapps, without those that change anything. */
export const triggerRoutes = subApp()
  .openapi(validateRoute, async (c) => {
    const { description, acceptance } = await acceptTrigger(c.env, c.req.valid('json').trigger)
    const { limits, funding } = description
    const feeMax = BigInt(acceptance.fireGas) * limits.maxFeePerGasWei + funding.tipWei + funding.attestationFeeWei
    return c.json(
      {
        encoded: bytesToHex(encodeDescription(description)),
        descHash: descHash(description),
        dueAt: acceptance.dueAt,
        gasPerFire: String(acceptance.fireGas),
        depositWei: acceptance.depositWei.toString(),
        feePerFireMaxWei: feeMax.toString(),
      },
      200,
    )
  })
  .openapi(simulateRoute, async (c) => {
    const { trigger, owner, feedValue } = c.req.valid('json')
    const { description, acceptance } = await acceptTrigger(c.env, trigger)
    return c.json(await simulate(c.env, owner, description, acceptance.dueAt, feedValue ?? null), 200)
  })
  .openapi(listRoute, async (c) => {
    const { owner, contract, status, cursor, limit } = c.req.valid('query')
    const after = cursor === undefined ? null : zHash.safeParse(cursor)
    if (after?.success === false)
      throw new ApiProblem('INVALID_REQUEST', 'See errors.', [
        { pointer: 'cursor', code: 'INVALID_FORMAT', detail: 'use the value of `next`' },
      ])
    const rows = await entryPage(
      c.env,
      { owner: owner ?? null, contract: contract ?? null, status: status ?? null },
      after?.data ?? null,
      limit,
    )
    const items = await Promise.all(rows.map((row) => toRow(c.env, entryFromJson(JSON.parse(row.entryJson)), row.blockNumber)))
    const next = rows.length === limit ? (rows.at(-1)?.id ?? null) : null
    if (next !== null) {
      const url = new URL(c.req.url)
      url.searchParams.set('cursor', next)
      c.header('link', `<${url.pathname}${url.search}>; rel="next"`)
    }
    return c.json({ items, next }, 200)
  })
  .openapi(getRoute, async (c) => {
    const { entry, blockNumber } = await requireEntry(c.env, c.req.valid('param').id)
    return c.json(await toRow(c.env, entry, blockNumber), 200)
  })
  .openapi(firesRoute, async (c) => {
    const { id } = c.req.valid('param')
    const { cursor, limit } = c.req.valid('query')
    const offset = pageOffset(cursor)
    const items = await firePage(c.env, id, offset, limit)
    if (items.length === 0 && offset === 0) await requireEntry(c.env, id)
    return c.json({ items, next: items.length === limit ? String(offset + limit) : null }, 200)
  })
  .openapi(explainRoute, async (c) => {
    const explained = await call(c.env, zExplainRead, 'fusion_explain', [c.req.valid('param').id])
    if (explained === null) throw new ApiProblem('NOT_FOUND', 'No trigger has this id.')
    return c.json(explained, 200)
  })
  .openapi(scheduleRoute, async (c) => {
    const { entry } = await requireEntry(c.env, c.req.valid('param').id)
    const { mode } = entry.description
    const unit = mode.type !== 'timing' ? ('event' as const) : mode.when.kind === 'height' ? ('height' as const) : ('time' as const)
    const due = schedule(entry, c.req.valid('query').n).map((at) => ({ at, rfc3339: unit === 'time' ? new Date(at).toISOString() : null }))
    return c.json({ id: entry.id, unit, due }, 200)
  })
