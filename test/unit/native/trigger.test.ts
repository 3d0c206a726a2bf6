/** Trigger transactions at their turn: what runs, what it costs whom, and everything that is refused. @module */
import { countdownAbi, countdownCreation } from '#shared/api/abi/countdown.ts'
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import { CALLING_LIST } from '#shared/system.ts'
import { readAccount } from '#shared/trigger/calling-list.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import { entryId, fireKey, stableCaller } from '#shared/trigger/ids.ts'
import { decodeTriggerTx, encodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { TriggerTx } from '#shared/trigger/transaction.ts'
import type { TriggerDescription } from '#shared/trigger/types.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import {
  AUTHOR,
  EDGE,
  FSN,
  HALF_BUDGET_GAS,
  NativeChain,
  OWNER,
  SLOT_MS,
  START_MS,
  STRANGER,
  addressOf,
  eventsOf,
  listEvents,
  owner,
} from '#test/unit/native/native-chain.ts'
import { suite } from '#test/unit/evm/support.ts'
import { DAILY } from '#test/unit/trigger/samples.ts'
import { encodeFunctionData, toFunctionSelector } from 'viem'
import type { Abi } from 'viem'
import { describe, expect, it } from 'vitest'

const TIP = 10n ** 14n
const DEAD: Address = `0x${'de'.repeat(20)}`
/** Runtime code that reverts at once: PUSH0 PUSH0 REVERT. */
const REVERTER: Hex = '0x625f5ffd5f526003601df3'

/** Creation code of a contract that burns all its gas: its runtime is INVALID. */
const BURNER: Hex = '0x60fe5f5360015ff3'

/** Every three seconds from the genesis on. */
const everyThree = (to: Address, change: Partial<TriggerDescription> = {}): TriggerDescription => ({
  ...DAILY,
  mode: { type: 'timing', when: { kind: 'interval', anchorMs: 1_700_000_000_000, everySec: 3 }, missed: { mode: 'latest', graceSec: 60 } },
  action: {
    to,
    valueWei: 0n,
    selector: toFunctionSelector('beat(uint64)'),
    types: ['uint64'],
    args: [{ ref: 'fire.scheduledAt' }],
    gasLimit: 200_000,
  },
  limits: { ...DAILY.limits, expiresAtMs: 1_800_000_000_000 },
  onRevert: { retries: 0, backoffSec: 0, thenPause: false },
  funding: { reserveWei: 0n, lowWaterWei: 0n, tipWei: TIP, attestationFeeWei: 0n },
  ...change,
})

async function withHeartbeat(
  change: Partial<TriggerDescription> = {},
): Promise<Readonly<{ chain: NativeChain; heartbeat: Address; id: Hash }>> {
  const chain = new NativeChain()
  const heartbeat = await chain.deploy(heartbeatAbi, heartbeatCreation, [owner])
  const id = await chain.register(everyThree(heartbeat, change))
  return { chain, heartbeat, id }
}

/** Steps through empty blocks until something is due, which is returned unsigned. */
async function untilDue(chain: NativeChain): Promise<Hex> {
  for (let step = 0; step < 20; step++) {
    const [raw] = await chain.due()
    if (raw !== undefined) return raw
    await chain.block()
  }
  throw new Error('nothing became due')
}

const altered = (raw: Hex, change: Partial<TriggerTx>): Hex =>
  bytesToHex(encodeTriggerTx({ ...decodeTriggerTx(hexToBytes(raw)), ...change }))

