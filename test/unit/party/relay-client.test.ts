/** A party's way to its relays: posting, polling, and the socket, over loopback. @module */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import type { RelayClient } from '#node/party/relay-client.ts'
import { createRelayClient } from '#node/party/relay-client.ts'
import { ENVELOPE_BYTES_MAX } from '#shared/dcrm/envelope.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { envelope, hexOf, proof, sessionId } from '#test/unit/party/relay-table.ts'

const ID = sessionId(0x77)
const ends: (() => void)[] = []
afterEach(() => {
  vi.useRealTimers()
  for (const end of ends.splice(0)) end()
})

/** A relay that answers as told and shows what it was asked. */
async function relay(answer: (request: IncomingMessage, response: ServerResponse) => void) {
  const asked: string[] = []
  const proofs: unknown[] = []
  const sockets: WebSocket[] = []
  const http = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    proofs.push(request.headers['fusion-proof'])
    answer(request, response)
  })
  const ws = new WebSocketServer({ server: http })
  ws.on('connection', (socket, request) => {
    asked.push(`SOCKET ${request.url}`)
    proofs.push(request.headers['fusion-proof'])
    sockets.push(socket)
  })
  await new Promise<void>((done) => http.listen(0, '127.0.0.1', done))
  ends.push(() => {
    for (const socket of sockets) socket.terminate()
    ws.close()
    http.close()
    http.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, asked, proofs, sockets }
}

/** A signal that ends with the test. */
function signal(): AbortSignal {
  const stop = new AbortController()
  ends.unshift(() => stop.abort())
  return stop.signal
}

/** Party 2 in the session. */
const clientOf = (url: string, onPush?: (bytes: Uint8Array) => void, ends = signal()): RelayClient => {
  const keys = { signSecret: new Uint8Array(32).fill(2), sealSecret: new Uint8Array(32) }
  const session = { openId: new Uint8Array(Buffer.from(ID, 'hex')), keys, crypto: nativeEnvelopeCrypto, backend: nobleBackend }
  return createRelayClient(url, { session, self: 2, signal: ends }, onPush)
}
const page = (response: ServerResponse, envelopes: readonly Uint8Array[], next: number): void => {
  const rows = envelopes.map((bytes, index) => ({ cursor: index + 1, bytes: Buffer.from(bytes).toString('base64') }))
  response.end(JSON.stringify({ envelopes: rows, next }))
}
const frame = (cursor: number, bytes: Uint8Array): Buffer => {
  const head = Buffer.alloc(4)
  head.writeUInt32BE(cursor)
  return Buffer.concat([head, bytes])
}

describe('posting', () => {
  it('is done when the relay has the envelope or another of ours, and not when it refuses or is away', async () => {
    let status = 0
    const { url, asked } = await relay((_request, response) => response.writeHead(status).end('{}'))
    const client = clientOf(`${url}/`)
    for (const [code, isDone] of [
      [201, true],
      [200, true],
      [409, true],
      [422, false],
      [413, false],
      [503, false],
    ] as const) {
      status = code
      expect([code, await client.post(envelope())]).toEqual([code, isDone])
    }
    expect(new Set(asked)).toEqual(new Set([`POST /v1/sessions/${ID}/envelopes`]))
    for (const away of ['http://127.0.0.1:1', 'no address', 'http://', ''])
      expect(await clientOf(away, () => undefined).post(envelope())).toBe(false)
  })
})

describe('proofs', () => {
  it('say that an envelope is meant for this session, and who listens; a poll needs none', async () => {
    const { url, proofs, sockets } = await relay((_request, response) => page(response, [], 0))
    const own = envelope({ from: 2 })
    const client = clientOf(url)
    await client.post(own)
    await client.read()
    clientOf(url, () => undefined)
    await vi.waitFor(() => expect(sockets).toHaveLength(1))
    expect(proofs).toEqual([proof(2, 'post', ID, own), undefined, proof(2, 'listen', ID, 2)])
  })
})

describe('polling', () => {
  it('goes on from the cursor it was told, and takes a broken answer for none', async () => {
    const answers: ((response: ServerResponse) => void)[] = [
      (response) => page(response, [envelope()], 5),
      (response) => response.end('{"envelopes":[{"cursor":6,"bytes":"!"}],"next":6}'),
      (response) => response.writeHead(500).end('{}'),
      (response) => page(response, [], 3),
      (response) => page(response, [], 9),
    ]
    const { url, asked } = await relay((_request, response) => answers.shift()?.(response))
    const client = clientOf(url)
    expect((await client.read()).map(hexOf)).toEqual([hexOf(envelope())])
    for (let times = 0; times < 4; times++) expect(await client.read()).toEqual([])
    const path = `GET /v1/sessions/${ID}/envelopes?after=`
    expect(asked).toEqual([`${path}0&to=2`, ...Array.from({ length: 4 }, () => `${path}5&to=2`)])
  })
})

