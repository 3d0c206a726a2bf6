/** Orders of the key manager: draws nobody can choose, committees that confirm alike, retries, and money that comes back. @module */
import { hexToBytes } from '#shared/bytes.ts'
import { chooseCommittee } from '#shared/dcrm/committee.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { encodeHeader } from '#shared/hhcm/codec.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { bytesToHex } from '#shared/bytes.ts'
import {
  FEE_WEI,
  KEY,
  OPERATION,
  OWNER,
  STRANGER,
  ZERO,
  accountOf,
  checkBooks,
  createKeyWorld,
  eventOf,
  eventsOf,
  headerAt,
  manyOwners,
  publicKeyOf,
  rawHeader,
  wordOf,
} from '#test/unit/contracts/key-world.ts'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(checkBooks)

const DIGEST = wordOf('digest')
const FEE_PER_MEMBER_WEI = 10n ** 15n
const UNTIL_LAST_ATTEMPT = 4n + 12n * 20n

const candidates = (ids: readonly number[]) => ids.map((id) => ({ id, operator: accountOf(id) }))
const drawOf = (height: number, request: Hash, attempt = 0) => ({
  randomness: hexToBytes(headerAt(height).randomness),
  requestId: hexToBytes(request),
  attempt,
})
describe('an order of a key', () => {
  it('waits in the open with its fee, and keeps blocks coming', async () => {
    const keys = await createKeyWorld(3)
    const sent = await keys.done(keys.contract.send(OWNER, 'requestKey', [1, 2, 3], FEE_WEI))
    const id = eventOf(sent, 'OperationRequested')['key'] as Hash
    expect(eventOf(sent, 'OperationRequested')).toEqual({ operation: id, key: id, kind: 0 })
    expect(await keys.open()).toMatchObject([{ id, key: id, kind: 0, state: OPERATION.requested, threshold: 2, size: 3, feeWei: FEE_WEI }])
    expect(await keys.key(id)).toMatchObject({ id, state: KEY.pending, scheme: 1, owner: expect.stringMatching(new RegExp(OWNER, 'i')) })
    expect(await keys.contract.call('activeUntil', [])).toBe(BigInt(keys.world.height) + UNTIL_LAST_ATTEMPT)
    // The node reads this slot by its number.
    expect(BigInt(bytesToHex(keys.world.state.slot(KEY_MANAGER, `0x${'1'.padStart(64, '0')}`)))).toBe(
      BigInt(keys.world.height) + UNTIL_LAST_ATTEMPT,
    )
  })
  it('is refused for sizes no committee has, too small a fee, too few parties and too many orders', async () => {
    const keys = await createKeyWorld(33)
    const attempt = (threshold: number, size: number, feeWei = FEE_WEI) =>
      keys.contract.refused(OWNER, 'requestKey', [0, threshold, size], feeWei)
    expect(await attempt(1, 3)).toBe('SizeInvalid')
    expect(await attempt(4, 3)).toBe('SizeInvalid')
    expect(await attempt(2, 33)).toBe('SizeInvalid')
    expect(await attempt(2, 3, 3n * FEE_PER_MEMBER_WEI - 1n)).toBe('FeeTooSmall')
    expect(await attempt(2, 3, 3n * FEE_PER_MEMBER_WEI)).toBe('SUCCESS')
    for (let count = 1; count < 8; count++) expect(await attempt(2, 2, 2n * FEE_PER_MEMBER_WEI)).toBe('SUCCESS')
    expect(await attempt(2, 2)).toBe('TooManyOpen')
    expect(await (await createKeyWorld(2)).contract.refused(OWNER, 'requestKey', [0, 2, 3], FEE_WEI)).toBe('TooFewCandidates')
  })
  it('finds a place when one owner has taken all of his, until eight have', async () => {
    const keys = await createKeyWorld(2)
    const owners = manyOwners(keys)
    const attempt = (owner: Address) => keys.contract.refused(owner, 'requestKey', [0, 2, 2], FEE_WEI)
    for (const owner of owners.slice(0, 8)) {
      for (let count = 0; count < 8; count++) expect(await attempt(owner)).toBe('SUCCESS')
      expect(await attempt(owner)).toBe('TooManyOpen')
    }
    expect(await attempt(owners[8] ?? OWNER)).toBe('TooManyOpen')
    // The end of an order makes room for its owner's next.
    const id = (await keys.open())[0]?.id ?? ZERO
    await keys.seat(id)
    await keys.confirmAll(id, publicKeyOf('ecdsa', 'key'))
    expect(await attempt(owners[8] ?? OWNER)).toBe('SUCCESS')
    expect(await attempt(owners[0] ?? OWNER)).toBe('TooManyOpen')
  }, 20_000)
  it('has another name each time, for each owner', async () => {
    const keys = await createKeyWorld(2)
    const first = await keys.order('ecdsa', 2, 2)
    expect(await keys.order('ecdsa', 2, 2)).not.toBe(first)
    expect(await keys.contract.call('keys', [0n, 10n])).toHaveLength(2)
    expect(await keys.contract.call('keys', [1n, 10n])).toMatchObject([{ state: KEY.pending }])
    expect(await keys.contract.call('keys', [0n, 1n])).toMatchObject([{ id: first }])
    expect(await keys.contract.call('keys', [9n, 1n])).toEqual([])
  })
})

