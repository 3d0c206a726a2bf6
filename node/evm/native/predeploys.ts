/**
 * Contracts of this part of the protocol that exist in block 0, with the storage they begin with. Their balance is the genesis
 * document's to allocate: FEED_REGISTRY must hold the funding of all sets given here.
 * @module
 */
import type { Predeploy } from '#node/evm/genesis.ts'
import { fromHex } from '#node/evm/hex.ts'
import { callingListRuntime } from '#shared/api/abi/calling-list.ts'
import { feedRegistryRuntime } from '#shared/api/abi/feed-registry.ts'
import { keyConductRuntime } from '#shared/api/abi/key-conduct.ts'
import { keyManagerRuntime } from '#shared/api/abi/key-manager.ts'
import type { StorageWrite } from '#shared/codec/solidity-storage.ts'
import { mappingSlot, toWord } from '#shared/codec/solidity-storage.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import type { SourceSetSpec } from '#shared/oracle/set-storage.ts'
import { feedRegistryGenesis, sortedSet } from '#shared/oracle/set-storage.ts'
import { CALLING_LIST, FEED_REGISTRY, KEY_CONDUCT, KEY_MANAGER } from '#shared/system.ts'
import { callingListGenesis } from '#shared/trigger/calling-list.ts'
import type { Address, Hash } from '#shared/types.ts'

type Keccak = Pick<CryptoSuite, 'keccak256'>

const wordOf = (value: number): Hash => `0x${value.toString(16).padStart(64, '0')}`
const storageOf = (writes: readonly StorageWrite[]): ReadonlyMap<Hash, Hash> => new Map(writes.map(({ slot, value }) => [slot, value]))

/** Slots of the key manager: blocks between two proofs of signature, who may run a party, how many of those are validators. */
const HEARTBEAT_SLOT = wordOf(2)
const STANDINGS_SLOT = 3n
const VALIDATOR_COUNT_SLOT = wordOf(4)
const STANDING_VALIDATOR = wordOf(2)

function keyManagerStorage(heartbeatBlocks: number, validators: readonly Address[], suite: Keccak): ReadonlyMap<Hash, Hash> {
  const standings = validators.map((address): [Hash, Hash] => [
    toWord(mappingSlot(BigInt(address), STANDINGS_SLOT, suite)),
    STANDING_VALIDATOR,
  ])
  return new Map([[HEARTBEAT_SLOT, wordOf(heartbeatBlocks)], ...standings, [VALIDATOR_COUNT_SLOT, wordOf(validators.length)]])
}

/** What of a network its contracts begin with; `validators` are the accounts of their operators. */
export type PredeployChoices = Readonly<{ heartbeatBlocks: number; validators: readonly Address[] }>

/** Calling list, feed registry and key manager as block 0 has them. */
export function predeploys(
  genesisHash: Hash,
  sets: readonly SourceSetSpec[],
  suite: Keccak,
  { heartbeatBlocks, validators }: PredeployChoices,
): ReadonlyMap<Address, Predeploy> {
  const sorted = sets.map((set) => sortedSet(set, suite))
  return new Map([
    [CALLING_LIST, { code: fromHex(callingListRuntime), storage: storageOf(callingListGenesis(genesisHash)) }],
    [FEED_REGISTRY, { code: fromHex(feedRegistryRuntime), storage: storageOf(feedRegistryGenesis(genesisHash, sorted, suite)) }],
    [KEY_MANAGER, { code: fromHex(keyManagerRuntime), storage: keyManagerStorage(heartbeatBlocks, validators, suite) }],
    [KEY_CONDUCT, { code: fromHex(keyConductRuntime), storage: new Map() }],
  ])
}
