/** Request and answer over one stream each: the request is everything until the half-close, the answer likewise. @module */
import type { Libp2p } from 'libp2p'
import { concatBytes } from '#shared/bytes.ts'
import type { Hash } from '#shared/types.ts'
import type { PeerBook } from '#node/net/peer-book.ts'
import { readAll, withDeadline, writeAll } from '#node/net/stream.ts'
import type { PeerStream } from '#node/net/stream.ts'
import { ANSWER_BYTES_MAX, REQUEST_BYTES_MAX, REQUEST_KINDS, protocolOf } from '#node/net/topics.ts'
import type { RequestKind } from '#node/net/topics.ts'

const TIMEOUT_MS = 8_000
const ANSWERED = Uint8Array.of(1)
const REFUSED = Uint8Array.of(0)

/** Answers a request, or null when this node has nothing to give or refuses. */
export type RequestHandler = (kind: RequestKind, body: Uint8Array, from: string) => Promise<Uint8Array | null>

async function serve(
  kind: RequestKind,
  stream: PeerStream,
  from: string,
  book: PeerBook,
  handler: RequestHandler,
  now: () => number,
): Promise<void> {
  await withDeadline(stream, TIMEOUT_MS, async (signal) => {
    const body = await readAll(stream, REQUEST_BYTES_MAX)
    const { requests, answers } = book.get(from)
    const answer = requests.take(1, now()) ? await handler(kind, body, from) : null
    const isRefused = answer === null || !answers.take(answer.length, now())
    await writeAll(stream, isRefused ? REFUSED : concatBytes(ANSWERED, answer), signal)
  })
}

/** Registers all protocols. What goes wrong in one stream ends that stream only. */
export async function serveRequests(
  node: Libp2p,
  genesisHash: Hash,
  book: PeerBook,
  handler: RequestHandler,
  now: () => number,
): Promise<void> {
  for (const kind of REQUEST_KINDS) {
    await node.handle(
      protocolOf(genesisHash, kind),
      (stream, connection) => serve(kind, stream, connection.remotePeer.toString(), book, handler, now).catch(() => undefined),
      { maxInboundStreams: 16, maxOutboundStreams: 16 },
    )
  }
}

/** Answer of a peer, or null when it refused, is away, too slow, or said too much. */
export async function sendRequest(
  node: Libp2p,
  genesisHash: Hash,
  peerId: string,
  kind: RequestKind,
  body: Uint8Array,
): Promise<Uint8Array | null> {
  const peer = node.getPeers().find((candidate) => candidate.toString() === peerId)
  if (peer === undefined) return null
  try {
    const stream = await node.dialProtocol(peer, protocolOf(genesisHash, kind), { signal: AbortSignal.timeout(TIMEOUT_MS) })
    const answer = await withDeadline(stream, TIMEOUT_MS, async (signal) => {
      await writeAll(stream, body, signal)
      return readAll(stream, ANSWER_BYTES_MAX[kind] + 1)
    })
    return answer[0] === ANSWERED[0] ? answer.subarray(1) : null
  } catch {
    // The network is allowed to fail at any point; the caller asks another peer.
    return null
  }
}
