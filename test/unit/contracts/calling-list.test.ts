/** The calling list's contract: who may do what, what it costs, and that its rows mean to the mirror what they mean to Solidity. @module */
import { fromHex, toHex } from '#node/evm/hex.ts'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import {
  readAccount,
  readFired,
  readRow,
  readRowCount,
  readRowIds,
  rowWrites,
  creditAccount,
  firedWrite,
} from '#shared/trigger/calling-list.ts'
import type { CallingListRow } from '#shared/trigger/calling-list.ts'
import type { StorageWrite } from '#shared/codec/solidity-storage.ts'
import { CALLING_LIST } from '#shared/system.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import { entryId, stableCaller } from '#shared/trigger/ids.ts'
import { INTENT_TYPES, intentDomain } from '#shared/trigger/intents.ts'
import type { Entry, TriggerDescription } from '#shared/trigger/types.ts'
import type { Address, Hash, Hex, Wei } from '#shared/types.ts'
import { FSN, GENESIS_HASH, contractAt, createWorld } from '#test/unit/contracts/world.ts'
import type { World } from '#test/unit/contracts/world.ts'
import { suite } from '#test/unit/evm/support.ts'
import { DAILY, PROBE, onEvent, withMode } from '#test/unit/trigger/samples.ts'
import { domainSeparator, keccak256 } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { describe, expect, it } from 'vitest'

const SIGNER = privateKeyToAccount(`0x${'51'.repeat(32)}`)
const OWNER: Address = SIGNER.address.toLowerCase() as Address
const STRANGER: Address = `0x${'b2'.repeat(20)}`
const RESERVE = DAILY.funding.reserveWei
const encoded = (description: TriggerDescription): Hex => toHex(encodeDescription(description))
/** 1e13 wei a byte. */
const depositOf = (description: TriggerDescription): Wei => BigInt(encodeDescription(description).length) * 10n ** 13n
const ACTIVE = withMode({ type: 'active' })

const listOf = (world: World) => contractAt(world, callingListAbi, CALLING_LIST)

async function listWith(
  description = DAILY,
  fundWei = RESERVE,
): Promise<Readonly<{ world: World; list: ReturnType<typeof listOf>; id: Hash }>> {
  const world = createWorld([OWNER, STRANGER])
  const list = listOf(world)
  expect((await list.send(OWNER, 'register', [encoded(description)], depositOf(description) + fundWei)).success).toBe(true)
  world.nextBlock()
  return { world, list, id: entryId(OWNER, 0n) }
}

const rowOf = (world: World, id: Hash): CallingListRow => {
  const row = world.read(readRow(id, suite))
  if (row === null) throw new Error('no such row')
  return row
}
const write = (world: World, writes: readonly StorageWrite[]): void => {
  for (const { slot, value } of writes) world.state.setSlot(CALLING_LIST, slot, fromHex(value))
}

