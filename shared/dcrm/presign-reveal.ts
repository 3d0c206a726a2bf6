/**
 * The second half of presigning: nonces and keys are opened, products are checked in the exponent, and all confirm the same presignatures.
 * Source: DKLs23, protocol 3; docs/dcrm.md, presigning.
 * @module
 */
import { concatBytes, equalBytes } from '#shared/bytes.ts'
import type { Group, Point, Scalar, Term } from '#shared/dcrm/backend.ts'
import { decodePayload, scalarBytes } from '#shared/dcrm/codec.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { hashItems, idsBytes, listBytes } from '#shared/dcrm/hash.ts'
import { lagrange, mod } from '#shared/dcrm/polynomial.ts'
import type { Broken, Draft, PresignRun, PresignState, PresignStep, Unbound } from '#shared/dcrm/presign-state.ts'
import {
  PRESIGN_ROUND,
  absentFaults,
  commitmentOf,
  directFault,
  exchangeOf,
  partOf,
  presignAbort,
  presignRound,
  zetaOf,
  zetaPart,
} from '#shared/dcrm/presign-state.ts'
import { STATEMENT_BYTES, bondOf, pairsOf } from '#shared/dcrm/presignature.ts'
import type { Fault, Inbox } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { known } from '#shared/fault.ts'

/** A peer's statement about one draft. */
export type Statement = Readonly<{
  nonce: Point
  key: Point
  salt: Uint8Array
  /** Γᵘ, Γᵛ: images of its shares cᵘ, cᵛ. */
  gammas: readonly [Point, Point]
  psi: Scalar
}>

/** Reads a statement of 196 bytes; null for bytes of another form. */
export function decodeStatement(group: Group, payload: Uint8Array): Statement | null {
  return decodePayload(payload, (reader) => ({
    nonce: reader.point(group),
    key: reader.point(group),
    salt: reader.bytes(32),
    gammas: [reader.point(group), reader.point(group)] as const,
    psi: reader.scalar(group.order),
  }))
}

/** Opens the commitments and sends Γ and ψ to each peer. */
export function revealDrafts(run: PresignRun, state: PresignState): PresignStep {
  const { input, peers } = run
  const group = input.backend.secp256k1
  const direct = new Map<PartyId, Uint8Array[]>()
  for (const peer of peers)
    direct.set(
      peer,
      state.drafts.map(({ nonce, key, salt, phi }, index) => {
        const { given, chi } = exchangeOf(state, peer, index)
        const shares = known(given, 'products are sent first')
        const points = group.encodeAll([nonce, key, group.mulBase(shares[0]), group.mulBase(shares[1])])
        const [nonceBytes, keyBytes, ...gammas] = points as readonly [Uint8Array, Uint8Array, ...Uint8Array[]]
        return concatBytes(nonceBytes, keyBytes, salt, ...gammas, scalarBytes(mod(phi - chi, group.order)))
      }),
    )
  const sent = new Map([...direct].map(([peer, parts]) => [peer, concatBytes(...parts)]))
  return presignRound(run, { ...state, sent }, 'reveal', STATEMENT_BYTES * input.count, { direct })
}

/** Checks openings and products, then confirms; with keys that do not sum to X it traces who is wrong instead. */
export function takeReveals(run: PresignRun, state: PresignState, inbox: Inbox): PresignStep {
  const absent = absentFaults(run, inbox, PRESIGN_ROUND.reveal, false)
  if (absent !== null) return presignAbort('SIGNER_ABSENT', absent)
  const { input } = run
  const faults: Fault[] = []
  const ready: Unbound[] = []
  const keys: ReadonlyMap<PartyId, Point>[] = []
  for (const [index, draft] of state.drafts.entries()) {
    const { statements, faults: opened } = openStatements(run, state, draft, index, inbox)
    const wrong = opened.length === 0 ? productFaults(run, state, index, statements) : []
    faults.push(...opened, ...wrong)
    if (opened.length > 0 || wrong.length > 0) break
    keys.push(new Map([[run.self, draft.key], ...[...statements].map(([id, { key }]) => [id, key] as const)]))
    const presignature = assemble(run, state, draft, index, statements, inbox)
    if (presignature === null) return presignAbort('NONCE_IDENTITY', [])
    ready.push(presignature)
  }
  if (faults.length > 0) return presignAbort('PEER_CHEATED', faults)
  const drafts = state.drafts.map((draft, index) => ({ draft, keys: known(keys[index], 'every draft was opened') }))
  const broken = drafts.find((each) => !sumsToKey(run, each.keys))
  if (broken !== undefined) return trace(run, state, broken)
  const next: PresignState = { ...state, round: PRESIGN_ROUND.agree, ready }
  return presignRound(run, next, 'agree', agreementBytes(run) * input.count, { broadcast: ready.map((each) => agreementOf(run, each)) })
}

