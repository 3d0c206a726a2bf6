/**
 * The native transactions of one chain, whole: what the executor runs, what the pool asks, what a package author owes, what JSON-RPC
 * shows. Execution needs these rules and these rules need execution's views, so the second half is attached when both exist.
 * @module
 */
import type { ChainReader } from '#node/chain-reader.ts'
import type { ExecutionContext } from '#node/evm/context.ts'
import { nextFees } from '#node/evm/executor.ts'
import { executeAttestation } from '#node/evm/native/attestation.ts'
import type { NativeConfig } from '#node/evm/native/config.ts'
import { slotTimeMs } from '#node/evm/native/config.ts'
import { Duty } from '#node/evm/native/duty.ts'
import { createNativeReads } from '#node/evm/native/reads.ts'
import type { Following } from '#node/evm/native/standing.ts'
import { explainEntry, followingSlot, refuseNative } from '#node/evm/native/standing.ts'
import { executeTrigger, scheduledAtMs } from '#node/evm/native/trigger.ts'
import type { NativeExecutors, ParentView } from '#node/evm/native-types.ts'
import { parentViewOf } from '#node/evm/parent-view.ts'
import type { NativeValidator } from '#node/pool/native-pool.ts'
import type { NativeReads } from '#node/rpc/native-reads.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { invariant } from '#shared/fault.ts'
import { blockHash } from '#shared/hhcm/signing.ts'
import type { Header, HhcmConfig } from '#shared/hhcm/types.ts'
import type { ChainParams } from '#shared/params.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Hash, Lane, Slot } from '#shared/types.ts'

/** Slot of the key manager that says how long blocks go on for its sake. */
const ACTIVE_UNTIL_SLOT: Hash = `0x${'1'.padStart(64, '0')}`

/** Sessions take their randomness and their retries from heights, so a quiet chain must not stand still while one is open. */
function isKeyWorkOpen({ state, header }: ParentView): boolean {
  return BigInt(header.number) < BigInt(state.storage(KEY_MANAGER, ACTIVE_UNTIL_SLOT))
}

/** Everything a node does with native transactions. */
export type Natives = Readonly<{
  executors: NativeExecutors
  validate: NativeValidator
  reads: NativeReads
  /** Unsigned triggers of a lane that are due on the parent, with this node as beneficiary. Empty for a node that only follows. */
  dueTriggers: (parent: Header, lane: Lane, slot: Slot) => Promise<readonly Uint8Array[]>
  /** Whether a block in `slot` on this head would have something to fire, or a key or signature waits for blocks to come. */
  hasDue: (head: Header, slot: Slot) => Promise<boolean>
  /** Gives the views on past blocks; to be called once, before anything but `executors` is used. */
  attach: (context: ExecutionContext, chain: Pick<ChainReader, 'head'>) => void
}>

/** The rules of one chain. `nowMs` is the node's clock: it decides what the pool admits, never what is valid. */
export function createNatives(
  options: Readonly<{ params: ChainParams; config: HhcmConfig; suite: CryptoSuite; nowMs?: () => number }>,
): Natives {
  const { params, config, suite, nowMs = Date.now } = options
  const { chainId, genesisHash, genesisTimeMs, slotMs, laneCount, self } = config
  const native: NativeConfig = {
    chainId,
    genesisHash,
    genesisTimeMs,
    slotMs,
    laneCount,
    blockGasLimit: params.blockGasLimit,
    crypto: suite,
  }
  const duty = new Duty(native)
  let attached: Readonly<{ context: ExecutionContext; chain: Pick<ChainReader, 'head'> }> | null = null
  const parts = () => {
    invariant(attached !== null, 'natives are attached before they are asked')
    return attached
  }
  const viewOf = (header: Header): ParentView => parentViewOf(parts().context, blockHash(header, suite.keccak256), header)
  const following = (head: Header, slot: Slot): Following => ({
    parent: viewOf(head),
    slot,
    timeMs: slotTimeMs(native, slot),
    ...nextFees(head),
  })
  const followingNow = (head: Header): Following => following(head, followingSlot(head.slot, nowMs(), native))
  return {
    executors: {
      trigger: (host, tx, context) => executeTrigger(host, tx, context, native),
      attestation: (host, tx, context) => executeAttestation(host, tx, context, native),
      scheduledAtMs: (tx, parent) => scheduledAtMs(tx, parent, native),
      omittedLanes: (input, block) => duty.omittedLanes(input, block),
    },
    validate: (transaction, head) => refuseNative(transaction, followingNow(head), native),
    reads: createNativeReads(native, viewOf, (id) => {
      const head = parts().chain.head()
      return explainEntry(id, head.hash, followingNow(head.header), native)
    }),
    dueTriggers: async (parent, lane, slot) => {
      if (self === null) return []
      const next = following(parent, slot)
      return duty.ofLane(next.parent, next, lane, self)
    },
    hasDue: async (head, slot) => {
      const next = following(head, slot)
      return isKeyWorkOpen(next.parent) || (await duty.due(next.parent, next)).length > 0
    },
    attach: (context, chain) => {
      attached = { context, chain }
    },
  }
}
