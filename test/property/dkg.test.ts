/**
 * Key generation of random shape under random lies and losses: no honest member is ever named for what it did not do, no machine throws, and
 * with an honest majority and a relay that delivers, honest members end with one key. Source: GJKR 1999; docs/dcrm.md, blame.
 * @module
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { dkgModeOf } from '#shared/dcrm/descriptor.ts'
import type { Tamper } from '#shared/dcrm/lockstep.ts'
import type { Outgoing } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { expectSound, run } from '#test/unit/dcrm/dkg-support.ts'

const backend = createNativeBackend()

/** What a cheater does to one message; the rest it sends as told. */
type Lie = Readonly<{
  round: number
  to: number
  kind: 'change' | 'drop' | 'grow' | 'complain' | 'object' | 'replay'
  at: number
  value: number
}>
type Shape = Readonly<{ threshold: number; members: readonly PartyId[]; cheaters: readonly PartyId[]; lies: readonly Lie[] }>

const lie: fc.Arbitrary<Lie> = fc.record({
  round: fc.integer({ min: 1, max: 7 }),
  to: fc.integer({ min: 0, max: 7 }),
  kind: fc.constantFrom('change', 'drop', 'grow', 'complain', 'object', 'replay'),
  at: fc.nat(255),
  value: fc.integer({ min: 1, max: 255 }),
})
const shape: fc.Arbitrary<Shape> = fc.integer({ min: 2, max: 4 }).chain((threshold) =>
  fc.uniqueArray(fc.integer({ min: 1, max: 65535 }), { minLength: threshold, maxLength: threshold + 3 }).chain((ids) => {
    const members = ids.toSorted((left, right) => left - right)
    return fc.record({
      threshold: fc.constant(threshold),
      members: fc.constant(members),
      cheaters: fc.subarray(members, { minLength: 1, maxLength: threshold - 1 }),
      lies: fc.array(lie, { minLength: 1, maxLength: 8 }),
    })
  }),
)

const idBytes = (id: PartyId): readonly number[] => [id >> 8, id & 255]

/** Applies all lies of a round to what one cheater sends. `heard` keeps earlier broadcasts for replays. */
function lieIn(sent: Outgoing, round: number, { members, lies }: Shape, heard: readonly Uint8Array[]): Outgoing | null {
  let { broadcast } = sent
  const direct = new Map(sent.direct)
  for (const { round: inRound, to, kind, at, value } of lies) {
    if (inRound !== round) continue
    const victim = members[at % members.length] ?? 1
    const change = (bytes: Uint8Array): Uint8Array | null =>
      kind === 'drop'
        ? null
        : kind === 'grow'
          ? new Uint8Array([...bytes, ...bytes])
          : bytes.map((byte, index) => (index === at % bytes.length ? byte ^ value : byte))
    const receiver = members[to - 1]
    const payload = receiver === undefined ? undefined : direct.get(receiver)
    if (receiver !== undefined && payload !== undefined) {
      const changed = change(payload)
      if (changed === null) direct.delete(receiver)
      else direct.set(receiver, changed)
    } else if (kind === 'complain') broadcast = Uint8Array.from([0, 1, ...idBytes(victim)])
    else if (kind === 'object')
      broadcast = Uint8Array.from([0, 1, ...idBytes(victim), ...new Uint8Array(64).fill(value), ...new Uint8Array(32)])
    else if (kind === 'replay') broadcast = heard[at % Math.max(heard.length, 1)] ?? broadcast
    else if (broadcast !== null) broadcast = change(broadcast)
  }
  return { broadcast, direct }
}

/** A message that the relay loses: all a member sends in a round, or what it sends to one receiver. */
type Loss = Readonly<{ from: number; round: number; to: number | null }>

function lose(sent: Outgoing, from: PartyId, round: number, members: readonly PartyId[], losses: readonly Loss[]): Outgoing | null {
  const lost = losses.filter((loss) => members[loss.from] === from && loss.round === round)
  if (lost.some(({ to }) => to === null)) return null
  const gone = lost.map(({ to }) => members[to ?? 0])
  return { ...sent, direct: new Map([...sent.direct].filter(([id]) => !gone.includes(id))) }
}

const tamperOf = (shapeOf: Shape, losses: readonly Loss[]): Tamper => {
  const heard: Uint8Array[] = []
  return (from, round, sent) => {
    if (sent.broadcast !== null) heard.push(sent.broadcast)
    if (shapeOf.cheaters.includes(from)) return lieIn(sent, round, shapeOf, heard)
    return lose(sent, from, round, shapeOf.members, losses)
  }
}

describe('27 framing', () => {
  it('lies of up to t − 1 members never make an honest one name another, and end in one key or in a named cause', () => {
    const property = fc.property(shape, (drawn) => {
      const { threshold, members, cheaters } = drawn
      const outcomes = run({ scheme: 'ecdsa', backend, threshold, members, tamper: tamperOf(drawn, []) })
      const honest = new Map([...outcomes].filter(([id]) => !cheaters.includes(id)))
      for (const { faults } of honest.values()) for (const { accused } of faults) if (!cheaters.includes(accused)) return false
      const kinds = new Set([...honest.values()].map((outcome) => (outcome.kind === 'done' ? 'done' : outcome.code)))
      if (kinds.size !== 1) return false
      if (kinds.has('done') && honest.size >= threshold) expectSound(honest, threshold)
      // With an honest majority cheaters can refuse to confirm the key, and nothing else.
      const isRobust = dkgModeOf({ threshold, members }) === 'R'
      if (isRobust) return kinds.has('done') || kinds.has('CERTIFICATE_MISMATCH')
      return kinds.has('done') || [...honest.values()].every(({ faults }) => faults.length > 0)
    })
    expect(fc.check(property, { numRuns: 250 }).counterexample).toBe(null)
  })
  it('lies and losses together never make a machine throw or an honest member name an honest one with proof', () => {
    const all = fc.record({ from: fc.nat(6), round: fc.integer({ min: 1, max: 7 }), to: fc.constant(null) })
    const one = fc.record({ from: fc.nat(6), round: fc.constant(1), to: fc.nat(6) })
    const losses = fc.tuple(fc.array(all, { maxLength: 3 }), fc.array(one, { maxLength: 8 }))
    const property = fc.property(shape, losses, (drawn, lost) => {
      const { threshold, members, cheaters } = drawn
      const outcomes = run({ scheme: 'ecdsa', backend, threshold, members, tamper: tamperOf(drawn, lost.flat()) })
      const honest = [...outcomes].filter(([id]) => !cheaters.includes(id))
      return honest.every(([, { faults }]) => faults.every(({ accused, class: kind }) => cheaters.includes(accused) || kind === 'absent'))
    })
    expect(fc.check(property, { numRuns: 250 }).counterexample).toBe(null)
  })
})
