/** Calls and gas estimates on the state after any retained block. Source: execution API `eth_call`, `eth_estimateGas`. @module */
import type { CallRequest, CallResult, EvmCaller, StateOverride } from '#node/chain-reader.ts'
import { createAccessList } from '#node/evm/access-list.ts'
import type { BlockState } from '#node/evm/block-state.ts'
import type { ExecutionContext } from '#node/evm/context.ts'
import { fromHex } from '#node/evm/hex.ts'
import type { Machine } from '#node/evm/machine.ts'
import { runCall } from '#node/evm/parent-view.ts'
import { EMPTY_CODE_HASH } from '#node/evm/state-db.ts'
import { EMPTY_ROOT } from '#node/evm/trie.ts'
import { intrinsicGas } from '#shared/chain/user-transaction.ts'
import type { Header } from '#shared/hhcm/types.ts'
import type { Address, Hash } from '#shared/types.ts'

/** Plain transfer. */
const TRANSFER_GAS = 21_000n
/** Estimates may exceed the least limit by 1/64. */
const TOLERANCE = 64n
/** What a call passes on at most, EIP-150, and the stipend of a call with value: a first guess above what was used. */
const STIPEND_GAS = 2300n

const entries = (slots: Readonly<Record<Hash, Hash>>): [Hash, Hash][] => Object.entries(slots) as [Hash, Hash][]

function applyOverride(state: BlockState, override: StateOverride): void {
  for (const [address, { balanceWei, nonce, code, state: whole, stateDiff }] of Object.entries(override) as [
    Address,
    StateOverride[Address],
  ][]) {
    const account = state.account(address) ?? { nonce: 0n, balanceWei: 0n, storageRoot: EMPTY_ROOT, codeHash: EMPTY_CODE_HASH }
    state.setAccount(address, { ...account, balanceWei: balanceWei ?? account.balanceWei, nonce: nonce ?? account.nonce })
    if (code !== undefined) state.setCode(address, code)
    if (whole !== undefined) {
      state.dropStorage(address)
      for (const [slot, value] of entries(whole)) state.setSlot(address, slot, fromHex(value))
    }
    for (const [slot, value] of entries(stateDiff ?? {})) state.setSlot(address, slot, fromHex(value))
  }
}

const intrinsicOf = (request: CallRequest): bigint =>
  intrinsicGas({ to: request.to ?? null, data: request.data ?? new Uint8Array(0), accessList: [], authorizations: [] })

/** Runs with a whole gas limit, intrinsic gas included, and leaves the state as it was. */
async function attempt(machine: Machine, request: CallRequest, gasLimit: bigint): Promise<CallResult> {
  machine.state.mark()
  const result = await runCall(machine, request, gasLimit, intrinsicOf(request))
  machine.state.undo()
  return result
}

/** Most gas the request may take: its own limit, the block's, and what the sender can pay at the price it names. */
function gasCap(machine: Machine, request: CallRequest, blockGasLimit: bigint): bigint {
  const limit = request.gasLimit !== undefined && request.gasLimit < blockGasLimit ? request.gasLimit : blockGasLimit
  if (request.from === undefined || request.gasPriceWei === undefined || request.gasPriceWei === 0n) return limit
  const freeWei = machine.state.balance(request.from) - (request.valueWei ?? 0n)
  const affordable = freeWei <= 0n ? 0n : freeWei / request.gasPriceWei
  return affordable < limit ? affordable : limit
}

const failure = (error: string): CallResult => ({
  success: false,
  returnData: new Uint8Array(0),
  gasUsed: 0n,
  error,
  logs: [],
  createdAddress: null,
})

/** Least limit in (low, high] that succeeds, to within the tolerance; `high` is known to succeed. */
async function search(machine: Machine, request: CallRequest, from: bigint, cap: bigint, guess: bigint): Promise<bigint> {
  let low = from
  let high = cap
  let middle = guess < cap ? guess : (low + high) / 2n
  while (low + 1n < high && high - low > high / TOLERANCE) {
    if ((await attempt(machine, request, middle)).success) high = middle
    else low = middle
    middle = (low + high) / 2n
  }
  return high
}

async function estimate(machine: Machine, request: CallRequest, blockGasLimit: bigint): Promise<Readonly<{ gas: bigint }> | CallResult> {
  const cap = gasCap(machine, request, blockGasLimit)
  const intrinsic = intrinsicOf(request)
  if (cap < intrinsic) return failure('gas required exceeds allowance')
  const isTransfer = (request.data?.length ?? 0) === 0 && typeof request.to === 'string' && machine.state.code(request.to).length === 0
  if (isTransfer && (await attempt(machine, request, TRANSFER_GAS)).success) return { gas: TRANSFER_GAS }
  const whole = await attempt(machine, request, cap)
  if (!whole.success) return whole
  const guess = ((whole.gasUsed + STIPEND_GAS) * TOLERANCE) / (TOLERANCE - 1n)
  return { gas: await search(machine, request, whole.gasUsed - 1n, cap, guess) }
}

/**
 * Calls of one chain. `call` takes the gas limit of a transaction, intrinsic gas included, and reports gas the same way; `error` is the
 * EVM's name, `revert` for a revert.
 */
export function createEvmCaller(context: ExecutionContext): EvmCaller {
  const machineFor = async (header: Header, override: StateOverride | undefined): Promise<Machine> => {
    const machine = await context.machineAt(header)
    if (override !== undefined) applyOverride(machine.state, override)
    return machine
  }
  return {
    call: async (request, header, override) => {
      const gasLimit = request.gasLimit ?? context.params.blockGasLimit
      if (gasLimit < intrinsicOf(request)) return failure('out of gas')
      return await attempt(await machineFor(header, override), request, gasLimit)
    },
    estimateGas: async (request, header, override) =>
      await estimate(await machineFor(header, override), request, context.params.blockGasLimit),
    accessList: (request, header) => createAccessList(context, request, header),
  }
}