describe('an answer', () => {
  it('without end is hung up on, to a post and to a poll', async () => {
    let closed = 0
    const { url } = await relay((_request, response) => {
      response.on('close', () => (closed += 1))
      const more = (): void => {
        if (!response.destroyed) response.write(Buffer.alloc(1024 * 1024, 32), () => setImmediate(more))
      }
      more()
    })
    const client = clientOf(url)
    expect(await client.post(envelope())).toBe(false)
    expect(await client.read()).toEqual([])
    await vi.waitFor(() => expect(closed).toBe(2))
  })
})

describe('the socket', () => {
  it('brings envelopes by itself, so that nothing is polled, and comes back by cursor after a break', async () => {
    const got: string[] = []
    const { url, asked, sockets } = await relay((_request, response) => page(response, [envelope({ from: 3 })], 8))
    const client = clientOf(url, (bytes) => got.push(hexOf(bytes)))
    await vi.waitFor(() => expect(sockets).toHaveLength(1))
    sockets[0]?.send(frame(7, envelope()))
    await vi.waitFor(() => expect(got).toEqual([hexOf(envelope())]))
    expect(await client.read()).toEqual([])
    expect(asked).toEqual([`SOCKET /v1/sessions/${ID}/socket?after=0&to=2`])
    sockets[0]?.terminate()
    await vi.waitFor(async () => expect(await client.read()).toHaveLength(1))
    expect(asked[1]).toBe(`GET /v1/sessions/${ID}/envelopes?after=7&to=2`)
    await vi.waitFor(() => expect(sockets).toHaveLength(2), { timeout: 3000 })
    expect(asked.at(-1)).toBe(`SOCKET /v1/sessions/${ID}/socket?after=8&to=2`)
  })

  it('takes no frame that cannot be an envelope, and leaves a relay that sends larger ones', async () => {
    const got: string[] = []
    const { url, sockets } = await relay((_request, response) => page(response, [], 0))
    clientOf(url, (bytes) => got.push(hexOf(bytes)))
    await vi.waitFor(() => expect(sockets).toHaveLength(1))
    const closed = new Promise<number>((done) => sockets[0]?.on('close', done))
    sockets[0]?.send(frame(1, new Uint8Array(0)).subarray(0, 3))
    sockets[0]?.send(frame(1, new Uint8Array(83)))
    sockets[0]?.send('x'.repeat(400))
    sockets[0]?.send(frame(2, envelope()))
    sockets[0]?.send(frame(3, new Uint8Array(ENVELOPE_BYTES_MAX + 1)))
    expect(await closed).toBe(1009)
    expect(got).toEqual([hexOf(envelope())])
  })

  it('is given up when it falls silent, and kept while its pings are answered', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    const { url, sockets } = await relay((_request, response) => page(response, [], 0))
    clientOf(url, () => undefined)
    await vi.waitFor(() => expect(sockets).toHaveLength(1))
    const [socket] = sockets
    const pings: string[] = []
    let isAnswering = true
    let isClosed = false
    socket?.on('close', () => (isClosed = true))
    socket?.on('message', (data: Buffer) => {
      pings.push(data.toString())
      if (isAnswering) socket.send('pong')
    })
    for (let count = 1; count <= 3; count++) {
      await new Promise((done) => setTimeout(done, 50))
      vi.advanceTimersByTime(5000)
      await vi.waitFor(() => expect(pings).toHaveLength(count))
    }
    isAnswering = false
    await new Promise((done) => setTimeout(done, 50))
    vi.advanceTimersByTime(5000)
    await vi.waitFor(() => expect(pings).toEqual(['ping', 'ping', 'ping', 'ping']))
    expect(isClosed).toBe(false)
    vi.advanceTimersByTime(5000)
    await vi.waitFor(() => expect(isClosed).toBe(true))
  })

  it('ends with its session, and is not tried again', async () => {
    const { url, sockets } = await relay((_request, response) => page(response, [], 0))
    const stop = new AbortController()
    clientOf(url, () => undefined, stop.signal)
    await vi.waitFor(() => expect(sockets).toHaveLength(1))
    const closed = new Promise((done) => sockets[0]?.on('close', done))
    stop.abort()
    await closed
    await new Promise((done) => setTimeout(done, 700))
    expect(sockets).toHaveLength(1)
  })
})
