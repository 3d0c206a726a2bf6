/** Bounds of a relay's mailbox that are too large to reach over HTTP, and what it reads of a query. @module */
import { describe, expect, it } from 'vitest'
import type { Mailbox, RelayEntry } from '#shared/dcrm/relay.ts'
import { emptyMailbox, entriesAfter, hasRoom, putEntry, relayQuery } from '#shared/dcrm/relay.ts'

const MIB = 1024 * 1024
const empty = { envelopes: 0, bytes: 0, senderEnvelopes: 0, senderBytes: 0 }
const entry = (place: string, change: Partial<RelayEntry> = {}): RelayEntry => ({
  place,
  round: 1,
  kind: 'broadcast',
  from: 1,
  to: null,
  bytes: new Uint8Array(1),
  ...change,
})

describe('room', () => {
  it('ends at 4096 envelopes and 16 MiB of a session, and at a quarter of that of a sender', () => {
    expect(hasRoom(empty, 1)).toBe(true)
    expect(hasRoom({ ...empty, envelopes: 4095 }, 1)).toBe(true)
    expect(hasRoom({ ...empty, envelopes: 4096 }, 1)).toBe(false)
    expect(hasRoom({ ...empty, bytes: 16 * MIB - 9 }, 9)).toBe(true)
    expect(hasRoom({ ...empty, bytes: 16 * MIB - 9 }, 10)).toBe(false)
    expect(hasRoom({ ...empty, senderEnvelopes: 1023 }, 1)).toBe(true)
    expect(hasRoom({ ...empty, senderEnvelopes: 1024 }, 1)).toBe(false)
    expect(hasRoom({ ...empty, senderBytes: 4 * MIB - 9 }, 9)).toBe(true)
    expect(hasRoom({ ...empty, senderBytes: 4 * MIB - 9 }, 10)).toBe(false)
  })

  it('is counted over all of a mailbox and over the sender alone', () => {
    let mailbox: Mailbox = emptyMailbox(0)
    const put = (from: number, place: string) => {
      const { mailbox: next, outcome } = putEntry(mailbox, entry(place, { from, bytes: new Uint8Array(MIB) }), 0)
      mailbox = next
      return outcome
    }
    for (const from of [1, 2, 3, 4]) {
      for (let seq = 0; seq < 4; seq++) expect(put(from, `${from}/${seq}`)).toBe('STORED')
      expect(put(from, `${from}/4`)).toBe('FULL')
    }
    expect(put(5, '5/0')).toBe('FULL')
    expect(put(1, '1/0')).toBe('SAME')
    expect(mailbox.entries).toHaveLength(16)
  })
})

describe('a mailbox', () => {
  it('remembers when each round began, whatever came later or was not kept', () => {
    let mailbox = emptyMailbox(10)
    for (const [place, round, nowMs] of [
      ['a', 2, 20],
      ['b', 1, 30],
      ['c', 2, 40],
      ['a', 3, 50],
    ] as const)
      mailbox = putEntry(mailbox, entry(place, { round, bytes: new Uint8Array(round) }), nowMs).mailbox
    expect(mailbox.openedAtMs).toBe(10)
    expect(mailbox.rounds).toEqual([
      { round: 1, atMs: 30 },
      { round: 2, atMs: 20 },
    ])
  })

  it('gives nothing after a cursor beyond its end', () => {
    const { mailbox } = putEntry(emptyMailbox(0), entry('a'), 0)
    expect(entriesAfter(mailbox, { after: 7, to: null })).toEqual({ entries: [], next: 7 })
  })
})

describe('a query', () => {
  it('is a cursor and a party, both optional, in decimal digits', () => {
    expect(relayQuery(null, null)).toEqual({ after: 0, to: null })
    expect(relayQuery('12', '65534')).toEqual({ after: 12, to: 65534 })
    for (const after of ['', '-1', '+1', '1e3', ' 1', '1.0', '0x1', '1234567890', '1\n2'])
      expect(relayQuery(after, null)).toBe('CURSOR_INVALID')
    for (const to of ['', '0', '01', '-1', '1x', 'x1', '123456']) expect(relayQuery(null, to)).toBe('PARTY_INVALID')
  })
})
