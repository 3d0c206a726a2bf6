/** Pairwise setup among all members. Expected values: what two sides must share; faults by hand; frozen digests of a seeded run. @module */
import { describe, expect, it } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import type { Outcome, Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { PairSetupResult, PairState } from '#shared/dcrm/pair-setup.ts'
import { PAIR_STATE_BYTES, decodePairState, encodePairState, pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import type { RoundSpec } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { voleFinish, voleReceive, voleSend } from '#shared/dcrm/vole.ts'
import { bitAt, bitsOf } from '#test/unit/dcrm/ot-model.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

const backend = createNativeBackend()
const PAIR = [2, 300] as const
type Run = ReadonlyMap<PartyId, Outcome<PairSetupResult>>

const setUp = (set: readonly PartyId[] = PAIR, tamper?: Tamper, word = 'setup'): Run => {
  const machines = set.map((self) => {
    const input = { backend, self, set, sid: seedOf(`${word} sid`), seed: seedOf(`${word} ${self}`) }
    return [self, pairSetupMachine(input)] as const
  })
  return runLockstep(new Map(machines), tamper).outcomes
}
const stateAt = (run: Run, id: PartyId, peer: PartyId): PairState => {
  const outcome = run.get(id)
  const state = outcome?.kind === 'done' ? outcome.result.get(peer) : undefined
  if (state === undefined) throw new Error(`no state of ${peer} at ${id}`)
  return state
}
const endings = (run: Run): readonly string[] =>
  [...run]
    .toSorted(([left], [right]) => left - right)
    .map(([id, outcome]) => {
      const faults = outcome.faults.map(({ accused, class: kind, code, evidence: [ref] }) => `${accused} ${kind} ${code} ${ref?.round}`)
      return [id, outcome.kind === 'aborted' ? outcome.code : 'done', ...faults].join(' ')
    })
const slice = (bytes: Uint8Array, index: number): string => unhex(bytes.slice(32 * index, 32 * index + 32))
/** Changes what `cheater` sends to `to` in one round. */
const direct =
  (cheater: PartyId, to: PartyId, inRound: number, change: (bytes: Uint8Array) => Uint8Array | null): Tamper =>
  (from, round, sent) => {
    if (from !== cheater || round !== inRound) return sent
    const changed = [...sent.direct].flatMap(([id, bytes]): [PartyId, Uint8Array][] => {
      const now = id === to ? change(bytes) : bytes
      return now === null ? [] : [[id, now]]
    })
    return { ...sent, direct: new Map(changed) }
  }
const zeroed = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index >= at && index < at + 33 ? 0 : byte))
/** Two points, both valid, in each other's place. */
const swapped = (bytes: Uint8Array): Uint8Array => Uint8Array.of(...bytes.slice(33, 66), ...bytes.slice(0, 33), ...bytes.slice(66))
const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

