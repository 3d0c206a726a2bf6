/** Calls of the calling list: intents as its contract takes them, and its answers. @module */
import { decodeErrorResult, decodeFunctionResult, encodeFunctionData } from 'viem'
import { callingListAbi } from '#shared/api/abi/calling-list.ts'
import { CALLING_LIST } from '#shared/system.ts'
import type { Intent } from '#shared/trigger/intents.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { ethCall } from '#workers/chain/rpc.ts'
import type { Env } from '#workers/env.ts'

/** Call data that brings a signed intent. `description` is the encoding whose hash the owner signed; empty where there is none. */
export function intentCall(intent: Intent, description: Hex, signature: Hex): Hex {
  const { kind, message } = intent
  const relay = { feeWei: message.relayFeeWei, nonce: message.nonce, deadline: message.deadline, signature }
  switch (kind) {
    case 'Register':
      return encodeFunctionData({
        abi: callingListAbi,
        functionName: 'registerFor',
        args: [message.owner, description, message.fundWei, relay],
      })
    case 'Revise':
      return encodeFunctionData({ abi: callingListAbi, functionName: 'reviseFor', args: [message.owner, message.id, description, relay] })
    case 'Pause':
      return encodeFunctionData({ abi: callingListAbi, functionName: 'pauseFor', args: [message.owner, message.id, relay] })
    case 'Resume':
      return encodeFunctionData({ abi: callingListAbi, functionName: 'resumeFor', args: [message.owner, message.id, relay] })
    case 'Fund':
      return encodeFunctionData({
        abi: callingListAbi,
        functionName: 'fundFor',
        args: [message.owner, message.id, message.amountWei, relay],
      })
    case 'Withdraw':
      return encodeFunctionData({
        abi: callingListAbi,
        functionName: 'withdrawFor',
        args: [message.owner, message.id, message.amountWei, relay],
      })
    case 'Cancel':
      return encodeFunctionData({ abi: callingListAbi, functionName: 'cancelFor', args: [message.owner, message.id, relay] })
  }
}

/** Why the contract refuses, as text; `expectedNonce` when the only fault is the intent's nonce. */
export type ListRefusal = Readonly<{ text: string; expectedNonce: bigint | null }>

/** An error of the contract, or null for data that is none of its. */
export function callingListError(data: Hex | null): ListRefusal | null {
  if (data === null) return null
  try {
    // The decoder leaves `args` out for an error that has none, whatever its type says.
    const decoded: { errorName: string; args?: readonly unknown[] | undefined } = decodeErrorResult({ abi: callingListAbi, data })
    const [first] = decoded.args ?? []
    const expectedNonce = decoded.errorName === 'IntentNonce' && typeof first === 'bigint' ? first : null
    return { text: `${decoded.errorName}(${(decoded.args ?? []).map(String).join(', ')})`, expectedNonce }
  } catch {
    return null
  }
}

/** What an owner has for deposits, funding and relay fees. */
export async function ownerBalance(env: Env, owner: Address): Promise<bigint> {
  const data = encodeFunctionData({ abi: callingListAbi, functionName: 'balanceOf', args: [owner] })
  return decodeFunctionResult({ abi: callingListAbi, functionName: 'balanceOf', data: await ethCall(env, { to: CALLING_LIST, data }) })
}

/** Whether the chain has consumed this occurrence of a payment. */
export async function isFired(env: Env, fireKey: Hash): Promise<boolean> {
  const data = encodeFunctionData({ abi: callingListAbi, functionName: 'firedAt', args: [fireKey] })
  return decodeFunctionResult({ abi: callingListAbi, functionName: 'firedAt', data: await ethCall(env, { to: CALLING_LIST, data }) }) > 0n
}