describe('registration', () => {
  it('is read by the mirror as an entry, and by Solidity as a row', async () => {
    const { world, list, id } = await listWith()
    const entry: Entry = {
      id,
      owner: OWNER,
      caller: stableCaller(OWNER),
      revision: 1,
      description: DAILY,
      descHash: keccak256(encoded(DAILY)),
      status: 'ACTIVE',
      registeredAt: { height: 10, timeMs: 1_767_225_600_000 },
      fundingWei: RESERVE,
      fires: 0,
      missed: 0,
      attempt: 0,
      backoffUntilMs: 0,
      lastFireMs: 0,
      dueAt: 1_767_225_600_000 + 9 * 3_600_000,
      armed: true,
      cursor: 0n,
      edgeCount: 0,
    }
    expect(rowOf(world, id).entry).toEqual(entry)
    expect(world.read(readRowCount())).toBe(1)
    expect(world.read(readRowIds(0, 10, suite))).toEqual([id])
    expect(world.read(readRowIds(1, 10, suite))).toEqual([])
    expect(await list.call('row', [id])).toMatchObject({
      status: 1,
      kind: 4,
      revision: 1,
      depositWei: depositOf(DAILY),
      fundingWei: RESERVE,
    })
    expect(await list.call('descriptionOf', [id])).toBe(encoded(DAILY))
    expect(await list.call('stableCaller', [OWNER])).toMatch(new RegExp(stableCaller(OWNER), 'i'))
    expect(world.read(readRow(GENESIS_HASH, suite))).toBeNull()
    expect(world.read(readAccount(OWNER, suite))).toEqual({ balanceWei: 0n, nonce: 0n, registrations: 1n })
  })

  it('takes the deposit from an earlier balance when the value does not cover it', async () => {
    const world = createWorld([OWNER])
    const list = listOf(world)
    const free = { ...DAILY, funding: { ...DAILY.funding, reserveWei: 0n } }
    expect(await list.refused(OWNER, 'register', [encoded(free)])).toBe('InsufficientBalance')
    await list.send(OWNER, 'deposit', [], FSN)
    expect(await list.refused(OWNER, 'register', [encoded(free)])).toBe('SUCCESS')
    expect(await list.call('balanceOf', [OWNER])).toBe(FSN - depositOf(free))
    expect(rowOf(world, entryId(OWNER, 0n)).entry.fundingWei).toBe(0n)
  })

  it('refuses what the decoder refuses, and funding below the reserve', async () => {
    const world = createWorld([OWNER])
    const list = listOf(world)
    expect(await list.refused(OWNER, 'register', ['0x00'], FSN)).toBe('DescriptionInvalid')
    expect(await list.refused(OWNER, 'register', [encoded({ ...DAILY, limits: { ...DAILY.limits, maxFires: 0 } })], FSN)).toBe(
      'DescriptionInvalid',
    )
    expect(await list.refused(OWNER, 'register', [encoded(DAILY)], depositOf(DAILY) + RESERVE - 1n)).toBe('FundingTooLow')
  })

  it('stores equal descriptions once', async () => {
    const { world, list } = await listWith()
    const first = await list.send(OWNER, 'register', [encoded({ ...DAILY, name: 'other' })], FSN)
    const second = await list.send(OWNER, 'register', [encoded(DAILY)], FSN)
    expect(first.gasUsed - second.gasUsed).toBeGreaterThan(60_000n)
    expect(world.read(readRowIds(0, 10, suite))).toEqual([0n, 1n, 2n].map((counter) => entryId(OWNER, counter)))
    expect(rowOf(world, entryId(OWNER, 2n)).entry.description).toEqual(DAILY)
  })
})

