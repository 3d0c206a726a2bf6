/** Parties of the key manager: who may hold shares, on which bond, and how one leaves. @module */
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { KEY_CONDUCT, KEY_MANAGER } from '#shared/system.ts'
import type { Address, Hash } from '#shared/types.ts'
import {
  BOND_WEI,
  FEE_WEI,
  OWNER,
  STRANGER,
  ZERO,
  accountOf,
  checkBooks,
  createKeyWorld,
  eventOf,
  eventsOf,
  publicKeyOf,
  wordOf,
} from '#test/unit/contracts/key-world.ts'
import type { KeyWorld, PartyRow } from '#test/unit/contracts/key-world.ts'
import { FSN, GENESIS_HASH, VALIDATORS, contractAt } from '#test/unit/contracts/world.ts'
import { getAddress, zeroAddress } from 'viem'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(checkBooks)

const SIGN = wordOf('sign')
const SEAL = wordOf('seal')
const UNBOND_BLOCKS = 1200

describe('registration', () => {
  it('gives rising numbers and shows account, keys, relay and bond', async () => {
    const keys = await createKeyWorld(1)
    await keys.admit([OWNER])
    const sent = await keys.done(keys.contract.send(OWNER, 'registerParty', [SIGN, SEAL, 'http://relay'], BOND_WEI + 5n))
    expect(eventOf(sent, 'PartyRegistered')).toMatchObject({ party: 2, signKey: SIGN, sealKey: SEAL, relayUrl: 'http://relay' })
    expect(await keys.contract.call('partyOf', [OWNER])).toBe(2)
    expect(await keys.contract.call('partyOf', [STRANGER])).toBe(0)
    expect(await keys.contract.call('genesisHash', [])).toBe(GENESIS_HASH)
    expect(await keys.contract.call('MIN_BOND_WEI', [])).toBe(BOND_WEI)
    expect(await keys.contract.call('parties', [1, 10])).toMatchObject([
      {
        id: 2,
        signKey: SIGN,
        sealKey: SEAL,
        bondWei: BOND_WEI + 5n,
        absences: 0,
        excludedAt: 0n,
        seats: 0,
        instanceId: ZERO,
        generation: 0n,
        relayUrl: 'http://relay',
      },
    ])
  })
  it('is refused twice for one account, without the bond, without keys, and with a long address', async () => {
    const keys = await createKeyWorld(1)
    await keys.admit([OWNER])
    const attempt = (args: readonly [Hash, Hash, string], valueWei = BOND_WEI) =>
      keys.contract.refused(OWNER, 'registerParty', args, valueWei)
    expect(await attempt([SIGN, SEAL, ''], BOND_WEI - 1n)).toBe('BondTooSmall')
    expect(await attempt([ZERO, SEAL, ''])).toBe('KeyInvalid')
    expect(await attempt([SIGN, ZERO, ''])).toBe('KeyInvalid')
    expect(await attempt([SIGN, SEAL, 'x'.repeat(129)])).toBe('TextTooLong')
    expect(await attempt([SIGN, SEAL, 'x'.repeat(128)])).toBe('SUCCESS')
    expect(await attempt([SIGN, SEAL, ''])).toBe('AlreadyRegistered')
  })
  it('is refused at the address of the second half of the code', async () => {
    const keys = await createKeyWorld(0)
    const half = contractAt(keys.world, keyManagerAbi, KEY_CONDUCT)
    expect(await half.refused(OWNER, 'registerParty', [SIGN, SEAL, ''], BOND_WEI)).toBe('WrongAddress')
  })
  it('is refused beyond 128 that serve, and open again when one leaves', async () => {
    const keys = await createKeyWorld(128)
    await keys.admit([OWNER])
    expect(await keys.contract.refused(OWNER, 'registerParty', [SIGN, SEAL, ''], BOND_WEI)).toBe('TooManyOpen')
    await keys.done(keys.contract.send(accountOf(50), 'unregisterParty', []))
    expect(await keys.contract.refused(OWNER, 'registerParty', [SIGN, SEAL, ''], BOND_WEI)).toBe('SUCCESS')
    expect(await keys.contract.call('partyOf', [OWNER])).toBe(129)
  }, 20_000)
  it('is shown page by page', async () => {
    const keys = await createKeyWorld(5)
    const page = async (after: number, count: number) =>
      ((await keys.contract.call('parties', [after, count])) as readonly PartyRow[]).map(({ id }) => id)
    expect(await page(0, 3)).toEqual([1, 2, 3])
    expect(await page(3, 3)).toEqual([4, 5])
    expect(await page(5, 3)).toEqual([])
    expect(await page(60_000, 3)).toEqual([])
    expect(await page(0, 0)).toEqual([])
  })
})

