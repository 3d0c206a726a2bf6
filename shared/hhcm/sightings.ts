/**
 * Signed objects seen per author and slot: two different ones are evidence, more than two are not even stored.
 * Only verified objects come here.
 * @module
 */
import { encodeCoSignature, encodeHeader, encodePackageHeader } from '#shared/hhcm/codec.ts'
import type { Certified } from '#shared/hhcm/state.ts'
import { report } from '#shared/hhcm/turn.ts'
import type { Turn } from '#shared/hhcm/turn.ts'
import type { BlockEnvelope, Header, PackageHeader } from '#shared/hhcm/types.ts'
import type { Address, Slot } from '#shared/types.ts'

const KEPT_PER_AUTHOR = 2
const authorKey = (slot: Slot, author: Address): string => `${slot}:${author}`

const isSamePackage = (left: PackageHeader, right: PackageHeader): boolean =>
  left.txRoot === right.txRoot && left.parentHash === right.parentHash && left.lane === right.lane && left.rank === right.rank

/** Whether this package is known or fits into memory: an equivocator may fill two places per slot. */
export function hasPackageRoom({ state }: Turn, header: PackageHeader): boolean {
  const seen = state.seenPackages.get(authorKey(header.slot, header.author)) ?? []
  return seen.length < KEPT_PER_AUTHOR || seen.some((other) => isSamePackage(other, header))
}

/** Whether another block of this author and slot fits into memory. */
export function hasBlockRoom({ state }: Turn, header: Header): boolean {
  return (state.seenHeaders.get(authorKey(header.slot, header.author))?.length ?? 0) < KEPT_PER_AUTHOR
}

/** Remembers a package header; two of one slot convict their author. */
export function sightPackage(turn: Turn, header: PackageHeader): void {
  const { state } = turn
  const key = authorKey(header.slot, header.author)
  const seen = state.seenPackages.get(key) ?? []
  const [first] = seen
  // Another signature on the same content is no second package.
  if (seen.length >= KEPT_PER_AUTHOR || seen.some((other) => isSamePackage(other, header))) return
  state.seenPackages.set(key, [...seen, header])
  if (first === undefined) return
  const evidence = { first: encodePackageHeader(first), second: encodePackageHeader(header) }
  report(turn, { offence: 'DOUBLE_PACKAGE', offender: header.author, ...evidence }, header.slot)
}

/** Remembers a block header; two of one slot convict their author. */
export function sightBlock(turn: Turn, block: BlockEnvelope): void {
  const { state } = turn
  const { header } = block
  const key = authorKey(header.slot, header.author)
  const seen = state.seenHeaders.get(key) ?? []
  const [first] = seen
  if (seen.length >= KEPT_PER_AUTHOR) return
  state.seenHeaders.set(key, [...seen, header])
  if (first === undefined) return
  report(turn, { offence: 'DOUBLE_BLOCK', offender: header.author, first: encodeHeader(first), second: encodeHeader(header) }, header.slot)
}

/** Compares the signers of a certificate with those of the lane's other certificates of this slot. */
export function sightCertificate(turn: Turn, certified: Certified): void {
  const { header, coSignatures } = certified.certificate
  for (const other of turn.state.round.certificates.values()) {
    if (other.packageHash === certified.packageHash || other.certificate.header.lane !== header.lane) continue
    for (const second of coSignatures) {
      const first = other.certificate.coSignatures.find(({ signer }) => signer === second.signer)
      if (first === undefined) continue
      const evidence = { first: encodeCoSignature(first), second: encodeCoSignature(second) }
      report(turn, { offence: 'DOUBLE_CO_SIGNATURE', offender: second.signer, ...evidence }, header.slot)
    }
  }
}