describe('the owner', () => {
  it('pauses, resumes, withdraws and cancels; nobody else does', async () => {
    const { world, list, id } = await listWith()
    for (const name of ['pause', 'resume', 'cancel', 'activate'] as const) expect(await list.refused(STRANGER, name, [id])).toBe('NotOwner')
    expect(await list.refused(STRANGER, 'withdraw', [id, 1n])).toBe('NotOwner')
    expect(await list.refused(STRANGER, 'revise', [id, encoded(DAILY)])).toBe('NotOwner')
    expect(await list.refused(OWNER, 'resume', [id])).toBe('WrongStatus')
    expect(await list.refused(OWNER, 'pause', [id])).toBe('SUCCESS')
    expect(rowOf(world, id).entry.status).toBe('PAUSED')
    expect(await list.refused(OWNER, 'pause', [id])).toBe('WrongStatus')
    expect(await list.refused(OWNER, 'resume', [id])).toBe('SUCCESS')
    expect(await list.refused(OWNER, 'withdraw', [id, RESERVE + 1n])).toBe('InsufficientBalance')
    expect(await list.refused(OWNER, 'withdraw', [id, RESERVE / 2n])).toBe('SUCCESS')
    expect(await list.refused(OWNER, 'cancel', [id])).toBe('SUCCESS')
    expect(rowOf(world, id).entry).toMatchObject({ status: 'CANCELLED', fundingWei: 0n })
    expect(await list.call('balanceOf', [OWNER])).toBe(RESERVE + depositOf(DAILY))
    for (const name of ['pause', 'resume', 'cancel'] as const) expect(await list.refused(OWNER, name, [id])).toBe('WrongStatus')
    expect(await list.refused(OWNER, 'fund', [id], 1n)).toBe('WrongStatus')
    expect(await list.refused(OWNER, 'revise', [id, encoded(DAILY)])).toBe('WrongStatus')
    expect(await list.refused(OWNER, 'pause', [GENESIS_HASH])).toBe('UnknownTrigger')
    const before = world.state.balance(OWNER)
    expect(await list.refused(OWNER, 'withdrawBalance', [RESERVE + depositOf(DAILY) + 1n])).toBe('InsufficientBalance')
    expect(await list.refused(OWNER, 'withdrawBalance', [RESERVE + depositOf(DAILY)])).toBe('SUCCESS')
    expect(world.state.balance(OWNER) - before).toBe(RESERVE + depositOf(DAILY))
    expect(world.state.balance(CALLING_LIST)).toBe(0n)
  })

  it('activates rows of the active mode only, while they are active', async () => {
    const { world, list, id } = await listWith(ACTIVE)
    expect(await list.refused(OWNER, 'activate', [id])).toBe('SUCCESS')
    expect(await list.refused(OWNER, 'activate', [id])).toBe('SUCCESS')
    expect(rowOf(world, id).entry.edgeCount).toBe(2)
    await list.send(OWNER, 'pause', [id])
    expect(await list.refused(OWNER, 'activate', [id])).toBe('WrongStatus')
    const timed = await listWith()
    expect(await timed.list.refused(OWNER, 'activate', [timed.id])).toBe('NotActiveMode')
  })

  it('revises: the old revision and its history end, the deposit follows the size', async () => {
    const { world, list, id } = await listWith()
    const { entry } = rowOf(world, id)
    write(
      world,
      rowWrites(
        rowOf(world, id),
        { ...entry, fires: 3, attempt: 2, backoffUntilMs: 9, edgeCount: 4, cursor: 5n, armed: false, status: 'EXHAUSTED' },
        suite,
      ),
    )
    const longer = onEvent({ ...PROBE, data: new Uint8Array(200) })
    expect(await list.refused(OWNER, 'revise', [id, encoded(longer)])).toBe('InsufficientBalance')
    expect(await list.refused(OWNER, 'revise', [id, encoded(longer)], FSN)).toBe('SUCCESS')
    expect(rowOf(world, id).entry).toMatchObject({
      revision: 2,
      status: 'ACTIVE',
      fires: 3,
      attempt: 0,
      backoffUntilMs: 0,
      edgeCount: 0,
      cursor: 0n,
      armed: true,
      dueAt: 0,
      registeredAt: { height: 11, timeMs: 1_767_225_601_000 },
      description: longer,
    })
    expect(await list.call('balanceOf', [OWNER])).toBe(FSN - (depositOf(longer) - depositOf(DAILY)))
    await list.send(OWNER, 'revise', [id, encoded(DAILY)])
    expect(await list.call('balanceOf', [OWNER])).toBe(FSN)
    expect(rowOf(world, id).entry.revision).toBe(3)
  })

  it('keeps a paused row paused when revising it', async () => {
    const { world, list, id } = await listWith()
    await list.send(OWNER, 'pause', [id])
    await list.send(OWNER, 'revise', [id, encoded(DAILY)])
    expect(rowOf(world, id).entry.status).toBe('PAUSED')
  })
})

