/**
 * What a member may put on the wire while keys are made or moved, fed to the machines past any check of size: every malformed payload names its
 * sender and none throws. Named after the catalogue of attacks. Source: SEC 1 encodings; RFC 8032; docs/dcrm.md, hashing.
 * @module
 */
import { describe, expect, it } from 'vitest'
import { concatBytes } from '#shared/bytes.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { groupOfScheme } from '#shared/dcrm/descriptor.ts'
import type { DkgState } from '#shared/dcrm/dkg-state.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { recoveryMachine } from '#shared/dcrm/recovery.ts'
import { reshareMachine } from '#shared/dcrm/reshare.ts'
import type { Inbox, RoundMachine, Step } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId, Scheme } from '#shared/dcrm/types.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import type { Options } from '#test/unit/dcrm/dkg-support.ts'
import { inputOf, run, sharesOf } from '#test/unit/dcrm/dkg-support.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'

type Broadcasts = ReadonlyMap<PartyId, Uint8Array>

/** What member 1 received in each round of an honest run, and its state before that. */
type Moment = Readonly<{ state: DkgState; inbox: Inbox }>

/** Follows an honest run at member 1. */
function momentsOf(options: Options): Readonly<{ machine: RoundMachine<DkgState, unknown>; at: ReadonlyMap<number, Moment> }> {
  const broadcasts = new Map<number, Map<PartyId, Uint8Array>>()
  const directs = new Map<number, Map<PartyId, Uint8Array>>()
  const sentIn = (all: Map<number, Map<PartyId, Uint8Array>>, round: number): Map<PartyId, Uint8Array> => {
    const known = all.get(round) ?? new Map<PartyId, Uint8Array>()
    all.set(round, known)
    return known
  }
  const { tamper } = options
  run({
    ...options,
    tamper: (from, round, sent) => {
      const left = tamper === undefined ? sent : tamper(from, round, sent)
      if (left === null) return null
      if (left.broadcast !== null) sentIn(broadcasts, round).set(from, left.broadcast)
      const own = left.direct.get(1)
      if (own !== undefined) sentIn(directs, round).set(from, own)
      return left
    },
  })
  const machine = dkgMachine(inputOf(1, options))
  const at = new Map<number, Moment>()
  let step: Step<DkgState, unknown> = machine.start()
  while (step.kind === 'round') {
    const { round } = step.spec
    const inbox = { broadcasts: broadcasts.get(round) ?? new Map(), directs: directs.get(round) ?? new Map() }
    at.set(round, { state: step.state, inbox })
    step = machine.next(step.state, inbox)
  }
  return { machine, at }
}
const withPayload = ({ inbox }: Moment, from: PartyId, payload: Uint8Array): Inbox => ({
  ...inbox,
  broadcasts: new Map([...inbox.broadcasts, [from, payload]]) satisfies Broadcasts,
})

/** Encodings of a point that are none, for its place in a payload. */
function badPoints(scheme: Scheme): ReadonlyMap<string, Uint8Array> {
  const group = groupOfScheme(nobleBackend, scheme)
  const point = group.encode(group.mulBase(77n))
  const torsion = ed25519.Point.fromHex('c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a')
  const common: readonly (readonly [string, Uint8Array])[] = [
    ['identity', scheme === 'ed25519' ? new Uint8Array([1, ...new Uint8Array(31)]) : new Uint8Array(33)],
    ['beyond the field', new Uint8Array(group.pointBytes).fill(255).fill(scheme === 'ed25519' ? 255 : 2, 0, 1)],
  ]
  return new Map([
    ...common,
    ...(scheme === 'ed25519'
      ? ([
          ['21 torsion alone', torsion.toBytes()],
          ['21 torsion added', ed25519.Point.fromBytes(point).add(torsion).toBytes()],
        ] as const)
      : ([
          ['hybrid prefix 06', new Uint8Array([6, ...point.slice(1)])],
          ['hybrid prefix 07', new Uint8Array([7, ...point.slice(1)])],
          ['no point of the curve', new Uint8Array([2, ...new Uint8Array(31), 5])],
        ] as const)),
  ])
}
const beyond = (scheme: Scheme): Uint8Array => scalarBytes(groupOfScheme(nobleBackend, scheme).order)
const placed = (payload: Uint8Array, part: Uint8Array, at: number): Uint8Array => {
  const copy = payload.slice()
  copy.set(part, at)
  return copy
}
const resized = (payload: Uint8Array): readonly Uint8Array[] => [
  new Uint8Array(0),
  payload.slice(1),
  payload.slice(0, -1),
  new Uint8Array([...payload, 0]),
  new Uint8Array([...payload, ...payload]),
]

