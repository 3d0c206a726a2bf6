/** Reads of an evaluation, answered at the parent block. @module */
import type { NativeConfig } from '#node/evm/native/config.ts'
import { Judge, answerRead, evaluationContext } from '#node/evm/native/judge.ts'
import { followingSlot } from '#node/evm/native/standing.ts'
import type { ParentView } from '#node/evm/native-types.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import { NativeChain, SLOT_MS, START_MS } from '#test/unit/native/native-chain.ts'
import { suite } from '#test/unit/evm/support.ts'
import { PROBE, TARGET, entryOf, onEvent } from '#test/unit/trigger/samples.ts'
import { describe, expect, it } from 'vitest'

const configOf = (chain: NativeChain): NativeConfig => ({
  chainId: 81_920,
  genesisHash: chain.genesisHash,
  genesisTimeMs: START_MS,
  slotMs: SLOT_MS,
  laneCount: 1,
  blockGasLimit: chain.fixture.params.blockGasLimit,
  crypto: suite,
})
const NEXT = { timeMs: START_MS + 100 * SLOT_MS, triggerBaseFeeWei: 1n }

describe('a judge', () => {
  it('calls a view once, however often the same is asked, as a static call with the view’s gas from the stable caller', async () => {
    const chain = new NativeChain()
    const requests: unknown[] = []
    const parent: ParentView = {
      ...chain.parentView(),
      call: (request) => {
        requests.push(request)
        return Promise.resolve({ success: true, returnData: new Uint8Array(32), gasUsed: 9n, error: null, logs: [], createdAddress: null })
      },
    }
    const judge = new Judge(parent, evaluationContext(parent, NEXT, configOf(chain)), configOf(chain))
    const entry = entryOf(onEvent(PROBE), { registeredAt: { height: 0, timeMs: START_MS } })
    const change = { ...entry.description, limits: { ...entry.description.limits, expiresAtMs: NEXT.timeMs + 1 } }
    for (let asked = 0; asked < 3; asked++)
      expect(await judge.evaluate({ ...entry, description: change })).toMatchObject({ kind: 'notDue', reason: 'CONDITION_FALSE' })
    expect(requests).toEqual([{ from: entry.caller, to: TARGET, data: PROBE.data, gasLimit: 50_000n, isStatic: true }])
  })

  it('knows the block sixteen and one below, and says when there is none', async () => {
    const chain = new NativeChain()
    for (let block = 0; block < 16; block++) await chain.block()
    expect(evaluationContext(chain.parentView(), NEXT, configOf(chain))).toMatchObject({ height: 17, onTimeAfterMs: START_MS })
    expect(evaluationContext(new NativeChain().parentView(), NEXT, configOf(chain)).onTimeAfterMs).toBe(-1)
  })

  it('answers logs with nothing when the window has a hole', async () => {
    const chain = new NativeChain()
    await chain.registerSet()
    await chain.block()
    const key = { kind: 'logs', afterPosition: 0n, addresses: ['0x0000000000000000000000000000000000004602'], topics: [] } as const
    const whole = await answerRead(key, chain.parentView(), configOf(chain))
    expect(whole.kind === 'logs' && whole.logs.map(({ position }) => position)).toEqual(
      [0, 1, 2, 3].map((index) => (1n << 32n) + BigInt(index)),
    )
    const after = await answerRead({ ...key, afterPosition: (1n << 32n) + 2n }, chain.parentView(), configOf(chain))
    expect(after.kind === 'logs' && after.logs.length).toBe(1)
    const view = chain.parentView()
    const holed: ParentView = { ...view, ancestor: (height) => (height === 1 ? null : view.ancestor(height)) }
    expect(await answerRead(key, holed, configOf(chain))).toEqual({ kind: 'logs', logs: [], oldestHeight: 2 })
  })

  it('answers a feed without reports with none', async () => {
    const chain = new NativeChain()
    expect(await answerRead({ kind: 'feedHistory', feed: toWord(1n), after: 0n }, chain.parentView(), configOf(chain))).toEqual({
      kind: 'feedHistory',
      reports: [],
      oldest: 0n,
    })
  })
})

describe('the following slot', () => {
  it('is the one after the clock’s, and never at or below the head', () => {
    const config = configOf(new NativeChain())
    expect(followingSlot(5, 0, config)).toBe(6)
    expect(followingSlot(5, START_MS + 10 * SLOT_MS + 1, config)).toBe(11)
  })
})
