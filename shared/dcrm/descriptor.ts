/** Checks what a key is to be before anything is computed for it. Source: paper 3.5.3, (t, m) with t ≤ m; docs/dcrm.md, key generation. @module */
import type { DcrmBackend, Group } from '#shared/dcrm/backend.ts'
import type { KeyDescriptor, PartyId, Scheme } from '#shared/dcrm/types.ts'

/** Largest committee: messages grow with its square. */
export const MAX_COMMITTEE = 32

/** Schemes by their number on chain. */
export const SCHEMES = ['ecdsa', 'taproot', 'ed25519'] as const satisfies readonly Scheme[]

/** The group a scheme works in. */
export function groupOfScheme(backend: DcrmBackend, scheme: Scheme): Group {
  return scheme === 'ed25519' ? backend.ed25519 : backend.secp256k1
}

/** `R` where honest members can finish without the others (n ≥ 2t − 1): guaranteed output. `B`: a failure ends the run and names its cause. */
export type DkgMode = 'R' | 'B'

/** Mode by size, so that no party chooses it. */
export function dkgModeOf(descriptor: Pick<KeyDescriptor, 'threshold' | 'members'>): DkgMode {
  return descriptor.members.length >= 2 * descriptor.threshold - 1 ? 'R' : 'B'
}

/** Stable code of what is wrong with the ids of a set, or null: whole numbers from 1 to 65535, strictly ascending. */
export function idsFault(ids: readonly PartyId[]): string | null {
  for (const [index, id] of ids.entries()) {
    if (!Number.isInteger(id) || id < 1 || id > 0xffff) return 'PARTY_ID_RANGE'
    if (id <= (ids[index - 1] ?? 0)) return 'PARTY_IDS_ORDER'
  }
  return null
}

/** Stable code of what is wrong with a descriptor, or null. */
export function descriptorFault(descriptor: KeyDescriptor): string | null {
  const { threshold, members, requestId } = descriptor
  if (requestId.length !== 32) return 'REQUEST_ID_LENGTH'
  if (!Number.isInteger(threshold) || threshold < 2) return 'THRESHOLD_RANGE'
  if (members.length < threshold) return 'THRESHOLD_ABOVE_COMMITTEE'
  if (members.length > MAX_COMMITTEE) return 'COMMITTEE_TOO_LARGE'
  return idsFault(members)
}
