/**
 * Collecting a reporter set's facts until a quorum signed identical bytes, as a pure machine. It keeps signatures per (subject, content),
 * reports a quorum once, and shows a reporter that says two things about one foreign block. Source: whitepaper 4.2.2.
 * @module
 */
import { bytesToHex } from '#shared/bytes.ts'
import { encodeDepositEvidence } from '#shared/oracle/deposit-evidence.ts'
import { contradicts } from '#shared/oracle/evidence.ts'
import type { FactFault } from '#shared/oracle/fact.ts'
import { decodeDepositBody, factDigest, factFault } from '#shared/oracle/fact.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import type { SignedFact, SourceSet } from '#shared/oracle/types.ts'
import { factQuorum } from '#shared/params.ts'
import type { DepositFact } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'

/** Statements remembered; the oldest is forgotten first. A reporter's watcher can always say it again. */
export const STATEMENTS_MAX = 2048

/** Set whose facts are collected. */
export type FactCollectorConfig = Readonly<{ set: SourceSet; genesisHash: Hash; suite: Recovery }>
/** One content and who signed it. Never empty. */
export type Statement = Readonly<{ digest: Hash; facts: readonly SignedFact[] }>
/** Statements in order of arrival. */
export type FactCollectorState = Readonly<{ statements: readonly Statement[] }>

/** What the shell has to do. */
export type FactEffect =
  | Readonly<{ kind: 'accepted'; digest: Hash; signatures: number; quorum: number }>
  | Readonly<{ kind: 'refuse'; code: FactFault | 'REPORTER_UNKNOWN' | 'CONTRADICTION' }>
  /** A quorum stands: the evidence goes into TriggerTx of matching entries. Once per statement. */
  | Readonly<{ kind: 'proven'; digest: Hash; deposit: DepositFact; evidence: Uint8Array }>
  /** One reporter, one payment in one foreign block, two contents. A payment that moved to another block by a reorganisation is not one. */
  | Readonly<{ kind: 'contradiction'; first: SignedFact; second: SignedFact }>

/** Outcome of a step. */
export type FactStep = Readonly<{ state: FactCollectorState; effects: readonly FactEffect[] }>

/** A collector that has seen nothing. */
export const emptyFactCollector: FactCollectorState = { statements: [] }

function refuse(state: FactCollectorState, code: (FactEffect & { kind: 'refuse' })['code']): FactStep {
  return { state, effects: [{ kind: 'refuse', code }] }
}

/** Takes one signed fact. */
export function stepFactCollector(state: FactCollectorState, fact: SignedFact, config: FactCollectorConfig): FactStep {
  const { set, genesisHash, suite } = config
  if (fact.sourceSet !== set.id || set.kind !== 'reporter') return refuse(state, 'SOURCE_SET')
  if (!set.members.includes(fact.reporter)) return refuse(state, 'REPORTER_UNKNOWN')
  const fault = factFault(fact, genesisHash, suite)
  if (fault !== null) return refuse(state, fault)
  const digest = bytesToHex(factDigest(fact, genesisHash, suite))
  const quorum = factQuorum(set.members.length)
  const known = state.statements.find((statement) => statement.digest === digest)
  if (known?.facts.some(({ reporter }) => reporter === fact.reporter) === true)
    return { state, effects: [{ kind: 'accepted', digest, signatures: known.facts.length, quorum }] }
  const conflict = state.statements.flatMap(({ facts }) => facts).find((earlier) => contradicts(earlier, fact))
  if (conflict !== undefined)
    return { state, effects: [{ kind: 'contradiction', first: conflict, second: fact }, ...refuse(state, 'CONTRADICTION').effects] }
  const facts = [...(known?.facts ?? []), fact]
  const statements =
    known === undefined
      ? [...state.statements.slice(-(STATEMENTS_MAX - 1)), { digest, facts }]
      : state.statements.map((statement) => (statement === known ? { digest, facts } : statement))
  const accepted: FactEffect = { kind: 'accepted', digest, signatures: facts.length, quorum }
  const proven: readonly FactEffect[] =
    facts.length === quorum
      ? [{ kind: 'proven', digest, deposit: decodeDepositBody(fact.body), evidence: encodeDepositEvidence(facts) }]
      : []
  return { state: { statements }, effects: [accepted, ...proven] }
}
