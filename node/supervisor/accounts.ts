/** The funded development accounts: derived from the public test phrase, worthless anywhere else. @module */
import { bytesToHex } from 'viem'
import { mnemonicToAccount, privateKeyToAddress } from 'viem/accounts'
import type { Address, Hex } from '#shared/types.ts'

const PHRASE = 'test test test test test test test test test test test junk'

/** Account that owns the demo's source sets and pays for its triggers. */
export const OWNER_INDEX = 0
/** Operator of the edge, also its provider and reporter key. */
export const OPERATOR_INDEX = 10
/** Members of the source set "demo". */
export const PROVIDER_INDEXES = [20, 21, 22, 23] as const

export type DevAccount = Readonly<{ index: number; address: Address; privateKey: Hex }>

/** Key above all accounts. Derived once: stretching the phrase costs a tenth of a second. */
let parent: ReturnType<ReturnType<typeof mnemonicToAccount>['getHdKey']> | null = null

/** The account at a BIP-44 index of the test phrase. */
export function devAccount(index: number): DevAccount {
  parent ??= mnemonicToAccount(PHRASE, { path: "m/44'/60'/0'/0" }).getHdKey()
  const { privateKey } = parent.deriveChild(index)
  if (privateKey === null) throw new Error('the phrase gives a private key')
  const key = bytesToHex(privateKey)
  return { index, address: privateKeyToAddress(key).toLowerCase() as Address, privateKey: key }
}
