/**
 * What a receipt commits to: logs bloom and canonical encoding.
 * Sources: Ethereum yellow paper 4.3.1 (bloom M3:2048), EIP-658 (status), EIP-2718 (typed receipts).
 * @module
 */
import { bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import type { Log, Receipt } from '#shared/chain/types.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { Hex } from '#shared/types.ts'

const BLOOM_BYTES = 256
/** Bloom of a block or transaction without logs. */
export const EMPTY_BLOOM: Hex = `0x${'00'.repeat(BLOOM_BYTES)}`

function setBits(bloom: Uint8Array, entry: Uint8Array, keccak256: CryptoSuite['keccak256']): void {
  const hash = keccak256(entry)
  for (const pair of [0, 2, 4]) {
    const bit = (((hash[pair] ?? 0) << 8) | (hash[pair + 1] ?? 0)) & 2047
    const at = BLOOM_BYTES - 1 - (bit >> 3)
    bloom[at] = (bloom[at] ?? 0) | (1 << (bit & 7))
  }
}

/** Bloom over the addresses and topics of logs. */
export function logsBloom(logs: readonly Log[], keccak256: CryptoSuite['keccak256']): Hex {
  if (logs.length === 0) return EMPTY_BLOOM
  const bloom = new Uint8Array(BLOOM_BYTES)
  for (const { address, topics } of logs) {
    setBits(bloom, hexToBytes(address), keccak256)
    for (const topic of topics) setBits(bloom, hexToBytes(topic), keccak256)
  }
  return bytesToHex(bloom)
}

/** Bitwise union of blooms. */
export function joinBlooms(blooms: readonly Hex[]): Hex {
  const filled = blooms.filter((bloom) => bloom !== EMPTY_BLOOM)
  if (filled.length === 0) return EMPTY_BLOOM
  const joined = new Uint8Array(BLOOM_BYTES)
  for (const bloom of filled) for (const [index, byte] of hexToBytes(bloom).entries()) joined[index] = (joined[index] ?? 0) | byte
  return bytesToHex(joined)
}

/** Receipt as the receipts trie holds it. */
export function encodeReceipt(receipt: Pick<Receipt, 'txType' | 'status' | 'cumulativeGasUsed' | 'logsBloom' | 'logs'>): Uint8Array {
  const logs = receipt.logs.map(({ address, topics, data }) => [address, [...topics], data])
  const body = encodeRlp([receipt.status, receipt.cumulativeGasUsed, receipt.logsBloom, logs])
  return receipt.txType === 0 ? body : concatBytes(Uint8Array.of(receipt.txType), body)
}