describe('a due trigger', () => {
  it('is called by its owner’s stable caller in the first block at or past its time', async () => {
    const { chain, heartbeat, id } = await withHeartbeat({
      mode: { type: 'timing', when: { kind: 'interval', anchorMs: 1_700_000_000_000, everySec: 10 }, missed: { mode: 'skip' } },
    })
    const raw = await untilDue(chain)
    const { dueAt } = chain.entry(id)
    expect(chain.timeMs).toBeLessThan(dueAt)
    expect(chain.timeMs + SLOT_MS).toBeGreaterThanOrEqual(dueAt)
    const { receipts, skipped } = await chain.block([raw])
    expect(skipped).toEqual([])
    const [receipt] = receipts
    expect(receipt).toMatchObject({ txType: 0x46, status: 1, from: stableCaller(owner), to: heartbeat, contractAddress: null })
    expect(eventsOf(receipt?.logs ?? [], heartbeatAbi as Abi)).toEqual([
      { name: 'Beat', args: { number: 1n, scheduledAtMs: BigInt(dueAt), blockTimeSec: BigInt(Math.floor(chain.timeMs / 1000)) } },
    ])
    expect(listEvents(receipt)).toMatchObject([
      {
        name: 'TriggerFired',
        args: {
          id,
          fireKey: fireKey(id, 1, toWord(BigInt(dueAt))),
          occurrence: toWord(BigInt(dueAt)),
          digest: toWord(0n),
          revision: 1,
          attempt: 0,
          success: true,
          scheduledAtMs: BigInt(dueAt),
          gasUsed: receipt?.gasUsed,
          returnData: '0x',
        },
      },
    ])
    expect(chain.entry(id)).toMatchObject({ fires: 1, dueAt: dueAt + 10_000, lastFireMs: chain.timeMs, status: 'ACTIVE', missed: 0 })
    expect(chain.fixture.view.account(stableCaller(owner))).toBeNull()
  })

  it('costs its entry gas at the trigger base fee and the tip, and nothing else', async () => {
    const { chain, id } = await withHeartbeat()
    const raw = await untilDue(chain)
    const before = { funding: chain.entry(id).fundingWei, list: chain.fixture.balance(CALLING_LIST), author: chain.fixture.balance(AUTHOR) }
    const { receipts } = await chain.block([raw])
    const [receipt] = receipts
    const costWei = (receipt?.gasUsed ?? 0n) * (receipt?.effectiveGasPriceWei ?? 0n) + TIP
    expect(before.funding - chain.entry(id).fundingWei).toBe(costWei)
    expect(before.list - chain.fixture.balance(CALLING_LIST)).toBe(costWei)
    expect(chain.fixture.balance(AUTHOR) - before.author).toBeGreaterThan(TIP)
    expect(listEvents(receipt)[0]?.args['costWei']).toBe(costWei)
    // 21000 + 5000 for judging a time, and the call itself.
    expect(receipt?.gasUsed).toBeGreaterThan(26_000n + 22_000n)
  })

  it('sent by an edge shares the tip between edge and package author', async () => {
    const { chain } = await withHeartbeat()
    const signed = await chain.signTrigger(EDGE, await untilDue(chain))
    const before = chain.fixture.balance(addressOf(EDGE))
    const { skipped } = await chain.block([signed])
    expect(skipped).toEqual([])
    expect(chain.fixture.balance(addressOf(EDGE)) - before).toBe(TIP / 2n)
  })

  it('fires once, whoever brings it how often', async () => {
    const { chain, id } = await withHeartbeat()
    const raw = await untilDue(chain)
    const signed = await Promise.all([EDGE, STRANGER].map((by) => chain.signTrigger(by, raw)))
    const { receipts, skipped } = await chain.block([raw, ...signed])
    expect(receipts.length).toBe(1)
    expect(skipped.map(({ code }) => code)).toEqual(['NOT_DUE', 'NOT_DUE'])
    const again = await chain.block([raw, ...signed])
    expect(again.receipts).toEqual([])
    expect(chain.entry(id).fires).toBe(1)
  })

  it('runs in time order before every user transaction of its block', async () => {
    const { chain, heartbeat } = await withHeartbeat()
    await chain.register(
      everyThree(heartbeat, {
        name: 'second',
        mode: { type: 'timing', when: { kind: 'height', at: 1, every: 1 }, missed: { mode: 'skip' } },
      }),
    )
    await untilDue(chain)
    for (let block = 0; block < 4; block++) {
      const due = await chain.due()
      const transfer = await chain.sign(STRANGER, { to: DEAD, value: 1n, gas: 30_000n })
      const { receipts } = await chain.block([transfer, ...due.toReversed()])
      expect(receipts.map(({ txType }) => txType)).toEqual([...due.map(() => 0x46), 2])
    }
  })
})

