/** A world with parties, headers and keys whose secrets the test knows, for tests of the key manager. @module */
import { createHash } from 'node:crypto'
import { toHex } from '#node/evm/hex.ts'
import { keyManagerAbi } from '#shared/api/abi/key-manager.ts'
import { bytesToBigint, bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { chooseSigningSet } from '#shared/dcrm/committee.ts'
import type { Dispute } from '#shared/dcrm/committee.ts'
import { childTweak } from '#shared/dcrm/derive.ts'
import type { ChildPath } from '#shared/dcrm/derive.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import { encodeHeader } from '#shared/hhcm/codec.ts'
import { blockHash } from '#shared/hhcm/signing.ts'
import type { Header } from '#shared/hhcm/types.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { schnorr, secp256k1 } from '@noble/curves/secp256k1.js'
import { FSN, VALIDATORS, contractAt, createWorld } from '#test/unit/contracts/world.ts'
import type { Outcome, World } from '#test/unit/contracts/world.ts'
import { suite } from '#test/unit/evm/support.ts'
import { decodeEventLog } from 'viem'
import { expect } from 'vitest'

export const OWNER: Address = `0x${'a1'.repeat(20)}`
export const STRANGER: Address = `0x${'a2'.repeat(20)}`
export const ZERO: Hash = `0x${'00'.repeat(32)}`
/** Text of 32 bytes that an accuser gives. */
export const REASON: Hash = `0x${Buffer.from('EXTENSION_CHECK').toString('hex').padEnd(64, '0')}`
export const BOND_WEI = 10n * FSN
export const FEE_WEI = FSN
export const SCHEMES: readonly Scheme[] = ['ecdsa', 'taproot', 'ed25519']
/** Kinds and states by their numbers in the contract. */
export const KEY = { pending: 1, active: 2, frozen: 3, failed: 4 } as const
export const OPERATION = { requested: 1, seated: 2, done: 3, frozen: 4, failed: 5 } as const
export const SIGNATURE = { pending: 1, signed: 2, expired: 3 } as const

/** Account of the party that registered as number `id`. */
export const accountOf = (id: number): Address => `0x${(0xb000 + id).toString(16).padStart(40, '0')}`
/** 32 bytes that follow from a word. */
export const wordOf = (text: string): Hash => `0x${createHash('sha256').update(text).digest('hex')}`

const word = (byte: string): Hash => `0x${byte.repeat(32)}`
/** Header of a height: made up, but a header. */
export function headerAt(height: number): Header {
  return {
    number: height,
    slot: height + 7,
    parentHash: wordOf(`parent ${height}`),
    author: accountOf(1),
    lane: 0,
    rank: 0,
    vrfProof: `0x${'0b'.repeat(80)}`,
    ticketNonce: 1,
    randomness: wordOf(`randomness ${height}`),
    packagesRoot: word('01'),
    votesRoot: word('02'),
    txRoot: word('03'),
    receiptsRoot: word('04'),
    stateRoot: word('05'),
    logsBloom: `0x${'00'.repeat(256)}`,
    gasUsed: 1n,
    gasLimit: 10_000_000n,
    baseFeeWei: 1n,
    triggerGasUsed: 0n,
    triggerBaseFeeWei: 1n,
    signature: `0x${'0c'.repeat(64)}`,
  }
}
export const rawHeader = (height: number): Hex => bytesToHex(encodeHeader(headerAt(height)))

type Row = Readonly<Record<string, unknown>>
export type KeyRow = Readonly<{
  id: Hash
  state: number
  threshold: number
  epoch: number
  members: readonly number[]
  publicKey: Hex
  digest: Hash
  heartbeatEpoch: bigint
}>
export type OperationRow = Readonly<{
  id: Hash
  key: Hash
  kind: number
  state: number
  attempt: number
  members: readonly number[]
  dealers: readonly number[]
  excluded: readonly number[]
  randomness: Hash
  seatedAt: bigint
  requestedAt: bigint
  confirmations: number
  feeWei: bigint
}>
export type RequestRow = Readonly<{
  id: Hash
  state: number
  digest: Hash
  signature: Hex
  feeWei: bigint
  requestedAt: bigint
  excluded: readonly number[]
}>
export type PartyRow = Readonly<{ id: number; account: string; seats: number; absences: number; bondWei: bigint; excludedAt: bigint }>

/** Secret of the key that a test's committee agrees on. */
const secretOf = (label: string): bigint => BigInt(wordOf(label)) % (1n << 250n)

export function publicKeyOf(scheme: Scheme, label: string): Hex {
  const secret = secretOf(label)
  return scheme === 'ed25519'
    ? bytesToHex(ed25519.Point.BASE.multiply(secret).toBytes())
    : bytesToHex(secp256k1.Point.BASE.multiply(secret).toBytes(true))
}

const bytes32 = (value: bigint): Uint8Array => hexToBytes(`0x${value.toString(16).padStart(64, '0')}`)
const littleEndian = (bytes: Uint8Array): bigint => bytesToBigint(bytes.toReversed())

/** RFC 8032 with a scalar instead of a seed. */
function signEd25519(secret: bigint, message: Uint8Array): Uint8Array {
  const { Point } = ed25519
  const order = Point.Fn.ORDER
  const nonce = BigInt(wordOf(`nonce ${toHex(message)}`)) % order
  const commitment = Point.BASE.multiply(nonce).toBytes()
  const key = Point.BASE.multiply(secret).toBytes()
  const challenge = littleEndian(createHash('sha512').update(commitment).update(key).update(message).digest()) % order
  return Uint8Array.from([...commitment, ...bytes32((nonce + challenge * secret) % order).toReversed()])
}

/** Signs a digest with the child of a labelled key, as its committee would. */
export function signAs(scheme: Scheme, key: Hash, label: string, path: ChildPath, digest: Hash): Hex {
  const message = hexToBytes(digest)
  const tweak = childTweak(nobleBackend, scheme, hexToBytes(key), hexToBytes(publicKeyOf(scheme, label)), path)
  if (scheme === 'ed25519') return bytesToHex(signEd25519((secretOf(label) + tweak) % ed25519.Point.Fn.ORDER, message))
  const { Point } = secp256k1
  const child = (secretOf(label) + tweak) % Point.Fn.ORDER
  if (scheme === 'ecdsa') {
    const signature = secp256k1.sign(message, bytes32(child), { prehash: false, format: 'recovered' })
    return bytesToHex(Uint8Array.from([...signature.slice(1), signature[0] ?? 0]))
  }
  const internal = Point.BASE.multiply(child)
  const even = internal.y % 2n === 0n ? child : Point.Fn.ORDER - child
  const tap = bytesToBigint(schnorr.utils.taggedHash('TapTweak', internal.toBytes(true).slice(1)))
  return bytesToHex(schnorr.sign(message, bytes32((even + tap) % Point.Fn.ORDER)))
}

/** Path of ordered signatures; heartbeats pass another purpose. */
export const pathOf = (purpose: ChildPath['purpose'] = 'generic', subject: Hash = ZERO): ChildPath => ({
  purpose,
  subject: hexToBytes(subject),
})

/** Events of an outcome as name and arguments. */
export function eventsOf({ logs }: Outcome): readonly Readonly<{ name: string; args: Row }>[] {
  return logs
    .filter(({ address }) => address === KEY_MANAGER)
    .map(({ topics, data }) => {
      const { eventName, args } = decodeEventLog({ abi: keyManagerAbi, topics: topics as [Hash, ...Hash[]], data: toHex(data) })
      return { name: eventName, args: args as unknown as Row }
    })
}
export function eventOf(outcome: Outcome, name: string): Row {
  const found = eventsOf(outcome).find((event) => event.name === name)
  if (found === undefined)
    throw new Error(
      `no event ${name} among ${eventsOf(outcome)
        .map((event) => event.name)
        .join()}`,
    )
  return found.args
}

/** The set that the chain and all parties draw for an attempt of a session that block `height` opens. */
export const setOf = (
  members: readonly number[],
  threshold: number,
  height: number,
  session: Hash,
  attempt: number,
  out: readonly number[] = [],
  disputes: readonly Dispute[] = [],
): readonly number[] =>
  chooseSigningSet(
    nobleBackend,
    { randomness: hexToBytes(headerAt(height).randomness), requestId: hexToBytes(session), attempt },
    members,
    threshold,
    disputes,
    out,
  ) ?? []

const OWNERS = Array.from({ length: 9 }, (_, index): Address => `0x${(0xc000 + index).toString(16).padStart(40, '0')}`)

/** Owners with money: eight may fill every place, the ninth comes late. */
export function manyOwners(keys: KeyWorld): readonly Address[] {
  for (const owner of OWNERS) keys.world.state.addBalance(owner, 100n * FSN)
  return OWNERS
}

/** The key manager with what tests do over and over. */
export class KeyWorld {
  readonly world: World
  readonly contract

  constructor(world: World) {
    this.world = world
    this.contract = contractAt(world, keyManagerAbi, KEY_MANAGER)
    world.hashOf = (height) => blockHash(headerAt(height), suite.keccak256)
  }

  /** Operators that as many validators as it takes have vouched for. */
  async admit(accounts: readonly Address[]): Promise<void> {
    for (let start = 0; start < accounts.length; start += 32)
      for (const validator of VALIDATORS.slice(0, 3))
        await this.done(this.contract.send(validator, 'vouch', [accounts.slice(start, start + 32)]))
  }

  async register(count: number): Promise<void> {
    await this.admit(Array.from({ length: count }, (_, index) => accountOf(index + 1)))
    for (let id = 1; id <= count; id++) {
      const account = accountOf(id)
      this.world.state.addBalance(account, BOND_WEI)
      await this.done(this.contract.send(account, 'registerParty', [wordOf(`sign ${id}`), wordOf(`seal ${id}`), `http://${id}`], BOND_WEI))
    }
  }

  /** An outcome that must be a success. */
  async done(sent: Promise<Outcome>): Promise<Outcome> {
    const outcome = await sent
    if (!outcome.success) throw new Error(`refused with ${toHex(outcome.returnData)}`)
    return outcome
  }

  key(id: Hash): Promise<KeyRow> {
    return this.contract.call('keyOf', [id]) as Promise<KeyRow>
  }
  operation(id: Hash): Promise<OperationRow> {
    return this.contract.call('operation', [id]) as Promise<OperationRow>
  }
  request(id: Hash): Promise<RequestRow> {
    return this.contract.call('signatureOf', [id]) as Promise<RequestRow>
  }
  async party(id: number): Promise<PartyRow> {
    const [row] = (await this.contract.call('parties', [id - 1, 1])) as readonly PartyRow[]
    if (row?.id !== id) throw new Error(`no party ${id}`)
    return row
  }
  credit(account: Address): Promise<bigint> {
    return this.contract.call('creditOf', [account]) as Promise<bigint>
  }
  async open(): Promise<readonly OperationRow[]> {
    return (await this.contract.call('openOperations', [])) as readonly OperationRow[]
  }

  /** Orders a key; the operation has the key's name. */
  async order(scheme: Scheme, threshold: number, size: number, owner = OWNER): Promise<Hash> {
    const sent = await this.done(this.contract.send(owner, 'requestKey', [SCHEMES.indexOf(scheme), threshold, size], FEE_WEI))
    return eventOf(sent, 'OperationRequested')['operation'] as Hash
  }

  /** Seats as soon as the chain allows. */
  async seat(operation: Hash): Promise<Outcome> {
    const height = Number(await this.contract.call('seatHeight', [operation]))
    if (this.world.height <= height) this.world.height = height + 1
    return this.done(this.contract.send(STRANGER, 'seat', [operation, rawHeader(height)]))
  }

  async confirmAll(operation: Hash, publicKey: Hex, digest: Hash = wordOf('digest')): Promise<void> {
    const { attempt, members } = await this.operation(operation)
    for (const id of members) await this.done(this.contract.send(accountOf(id), 'confirm', [operation, attempt, digest, publicKey]))
  }

  /** A key in use, whose secret follows from the label. */
  async activeKey(scheme: Scheme, threshold: number, size: number, label = 'key', owner = OWNER): Promise<Hash> {
    const id = await this.order(scheme, threshold, size, owner)
    await this.seat(id)
    await this.confirmAll(id, publicKeyOf(scheme, label))
    this.world.nextBlock()
    return id
  }

  /** Header of the block that opened a request; an operation needs none. */
  async openingOf(session: Hash): Promise<Hex> {
    const { state, requestedAt } = await this.request(session)
    return state === 0 ? '0x' : rawHeader(Number(requestedAt) + 4)
  }

  /** One party's word about an attempt of an operation or a request. */
  async reportAbsence(session: Hash, attempt: number, reporter: number, accused: readonly number[]): Promise<Outcome> {
    return this.contract.send(accountOf(reporter), 'reportAbsence', [session, attempt, accused, await this.openingOf(session)])
  }

  async orderSignature(key: Hash, message = wordOf('message'), subject = ZERO, feeWei = FEE_WEI): Promise<Hash> {
    const sent = await this.done(this.contract.send(OWNER, 'requestSignature', [key, subject, message], feeWei))
    return eventOf(sent, 'SignatureRequested')['id'] as Hash
  }
}

/** Place of the sum of what the contract owes in its storage. */
const OWED_SLOT: Hash = `0x${'b'.padStart(64, '0')}`
const worlds: KeyWorld[] = []

/**
 * For after each test: in every world it made, what the contract says it owes is the sum of bonds, fees that wait and credits, and it has that much.
 */
export async function checkBooks(): Promise<void> {
  for (const keys of worlds.splice(0)) {
    const rows = (await keys.contract.call('parties', [0, 65_535])) as readonly PartyRow[]
    const bonds = rows.map(({ bondWei }) => bondWei)
    const pending = (await keys.contract.call('pendingSignatures', [])) as readonly RequestRow[]
    const fees = [...(await keys.open()), ...pending].map(({ feeWei }) => feeWei)
    const accounts = [OWNER, STRANGER, ...OWNERS, ...Array.from({ length: 130 }, (_, index) => accountOf(index + 1))]
    const credits = await Promise.all(accounts.map((account) => keys.credit(account)))
    const owed = BigInt(bytesToHex(Uint8Array.of(0, ...keys.world.state.slot(KEY_MANAGER, OWED_SLOT))))
    expect(owed).toBe([...bonds, ...fees, ...credits].reduce((sum, each) => sum + each, 0n))
    expect(keys.world.state.balance(KEY_MANAGER) >= owed).toBe(true)
  }
}

/** Parties 1 to `count`, registered, in a world with a pool for custody. */
export async function createKeyWorld(count: number, poolWei = 0n): Promise<KeyWorld> {
  const world = new KeyWorld(createWorld([OWNER, STRANGER]))
  worlds.push(world)
  world.world.state.addBalance(KEY_MANAGER, poolWei)
  await world.register(count)
  return world
}
