/**
 * Gives a member its lost share back: t helpers split their weighted shares among each other, so that the member gets sums that say nothing
 * about any helper's share. Rounds: split, hand over. Source: Herzberg et al. 1995 (share recovery); docs/dcrm.md, resharing and recovery.
 * @module
 */
import { bytesToBigint } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Point, Scalar } from '#shared/dcrm/backend.ts'
import { decodePayload, decodeScalar, pointsBytes, scalarBytes, storedPoint } from '#shared/dcrm/codec.ts'
import { groupOfScheme, idsFault } from '#shared/dcrm/descriptor.ts'
import { dkgFault, hear, without } from '#shared/dcrm/dkg-state.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { lagrange, mod } from '#shared/dcrm/polynomial.ts'
import type { Fault, Inbox, RoundMachine, RoundSpec, Step } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId, PublicKey } from '#shared/dcrm/types.ts'
import { invariant } from '#shared/fault.ts'

const ROUND = { split: 1, hand: 2 } as const

export type RecoveryInput = Readonly<{
  backend: DcrmBackend
  self: PartyId
  seed: Uint8Array
  publicKey: PublicKey
  /** The helper's share; null for the member that lost its own. */
  share: KeyShare | null
  /** Exactly t members, ascending, without the lost one. */
  helpers: readonly PartyId[]
  lost: PartyId
}>

export type RecoveryState = Readonly<{
  round: 1 | 2
  /** Parts this helper drew, by helper. */
  parts: ReadonlyMap<PartyId, Scalar>
  /** Images of the parts each helper drew, in the order of the helpers. */
  images: ReadonlyMap<PartyId, readonly Point[]>
}>

type Run = Readonly<{ input: RecoveryInput; group: Group }>
/** The share again for the member that lost it, null for helpers. */
type RecoveryStep = Step<RecoveryState, KeyShare | null>

const abort = (code: string, faults: readonly Fault[]): RecoveryStep => ({ kind: 'aborted', code, faults })

const specOf = (round: 1 | 2, name: string, spec: Partial<RoundSpec>): RoundSpec => ({
  round,
  name,
  broadcastFrom: [],
  broadcastSize: 0,
  directFrom: [],
  directSize: 32,
  isEchoed: round === ROUND.split,
  ...spec,
})

/** λ_i at the lost member's point. */
const weight = ({ input, group }: Run, helper: PartyId): Scalar => lagrange(input.helpers, helper, group.order, input.lost)

/** Random parts that sum to λ_i·x_i. */
function drawParts(run: Run, share: KeyShare): ReadonlyMap<PartyId, Scalar> {
  const { input, group } = run
  const drbg = createDrbg(input.backend, input.seed, 'recovery')
  const random = input.helpers.slice(1).map((id) => [id, drbg.scalar(group)] as const)
  const total = weight(run, input.self) * bytesToBigint(share.secret)
  const rest = random.reduce((left, [, part]) => left - part, total)
  return new Map([[input.helpers[0] ?? 0, mod(rest, group.order)], ...random])
}

function start(run: Run): RecoveryStep {
  const { input, group } = run
  const { helpers, self, share } = input
  const parts = share === null ? new Map<PartyId, Scalar>() : drawParts(run, share)
  const others = share === null ? [] : without(helpers, [self])
  const images = helpers.map((id) => group.mulBase(parts.get(id) ?? 0n))
  return {
    kind: 'round',
    state: { round: ROUND.split, parts, images: new Map() },
    spec: specOf(ROUND.split, 'split', { broadcastFrom: helpers, broadcastSize: helpers.length * group.pointBytes, directFrom: others }),
    send: {
      broadcast: share === null ? null : pointsBytes(group, images),
      direct: new Map(others.map((id) => [id, scalarBytes(parts.get(id) ?? 0n)])),
    },
    faults: [],
  }
}

function isSplitRight(run: Run, helper: PartyId, images: readonly Point[]): boolean {
  const { input, group } = run
  const { publicShares, descriptor } = input.publicKey
  const share = storedPoint(group, publicShares[descriptor.members.indexOf(helper)])
  const sum = images.reduce((total, image) => group.add(total, image), group.identity)
  return group.equals(sum, group.mulPublic(share, weight(run, helper)))
}

