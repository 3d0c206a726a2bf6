/** Storage form of receipts and transaction lists: RLP, complete, independent of the consensus form in the receipts trie. @module */
import type { Log, Receipt } from '#shared/chain/types.ts'
import { decodeRlp, encodeRlp, FieldReader } from '#shared/codec/rlp.ts'
import type { RlpInput, RlpItem } from '#shared/codec/rlp.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { Address, Hash } from '#shared/types.ts'
import { DecodeError } from '#shared/fault.ts'

/** Far above any block this chain can make; only guards against a damaged file. */
const RECORD_BYTES_MAX = 1 << 28
const COUNT_MAX = 1 << 20
const NO_BYTES = new Uint8Array(0)

const logInput = (log: Log): RlpInput => [log.address, [...log.topics], log.data]

function receiptInput(receipt: Receipt): RlpInput {
  return [
    receipt.txType,
    receipt.txHash,
    receipt.status,
    receipt.cumulativeGasUsed,
    receipt.gasUsed,
    receipt.effectiveGasPriceWei,
    receipt.from,
    receipt.to ?? NO_BYTES,
    receipt.contractAddress ?? NO_BYTES,
    receipt.logsBloom,
    receipt.logs.map(logInput),
  ]
}

function readHash(item: RlpItem): Hash {
  if (item instanceof Uint8Array && item.length === 32) return bytesToHex(item)
  throw new DecodeError('FIELD_INVALID', 'log.topics', 'expected 32 bytes')
}

function readLog(item: RlpItem): Log {
  const reader = new FieldReader(item, 'log', 3)
  const address = reader.fixed('address', 20)
  const topics = reader.list('topics', 4).map(readHash)
  return { address, topics, data: reader.bytes('data', RECORD_BYTES_MAX) }
}

function readOptionalAddress(reader: FieldReader, name: string): Address | null {
  const bytes = reader.bytes(name, 20)
  return bytes.length === 0 ? null : bytesToHex(bytes)
}

function readReceipt(item: RlpItem): Receipt {
  const reader = new FieldReader(item, 'receipt', 11)
  return {
    txType: reader.integer('txType', 0x7f),
    txHash: reader.fixed('txHash', 32),
    status: reader.integer('status', 1) === 1 ? 1 : 0,
    cumulativeGasUsed: reader.bigint('cumulativeGasUsed', 64),
    gasUsed: reader.bigint('gasUsed', 64),
    effectiveGasPriceWei: reader.bigint('effectiveGasPriceWei', 256),
    from: reader.fixed('from', 20),
    to: readOptionalAddress(reader, 'to'),
    contractAddress: readOptionalAddress(reader, 'contractAddress'),
    logsBloom: reader.fixed('logsBloom', 256),
    logs: reader.list('logs', COUNT_MAX).map(readLog),
  }
}

function asList(item: RlpItem, what: string): readonly RlpItem[] {
  if (item instanceof Uint8Array) throw new DecodeError('FIELD_INVALID', what, 'expected a list')
  return item
}

/** Receipts of one block, in order. */
export const encodeReceipts = (receipts: readonly Receipt[]): Uint8Array => encodeRlp(receipts.map(receiptInput))

/** @throws {DecodeError} when the record is damaged */
export const decodeReceipts = (bytes: Uint8Array): readonly Receipt[] =>
  asList(decodeRlp(bytes, RECORD_BYTES_MAX), 'receipts').map(readReceipt)

/** Raw transactions, in order. */
export const encodeByteList = (items: readonly Uint8Array[]): Uint8Array => encodeRlp([...items])

/** @throws {DecodeError} when the record is damaged */
export const decodeByteList = (bytes: Uint8Array): readonly Uint8Array[] =>
  asList(decodeRlp(bytes, RECORD_BYTES_MAX), 'items').map((item) => {
    if (item instanceof Uint8Array) return item
    throw new DecodeError('FIELD_INVALID', 'items', 'expected bytes')
  })