describe('a trigger transaction is skipped', () => {
  it.each<[string, Partial<TriggerTx>]>([
    ['CHAIN_ID', { chainId: 1 }],
    ['ENTRY_UNKNOWN', { entryId: `0x${'77'.repeat(32)}` }],
    ['REVISION', { revision: 0 }],
    ['REVISION', { revision: 2 }],
    ['ATTEMPT', { attempt: 1 }],
    ['OCCURRENCE', { occurrence: toWord(1_700_000_003_001n) }],
    ['EVIDENCE_UNEXPECTED', { evidence: Uint8Array.of(0) }],
    ['BENEFICIARY', { beneficiary: DEAD }],
    ['BENEFICIARY', { beneficiary: `0x${'00'.repeat(20)}` }],
  ])('with %s', async (code, change) => {
    const { chain, id } = await withHeartbeat()
    const raw = await untilDue(chain)
    const { receipts, skipped } = await chain.block([altered(raw, change)])
    expect(receipts).toEqual([])
    expect(skipped).toMatchObject([{ code }])
    expect(chain.entry(id).fires).toBe(0)
  })

  it('when its signature recovers to nobody', async () => {
    const { chain } = await withHeartbeat()
    const raw = await untilDue(chain)
    // x = 5 is on no point of secp256k1.
    const signature = { r: toWord(5n), s: toWord(1n), yParity: 0 } as const
    const { skipped } = await chain.block([altered(raw, { signature })])
    expect(skipped).toMatchObject([{ code: 'SIGNATURE_INVALID' }])
  })

  it('before its time, while paused, and after it was cancelled', async () => {
    const { chain, id } = await withHeartbeat()
    const raw = await untilDue(chain)
    await chain.settle(await chain.sign(OWNER, chain.call('pause', [id])))
    expect((await chain.block([raw])).skipped).toMatchObject([{ code: 'PAUSED' }])
    await chain.settle(await chain.sign(OWNER, chain.call('resume', [id])))
    await chain.settle(await chain.sign(OWNER, chain.call('cancel', [id])))
    expect((await chain.block([raw])).skipped).toMatchObject([{ code: 'CANCELLED' }])
    const fresh = await withHeartbeat({
      mode: { type: 'timing', when: { kind: 'interval', anchorMs: 1_700_000_000_000, everySec: 30 }, missed: { mode: 'skip' } },
    })
    const early = altered(raw, { entryId: fresh.id, occurrence: toWord(BigInt(fresh.chain.entry(fresh.id).dueAt)) })
    expect(await fresh.chain.due()).toEqual([])
    expect((await fresh.chain.block([early])).skipped).toMatchObject([{ code: 'NOT_DUE' }])
  })

  it('when the entry was registered or revised in the same block', async () => {
    const { chain, heartbeat, id } = await withHeartbeat()
    const raw = await untilDue(chain)
    const description = bytesToHex(encodeDescription(everyThree(heartbeat)))
    await chain.settle(await chain.sign(OWNER, { ...chain.call('revise', [id, description]), value: FSN }))
    expect((await chain.block([raw])).skipped).toMatchObject([{ code: 'REVISION' }])
    expect(chain.entry(id).revision).toBe(2)
  })

  it('when funding does not cover the whole fire, and nothing is taken', async () => {
    const { chain, id } = await withHeartbeat()
    const raw = await untilDue(chain)
    const { fundingWei } = chain.entry(id)
    await chain.settle(await chain.sign(OWNER, chain.call('withdraw', [id, fundingWei - 10n ** 12n])))
    expect((await chain.block([raw])).skipped).toMatchObject([{ code: 'FUNDS' }])
    expect(chain.entry(id)).toMatchObject({ fundingWei: 10n ** 12n, fires: 0 })
    expect(await chain.due()).toEqual([])
  })

  it('when the budget of the block has no room for it', async () => {
    const chain = new NativeChain()
    const burner = await chain.deploy([], BURNER, [])
    const heavy = everyThree(burner, { action: { ...everyThree(burner).action, gasLimit: HALF_BUDGET_GAS } })
    for (let index = 0; index < 3; index++) await chain.register({ ...heavy, name: `heavy ${index}` })
    await chain.block()
    await chain.block()
    const due = await chain.due()
    expect(due.length).toBe(2)
    const third = [0n, 1n, 2n].map((counter) => entryId(owner, counter)).find((id) => !due.some((raw) => raw.includes(id.slice(2))))
    const { occurrence } = decodeTriggerTx(hexToBytes(due[0] ?? '0x'))
    const { receipts, skipped } = await chain.block([...due, altered(due[0] ?? '0x', { entryId: third ?? '0x', occurrence })])
    expect(receipts.map(({ status, gasUsed }) => [status, gasUsed])).toEqual([0, 1].map(() => [0, BigInt(HALF_BUDGET_GAS + 26_000)]))
    expect(skipped).toMatchObject([{ code: 'TRIGGER_BUDGET' }])
  })
})

