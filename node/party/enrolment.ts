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
  /** Whether this store takes the place of a lost one. */
  renewsKeys: boolean
}>

/** `leasedAt`: what could be begun up to this final height belongs to the process before, of this store or of one that is lost; −1 when there was none. */
export type Seat = Readonly<{ self: PartyId; genesisHash: Hash; leasedAt: Height }>

/** Refusals an operator can do something about. */
const MEANINGS: ReadonlyMap<string, string> = new Map([
  ['NotAdmitted', 'more than two thirds of the validators must vouch for this account first: fusion key vouch ACCOUNT'],
  ['NotReady', 'the keys were renewed not long ago; this is tried again'],
])

/** First line of what went wrong: the rest of an RPC error has its address, and that may hold credentials. */
export const lineOf = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause)).split('\n')[0] ?? ''

const refuse = (dataDir: string, why: string): DecodeError => new DecodeError('LEASE_REFUSED', dataDir, why)

/** The row of this party, or null before the chain has one with the keys of this store. @throws {DecodeError} LEASE_REFUSED when it is another store's */
function rowOf({ chain, custody, dataDir, renewsKeys }: Candidate, board: Board): ChainParty | null {
  const row = board.parties.find(({ account }) => account === chain.account) ?? null
  if (row === null || row.signKey === custody.identity().signKey) return row
  if (renewsKeys && custody.lease() === null) return null
  throw refuse(
    dataDir,
    'expected the store that registered this account, got another identity; if that store is lost, start once with --renew-keys on an empty folder',
  )
}

/**
 * Waits for the chain, registers once, takes a new lease and waits until the final chain has it.
 * @throws {DecodeError} LEASE_REFUSED, NETWORK_DIFFERS
 */
export async function enrol(candidate: Candidate): Promise<Seat> {
  const { chain, custody, dataDir, log, signal, pollMs } = candidate
  let lease: Lease | null = null
  let refusal: string | null = null
  for (;;) {
    signal.throwIfAborted()
    try {
      const genesisHash = await chain.genesisHash()
      if (!custody.isOfNetwork(genesisHash))
        throw new DecodeError('NETWORK_DIFFERS', dataDir, `expected the network this store was used in, got ${genesisHash}`)
      const board = await chain.board(await chain.finalHeight())
      const row = rowOf(candidate, board)
      if (row === null) refusal = await introduce(candidate, board, refusal)
      else if (lease === null) lease = await takeLease(candidate, row)
      else if (standingOf(lease, row) === 'held')
        return { self: row.id, genesisHash, leasedAt: lease.generation === 1n && !candidate.renewsKeys ? -1 : board.height }
      else if (row.generation >= lease.generation) throw refuse(dataDir, 'expected to speak for this party, got another process that does')
    } catch (cause) {
      if (cause instanceof DecodeError) throw cause
      log.debug('chain-away', { cause: lineOf(cause) })
    }
    await sleep(pollMs, undefined, { signal })
  }
}

/** Makes the keys of this store known. Gives why the chain refuses, or null; says so when that is another reason than `before`. */
async function introduce({ chain, custody, relayUrl, log }: Candidate, board: Board, before: string | null): Promise<string | null> {
  const { signKey, sealKey } = custody.identity()
  const isKnown = board.parties.some(({ account }) => account === chain.account)
  const refusal = isKnown
    ? await chain.send('renewKeys', [signKey, sealKey])
    : await chain.send('registerParty', [signKey, sealKey, relayUrl], BOND_WEI)
  // Sent, and not final yet.
  if (refusal === null || refusal === 'AlreadyRegistered' || refusal === 'KeyInvalid') return null
  if (refusal !== before)
    log.warn(isKnown ? 'renewal-refused' : 'register-refused', { account: chain.account, refusal, meaning: MEANINGS.get(refusal) ?? '' })
  return refusal
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
