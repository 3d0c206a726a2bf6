/**
 * State of block 0: balances of the genesis document, contracts that exist from the start, and the network's identity where contracts
 * read it. Source: docs/protocol.md; EIP-161 for why code-less system accounts have a nonce.
 * @module
 */
import { BlockState } from '#node/evm/block-state.ts'
import { fromHex } from '#node/evm/hex.ts'
import type { StateDb } from '#node/evm/state-db.ts'
import { EMPTY_ROOT } from '#node/evm/trie.ts'
import { genesisBalances, genesisBlock, genesisHash } from '#shared/chain/genesis.ts'
import type { GenesisDocument } from '#shared/chain/genesis.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { invariant } from '#shared/fault.ts'
import type { BlockEnvelope } from '#shared/hhcm/types.ts'
import { SUPPLY_WEI } from '#shared/params.ts'
import {
  CALLING_LIST,
  CREATE2_DEPLOYER,
  FEE_COLLECTOR,
  FEED_REGISTRY,
  FOUNDATION,
  KEY_MANAGER,
  KEY_PRECOMPILE,
  NODE_RESERVE,
  STAKING,
  TEAM_VESTING,
  TRIGGER_DECODER,
} from '#shared/system.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'

/** A contract in block 0. Its balance comes from the document's allocations. */
export type Predeploy = Readonly<{ code: Uint8Array; storage: ReadonlyMap<Hash, Hash> }>

/** Runtime code of the deterministic-deployment factory: CREATE2 of calldata[32..] with salt calldata[0..32]. */
const CREATE2_DEPLOYER_CODE: Hex =
  '0x7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3'
/** INVALID: makes Solidity's check that a callee has code pass; the precompile runs instead. */
const PRECOMPILE_MARK = Uint8Array.of(0xfe)
const IDENTITY_SLOT: Hash = `0x${'00'.repeat(32)}`
const SYSTEM_ACCOUNTS: readonly Address[] = [
  CALLING_LIST,
  FEED_REGISTRY,
  NODE_RESERVE,
  FEE_COLLECTOR,
  STAKING,
  TEAM_VESTING,
  FOUNDATION,
  TRIGGER_DECODER,
  KEY_MANAGER,
  KEY_PRECOMPILE,
  CREATE2_DEPLOYER,
]

/** Block 0 with all nodes of its state. `state` need not hold anything yet. @throws {DecodeError} GENESIS_ORDER, GENESIS_OVERSPENT */
export function buildGenesis(
  document: GenesisDocument,
  predeploys: ReadonlyMap<Address, Predeploy>,
  state: StateDb,
  crypto: CryptoSuite,
): Readonly<{ envelope: BlockEnvelope; nodes: ReadonlyMap<Hash, Uint8Array> }> {
  const world = new BlockState(state, crypto.keccak256, EMPTY_ROOT)
  const identity = genesisHash(document, crypto.keccak256)
  const contracts = new Map<Address, Predeploy>([
    [CREATE2_DEPLOYER, { code: fromHex(CREATE2_DEPLOYER_CODE), storage: new Map() }],
    [TRIGGER_DECODER, { code: PRECOMPILE_MARK, storage: new Map() }],
    [KEY_PRECOMPILE, { code: PRECOMPILE_MARK, storage: new Map() }],
    ...predeploys,
  ])
  for (const [address, balanceWei] of genesisBalances(document)) world.addBalance(address, balanceWei)
  for (const address of new Set([...SYSTEM_ACCOUNTS, ...contracts.keys()])) world.increaseNonce(address)
  for (const [address, { code, storage }] of contracts) {
    world.setCode(address, code)
    for (const [slot, value] of storage) world.setSlot(address, slot, fromHex(value))
  }
  for (const address of [CALLING_LIST, FEED_REGISTRY, KEY_MANAGER]) world.setSlot(address, IDENTITY_SLOT, fromHex(identity))
  invariant(world.blockDelta() === SUPPLY_WEI, 'genesis places the whole supply')
  const { root, nodes } = state.commit(EMPTY_ROOT, world.writes())
  return { envelope: genesisBlock(document, root, crypto), nodes }
}
