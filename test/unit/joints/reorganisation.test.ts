/** Reports that arrive while the chain reorganises: what an abandoned fork attested or fired counts for nothing on the other one. @module */
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import { readHistory, readLatestReport, readSourceSet } from '#shared/oracle/feed-registry.ts'
import { encodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { Hash, Hex } from '#shared/types.ts'
import { suite } from '#test/unit/evm/support.ts'
import { onEvent } from '#test/unit/native/event-trigger.ts'
import { AUTHOR, EDGE, NativeChain, PRICE, SET, eventsOf, owner } from '#test/unit/native/native-chain.ts'
import * as oracle from '#test/unit/oracle/fixture.ts'
import { createTestPool } from '#test/unit/pool/fake-chain.ts'
import { attestation, ownTrigger, trigger } from '#test/unit/pool/native.ts'
import type { Abi } from 'viem'
import { describe, expect, it } from 'vitest'

type Armed = Readonly<{ chain: NativeChain; id: Hash; fork: NativeChain['fixture']['head'] }>

/** A contract that is called when the price is below 1800, and the block at which two forks begin. */
async function armed(): Promise<Armed> {
  const chain = new NativeChain()
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
  const call = {
    to: alarm,
    signature: 'ring(int256,uint64,bytes32)',
    types: ['int256', 'uint64', 'bytes32'],
    args: [{ ref: 'feed.value' }, { ref: 'feed.observedAt' }, { ref: 'report.digest' }],
  } as const
  const id = await chain.register(onEvent(when, call))
  await chain.block([await chain.priceTx(1900n)])
  return { chain, id, fork: chain.fixture.head }
}

/** The first fire of the entry, as an edge sends it. */
const fireOf = (chain: NativeChain, id: Hash): Promise<Hex> =>
  chain.signTrigger(
    EDGE,
    bytesToHex(
      encodeTriggerTx({
        chainId: chain.fixture.params.chainId,
        entryId: id,
        revision: 1,
        occurrence: toWord(1n),
        attempt: 0,
        evidence: new Uint8Array(),
        beneficiary: AUTHOR,
        signature: null,
      }),
    ),
  )

const pricesOf = (chain: NativeChain): bigint[] => chain.read(readHistory(PRICE, 0n, 9, suite)).reports.map(({ value }) => value)

describe('a report on a fork that is abandoned', () => {
  it('is stored again by the same transaction on the other fork, once, and paid once there', async () => {
    const { chain, fork } = await armed()
    const funded = chain.read(readSourceSet(SET, suite))?.fundingWei ?? 0n
    const report = await chain.priceTx(1799n)
    expect((await chain.block([report])).receipts).toHaveLength(1)
    const abandoned = {
      number: chain.header.number,
      root: chain.header.stateRoot,
      fundingWei: chain.read(readSourceSet(SET, suite))?.fundingWei,
    }
    chain.fixture.head = fork
    expect(pricesOf(chain)).toEqual([1900n])
    expect(chain.read(readSourceSet(SET, suite))?.fundingWei).toBe(funded)
    expect((await chain.block([report])).receipts).toHaveLength(1)
    expect(pricesOf(chain)).toEqual([1900n, 1799n])
    expect({
      number: chain.header.number,
      root: chain.header.stateRoot,
      fundingWei: chain.read(readSourceSet(SET, suite))?.fundingWei,
    }).toEqual(abandoned)
    expect((await chain.block([report])).skipped).toMatchObject([{ code: 'ROUND_NOT_RISING' }])
  })

  it('gives way to another report of the same round, whose value and digest the other fork has', async () => {
    const { chain, fork } = await armed()
    const [first, second] = [await chain.priceTx(1799n), await chain.priceTx(1850n)]
    await chain.block([first])
    const before = chain.read(readLatestReport(PRICE, suite))
    chain.fixture.head = fork
    await chain.block([second])
    const after = chain.read(readLatestReport(PRICE, suite))
    expect([before?.value, after?.value]).toEqual([1799n, 1850n])
    expect(after).toMatchObject({ sequence: before?.sequence, firstRound: before?.firstRound })
    expect((await chain.block([first])).skipped).toMatchObject([{ code: 'ROUND_NOT_RISING' }])
    expect(pricesOf(chain)).toEqual([1900n, 1850n])
  })

  it('arriving after a later round of the other fork is too late for ever', async () => {
    const { chain, fork } = await armed()
    const early = await chain.priceTx(1799n)
    await chain.block([early])
    chain.fixture.head = fork
    await chain.block()
    await chain.block([await chain.priceTx(1900n)])
    expect((await chain.block([early])).skipped).toMatchObject([{ code: 'ROUND_NOT_RISING' }])
    expect(chain.read(readLatestReport(PRICE, suite))).toMatchObject({ value: 1900n, lastRound: chain.roundAt(chain.header.slot - 1) })
  })
})

describe('a trigger fired by a report of a fork that is abandoned', () => {
  it('is refused on the other fork until the report is there, then called once there too', async () => {
    const { chain, id, fork } = await armed()
    const report = await chain.priceTx(1799n)
    await chain.block([report])
    const fire = await fireOf(chain, id)
    expect((await chain.block([fire])).receipts).toMatchObject([{ txType: 0x46, status: 1 }])
    expect(chain.entry(id)).toMatchObject({ fires: 1, armed: false })

    chain.fixture.head = fork
    expect(chain.entry(id)).toMatchObject({ fires: 0, armed: true })
    const early = await chain.block([fire])
    expect([early.receipts, early.skipped.map(({ code }) => code)]).toEqual([[], ['CONDITION_FALSE']])
    // The report, and in the same block the trigger that is still one block too early.
    const together = await chain.block([fire, report])
    expect(together.receipts.map(({ txType }) => txType)).toEqual([0x47])
    const { receipts } = await chain.block([fire])
    expect(eventsOf(receipts[0]?.logs ?? [], priceAlarmAbi as Abi)).toMatchObject([{ name: 'Alarm', args: { number: 1n, price: 1799n } }])
    expect((await chain.block([fire])).receipts).toEqual([])
    expect(chain.entry(id)).toMatchObject({ fires: 1, armed: false })
  })

  it('never fires on a fork whose report of that round does not cross', async () => {
    const { chain, id, fork } = await armed()
    await chain.block([await chain.priceTx(1799n)])
    const fire = await fireOf(chain, id)
    await chain.block([fire])
    chain.fixture.head = fork
    await chain.block([await chain.priceTx(1850n)])
    expect((await chain.block([fire])).receipts).toEqual([])
    for (let block = 0; block < 3; block++) await chain.run()
    expect(chain.entry(id).fires).toBe(0)
  })
})

describe('the pool in a reorganisation', () => {
  it('takes back what the abandoned blocks held and others sent, and not what their authors inserted', async () => {
    const { pool, chain, advance, setAccount } = createTestPool()
    for (const account of oracle.accounts) setAccount(oracle.addressOf(account), { balanceWei: 10n ** 19n })
    const [report, fire, own] = [await attestation(7, 3), await trigger(0), ownTrigger(AUTHOR)]
    expect(await pool.add(report, 'gossip')).toHaveProperty('hash')
    const abandoned = advance([own, fire, report])
    await pool.settled()
    expect(pool.size()).toBe(0)
    advance([], [abandoned.hash])
    await pool.settled()
    expect(pool.select(chain.head(), 0, 1).map(bytesToHex)).toEqual([fire, report].map(bytesToHex))
  })

  it('does not take back what the other fork holds as well', async () => {
    const { pool, advance, setAccount } = createTestPool()
    for (const account of oracle.accounts) setAccount(oracle.addressOf(account), { balanceWei: 10n ** 19n })
    const report = await attestation(7, 3)
    const abandoned = advance([report])
    advance([report], [abandoned.hash])
    await pool.settled()
    expect(pool.size()).toBe(0)
  })
})