/** A certificate and one bond per peer. */
const agreementBytes = ({ peers }: PresignRun): number => 32 * (1 + peers.length)

function agreementOf({ input, self }: PresignRun, { psid, certificate, statements }: Unbound): Uint8Array {
  const bonds = statements.map(({ peer, sent, received }) => bondOf(input.backend, psid, [self, peer], sent, received))
  return concatBytes(certificate, ...bonds)
}

type Opened = Readonly<{ statements: ReadonlyMap<PartyId, Statement>; faults: readonly Fault[] }>

function openStatements(run: PresignRun, state: PresignState, { psid }: Draft, index: number, inbox: Inbox): Opened {
  const { input, peers } = run
  const group = input.backend.secp256k1
  const statements = new Map<PartyId, Statement>()
  const faults: Fault[] = []
  for (const peer of peers) {
    const statement = decodeStatement(group, partOf(inbox.directs, peer, index, STATEMENT_BYTES))
    const committed = partOf(state.commitments, peer, index, 32)
    if (statement === null) faults.push(directFault(run, peer, 'proof', 'REVEAL_MALFORMED', PRESIGN_ROUND.reveal))
    else if (
      !equalBytes(
        committed,
        commitmentOf(input.backend, psid, peer, group.encode(statement.nonce), group.encode(statement.key), statement.salt),
      )
    )
      faults.push({
        ...directFault(run, peer, 'proof', 'OPENING_WRONG', PRESIGN_ROUND.reveal),
        evidence: [
          { round: PRESIGN_ROUND.commit, from: peer, to: null },
          { round: PRESIGN_ROUND.reveal, from: peer, to: run.self },
        ],
      })
    else statements.set(peer, statement)
  }
  return { statements, faults }
}

const statementOf = (statements: ReadonlyMap<PartyId, Statement>, peer: PartyId): Statement =>
  known(statements.get(peer), 'openings are checked before products')

/**
 * χ·R_j = eᵘ·G + Γᵘ and χ·pk_j = eᵛ·G + Γᵛ for every peer, first all in one random combination. The full-size weights make every scalar that
 * meets variable time uniformly random.
 */
function productFaults(run: PresignRun, state: PresignState, index: number, statements: ReadonlyMap<PartyId, Statement>): readonly Fault[] {
  const { input, peers } = run
  const drbg = createDrbg(input.backend, input.seed, `presign/weights/${index}`)
  const isRight = (some: readonly PartyId[]): boolean => {
    const group = input.backend.secp256k1
    const terms: Term[] = []
    let constant = 0n
    for (const peer of some) {
      const { chi, taken } = exchangeOf(state, peer, index)
      const shares = known(taken, 'products are taken first')
      const statement = statementOf(statements, peer)
      for (const [side, base] of [statement.nonce, statement.key].entries()) {
        const weight = drbg.scalar(group)
        terms.push([base, mod(weight * chi, group.order)], [statement.gammas[side as 0 | 1], mod(-weight, group.order)])
        constant = mod(constant - weight * shares[side as 0 | 1], group.order)
      }
    }
    return group.isIdentity(group.sumPublic([[group.generator, constant], ...terms]))
  }
  if (isRight(peers)) return []
  return peers.filter((peer) => !isRight([peer])).map((peer) => directFault(run, peer, 'dispute', 'REVEAL_CHECK', PRESIGN_ROUND.reveal))
}

