/** Wires between processes that are listened to, and a relay that pushes envelopes as the edge's does. @module */
import { createServer as createHttpServer, request as httpRequest } from 'node:http'
import type { AddressInfo, Server, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import { WebSocketServer } from 'ws'

const HOST = '127.0.0.1'

const portOf = (server: Server): number => (server.address() as AddressInfo).port
const listening = (server: Server): Promise<number> =>
  new Promise((done) => {
    server.listen(0, HOST, () => done(portOf(server)))
  })

/** A port that nobody listens on. */
export async function freePort(): Promise<number> {
  const server = createServer()
  const port = await listening(server)
  await new Promise((done) => server.close(done))
  return port
}

/** Passes connections on to a port and keeps every byte of either direction. */
export class WireTap {
  readonly #flows: Buffer[][] = []
  readonly #sockets = new Set<Socket>()
  readonly #server: Server
  url = ''

  constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, HOST)
      this.#follow(near, far)
      this.#follow(far, near)
    })
  }

  async listen(): Promise<string> {
    this.url = `http://${HOST}:${await listening(this.#server)}`
    return this.url
  }

  #follow(from: Socket, to: Socket): void {
    const parts: Buffer[] = []
    this.#flows.push(parts)
    this.#sockets.add(from)
    from.on('data', (part: Buffer) => parts.push(part))
    // An error is followed by `close`.
    from.on('error', () => undefined)
    from.on('close', () => to.destroy())
    from.pipe(to)
  }

  /** What went over each connection in each direction. */
  get seen(): readonly Buffer[] {
    return this.#flows.map((parts) => Buffer.concat(parts))
  }

  close(): void {
    this.#server.close()
    for (const socket of this.#sockets) socket.destroy()
  }
}

const PUSH_MS = 40
type Page = Readonly<{ envelopes: readonly Readonly<{ cursor: number; bytes: string }>[]; next: number }>

/** `heard`: what came over sockets, which clients mask on the wire. */
export type SocketRelay = Readonly<{ port: number; heard: readonly Buffer[]; close: () => void }>

/** The relay at `inner` with sockets. */
export async function withSockets(inner: string): Promise<SocketRelay> {
  const heard: Buffer[] = []
  const http = createHttpServer((request, response) => {
    const { method, headers } = request
    const onward = httpRequest(new URL(request.url ?? '/', inner), { method, headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    onward.on('error', () => response.destroy())
    request.pipe(onward)
  })
  const sockets = new WebSocketServer({ server: http })
  sockets.on('connection', (socket, request) => {
    const asked = new URL(request.url ?? '/', inner)
    let after = Number(asked.searchParams.get('after'))
    const push = async (): Promise<void> => {
      const url = `${inner}${asked.pathname.replace('/socket', '/envelopes')}?after=${after}&to=${asked.searchParams.get('to')}`
      const { envelopes, next } = (await (await fetch(url)).json()) as Page
      after = next
      for (const { cursor, bytes } of envelopes) {
        const head = Buffer.alloc(4)
        head.writeUInt32BE(cursor)
        socket.send(Buffer.concat([head, Buffer.from(bytes, 'base64')]))
      }
      if (socket.readyState === socket.OPEN) setTimeout(() => void push().catch(() => socket.terminate()), PUSH_MS)
    }
    socket.on('message', (message: Buffer) => heard.push(message))
    void push().catch(() => socket.terminate())
  })
  const port = await listening(http)
  return {
    port,
    heard,
    close: () => {
      for (const socket of sockets.clients) socket.terminate()
      http.close()
      http.closeAllConnections()
    },
  }
}
