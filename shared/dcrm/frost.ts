/**
 * FROST signing of one message by a set of exactly t members, as a round machine: commitments (echoed, because a signer that sees another list
 * would look like a cheater), then shares. Every signer aggregates; a wrong share names its sender. Nonces live in the state only.
 * Source: RFC 9591; docs/dcrm.md, FROST.
 * @module
 */
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Scalar } from '#shared/dcrm/backend.ts'
import { decodePayload, decodeScalar, scalarBytes, storedPoint } from '#shared/dcrm/codec.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import type { FrostCommitment, FrostContext, FrostNonces } from '#shared/dcrm/frost-math.ts'
import { frostAggregate, frostContext, frostNonce, frostShare, isFrostShareValid } from '#shared/dcrm/frost-math.ts'
import type { FrostSuite } from '#shared/dcrm/frost-suite.ts'
import { frostSuite } from '#shared/dcrm/frost-suite.ts'
import type { Fault, Inbox, MessageRef, RoundMachine, RoundSpec, Step } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { verifySignature } from '#shared/dcrm/verify.ts'
import { invariant } from '#shared/fault.ts'

/** Round numbers on the wire. */
const COMMIT_ROUND = 1
const SHARE_ROUND = 2

export type FrostInput = Readonly<{
  backend: DcrmBackend
  /** Share of the signing (child) key, see `childShare`. */
  share: KeyShare
  /** Exactly `threshold` members, ascending. */
  set: readonly PartyId[]
  /** Message to sign, 32 bytes. */
  message: Uint8Array
  /** The signing key the result must verify under, see `childKey`. */
  signingKey: Uint8Array
  /** 32 fresh secret bytes. */
  seed: Uint8Array
}>

type Committed = Readonly<{ nonces: FrostNonces; own: FrostCommitment }>
type Shared = Readonly<{ context: FrostContext; commitments: readonly FrostCommitment[]; own: Scalar }>
export type FrostState = Committed | Shared

type FrostStep = Step<FrostState, Uint8Array>

const fault = (accused: PartyId, code: string, ...rounds: readonly number[]): Fault => ({
  accused,
  class: 'proof',
  code,
  evidence: rounds.map((round): MessageRef => ({ round, from: accused, to: null })),
})
const silent = (accused: PartyId, round: number): Fault => ({
  accused,
  class: 'absent',
  code: 'SIGNER_ABSENT',
  evidence: [{ round, from: accused, to: null }],
})

const commitmentBytes = (group: Group, { hiding, binding }: FrostCommitment): Uint8Array =>
  concatBytes(...group.encodeAll([hiding, binding]))

/** Values of all signers in the order of the set, or the faults of those whose message is missing or malformed. */
function collect<T>(
  set: readonly PartyId[],
  inbox: Inbox,
  round: number,
  code: string,
  decode: (payload: Uint8Array, id: PartyId) => T | null,
): Readonly<{ values: readonly T[]; faults: readonly Fault[] }> {
  const values: T[] = []
  const faults: Fault[] = []
  for (const id of set) {
    const payload = inbox.broadcasts.get(id)
    const value = payload === undefined ? null : decode(payload, id)
    if (value !== null) values.push(value)
    else faults.push(payload === undefined ? silent(id, round) : fault(id, code, round))
  }
  return { values, faults }
}

/** What one signer knows throughout. */
type Signer = Readonly<{ input: FrostInput; suite: FrostSuite; secret: Scalar; members: readonly PartyId[] }>

function signerOf(input: FrostInput): Signer {
  const { backend, share, set } = input
  const { scheme, threshold, members } = share.publicKey.descriptor
  invariant(scheme !== 'ecdsa', 'FROST signs for Schnorr schemes')
  invariant(set.length === threshold && set.every((id) => members.includes(id)), 'a signing set has exactly t members of the key')
  invariant(set.includes(share.self), 'only members of the set sign')
  return { input, suite: frostSuite(backend, scheme), secret: bytesToBigint(share.secret), members }
}

