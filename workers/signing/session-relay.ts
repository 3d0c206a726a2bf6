/**
 * One session's mailbox as a Durable Object: first write wins, storage before the answer, sockets that hibernate, forgotten after an hour. It
 * holds opaque envelopes and is trusted by nobody. Source: docs/dcrm.md, relays.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import { concatBytes, equalBytes } from '#shared/bytes.ts'
import { nobleEnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { ENVELOPE_BYTES_MAX, decodeEnvelope } from '#shared/dcrm/envelope.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { PutOutcome, RelayEntry, RelayRefusal } from '#shared/dcrm/relay.ts'
import { RELAY_LIMITS, relayEntry } from '#shared/dcrm/relay.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Env } from '#workers/env.ts'
import { PartyKeys } from '#workers/signing/party-keys.ts'

type Row = { cursor: number; place: string; round: number; kind: string; sender: number; receiver: number | null; bytes: ArrayBuffer }
type Listener = Readonly<{ to: PartyId | null }>

const STATUS: Readonly<Record<PutOutcome | RelayRefusal, number>> = {
  STORED: 201,
  SAME: 200,
  TAKEN: 409,
  FULL: 413,
  ENVELOPE_MALFORMED: 422,
  SENDER_UNKNOWN: 422,
  SIGNATURE_WRONG: 422,
}

const toBase64 = (bytes: Uint8Array): string => {
  let text = ''
  for (const byte of bytes) text += String.fromCharCode(byte)
  return btoa(text)
}

export class SigningSession extends DurableObject<Env> {
  readonly #keys: PartyKeys

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#keys = new PartyKeys(env)
    ctx.storage.sql.exec(
      `CREATE TABLE IF NOT EXISTS envelopes (cursor INTEGER PRIMARY KEY AUTOINCREMENT, place TEXT NOT NULL UNIQUE, round INTEGER NOT NULL,
       kind TEXT NOT NULL, sender INTEGER NOT NULL, receiver INTEGER, bytes BLOB NOT NULL, atMs INTEGER NOT NULL)`,
    )
    ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair('ping', 'pong'))
  }

  /** POST stores an envelope, GET lists or upgrades to a socket. */
  override async fetch(request: Request): Promise<Response> {
    if (request.method === 'POST') return this.#take(request)
    const query = new URL(request.url).searchParams
    const after = Number(query.get('after') ?? 0)
    const to = query.get('to') === null ? null : Number(query.get('to'))
    if (!Number.isSafeInteger(after) || after < 0) return Response.json({ code: 'CURSOR_INVALID' }, { status: 400 })
    if (request.headers.get('upgrade') === 'websocket') return this.#listen(after, to)
    return Response.json(this.#page(after, to), { headers: { 'cache-control': 'no-store' } })
  }

  async #take(request: Request): Promise<Response> {
    const bytes = await readBounded(request, ENVELOPE_BYTES_MAX)
    if (bytes === null) return Response.json({ code: 'ENVELOPE_TOO_LARGE', limit: ENVELOPE_BYTES_MAX }, { status: 413 })
    const sender = decodeEnvelope(bytes)?.from
    const key = sender === undefined ? null : await this.#keys.of(sender)
    const entry = relayEntry(bytes, () => key, nobleEnvelopeCrypto, nobleBackend)
    const code = typeof entry === 'string' ? entry : await this.#put(entry)
    return Response.json({ code }, { status: STATUS[code] })
  }

  async #put(entry: RelayEntry): Promise<PutOutcome> {
    const { sql } = this.ctx.storage
    const [known] = sql.exec<{ bytes: ArrayBuffer }>('SELECT bytes FROM envelopes WHERE place = ?', entry.place).toArray()
    if (known !== undefined) return equalBytes(new Uint8Array(known.bytes), entry.bytes) ? 'SAME' : 'TAKEN'
    const held = sql
      .exec<{ count: number; bytes: number }>('SELECT count(*) AS count, coalesce(sum(length(bytes)), 0) AS bytes FROM envelopes')
      .one()
    if (held.count >= RELAY_LIMITS.envelopes || held.bytes + entry.bytes.length > RELAY_LIMITS.bytes) return 'FULL'
    if (held.count === 0) await this.ctx.storage.setAlarm(Date.now() + RELAY_LIMITS.lifetimeMs)
    const { cursor } = sql
      .exec<{ cursor: number }>(
        'INSERT INTO envelopes (place, round, kind, sender, receiver, bytes, atMs) VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING cursor',
        entry.place,
        entry.round,
        entry.kind,
        entry.from,
        entry.to,
        entry.bytes,
        Date.now(),
      )
      .one()
    await this.ctx.storage.sync()
    for (const socket of this.ctx.getWebSockets()) this.#push(socket, cursor, entry.to, entry.bytes)
    return 'STORED'
  }

  #push(socket: WebSocket, cursor: number, receiver: PartyId | null, bytes: Uint8Array): void {
    const { to } = socket.deserializeAttachment() as Listener
    if (receiver === null || to === null || receiver === to) socket.send(concatBytes(uintBytes(cursor, 4), bytes))
  }

  /** Envelopes after a cursor for a party, and when each round began. */
  #page(after: number, to: PartyId | null): unknown {
    const rows = this.ctx.storage.sql
      .exec<Row>('SELECT * FROM envelopes WHERE cursor > ? ORDER BY cursor LIMIT ?', after, RELAY_LIMITS.page)
      .toArray()
    const rounds = this.ctx.storage.sql
      .exec<{ round: number; atMs: number }>('SELECT round, min(atMs) AS atMs FROM envelopes GROUP BY round ORDER BY round')
      .toArray()
    return {
      envelopes: rows
        .filter(({ receiver }) => receiver === null || to === null || receiver === to)
        .map(({ cursor, round, kind, sender, bytes }) => ({ cursor, round, kind, from: sender, bytes: toBase64(new Uint8Array(bytes)) })),
      next: rows.at(-1)?.cursor ?? after,
      rounds,
    }
  }

  #listen(after: number, to: PartyId | null): Response {
    const pair = new WebSocketPair()
    this.ctx.acceptWebSocket(pair[1])
    pair[1].serializeAttachment({ to } satisfies Listener)
    for (const { cursor, receiver, bytes } of this.ctx.storage.sql.exec<Row>(
      'SELECT * FROM envelopes WHERE cursor > ? ORDER BY cursor',
      after,
    ))
      this.#push(pair[1], cursor, receiver, new Uint8Array(bytes))
    return new Response(null, { status: 101, webSocket: pair[0] })
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

/** The body, or null once it is longer than `limit`. */
async function readBounded(request: Request, limit: number): Promise<Uint8Array | null> {
  const parts: Uint8Array[] = []
  let length = 0
  for await (const part of request.body ?? []) {
    length += part.length
    if (length > limit) return null
    parts.push(part)
  }
  return concatBytes(...parts)
}
