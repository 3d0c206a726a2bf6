/** Silence of parties: whose word counts, in which attempt, how often, and what the chain does about it. @module */
import type { Hash } from '#shared/types.ts'
import {
  FEE_WEI,
  OPERATION,
  OWNER,
  STRANGER,
  ZERO,
  accountOf,
  checkBooks,
  createKeyWorld,
  eventOf,
  eventsOf,
  rawHeader,
  setOf,
  wordOf,
} from '#test/unit/contracts/key-world.ts'
import type { KeyWorld } from '#test/unit/contracts/key-world.ts'
import { encodeAbiParameters, keccak256 } from 'viem'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(checkBooks)

const RESHARE = 2
const absent = async (keys: KeyWorld, session: Hash, attempt: number, reporter: number, accused: readonly number[]) =>
  keys.contract.refused(accountOf(reporter), 'reportAbsence', [session, attempt, accused, await keys.openingOf(session)])
const membersOf = async (keys: KeyWorld, key: Hash) => (await keys.key(key)).members

/** A request of a key whose first attempt has begun, with the sets of its attempts. */
async function asked(keys: KeyWorld, key: Hash) {
  const id = await keys.orderSignature(key)
  const { members, threshold } = await keys.key(key)
  const opening = keys.world.height + 4
  keys.world.height = opening + 1
  return { id, opening, setIn: (attempt: number, out: readonly number[] = []) => setOf(members, threshold, opening, id, attempt, out) }
}

describe('silence in an operation', () => {
  it('counts when as many members as the threshold report the same attempt', async () => {
    const keys = await createKeyWorld(7)
    const id = await keys.order('ecdsa', 3, 5)
    expect(await absent(keys, id, 0, 1, [2])).toBe('UnknownRequest')
    await keys.seat(id)
    const { members } = await keys.operation(id)
    const [silent = 0, one = 0, two = 0, three = 0, four = 0] = members
    const outsider = [1, 2, 3, 4, 5, 6, 7].find((party) => !members.includes(party)) ?? 0
    expect(await keys.contract.refused(STRANGER, 'reportAbsence', [id, 0, [silent], '0x'])).toBe('NotAParty')
    expect(await absent(keys, id, 0, outsider, [silent])).toBe('NotAMember')
    expect(await absent(keys, id, 0, one, [outsider])).toBe('NotAMember')
    expect(await absent(keys, id, 0, one, [one])).toBe('NotAMember')
    expect(await absent(keys, id, 1, one, [silent])).toBe('AttemptWrong')
    expect(
      await absent(
        keys,
        id,
        0,
        one,
        Array.from({ length: 33 }, () => silent),
      ),
    ).toBe('SizeInvalid')
    expect(await absent(keys, id, 0, one, [silent])).toBe('SUCCESS')
    const again = await keys.done(keys.reportAbsence(id, 0, one, [silent, silent]))
    expect(eventsOf(again)).toEqual([])
    expect(await absent(keys, id, 0, two, [silent])).toBe('SUCCESS')
    expect((await keys.party(silent)).absences).toBe(0)
    const sent = await keys.done(keys.reportAbsence(id, 0, three, [silent]))
    expect(eventsOf(sent)).toEqual([
      { name: 'AbsenceReported', args: { session: id, attempt: 0, accused: silent, reporter: three } },
      { name: 'AbsenceRecorded', args: { session: id, attempt: 0, accused: silent } },
    ])
    expect(await absent(keys, id, 0, four, [silent])).toBe('SUCCESS')
    expect((await keys.party(silent)).absences).toBe(1)
    expect((await keys.operation(id)).excluded).toEqual([silent])
    await keys.seat(id)
    expect(await absent(keys, id, 0, one, [silent])).toBe('AttemptWrong')
  })
  it('is not reported by a party that was expelled', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.order('ecdsa', 2, 3)
    await keys.seat(id)
    await keys.done(keys.contract.send(accountOf(1), 'unregisterParty', []))
    expect(await absent(keys, id, 0, 1, [2])).toBe('NotAMember')
  })
  it('is told in a resharing by those who deal and those who receive alike', async () => {
    const keys = await createKeyWorld(6)
    const key = await keys.activeKey('ecdsa', 2, 3)
    const sent = await keys.done(keys.contract.send(OWNER, 'requestReshare', [key, 2, 3], FEE_WEI))
    const { operation } = eventOf(sent, 'OperationRequested') as { operation: Hash }
    let row = await keys.operation(operation)
    do {
      await keys.seat(operation)
      row = await keys.operation(operation)
    } while (row.dealers.every((dealer) => row.members.includes(dealer)))
    const dealer = row.dealers.find((each) => !row.members.includes(each)) ?? 0
    const [member = 0, other = 0] = row.members
    expect(await absent(keys, operation, row.attempt, dealer, [member])).toBe('SUCCESS')
    expect(await absent(keys, operation, row.attempt, other, [member])).toBe('SUCCESS')
    expect((await keys.party(member)).absences).toBe(1)
  })
  it('counts once, however many attempts it lasts', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.order('ecdsa', 2, 3)
    for (let attempt = 0; attempt < 4; attempt++) {
      await keys.seat(id)
      for (const reporter of [1, 2]) expect(await absent(keys, id, attempt, reporter, [3])).toBe('SUCCESS')
      expect((await keys.party(3)).absences).toBe(1)
      expect((await keys.operation(id)).excluded).toEqual([3])
    }
  })
})

