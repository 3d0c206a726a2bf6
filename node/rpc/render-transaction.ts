/**
 * Transactions and receipts as Ethereum libraries expect them. Native ones carry every field of a legacy transaction beside their own,
 * because ethers refuses a whole block when one is missing.
 * @module
 */
import type { StoredBlock } from '#node/chain-reader.ts'
import type { NativeTransaction } from '#node/pool/native-transaction.ts'
import type { PooledForm } from '#node/pool/pool.ts'
import type { UserTransaction } from '#shared/chain/user-transaction.ts'
import type { RpcContext } from '#node/rpc/context.ts'
import { toQuantity } from '#node/rpc/quantity.ts'
import { bytesToHex, hexToBytes, bytesToBigint } from '#shared/bytes.ts'
import type { Receipt } from '#shared/chain/types.ts'
import { DecodeError, invariant } from '#shared/fault.ts'
import type { BlockEnvelope } from '#shared/hhcm/types.ts'
import { ATTESTATION_TX_TYPE, TRIGGER_TX_TYPE } from '#shared/params.ts'
import { CALLING_LIST, FEED_REGISTRY } from '#shared/system.ts'
import type { Address, Hex } from '#shared/types.ts'

type Json = Readonly<Record<string, unknown>>
/** Where a transaction stands; null for one that waits. */
type Place = Readonly<{ block: StoredBlock; index: number; receipt: Receipt }> | null

function placeFields(place: Place, timeSec: bigint | null): Json {
  if (place === null || timeSec === null) return { blockHash: null, blockNumber: null, transactionIndex: null }
  const { envelope } = place.block
  return {
    blockHash: envelope.hash,
    blockNumber: toQuantity(envelope.header.number),
    blockTimestamp: toQuantity(timeSec),
    transactionIndex: toQuantity(place.index),
  }
}

function userFees(tx: UserTransaction, place: Place): Json {
  if (tx.type === 0) return { gasPrice: toQuantity(tx.maxFeePerGasWei) }
  const accessList = { accessList: tx.accessList, yParity: toQuantity(tx.yParity) }
  if (tx.type === 1) return { gasPrice: toQuantity(tx.maxFeePerGasWei), ...accessList }
  return {
    gasPrice: toQuantity(place === null ? tx.maxFeePerGasWei : place.receipt.effectiveGasPriceWei),
    maxFeePerGas: toQuantity(tx.maxFeePerGasWei),
    maxPriorityFeePerGas: toQuantity(tx.maxPriorityFeePerGasWei),
    ...accessList,
  }
}

function renderUser(tx: UserTransaction, place: Place): Json {
  const authorizationList = tx.authorizations.map(({ chainId, address, nonce, yParity, r, s }) => ({
    chainId: toQuantity(chainId),
    address,
    nonce: toQuantity(nonce),
    yParity: toQuantity(yParity),
    r: toQuantity(r),
    s: toQuantity(s),
  }))
  return {
    hash: tx.hash,
    type: toQuantity(tx.type),
    ...(tx.chainId === null ? {} : { chainId: toQuantity(tx.chainId) }),
    nonce: toQuantity(tx.nonce),
    from: tx.sender,
    to: tx.to,
    value: toQuantity(tx.valueWei),
    gas: toQuantity(tx.gasLimit),
    input: bytesToHex(tx.data),
    ...userFees(tx, place),
    ...(tx.type === 4 ? { authorizationList } : {}),
    v: toQuantity(tx.v),
    r: toQuantity(tx.r),
    s: toQuantity(tx.s),
  }
}

const ZERO_ADDRESS: Address = `0x${'00'.repeat(20)}`

function nativeSignature({ tx }: NativeTransaction): Readonly<{ yParity: number; r: bigint; s: bigint }> {
  if (tx.signature === null) return { yParity: 0, r: 0n, s: 0n }
  if (typeof tx.signature === 'string') {
    const bytes = hexToBytes(tx.signature)
    return { r: bytesToBigint(bytes.subarray(0, 32)), s: bytesToBigint(bytes.subarray(32, 64)), yParity: (bytes[64] ?? 0) % 27 }
  }
  const { yParity, r, s } = tx.signature
  return { yParity, r: bytesToBigint(hexToBytes(r)), s: bytesToBigint(hexToBytes(s)) }
}

function nativeFields(native: NativeTransaction): Json {
  if (native.kind === 'trigger') {
    const { entryId, revision, occurrence, attempt, evidence, beneficiary } = native.tx
    return { entryId, revision, occurrence, attempt, evidence: bytesToHex(evidence), beneficiary, submitter: native.signer }
  }
  const { sourceSet, shard, round, batches } = native.tx
  return { sourceSet, shard, round, batchCount: batches.length, providers: batches.map(({ provider }) => provider) }
}

