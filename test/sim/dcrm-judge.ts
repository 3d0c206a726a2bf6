/**
 * What must hold after each session of a seeded run: nobody honest is named, nothing but what was ordered is signed, honest parties agree, every
 * session ends, and where nothing was lost a session without result has a culprit whom somebody names. @module
 */
import { bytesToBigint, bytesToHex, equalBytes } from '#shared/bytes.ts'
import type { DkgResult } from '#shared/dcrm/dkg-state.ts'
import { groupOfScheme } from '#shared/dcrm/descriptor.ts'
import { aggregateSignature, decodePartial } from '#shared/dcrm/ecdsa-sign.ts'
import { consume } from '#shared/dcrm/consumption.ts'
import type { PairSetupResult } from '#shared/dcrm/pair-setup.ts'
import { interpolate } from '#shared/dcrm/polynomial.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { ReshareResult } from '#shared/dcrm/reshare.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { verifySignature } from '#shared/dcrm/verify.ts'
import type { Place } from '#test/sim/dcrm-stage.ts'
import { backend, signingKey, tupleOf, used } from '#test/sim/dcrm-stage.ts'
import type { PartyEnd } from '#test/sim/dcrm-world.ts'

/** How a session ended: with a result, or with the strongest thing that honest parties said about the culprit. */
export type Outcome = 'finished' | 'named' | 'disputed' | 'absent' | 'unnamed'
export type Verdict = Readonly<{ outcome: Outcome; violations: readonly string[] }>

export type Ends = ReadonlyMap<PartyId, PartyEnd<unknown>>
export type Case = Readonly<{
  place: Place
  ends: Ends
  /** Who cheats in this session. */
  cheater: PartyId | null
  /** Whether silence is all its cheating amounts to for others. */
  isSilence: boolean
  /** Who died in it. */
  killed: PartyId | null
  isLossless: boolean
}>
type Results = ReadonlyMap<PartyId, unknown>

const isSigning = ({ protocol }: Place): boolean => protocol === 'frost' || protocol === 'ecdsa'

/** Judges one session. */
export function judge(at: Case): Verdict {
  const honest = new Map([...at.ends].filter(([id]) => id !== at.cheater))
  const live = [...honest].filter(([id]) => id !== at.killed)
  const results = new Map([...honest].flatMap(([id, { order, result }]) => (order.includes('done') ? [[id, result] as const] : [])))
  const unsound = unsoundness(at, results)
  const isFinished = live.every(([id]) => results.has(id))
  // A signature is a result whoever has it; blame has only one result, which is a name.
  const isServed = at.place.protocol !== 'blame' && (isFinished || (isSigning(at.place) && results.size > 0))
  const violations = [
    ...[...honest].flatMap(([id, end]) => framed(id, end, at.cheater)),
    ...(at.isLossless ? recordedAbsent(at, new Map(live)) : []),
    ...live.flatMap(([id, { code }]) => (code === null && !results.has(id) ? [`${id} never ends`] : [])),
    ...(unsound === null ? [] : [unsound]),
    ...(at.isLossless && !isServed ? unexplained(at, honest) : []),
    ...(at.isLossless && at.cheater === null && at.killed === null && !isFinished
      ? ['nobody cheated, nothing was lost, and it did not finish']
      : []),
  ]
  return { outcome: isServed ? 'finished' : saidOf([...honest.values()], at.cheater ?? at.killed), violations }
}

/** Honest parties that are proven guilty or shut out, proofs that prove nothing, and code that throws. */
function framed(id: PartyId, { faults, disputes, unproven, thrown }: PartyEnd<unknown>, cheater: PartyId | null): readonly string[] {
  return [
    ...faults
      .filter(({ accused, class: kind }) => kind !== 'absent' && accused !== cheater)
      .map(({ accused, code }) => `${id} names honest ${accused} for ${code}`),
    ...disputes.filter((accused) => accused !== cheater).map((accused) => `${id} disputes honest ${accused}`),
    ...unproven.map((code) => `${id} proves ${code} to nobody`),
    ...(thrown === null ? [] : [`${id} threw ${thrown}`]),
  ]
}