/** u_i, v_i, R and the digest all confirm; null when R is the identity. */
function assemble(
  run: PresignRun,
  state: PresignState,
  draft: Draft,
  index: number,
  statements: ReadonlyMap<PartyId, Statement>,
  inbox: Inbox,
): Unbound | null {
  const { input, self, peers } = run
  const { backend, set, share } = input
  const group = backend.secp256k1
  const { keyId, epoch } = share.publicKey
  let factor = draft.phi
  let [first, second] = [0n, 0n]
  let nonce = draft.nonce
  for (const peer of peers) {
    const exchange = exchangeOf(state, peer, index)
    const [given, taken] = [known(exchange.given, 'products are sent first'), known(exchange.taken, 'products are taken first')]
    const statement = statementOf(statements, peer)
    factor += statement.psi
    first += given[0] + taken[0]
    second += given[1] + taken[1]
    nonce = group.add(nonce, statement.nonce)
  }
  if (group.isIdentity(nonce)) return null
  const opened = set.flatMap((id) => {
    const { nonce: point, key } = id === self ? draft : statementOf(statements, id)
    return group.encodeAll([point, key])
  })
  return {
    psid: draft.psid,
    keyId,
    epoch,
    set,
    nonce: group.encode(nonce),
    phi: scalarBytes(draft.phi),
    u: scalarBytes(mod(draft.r * factor + first, group.order)),
    v: scalarBytes(mod(draft.secret * factor + second, group.order)),
    statements: peers.map((peer) => ({
      peer,
      sent: partOf(state.sent, peer, index, STATEMENT_BYTES),
      received: partOf(inbox.directs, peer, index, STATEMENT_BYTES),
    })),
    certificate: hashItems(backend, 'presig/ok', draft.psid, idsBytes(set), listBytes(opened)),
  }
}

/** Σ pk_j = X. */
function sumsToKey({ input }: PresignRun, keys: ReadonlyMap<PartyId, Point>): boolean {
  const group = input.backend.secp256k1
  const encodedKey = known(input.share.publicKey.commitments[0], 'a key has t commitments')
  const key = known(group.decode(encodedKey), 'a stored key holds valid points')
  return group.equals(
    [...keys.values()].reduce((sum, each) => group.add(sum, each), group.identity),
    key,
  )
}

/** What one signer confirmed about one draft: the certificate, and by peer its bond. */
type Agreement = Readonly<{ certificate: Uint8Array; bonds: ReadonlyMap<PartyId, Uint8Array> }>

function agreementAt(run: PresignRun, inbox: Inbox, id: PartyId, index: number): Agreement {
  const bytes = partOf(inbox.broadcasts, id, index, agreementBytes(run))
  const others = run.input.set.filter((other) => other !== id)
  const bonds = others.map((other, at) => [other, bytes.slice(32 * (at + 1), 32 * (at + 2))] as const)
  return { certificate: bytes.slice(0, 32), bonds: new Map(bonds) }
}

type Agreements = ReadonlyMap<PartyId, Agreement>

const confirmed = (agreements: Agreements, id: PartyId): Agreement => known(agreements.get(id), 'absence is looked at first')
const bondAt = (agreements: Agreements, from: PartyId, to: PartyId): Uint8Array =>
  known(confirmed(agreements, from).bonds.get(to), 'a bond for each other signer')

/**
 * All confirm the same digests, and the two of each pair the same bond. Two others that contradict each other end the run too, but which of them
 * lies is for the honest one to say.
 */