function renderNative(native: NativeTransaction, place: Place, chainId: number): Json {
  const { yParity, r, s } = nativeSignature(native)
  const price = toQuantity(place?.receipt.effectiveGasPriceWei ?? 0n)
  const isTrigger = native.kind === 'trigger'
  return {
    hash: native.hash,
    type: toQuantity(isTrigger ? TRIGGER_TX_TYPE : ATTESTATION_TX_TYPE),
    chainId: toQuantity(chainId),
    nonce: '0x0',
    from: place?.receipt.from ?? native.signer ?? ZERO_ADDRESS,
    to: place?.receipt.to ?? (isTrigger ? CALLING_LIST : FEED_REGISTRY),
    value: '0x0',
    gas: toQuantity(place?.receipt.gasUsed ?? 0n),
    gasPrice: price,
    maxFeePerGas: price,
    maxPriorityFeePerGas: '0x0',
    accessList: [],
    input: bytesToHex(native.raw.subarray(1)),
    v: toQuantity(yParity),
    yParity: toQuantity(yParity),
    r: toQuantity(r),
    s: toQuantity(s),
    ...nativeFields(native),
  }
}

const timestampSec = (envelope: BlockEnvelope, { chain }: RpcContext): bigint =>
  BigInt(Math.floor(chain.slotTimeMs(envelope.header.slot) / 1000))

function decodeStored(raw: Uint8Array, context: RpcContext): PooledForm {
  try {
    return context.pool.decode(raw)
  } catch (fault) {
    invariant(!(fault instanceof DecodeError), 'a stored transaction was decoded before it was executed')
    throw fault
  }
}

function render(raw: Uint8Array, place: Place, context: RpcContext): Json {
  const form = decodeStored(raw, context)
  const time = place === null ? null : timestampSec(place.block.envelope, context)
  const fields = form.kind === 'user' ? renderUser(form.tx, place) : renderNative(form.tx, place, context.chain.chainId)
  return { ...fields, ...placeFields(place, time) }
}

/** Transaction `index` of a block; null when there is none. */
export function renderTransaction(block: StoredBlock, index: number, context: RpcContext): Json | null {
  const raw = block.txs[index]
  const receipt = block.receipts[index]
  return raw === undefined || receipt === undefined ? null : render(raw, { block, index, receipt }, context)
}

/** A transaction of the pool. */
export const renderPending = (raw: Uint8Array, context: RpcContext): Json => render(raw, null, context)

/** One log with its place; `logIndex` counts through the block. */
export function renderLog(
  log: Receipt['logs'][number],
  at: Readonly<{ envelope: BlockEnvelope; txHash: Hex; txIndex: number; logIndex: number; removed: boolean }>,
  context: RpcContext,
): Json {
  return {
    address: log.address,
    topics: log.topics,
    data: bytesToHex(log.data),
    blockNumber: toQuantity(at.envelope.header.number),
    blockHash: at.envelope.hash,
    blockTimestamp: toQuantity(timestampSec(at.envelope, context)),
    transactionHash: at.txHash,
    transactionIndex: toQuantity(at.txIndex),
    logIndex: toQuantity(at.logIndex),
    removed: at.removed,
  }
}

/** Receipt of transaction `index`; null when there is none. */
export function renderReceipt(block: StoredBlock, index: number, context: RpcContext): Json | null {
  const receipt = block.receipts[index]
  if (receipt === undefined) return null
  const { envelope } = block
  let logIndex = block.receipts.slice(0, index).reduce((total, { logs }) => total + logs.length, 0)
  return {
    type: toQuantity(receipt.txType),
    status: toQuantity(receipt.status),
    transactionHash: receipt.txHash,
    transactionIndex: toQuantity(index),
    blockHash: envelope.hash,
    blockNumber: toQuantity(envelope.header.number),
    blockTimestamp: toQuantity(timestampSec(envelope, context)),
    from: receipt.from,
    to: receipt.to,
    contractAddress: receipt.contractAddress,
    cumulativeGasUsed: toQuantity(receipt.cumulativeGasUsed),
    gasUsed: toQuantity(receipt.gasUsed),
    effectiveGasPrice: toQuantity(receipt.effectiveGasPriceWei),
    logsBloom: receipt.logsBloom,
    logs: receipt.logs.map((log) =>
      renderLog(log, { envelope, txHash: receipt.txHash, txIndex: index, logIndex: logIndex++, removed: false }, context),
    ),
  }
}
