/**
 * Presigning by exactly t members: everything of an ECDSA signature that does not need the message. Rounds: commit (echoed, so that no honest
 * pair ever computes under different views), extend, multiply, reveal, agree; trace only when keys do not sum up. A failed check that only its
 * receiver can see is a dispute, and the caller stores it before anything else. Source: DKLs23, protocol 3; docs/dcrm.md, presigning.
 * @module
 */
import { createDrbg } from '#shared/dcrm/drbg.ts'
import type { Draft, Exchange, PresignInput, PresignRun, PresignState, PresignStep } from '#shared/dcrm/presign-state.ts'
import {
  PRESIGN_ROUND,
  absentFaults,
  additiveSecret,
  commitmentOf,
  directFault,
  draftId,
  exchangeOf,
  pairOf,
  partOf,
  presignAbort,
  presignRound,
  presignRunOf,
  voleContext,
} from '#shared/dcrm/presign-state.ts'
import { revealDrafts, takeAgreements, takeReveals, takeTraces } from '#shared/dcrm/presign-reveal.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { Fault, Inbox, RoundMachine } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { VOLE_RECEIVER_BYTES, VOLE_SENDER_BYTES, voleFinish, voleReceive, voleSend } from '#shared/dcrm/vole.ts'

function draw(run: PresignRun, index: number): Draft {
  const { backend, seed } = run.input
  const group = backend.secp256k1
  const drbg = createDrbg(backend, seed, `presign/draft/${index}`)
  const psid = draftId(run, index)
  const [r, phi] = [drbg.scalar(group), drbg.scalar(group)]
  const secret = additiveSecret(run, psid)
  return { psid, r, phi, secret, salt: drbg.bytes(32), nonce: group.mulBase(r), key: group.mulBase(secret) }
}

function start(run: PresignRun): PresignStep {
  const { input, self } = run
  const group = input.backend.secp256k1
  const drafts = Array.from({ length: input.count }, (_, index) => draw(run, index))
  const commitments = drafts.map(({ psid, nonce, key, salt }) =>
    commitmentOf(input.backend, psid, self, group.encode(nonce), group.encode(key), salt),
  )
  const state: PresignState = {
    round: PRESIGN_ROUND.commit,
    drafts,
    commitments: new Map(),
    exchanges: new Map(),
    sent: new Map(),
    ready: null,
    broken: null,
  }
  return presignRound(run, state, 'commit', 32 * input.count, { broadcast: commitments })
}

/** All agree on the commitments; now this party becomes receiver in one VOLE per peer and draft. */
function takeCommitments(run: PresignRun, state: PresignState, inbox: Inbox): PresignStep {
  const absent = absentFaults(run, inbox, PRESIGN_ROUND.commit, true)
  if (absent !== null) return presignAbort('SIGNER_ABSENT', absent)
  const { input, self, peers } = run
  const direct = new Map<PartyId, Uint8Array[]>()
  const exchanges = new Map<PartyId, Exchange[]>()
  for (const peer of peers)
    for (const [index, { psid }] of state.drafts.entries()) {
      const drbg = createDrbg(input.backend, input.seed, `presign/receive/${index}/${peer}`)
      const { state: receiver, b, message } = voleReceive(voleContext(run, psid, peer, self), pairOf(run, peer), drbg)
      append(direct, peer, message)
      append(exchanges, peer, { receiver, chi: b, given: null, taken: null })
    }
  const next: PresignState = { ...state, round: PRESIGN_ROUND.extend, commitments: inbox.broadcasts, exchanges }
  return presignRound(run, next, 'extend', VOLE_RECEIVER_BYTES * input.count, { direct })
}

function append<T>(lists: Map<PartyId, T[]>, peer: PartyId, item: T): void {
  const list = lists.get(peer)
  if (list === undefined) lists.set(peer, [item])
  else list.push(item)
}

/** Puts r_i and sk_i into each peer's VOLE. */
function takeExtensions(run: PresignRun, state: PresignState, inbox: Inbox): PresignStep {
  const absent = absentFaults(run, inbox, PRESIGN_ROUND.extend, false)
  if (absent !== null) return presignAbort('SIGNER_ABSENT', absent)
  const { input, self, peers } = run
  const direct = new Map<PartyId, Uint8Array[]>()
  const exchanges = new Map<PartyId, Exchange[]>()
  const faults: Fault[] = []
  for (const peer of peers)
    for (const [index, { psid, r, secret }] of state.drafts.entries()) {
      const drbg = createDrbg(input.backend, input.seed, `presign/send/${index}/${peer}`)
      const received = partOf(inbox.directs, peer, index, VOLE_RECEIVER_BYTES)
      const sent = voleSend(voleContext(run, psid, self, peer), pairOf(run, peer), received, [r, secret], drbg)
      if (sent === null) {
        // One draft suffices to end it with this peer; going on would give a second probe.
        faults.push(directFault(run, peer, 'dispute', 'EXTENSION_CHECK', PRESIGN_ROUND.extend))
        break
      }
      append(direct, peer, sent.message)
      append(exchanges, peer, { ...exchangeOf(state, peer, index), given: sent.shares })
    }
  if (faults.length > 0) return presignAbort('PEER_CHEATED', faults)
  const next: PresignState = { ...state, round: PRESIGN_ROUND.multiply, exchanges }
  return presignRound(run, next, 'multiply', VOLE_SENDER_BYTES * input.count, { direct })
}

function takeProducts(run: PresignRun, state: PresignState, inbox: Inbox): PresignStep {
  const absent = absentFaults(run, inbox, PRESIGN_ROUND.multiply, false)
  if (absent !== null) return presignAbort('SIGNER_ABSENT', absent)
  const { self, peers } = run
  const exchanges = new Map<PartyId, Exchange[]>()
  const faults: Fault[] = []
  for (const peer of peers)
    for (const [index, { psid }] of state.drafts.entries()) {
      const exchange = exchangeOf(state, peer, index)
      const message = partOf(inbox.directs, peer, index, VOLE_SENDER_BYTES)
      const taken = voleFinish(voleContext(run, psid, peer, self), exchange.receiver, message)
      if (taken === null) {
        faults.push(directFault(run, peer, 'dispute', 'PRODUCT_CHECK', PRESIGN_ROUND.multiply))
        break
      }
      append(exchanges, peer, { ...exchange, taken })
    }
  if (faults.length > 0) return presignAbort('PEER_CHEATED', faults)
  return revealDrafts(run, { ...state, round: PRESIGN_ROUND.reveal, exchanges })
}

const TAKE = {
  [PRESIGN_ROUND.commit]: takeCommitments,
  [PRESIGN_ROUND.extend]: takeExtensions,
  [PRESIGN_ROUND.multiply]: takeProducts,
  [PRESIGN_ROUND.reveal]: takeReveals,
  [PRESIGN_ROUND.agree]: takeAgreements,
  [PRESIGN_ROUND.trace]: takeTraces,
}

/** The signer `input.share.self`. Result: `input.count` presignatures, each confirmed by all signers. */
export function presignMachine(input: PresignInput): RoundMachine<PresignState, readonly Presignature[]> {
  const run = presignRunOf(input)
  return { start: () => start(run), next: (state, inbox) => TAKE[state.round](run, state, inbox) }
}
