/** The relay machine inside a party's process: the fallback when the edge's is away. Same surface as the edge's. @module */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { Mailboxes } from '#node/party/mailboxes.ts'
import { BoundedBytes } from '#shared/bounded-bytes.ts'
import { hexToBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { ENVELOPE_BYTES_MAX } from '#shared/dcrm/envelope.ts'
import { PROOF_HEADER } from '#shared/dcrm/relay-proof.ts'
import { entriesAfter, relayEntry, relayQuery } from '#shared/dcrm/relay.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Hash } from '#shared/types.ts'

const KEY_PATH = /^\/v1\/keys\/([0-9a-f]{64})\/(\d{1,9})$/
const PATH = /^\/v1\/sessions\/([0-9a-f]{64})\/envelopes$/
const STATUS = { STORED: 201, SAME: 200, TAKEN: 409, FULL: 413 } as const

export type RelayServer = Readonly<{ url: string; close: () => Promise<void> }>

async function bodyOf(request: IncomingMessage): Promise<Uint8Array | null> {
  const body = new BoundedBytes(ENVELOPE_BYTES_MAX)
  for await (const part of request) if (!body.take(part as Buffer)) return null
  return body.whole()
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(JSON.stringify(body))
}

export type RelayOptions = Readonly<{
  host: string
  port: number
  /** A registered party's signing key. */
  keyOf: (party: PartyId) => Uint8Array | null
  /** Whether this party takes part in a session: its mailbox is the last to go. */
  isOwn: (openId: Uint8Array) => boolean
  crypto: EnvelopeCrypto
  backend: DcrmBackend
  nowMs: () => number
  /** Public part of a key in an epoch as JSON text, for parties that have no share of it. */
  publicKeyOf: (key: Hash, epoch: number) => string | null
  /** What the party tells anybody about itself. */
  status: () => unknown
}>

async function put(
  options: RelayOptions,
  mailboxes: Mailboxes,
  id: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { keyOf, crypto, backend, nowMs } = options
  const bytes = await bodyOf(request)
  if (bytes === null) return answer(response, 413, { code: 'ENVELOPE_TOO_LARGE', limit: ENVELOPE_BYTES_MAX })
  const proof = request.headers[PROOF_HEADER]
  const posted = { openId: hexToBytes(`0x${id}`), bytes, proof: typeof proof === 'string' ? proof : null }
  const entry = relayEntry(posted, keyOf, crypto, backend)
  if (typeof entry === 'string') return answer(response, 422, { code: entry })
  const outcome = mailboxes.put(id, entry, nowMs())
  answer(response, STATUS[outcome], { code: outcome })
}

function list(mailboxes: Mailboxes, id: string, params: URLSearchParams, response: ServerResponse): void {
  const query = relayQuery(params.get('after'), params.get('to'))
  if (typeof query === 'string') return answer(response, 400, { code: query })
  const mailbox = mailboxes.at(id)
  const { entries, next } = entriesAfter(mailbox, query)
  const envelopes = entries.map(({ cursor, entry: { round, kind, from, bytes } }) => ({
    cursor,
    round,
    kind,
    from,
    bytes: Buffer.from(bytes).toString('base64'),
  }))
  answer(response, 200, { envelopes, next, rounds: mailbox.rounds })
}

/** Serves until closed; port 0 picks one. */
export async function startRelayServer(options: RelayOptions): Promise<RelayServer> {
  const mailboxes = new Mailboxes(options.isOwn)
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://relay')
    if (url.pathname === '/v1/status' && request.method === 'GET') return answer(response, 200, options.status())
    const [, key, epoch] = KEY_PATH.exec(url.pathname) ?? []
    if (key !== undefined && request.method === 'GET') return sendKey(options, `0x${key}`, Number(epoch), response)
    const id = PATH.exec(url.pathname)?.[1]
    if (id === undefined) return answer(response, 404, { code: 'NOT_FOUND' })
    mailboxes.forget(options.nowMs())
    if (request.method === 'GET') return list(mailboxes, id, url.searchParams, response)
    if (request.method !== 'POST') return answer(response, 405, { code: 'METHOD_NOT_ALLOWED' })
    put(options, mailboxes, id, request, response).catch(() => response.destroy())
  })
  server.requestTimeout = 15_000
  await listen(server, options.port, options.host)
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : options.port
  return { url: `http://${options.host}:${port}`, close: () => closeServer(server) }
}

function sendKey({ publicKeyOf }: RelayOptions, key: Hash, epoch: number, response: ServerResponse): void {
  const text = publicKeyOf(key, epoch)
  if (text === null) return answer(response, 404, { code: 'KEY_UNKNOWN' })
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(text)
}

function closeServer(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done())
    server.closeAllConnections()
  })
}

function listen(server: Server, port: number, host: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', fail)
    server.listen(port, host, done)
  })
}
