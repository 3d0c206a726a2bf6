/**
 * Who holds a key and who signs, from the chain's own randomness: committees with distinct operators, signing sets without disputes.
 * Parties and the chain compute the same from finalised state. Source: paper 3.5.1, 3.5.3; docs/dcrm.md, committees.
 * @module
 */
import { bytesToHex } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { MAX_COMMITTEE } from '#shared/dcrm/descriptor.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { invariant } from '#shared/fault.ts'
import { compareHex } from '#shared/bytes.ts'
import type { Hex } from '#shared/types.ts'

type Hashes = Pick<DcrmBackend, 'sha256'>

/** A party that may be seated. */
export type Candidate = Readonly<{ id: PartyId; operator: Hex }>
/** Two parties of which one accuses the other; they never sign together. */
export type Dispute = readonly [PartyId, PartyId]

/** The draw of one decision: 32 bytes of chain randomness, the request it is for, its retry. */
export type Draw = Readonly<{ randomness: Uint8Array; requestId: Uint8Array; attempt: number }>

function drawnOrder(hashes: Hashes, tag: string, draw: Draw, ids: readonly PartyId[]): readonly PartyId[] {
  const keyed = ids.map((id) => ({ id, key: bytesToHex(hashItems(hashes, tag, draw.randomness, draw.requestId, draw.attempt, id)) }))
  return keyed.toSorted((left, right) => compareHex(left.key, right.key)).map(({ id }) => id)
}

/** `size` parties, ascending, no two of one operator; null when there are not enough operators. */
export function chooseCommittee(hashes: Hashes, draw: Draw, candidates: readonly Candidate[], size: number): readonly PartyId[] | null {
  const operatorOf = new Map(candidates.map(({ id, operator }) => [id, operator]))
  const seated: PartyId[] = []
  const operators = new Set<Hex | undefined>()
  for (const id of drawnOrder(hashes, 'seat', draw, [...operatorOf.keys()])) {
    const operator = operatorOf.get(id)
    if (seated.length === size || operators.has(operator)) continue
    operators.add(operator)
    seated.push(id)
  }
  return seated.length === size ? ascending(seated) : null
}

const ascending = (ids: readonly PartyId[]): readonly PartyId[] => ids.toSorted((left, right) => left - right)

/** For each vertex the set of vertices it may sign with, as bits. */
function agreementBits(ids: readonly PartyId[], disputes: readonly Dispute[]): readonly number[] {
  invariant(ids.length <= MAX_COMMITTEE, 'a committee fits 32 bits')
  const isApart = (left: PartyId, right: PartyId): boolean =>
    disputes.some(([one, other]) => (one === left && other === right) || (one === right && other === left))
  return ids.map((id) => ids.reduce((bits, other, index) => (other !== id && !isApart(id, other) ? bits | (1 << index) : bits), 0))
}

const bitCount = (bits: number): number => {
  let count = 0
  for (let rest = bits; rest !== 0; rest &= rest - 1) count++
  return count
}

/** First clique of `size` in the order of the vertices, as bits; null when there is none. Exponential only in the number of disputes. */
function firstClique(neighbours: readonly number[], size: number, allowed: number, chosen = 0): number | null {
  if (size === 0) return chosen
  let rest = allowed
  while (bitCount(rest) >= size) {
    const vertex = 31 - Math.clz32(rest & -rest)
    rest &= rest - 1
    const found = firstClique(neighbours, size - 1, rest & (neighbours[vertex] ?? 0), chosen | (1 << vertex))
    if (found !== null) return found
  }
  return null
}

/** `threshold` members, ascending, no two in dispute and none excluded, drawn anew for each attempt; null when no such set is left. */
export function chooseSigningSet(
  hashes: Hashes,
  draw: Draw,
  members: readonly PartyId[],
  threshold: number,
  disputes: readonly Dispute[],
  excluded: readonly PartyId[],
): readonly PartyId[] | null {
  const able = members.filter((id) => !excluded.includes(id))
  const order = drawnOrder(hashes, 'signers', draw, able)
  const clique = firstClique(agreementBits(order, disputes), threshold, allBits(order.length))
  return clique === null ? null : ascending(order.filter((_, index) => (clique & (1 << index)) !== 0))
}

const allBits = (count: number): number => (count >= 32 ? -1 : (1 << count) - 1)

/** Size of the largest set of members, none excluded, no two in dispute. */
export function largestSigningSet(members: readonly PartyId[], disputes: readonly Dispute[], excluded: readonly PartyId[]): number {
  const able = members.filter((id) => !excluded.includes(id))
  const neighbours = agreementBits(able, disputes)
  for (let size = able.length; size > 0; size--) if (firstClique(neighbours, size, allBits(able.length)) !== null) return size
  return 0
}
