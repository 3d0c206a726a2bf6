/** Accounts of the public development mnemonic, signing with viem: an implementation of EIP-712 that is not ours. @module */
import { batchMessage, type UnsignedBatch } from '#shared/oracle/batch.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { attestationDomain } from '#shared/oracle/eip712.ts'
import { batchToJson } from '#shared/oracle/json.ts'
import type { BatchJson } from '#shared/api/http-oracle.ts'
import { CALLING_LIST } from '#shared/system.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { CHAIN_ID, GENESIS } from '#test/workers/fake-chain.ts'
import { type HDAccount, mnemonicToAccount } from 'viem/accounts'

const MNEMONIC = 'test test test test test test test test test test test junk'
const known = new Map<number, HDAccount>()
/** Account by index. Derived once: the mnemonic's key stretching takes most of a second. */
export function account(addressIndex: number): HDAccount {
  const made = known.get(addressIndex) ?? mnemonicToAccount(MNEMONIC, { addressIndex })
  known.set(addressIndex, made)
  return made
}
export const lower = (address: string): Address => address.toLowerCase() as Address
/** Account 10, whose key the worker under test holds. */
export const OPERATOR = lower(account(10).address)

/** Last byte 0 or 1 instead of 27 or 28. */
export const canonical = (signature: Hex): Hex => `0x${signature.slice(2, 130)}${signature.endsWith('1c') ? '01' : '00'}`

const BATCH = [
  { name: 'sourceSet', type: 'bytes32' },
  { name: 'shard', type: 'uint16' },
  { name: 'round', type: 'uint64' },
  { name: 'observedAtMs', type: 'uint64' },
  { name: 'flat', type: 'bytes32' },
  { name: 'root', type: 'bytes32' },
] as const

/** A batch signed by a development account, as JSON. */
export async function signedBatch(index: number, batch: UnsignedBatch): Promise<BatchJson> {
  const signer = account(index)
  const signature = await signer.signTypedData({
    domain: attestationDomain(GENESIS),
    types: { Batch: BATCH },
    primaryType: 'Batch',
    message: batchMessage(batch, nobleSuite),
  })
  return batchToJson({ ...batch, provider: lower(signer.address), signature: canonical(signature) })
}

/** A `Register` intent signed by a development account. */
export async function signedRegister(
  index: number,
  message: { descHash: Hash; fundWei: bigint; relayFeeWei: bigint; nonce: bigint; deadline: bigint },
) {
  const signer = account(index)
  const signature = await signer.signTypedData({
    domain: { name: 'Fusion CallingList', version: '1', chainId: CHAIN_ID, verifyingContract: CALLING_LIST, salt: GENESIS },
    types: {
      Register: [
        { name: 'owner', type: 'address' },
        { name: 'descHash', type: 'bytes32' },
        { name: 'fundWei', type: 'uint256' },
        { name: 'relayFeeWei', type: 'uint256' },
        { name: 'nonce', type: 'uint256' },
        { name: 'deadline', type: 'uint64' },
      ],
    },
    primaryType: 'Register',
    message: { owner: signer.address, ...message },
  })
  return canonical(signature)
}