export function takeAgreements(run: PresignRun, state: PresignState, inbox: Inbox): PresignStep {
  const absent = absentFaults(run, inbox, PRESIGN_ROUND.agree, true)
  if (absent !== null) return presignAbort('SIGNER_ABSENT', absent)
  const { input, self, peers } = run
  const pairs = pairsOf(input.set)
  const drafts = known(state.ready, 'all drafts are opened first').map((unbound, index) => {
    const agreements: Agreements = new Map(input.set.map((id) => [id, agreementAt(run, inbox, id, index)]))
    return { unbound, agreements }
  })
  const differing = peers.filter((peer) =>
    drafts.some(({ unbound, agreements }) => {
      const isSame = equalBytes(confirmed(agreements, peer).certificate, unbound.certificate)
      return !isSame || !equalBytes(bondAt(agreements, peer, self), bondAt(agreements, self, peer))
    }),
  )
  const isBound = drafts.every(({ agreements }) =>
    pairs.every(([low, high]) => equalBytes(bondAt(agreements, low, high), bondAt(agreements, high, low))),
  )
  if (isBound && differing.length === 0) {
    const result = drafts.map(({ unbound, agreements }) => ({
      ...unbound,
      bonds: pairs.map(([low, high]) => bondAt(agreements, low, high)),
    }))
    return { kind: 'done', result, faults: [] }
  }
  const faults = differing.map((accused): Fault => ({
    accused,
    class: 'dispute',
    code: 'PRESIGNATURE_DIFFERS',
    evidence: [{ round: PRESIGN_ROUND.agree, from: accused, to: null }],
  }))
  return presignAbort('PRESIGNATURE_DIFFERS', faults)
}

/** Shows this party's parts of the sharing of zero for one broken draft, which is dead anyway. */
function trace(run: PresignRun, state: PresignState, broken: Broken): PresignStep {
  const parts = run.peers.map((peer) => scalarBytes(zetaPart(run, broken.draft.psid, peer)))
  const next: PresignState = { ...state, round: PRESIGN_ROUND.trace, broken }
  return presignRound(run, next, 'trace', 32 * run.peers.length, { broadcast: parts })
}

/** Names who used another share or another zero: pk_j must be λ_j·X_j + ζ_j·G with the parts both owners show. */
export function takeTraces(run: PresignRun, state: PresignState, inbox: Inbox): PresignStep {
  const absent = absentFaults(run, inbox, PRESIGN_ROUND.trace, true)
  if (absent !== null) return presignAbort('SIGNER_ABSENT', absent)
  const { input, self, peers } = run
  const { set, backend, share } = input
  const group = backend.secp256k1
  const evidence = (from: PartyId) => [{ round: PRESIGN_ROUND.trace, from, to: null }]
  const faults: Fault[] = []
  const parts = new Map<PartyId, ReadonlyMap<PartyId, Scalar>>()
  const shownBy = (id: PartyId) => known(parts.get(id), 'malformed parts end the run')
  for (const id of set) {
    const others = set.filter((other) => other !== id)
    const shown = decodePayload(partOf(inbox.broadcasts, id, 0, 32 * peers.length), (reader) =>
      others.map((other) => [other, reader.scalar(group.order)] as const),
    )
    if (shown === null) faults.push({ accused: id, class: 'proof', code: 'TRACE_MALFORMED', evidence: evidence(id) })
    else parts.set(id, new Map(shown))
  }
  if (faults.length > 0) return presignAbort('KEYS_DO_NOT_SUM', faults)
  const { draft, keys } = known(state.broken, 'a trace is of a broken draft')
  for (const peer of peers)
    if (shownBy(peer).get(self) !== zetaPart(run, draft.psid, peer))
      faults.push({ accused: peer, class: 'dispute', code: 'ZERO_DIFFERS', evidence: evidence(peer) })
  const { members } = share.publicKey.descriptor
  for (const [id, key] of keys) {
    const encodedImage = known(share.publicKey.publicShares[members.indexOf(id)], 'a key has an image of each share')
    const image = known(group.decode(encodedImage), 'a stored key holds valid points')
    const expected = group.sumPublic([
      [image, lagrange(set, id, group.order)],
      [group.generator, mod(zetaOf(id, shownBy(id)), group.order)],
    ])
    if (!group.equals(expected, key))
      faults.push({
        accused: id,
        class: 'proof',
        code: 'KEY_SHARE_WRONG',
        evidence: [
          { round: PRESIGN_ROUND.commit, from: id, to: null },
          { round: PRESIGN_ROUND.reveal, from: id, to: self },
          ...evidence(id),
        ],
      })
  }
  return presignAbort('KEYS_DO_NOT_SUM', faults)
}