describe.each(['ed25519', 'ecdsa'] as const)('15 a payload of %s that is malformed', (scheme) => {
  const { pointBytes } = groupOfScheme(nobleBackend, scheme)
  let followed: ReturnType<typeof momentsOf> | null = null
  const follow = () => (followed ??= momentsOf({ scheme, tamper: leaving }))
  const named = (round: number, from: PartyId, payload: Uint8Array): readonly string[] => {
    const { machine, at } = follow()
    const moment = at.get(round) as Moment
    const { faults } = machine.next(moment.state, withPayload(moment, from, payload))
    return faults.filter(({ accused }) => accused === from).map(({ class: kind, code }) => `${kind} ${code}`)
  }
  const sent = (round: number, from: PartyId): Uint8Array => follow().at.get(round)?.inbox.broadcasts.get(from) as Uint8Array

  it('1 in length proves its dealer wrong: t − 1, t + 1, t + 5 commitments, or none', () => {
    const payload = sent(1, 3)
    for (const bad of [
      ...resized(payload),
      payload.slice(pointBytes),
      concatBytes(payload, payload.slice(pointBytes)),
      concatBytes(payload, payload, payload),
    ])
      expect(named(1, 3, bad)).toEqual(['proof COMMITMENTS_MALFORMED'])
    const images = sent(4, 3)
    for (const bad of [...resized(images), images.slice(pointBytes), concatBytes(images.slice(0, pointBytes), images)])
      expect(named(4, 3, bad)).toEqual(['proof IMAGES_MALFORMED'])
  })
  it.each([...badPoints(scheme)])('as a commitment, an image or a proof (%s) proves its dealer wrong', (_name, bad) => {
    for (const index of [0, 1]) {
      expect(named(1, 3, placed(sent(1, 3), bad, index * pointBytes))).toEqual(['proof COMMITMENTS_MALFORMED'])
      expect(named(4, 3, placed(sent(4, 3), bad, index * pointBytes))).toEqual(['proof IMAGES_MALFORMED'])
    }
    expect(named(4, 3, placed(sent(4, 3), bad, 2 * pointBytes))).toEqual(['proof IMAGES_MALFORMED'])
  })
  it('as a scalar at or above the order proves its sender wrong', () => {
    expect(named(4, 3, placed(sent(4, 3), beyond(scheme), 3 * pointBytes))).toEqual(['proof IMAGES_MALFORMED'])
    const objection = Uint8Array.from([0, 1, 0, 3, ...scalarBytes(1n), ...scalarBytes(1n), ...new Uint8Array(32)])
    for (const index of [0, 1])
      expect(named(5, 2, placed(objection, beyond(scheme), 4 + 32 * index))).toEqual(['proof OBJECTIONS_MALFORMED'])
    for (const index of [0, 1]) expect(named(6, 2, placed(sent(6, 2), beyond(scheme), 32 * index))).toEqual(['proof EXTRACTION_WRONG'])
  })
  it('in count or length of a list proves its sender wrong, and no count runs a loop', () => {
    for (const bad of [...resized(sent(2, 2)), Uint8Array.of(255, 255), Uint8Array.of(255, 255, 0, 1), Uint8Array.of(0, 1)])
      expect(named(2, 2, bad)).toEqual(['proof COMPLAINTS_MALFORMED'])
    for (const bad of [...resized(sent(5, 2)), placed(sent(5, 2), Uint8Array.of(255, 255), 0)])
      expect(named(5, 2, bad)).toEqual(['proof OBJECTIONS_MALFORMED'])
    for (const bad of resized(sent(6, 2))) expect(named(6, 2, bad)).toEqual(['proof EXTRACTION_WRONG'])
    for (const bad of resized(sent(7, 2))) expect(named(7, 2, bad)).toEqual(['proof CERTIFICATE_MALFORMED'])
  })
  it('as a pair is complained about, whatever its length or range', () => {
    const { machine, at } = follow()
    const { state, inbox } = at.get(1) as Moment
    const pair = inbox.directs.get(3) as Uint8Array
    for (const bad of [...resized(pair), placed(pair, beyond(scheme), 0), placed(pair, beyond(scheme), 32)]) {
      const step = machine.next(state, { ...inbox, directs: new Map([...inbox.directs, [3, bad]]) })
      expect(step).toMatchObject({ kind: 'round', send: { broadcast: Uint8Array.of(0, 1, 0, 3) }, faults: [] })
    }
  })
  it('in an answer proves the accused wrong', () => {
    const quarrel = momentsOf({ scheme, tamper: lying })
    const moment = quarrel.at.get(3) as Moment
    const answer = moment.inbox.broadcasts.get(3) as Uint8Array
    for (const bad of [...resized(answer), placed(answer, beyond(scheme), 0), placed(answer, beyond(scheme), 32)])
      expect(quarrel.machine.next(moment.state, withPayload(moment, 3, bad)).faults).toMatchObject([
        { accused: 3, class: 'proof', code: 'ANSWER_WRONG' },
      ])
  })
})

