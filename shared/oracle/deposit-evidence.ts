/**
 * The evidence field of a TriggerTx that proves a foreign payment: one fact and a quorum of signatures over its identical bytes.
 * Layout: rlp([sourceSet, asOfMs, body, signatures]), signatures in strictly rising order of their recovered signers.
 * @module
 */
import { bytesToHex, compareHex } from '#shared/bytes.ts'
import { FieldReader, decodeRlp, encodeRlp } from '#shared/codec/rlp.ts'
import { DecodeError, invariant } from '#shared/fault.ts'
import type { FactFault } from '#shared/oracle/fact.ts'
import { DEPOSIT_BODY_BYTES, decodeDepositBody, depositFact, factDigest } from '#shared/oracle/fact.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import { SIGNATURE_BYTES, recoverSigner } from '#shared/oracle/signature.ts'
import type { SignedFact, SourceSet } from '#shared/oracle/types.ts'
import { EVIDENCE_BYTES_MAX, factQuorum } from '#shared/params.ts'
import type { DepositFact } from '#shared/trigger/types.ts'
import type { Address, Hash, Hex, UnixMs } from '#shared/types.ts'

/** Signatures that fit the evidence field beside a fact. */
export const EVIDENCE_SIGNATURES_MAX = 25

/** Decoded evidence. */
export type DepositEvidence = Readonly<{
  sourceSet: Hash
  asOfMs: UnixMs
  deposit: DepositFact
  body: Uint8Array
  signatures: readonly Hex[]
}>

/** Evidence from facts with identical content, one per reporter, in any order; uses the first `EVIDENCE_SIGNATURES_MAX` by reporter. */
export function encodeDepositEvidence(facts: readonly SignedFact[]): Uint8Array {
  const sorted = facts.toSorted((left, right) => compareHex(left.reporter, right.reporter)).slice(0, EVIDENCE_SIGNATURES_MAX)
  const [first] = sorted
  invariant(first !== undefined, 'evidence needs a fact')
  const bytes = encodeRlp([first.sourceSet, first.asOfMs, first.body, sorted.map((fact) => fact.signature)])
  invariant(bytes.length <= EVIDENCE_BYTES_MAX, 'the signature limit keeps evidence inside its field')
  return bytes
}

/** Decodes an evidence field; says nothing about signatures. @throws {DecodeError} RLP_*, FIELD_INVALID, DEPOSIT_INVALID */
export function decodeDepositEvidence(bytes: Uint8Array): DepositEvidence {
  const reader = new FieldReader(decodeRlp(bytes, EVIDENCE_BYTES_MAX), 'evidence', 4)
  const sourceSet = reader.fixed('sourceSet', 32)
  const asOfMs = reader.integer('asOfMs', Number.MAX_SAFE_INTEGER)
  const body = reader.bytes('body', DEPOSIT_BODY_BYTES)
  const signatures = reader.list('signatures', EVIDENCE_SIGNATURES_MAX).map((item, index) => {
    if (!(item instanceof Uint8Array) || item.length !== SIGNATURE_BYTES)
      throw new DecodeError('FIELD_INVALID', `evidence.signatures.${index}`, `expected ${SIGNATURE_BYTES} bytes`)
    return bytesToHex(item)
  })
  return { sourceSet, asOfMs, deposit: decodeDepositBody(body), body, signatures }
}

/** Verdict on evidence: the payment and who vouches for it, or a stable code. */
export type DepositVerdict =
  | Readonly<{ ok: true; deposit: DepositFact; reporters: readonly Address[] }>
  | Readonly<{ ok: false; code: FactFault | 'EVIDENCE_INVALID' | 'REPORTER_UNKNOWN' | 'REPORTERS_UNSORTED' | 'QUORUM' }>

function decodeOrNull(bytes: Uint8Array): DepositEvidence | null {
  try {
    return decodeDepositEvidence(bytes)
  } catch (error) {
    if (error instanceof DecodeError) return null
    throw error
  }
}

/** Whether evidence carries a fact quorum of the set's distinct members over identical bytes. */
export function verifyDepositEvidence(bytes: Uint8Array, set: SourceSet, genesisHash: Hash, suite: Recovery): DepositVerdict {
  const evidence = decodeOrNull(bytes)
  if (evidence === null) return { ok: false, code: 'EVIDENCE_INVALID' }
  if (evidence.sourceSet !== set.id || set.kind !== 'reporter') return { ok: false, code: 'SOURCE_SET' }
  if (evidence.signatures.length < factQuorum(set.members.length)) return { ok: false, code: 'QUORUM' }
  const digest = factDigest(depositFact(set.id, evidence.asOfMs, evidence.deposit, suite), genesisHash, suite)
  const reporters: Address[] = []
  for (const signature of evidence.signatures) {
    const reporter = recoverSigner(digest, signature, suite)
    if (reporter === null) return { ok: false, code: 'SIGNATURE_INVALID' }
    if (!set.members.includes(reporter)) return { ok: false, code: 'REPORTER_UNKNOWN' }
    if (compareHex(reporters.at(-1) ?? '0x', reporter) >= 0) return { ok: false, code: 'REPORTERS_UNSORTED' }
    reporters.push(reporter)
  }
  return { ok: true, deposit: evidence.deposit, reporters }
}
