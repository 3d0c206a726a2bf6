/**
 * Expands the 32 secret bytes a shell draws for one protocol run into all its random choices, so that a run is a function of its seed.
 * Each output is SHAKE256 of (seed, label, counter); a seed serves one run only. Source: docs/dcrm.md, randomness.
 * @module
 */
import { bytesToBigint } from '#shared/bytes.ts'
import type { DcrmBackend, Group, Scalar } from '#shared/dcrm/backend.ts'
import { encodeItems } from '#shared/dcrm/hash.ts'
import { invariant } from '#shared/fault.ts'

export type Drbg = Readonly<{
  /** Fresh bytes; no two calls give the same stream. */
  bytes: (length: number) => Uint8Array
  /** Uniform non-zero scalar, from 64 bytes more than its order needs. */
  scalar: (group: Pick<Group, 'order'>) => Scalar
}>

/** A generator over one seed; `label` separates the protocols that one seed serves. */
export function createDrbg(backend: Pick<DcrmBackend, 'shake256'>, seed: Uint8Array, label: string): Drbg {
  invariant(seed.length === 32, 'a seed has 32 bytes')
  let counter = 0
  const bytes = (length: number): Uint8Array => backend.shake256(encodeItems('drbg', [seed, label, counter++]), length)
  return {
    bytes,
    scalar: (group) => (bytesToBigint(bytes(64)) % (group.order - 1n)) + 1n,
  }
}
