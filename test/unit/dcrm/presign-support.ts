/** Presigning and what follows, in lockstep, over pairs as a trusted dealer would set them up. @module */
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { bitOf, wordsOf } from '#shared/dcrm/bit-matrix.ts'
import type { Consumed } from '#shared/dcrm/consumption.ts'
import { consume } from '#shared/dcrm/consumption.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import type { EcdsaInput, SigningContext, SigningTuple } from '#shared/dcrm/ecdsa-sign.ts'
import { ecdsaMachine } from '#shared/dcrm/ecdsa-sign.ts'
import type { Outcome, Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import type { PairSetupResult, PairState } from '#shared/dcrm/pair-setup.ts'
import type { PresignInput, PresignState } from '#shared/dcrm/presign-state.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { Fault, RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'

export const native = createNativeBackend()
const KEYS = 128

function chosen(keys0: Uint8Array, keys1: Uint8Array, delta: Uint8Array): Uint8Array {
  const choices = wordsOf(delta)
  const parts = Array.from({ length: KEYS }, (_, index) =>
    (bitOf(choices, index) === 0 ? keys0 : keys1).subarray(32 * index, 32 * (index + 1)),
  )
  return concatBytes(...parts)
}

/** What the pairwise setup of all members would have given. */
export function dealtPairs(
  members: readonly PartyId[],
  word = 'pairs',
  backend: DcrmBackend = native,
): ReadonlyMap<PartyId, PairSetupResult> {
  const drbg = createDrbg(backend, seedOf(word), 'pairs')
  const pairs = new Map<PartyId, Map<PartyId, PairState>>(members.map((id) => [id, new Map()]))
  for (const [index, low] of members.entries())
    for (const high of members.slice(index + 1)) {
      const [lowKeys, highKeys] = [0, 1].map(() => ({ keys0: drbg.bytes(32 * KEYS), keys1: drbg.bytes(32 * KEYS) })) as [
        PairState['asReceiver'],
        PairState['asReceiver'],
      ]
      const [lowDelta, highDelta, zero] = [drbg.bytes(16), drbg.bytes(16), drbg.bytes(32)]
      const sender = (delta: Uint8Array, { keys0, keys1 }: PairState['asReceiver']) => ({ delta, keys: chosen(keys0, keys1, delta) })
      pairs.get(low)?.set(high, { peer: high, asSender: sender(lowDelta, highKeys), asReceiver: lowKeys, zero })
      pairs.get(high)?.set(low, { peer: low, asSender: sender(highDelta, lowKeys), asReceiver: highKeys, zero })
    }
  return pairs
}

export type Presigning = Readonly<{ shares: ReadonlyMap<PartyId, KeyShare>; inputs: ReadonlyMap<PartyId, PresignInput> }>

/** Inputs of all signers of a set; the key has one member more. */
export function presigning(set: readonly PartyId[], word = 'presign', count = 1, backend: DcrmBackend = native): Presigning {
  const shares = dealtShares('ecdsa', set.length, [...set, 60_000], word, backend)
  const pairs = dealtPairs(set, word, backend)
  const input = (id: PartyId): PresignInput => ({
    backend,
    share: shares.get(id) as KeyShare,
    pairs: pairs.get(id) as PairSetupResult,
    set,
    count,
    sid: seedOf(`${word} sid`),
    seed: seedOf(`${word} ${id}`),
  })
  return { shares, inputs: new Map(set.map((id) => [id, input(id)])) }
}

export type PresignOutcomes = ReadonlyMap<PartyId, Outcome<readonly Presignature[]>>
export type Puppets = ReadonlyMap<PartyId, RoundMachine<PresignState, readonly Presignature[]>>

export function presign({ inputs }: Presigning, tamper?: Tamper, puppets?: Puppets): PresignOutcomes {
  const machines = new Map([...inputs].map(([id, input]) => [id, puppets?.get(id) ?? presignMachine(input)]))
  return runLockstep(machines, tamper).outcomes
}

/** The presignatures of one draft, by signer. @throws {Error} unless all finished */
export function presignaturesOf(outcomes: PresignOutcomes, index = 0): ReadonlyMap<PartyId, Presignature> {
  return new Map(
    [...outcomes].map(([id, outcome]) => {
      if (outcome.kind !== 'done') throw new Error(`${id} aborted: ${outcome.code}`)
      return [id, outcome.result[index] as Presignature]
    }),
  )
}

export const encodedKeyOf = ({ shares }: Presigning): Uint8Array => [...shares.values()][0]?.publicKey.commitments[0] as Uint8Array
export const tupleOf = (word: string, tweak = bytesToBigint(seedOf('tweak'))): SigningTuple => ({
  digest: seedOf(`${word} digest`),
  tweak,
  entropy: seedOf(`${word} entropy`),
})

export type Used = Readonly<{ record: Consumed; context: SigningContext }>

/** Every signer's consumed record. */
export function used(
  setup: Presigning,
  presignatures: ReadonlyMap<PartyId, Presignature>,
  tuple: SigningTuple | ((id: PartyId) => SigningTuple),
): ReadonlyMap<PartyId, Used> {
  return new Map(
    [...presignatures].map(([id, presignature]) => {
      const result = consume(native, encodedKeyOf(setup), presignature, typeof tuple === 'function' ? tuple(id) : tuple)
      if (typeof result === 'string') throw new Error(result)
      return [id, result]
    }),
  )
}

/** The online round. */
export function signOnline(records: ReadonlyMap<PartyId, Used>, tamper?: Tamper): ReadonlyMap<PartyId, Outcome<Uint8Array>> {
  const set = [...records.keys()]
  const input = (self: PartyId, { record, context }: Used): EcdsaInput => ({
    backend: native,
    self,
    set,
    context,
    digest: record.digest,
    partial: record.partial,
  })
  return runLockstep(new Map([...records].map(([id, record]) => [id, ecdsaMachine(input(id, record))])), tamper).outcomes
}

/** `2 dispute CODE` for each fault a party named. */
export const namedBy = (outcomes: ReadonlyMap<PartyId, Readonly<{ faults: readonly Fault[] }>>, id: PartyId): readonly string[] =>
  (outcomes.get(id)?.faults ?? []).map(({ accused, class: kind, code }) => `${accused} ${kind} ${code}`)
export const endOf = (outcomes: ReadonlyMap<PartyId, Outcome<unknown>>, id: PartyId): string => {
  const outcome = outcomes.get(id)
  return outcome?.kind === 'aborted' ? outcome.code : 'done'
}
export const flipAt = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))
/** Replaces part of a message. */
export const patch = (bytes: Uint8Array, at: number, part: Uint8Array): Uint8Array => {
  const out = bytes.slice()
  out.set(part, at)
  return out
}

/** A cheater changes its broadcast of a round. */
export const broadcasts =
  (cheater: PartyId, inRound: number, change: (bytes: Uint8Array) => Uint8Array): Tamper =>
  (from, round, sent) =>
    from === cheater && round === inRound && sent.broadcast !== null ? { ...sent, broadcast: change(sent.broadcast) } : sent
/** A cheater changes what it sends one victim. */
export const directs =
  (cheater: PartyId, victim: PartyId, inRound: number, change: (bytes: Uint8Array) => Uint8Array): Tamper =>
  (from, round, sent) =>
    from === cheater && round === inRound
      ? { ...sent, direct: new Map([...sent.direct].map(([to, bytes]) => [to, to === victim ? change(bytes) : bytes])) }
      : sent
