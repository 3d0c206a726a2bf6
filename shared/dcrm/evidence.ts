/**
 * Proof of a fault as bytes for the chain: the accused's own signed envelopes. Anyone can judge it with the accused's registered key alone.
 * Source: docs/dcrm.md, evidence.
 * @module
 */
import { concatBytes, equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { PayloadReader } from '#shared/dcrm/codec.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import type { BroadcastingProtocol } from '#shared/dcrm/content.ts'
import { BROADCASTING, CONTENT_BYTES_MAX, isContentImpossible } from '#shared/dcrm/content.ts'
import { MAX_COMMITTEE, idsFault } from '#shared/dcrm/descriptor.ts'
import type { EnvelopeCrypto } from '#shared/dcrm/envelope-crypto.ts'
import type { Envelope } from '#shared/dcrm/envelope.ts'
import { ENVELOPE_HEADER_BYTES, ENVELOPE_SIGNATURE_BYTES, decodeEnvelope, envelopeDigest, envelopePlace } from '#shared/dcrm/envelope.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import type { SessionSubject } from '#shared/dcrm/ids.ts'
import { openIdOf, sessionIdOf } from '#shared/dcrm/ids.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** Largest evidence: two envelopes that still fit a transaction. */
export const EVIDENCE_BYTES_LIMIT = 20 * 1024
/** First byte of evidence of content. Two envelopes begin with a length, whose first byte is 0. */
const CONTENT = 1
/** A session that begins without an opening is called by its subject alone. */
const WITHOUT_OPENING: readonly BroadcastingProtocol[] = ['frost', 'ecdsa', 'blame']

const withLength = (bytes: Uint8Array): Uint8Array => concatBytes(uintBytes(bytes.length, 4), bytes)

/** Envelopes one after another, each with its length: two for one place prove equivocation. */
export function encodeEvidence(envelopes: readonly Uint8Array[]): Uint8Array {
  return concatBytes(...envelopes.map(withLength))
}

/**
 * A broadcast that no honest party can have sent, with what its session's id is the hash of: the subject, and the nonces of an opening in the
 * order of the set. Null for a protocol that does not broadcast.
 */
export function encodeContentEvidence(envelope: Uint8Array, subject: SessionSubject, nonces: readonly Uint8Array[]): Uint8Array | null {
  const { chainId, protocol, requestId, epoch, set, attempt } = subject
  const number = (BROADCASTING as readonly string[]).indexOf(protocol)
  if (number < 0) return null
  return concatBytes(
    Uint8Array.of(CONTENT),
    withLength(envelope),
    uintBytes(chainId, 4),
    Uint8Array.of(number),
    requestId,
    uintBytes(epoch, 4),
    uintBytes(attempt, 4),
    Uint8Array.of(set.length),
    ...set.map((id) => uintBytes(id, 2)),
    ...nonces,
  )
}

/** Bytes of the payload a judge of content may have to read, by the evidence's own word; 0 for another kind. Bounds what judging costs. */
export function contentBytesOf(evidence: Uint8Array): number {
  const [kind, ...length] = evidence.slice(0, 5)
  if (kind !== CONTENT) return 0
  const claimed = length.reduce((value, byte) => value * 256 + byte, 0) - ENVELOPE_HEADER_BYTES - ENVELOPE_SIGNATURE_BYTES
  return Math.min(Math.max(claimed, 0), CONTENT_BYTES_MAX)
}

const readEnvelope = (reader: PayloadReader): Uint8Array => reader.bytes(Math.min(reader.uint(4), EVIDENCE_BYTES_LIMIT))

function decodePair(evidence: Uint8Array): readonly [Envelope, Envelope] | null {
  const parts = decodePayload(evidence, (reader) => [readEnvelope(reader), readEnvelope(reader)] as const)
  const [first, second] = (parts ?? []).map(decodeEnvelope)
  return first && second ? [first, second] : null
}

/** Whether a session can have these parties, the sender among them. An old committee and a new one are the most. */
const isSetOf = (set: readonly PartyId[], from: PartyId): boolean =>
  set.length <= 2 * MAX_COMMITTEE && idsFault(set) === null && set.includes(from)

type Content = Readonly<{ envelope: Envelope; protocol: BroadcastingProtocol; subject: SessionSubject; nonces: readonly Uint8Array[] }>

function decodeContent(evidence: Uint8Array): Content | null {
  return decodePayload(evidence, (reader) => {
    reader.uint(1)
    const envelope = decodeEnvelope(readEnvelope(reader))
    const chainId = reader.uint(4)
    const protocol = BROADCASTING[reader.uint(1)]
    const requestId = reader.bytes(32)
    const [epoch, attempt] = [reader.uint(4), reader.uint(4)]
    const set = Array.from({ length: reader.uint(1) }, () => reader.uint(2))
    if (envelope === null || protocol === undefined || !isSetOf(set, envelope.from)) return null
    const nonces = WITHOUT_OPENING.includes(protocol) ? [] : set.map(() => reader.bytes(32))
    return { envelope, protocol, subject: { chainId, protocol, requestId, epoch, set, attempt }, nonces }
  })
}

type Judge = Readonly<{ backend: DcrmBackend; verify: EnvelopeCrypto['verify']; accused: PartyId; signKey: Uint8Array }>

const isSigned = ({ backend, verify, accused, signKey }: Judge, envelope: Envelope): boolean =>
  envelope.from === accused && verify(signKey, envelopeDigest(backend, envelope), envelope.signature)

function judgeEquivocation(judge: Judge, evidence: Uint8Array): string | null {
  const pair = decodePair(evidence)
  if (pair === null) return null
  const [first, second] = pair
  const isSamePlace = envelopePlace(first) === envelopePlace(second) && first.round > 0 && first.kind !== 'forward'
  const [one, other] = pair.map((envelope) => envelopeDigest(judge.backend, envelope)) as [Uint8Array, Uint8Array]
  if (!isSamePlace || equalBytes(one, other)) return null
  return pair.every((envelope) => isSigned(judge, envelope)) ? 'EQUIVOCATION' : null
}

/** The session's id is a hash, so an honest signer was in the very session the evidence describes. */
function judgeContent(judge: Judge, evidence: Uint8Array): string | null {
  const content = decodeContent(evidence)
  if (content === null) return null
  const { envelope, protocol, subject, nonces } = content
  const { backend } = judge
  const openId = openIdOf(backend, subject)
  const id = WITHOUT_OPENING.includes(protocol) ? openId : sessionIdOf(backend, openId, nonces)
  if (envelope.kind !== 'broadcast' || !equalBytes(envelope.id, id) || !isSigned(judge, envelope)) return null
  return isContentImpossible(backend, protocol, subject.set, envelope) ? 'CONTENT_IMPOSSIBLE' : null
}

/**
 * Code of the fault that `evidence` proves against the holder of `signKey`, or null. `EQUIVOCATION`: two different signed envelopes for one place of a
 * session after its opening. `CONTENT_IMPOSSIBLE`: a signed broadcast no honest party of its session can have sent.
 */
export function judgeEvidence(
  backend: DcrmBackend,
  verify: EnvelopeCrypto['verify'],
  accused: PartyId,
  signKey: Uint8Array,
  evidence: Uint8Array,
): string | null {
  if (evidence.length > EVIDENCE_BYTES_LIMIT) return null
  const judge: Judge = { backend, verify, accused, signKey }
  return evidence[0] === CONTENT ? judgeContent(judge, evidence) : judgeEquivocation(judge, evidence)
}
