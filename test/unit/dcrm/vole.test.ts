/** VOLE between two parties. Expected values: c + e = a·b in plain integers, and the model of the formulas (ot-model.ts). @module */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { scalarBytes } from '#shared/dcrm/codec.ts'
import type { Drbg } from '#shared/dcrm/drbg.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { bytesOfWords } from '#shared/dcrm/bit-matrix.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { OT_ROWS, extendAsSender } from '#shared/dcrm/ot-extension.ts'
import type { VoleContext } from '#shared/dcrm/vole.ts'
import { VOLE_RECEIVER_BYTES, VOLE_SENDER_BYTES, voleFinish, voleGadget, voleReceive, voleSend } from '#shared/dcrm/vole.ts'
import { probeMessage } from '#test/unit/dcrm/malicious-receiver.ts'
import { bitAt, bitsOf, dealtPair, productFactorModel, voleSendModel } from '#test/unit/dcrm/ot-model.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'

const backend = createNativeBackend()
const { order } = backend.secp256k1
const [sender, receiver] = dealtPair(backend)
const contextOf = (word: string): VoleContext => ({ backend, keyId: seedOf('key'), epoch: 3, sender: 1, receiver: 2, name: seedOf(word) })
const context = contextOf('run')
const drbgOf = (word: string): Drbg => createDrbg(backend, seedOf(word), 'test')
const received = voleReceive(context, receiver, drbgOf('receiver'))
const choice = drbgOf('receiver').bytes(68)
const choices = bitsOf(choice)
const inputs = [5n, order - 7n] as const
/** A generator that gives the mask of the test's choice. */
const masked = (mask: bigint): Drbg => ({ ...drbgOf('mask'), scalar: () => mask })
const rows = extendAsSender(backend, sender.asSender, context.name, received.message) ?? new Uint32Array(0)
const modelRows = Array.from({ length: OT_ROWS }, (_, row) => bytesOfWords(rows.slice(4 * row, 4 * row + 4)))
const sent = voleSend(context, sender, received.message, inputs, masked(11n))
const message = sent?.message ?? new Uint8Array(0)
const finish = (bytes: Uint8Array): readonly bigint[] | null => voleFinish(context, received.state, bytes)
const flipped = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))
const withScalar = (bytes: Uint8Array, at: number, scalar: bigint): Uint8Array => {
  const changed = bytes.slice()
  changed.set(scalarBytes(scalar), at)
  return changed
}

describe('vector oblivious evaluation', () => {
  it('ends with shares of both products, whatever the inputs', () => {
    const scalar = fc.oneof(fc.constantFrom(0n, 1n, order - 1n), fc.bigInt({ min: 0n, max: order - 1n }))
    fc.assert(
      fc.property(scalar, scalar, fc.string({ minLength: 4 }), (first, second, word) => {
        const run = contextOf(word)
        const { state, b, message: asked } = voleReceive(run, receiver, drbgOf(`r${word}`))
        const answer = voleSend(run, sender, asked, [first, second], drbgOf(`s${word}`))
        const shares = answer === null ? null : voleFinish(run, state, answer.message)
        for (const [index, input] of [first, second].entries()) {
          const [c, e] = [answer?.shares[index] ?? -1n, shares?.[index] ?? -1n]
          expect(c >= 0n && c < order && e >= 0n && e < order).toBe(true)
          expect((c + e) % order).toBe((input * b) % order)
        }
      }),
      { numRuns: 25 },
    )
  })
  it('says what the model says', () => {
    expect([received.message.length, message.length]).toEqual([10_768, 40_000])
    expect([VOLE_RECEIVER_BYTES, VOLE_SENDER_BYTES]).toEqual([10_768, 40_000])
    const model = voleSendModel(context, modelRows, sender.asSender.delta, [...inputs, 11n])
    expect(unhex(message)).toBe(unhex(model.message))
    expect(sent?.shares).toEqual(model.shares)
    expect(received.b).toBe(productFactorModel(context, choice))
  })
  it('says the same over the reference backend', () => {
    const reference = { ...context, backend: nobleBackend }
    const other = voleReceive(reference, receiver, drbgOf('receiver'))
    expect(unhex(other.message)).toBe(unhex(received.message))
    const answer = voleSend(reference, sender, other.message, inputs, masked(11n))
    expect(unhex(answer?.message ?? new Uint8Array(0))).toBe(unhex(message))
    expect(voleFinish(reference, other.state, message)).toEqual(finish(message))
  })
  it('draws the factor b over the whole range of scalars', () => {
    const factors = Array.from({ length: 192 }, (_, run) => voleReceive(context, receiver, drbgOf(`uniform ${run}`)).b)
    expect(new Set(factors).size).toBe(factors.length)
    // Of 192 fair bits, fewer than 58 or more than 134 ones have a chance below 10^-7.
    for (const bit of [0, 1, 2, 3, 127, 128, 252, 253, 254, 255]) {
      const ones = factors.filter((factor) => bitAt(factor, bit) === 1).length
      expect(ones).toBeGreaterThan(57)
      expect(ones).toBeLessThan(135)
    }
  })
  it('weighs choices by key, epoch and ordered pair', () => {
    const variants = [context, { ...context, keyId: seedOf('k2') }, { ...context, epoch: 4 }, { ...context, sender: 3 }]
    const all = [...variants, { ...context, receiver: 3 }, { ...context, sender: 2, receiver: 1 }].map((variant) => voleGadget(variant))
    expect(new Set(all.flat()).size).toBe(6 * OT_ROWS)
    expect(all.flat().every((weight) => weight < order)).toBe(true)
    expect(voleGadget({ ...context, name: seedOf('n2') })).toEqual(all[0])
  })
})