describe('a lease', () => {
  it('is renewed by a newer generation only, and ends absence', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.order('ed25519', 2, 3)
    await keys.seat(id)
    for (const reporter of [1, 2]) await keys.done(keys.reportAbsence(id, 0, reporter, [3]))
    expect((await keys.party(3)).absences).toBe(1)
    const renew = (generation: bigint, url = 'http://new') =>
      keys.contract.refused(accountOf(3), 'renewLease', [wordOf('instance'), generation, url])
    expect(await renew(0n)).toBe('LeaseNotNewer')
    expect(await renew(3n, 'x'.repeat(129))).toBe('TextTooLong')
    expect(await renew(3n)).toBe('SUCCESS')
    expect(await keys.party(3)).toMatchObject({ absences: 0, instanceId: wordOf('instance'), generation: 3n, relayUrl: 'http://new' })
    expect(await renew(3n)).toBe('LeaseNotNewer')
    expect(await renew(2n)).toBe('LeaseNotNewer')
    expect(await renew(4n)).toBe('SUCCESS')
    expect(await keys.contract.refused(STRANGER, 'renewLease', [SIGN, 1n, ''])).toBe('NotAParty')
  })
  it('is told by an event', async () => {
    const keys = await createKeyWorld(1)
    const sent = await keys.done(keys.contract.send(accountOf(1), 'renewLease', [SIGN, 9n, '']))
    expect(eventsOf(sent)).toEqual([{ name: 'LeaseRenewed', args: { party: 1, instanceId: SIGN, generation: 9n } }])
  })
})

describe('admission', () => {
  const NEWCOMER: Address = `0x${'77'.repeat(20)}`
  const [first = zeroAddress, second = zeroAddress, third = zeroAddress, fourth = zeroAddress] = VALIDATORS
  const standing = (keys: KeyWorld, account: Address) => keys.contract.call('standingOf', [account])
  const NONE = 0
  const ADMITTED = 1
  const VALIDATOR = 2

  it('takes the word of more than two thirds of the validators, each counted once', async () => {
    const keys = await createKeyWorld(0)
    keys.world.state.addBalance(NEWCOMER, BOND_WEI)
    const register = () => keys.contract.refused(NEWCOMER, 'registerParty', [SIGN, SEAL, ''], BOND_WEI)
    const sent = await keys.done(keys.contract.send(first, 'vouch', [[NEWCOMER, STRANGER]]))
    expect(eventsOf(sent).map(({ args }) => args)).toMatchObject([
      { account: getAddress(NEWCOMER), validator: getAddress(first), words: 1 },
      { account: getAddress(STRANGER), words: 1 },
    ])
    expect(eventsOf(await keys.done(keys.contract.send(first, 'vouch', [[NEWCOMER]])))).toEqual([])
    await keys.done(keys.contract.send(second, 'vouch', [[NEWCOMER]]))
    expect(await standing(keys, NEWCOMER)).toEqual([NONE, 2])
    expect(await register()).toBe('NotAdmitted')
    await keys.done(keys.contract.send(third, 'vouch', [[NEWCOMER, NEWCOMER]]))
    expect(await standing(keys, NEWCOMER)).toEqual([ADMITTED, 3])
    await keys.done(keys.contract.send(fourth, 'vouch', [[NEWCOMER]]))
    expect(await standing(keys, NEWCOMER)).toEqual([ADMITTED, 3])
    expect(await register()).toBe('SUCCESS')
    expect(await standing(keys, STRANGER)).toEqual([NONE, 1])
  })
  it('is the validators’ from the start, and theirs alone to give', async () => {
    const keys = await createKeyWorld(1)
    expect(await standing(keys, first)).toEqual([VALIDATOR, 0])
    keys.world.state.addBalance(first, BOND_WEI)
    expect(await keys.contract.refused(first, 'registerParty', [SIGN, SEAL, ''], BOND_WEI)).toBe('SUCCESS')
    for (const account of [STRANGER, accountOf(1)]) expect(await keys.contract.refused(account, 'vouch', [[OWNER]])).toBe('NotAValidator')
    const many = Array.from({ length: 33 }, (_, index) => accountOf(100 + index))
    expect(await keys.contract.refused(first, 'vouch', [many])).toBe('SizeInvalid')
    expect(await keys.contract.refused(first, 'vouch', [many.slice(1)])).toBe('SUCCESS')
  })
})

