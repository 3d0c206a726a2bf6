/** What the native transactions' rules need to know of their chain. @module */
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { Hash, Slot, UnixMs } from '#shared/types.ts'

/** Facts of one chain. */
export type NativeConfig = Readonly<{
  chainId: number
  genesisHash: Hash
  genesisTimeMs: UnixMs
  slotMs: number
  laneCount: number
  blockGasLimit: bigint
  crypto: CryptoSuite
}>

/** Time of a slot. */
export const slotTimeMs = (config: NativeConfig, slot: Slot): UnixMs => config.genesisTimeMs + slot * config.slotMs
