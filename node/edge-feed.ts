/**
 * Follows the signed bundles of edges: pages up to the newest, then the stream, then again from the cursor whatever happened.
 * An edge is trusted for nothing: every bundle is an AttestationTx that the pool checks like one from anybody.
 * @module
 */
import { fetchBounded } from '#node/bounded-fetch.ts'
import { zBundle, zBundlePage } from '#shared/api/http-oracle.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { ATTESTATION_TX_TYPE } from '#shared/params.ts'

export type EdgeFeedConfig = Readonly<{
  urls: readonly string[]
  /** Offers a raw AttestationTx to the pool; gives the refusal code or null. */
  submit: (raw: Uint8Array) => Promise<string | null>
  onNotice: (event: string, fields: Readonly<Record<string, string | number>>) => void
  /** Shortest and longest pause after a failure. */
  pauseMs?: readonly [number, number]
}>

/** Bundles of the recent past that a starting validator still asks for; older rounds are outside their window anyway. */
const LOOK_BACK = 20
const PAGE = 100
/** The stream ticks every 5 s; silence beyond this is a dead connection. */
const SILENCE_MS = 20_000
const REQUEST_TIMEOUT_MS = 5_000
/** A frame holds one bundle: 48 KiB of transaction as hex, and little else. */
const FRAME_CHARACTERS_MAX = 256 * 1024
const PAGE_BYTES_MAX = 16 * 1024 * 1024
const PAUSE_MS = [500, 10_000] as const

/** Splits server-sent events into the data of `bundle` frames; other frames only show that the stream lives. Source: HTML standard 9.2. */
export function createFrameReader(): (chunk: string) => readonly string[] {
  let rest = ''
  return (chunk) => {
    rest += chunk
    const frames = rest.split(/\r?\n\r?\n/)
    rest = frames.pop() ?? ''
    if (rest.length > FRAME_CHARACTERS_MAX) throw new Error(`a frame is longer than ${FRAME_CHARACTERS_MAX} characters`)
    return frames.flatMap((frame) => {
      const lines = frame.split(/\r?\n/)
      if (!lines.some((line) => /^event: ?bundle$/.test(line))) return []
      return [
        lines
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5).trimStart())
          .join('\n'),
      ]
    })
  }
}

class EdgeFollower {
  readonly #config: EdgeFeedConfig
  readonly #url: string
  readonly #stop: AbortSignal
  #cursor: number | null = null

  constructor(config: EdgeFeedConfig, url: string, stop: AbortSignal) {
    this.#config = config
    this.#url = url.replace(/\/$/, '')
    this.#stop = stop
  }

  async #take(value: unknown): Promise<void> {
    const bundle = zBundle.parse(value)
    const raw = hexToBytes(bundle.raw)
    const refusal = raw[0] === ATTESTATION_TX_TYPE ? await this.#config.submit(raw) : 'NOT_AN_ATTESTATION'
    if (refusal !== null) this.#config.onNotice('bundle-refused', { edge: this.#url, sequence: bundle.sequence, code: refusal })
    this.#cursor = bundle.sequence
  }

  async #page(after: number, limit: number) {
    const signal = AbortSignal.any([this.#stop, AbortSignal.timeout(REQUEST_TIMEOUT_MS)])
    const { status, text } = await fetchBounded(`${this.#url}/v1/bundles?after=${after}&limit=${limit}`, { signal }, PAGE_BYTES_MAX)
    if (status !== 200) throw new Error(`GET /v1/bundles answered ${status}`)
    return zBundlePage.parse(JSON.parse(text))
  }

  /** Pages until the newest bundle is taken. A log shorter than the cursor is another log: the edge was wiped. */
  async #catchUp(): Promise<number> {
    if (this.#cursor === null) this.#cursor = Math.max(0, (await this.#page(0, 1)).head - LOOK_BACK)
    for (;;) {
      const page = await this.#page(this.#cursor, PAGE)
      if (page.head < this.#cursor) this.#cursor = Math.max(0, page.head - LOOK_BACK)
      for (const item of page.items) await this.#take(item)
      if (page.items.length < PAGE) return Math.max(this.#cursor, page.oldest - 1)
    }
  }

  async #stream(after: number): Promise<void> {
    const silence = new AbortController()
    const connection = AbortSignal.any([this.#stop, silence.signal])
    let timer = setTimeout(() => silence.abort(), SILENCE_MS)
    try {
      const response = await fetch(`${this.#url}/v1/bundles/stream?after=${after}`, {
        signal: connection,
        redirect: 'error',
        headers: { accept: 'text/event-stream' },
      })
      if (!response.ok || response.body === null) throw new Error(`GET /v1/bundles/stream answered ${response.status}`)
      const read = createFrameReader()
      const decoder = new TextDecoder()
      for await (const chunk of response.body) {
        clearTimeout(timer)
        timer = setTimeout(() => silence.abort(), SILENCE_MS)
        for (const data of read(decoder.decode(chunk, { stream: true }))) await this.#take(JSON.parse(data))
      }
    } finally {
      clearTimeout(timer)
    }
  }

  /** Runs until stopped. A stream that fails leaves paging, once per pause. */
  async run(): Promise<void> {
    const [shortest, longest] = this.#config.pauseMs ?? PAUSE_MS
    let pauseMs: number = shortest
    let reachable: boolean | null = null
    const stopped = (): boolean => this.#stop.aborted
    while (!stopped()) {
      try {
        const after = await this.#catchUp()
        if (reachable !== true) this.#config.onNotice('edge-reached', { edge: this.#url, cursor: after })
        reachable = true
        pauseMs = shortest
        await this.#stream(after)
      } catch (cause) {
        if (stopped()) return
        if (reachable !== false) this.#config.onNotice('edge-away', { edge: this.#url, cause: String(cause) })
        reachable = false
      }
      await pause(pauseMs, this.#stop)
      pauseMs = Math.min(longest, 2 * pauseMs)
    }
  }
}

const pause = (ms: number, stop: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (stop.aborted) return resolve()
    const timer = setTimeout(resolve, ms)
    stop.addEventListener(
      'abort',
      () => {
        clearTimeout(timer)
        resolve()
      },
      { once: true },
    )
  })

/** Starts following every edge; the returned function ends it. */
export function startEdgeFeed(config: EdgeFeedConfig): () => Promise<void> {
  const stop = new AbortController()
  const runs = config.urls.map((url) => new EdgeFollower(config, url, stop.signal).run())
  return async () => {
    stop.abort()
    await Promise.all(runs)
  }
}
