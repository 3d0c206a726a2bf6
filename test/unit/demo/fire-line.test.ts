/** The line a newcomer reads for every firing. @module */
import { encodeAbiParameters, encodeEventTopics, parseAbi } from 'viem'
import { describe, expect, it } from 'vitest'
import { describeEvent, fireLine } from '#node/demo/fire-line.ts'
import { demoTriggers } from '#node/demo/triggers.ts'
import type { Fire } from '#shared/api/http-trigger.ts'
import { triggerFromJson } from '#shared/api/trigger.ts'

const hash = `0x${'ab'.repeat(32)}` as const
const fire: Fire = {
  fireKey: hash,
  entryId: hash,
  occurrence: hash,
  success: true,
  gasUsed: '1',
  txHash: hash,
  blockNumber: 12,
  blockHash: hash,
  blockTimeMs: 9_000,
  seenAtMs: 10_500,
  finalAtMs: 13_000,
  cause: { bundleSequence: 7, batchAtMs: 5_000, bundleAtMs: 5_040, includedBlock: 11, includedAtMs: 9_000 },
}

describe('line of a firing', () => {
  it('tells every hop and its delay', () => {
    expect(fireLine('rain', fire, 'Paid(rain=43)')).toBe(
      '  rain           batch → bundle 7 +40 ms → in block 11 +4.0 s → fired in block 12 +1.5 s → Paid(rain=43) → final +2.5 s',
    )
  })

  it('leaves out what the edge did not see, and says when the call reverted', () => {
    expect(fireLine('beat', { ...fire, cause: null }, '')).toBe('  beat           fired in block 12 → final +2.5 s')
    const unseen = {
      ...fire,
      success: false,
      cause: { bundleSequence: 7, batchAtMs: 5_000, bundleAtMs: 5_040, includedBlock: null, includedAtMs: null },
    }
    expect(fireLine('beat', unseen, '')).toBe('  beat           batch → bundle 7 +40 ms → REVERTED in block 12 → final +2.5 s')
  })

  it('names the first event of the contract, with amounts in FSN, and passes over others', () => {
    const abi = parseAbi(['event Paid(address indexed insured, uint256 amountWei)'])
    const address = `0x${'11'.repeat(20)}` as const
    const topics = encodeEventTopics({ abi, eventName: 'Paid', args: { insured: `0x${'22'.repeat(20)}` } }) as [`0x${string}`]
    const data = encodeAbiParameters([{ type: 'uint256' }], [2n * 10n ** 18n])
    const paid = { address, topics, data }
    const foreign = { address: `0x${'33'.repeat(20)}` as const, topics, data }
    const unknown = { address, topics: [hash] as [`0x${string}`], data: '0x' as const }
    expect(describeEvent([foreign, unknown, paid], address, abi)).toBe('Paid(insured=0x22222222…, amountWei=2 FSN)')
    expect(describeEvent([foreign, unknown], address, abi)).toBe('')
  })
})

describe("the demo's triggers", () => {
  it('are valid descriptions of four kinds', () => {
    const address = `0x${'44'.repeat(20)}` as const
    const contracts = { heartbeat: address, rainInsurance: address, priceAlarm: address, paymentGate: address }
    const triggers = demoTriggers(contracts, true, 1_700_000_000_000)
    const parsed = triggers.map(({ trigger }) => triggerFromJson(trigger, () => ({ id: hash, decimals: 2 })))
    expect(parsed.map((one) => (one.ok ? one.description.mode.type : one.issues))).toEqual(['timing', 'event', 'event', 'event'])
    expect(demoTriggers(contracts, false, 0).map(({ contract }) => contract)).not.toContain('paymentGate')
  })
})
