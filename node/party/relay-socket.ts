/**
 * Follows a session at a relay over a WebSocket while one can be had, and comes back by cursor after a break. Frames are a cursor of 4 bytes and
 * an envelope. Source: docs/dcrm.md, relays.
 * @module
 */
import { WebSocket } from 'ws'
import { ENVELOPE_BYTES_MAX, ENVELOPE_HEADER_BYTES } from '#shared/dcrm/envelope.ts'

const CURSOR_BYTES = 4
const HANDSHAKE_TIMEOUT_MS = 8000
/** Waits between two tries: the first, and the longest. */
const RETRY_MS = 500
const RETRY_MS_MAX = 8000
/** A connection that is silent for two pings is gone, whatever the system says. */
const PING_MS = 5000

/** How long a relay may take to say goodbye. */
const CLOSE_TIMEOUT_MS = 1000

export type Following = Readonly<{
  /** http(s) address of the session's socket; `after` gives the cursor to start from. */
  url: (after: number) => string
  /** What the relay is told with the request: that this is a party. */
  headers: Readonly<Record<string, string>>
  after: () => number
  onEnvelope: (cursor: number, envelope: Uint8Array) => void
  /** Ends it. */
  signal: AbortSignal
}>

/** A connection that is kept up until the signal ends it. */
export class RelaySocket {
  readonly #following: Following
  #socket: WebSocket | null = null
  #timer: NodeJS.Timeout | undefined
  #retryMs = RETRY_MS

  constructor(following: Following) {
    this.#following = following
    const { signal } = following
    signal.addEventListener('abort', () => this.#end(), { once: true })
    if (!signal.aborted) this.#connect()
  }

  /** Whether envelopes come by themselves now. */
  get isLive(): boolean {
    return this.#socket?.readyState === WebSocket.OPEN
  }

  #connect(): void {
    const { url, headers, after, onEnvelope } = this.#following
    const address = url(after()).replace(/^http/, 'ws')
    // Parties register any text as their relay.
    if (!/^wss?:/.test(address) || !URL.canParse(address)) return
    const socket = new WebSocket(address, {
      headers,
      handshakeTimeout: HANDSHAKE_TIMEOUT_MS,
      maxPayload: CURSOR_BYTES + ENVELOPE_BYTES_MAX,
      perMessageDeflate: false,
    })
    this.#socket = socket
    let isHeard = true
    socket.on('open', () => {
      this.#retryMs = RETRY_MS
      this.#timer = setInterval(() => {
        if (!isHeard) return socket.terminate()
        isHeard = false
        socket.send('ping')
      }, PING_MS)
    })
    socket.on('message', (data: Buffer, isBinary) => {
      isHeard = true
      if (!isBinary || data.length < CURSOR_BYTES + ENVELOPE_HEADER_BYTES) return
      onEnvelope(data.readUInt32BE(0), new Uint8Array(data.subarray(CURSOR_BYTES)))
    })
    // An error is followed by `close`.
    socket.on('error', () => undefined)
    socket.on('close', () => this.#retry())
  }

  #retry(): void {
    clearInterval(this.#timer)
    if (this.#following.signal.aborted) return
    this.#timer = setTimeout(() => this.#connect(), this.#retryMs)
    this.#retryMs = Math.min(2 * this.#retryMs, RETRY_MS_MAX)
  }

  #end(): void {
    clearTimeout(this.#timer)
    const socket = this.#socket
    socket?.close(1000)
    setTimeout(() => socket?.terminate(), CLOSE_TIMEOUT_MS).unref()
  }
}
