/**
 * Seeded runs of every key protocol over hostile relays, with a cheating or dying party, beside other sessions of the same parties, and after them
 * what the chain would order next: blame for a spoiled signature, another attempt after a death. @module
 */
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Cheat } from '#test/sim/dcrm-cheat.ts'
import { cheatOf, corrupted } from '#test/sim/dcrm-cheat.ts'
import type { Ends, Outcome, Verdict } from '#test/sim/dcrm-judge.ts'
import { judge } from '#test/sim/dcrm-judge.ts'
import type { Mutant } from '#test/sim/dcrm-mutants.ts'
import type { Place, ProtocolName } from '#test/sim/dcrm-stage.ts'
import { ALL, Committee, PROTOCOLS, backend, crypto, machineAt, parties, subjectAt } from '#test/sim/dcrm-stage.ts'
import type { Weather } from '#test/sim/dcrm-weather.ts'
import { ROUND_TIMEOUT_MS, mischiefIn, weatherOf } from '#test/sim/dcrm-weather.ts'
import type { WorldsEnd } from '#test/sim/dcrm-world.ts'
import { runWorlds } from '#test/sim/dcrm-world.ts'
import type { Prng } from '#test/sim/prng.ts'
import { createPrng } from '#test/sim/prng.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

/** What came of one seed. */
export type SeedReport = Readonly<{
  seed: number
  protocol: ProtocolName
  weather: string
  isLossless: boolean
  /** How the cheater cheated, or null. */
  cheat: string | null
  isKilled: boolean
  outcome: Outcome
  violations: readonly string[]
}>

const LARGE = new Committee(ALL, 3)
const SMALL = new Committee([1, 2, 3], 2)
const NO_MUTANT: Mutant = {}

/** By cost: most seeds sign, some make or move keys, few prepare signatures. */
const MIX: readonly (readonly [protocol: ProtocolName, weight: number])[] = [
  ['frost', 30],
  ['ecdsa', 24],
  ['dkg', 12],
  ['refresh', 6],
  ['reshare', 10],
  ['recover', 10],
  ['presign', 5],
  ['setup', 3],
]

function protocolOf(rng: Prng): ProtocolName {
  let left = rng.below(MIX.reduce((sum, [, weight]) => sum + weight, 0))
  return MIX.find(([, weight]) => (left -= weight) < 0)?.[0] ?? 'frost'
}

const drawn = (rng: Prng, members: readonly PartyId[], count: number): readonly PartyId[] => {
  const left = [...members]
  return Array.from({ length: count }, () => left.splice(rng.below(left.length), 1)[0] ?? 0).toSorted((a, b) => a - b)
}

/** Committee and set of a protocol: with an honest majority or, for dealing, now and then without one. */
function placeOf(rng: Prng, protocol: ProtocolName): Place {
  const isLarge = rng.chance({ dkg: 0.1, refresh: 0.1, setup: 0, presign: 0.3 }[protocol as string] ?? 0.6)
  const committee = isLarge ? LARGE : SMALL
  const { members, threshold } = committee
  const size = {
    dkg: rng.chance(0.3) ? threshold : members.length,
    refresh: members.length,
    reshare: threshold + rng.below(members.length - threshold + 1),
    recover: threshold + 1,
    setup: 2,
  }[protocol as string]
  return {
    protocol,
    committee,
    set: drawn(rng, members, size ?? threshold),
    message: seedOf('the ordered message'),
    use: 0,
    heard: new Map(),
  }
}

/** Another session of the same parties at the same time: another message, or the same one in another attempt. */
function companionOf(rng: Prng, { committee, set }: Place): Place {
  const common = set.length < committee.threshold ? committee.members : set
  const protocol = rng.chance(0.7) ? 'frost' : 'ecdsa'
  return { protocol, committee, set: common.slice(0, committee.threshold), message: seedOf('another message'), use: 1, heard: new Map() }
}

type Players = Readonly<{
  cheater: PartyId | null
  cheat: Cheat | null
  killed: PartyId | null
  killedAtMs: number
  isBackAfterMs: number | null
}>

function playersOf(rng: Prng, { set, protocol }: Place): Players {
  const someone = set[rng.below(set.length)] ?? 0
  const role = rng.below(10)
  const cheat = role < 6 ? cheatOf(rng, someone, set, protocol) : null
  return {
    cheater: cheat === null ? null : someone,
    cheat,
    killed: role === 6 || role === 7 ? someone : null,
    killedAtMs: rng.below(500 + 500 * PROTOCOLS[protocol].rounds),
    isBackAfterMs: rng.chance(0.6) ? 600 + rng.below(3000) : null,
  }
}

