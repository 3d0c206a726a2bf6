/** What the key manager does with an active key: refresh, resharing, recovery, and the sum of what it owes. @module */
import { hexToBytes } from '#shared/bytes.ts'
import { chooseCommittee, chooseSigningSet } from '#shared/dcrm/committee.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Hash } from '#shared/types.ts'
import {
  REASON,
  BOND_WEI,
  FEE_WEI,
  KEY,
  OPERATION,
  OWNER,
  STRANGER,
  accountOf,
  checkBooks,
  createKeyWorld,
  eventOf,
  headerAt,
  publicKeyOf,
  wordOf,
} from '#test/unit/contracts/key-world.ts'
import type { KeyWorld } from '#test/unit/contracts/key-world.ts'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(checkBooks)

const DIGEST = wordOf('digest')
const FEE_PER_MEMBER_WEI = 10n ** 15n

const candidates = (ids: readonly number[]) => ids.map((id) => ({ id, operator: accountOf(id) }))
const drawOf = (height: number, request: Hash, attempt = 0) => ({
  randomness: hexToBytes(headerAt(height).randomness),
  requestId: hexToBytes(request),
  attempt,
})
async function change(
  keys: KeyWorld,
  name: 'requestRefresh' | 'requestReshare' | 'requestRecovery',
  args: readonly unknown[],
): Promise<Hash> {
  const sent = await keys.done(keys.contract.send(OWNER, name, args as never, FEE_WEI))
  return eventOf(sent, 'OperationRequested')['operation'] as Hash
}
async function pass(keys: KeyWorld, operation: Hash): Promise<void> {
  await keys.seat(operation)
  await keys.confirmAll(operation, publicKeyOf('ed25519', 'key'), wordOf(`digest of ${operation}`))
}