describe('silence in a signature', () => {
  it('is told by those who had the duty in that attempt, of each other, and by nobody else', async () => {
    const keys = await createKeyWorld(5)
    const key = await keys.activeKey('ecdsa', 3, 5)
    const { id, opening, setIn } = await asked(keys, key)
    const set = setIn(0)
    const others = [1, 2, 3, 4, 5].filter((party) => !set.includes(party))
    for (const reporter of [1, 2, 3, 4, 5])
      for (const accused of [1, 2, 3, 4, 5].filter((party) => party !== reporter)) {
        const isTold = set.includes(reporter) && set.includes(accused)
        expect(await absent(keys, id, 0, reporter, [accused])).toBe(isTold ? 'SUCCESS' : 'NotAMember')
      }
    for (const party of set) expect((await keys.party(party)).absences).toBe(1)
    for (const party of others) expect((await keys.party(party)).absences).toBe(0)
    expect((await keys.request(id)).excluded.toSorted((a, b) => a - b)).toEqual(set)
    const [one = 0, two = 0] = set
    const word = (header: `0x${string}`, session = id) =>
      keys.contract.refused(accountOf(one), 'reportAbsence', [session, 0, [two], header])
    expect(await word(rawHeader(opening + 1))).toBe('HeaderWrong')
    expect(await word(rawHeader(opening - 1))).toBe('HeaderWrong')
    expect(await word(rawHeader(opening), wordOf('nothing'))).toBe('UnknownRequest')
    keys.world.height = opening + 257
    expect(await word(rawHeader(opening))).toBe('HeaderWrong')
  })
  it('leaves out at one word from the next attempt on, and counts at the words of all who could tell', async () => {
    const keys = await createKeyWorld(5)
    const key = await keys.activeKey('ecdsa', 3, 5)
    const { id, opening, setIn } = await asked(keys, key)
    const [silent = 0, one = 0, two = 0] = setIn(0)
    keys.world.height = opening
    expect(await absent(keys, id, 0, one, [silent])).toBe('AttemptWrong')
    keys.world.height = opening + 19
    expect(await absent(keys, id, 1, one, [silent])).toBe('AttemptWrong')
    expect(await absent(keys, id, 0, one, [silent])).toBe('SUCCESS')
    expect(await keys.request(id)).toMatchObject({ excluded: [silent] })
    expect((await keys.party(silent)).absences).toBe(0)
    expect(await absent(keys, id, 0, one, [silent])).toBe('SUCCESS')
    expect((await keys.party(silent)).absences).toBe(0)
    const sent = await keys.done(keys.reportAbsence(id, 0, two, [silent]))
    expect(eventsOf(sent)).toEqual([
      { name: 'AbsenceReported', args: { session: id, attempt: 0, accused: silent, reporter: two } },
      { name: 'AbsenceRecorded', args: { session: id, attempt: 0, accused: silent } },
    ])
    expect((await keys.party(silent)).absences).toBe(1)
    expect(await keys.request(id)).toMatchObject({ excluded: [silent] })
    keys.world.height = opening + 20
    const next = setIn(1, [silent])
    expect(next).not.toContain(silent)
    const [first = 0, second = 0] = next
    expect(await absent(keys, id, 1, first, [silent])).toBe('NotAMember')
    expect(await absent(keys, id, 1, first, [second])).toBe('SUCCESS')
  })
  it('counts once in a request, however often those who hold it up say it', async () => {
    const keys = await createKeyWorld(3)
    const key = await keys.activeKey('ecdsa', 2, 3)
    const { id, opening } = await asked(keys, key)
    const pairs = [1, 2, 3].flatMap((reporter) =>
      [1, 2, 3].filter((party) => party !== reporter).map((accused) => [reporter, accused] as const),
    )
    const words = new Map<number, number>()
    for (let attempt = 0; attempt < 12; attempt++) {
      keys.world.height = opening + 1 + 20 * attempt
      for (const [reporter, accused] of pairs)
        if ((await absent(keys, id, attempt, reporter, [accused])) === 'SUCCESS') words.set(accused, (words.get(accused) ?? 0) + 1)
    }
    // Everybody is left out by somebody, so nobody is, and each has the duty again and again.
    for (const party of [1, 2, 3]) {
      expect(words.get(party)).toBeGreaterThan(3)
      expect((await keys.party(party)).absences).toBe(1)
    }
    expect(await keys.open()).toEqual([])
  })
  it('in three requests in a row takes a party out of draws and has its keys healed', async () => {
    const keys = await createKeyWorld(4)
    const key = await keys.activeKey('ecdsa', 2, 3)
    const [one = 0, silent = 0] = await membersOf(keys, key)
    for (let counted = 0; counted < 3;) {
      expect(await keys.open()).toEqual([])
      const { id, setIn } = await asked(keys, key)
      const [other = one] = setIn(0).filter((party) => party !== silent)
      if (!setIn(0).includes(silent)) continue
      expect(await absent(keys, id, 0, other, [silent])).toBe('SUCCESS')
      expect((await keys.party(silent)).absences).toBe(++counted)
    }
    expect(await keys.contract.call('health', [key])).toEqual([2n, 2n, 0n])
    expect(await keys.open()).toMatchObject([{ key, kind: RESHARE, feeWei: 0n }])
    const [operation] = await keys.open()
    await keys.seat(operation?.id ?? ZERO)
    const seated = await keys.operation(operation?.id ?? ZERO)
    expect(seated.state).toBe(OPERATION.seated)
    expect([...seated.members, ...seated.dealers]).not.toContain(silent)
    expect(await keys.contract.refused(OWNER, 'requestKey', [0, 2, 4], FEE_WEI)).toBe('TooFewCandidates')
  })
})

