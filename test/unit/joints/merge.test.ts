/** Packages that are valid on the parent and contradict each other in the merge: skipped at their turn, never a broken block. @module */
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { laneOrder } from '#shared/hhcm/lanes.ts'
import { SUPPLY_WEI } from '#shared/params.ts'
import { FEE_COLLECTOR, FOUNDATION, NODE_RESERVE, STAKING, TEAM_VESTING } from '#shared/system.ts'
import type { Address, Hex } from '#shared/types.ts'
import { ChainFixture, FSN, accounts, addressOf, validators } from '#test/unit/evm/chain-fixture.ts'
import { onEvent } from '#test/unit/native/event-trigger.ts'
import { NativeChain, OWNER, owner } from '#test/unit/native/native-chain.ts'
import { describe, expect, it } from 'vitest'

const [victim, mallory, friend] = accounts
if (victim === undefined || mallory === undefined || friend === undefined) throw new Error('the fixture has accounts')

/** Sends all that the running account holds to its caller: PUSH0 ×4, SELFBALANCE, CALLER, GAS, CALL. */
const DRAIN: Address = `0x${'d4'.repeat(20)}`
const predeploys = new Map([[DRAIN, { code: Uint8Array.from([0x5f, 0x5f, 0x5f, 0x5f, 0x47, 0x33, 0x5a, 0xf1, 0x00]), storage: new Map() }]])

/** Two packages, the first of which runs first whatever the parent's randomness says. */
function inOrder(chain: ChainFixture, first: readonly Hex[], second: readonly Hex[]): (readonly Hex[])[] {
  const [early] = laneOrder(chain.head.header.randomness, 2)
  return early === 0 ? [first, second] : [second, first]
}

function total(chain: ChainFixture): bigint {
  const holders = [
    NODE_RESERVE,
    FEE_COLLECTOR,
    STAKING,
    TEAM_VESTING,
    FOUNDATION,
    ...accounts.map(addressOf),
    ...validators.map(({ address }) => address),
  ]
  return holders.reduce((sum, address) => sum + chain.balance(address), 0n)
}

describe('two packages of one block', () => {
  it('spend one balance once: what the first left does not cover the second', async () => {
    const chain = new ChainFixture()
    const spend = (nonce: number) => chain.sign(victim, { nonce, to: addressOf(friend), value: 600n * FSN })
    const { receipts, skipped } = await chain.advance(inOrder(chain, [await spend(0)], [await spend(1)]))
    expect(receipts).toHaveLength(1)
    expect(skipped.map(({ code }) => code)).toEqual(['INSUFFICIENT_FUNDS'])
    expect(chain.view.account(addressOf(victim))?.nonce).toBe(1n)
    expect(total(chain)).toBe(SUPPLY_WEI)
  })

  it('skip what a delegated account can no longer pay, drained by a call of the other package', async () => {
    const chain = new ChainFixture({ predeploys })
    const authorization = await victim.signAuthorization?.({ address: DRAIN, chainId: chain.params.chainId, nonce: 0 })
    const delegate = await mallory.signTransaction({
      type: 'eip7702',
      chainId: chain.params.chainId,
      nonce: 0,
      to: addressOf(friend),
      gas: 100_000n,
      maxFeePerGas: 10n ** 10n,
      maxPriorityFeePerGas: 0n,
      authorizationList: authorization === undefined ? [] : [authorization],
    })
    await chain.advance([[delegate], []])
    const own = await chain.sign(victim, { nonce: 1, to: addressOf(friend), value: FSN })
    const drain = await chain.sign(mallory, { nonce: 1, to: addressOf(victim), gas: 100_000n })
    const { receipts, skipped } = await chain.advance(inOrder(chain, [drain], [own]))
    expect(receipts).toMatchObject([{ status: 1 }])
    expect(skipped.map(({ code }) => code)).toEqual(['INSUFFICIENT_FUNDS'])
    expect(chain.view.account(addressOf(victim))).toMatchObject({ balanceWei: 0n, nonce: 1n })
    expect(total(chain)).toBe(SUPPLY_WEI)
  })
})

describe('a trigger beside its owner’s cancellation', () => {
  it('fires first, whichever package holds which, and the cancellation finds what is left', async () => {
    const chain = new NativeChain(2)
    const beat = await chain.deploy(heartbeatAbi, heartbeatCreation, [owner])
    const id = await chain.register({
      ...onEvent('active', { to: beat, signature: 'beat(uint64)', types: ['uint64'], args: [{ ref: 'fire.scheduledAt' }] }),
      mode: { type: 'timing', when: { kind: 'height', at: 3, every: 1 }, missed: { mode: 'skip' } },
    })
    const due = [...(await chain.due(undefined, 0)), ...(await chain.due(undefined, 1))]
    expect(due).toHaveLength(1)
    const cancel = await chain.sign(OWNER, chain.call('cancel', [id]))
    // The trigger is unsigned and belongs to the author of lane 0, which makes its package.
    const { receipts, skipped } = await chain.fixture.advance([due, [cancel]])
    expect(skipped).toEqual([])
    expect(receipts.map(({ txType, status }) => [txType, status])).toEqual([
      [0x46, 1],
      [2, 1],
    ])
    expect(chain.entry(id)).toMatchObject({ status: 'CANCELLED', fires: 1, fundingWei: 0n })
    expect((await chain.fixture.advance([due, []])).skipped).toMatchObject([{ code: 'CANCELLED' }])
  })
})