describe('pairwise setup', () => {
  const set = [2, 300, 65535]
  const run = setUp(set)
  const ordered = set.flatMap((id) => set.filter((peer) => peer !== id).map((peer) => [id, peer] as const))

  it.each(ordered)('leaves %i with the keys that %i can choose by its own Δ', (id, peer) => {
    const [own, other] = [stateAt(run, id, peer), stateAt(run, peer, id)]
    const delta = bitsOf(other.asSender.delta)
    const { keys0, keys1 } = own.asReceiver
    const chosen = Array.from({ length: 128 }, (_, index) => slice(bitAt(delta, index) === 1 ? keys1 : keys0, index))
    expect(Array.from({ length: 128 }, (_, index) => slice(other.asSender.keys, index))).toEqual(chosen)
    expect(own.zero).toEqual(other.zero)
    expect(own.peer).toBe(peer)
  })
  it('shares no secret between different pairs or directions', () => {
    const states = ordered.map(([id, peer]) => stateAt(run, id, peer))
    expect(new Set(states.map(({ asSender }) => unhex(asSender.delta))).size).toBe(6)
    expect(new Set(states.map(({ zero }) => unhex(zero))).size).toBe(3)
    const keys = states.flatMap(({ asReceiver }) => [asReceiver.keys0, asReceiver.keys1])
    expect(new Set(keys.flatMap((half) => Array.from({ length: 128 }, (_, index) => slice(half, index)))).size).toBe(6 * 256)
  })
  it('has three rounds of direct messages, which nobody echoes', () => {
    const specs: RoundSpec[] = []
    const machines = PAIR.map((self) => {
      const machine = pairSetupMachine({ backend, self, set: PAIR, sid: seedOf('rounds'), seed: seedOf(`rounds ${self}`) })
      const noted = (step: ReturnType<typeof machine.start>) => {
        if (step.kind === 'round' && self === 2) specs.push(step.spec)
        return step
      }
      return [
        self,
        { start: () => noted(machine.start()), next: (...args: Parameters<typeof machine.next>) => noted(machine.next(...args)) },
      ] as const
    })
    runLockstep(new Map(machines))
    const direct = { broadcastFrom: [], broadcastSize: 0, directFrom: [300], isEchoed: false }
    expect(specs).toEqual([
      { round: 1, name: 'offer', ...direct, directSize: 8_448 + 32 },
      { round: 2, name: 'answer', ...direct, directSize: 8_448 },
      { round: 3, name: 'confirm', ...direct, directSize: 32 },
    ])
  })
  it('sends 8,480, 8,448 and 32 bytes to each peer and broadcasts nothing', () => {
    const sizes: string[] = []
    setUp(PAIR, (from, round, sent) => {
      sizes.push([from, round, sent.broadcast, ...[...sent.direct].flatMap(([to, bytes]) => [to, bytes.length])].join(' '))
      return sent
    })
    expect(sizes).toEqual(['2 1  300 8480', '300 1  2 8480', '2 2  300 8448', '300 2  2 8448', '2 3  300 32', '300 3  2 32'])
  })
  it('can be made for one pair again, with other secrets under another session', () => {
    const [once, again] = [setUp(PAIR), setUp(PAIR, undefined, 'again')]
    expect(stateAt(again, 2, 300).zero).not.toEqual(stateAt(once, 2, 300).zero)
    expect(stateAt(again, 2, 300).asSender.delta).not.toEqual(stateAt(once, 2, 300).asSender.delta)
  })
  it('is stored in exactly as many bytes as it has', () => {
    const state = stateAt(run, 300, 65535)
    const bytes = encodePairState(state)
    expect([bytes.length, PAIR_STATE_BYTES]).toEqual([12_338, 12_338])
    expect(decodePairState(bytes)).toEqual(state)
    expect(decodePairState(bytes.slice(1))).toBe(null)
    expect(decodePairState(new Uint8Array([...bytes, 0]))).toBe(null)
  })
  it('asks for a set of two or more with this party in it', () => {
    const input = { backend, self: 1, sid: seedOf('sid'), seed: seedOf('seed') }
    expect(() => pairSetupMachine({ ...input, set: [2, 3] })).toThrow('sets up with others')
    expect(() => pairSetupMachine({ ...input, set: [1] })).toThrow('sets up with others')
  })
})

describe('a setup that goes wrong', () => {
  it('14 devious transfer: disputes an offer with anything but points, and says nothing to anyone else', () => {
    const set = [1, 2, 3]
    const outcomes = endings(
      setUp(
        set,
        direct(1, 2, 1, (bytes) => zeroed(bytes, 33 * 255)),
      ),
    )
    expect(outcomes[1]).toBe('2 SETUP_FAILED 1 dispute OFFER_MALFORMED 1')
    // The others see only that member 2 has stopped.
    expect([outcomes[0], outcomes[2]]).toEqual(['1 SETUP_FAILED 2 absent MEMBER_ABSENT 2', '3 SETUP_FAILED 2 absent MEMBER_ABSENT 2'])
  })
  it('14 devious transfer: disputes an answer with anything but points', () => {
    const outcomes = endings(
      setUp(
        PAIR,
        direct(300, 2, 2, (bytes) => zeroed(bytes, 0)),
      ),
    )
    expect(outcomes).toEqual(['2 SETUP_FAILED 300 dispute ANSWER_MALFORMED 2', '300 SETUP_FAILED 2 absent MEMBER_ABSENT 3'])
  })
  it.each([
    ['an offer of other valid points', 1, swapped],
    ['another nonce', 1, (bytes: Uint8Array) => flipped(bytes, 8448)],
    ['an answer of other valid points', 2, swapped],
  ] as const)('notices %s in the confirmation, on both sides', (_what, round, change) => {
    expect(endings(setUp(PAIR, direct(2, 300, round, change)))).toEqual([
      '2 SETUP_FAILED 300 dispute TRANSCRIPT_DIFFERS 3',
      '300 SETUP_FAILED 2 dispute TRANSCRIPT_DIFFERS 3',
    ])
  })
  it.each([0, 31])('disputes a confirmation that differs in byte %i', (at) => {
    expect(
      endings(
        setUp(
          PAIR,
          direct(2, 300, 3, (bytes) => flipped(bytes, at)),
        ),
      ),
    ).toEqual(['2 done', '300 SETUP_FAILED 2 dispute TRANSCRIPT_DIFFERS 3'])
  })
  it.each([1, 2, 3])('calls silence in round %i silence, not a fault', (silentIn) => {
    const run = setUp([1, 2], (from, round, sent) => (from === 1 && round >= silentIn ? null : sent))
    expect(endings(run)[1]).toBe(`2 SETUP_FAILED 1 absent MEMBER_ABSENT ${silentIn}`)
  })
  it('names everyone who failed, not only the first', () => {
    const run = setUp([1, 2, 3], (from, round, sent) => (from !== 3 && round === 2 ? null : sent))
    expect(endings(run)[2]).toBe('3 SETUP_FAILED 1 absent MEMBER_ABSENT 2 2 absent MEMBER_ABSENT 2')
  })
  it('shows each accusation the one message it rests on', () => {
    const outcome = setUp(
      PAIR,
      direct(2, 300, 1, (bytes) => zeroed(bytes, 0)),
    ).get(300)
    expect(outcome?.faults).toEqual([{ accused: 2, class: 'dispute', code: 'OFFER_MALFORMED', evidence: [{ round: 1, from: 2, to: 300 }] }])
  })
})

