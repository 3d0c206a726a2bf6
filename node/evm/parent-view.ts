/** The parent block as conditions and natives may read it. Source: docs/protocol.md, execution. @module */
import type { CallRequest, CallResult } from '#node/chain-reader.ts'
import { runMetered } from '#node/evm/call-meter.ts'
import type { ExecutionContext } from '#node/evm/context.ts'
import { fromHex } from '#node/evm/hex.ts'
import type { Machine } from '#node/evm/machine.ts'
import { callResultOf } from '#node/evm/native-host.ts'
import type { ParentView } from '#node/evm/native-types.ts'
import { logOf, warmUp } from '#node/evm/run-transaction.ts'
import type { Header } from '#shared/hhcm/types.ts'
import type { Address, Hash } from '#shared/types.ts'
import { Address as EvmAddress } from '@ethereumjs/util'

const ZERO_ADDRESS: Address = `0x${'00'.repeat(20)}`

/**
 * Runs a message call or creation on a machine whose state is thrown away or undone afterwards. The gas limit and the gas reported include
 * `intrinsicGas`, which only a transaction has.
 */
export async function runCall(machine: Machine, request: CallRequest, gasLimit: bigint, intrinsicGas = 0n): Promise<CallResult> {
  const { from = ZERO_ADDRESS, to = null, data = new Uint8Array(0), valueWei = 0n, gasPriceWei = 0n, isStatic = false } = request
  machine.state.beginTransaction()
  warmUp(machine, from, to, [])
  const result = await runMetered(machine, gasLimit, intrinsicGas, () =>
    machine.evm.runCall({
      block: machine.block,
      gasPrice: gasPriceWei,
      caller: new EvmAddress(fromHex(from)),
      ...(to === null ? {} : { to: new EvmAddress(fromHex(to)) }),
      value: valueWei,
      data,
      gasLimit: gasLimit - intrinsicGas,
      isStatic,
    }),
  )
  machine.evm.journal.cleanJournal()
  return callResultOf(result, (result.execResult.logs ?? []).map(logOf), intrinsicGas)
}

/** View on a block as parent of the next. */
export function parentViewOf(context: ExecutionContext, hash: Hash, header: Header): ParentView {
  return {
    header,
    state: context.state.view(header.stateRoot),
    ancestor: (height) => {
      const found = context.ancestor(hash, header, height)
      if (found === null) return null
      const receipts = context.receiptsByHash(found.hash)
      return receipts === null ? null : { header: found.header, receipts }
    },
    call: async (request) => runCall(await context.machineAt(header), request, request.gasLimit ?? context.params.blockGasLimit),
  }
}
