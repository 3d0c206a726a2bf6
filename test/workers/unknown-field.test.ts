/** One field too many, anywhere: every route and every object in a body refuses it by name, and nothing is stored. @module */
import { exports } from 'cloudflare:workers'
import { zBatch, zFact } from '#shared/api/http-oracle.ts'
import { zProblem } from '#shared/api/http.ts'
import { FakeChain } from '#test/workers/fake-chain.ts'
import { beforeAll, describe, expect, it, vi } from 'vitest'

const chain = new FakeChain(Date.now())
beforeAll(() => {
  vi.stubGlobal('fetch', chain.fetch)
})

type Operation = Readonly<{ requestBody?: Readonly<{ content: Readonly<Record<string, unknown>> }> }>
type Operations = Readonly<Record<string, Readonly<Record<string, Operation>>>>

async function routes(): Promise<readonly Readonly<{ method: string; path: string }>[]> {
  const document = (await (await exports.default.fetch('http://edge/openapi.json')).json()) as Readonly<{ paths: Operations }>
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, { requestBody }]) =>
      // Envelopes of key sessions are bytes and have no fields.
      requestBody?.content['application/octet-stream'] === undefined
        ? [{ method: method.toUpperCase(), path: path.replace('{id}', `0x${'ab'.repeat(32)}`) }]
        : [],
    ),
  )
}

describe('an unknown field', () => {
  it('in the body of any route is a problem that names it', async () => {
    const writing = (await routes()).filter(({ method }) => method !== 'GET')
    expect(writing.length).toBeGreaterThan(10)
    for (const { method, path } of writing) {
      const headers = { 'content-type': 'application/json' }
      const response = await exports.default.fetch(`http://edge${path}`, { method, headers, body: '{"surprise":1}' })
      const problem = zProblem.parse(await response.json())
      expect([path, response.status, response.headers.get('content-type')]).toEqual([path, 400, 'application/problem+json'])
      expect([path, problem.code]).toEqual([path, 'INVALID_REQUEST'])
      expect([path, JSON.stringify(problem.errors)]).toEqual([path, expect.stringContaining('surprise')])
    }
  })

  it('in the query of any route that reads one is a problem that names it', async () => {
    for (const path of ['/v1/triggers', '/v1/bundles', '/v1/bundles/stream', '/v1/evidence']) {
      const response = await exports.default.fetch(`http://edge${path}?surprise=1`)
      const problem = zProblem.parse(await response.json())
      expect([path, response.status, JSON.stringify(problem.errors)]).toEqual([path, 400, expect.stringContaining('surprise')])
    }
  })

  it('in a leaf of a batch or in a fact is one too', () => {
    const word = `0x${'ab'.repeat(32)}`
    const signature = `0x${'ab'.repeat(64)}01`
    const leaf = { feed: word, value: '1', confidence: '0', low: '1', high: '1', status: 'OK' }
    const batch = {
      sourceSet: word,
      shard: 0,
      round: 1,
      observedAtMs: 1,
      provider: `0x${'ab'.repeat(20)}`,
      leaves: [leaf],
      signature,
    }
    expect(zBatch.safeParse(batch).success).toBe(true)
    expect(zBatch.safeParse({ ...batch, leaves: [{ ...leaf, surprise: 1 }] }).success).toBe(false)
    expect(zBatch.safeParse({ ...batch, surprise: 1 }).success).toBe(false)
    expect(zFact.safeParse({ surprise: 1 }).error?.issues.some((issue) => issue.code === 'unrecognized_keys')).toBe(true)
  })
})
