/** What package authors owe, what leaving it out costs, and what pool and JSON-RPC say about it. @module */
import { decodeNativeTransaction } from '#node/pool/native-transaction.ts'
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import { zExplainRead, zFeedHistoryRead, zFeedRead, zSourceSets } from '#shared/api/chain-reads.ts'
import { entryFromJson, entryToJson } from '#shared/api/entry.ts'
import { readKeyToJson, readValueFromJson } from '#shared/api/reads.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import { laneOf } from '#shared/hhcm/lanes.ts'
import { CALLING_LIST, FEED_REGISTRY } from '#shared/system.ts'
import { decodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { TriggerDescription } from '#shared/trigger/types.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { onEvent } from '#test/unit/native/event-trigger.ts'
import {
  EDGE,
  FSN,
  HALF_BUDGET_GAS,
  NativeChain,
  OWNER,
  PRICE,
  RAIN,
  SET,
  SET_SPEC,
  owner,
  validators,
} from '#test/unit/native/native-chain.ts'
import { suite } from '#test/unit/evm/support.ts'
import { describe, expect, it } from 'vitest'

const atHeight = (to: Address, at: number, change: Partial<TriggerDescription> = {}): TriggerDescription => ({
  ...onEvent('active', { to, signature: 'beat(uint64)', types: ['uint64'], args: [{ ref: 'fire.scheduledAt' }] }),
  mode: { type: 'timing', when: { kind: 'height', at, every: 0 }, missed: { mode: 'skip' } },
  ...change,
})
const AUTHORS = validators.map(({ address }) => address)

/** Two lanes, one row that is due now. */
async function owed(change: Partial<TriggerDescription> = {}) {
  const chain = new NativeChain(2)
  const beat = await chain.deploy(heartbeatAbi, heartbeatCreation, [owner])
  const id = await chain.register(atHeight(beat, 3, change))
  const lane = laneOf(chain.header.randomness, { kind: 'entry', id }, 2)
  return { chain, beat, id, lane, other: 1 - lane }
}

describe('the author of a lane', () => {
  it('finds what is due in its own lane and nothing of the other', async () => {
    const { chain, id, lane, other } = await owed()
    const [raw] = await chain.due(undefined, lane)
    expect(decodeTriggerTx(hexToBytes(raw ?? '0x'))).toMatchObject({
      entryId: id,
      occurrence: toWord(3n),
      signature: null,
      beneficiary: AUTHORS[0],
    })
    expect(await chain.due(undefined, other)).toEqual([])
    expect(await new NativeChain(2, null).natives.dueTriggers(chain.header, lane, 9)).toEqual([])
  })

  it('loses its package reward for a due trigger it leaves out, and only then', async () => {
    const rewards = async (withTrigger: boolean) => {
      const { chain, lane } = await owed()
      const due = withTrigger ? await chain.due(undefined, lane) : []
      // The package of a lane is made by the validator with the lane's number; nobody else's reward may change.
      const before = AUTHORS.map((address) => chain.fixture.balance(address))
      const lanes: Hex[][] = [[], []]
      lanes[lane] = await Promise.all(due.map((raw) => chain.signTrigger(EDGE, raw)))
      await chain.fixture.advance(lanes)
      return { lane, gains: AUTHORS.map((address, index) => chain.fixture.balance(address) - (before[index] ?? 0n)) }
    }
    const honest = await rewards(true)
    const lazy = await rewards(false)
    expect(lazy.lane).toBe(honest.lane)
    const lost = honest.gains.map((gain, index) => gain - (lazy.gains[index] ?? 0n))
    expect(lost[honest.lane]).toBeGreaterThan(0n)
    expect(lost.filter((_, index) => index !== honest.lane)).toEqual([0n, 0n, 0n])
  })

  it.each<[string, Partial<TriggerDescription>]>([
    ['is too dear for its owner', { limits: { ...atHeight('0x', 3).limits, maxFeePerGasWei: 1n } }],
    ['comes later', { mode: { type: 'timing', when: { kind: 'height', at: 100, every: 0 }, missed: { mode: 'skip' } } }],
  ])('owes nothing that %s', async (_, change) => {
    const { chain } = await owed(change)
    expect(await omitted(chain, [[], []])).toEqual([])
  })

  it('owes nothing without funding, in an absent package, or when it was brought signed', async () => {
    const { chain, id, lane } = await owed()
    expect(await omitted(chain, [[], []])).toEqual([lane])
    const absent: (Hex[] | null)[] = [[], []]
    absent[lane] = null
    expect(await omitted(chain, absent)).toEqual([])
    const [raw = '0x'] = await chain.due(undefined, lane)
    const brought: Hex[][] = [[], []]
    brought[lane] = [await chain.signTrigger(EDGE, raw)]
    expect(await omitted(chain, brought)).toEqual([])
    brought[lane] = ['0x46c0', '0x02']
    expect(await omitted(chain, brought)).toEqual([lane])
    await chain.settle(await chain.sign(OWNER, chain.call('withdraw', [id, chain.entry(id).fundingWei])))
    expect(await omitted(chain, [[], []])).toEqual([])
  })

  it('owes a feed trigger only when the block after its report has passed, which belongs to the edges', async () => {
    const chain = new NativeChain(2)
    await chain.registerSet()
    const alarm = await chain.deploy(priceAlarmAbi, priceAlarmCreation, [owner])
    const when = {
      kind: 'feed.compare',
      feed: PRICE,
      maxAgeSec: 60,
      op: 'lt',
      value: 1800n,
      rearm: 1815n,
      holdReports: 1,
      holdSec: 0,
    } as const
    const call = { to: alarm, signature: 'ring(int256,uint64,bytes32)', types: ['int256', 'uint64', 'bytes32'] } as const
    const args = [{ ref: 'feed.value' }, { ref: 'feed.observedAt' }, { ref: 'report.digest' }] as const
    const id = await chain.register(onEvent(when, { ...call, args }))
    await chain.block([await chain.priceTx(1900n)])
    await chain.block([await chain.priceTx(1799n)])
    expect(await omitted(chain, [[], []])).toEqual([])
    await chain.block()
    expect(await omitted(chain, [[], []])).toEqual([laneOf(chain.header.randomness, { kind: 'entry', id }, 2)])
  })

  it('owes no more than the budget holds', async () => {
    const chain = new NativeChain(2)
    const beat = await chain.deploy(heartbeatAbi, heartbeatCreation, [owner])
    const heavy = (index: number) =>
      atHeight(beat, 5, { name: `heavy ${index}`, action: { ...atHeight(beat, 5).action, gasLimit: HALF_BUDGET_GAS } })
    for (let index = 0; index < 3; index++) await chain.register(heavy(index))
    const all = [...(await chain.due(undefined, 0)), ...(await chain.due(undefined, 1))]
    expect(all.length).toBe(3)
    // Two of them fill the budget: whoever left out the third is free.
    expect(await omitted(chain, [all.slice(0, 2), []])).toEqual([])
    expect((await omitted(chain, [all.slice(0, 1), []])).length).toBeGreaterThan(0)
  })
})

async function omitted(chain: NativeChain, lanes: readonly (readonly Hex[] | null)[]): Promise<readonly number[]> {
  const input = chain.fixture.input(lanes)
  const parent = chain.parentView()
  const found = await chain.natives.executors.omittedLanes(input, {
    parent,
    number: chain.header.number + 1,
    slot: input.slot,
    timeMs: chain.timeMs + 1500,
    baseFeeWei: 10n ** 9n,
    triggerBaseFeeWei: 10n ** 9n,
    author: input.author,
  })
  return [...found]
}

describe('a head', () => {
  const refusal = async (chain: NativeChain, raw: Hex): Promise<string | null> =>
    (await chain.natives.validate(decodeNativeTransaction(hexToBytes(raw), chain.genesisHash, suite), chain.header))?.code ?? null

  it('tells the pool which triggers would run in the next block', async () => {
    const { chain, id, lane } = await owed()
    const [raw = '0x'] = await chain.due(undefined, lane)
    const signed = await chain.signTrigger(EDGE, raw)
    expect(await refusal(chain, signed)).toBeNull()
    expect(await refusal(chain, await chain.signTrigger(EDGE, raw, { attempt: 1 }))).toBe('ATTEMPT')
    expect(await refusal(chain, await chain.signTrigger(EDGE, raw, { occurrence: toWord(4n) }))).toBe('OCCURRENCE')
    expect(await refusal(chain, await chain.signTrigger(EDGE, raw, { entryId: toWord(4n) }))).toBe('ENTRY_UNKNOWN')
    await chain.settle(await chain.sign(OWNER, chain.call('pause', [id])))
    expect(await refusal(chain, signed)).toBe('PAUSED')
  })

  it('tells the pool which attestations would', async () => {
    const chain = new NativeChain()
    await chain.registerSet()
    const tx = await chain.priceTx(5n)
    expect(await refusal(chain, tx)).toBeNull()
    await chain.block([tx])
    expect(await refusal(chain, tx)).toBe('ROUND_NOT_RISING')
    const poor = new NativeChain()
    await poor.registerSet({ ...SET_SPEC, fundingWei: 1n })
    expect(await refusal(poor, await poor.priceTx(5n))).toBe('FUNDS')
    const none = new NativeChain()
    expect(await refusal(none, await none.priceTx(5n))).toBe('SOURCE_SET')
  })

  it('explains why an entry fires or does not', async () => {
    const { chain, id } = await owed()
    const explain = async () => zExplainRead.parse(await chain.natives.reads.explain(id))
    expect(await explain()).toMatchObject({ outcome: 'due', reason: 'DUE', blockHash: chain.fixture.head.hash, retryAtMs: 0 })
    await chain.settle(await chain.sign(OWNER, chain.call('withdraw', [id, chain.entry(id).fundingWei])))
    const poor = await explain()
    expect(poor).toMatchObject({ outcome: 'notDue', reason: 'FUNDS', detail: expect.stringContaining('Top it up') })
    expect(entryFromJson(poor?.entry)).toEqual(chain.entry(id))
    expect(await chain.natives.reads.explain(toWord(9n))).toBeNull()
    const later = await chain.register(atHeight('0x1234567890123456789012345678901234567890', 50))
    expect(await chain.natives.reads.explain(later)).toMatchObject({
      outcome: 'notDue',
      reason: 'NOT_DUE',
      retryAtMs: 1_700_000_000_500 + chain.header.slot * 1500 + 1500 + (49 - chain.header.number) * 1500,
    })
  })

  it('serves calling list, sets and feeds as JSON', async () => {
    const { chain, id } = await owed()
    const { reads } = chain.natives
    await chain.registerSet()
    const second = await chain.register(atHeight('0x1234567890123456789012345678901234567890', 50))
    await chain.block([await chain.priceTx(123n)])
    const { header } = chain
    expect(reads.callingList({ after: 1, limit: 5 }, header)).toEqual({ total: 2, items: [entryToJson(chain.entry(second))] })
    expect(reads.entry(id, header)).toEqual(entryToJson(chain.entry(id)))
    expect(reads.entry(toWord(1n), header)).toBeNull()
    expect(zSourceSets.parse(reads.sourceSets(header))).toMatchObject([{ id: SET, name: 'demo', kind: 'provider', owner, roundMs: 1500 }])
    expect(
      zSourceSets
        .parse(reads.sourceSets(header))[0]
        ?.shards[0]?.map(({ name }) => name)
        .toSorted(),
    ).toEqual(['price', 'rain'])
    const feed = zFeedRead.parse(reads.feed(PRICE, header))
    expect(feed).toMatchObject({ name: 'price', decimals: 2, shard: 0, sourceSet: SET, latest: { value: '123', sequence: '1' } })
    expect(zFeedRead.parse(reads.feed(RAIN, header))?.latest).toBeNull()
    expect(reads.feed(SET, header)).toBeNull()
    expect(zFeedHistoryRead.parse(reads.feedHistory(PRICE, { after: 0n, limit: 9 }, header))).toEqual([feed?.latest])
    expect(reads.feedHistory(PRICE, { after: 1n, limit: 9 }, header)).toEqual([])
    const answer = readValueFromJson(await reads.read(readKeyToJson({ kind: 'feedHistory', feed: PRICE, after: 0n }), header))
    expect(answer).toMatchObject({ kind: 'feedHistory', oldest: 1n, reports: [{ value: 123n }] })
    const logs = readValueFromJson(
      await reads.read(readKeyToJson({ kind: 'logs', afterPosition: 0n, addresses: [FEED_REGISTRY], topics: [] }), header),
    )
    expect(logs).toMatchObject({ kind: 'logs', oldestHeight: 0 })
    expect(logs.kind === 'logs' && logs.logs.length).toBeGreaterThan(3)
    await expect(reads.read({ kind: 'nonsense' }, header)).rejects.toThrow('READ_INVALID')
  })
})

describe('funding', () => {
  it('is part of the supply: the calling list holds exactly what rows, deposits and balances add up to', async () => {
    const { chain, id, lane } = await owed()
    await chain.settle(await chain.sign(OWNER, { ...chain.call('deposit', []), value: FSN }))
    await chain.block(await chain.due(undefined, lane))
    const { fundingWei } = chain.entry(id)
    const row = BigInt(chain.fixture.view.storage(CALLING_LIST, rowWord(id, 2)))
    const depositWei = (row >> 128n) & ((1n << 80n) - 1n)
    expect(chain.fixture.balance(CALLING_LIST)).toBe(fundingWei + depositWei + FSN)
  })
})

/** Slot of a word of a row, by hand: keccak256(id ‖ 2) + word. */
function rowWord(id: Hash, word: number): Hash {
  const base = suite.keccak256(hexToBytes(`${id}${'2'.padStart(64, '0')}` as Hex))
  return toWord(BigInt(`0x${Buffer.from(base).toString('hex')}`) + BigInt(word))
}
