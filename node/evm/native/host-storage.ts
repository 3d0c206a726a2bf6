/** Storage readings and writes through the host of an executing native transaction. @module */
import type { NativeHost } from '#node/chain-reader.ts'
import type { Reading, StorageWrite } from '#shared/codec/solidity-storage.ts'
import type { Address } from '#shared/types.ts'

/** Runs a reading on the state as it is at this turn. */
export async function readAtTurn<T>(reading: Reading<T>, host: NativeHost): Promise<T> {
  let step = reading.next()
  while (step.done !== true) {
    const { value } = step
    step = reading.next(value.kind === 'slot' ? await host.storage(value.address, value.slot) : await host.code(value.address))
  }
  return step.value
}

/** Writes words of one contract. */
export async function writeAtTurn(host: NativeHost, address: Address, writes: readonly StorageWrite[]): Promise<void> {
  for (const { slot, value } of writes) await host.setStorage(address, slot, value)
}
