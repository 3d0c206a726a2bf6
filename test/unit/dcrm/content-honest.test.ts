/** Nothing an honest party broadcasts can be held against it: thresholds, committees, batches and what liars provoke. @module */
import { describe, expect, it } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { bytesToBigint } from '#shared/bytes.ts'
import type { BroadcastingProtocol } from '#shared/dcrm/content.ts'
import { isContentImpossible } from '#shared/dcrm/content.ts'
import { blameMachine } from '#shared/dcrm/ecdsa-blame.ts'
import { decodePartial } from '#shared/dcrm/ecdsa-sign.ts'
import type { Partial } from '#shared/dcrm/ecdsa-sign.ts'
import type { Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { PresignInput } from '#shared/dcrm/presign-state.ts'
import { recoveryMachine } from '#shared/dcrm/recovery.ts'
import { reshareMachine } from '#shared/dcrm/reshare.ts'
import type { KeyShare, PartyId, Scheme } from '#shared/dcrm/types.ts'
import { both, broadcast, direct, flip, run, sharesOf, silent } from '#test/unit/dcrm/dkg-support.ts'
import { encodedKeyOf, presign, presignaturesOf, presigning, signOnline, tupleOf, used } from '#test/unit/dcrm/presign-support.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'

const backends = [nobleBackend, createNativeBackend()]

/** Listens to all but the liars. Gives what it heard as `protocol round`, with `!` where a judge would convict. */
function listener(protocol: BroadcastingProtocol, set: readonly PartyId[], sid: Uint8Array, liars: readonly PartyId[] = []) {
  const heard = new Set<string>()
  const listen: Tamper = (from, round, sent) => {
    if (liars.includes(from) || sent.broadcast === null) return sent
    const envelope = { id: sid, from, round, payload: sent.broadcast }
    const isHeld = backends.some((backend) => isContentImpossible(backend, protocol, set, envelope))
    heard.add(`${protocol} ${round}${isHeld ? '!' : ''}`)
    return sent
  }
  return { listen, heard: () => [...heard].toSorted() }
}
const rounds = (protocol: string, ...numbers: readonly number[]) => numbers.map((round) => `${protocol} ${round}`)

/** What the last member does, and the rounds the others then speak in. */
const LIES: readonly (readonly [string, (liar: PartyId) => Tamper, readonly number[]])[] = [
  ['nothing', () => (_from, _round, sent) => sent, [1, 2, 4, 5]],
  ['a wrong pair for one', (liar) => direct(liar, [1], (bytes) => flip(bytes)), [1, 2, 4, 5]],
  ['a wrong image', (liar) => broadcast(liar, 4, (bytes) => flip(bytes)), [1, 2, 4, 5, 6, 7]],
  ['silence after dealing', (liar) => silent(liar, 4), [1, 2, 4, 5, 6, 7]],
  ['complaints about all', (liar) => broadcast(liar, 2, () => Uint8Array.of(0, 2, 0, 1, 0, 2)), [1, 2, 3, 4, 5]],
]
const COMMITTEES: readonly (readonly [Scheme, number, readonly PartyId[]])[] = [
  ['ed25519', 2, [1, 2, 3]],
  ['ecdsa', 2, [1, 2, 700]],
  ['ed25519', 3, [1, 2, 5, 9, 65_535]],
  ['ecdsa', 4, [1, 2, 3, 4, 5, 6, 7]],
]

describe('an honest member of a key generation or a refresh', () => {
  it.each(COMMITTEES.flatMap((committee) => LIES.map((lie) => [...committee, ...lie] as const)))(
    'of a %s key, %i of %j, cannot be convicted after %s',
    (scheme, threshold, members, _what, lie, spoken) => {
      const liar = members.at(-1) ?? 0
      const options = { scheme, threshold, members }
      for (const protocol of ['dkg', 'refresh'] as const) {
        const word = `${protocol} honest`
        const bases = protocol === 'refresh' ? { bases: dealtSharesOf(scheme, threshold, members) } : {}
        const { listen, heard } = listener(protocol, members, seedOf(`${word} sid`), [liar])
        run({ ...options, word, ...bases, tamper: both(lie(liar), listen) })
        expect(heard()).toEqual(rounds(protocol, ...spoken))
      }
    },
  )
  it('cannot be convicted where a failure ends the run', () => {
    for (const [threshold, members] of [
      [2, [1, 2]],
      [3, [1, 2, 3, 4]],
    ] as const) {
      const { listen, heard } = listener('dkg', members, seedOf('run sid'))
      run({ threshold, members, tamper: listen })
      expect(heard()).toEqual(rounds('dkg', 1, 2, 4, 5))
    }
  })
})

/** Shares of the very key `run` would refresh. */
function dealtSharesOf(scheme: Scheme, threshold: number, members: readonly PartyId[]): ReadonlyMap<PartyId, KeyShare> {
  return sharesOf(run({ scheme, threshold, members, word: 'base' }))
}

describe('an honest party of a resharing or a recovery', () => {
  it.each([
    ['ed25519', [1, 3], [2, 3, 4, 6, 8], 3],
    ['ecdsa', [1, 2], [4, 5, 6], 2],
    ['taproot', [2, 3], [1, 2, 3], 3],
    ['ecdsa', [1, 3], [1, 3, 4, 5, 6, 7, 8], 4],
  ] as const)('of a %s key from %j to %j, %i of them, cannot be convicted', (scheme, dealers, members, threshold) => {
    const shares = dealtShares(scheme, 2, [1, 2, 3])
    const { publicKey: old } = shares.get(1) as KeyShare
    const next = { ...old.descriptor, threshold, members }
    const set = [...new Set([...dealers, ...members])].toSorted((left, right) => left - right)
    const machine = (self: PartyId) => {
      const share = (dealers as readonly PartyId[]).includes(self) ? (shares.get(self) as KeyShare) : null
      return reshareMachine({ backend: nobleBackend, self, seed: seedOf(`reshare ${self}`), old, share, dealers, next })
    }
    const liar = dealers[0]
    for (const [lie, spoken] of [
      [direct(liar, [], (bytes) => bytes), [1, 2]],
      [direct(liar, [members.at(-1) ?? 0], (bytes) => flip(bytes)), [1, 2, 3, 4]],
    ] as const) {
      const { listen, heard } = listener('reshare', set, seedOf('sid'))
      runLockstep(new Map(set.map((id) => [id, machine(id)])), both(lie, listen))
      expect(heard()).toEqual(rounds('reshare', ...spoken))
    }
  })
  it.each([
    ['ed25519', 2, [1, 2, 3]],
    ['ecdsa', 3, [1, 2, 3, 4, 9]],
  ] as const)('of a %s key, %i of %j, cannot be convicted for helping', (scheme, threshold, members) => {
    const shares = dealtShares(scheme, threshold, members)
    const { publicKey } = shares.get(1) as KeyShare
    const helpers = members.slice(0, threshold)
    const lost = members.at(-1) ?? 0
    const set = [...helpers, lost]
    const machine = (self: PartyId) => {
      const share = self === lost ? null : (shares.get(self) as KeyShare)
      return recoveryMachine({ backend: nobleBackend, self, seed: seedOf(`recover ${self}`), publicKey, share, helpers, lost })
    }
    const { listen, heard } = listener('recover', set, seedOf('sid'))
    runLockstep(new Map(set.map((id) => [id, machine(id)])), listen)
    expect(heard()).toEqual(rounds('recover', 1))
  })
})

describe('an honest signer', () => {
  it.each([
    [[1, 2], 4],
    [[2, 7, 9], 1],
    [[1, 2, 300, 40_000], 2],
  ] as const)('of %j cannot be convicted for %i presignatures, a signature and a claim', (set, count) => {
    const setup = presigning(set, 'content', count)
    const presigned = listener('presign', set, seedOf('content sid'))
    const presignatures = presignaturesOf(presign(setup, presigned.listen), count - 1)
    expect(presigned.heard()).toEqual(rounds('presign', 1, 5))
    const tuple = tupleOf('content')
    const records = used(setup, presignatures, tuple)
    const signed = listener('ecdsa', set, seedOf('sid'))
    signOnline(records, signed.listen)
    expect(signed.heard()).toEqual(rounds('ecdsa', 1))
    const { order } = nobleBackend.secp256k1
    const partials = new Map([...records].map(([id, { record }]) => [id, decodePartial(order, record.partial) as Partial]))
    const claimed = listener('blame', set, seedOf('sid'))
    const machine = (self: PartyId) => {
      const presignature = presignatures.get(self) ?? never()
      const context = records.get(self)?.context ?? never()
      const shown = { phi: bytesToBigint(presignature.phi), seed: seedOf(`claim ${self}`), encodedKey: encodedKeyOf(setup) }
      const about = { digest: tuple.digest, tweak: tuple.tweak, partials }
      return blameMachine({ backend: backends[1] ?? nobleBackend, self, presignature, context, ...about, ...shown })
    }
    runLockstep(new Map(set.map((id) => [id, machine(id)])), claimed.listen)
    expect(claimed.heard()).toEqual(rounds('blame', 1))
  })
  it('cannot be convicted for its trace after another used a wrong share', () => {
    const set = [2, 7, 9]
    const setup = presigning(set, 'trace', 2)
    const input = setup.inputs.get(9) as PresignInput
    const puppet = presignMachine({ ...input, share: { ...input.share, secret: seedOf('wrong').with(0, 0) } })
    const { listen, heard } = listener('presign', set, seedOf('trace sid'), [9])
    presign(setup, listen, new Map([[9, puppet]]))
    expect(heard()).toEqual(rounds('presign', 1, 6))
  })
})

function never(): never {
  throw new Error('every signer has a presignature')
}