describe('the mirror', () => {
  it('writes rows, consumed occurrences and balances that Solidity reads', async () => {
    const { world, list, id } = await listWith()
    const { entry } = rowOf(world, id)
    const next: Entry = {
      ...entry,
      fires: 7,
      status: 'PAUSED',
      attempt: 3,
      armed: false,
      dueAt: 2 ** 48 - 1,
      backoffUntilMs: 2 ** 47,
      lastFireMs: 1,
      missed: 2 ** 33,
      edgeCount: 2 ** 32 - 1,
      fundingWei: 2n ** 127n,
      cursor: 2n ** 95n,
    }
    const row = rowOf(world, id)
    write(world, rowWrites(row, next, suite))
    expect(rowOf(world, id).entry).toEqual({ ...next, missed: 2 ** 32 - 1 })
    expect(await list.call('row', [id])).toMatchObject({
      owner: SIGNER.address,
      revision: 1,
      fires: 7,
      status: 2,
      attempt: 3,
      armed: false,
      dueAt: 2 ** 48 - 1,
      backoffUntilMs: 2 ** 47,
      lastFireMs: 1,
      missed: 2 ** 32 - 1,
      edgeCount: 2 ** 32 - 1,
      fundingWei: 2n ** 127n,
      cursor: 2n ** 95n,
      depositWei: depositOf(DAILY),
      descHash: entry.descHash,
    })
    expect(rowWrites(row, entry, suite)).toEqual([])
    expect(world.read(readFired(id, suite))).toBe(false)
    write(world, [firedWrite(id, 1234, suite)])
    expect(world.read(readFired(id, suite))).toBe(true)
    expect(await list.call('firedAt', [id])).toBe(1234n)
    await list.send(OWNER, 'deposit', [], 5n)
    write(world, [world.read(creditAccount(OWNER, 37n, suite))])
    expect(await list.call('balanceOf', [OWNER])).toBe(42n)
    expect(await list.call('registrations', [OWNER])).toBe(1n)
  })
})

type Relay = Readonly<{ feeWei: bigint; nonce: bigint; deadline: bigint; signature: Hex }>
const DEADLINE = 1_767_225_700n

async function relayed(
  kind: keyof typeof INTENT_TYPES,
  message: Record<string, unknown>,
  relay: Partial<Relay> = {},
  domain: Partial<ReturnType<typeof intentDomain>> = {},
): Promise<Relay> {
  const { feeWei = 1000n, nonce = 0n, deadline = DEADLINE } = relay
  const signature = await SIGNER.signTypedData({
    domain: { ...intentDomain(81_920, GENESIS_HASH), ...domain },
    types: { [kind]: [...INTENT_TYPES[kind].members] },
    primaryType: kind,
    message: { owner: OWNER, relayFeeWei: feeWei, nonce, deadline, ...message },
  })
  return { feeWei, nonce, deadline, signature, ...(relay.signature !== undefined && { signature: relay.signature }) }
}

async function withBalance(): Promise<Readonly<{ world: World; list: ReturnType<typeof listOf> }>> {
  const world = createWorld([OWNER, STRANGER])
  const list = listOf(world)
  await list.send(OWNER, 'deposit', [], 10n * FSN)
  return { world, list }
}

