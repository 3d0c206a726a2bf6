/**
 * Transfer extension, its field and its transposition. Expected values: polynomials and bit matrices in plain integers (ot-model.ts), x^128 in
 * the field by definition of its modulus. @module
 */
import * as fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { bitOf, bytesOfWords, transposeColumns, wordsOf } from '#shared/dcrm/bit-matrix.ts'
import { linearHash } from '#shared/dcrm/gf128.ts'
import { OT_CHOICE_BYTES, OT_COLUMNS, OT_MESSAGE_BYTES, OT_ROWS, extendAsReceiver, extendAsSender } from '#shared/dcrm/ot-extension.ts'
import { probeMessage } from '#test/unit/dcrm/malicious-receiver.ts'
import {
  bitAt,
  bitsOf,
  bytesOf,
  dealtPair,
  linearHashModel,
  multiplyModel,
  receiverModel,
  senderRowsModel,
} from '#test/unit/dcrm/ot-model.ts'
import { hex, seedOf, unhex } from '#test/unit/dcrm/support.ts'

const counts = vi.hoisted(() => ({ columns: 0 }))
vi.mock('#shared/dcrm/gf128.ts', async (importActual) => {
  const actual = await importActual<{ linearHash: typeof linearHash }>()
  return {
    ...actual,
    linearHash: (weights: Uint32Array): ReturnType<typeof linearHash> => {
      const hash = actual.linearHash(weights)
      return (...args) => {
        counts.columns++
        hash(...args)
      }
    },
  }
})

const backend = createNativeBackend()
const [sender, receiver] = dealtPair(backend)
const name = seedOf('name')
const choice = backend.shake256(seedOf('choice'), OT_CHOICE_BYTES)
const honest = extendAsReceiver(backend, receiver.asReceiver, name, choice)
const take = (message: Uint8Array): Uint32Array | null => extendAsSender(backend, sender.asSender, name, message)
const flipped = (bytes: Uint8Array, bit: number): Uint8Array => bytes.map((byte, at) => (at === bit >>> 3 ? byte ^ (1 << (bit & 7)) : byte))
const rowList = (rows: Uint32Array | null): readonly string[] =>
  rows === null ? [] : Array.from({ length: OT_ROWS }, (_, row) => unhex(bytesOfWords(rows.slice(4 * row, 4 * row + 4))))

describe('bit matrices', () => {
  it('keeps bit k of a string in bit k of its little-endian bytes', () => {
    const words = wordsOf(Uint8Array.of(0x01, 0, 0, 0x80, 2, 0, 0, 0))
    expect([...words]).toEqual([0x80000001, 2])
    expect([0, 1, 31, 32, 33].map((index) => bitOf(words, index))).toEqual([1, 0, 1, 0, 1])
    expect(bytesOfWords(words)).toEqual(Uint8Array.of(0x01, 0, 0, 0x80, 2, 0, 0, 0))
  })
  it('reads words of a view at its own offset', () => {
    expect([...wordsOf(Uint8Array.of(9, 9, 9, 1, 0, 0, 0).subarray(3))]).toEqual([1])
  })
  it('transposes as moving every single bit does', () => {
    fc.assert(
      fc.property(
        fc.constantFrom([32, 1, 1], [64, 3, 2], [128, 17, 13]),
        fc.uint8Array({ minLength: 32, maxLength: 32 }),
        (shape, seed) => {
          const [count = 0, words = 0, rowWords = 0] = shape
          const columns = wordsOf(backend.shake256(seed, 4 * count * words))
          const rows = transposeColumns(columns, count, words, rowWords)
          expect(rows.length).toBe(rowWords * count)
          const wrong = Array.from({ length: 32 * rowWords * count }, (_, at) => {
            const [row, column] = [Math.floor(at / count), at % count]
            return bitOf(rows, at) === bitOf(columns.subarray(column * words), row) ? 0 : 1
          })
          expect(wrong.includes(1)).toBe(false)
        },
      ),
      { numRuns: 6 },
    )
  })
})

describe('the linear hash over 2^128 elements', () => {
  const run = (weights: readonly bigint[], bits: bigint): bigint => {
    const target = new Uint32Array(4)
    const words = wordsOf(bytesOf(bits << 64n, 76))
    linearHash(
      wordsOf(
        bytesOf(
          weights.reduce((all, weight, index) => all | (weight << BigInt(128 * index)), 0n),
          64,
        ),
      ),
    )(words, 2, target)
    return bitsOf(bytesOfWords(target))
  }
  it('reduces x^128 to x^7 + x^2 + x + 1', () => {
    expect(multiplyModel(1n << 127n, 2n)).toBe(0x87n)
    expect(run([1n << 127n, 0n, 0n, 0n], 2n)).toBe(0x87n)
    expect(run([2n, 0n, 0n, 0n], 1n << 127n)).toBe(0x87n)
  })
  it('agrees with polynomial arithmetic on random strings and weights, block by block', () => {
    const element = fc.bigInt({ min: 0n, max: (1n << 128n) - 1n })
    fc.assert(
      fc.property(fc.array(element, { minLength: 4, maxLength: 4 }), fc.bigInt({ min: 0n, max: (1n << 544n) - 1n }), (weights, bits) => {
        expect(run(weights, bits)).toBe(linearHashModel(weights, bits))
      }),
      { numRuns: 100 },
    )
  })
  it('leaves its weights as they were', () => {
    const weights = wordsOf(backend.shake256(seedOf('weights'), 64))
    const before = [...weights]
    linearHash(weights)
    expect([...weights]).toEqual(before)
  })
  it('adds the last 128 bits as they are', () => {
    expect(run([1n, 1n, 1n, 1n], 5n << 416n)).toBe(5n)
    expect(run([0n, 0n, 0n, 1n], 0xffffffffn << 384n)).toBe(0xffffffffn)
  })
})

