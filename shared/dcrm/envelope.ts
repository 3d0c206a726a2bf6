/**
 * The signed unit of every session: a fixed header, an opaque payload, an Ed25519 signature over both. Relays store and order envelopes and can
 * do nothing else; direct payloads are encrypted before they are signed. Source: docs/dcrm.md, envelopes.
 * @module
 */
import { concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import { hashItems, uintBytes } from '#shared/dcrm/hash.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** Version of the wire format and number of its set of algorithms. */
const VERSION = 1
const SUITE = 1
/** Receiver of a broadcast on the wire; no party has this number's meaning. */
const TO_ALL = 0xffff
export const ENVELOPE_HEADER_BYTES = 84
export const ENVELOPE_SIGNATURE_BYTES = 64
/** Largest payload: four presignatures' corrections, encrypted. */
export const ENVELOPE_PAYLOAD_MAX = 168 * 1024
/** Largest envelope a relay or a party reads. */
export const ENVELOPE_BYTES_MAX = ENVELOPE_HEADER_BYTES + ENVELOPE_PAYLOAD_MAX + ENVELOPE_SIGNATURE_BYTES

/** What an envelope carries, in the order of their numbers: a round's broadcast or direct message, an echo, a forwarded original. */
export const ENVELOPE_KINDS = ['broadcast', 'direct', 'echo', 'forward'] as const
export type EnvelopeKind = (typeof ENVELOPE_KINDS)[number]

export type Envelope = Readonly<{
  /** Opening or session id, 32 bytes. */
  id: Uint8Array
  epoch: number
  /** 0 for the opening, else the protocol's. */
  round: number
  kind: EnvelopeKind
  from: PartyId
  /** Null for all. */
  to: PartyId | null
  /** Tells a second echo of a round, or forwards, apart; 0 otherwise. */
  seq: number
  /** Hash over everything agreed in earlier rounds, 32 bytes. */
  previous: Uint8Array
  payload: Uint8Array
  signature: Uint8Array
}>

/** The signed half. */
export type UnsignedEnvelope = Omit<Envelope, 'signature'>

function headerBytes({ id, epoch, round, kind, from, to, seq, previous, payload }: UnsignedEnvelope): Uint8Array {
  return concatBytes(
    Uint8Array.of(VERSION, SUITE),
    id,
    uintBytes(epoch, 4),
    Uint8Array.of(round, ENVELOPE_KINDS.indexOf(kind)),
    uintBytes(from, 2),
    uintBytes(to ?? TO_ALL, 2),
    uintBytes(seq, 4),
    previous,
    uintBytes(payload.length, 4),
  )
}

/** Header without the payload's length: what binds a ciphertext to its place. */
export function associatedData(envelope: UnsignedEnvelope): Uint8Array {
  return headerBytes({ ...envelope, payload: new Uint8Array(0) })
}

/** What the sender signs: H("env", header, payload), 32 bytes. Names the envelope in echoes. */
export function envelopeDigest(hashes: Pick<DcrmBackend, 'sha256'>, envelope: UnsignedEnvelope): Uint8Array {
  return hashItems(hashes, 'env', headerBytes(envelope), envelope.payload)
}

/** The bytes that travel. */
export function encodeEnvelope(envelope: Envelope): Uint8Array {
  return concatBytes(headerBytes(envelope), envelope.payload, envelope.signature)
}

/** The inverse; null for anything that is not exactly one envelope of this version. The signature is not checked here. */
export function decodeEnvelope(bytes: Uint8Array): Envelope | null {
  if (bytes.length > ENVELOPE_BYTES_MAX) return null
  return decodePayload(bytes, (reader) => {
    const [version, suite] = [reader.uint(1), reader.uint(1)]
    const id = reader.bytes(32)
    const epoch = reader.uint(4)
    const round = reader.uint(1)
    const kind = ENVELOPE_KINDS[reader.uint(1)]
    const [from, to] = [reader.uint(2), reader.uint(2)]
    const seq = reader.uint(4)
    const previous = reader.bytes(32)
    const length = reader.uint(4)
    const payload = reader.bytes(Math.min(length, ENVELOPE_PAYLOAD_MAX + 1))
    const signature = reader.bytes(ENVELOPE_SIGNATURE_BYTES)
    const isKnown = version === VERSION && suite === SUITE && kind !== undefined && from !== 0 && from !== TO_ALL && to !== 0
    return isKnown ? { id, epoch, round, kind, from, to: to === TO_ALL ? null : to, seq, previous, payload, signature } : null
  })
}

/** Where an envelope belongs: whatever comes second for one place is ignored by relays and judged by parties. */
export function envelopePlace({ id, round, kind, from, to, seq }: UnsignedEnvelope): string {
  const name = Array.from(id, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return [name, round, kind, from, to ?? 'all', seq].join('/')
}
