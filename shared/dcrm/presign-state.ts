/** What the rounds of presigning share: input, state, faults. Source: docs/dcrm.md, presigning. @module */
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Point, Scalar } from '#shared/dcrm/backend.ts'
import { without } from '#shared/dcrm/dkg-state.ts'
import { hashItems, hashToScalar } from '#shared/dcrm/hash.ts'
import type { PairSetupResult, PairState } from '#shared/dcrm/pair-setup.ts'
import { lagrange, mod } from '#shared/dcrm/polynomial.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { presignatureId } from '#shared/dcrm/presignature.ts'
import type { Fault, Inbox, RoundSpec, Step } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import type { VoleContext, VoleReceiver } from '#shared/dcrm/vole.ts'
import { invariant, known } from '#shared/fault.ts'

export const PRESIGN_ROUND = { commit: 1, extend: 2, multiply: 3, reveal: 4, agree: 5, trace: 6 } as const
/** Most presignatures of one session: bounds its messages to 160 kB. */
export const MAX_BATCH = 4

export type PresignInput = Readonly<{
  backend: DcrmBackend
  share: KeyShare
  pairs: PairSetupResult
  /** Exactly t members, ascending. */
  set: readonly PartyId[]
  /** Presignatures to make, 1 … `MAX_BATCH`. */
  count: number
  sid: Uint8Array
  /** 32 fresh secret bytes. */
  seed: Uint8Array
}>

/** The secret half of one presignature in the making. */
export type Draft = Readonly<{
  psid: Uint8Array
  r: Scalar
  phi: Scalar
  secret: Scalar
  salt: Uint8Array
  nonce: Point
  key: Point
}>

/** One peer's side of one draft. */
export type Exchange = Readonly<{
  receiver: VoleReceiver
  /** χ_ij. */
  chi: Scalar
  /** cᵘ, cᵛ once this party has sent. */
  given: readonly [Scalar, Scalar] | null
  /** eᵘ, eᵛ once this party has received. */
  taken: readonly [Scalar, Scalar] | null
}>

/** A presignature that its signers have not yet confirmed to each other. */
export type Unbound = Omit<Presignature, 'bonds'>

/** A draft whose keys do not sum to the group key. */
export type Broken = Readonly<{ draft: Draft; /** pk_j of all signers. */ keys: ReadonlyMap<PartyId, Point> }>

export type PresignState = Readonly<{
  round: (typeof PRESIGN_ROUND)[keyof typeof PRESIGN_ROUND]
  drafts: readonly Draft[]
  commitments: ReadonlyMap<PartyId, Uint8Array>
  /** By peer, one per draft. */
  exchanges: ReadonlyMap<PartyId, readonly Exchange[]>
  /** What was said in the reveal round, by peer. */
  sent: ReadonlyMap<PartyId, Uint8Array>
  /** What this party would keep, once all drafts have stood every check. */
  ready: readonly Unbound[] | null
  /** What is traced. */
  broken: Broken | null
}>

export type PresignStep = Step<PresignState, readonly Presignature[]>
export type PresignRun = Readonly<{ input: PresignInput; self: PartyId; peers: readonly PartyId[] }>

/** Checks the input. */
export function presignRunOf(input: PresignInput): PresignRun {
  const { share, set, count, pairs } = input
  const { scheme, threshold, members } = share.publicKey.descriptor
  invariant(scheme === 'ecdsa', 'presignatures are for ECDSA')
  invariant(set.length === threshold && set.every((id) => members.includes(id)), 'a signing set has exactly t members of the key')
  invariant(set.includes(share.self), 'only members of the set presign')
  invariant(Number.isInteger(count) && count >= 1 && count <= MAX_BATCH, 'a batch has a bounded size')
  const peers = without(set, [share.self])
  invariant(
    peers.every((peer) => pairs.has(peer)),
    'every pair of the set is set up',
  )
  return { input, self: share.self, peers }
}

/** The pair state of a peer. */
export function pairOf({ input }: PresignRun, peer: PartyId): PairState {
  return known(input.pairs.get(peer), 'every pair of the set is set up')
}

/** What a signer said about draft `index` in a message that has `size` bytes per draft. */
export function partOf(messages: ReadonlyMap<PartyId, Uint8Array>, from: PartyId, index: number, size: number): Uint8Array {
  return known(messages.get(from), 'absence is looked at first').slice(index * size, (index + 1) * size)
}

