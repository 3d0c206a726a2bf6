/**
 * What relays do to the envelopes of one seed. Some relays lose nothing for good: they delay, repeat and reorder, or one of them fails and the next
 * makes it good. Others drop and split. All of them alter copies, bring old envelopes and mix those of several sessions. @module
 */
import { decodeEnvelope, encodeEnvelope } from '#shared/dcrm/envelope.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { ALL } from '#test/sim/dcrm-stage.ts'
import type { Delivery, WorldsOptions } from '#test/sim/dcrm-world.ts'
import type { Prng } from '#test/sim/prng.ts'

export const ROUND_TIMEOUT_MS = 4000

export type Weather = Readonly<{ name: string; isLossless: boolean; delivery: Delivery }>

/** 10 % of envelopes come twice. */
const copies = (rng: Prng, slowestMs: number): readonly number[] =>
  rng.chance(0.1) ? [rng.below(slowestMs), rng.below(slowestMs)] : [rng.below(slowestMs)]

/**
 * Two messages one after another fit into a round's time when each takes less than half of it; where the first relay fails, into what is left of
 * the round when the second is asked.
 */
function losslessOf(rng: Prng): Weather {
  const slowestMs = rng.chance(0.5) ? 200 : ROUND_TIMEOUT_MS / 4
  const loss = rng.chance(0.3) ? 1 : 0.3
  const isFirstBad = rng.chance(0.4)
  const secondMs = isFirstBad ? 600 : slowestMs
  return {
    name: isFirstBad ? 'first relay fails' : 'delay',
    isLossless: true,
    delivery: (world, _from, _to, relay) =>
      relay === 0 && isFirstBad && world.chance(loss) ? [] : copies(world, relay === 0 ? slowestMs : secondMs),
  }
}

/** Both relays lose; some parties never hear some others. */
function stormOf(rng: Prng, set: readonly PartyId[]): Weather {
  const [loss, slowestMs] = [rng.below(4) * 0.05, 20 + rng.below(2500)]
  const isSplit = rng.chance(0.3)
  const [deaf, unheard] = [set[rng.below(set.length)], set[rng.below(set.length)]]
  return {
    name: 'storm',
    isLossless: false,
    delivery: (world, from, to) => (world.chance(loss) || (isSplit && from === unheard && to === deaf) ? [] : copies(world, slowestMs)),
  }
}

export const weatherOf = (rng: Prng, set: readonly PartyId[]): Weather => (rng.chance(0.6) ? losslessOf(rng) : stormOf(rng, set))

const flip = (rng: Prng, bytes: Uint8Array): Uint8Array => {
  const at = rng.below(bytes.length)
  return bytes.map((byte, index) => (index === at ? byte ^ (1 + rng.below(255)) : byte))
}

/** The same signed content under another address. */
function addressed(rng: Prng, bytes: Uint8Array): Uint8Array {
  const envelope = decodeEnvelope(bytes)
  if (envelope === null) return bytes
  const party = ALL[rng.below(ALL.length)] ?? 1
  const change = [{ from: party }, { to: party }, { to: null }, { round: envelope.round + 1 }, { seq: 1 }, { epoch: 1 }][rng.below(6)]
  return encodeEnvelope({ ...envelope, ...change })
}

/** One in eight envelopes is followed by something else. */
export const mischiefIn =
  (sessions: number): NonNullable<WorldsOptions<never, never>['mischief']> =>
  (rng, parcel, log) => {
    if (!rng.chance(0.125)) return []
    const afterMs = rng.below(600)
    const elsewhere = { session: rng.below(sessions), to: ALL[rng.below(ALL.length)] ?? parcel.to }
    const { bytes } = parcel
    const wrong = [
      { ...parcel, bytes: flip(rng, bytes) },
      { ...parcel, bytes: bytes.slice(0, rng.below(bytes.length)) },
      { ...parcel, bytes: addressed(rng, bytes) },
      { ...parcel, ...elsewhere },
      { ...parcel, bytes: log[rng.below(log.length)] ?? bytes },
    ][rng.below(5)]
    return wrong === undefined ? [] : [{ ...wrong, afterMs }]
  }
