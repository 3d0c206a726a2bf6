/**
 * What makes a user transaction valid: rules that hold on every head, then rules of one account state. Pool, package checks and executor ask here.
 * Wordings are the ones Ethereum clients use, because wallets and libraries match on them.
 * @module
 */

import { intrinsicGas, maxCostWei } from '#shared/chain/user-transaction.ts'
import type { UserTransaction } from '#shared/chain/user-transaction.ts'
import type { Refusal, StateView } from '#shared/chain/types.ts'
import type { Wei } from '#shared/types.ts'

/** EIP-3860. */
const INIT_CODE_BYTES_MAX = 49_152
/** EIP-2681. */
const NONCE_MAX = 2n ** 64n - 2n
/** EIP-7702 delegation designator: an account with this code still signs transactions. */
const DELEGATION_PREFIX = [0xef, 0x01, 0x00] as const

/** Codes that are wrong whatever the head: the peer that sent such a transaction loses score. */
const FAULT_CODES: ReadonlySet<string> = new Set([
  'OVERSIZED',
  'MALFORMED',
  'TYPE_UNSUPPORTED',
  'SIGNATURE_INVALID',
  'CHAIN_ID_WRONG',
  'UNPROTECTED',
  'INTRINSIC_GAS',
  'GAS_LIMIT',
  'FEE_INVERTED',
  'NONCE_MAX',
  'INIT_CODE_SIZE',
  'NOT_GOSSIPED',
])

/** Whether a refusal proves that whoever relayed the transaction did not check it. */
export const isPeerFault = (refusal: Refusal): boolean => FAULT_CODES.has(refusal.code)

/** A refusal with its stable code. */
export const refuse = (code: string, message: string): Refusal => ({ code, message })

/** Rules that need no state. Null when all hold. */
export function checkStatic(tx: UserTransaction, chainId: number, blockGasLimit: bigint): Refusal | null {
  if (tx.chainId === null) return refuse('UNPROTECTED', 'only replay-protected (EIP-155) transactions allowed over RPC')
  if (tx.chainId !== BigInt(chainId)) return refuse('CHAIN_ID_WRONG', `invalid chain id for signer: have ${tx.chainId} want ${chainId}`)
  if (tx.nonce > NONCE_MAX) return refuse('NONCE_MAX', 'nonce has max value')
  if (tx.maxPriorityFeePerGasWei > tx.maxFeePerGasWei)
    return refuse(
      'FEE_INVERTED',
      `max priority fee per gas higher than max fee per gas: maxPriorityFeePerGas: ${tx.maxPriorityFeePerGasWei}, maxFeePerGas: ${tx.maxFeePerGasWei}`,
    )
  if (tx.gasLimit > blockGasLimit) return refuse('GAS_LIMIT', `exceeds block gas limit: ${tx.gasLimit} > ${blockGasLimit}`)
  if (tx.to === null && tx.data.length > INIT_CODE_BYTES_MAX)
    return refuse('INIT_CODE_SIZE', `max initcode size exceeded: code size ${tx.data.length}, limit ${INIT_CODE_BYTES_MAX}`)
  if (tx.type === 4 && (tx.to === null || tx.authorizations.length === 0))
    return refuse('MALFORMED', 'set code transaction must have a destination and an authorization')
  const least = intrinsicGas(tx)
  if (tx.gasLimit < least) return refuse('INTRINSIC_GAS', `intrinsic gas too low: gas ${tx.gasLimit}, minimum needed ${least}`)
  return null
}

const isDelegation = (code: Uint8Array): boolean => code.length === 23 && DELEGATION_PREFIX.every((byte, index) => code[index] === byte)

/** Rules of the sender's account. `queuedCostWei` is what its other waiting transactions can take. */
export function checkAccount(tx: UserTransaction, state: StateView, queuedCostWei: Wei): Refusal | null {
  const account = state.account(tx.sender)
  const nonce = account?.nonce ?? 0n
  if (tx.nonce < nonce) return refuse('NONCE_TOO_LOW', `nonce too low: next nonce ${nonce}, tx nonce ${tx.nonce}`)
  const balanceWei = account?.balanceWei ?? 0n
  const costWei = maxCostWei(tx) + queuedCostWei
  if (balanceWei < costWei)
    return refuse(
      'INSUFFICIENT_FUNDS',
      `insufficient funds for gas * price + value: balance ${balanceWei}, tx cost ${costWei}, overshot ${costWei - balanceWei}`,
    )
  const code = account === null ? new Uint8Array(0) : state.code(tx.sender)
  if (code.length > 0 && !isDelegation(code)) return refuse('SENDER_HAS_CODE', 'sender not an eoa')
  return null
}

/** A replacement pays at least 10 % more in both fees. */
export function mayReplace(old: UserTransaction, next: UserTransaction): boolean {
  const raised = (before: Wei, after: Wei): boolean => after * 10n >= before * 11n && after > before
  return (
    raised(old.maxFeePerGasWei, next.maxFeePerGasWei) &&
    (old.maxPriorityFeePerGasWei === 0n || raised(old.maxPriorityFeePerGasWei, next.maxPriorityFeePerGasWei))
  )
}
