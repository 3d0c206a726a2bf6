/** Talks to one relay for one session: posts envelopes, reads what is new. A relay that fails is tried again later; it is never trusted. @module */
import * as z from 'zod'
import type { BoundedAnswer } from '#node/bounded-fetch.ts'
import { fetchBounded } from '#node/bounded-fetch.ts'
import { RelaySocket } from '#node/party/relay-socket.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { RelayClaim } from '#shared/dcrm/relay-proof.ts'
import { PROOF_HEADER, proveClaim } from '#shared/dcrm/relay-proof.ts'
import type { SessionContext } from '#shared/dcrm/session-types.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

const REQUEST_TIMEOUT_MS = 8000
const RECEIPT_BYTES_MAX = 4096
/** More than a page of the largest envelopes in base64. */
const PAGE_BYTES_MAX = 24 * 1024 * 1024
const DONE: readonly number[] = [200, 201, 409]
const zPage = z.object({
  envelopes: z.array(z.object({ cursor: z.int().nonnegative(), bytes: z.base64() })).max(256),
  next: z.int().nonnegative(),
})

export type RelayClient = Readonly<{
  url: string
  /** Resolves to whether the relay has the envelope now. Never throws. */
  post: (envelope: Uint8Array) => Promise<boolean>
  /** Envelopes since the last call; empty when the relay fails, and while it pushes them. Never throws. */
  read: () => Promise<readonly Uint8Array[]>
}>

/** A party in a session, as its relays are to know it. */
export type RelayAccess = Readonly<{
  session: Pick<SessionContext<unknown, unknown>, 'openId' | 'keys' | 'crypto' | 'backend'>
  self: PartyId
  signal: AbortSignal
}>

/**
 * A client for one session at one relay. With `onPush` envelopes come over a socket whenever the relay has one, and by `read` otherwise; the same
 * one may come both ways.
 */
export function createRelayClient(
  url: string,
  { session: { openId, keys, crypto, backend }, self, signal }: RelayAccess,
  onPush: ((envelope: Uint8Array) => void) | null = null,
): RelayClient {
  const session = `${url.replace(/\/$/, '')}/v1/sessions/${bytesToHex(openId).slice(2)}`
  const base = `${session}/envelopes`
  const prove = (claim: RelayClaim) => ({ [PROOF_HEADER]: proveClaim(keys.signSecret, openId, claim, crypto, backend) })
  let after = 0
  const onEnvelope = (cursor: number, envelope: Uint8Array): void => {
    after = Math.max(after, cursor)
    onPush?.(envelope)
  }
  const socket =
    onPush === null
      ? null
      : new RelaySocket({
          url: (cursor) => `${session}/socket?after=${cursor}&to=${self}`,
          headers: prove({ kind: 'listen', party: self }),
          after: () => after,
          onEnvelope,
          signal,
        })
  const ask = (target: string, init: RequestInit, limit: number): Promise<BoundedAnswer> =>
    fetchBounded(target, { ...init, signal: AbortSignal.any([signal, AbortSignal.timeout(REQUEST_TIMEOUT_MS)]) }, limit)
  return {
    url,
    post: async (envelope) => {
      try {
        const body = Uint8Array.from(envelope)
        const headers = { 'content-type': 'application/octet-stream', ...prove({ kind: 'post', envelope }) }
        const { status } = await ask(base, { method: 'POST', body, headers }, RECEIPT_BYTES_MAX)
        // A taken place is an answer too: another envelope of ours is there, and sending again changes nothing.
        return DONE.includes(status)
      } catch {
        return false
      }
    },
    read: async () => {
      if (socket?.isLive === true) return []
      try {
        const { text } = await ask(`${base}?after=${after}&to=${self}`, {}, PAGE_BYTES_MAX)
        const page = zPage.parse(JSON.parse(text))
        after = Math.max(after, page.next)
        return page.envelopes.map(({ bytes }) => new Uint8Array(Buffer.from(bytes, 'base64')))
      } catch {
        return []
      }
    },
  }
}
