/**
 * Executes a merged block on its parent's state. A pure function of the parent chain and the packages; commits nothing.
 * Source: whitepaper 5.4; docs/protocol.md.
 * @module
 */
import { BlockRun, SupplyBroken, triggerBudget } from '#node/evm/block-run.ts'
import { placeTransactions } from '#node/evm/classify.ts'
import type { ExecutionContext } from '#node/evm/context.ts'
import type { Machine } from '#node/evm/machine.ts'
import type { BlockContext } from '#node/evm/native-types.ts'
import { parentViewOf } from '#node/evm/parent-view.ts'
import { listRoot } from '#node/evm/trie.ts'
import type { Execution, ExecutionRefusal, Executor } from '#node/evm/types.ts'
import { nextBaseFee } from '#shared/chain/base-fee.ts'
import { encodeReceipt, joinBlooms } from '#shared/chain/receipt.ts'
import { blockTransfers } from '#shared/chain/rewards.ts'
import type { ExecutionInput, Header } from '#shared/hhcm/types.ts'
import { FEE_COLLECTOR, NODE_RESERVE } from '#shared/system.ts'
import type { Lane, Wei } from '#shared/types.ts'

/** Base fees of the block after `parent`. Block 1 starts from the genesis header's. */
export function nextFees(parent: Header): Readonly<{ baseFeeWei: Wei; triggerBaseFeeWei: Wei }> {
  if (parent.number === 0) return { baseFeeWei: parent.baseFeeWei, triggerBaseFeeWei: parent.triggerBaseFeeWei }
  return {
    baseFeeWei: nextBaseFee(parent.baseFeeWei, parent.gasUsed, parent.gasLimit / 2n),
    triggerBaseFeeWei: nextBaseFee(parent.triggerBaseFeeWei, parent.triggerGasUsed, triggerBudget(parent.gasLimit) / 2n),
  }
}

/** Context of the block that `input` would make. */
function blockContext(context: ExecutionContext, parent: Header, input: ExecutionInput): BlockContext {
  return {
    parent: parentViewOf(context, input.parentHash, parent),
    number: parent.number + 1,
    slot: input.slot,
    timeMs: context.timeMs(input.slot),
    ...nextFees(parent),
    author: input.author,
  }
}

function payOut(context: ExecutionContext, machine: Machine, input: ExecutionInput, run: BlockRun, omitted: ReadonlySet<Lane>): void {
  const { state } = machine
  const earnings = {
    reserveWei: state.balance(NODE_RESERVE),
    emissionRate: context.params.emissionRate,
    tipsWei: run.tipsWei,
    omitted,
  }
  for (const { from, to, amountWei } of blockTransfers(input, context.validators, earnings, state.balance(FEE_COLLECTOR))) {
    state.addBalance(from, -amountWei)
    state.addBalance(to, amountWei)
  }
}

async function executeBlock(context: ExecutionContext, parent: Header, input: ExecutionInput): Promise<Execution | ExecutionRefusal> {
  const block = blockContext(context, parent, input)
  const { crypto, params } = context
  const machine = await context.nextMachine(parent, input.parentHash, input.slot, block.baseFeeWei)
  const placed = placeTransactions(input.packages, block.parent, crypto, context.natives)
  const run = new BlockRun(
    context,
    machine,
    block,
    input.packages,
    placed.some(({ body }) => body.kind === 'attestation'),
  )
  for (const transaction of placed) await run.run(transaction)
  payOut(context, machine, input, run, await context.natives.omittedLanes(input, block))
  const deltaWei = machine.state.blockDelta()
  if (deltaWei !== 0n) return { refusal: `SUPPLY_BROKEN: the sum of balances changed by ${deltaWei}` }
  const { root, nodes } = context.state.commit(parent.stateRoot, machine.state.writes())
  return {
    roots: {
      txRoot: listRoot(run.txs, crypto.keccak256),
      receiptsRoot: listRoot(run.receipts.map(encodeReceipt), crypto.keccak256),
      stateRoot: root,
      logsBloom: joinBlooms(run.receipts.map((receipt) => receipt.logsBloom)),
      gasUsed: run.gasUsed,
      gasLimit: params.blockGasLimit,
      baseFeeWei: block.baseFeeWei,
      triggerGasUsed: run.triggerGasUsed,
      triggerBaseFeeWei: block.triggerBaseFeeWei,
    },
    txs: run.txs,
    receipts: run.receipts,
    skipped: run.skipped,
    nodes,
  }
}

/** The executor of one chain. Executions may overlap: each has its own machine. */
export function createExecutor(context: ExecutionContext): Executor {
  return {
    execute: async (parent, input) => {
      if (input.slot <= parent.slot) return { refusal: `SLOT_NOT_LATER: slot ${input.slot} is not after ${parent.slot}` }
      if (input.packages.length !== context.params.laneCount) return { refusal: `LANE_COUNT: ${input.packages.length} lanes` }
      try {
        return await executeBlock(context, parent, input)
      } catch (error) {
        if (error instanceof SupplyBroken) return { refusal: `SUPPLY_BROKEN: ${error.message}` }
        throw error
      }
    },
  }
}
