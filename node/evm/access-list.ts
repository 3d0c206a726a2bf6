/** The access list a call would profit from. Source: EIP-2930, eth_createAccessList of the execution API. @module */
import type { CallRequest, CallResult } from '#node/chain-reader.ts'
import type { ExecutionContext } from '#node/evm/context.ts'
import { toHex } from '#node/evm/hex.ts'
import type { Machine } from '#node/evm/machine.ts'
import { runCall } from '#node/evm/parent-view.ts'
import { warmUp } from '#node/evm/run-transaction.ts'
import { intrinsicGas } from '#shared/chain/user-transaction.ts'
import type { AccessListItem } from '#shared/chain/user-transaction.ts'
import { compareHex } from '#shared/bytes.ts'
import type { Header } from '#shared/hhcm/types.ts'
import type { Address, Hash } from '#shared/types.ts'

/** The list, sorted, and what the call does with it. */
export type AccessListResult = Readonly<{ accessList: readonly AccessListItem[]; result: CallResult }>

/** What the run touched beyond what every transaction finds warm anyway; such addresses appear with their slots only. */
function touchedList(machine: Machine, request: CallRequest, touched: ReadonlyMap<string, ReadonlySet<string>>): readonly AccessListItem[] {
  const warm = new Set<string>([...machine.evm.precompiles.keys()].map((address) => `0x${address.replace(/^0x/, '')}`))
  for (const address of [request.from, request.to, toHex(machine.block.header.coinbase.bytes)])
    if (typeof address === 'string') warm.add(address)
  return [...touched]
    .map(([address, slots]) => ({
      address: `0x${address}` as Address,
      storageKeys: [...slots].map((slot): Hash => `0x${slot.padStart(64, '0')}`).toSorted(compareHex),
    }))
    .filter(({ address, storageKeys }) => storageKeys.length > 0 || !warm.has(address))
    .toSorted((left, right) => compareHex(left.address, right.address))
}

/** Runs twice: cold to see what is touched, then with the list warm for the gas it costs with it. */
export async function createAccessList(context: ExecutionContext, request: CallRequest, header: Header): Promise<AccessListResult> {
  const gasLimit = request.gasLimit ?? context.params.blockGasLimit
  const data = request.data ?? new Uint8Array(0)
  const to = request.to ?? null
  const cold = await context.machineAt(header)
  cold.evm.journal.startReportingAccessList()
  const touched = cold.evm.journal.accessList ?? new Map<string, Set<string>>()
  await runCall(cold, request, gasLimit, intrinsicGas({ to, data, accessList: [], authorizations: [] }))
  const accessList = touchedList(cold, request, touched)
  const warm = await context.machineAt(header)
  warm.state.beginTransaction()
  warmUp(warm, request.from ?? `0x${'00'.repeat(20)}`, to, accessList)
  const intrinsic = intrinsicGas({ to, data, accessList, authorizations: [] })
  return { accessList, result: await runCall(warm, request, gasLimit, intrinsic) }
}
