/** eth_fillTransaction: what the caller left open is completed as the node would, unsigned. @module */
import type { RpcContext } from '#node/rpc/context.ts'
import { nextBaseFeeWei, suggestedTipWei } from '#node/rpc/fee-methods.ts'
import type { CallObject } from '#node/rpc/params.ts'
import { toQuantity } from '#node/rpc/quantity.ts'
import { invalidParams } from '#node/rpc/rpc-error.ts'
import { bytesToHex, concatBytes } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import type { RlpInput } from '#shared/codec/rlp.ts'
import type { Address, Wei } from '#shared/types.ts'

type Fees = Readonly<{ gasPriceWei: Wei } | { feeWei: Wei; tipWei: Wei }>

type Filled = Readonly<{
  chainId: number
  nonce: bigint
  from: Address
  to: Address | null
  valueWei: Wei
  gas: bigint
  input: Uint8Array
  accessList: NonNullable<CallObject['accessList']>
  authorizations: NonNullable<CallObject['authorizationList']>
  fees: Fees
}>

function feesOf(call: CallObject, context: RpcContext): Fees {
  if (typeof call.gasPrice === 'bigint') return { gasPriceWei: call.gasPrice }
  const tipWei = call.maxPriorityFeePerGas ?? suggestedTipWei(context)
  return { tipWei, feeWei: call.maxFeePerGas ?? 2n * nextBaseFeeWei(context) + tipWei }
}

/** Unsigned EIP-2718 envelope: what a wallet signs. */
function unsignedRaw(tx: Filled): Uint8Array {
  const target = tx.to ?? new Uint8Array(0)
  const body: RlpInput[] = [tx.gas, target, tx.valueWei, tx.input]
  if ('gasPriceWei' in tx.fees) return encodeRlp([tx.nonce, tx.fees.gasPriceWei, ...body, tx.chainId, 0, 0])
  const list = tx.accessList.map((item) => [item.address, item.storageKeys] as const)
  const fields: RlpInput[] = [tx.chainId, tx.nonce, tx.fees.tipWei, tx.fees.feeWei, ...body, list]
  if (tx.authorizations.length === 0) return concatBytes(Uint8Array.of(2), encodeRlp(fields))
  const authorizations = tx.authorizations.map(
    (one) => [one.chainId, one.address, one.nonce, one.yParity ?? 0, one.r ?? 0, one.s ?? 0] as const,
  )
  return concatBytes(Uint8Array.of(4), encodeRlp([...fields, authorizations]))
}

type AuthorizationInput = Filled['authorizations'][number]

const authorizationJson = ({ chainId, address, nonce, yParity = 0n, r = 0n, s = 0n }: AuthorizationInput) => ({
  chainId: toQuantity(chainId),
  address,
  nonce: toQuantity(nonce),
  yParity: toQuantity(yParity),
  r: toQuantity(r),
  s: toQuantity(s),
})

function render(tx: Filled, raw: Uint8Array, context: RpcContext): unknown {
  const fees =
    'gasPriceWei' in tx.fees
      ? { type: '0x0', gasPrice: toQuantity(tx.fees.gasPriceWei) }
      : {
          ...(tx.authorizations.length === 0
            ? { type: '0x2' }
            : { type: '0x4', authorizationList: tx.authorizations.map(authorizationJson) }),
          maxFeePerGas: toQuantity(tx.fees.feeWei),
          maxPriorityFeePerGas: toQuantity(tx.fees.tipWei),
          accessList: tx.accessList,
        }
  return {
    ...fees,
    chainId: toQuantity(tx.chainId),
    nonce: toQuantity(tx.nonce),
    from: tx.from,
    to: tx.to,
    value: toQuantity(tx.valueWei),
    gas: toQuantity(tx.gas),
    input: bytesToHex(tx.input),
    v: '0x0',
    r: '0x0',
    s: '0x0',
    hash: bytesToHex(context.crypto.keccak256(raw)),
  }
}

/** Raw and JSON form of the completed transaction. `estimate` is asked for gas when the caller gave none. */
export async function fillTransaction(call: CallObject, context: RpcContext, estimate: () => Promise<bigint>): Promise<unknown> {
  const { chainId } = context.chain
  if (typeof call.from !== 'string') throw invalidParams('from is required')
  if (typeof call.chainId === 'bigint' && call.chainId !== BigInt(chainId))
    throw invalidParams(`chainId does not match node's (have=${call.chainId}, want=${chainId})`)
  const tx: Filled = {
    chainId,
    nonce: call.nonce ?? context.pool.nextNonce(call.from),
    from: call.from,
    to: call.to ?? null,
    valueWei: call.value ?? 0n,
    gas: call.gas ?? (await estimate()),
    input: call.input ?? call.data ?? new Uint8Array(0),
    accessList: call.accessList ?? [],
    authorizations: call.authorizationList ?? [],
    fees: feesOf(call, context),
  }
  const raw = unsignedRaw(tx)
  return { raw: bytesToHex(raw), tx: render(tx, raw, context) }
}
