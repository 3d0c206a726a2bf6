/**
 * The calling list's storage: rows as the contract CallingList lays them out, read into entries and written after fires.
 * Source: contracts/src/CallingList.sol, whose layout a test compares with this. Whitepaper 4.4.1.
 * @module
 */
import type { Reading, StorageWrite } from '#shared/codec/solidity-storage.ts'
import {
  addressKey,
  addressOf,
  arraySlot,
  fieldOf,
  mappingSlot,
  readCode,
  readRange,
  readSlot,
  slotAfter,
  toWord,
  withField,
} from '#shared/codec/solidity-storage.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { invariant } from '#shared/fault.ts'
import { CALLING_LIST } from '#shared/system.ts'
import { decodeDescription } from '#shared/trigger/codec.ts'
import { stableCaller } from '#shared/trigger/ids.ts'
import type { Entry, TriggerStatus } from '#shared/trigger/types.ts'
import type { Address, Hash, UnixMs, Wei } from '#shared/types.ts'

type Keccak = Pick<CryptoSuite, 'keccak256'>

const GENESIS_SLOT = 0n
const IDS_SLOT = 1n
const ROWS_SLOT = 2n
const ACCOUNTS_SLOT = 3n
const FIRED_SLOT = 4n
/** Words of a row that fires change; the fifth is the description's hash. */
const ROW_WORDS = 4
const UINT32_MAX = 0xffff_ffff

const STATUSES: readonly TriggerStatus[] = ['ACTIVE', 'PAUSED', 'EXHAUSTED', 'EXPIRED', 'CANCELLED']

/** Word and bits of each field of a row. */
const FIELDS = {
  owner: [0, 0, 160],
  revision: [0, 160, 32],
  fires: [0, 192, 32],
  status: [0, 224, 8],
  attempt: [0, 232, 8],
  armed: [0, 248, 8],
  dueAt: [1, 0, 48],
  backoffUntilMs: [1, 48, 48],
  lastFireMs: [1, 96, 48],
  registeredHeight: [1, 144, 48],
  missed: [1, 192, 32],
  edgeCount: [1, 224, 32],
  fundingWei: [2, 0, 128],
  registeredTimeMs: [2, 208, 48],
  cursor: [3, 0, 96],
  description: [3, 96, 160],
} as const
type Field = keyof typeof FIELDS

/** A row: its meaning, and the words it came from. */
export type CallingListRow = Readonly<{ entry: Entry; words: readonly bigint[] }>

const rowSlot = (id: Hash, suite: Keccak): bigint => mappingSlot(id, ROWS_SLOT, suite)

function entryOf(id: Hash, words: readonly bigint[], descHash: bigint, code: Uint8Array): Entry {
  const field = (name: Field): bigint => {
    const [word, offset, bits] = FIELDS[name]
    return fieldOf(words[word] ?? 0n, offset, bits)
  }
  const count = (name: Field): number => Number(field(name))
  const owner = addressOf(words[0] ?? 0n, 0)
  const status = STATUSES[count('status') - 1]
  invariant(status !== undefined, 'the contract writes known statuses only')
  return {
    id,
    owner,
    caller: stableCaller(owner),
    revision: count('revision'),
    description: decodeDescription(code.subarray(1)),
    descHash: toWord(descHash),
    status,
    registeredAt: { height: count('registeredHeight'), timeMs: count('registeredTimeMs') },
    fundingWei: field('fundingWei'),
    fires: count('fires'),
    missed: count('missed'),
    attempt: count('attempt'),
    backoffUntilMs: count('backoffUntilMs'),
    lastFireMs: count('lastFireMs'),
    dueAt: count('dueAt'),
    armed: field('armed') === 1n,
    cursor: field('cursor'),
    edgeCount: count('edgeCount'),
  }
}