/**
 * Honest parties that the words of honest ones suffice to record as absent: so many must tell of an absence before the chain counts it. Fewer words
 * are no blame, as a cheater can keep its messages from one party and so make it late. The cheater's own word, which the chain would count, is left
 * out: what it does to an honest party that way is a stated weakness (docs/threat-model.md) and no finding. An opening settles nothing yet: a party that tells it to some
 * only, or dies over it, parts the others before there is a session, and it is true that whoever is in another or in none is absent from this one.
 */
function recordedAbsent({ place }: Case, live: Ends): readonly string[] {
  const { threshold } = place.committee
  const witnesses = isSigning(place) || place.protocol === 'blame' ? threshold - 1 : threshold
  return [...live].flatMap(([accused, { sid }]) => {
    const by = [...live].flatMap(([id, end]) => (id !== accused && end.sid === sid && end.absent.includes(accused) ? [id] : []))
    return by.length >= witnesses ? [`nothing was lost, and ${by.join(' and ')} make honest ${accused} absent`] : []
  })
}

/** The strongest thing said about a party. */
export function saidOf(ends: readonly PartyEnd<unknown>[], culprit: PartyId | null): Outcome {
  const faults = ends.flatMap((end) => end.faults).filter(({ accused }) => accused === culprit)
  if (faults.some(({ class: kind }) => kind === 'proof')) return 'named'
  if (faults.some(({ class: kind }) => kind === 'dispute')) return 'disputed'
  return faults.length > 0 || ends.some(({ absent }) => culprit !== null && absent.includes(culprit)) ? 'absent' : 'unnamed'
}

/** Where nothing was lost, whoever broke a session is proven or disputed, or absent when it was silent. */
function unexplained({ cheater, killed, isSilence, ends, place }: Case, honest: Ends): readonly string[] {
  const culprit = cheater ?? killed
  if (culprit === null) return []
  const said = saidOf([...honest.values()], culprit)
  // A wrong partial shows in no message of its own: the blame protocol finds it.
  const needsBlame = place.protocol === 'ecdsa' && [...honest.values()].some(({ code }) => code === 'BAD_PARTIAL')
  if (said === 'named' || said === 'disputed' || needsBlame) return []
  const mayBeSilent = isSilence || culprit === killed || isStoppedByItself(culprit, ends, honest)
  return said === 'absent' && mayBeSilent ? [] : [`nothing was lost, it did not finish, and ${culprit} is ${said}`]
}

/**
 * A cheater whose own machine gives up over its lie, before anybody has anything to object to, is silent from then on. It is seen by what no honest
 * machine does: it throws, or it holds an honest party guilty. It must have stopped before the others did, lest a lie that they called silence pass.
 */
function isStoppedByItself(culprit: PartyId, ends: Ends, honest: Ends): boolean {
  const { thrown = null, faults = [], endedAtMs = null } = ends.get(culprit) ?? {}
  const isAstray = thrown !== null || faults.some(({ class: kind }) => kind !== 'absent')
  return isAstray && endedAtMs !== null && [...honest.values()].every((end) => end.endedAtMs === null || end.endedAtMs > endedAtMs)
}

/** Why results are not what was ordered, or null. */
function unsoundness(at: Case, results: Results): string | null {
  const { place } = at
  const isFitting = {
    frost: () => isSignedBy('taproot', signingKey(place), place, results),
    ecdsa: () => isSignedBy('ecdsa', used(place, place.set[0] ?? 0).context.childKey, place, results),
    dkg: () => areShares(null, sharesOf(results as ReadonlyMap<PartyId, DkgResult>)),
    refresh: () => areShares(place.committee.encodedKey('taproot'), sharesOf(results as ReadonlyMap<PartyId, DkgResult>)),
    reshare: () => areShares(place.committee.encodedKey('taproot'), sharesOf(results as ReadonlyMap<PartyId, ReshareResult>)),
    recover: () => isRecovered(place, results as ReadonlyMap<PartyId, KeyShare | null>),
    setup: () => arePaired(results as ReadonlyMap<PartyId, PairSetupResult>),
    presign: () => arePresigned(place, results as ReadonlyMap<PartyId, readonly Presignature[]>),
    blame: () =>
      [...results.values()].every((named) =>
        (named as readonly PartyId[]).every((id) => id === at.cheater || id === at.killed || !at.isLossless),
      ),
  }[place.protocol]
  return isFitting() ? null : `${place.protocol} ended with something else than was ordered`
}

