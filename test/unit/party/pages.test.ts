/** Lists longer than one answer are read whole. @module */
import { describe, expect, it } from 'vitest'
import { allPages } from '#node/party/pages.ts'

describe('a list in pages', () => {
  it.each([0, 1, 49, 50, 51, 100, 120])('of %i rows is read whole and in order, by calls of 50 rows', async (length) => {
    const rows = Array.from({ length }, (_, index) => index)
    const asked: number[] = []
    const all = await allPages<number>(50, (soFar) => {
      asked.push(soFar.length)
      return Promise.resolve(rows.slice(soFar.length, soFar.length + 50))
    })
    expect(all).toEqual(rows)
    expect(asked).toEqual(Array.from({ length: Math.floor(length / 50) + 1 }, (_, page) => page * 50))
  })

  it('is given up when a page cannot be read', async () => {
    await expect(allPages(50, () => Promise.reject(new Error('no validator answers')))).rejects.toThrow('no validator answers')
  })
})