const specOf = (set: readonly PartyId[], round: number, name: string, size: number): RoundSpec => ({
  round,
  name,
  broadcastFrom: set,
  broadcastSize: size,
  directFrom: [],
  directSize: 0,
  isEchoed: round === COMMIT_ROUND,
})

function start({ input, suite, secret }: Signer): FrostStep {
  const { group } = suite
  const drbg = createDrbg(input.backend, input.seed, 'frost')
  const nonces = { hiding: frostNonce(suite, drbg.bytes(32), secret), binding: frostNonce(suite, drbg.bytes(32), secret) }
  const own = { id: input.share.self, hiding: group.mulBase(nonces.hiding), binding: group.mulBase(nonces.binding) }
  return {
    kind: 'round',
    state: { nonces, own },
    spec: specOf(input.set, COMMIT_ROUND, 'commit', 2 * group.pointBytes),
    send: { broadcast: commitmentBytes(group, own), direct: new Map() },
    faults: [],
  }
}

function takeCommitments(signer: Signer, state: Committed, inbox: Inbox): FrostStep {
  const { input, suite, secret } = signer
  const { group } = suite
  const { values, faults } = collect(input.set, inbox, COMMIT_ROUND, 'FROST_COMMITMENT_MALFORMED', (payload, id) =>
    id === input.share.self
      ? state.own
      : decodePayload(payload, (reader): FrostCommitment => ({ id, hiding: reader.point(group), binding: reader.point(group) })),
  )
  if (faults.length > 0) return { kind: 'aborted', code: 'COMMITMENTS_INCOMPLETE', faults }
  const context = frostContext(suite, storedPoint(group, input.share.publicKey.commitments[0]), input.message, values)
  if (context === null) return { kind: 'aborted', code: 'NONCE_IDENTITY', faults: [] }
  const own = frostShare(suite, context, input.share.self, secret, state.nonces)
  return {
    kind: 'round',
    state: { context, commitments: values, own },
    spec: specOf(input.set, SHARE_ROUND, 'share', 32),
    send: { broadcast: scalarBytes(own), direct: new Map() },
    faults: [],
  }
}

function takeShares(signer: Signer, state: Shared, inbox: Inbox): FrostStep {
  const { input, suite } = signer
  const { values, faults } = collect(input.set, inbox, SHARE_ROUND, 'FROST_SHARE_MALFORMED', (payload, id) =>
    id === input.share.self ? state.own : decodeScalar(payload, suite.group.order),
  )
  if (faults.length > 0) return { kind: 'aborted', code: 'SHARES_INCOMPLETE', faults }
  const signature = frostAggregate(suite, state.context, values)
  const { backend, share, signingKey, message } = input
  if (verifySignature(backend, share.publicKey.descriptor.scheme, signingKey, message, signature))
    return { kind: 'done', result: signature, faults: [] }
  return { kind: 'aborted', code: 'SHARE_INVALID', faults: wrongShares(signer, state, values) }
}

function wrongShares(signer: Signer, state: Shared, responses: readonly Scalar[]): readonly Fault[] {
  const { input, suite, members } = signer
  return state.commitments.flatMap((commitment, index) => {
    const publicShare = storedPoint(suite.group, input.share.publicKey.publicShares[members.indexOf(commitment.id)])
    return isFrostShareValid(suite, state.context, commitment, publicShare, responses[index] ?? 0n)
      ? []
      : [fault(commitment.id, 'FROST_SHARE_INVALID', COMMIT_ROUND, SHARE_ROUND)]
  })
}

/** The signer `share.self`. Result: a signature that verifies, 64 bytes. */
export function frostMachine(input: FrostInput): RoundMachine<FrostState, Uint8Array> {
  const signer = signerOf(input)
  return {
    start: () => start(signer),
    next: (state, inbox) => ('nonces' in state ? takeCommitments(signer, state, inbox) : takeShares(signer, state, inbox)),
  }
}
