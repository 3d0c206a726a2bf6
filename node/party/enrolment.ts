/** How a party gets to speak for its account: registered once, and with a lease at every start that no other copy of its store has. @module */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Logger } from '#node/log.ts'
import type { Board, ChainParty, ChainView } from '#node/party/chain-view.ts'
import type { Custody, Lease } from '#node/party/custody.ts'
import { mayStart, standingOf } from '#node/party/lease.ts'
import type { Presignatures } from '#node/party/presignatures.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Hash, Height } from '#shared/types.ts'

const FSN = 10n ** 18n
/** Bond of a party that registers itself. */
const BOND_WEI = 10n * FSN

export type Candidate = Readonly<{
  chain: Pick<ChainView, 'account' | 'finalHeight' | 'board' | 'genesisHash' | 'send'>
  custody: Custody
  presignatures: Presignatures
  log: Logger
  signal: AbortSignal
  dataDir: string
  relayUrl: string
  /** Pause between two looks at the chain. */
  pollMs: number
}>

/** `leasedAt`: what could be begun up to this final height belongs to the process before; −1 when there was none. */
export type Seat = Readonly<{ self: PartyId; genesisHash: Hash; leasedAt: Height }>

/** First line of what went wrong: the rest of an RPC error has its address, and that may hold credentials. */
export const lineOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? ''

const refuse = (dataDir: string, why: string): DecodeError => new DecodeError('LEASE_REFUSED', dataDir, why)

/** The row of this party, or null before it is registered. @throws {DecodeError} LEASE_REFUSED when the row is another store's or a newer one's */
function rowOf({ chain, custody, dataDir }: Candidate, board: Board): ChainParty | null {
  const row = board.parties.find(({ account }) => account === chain.account) ?? null
  if (row !== null && row.signKey !== custody.identity().signKey)
    throw refuse(dataDir, 'expected the store that registered this account, got another identity')
  return row
}

/**
 * Waits for the chain, registers once, takes a new lease and waits until the final chain has it.
 * @throws {DecodeError} LEASE_REFUSED, NETWORK_DIFFERS
 */
export async function enrol(candidate: Candidate): Promise<Seat> {
  const { chain, custody, dataDir, log, signal, pollMs } = candidate
  let lease: Lease | null = null
  for (;;) {
    signal.throwIfAborted()
    try {
      const genesisHash = await chain.genesisHash()
      if (!custody.isOfNetwork(genesisHash))
        throw new DecodeError('NETWORK_DIFFERS', dataDir, `expected the network this store was used in, got ${genesisHash}`)
      const board = await chain.board(await chain.finalHeight())
      const row = rowOf(candidate, board)
      if (row === null) await register(candidate)
      else if (lease === null) lease = await takeLease(candidate, row)
      else if (standingOf(lease, row) === 'held')
        return { self: row.id, genesisHash, leasedAt: lease.generation === 1n ? -1 : board.height }
      else if (row.generation >= lease.generation) throw refuse(dataDir, 'expected to speak for this party, got another process that does')
    } catch (cause) {
      if (cause instanceof DecodeError) throw cause
      log.debug('chain-away', { cause: lineOf(cause) })
    }
    await sleep(pollMs, undefined, { signal })
  }
}

async function register({ chain, custody, relayUrl, log }: Candidate): Promise<void> {
  const { signKey, sealKey } = custody.identity()
  const refusal = await chain.send('registerParty', [signKey, sealKey, relayUrl], BOND_WEI)
  if (refusal !== null && refusal !== 'AlreadyRegistered') log.warn('register-refused', { refusal })
}

/** A lease that is in a block, or null when the chain did not take it for now. @throws {DecodeError} LEASE_REFUSED when this store is an old one */
async function takeLease({ chain, custody, presignatures, dataDir, relayUrl }: Candidate, row: ChainParty): Promise<Lease | null> {
  const stored = custody.lease()
  // Asked before the generation rises: an old copy that is started often enough must not count itself up to the chain's.
  if (!mayStart(stored, row))
    throw refuse(dataDir, `expected a store of generation ${row.generation}, got ${stored?.generation ?? 0n}: this is an older copy of it`)
  const lease = custody.nextLease()
  // What another copy of the store may have used must never be used here.
  presignatures.destroy(() => true)
  const refusal = await chain.send('renewLease', [lease.instanceId, lease.generation, relayUrl])
  if (refusal === 'LeaseNotNewer') throw refuse(dataDir, `expected a generation above the chain's, got ${lease.generation}`)
  return refusal === null ? lease : null
}