describe('intents', () => {
  it('of every kind work for whoever brings them, in the order of their nonces, and pay the relayer', async () => {
    const { world, list } = await withBalance()
    const before = world.state.balance(STRANGER)
    const descHash = keccak256(encoded(DAILY))
    const id = entryId(OWNER, 0n)
    expect(
      await list.refused(STRANGER, 'registerFor', [
        OWNER,
        encoded(DAILY),
        RESERVE,
        await relayed('Register', { descHash, fundWei: RESERVE }),
      ]),
    ).toBe('SUCCESS')
    expect(await list.refused(STRANGER, 'pauseFor', [OWNER, id, await relayed('Pause', { id }, { nonce: 1n })])).toBe('SUCCESS')
    expect(rowOf(world, id).entry.status).toBe('PAUSED')
    expect(await list.refused(STRANGER, 'resumeFor', [OWNER, id, await relayed('Resume', { id }, { nonce: 2n })])).toBe('SUCCESS')
    expect(await list.refused(STRANGER, 'fundFor', [OWNER, id, 500n, await relayed('Fund', { id, amountWei: 500n }, { nonce: 3n })])).toBe(
      'SUCCESS',
    )
    expect(rowOf(world, id).entry.fundingWei).toBe(RESERVE + 500n)
    expect(
      await list.refused(STRANGER, 'withdrawFor', [OWNER, id, 200n, await relayed('Withdraw', { id, amountWei: 200n }, { nonce: 4n })]),
    ).toBe('SUCCESS')
    expect(
      await list.refused(STRANGER, 'reviseFor', [OWNER, id, encoded(DAILY), await relayed('Revise', { id, descHash }, { nonce: 5n })]),
    ).toBe('SUCCESS')
    expect(await list.refused(STRANGER, 'cancelFor', [OWNER, id, await relayed('Cancel', { id }, { nonce: 6n })])).toBe('SUCCESS')
    expect(rowOf(world, id).entry).toMatchObject({ status: 'CANCELLED', revision: 2 })
    expect(await list.call('balanceOf', [OWNER])).toBe(10n * FSN - 7000n)
    expect(world.state.balance(STRANGER) - before).toBe(7000n)
    expect(await list.call('intentNonce', [OWNER])).toBe(7n)
  })

  it('with a used or future nonce, past their deadline, altered, or of another chain are refused', async () => {
    const { world, list } = await withBalance()
    const descHash = keccak256(encoded(DAILY))
    const send = (relay: Relay, fundWei = RESERVE, description = DAILY) =>
      list.refused(STRANGER, 'registerFor', [OWNER, encoded(description), fundWei, relay])
    const message = { descHash, fundWei: RESERVE }
    expect(await send(await relayed('Register', message, { nonce: 1n }))).toBe('IntentNonce')
    expect(await send(await relayed('Register', message, { deadline: 1_767_225_599n }))).toBe('IntentExpired')
    expect(await send(await relayed('Register', message), RESERVE + 1n)).toBe('IntentSignature')
    expect(await send(await relayed('Register', message), RESERVE, { ...DAILY, name: 'x' })).toBe('IntentSignature')
    expect(await send({ ...(await relayed('Register', message)), feeWei: 1001n })).toBe('IntentSignature')
    expect(await send(await relayed('Register', message, {}, { salt: `0x${'9f'.repeat(32)}` }))).toBe('IntentSignature')
    expect(await send(await relayed('Register', message, {}, { chainId: 1 }))).toBe('IntentSignature')
    expect(await send(await relayed('Register', message, { signature: '0x1234' }))).toBe('IntentSignature')
    expect(await list.refused(STRANGER, 'cancelFor', [STRANGER, GENESIS_HASH, await relayed('Cancel', { id: GENESIS_HASH })])).toBe(
      'IntentSignature',
    )
    const good = await relayed('Register', message, { deadline: 1_767_225_600n })
    expect(await send(good)).toBe('SUCCESS')
    expect(await send(good)).toBe('IntentNonce')
    expect(world.read(readRowCount())).toBe(1)
  })

  it('have one signature: the mirrored high s is refused, both forms of v count', async () => {
    const { list } = await withBalance()
    const order = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n
    const good = await relayed('Register', { descHash: keccak256(encoded(DAILY)), fundWei: RESERVE })
    const [r, s, v] = [good.signature.slice(2, 66), BigInt(`0x${good.signature.slice(66, 130)}`), Number(`0x${good.signature.slice(130)}`)]
    const high: Hex = `0x${r}${(order - s).toString(16).padStart(64, '0')}${(55 - v).toString(16)}`
    const short: Hex = `0x${r}${s.toString(16).padStart(64, '0')}0${v - 27}`
    const send = (signature: Hex) => list.refused(STRANGER, 'registerFor', [OWNER, encoded(DAILY), RESERVE, { ...good, signature }])
    expect(await send(high)).toBe('IntentSignature')
    expect(await send(short)).toBe('SUCCESS')
  })

  it('cost nothing to others when the owner cannot pay the relayer', async () => {
    const world = createWorld([OWNER, STRANGER])
    const list = listOf(world)
    const message = { descHash: keccak256(encoded(DAILY)), fundWei: RESERVE }
    expect(await list.refused(STRANGER, 'registerFor', [OWNER, encoded(DAILY), RESERVE, await relayed('Register', message)])).toBe(
      'InsufficientBalance',
    )
    expect(await list.call('intentNonce', [OWNER])).toBe(0n)
  })

  it('are signed over the separator that the contract announces', async () => {
    const { list } = await withBalance()
    expect(await list.call('domainSeparator', [])).toBe(domainSeparator({ domain: intentDomain(81_920, GENESIS_HASH) }))
  })
})
