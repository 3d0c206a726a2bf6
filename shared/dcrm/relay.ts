/**
 * What a relay checks before it keeps an envelope. A relay is a mailbox nobody trusts: it keeps the first envelope of each place, in order of
 * arrival, bounded in size and time, and hands them out. The signature check only keeps strangers from taking places.
 * Source: docs/dcrm.md, relays.
 * @module
 */
import { equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { decodeEnvelope, envelopeDigest, envelopePlace } from '#shared/dcrm/envelope.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** Bounds of one session at a relay. */
export const RELAY_LIMITS = {
  /** Bytes of all envelopes. */
  bytes: 16 * 1024 * 1024,
  envelopes: 4096,
  /** A session is forgotten this long after its first envelope, ms. */
  lifetimeMs: 3_600_000,
  /** Envelopes in one answer. */
  page: 64,
} as const

/** An envelope with what a relay shows of it. */
export type RelayEntry = Readonly<{
  place: string
  round: number
  kind: string
  from: PartyId
  /** Null for all. */
  to: PartyId | null
  bytes: Uint8Array
}>

/** Stable codes of a refusal. */
export type RelayRefusal = 'ENVELOPE_MALFORMED' | 'SENDER_UNKNOWN' | 'SIGNATURE_WRONG'

/** Judges one envelope. `keyOf` gives a registered party's Ed25519 key. */
export function relayEntry(
  bytes: Uint8Array,
  keyOf: (party: PartyId) => Uint8Array | null,
  crypto: Pick<EnvelopeCrypto, 'verify'>,
  hashes: Pick<DcrmBackend, 'sha256'>,
): RelayEntry | RelayRefusal {
  const envelope = decodeEnvelope(bytes)
  if (envelope === null) return 'ENVELOPE_MALFORMED'
  const key = keyOf(envelope.from)
  if (key === null) return 'SENDER_UNKNOWN'
  if (!crypto.verify(key, envelopeDigest(hashes, envelope), envelope.signature)) return 'SIGNATURE_WRONG'
  const { round, kind, from, to } = envelope
  return { place: envelopePlace(envelope), round, kind, from, to, bytes }
}

/** A session's mailbox as a relay in memory holds it. */
export type Mailbox = Readonly<{ entries: readonly RelayEntry[]; bytes: number; openedAtMs: number }>

/** How a put ended. `TAKEN`: another envelope has the place; `FULL`: the session's bounds are reached. */
export type PutOutcome = 'STORED' | 'SAME' | 'TAKEN' | 'FULL'

/** Keeps an entry unless its place is taken. First write wins. */
export function putEntry(mailbox: Mailbox, entry: RelayEntry): Readonly<{ mailbox: Mailbox; outcome: PutOutcome }> {
  const known = mailbox.entries.find(({ place }) => place === entry.place)
  if (known !== undefined) return { mailbox, outcome: equalBytes(known.bytes, entry.bytes) ? 'SAME' : 'TAKEN' }
  const bytes = mailbox.bytes + entry.bytes.length
  if (bytes > RELAY_LIMITS.bytes || mailbox.entries.length >= RELAY_LIMITS.envelopes) return { mailbox, outcome: 'FULL' }
  return { mailbox: { ...mailbox, entries: [...mailbox.entries, entry], bytes }, outcome: 'STORED' }
}

/** Entries after a cursor that a party should read; the cursor of an entry is its position, from 1. */
export function entriesAfter(
  mailbox: Mailbox,
  after: number,
  to: PartyId | null,
): Readonly<{ entries: readonly Readonly<{ cursor: number; entry: RelayEntry }>[]; next: number }> {
  const entries: { cursor: number; entry: RelayEntry }[] = []
  let next = after
  for (let index = after; index < mailbox.entries.length && entries.length < RELAY_LIMITS.page; index++) {
    const entry = mailbox.entries[index]
    next = index + 1
    if (entry !== undefined && (to === null || entry.to === null || entry.to === to)) entries.push({ cursor: index + 1, entry })
  }
  return { entries, next }
}