describe('a failing call', () => {
  const reverting = (to: Address, change: Partial<TriggerDescription> = {}): TriggerDescription =>
    everyThree(to, { action: { ...everyThree(to).action, valueWei: 10n ** 15n }, ...change })

  it('is repeated after a doubling backoff, then given up; value stays, gas and tip are paid', async () => {
    const chain = new NativeChain()
    const target = await chain.deploy([], REVERTER, [])
    const id = await chain.register(reverting(target, { onRevert: { retries: 1, backoffSec: 6, thenPause: true } }))
    const raw = await untilDue(chain)
    const { dueAt, fundingWei } = chain.entry(id)
    const first = await chain.block([raw])
    expect(first.receipts).toMatchObject([{ status: 0 }])
    const failedAtMs = chain.timeMs
    expect(listEvents(first.receipts[0])).toMatchObject([{ name: 'TriggerFired', args: { success: false, attempt: 0 } }])
    expect(chain.entry(id)).toMatchObject({ attempt: 1, dueAt, fires: 0, status: 'ACTIVE', backoffUntilMs: failedAtMs + 6000 })
    const [receipt] = first.receipts
    const costWei = (receipt?.gasUsed ?? 0n) * (receipt?.effectiveGasPriceWei ?? 0n) + TIP
    expect(fundingWei - chain.entry(id).fundingWei).toBe(costWei)
    expect(chain.fixture.balance(stableCaller(owner))).toBe(0n)
    expect((await chain.block([raw])).skipped).toMatchObject([{ code: 'ATTEMPT' }])
    expect((await chain.block([altered(raw, { attempt: 1 })])).skipped).toMatchObject([{ code: 'BACKOFF' }])
    const second = await untilDue(chain)
    expect(decodeTriggerTx(hexToBytes(second))).toMatchObject({ attempt: 1, occurrence: toWord(BigInt(dueAt)) })
    expect(chain.timeMs + SLOT_MS).toBeGreaterThanOrEqual(failedAtMs + 6000)
    await chain.block([second])
    expect(chain.entry(id)).toMatchObject({ attempt: 0, status: 'PAUSED', backoffUntilMs: 0 })
    expect(chain.entry(id).dueAt).toBeGreaterThan(dueAt)
  })

  it('that succeeds hands its value over', async () => {
    const chain = new NativeChain()
    await chain.register(reverting(DEAD))
    await chain.block([await untilDue(chain)])
    expect(chain.fixture.balance(DEAD)).toBe(10n ** 15n)
  })
})

describe('a call back into the calling list', () => {
  it('comes after the row was written: a contract cancels its own trigger inside the call and gets everything back', async () => {
    const chain = new NativeChain()
    const countdown = await chain.deploy(countdownAbi, countdownCreation, [2n])
    const description = everyThree(countdown, {
      action: { to: countdown, valueWei: 0n, selector: toFunctionSelector('step()'), types: [], args: [], gasLimit: 400_000 },
    })
    const data = encodeFunctionData({ abi: countdownAbi, functionName: 'begin', args: [bytesToHex(encodeDescription(description))] })
    await chain.settle(await chain.sign(OWNER, { to: countdown, data, value: FSN }))
    const id = entryId(countdown, 0n)
    await chain.block([await untilDue(chain)])
    expect(chain.entry(id)).toMatchObject({ status: 'ACTIVE', fires: 1 })
    const beforeWei = chain.entry(id).fundingWei
    const { receipts } = await chain.block([await untilDue(chain)])
    const [receipt] = receipts
    expect(receipt).toMatchObject({ status: 1, from: stableCaller(countdown) })
    expect(listEvents(receipt).map(({ name }) => name)).toEqual(['BalanceChanged', 'TriggerCancelled', 'BalanceChanged', 'TriggerFired'])
    expect(chain.entry(id)).toMatchObject({ status: 'CANCELLED', fundingWei: 0n, fires: 2 })
    const costWei = listEvents(receipt).at(-1)?.args['costWei'] as bigint
    const depositWei = BigInt(encodeDescription(description).length) * 10n ** 13n
    const balanceWei = chain.read(readAccount(countdown, suite)).balanceWei
    expect(chain.fixture.balance(countdown) + balanceWei).toBe(beforeWei + depositWei - costWei)
    expect(chain.fixture.balance(CALLING_LIST)).toBe(balanceWei)
    expect(await chain.due()).toEqual([])
  })
})

