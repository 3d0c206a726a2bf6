/**
 * chain.deposit: a payment of a foreign chain's native coin, on facts whose reporters' quorum the caller has checked.
 * @module
 */
import { bigintToBytes, bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { fire, waiting } from '#shared/trigger/candidate.ts'
import type { Condition, DepositFact, Entry, Evaluation, EvaluationContext, VerifiedEvidence } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import { keccak_256 } from '@noble/hashes/sha3.js'

type DepositCondition = Extract<Condition, { kind: 'chain.deposit' }>

/** A transfer of the native coin is the transaction itself: position 0 within it. */
const TRANSFER_INDEX = new Uint8Array(8)

/** Occurrence of a payment, the same however often and wherever the transaction is included: keccak256(chain ‖ txid ‖ index). */
export function depositOccurrence(chain: bigint, txid: Hash): Hash {
  return bytesToHex(keccak_256(concatBytes(bigintToBytes(chain, 32), hexToBytes(txid), TRANSFER_INDEX)))
}

/** Whether a fact is a payment the condition waits for. */
export function matchesDeposit(condition: DepositCondition, fact: DepositFact): boolean {
  return (
    fact.chain === condition.chain &&
    fact.to === condition.to &&
    fact.amountWei >= condition.minWei &&
    fact.confirmations >= condition.confirmations
  )
}

/** The first verified payment that has not fired yet. */
export function evaluateDeposit(
  entry: Entry,
  condition: DepositCondition,
  context: EvaluationContext,
  evidence: VerifiedEvidence | null,
): Evaluation {
  const matching = (evidence?.deposits ?? []).filter((fact) => matchesDeposit(condition, fact))
  const deposit = matching.find((fact) => evidence?.fired(depositOccurrence(fact.chain, fact.txid)) === false)
  if (deposit === undefined) return waiting(matching.length === 0 ? 'AWAITING_EVIDENCE' : 'ALREADY_FIRED')
  return fire(entry, {
    occurrence: depositOccurrence(deposit.chain, deposit.txid),
    scheduledAtMs: context.parentTimeMs,
    next: { edgeCount: entry.edgeCount + 1 },
    values: { scheduledAt: context.parentTimeMs, deposit },
  })
}
