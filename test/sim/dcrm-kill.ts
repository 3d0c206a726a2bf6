/**
 * Every protocol with parties that die before any of its rounds: what the others end with, whom they name, and that the next attempt with another set
 * completes. @module
 */
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { bytesToBigint } from '#shared/bytes.ts'
import { consume } from '#shared/dcrm/consumption.ts'
import { childKey, childShare } from '#shared/dcrm/derive.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import { blameMachine } from '#shared/dcrm/ecdsa-blame.ts'
import type { Partial } from '#shared/dcrm/ecdsa-sign.ts'
import { decodePartial, ecdsaMachine } from '#shared/dcrm/ecdsa-sign.ts'
import { decodeEnvelope } from '#shared/dcrm/envelope.ts'
import { frostMachine } from '#shared/dcrm/frost.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import type { PairSetupResult } from '#shared/dcrm/pair-setup.ts'
import { pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { recoveryMachine } from '#shared/dcrm/recovery.ts'
import { reshareMachine } from '#shared/dcrm/reshare.ts'
import type { RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import type { PartyEnd } from '#test/sim/dcrm-world.ts'
import { partyKeys, runWorld } from '#test/sim/dcrm-world.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'
import { ed25519 } from '@noble/curves/ed25519.js'

const backend = createNativeBackend()
const crypto = nativeEnvelopeCrypto
const ALL: readonly PartyId[] = [1, 2, 3, 4, 5]
const THRESHOLD = 3
const MESSAGE = seedOf('message')
const PATH = { purpose: 'generic', subject: new Uint8Array(32) } as const
const parties = ALL.map((id) => partyKeys(id, crypto, backend, (secret) => ed25519.getPublicKey(secret)))
const taproot = dealtShares('taproot', THRESHOLD, ALL, 'kill', backend)
const ecdsa = dealtShares('ecdsa', THRESHOLD, ALL, 'kill', backend)
const shareOf = (shares: ReadonlyMap<PartyId, KeyShare>, id: PartyId): KeyShare => shares.get(id) as KeyShare
const descriptor = shareOf(taproot, 1).publicKey.descriptor
const encodedKey = shareOf(ecdsa, 1).publicKey.commitments[0] as Uint8Array
const tuple = { digest: MESSAGE, tweak: 5n, entropy: seedOf('entropy') }

type AnyMachine = RoundMachine<unknown, unknown>
type Make = (self: PartyId, set: readonly PartyId[], sid: Uint8Array, seed: Uint8Array) => AnyMachine

/** A protocol with its last round, the set of a first attempt and of the next one without `victims`. */
export type Killable = Readonly<{
  name: string
  rounds: number
  hasOpening: boolean
  victims: readonly PartyId[]
  sets: readonly [first: readonly PartyId[], next: readonly PartyId[]]
  make: Make
}>

const pairs = new Map<PartyId, PairSetupResult>()
function pairsOf(self: PartyId): PairSetupResult {
  if (pairs.size === 0) {
    const machines = ALL.map(
      (id) => [id, pairSetupMachine({ backend, self: id, set: ALL, sid: seedOf('setup'), seed: seedOf(`setup ${id}`) })] as const,
    )
    for (const [id, outcome] of runLockstep(new Map(machines)).outcomes) if (outcome.kind === 'done') pairs.set(id, outcome.result)
  }
  return pairs.get(self) as PairSetupResult
}

const presignatures = new Map<string, ReadonlyMap<PartyId, Presignature>>()
/** One presignature of a set, made in lockstep. */
function presignatureOf(set: readonly PartyId[], self: PartyId): Presignature {
  const name = String(set)
  if (!presignatures.has(name)) {
    const make = (id: PartyId) =>
      presignMachine({
        backend,
        share: shareOf(ecdsa, id),
        pairs: pairsOf(id),
        set,
        count: 1,
        sid: seedOf(name),
        seed: seedOf(`${name} ${id}`),
      })
    const { outcomes } = runLockstep(new Map(set.map((id) => [id, make(id)])))
    const made = [...outcomes].flatMap(([id, outcome]) =>
      outcome.kind === 'done' ? [[id, outcome.result[0] as Presignature] as const] : [],
    )
    presignatures.set(name, new Map(made))
  }
  return presignatures.get(name)?.get(self) as Presignature
}

function used(set: readonly PartyId[], self: PartyId) {
  const made = consume(backend, encodedKey, presignatureOf(set, self), tuple)
  if (typeof made === 'string') throw new Error(made)
  return made
}

const makeEcdsa: Make = (self, set) => {
  const { record, context } = used(set, self)
  return ecdsaMachine({ backend, self, set, context, digest: MESSAGE, partial: record.partial }) as AnyMachine
}
const makeBlame: Make = (self, set, _sid, seed) => {
  const partials = new Map(
    set.map((id): [PartyId, Partial] => [id, decodePartial(backend.secp256k1.order, used(set, id).record.partial) as Partial]),
  )
  const presignature = presignatureOf(set, self)
  const { context } = used(set, self)
  const phi = bytesToBigint(presignature.phi)
  return blameMachine({
    backend,
    self,
    presignature,
    context,
    digest: MESSAGE,
    tweak: tuple.tweak,
    encodedKey,
    partials,
    phi,
    seed,
  }) as AnyMachine
}
const makeFrost: Make = (self, set, _sid, seed) => {
  const child = childKey(backend, 'taproot', descriptor.requestId, shareOf(taproot, 1).publicKey.commitments[0] as Uint8Array, PATH)
  const share = childShare(backend, shareOf(taproot, self), PATH) as KeyShare
  return frostMachine({ backend, share, set, message: MESSAGE, signingKey: child?.signingKey as Uint8Array, seed }) as AnyMachine
}
const makeReshare: Make = (self, set, _sid, seed) => {
  const dealers = set.slice(0, THRESHOLD)
  const share = dealers.includes(self) ? shareOf(taproot, self) : null
  return reshareMachine({
    backend,
    self,
    seed,
    old: shareOf(taproot, 1).publicKey,
    share,
    dealers,
    next: { ...descriptor, members: set },
  }) as AnyMachine
}
/** The last of the set lost its share. */
const makeRecovery: Make = (self, set, _sid, seed) => {
  const lost = set.at(-1) ?? 0
  const share = self === lost ? null : shareOf(taproot, self)
  return recoveryMachine({
    backend,
    self,
    seed,
    publicKey: shareOf(taproot, 1).publicKey,
    share,
    helpers: set.slice(0, -1),
    lost,
  }) as AnyMachine
}

/** All protocols. m − t = 2 parties die where the set allows it. */
export const KILLABLE: readonly Killable[] = [
  {
    name: 'dkg',
    rounds: 5,
    hasOpening: true,
    victims: [4, 5],
    sets: [ALL, [1, 2, 3]],
    make: (self, set, sid, seed) =>
      dkgMachine({
        backend,
        descriptor: { ...descriptor, threshold: Math.min(THRESHOLD, set.length), members: set },
        self,
        sid,
        seed,
        base: null,
      }) as AnyMachine,
  },
  {
    name: 'refresh',
    rounds: 5,
    hasOpening: true,
    victims: [4, 5],
    sets: [ALL, ALL],
    make: (self, _set, sid, seed) => dkgMachine({ backend, descriptor, self, sid, seed, base: shareOf(taproot, self) }) as AnyMachine,
  },
  { name: 'reshare', rounds: 2, hasOpening: true, victims: [4, 5], sets: [ALL, [1, 2, 3]], make: makeReshare },
  {
    name: 'recover',
    rounds: 2,
    hasOpening: true,
    victims: [3],
    sets: [
      [1, 2, 3, 5],
      [1, 2, 4, 5],
    ],
    make: makeRecovery,
  },
  {
    name: 'setup',
    rounds: 3,
    hasOpening: true,
    victims: [2],
    sets: [
      [1, 2],
      [1, 3],
    ],
    make: (self, set, sid, seed) => pairSetupMachine({ backend, self, set, sid, seed }) as AnyMachine,
  },
  {
    name: 'presign',
    rounds: 5,
    hasOpening: true,
    victims: [3],
    sets: [
      [1, 2, 3],
      [1, 2, 4],
    ],
    make: (self, set, sid, seed) =>
      presignMachine({ backend, share: shareOf(ecdsa, self), pairs: pairsOf(self), set, count: 1, sid, seed }) as AnyMachine,
  },
  {
    name: 'ecdsa',
    rounds: 1,
    hasOpening: false,
    victims: [3],
    sets: [
      [1, 2, 3],
      [1, 2, 4],
    ],
    make: makeEcdsa,
  },
  {
    name: 'blame',
    rounds: 1,
    hasOpening: false,
    victims: [3],
    sets: [
      [1, 2, 3],
      [1, 2, 4],
    ],
    make: makeBlame,
  },
  {
    name: 'frost',
    rounds: 2,
    hasOpening: false,
    victims: [3],
    sets: [
      [1, 2, 3],
      [1, 2, 4],
    ],
    make: makeFrost,
  },
]

/** One attempt; from round `diesBefore` on nothing of the victims arrives any more. Null: everybody lives. */
export function attemptWith(protocol: Killable, attempt: 0 | 1, diesBefore: number | null): ReadonlyMap<PartyId, PartyEnd<unknown>> {
  const set = protocol.sets[attempt]
  const dead = diesBefore === null ? [] : protocol.victims
  const ends = runWorld<unknown, unknown>({
    seed: 7,
    subject: { chainId: 81_920, protocol: protocol.name, requestId: seedOf('request'), epoch: 0, set, attempt },
    hasOpening: protocol.hasOpening,
    parties: parties.filter(({ peer }) => set.includes(peer.id)),
    machine: (self, sid, seed) => protocol.make(self, set, sid, seed),
    backend,
    crypto,
    corrupt: (from, bytes) => (dead.includes(from) && (decodeEnvelope(bytes)?.round ?? 0) >= (diesBefore ?? 0) ? [] : [bytes]),
  })
  return new Map([...ends].filter(([id]) => !dead.includes(id)))
}
