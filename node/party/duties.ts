/**
 * Which sessions a party has to be in, from final chain state and what it holds. Every party computes the same sets and attempts without asking
 * anyone; what a session signs is derived here, never received. Source: docs/dcrm.md, duties.
 * @module
 */
import type { Board, ChainKey, ChainOperation, ChainParty } from '#node/party/chain-view.ts'
import type { Custody } from '#node/party/custody.ts'
import { rawHash } from '#node/party/custody.ts'
import { bytesToHex, compareHex } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { Draw } from '#shared/dcrm/committee.ts'
import { KEY_ACTIVE } from '#node/party/chain-view.ts'
import { chooseSigningSet } from '#shared/dcrm/committee.ts'
import type { ChildPath } from '#shared/dcrm/derive.ts'
import { ATTEMPT_BLOCKS, ENTROPY_DELAY_BLOCKS, attemptAt } from '#shared/dcrm/digest.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import { SCHEMES } from '#shared/dcrm/descriptor.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { Hash, Height } from '#shared/types.ts'

/** Numbers of the contract's enumerations. */
export const OPERATION = { create: 0, refresh: 1, reshare: 2, recover: 3 } as const
export const OPERATION_STATE = { requested: 1, seated: 2 } as const
export const ABSENCES_MAX = 3

/** One signature to make. */
export type SigningDuty = Readonly<{
  kind: 'sign'
  name: string
  key: ChainKey
  /** 32 bytes: the signature request, or the heartbeat's name. */
  session: Hash
  heartbeatEpoch: number | null
  attempt: number
  set: readonly PartyId[]
  path: ChildPath
  openingHeight: Height
}>
/** One change of a key's holders. */
export type OperationDuty = Readonly<{ kind: 'operate'; name: string; key: ChainKey; operation: ChainOperation; set: readonly PartyId[] }>
/** Base transfers with one peer. */
export type SetupDuty = Readonly<{ kind: 'setup'; name: string; key: ChainKey; attempt: number; set: readonly PartyId[] }>
/** Presignatures to make ahead with one set. */
export type StockDuty = Readonly<{ kind: 'stock'; name: string; key: ChainKey; session: Hash; attempt: number; set: readonly PartyId[] }>
export type Duty = SigningDuty | OperationDuty | SetupDuty | StockDuty

const mayServe = ({ absences, excludedAt }: ChainParty): boolean => excludedAt === 0n && absences < ABSENCES_MAX

/** Members that are asked for nothing, as the contract leaves them out. */
function unable(board: Board, key: ChainKey, excluded: readonly PartyId[]): readonly PartyId[] {
  const out = key.members.filter((id) => excluded.includes(id) || !board.parties.some((party) => party.id === id && mayServe(party)))
  return key.members.length - out.length < key.threshold ? [] : out
}

/** Signing sets of a key in one attempt. */
export function signingSetOf(
  backend: DcrmBackend,
  board: Board,
  key: ChainKey,
  draw: Draw,
  excluded: readonly PartyId[] = [],
): readonly PartyId[] | null {
  return chooseSigningSet(backend, draw, key.members, key.threshold, board.disputes.get(key.id) ?? [], unable(board, key, excluded))
}

/** Operations this party is seated in. */
export function operationDuties(board: Board, self: PartyId): readonly OperationDuty[] {
  return board.operations.flatMap((operation): OperationDuty[] => {
    const key = board.keys.find(({ id }) => id === operation.key)
    if (operation.state !== OPERATION_STATE.seated || key === undefined) return []
    const set = partiesOf(operation)
    if (!set.includes(self)) return []
    return [{ kind: 'operate', name: `${operation.id}/${operation.attempt}`, key, operation, set }]
  })
}

/** Parties of an operation's session, ascending. */
function partiesOf({ kind, members, dealers, lost }: ChainOperation): readonly PartyId[] {
  const all = kind === OPERATION.recover ? [...dealers, lost] : [...members, ...dealers]
  return [...new Set(all)].toSorted((left, right) => left - right)
}

/** Pairs of ECDSA keys that are not set up yet; the attempt follows from the height. */
export function setupDuties(board: Board, self: PartyId, custody: Custody): readonly SetupDuty[] {
  return board.keys.flatMap((key): SetupDuty[] => {
    if (key.state !== KEY_ACTIVE || SCHEMES[key.scheme] !== 'ecdsa' || !key.members.includes(self)) return []
    if (custody.share(key) === null) return []
    const attempt = Math.floor(board.height / ATTEMPT_BLOCKS)
    const accused = custody.disputes(key.id, key.epoch).map((dispute) => dispute.accused)
    return key.members
      .filter((peer) => peer !== self && !accused.includes(peer) && custody.pair(key.id, key.epoch, peer) === null)
      .map((peer) => {
        const set = [self, peer].toSorted((left, right) => left - right)
        return { kind: 'setup', name: `setup/${key.id}/${key.epoch}/${set.join('-')}/${attempt}`, key, attempt, set }
      })
  })
}