describe('what is done with a key', () => {
  it('is its owner’s to order, one thing at a time, once it is active', async () => {
    const keys = await createKeyWorld(4)
    const pending = await keys.order('ed25519', 2, 3)
    const id = await keys.activeKey('ed25519', 2, 3)
    const [member = 0] = (await keys.key(id)).members
    for (const [name, args] of [
      ['requestRefresh', []],
      ['requestReshare', [2, 3]],
      ['requestRecovery', [member]],
    ] as const) {
      const order = (from: `0x${string}`, key: Hash, feeWei = FEE_WEI) => keys.contract.refused(from, name, [key, ...args] as never, feeWei)
      expect(await order(OWNER, pending)).toBe('UnknownKey')
      expect(await order(STRANGER, id)).toBe('NotTheOwner')
      expect(await order(OWNER, id, 3n * FEE_PER_MEMBER_WEI - 1n)).toBe('FeeTooSmall')
    }
    expect(await keys.contract.refused(OWNER, 'requestRefresh', [id], FEE_WEI)).toBe('SUCCESS')
    expect(await keys.contract.refused(OWNER, 'requestReshare', [id, 2, 3], FEE_WEI)).toBe('TooManyOpen')
  })
  it('refreshed, it is the same key with the same holders in the next epoch, without old disputes', async () => {
    const keys = await createKeyWorld(6)
    const id = await keys.activeKey('ed25519', 2, 5)
    const before = await keys.key(id)
    const [accuser = 0, accused = 0] = before.members
    await keys.done(keys.contract.send(accountOf(accuser), 'reportDispute', [id, accused, REASON]))
    expect(await keys.contract.call('disputesOf', [id])).toEqual([accuser * 65_536 + accused])
    const operation = await change(keys, 'requestRefresh', [id])
    await pass(keys, operation)
    expect(await keys.key(id)).toMatchObject({ epoch: 1, members: before.members, publicKey: before.publicKey, state: KEY.active })
    expect((await keys.key(id)).digest).toBe(wordOf(`digest of ${operation}`))
    expect(await keys.contract.call('disputesOf', [id])).toEqual([])
    for (const party of before.members) expect((await keys.party(party)).seats).toBe(1)
  })
  it('refreshed into another key, the change is frozen and the old shares go on', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.activeKey('ed25519', 2, 3)
    const operation = await change(keys, 'requestRefresh', [id])
    await keys.seat(operation)
    await keys.done(keys.contract.send(accountOf(1), 'confirm', [operation, 0, DIGEST, publicKeyOf('ed25519', 'other')]))
    expect(await keys.operation(operation)).toMatchObject({ state: OPERATION.frozen })
    expect(await keys.key(id)).toMatchObject({ state: KEY.active, epoch: 0, publicKey: publicKeyOf('ed25519', 'key') })
    await keys.orderSignature(id)
  })
  it('cannot be refreshed without one of its holders', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.activeKey('ed25519', 2, 3)
    await keys.done(keys.contract.send(accountOf(2), 'unregisterParty', []))
    const operation = await change(keys, 'requestRefresh', [id])
    await keys.seat(operation)
    expect(await keys.operation(operation)).toMatchObject({ state: OPERATION.failed })
    expect(await keys.key(id)).toMatchObject({ state: KEY.active, epoch: 0 })
    expect(await keys.credit(OWNER)).toBe(FEE_WEI)
    for (let party = 1; party <= 3; party++) expect((await keys.party(party)).seats).toBe(1)
  })
  it('reshared, it is the same key with other holders, dealt by t of the old', async () => {
    const keys = await createKeyWorld(9)
    const id = await keys.activeKey('ed25519', 2, 3)
    const { members: old } = await keys.key(id)
    expect(await keys.contract.refused(OWNER, 'requestReshare', [id, 1, 5], FEE_WEI)).toBe('SizeInvalid')
    const operation = await change(keys, 'requestReshare', [id, 3, 5])
    await keys.seat(operation)
    const { members, dealers, requestedAt } = await keys.operation(operation)
    const draw = drawOf(Number(requestedAt) + 4, operation)
    expect(members).toEqual(chooseCommittee(nobleBackend, draw, candidates([1, 2, 3, 4, 5, 6, 7, 8, 9]), 5))
    expect(dealers).toEqual(chooseSigningSet(nobleBackend, draw, old, 2, [], []))
    await keys.confirmAll(operation, publicKeyOf('ed25519', 'key'))
    expect(await keys.key(id)).toMatchObject({ epoch: 1, threshold: 3, members, publicKey: publicKeyOf('ed25519', 'key') })
    for (let party = 1; party <= 9; party++) expect((await keys.party(party)).seats).toBe(members.includes(party) ? 1 : 0)
  })
  it('is reshared by holders without disputes among them; when there are not enough, the order ends', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.activeKey('ed25519', 2, 3)
    const operation = await change(keys, 'requestReshare', [id, 2, 3])
    for (const [accuser, accused] of [
      [1, 2],
      [1, 3],
    ] as const)
      await keys.done(keys.contract.send(accountOf(accuser), 'reportDispute', [id, accused, REASON]))
    await keys.seat(operation)
    expect((await keys.operation(operation)).dealers).toEqual([2, 3])
    await keys.done(keys.contract.send(accountOf(2), 'reportDispute', [id, 3, REASON]))
    await keys.seat(operation)
    expect(await keys.operation(operation)).toMatchObject({ state: OPERATION.failed })
    for (let party = 1; party <= 3; party++) expect((await keys.party(party)).seats).toBe(1)
  })
  it('recovered, one holder gets its share again by t others, and says so itself', async () => {
    const keys = await createKeyWorld(4)
    const id = await keys.activeKey('ed25519', 2, 3)
    const { members, digest } = await keys.key(id)
    const [lost = 0, helper = 0] = members
    const outsider = [1, 2, 3, 4].find((party) => !members.includes(party)) ?? 0
    expect(await keys.contract.refused(OWNER, 'requestRecovery', [id, outsider], FEE_WEI)).toBe('NotAMember')
    const operation = await change(keys, 'requestRecovery', [id, lost])
    await keys.seat(operation)
    expect((await keys.operation(operation)).dealers).toEqual(members.filter((party) => party !== lost))
    const publicKey = publicKeyOf('ed25519', 'key')
    const confirm = (party: number, value: Hash) => keys.contract.refused(accountOf(party), 'confirm', [operation, 0, value, publicKey])
    expect(await confirm(helper, digest)).toBe('NotAMember')
    expect(await confirm(lost, wordOf('other'))).toBe('NotAMember')
    expect(await confirm(lost, digest)).toBe('SUCCESS')
    expect(await keys.operation(operation)).toMatchObject({ state: OPERATION.done })
    expect(await keys.key(id)).toMatchObject({ epoch: 0, members, digest, state: KEY.active })
    for (const party of members) expect((await keys.party(party)).seats).toBe(1)
  })
  it('is not recovered for a holder that was excluded', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.activeKey('ed25519', 2, 3)
    await keys.done(keys.contract.send(accountOf(3), 'unregisterParty', []))
    expect(await keys.contract.refused(OWNER, 'requestRecovery', [id, 3], FEE_WEI)).toBe('NotAMember')
  })
  it('is recovered with absent holders when nobody else is left, never with the lost one', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.activeKey('ed25519', 3, 3)
    const operation = await change(keys, 'requestRecovery', [id, 2])
    await keys.seat(operation)
    // Three of three cannot be: two are left.
    expect(await keys.operation(operation)).toMatchObject({ state: OPERATION.failed, dealers: [] })
  })
})

it('holds what it owes at any time: bonds, fees and credits', async () => {
  const keys = await createKeyWorld(4)
  const id = await keys.activeKey('ed25519', 2, 3)
  await keys.orderSignature(id)
  await keys.order('ecdsa', 2, 2)
  expect(keys.world.state.balance(KEY_MANAGER)).toBe(4n * BOND_WEI + 3n * FEE_WEI)
})
