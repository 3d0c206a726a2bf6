/**
 * Ethereum transactions as pool and JSON-RPC see them: decoded strictly, sender recovered, static rules checked.
 * Sources: EIP-155, EIP-2718, EIP-2930, EIP-1559, EIP-7702, EIP-2 (low s), EIP-3860; yellow paper, section 6.2 and appendix F.
 * @module
 */
import { bigintToBytes, bytesToHex, concatBytes } from '#shared/bytes.ts'
import { decodeRlp, encodeRlp, FieldReader } from '#shared/codec/rlp.ts'
import type { RlpInput, RlpItem } from '#shared/codec/rlp.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { DecodeError } from '#shared/fault.ts'
import type { LaneKey } from '#shared/hhcm/lanes.ts'
import type { Address, Hash, Wei } from '#shared/types.ts'

/** Largest raw user transaction, bytes; the limit other clients have. */
export const TRANSACTION_BYTES_MAX = 128 * 1024
const ACCESS_COUNT_MAX = 4096
const AUTHORIZATION_COUNT_MAX = 256
/** Order of secp256k1. */
const CURVE_ORDER = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n

/** One entry of an EIP-2930 access list. */
export type AccessListItem = Readonly<{ address: Address; storageKeys: readonly Hash[] }>
/** One EIP-7702 authorization, as signed by its authority. */
export type Authorization = Readonly<{ chainId: bigint; address: Address; nonce: bigint; yParity: bigint; r: bigint; s: bigint }>

/** A user transaction (types 0, 1, 2 and 4). */
export type UserTransaction = Readonly<{
  hash: Hash
  raw: Uint8Array
  type: 0 | 1 | 2 | 4
  /** Null in a legacy transaction without replay protection. */
  chainId: bigint | null
  nonce: bigint
  /** Equal to maxFeePerGasWei for types 0 and 1. */
  maxPriorityFeePerGasWei: Wei
  maxFeePerGasWei: Wei
  gasLimit: bigint
  to: Address | null
  valueWei: Wei
  data: Uint8Array
  accessList: readonly AccessListItem[]
  authorizations: readonly Authorization[]
  /** As in the transaction: EIP-155 form in legacy, parity otherwise. */
  v: bigint
  yParity: 0 | 1
  r: bigint
  s: bigint
  sender: Address
}>

type Body = Omit<UserTransaction, 'hash' | 'raw' | 'sender'> & Readonly<{ signingBytes: Uint8Array }>

function readTo(reader: FieldReader): Address | null {
  const to = reader.bytes('to', 20)
  if (to.length === 0) return null
  if (to.length !== 20) throw new DecodeError('FIELD_INVALID', 'tx.to', `expected 20 bytes, got ${to.length}`)
  return bytesToHex(to)
}

function readAccessList(reader: FieldReader): readonly AccessListItem[] {
  return reader.list('accessList', ACCESS_COUNT_MAX).map((item) => {
    const entry = new FieldReader(item, 'tx.accessList', 2)
    const address = entry.fixed('address', 20)
    const storageKeys = entry.list('storageKeys', ACCESS_COUNT_MAX).map((key) => {
      if (key instanceof Uint8Array && key.length === 32) return bytesToHex(key)
      throw new DecodeError('FIELD_INVALID', 'tx.accessList.storageKeys', 'expected 32 bytes')
    })
    return { address, storageKeys }
  })
}

function readAuthorizations(reader: FieldReader): readonly Authorization[] {
  return reader.list('authorizationList', AUTHORIZATION_COUNT_MAX).map((item) => {
    const entry = new FieldReader(item, 'tx.authorizationList', 6)
    return {
      chainId: entry.bigint('chainId', 256),
      address: entry.fixed('address', 20),
      nonce: entry.bigint('nonce', 64),
      yParity: entry.bigint('yParity', 8),
      r: entry.bigint('r', 256),
      s: entry.bigint('s', 256),
    }
  })
}

/** Signing payload of a legacy transaction under EIP-155, or the old one. */
function legacySigningBytes(fields: readonly RlpItem[], chainId: bigint | null): Uint8Array {
  const base = fields.slice(0, 6) as RlpInput[]
  return encodeRlp(chainId === null ? base : [...base, chainId, 0, 0])
}

function readLegacy(raw: Uint8Array): Body {
  const item = decodeRlp(raw, TRANSACTION_BYTES_MAX)
  const reader = new FieldReader(item, 'tx', 9)
  const nonce = reader.bigint('nonce', 64)
  const gasPrice = reader.bigint('gasPrice', 256)
  const gasLimit = reader.bigint('gasLimit', 64)
  const to = readTo(reader)
  const valueWei = reader.bigint('value', 256)
  const data = reader.bytes('data', TRANSACTION_BYTES_MAX)
  const v = reader.bigint('v', 256)
  const isProtected = v >= 35n
  if (!isProtected && v !== 27n && v !== 28n) throw new DecodeError('SIGNATURE_INVALID', 'tx.v', `${v} is no recovery value`)
  const chainId = isProtected ? (v - 35n) / 2n : null
  const parity = isProtected ? (v - 35n) % 2n : v - 27n
  return {
    type: 0,
    chainId,
    nonce,
    maxPriorityFeePerGasWei: gasPrice,
    maxFeePerGasWei: gasPrice,
    gasLimit,
    to,
    valueWei,
    data,
    accessList: [],
    authorizations: [],
    v,
    yParity: parity === 1n ? 1 : 0,
    r: reader.bigint('r', 256),
    s: reader.bigint('s', 256),
    signingBytes: legacySigningBytes(item as readonly RlpItem[], chainId),
  }
}

