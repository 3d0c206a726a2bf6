/** `eth_` methods that read accounts, with Merkle proofs for every block the node holds. Proof form: EIP-1186. @module */
import { requireBlock } from '#node/rpc/block-lookup.ts'
import { method } from '#node/rpc/context.ts'
import type { MethodTable, RpcContext } from '#node/rpc/context.ts'
import { address, blockRef, slot } from '#node/rpc/params.ts'
import type { BlockRef } from '#node/rpc/params.ts'
import { toQuantity } from '#node/rpc/quantity.ts'
import { invalidParams } from '#node/rpc/rpc-error.ts'
import { bytesToBigint, bytesToHex, hexToBytes } from '#shared/bytes.ts'
import type { StateView } from '#shared/chain/types.ts'
import type { Address, Hash } from '#shared/types.ts'
import * as z from 'zod'

/** Root of an empty trie: keccak256(rlp('')). */
const EMPTY_ROOT: Hash = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'
/** keccak256 of nothing. */
const EMPTY_CODE: Hash = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'
const PROOF_SLOTS_MAX = 1024

const stateOf = (ref: BlockRef, context: RpcContext): StateView => context.chain.stateAt(requireBlock(ref, context).header)

function transactionCount(account: Address, ref: BlockRef, context: RpcContext): unknown {
  if (ref.kind === 'tag' && ref.tag === 'pending') return toQuantity(context.pool.nextNonce(account))
  return toQuantity(stateOf(ref, context).account(account)?.nonce ?? 0n)
}

function accountProof(target: Address, slots: readonly Hash[], ref: BlockRef, context: RpcContext): unknown {
  const { header } = requireBlock(ref, context)
  const state = context.chain.stateAt(header)
  const proof = context.chain.proof(header, target, slots)
  const account = state.account(target)
  return {
    address: target,
    accountProof: proof.account.map(bytesToHex),
    balance: toQuantity(account?.balanceWei ?? 0n),
    codeHash: account?.codeHash ?? EMPTY_CODE,
    nonce: toQuantity(account?.nonce ?? 0n),
    storageHash: account?.storageRoot ?? EMPTY_ROOT,
    storageProof: slots.map((key, index) => ({
      key,
      value: toQuantity(bytesToBigint(hexToBytes(state.storage(target, key)))),
      proof: (proof.slots[index] ?? []).map(bytesToHex),
    })),
  }
}

function accountInfo(target: Address, ref: BlockRef, context: RpcContext): unknown {
  const state = stateOf(ref, context)
  const account = state.account(target)
  return { balance: toQuantity(account?.balanceWei ?? 0n), nonce: toQuantity(account?.nonce ?? 0n), code: bytesToHex(state.code(target)) }
}

/** Slots of several accounts in one answer. */
function storageValues(wanted: Readonly<Record<Address, readonly Hash[]>>, ref: BlockRef, context: RpcContext): unknown {
  const state = stateOf(ref, context)
  const entries = Object.entries(wanted) as [Address, readonly Hash[]][]
  if (entries.length === 0) throw invalidParams('empty request')
  if (entries.reduce((total, [, slots]) => total + slots.length, 0) > PROOF_SLOTS_MAX)
    throw invalidParams(`more than ${PROOF_SLOTS_MAX} slots`)
  return Object.fromEntries(entries.map(([target, slots]) => [target, slots.map((key) => state.storage(target, key))]))
}

/** Balances, nonces, code, storage and proofs. */
export const STATE_METHODS: MethodTable = {
  eth_getBalance: method(z.tuple([address, blockRef]), ([target, ref], context) =>
    toQuantity(stateOf(ref, context).account(target)?.balanceWei ?? 0n),
  ),
  eth_getCode: method(z.tuple([address, blockRef]), ([target, ref], context) => bytesToHex(stateOf(ref, context).code(target))),
  eth_getStorageAt: method(z.tuple([address, slot, blockRef]), ([target, key, ref], context) => stateOf(ref, context).storage(target, key)),
  eth_getStorageValues: method(z.tuple([z.record(address, z.array(slot)), blockRef]), ([wanted, ref], context) =>
    storageValues(wanted, ref, context),
  ),
  eth_getTransactionCount: method(z.tuple([address, blockRef]), ([target, ref], context) => transactionCount(target, ref, context)),
  eth_getProof: method(z.tuple([address, z.array(slot).max(PROOF_SLOTS_MAX), blockRef]), ([target, slots, ref], context) =>
    accountProof(target, slots, ref, context),
  ),
  eth_getAccountInfo: method(z.tuple([address, blockRef]), ([target, ref], context) => accountInfo(target, ref, context)),
}