/** Member 3 is gone after it showed wrong images, so that every round but the answers happens. */
function leaving(from: PartyId, round: number, sent: Parameters<NonNullable<Options['tamper']>>[2]) {
  if (from !== 3 || round < 5) return from === 3 && round === 4 ? exchanged(sent) : sent
  return null
}
/** The image of the slope replaced by another point: the proof still holds, the shares do not fit. */
function exchanged(sent: Parameters<NonNullable<Options['tamper']>>[2]) {
  const bytes = sent.broadcast as Uint8Array
  // Two images, a point and a scalar.
  const group = bytes.length === 3 * 33 + 32 ? nobleBackend.secp256k1 : nobleBackend.ed25519
  return { ...sent, broadcast: placed(bytes, group.encode(group.mulBase(7n)), group.pointBytes) }
}
/** Member 3 gives member 1 a wrong pair. */
function lying(from: PartyId, round: number, sent: Parameters<NonNullable<Options['tamper']>>[2]) {
  if (from !== 3 || round !== 1) return sent
  return { ...sent, direct: new Map([...sent.direct].map(([to, pair]) => [to, to === 1 ? placed(pair, scalarBytes(4n), 32) : pair])) }
}

describe('1 threshold raising in a refresh', () => {
  it('any other number of commitments than t − 1 proves its dealer wrong', () => {
    const bases = sharesOf(run())
    const { machine, at } = momentsOf({ bases, word: 'refresh' })
    for (const [round, code] of [
      [1, 'COMMITMENTS_MALFORMED'],
      [4, 'IMAGES_MALFORMED'],
    ] as const) {
      const moment = at.get(round) as Moment
      const payload = moment.inbox.broadcasts.get(3) as Uint8Array
      for (const bad of [...resized(payload), concatBytes(payload, payload, payload)])
        expect(machine.next(moment.state, withPayload(moment, 3, bad)).faults).toMatchObject([{ accused: 3, class: 'proof', code }])
    }
  })
})

