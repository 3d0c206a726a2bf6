/** Keeps connections to a fixed list of addresses: dials, and dials again with growing pauses. @module */
import { multiaddr } from '@multiformats/multiaddr'
import type { Libp2p } from 'libp2p'

const PAUSE_MIN_MS = 250
const PAUSE_MAX_MS = 10_000
/** How often a standing connection is looked at. */
const CHECK_MS = 1_000
const DIAL_TIMEOUT_MS = 5_000

const sleep = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const timer = setTimeout(resolve, ms)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })

async function keepConnected(node: Libp2p, address: string, refused: (peerId: string) => boolean, stop: AbortSignal): Promise<void> {
  const target = multiaddr(address)
  let pauseMs = PAUSE_MIN_MS
  let peer: Libp2p['peerId'] | null = null
  while (!stop.aborted) {
    if (peer !== null && node.getConnections(peer).length > 0) {
      pauseMs = PAUSE_MIN_MS
      await sleep(CHECK_MS, stop)
      continue
    }
    try {
      const connection = await node.dial(target, { signal: AbortSignal.any([stop, AbortSignal.timeout(DIAL_TIMEOUT_MS)]) })
      peer = connection.remotePeer
      if (refused(peer.toString())) pauseMs = PAUSE_MAX_MS
    } catch {
      // A refused or timed-out dial is the ordinary state of a network; the pause is the whole answer to it.
      peer = null
      pauseMs = Math.min(PAUSE_MAX_MS, 2 * pauseMs)
    }
    await sleep(pauseMs * (0.75 + Math.random() / 2), stop)
  }
}

/** Starts one loop per address; the returned function ends them. `refused` says that a peer was cut off and may wait long. */
export function startDialer(node: Libp2p, addresses: readonly string[], refused: (peerId: string) => boolean): () => Promise<void> {
  const stop = new AbortController()
  const loops = addresses.map((address) => keepConnected(node, address, refused, stop.signal))
  return async () => {
    stop.abort()
    await Promise.all(loops)
  }
}
