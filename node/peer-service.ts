/** What this node gives to peers that ask: blocks with bodies by number or hash, and packages by hash. @module */
import { DecodeError } from '#shared/fault.ts'
import type { BlockEnvelope, Package } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'
import type { Chain } from '#node/chain.ts'
import type { RequestHandler } from '#node/net/requests.ts'
import { ANSWER_BYTES_MAX } from '#node/net/topics.ts'
import { decodeBlockRange, decodeHash, decodeHashes, encodeFullBlock, encodeFullBlocks, encodePackages } from '#node/net/transfer.ts'
import { encodePackage } from '#shared/hhcm/codec.ts'
import type { Recent } from '#node/recent.ts'

type Source = Readonly<{ chain: Pick<Chain, 'hashByNumber' | 'envelope' | 'package' | 'store'>; recent: Recent }>

const packageOf = ({ chain, recent }: Source, hash: Hash): Package | null => recent.package(hash) ?? chain.package(hash)

/** Bodies of a block in lane order, null when one of them is not here. */
function bodiesOf(source: Source, envelope: BlockEnvelope): readonly (Package | null)[] | null {
  const hashes = source.chain.store.packageHashes(envelope.hash)
  if (hashes === null) return null
  const packages = hashes.map((hash) => (hash === null ? null : packageOf(source, hash)))
  return packages.some((item, lane) => item === null && hashes[lane] !== null) ? null : packages
}

function range(source: Source, body: Uint8Array): Uint8Array {
  const { from, count } = decodeBlockRange(body)
  const blocks: Uint8Array[] = []
  let size = 0
  for (let number = Math.max(1, from); number < from + count; number++) {
    const hash = source.chain.hashByNumber(number)
    const envelope = hash === null ? null : source.chain.envelope(hash)
    const packages = envelope === null ? null : bodiesOf(source, envelope)
    if (envelope === null || packages === null) break
    const encoded = encodeFullBlock({ envelope, packages })
    size += encoded.length
    if (blocks.length > 0 && size > ANSWER_BYTES_MAX.blocks / 2) break
    blocks.push(encoded)
  }
  return encodeFullBlocks(blocks)
}

function single(source: Source, body: Uint8Array): Uint8Array | null {
  const hash = decodeHash(body)
  const envelope = hash === null ? null : (source.chain.envelope(hash) ?? source.recent.block(hash))
  if (envelope === null) return null
  const packages = bodiesOf(source, envelope) ?? envelope.certificates.map(() => null)
  return encodeFullBlock({ envelope, packages })
}

function packages(source: Source, body: Uint8Array): Uint8Array {
  const found: Package[] = []
  let size = 0
  for (const hash of decodeHashes(body)) {
    const item = packageOf(source, hash)
    if (item === null) continue
    size += encodePackage(item).length
    if (found.length > 0 && size > ANSWER_BYTES_MAX.packages / 2) break
    found.push(item)
  }
  return encodePackages(found)
}

/** Answers from store and memory; null for a request that is malformed or asks for what is not here. */
export function createPeerService(source: Source): RequestHandler {
  return (kind, body) => {
    try {
      switch (kind) {
        case 'blocks':
          return Promise.resolve(range(source, body))
        case 'block':
          return Promise.resolve(single(source, body))
        case 'packages':
          return Promise.resolve(packages(source, body))
        case 'status':
          return Promise.resolve(null)
      }
    } catch (cause) {
      if (cause instanceof DecodeError) return Promise.resolve(null)
      return Promise.reject(cause instanceof Error ? cause : new Error(String(cause)))
    }
  }
}
