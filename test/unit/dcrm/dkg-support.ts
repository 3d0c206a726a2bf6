/** Runs of key generation in lockstep, with what a member may do wrong. @module */
import { expect } from 'vitest'
import { bytesToBigint } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { groupOfScheme } from '#shared/dcrm/descriptor.ts'
import type { DkgInput, DkgResult, DkgState } from '#shared/dcrm/dkg-state.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import type { Outcome, Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { lagrange, mod } from '#shared/dcrm/polynomial.ts'
import type { Fault, Outgoing, RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId, Scheme } from '#shared/dcrm/types.ts'
import type { Polynomials } from '#shared/dcrm/vss.ts'
import { encodeCommitments, encodePair, pairFor, pedersenCommitments } from '#shared/dcrm/vss.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

export type Run = ReadonlyMap<PartyId, Outcome<DkgResult>>
export type Options = Readonly<{
  scheme?: Scheme
  threshold?: number
  members?: readonly PartyId[]
  word?: string
  bases?: ReadonlyMap<PartyId, KeyShare>
  tamper?: Tamper
  backend?: DcrmBackend
  /** Members that deal and later show polynomials of the test's choice. */
  puppets?: ReadonlyMap<PartyId, Puppet>
}>
/** Polynomials dealt, and those shown afterwards where they differ. */
export type Puppet = Readonly<{ dealt: Polynomials; shown?: Polynomials }>

export const inputOf = (
  self: PartyId,
  { scheme = 'ed25519', threshold = 2, members = [1, 2, 3], word = 'run', bases, backend = nobleBackend }: Options,
): DkgInput => ({
  backend,
  descriptor: { chainId: 81920, requestId: seedOf('request'), scheme, threshold, members },
  self,
  sid: seedOf(`${word} sid`),
  seed: seedOf(`${word} ${self}`),
  base: bases?.get(self) ?? null,
})
export function run(options: Options = {}): Run {
  const machines = new Map<PartyId, RoundMachine<DkgState, DkgResult>>()
  for (const id of options.members ?? [1, 2, 3]) {
    const input = inputOf(id, options)
    const puppet = options.puppets?.get(id)
    machines.set(id, puppet === undefined ? dkgMachine(input) : puppetMachine(input, puppet))
  }
  return runLockstep(machines, options.tamper).outcomes
}
/** A machine that follows the protocol with other polynomials. */
function puppetMachine(input: DkgInput, { dealt, shown = dealt }: Puppet): RoundMachine<DkgState, DkgResult> {
  const machine = dkgMachine(input)
  const group = groupOfScheme(input.backend, input.descriptor.scheme)
  return {
    ...machine,
    start: () => {
      const step = machine.start()
      if (step.kind !== 'round') throw new Error('a run begins with a round')
      const state = { ...step.state, polynomials: shown, pairs: new Map([[input.self, pairFor(group, shown, input.self)]]) }
      const commitments = pedersenCommitments(group, dealt)
      const others = [...step.send.direct.keys()]
      const send = {
        broadcast: encodeCommitments(group, commitments, input.base !== null),
        direct: new Map(others.map((id) => [id, encodePair(pairFor(group, dealt, id))])),
      }
      return { ...step, state, send }
    },
  }
}
/** What a member of these runs draws by itself. */
export function polynomialsOf(id: PartyId, options: Options): Polynomials {
  const step = dkgMachine(inputOf(id, options)).start()
  if (step.kind !== 'round') throw new Error('a run begins with a round')
  return step.state.polynomials
}
export const resultsOf = (outcomes: Run): readonly DkgResult[] =>
  [...outcomes.values()].flatMap((outcome) => (outcome.kind === 'done' ? [outcome.result] : []))
export const sharesOf = (outcomes: Run): ReadonlyMap<PartyId, KeyShare> =>
  new Map(resultsOf(outcomes).map(({ share }) => [share.self, share]))
export const faultsAt = (outcomes: Run, id: PartyId): readonly string[] =>
  (outcomes.get(id)?.faults ?? []).map(({ accused, class: kind, code }: Fault) => `${accused} ${kind} ${code}`)
export const codeAt = (outcomes: Run, id: PartyId): string => {
  const outcome = outcomes.get(id)
  return outcome?.kind === 'aborted' ? outcome.code : 'done'
}

export const broadcast =
  (cheater: PartyId, inRound: number, change: (bytes: Uint8Array) => Uint8Array | null): Tamper =>
  (from, round, sent) =>
    from === cheater && round === inRound && sent.broadcast !== null ? { ...sent, broadcast: change(sent.broadcast) } : sent
export const direct =
  (cheater: PartyId, to: readonly PartyId[], change: (bytes: Uint8Array) => Uint8Array | null): Tamper =>
  (from, round, sent): Outgoing => {
    if (from !== cheater || round !== 1) return sent
    const kept = [...sent.direct].flatMap(([id, bytes]): [PartyId, Uint8Array][] => {
      const changed = to.includes(id) ? change(bytes) : bytes
      return changed === null ? [] : [[id, changed]]
    })
    return { ...sent, direct: new Map(kept) }
  }
export const both =
  (...tampers: readonly Tamper[]): Tamper =>
  (from, round, sent) =>
    tampers.reduce<Outgoing | null>((current, tamper) => (current === null ? null : tamper(from, round, current)), sent)
export const silent =
  (who: PartyId, since: number): Tamper =>
  (from, round, sent) =>
    from === who && round >= since ? null : sent
export const flip = (bytes: Uint8Array, at = bytes.length - 1): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))

/** The secret itself, as nobody may ever compute it. */
export const interpolated = (shares: ReadonlyMap<PartyId, KeyShare>, set: readonly PartyId[]): bigint => {
  const [first] = shares.values()
  const group = groupOfScheme(nobleBackend, first?.publicKey.descriptor.scheme ?? 'ecdsa')
  return set.reduce(
    (sum, id) => mod(sum + lagrange(set, id, group.order) * bytesToBigint(shares.get(id)?.secret ?? new Uint8Array(32)), group.order),
    0n,
  )
}
export function expectSound(outcomes: Run, threshold: number): ReadonlyMap<PartyId, KeyShare> {
  const shares = sharesOf(outcomes)
  const [first] = shares.values()
  const { publicKey } = first as KeyShare
  const group = groupOfScheme(nobleBackend, publicKey.descriptor.scheme)
  expect(new Set(resultsOf(outcomes).map(({ certificate }) => unhex(certificate))).size).toBe(1)
  const ids = [...shares.keys()]
  for (const set of [ids.slice(0, threshold), ids.slice(-threshold)])
    expect(unhex(group.encode(group.mulBase(interpolated(shares, set))))).toBe(unhex(publicKey.commitments[0] as Uint8Array))
  for (const [id, { secret }] of shares)
    expect(unhex(group.encode(group.mulBase(bytesToBigint(secret))))).toBe(
      unhex(publicKey.publicShares[publicKey.descriptor.members.indexOf(id)] as Uint8Array),
    )
  return shares
}