/** First 16 bytes of SHA-256 of every message of a seeded run: setup of a pair, then one VOLE in each direction. */
function goldenRun(): readonly string[] {
  const digests: string[] = []
  const note = (what: string, bytes: Uint8Array): number => digests.push(`${what} ${unhex(nobleBackend.sha256(bytes).slice(0, 16))}`)
  const run = setUp(
    [1, 2],
    (from, round, sent) => {
      for (const [to, bytes] of sent.direct) note(`round ${round}, ${from} to ${to}:`, bytes)
      return sent
    },
    'golden',
  )
  for (const [sender, receiver] of [
    [1, 2],
    [2, 1],
  ] as const) {
    const context = { backend, keyId: seedOf('golden key'), epoch: 0, sender, receiver, name: seedOf(`golden ${sender}`) }
    const [pair, peer] = [stateAt(run, sender, receiver), stateAt(run, receiver, sender)]
    const asked = voleReceive(context, peer, createDrbg(backend, seedOf('golden receiver'), 'golden'))
    note(`asked by ${receiver}:`, asked.message)
    const sent = voleSend(context, pair, asked.message, [3n, 4n], createDrbg(backend, seedOf('golden sender'), 'golden'))
    note(`sent by ${sender}:`, sent?.message ?? new Uint8Array(0))
    const taken = voleFinish(context, asked.state, sent?.message ?? new Uint8Array(0))
    const { order } = backend.secp256k1
    expect([0, 1].map((index) => ((sent?.shares[index] ?? 0n) + (taken?.[index] ?? 0n)) % order)).toEqual(
      [3n, 4n].map((input) => (input * asked.b) % order),
    )
  }
  note('state of 2 at 1:', encodePairState(stateAt(run, 1, 2)))
  note('state of 1 at 2:', encodePairState(stateAt(run, 2, 1)))
  return digests
}

describe('the frozen run', () => {
  it('says the same in every version', () => {
    expect(goldenRun()).toMatchInlineSnapshot(`
      [
        "round 1, 1 to 2: 6cd007fcf65221080f59fb7662a3c6dd",
        "round 1, 2 to 1: 83d7899cf68cb7c1882b20a7996ff8e4",
        "round 2, 1 to 2: 5065037485d4a14429aa4b4484db5a69",
        "round 2, 2 to 1: 8e46588685e79efbafe6bb8cc03ecf95",
        "round 3, 1 to 2: 26211fee8a348e4ea2db698b2332416f",
        "round 3, 2 to 1: 26211fee8a348e4ea2db698b2332416f",
        "asked by 2: 532e80cc76f1489f88c74e07d64c2a4b",
        "sent by 1: 594c600f6dc87a1a4469abbbeaca2aa2",
        "asked by 1: 2f3d4c00ece7b15abeaadea103ceac8e",
        "sent by 2: d30d39b56ac3dfd65509923f4b6c0dde",
        "state of 2 at 1: 86ce41d22d59da6d7556c55c37a07d6c",
        "state of 1 at 2: 3df347c31e8fb3ddc92297496614fc54",
      ]
    `)
  })
})
