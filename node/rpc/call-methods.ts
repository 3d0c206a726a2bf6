/** `eth_` methods that execute without changing anything, and the one that submits. @module */
import type { CallRequest, StateOverride } from '#node/chain-reader.ts'
import { requireBlock } from '#node/rpc/block-lookup.ts'
import { method } from '#node/rpc/context.ts'
import type { MethodTable, RpcContext } from '#node/rpc/context.ts'
import { fillTransaction } from '#node/rpc/fill-transaction.ts'
import { blockRef, bytes, callObject, stateOverride } from '#node/rpc/params.ts'
import type { BlockRef, CallObject, StateOverrideInput } from '#node/rpc/params.ts'
import { toQuantity } from '#node/rpc/quantity.ts'
import { executionError, SERVER_ERROR } from '#node/rpc/rpc-error.ts'
import { RpcError } from '#shared/api/json-rpc.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { Hash } from '#shared/types.ts'
import * as z from 'zod'

const LATEST: BlockRef = { kind: 'tag', tag: 'latest' }

function callRequest(call: CallObject, context: RpcContext): CallRequest {
  const { blockGasLimit } = context.params
  const gasPriceWei = call.gasPrice ?? call.maxFeePerGas ?? undefined
  const gas = call.gas ?? blockGasLimit
  return {
    ...(typeof call.from === 'string' ? { from: call.from } : {}),
    to: call.to ?? null,
    data: call.input ?? call.data ?? new Uint8Array(0),
    valueWei: call.value ?? 0n,
    gasLimit: gas > blockGasLimit ? blockGasLimit : gas,
    ...(gasPriceWei === undefined ? {} : { gasPriceWei }),
  }
}

type AccountOverride = StateOverride[keyof StateOverride]

function overrideOf(input: StateOverrideInput): StateOverride | undefined {
  if (input === null || input === undefined) return undefined
  const one = ({
    balance,
    nonce,
    code,
    state,
    stateDiff,
  }: NonNullable<StateOverrideInput>[keyof NonNullable<StateOverrideInput>]): AccountOverride => ({
    ...(balance === undefined ? {} : { balanceWei: balance }),
    ...(nonce === undefined ? {} : { nonce }),
    ...(code === undefined ? {} : { code }),
    ...(state === undefined ? {} : { state }),
    ...(stateDiff === undefined ? {} : { stateDiff }),
  })
  return Object.fromEntries(Object.entries(input).map(([address, value]) => [address, one(value)]))
}

async function call(request: CallObject, ref: BlockRef, override: StateOverrideInput, context: RpcContext): Promise<unknown> {
  const { header } = requireBlock(ref, context)
  const result = await context.evm.call(callRequest(request, context), header, overrideOf(override))
  if (!result.success) throw executionError(result.error, result.returnData)
  return bytesToHex(result.returnData)
}

/** Intrinsic cost of lists that the call itself is executed without. Sources: EIP-2930, EIP-7702. */
function listGas({ accessList, authorizationList }: CallObject): bigint {
  const keys = (accessList ?? []).reduce((total, { storageKeys }) => total + storageKeys.length, 0)
  return 2400n * BigInt(accessList?.length ?? 0) + 1900n * BigInt(keys) + 25_000n * BigInt(authorizationList?.length ?? 0)
}

async function estimate(request: CallObject, ref: BlockRef, override: StateOverrideInput, context: RpcContext): Promise<bigint> {
  const { header } = requireBlock(ref, context)
  const result = await context.evm.estimateGas(callRequest(request, context), header, overrideOf(override))
  if (!('gas' in result)) throw executionError(result.error, result.returnData)
  return result.gas + listGas(request)
}

async function accessList(request: CallObject, ref: BlockRef, context: RpcContext): Promise<unknown> {
  const { header } = requireBlock(ref, context)
  const { accessList: list, result } = await context.evm.accessList(callRequest(request, context), header)
  const error = result.success ? {} : { error: executionError(result.error, result.returnData).message }
  return { accessList: list, gasUsed: toQuantity(result.gasUsed), ...error }
}

async function submit(raw: Uint8Array, context: RpcContext): Promise<Hash> {
  const answer = await context.pool.add(raw, 'local')
  if ('hash' in answer) return answer.hash
  throw new RpcError(SERVER_ERROR, answer.message, { code: answer.code })
}

/** Calls, estimates and submission. */
export const CALL_METHODS: MethodTable = {
  eth_call: method(z.tuple([callObject, blockRef, stateOverride]), ([request, ref, override], context) =>
    call(request, ref, override, context),
  ),
  eth_estimateGas: method(z.tuple([callObject, blockRef, stateOverride]), async ([request, ref, override], context) =>
    toQuantity(await estimate(request, ref, override, context)),
  ),
  eth_createAccessList: method(z.tuple([callObject, blockRef]), ([request, ref], context) => accessList(request, ref, context)),
  eth_fillTransaction: method(z.tuple([callObject]), ([request], context) =>
    fillTransaction(request, context, () => estimate(request, LATEST, null, context)),
  ),
  eth_sendRawTransaction: method(z.tuple([bytes]), ([raw], context) => submit(raw, context)),
}
