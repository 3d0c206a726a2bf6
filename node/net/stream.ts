/** Whole bounded messages over half-closing libp2p streams. @module */
import type { Libp2p } from 'libp2p'
import { concatBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'

export type PeerStream = Awaited<ReturnType<Libp2p['dialProtocol']>>

const CHUNK_BYTES = 64 * 1024

/** Everything the other side sends until it closes its half. @throws {DecodeError} MESSAGE_TOO_LARGE */
export async function readAll(stream: PeerStream, sizeMax: number): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  let size = 0
  for await (const chunk of stream) {
    const bytes = chunk instanceof Uint8Array ? chunk : chunk.subarray()
    size += bytes.length
    if (size > sizeMax) throw new DecodeError('MESSAGE_TOO_LARGE', '', `expected at most ${sizeMax} bytes`)
    parts.push(bytes)
  }
  return concatBytes(...parts)
}

/** Sends `bytes` with back-pressure and closes the own half. */
export async function writeAll(stream: PeerStream, bytes: Uint8Array, signal: AbortSignal): Promise<void> {
  for (let offset = 0; offset < bytes.length; offset += CHUNK_BYTES) {
    if (!stream.send(bytes.subarray(offset, offset + CHUNK_BYTES))) await stream.onDrain({ signal })
  }
  await stream.close({ signal })
}

/** Runs `use` and aborts the stream when it takes longer than `timeoutMs` or throws. */
export async function withDeadline<T>(stream: PeerStream, timeoutMs: number, use: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(timeoutMs)
  const onTimeout = (): void => stream.abort(new Error(`no answer within ${timeoutMs} ms`))
  signal.addEventListener('abort', onTimeout)
  try {
    return await use(signal)
  } catch (cause) {
    stream.abort(cause instanceof Error ? cause : new Error(String(cause)))
    throw cause
  } finally {
    signal.removeEventListener('abort', onTimeout)
  }
}