describe('a message changed on its way', () => {
  it('to the sender is refused', () => {
    expect(voleSend(context, sender, flipped(received.message, 17), inputs, masked(1n))).toBe(null)
    expect(voleSend(context, sender, new Uint8Array(0), inputs, masked(1n))).toBe(null)
  })
  it('to the receiver is refused wherever the change is: in ã, η, μ', () => {
    const edges = [0, 31, 32, 64, 39_935, 39_936, 39_967, 39_968, 39_999]
    for (const at of edges) expect(finish(flipped(message, at))).toBe(null)
    fc.assert(
      fc.property(fc.integer({ min: 0, max: message.length - 1 }), (at) => {
        expect(finish(flipped(message, at))).toBe(null)
      }),
      { numRuns: 25 },
    )
  })
  it('has another length and is refused', () => {
    for (const length of [0, VOLE_SENDER_BYTES - 1]) expect(finish(message.slice(0, length))).toBe(null)
    expect(finish(new Uint8Array([...message, 0]))).toBe(null)
  })
  it('belongs to another run and is refused', () => {
    const other = contextOf('other')
    expect(voleSend(other, sender, received.message, inputs, masked(1n))).toBe(null)
    expect(voleFinish(other, received.state, message)).toBe(null)
  })
})

describe('a sender that cheats', () => {
  it('15 range: a value that is not below the order is refused even where its remainder is right', () => {
    const plain = voleSend(context, sender, received.message, [0n, 0n], masked(5n))
    const bytes = plain?.message ?? new Uint8Array(0)
    expect(finish(bytes)).not.toBe(null)
    expect(unhex(bytes.slice(39_936, 39_968))).toBe(unhex(scalarBytes(5n)))
    expect(finish(withScalar(bytes, 39_936, order + 5n))).toBe(null)
    const zero = voleSend(context, sender, received.message, [0n, 0n], masked(0n))?.message ?? new Uint8Array(0)
    expect(finish(zero)).not.toBe(null)
    expect(finish(withScalar(zero, 39_936, order))).toBe(null)
    // A correction of zero by the choice of the input, then written as the order before anything that depends on it.
    for (const [row, column] of [
      [0, 0],
      [OT_ROWS - 1, 1],
    ] as const) {
      const draft = voleSendModel(context, modelRows, sender.asSender.delta, [0n, 0n, 11n])
      const zeroing = (order - bitsOfScalar(draft.message, 32 * (3 * row + column))) % order
      const chosen = column === 0 ? ([zeroing, 0n, 11n] as const) : ([0n, zeroing, 11n] as const)
      const withLie = (lie: boolean): Uint8Array =>
        voleSendModel(context, modelRows, sender.asSender.delta, chosen, (_row, _column, correction) =>
          lie && correction === 0n ? order : correction,
        ).message
      expect(finish(withLie(false))).not.toBe(null)
      expect(finish(withLie(true))).toBe(null)
    }
  })
  it('9 selective failure: by one wrong correction is found out exactly where the receiver chose it', () => {
    const answers = Array.from({ length: 8 }, (_, row) =>
      [0, 1, 2].map((column) => {
        const lie = (atRow: number, atColumn: number, correction: bigint): bigint =>
          atRow === row && atColumn === column ? (correction + 1n) % order : correction
        return finish(voleSendModel(context, modelRows, sender.asSender.delta, [...inputs, 11n], lie).message) === null ? 1 : 0
      }),
    )
    expect(answers).toEqual(Array.from({ length: 8 }, (_, row) => [0, 1, 2].map(() => bitAt(choices, row))))
  })
  it('26 error path: the receiver works through all rows, whichever is wrong', () => {
    let rowsHashed = 0
    const counting = {
      ...context,
      backend: {
        ...backend,
        shake256: (data: Uint8Array, length: number): Uint8Array => {
          if (length === 96) rowsHashed++
          return backend.shake256(data, length)
        },
      },
    }
    for (const at of [0, 39_904, 39_936, 39_968]) {
      rowsHashed = 0
      expect(
        voleFinish(
          counting,
          received.state,
          message.map((byte, index) => (index >= at && index < at + 32 ? 255 : byte)),
        ),
      ).toBe(null)
      expect(rowsHashed).toBe(OT_ROWS)
    }
  })
})

describe('a receiver that cheats', () => {
  it('9 selective failure: gets no shares where it asked about a 1 of Δ', () => {
    const delta = bitsOf(sender.asSender.delta)
    for (const bit of [0, 1] as const) {
      const column = Array.from({ length: 128 }, (_, index) => index).find((index) => bitAt(delta, index) === bit) ?? 0
      const run = contextOf(`probe ${bit}`)
      const answer = voleSend(run, sender, probeMessage(backend, receiver, run.name, choice, column), inputs, masked(1n))
      expect(answer === null).toBe(bit === 1)
    }
  })
})

const bitsOfScalar = (bytes: Uint8Array, at: number): bigint => BigInt(`0x${unhex(bytes.slice(at, at + 32))}`)
