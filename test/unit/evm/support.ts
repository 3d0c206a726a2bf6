/** Stores and states for tests of the execution layer. @module */
import { BlockState } from '#node/evm/block-state.ts'
import { createStateDb } from '#node/evm/state-db.ts'
import type { StateDb } from '#node/evm/state-db.ts'
import { EMPTY_ROOT } from '#node/evm/trie.ts'
import type { NodeSource } from '#node/evm/types.ts'
import { createNativeSuite } from '#node/crypto/native.ts'
import type { Address, Hash, Wei } from '#shared/types.ts'

/** The native suite, loaded once. */
export const suite = await createNativeSuite()

/** A store in memory. */
export class MemoryNodes implements NodeSource {
  readonly nodes = new Map<Hash, Uint8Array>()

  readonly get = (hash: Hash): Uint8Array | undefined => this.nodes.get(hash)

  add(nodes: ReadonlyMap<Hash, Uint8Array>): void {
    for (const [hash, node] of nodes) this.nodes.set(hash, node)
  }
}

export type AccountSpec = Readonly<{ balanceWei?: Wei; nonce?: bigint; code?: Uint8Array; storage?: Readonly<Record<Hash, Uint8Array>> }>

/** A state database holding these accounts, and its root. */
export function stateWith(accounts: Readonly<Record<Address, AccountSpec>>): Readonly<{ store: MemoryNodes; db: StateDb; root: Hash }> {
  const store = new MemoryNodes()
  const db = createStateDb(store, suite.keccak256)
  const state = new BlockState(db, suite.keccak256, EMPTY_ROOT)
  for (const [address, { balanceWei = 0n, nonce = 0n, code, storage = {} }] of Object.entries(accounts) as [Address, AccountSpec][]) {
    state.addBalance(address, balanceWei)
    for (let step = nonce; step > 0n; step--) state.increaseNonce(address)
    if (code !== undefined) state.setCode(address, code)
    for (const [slot, value] of Object.entries(storage) as [Hash, Uint8Array][]) state.setSlot(address, slot, value)
  }
  const { root, nodes } = db.commit(EMPTY_ROOT, state.writes())
  store.add(nodes)
  return { store, db, root }
}
