/** The example contracts: only their owner's triggers reach them, and each keeps its own promise. @module */
import { fromHex } from '#node/evm/hex.ts'
import { countdownAbi, countdownCreation } from '#shared/api/abi/countdown.ts'
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { logRelayAbi, logRelayCreation } from '#shared/api/abi/log-relay.ts'
import { paymentGateAbi, paymentGateCreation } from '#shared/api/abi/payment-gate.ts'
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import { rainInsuranceAbi, rainInsuranceCreation } from '#shared/api/abi/rain-insurance.ts'
import { testTokenAbi, testTokenCreation } from '#shared/api/abi/test-token.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { readFeed } from '#shared/oracle/feed-registry.ts'
import { feedId, sourceSetId } from '#shared/oracle/ids.ts'
import { storeMedian } from '#shared/oracle/round-storage.ts'
import { FEED_REGISTRY } from '#shared/system.ts'
import { encodeDescription } from '#shared/trigger/codec.ts'
import { stableCaller } from '#shared/trigger/ids.ts'
import type { Address, Hash } from '#shared/types.ts'
import { FSN, START_MS, contractAt, createWorld } from '#test/unit/contracts/world.ts'
import { suite } from '#test/unit/evm/support.ts'
import { DAILY } from '#test/unit/trigger/samples.ts'
import { describe, expect, it } from 'vitest'

const OWNER: Address = `0x${'a1'.repeat(20)}`
const STRANGER: Address = `0x${'a2'.repeat(20)}`
const INSURED: Address = `0x${'a3'.repeat(20)}`
const TRIGGER = stableCaller(OWNER)
const word = (byte: string): Hash => `0x${byte.repeat(32)}`

describe('every example', () => {
  it('refuses all callers but its owner’s stable caller', async () => {
    const world = createWorld([OWNER, STRANGER])
    const heartbeat = contractAt(
      world,
      heartbeatAbi,
      await world.deploy(OWNER, { abi: heartbeatAbi, bytecode: heartbeatCreation, args: [OWNER] }),
    )
    const alarm = contractAt(
      world,
      priceAlarmAbi,
      await world.deploy(OWNER, { abi: priceAlarmAbi, bytecode: priceAlarmCreation, args: [OWNER] }),
    )
    const relay = contractAt(world, logRelayAbi, await world.deploy(OWNER, { abi: logRelayAbi, bytecode: logRelayCreation, args: [OWNER] }))
    const gate = contractAt(
      world,
      paymentGateAbi,
      await world.deploy(OWNER, { abi: paymentGateAbi, bytecode: paymentGateCreation, args: [OWNER] }),
    )
    for (const [caller, answer] of [
      [OWNER, 'NotTrigger'],
      [STRANGER, 'NotTrigger'],
      [TRIGGER, 'SUCCESS'],
    ] as const) {
      expect(await heartbeat.refused(caller, 'beat', [1n])).toBe(answer)
      expect(await alarm.refused(caller, 'ring', [1n, 2n, word('01')])).toBe(answer)
      expect(await relay.refused(caller, 'relay', [word('01'), OWNER, word('00')])).toBe(answer)
      expect(await gate.refused(caller, 'paid', [OWNER, 1n, word('01')])).toBe(answer)
    }
    expect(await heartbeat.call('beats', [])).toBe(1n)
    expect(await alarm.call('lastPrice', [])).toBe(1n)
    expect(await relay.refused(TRIGGER, 'relay', [word('01'), OWNER, '0x00'])).toBe('MalformedLog')
  })
})

describe('the rain insurance', () => {
  it('pays each report once, until its cover is used', async () => {
    const world = createWorld([OWNER])
    const address = await world.deploy(
      OWNER,
      { abi: rainInsuranceAbi, bytecode: rainInsuranceCreation, args: [OWNER, INSURED, FSN] },
      2n * FSN,
    )
    const insurance = contractAt(world, rainInsuranceAbi, address)
    expect(await insurance.refused(OWNER, 'rained', [20n, word('01')])).toBe('NotTrigger')
    expect(await insurance.refused(TRIGGER, 'rained', [20n, word('01')])).toBe('SUCCESS')
    expect(await insurance.refused(TRIGGER, 'rained', [20n, word('01')])).toBe('AlreadySettled')
    expect(await insurance.refused(TRIGGER, 'rained', [21n, word('02')])).toBe('SUCCESS')
    expect(await insurance.refused(TRIGGER, 'rained', [22n, word('03')])).toBe('CoverExhausted')
    expect(world.state.balance(INSURED)).toBe(2n * FSN)
    await world.send(OWNER, address, '0x', FSN)
    expect(await insurance.refused(TRIGGER, 'rained', [22n, word('03')])).toBe('SUCCESS')
    expect(await insurance.call('payouts', [])).toBe(3n)
  })
})