describe('renewed keys', () => {
  const OTHER = wordOf('other sign')
  it('are the party’s own to set, begin with a lease of their own, and leave bond and seats as they are', async () => {
    const keys = await createKeyWorld(3)
    const account = accountOf(2)
    await keys.done(keys.contract.send(account, 'renewLease', [wordOf('instance'), 5n, 'http://relay']))
    const before = await keys.party(2)
    const renew = (signKey: Hash, sealKey: Hash, from = account) => keys.contract.refused(from, 'renewKeys', [signKey, sealKey])
    expect(await renew(OTHER, SEAL, STRANGER)).toBe('NotAParty')
    expect(await renew(ZERO, SEAL)).toBe('KeyInvalid')
    expect(await renew(OTHER, ZERO)).toBe('KeyInvalid')
    expect(await renew(wordOf('sign 2'), SEAL)).toBe('KeyInvalid')
    const sent = await keys.done(keys.contract.send(account, 'renewKeys', [OTHER, SEAL]))
    expect(eventOf(sent, 'KeysRenewed')).toEqual({ party: 2, signKey: OTHER, sealKey: SEAL })
    expect(await keys.party(2)).toEqual({ ...before, signKey: OTHER, sealKey: SEAL, instanceId: ZERO, generation: 0n })
    expect(await keys.contract.refused(account, 'renewLease', [wordOf('new'), 1n, ''])).toBe('SUCCESS')
    keys.world.height += UNBOND_BLOCKS - 1
    expect(await renew(wordOf('third'), SEAL)).toBe('NotReady')
    keys.world.height++
    expect(await renew(wordOf('third'), SEAL)).toBe('SUCCESS')
    await keys.done(keys.contract.send(account, 'unregisterParty', []))
    keys.world.height += UNBOND_BLOCKS
    expect(await renew(OTHER, SEAL)).toBe('NotAMember')
  })
})

