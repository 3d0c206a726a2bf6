/** Routes for everybody: who this edge is, how it is, and free coins on development networks. @module */
import { createRoute } from '@hono/zod-openapi'
import { zFaucetRequest, zFaucetResponse, zHealth, zMeta, zStatus } from '#shared/api/http-meta.ts'
import { PAGE_LIMIT_MAX } from '#shared/api/http.ts'
import { CALLING_LIST, FEED_REGISTRY } from '#shared/system.ts'
import type { Address } from '#shared/types.ts'
import { blockByNumber, chainMeta, finality } from '#workers/chain/rpc.ts'
import { returnFaucetTurn, takeFaucetTurn } from '#workers/db/records.ts'
import { config, operator } from '#workers/env.ts'
import { BODY_BYTES_MAX } from '#workers/http/body-guard.ts'
import { body, json, problems, subApp } from '#workers/http/context.ts'
import { ApiProblem } from '#workers/http/problem.ts'
import { readStatus } from '#workers/http/status.ts'
import { submitter } from '#workers/submit/submitter.ts'

const TRIGGER_BYTES_MAX = 16_384
/** An address gets coins once in this time. */
const FAUCET_INTERVAL_MS = 60_000

const healthRoute = createRoute({
  method: 'get',
  path: '/healthz',
  tags: ['meta'],
  summary: 'Alive, and whether a validator answers',
  responses: { 200: json(zHealth, 'Alive'), ...problems },
})

const metaRoute = createRoute({
  method: 'get',
  path: '/v1/meta',
  tags: ['meta'],
  summary: 'Chain, operator and limits of this edge',
  responses: { 200: json(zMeta, 'Identity'), ...problems },
})

const statusRoute = createRoute({
  method: 'get',
  path: '/v1/status',
  tags: ['meta'],
  summary: 'What the status page shows',
  responses: { 200: json(zStatus, 'Status'), ...problems },
})

const faucetRoute = createRoute({
  method: 'post',
  path: '/v1/faucet',
  tags: ['meta'],
  summary: 'Coins for development networks, once a minute and address',
  request: { body: body(zFaucetRequest) },
  responses: { 202: json(zFaucetResponse, 'Sent'), ...problems },
})

/** Routes for everybody. */
export const metaRoutes = subApp()
  .openapi(healthRoute, async (c) => {
    try {
      const { head } = await finality(c.env)
      const block = await blockByNumber(c.env, head.number)
      const ageMs = block === null ? null : Math.max(0, Date.now() - block.timestamp * 1000)
      return c.json({ status: 'ok' as const, head: head.number, headAgeMs: ageMs }, 200)
    } catch {
      return c.json({ status: 'degraded' as const, head: null, headAgeMs: null }, 200)
    }
  })
  .openapi(metaRoute, async (c) => {
    const chain = await chainMeta(c.env)
    const { rpcUrls, relayFeeMinWei, faucetWei } = config(c.env)
    return c.json(
      {
        name: 'fusion-edge' as const,
        chainId: chain.chainId,
        genesisHash: chain.genesisHash,
        genesisTimeMs: chain.genesisTimeMs,
        slotMs: chain.slotMs,
        callingList: CALLING_LIST,
        feedRegistry: FEED_REGISTRY,
        operator: operator(c.env).address.toLowerCase() as Address,
        rpcUrls: [...rpcUrls],
        relayFeeMinWei: relayFeeMinWei.toString(),
        faucet: faucetWei !== null,
        limits: { bodyBytes: BODY_BYTES_MAX, triggerBytes: TRIGGER_BYTES_MAX, pageItems: PAGE_LIMIT_MAX },
      },
      200,
    )
  })
  .openapi(statusRoute, async (c) => c.json(await readStatus(c.env), 200))
  .openapi(faucetRoute, async (c) => {
    const { faucetWei } = config(c.env)
    if (faucetWei === null) throw new ApiProblem('FAUCET_OFF', 'Set the var FAUCET on a development network.')
    const { address } = c.req.valid('json')
    if (!(await takeFaucetTurn(c.env, address, Date.now(), FAUCET_INTERVAL_MS)))
      throw new ApiProblem('RATE_LIMITED', 'One grant a minute and address.', [], { 'retry-after': String(FAUCET_INTERVAL_MS / 1000) })
    const sent = await submitter(c.env).relay({ to: address, data: '0x', valueWei: faucetWei })
    if (!sent.sent) {
      await returnFaucetTurn(c.env, address)
      throw new ApiProblem('CHAIN_ERROR', sent.detail)
    }
    return c.json({ txHash: sent.txHash, amountWei: faucetWei.toString() }, 202)
  })