/** This party's side of draft `index` with a peer. */
export function exchangeOf(state: PresignState, peer: PartyId, index: number): Exchange {
  return known(known(state.exchanges.get(peer), 'every peer has exchanges')[index], 'one per draft')
}

/** Names a VOLE by presignature and direction. */
export function voleContext({ input }: PresignRun, psid: Uint8Array, sender: PartyId, receiver: PartyId): VoleContext {
  const { backend, share } = input
  const { keyId, epoch } = share.publicKey
  return { backend, keyId, epoch, sender, receiver, name: hashItems(backend, 'presig/vole', psid, sender, receiver) }
}

/** H2S("zeta", z_ij, psid): the pair's part of a sharing of zero, the same at both. */
export function zetaPart(run: PresignRun, psid: Uint8Array, peer: PartyId): Scalar {
  const { backend } = run.input
  return hashToScalar(backend, backend.secp256k1, 'presig/zeta', pairOf(run, peer).zero, psid)
}

/** ζ_i = Σ sgn(j − i)·ζ_ij over the parts ζ_ij of i by j. Over all signers these sum to 0. Not reduced. */
export function zetaOf(self: PartyId, parts: Iterable<readonly [PartyId, Scalar]>): bigint {
  return [...parts].reduce((sum, [other, part]) => sum + (other > self ? part : -part), 0n)
}

/** sk_i = λ_i·x_i + ζ_i. */
export function additiveSecret(run: PresignRun, psid: Uint8Array): Scalar {
  const { input, self, peers } = run
  const { order } = input.backend.secp256k1
  const weighted = lagrange(input.set, self, order) * bytesToBigint(input.share.secret)
  const parts = peers.map((peer) => [peer, zetaPart(run, psid, peer)] as const)
  return mod(weighted + zetaOf(self, parts), order)
}

/** com_i = H("com", psid, i, R_i, pk_i, salt_i). */
export function commitmentOf(
  backend: DcrmBackend,
  psid: Uint8Array,
  id: PartyId,
  nonce: Uint8Array,
  key: Uint8Array,
  salt: Uint8Array,
): Uint8Array {
  return hashItems(backend, 'presig/com', psid, id, nonce, key, salt)
}

/** psid of a draft. */
export function draftId({ input }: PresignRun, index: number): Uint8Array {
  return presignatureId(input.backend, input.share.publicKey, input.set, input.sid, index)
}

/** Next round: broadcasts of all signers, or one direct message of each peer. */
export function presignRound(
  run: PresignRun,
  state: PresignState,
  name: string,
  size: number,
  send: Readonly<{ broadcast: readonly Uint8Array[] } | { direct: ReadonlyMap<PartyId, readonly Uint8Array[]> }>,
): PresignStep {
  const isBroadcast = 'broadcast' in send
  const { input, peers } = run
  const spec: RoundSpec = {
    round: state.round,
    name,
    broadcastFrom: isBroadcast ? input.set : [],
    broadcastSize: isBroadcast ? size : 0,
    directFrom: isBroadcast ? [] : peers,
    directSize: isBroadcast ? 0 : size,
    isEchoed: isBroadcast,
  }
  const outgoing = isBroadcast
    ? { broadcast: concatBytes(...send.broadcast), direct: new Map<PartyId, Uint8Array>() }
    : { broadcast: null, direct: new Map([...send.direct].map(([peer, parts]) => [peer, concatBytes(...parts)])) }
  return { kind: 'round', state, spec, send: outgoing, faults: [] }
}

/** A run that ends here, with its faults. */
export function presignAbort(code: string, faults: readonly Fault[]): PresignStep {
  return { kind: 'aborted', code, faults }
}

/** Faults for those whose message is missing, a lost own broadcast among them, or null when all are there. */
export function absentFaults(run: PresignRun, inbox: Inbox, round: number, isBroadcast: boolean): readonly Fault[] | null {
  const [awaited, arrived] = isBroadcast ? [run.input.set, inbox.broadcasts] : [run.peers, inbox.directs]
  const faults = without(awaited, [...arrived.keys()]).map((accused): Fault => ({
    accused,
    class: 'absent',
    code: 'SIGNER_ABSENT',
    evidence: [{ round, from: accused, to: isBroadcast ? null : run.self }],
  }))
  return faults.length === 0 ? null : faults
}

/** An accusation over one direct message to this party. */
export function directFault(run: PresignRun, accused: PartyId, kind: 'proof' | 'dispute', code: string, round: number): Fault {
  return { accused, class: kind, code, evidence: [{ round, from: accused, to: run.self }] }
}
