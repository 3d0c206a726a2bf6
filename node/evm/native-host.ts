/** What a native transaction can do to the state while it executes. Source: docs/protocol.md. @module */
import type { CallResult, NativeHost } from '#node/chain-reader.ts'
import { runMetered } from '#node/evm/call-meter.ts'
import type { MeteredResult } from '#node/evm/call-meter.ts'
import { fromHex, toHex } from '#node/evm/hex.ts'
import type { Machine } from '#node/evm/machine.ts'
import { chargedGas, logOf, warmUp } from '#node/evm/run-transaction.ts'
import { padLeft } from '#shared/bytes.ts'
import type { Log } from '#shared/chain/types.ts'
import type { EVMResult } from '@ethereumjs/evm'
import { Address as EvmAddress } from '@ethereumjs/util'

/** The host, and what happened through it. */
export type HostSession = Readonly<{ host: NativeHost; logs: readonly Log[]; results: readonly EVMResult[] }>

/** What a call with too many calls in it reports: more gas would have allowed them. */
const TOO_MANY_CALLS = 'out of gas: too many message calls for the gas limit'

/** Result of a message call; `gasUsed` is what is charged, intrinsic gas included where there is one. */
export function callResultOf(result: MeteredResult, logs: readonly Log[], intrinsicGas = 0n): CallResult {
  const { execResult, createdAddress, floorGas, hasTooManyCalls } = result
  const error = hasTooManyCalls ? TOO_MANY_CALLS : (execResult.exceptionError?.error ?? null)
  return {
    success: error === null,
    returnData: execResult.returnValue,
    gasUsed: chargedGas(execResult.executionGasUsed + intrinsicGas, execResult.gasRefund ?? 0n, floorGas),
    error,
    logs,
    createdAddress: error === null && createdAddress !== undefined ? toHex(createdAddress.bytes) : null,
  }
}

/** A host for one native transaction; `gasPriceWei` is what GASPRICE shows inside its calls. */
export function openHost(machine: Machine, gasPriceWei: bigint): HostSession {
  const { state, evm, block } = machine
  const logs: Log[] = []
  const results: EVMResult[] = []
  const host: NativeHost = {
    storage: (address, slot) => Promise.resolve(toHex(padLeft(state.slot(address, slot), 32))),
    setStorage: (address, slot, value) => {
      state.setSlot(address, slot, fromHex(value))
      return Promise.resolve()
    },
    code: (address) => Promise.resolve(state.code(address)),
    balance: (address) => Promise.resolve(state.balance(address)),
    transfer: async (from, to, amountWei) => {
      if (amountWei < 0n || state.balance(from) < amountWei) return false
      for (const [address, deltaWei] of [
        [from, -amountWei],
        [to, amountWei],
      ] as const) {
        state.addBalance(address, deltaWei)
        // Through the journal too, so that an account left empty is deleted (EIP-161).
        const party = new EvmAddress(fromHex(address))
        await evm.journal.putAccount(party, await state.getAccount(party))
      }
      return true
    },
    log: (log) => logs.push(log),
    call: async ({ caller, to, data, valueWei, gasLimit }) => {
      warmUp(machine, caller, to, [])
      const sender = new EvmAddress(fromHex(caller))
      const result = await runMetered(machine, gasLimit, 0n, () =>
        evm.runCall({
          block,
          gasPrice: gasPriceWei,
          caller: sender,
          origin: sender,
          to: new EvmAddress(fromHex(to)),
          value: valueWei,
          data,
          gasLimit,
          skipNonceIncrement: true,
        }),
      )
      results.push(result)
      const made = (result.execResult.logs ?? []).map(logOf)
      logs.push(...made)
      return callResultOf(result, made)
    },
  }
  return { host, logs, results }
}
