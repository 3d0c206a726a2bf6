/**
 * Contract storage as the Solidity compiler lays it out: reads as generators that any shell can answer, slots of mappings and arrays,
 * packed fields, strings. Source: Solidity documentation, "Layout of State Variables in Storage".
 * @module
 */
import { bigintToBytes, bytesToBigint, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { StateView } from '#shared/chain/types.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { invariant } from '#shared/fault.ts'
import { utf8FromBytes } from '#shared/trigger/byte-reader.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'

type Keccak = Pick<CryptoSuite, 'keccak256'>

/** One read of state. */
export type StorageRead = Readonly<{ kind: 'slot'; address: Address; slot: Hash } | { kind: 'code'; address: Address }>
/** A computation that reads state; the shell answers a slot with its word and code with its bytes. */
export type Reading<T> = Generator<StorageRead, T, Hash | Uint8Array>
/** One word to write. */
export type StorageWrite = Readonly<{ slot: Hash; value: Hash }>

const WORD_BITS = 256n
const WORD_MASK = (1n << WORD_BITS) - 1n

/** A number as a 32-byte word. */
export const toWord = (value: bigint): Hash => `0x${value.toString(16).padStart(64, '0')}`

/** Reads one word. */
export function* readSlot(address: Address, slot: bigint): Reading<bigint> {
  const value = yield { kind: 'slot', address, slot: toWord(slot) }
  invariant(typeof value === 'string', 'a shell answers a slot with its word')
  return BigInt(value)
}

/** Reads code. */
export function* readCode(address: Address): Reading<Uint8Array> {
  const value = yield { kind: 'code', address }
  invariant(typeof value !== 'string', 'a shell answers code with bytes')
  return value
}

/** Runs a reading on a state at hand. */
export function readFrom<T>(reading: Reading<T>, state: Pick<StateView, 'storage' | 'code'>): T {
  let step = reading.next()
  while (step.done !== true) {
    const { value } = step
    step = reading.next(value.kind === 'slot' ? state.storage(value.address, value.slot) : state.code(value.address))
  }
  return step.value
}

/** Slot of a mapping's value whose key is one word. */
export function mappingSlot(key: Hash | bigint, base: bigint, suite: Keccak): bigint {
  const word = typeof key === 'bigint' ? bigintToBytes(key, 32) : hexToBytes(key)
  return bytesToBigint(suite.keccak256(concatBytes(word, bigintToBytes(base, 32))))
}

/** First slot of a dynamic array's elements, or of a long string. */
export function arraySlot(base: bigint, suite: Keccak): bigint {
  return bytesToBigint(suite.keccak256(bigintToBytes(base, 32)))
}

/** A slot some words after another. */
export const slotAfter = (slot: bigint, offset: number): bigint => (slot + BigInt(offset)) & WORD_MASK

/** An address as a mapping key. */
export const addressKey = (address: Address): bigint => BigInt(address)

/** Bits offset..offset+bits of a packed word. */
export function fieldOf(word: bigint, offset: number, bits: number): bigint {
  return (word >> BigInt(offset)) & ((1n << BigInt(bits)) - 1n)
}

/** The word with one field replaced. */
export function withField(word: bigint, offset: number, bits: number, value: bigint): bigint {
  invariant(value >= 0n && value < 1n << BigInt(bits), 'a packed field holds its value')
  const mask = ((1n << BigInt(bits)) - 1n) << BigInt(offset)
  return (word & ~mask) | (value << BigInt(offset))
}

/** A field as a number; only for fields of at most 48 bits. */
export const numberOf = (word: bigint, offset: number, bits: number): number => Number(fieldOf(word, offset, bits))

/** Lower 160 bits of a field as an address. */
export const addressOf = (word: bigint, offset: number): Address => toHex(fieldOf(word, offset, 160), 20)

const toHex = (value: bigint, length: number): Hex => bytesToHex(bigintToBytes(value, length))

/** Reads an array of words. */
export function* readWords(address: Address, base: bigint, suite: Keccak): Reading<bigint[]> {
  const length = Number(yield* readSlot(address, base))
  return yield* readRange(address, arraySlot(base, suite), 0, length)
}

/** Reads elements from..to of an array whose first element has the slot `first`. */
export function* readRange(address: Address, first: bigint, from: number, to: number): Reading<bigint[]> {
  const words: bigint[] = []
  for (let index = from; index < to; index++) words.push(yield* readSlot(address, slotAfter(first, index)))
  return words
}

/** Reads a `string`; bytes that are not UTF-8 come as hex. */
export function* readString(address: Address, base: bigint, suite: Keccak): Reading<string> {
  const head = yield* readSlot(address, base)
  let bytes: Uint8Array
  if ((head & 1n) === 0n) bytes = bigintToBytes(head, 32).subarray(0, Number((head & 0xffn) / 2n))
  else {
    const length = Number((head - 1n) / 2n)
    const words = yield* readRange(address, arraySlot(base, suite), 0, Math.ceil(length / 32))
    bytes = concatBytes(...words.map((word) => bigintToBytes(word, 32))).subarray(0, length)
  }
  return utf8FromBytes(bytes) ?? bytesToHex(bytes)
}

/** Words of an array of words. */
export function arrayWrites(base: bigint, words: readonly bigint[], suite: Keccak): StorageWrite[] {
  const first = arraySlot(base, suite)
  return [
    { slot: toWord(base), value: toWord(BigInt(words.length)) },
    ...words.map((word, index) => ({ slot: toWord(slotAfter(first, index)), value: toWord(word) })),
  ]
}

/** Words of a `string`. */
export function stringWrites(base: bigint, text: string, suite: Keccak): StorageWrite[] {
  const bytes = utf8ToBytes(text)
  const padded = (from: number): Uint8Array => concatBytes(bytes.subarray(from, from + 32), new Uint8Array(32)).subarray(0, 32)
  if (bytes.length < 32) return [{ slot: toWord(base), value: toWord(bytesToBigint(padded(0)) | BigInt(2 * bytes.length)) }]
  const first = arraySlot(base, suite)
  const words = Array.from({ length: Math.ceil(bytes.length / 32) }, (_, index) => bytesToBigint(padded(32 * index)))
  return [
    { slot: toWord(base), value: toWord(BigInt(2 * bytes.length + 1)) },
    ...words.map((word, index) => ({ slot: toWord(slotAfter(first, index)), value: toWord(word) })),
  ]
}
