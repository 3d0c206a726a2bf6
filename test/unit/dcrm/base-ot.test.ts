/** Base transfers. Expected values: the equations of the protocol in the reference's points, encodings that SEC 1 forbids. @module */
import { describe, expect, it } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { concatBytes } from '#shared/bytes.ts'
import type { Point } from '#shared/dcrm/backend.ts'
import type { BaseOtContext } from '#shared/dcrm/base-ot.ts'
import { BASE_OT_BYTES, finishBaseOt, receiveBaseOt, sendBaseOt } from '#shared/dcrm/base-ot.ts'
import { createDrbg } from '#shared/dcrm/drbg.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { bitAt, bitsOf } from '#test/unit/dcrm/ot-model.ts'
import { hex, seedOf, unhex } from '#test/unit/dcrm/support.ts'

const COUNT = 128
const backend = createNativeBackend()
const group = backend.secp256k1
const context: BaseOtContext = { backend, name: seedOf('direction') }
const drbgOf = (word: string) => createDrbg(backend, seedOf(word), 'test')
const offer = receiveBaseOt(context, drbgOf('receiver'))
const sent = sendBaseOt(context, offer.message, drbgOf('sender'))
const answer = sent?.message ?? new Uint8Array(0)
const keys = finishBaseOt(context, offer.state, answer)
const indices = Array.from({ length: COUNT }, (_, index) => index)
const choices = indices.map((index) => bitAt(bitsOf(offer.state.delta), index))
const listed = (bytes: Uint8Array | null | undefined): readonly string[] =>
  indices.map((index) => unhex(bytes?.slice(32 * index, 32 * index + 32) ?? new Uint8Array(0)))
const encodedAt = (message: Uint8Array, position: number): Uint8Array => message.slice(33 * position, 33 * position + 33)
const pointAt = (message: Uint8Array, position: number): Point => group.decode(encodedAt(message, position)) ?? group.identity
const replaced = (message: Uint8Array, position: number, encoded: Uint8Array): Uint8Array => {
  const changed = message.slice()
  changed.set(encoded, 33 * position)
  return changed
}
/** The first hash that is an x-coordinate, as the protocol describes it. */
const hidden = (branch: number, index: number, encoded: Uint8Array): Point => {
  for (let counter = 0; ; counter++) {
    const point = group.liftX(hashItems(backend, 'base-ot/point', context.name, branch, index, encoded, counter))
    if (point !== null) return point
  }
}

describe('base transfers', () => {
  it('give the receiver the chosen key of each index and nothing of the other', () => {
    const [zeros, ones, chosen] = [listed(sent?.keys0), listed(sent?.keys1), listed(keys)]
    expect(chosen).toEqual(choices.map((bit, index) => (bit === 0 ? zeros : ones)[index]))
    expect(new Set([...zeros, ...ones]).size).toBe(2 * COUNT)
    expect(choices.includes(0) && choices.includes(1)).toBe(true)
  })
  it('choose Δ afresh', () => {
    expect(receiveBaseOt(context, drbgOf('other')).state.delta).not.toEqual(offer.state.delta)
    expect(offer.state.delta.length).toBe(16)
  })
  it('send 256 points each way, all different', () => {
    for (const message of [offer.message, answer]) {
      expect(message.length).toBe(8448)
      const points = Array.from({ length: 2 * COUNT }, (_, position) => encodedAt(message, position))
      expect(new Set(points.map((point) => unhex(point))).size).toBe(2 * COUNT)
      expect(points.filter((point) => nobleBackend.secp256k1.decode(point) === null)).toEqual([])
    }
  })
  it('hide the choice: M_Δ + Hp(Δ, O) is t·G, and the other branch is unrelated', () => {
    const holds = choices.map((bit, index) => {
      const [chosen, other] = [pointAt(offer.message, 2 * index + bit), encodedAt(offer.message, 2 * index + 1 - bit)]
      return group.equals(group.add(chosen, hidden(bit, index, other)), group.mulBase(offer.state.exponents[index] ?? 0n))
    })
    expect(holds).toEqual(choices.map(() => true))
  })
  it('derive keys from x-coordinates of y·W', () => {
    const index = COUNT - 1
    const drbg = drbgOf('sender')
    const exponents = Array.from({ length: 2 * COUNT }, () => drbg.scalar(group))
    for (const branch of [0, 1]) {
      const own = pointAt(offer.message, 2 * index + branch)
      const base = group.add(own, hidden(branch, index, encodedAt(offer.message, 2 * index + 1 - branch)))
      const { x } = group.coordinates(group.mulSecret(base, exponents[2 * index + branch] ?? 0n))
      const expected = unhex(hashItems(backend, 'base-ot/key', context.name, index, x))
      expect(listed(branch === 0 ? sent?.keys0 : sent?.keys1)[index]).toBe(expected)
      expect(unhex(encodedAt(answer, 2 * index + branch))).toBe(unhex(group.encode(group.mulBase(exponents[2 * index + branch] ?? 0n))))
    }
  })
  it('bind keys and points to their name', () => {
    const elsewhere = { backend, name: seedOf('elsewhere') }
    expect(listed(finishBaseOt(elsewhere, offer.state, answer)).filter((key, index) => key === listed(keys)[index])).toEqual([])
    const crossed = sendBaseOt(elsewhere, offer.message, drbgOf('sender'))
    const same = listed(finishBaseOt(elsewhere, offer.state, crossed?.message ?? new Uint8Array(0))).filter(
      (key, index) => key === listed(choices[index] === 0 ? crossed?.keys0 : crossed?.keys1)[index],
    )
    expect(same).toEqual([])
  })
  it('say and keep the same over the reference backend', () => {
    const reference: BaseOtContext = { ...context, backend: nobleBackend }
    const otherOffer = receiveBaseOt(reference, drbgOf('receiver'))
    expect(unhex(otherOffer.message)).toBe(unhex(offer.message))
    const otherSent = sendBaseOt(reference, offer.message, drbgOf('sender'))
    expect(unhex(otherSent?.message ?? new Uint8Array(0))).toBe(unhex(answer))
    expect([listed(otherSent?.keys0), listed(otherSent?.keys1)]).toEqual([listed(sent?.keys0), listed(sent?.keys1)])
    expect(listed(finishBaseOt(reference, otherOffer.state, answer))).toEqual(listed(keys))
  })
  it('take the same number of attempts whatever Δ is', () => {
    const branches: number[][] = []
    const counting: BaseOtContext = {
      ...context,
      backend: {
        ...backend,
        secp256k1: {
          ...group,
          liftX: (x) => {
            const point = group.liftX(x)
            branches[branches.length - 1]?.push(point === null ? 0 : 1)
            return point
          },
        },
      },
    }
    // The same points O under different choices: only the first 16 bytes drawn differ.
    for (const delta of [new Uint8Array(16), new Uint8Array(16).fill(255), offer.state.delta]) {
      branches.push([])
      const drbg = drbgOf('receiver')
      drbg.bytes(16)
      receiveBaseOt(counting, { ...drbg, bytes: () => delta })
    }
    expect(branches[1]).toEqual(branches[0])
    expect(branches[2]).toEqual(branches[0])
  })
})

