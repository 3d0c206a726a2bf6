/** Bytes that arrive in parts, up to a limit. @module */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BoundedBytes } from '#shared/bounded-bytes.ts'

describe('bounded bytes', () => {
  it('are the parts in their order, up to the limit and not one byte more', () => {
    const parts = fc.array(fc.uint8Array({ maxLength: 6000 }), { maxLength: 8 })
    fc.assert(
      fc.property(parts, (given) => {
        const whole = Buffer.concat(given)
        const [enough, less] = [new BoundedBytes(whole.length), new BoundedBytes(whole.length - 1)]
        expect(given.every((part) => enough.take(part))).toBe(true)
        expect(Buffer.compare(enough.whole(), whole)).toBe(0)
        expect(enough.take(Uint8Array.of(1))).toBe(false)
        expect(given.every((part) => less.take(part))).toBe(given.length === 0)
      }),
    )
  })

  it('may come one by one, however many they are', () => {
    const bytes = new BoundedBytes(300_000)
    for (let count = 0; count < 300_000; count++) bytes.take(Uint8Array.of(count & 255))
    const whole = bytes.whole()
    expect([whole.length, whole[255], whole[299_999]]).toEqual([300_000, 255, 299_999 & 255])
  })
})
