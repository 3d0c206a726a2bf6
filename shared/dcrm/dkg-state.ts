/** What the rounds of key generation share: input, state between rounds, faults. Source: docs/dcrm.md, key generation. @module */
import { equalBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Point } from '#shared/dcrm/backend.ts'
import type { DkgMode } from '#shared/dcrm/descriptor.ts'
import { dkgModeOf, descriptorFault, groupOfScheme } from '#shared/dcrm/descriptor.ts'
import type { Drbg } from '#shared/dcrm/drbg.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { descriptorHash } from '#shared/dcrm/ids.ts'
import type { Fault, FaultClass, Inbox, MessageRef, Outgoing, PayloadSize, RoundSpec, Step } from '#shared/dcrm/round.ts'
import type { KeyDescriptor, KeyShare, PartyId } from '#shared/dcrm/types.ts'
import type { Pair, Polynomials } from '#shared/dcrm/vss.ts'
import { isPairValid } from '#shared/dcrm/vss.ts'
import { invariant } from '#shared/fault.ts'

/** Rounds on the wire, with the names of docs/dcrm.md. */
export const DKG_ROUND = { deal: 1, complain: 2, answer: 3, open: 4, object: 5, extract: 6, confirm: 7 } as const

export type DkgInput = Readonly<{
  backend: DcrmBackend
  descriptor: KeyDescriptor
  self: PartyId
  /** Session id, 32 bytes. */
  sid: Uint8Array
  /** 32 fresh secret bytes. */
  seed: Uint8Array
  /** Set for a refresh: the shares change, the key does not. */
  base: KeyShare | null
}>

export type DkgResult = Readonly<{
  share: KeyShare
  /** What every member confirms on chain: `keyCertificate`. */
  certificate: Uint8Array
  /** Members that confirmed in the session, this one among them. */
  confirmed: readonly PartyId[]
}>

/** Fixed for one party throughout a run. */
export type DkgRun = Readonly<{
  input: DkgInput
  group: Group
  threshold: number
  members: readonly PartyId[]
  mode: DkgMode
  isZero: boolean
}>

/** One member accuses a dealer. */
export type Complaint = Readonly<{ by: PartyId; dealer: PartyId }>

/** Grows from round to round; what a round does not know yet is empty. */
export type DkgState = Readonly<{
  round: (typeof DKG_ROUND)[keyof typeof DKG_ROUND]
  polynomials: Polynomials
  /** Members that sent everything they had to so far. */
  alive: readonly PartyId[]
  /** Pedersen commitments of each dealer that sent well-formed ones. */
  commitments: ReadonlyMap<PartyId, readonly Point[]>
  /** Pairs this party holds, by dealer, each valid by (5); those of QUAL alone once it is fixed, in its order. */
  pairs: ReadonlyMap<PartyId, Pair>
  /** Dealers whose pair arrived and was wrong: no relay can do that. */
  wronged: readonly PartyId[]
  complaints: readonly Complaint[]
  qualified: readonly PartyId[]
  /** Feldman commitments of each qualified dealer. */
  images: ReadonlyMap<PartyId, readonly Point[]>
  /** Qualified dealers whose polynomial the others have to reconstruct. */
  exposed: readonly PartyId[]
}>

export type DkgStep = Step<DkgState, DkgResult>

/** Checks the input and fixes what follows from it. */
export function dkgRunOf(input: DkgInput): DkgRun {
  const { descriptor, backend, base } = input
  invariant(descriptorFault(descriptor) === null, 'a descriptor is checked before a session is opened for it')
  invariant(descriptor.members.includes(input.self), 'only members generate a key')
  invariant(base === null || isShareOf(input, base), 'a refresh begins with the own share of the same key')
  const { threshold, members } = descriptor
  const group = groupOfScheme(backend, descriptor.scheme)
  return { input, group, threshold, members, mode: dkgModeOf(descriptor), isZero: base !== null }
}

