/** Objects of the last slots that peers may ask for before, or without, their being stored. @module */
import { encodePackage } from '#shared/hhcm/codec.ts'
import type { BlockEnvelope, Package, WireMessage } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'

const OBJECTS_KEPT = 256
const BYTES_KEPT = 32 * 1024 * 1024

export type Recent = Readonly<{
  remember: (message: WireMessage) => void
  block: (hash: Hash) => BlockEnvelope | null
  package: (hash: Hash) => Package | null
}>

/** Remembers packages and blocks, oldest out first, bounded in number and bytes. */
export function createRecent(): Recent {
  const blocks = new Map<Hash, BlockEnvelope>()
  const packages = new Map<Hash, Readonly<{ item: Package; bytes: number }>>()
  let bytes = 0
  const trim = (): void => {
    for (const [hash, { bytes: size }] of packages) {
      if (packages.size <= OBJECTS_KEPT && bytes <= BYTES_KEPT) break
      packages.delete(hash)
      bytes -= size
    }
    for (const hash of blocks.keys()) {
      if (blocks.size <= OBJECTS_KEPT) break
      blocks.delete(hash)
    }
  }
  return {
    remember: (message) => {
      if (message.kind === 'block') blocks.set(message.block.hash, message.block)
      else if (message.kind === 'package' && !packages.has(message.package.hash)) {
        const size = encodePackage(message.package).length
        packages.set(message.package.hash, { item: message.package, bytes: size })
        bytes += size
      }
      trim()
    },
    block: (hash) => blocks.get(hash) ?? null,
    package: (hash) => packages.get(hash)?.item ?? null,
  }
}
