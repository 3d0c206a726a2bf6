/** What is kept of peers: points that outlive a connection, and nothing else. @module */
import { describe, expect, it } from 'vitest'
import { createPeerBook } from '#node/net/peer-book.ts'

describe('peer book', () => {
  it('forgets a peer whose last messages are judged after it has gone', () => {
    const book = createPeerBook(() => 1000)
    for (let index = 0; index < 50; index++) {
      book.connect(`p${index}`)
      book.forget(`p${index}`)
      // A message or request that was on its way.
      book.get(`p${index}`)
    }
    expect(book.all()).toEqual([])
    const late = book.get('p49')
    expect(book.get('p49')).toBe(late)
    book.connect('other')
    book.forget('other')
    expect(book.get('p49')).not.toBe(late)
  })

  it('lets no reconnecting clear the points', () => {
    let nowMs = 0
    const book = createPeerBook(() => nowMs)
    book.connect('p')
    for (let fault = 0; fault < 8; fault++) book.addFault('p')
    book.forget('p')
    book.connect('p')
    expect(book.banned('p')).toBe(true)
    nowMs = 41_000
    expect(book.banned('p')).toBe(false)
    expect(book.points('p')).toBe(39)
  })
})