describe('silence in a proof of signature', () => {
  it('is found where nobody orders anything, once an epoch, and has the key healed', async () => {
    const keys = await createKeyWorld(6)
    const key = await keys.activeKey('ed25519', 3, 5)
    const members = await membersOf(keys, key)
    const sessionOf = (epoch: number): Hash =>
      keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint64' }], [key, BigInt(epoch)]))
    const drawnIn = (attempt: number, epoch = 1) => setOf(members, 3, 200 * epoch, sessionOf(epoch), attempt)
    const [silent = 0, one = 0] = drawnIn(0)
    const idle = members.find((party) => !drawnIn(0).includes(party)) ?? 0
    const report = (reporter: number, accused: readonly number[], attempt = 0, epoch = 1, id = key) =>
      keys.contract.refused(accountOf(reporter), 'reportHeartbeatAbsence', [id, BigInt(epoch), attempt, accused, rawHeader(200 * epoch)])
    keys.world.height = 199
    expect(await report(one, [silent])).toBe('NotReady')
    keys.world.height = 200
    expect(await report(one, [silent])).toBe('AttemptWrong')
    keys.world.height = 219
    expect(await report(one, [silent], 1)).toBe('AttemptWrong')
    expect(await report(one, [silent], 0, 2)).toBe('NotReady')
    expect(await report(one, [silent], 0, 1, wordOf('nothing'))).toBe('UnknownKey')
    expect(await report(one, [one])).toBe('NotAMember')
    expect(await report(idle, [silent])).toBe('NotAMember')
    expect(await report(one, [idle])).toBe('NotAMember')
    const from = (account: `0x${string}`, header = rawHeader(200)) =>
      keys.contract.refused(account, 'reportHeartbeatAbsence', [key, 1n, 0, [silent], header])
    expect(await from(STRANGER)).toBe('NotAParty')
    expect(await from(accountOf(one), rawHeader(201))).toBe('HeaderWrong')
    const inEpoch = async (epoch: number): Promise<void> => {
      for (let attempt = 0; attempt < 10; attempt++) {
        const set = drawnIn(attempt, epoch)
        keys.world.height = 200 * epoch + 1 + 20 * attempt
        if ((await keys.party(silent)).absences === 3) return
        const reporters = set.includes(silent) ? set.filter((party) => party !== silent) : []
        for (const reporter of reporters) expect(await report(reporter, [silent], attempt, epoch)).toBe('SUCCESS')
      }
    }
    for (let epoch = 1; epoch <= 3; epoch++) {
      expect(await keys.open()).toEqual([])
      await inEpoch(epoch)
      expect((await keys.party(silent)).absences).toBe(epoch)
    }
    expect(await keys.open()).toMatchObject([{ key, kind: RESHARE, threshold: 3, feeWei: 0n }])
  })
})
