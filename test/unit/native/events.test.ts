/** Feeds, logs and activations end to end. @module */
import { logRelayAbi, logRelayCreation } from '#shared/api/abi/log-relay.ts'
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import { encodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { Condition } from '#shared/trigger/types.ts'
import type { Address, Hash } from '#shared/types.ts'
import { FEE, onEvent } from '#test/unit/native/event-trigger.ts'
import type { Call } from '#test/unit/native/event-trigger.ts'
import {
  AUTHOR,
  EDGE,
  NativeChain,
  OWNER,
  PRICE,
  PROVIDERS,
  addressOf,
  eventsOf,
  listEvents,
  owner,
} from '#test/unit/native/native-chain.ts'
import { encodeFunctionData, toEventSelector } from 'viem'
import type { Abi } from 'viem'
import { describe, expect, it } from 'vitest'

describe('a feed trigger', () => {
  async function withAlarm() {
    const chain = new NativeChain()
    await chain.registerSet()
    const alarm = await chain.deploy(priceAlarmAbi, priceAlarmCreation, [owner])
    const when: Condition = {
      kind: 'feed.compare',
      feed: PRICE,
      maxAgeSec: 60,
      op: 'lt',
      value: 1800n,
      rearm: 1815n,
      holdReports: 1,
      holdSec: 0,
    }
    const call: Call = {
      to: alarm,
      signature: 'ring(int256,uint64,bytes32)',
      types: ['int256', 'uint64', 'bytes32'],
      args: [{ ref: 'feed.value' }, { ref: 'feed.observedAt' }, { ref: 'report.digest' }],
    }
    await chain.block([await chain.priceTx(1900n)])
    const id = await chain.register(onEvent(when, call))
    // A round observed before the registration would not count.
    await chain.block([await chain.priceTx(1900n)])
    return { chain, id }
  }

  it('is the edge’s in the block after the crossing, the author’s in the one after that', async () => {
    const { chain, id } = await withAlarm()
    expect(await chain.natives.hasDue(chain.header, chain.header.slot + 1)).toBe(false)
    await chain.block([await chain.priceTx(1799n)])
    expect(await chain.natives.hasDue(chain.header, chain.header.slot + 1)).toBe(true)
    expect(await chain.due()).toEqual([])
    await chain.block()
    const { receipts } = await chain.run()
    expect(eventsOf(receipts[0]?.logs ?? [], priceAlarmAbi as Abi)).toMatchObject([{ name: 'Alarm', args: { number: 1n, price: 1799n } }])
    expect(chain.entry(id)).toMatchObject({ armed: false, edgeCount: 1, cursor: 3n, fires: 1 })
  })

  it('brought by an edge fires in the next block and pays the reporters of the round in equal parts', async () => {
    const { chain, id } = await withAlarm()
    await chain.block([await chain.priceTx(1799n)])
    const raw = bytesToHex(
      encodeTriggerTx({
        chainId: 81_920,
        entryId: id,
        revision: 1,
        occurrence: toWord(1n),
        attempt: 0,
        evidence: new Uint8Array(),
        beneficiary: AUTHOR,
        signature: null,
      }),
    )
    const before = PROVIDERS.map((by) => chain.fixture.balance(addressOf(by)))
    const { receipts, skipped } = await chain.block([await chain.signTrigger(EDGE, raw)])
    expect(skipped).toEqual([])
    expect(receipts).toMatchObject([{ status: 1 }])
    expect(listEvents(receipts[0])[0]?.args['digest']).not.toBe(toWord(0n))
    expect(PROVIDERS.map((by, index) => chain.fixture.balance(addressOf(by)) - (before[index] ?? 0n))).toEqual([
      FEE / 3n,
      FEE / 3n,
      FEE / 3n,
      0n,
    ])
  })

  it('re-arms by an occurrence of its own, then fires again', async () => {
    const { chain, id } = await withAlarm()
    for (const price of [1799n, 1801n, 1790n]) await chain.run(undefined, [await chain.priceTx(price)])
    await chain.run()
    expect(chain.entry(id)).toMatchObject({ fires: 1, armed: false })
    await chain.run(undefined, [await chain.priceTx(1815n)])
    const { receipts } = await chain.run()
    expect(listEvents(receipts[0]).map(({ name }) => name)).toEqual(['TriggerArmed'])
    expect(receipts[0]).toMatchObject({ status: 1, gasUsed: 36_000n })
    for (const price of [1700n, 1700n, 1700n]) await chain.run(undefined, [await chain.priceTx(price)])
    expect(chain.entry(id)).toMatchObject({ fires: 2, edgeCount: 2 })
  })

  it('does not see what was reported before it was registered', async () => {
    const { chain } = await withAlarm()
    await chain.block([await chain.priceTx(1700n)])
    await chain.block([await chain.priceTx(1900n)])
    const alarm = await chain.deploy(priceAlarmAbi, priceAlarmCreation, [owner])
    const when: Condition = {
      kind: 'feed.compare',
      feed: PRICE,
      maxAgeSec: 60,
      op: 'lt',
      value: 1800n,
      rearm: 1815n,
      holdReports: 1,
      holdSec: 0,
    }
    const id = await chain.register(onEvent(when, { to: alarm, signature: 'ring(int256,uint64,bytes32)', types: [], args: [] }))
    for (let block = 0; block < 3; block++) await chain.run()
    expect(chain.entry(id).fires).toBe(0)
  })
})

describe('a chain of contracts', () => {
  it('wakes link by link, one block each', async () => {
    const chain = new NativeChain()
    const links: Address[] = []
    for (let index = 0; index < 3; index++) links.push(await chain.deploy(logRelayAbi, logRelayCreation, [owner]))
    const [first = '0x', second = '0x', third = '0x'] = links
    const topic = toEventSelector('Relayed(bytes32,address,uint256)')
    const link = (from: Address, to: Address) =>
      onEvent(
        { kind: 'log', addresses: [from], topics: [[topic]] },
        {
          to,
          signature: 'relay(bytes32,address,bytes)',
          types: ['bytes32', 'address', 'bytes'],
          args: [{ ref: 'event.topic1' }, { ref: 'event.address' }, { ref: 'event.data' }],
        },
      )
    const ids = [await chain.register(link(first, second)), await chain.register(link(second, third))]
    const subject: Hash = `0x${'ab'.repeat(32)}`
    const data = encodeFunctionData({ abi: logRelayAbi, functionName: 'start', args: [subject] })
    await chain.settle(await chain.sign(OWNER, { to: first, data }))
    const start = chain.header.number
    const relayed = async () => {
      const { receipts } = await chain.run()
      return receipts.flatMap(({ logs }) => eventsOf(logs, logRelayAbi as Abi).map(({ args }) => [args['subject'], args['hops']]))
    }
    expect(await relayed()).toEqual([[subject, 1n]])
    expect(await relayed()).toEqual([[subject, 2n]])
    expect(await relayed()).toEqual([])
    expect(ids.map((id) => chain.entry(id).cursor >> 32n)).toEqual([BigInt(start), BigInt(start + 1)])
    expect(chain.entry(ids[0] ?? '0x').fires).toBe(1)
  })

  it('gets every log of a block in order, and those that came while it was paused', async () => {
    const chain = new NativeChain()
    const [first, second] = [
      await chain.deploy(logRelayAbi, logRelayCreation, [owner]),
      await chain.deploy(logRelayAbi, logRelayCreation, [owner]),
    ]
    const id = await chain.register(
      onEvent(
        { kind: 'log', addresses: [first], topics: [] },
        {
          to: second,
          signature: 'relay(bytes32,address,bytes)',
          types: ['bytes32', 'address', 'bytes'],
          args: [{ ref: 'event.topic1' }, { ref: 'event.address' }, { ref: 'event.data' }],
        },
      ),
    )
    const start = (index: bigint) =>
      chain.sign(OWNER, {
        to: first,
        data: encodeFunctionData({ abi: logRelayAbi, functionName: 'start', args: [toWord(index)] }),
        gas: 100_000n,
      })
    await chain.settle(await chain.sign(OWNER, chain.call('pause', [id])))
    await chain.settle(await start(1n), await start(2n), await start(3n))
    expect(await chain.due()).toEqual([])
    await chain.settle(await chain.sign(OWNER, chain.call('resume', [id])))
    const subjects: unknown[] = []
    for (let block = 0; block < 4; block++) {
      const { receipts } = await chain.run()
      for (const { logs } of receipts) subjects.push(...eventsOf(logs, logRelayAbi as Abi).map(({ args }) => args['subject']))
    }
    expect(subjects).toEqual([toWord(1n), toWord(2n), toWord(3n)])
  })
})

describe('an active trigger', () => {
  it('fires once for every activation', async () => {
    const chain = new NativeChain()
    const id = await chain.register(onEvent('active', { to: `0x${'77'.repeat(20)}`, signature: 'go()', types: [], args: [] }))
    expect(await chain.due()).toEqual([])
    await chain.settle(await chain.sign(OWNER, chain.call('activate', [id])), await chain.sign(OWNER, chain.call('activate', [id])))
    for (const fires of [1, 2, 2]) {
      await chain.run()
      expect(chain.entry(id).fires).toBe(fires)
    }
  })
})
