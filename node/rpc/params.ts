/** Parameters of JSON-RPC methods, checked at the boundary. Encodings: Ethereum execution API specification, "hex value encoding". @module */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import * as z from 'zod'

const lower = (text: string): Hex => text.toLowerCase() as Hex

/** Hex integer without leading zeros, up to 256 bits. */
export const quantity = z
  .string()
  .regex(/^0x(?:0|[1-9a-fA-F][0-9a-fA-F]{0,63})$/, 'expected a hex integer without leading zeros, like 0x1f')
  .transform((text) => BigInt(text))

/** A quantity that is a safe integer. */
export const smallQuantity = quantity.refine((value) => value <= BigInt(Number.MAX_SAFE_INTEGER), 'integer too large').transform(Number)

/** Bytes as hex of even length. */
export const bytes = z
  .string()
  .regex(/^0x(?:[0-9a-fA-F]{2})*$/, 'expected 0x and an even number of hex digits')
  .transform((text) => hexToBytes(text))

/** 20 bytes, brought to lower case; checksums are for people. */
export const address = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'expected an address: 0x and 40 hex digits')
  .transform((text): Address => lower(text))

/** 32 bytes, brought to lower case. */
export const hash = z
  .string()
  .regex(/^0x[0-9a-fA-F]{64}$/, 'expected a hash: 0x and 64 hex digits')
  .transform((text): Hash => lower(text))

/** A storage slot: any hex up to 32 bytes, left-padded. */
export const slot = z
  .string()
  .regex(/^0x[0-9a-fA-F]{1,64}$/, 'expected a storage slot: 0x and up to 64 hex digits')
  .transform((text): Hash => lower(`0x${text.slice(2).padStart(64, '0')}`))

/** A block as a caller may name it. */
export type BlockRef =
  | Readonly<{ kind: 'tag'; tag: 'latest' | 'earliest' | 'pending' | 'safe' | 'finalized' }>
  | Readonly<{ kind: 'number'; number: number }>
  | Readonly<{ kind: 'hash'; hash: Hash; requireCanonical: boolean }>

const LATEST: BlockRef = { kind: 'tag', tag: 'latest' }

const tagRef = z.enum(['latest', 'earliest', 'pending', 'safe', 'finalized']).transform((tag): BlockRef => ({ kind: 'tag', tag }))
const numberRef = smallQuantity.transform((number): BlockRef => ({ kind: 'number', number }))
const hashRef = hash.transform((value): BlockRef => ({ kind: 'hash', hash: value, requireCanonical: false }))
const hashObject = z
  .strictObject({ blockHash: hash, requireCanonical: z.boolean().optional() })
  .transform((value): BlockRef => ({ kind: 'hash', hash: value.blockHash, requireCanonical: value.requireCanonical ?? false }))
const numberObject = z.strictObject({ blockNumber: z.union([numberRef, tagRef]) }).transform((value) => value.blockNumber)

/** Tag or number. */
export const blockNumber = z.union([tagRef, numberRef], 'expected a block number or latest, earliest, pending, safe, finalized')
/** Tag, number, hash, or an EIP-1898 object; latest when absent. */
export const blockRef = z
  .union([tagRef, hashRef, numberRef, hashObject, numberObject], 'expected a block number, tag or hash')
  .nullish()
  .transform((value) => value ?? LATEST)

const accessList = z.array(z.object({ address, storageKeys: z.array(hash) }))
const authorization = z.object({
  chainId: quantity,
  address,
  nonce: quantity,
  yParity: quantity.optional(),
  r: quantity.optional(),
  s: quantity.optional(),
})

/** Call object; unknown fields are ignored as other clients do. */
export const callObject = z
  .object({
    from: address.nullish(),
    to: address.nullish(),
    gas: quantity.nullish(),
    gasPrice: quantity.nullish(),
    maxFeePerGas: quantity.nullish(),
    maxPriorityFeePerGas: quantity.nullish(),
    value: quantity.nullish(),
    nonce: quantity.nullish(),
    chainId: quantity.nullish(),
    type: quantity.nullish(),
    data: bytes.nullish(),
    input: bytes.nullish(),
    accessList: accessList.nullish(),
    authorizationList: z.array(authorization).nullish(),
  })
  .refine(
    ({ data, input }) =>
      data === null || data === undefined || input === null || input === undefined || bytesToHex(data) === bytesToHex(input),
    'both "data" and "input" are set and not equal',
  )
  .refine(
    ({ gasPrice, maxFeePerGas, maxPriorityFeePerGas }) =>
      (gasPrice ?? undefined) === undefined ||
      ((maxFeePerGas ?? undefined) === undefined && (maxPriorityFeePerGas ?? undefined) === undefined),
    'both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified',
  )

/** A checked call object. */
export type CallObject = z.output<typeof callObject>

const storageMap = z.record(hash, hash)

/** State override set of eth_call. */
export const stateOverride = z
  .record(
    address,
    z.strictObject({
      balance: quantity.optional(),
      nonce: quantity.optional(),
      code: bytes.optional(),
      state: storageMap.optional(),
      stateDiff: storageMap.optional(),
    }),
  )
  .nullish()

/** A checked override set; absent or null means none. */
export type StateOverrideInput = z.output<typeof stateOverride>

const topic = z.union([hash.transform((value) => [value]), z.array(hash).max(256), z.null().transform((): Hash[] => [])])

/** Log filter of eth_getLogs, eth_newFilter and eth_subscribe. */
export const logFilter = z
  .object({
    fromBlock: blockNumber.nullish(),
    toBlock: blockNumber.nullish(),
    blockHash: hash.nullish(),
    address: z
      .union([address.transform((value) => [value]), z.array(address).max(1024)])
      .nullish()
      .transform((value) => value ?? []),
    topics: z
      .array(topic)
      .max(4)
      .nullish()
      .transform((value) => value ?? []),
  })
  .refine(
    ({ blockHash, fromBlock, toBlock }) =>
      (blockHash ?? undefined) === undefined || ((fromBlock ?? undefined) === undefined && (toBlock ?? undefined) === undefined),
    'cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other',
  )

/** A checked log filter; an empty list accepts everything. */
export type LogFilter = z.output<typeof logFilter>

/** Integer given as quantity or as a JSON number, which cast and others send for counts. */
export const count = z.union([smallQuantity, z.int().nonnegative()])
