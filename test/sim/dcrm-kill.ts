/**
 * Every protocol with parties that die before any of its rounds: what the others end with, whom they name, and that the next attempt with another set
 * completes. @module
 */
import { decodeEnvelope } from '#shared/dcrm/envelope.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Place, ProtocolName } from '#test/sim/dcrm-stage.ts'
import { ALL, Committee, PROTOCOLS, backend, crypto, machineAt, parties, subjectAt } from '#test/sim/dcrm-stage.ts'
import type { PartyEnd } from '#test/sim/dcrm-world.ts'
import { runWorld } from '#test/sim/dcrm-world.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

const committee = new Committee(ALL, 3)

/** A protocol with its last round, the set of a first attempt and of the next one without `victims`. */
export type Killable = Readonly<{
  name: ProtocolName
  rounds: number
  hasOpening: boolean
  victims: readonly PartyId[]
  sets: readonly [first: readonly PartyId[], next: readonly PartyId[]]
}>

const killable = (name: ProtocolName, victims: readonly PartyId[], first: readonly PartyId[], next: readonly PartyId[]): Killable => ({
  name,
  ...PROTOCOLS[name],
  victims,
  sets: [first, next],
})

/** All protocols. m − t = 2 parties die where the set allows it. */
export const KILLABLE: readonly Killable[] = [
  killable('dkg', [4, 5], ALL, [1, 2, 3]),
  killable('refresh', [4, 5], ALL, ALL),
  killable('reshare', [4, 5], ALL, [1, 2, 3]),
  killable('recover', [3], [1, 2, 3, 5], [1, 2, 4, 5]),
  killable('setup', [2], [1, 2], [1, 3]),
  killable('presign', [3], [1, 2, 3], [1, 2, 4]),
  killable('ecdsa', [3], [1, 2, 3], [1, 2, 4]),
  killable('blame', [3], [1, 2, 3], [1, 2, 4]),
  killable('frost', [3], [1, 2, 3], [1, 2, 4]),
]

/** One attempt; from round `diesBefore` on nothing of the victims arrives any more. Null: everybody lives. */
export function attemptWith(protocol: Killable, attempt: 0 | 1, diesBefore: number | null): ReadonlyMap<PartyId, PartyEnd<unknown>> {
  const { name, hasOpening, victims, sets } = protocol
  const place: Place = { protocol: name, committee, set: sets[attempt], message: seedOf('message'), use: 0, heard: new Map() }
  const dead = diesBefore === null ? [] : victims
  const ends = runWorld<unknown, unknown>({
    seed: 7,
    subject: subjectAt(place, attempt),
    hasOpening,
    parties,
    machine: (self, sid, seed) => machineAt(place, self, sid, seed, false),
    backend,
    crypto,
    corrupt: (from, bytes) => (dead.includes(from) && (decodeEnvelope(bytes)?.round ?? 0) >= (diesBefore ?? 0) ? [] : [{ bytes }]),
  })
  return new Map([...ends].filter(([id]) => !dead.includes(id)))
}
