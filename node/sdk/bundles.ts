/**
 * Following an edge's bundles from a cursor: pages until the newest, then the stream, and from the cursor again whatever breaks.
 * Nothing is skipped silently: sequences are gap-free, and what the edge has pruned is an error that names the oldest one left.
 * Source: HTML standard 9.2 (server-sent events).
 * @module
 */
import type { Bundle } from '#shared/api/http-oracle.ts'
import { zBundle, zBundlePage } from '#shared/api/http-oracle.ts'
import type { EdgeHttp } from '#node/sdk/edge-http.ts'
import { EdgeProblem, EdgeUnreachable, pause } from '#node/sdk/edge-http.ts'

const PAGE = 100
/** The edge ticks every 5 s; a stream silent for longer is dead. */
const SILENCE_MS = 15_000
const PAUSE_MS = 1_000
const FRAME_CHARACTERS_MAX = 262_144

/** Where to begin (after a sequence, or after the newest; default: from the oldest held), and when to stop. */
export type BundleOptions = Readonly<{ after?: number | 'newest'; signal?: AbortSignal }>

async function* frames(response: Response, onLife: () => void): AsyncGenerator<string> {
  if (response.body === null) return
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response.body) {
    onLife()
    rest += decoder.decode(chunk as Uint8Array, { stream: true })
    const parts = rest.split(/\r?\n\r?\n/)
    rest = parts.pop() ?? ''
    if (rest.length > FRAME_CHARACTERS_MAX) throw new EdgeUnreachable('EDGE_ANSWER_INVALID', 'a frame of the stream is too long')
    yield* parts
  }
}

function bundleOf(frame: string): Bundle | null {
  const lines = frame.split(/\r?\n/)
  if (!lines.some((line) => /^event: ?bundle$/.test(line))) return null
  const data = lines.filter((line) => line.startsWith('data:')).map((line) => line.slice(5).trim())
  return zBundle.parse(JSON.parse(data.join('\n')))
}

async function* streamed(http: EdgeHttp, after: number, signal: AbortSignal | undefined): AsyncGenerator<Bundle> {
  const silence = new AbortController()
  const watchdog = (): ReturnType<typeof setTimeout> => setTimeout(() => silence.abort(), SILENCE_MS)
  let timer = watchdog()
  try {
    const response = await http.open(`/v1/bundles/stream?after=${after}`, {
      headers: { accept: 'text/event-stream' },
      signal: AbortSignal.any(signal === undefined ? [silence.signal] : [silence.signal, signal]),
    })
    const onLife = (): void => {
      clearTimeout(timer)
      timer = watchdog()
    }
    for await (const frame of frames(response, onLife)) {
      const bundle = bundleOf(frame)
      if (bundle !== null) yield bundle
    }
  } finally {
    clearTimeout(timer)
  }
}

type Cursor = { sequence: number }

async function* paged(http: EdgeHttp, cursor: Cursor): AsyncGenerator<Bundle> {
  for (;;) {
    const { items } = await http.get(zBundlePage, '/v1/bundles', { after: cursor.sequence, limit: PAGE })
    for (const bundle of items) {
      cursor.sequence = bundle.sequence
      yield bundle
    }
    if (items.length < PAGE) return
  }
}

/** Bundles of the stream as long as they continue the cursor without a gap. */
async function* continued(http: EdgeHttp, cursor: Cursor, signal: AbortSignal | undefined): AsyncGenerator<Bundle> {
  for await (const bundle of streamed(http, cursor.sequence, signal)) {
    if (bundle.sequence > cursor.sequence + 1) return
    if (bundle.sequence <= cursor.sequence) continue
    cursor.sequence = bundle.sequence
    yield bundle
  }
}

/** Bundles after a sequence, for ever, in order and without gaps. Ends when the signal aborts; throws for a pruned cursor. */
export async function* followBundles(http: EdgeHttp, { after = 0, signal }: BundleOptions = {}): AsyncGenerator<Bundle> {
  let cursor: Cursor | null = after === 'newest' ? null : { sequence: after }
  const isStopped = (): boolean => signal?.aborted === true
  while (!isStopped()) {
    try {
      cursor ??= { sequence: (await http.get(zBundlePage, '/v1/bundles', { after: 0, limit: 1 })).head }
      yield* paged(http, cursor)
      yield* continued(http, cursor, signal)
    } catch (error) {
      if (isStopped()) return
      if (error instanceof EdgeProblem && error.status < 500) throw error
    }
    if (!isStopped()) await pause(PAUSE_MS, signal).catch(() => undefined)
  }
}