/** Row with this id, or null. */
export function* readRow(id: Hash, suite: Keccak): Reading<CallingListRow | null> {
  const base = rowSlot(id, suite)
  const first = yield* readSlot(CALLING_LIST, base)
  if (first === 0n) return null
  const [second = 0n, third = 0n, fourth = 0n, descHash = 0n] = yield* readRange(CALLING_LIST, base, 1, ROW_WORDS + 1)
  const words = [first, second, third, fourth]
  const code = yield* readCode(addressOf(fourth, FIELDS.description[1]))
  return { entry: entryOf(id, words, descHash, code), words }
}

/** How many rows were ever registered. */
export function* readRowCount(): Reading<number> {
  return Number(yield* readSlot(CALLING_LIST, IDS_SLOT))
}

/** Ids of rows in order of registration, from the `after`-th, at most `limit`. */
export function* readRowIds(after: number, limit: number, suite: Keccak): Reading<Hash[]> {
  const count = yield* readRowCount()
  const words = yield* readRange(CALLING_LIST, arraySlot(IDS_SLOT, suite), after, Math.min(count, after + limit))
  return words.map((word) => toWord(word))
}

/** What changes in storage when a row becomes `next`. Identity, description and revision are the contract's to change. */
export function rowWrites({ entry, words }: CallingListRow, next: Entry, suite: Keccak): StorageWrite[] {
  const changed = [...words]
  const set = (name: Field, value: bigint | number | boolean): void => {
    const [word, offset, bits] = FIELDS[name]
    changed[word] = withField(changed[word] ?? 0n, offset, bits, BigInt(value))
  }
  set('status', STATUSES.indexOf(next.status) + 1)
  set('fires', next.fires)
  set('attempt', next.attempt)
  set('armed', next.armed)
  set('dueAt', next.dueAt)
  set('backoffUntilMs', next.backoffUntilMs)
  set('lastFireMs', next.lastFireMs)
  set('missed', Math.min(next.missed, UINT32_MAX))
  set('edgeCount', next.edgeCount)
  set('fundingWei', next.fundingWei)
  set('cursor', next.cursor)
  const base = rowSlot(entry.id, suite)
  return changed.flatMap((value, index) => (value === words[index] ? [] : [{ slot: toWord(slotAfter(base, index)), value: toWord(value) }]))
}

/** Whether a foreign payment's occurrence was consumed. */
export function* readFired(fireKey: Hash, suite: Keccak): Reading<boolean> {
  return (yield* readSlot(CALLING_LIST, mappingSlot(fireKey, FIRED_SLOT, suite))) !== 0n
}

/** Records an occurrence for ever. */
export function firedWrite(fireKey: Hash, timeMs: UnixMs, suite: Keccak): StorageWrite {
  return { slot: toWord(mappingSlot(fireKey, FIRED_SLOT, suite)), value: toWord(BigInt(timeMs)) }
}

/** An owner's balance, intent nonce and number of registrations. */
export type CallingListAccount = Readonly<{ balanceWei: Wei; nonce: bigint; registrations: bigint }>

/** Reads an owner's account. */
export function* readAccount(owner: Address, suite: Keccak): Reading<CallingListAccount> {
  const word = yield* readSlot(CALLING_LIST, mappingSlot(addressKey(owner), ACCOUNTS_SLOT, suite))
  return { balanceWei: fieldOf(word, 0, 128), nonce: fieldOf(word, 128, 64), registrations: fieldOf(word, 192, 64) }
}

/** Adds to an owner's balance. */
export function* creditAccount(owner: Address, amountWei: Wei, suite: Keccak): Reading<StorageWrite> {
  const slot = mappingSlot(addressKey(owner), ACCOUNTS_SLOT, suite)
  const word = yield* readSlot(CALLING_LIST, slot)
  return { slot: toWord(slot), value: toWord(withField(word, 0, 128, fieldOf(word, 0, 128) + amountWei)) }
}

/** Storage of an empty list. */
export const callingListGenesis = (genesisHash: Hash): StorageWrite[] => [{ slot: toWord(GENESIS_SLOT), value: genesisHash }]