describe('14 devious transfer', () => {
  const bad: readonly (readonly [string, Uint8Array])[] = [
    ['the identity, which has no encoding', new Uint8Array(33)],
    ['the infinity byte of SEC 1 with padding', Uint8Array.of(0, ...new Uint8Array(32).fill(1))],
    ['a point off the curve', hex('020000000000000000000000000000000000000000000000000000000000000005')],
    ['x not below the prime', hex('02fffffffffffffffffffffffffffffffffffffffffffffffffffffffefffffc30')],
    ['a hybrid prefix', Uint8Array.of(6, ...encodedAt(offer.message, 0).slice(1))],
  ]
  it.each(bad)('refuses %s in either message, at the first, an inner and the last place', (_what, encoded) => {
    for (const position of [0, 101, 2 * COUNT - 1]) {
      expect(sendBaseOt(context, replaced(offer.message, position, encoded), drbgOf('sender'))).toBe(null)
      expect(finishBaseOt(context, offer.state, replaced(answer, position, encoded))).toBe(null)
    }
  })
  it('refuses messages that are cut, empty or too long', () => {
    for (const length of [0, 33, BASE_OT_BYTES - 1]) {
      expect(sendBaseOt(context, offer.message.slice(0, length), drbgOf('sender'))).toBe(null)
      expect(finishBaseOt(context, offer.state, answer.slice(0, length))).toBe(null)
    }
    const extra = encodedAt(offer.message, 0)
    expect(sendBaseOt(context, concatBytes(offer.message, extra), drbgOf('sender'))).toBe(null)
    expect(finishBaseOt(context, offer.state, concatBytes(answer, extra))).toBe(null)
  })
  it('refuses M_0 = M_1', () => {
    for (const index of [0, COUNT - 1]) {
      const equal = replaced(offer.message, 2 * index, encodedAt(offer.message, 2 * index + 1))
      expect(sendBaseOt(context, equal, drbgOf('sender'))).toBe(null)
    }
  })
  it.each([0, 1] as const)('refuses a pair whose W_%i is the identity, for which every exponent gives the same key', (branch) => {
    const index = 77
    const other = encodedAt(offer.message, 2 * index + 1 - branch)
    const cancelling = group.encode(group.negate(hidden(branch, index, other)))
    expect(sendBaseOt(context, replaced(offer.message, 2 * index + branch, cancelling), drbgOf('sender'))).toBe(null)
  })
  it('never takes an exponent from the network: keys differ with the seed alone', () => {
    const again = sendBaseOt(context, offer.message, drbgOf('another sender'))
    const before = new Set([...listed(sent?.keys0), ...listed(sent?.keys1)])
    expect([...listed(again?.keys0), ...listed(again?.keys1)].filter((key) => before.has(key))).toEqual([])
  })
})
