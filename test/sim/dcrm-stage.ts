/**
 * What seeded runs of key protocols start from: two committees with keys from a trusted dealer, pair states and presignatures made in lockstep,
 * and for each protocol its machine and what its results must satisfy. @module
 */
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { bytesToBigint } from '#shared/bytes.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import { consume } from '#shared/dcrm/consumption.ts'
import { childKey, childShare } from '#shared/dcrm/derive.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import { blameMachine } from '#shared/dcrm/ecdsa-blame.ts'
import type { Partial } from '#shared/dcrm/ecdsa-sign.ts'
import { decodePartial, ecdsaMachine } from '#shared/dcrm/ecdsa-sign.ts'
import { frostMachine } from '#shared/dcrm/frost.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import type { PairSetupResult } from '#shared/dcrm/pair-setup.ts'
import { pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import { mod } from '#shared/dcrm/polynomial.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { recoveryMachine } from '#shared/dcrm/recovery.ts'
import { reshareMachine } from '#shared/dcrm/reshare.ts'
import type { RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { partyKeys } from '#test/sim/dcrm-world.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'
import { ed25519 } from '@noble/curves/ed25519.js'

export const backend = createNativeBackend()
export const crypto = nativeEnvelopeCrypto
export const ALL: readonly PartyId[] = [1, 2, 3, 4, 5]
export const parties = ALL.map((id) => partyKeys(id, crypto, backend, (secret) => ed25519.getPublicKey(secret)))
const PATH = { purpose: 'generic', subject: new Uint8Array(32) } as const

export type AnyMachine = RoundMachine<unknown, unknown>
export type ProtocolName = 'dkg' | 'refresh' | 'reshare' | 'recover' | 'setup' | 'presign' | 'ecdsa' | 'blame' | 'frost'

/** Members with a key of either scheme, a state of each pair, and presignatures as they are asked for. */
export class Committee {
  readonly members: readonly PartyId[]
  readonly threshold: number
  readonly #taproot: ReadonlyMap<PartyId, KeyShare>
  readonly #ecdsa: ReadonlyMap<PartyId, KeyShare>
  #pairs: ReadonlyMap<PartyId, PairSetupResult> = new Map()
  readonly #presignatures = new Map<string, ReadonlyMap<PartyId, Presignature>>()

  constructor(members: readonly PartyId[], threshold: number) {
    this.members = members
    this.threshold = threshold
    this.#taproot = dealtShares('taproot', threshold, members, `sim ${members.length}`, backend)
    this.#ecdsa = dealtShares('ecdsa', threshold, members, `sim ${members.length}`, backend)
  }

  share(scheme: 'taproot' | 'ecdsa', id: PartyId): KeyShare {
    return (scheme === 'taproot' ? this.#taproot : this.#ecdsa).get(id) as KeyShare
  }

  get descriptor() {
    return this.share('taproot', this.members[0] ?? 0).publicKey.descriptor
  }

  encodedKey(scheme: 'taproot' | 'ecdsa'): Uint8Array {
    return this.share(scheme, this.members[0] ?? 0).publicKey.commitments[0] as Uint8Array
  }

  pairs(self: PartyId): PairSetupResult {
    if (this.#pairs.size === 0)
      this.#pairs = results(this.members, (id) =>
        pairSetupMachine({ backend, self: id, set: this.members, sid: seedOf('setup'), seed: seedOf(`setup ${id}`) }),
      )
    return this.#pairs.get(self) as PairSetupResult
  }

  /** The `use`-th presignature of a set. */
  presignature(set: readonly PartyId[], use: number, self: PartyId): Presignature {
    const name = `${String(set)} ${use}`
    const known = this.#presignatures.get(name)
    if (known !== undefined) return known.get(self) as Presignature
    const made = results(set, (id) =>
      presignMachine({
        backend,
        share: this.share('ecdsa', id),
        pairs: this.pairs(id),
        set,
        count: 1,
        sid: seedOf(name),
        seed: seedOf(`${name} ${id}`),
      }),
    )
    this.#presignatures.set(name, new Map([...made].map(([id, [first]]) => [id, first as Presignature])))
    return this.presignature(set, use, self)
  }
}

/** What honest machines in lockstep end with. */
function results<State, Result>(set: readonly PartyId[], make: (id: PartyId) => RoundMachine<State, Result>): ReadonlyMap<PartyId, Result> {
  const { outcomes } = runLockstep(new Map(set.map((id) => [id, make(id)])))
  return new Map([...outcomes].flatMap(([id, outcome]) => (outcome.kind === 'done' ? [[id, outcome.result] as const] : [])))
}

/** One session of a protocol: who takes part, over which committee's key, and what is ordered. */
export type Place = Readonly<{
  protocol: ProtocolName
  committee: Committee
  set: readonly PartyId[]
  message: Uint8Array
  /** Which presignature of the set is used up. */
  use: number
  /** Partials each party has heard, by listener: what the blame protocol starts from. */
  heard: Map<PartyId, Map<PartyId, Partial>>
}>

const bent = (secret: Uint8Array): Uint8Array => scalarBytes(mod(bytesToBigint(secret) + 1n, backend.secp256k1.order))

/** The share of a party; a cheater may use one that is not its own. */
const shareAt = ({ committee }: Place, scheme: 'taproot' | 'ecdsa', self: PartyId, isWrong: boolean): KeyShare => {
  const share = committee.share(scheme, self)
  return isWrong ? { ...share, secret: bent(share.secret) } : share
}

type Make = (place: Place, self: PartyId, sid: Uint8Array, seed: Uint8Array, isWrong: boolean) => AnyMachine

/** Mode B where the members are only as many as must sign. */
const generated = ({ committee, set }: Place) => ({
  ...committee.descriptor,
  members: set,
  threshold: Math.min(committee.threshold, set.length),
})

/** The order a place gives, and what it makes of a presignature. */
export const tupleOf = ({ message }: Place) => ({ digest: message, tweak: 5n, entropy: seedOf('entropy') })
export function used(place: Place, self: PartyId) {
  const { committee, set, use } = place
  const made = consume(backend, committee.encodedKey('ecdsa'), committee.presignature(set, use, self), tupleOf(place))
  if (typeof made === 'string') throw new Error(made)
  return made
}

export const signingKey = ({ committee }: Place): Uint8Array =>
  childKey(backend, 'taproot', committee.descriptor.requestId, committee.encodedKey('taproot'), PATH)?.signingKey ?? new Uint8Array(32)

/** Hears the partials of an online round, as a party does that may have to find out who spoiled it. */
function listening(place: Place, self: PartyId, machine: AnyMachine): AnyMachine {
  return {
    start: machine.start,
    next: (state, inbox) => {
      const partials = [...inbox.broadcasts].flatMap(([id, payload]): [PartyId, Partial][] => {
        const partial = decodePartial(backend.secp256k1.order, payload)
        return partial === null ? [] : [[id, partial]]
      })
      place.heard.set(self, new Map(partials))
      return machine.next(state, inbox)
    },
  }
}

const makeBlame: Make = (place, self, _sid, seed) => {
  const { committee, set, use } = place
  const presignature = committee.presignature(set, use, self)
  const own = new Map(set.map((id) => [id, decodePartial(backend.secp256k1.order, used(place, id).record.partial) as Partial]))
  return blameMachine({
    backend,
    self,
    presignature,
    context: used(place, self).context,
    digest: place.message,
    tweak: tupleOf(place).tweak,
    encodedKey: committee.encodedKey('ecdsa'),
    partials: place.heard.get(self) ?? own,
    phi: bytesToBigint(presignature.phi),
    seed,
  }) as AnyMachine
}

/** The first t of the set deal. */
const makeReshare: Make = (place, self, _sid, seed, isWrong) => {
  const { committee, set } = place
  const dealers = set.slice(0, committee.threshold)
  const share = dealers.includes(self) ? shareAt(place, 'taproot', self, isWrong) : null
  const old = committee.share('taproot', dealers[0] ?? 0).publicKey
  return reshareMachine({ backend, self, seed, old, share, dealers, next: { ...committee.descriptor, members: set } }) as AnyMachine
}

/** The last of the set lost its share. */
const makeRecovery: Make = (place, self, _sid, seed, isWrong) => {
  const { committee, set } = place
  const [helpers, lost] = [set.slice(0, -1), set.at(-1) ?? 0]
  const share = self === lost ? null : shareAt(place, 'taproot', self, isWrong)
  const { publicKey } = committee.share('taproot', helpers[0] ?? 0)
  return recoveryMachine({ backend, self, seed, publicKey, share, helpers, lost }) as AnyMachine
}

const MAKE: Readonly<Record<ProtocolName, Make>> = {
  dkg: (place, self, sid, seed) => dkgMachine({ backend, descriptor: generated(place), self, sid, seed, base: null }) as AnyMachine,
  refresh: (place, self, sid, seed, isWrong) =>
    dkgMachine({
      backend,
      descriptor: place.committee.descriptor,
      self,
      sid,
      seed,
      base: shareAt(place, 'taproot', self, isWrong),
    }) as AnyMachine,
  reshare: makeReshare,
  recover: makeRecovery,
  setup: ({ set }, self, sid, seed) => pairSetupMachine({ backend, self, set, sid, seed }) as AnyMachine,
  presign: (place, self, sid, seed, isWrong) =>
    presignMachine({
      backend,
      share: shareAt(place, 'ecdsa', self, isWrong),
      pairs: place.committee.pairs(self),
      set: place.set,
      count: 1,
      sid,
      seed,
    }) as AnyMachine,
  ecdsa: (place, self) => {
    const { record, context } = used(place, self)
    const input = { backend, self, set: place.set, context, digest: place.message, partial: record.partial }
    return listening(place, self, ecdsaMachine(input) as AnyMachine)
  },
  blame: makeBlame,
  frost: (place, self, _sid, seed, isWrong) =>
    frostMachine({
      backend,
      share: childShare(backend, shareAt(place, 'taproot', self, isWrong), PATH) as KeyShare,
      set: place.set,
      message: place.message,
      signingKey: signingKey(place),
      seed,
    }) as AnyMachine,
}

/** The machine of one party; `isWrong` gives it a share that is not its own. */
export const machineAt: Make = (place, self, sid, seed, isWrong) => MAKE[place.protocol](place, self, sid, seed, isWrong)

/** Rounds that run when nobody complains, and whether a session of it opens with nonces and ephemeral keys. */
export const PROTOCOLS: Readonly<Record<ProtocolName, Readonly<{ rounds: number; hasOpening: boolean }>>> = {
  dkg: { rounds: 5, hasOpening: true },
  refresh: { rounds: 5, hasOpening: true },
  reshare: { rounds: 2, hasOpening: true },
  recover: { rounds: 2, hasOpening: true },
  setup: { rounds: 3, hasOpening: true },
  presign: { rounds: 5, hasOpening: true },
  ecdsa: { rounds: 1, hasOpening: false },
  blame: { rounds: 1, hasOpening: false },
  frost: { rounds: 2, hasOpening: false },
}

/** The session of a place as the world runs it. */
export const subjectAt = ({ protocol, set, message }: Place, attempt: number) => ({
  chainId: 81_920,
  protocol,
  requestId: message,
  epoch: 0,
  set,
  attempt,
})
