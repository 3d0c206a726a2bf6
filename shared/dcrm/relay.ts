/**
 * What a relay checks before it keeps an envelope. A relay is a mailbox nobody trusts: it keeps the first envelope of each place, in order of
 * arrival, bounded in size and time, and hands them out. Signature and proof only keep strangers from taking places and room.
 * Source: docs/dcrm.md, relays.
 * @module
 */
import { equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import { decodeEnvelope, envelopeDigest, envelopePlace } from '#shared/dcrm/envelope.ts'
import { isProven } from '#shared/dcrm/relay-proof.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { UnixMs } from '#shared/types.ts'

/** Bounds of one session at a relay. */
export const RELAY_LIMITS = {
  /** Bytes of all envelopes. */
  bytes: 16 * 1024 * 1024,
  envelopes: 4096,
  /** Of one sender, so that no registered party alone fills the sessions of others. */
  senderBytes: 4 * 1024 * 1024,
  senderEnvelopes: 1024,
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

/** An envelope that somebody leaves in a mailbox. */
export type Posted = Readonly<{ openId: Uint8Array; bytes: Uint8Array; /** Text of the header, null for none. */ proof: string | null }>

/** Stable codes of a refusal. */
export type RelayRefusal = 'ENVELOPE_MALFORMED' | 'SENDER_UNKNOWN' | 'SIGNATURE_WRONG' | 'PROOF_WRONG'

/** Judges one envelope. `keyOf` gives a registered party's Ed25519 key. What is refused is counted against nobody. */
export function relayEntry(
  { openId, bytes, proof }: Posted,
  keyOf: (party: PartyId) => Uint8Array | null,
  crypto: Pick<EnvelopeCrypto, 'verify'>,
  hashes: Pick<DcrmBackend, 'sha256'>,
): RelayEntry | RelayRefusal {
  const envelope = decodeEnvelope(bytes)
  if (envelope === null) return 'ENVELOPE_MALFORMED'
  const key = keyOf(envelope.from)
  if (key === null) return 'SENDER_UNKNOWN'
  if (!crypto.verify(key, envelopeDigest(hashes, envelope), envelope.signature)) return 'SIGNATURE_WRONG'
  if (!isProven(key, proof, openId, { kind: 'post', envelope: bytes }, crypto, hashes)) return 'PROOF_WRONG'
  const { round, kind, from, to } = envelope
  return { place: envelopePlace(envelope), round, kind, from, to, bytes }
}

/** What a session holds already, of all and of one sender. */
export type Held = Readonly<{ envelopes: number; bytes: number; senderEnvelopes: number; senderBytes: number }>

/** Whether one more envelope fits. */
export function hasRoom(held: Held, length: number): boolean {
  return (
    held.envelopes < RELAY_LIMITS.envelopes &&
    held.bytes + length <= RELAY_LIMITS.bytes &&
    held.senderEnvelopes < RELAY_LIMITS.senderEnvelopes &&
    held.senderBytes + length <= RELAY_LIMITS.senderBytes
  )
}

/** What a reader asks for: envelopes after a cursor, for one party or, with null, all. */
export type RelayQuery = Readonly<{ after: number; to: PartyId | null }>

/** Reads the two parameters of a listing; a missing cursor is 0. */
export function relayQuery(after: string | null, to: string | null): RelayQuery | 'CURSOR_INVALID' | 'PARTY_INVALID' {
  if (!/^\d{1,9}$/.test(after ?? '0')) return 'CURSOR_INVALID'
  if (to !== null && !/^[1-9]\d{0,4}$/.test(to)) return 'PARTY_INVALID'
  return { after: Number(after ?? '0'), to: to === null ? null : Number(to) }
}

/** When the first envelope of a round came: whoever is missing since then is late. */
export type RoundBegin = Readonly<{ round: number; atMs: UnixMs }>

/** A session's mailbox as a relay in memory holds it. */
export type Mailbox = Readonly<{ entries: readonly RelayEntry[]; rounds: readonly RoundBegin[]; openedAtMs: UnixMs }>

/** A mailbox that opens now. */
export const emptyMailbox = (openedAtMs: UnixMs): Mailbox => ({ entries: [], rounds: [], openedAtMs })

const bytesOf = (entries: readonly RelayEntry[]): number => entries.reduce((sum, { bytes }) => sum + bytes.length, 0)

/** How a put ended. `TAKEN`: another envelope has the place; `FULL`: the session's bounds are reached. */
export type PutOutcome = 'STORED' | 'SAME' | 'TAKEN' | 'FULL'

/** Keeps an entry unless its place is taken. First write wins. */
export function putEntry(mailbox: Mailbox, entry: RelayEntry, nowMs: UnixMs): Readonly<{ mailbox: Mailbox; outcome: PutOutcome }> {
  const { entries, rounds } = mailbox
  const known = entries.find(({ place }) => place === entry.place)
  if (known !== undefined) return { mailbox, outcome: equalBytes(known.bytes, entry.bytes) ? 'SAME' : 'TAKEN' }
  const own = entries.filter(({ from }) => from === entry.from)
  const held = { envelopes: entries.length, bytes: bytesOf(entries), senderEnvelopes: own.length, senderBytes: bytesOf(own) }
  if (!hasRoom(held, entry.bytes.length)) return { mailbox, outcome: 'FULL' }
  const begun = rounds.some(({ round }) => round === entry.round) ? rounds : [...rounds, { round: entry.round, atMs: nowMs }]
  return {
    mailbox: { ...mailbox, entries: [...entries, entry], rounds: begun.toSorted((left, right) => left.round - right.round) },
    outcome: 'STORED',
  }
}

/** Entries after a cursor that a party should read; the cursor of an entry is its position, from 1. */
export function entriesAfter(
  mailbox: Mailbox,
  { after, to }: RelayQuery,
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
