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

/** For each vertex the vertices it disputes with, as bits. */
function conflictBits(ids: readonly PartyId[], disputes: readonly Dispute[]): readonly number[] {
  invariant(ids.length <= MAX_COMMITTEE, 'a committee fits 32 bits')
  const bitOf = new Map(ids.map((id, index) => [id, 1 << index]))
  const bits = new Map<PartyId, number>()
  const accuse = (one: PartyId, other: PartyId): void => {
    bits.set(one, (bits.get(one) ?? 0) | (bitOf.get(other) ?? 0))
  }
  for (const [one, other] of disputes) {
    if (one === other) continue
    accuse(one, other)
    accuse(other, one)
  }
  return ids.map((id) => bits.get(id) ?? 0)
}

const bitCount = (bits: number): number => {
  const pairs = bits - ((bits >>> 1) & 0x55555555)
  const nibbles = (pairs & 0x33333333) + ((pairs >>> 2) & 0x33333333)
  return Math.imul((nibbles + (nibbles >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24
}

/** A vertex of `allowed` with at most one conflict inside it, else the one with the most. */
function simplest(conflicts: readonly number[], allowed: number): Readonly<{ vertex: number; degree: number }> {
  let most = { vertex: 0, degree: 0 }
  for (let rest = allowed; rest !== 0; rest &= rest - 1) {
    const vertex = 31 - Math.clz32(rest & -rest)
    const degree = bitCount((conflicts[vertex] ?? 0) & allowed)
    if (degree <= 1) return { vertex, degree }
    if (degree > most.degree) most = { vertex, degree }
  }
  return most
}

/**
 * Size of the largest set within `allowed` without conflicts. Someone with at most one conflict can always be taken, and so can anyone where all
 * have two (rings); only a vertex with three or more needs both answers tried, so that 32 members never take more than some thousand steps,
 * whatever the disputes are.
 */
function largestWithin(conflicts: readonly number[], allowed: number): number {
  let [size, left] = [0, allowed]
  while (left !== 0) {
    const { vertex, degree } = simplest(conflicts, left)
    const without = left & ~(1 << vertex)
    const compatible = without & ~(conflicts[vertex] ?? 0)
    if (degree > 2) return size + Math.max(1 + largestWithin(conflicts, compatible), largestWithin(conflicts, without))
    left = compatible
    size++
  }
  return size
}

/** The first set of `size` without conflicts, in the order of the vertices; null when there is none. */
function firstSet(conflicts: readonly number[], size: number): readonly number[] | null {
  let allowed = allBits(conflicts.length)
  if (largestWithin(conflicts, allowed) < size) return null
  const chosen: number[] = []
  for (let vertex = 0; chosen.length < size; vertex++) {
    if ((allowed & (1 << vertex)) === 0) continue
    allowed &= ~(1 << vertex)
    const compatible = allowed & ~(conflicts[vertex] ?? 0)
    if (chosen.length + 1 + largestWithin(conflicts, compatible) < size) continue
    chosen.push(vertex)
    allowed = compatible
  }
  return chosen
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
  const set = firstSet(conflictBits(order, disputes), threshold)
  return set === null ? null : ascending(order.filter((_, index) => set.includes(index)))
}

const allBits = (count: number): number => (count >= 32 ? -1 : (1 << count) - 1)

/** Size of the largest set of members, none excluded, no two in dispute. */
export function largestSigningSet(members: readonly PartyId[], disputes: readonly Dispute[], excluded: readonly PartyId[]): number {
  const able = members.filter((id) => !excluded.includes(id))
  return largestWithin(conflictBits(able, disputes), allBits(able.length))
}