describe('the price alarm', () => {
  it('reads a feed itself, and refuses a price that is missing, stale or not stood behind', async () => {
    const shards = [[{ name: 'price', decimals: 2, deviationPpm: 0, heartbeatSec: 60 }]]
    const world = createWorld(
      [OWNER],
      [{ name: 'demo', kind: 'provider', owner: OWNER, members: [STRANGER], roundMs: 1500, fundingWei: 0n, shards }],
    )
    const feed = feedId(sourceSetId(OWNER, 'demo', suite), 'price', suite)
    const alarm = contractAt(
      world,
      priceAlarmAbi,
      await world.deploy(OWNER, { abi: priceAlarmAbi, bytecode: priceAlarmCreation, args: [OWNER] }),
    )
    const store = (value: bigint, observedAtMs: number, status: 'OK' | 'WIDE', round: number): void => {
      const known = world.read(readFeed(feed, suite))
      if (known === null) throw new Error('no feed')
      const median = { feed, value, spread: 0n, status, observedAtMs, reporters: [STRANGER] }
      for (const write of world.read(storeMedian(known, median, round, [STRANGER], suite)).writes)
        world.state.setSlot(FEED_REGISTRY, write.slot, fromHex(write.value))
    }
    const refusal = () => alarm.refused(STRANGER, 'priceOf' as never, [feed, 5000n] as never)
    expect(await refusal()).toBe('NoFreshPrice')
    store(-1234n, START_MS - 5000, 'OK', 1)
    expect(await alarm.call('priceOf', [feed, 5000n])).toBe(-1234n)
    world.nextBlock()
    expect(await refusal()).toBe('NoFreshPrice')
    store(-1234n, START_MS, 'WIDE', 2)
    expect(await refusal()).toBe('NoFreshPrice')
    store(99n, START_MS, 'OK', 3)
    expect(await alarm.call('priceOf', [feed, 5000n])).toBe(99n)
  })
})

describe('the payment gate', () => {
  it('counts a payment once and opens for its payer', async () => {
    const world = createWorld([OWNER])
    const gate = contractAt(
      world,
      paymentGateAbi,
      await world.deploy(OWNER, { abi: paymentGateAbi, bytecode: paymentGateCreation, args: [OWNER] }),
    )
    expect(await gate.call('isOpenFor', [STRANGER])).toBe(false)
    expect(await gate.refused(TRIGGER, 'paid', [STRANGER, 5n, word('01')])).toBe('SUCCESS')
    expect(await gate.refused(TRIGGER, 'paid', [STRANGER, 5n, word('01')])).toBe('PaymentSeen')
    expect(await gate.refused(TRIGGER, 'paid', [STRANGER, 6n, word('02')])).toBe('SUCCESS')
    expect(await gate.call('paidWei', [STRANGER])).toBe(11n)
    expect(await gate.call('isOpenFor', [STRANGER])).toBe(true)
  })
})

describe('the countdown', () => {
  it('begins once', async () => {
    const world = createWorld([OWNER])
    const countdown = contractAt(
      world,
      countdownAbi,
      await world.deploy(OWNER, { abi: countdownAbi, bytecode: countdownCreation, args: [2n] }),
    )
    const description = bytesToHex(encodeDescription(DAILY))
    expect(await countdown.refused(STRANGER, 'step', [])).toBe('NotTrigger')
    expect(await countdown.refused(OWNER, 'begin', [description], FSN)).toBe('SUCCESS')
    expect(await countdown.refused(OWNER, 'begin', [description], FSN)).toBe('AlreadyStarted')
  })
})

describe('the test token', () => {
  it('moves what its owner has and what it was allowed, no more', async () => {
    const world = createWorld([OWNER, STRANGER])
    const token = contractAt(world, testTokenAbi, await world.deploy(OWNER, { abi: testTokenAbi, bytecode: testTokenCreation, args: [] }))
    await token.send(OWNER, 'mint', [OWNER, 10n])
    expect(await token.refused(OWNER, 'transfer', [STRANGER, 11n])).toBe('InsufficientBalance')
    expect(await token.refused(OWNER, 'transfer', [STRANGER, 4n])).toBe('SUCCESS')
    expect(await token.refused(STRANGER, 'transferFrom', [OWNER, STRANGER, 1n])).toBe('InsufficientAllowance')
    await token.send(OWNER, 'approve', [STRANGER, 3n])
    expect(await token.refused(STRANGER, 'transferFrom', [OWNER, STRANGER, 3n])).toBe('SUCCESS')
    expect(await token.call('allowance', [OWNER, STRANGER])).toBe(0n)
    await token.send(OWNER, 'approve', [STRANGER, 2n ** 256n - 1n])
    await token.send(STRANGER, 'transferFrom', [OWNER, STRANGER, 1n])
    expect(await token.call('allowance', [OWNER, STRANGER])).toBe(2n ** 256n - 1n)
    expect([
      await token.call('balanceOf', [OWNER]),
      await token.call('balanceOf', [STRANGER]),
      await token.call('totalSupply', []),
    ]).toEqual([2n, 8n, 10n])
  })
})
