/** Foreign payments with evidence, and views of this chain. @module */
import { paymentGateAbi, paymentGateCreation } from '#shared/api/abi/payment-gate.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import { encodeDepositEvidence } from '#shared/oracle/deposit-evidence.ts'
import { attestationDomain } from '#shared/oracle/eip712.ts'
import { FACT_TYPE, depositFact, factMessage } from '#shared/oracle/fact.ts'
import { sourceSetId } from '#shared/oracle/ids.ts'
import { sortedSet } from '#shared/oracle/set-storage.ts'
import { toCanonicalSignature } from '#shared/oracle/signature.ts'
import type { SignedFact } from '#shared/oracle/types.ts'
import { readFired } from '#shared/trigger/calling-list.ts'
import { depositOccurrence } from '#shared/trigger/evaluate-deposit.ts'
import { fireKey } from '#shared/trigger/ids.ts'
import { encodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { Condition, DepositFact } from '#shared/trigger/types.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { FEE, onEvent } from '#test/unit/native/event-trigger.ts'
import type { Call } from '#test/unit/native/event-trigger.ts'
import {
  AUTHOR,
  EDGE,
  NativeChain,
  OWNER,
  PROVIDERS,
  SLOT_MS,
  START_MS,
  addressOf,
  eventsOf,
  owner,
} from '#test/unit/native/native-chain.ts'
import { suite } from '#test/unit/evm/support.ts'
import { encodeFunctionData } from 'viem'
import type { Abi } from 'viem'
import type { HDAccount } from 'viem/accounts'
import { describe, expect, it } from 'vitest'

const REPORTERS = PROVIDERS
const WATCH = sourceSetId(owner, 'watch', suite)
const PAYEE: Address = `0x${'fa'.repeat(20)}`
const PAYER: Address = `0x${'fb'.repeat(20)}`
const PAYMENT: DepositFact = {
  chain: 31_337n,
  txid: `0x${'c0'.repeat(32)}`,
  from: PAYER,
  to: PAYEE,
  amountWei: 5n,
  height: 100,
  blockHash: `0x${'b1'.repeat(32)}`,
  confirmations: 3,
}

/** Creation code of a contract that always reverts: its runtime is PUSH0 PUSH0 REVERT. */
const REVERTER: Hex = '0x625f5ffd5f526003601df3'

async function withGate() {
  const chain = new NativeChain()
  await chain.registerSet(
    sortedSet(
      { name: 'watch', kind: 'reporter', owner, members: REPORTERS.map(addressOf), roundMs: SLOT_MS, fundingWei: 0n, shards: [] },
      suite,
    ),
  )
  const gate = await chain.deploy(paymentGateAbi, paymentGateCreation, [owner])
  const when: Condition = { kind: 'chain.deposit', chain: 31_337n, reporters: WATCH, to: PAYEE, minWei: 5n, confirmations: 3 }
  const call: Call = {
    to: gate,
    signature: 'paid(address,uint256,bytes32)',
    types: ['address', 'uint256', 'bytes32'],
    args: [{ ref: 'deposit.from' }, { ref: 'deposit.amount' }, { ref: 'deposit.txid' }],
  }
  return { chain, gate, when, call, id: await chain.register(onEvent(when, call)) }
}

async function facts(
  chain: NativeChain,
  fact: DepositFact,
  by: readonly HDAccount[] = REPORTERS.slice(0, 3),
): Promise<readonly SignedFact[]> {
  const unsigned = depositFact(WATCH, START_MS, fact, suite)
  return Promise.all(
    by.map(async (reporter) => {
      const signature = await reporter.signTypedData({
        domain: attestationDomain(chain.genesisHash),
        types: { Fact: FACT_TYPE.members },
        primaryType: 'Fact',
        message: factMessage(unsigned, suite),
      })
      return { ...unsigned, reporter: addressOf(reporter), signature: toCanonicalSignature(signature) }
    }),
  )
}

async function paymentTx(
  chain: NativeChain,
  id: Hash,
  signed: readonly SignedFact[],
  fact = PAYMENT,
  attempt = 0,
  occurrence?: Hash,
): Promise<Hex> {
  const raw = encodeTriggerTx({
    chainId: 81_920,
    entryId: id,
    revision: 1,
    occurrence: occurrence ?? depositOccurrence(fact.chain, fact.txid),
    attempt,
    evidence: encodeDepositEvidence(signed),
    beneficiary: AUTHOR,
    signature: null,
  })
  return chain.signTrigger(EDGE, bytesToHex(raw))
}

describe('a foreign payment', () => {
  it('with a quorum of identical facts opens the gate once and pays the reporters', async () => {
    const { chain, gate, id } = await withGate()
    const before = REPORTERS.map((by) => chain.fixture.balance(addressOf(by)))
    const tx = await paymentTx(chain, id, await facts(chain, PAYMENT))
    const { receipts, skipped } = await chain.block([tx])
    expect(skipped).toEqual([])
    expect(eventsOf(receipts[0]?.logs ?? [], paymentGateAbi as Abi)).toMatchObject([
      { name: 'Paid', args: { amountWei: 5n, txid: PAYMENT.txid } },
    ])
    expect(receipts[0]?.to).toBe(gate)
    expect(REPORTERS.map((by, index) => chain.fixture.balance(addressOf(by)) - (before[index] ?? 0n))).toEqual([
      FEE / 3n,
      FEE / 3n,
      FEE / 3n,
      0n,
    ])
    expect(chain.read(readFired(fireKey(id, 1, depositOccurrence(PAYMENT.chain, PAYMENT.txid)), suite))).toBe(true)
    expect((await chain.block([tx])).skipped).toMatchObject([{ code: 'ALREADY_FIRED' }])
    // The same payment seen in another block, after a reorganisation, is the same payment.
    const moved = { ...PAYMENT, height: 101, blockHash: PAYMENT.txid, confirmations: 4 }
    expect((await chain.block([await paymentTx(chain, id, await facts(chain, moved))])).skipped).toMatchObject([{ code: 'ALREADY_FIRED' }])
  })

  it('is one of several in a block when there are several', async () => {
    const { chain, id } = await withGate()
    const other = { ...PAYMENT, txid: PAYMENT.blockHash }
    const { receipts } = await chain.block([
      await paymentTx(chain, id, await facts(chain, PAYMENT)),
      await paymentTx(chain, id, await facts(chain, other), other),
    ])
    expect(receipts.map(({ status }) => status)).toEqual([1, 1])
  })

  it.each<[string, (chain: NativeChain, id: Hash) => Promise<Hex>]>([
    ['QUORUM', async (chain, id) => paymentTx(chain, id, await facts(chain, PAYMENT, REPORTERS.slice(0, 2)))],
    ['REPORTER_UNKNOWN', async (chain, id) => paymentTx(chain, id, await facts(chain, PAYMENT, [OWNER, ...REPORTERS.slice(0, 2)]))],
    [
      'REPORTERS_UNSORTED',
      async (chain, id) => {
        const [first, second] = await facts(chain, PAYMENT)
        if (first === undefined || second === undefined) throw new Error('two facts')
        return paymentTx(chain, id, [first, second, { ...first }])
      },
    ],
    ['AWAITING_EVIDENCE', async (chain, id) => paymentTx(chain, id, await facts(chain, { ...PAYMENT, to: PAYER }))],
    ['AWAITING_EVIDENCE', async (chain, id) => paymentTx(chain, id, await facts(chain, { ...PAYMENT, amountWei: 4n }))],
    ['AWAITING_EVIDENCE', async (chain, id) => paymentTx(chain, id, await facts(chain, { ...PAYMENT, confirmations: 2 }))],
    ['AWAITING_EVIDENCE', async (chain, id) => paymentTx(chain, id, await facts(chain, { ...PAYMENT, chain: 1n }))],
    ['OCCURRENCE', async (chain, id) => paymentTx(chain, id, await facts(chain, PAYMENT), PAYMENT, 0, toWord(1n))],
  ])('is refused with %s', async (code, make) => {
    const { chain, id } = await withGate()
    const { receipts, skipped } = await chain.block([await make(chain, id)])
    expect(receipts).toEqual([])
    expect(skipped).toMatchObject([{ code }])
  })

  it('needs evidence at all, and only of a set that exists', async () => {
    const { chain, id, call, when } = await withGate()
    const tx = await paymentTx(chain, id, await facts(chain, PAYMENT))
    const bare = encodeTriggerTx({
      chainId: 81_920,
      entryId: id,
      revision: 1,
      occurrence: depositOccurrence(PAYMENT.chain, PAYMENT.txid),
      attempt: 0,
      evidence: new Uint8Array(),
      beneficiary: AUTHOR,
      signature: null,
    })
    expect((await chain.block([bytesToHex(bare)])).skipped).toMatchObject([{ code: 'EVIDENCE_INVALID' }])
    const lost = await chain.register(onEvent({ ...when, reporters: toWord(7n) } as Condition, call))
    expect((await chain.block([await chain.signTrigger(EDGE, tx, { entryId: lost })])).skipped).toMatchObject([{ code: 'SOURCE_SET' }])
  })

  it('whose call fails may be repeated with the next attempt, and is consumed after the last', async () => {
    const { chain: list, call, when } = await withGate()
    const target = await list.deploy([], REVERTER, [])
    const id = await list.register(onEvent(when, { ...call, to: target }))
    const signed = await facts(list, PAYMENT)
    const key = fireKey(id, 1, depositOccurrence(PAYMENT.chain, PAYMENT.txid))
    const isFired = () => list.read(readFired(key, suite))
    const run = async (attempt: number) => list.block([await paymentTx(list, id, signed, PAYMENT, attempt)])
    expect((await run(0)).receipts).toMatchObject([{ status: 0 }])
    expect(isFired()).toBe(false)
    expect((await run(0)).skipped).toMatchObject([{ code: 'ATTEMPT' }])
    await list.block()
    expect((await run(1)).receipts).toMatchObject([{ status: 0 }])
    for (let block = 0; block < 4; block++) await list.block()
    expect((await run(2)).receipts).toMatchObject([{ status: 0 }])
    expect(isFired()).toBe(true)
    expect((await run(0)).skipped).toMatchObject([{ code: 'ALREADY_FIRED' }])
  })
})

describe('a view trigger', () => {
  it('fires when its view turns true, and again only after it was false', async () => {
    const { chain, id: payment, gate } = await withGate()
    const data = hexToBytes(encodeFunctionData({ abi: paymentGateAbi, functionName: 'isOpenFor', args: [PAYER] }))
    const view = await chain.register(
      onEvent(
        { kind: 'view', to: gate, data, gasLimit: 50_000, everyBlocks: 1, edge: 'rising' },
        { to: PAYEE, signature: 'go()', types: [], args: [] },
      ),
    )
    for (let block = 0; block < 2; block++) await chain.run()
    expect(chain.entry(view).fires).toBe(0)
    await chain.block([await paymentTx(chain, payment, await facts(chain, PAYMENT))])
    const { receipts } = await chain.run()
    // 21000, 5000 for judging, the view's 50000 whether used or not; the call goes to an account without code.
    expect(receipts).toMatchObject([{ status: 1, gasUsed: 76_000n }])
    for (let block = 0; block < 3; block++) expect((await chain.run()).receipts).toEqual([])
    expect(chain.entry(view)).toMatchObject({ fires: 1, armed: false })
  })
})
