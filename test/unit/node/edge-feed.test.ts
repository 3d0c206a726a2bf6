/** Following an edge that is late, restarts, lies or is away. @module */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it } from 'vitest'
import { createFrameReader, startEdgeFeed } from '#node/edge-feed.ts'

const bundle = (sequence: number, raw = `0x47${sequence.toString(16).padStart(4, '0')}`) => ({
  sequence,
  sourceSet: `0x${'11'.repeat(32)}`,
  shard: 0,
  round: sequence,
  txHash: `0x${'22'.repeat(32)}`,
  raw,
  batchCount: 3,
  batchAtMs: 1,
  bundleAtMs: 2,
})
const frame = (sequence: number, raw?: string) => `id: ${sequence}\nevent: bundle\ndata: ${JSON.stringify(bundle(sequence, raw))}\n\n`

const stops: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const stop of stops.splice(0).toReversed()) await stop()
})

async function serve(handler: (request: IncomingMessage, response: ServerResponse) => void, port = 0): Promise<Server> {
  const server = createServer(handler)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  stops.push(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })
  return server
}
const urlOf = (server: Server) => `http://127.0.0.1:${(server.address() as AddressInfo).port}`

type Log = { items: ReturnType<typeof bundle>[]; oldest?: number }
function edge(log: Log, stream: (after: number, response: ServerResponse) => void) {
  return (request: IncomingMessage, response: ServerResponse) => {
    const url = new URL(request.url ?? '', 'http://x')
    const after = Number(url.searchParams.get('after'))
    const limit = Number(url.searchParams.get('limit') ?? 100)
    if (url.pathname === '/v1/bundles/stream') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('event: tick\ndata: {}\n\n')
      stream(after, response)
      return
    }
    const items = log.items.filter((item) => item.sequence > after).slice(0, limit)
    response.end(JSON.stringify({ items, head: log.items.at(-1)?.sequence ?? 0, oldest: log.oldest ?? 1 }))
  }
}

function follow(urls: string[], submit?: (raw: Uint8Array) => Promise<string | null>) {
  const taken: number[] = []
  const notices: string[] = []
  const stop = startEdgeFeed({
    urls,
    submit:
      submit ??
      (async (raw) => {
        taken.push((raw[1] ?? 0) * 256 + (raw[2] ?? 0))
        return null
      }),
    onNotice: (event, fields) => notices.push(`${event} ${fields['code'] ?? ''}`.trim()),
    pauseMs: [20, 50],
  })
  stops.push(stop)
  return { taken, notices, stop }
}
async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 4000
  while (!condition()) {
    if (Date.now() > deadline) throw new Error(`never: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

describe('following an edge', () => {
  it('pages first and then streams, each bundle once and in order', async () => {
    const log = { items: [bundle(1), bundle(2)] }
    const server = await serve(edge(log, (after, response) => response.write(frame(after + 1) + frame(after + 2))))
    const { taken } = follow([urlOf(server)])
    await until(() => taken.length === 4, 'four bundles')
    expect(taken).toEqual([1, 2, 3, 4])
  })

  it('resumes from its cursor when the stream breaks', async () => {
    const log = { items: [bundle(1)] }
    const asked: number[] = []
    const server = await serve(
      edge(log, (after, response) => {
        asked.push(after)
        log.items.push(bundle(after + 1))
        response.end(frame(after + 1))
      }),
    )
    const { taken } = follow([urlOf(server)])
    await until(() => taken.length >= 4, 'several connections')
    expect(taken.slice(0, 4)).toEqual([1, 2, 3, 4])
    expect(asked.slice(0, 3)).toEqual([1, 2, 3])
  })

  it('keeps paging while the stream does not work at all', async () => {
    const log = { items: [bundle(1)] }
    const server = await serve((request, response) => {
      if (request.url?.includes('stream') === true) {
        response.writeHead(503).end()
        log.items.push(bundle(log.items.length + 1))
      } else edge(log, () => undefined)(request, response)
    })
    const { taken } = follow([urlOf(server)])
    await until(() => taken.length >= 3, 'bundles by paging')
    expect(taken.slice(0, 3)).toEqual([1, 2, 3])
  })

  it('starts again when the edge lost its log', async () => {
    const log = { items: Array.from({ length: 9 }, (_, index) => bundle(index + 1)) }
    const server = await serve(edge(log, (_after, response) => response.end()))
    const { taken } = follow([urlOf(server)])
    await until(() => taken.length === 9, 'the first log')
    log.items = [bundle(1), bundle(2)]
    await until(() => taken.length === 11, 'the second log')
    expect(taken.slice(9)).toEqual([1, 2])
  })

  it('waits for an edge that is away and says so once', async () => {
    const placeholder = await serve(() => undefined)
    const port = (placeholder.address() as AddressInfo).port
    await stops.pop()?.()
    const { taken, notices } = follow([`http://127.0.0.1:${port}`])
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(notices).toEqual(['edge-away'])
    await serve(
      edge({ items: [bundle(1)] }, () => undefined),
      port,
    )
    await until(() => taken.length === 1, 'the bundle after the edge came')
    expect(notices).toEqual(['edge-away', 'edge-reached'])
  })

  it('submits nothing but attestations, and goes on after a refusal', async () => {
    const log = { items: [bundle(1, '0x02ff'), bundle(2)] }
    const server = await serve(edge(log, () => undefined))
    const seen: number[] = []
    const { notices } = follow([urlOf(server)], async (raw) => {
      seen.push(raw[0] ?? 0)
      return 'ROUND_CLOSED'
    })
    await until(() => seen.length === 1, 'the attestation')
    await until(() => notices.includes('bundle-refused ROUND_CLOSED'), 'the notice')
    expect(notices).toContain('bundle-refused NOT_AN_ATTESTATION')
    expect(seen).toEqual([0x47])
  })

  it('survives an edge that answers nonsense', async () => {
    const nonsense = ['<html>', '{', 'null', '{}', '{"items":[],"head":"x","oldest":1}', '{"items":[{}],"head":1,"oldest":1}']
    let asked = 0
    const good = edge({ items: [bundle(1)] }, () => undefined)
    const server = await serve((request, response) => {
      const answer = nonsense[asked++]
      if (answer === undefined) good(request, response)
      else response.end(answer)
    })
    const { notices, taken } = follow([urlOf(server)])
    await until(() => taken.length > 0, 'the bundle after the nonsense')
    expect(asked).toBeGreaterThan(nonsense.length)
    expect([taken, notices]).toEqual([[1], ['edge-away', 'edge-reached']])
  })
})

describe('frames of a stream', () => {
  it('are the same however the bytes are cut', () => {
    const text = `event: tick\ndata: {"head":1}\n\n${frame(7)}: comment\n\n${frame(8).replaceAll('\n', '\r\n')}`
    for (let size = 1; size < 40; size += 3) {
      const read = createFrameReader()
      const out: number[] = []
      for (let offset = 0; offset < text.length; offset += size)
        for (const data of read(text.slice(offset, offset + size))) out.push((JSON.parse(data) as { sequence: number }).sequence)
      expect(out).toEqual([7, 8])
    }
  })

  it('are cut off when one never ends', () => {
    const read = createFrameReader()
    expect(() => read('x'.repeat(300 * 1024))).toThrow(/longer/)
  })
})
