/**
 * One session's mailbox as a Durable Object: first write wins, storage before the answer, sockets that hibernate, forgotten after an hour. It
 * holds opaque envelopes and is trusted by nobody. Source: docs/dcrm.md, relays.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import { BoundedBytes } from '#shared/bounded-bytes.ts'
import { concatBytes, equalBytes, hexToBytes } from '#shared/bytes.ts'
import { nobleEnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { ENVELOPE_BYTES_MAX, decodeEnvelope } from '#shared/dcrm/envelope.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { PROOF_HEADER, isProven } from '#shared/dcrm/relay-proof.ts'
import type { Held, PutOutcome, RelayEntry, RelayQuery, RelayRefusal, RoundBegin } from '#shared/dcrm/relay.ts'
import { RELAY_LIMITS, hasRoom, relayEntry, relayQuery } from '#shared/dcrm/relay.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Env } from '#workers/env.ts'
import { PartyKeys } from '#workers/signing/party-keys.ts'

type Row = { cursor: number; round: number; kind: string; sender: PartyId; receiver: PartyId | null; bytes: ArrayBuffer }
/** What a socket waits for, the last envelope it was looked through to, and the registered party that it is proven to be of. */
type Listener = RelayQuery & Readonly<{ reader: PartyId | null }>

/** Sockets of one session: more than there are registered parties. */
const SOCKETS_MAX = 256
const BASE64_CHUNK = 8190

const STATUS: Readonly<Record<PutOutcome | RelayRefusal, number>> = {
  STORED: 201,
  SAME: 200,
  TAKEN: 409,
  FULL: 413,
  ENVELOPE_MALFORMED: 422,
  SENDER_UNKNOWN: 422,
  SIGNATURE_WRONG: 422,
  PROOF_WRONG: 422,
}

const toBase64 = (bytes: Uint8Array): string => {
  let text = ''
  for (let start = 0; start < bytes.length; start += BASE64_CHUNK)
    text += btoa(String.fromCharCode(...bytes.subarray(start, start + BASE64_CHUNK)))
  return text
}

const isFor = (receiver: PartyId | null, to: PartyId | null): boolean => receiver === null || to === null || receiver === to
/** Opening id of the session that a request is about; the routes let no other path through. */
const openIdIn = (pathname: string): Uint8Array => hexToBytes(`0x${pathname.split('/')[3] ?? ''}`)
const listenerOf = (socket: WebSocket): Listener => socket.deserializeAttachment() as Listener
const refuse = (status: number, code: string, more: object = {}): Response => Response.json({ code, ...more }, { status })

