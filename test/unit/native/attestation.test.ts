/** Attestation transactions at their turn: what is stored, who pays, and everything that is refused. @module */
import type { NativeHost } from '#node/chain-reader.ts'
import { feedRegistryAbi } from '#shared/api/abi/feed-registry.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { readHistory, readRoundMark, readLatestReport, readSourceSet } from '#shared/oracle/feed-registry.ts'
import { decodeAttestationTx } from '#shared/oracle/transaction.ts'
import type { AttestationTx, Batch, Leaf } from '#shared/oracle/types.ts'
import { FEED_REGISTRY } from '#shared/system.ts'
import {
  EDGE,
  FSN,
  NativeChain,
  OWNER,
  PRICE,
  PROVIDERS,
  RAIN,
  SET,
  SET_SPEC,
  SLOT_MS,
  STRANGER,
  addressOf,
  feedEvents,
  leaf,
} from '#test/unit/native/native-chain.ts'
import { suite } from '#test/unit/evm/support.ts'
import { encodeFunctionData } from 'viem'
import { describe, expect, it } from 'vitest'

async function chainWithSet(): Promise<NativeChain> {
  const chain = new NativeChain()
  await chain.registerSet()
  return chain
}

type Plan = Readonly<{ providers?: number; leaves?: readonly Leaf[]; round?: number; batch?: Partial<Batch>; tx?: Partial<AttestationTx> }>

async function attest(chain: NativeChain, { providers = 3, leaves = [leaf(PRICE, 100n)], round = chain.roundAt(), batch, tx }: Plan = {}) {
  const batches = await Promise.all(PROVIDERS.slice(0, providers).map((by) => chain.batch(by, round, leaves, batch)))
  return chain.attestation(round, batches, tx)
}

const fundingOf = (chain: NativeChain): bigint => chain.read(readSourceSet(SET, suite))?.fundingWei ?? 0n

describe('an attestation', () => {
  it('stores the median, tells who listens, and is paid by its set', async () => {
    const chain = await chainWithSet()
    const round = chain.roundAt()
    const before = fundingOf(chain)
    const { receipts, skipped } = await chain.block([await attest(chain)])
    expect(skipped).toEqual([])
    const [receipt] = receipts
    // 21000, three batches of 6000, three leaves of 1500, one feed of 5000, one report of 60000.
    expect(receipt).toMatchObject({ txType: 0x47, status: 1, gasUsed: 108_500n, from: addressOf(EDGE), to: FEED_REGISTRY })
    const costWei = 108_500n * chain.header.baseFeeWei
    expect(before - fundingOf(chain)).toBe(costWei)
    expect(chain.fixture.balance(FEED_REGISTRY)).toBe(fundingOf(chain))
    expect(feedEvents(receipt)).toEqual([
      {
        name: 'FeedUpdated',
        args: { feed: PRICE, sequence: 1n, value: 100n, status: 0, round: BigInt(round), observedAtMs: BigInt(round * SLOT_MS + 100) },
      },
      { name: 'RoundAttested', args: { sourceSet: SET, shard: 0, round: BigInt(round), signatures: 3n, costWei } },
    ])
    expect(chain.read(readLatestReport(PRICE, suite))).toMatchObject({ sequence: 1n, value: 100n, firstRound: round, lastRound: round })
    expect(chain.read(readLatestReport(RAIN, suite))).toBeNull()
    expect(chain.read(readRoundMark(SET, 0, suite)).lastRound).toBe(round)
  })

  it('of an even number of values takes the lower middle, negative ones too', async () => {
    const chain = await chainWithSet()
    const round = chain.roundAt()
    const values = [-40n, 30n, -20n, 10n]
    const batches = await Promise.all(PROVIDERS.map((by, index) => chain.batch(by, round, [leaf(RAIN, values[index] ?? 0n)])))
    const { receipts } = await chain.block([await chain.attestation(round, batches)])
    expect(feedEvents(receipts[0])[0]?.args['value']).toBe(-20n)
  })

  it('that says nothing new is counted, not stored', async () => {
    const chain = await chainWithSet()
    const first = chain.roundAt()
    await chain.block([await attest(chain)])
    const { receipts } = await chain.block([await attest(chain)])
    expect(receipts).toMatchObject([{ gasUsed: 48_500n }])
    expect(feedEvents(receipts[0]).map(({ name }) => name)).toEqual(['RoundAttested'])
    expect(chain.read(readLatestReport(PRICE, suite))).toMatchObject({ sequence: 1n, firstRound: first, lastRound: first + 1 })
  })

  it('after a gap stores the gap', async () => {
    const chain = await chainWithSet()
    await chain.block([await attest(chain)])
    await chain.block()
    await chain.block([await attest(chain)])
    expect(chain.read(readHistory(PRICE, 0n, 9, suite)).reports.map(({ afterGap }) => afterGap)).toEqual([false, true])
  })

  it('runs after every user transaction of its block', async () => {
    const chain = await chainWithSet()
    const transfer = await chain.sign(STRANGER, { to: addressOf(OWNER), value: 1n, gas: 30_000n })
    const { receipts } = await chain.block([await attest(chain), transfer])
    expect(receipts.map(({ txType }) => txType)).toEqual([2, 0x47])
  })
})

