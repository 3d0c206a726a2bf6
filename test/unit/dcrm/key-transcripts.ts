/** Seeded runs of all protocols that make or move keys, each message as a hash: what the frozen transcripts are compared with. @module */
import { concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { BroadcastingProtocol } from '#shared/dcrm/content.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import type { Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { recoveryMachine } from '#shared/dcrm/recovery.ts'
import { reshareMachine } from '#shared/dcrm/reshare.ts'
import type { KeyShare, PartyId, Scheme } from '#shared/dcrm/types.ts'
import { both, direct, flip, run, sharesOf, silent } from '#test/unit/dcrm/dkg-support.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

/** One line a message: round, sender, receiver or `*`, SHA-256 of the payload. */
export type Transcript = readonly string[]

/** One broadcast of a run, for those who look at what was said rather than at its hash. */
export type Spoken = Readonly<{
  protocol: BroadcastingProtocol
  set: readonly PartyId[]
  sid: Uint8Array
  from: PartyId
  round: number
  payload: Uint8Array
}>
export type Hear = (spoken: Spoken) => void
/** Passes on the broadcasts of one session. */
export const hearing =
  (hear: Hear, protocol: BroadcastingProtocol, set: readonly PartyId[], sid: Uint8Array) =>
  (from: PartyId, round: number, payload: Uint8Array): void =>
    hear({ protocol, set, sid, from, round, payload })

/** SHA-256 in hex. */
export const digest = (bytes: Uint8Array): string => unhex(nobleBackend.sha256(bytes))

/** Runs with a tamper that also writes down what is sent. */
export function recorded<T>(
  execute: (tamper: Tamper) => T,
  tamper: Tamper = (_from, _round, sent) => sent,
  heard: ReturnType<typeof hearing> = () => undefined,
): Readonly<{ lines: Transcript; value: T }> {
  const lines: string[] = []
  const listen: Tamper = (from, round, sent) => {
    if (sent.broadcast !== null) {
      lines.push(`${round} ${from} * ${digest(sent.broadcast)}`)
      heard(from, round, sent.broadcast)
    }
    for (const [to, payload] of sent.direct) lines.push(`${round} ${from} ${to} ${digest(payload)}`)
    return sent
  }
  return { value: execute(both(tamper, listen)), lines }
}

const resultLine = ({ publicKey, secret, self }: KeyShare): string =>
  `share ${self} ${digest(concatBytes(...publicKey.commitments, ...publicKey.publicShares, uintBytes(publicKey.epoch, 4), secret))}`

/** Generation, a quarrelsome generation, refresh, resharing and recovery of one 2-of-3 key. */
export function keyTranscripts(scheme: Scheme, backend: DcrmBackend, hear: Hear = () => undefined): Readonly<Record<string, Transcript>> {
  const options = { scheme, backend, word: 'golden' }
  const members = [1, 2, 3]
  const generated = hearing(hear, 'dkg', members, seedOf('golden sid'))
  const dkg = recorded((tamper) => sharesOf(run({ ...options, tamper })), undefined, generated)
  const quarrel = both(
    direct(3, [1], (bytes) => flip(bytes)),
    silent(3, 4),
  )
  const extraction = recorded((tamper) => sharesOf(run({ ...options, tamper })), quarrel, generated)
  const bases = dkg.value
  const refresh = recorded(
    (tamper) => sharesOf(run({ ...options, word: 'golden refresh', bases, tamper })),
    undefined,
    hearing(hear, 'refresh', members, seedOf('golden refresh sid')),
  )
  const old = (bases.get(1) as KeyShare).publicKey
  const next = { ...old.descriptor, threshold: 3, members: [2, 4, 5, 6] }
  const dealers = [1, 2]
  const parties = [1, 2, 4, 5, 6]
  const reshare = recorded(
    (tamper) => {
      const share = (self: number) => (dealers.includes(self) ? (bases.get(self) as KeyShare) : null)
      const machine = (self: number) =>
        reshareMachine({ backend, self, seed: seedOf(`golden reshare ${self}`), old, share: share(self), dealers, next })
      return runLockstep(new Map(parties.map((self) => [self, machine(self)])), tamper).outcomes
    },
    undefined,
    hearing(hear, 'reshare', parties, seedOf('golden reshare sid')),
  )
  const recovery = recorded(
    (tamper) => {
      const machine = (self: number) =>
        recoveryMachine({
          backend,
          self,
          seed: seedOf(`golden recovery ${self}`),
          publicKey: old,
          share: self === 3 ? null : (bases.get(self) as KeyShare),
          helpers: [1, 2],
          lost: 3,
        })
      return runLockstep(new Map(members.map((self) => [self, machine(self)])), tamper).outcomes
    },
    undefined,
    hearing(hear, 'recover', members, seedOf('golden recovery sid')),
  )
  const reshared = [...reshare.value.values()].flatMap((outcome) =>
    outcome.kind === 'done' && outcome.result.share ? [outcome.result.share] : [],
  )
  return {
    dkg: [...dkg.lines, ...[...dkg.value.values()].map(resultLine)],
    extraction: [...extraction.lines, ...[...extraction.value.values()].map(resultLine)],
    refresh: [...refresh.lines, ...[...refresh.value.values()].map(resultLine)],
    reshare: [...reshare.lines, ...reshared.map(resultLine)],
    recovery: recovery.lines,
  }
}
