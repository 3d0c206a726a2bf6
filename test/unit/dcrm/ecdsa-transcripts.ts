/** One seeded ECDSA signature from dealt shares to the blame of a spoiled one, each message as a hash. @module */
import { bytesToBigint } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { consume } from '#shared/dcrm/consumption.ts'
import { blameMachine } from '#shared/dcrm/ecdsa-blame.ts'
import type { Partial } from '#shared/dcrm/ecdsa-sign.ts'
import { decodePartial, ecdsaMachine } from '#shared/dcrm/ecdsa-sign.ts'
import type { Outcome, Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { encodePairState, pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { encodePresignature } from '#shared/dcrm/presignature.ts'
import type { RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import type { Hear, Transcript } from '#test/unit/dcrm/key-transcripts.ts'
import { digest, hearing, recorded } from '#test/unit/dcrm/key-transcripts.ts'
import { tupleOf } from '#test/unit/dcrm/presign-support.ts'
import { dealtShares, seedOf, unhex } from '#test/unit/dcrm/support.ts'

const SET: readonly PartyId[] = [1, 3]

const results = <Result>(outcomes: ReadonlyMap<PartyId, Outcome<Result>>): ReadonlyMap<PartyId, Result> =>
  new Map([...outcomes].flatMap(([id, outcome]) => (outcome.kind === 'done' ? [[id, outcome.result] as const] : [])))

/** All signers of `SET` through one protocol. */
const through = <State, Result>(make: (id: PartyId) => RoundMachine<State, Result>, heard?: ReturnType<typeof hearing>) =>
  recorded((tamper: Tamper) => results(runLockstep(new Map(SET.map((id) => [id, make(id)])), tamper).outcomes), undefined, heard)

/** Pairwise setup, a batch of two presignatures, a signature and the blame round of 1 and 3 in a 2-of-3 key. */
export function ecdsaTranscripts(backend: DcrmBackend, hear: Hear = () => undefined): Readonly<Record<string, Transcript>> {
  const shares = dealtShares('ecdsa', 2, [1, 2, 3], 'golden ecdsa', backend)
  const shareOf = (id: PartyId): KeyShare => shares.get(id) as KeyShare
  const seed = (what: string, id: PartyId): Uint8Array => seedOf(`golden ${what} ${id}`)
  const sid = (what: string): Uint8Array => seedOf(`golden ${what} sid`)
  const setup = through((self) => pairSetupMachine({ backend, self, set: SET, sid: sid('setup'), seed: seed('setup', self) }))
  const presign = through(
    (id) =>
      presignMachine({
        backend,
        share: shareOf(id),
        pairs: setup.value.get(id) ?? new Map(),
        set: SET,
        count: 2,
        sid: sid('presign'),
        seed: seed('presign', id),
      }),
    hearing(hear, 'presign', SET, sid('presign')),
  )
  const presignatureOf = (id: PartyId): Presignature => presign.value.get(id)?.[0] as Presignature
  const tuple = tupleOf('golden')
  const [encodedKey] = shareOf(1).publicKey.commitments as [Uint8Array]
  const used = (id: PartyId) => {
    const consumed = consume(backend, encodedKey, presignatureOf(id), tuple)
    if (typeof consumed === 'string') throw new Error(consumed)
    return consumed
  }
  const online = through(
    (self) => {
      const { context, record } = used(self)
      return ecdsaMachine({ backend, self, set: SET, context, digest: tuple.digest, partial: record.partial })
    },
    hearing(hear, 'ecdsa', SET, sid('online')),
  )
  const partials = new Map(SET.map((id) => [id, decodePartial(backend.secp256k1.order, used(id).record.partial) as Partial]))
  const blame = through(
    (self) =>
      blameMachine({
        backend,
        self,
        presignature: presignatureOf(self),
        context: used(self).context,
        digest: tuple.digest,
        tweak: tuple.tweak,
        encodedKey,
        partials,
        phi: bytesToBigint(presignatureOf(self).phi),
        seed: seed('blame', self),
      }),
    hearing(hear, 'blame', SET, sid('blame')),
  )
  return {
    setup: [
      ...setup.lines,
      ...[...setup.value].flatMap(([id, pairs]) => [...pairs.values()].map((pair) => `pair ${id} ${digest(encodePairState(pair))}`)),
    ],
    presign: [
      ...presign.lines,
      ...[...presign.value].flatMap(([id, made]) => made.map((each) => `presignature ${id} ${digest(encodePresignature(each))}`)),
    ],
    online: [...online.lines, ...[...online.value.values()].map((signature) => `signature ${unhex(signature)}`)],
    blame: [...blame.lines, ...[...blame.value].map(([id, named]) => `named by ${id}: ${named.length}`)],
  }
}