const FIELD_COUNT = { 1: 11, 2: 12, 4: 13 } as const

function readTyped(raw: Uint8Array, type: 1 | 2 | 4): Body {
  const item = decodeRlp(raw.subarray(1), TRANSACTION_BYTES_MAX)
  const reader = new FieldReader(item, 'tx', FIELD_COUNT[type])
  const chainId = reader.bigint('chainId', 64)
  const nonce = reader.bigint('nonce', 64)
  const first = reader.bigint(type === 1 ? 'gasPrice' : 'maxPriorityFeePerGas', 256)
  const maxFeePerGasWei = type === 1 ? first : reader.bigint('maxFeePerGas', 256)
  const gasLimit = reader.bigint('gasLimit', 64)
  const to = readTo(reader)
  const valueWei = reader.bigint('value', 256)
  const data = reader.bytes('data', TRANSACTION_BYTES_MAX)
  const accessList = readAccessList(reader)
  const authorizations = type === 4 ? readAuthorizations(reader) : []
  const v = reader.bigint('yParity', 8)
  if (v > 1n) throw new DecodeError('SIGNATURE_INVALID', 'tx.yParity', `expected 0 or 1, got ${v}`)
  const unsigned = (item as readonly RlpItem[]).slice(0, -3) as RlpInput[]
  return {
    type,
    chainId,
    nonce,
    maxPriorityFeePerGasWei: first,
    maxFeePerGasWei,
    gasLimit,
    to,
    valueWei,
    data,
    accessList,
    authorizations,
    v,
    yParity: v === 1n ? 1 : 0,
    r: reader.bigint('r', 256),
    s: reader.bigint('s', 256),
    signingBytes: concatBytes(Uint8Array.of(type), encodeRlp(unsigned)),
  }
}

function readBody(raw: Uint8Array): Body {
  const [first] = raw
  if (first === undefined) throw new DecodeError('RLP_INVALID', 'tx', 'empty transaction')
  if (first >= 0xc0) return readLegacy(raw)
  if (first === 1 || first === 2 || first === 4) return readTyped(raw, first)
  throw new DecodeError('TYPE_UNSUPPORTED', 'tx', 'transaction type not supported')
}

function recoverSender(crypto: CryptoSuite, body: Body): Address {
  const { r, s, yParity } = body
  if (r === 0n || r >= CURVE_ORDER || s === 0n || s > CURVE_ORDER / 2n)
    throw new DecodeError('SIGNATURE_INVALID', 'tx.signature', 'r or s out of range')
  const digest = crypto.keccak256(body.signingBytes)
  const sender = crypto.recoverAddress(digest, bigintToBytes(r, 32), bigintToBytes(s, 32), yParity)
  if (sender === null) throw new DecodeError('SIGNATURE_INVALID', 'tx.signature', 'no key made it')
  return sender
}

/**
 * Decodes an EIP-2718 envelope and recovers its sender.
 * @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID, TYPE_UNSUPPORTED, SIGNATURE_INVALID
 */
export function decodeUserTransaction(crypto: CryptoSuite, raw: Uint8Array): UserTransaction {
  const { signingBytes, ...body } = readBody(raw)
  const sender = recoverSender(crypto, { ...body, signingBytes })
  return { ...body, hash: bytesToHex(crypto.keccak256(raw)), raw, sender }
}

/** Gas a transaction costs before its first instruction. Sources: EIP-2028, EIP-2930, EIP-3860, EIP-7702. */
export function intrinsicGas(tx: Pick<UserTransaction, 'to' | 'data' | 'accessList' | 'authorizations'>): bigint {
  let gas = 21_000n
  for (const byte of tx.data) gas += byte === 0 ? 4n : 16n
  if (tx.to === null) gas += 32_000n + 2n * BigInt(Math.ceil(tx.data.length / 32))
  for (const { storageKeys } of tx.accessList) gas += 2400n + 1900n * BigInt(storageKeys.length)
  return gas + 25_000n * BigInt(tx.authorizations.length)
}

/** Most the transaction can take from its sender. */
export const maxCostWei = (tx: UserTransaction): Wei => tx.valueWei + tx.gasLimit * tx.maxFeePerGasWei

/** What decides its lane: the called contract, or the sender when nothing is called. */
export function userLaneKey(tx: Pick<UserTransaction, 'to' | 'data' | 'sender'>): LaneKey {
  return tx.to !== null && tx.data.length > 0 ? { kind: 'call', to: tx.to } : { kind: 'sender', sender: tx.sender }
}
