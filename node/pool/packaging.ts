/**
 * Content of packages: what this node puts into its own, and which list rules another author's must keep.
 * A package promises nothing that depends on execution; every transaction is checked again at its turn.
 * Source: whitepaper 5.3.3, 5.4.1.
 * @module
 */
import type { ChainReader } from '#node/chain-reader.ts'
import { nativeLaneKey } from '#node/pool/native-transaction.ts'
import type { Pool } from '#node/pool/pool.ts'
import { checkStatic } from '#shared/chain/user-rules.ts'
import { maxCostWei, userLaneKey } from '#shared/chain/user-transaction.ts'
import type { UserTransaction } from '#shared/chain/user-transaction.ts'
import type { StateView } from '#shared/chain/types.ts'
import { DecodeError } from '#shared/fault.ts'
import { laneOf } from '#shared/hhcm/lanes.ts'
import type { Header, Package } from '#shared/hhcm/types.ts'
import { PACKAGE_BYTES_MAX, PACKAGE_TX_COUNT_MAX } from '#shared/params.ts'
import type { Address, Hash, Lane, Slot, Wei } from '#shared/types.ts'

/** What packaging is built over. */
export type PackagingOptions = Readonly<{
  chain: ChainReader
  pool: Pool
  laneCount: number
  blockGasLimit: bigint
  /** Unsigned triggers of the lane that are due on the parent, in order, with this node as beneficiary. */
  dueTriggers: (parent: Header, lane: Lane, slot: Slot) => Promise<readonly Uint8Array[]>
}>

/** Builds own packages and checks those of others. */
export type Packaging = Readonly<{
  /** Ordered transactions of this node's own package; empty ones are normal. */
  buildPackage: (parentHash: Hash, lane: Lane, slot: Slot) => Promise<readonly Uint8Array[]>
  /** Whether the list keeps the rules a co-signer answers for. Null reason means yes. */
  checkPackage: (item: Package) => string | null
}>

type Ledger = Map<Address, { nonce: bigint; balanceWei: Wei }>

function checkUser(tx: UserTransaction, state: StateView, ledger: Ledger, options: PackagingOptions): string | null {
  const refusal = checkStatic(tx, options.chain.chainId, options.blockGasLimit)
  if (refusal !== null) return refusal.code
  const account = state.account(tx.sender)
  const left = ledger.get(tx.sender) ?? { nonce: account?.nonce ?? 0n, balanceWei: account?.balanceWei ?? 0n }
  if (tx.nonce !== left.nonce) return 'NONCE_GAP'
  const balanceWei = left.balanceWei - maxCostWei(tx)
  if (balanceWei < 0n) return 'INSUFFICIENT_FUNDS'
  ledger.set(tx.sender, { nonce: left.nonce + 1n, balanceWei })
  return null
}

function checkTransaction(raw: Uint8Array, item: Package, parent: Header, ledger: Ledger, options: PackagingOptions): string | null {
  const { chain, pool, laneCount } = options
  const form = pool.decode(raw)
  const key = form.kind === 'user' ? userLaneKey(form.tx) : nativeLaneKey(form.tx)
  if (laneOf(parent.randomness, key, laneCount) !== item.header.lane) return 'WRONG_LANE'
  if (form.kind === 'user') return checkUser(form.tx, chain.stateAt(parent), ledger, options)
  if (form.tx.tx.chainId !== chain.chainId) return 'CHAIN_ID_WRONG'
  if (form.tx.kind === 'trigger' && form.tx.signer === null && form.tx.tx.beneficiary !== item.header.author) return 'BENEFICIARY'
  return null
}

function checkList(item: Package, options: PackagingOptions): string | null {
  const parent = options.chain.envelope(item.header.parentHash)
  if (parent === null) return 'PARENT_UNKNOWN'
  if (item.txs.length > PACKAGE_TX_COUNT_MAX || item.txs.length !== item.header.txCount) return 'COUNT'
  const bytes = item.txs.reduce((total, raw) => total + raw.length, 0)
  if (bytes > PACKAGE_BYTES_MAX || bytes !== item.header.bytes) return 'BYTES'
  const ledger: Ledger = new Map()
  const seen = new Set<Hash>()
  for (const raw of item.txs) {
    const { hash } = options.pool.decode(raw).tx
    if (seen.has(hash)) return 'DUPLICATE'
    seen.add(hash)
    const refusal = checkTransaction(raw, item, parent.header, ledger, options)
    if (refusal !== null) return refusal
  }
  return null
}

/** Package content over a pool. */
export function createPackaging(options: PackagingOptions): Packaging {
  const { chain, pool, laneCount, dueTriggers } = options
  return {
    buildPackage: async (parentHash, lane, slot) => {
      const parent = chain.envelope(parentHash)
      if (parent === null) return []
      const due = await dueTriggers(parent.header, lane, slot)
      const signed = pool.triggers(parent, lane, laneCount)
      const selected = pool.select(parent, lane, laneCount)
      let bytes = selected.reduce((total, raw) => total + raw.length, 0)
      const own: Uint8Array[] = []
      for (const raw of due) {
        const { tx } = pool.decode(raw)
        const isSigned = 'key' in tx && signed.has(tx.key)
        if (isSigned || bytes + raw.length > PACKAGE_BYTES_MAX || selected.length + own.length >= PACKAGE_TX_COUNT_MAX) continue
        bytes += raw.length
        own.push(raw)
      }
      return [...own, ...selected]
    },
    checkPackage: (item) => {
      try {
        return checkList(item, options)
      } catch (fault) {
        if (fault instanceof DecodeError) return fault.code
        throw fault
      }
    },
  }
}
