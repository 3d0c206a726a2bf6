/** Following bundles through pages, streams, broken streams and gaps. @module */
import { afterEach, describe, expect, it } from 'vitest'
import { FusionClient } from '#node/sdk/index.ts'
import type { Route } from './fake-edge.ts'
import { startFakeEdge } from './fake-edge.ts'

const hash = `0x${'ab'.repeat(32)}`
const bundle = (sequence: number) => ({
  sequence,
  sourceSet: hash,
  shard: 0,
  round: sequence,
  txHash: hash,
  raw: '0x47c0',
  batchCount: 3,
  batchAtMs: 1,
  bundleAtMs: 2,
})
const frame = (sequence: number): string => `id: ${sequence}\nevent: bundle\ndata: ${JSON.stringify(bundle(sequence))}\n\n`

let close: () => Promise<void> = () => Promise.resolve()
afterEach(() => close())

/** An edge whose log holds `log.length` bundles at any time; `stream` writes the frames of each connection. */
async function edge(log: number[], streams: ((after: number, write: (text: string) => void, end: () => void) => void)[]) {
  const page: Route = ({ path }) => {
    const query = new URLSearchParams(path.split('?')[1])
    const after = Number(query.get('after'))
    const items = log.filter((sequence) => sequence > after).slice(0, Number(query.get('limit')))
    return { json: { items: items.map((sequence) => bundle(sequence)), head: log.at(-1) ?? 0, oldest: log[0] ?? 1 } }
  }
  const stream: Route = ({ path }, response) => {
    const after = Number(new URLSearchParams(path.split('?')[1]).get('after'))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.flushHeaders()
    streams.shift()?.(
      after,
      (text) => response.write(text),
      () => response.end(),
    )
    return null
  }
  const started = await startFakeEdge({ 'GET /v1/bundles': page, 'GET /v1/bundles/stream': stream })
  close = started.close
  return { ...started, client: new FusionClient({ edgeUrl: started.edgeUrl, pauseMs: 1 }) }
}

async function take(client: FusionClient, count: number, after = 0): Promise<readonly number[]> {
  const stop = new AbortController()
  const seen: number[] = []
  for await (const one of client.bundles({ after, signal: stop.signal })) {
    seen.push(one.sequence)
    if (seen.length === count) stop.abort()
  }
  return seen
}

describe('bundles', { timeout: 20_000 }, () => {
  it('come page by page from the cursor', async () => {
    const { client, asked } = await edge(
      Array.from({ length: 250 }, (_, index) => index + 1),
      [],
    )
    expect(await take(client, 245, 5)).toEqual(Array.from({ length: 245 }, (_, index) => index + 6))
    expect(asked.map(({ path }) => path).slice(0, 3)).toEqual([
      '/v1/bundles?after=5&limit=100',
      '/v1/bundles?after=105&limit=100',
      '/v1/bundles?after=205&limit=100',
    ])
  })

  it('come from the stream afterwards, split anywhere, ticks and repeats aside', async () => {
    const { client } = await edge(
      [1],
      [
        (after, write) => {
          const text = `event: tick\ndata: {"head":1,"nowMs":5}\n\n${frame(after)}${frame(2)}`
          write(text.slice(0, 70))
          setTimeout(() => write(text.slice(70) + frame(3)), 20)
        },
      ],
    )
    expect(await take(client, 3)).toEqual([1, 2, 3])
  })

  it('continue from the cursor when the stream ends or leaves a gap', async () => {
    const log = [1]
    const { client } = await edge(log, [
      (_, write, end) => {
        write(frame(2))
        log.push(2, 3)
        end()
      },
      (_, write) => {
        log.push(4, 5)
        write(frame(5))
      },
    ])
    expect(await take(client, 5)).toEqual([1, 2, 3, 4, 5])
  })

  it('that are pruned are an error, not a silence', async () => {
    const problem = { type: 'x', title: 'Gone', status: 410, code: 'CURSOR_GONE', detail: 'The log holds 90 to 99' }
    const started = await startFakeEdge({ 'GET /v1/bundles': () => ({ status: 410, json: problem }) })
    close = started.close
    await expect(take(new FusionClient({ edgeUrl: started.edgeUrl, pauseMs: 1 }), 1)).rejects.toMatchObject({ code: 'CURSOR_GONE' })
  })
})
