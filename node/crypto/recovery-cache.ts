/** Remembers recovered signers: a transaction is met in the pool, in a package and in a block, and recovered once. @module */
import { toHex } from '#node/evm/hex.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { Address } from '#shared/types.ts'

/** The same suite; the last `capacity` to twice as many recoveries are answered from memory. */
export function withRecoveryCache(suite: CryptoSuite, capacity: number): CryptoSuite {
  let recent = new Map<string, Address | null>()
  let older = new Map<string, Address | null>()
  const remember = (key: string, signer: Address | null): void => {
    if (recent.size >= capacity) {
      older = recent
      recent = new Map()
    }
    recent.set(key, signer)
  }
  return {
    ...suite,
    recoverAddress: (digest, r, s, yParity) => {
      const key = `${toHex(digest)}${toHex(r)}${toHex(s)}${yParity}`
      const known = recent.has(key) ? recent.get(key) : older.get(key)
      if (known !== undefined) return known
      const signer = suite.recoverAddress(digest, r, s, yParity)
      remember(key, signer)
      return signer
    },
  }
}
