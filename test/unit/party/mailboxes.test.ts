/** The bound in bytes of all mailboxes of a party, too large to reach over HTTP. @module */
import { describe, expect, it } from 'vitest'
import { Mailboxes } from '#node/party/mailboxes.ts'

const MIB = 1024 * 1024
const idOf = (seed: number): string => seed.toString(16).padStart(64, '0')
const seedIn = (openId: Uint8Array): number => openId.at(-1) ?? 0

/** A relay of the party that is in `own` sessions, and a hand that leaves one MiB in a session. */
function mailboxes(own: readonly number[]) {
  const boxes = new Mailboxes((openId) => own.includes(seedIn(openId)))
  let seq = 0
  const put = (session: number, from: number, nowMs = 0) => {
    const entry = { place: `${(seq += 1)}`, round: 1, kind: 'broadcast', from, to: null, bytes: new Uint8Array(MIB) }
    return boxes.put(idOf(session), entry, nowMs)
  }
  const kept = (sessions: readonly number[]): readonly number[] => sessions.filter((each) => boxes.at(idOf(each)).entries.length > 0)
  return { boxes, put, kept }
}

describe('mailboxes', () => {
  it('hold 64 MiB together: the oldest session that the party is not in goes, then its own oldest, never the one that is written to', () => {
    const { put, kept } = mailboxes([1, 3])
    for (let session = 1; session <= 4; session++)
      for (let count = 0; count < 16; count++) expect(put(session, 1 + (count % 4))).toBe('STORED')
    expect(kept([1, 2, 3, 4])).toEqual([1, 2, 3, 4])
    expect(put(5, 1)).toBe('STORED')
    expect(kept([1, 2, 3, 4, 5])).toEqual([1, 3, 4, 5])
    // What went has made room for 15 more.
    for (let count = 1; count < 16; count++) expect(put(5, 1 + (count % 4))).toBe('STORED')
    expect(kept([1, 3, 4, 5])).toEqual([1, 3, 4, 5])
    expect(put(6, 1)).toBe('STORED')
    expect(kept([1, 3, 4, 5, 6])).toEqual([1, 3, 5, 6])
    for (let count = 1; count < 16; count++) put(6, 1 + (count % 4))
    expect([put(7, 1), put(7, 1), kept([1, 3, 5, 6, 7])]).toEqual(['STORED', 'STORED', [1, 3, 6, 7]])
    for (let count = 0; count < 14; count++) put(7, 2 + (count % 3))
    for (let count = 0; count < 4; count++) put(8, 1)
    expect(kept([1, 3, 6, 7, 8])).toEqual([1, 3, 7, 8])
  })

  it('that are forgotten take up no room any more', () => {
    const { boxes, put, kept } = mailboxes([])
    for (let session = 1; session <= 4; session++) for (let count = 0; count < 16; count++) put(session, 1 + (count % 4), session)
    boxes.forget(3_600_002)
    expect(kept([1, 2, 3, 4])).toEqual([2, 3, 4])
    for (let count = 0; count < 16; count++) put(5, 1 + (count % 4))
    expect(kept([2, 3, 4, 5])).toEqual([2, 3, 4, 5])
  })
})
