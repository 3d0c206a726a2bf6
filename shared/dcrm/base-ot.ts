/**
 * 128 random oblivious transfers between two parties, in one message each way: the receiver chooses Δ and learns one key per index, the sender
 * learns both and not Δ. Keys hash x-coordinates only, so that the secret multiplication may run as plain ECDH.
 * Source: Masny and Rindal 2019 (endemic OT); docs/dcrm.md, pairwise setup.
 * @module
 */
import { concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Point, Scalar, Secp256k1 } from '#shared/dcrm/backend.ts'
import { bitOf, wordsOf } from '#shared/dcrm/bit-matrix.ts'
import { decodePayload, pointsBytes } from '#shared/dcrm/codec.ts'
import type { Drbg } from '#shared/dcrm/drbg.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import { OT_COLUMNS, OT_KEY_BYTES } from '#shared/dcrm/ot-extension.ts'

/** Bytes of either message: two points per index. */
export const BASE_OT_BYTES = 2 * OT_COLUMNS * 33
/** Bytes of the choice string Δ. */
export const DELTA_BYTES = OT_COLUMNS / 8

/** Whom and what a run is between: binds every hash. */
export type BaseOtContext = Readonly<{ backend: DcrmBackend; /** 32 bytes, unique per ordered pair and session. */ name: Uint8Array }>

/** The receiver between its message and the answer. */
export type BaseOtReceiver = Readonly<{ delta: Uint8Array; exponents: readonly Scalar[] }>
/** Both keys of each index, 128 × 32 bytes each. */
export type BaseOtSent = Readonly<{ message: Uint8Array; keys0: Uint8Array; keys1: Uint8Array }>

/** A point nobody knows the logarithm of, from public input: the first hash that is an x-coordinate. */
function hashToPoint({ backend, name }: BaseOtContext, branch: number, index: number, encoded: Uint8Array): Point {
  const group = backend.secp256k1
  for (let counter = 0; ; counter++) {
    const point = group.liftX(hashItems(backend, 'base-ot/point', name, branch, index, encoded, counter))
    if (point !== null) return point
  }
}

function keyOf({ backend, name }: BaseOtContext, index: number, shared: Point): Uint8Array {
  return hashItems(backend, 'base-ot/key', name, index, backend.secp256k1.coordinates(shared).x)
}

/** Receiver's message: for each index a random point and one that makes the chosen branch known. */
export function receiveBaseOt(context: BaseOtContext, drbg: Drbg): Readonly<{ state: BaseOtReceiver; message: Uint8Array }> {
  const group = context.backend.secp256k1
  const delta = drbg.bytes(DELTA_BYTES)
  const choices = wordsOf(delta)
  const exponents = Array.from({ length: OT_COLUMNS }, () => drbg.scalar(group))
  const others = exponents.map(() => group.mulBase(drbg.scalar(group)))
  const encodedOthers = group.encodeAll(others)
  const chosen = exponents.map((exponent, index) => {
    const encoded = encodedOthers[index] ?? new Uint8Array(0)
    // Both branches, because the number of attempts shows in the time it takes and the branch is a bit of Δ.
    const hidden = [hashToPoint(context, 0, index, encoded), hashToPoint(context, 1, index, encoded)] as const
    return group.add(group.mulBase(exponent), group.negate(hidden[bitOf(choices, index)]))
  })
  const points = chosen.flatMap((point, index) => {
    const other = others[index] ?? point
    return bitOf(choices, index) === 0 ? [point, other] : [other, point]
  })
  return { state: { delta, exponents }, message: pointsBytes(group, points) }
}

/** The 256 points of a message, or null unless all decode. */
function decodePairs(group: Secp256k1, message: Uint8Array): readonly (readonly [Point, Point])[] | null {
  return decodePayload(message, (reader) => Array.from({ length: OT_COLUMNS }, () => [reader.point(group), reader.point(group)] as const))
}

/** Sender's answer and keys; null for a message that holds anything but 256 points, two different ones per index. */
export function sendBaseOt(context: BaseOtContext, received: Uint8Array, drbg: Drbg): BaseOtSent | null {
  const group = context.backend.secp256k1
  const pairs = decodePairs(group, received)
  if (pairs === null) return null
  const answers: Point[] = []
  const keys: [Uint8Array[], Uint8Array[]] = [[], []]
  for (const [index, [first, second]] of pairs.entries()) {
    if (group.equals(first, second)) return null
    const [firstBytes, secondBytes] = [encodedAt(received, 2 * index), encodedAt(received, 2 * index + 1)]
    const bases = [
      group.add(first, hashToPoint(context, 0, index, secondBytes)),
      group.add(second, hashToPoint(context, 1, index, firstBytes)),
    ]
    if (bases.some((base) => group.isIdentity(base))) return null
    for (const [branch, base] of bases.entries()) {
      const exponent = drbg.scalar(group)
      answers.push(group.mulBase(exponent))
      keys[branch as 0 | 1].push(keyOf(context, index, group.mulSecret(base, exponent)))
    }
  }
  return { message: pointsBytes(group, answers), keys0: concatBytes(...keys[0]), keys1: concatBytes(...keys[1]) }
}

const encodedAt = (message: Uint8Array, position: number): Uint8Array => message.subarray(33 * position, 33 * (position + 1))

/** The receiver's keys k_Δ, 128 × 32 bytes; null for an answer that holds anything but 256 points. */
export function finishBaseOt(context: BaseOtContext, state: BaseOtReceiver, answer: Uint8Array): Uint8Array | null {
  const group = context.backend.secp256k1
  const pairs = decodePairs(group, answer)
  if (pairs === null) return null
  const choices = wordsOf(state.delta)
  const keys = new Uint8Array(OT_COLUMNS * OT_KEY_BYTES)
  for (const [index, pair] of pairs.entries())
    keys.set(keyOf(context, index, group.mulSecret(pair[bitOf(choices, index)], state.exponents[index] ?? 0n)), index * OT_KEY_BYTES)
  return keys
}
