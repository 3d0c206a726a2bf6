/**
 * Order of transactions inside a block, from the packages of its lanes.
 * Triggers come first and attestations last, so that nothing stands between a report and the call it causes.
 * Source: whitepaper 5.4.1, 4.2.2; docs/protocol.md.
 * @module
 */
import { compareHex } from '#shared/bytes.ts'
import { laneOrder } from '#shared/hhcm/lanes.ts'
import type { Hash, Lane } from '#shared/types.ts'

/** What the order needs to know of a transaction. `scheduledAtMs` is the due time the parent state gives for a trigger. */
export type MergeClass =
  | Readonly<{ kind: 'trigger'; scheduledAtMs: number; entryId: Hash; occurrence: Hash }>
  | Readonly<{ kind: 'user' }>
  | Readonly<{ kind: 'attestation'; sourceSet: Hash; shard: number; round: number }>

/** Place of a transaction before the merge: lane, and position in the lane's package. */
export type PackagePlace = Readonly<{ lane: Lane; index: number }>

type Placed<Class extends MergeClass> = PackagePlace & Readonly<{ tx: Class }>
type TriggerClass = Extract<MergeClass, { kind: 'trigger' }>
type AttestationClass = Extract<MergeClass, { kind: 'attestation' }>

const byPlace = (left: PackagePlace, right: PackagePlace): number => left.lane - right.lane || left.index - right.index

function byTrigger(left: Placed<TriggerClass>, right: Placed<TriggerClass>): number {
  return (
    left.tx.scheduledAtMs - right.tx.scheduledAtMs ||
    compareHex(left.tx.entryId, right.tx.entryId) ||
    compareHex(left.tx.occurrence, right.tx.occurrence) ||
    byPlace(left, right)
  )
}

function byAttestation(left: Placed<AttestationClass>, right: Placed<AttestationClass>): number {
  return (
    compareHex(left.tx.sourceSet, right.tx.sourceSet) ||
    left.tx.shard - right.tx.shard ||
    left.tx.round - right.tx.round ||
    byPlace(left, right)
  )
}

/**
 * The merged order: triggers of all lanes by (scheduledAt, entryId, occurrence), user transactions lane by lane in the order keyed by
 * the parent's randomness, attestations by (sourceSet, shard, round). `lanes[lane][index]` classifies each transaction; an absent
 * lane is an empty list.
 */
export function mergeOrder(lanes: readonly (readonly MergeClass[])[], parentRandomness: Hash): PackagePlace[] {
  const triggers: Placed<TriggerClass>[] = []
  const attestations: Placed<AttestationClass>[] = []
  const users: PackagePlace[] = []
  for (const lane of laneOrder(parentRandomness, lanes.length)) {
    for (const [index, tx] of (lanes[lane] ?? []).entries()) {
      if (tx.kind === 'trigger') triggers.push({ lane, index, tx })
      else if (tx.kind === 'attestation') attestations.push({ lane, index, tx })
      else users.push({ lane, index })
    }
  }
  triggers.sort(byTrigger)
  attestations.sort(byAttestation)
  return [...triggers, ...users, ...attestations].map(({ lane, index }) => ({ lane, index }))
}