describe('seating', () => {
  it('draws the committee from the randomness of exactly the fourth block after the order', async () => {
    const keys = await createKeyWorld(7)
    const id = await keys.order('ecdsa', 2, 3)
    const height = keys.world.height + 4
    expect(await keys.contract.call('seatHeight', [id])).toBe(BigInt(height))
    const seat = (raw: Hex) => keys.contract.refused(STRANGER, 'seat', [id, raw])
    keys.world.height = height
    expect(await seat(rawHeader(height))).toBe('NotReady')
    keys.world.height = height + 3
    expect(await seat(rawHeader(height + 1))).toBe('HeaderWrong')
    expect(await seat(rawHeader(height - 1))).toBe('HeaderWrong')
    expect(await seat(bytesToHex(encodeHeader({ ...headerAt(height), randomness: wordOf('chosen') })))).toBe('HeaderWrong')
    const sent = await keys.done(keys.contract.send(STRANGER, 'seat', [id, rawHeader(height)]))
    const expected = chooseCommittee(nobleBackend, drawOf(height, id), candidates([1, 2, 3, 4, 5, 6, 7]), 3)
    expect(await keys.operation(id)).toMatchObject({
      state: OPERATION.seated,
      attempt: 0,
      members: expected,
      dealers: [],
      randomness: headerAt(height).randomness,
      seatedAt: BigInt(height + 3),
    })
    expect(eventOf(sent, 'OperationSeated')).toEqual({ operation: id, key: id, attempt: 0, members: expected, dealers: [] })
  })
  it('refuses bytes that are no header, and operations that are not open', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.order('ecdsa', 2, 3)
    keys.world.nextBlock(6)
    expect((await keys.contract.send(STRANGER, 'seat', [id, '0xc0'])).success).toBe(false)
    expect(await keys.contract.refused(STRANGER, 'seat', [wordOf('nothing'), rawHeader(5)])).toBe('UnknownOperation')
    await keys.seat(id)
    await keys.confirmAll(id, publicKeyOf('ecdsa', 'key'))
    expect(await keys.contract.refused(STRANGER, 'seat', [id, rawHeader(5)])).toBe('UnknownOperation')
  })
  it('moves on in fixed steps while the block has left the window, wherever it is asked', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.order('ecdsa', 2, 3)
    const first = keys.world.height + 4
    const heightAt = async (height: number) => {
      keys.world.height = height
      return Number(await keys.contract.call('seatHeight', [id])) - first
    }
    expect(await heightAt(first + 256)).toBe(0)
    expect(await heightAt(first + 257)).toBe(200)
    expect(await heightAt(first + 456)).toBe(200)
    expect(await heightAt(first + 457)).toBe(400)
    expect(await heightAt(first + 1_000_000)).toBe(999_800)
    await keys.seat(id)
    expect((await keys.operation(id)).randomness).toBe(headerAt(first + 999_800).randomness)
  })
  it('is repeated after twenty blocks with another draw, twelve times, then the order ends and its fee is credited', async () => {
    const keys = await createKeyWorld(6)
    const id = await keys.order('ed25519', 2, 3)
    await keys.seat(id)
    const { seatedAt } = await keys.operation(id)
    const height = Number(seatedAt) + 20
    keys.world.height = height
    expect(await keys.contract.refused(STRANGER, 'seat', [id, rawHeader(height)])).toBe('NotReady')
    keys.world.height = height + 1
    expect(await keys.contract.refused(STRANGER, 'seat', [id, rawHeader(height)])).toBe('SUCCESS')
    expect(await keys.operation(id)).toMatchObject({
      attempt: 1,
      members: chooseCommittee(nobleBackend, drawOf(height, id, 1), candidates([1, 2, 3, 4, 5, 6]), 3),
    })
    expect(await keys.contract.call('activeUntil', [])).toBe(BigInt(keys.world.height) + UNTIL_LAST_ATTEMPT)
    for (let attempt = 2; attempt < 12; attempt++) await keys.seat(id)
    expect(await keys.operation(id)).toMatchObject({ attempt: 11, state: OPERATION.seated })
    const sent = await keys.seat(id)
    expect(eventOf(sent, 'OperationEnded')).toEqual({ operation: id, key: id, state: OPERATION.failed })
    expect(await keys.open()).toEqual([])
    expect((await keys.key(id)).state).toBe(KEY.failed)
    expect(await keys.credit(OWNER)).toBe(FEE_WEI)
    for (let party = 1; party <= 6; party++) expect((await keys.party(party)).seats).toBe(0)
    expect(await keys.contract.call('activeUntil', [])).toBe(BigInt(keys.world.height) + 40n)
  })
  it('forgets confirmations of the attempt before', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.order('ed25519', 2, 3)
    await keys.seat(id)
    await keys.done(keys.contract.send(accountOf(1), 'confirm', [id, 0, DIGEST, publicKeyOf('ed25519', 'first')]))
    expect((await keys.operation(id)).confirmations).toBe(1)
    await keys.seat(id)
    expect((await keys.operation(id)).confirmations).toBe(0)
    await keys.confirmAll(id, publicKeyOf('ed25519', 'second'), wordOf('second'))
    expect(await keys.key(id)).toMatchObject({ state: KEY.active, publicKey: publicKeyOf('ed25519', 'second'), digest: wordOf('second') })
  })
  it('leaves out who failed an earlier attempt, as long as there are others', async () => {
    const keys = await createKeyWorld(4)
    const id = await keys.order('ed25519', 2, 3)
    await keys.seat(id)
    const [silent = 0, ...others] = (await keys.operation(id)).members
    for (const reporter of others) await keys.done(keys.reportAbsence(id, 0, reporter, [silent]))
    expect((await keys.operation(id)).excluded).toEqual([silent])
    for (let attempt = 1; attempt < 5; attempt++) {
      await keys.seat(id)
      expect((await keys.operation(id)).members).not.toContain(silent)
    }
    const [second = 0, ...rest] = (await keys.operation(id)).members
    for (const reporter of rest) await keys.done(keys.reportAbsence(id, 4, reporter, [second]))
    await keys.seat(id)
    expect(await keys.operation(id)).toMatchObject({ state: OPERATION.seated, excluded: [silent, second] })
  })
  it('ends the order with its fee credited when there are too few parties by then', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.order('ed25519', 2, 3)
    await keys.done(keys.contract.send(accountOf(2), 'unregisterParty', []))
    await keys.seat(id)
    expect(await keys.operation(id)).toMatchObject({ state: OPERATION.failed, feeWei: 0n })
    expect(await keys.key(id)).toMatchObject({ state: KEY.failed })
    expect(await keys.credit(OWNER)).toBe(FEE_WEI)
    expect(await keys.open()).toEqual([])
  })
})