describe('transfer extension', () => {
  it('says and keeps what the model of the bit matrix says and keeps', () => {
    const model = receiverModel(backend, receiver, name, choice)
    expect(honest.message.length).toBe(10_768)
    expect(unhex(honest.message)).toBe(unhex(model.message))
    expect(rowList(honest.rows)).toEqual(model.rows.map((row) => unhex(row)))
    expect(unhex(bytesOfWords(honest.choices))).toBe(unhex(choice))
  })
  it('gives the sender the rows of the model, apart by Δ exactly where the choice is 1', () => {
    const rows = take(honest.message)
    expect(rowList(rows)).toEqual(senderRowsModel(backend, sender, name, honest.message).map((row) => unhex(row)))
    const mine = rowList(honest.rows)
    const delta = bitsOf(sender.asSender.delta)
    const differences = rowList(rows).map((row, index) => bitsOf(hex(row)) ^ bitsOf(hex(mine[index] ?? '')))
    expect(differences).toEqual(mine.map((_, index) => (bitAt(bitsOf(choice), index) === 1 ? delta : 0n)))
  })
  it('refuses a message changed anywhere: in U, in x̃, in t̃', () => {
    const random = fc.integer({ min: 0, max: 8 * OT_MESSAGE_BYTES - 1 })
    const ofTag = fc.integer({ min: 8 * 8704, max: 8 * 8720 - 1 })
    const edges = [0, 8 * 8704 - 1, 8 * 8704, 8 * 8720 - 1, 8 * 8720, 8 * OT_MESSAGE_BYTES - 1]
    for (const bit of edges) expect(take(flipped(honest.message, bit))).toBe(null)
    fc.assert(
      fc.property(fc.oneof(random, ofTag), (bit) => {
        expect(take(flipped(honest.message, bit))).toBe(null)
      }),
      { numRuns: 40 },
    )
  })
  it('refuses every single tag changed alone', () => {
    const columns = Array.from({ length: OT_COLUMNS }, (_, column) => column)
    expect(columns.filter((column) => take(flipped(honest.message, 8 * (8720 + 16 * column) + column)) !== null)).toEqual([])
  })
  it('refuses another length', () => {
    for (const length of [0, OT_MESSAGE_BYTES - 1]) expect(take(honest.message.slice(0, length))).toBe(null)
    expect(take(new Uint8Array([...honest.message, 0]))).toBe(null)
  })
  it('refuses a message made under another name', () => {
    expect(extendAsSender(backend, sender.asSender, seedOf('other'), honest.message)).toBe(null)
  })
  it('expands a key to other columns under another name and at another index', () => {
    const same = new Uint8Array(32 * OT_COLUMNS)
    const columnsOf = (name: Uint8Array): readonly string[] => {
      const { message } = extendAsReceiver(backend, { keys0: same, keys1: receiver.asReceiver.keys1 }, name, choice)
      return Array.from({ length: OT_COLUMNS }, (_, index) => unhex(message.slice(68 * index, 68 * index + 68)))
    }
    expect(new Set([...columnsOf(name), ...columnsOf(seedOf('other'))]).size).toBe(2 * OT_COLUMNS)
  })
})

describe('a receiver that lies in one column', () => {
  it('9 selective failure: is refused if and only if that bit of Δ is 1, so a refusal must end it with that pair', () => {
    const delta = bitsOf(sender.asSender.delta)
    const answers = Array.from({ length: OT_COLUMNS }, (_, column) => {
      const session = seedOf(`probe ${column}`)
      const message = probeMessage(backend, receiver, session, choice, column)
      return extendAsSender(backend, sender.asSender, session, message) === null ? 1 : 0
    })
    expect(answers).toEqual(Array.from({ length: OT_COLUMNS }, (_, column) => bitAt(delta, column)))
    expect(new Set(answers).size).toBe(2)
  })
  it('26 error path: every column is looked at, whichever failed, and the outcome is the same null', () => {
    const looked = (message: Uint8Array): readonly [number, boolean] => {
      counts.columns = 0
      const rows = take(message)
      return [counts.columns, rows === null]
    }
    counts.columns = 0
    extendAsReceiver(backend, receiver.asReceiver, name, choice)
    // The choices and every column.
    expect(counts.columns).toBe(1 + OT_COLUMNS)
    expect(looked(honest.message)).toEqual([OT_COLUMNS, false])
    for (const column of [0, 64, OT_COLUMNS - 1])
      expect(looked(flipped(honest.message, 8 * (8720 + 16 * column)))).toEqual([OT_COLUMNS, true])
  })
})