const isSignedBy = (scheme: 'taproot' | 'ecdsa', key: Uint8Array, { message }: Place, results: Results): boolean =>
  [...results.values()].every((signature) => verifySignature(backend, scheme, key, message, signature as Uint8Array))

const sharesOf = (results: ReadonlyMap<PartyId, Readonly<{ share: KeyShare | null }>>): readonly KeyShare[] =>
  [...results.values()].flatMap(({ share }) => share ?? [])

/** Of one key, which is the old one where there was one; each fits its image, and t of them make the key. */
function areShares(old: Uint8Array | null, shares: readonly KeyShare[]): boolean {
  const [first] = shares
  if (first === undefined) return true
  const { descriptor, commitments, publicShares } = first.publicKey
  const key = commitments[0] ?? new Uint8Array(0)
  const group = groupOfScheme(backend, descriptor.scheme)
  const isSame = shares.every(({ publicKey }) =>
    publicKey.commitments.every((point, index) => equalBytes(point, commitments[index] ?? key)),
  )
  const isFit = shares.every(({ self, secret }) =>
    equalBytes(group.encode(group.mulBase(bytesToBigint(secret))), publicShares[descriptor.members.indexOf(self)] ?? key),
  )
  const points = shares.slice(0, descriptor.threshold).map(({ self, secret }): [PartyId, bigint] => [self, bytesToBigint(secret)])
  const [constant = 0n] = points.length < descriptor.threshold ? [] : interpolate(points, group.order)
  const isWhole = points.length < descriptor.threshold || equalBytes(group.encode(group.mulBase(constant)), key)
  return isSame && isFit && isWhole && (old === null || equalBytes(old, key))
}

const isRecovered = ({ committee }: Place, results: ReadonlyMap<PartyId, KeyShare | null>): boolean =>
  [...results].every(([id, share]) => share === null || equalBytes(share.secret, committee.share('taproot', id).secret))

/** Both ends of a pair hold halves of the same transfers and the same secret. */
function arePaired(results: ReadonlyMap<PartyId, PairSetupResult>): boolean {
  return [...results].every(([self, pairs]) =>
    [...pairs].every(([peer, { asSender, zero }]) => {
      const theirs = results.get(peer)?.get(self)
      if (theirs === undefined) return true
      const { keys0, keys1 } = theirs.asReceiver
      const chosen = asSender.keys.map((_, at) => {
        const column = at >> 5
        const bit = ((asSender.delta[column >> 3] ?? 0) >> (column & 7)) & 1
        return (bit === 1 ? keys1 : keys0)[at] ?? 0
      })
      return equalBytes(chosen, asSender.keys) && equalBytes(zero, theirs.zero)
    }),
  )
}

/** The same at all, and where all are there it signs. */
function arePresigned(place: Place, results: ReadonlyMap<PartyId, readonly Presignature[]>): boolean {
  const made = [...results.values()].flatMap(([first]) => first ?? [])
  if (new Set(made.map(({ certificate }) => bytesToHex(certificate))).size > 1) return false
  if (made.length < place.set.length) return true
  const uses = made.map((presignature) => consume(backend, place.committee.encodedKey('ecdsa'), presignature, tupleOf(place)))
  const partials = uses.flatMap((use) =>
    typeof use === 'string' ? [] : (decodePartial(backend.secp256k1.order, use.record.partial) ?? []),
  )
  const [use] = uses
  return use !== undefined && typeof use !== 'string' && aggregateSignature(backend, use.context, place.message, partials) !== null
}
