/** "On time" is counted in blocks of the chain: sixteen after the first block at or past the time, however the occurrence is delayed. @module */
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { onEvent } from '#test/unit/native/event-trigger.ts'
import { NativeChain, SLOT_MS, START_MS, listEvents, owner } from '#test/unit/native/native-chain.ts'
import { describe, expect, it } from 'vitest'

const DUE_SLOT = 10

/** A single time that is the time of slot 10, under the policy that drops what is late; the head is the block before it. */
async function waiting(): Promise<NativeChain> {
  const chain = new NativeChain()
  const beat = await chain.deploy(heartbeatAbi, heartbeatCreation, [owner])
  const call = { to: beat, signature: 'beat(uint64)', types: ['uint64'], args: [{ ref: 'fire.scheduledAt' }] } as const
  await chain.register({
    ...onEvent('active', call),
    mode: { type: 'timing', when: { kind: 'interval', anchorMs: START_MS + DUE_SLOT * SLOT_MS, everySec: 3600 }, missed: { mode: 'skip' } },
  })
  while (chain.header.slot < DUE_SLOT - 2) await chain.block()
  expect(await chain.due()).toEqual([])
  await chain.block()
  return chain
}

async function namesAfter(blocksLeftOut: number, slotsBetween = 1): Promise<readonly string[]> {
  const chain = await waiting()
  for (let left = 0; left < blocksLeftOut; left++) await chain.block([], chain.header.slot + slotsBetween)
  const { receipts } = await chain.run(chain.header.slot + slotsBetween)
  return receipts.flatMap((receipt) => listEvents(receipt).map(({ name }) => name))
}

describe('a time whose policy drops what is late', () => {
  it('runs in the first block, and still sixteen blocks after it', async () => {
    expect(await namesAfter(0)).toEqual(['TriggerFired'])
    expect(await namesAfter(16)).toEqual(['TriggerFired'])
  })

  it('is dropped in the seventeenth, with an event that says so', async () => {
    expect(await namesAfter(17)).toEqual(['TriggerMissed'])
  })

  it('counts blocks and not slots: an outage of the chain makes nothing late', async () => {
    expect(await namesAfter(0, 2000)).toEqual(['TriggerFired'])
    expect(await namesAfter(16, 5)).toEqual(['TriggerFired'])
  })
})