describe('a confirmation', () => {
  it('makes the key active only with all others alike, and shares out the fee', async () => {
    const keys = await createKeyWorld(5)
    const id = await keys.order('taproot', 3, 5)
    await keys.seat(id)
    const publicKey = publicKeyOf('taproot', 'key')
    for (let party = 1; party < 5; party++) {
      const sent = await keys.done(keys.contract.send(accountOf(party), 'confirm', [id, 0, DIGEST, publicKey]))
      expect(eventsOf(sent)).toEqual([{ name: 'OperationConfirmed', args: { operation: id, party, digest: DIGEST } }])
      await keys.done(keys.contract.send(accountOf(party), 'confirm', [id, 0, DIGEST, publicKey]))
      expect((await keys.key(id)).state).toBe(KEY.pending)
    }
    const sent = await keys.done(keys.contract.send(accountOf(5), 'confirm', [id, 0, DIGEST, publicKey]))
    expect(eventOf(sent, 'KeyActive')).toEqual({ key: id, epoch: 0, publicKey, members: [1, 2, 3, 4, 5], threshold: 3 })
    expect(await keys.key(id)).toMatchObject({
      state: KEY.active,
      epoch: 0,
      publicKey,
      digest: DIGEST,
      threshold: 3,
      members: [1, 2, 3, 4, 5],
      activeAt: BigInt(keys.world.height),
    })
    expect((await keys.operation(id)).state).toBe(OPERATION.done)
    for (let party = 1; party <= 5; party++) expect(await keys.credit(accountOf(party))).toBe(FEE_WEI / 5n)
    expect(await keys.credit(OWNER)).toBe(0n)
  })
  it('counts only from the seated, in their attempt, for keys of the scheme’s length', async () => {
    const keys = await createKeyWorld(4)
    const id = await keys.order('ecdsa', 2, 3)
    const publicKey = publicKeyOf('ecdsa', 'key')
    const attempt = (from: `0x${string}`, number = 0, key: Hex = publicKey) =>
      keys.contract.refused(from, 'confirm', [id, number, DIGEST, key])
    expect(await attempt(accountOf(1))).toBe('UnknownOperation')
    await keys.seat(id)
    const { members } = await keys.operation(id)
    const outsider = [1, 2, 3, 4].find((party) => !members.includes(party)) ?? 0
    const [first = 0, second = 0] = members
    expect(await attempt(STRANGER)).toBe('NotAParty')
    expect(await attempt(accountOf(outsider))).toBe('NotAMember')
    expect(await attempt(accountOf(first), 1)).toBe('AttemptWrong')
    expect(await attempt(accountOf(first), 0, publicKeyOf('ed25519', 'key'))).toBe('KeyInvalid')
    expect(await attempt(accountOf(first), 0, `${publicKey}00`)).toBe('KeyInvalid')
    await keys.done(keys.contract.send(accountOf(second), 'unregisterParty', []))
    expect(await attempt(accountOf(second))).toBe('NotAMember')
    expect(await attempt(accountOf(first))).toBe('SUCCESS')
  })
  it('takes 32 bytes for Ed25519', async () => {
    const keys = await createKeyWorld(2)
    const id = await keys.order('ed25519', 2, 2)
    await keys.seat(id)
    expect(await keys.contract.refused(accountOf(1), 'confirm', [id, 0, DIGEST, publicKeyOf('ecdsa', 'key')])).toBe('KeyInvalid')
    expect(await keys.contract.refused(accountOf(1), 'confirm', [id, 0, DIGEST, publicKeyOf('ed25519', 'key')])).toBe('SUCCESS')
  })
  it.each([
    ['digest', wordOf('other'), publicKeyOf('ecdsa', 'key')],
    ['public key', DIGEST, publicKeyOf('ecdsa', 'other')],
  ] as const)('of another %s freezes the key and returns the fee', async (_, digest, publicKey) => {
    const keys = await createKeyWorld(3)
    const id = await keys.order('ecdsa', 2, 3)
    await keys.seat(id)
    await keys.done(keys.contract.send(accountOf(1), 'confirm', [id, 0, DIGEST, publicKeyOf('ecdsa', 'key')]))
    const sent = await keys.done(keys.contract.send(accountOf(2), 'confirm', [id, 0, digest, publicKey]))
    expect(eventOf(sent, 'OperationEnded')).toMatchObject({ state: OPERATION.frozen })
    expect(await keys.key(id)).toMatchObject({ state: KEY.frozen, publicKey: '0x' })
    expect(await keys.contract.refused(accountOf(3), 'confirm', [id, 0, DIGEST, publicKeyOf('ecdsa', 'key')])).toBe('UnknownOperation')
    expect(await keys.credit(OWNER)).toBe(FEE_WEI)
    expect(await keys.contract.refused(OWNER, 'requestSignature', [id, DIGEST, DIGEST], FEE_WEI)).toBe('UnknownKey')
  })
  it('ends absence', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.order('ed25519', 2, 3)
    await keys.seat(id)
    for (const reporter of [1, 2]) await keys.done(keys.reportAbsence(id, 0, reporter, [3]))
    await keys.done(keys.contract.send(accountOf(3), 'confirm', [id, 0, DIGEST, publicKeyOf('ed25519', 'key')]))
    expect((await keys.party(3)).absences).toBe(0)
  })
})