describe('leaving', () => {
  it('takes a party out of draws at once and gives the bond back after the delay', async () => {
    const keys = await createKeyWorld(3)
    const leave = () => keys.contract.refused(accountOf(3), 'unregisterParty', [])
    const sent = await keys.done(keys.contract.send(accountOf(3), 'unregisterParty', []))
    expect(eventOf(sent, 'PartyExcluded')).toMatchObject({ party: 3, reason: 'UNREGISTERED', evidence: ZERO })
    const { excludedAt } = await keys.party(3)
    expect(excludedAt).toBe(BigInt(keys.world.height))
    expect(await keys.contract.refused(OWNER, 'requestKey', [0, 2, 3], FEE_WEI)).toBe('TooFewCandidates')
    expect(await leave()).toBe('NotReady')
    keys.world.height += UNBOND_BLOCKS - 1
    expect(await leave()).toBe('NotReady')
    keys.world.height++
    expect(await leave()).toBe('SUCCESS')
    expect(await keys.credit(accountOf(3))).toBe(BOND_WEI)
    expect(await keys.contract.call('parties', [2, 1])).toEqual([])
    expect(await leave()).toBe('NothingToDo')
    expect(await keys.contract.refused(STRANGER, 'unregisterParty', [])).toBe('NotAParty')
  })
  it('waits for the last seat and counts the delay from there', async () => {
    const keys = await createKeyWorld(4)
    const id = await keys.activeKey('ed25519', 2, 3)
    const [member = 0] = (await keys.key(id)).members
    expect((await keys.party(member)).seats).toBe(1)
    const leave = () => keys.contract.refused(accountOf(member), 'unregisterParty', [])
    expect(await leave()).toBe('SUCCESS')
    keys.world.height += 5 * UNBOND_BLOCKS
    expect(await leave()).toBe('StillSeated')
    const sent = await keys.done(keys.contract.send(OWNER, 'requestReshare', [id, 2, 3], FEE_WEI))
    const operation = eventOf(sent, 'OperationRequested')['operation'] as Hash
    await keys.seat(operation)
    expect((await keys.operation(operation)).members).not.toContain(member)
    await keys.confirmAll(operation, publicKeyOf('ed25519', 'key'))
    expect((await keys.party(member)).seats).toBe(0)
    keys.world.height += UNBOND_BLOCKS - 1
    expect(await leave()).toBe('NotReady')
    keys.world.height++
    expect(await leave()).toBe('SUCCESS')
  })
  it('is not possible while seated in an open operation', async () => {
    const keys = await createKeyWorld(2)
    const id = await keys.order('ed25519', 2, 2)
    await keys.seat(id)
    expect((await keys.party(1)).seats).toBe(1)
    expect(await keys.contract.refused(accountOf(1), 'unregisterParty', [])).toBe('SUCCESS')
    keys.world.height += 2 * UNBOND_BLOCKS
    expect(await keys.contract.refused(accountOf(1), 'unregisterParty', [])).toBe('StillSeated')
  })
})

describe('credits', () => {
  it('are paid once, to their owner, and leave what is owed to others', async () => {
    const keys = await createKeyWorld(3)
    const id = await keys.activeKey('ed25519', 2, 3)
    expect((await keys.key(id)).state).toBe(2)
    const share = FEE_WEI / 3n
    expect(await keys.credit(accountOf(1))).toBe(share)
    const before = keys.world.state.balance(accountOf(1))
    expect(await keys.contract.refused(accountOf(1), 'withdraw', [])).toBe('SUCCESS')
    expect(keys.world.state.balance(accountOf(1)) - before).toBe(share)
    expect(await keys.contract.refused(accountOf(1), 'withdraw', [])).toBe('NothingToDo')
    expect(keys.world.state.balance(KEY_MANAGER)).toBe(3n * BOND_WEI + FEE_WEI - share)
  })
  it('cannot be taken twice by a receiver that asks again while it is paid', async () => {
    const keys = await createKeyWorld(2, 100n * FSN)
    // Calls withdraw() of the key manager whenever it is called, also while it is paid; then stops.
    const thief: `0x${string}` = `0x${'7e'.repeat(20)}`
    const code = `633ccfd60b60e01b5f525f5f60045f5f6146085af100`
    keys.world.state.setCode(thief, Uint8Array.from(Buffer.from(code, 'hex')))
    keys.world.state.addBalance(thief, BOND_WEI)
    await keys.admit([thief])
    await keys.done(keys.contract.send(thief, 'registerParty', [SIGN, SEAL, ''], BOND_WEI))
    await keys.done(keys.contract.send(thief, 'unregisterParty', []))
    keys.world.height += UNBOND_BLOCKS
    await keys.done(keys.contract.send(thief, 'unregisterParty', []))
    const pool = keys.world.state.balance(KEY_MANAGER)
    await keys.world.send(STRANGER, thief, '0x')
    expect(keys.world.state.balance(thief)).toBe(BOND_WEI)
    expect(keys.world.state.balance(KEY_MANAGER)).toBe(pool - BOND_WEI)
  })
  it('are not touched by plain payments, which feed the pool', async () => {
    const keys = await createKeyWorld(0)
    expect((await keys.world.send(OWNER, KEY_MANAGER, '0x', 3n)).success).toBe(true)
    expect(keys.world.state.balance(KEY_MANAGER)).toBe(3n)
    expect((await keys.world.send(OWNER, KEY_MANAGER, '0x12345678', 3n)).success).toBe(false)
  })
})