describe('a row made or changed by an earlier trigger of the block', () => {
  it('waits for the next block: nothing runs that was not there on the parent', async () => {
    const chain = new NativeChain()
    const caller = stableCaller(owner)
    const inner = everyThree(DEAD, {
      mode: {
        type: 'timing',
        when: { kind: 'interval', anchorMs: 1_700_000_000_000, everySec: 1 },
        missed: { mode: 'latest', graceSec: 60 },
      },
    })
    const id = entryId(caller, 0n)
    // The owner's stable caller may itself own rows: one trigger registers a row, a later one revises it.
    const at = (timeMs: number, signature: string, types: readonly string[], args: readonly Uint8Array[]) =>
      everyThree(CALLING_LIST, {
        name: signature,
        mode: { type: 'timing', when: { kind: 'at', timesMs: [timeMs] }, missed: { mode: 'latest', graceSec: 600 } },
        action: {
          to: CALLING_LIST,
          valueWei: FSN / 10n,
          selector: toFunctionSelector(signature),
          types,
          args: args.map((lit) => ({ lit })),
          gasLimit: 500_000,
        },
      })
    const renamed = encodeDescription({ ...inner, name: 'renamed' })
    await chain.register(at(START_MS + 20_000, 'register(bytes)', ['bytes'], [encodeDescription(inner)]))
    await chain.register(at(START_MS + 40_000, 'revise(bytes32,bytes)', ['bytes32', 'bytes'], [hexToBytes(id), renamed]))
    const registering = await untilDue(chain)
    expect((await chain.block([registering])).receipts).toMatchObject([{ status: 1, from: caller, to: CALLING_LIST }])
    expect(chain.entry(id)).toMatchObject({ owner: caller, revision: 1 })
    while (chain.timeMs + SLOT_MS < START_MS + 40_000) await chain.block()
    const [revising = '0x'] = (await chain.due()).filter((raw) => !raw.includes(id.slice(2)))
    const blockSec = Math.floor((chain.timeMs + SLOT_MS) / 1000)
    const eager = altered(revising, { entryId: id, revision: 2, occurrence: toWord(BigInt(blockSec * 1000)) })
    const { receipts, skipped } = await chain.block([eager, revising])
    expect(receipts).toMatchObject([{ status: 1, to: CALLING_LIST }])
    expect(chain.entry(id)).toMatchObject({ revision: 2, dueAt: blockSec * 1000, fires: 0 })
    expect(skipped).toMatchObject([{ code: 'NOT_ON_PARENT' }])
    expect((await chain.run()).receipts).toMatchObject([{ to: DEAD }])
  })
})

describe('missed occurrences', () => {
  it('under the policy `latest` are counted, and only the newest runs', async () => {
    const { chain, id } = await withHeartbeat()
    await untilDue(chain)
    for (let block = 0; block < 10; block++) await chain.block()
    const { dueAt } = chain.entry(id)
    const { receipts } = await chain.run()
    const newest = Math.floor((chain.timeMs - 1_700_000_000_000) / 3000) * 3000 + 1_700_000_000_000
    expect(listEvents(receipts[0])).toMatchObject([
      { name: 'TriggerMissed', args: { count: (newest - dueAt) / 3000, costWei: 0n } },
      { name: 'TriggerFired', args: { occurrence: toWord(BigInt(newest)) } },
    ])
    expect(chain.entry(id)).toMatchObject({ fires: 1, missed: (newest - dueAt) / 3000, dueAt: newest + 3000 })
  })

  it('under the policy `skip` all run in order while they are on time, and are dropped with a reason later', async () => {
    const { chain, id } = await withHeartbeat({
      mode: { type: 'timing', when: { kind: 'at', timesMs: [START_MS + 10_000, START_MS + 300_000] }, missed: { mode: 'skip' } },
    })
    for (let block = 0; block < 30; block++) await chain.block()
    const { receipts } = await chain.run()
    expect(listEvents(receipts[0])).toMatchObject([{ name: 'TriggerMissed', args: { count: 1 } }])
    expect(chain.entry(id)).toMatchObject({ missed: 1, fires: 0, dueAt: START_MS + 300_000 })
    const reason = listEvents(receipts[0])[0]?.args['reason'] as Hex
    expect(Buffer.from(reason.slice(2), 'hex').toString('utf8').replaceAll('\0', '')).toBe('MISSED_LATE')
  })
})
