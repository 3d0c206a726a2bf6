/** JSON-RPC over HTTP and WebSocket on one port. @module */
import type { Session } from '#node/rpc/context.ts'
import type { Dispatcher } from '#node/rpc/dispatch.ts'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { WebSocketServer } from 'ws'
import type { WebSocket } from 'ws'

const BODY_BYTES_MAX = 1024 * 1024
/** Bytes waiting for a slow WebSocket client before it is cut off. */
const BACKLOG_BYTES_MAX = 8 * 1024 * 1024
/** Unanswered messages of one WebSocket before it is no longer read. */
const WAITING_MAX = 64
const CONNECTIONS_MAX = 1024
const REQUEST_TIMEOUT_MS = 30_000

/** Where to listen and what to answer. */
export type RpcServerOptions = Readonly<{
  host: string
  /** 0 takes a free one. */
  port: number
  dispatch: Dispatcher
  /** Answer of `GET /`. */
  info: () => unknown
  /** Answer of `GET /health`; 503 when not healthy. */
  health: () => Readonly<{ healthy: boolean }>
}>

/** A listening server; `port` is the bound one. */
export type RpcServer = Readonly<{ port: number; close: () => Promise<void> }>

const CORS = {
  'access-control-allow-origin': '*',
  'access-control-allow-methods': 'POST, GET, OPTIONS',
  'access-control-allow-headers': 'content-type',
  'access-control-max-age': '86400',
} as const

function answer(response: ServerResponse, status: number, body: string | null, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { ...CORS, ...(body === null ? {} : { 'content-type': 'application/json' }), ...headers })
  response.end(body ?? undefined)
}

/** Whole body as text, null when it is longer than allowed. */
async function readBody(request: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of request) {
    const bytes = chunk as Buffer
    size += bytes.length
    if (size > BODY_BYTES_MAX) return null
    chunks.push(bytes)
  }
  return Buffer.concat(chunks).toString('utf8')
}

async function post(request: IncomingMessage, response: ServerResponse, dispatch: Dispatcher): Promise<void> {
  const declared = Number(request.headers['content-length'] ?? 0)
  const text = declared > BODY_BYTES_MAX ? null : await readBody(request)
  if (text === null) {
    const error = { code: -32600, message: `request body exceeds ${BODY_BYTES_MAX} bytes` }
    answer(response, 413, JSON.stringify({ jsonrpc: '2.0', id: null, error }), { connection: 'close' })
    request.destroy()
    return
  }
  const result = await dispatch(text, null)
  answer(response, result === null ? 204 : 200, result)
}

function get(path: string, response: ServerResponse, options: RpcServerOptions): void {
  if (path === '/') return answer(response, 200, JSON.stringify(options.info()))
  if (path !== '/health') return answer(response, 404, JSON.stringify({ error: 'not found' }))
  const health = options.health()
  return answer(response, health.healthy ? 200 : 503, JSON.stringify(health))
}

function handle(request: IncomingMessage, response: ServerResponse, options: RpcServerOptions): void {
  const path = (request.url ?? '/').split('?')[0] ?? '/'
  if (request.method === 'OPTIONS') return answer(response, 204, null)
  if (request.method === 'GET') return get(path, response, options)
  if (request.method !== 'POST')
    return answer(response, 405, JSON.stringify({ error: 'method not allowed' }), { allow: 'POST, GET, OPTIONS' })
  void post(request, response, options.dispatch).catch(() => response.destroy())
  return undefined
}

function createSession(socket: WebSocket): Session & Readonly<{ close: () => void }> {
  const subscriptions = new Map<string, () => void>()
  const drop = (id: string): boolean => {
    subscriptions.get(id)?.()
    return subscriptions.delete(id)
  }
  return {
    open: (id, stop) => subscriptions.set(id, stop),
    closeSubscription: drop,
    subscriptionCount: () => subscriptions.size,
    notify: (subscription, result) => {
      if (socket.bufferedAmount > BACKLOG_BYTES_MAX) return socket.terminate()
      socket.send(JSON.stringify({ jsonrpc: '2.0', method: 'eth_subscription', params: { subscription, result } }))
    },
    close: () => {
      for (const id of subscriptions.keys()) drop(id)
    },
  }
}

function serveSocket(socket: WebSocket, dispatch: Dispatcher): void {
  const session = createSession(socket)
  // Answers keep the order of requests, so that a subscription's id arrives before its first notification.
  let last: Promise<void> = Promise.resolve()
  let waiting = 0
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary) return socket.close(1003, 'text only')
    if (++waiting === WAITING_MAX) socket.pause()
    last = last.then(async () => {
      const result = await dispatch(data.toString('utf8'), session)
      if (result !== null) socket.send(result)
      if (waiting-- === WAITING_MAX) socket.resume()
    })
    return undefined
  })
  socket.on('close', () => session.close())
  socket.on('error', () => socket.terminate())
}

function listen(server: Server, host: string, port: number): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, host, () => {
      server.off('error', reject)
      const bound = server.address()
      resolve(typeof bound === 'object' && bound !== null ? bound.port : port)
    })
  })
}

/** Starts serving. Rejects when the port is taken. */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, keepAliveTimeout: 10_000 }, (request, response) =>
    handle(request, response, options),
  )
  server.maxConnections = CONNECTIONS_MAX
  const port = await listen(server, options.host, options.port)
  // Attached after listening: it would turn a taken port into an unhandled error of its own.
  const sockets = new WebSocketServer({ server, maxPayload: BODY_BYTES_MAX, perMessageDeflate: false })
  sockets.on('connection', (socket) => serveSocket(socket, options.dispatch))
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets.clients) socket.terminate()
        sockets.close()
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}