describe.each(['ed25519', 'ecdsa'] as const)('15 a payload of %s that is malformed when keys move', (scheme) => {
  const group = groupOfScheme(nobleBackend, scheme)
  const shares = dealtShares(scheme, 2, [1, 2, 3])
  const { publicKey } = shares.get(1) as KeyShare
  const shareOf = (id: PartyId) => shares.get(id) as KeyShare
  const bads = (payload: Uint8Array) => [
    ...resized(payload),
    ...[...badPoints(scheme).values()].flatMap((bad) => [placed(payload, bad, 0), placed(payload, bad, group.pointBytes)]),
  ]
  const started = <S, R>(machine: RoundMachine<S, R>) => {
    const step = machine.start()
    if (step.kind !== 'round') throw new Error('a run begins with a round')
    return step
  }
  it('proves the dealer of a resharing wrong', () => {
    const next = { ...publicKey.descriptor, members: [3, 4, 5] }
    const input = { backend: nobleBackend, seed: seedOf('s'), old: publicKey, dealers: [1, 2], next }
    const listener = reshareMachine({ ...input, self: 4, share: null })
    const dealers = [1, 2].map((self) => [self, started(reshareMachine({ ...input, self, share: shareOf(self) }))] as const)
    const broadcasts = new Map(dealers.map(([id, { send }]) => [id, send.broadcast as Uint8Array]))
    const directs = new Map(dealers.map(([id, { send }]) => [id, send.direct.get(4) as Uint8Array]))
    const { state } = started(listener)
    for (const bad of bads(broadcasts.get(2) as Uint8Array))
      expect(listener.next(state, { broadcasts: new Map([...broadcasts, [2, bad]]), directs })).toMatchObject({
        kind: 'aborted',
        code: 'DEALER_OUT',
        faults: [{ accused: 2, class: 'proof', code: 'IMAGES_MALFORMED' }],
      })
    for (const bad of [...resized(directs.get(2) as Uint8Array), beyond(scheme)]) {
      const step = listener.next(state, { broadcasts, directs: new Map([...directs, [2, bad]]) })
      expect(step.kind === 'round' && step.send.broadcast?.slice(0, 4)).toEqual(Uint8Array.of(0, 1, 0, 2))
    }
  })
  it('as a certificate proves the receiver of a resharing wrong', () => {
    const next = { ...publicKey.descriptor, members: [3, 4, 5] }
    const listener = reshareMachine({
      backend: nobleBackend,
      seed: seedOf('s'),
      old: publicKey,
      dealers: [1, 2],
      next,
      self: 4,
      share: null,
    })
    const state = { ...started(listener).state, round: 4 } as const
    const right = new Map([3, 4, 5].map((id) => [id, new Uint8Array(32)]))
    for (const bad of resized(new Uint8Array(32)))
      expect(listener.next(state, { broadcasts: new Map([...right, [5, bad]]), directs: new Map() })).toMatchObject({
        kind: 'aborted',
        code: 'MEMBER_OUT',
        faults: [{ accused: 5, class: 'proof', code: 'CERTIFICATE_MALFORMED' }],
      })
  })
  it('proves the helper of a recovery wrong, and disputes one that malformed a secret', () => {
    const input = { backend: nobleBackend, seed: seedOf('s'), publicKey, helpers: [1, 2], lost: 3 }
    const machine = recoveryMachine({ ...input, self: 1, share: shareOf(1) })
    const own = started(machine)
    const other = started(recoveryMachine({ ...input, self: 2, share: shareOf(2) }))
    const broadcasts = new Map([
      [1, own.send.broadcast as Uint8Array],
      [2, other.send.broadcast as Uint8Array],
    ])
    const directs = new Map([[2, other.send.direct.get(1) as Uint8Array]])
    for (const bad of bads(broadcasts.get(2) as Uint8Array))
      expect(machine.next(own.state, { broadcasts: new Map([...broadcasts, [2, bad]]), directs }).faults).toMatchObject([
        { accused: 2, class: 'proof', code: 'SPLIT_MALFORMED' },
      ])
    for (const bad of [...resized(directs.get(2) as Uint8Array), beyond(scheme)])
      expect(machine.next(own.state, { broadcasts, directs: new Map([[2, bad]]) }).faults).toMatchObject([
        { accused: 2, class: 'dispute', code: 'PART_WRONG' },
      ])
  })
})