/** A signature that waits, before its set is drawn. */
export type Awaited = Readonly<{
  key: ChainKey
  session: Hash
  heartbeatEpoch: number | null
  path: ChildPath
  openingHeight: Height
  attempt: number
}>

/** Name of a heartbeat session: keccak over key and epoch, as the contract has it. */
export type HeartbeatName = (key: Hash, epoch: number) => Hash

/** Signatures whose opening block is final. */
export function awaitedSignatures(board: Board, self: PartyId, heartbeatName: HeartbeatName): readonly Awaited[] {
  const mine = board.keys.filter(({ state, members }) => state === KEY_ACTIVE && members.includes(self))
  const requested = board.requests.flatMap((request): Awaited[] => {
    const key = mine.find(({ id }) => id === request.key)
    const openingHeight = Number(request.requestedAt) + ENTROPY_DELAY_BLOCKS
    const attempt = attemptAt(board.height, openingHeight)
    if (key === undefined || attempt === null) return []
    const path: ChildPath = { purpose: 'generic', subject: rawHash(request.subject) }
    return [{ key, session: request.id, heartbeatEpoch: null, path, openingHeight, attempt }]
  })
  const epoch = Math.floor(board.height / board.heartbeatBlocks)
  const openingHeight = epoch * board.heartbeatBlocks
  const beats = mine
    .filter(({ heartbeatEpoch, activeAt }) => BigInt(epoch) > heartbeatEpoch && BigInt(openingHeight) >= activeAt)
    .map((key): Awaited => {
      const path: ChildPath = { purpose: 'heartbeat', subject: new Uint8Array(32) }
      return {
        key,
        session: heartbeatName(key.id, epoch),
        heartbeatEpoch: epoch,
        path,
        openingHeight,
        attempt: attemptAt(board.height, openingHeight) ?? 0,
      }
    })
  return [...requested, ...beats]
}

/** Height at which an attempt begins: what is on chain by then decides its set, and nothing that comes later changes it. */
export function attemptStart({ openingHeight, attempt }: Awaited): Height {
  return openingHeight + attempt * ATTEMPT_BLOCKS
}

/** The duty of this attempt when this party is drawn. `board` is the one of the attempt's beginning. */
export function signingDuty(backend: DcrmBackend, board: Board, self: PartyId, awaited: Awaited, randomness: Hash): SigningDuty | null {
  const key = board.keys.find(({ id }) => id === awaited.key.id)
  if (key === undefined) return null
  const draw = { randomness: rawHash(randomness), requestId: rawHash(awaited.session), attempt: awaited.attempt }
  const set = signingSetOf(backend, board, key, draw, board.requests.find(({ id }) => id === awaited.session)?.excluded)
  if (set === null || !set.includes(self)) return null
  return { kind: 'sign', name: `${awaited.session}/${awaited.attempt}`, ...awaited, key, set }
}

/** Presignatures kept per set; few, because the cost of attacking them falls with their number. */
const STOCK_PER_SET = 4
const STOCK_PER_KEY = 32

/** Height whose randomness draws the set that makes presignatures now. */
export function stockHeight(board: Board): Height {
  return Math.floor(board.height / ATTEMPT_BLOCKS) * ATTEMPT_BLOCKS
}

/** Sets this party should make presignatures with in the present window; `stock` counts what it has for a set, or for the key. */
export function stockDuties(
  backend: DcrmBackend,
  board: Board,
  self: PartyId,
  custody: Custody,
  randomness: Hash,
  stock: (key: ChainKey, set: readonly PartyId[] | null) => number,
): readonly StockDuty[] {
  const attempt = stockHeight(board) / ATTEMPT_BLOCKS
  return board.keys.flatMap((key): StockDuty[] => {
    if (key.state !== KEY_ACTIVE || SCHEMES[key.scheme] !== 'ecdsa' || custody.share(key) === null) return []
    const name = hashItems(backend, 'stock', rawHash(key.id), key.epoch)
    const set = signingSetOf(backend, board, key, { randomness: rawHash(randomness), requestId: name, attempt })
    if (set === null || !set.includes(self) || stock(key, set) >= STOCK_PER_SET || stock(key, null) >= STOCK_PER_KEY) return []
    if (set.some((peer) => peer !== self && custody.pair(key.id, key.epoch, peer) === null)) return []
    return [{ kind: 'stock', name: `stock/${key.id}/${key.epoch}/${attempt}`, key, session: bytesToHex(name), attempt, set }]
  })
}

/** Position of this party in a random but common order: whoever comes first acts first. */
export function turnOf(backend: DcrmBackend, topic: string, parties: readonly PartyId[], self: PartyId): number {
  const keyed = parties.map((id) => ({ id, key: bytesToHex(hashItems(backend, 'turn', topic, id)) }))
  return keyed.toSorted((left, right) => compareHex(left.key, right.key)).findIndex(({ id }) => id === self)
}
