/** A small chain with everything in it: user transactions, both native types, what is skipped, what reverts, what destroys itself. @module */
import { heartbeatAbi, heartbeatCreation } from '#shared/api/abi/heartbeat.ts'
import { priceAlarmAbi, priceAlarmCreation } from '#shared/api/abi/price-alarm.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { genesisToJson } from '#shared/chain/genesis-json.ts'
import { toWord } from '#shared/codec/solidity-storage.ts'
import type { ExecutionInput } from '#shared/hhcm/types.ts'
import { encodeTriggerTx } from '#shared/trigger/transaction.ts'
import type { Hash, Hex } from '#shared/types.ts'
import type { Recording } from '#test/unit/joints/replay.ts'
import { onEvent } from '#test/unit/native/event-trigger.ts'
import { AUTHOR, EDGE, NativeChain, OWNER, PRICE, STRANGER, addressOf, owner } from '#test/unit/native/native-chain.ts'

type Block = Recording['blocks'][number]

/** ADDRESS SELFDESTRUCT: a creation that destroys what was sent with it. */
const DESTROYS_ITSELF: Hex = '0x30ff'
/** PUSH0 PUSH0 REVERT. */
const REVERTS: Hex = '0x5f5ffd'

/** Notes the input of every block and what came of it. */
function record(chain: NativeChain): readonly Block[] {
  const { fixture } = chain
  const blocks: Block[] = []
  const advance = fixture.advance.bind(fixture)
  fixture.advance = async (lanes, slot) => {
    const { parentHash: _parent, packages, ...input } = fixture.input(lanes, slot) satisfies ExecutionInput
    const execution = await advance(lanes, slot)
    const { hash, header } = fixture.head
    const { stateRoot, txRoot, receiptsRoot, gasUsed } = header
    blocks.push({
      input: { ...input, packages: packages.flatMap((item) => (item === null ? [] : [{ ...item, txs: item.txs.map(bytesToHex) }])) },
      outcome: {
        hash,
        stateRoot,
        txRoot,
        receiptsRoot,
        gasUsed: String(gasUsed),
        types: execution.receipts.map(({ txType }) => txType),
        skipped: execution.skipped.map(({ code }) => code),
      },
    })
    return execution
  }
  return blocks
}

async function registerTriggers(chain: NativeChain): Promise<Hash> {
  const heartbeat = await chain.deploy(heartbeatAbi, heartbeatCreation, [owner])
  const alarm = await chain.deploy(priceAlarmAbi, priceAlarmCreation, [owner])
  const beat = { to: heartbeat, signature: 'beat(uint64)', types: ['uint64'], args: [{ ref: 'fire.scheduledAt' }] } as const
  await chain.register({
    ...onEvent('active', beat),
    mode: {
      type: 'timing',
      when: { kind: 'interval', anchorMs: 1_700_000_000_000, everySec: 3 },
      missed: { mode: 'latest', graceSec: 60 },
    },
  })
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
  const ring = {
    to: alarm,
    signature: 'ring(int256,uint64,bytes32)',
    types: ['int256', 'uint64', 'bytes32'],
    args: [{ ref: 'feed.value' }, { ref: 'feed.observedAt' }, { ref: 'report.digest' }],
  } as const
  return chain.register(onEvent(when, ring))
}

/** Plays the story from the genesis on. */
export async function tell(): Promise<Recording> {
  const chain = new NativeChain(2)
  const blocks = record(chain)
  await chain.registerSet()
  const id = await registerTriggers(chain)
  const both = await Promise.all(
    [1n, 2n].map((value) => chain.fixture.sign(STRANGER, { nonce: 0, to: addressOf(OWNER), value, gas: 30_000n })),
  )
  await chain.fixture.advance(both.map((raw) => [raw]))
  await chain.run(undefined, [await chain.priceTx(1900n)])
  await chain.run(undefined, [await chain.priceTx(1799n)])
  const fire = bytesToHex(
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
  )
  await chain.run(undefined, [await chain.signTrigger(EDGE, fire), await chain.priceTx(1799n), await chain.priceTx(-1n)])
  await chain.block([
    await chain.sign(OWNER, { data: DESTROYS_ITSELF, value: 12_345_678n }),
    await chain.sign(OWNER, { data: REVERTS, value: 1n }),
  ])
  const late = chain.header.slot + 9
  await chain.run(late, [await chain.priceTx(1815n, late)])
  for (let block = 0; block < 4; block++) await chain.run(undefined, [await chain.priceTx(1700n + BigInt(block))])
  return { document: genesisToJson(chain.fixture.document), blocks }
}