export class SigningSession extends DurableObject<Env> {
  readonly #keys: PartyKeys

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#keys = new PartyKeys(env)
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
  }

  /** POST stores an envelope, GET lists or, at …/socket, upgrades. */
  override async fetch(request: Request): Promise<Response> {
    if (request.method === 'POST') return this.#take(request)
    const { pathname, searchParams } = new URL(request.url)
    const query = relayQuery(searchParams.get('after'), searchParams.get('to'))
    if (typeof query === 'string') return refuse(400, query)
    if (!pathname.endsWith('/socket')) return Response.json(this.#page(query), { headers: { 'cache-control': 'no-store' } })
    if (request.headers.get('upgrade')?.toLowerCase() !== 'websocket') return refuse(426, 'UPGRADE_REQUIRED')
    return this.#listen(query, await this.#readerOf(request, query))
  }

  async #take(request: Request): Promise<Response> {
    const bytes = await bodyOf(request)
    if (bytes === null) return refuse(413, 'ENVELOPE_TOO_LARGE', { limit: ENVELOPE_BYTES_MAX })
    const sender = decodeEnvelope(bytes)?.from
    const key = sender === undefined ? null : await this.#keyOf(sender)
    if (key === undefined) return refuse(503, 'CHAIN_UNREACHABLE')
    const posted = { openId: openIdIn(new URL(request.url).pathname), bytes, proof: request.headers.get(PROOF_HEADER) }
    const entry = relayEntry(posted, () => key, nobleEnvelopeCrypto, nobleBackend)
    if (typeof entry === 'string') return refuse(STATUS[entry], entry)
    const code = this.ctx.storage.transactionSync(() => this.#put(entry))
    await this.ctx.storage.sync()
    for (const socket of this.ctx.getWebSockets()) this.#push(socket)
    return Response.json({ code }, { status: STATUS[code] })
  }

  /** Undefined when the chain does not say. */
  async #keyOf(sender: PartyId): Promise<Uint8Array | null | undefined> {
    try {
      return await this.#keys.of(sender)
    } catch (cause) {
      console.warn(`keys of parties: ${String(cause)}`)
      return undefined
    }
  }

  /** Tables come with the first envelope: asking for a session that nobody opened leaves nothing behind. */
  #put(entry: RelayEntry): PutOutcome {
    const { sql } = this.ctx.storage
    sql.exec(
      `CREATE TABLE IF NOT EXISTS envelopes (cursor INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT NOT NULL UNIQUE, round INTEGER NOT NULL,
       kind TEXT NOT NULL, sender INTEGER NOT NULL, receiver INTEGER, bytes BLOB NOT NULL, atMs INTEGER NOT NULL)`,
    )
    const [known] = sql.exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM envelopes WHERE place = ?', entry.place).toArray()
    if (known !== undefined) return equalBytes(new Uint8Array(known.bytes), entry.bytes) ? 'SAME' : 'TAKEN'
    const held = sql
      .exec<Held>(
        `SELECT count(*) AS envelopes, coalesce(sum(length(bytes)), 0) AS bytes, count(*) FILTER (WHERE sender = ?1) AS senderEnvelopes,
         coalesce(sum(length(bytes)) FILTER (WHERE sender = ?1), 0) AS senderBytes FROM envelopes`,
        entry.from,
      )
      .one()
    if (!hasRoom(held, entry.bytes.length)) return 'FULL'
    const nowMs = Date.now()
    // Set in the same write as the first envelope, so that no session stays for ever.
    if (held.envelopes === 0) void this.ctx.storage.setAlarm(nowMs + RELAY_LIMITS.lifetimeMs)
    sql.exec(
      'INSERT INTO envelopes (place, round, kind, sender, receiver, bytes, atMs) VALUES (?, ?, ?, ?, ?, ?, ?)',
      entry.place,
      entry.round,
      entry.kind,
      entry.from,
      entry.to,
      entry.bytes,
      nowMs,
    )
    return 'STORED'
  }

  #isOpen(): boolean {
    return this.ctx.storage.sql.exec("SELECT name FROM sqlite_master WHERE name = 'envelopes'").toArray().length > 0
  }

  /** Envelopes after a cursor for a party, and when each round began. */
  #page({ after, to }: RelayQuery): unknown {
    if (!this.#isOpen()) return { envelopes: [], next: after, rounds: [] }
    const { sql } = this.ctx.storage
    const envelopes: unknown[] = []
    let next = after
    for (const row of sql.exec<Row>(
      'SELECT cursor, round, kind, sender, receiver, bytes FROM envelopes WHERE cursor > ? ORDER BY cursor LIMIT ?',
      after,
      RELAY_LIMITS.page,
    )) {
      const { cursor, round, kind, sender, receiver, bytes } = row
      next = cursor
      if (isFor(receiver, to)) envelopes.push({ cursor, round, kind, from: sender, bytes: toBase64(new Uint8Array(bytes)) })
    }
    const rounds = sql.exec<RoundBegin>('SELECT round, min(atMs) AS atMs FROM envelopes GROUP BY round ORDER BY round').toArray()
    return { envelopes, next, rounds }
  }

  /** The registered party that a reader proves to be, or null: strangers may listen too. */
  async #readerOf(request: Request, { to }: RelayQuery): Promise<PartyId | null> {
    const proof = request.headers.get(PROOF_HEADER)
    const key = to === null || proof === null ? null : await this.#keyOf(to)
    if (to === null || key === null || key === undefined) return null
    const openId = openIdIn(new URL(request.url).pathname)
    return isProven(key, proof, openId, { kind: 'listen', party: to }, nobleEnvelopeCrypto, nobleBackend) ? to : null
  }

  #listen(query: RelayQuery, reader: PartyId | null): Response {
    if (!this.#makeRoom(reader)) return refuse(503, 'RELAY_FULL')
    const pair = new WebSocketPair()
    this.ctx.acceptWebSocket(pair[1])
    pair[1].serializeAttachment({ ...query, reader } satisfies Listener)
    this.#push(pair[1])
    return new Response(null, { status: 101, webSocket: pair[0] })
  }

  /** A party comes back with one socket for another, and is never refused: there are fewer parties than sockets, so a stranger can go. */
  #makeRoom(reader: PartyId | null): boolean {
    const sockets = this.ctx.getWebSockets().filter(({ readyState }) => readyState === WebSocket.OPEN)
    const own = reader === null ? undefined : sockets.find((socket) => listenerOf(socket).reader === reader)
    const isFull = sockets.length >= SOCKETS_MAX
    const leaving = own ?? (isFull && reader !== null ? sockets.find((socket) => listenerOf(socket).reader === null) : undefined)
    leaving?.close(1013, 'another took this place')
    return leaving !== undefined || !isFull
  }

  /** Sends a socket all it has not seen: its cursor is kept with it, so that nothing is missed or sent twice over a hibernation. */
  #push(socket: WebSocket): void {
    if (!this.#isOpen()) return
    const { after, to, reader } = listenerOf(socket)
    let last = after
    for (const { cursor, receiver, bytes } of this.ctx.storage.sql.exec<Row>(
      'SELECT cursor, receiver, bytes FROM envelopes WHERE cursor > ? ORDER BY cursor',
      after,
    )) {
      last = cursor
      if (isFor(receiver, to)) socket.send(concatBytes(uintBytes(cursor, 4), new Uint8Array(bytes)))
    }
    socket.serializeAttachment({ after: last, to, reader } satisfies Listener)
  }

  override webSocketMessage(socket: WebSocket): void {
    socket.close(1003, 'post envelopes over HTTP')
  }

  /** The session is over: nothing of it stays. */
  override async alarm(): Promise<void> {
    for (const socket of this.ctx.getWebSockets()) socket.close(1001, 'session expired')
    await this.ctx.storage.deleteAll()
  }
}

/** The body, or null once it is longer than an envelope. */
async function bodyOf(request: Request): Promise<Uint8Array | null> {
  const body = new BoundedBytes(ENVELOPE_BYTES_MAX)
  for await (const part of request.body ?? []) if (!body.take(part)) return null
  return body.whole()
}
