/** What a party has to do follows from final chain state, and what an attempt asks of whom from the block it began at. @module */
import { describe, expect, it } from 'vitest'
import type { Board, ChainKey, ChainParty, ChainRequest } from '#node/party/chain-view.ts'
import type { Awaited } from '#node/party/duties.ts'
import { attemptStart, awaitedSignatures, signingDuty } from '#node/party/duties.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Hash } from '#shared/types.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

const hash = (text: string): Hash => bytesToHex(seedOf(text))
const MEMBERS = [1, 2, 3, 4, 5]
const party = (id: number, change: Partial<ChainParty> = {}): ChainParty => ({
  id,
  account: `0x${'0'.repeat(39)}${id}`,
  signKey: hash(`sign ${id}`),
  sealKey: hash(`seal ${id}`),
  bondWei: 10n,
  absences: 0,
  excludedAt: 0n,
  instanceId: hash('instance'),
  generation: 1n,
  relayUrl: '',
  ...change,
})
const key: ChainKey = {
  id: hash('key'),
  owner: `0x${'0'.repeat(40)}`,
  scheme: 1,
  state: 2,
  threshold: 3,
  epoch: 0,
  activeAt: 35n,
  heartbeatEpoch: 0n,
  members: MEMBERS,
  publicKey: '0x',
  digest: hash('digest'),
}
const request: ChainRequest = {
  id: hash('request'),
  key: key.id,
  state: 1,
  requestedAt: 36n,
  subject: hash('subject'),
  message: hash('message'),
  digest: hash('signed'),
  excluded: [],
}
const boardAt = (height: number, change: Partial<Board> = {}): Board => ({
  height,
  heartbeatBlocks: 40,
  parties: MEMBERS.map((id) => party(id)),
  keys: [key],
  operations: [],
  requests: [],
  disputes: new Map(),
  ...change,
})
const beatName = (_key: Hash, epoch: number): Hash => hash(`beat ${epoch}`)
const beatsOf = (board: Board, self = 1) => awaitedSignatures(board, self, beatName)

describe('a proof of signature', () => {
  it('is due from the first final block of each epoch of the network, to every member of a key that was there', () => {
    expect(beatsOf(boardAt(39))).toEqual([])
    const [beat] = beatsOf(boardAt(40))
    expect(beat).toMatchObject({
      session: hash('beat 1'),
      heartbeatEpoch: 1,
      openingHeight: 40,
      attempt: 0,
      path: { purpose: 'heartbeat' },
    })
    expect(beatsOf(boardAt(61))).toMatchObject([{ heartbeatEpoch: 1, attempt: 1 }])
    expect(beatsOf(boardAt(80))).toMatchObject([{ heartbeatEpoch: 2, openingHeight: 80, attempt: 0 }])
    expect(beatsOf(boardAt(80, { heartbeatBlocks: 60 }))).toMatchObject([{ heartbeatEpoch: 1, openingHeight: 60, attempt: 1 }])
    expect(beatsOf(boardAt(40, { keys: [{ ...key, heartbeatEpoch: 1n }] }))).toEqual([])
    expect(beatsOf(boardAt(40, { keys: [{ ...key, activeAt: 41n }] }))).toEqual([])
    expect(beatsOf(boardAt(40, { keys: [{ ...key, state: 1 }] }))).toEqual([])
    expect(beatsOf(boardAt(40), 6)).toEqual([])
  })
})

describe('an ordered signature', () => {
  const awaited = (height: number): Awaited => {
    const [first] = awaitedSignatures(boardAt(height, { requests: [request] }), 1, beatName)
    if (first === undefined) throw new Error('nothing awaited')
    return first
  }

  it('opens four blocks after its order, and a new attempt begins every twenty', () => {
    expect(awaitedSignatures(boardAt(39, { requests: [request] }), 1, beatName)).toEqual([])
    expect([40, 59, 60].map((height) => awaited(height).attempt)).toEqual([0, 0, 1])
    expect([40, 59, 60].map((height) => attemptStart(awaited(height)))).toEqual([40, 40, 60])
  })
  it('is the duty of whom the board of the attempt’s beginning draws, each of whom finds the same set', () => {
    for (const out of MEMBERS)
      for (const height of [40, 60, 80]) {
        const begun = awaited(height)
        const left = boardAt(height, { requests: [{ ...request, excluded: [out] }] })
        const duties = MEMBERS.map((self) => signingDuty(nobleBackend, left, self, begun, hash('randomness')))
        const drawn = MEMBERS.filter((_, index) => duties[index] !== null)
        expect(drawn).toHaveLength(3)
        expect(drawn).not.toContain(out)
        expect(duties.flatMap((duty) => (duty === null ? [] : [duty.set]))).toEqual([drawn, drawn, drawn])
      }
  })
  it('is nobody’s while the key was not there', () => {
    expect(signingDuty(nobleBackend, boardAt(40, { keys: [] }), 1, awaited(40), hash('randomness'))).toBeNull()
  })
  it('is done with the shares the key had when the attempt began', () => {
    const later = { ...awaited(60), key: { ...key, epoch: 1, members: [1, 2, 3, 4, 6] } }
    const duties = MEMBERS.map((self) => signingDuty(nobleBackend, boardAt(60), self, later, hash('randomness')))
    expect(duties.flatMap((duty) => (duty === null ? [] : [duty.key.epoch]))).toEqual([0, 0, 0])
  })
})
