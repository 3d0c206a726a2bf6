/**
 * What one signer keeps of a prepared ECDSA signature, and how it is stored. Nothing in it depends on a message or a child key; it serves one
 * signature and is destroyed. Source: DKLs23; docs/dcrm.md, presigning.
 * @module
 */
import { concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import { hashItems, idsBytes, uintBytes } from '#shared/dcrm/hash.ts'
import type { PartyId } from '#shared/dcrm/types.ts'

/** R_i, pk_i, salt, Γᵘ, Γᵛ, ψ. */
export const STATEMENT_BYTES = 4 * 33 + 2 * 32

/** What two signers told each other in the last round, as payload bytes: needed only to find out who cheated. */
export type Statements = Readonly<{ peer: PartyId; sent: Uint8Array; received: Uint8Array }>

export type Presignature = Readonly<{
  /** 32 bytes: name of the presignature, common to the set. */
  psid: Uint8Array
  keyId: Uint8Array
  epoch: number
  /** The exact set of signers, ascending. */
  set: readonly PartyId[]
  /** Encoded R = Σ R_i. */
  nonce: Uint8Array
  /** 32 bytes each. Secret. */
  phi: Uint8Array
  u: Uint8Array
  v: Uint8Array
  statements: readonly Statements[]
  /** Digest all signers confirmed, 32 bytes. */
  certificate: Uint8Array
  /** What the two of each pair confirmed to have told each other, see `bondOf`, in the order of `pairsOf(set)`. */
  bonds: readonly Uint8Array[]
}>

/** All pairs of a set, the lower id first, in lexicographic order. */
export function pairsOf(set: readonly PartyId[]): readonly (readonly [PartyId, PartyId])[] {
  return set.flatMap((low, index) => set.slice(index + 1).map((high) => [low, high] as const))
}

/**
 * Digest of the two statements of a pair. Both publish it before the presignature counts, so that neither can later claim to have said or heard
 * something else, not even two who agree on the lie.
 */
export function bondOf(
  hashes: Pick<DcrmBackend, 'sha256'>,
  psid: Uint8Array,
  [from, to]: readonly [PartyId, PartyId],
  sent: Uint8Array,
  received: Uint8Array,
): Uint8Array {
  const [low, high, first, second] = from < to ? [from, to, sent, received] : [to, from, received, sent]
  return hashItems(hashes, 'presig/bond', psid, low, high, first, second)
}

/** psid = H("presig", keyId, epoch, S, sid, index). */
export function presignatureId(
  hashes: Pick<DcrmBackend, 'sha256'>,
  key: Readonly<{ keyId: Uint8Array; epoch: number }>,
  set: readonly PartyId[],
  sid: Uint8Array,
  index: number,
): Uint8Array {
  return hashItems(hashes, 'presig/id', key.keyId, key.epoch, idsBytes(set), sid, index)
}

/** Exact-size encoding for the encrypted store. */
export function encodePresignature(presignature: Presignature): Uint8Array {
  const { psid, keyId, epoch, set, nonce, phi, u, v, statements, certificate, bonds } = presignature
  const said = statements.flatMap(({ peer, sent, received }) => [uintBytes(peer, 2), sent, received])
  return concatBytes(psid, keyId, uintBytes(epoch, 4), idsBytes(set), nonce, phi, u, v, certificate, ...bonds, ...said)
}

/** The inverse; null for bytes of another form. */
export function decodePresignature(bytes: Uint8Array): Presignature | null {
  return decodePayload(bytes, (reader) => {
    const head = { psid: reader.bytes(32), keyId: reader.bytes(32), epoch: reader.uint(4) }
    const set = Array.from({ length: Math.min(reader.uint(2), 64) }, () => reader.uint(2))
    const body = { nonce: reader.bytes(33), phi: reader.bytes(32), u: reader.bytes(32), v: reader.bytes(32), certificate: reader.bytes(32) }
    const bonds = pairsOf(set).map(() => reader.bytes(32))
    const statements = set.slice(1).map(() => ({
      peer: reader.uint(2),
      sent: reader.bytes(STATEMENT_BYTES),
      received: reader.bytes(STATEMENT_BYTES),
    }))
    return { ...head, set, ...body, bonds, statements }
  })
}