function takeParts(run: Run, state: RecoveryState, inbox: Inbox): RecoveryStep {
  const { input, group } = run
  const { helpers, self, share, lost } = input
  const heard = hear(inbox, helpers, ROUND.split, 'SPLIT_MALFORMED', (payload) =>
    decodePayload(payload, (reader) => reader.points(group, helpers.length)),
  )
  const wrong = [...heard.values].filter(([helper, images]) => !isSplitRight(run, helper, images))
  const faults = [...heard.faults, ...wrong.map(([helper]) => dkgFault(helper, 'proof', 'SPLIT_WRONG', [ROUND.split]))]
  if (faults.length > 0) return abort('HELPER_OUT', faults)
  const next: RecoveryState = { ...state, round: ROUND.hand, images: heard.values }
  if (share === null) {
    const spec = specOf(ROUND.hand, 'hand', { directFrom: helpers })
    return { kind: 'round', state: next, spec, send: { broadcast: null, direct: new Map() }, faults: [] }
  }
  let sum = state.parts.get(self) ?? 0n
  const liars: Fault[] = []
  for (const [helper, images] of heard.values) {
    if (helper === self) continue
    const part = heardScalar(run, inbox, helper, images[helpers.indexOf(self)] ?? group.identity)
    if (typeof part !== 'bigint') liars.push(privateFault(helper, part, 'PART_WRONG', ROUND.split, self))
    else sum = mod(sum + part, group.order)
  }
  if (liars.length > 0) return abort('HELPER_OUT', liars)
  const send = { broadcast: null, direct: new Map([[lost, scalarBytes(sum)]]) }
  return { kind: 'round', state: next, spec: specOf(ROUND.hand, 'hand', {}), send, faults: [] }
}

/** The scalar a helper sent to this party, when its image is the one all know. Silence may be the relay's doing and is no lie. */
function heardScalar({ group }: Run, inbox: Inbox, helper: PartyId, image: Point): Scalar | 'absent' | 'dispute' {
  const payload = inbox.directs.get(helper)
  if (payload === undefined) return 'absent'
  const scalar = decodeScalar(payload, group.order)
  return scalar !== null && group.equals(group.mulBase(scalar), image) ? scalar : 'dispute'
}

const privateFault = (accused: PartyId, kind: 'absent' | 'dispute', code: string, round: number, to: PartyId): Fault => ({
  accused,
  class: kind,
  code: kind === 'absent' ? 'MEMBER_ABSENT' : code,
  evidence: [{ round, from: accused, to }],
})

function takeSums(run: Run, state: RecoveryState, inbox: Inbox): RecoveryStep {
  const { input, group } = run
  const { helpers, self, share, publicKey, lost } = input
  if (share !== null) return { kind: 'done', result: null, faults: [] }
  let secret = 0n
  const liars: Fault[] = []
  for (const [index, helper] of helpers.entries()) {
    const expected = [...state.images.values()].reduce((sum, images) => group.add(sum, images[index] ?? group.identity), group.identity)
    const sum = heardScalar(run, inbox, helper, expected)
    if (typeof sum !== 'bigint') liars.push(privateFault(helper, sum, 'SUM_WRONG', ROUND.hand, self))
    else secret = mod(secret + sum, group.order)
  }
  if (liars.length > 0) return abort('HELPER_OUT', liars)
  const expected = storedPoint(group, publicKey.publicShares[publicKey.descriptor.members.indexOf(lost)])
  if (!group.equals(group.mulBase(secret), expected)) return abort('SHARE_UNFIT', [])
  return { kind: 'done', result: { publicKey, self, secret: scalarBytes(secret) }, faults: [] }
}

/** A helper, or the member that gets its share back. */
export function recoveryMachine(input: RecoveryInput): RoundMachine<RecoveryState, KeyShare | null> {
  const { publicKey, helpers, lost, self, share } = input
  const { threshold, members, scheme } = publicKey.descriptor
  invariant(idsFault(helpers) === null, 'helpers stand in ascending order')
  invariant(helpers.length === threshold && helpers.every((id) => members.includes(id)), 'exactly t members help')
  invariant(members.includes(lost) && !helpers.includes(lost), 'a member that is not a helper gets its share back')
  invariant(share === null ? self === lost : helpers.includes(self), 'helpers bring their share, the other has none')
  const run: Run = { input, group: groupOfScheme(input.backend, scheme) }
  return {
    start: () => start(run),
    next: (state, inbox) => (state.round === ROUND.split ? takeParts(run, state, inbox) : takeSums(run, state, inbox)),
  }
}