function isShareOf({ backend, descriptor, self }: DkgInput, base: KeyShare): boolean {
  const hash = descriptorHash(backend, descriptor)
  return base.self === self && equalBytes(descriptorHash(backend, base.publicKey.descriptor), hash)
}

/** A generator for one use inside a run. */
export function dkgDrbg({ input }: DkgRun, use: string): Drbg {
  return createDrbg(input.backend, input.seed, `dkg/${use}`)
}

/** Names of the rounds, by number. */
const ROUND_NAMES = ['', 'deal', 'complain', 'answer', 'open', 'object', 'extract', 'confirm'] as const

/** An accusation that rests on broadcasts: the accused's own unless `others` says whose. */
export function dkgFault(
  accused: PartyId,
  kind: FaultClass,
  code: string,
  rounds: readonly number[],
  others: readonly MessageRef[] = [],
): Fault {
  const own = rounds.map((round): MessageRef => ({ round, from: accused, to: null }))
  return { accused, class: kind, code, evidence: [...own, ...others] }
}

/** The next round, in which broadcasts of `from` are awaited and agreed on. */
export function dkgRound(
  state: DkgState,
  from: readonly PartyId[],
  broadcastSize: PayloadSize,
  broadcast: Uint8Array | null,
  faults: readonly Fault[],
  direct: Pick<RoundSpec, 'directFrom' | 'directSize'> & Pick<Outgoing, 'direct'> = { directFrom: [], directSize: 0, direct: new Map() },
): DkgStep {
  const { round } = state
  const spec: RoundSpec = {
    round,
    name: ROUND_NAMES[round],
    broadcastFrom: from,
    broadcastSize,
    directFrom: direct.directFrom,
    directSize: direct.directSize,
    isEchoed: round !== DKG_ROUND.confirm,
  }
  return { kind: 'round', state, spec, send: { broadcast, direct: direct.direct }, faults }
}

/** Ends a run without a key. */
export function dkgAbort(code: string, faults: readonly Fault[]): DkgStep {
  return { kind: 'aborted', code, faults }
}

/** What the awaited senders of a round said: decoded values, who said nothing, and faults for silence and for malformed payloads. */
export type Heard<T> = Readonly<{ values: ReadonlyMap<PartyId, T>; silent: readonly PartyId[]; faults: readonly Fault[] }>

/**
 * Decodes the broadcasts of a round. `decode` gives null for a payload that its signed sender should not have sent; where that depends on
 * other messages, `others` names them for whoever judges it later.
 */
export function hear<T>(
  inbox: Inbox,
  from: readonly PartyId[],
  round: number,
  code: string,
  decode: (payload: Uint8Array, id: PartyId) => T | null,
  others?: (id: PartyId) => readonly MessageRef[],
): Heard<T> {
  const values = new Map<PartyId, T>()
  const faults: Fault[] = []
  for (const id of from) {
    const payload = inbox.broadcasts.get(id)
    const value = payload === undefined ? null : decode(payload, id)
    if (value !== null) values.set(id, value)
    else if (payload === undefined) faults.push(dkgFault(id, 'absent', 'MEMBER_ABSENT', [round]))
    else faults.push(dkgFault(id, 'proof', code, [round], others?.(id)))
  }
  return { values, silent: from.filter((id) => !inbox.broadcasts.has(id)), faults }
}

/** Whether a pair is what `dealer` committed to give `by`: (5). Nobody committed to anything counts as no. */
export function isDealtPair({ group }: DkgRun, { commitments }: DkgState, dealer: PartyId, by: PartyId, pair: Pair): boolean {
  const vector = commitments.get(dealer)
  return vector !== undefined && isPairValid(group, vector, by, pair)
}

/** The broadcasts of a round by these senders, as evidence. */
export function refsOf(round: number, from: readonly PartyId[]): readonly MessageRef[] {
  return from.map((id) => ({ round, from: id, to: null }))
}

/** `ids` without those in `gone`. */
export function without(ids: readonly PartyId[], gone: readonly PartyId[]): readonly PartyId[] {
  return ids.filter((id) => !gone.includes(id))
}
