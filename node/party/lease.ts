/**
 * Who speaks for a party. The chain keeps the newest lease; a store that is older than it is a copy that was restored or cloned, and a process that
 * finds another lease there has been replaced. Source: docs/dcrm.md, persistence.
 * @module
 */
import type { ChainParty } from '#node/party/chain-view.ts'
import type { Lease } from '#node/party/custody.ts'
import type { Duty } from '#node/party/duties.ts'
import { ATTEMPT_BLOCKS } from '#shared/dcrm/digest.ts'
import type { Height } from '#shared/types.ts'

type ChainLease = Pick<ChainParty, 'instanceId' | 'generation'>

/** Whether a store may speak at all: it knows the lease the chain has, or one that has not got there yet. */
export function mayStart(stored: Lease | null, chain: ChainLease): boolean {
  if (stored === null) return chain.generation === 0n
  return stored.generation > chain.generation || (stored.generation === chain.generation && stored.instanceId === chain.instanceId)
}

/** `lost`: another process speaks for the party now. `behind`: the chain does not know the newest generation yet. */
export function standingOf(own: Lease, chain: ChainLease): 'held' | 'behind' | 'lost' {
  if (chain.instanceId !== own.instanceId || chain.generation > own.generation) return 'lost'
  return chain.generation === own.generation ? 'held' : 'behind'
}

/** Height from which a duty could be begun. */
function beginOf(duty: Duty): Height {
  if (duty.kind === 'operate') return Number(duty.operation.seatedAt)
  return duty.attempt * ATTEMPT_BLOCKS + (duty.kind === 'sign' ? duty.openingHeight : 0)
}

/**
 * Whether a duty is this process's. What could be begun before the chain knew of it may have been begun by the process before it, which stops where
 * this one starts: no two ever speak in one session, whatever their clocks say.
 */
export const isOwnDuty = (duty: Duty, leasedAt: Height): boolean => beginOf(duty) > leasedAt