type Scene = Readonly<{ seed: number; places: readonly Place[]; attempt: number; weather: Weather; players: Players; mutant: Mutant }>

/** Runs the sessions of a scene side by side; who cheats does so in the first. */
function play({ seed, places, attempt, weather, players, mutant }: Scene): WorldsEnd<unknown> {
  const { cheater, cheat, killed, killedAtMs, isBackAfterMs } = players
  const make = mutant.make?.(machineAt) ?? machineAt
  const corrupt = cheat === null ? null : corrupted(cheat)
  return runWorlds({
    seed,
    sessions: places.map((place, index) => ({
      subject: { ...subjectAt(place, attempt), ...(mutant.requestId === undefined ? {} : { requestId: mutant.requestId }) },
      hasOpening: PROTOCOLS[place.protocol].hasOpening,
      machine: (self, sid, own) =>
        self === cheater && cheat !== null && index === 0
          ? cheat.machine((kind) => machineAt(place, self, sid, kind === 'second' ? seedOf(`second ${seed}`) : own, kind === 'wrong share'))
          : make(place, self, sid, own, false),
    })),
    parties,
    backend,
    crypto,
    relayCount: 2,
    roundTimeoutMs: ROUND_TIMEOUT_MS,
    delivery: weather.delivery,
    mischief: mischiefIn(places.length),
    startsWithinMs: 300,
    killedAtMs: (id) => (id === killed ? killedAtMs : null),
    restartedAtMs: (id) => (id === killed && isBackAfterMs !== null ? killedAtMs + isBackAfterMs : null),
    ...(corrupt === null ? {} : { corrupt: (from, bytes, session) => (from === cheater && session === 0 ? corrupt(bytes) : [{ bytes }]) }),
    ...mutant.surroundings,
  })
}

function judged({ places, weather, players }: Scene, { ends, convictable }: WorldsEnd<unknown>): readonly Verdict[] {
  const { cheater, cheat, killed } = players
  return places.map((place, index) => {
    const verdict = judge({
      place,
      ends: ends[index] ?? new Map(),
      cheater: index === 0 ? cheater : null,
      isSilence: cheat?.isSilence === true,
      killed,
      isLossless: weather.isLossless,
    })
    const convicted = [...convictable].filter((id) => id !== cheater).map((id) => `honest ${id} would be convicted by what it said itself`)
    return { ...verdict, violations: [...verdict.violations, ...(index === 0 ? convicted : [])] }
  })
}

const NOBODY: Players = { cheater: null, cheat: null, killed: null, killedAtMs: 0, isBackAfterMs: null }

/** What the chain orders after a session that failed. */
function sequelOf(rng: Prng, scene: Scene, ends: Ends): Scene | null {
  const [place] = scene.places
  const { cheater, killed } = scene.players
  if (place === undefined) return null
  const isSpoiled = [...ends].every(([id, { code }]) => id === cheater || code === 'BAD_PARTIAL')
  if (place.protocol === 'ecdsa' && isSpoiled) {
    const blame: Place = { ...place, protocol: 'blame' }
    const cheat = cheater !== null && rng.chance(0.5) ? cheatOf(rng, cheater, place.set, 'blame') : null
    return { ...scene, places: [blame], players: { ...NOBODY, cheater, cheat } }
  }
  if (killed === null || rng.chance(0.5)) return null
  return { ...scene, places: [{ ...place, use: place.use + 2, heard: new Map() }], attempt: scene.attempt + 1, players: NOBODY }
}

/** One seed, from nothing to its report. */
export function runSeed(seed: number, mutant: Mutant = NO_MUTANT): SeedReport {
  const rng = createPrng(seed)
  const place = placeOf(rng, protocolOf(rng))
  const places = rng.chance(0.35) ? [place, companionOf(rng, place)] : [place]
  const weather = weatherOf(rng, place.set)
  const players = playersOf(rng, place)
  const scene: Scene = { seed, places, attempt: 0, weather, players, mutant }
  const end = play(scene)
  const verdicts = judged(scene, end)
  const sequel = sequelOf(rng, scene, end.ends[0] ?? new Map())
  const later = sequel === null ? [] : judged(sequel, play(sequel))
  const isBlamed = sequel?.places[0]?.protocol === 'blame'
  return {
    seed,
    protocol: place.protocol,
    weather: weather.name,
    isLossless: weather.isLossless,
    cheat: players.cheat?.name ?? null,
    isKilled: players.killed !== null,
    outcome: (isBlamed ? later[0]?.outcome : verdicts[0]?.outcome) ?? 'unnamed',
    violations: [...verdicts, ...later].flatMap(({ violations }) => violations),
  }
}
