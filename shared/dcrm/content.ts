/**
 * What the broadcasts of every protocol look like, whatever the scheme, threshold and history of the key: a signed one that looks otherwise proves
 * its sender wrong to anybody. What depends on earlier messages of the run is not judged here. Source: docs/dcrm.md, evidence.
 * @module
 */
import type { DcrmBackend, Group } from '#shared/dcrm/backend.ts'
import type { PayloadReader } from '#shared/dcrm/codec.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import { MAX_COMMITTEE } from '#shared/dcrm/descriptor.ts'
import type { Envelope } from '#shared/dcrm/envelope.ts'
import { MAX_BATCH } from '#shared/dcrm/presign-state.ts'
import { STATEMENT_BYTES } from '#shared/dcrm/presignature.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { PAIR_BYTES, isPossessionValid } from '#shared/dcrm/vss.ts'

/**
 * Largest payload that is judged, bytes. Every dealing and opening of the largest committee fits; long lists of pairs or statements do not and
 * stay a matter between parties. With more to read a report would not fit what a party pays for a call.
 */
export const CONTENT_BYTES_MAX = 1280

/** Protocols with broadcasts, in the order of their numbers in evidence. */
export const BROADCASTING = ['dkg', 'refresh', 'reshare', 'recover', 'presign', 'frost', 'ecdsa', 'blame'] as const
export type BroadcastingProtocol = (typeof BROADCASTING)[number]

/** What a broadcast is read with. */
type About = Readonly<{
  backend: DcrmBackend
  reader: PayloadReader
  group: Group
  set: readonly PartyId[]
  envelope: Pick<Envelope, 'id' | 'from' | 'payload'>
}>
/** Reads a whole payload; false when what was read cannot be. */
type Form = (about: About) => boolean

const isWithin = (count: number, min: number, max: number): boolean => Number.isInteger(count) && count >= min && count <= max

/** Nothing but points, as many as the number allows. */
const pointsFrom =
  (min: number, max: number): Form =>
  ({ reader, group, envelope }) => {
    const count = envelope.payload.length / group.pointBytes
    return isWithin(count, min, max) && reader.points(group, count).length === count
  }

/** Scalars in groups of `step`, at least one group. */
const scalarsBy =
  (step: number): Form =>
  ({ reader, group, envelope }) => {
    const count = envelope.payload.length / 32
    for (let index = 0; index < count; index++) reader.scalar(group.order)
    return isWithin(count / step, 1, MAX_COMMITTEE)
  }

/** Hashes, as many as `counts` allows for the set. */
const hashes =
  (counts: (set: readonly PartyId[]) => readonly number[]): Form =>
  ({ reader, set, envelope }) => {
    const { length } = reader.bytes(envelope.payload.length)
    return counts(set).some((count) => length === 32 * count)
  }
const CERTIFICATE = hashes(() => [1])
/** `each` per presignature of a batch. */
const perPresignature = (each: (set: readonly PartyId[]) => number): Form =>
  hashes((set) => Array.from({ length: MAX_BATCH }, (_, index) => (index + 1) * each(set)))

/** Parties of the set in rising order, after their count. */
function readAccused({ reader, set }: About): boolean {
  const ids = Array.from({ length: Math.min(reader.uint(2), set.length + 1) }, () => reader.uint(2))
  return ids.every((id, index) => set.includes(id) && id > (ids[index - 1] ?? 0))
}

const readReply: Form = (about) => readAccused(about) && about.reader.bytes(32).length === 32

/** Images of a polynomial and the proof that the dealer knows its constant. */
function readOpening({ backend, reader, group, envelope }: About): boolean {
  const count = (envelope.payload.length - 32) / group.pointBytes - 1
  if (!isWithin(count, 2, MAX_COMMITTEE)) return false
  const [constant = group.identity] = reader.points(group, count)
  const possession = { nonce: reader.point(group), response: reader.scalar(group.order) }
  return reader.isWhole() && isPossessionValid(backend, group, envelope.id, envelope.from, constant, possession)
}

/** Objections, each a dealer and its pair, and a certificate. */
function readObjections({ reader, group, set }: About): boolean {
  const count = reader.uint(2)
  if (count > set.length) return false
  for (let index = 0; index < count; index++) {
    reader.uint(2)
    reader.scalar(group.order)
    reader.scalar(group.order)
  }
  return reader.bytes(32).length === 32
}

/** A proof of equal logarithms, and the statements to and from every peer, which are as their authors made them. */
function readClaim({ reader, group, set }: About): boolean {
  reader.points(group, 2)
  reader.scalar(group.order)
  const length = 2 * STATEMENT_BYTES * (set.length - 1)
  return reader.bytes(length).length === length
}

const DEAL = pointsFrom(2, MAX_COMMITTEE)
const PAIRS = scalarsBy(PAIR_BYTES / 32)
const dkgForms = (deal: Form, open: Form): Readonly<Record<number, Form>> => ({
  1: deal,
  2: readAccused,
  3: PAIRS,
  4: open,
  5: readObjections,
  6: PAIRS,
  7: CERTIFICATE,
})
/** The constant of a refresh does not travel. */
const REST = pointsFrom(1, MAX_COMMITTEE - 1)

/** By protocol and round. */
const FORMS: Readonly<Record<BroadcastingProtocol, Readonly<Record<number, Form>>>> = {
  dkg: dkgForms(DEAL, readOpening),
  refresh: dkgForms(REST, REST),
  reshare: { 1: DEAL, 2: readReply, 3: scalarsBy(1), 4: CERTIFICATE },
  // All but the one that lost its share.
  recover: { 1: (about) => pointsFrom(about.set.length - 1, about.set.length - 1)(about) },
  presign: {
    1: perPresignature(() => 1),
    5: perPresignature((set) => set.length),
    6: (about) => about.envelope.payload.length === 32 * (about.set.length - 1) && scalarsBy(1)(about),
  },
  frost: {
    1: pointsFrom(2, 2),
    2: (about) => about.envelope.payload.length === 32 && scalarsBy(1)(about),
  },
  ecdsa: { 1: (about) => about.envelope.payload.length === 64 && PAIRS(about) },
  blame: { 1: readClaim },
}
const SECP256K1_ONLY: readonly BroadcastingProtocol[] = ['presign', 'ecdsa', 'blame']

/**
 * Whether no honest party of `set` can have sent this broadcast in a session of the protocol, in no scheme and with no threshold. A round the
 * protocol does not broadcast in is not judged.
 */
export function isContentImpossible(
  backend: DcrmBackend,
  protocol: BroadcastingProtocol,
  set: readonly PartyId[],
  envelope: Pick<Envelope, 'id' | 'from' | 'payload' | 'round'>,
): boolean {
  const form = FORMS[protocol][envelope.round]
  const { payload } = envelope
  if (form === undefined || payload.length > CONTENT_BYTES_MAX) return false
  const groups = SECP256K1_ONLY.includes(protocol) ? [backend.secp256k1] : [backend.secp256k1, backend.ed25519]
  return groups.every((group) => decodePayload(payload, (reader) => form({ backend, reader, group, set, envelope })) !== true)
}
