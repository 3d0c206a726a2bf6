/**
 * One user transaction at its turn: checked against the state as it is now, then executed and charged.
 * Fees go to the block's coinbase in full, base fee included; the executor splits them after the last transaction.
 * Sources: yellow paper 6; EIP-1559, 2929, 2930, 3529, 3607, 3651, 3860, 6780, 7702.
 * @module
 */
import { applyAuthorizations } from '#node/evm/authorizations.ts'
import { runMetered } from '#node/evm/call-meter.ts'
import type { MeteredResult } from '#node/evm/call-meter.ts'
import { fromHex, toHex } from '#node/evm/hex.ts'
import type { Machine } from '#node/evm/machine.ts'
import { checkAccount, checkStatic } from '#shared/chain/user-rules.ts'
import { intrinsicGas } from '#shared/chain/user-transaction.ts'
import type { UserTransaction } from '#shared/chain/user-transaction.ts'
import type { Log } from '#shared/chain/types.ts'
import type { Address, Wei } from '#shared/types.ts'
import type { EVMResult, Log as EvmLog } from '@ethereumjs/evm'
import { Address as EvmAddress } from '@ethereumjs/util'

/** EIP-3529. */
const REFUND_QUOTIENT = 5n

export type TransactionOutcome =
  | Readonly<{ skip: string }>
  | Readonly<{
      status: 0 | 1
      gasUsed: bigint
      effectiveGasPriceWei: Wei
      logs: readonly Log[]
      contractAddress: Address | null
      /** Whether a contract self-destructed, which may have destroyed balance. */
      hasSelfDestruct: boolean
    }>

/** Chain id and what gas the block has left for this transaction. */
export type TransactionRules = Readonly<{ chainId: number; blockGasLimit: bigint; gasLeft: bigint }>

/** A log as the EVM library gives it, in our form. */
export function logOf([address, topics, data]: EvmLog): Log {
  return { address: toHex(address), topics: topics.map(toHex), data }
}

/** What the sender pays per gas. */
export function effectiveGasPrice(tx: Pick<UserTransaction, 'maxFeePerGasWei' | 'maxPriorityFeePerGasWei'>, baseFeeWei: Wei): Wei {
  const wanted = baseFeeWei + tx.maxPriorityFeePerGasWei
  return wanted < tx.maxFeePerGasWei ? wanted : tx.maxFeePerGasWei
}

/** Why the transaction cannot run now; null when it can. */
function refusalAtTurn(machine: Machine, tx: UserTransaction, rules: TransactionRules): string | null {
  const fixed = checkStatic(tx, rules.chainId, rules.blockGasLimit)
  if (fixed !== null) return fixed.code
  if (tx.gasLimit > rules.gasLeft) return 'BLOCK_GAS_EXHAUSTED'
  if (tx.maxFeePerGasWei < (machine.block.header.baseFeePerGas ?? 0n)) return 'FEE_TOO_LOW'
  const account = checkAccount(tx, machine.state.view(), 0n)
  if (account !== null) return account.code
  return tx.nonce > (machine.state.account(tx.sender)?.nonce ?? 0n) ? 'NONCE_TOO_HIGH' : null
}

/** Everything EIP-2929, 2930 and 3651 make warm from the start. Also used for native calls. */
export function warmUp(machine: Machine, caller: Address, to: Address | null, accessList: UserTransaction['accessList']): void {
  const { journal, precompiles } = machine.evm
  for (const address of precompiles.keys()) journal.addAlwaysWarmAddress(address)
  journal.addAlwaysWarmAddress(caller)
  if (to !== null) journal.addAlwaysWarmAddress(to)
  journal.addAlwaysWarmAddress(toHex(machine.block.header.coinbase.bytes))
  for (const { address, storageKeys } of accessList) {
    journal.addAlwaysWarmAddress(address, true)
    for (const key of storageKeys) journal.addAlwaysWarmSlot(address, key, true)
  }
}

/** Deletes what self-destructed and was created in this transaction, then touched empty accounts. */
export async function finishAccounts(machine: Machine, results: readonly EVMResult[]): Promise<void> {
  const { journal } = machine.evm
  for (const { execResult } of results) {
    for (const address of execResult.selfdestruct?.keys() ?? []) {
      if (execResult.createdAddresses?.has(address) === true) await journal.deleteAccount(new EvmAddress(fromHex(address)))
    }
  }
  await journal.cleanup()
}

async function call(machine: Machine, tx: UserTransaction, gasPrice: Wei, intrinsic: bigint): Promise<MeteredResult> {
  return await runMetered(machine, tx.gasLimit, intrinsic, () =>
    machine.evm.runCall({
      block: machine.block,
      gasPrice,
      caller: new EvmAddress(fromHex(tx.sender)),
      gasLimit: tx.gasLimit - intrinsic,
      ...(tx.to === null ? {} : { to: new EvmAddress(fromHex(tx.to)) }),
      value: tx.valueWei,
      data: tx.data,
      skipNonceIncrement: true,
    }),
  )
}

/** Gas to charge: after the refund, which is at most a fifth, but no less than the floor of the calls that were made. */
export function chargedGas(gasUsed: bigint, refund: bigint, floorGas: bigint): bigint {
  const most = gasUsed / REFUND_QUOTIENT
  const left = gasUsed - (refund < most ? refund : most)
  return left < floorGas ? floorGas : left
}

/** Executes or skips. A skipped transaction changes nothing. The caller brackets it with `beginTransaction` and a mark. */
export async function runTransaction(machine: Machine, tx: UserTransaction, rules: TransactionRules): Promise<TransactionOutcome> {
  const refusal = refusalAtTurn(machine, tx, rules)
  if (refusal !== null) return { skip: refusal }
  const { state, evm, block } = machine
  const price = effectiveGasPrice(tx, block.header.baseFeePerGas ?? 0n)
  const intrinsic = intrinsicGas(tx)
  warmUp(machine, tx.sender, tx.to, tx.accessList)
  state.addBalance(tx.sender, -tx.gasLimit * price)
  state.increaseNonce(tx.sender)
  const authorizationRefund = applyAuthorizations(machine, BigInt(rules.chainId), tx)
  const result = await call(machine, tx, price, intrinsic)
  const { execResult } = result
  const refund = authorizationRefund + (execResult.gasRefund ?? 0n)
  const gasUsed = chargedGas(execResult.executionGasUsed + intrinsic, refund, result.floorGas)
  const coinbase = toHex(block.header.coinbase.bytes)
  state.addBalance(tx.sender, (tx.gasLimit - gasUsed) * price)
  state.addBalance(coinbase, gasUsed * price)
  await evm.journal.putAccount(block.header.coinbase, await state.getAccount(block.header.coinbase))
  await finishAccounts(machine, [result])
  const isOk = execResult.exceptionError === undefined
  return {
    status: isOk ? 1 : 0,
    gasUsed,
    effectiveGasPriceWei: price,
    logs: (execResult.logs ?? []).map(logOf),
    contractAddress: tx.to === null && isOk && result.createdAddress !== undefined ? toHex(result.createdAddress.bytes) : null,
    hasSelfDestruct: (execResult.selfdestruct?.size ?? 0) > 0,
  }
}