describe('an attestation is skipped', () => {
  it.each<[string, Plan]>([
    ['QUORUM', { providers: 2 }],
    ['CHAIN_ID', { tx: { chainId: 1 } }],
    ['SOURCE_SET', { tx: { sourceSet: `0x${'12'.repeat(32)}` } }],
    ['SHARD_UNKNOWN', { tx: { shard: 1 } }],
    ['FEED_UNKNOWN', { leaves: [leaf(`0x${'12'.repeat(32)}`, 1n)] }],
    ['TIME_NOT_IN_ROUND', { batch: { observedAtMs: 1_700_000_000_000 } }],
    ['SUBMITTER_SIGNATURE', { tx: { submitter: addressOf(STRANGER) } }],
    ['SUBMITTER_SIGNATURE', { tx: { signature: `0x${'11'.repeat(65)}` } }],
  ])('with %s', async (code, plan) => {
    const chain = await chainWithSet()
    const { receipts, skipped } = await chain.block([await attest(chain, plan)])
    expect(receipts).toEqual([])
    expect(skipped).toMatchObject([{ code }])
    expect(chain.read(readLatestReport(PRICE, suite))).toBeNull()
    expect(fundingOf(chain)).toBe(10n * FSN)
  })

  it('when a provider’s signature is another’s, or over other values', async () => {
    const chain = await chainWithSet()
    const round = chain.roundAt()
    const [first, second, third] = await Promise.all(PROVIDERS.slice(0, 3).map((by) => chain.batch(by, round, [leaf(PRICE, 100n)])))
    if (first === undefined || second === undefined || third === undefined) throw new Error('three providers')
    const forged = { ...(await chain.batch(STRANGER, round, [leaf(PRICE, 1n)])), provider: third.provider }
    expect((await chain.block([await chain.attestation(round, [first, second, forged])])).skipped).toMatchObject([
      { code: 'SIGNATURE_INVALID' },
    ])
    const altered = { ...third, leaves: [leaf(PRICE, 101n)] }
    expect((await chain.block([await chain.attestation(round, [first, second, altered])])).skipped).toMatchObject([
      { code: 'SIGNATURE_INVALID' },
    ])
    const foreign = await chain.batch(STRANGER, round, [leaf(PRICE, 1n)])
    expect((await chain.block([await chain.attestation(round, [first, second, foreign])])).skipped).toMatchObject([
      { code: 'PROVIDER_UNKNOWN' },
    ])
    expect((await chain.block([await chain.attestation(round, [first, second, second])])).skipped).toMatchObject([
      { code: 'BATCHES_UNSORTED' },
    ])
    expect((await chain.block([await chain.attestation(round, [first, second, third])])).skipped).toEqual([])
  })

  it('when its round is not above the last one, too old, or ahead of the block', async () => {
    const chain = await chainWithSet()
    const round = chain.roundAt()
    const tx = await attest(chain)
    await chain.block([tx])
    expect((await chain.block([tx])).skipped).toMatchObject([{ code: 'ROUND_NOT_RISING' }])
    expect((await chain.block([await attest(chain, { round: round - 1 })])).skipped).toMatchObject([{ code: 'ROUND_NOT_RISING' }])
    const soon = await attest(chain, { round: chain.roundAt() + 1 })
    const ahead = await attest(chain, { round: chain.roundAt() + 4 })
    expect((await chain.block([ahead])).skipped).toMatchObject([{ code: 'ROUND_AHEAD' }])
    // A round may be posted for a minute after its end.
    const late = chain.header.slot + 45
    expect((await chain.block([soon], late)).skipped).toMatchObject([{ code: 'ROUND_EXPIRED' }])
  })

  it('when its shard had four rounds in this block already', async () => {
    const chain = await chainWithSet()
    const round = chain.roundAt()
    const txs = await Promise.all([4, 3, 2, 1, 0].map((back) => attest(chain, { round: round - back })))
    const { receipts, skipped } = await chain.block(txs.toReversed())
    expect(receipts.length).toBe(4)
    expect(skipped).toMatchObject([{ code: 'ROUNDS_PER_BLOCK' }])
    expect(chain.read(readLatestReport(PRICE, suite))).toMatchObject({ firstRound: round - 4, lastRound: round - 1, sequence: 1n })
    expect((await chain.block([txs[4] ?? '0x'])).receipts.length).toBe(1)
  })

  it('when the gas left for attestations does not cover it, before and after its signatures are checked', async () => {
    const chain = await chainWithSet()
    const tx = decodeAttestationTx(hexToBytes(await attest(chain)))
    const { view } = chain.fixture
    const host: NativeHost = {
      storage: (address, slot) => Promise.resolve(view.storage(address, slot)),
      code: (address) => Promise.resolve(view.code(address)),
      setStorage: () => Promise.reject(new Error('nothing may be written')),
      balance: () => Promise.reject(new Error('not asked')),
      transfer: () => Promise.reject(new Error('nothing may be paid')),
      call: () => Promise.reject(new Error('nothing may be called')),
      log: () => undefined,
    }
    const outcome = (gasLeft: bigint) =>
      chain.natives.executors.attestation(host, tx, {
        parent: chain.parentView(),
        number: chain.header.number + 1,
        slot: chain.header.slot + 1,
        timeMs: chain.timeMs + SLOT_MS,
        baseFeeWei: 1n,
        triggerBaseFeeWei: 1n,
        author: tx.submitter,
        packageAuthor: tx.submitter,
        txHash: SET,
        gasLeft,
        crypto: suite,
      })
    expect(await outcome(43_499n)).toEqual({ skip: 'ATTESTATION_BUDGET' })
    expect(await outcome(108_499n)).toEqual({ skip: 'ATTESTATION_BUDGET' })
    await expect(outcome(108_500n)).rejects.toThrow('nothing may be paid')
  })

  it('when no feed reached a quorum', async () => {
    const chain = await chainWithSet()
    const round = chain.roundAt()
    const batches = await Promise.all(
      PROVIDERS.slice(0, 4).map((by, index) => chain.batch(by, round, [leaf(index < 2 ? PRICE : RAIN, 1n)])),
    )
    expect((await chain.block([await chain.attestation(round, batches)])).skipped).toMatchObject([{ code: 'NOTHING_ATTESTED' }])
  })

  it('when the set cannot pay, though others left enough in the registry', async () => {
    const chain = await chainWithSet()
    await chain.registerSet({ ...SET_SPEC, name: 'rich' })
    const keptWei = 75_000n * chain.header.baseFeeWei
    const drain = async (amountWei: bigint): Promise<void> => {
      const data = encodeFunctionData({ abi: feedRegistryAbi, functionName: 'withdrawSet', args: [SET, amountWei] })
      await chain.settle(await chain.sign(OWNER, { to: FEED_REGISTRY, data }))
    }
    // Enough for the signatures, not for the report.
    await drain(fundingOf(chain) - keptWei)
    expect((await chain.block([await attest(chain)])).skipped).toMatchObject([{ code: 'FUNDS' }])
    await drain(keptWei)
    expect((await chain.block([await attest(chain)])).skipped).toMatchObject([{ code: 'FUNDS' }])
    // Nobody checks signatures for a set that cannot pay for it.
    const unsigned = await attest(chain, { tx: { signature: `0x${'11'.repeat(65)}` } })
    expect((await chain.block([unsigned])).skipped).toMatchObject([{ code: 'FUNDS' }])
    expect(chain.read(readLatestReport(PRICE, suite))).toBeNull()
  })
})
