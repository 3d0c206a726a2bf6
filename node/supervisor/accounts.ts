/** The funded development accounts: derived from the public test phrase, worthless anywhere else. @module */
import { bytesToHex } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import type { Address, Hex } from '#shared/types.ts'

const PHRASE = 'test test test test test test test test test test test junk'

/** Account that owns the demo's source sets and pays for its triggers. */
export const OWNER_INDEX = 0
/** Operator of the edge, also its provider and reporter key. */
export const OPERATOR_INDEX = 10
/** Members of the source set "demo". */
export const PROVIDER_INDEXES = [20, 21, 22, 23] as const

export type DevAccount = Readonly<{ index: number; address: Address; privateKey: Hex }>

/** The account at a BIP-44 index of the test phrase. */
export function devAccount(index: number): DevAccount {
  const account = mnemonicToAccount(PHRASE, { addressIndex: index })
  const key = account.getHdKey().privateKey
  if (key === null) throw new Error('the phrase gives a private key')
  return { index, address: account.address.toLowerCase() as Address, privateKey: bytesToHex(key) }
}
