/**
 * The edge's outbox to validators: a gap-free sequence of closed rounds that they page over or follow as a stream.
 * A stream reads from storage behind its own cursor, so it can neither lose nor reorder. Source: HTML standard, server-sent events.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import type { Bundle, Tick } from '#shared/api/http-oracle.ts'
import { recordBundle } from '#workers/db/records.ts'
import type { Env } from '#workers/env.ts'

const TICK_MS = 5000
/** Bundles kept: at one every 1.5 s and set, several hours. */
const KEPT = 20_000
const PAGE = 50
/** A reader this many bytes behind is cut off; it resumes by its cursor. */
const BACKLOG_BYTES_MAX = 4 * 1024 * 1024

type Row = { sequence: number; json: string }
type Reader = { cursor: number; controller: ReadableStreamDefaultController<Uint8Array> }

const encoder = new TextEncoder()

export class BundleLog extends DurableObject<Env> {
  readonly #readers = new Set<Reader>()

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    ctx.storage.sql.exec(
      'CREATE TABLE IF NOT EXISTS bundles (sequence INTEGER PRIMARY KEY, tx_hash TEXT NOT NULL UNIQUE, json TEXT NOT NULL)',
    )
  }

  /** Appends once per transaction; a repeat gives the stored bundle. */
  async append(bundle: Omit<Bundle, 'sequence'>): Promise<Bundle> {
    const [known] = this.ctx.storage.sql.exec<Row>('SELECT sequence, json FROM bundles WHERE tx_hash = ?', bundle.txHash).toArray()
    if (known !== undefined) return JSON.parse(known.json) as Bundle
    const sequence = this.#head() + 1
    const stored: Bundle = { sequence, ...bundle }
    this.ctx.storage.sql.exec(
      'INSERT INTO bundles (sequence, tx_hash, json) VALUES (?, ?, ?)',
      sequence,
      bundle.txHash,
      JSON.stringify(stored),
    )
    this.ctx.storage.sql.exec('DELETE FROM bundles WHERE sequence <= ?', sequence - KEPT)
    for (const reader of this.#readers) this.#pump(reader)
    await recordBundle(this.env, stored)
    return stored
  }

  /** Bundles after a cursor; `oldest` is the first one still held (1 when empty). */
  page(after: number, limit: number): Readonly<{ items: Bundle[]; head: number; oldest: number }> {
    return { items: this.#after(after, limit).map((row) => JSON.parse(row.json) as Bundle), head: this.#head(), oldest: this.#oldest() }
  }

  /** The stream; the route has checked the cursor and passes it as `after`. */
  override async fetch(request: Request): Promise<Response> {
    const after = Number(new URL(request.url).searchParams.get('after') ?? this.#head())
    const reader = { cursor: after } as Reader
    const stream = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          reader.controller = controller
          this.#readers.add(reader)
          this.#tick(reader)
          this.#pump(reader)
        },
        cancel: () => {
          this.#readers.delete(reader)
        },
      },
      { highWaterMark: BACKLOG_BYTES_MAX, size: (chunk) => chunk.byteLength },
    )
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now() + TICK_MS)
    return new Response(stream, { headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-store' } })
  }

  override async alarm(): Promise<void> {
    if (this.#readers.size === 0) return
    await this.ctx.storage.setAlarm(Date.now() + TICK_MS)
    for (const reader of this.#readers) this.#tick(reader)
  }

  #pump(reader: Reader): void {
    for (;;) {
      const rows = this.#after(reader.cursor, PAGE)
      for (const row of rows) {
        if (!this.#send(reader, `id: ${row.sequence}\nevent: bundle\ndata: ${row.json}\n\n`)) return
        reader.cursor = row.sequence
      }
      if (rows.length < PAGE) return
    }
  }

  #tick(reader: Reader): void {
    const tick: Tick = { head: this.#head(), nowMs: Date.now() }
    this.#send(reader, `event: tick\ndata: ${JSON.stringify(tick)}\n\n`)
  }

  #send(reader: Reader, frame: string): boolean {
    try {
      if ((reader.controller.desiredSize ?? 0) <= 0) throw new Error('reader is too slow')
      reader.controller.enqueue(encoder.encode(frame))
      return true
    } catch {
      this.#readers.delete(reader)
      try {
        reader.controller.close()
      } catch {
        return false
      }
      return false
    }
  }

  #after(after: number, limit: number): Row[] {
    return this.ctx.storage.sql
      .exec<Row>('SELECT sequence, json FROM bundles WHERE sequence > ? ORDER BY sequence LIMIT ?', after, limit)
      .toArray()
  }

  #head(): number {
    return this.ctx.storage.sql.exec<{ top: number }>('SELECT coalesce(max(sequence), 0) AS top FROM bundles').one().top
  }

  #oldest(): number {
    return this.ctx.storage.sql.exec<{ low: number }>('SELECT coalesce(min(sequence), 1) AS low FROM bundles').one().low
  }
}

/** The one log of this edge. */
export const bundleLog = (env: Env): DurableObjectStub<BundleLog> => env.BUNDLES.getByName('log')
