/**
 * What a party keeps: its identity, its shares by key and epoch, its pair states, the sessions it has spoken in, its disputes and its lease.
 * Everything here may be backed up; presignatures may not and live elsewhere. Source: docs/dcrm.md, persistence.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { decodeShare, encodeShare } from '#node/party/share-codec.ts'
import type { Vault, VaultWrite } from '#node/party/vault.ts'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { publicBytesOf } from '#node/crypto-native.ts'
import { bytesToHex, equalBytes, hexToBytes } from '#shared/bytes.ts'
import type { PairState } from '#shared/dcrm/pair-setup.ts'
import { decodePairState, encodePairState } from '#shared/dcrm/pair-setup.ts'
import type { OwnKeys } from '#shared/dcrm/session-types.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Hash, Hex } from '#shared/types.ts'

/** Long-term keys of a party. */
export type PartyIdentity = Readonly<{ keys: OwnKeys; /** Ed25519. */ signKey: Hex; /** X25519. */ sealKey: Hex }>

/** Names one start of a process among all that ever held the shares; the generation rises with every start and with what must not be forgotten. */
export type Lease = Readonly<{ instanceId: Hash; generation: bigint }>
/** A key in one epoch with the digest its members confirmed on chain. */
export type KeyVersion = Readonly<{ id: Hash; epoch: number; digest: Hash }>

export class Custody {
  readonly #vault: Vault
  /** Peers shut out in this process, even if the store cannot keep it. */
  readonly #shutOut = new Set<string>()

  constructor(vault: Vault) {
    this.#vault = vault
  }

  /** Keys of this party, made at the first call. */
  identity(): PartyIdentity {
    let stored = this.#vault.get('identity')
    if (stored === null) {
      stored = new Uint8Array(randomBytes(64))
      this.#vault.write([{ name: 'identity', value: stored }])
    }
    const keys = { signSecret: stored.slice(0, 32), sealSecret: stored.slice(32, 64) }
    const signKey = bytesToHex(publicBytesOf(keys.signSecret))
    return { keys, signKey, sealKey: bytesToHex(nativeEnvelopeCrypto.agreementKey(keys.sealSecret)) }
  }

  /** Whether this is the network the store has been used in; the first one it is asked about is. */
  isOfNetwork(genesisHash: Hash): boolean {
    const stored = this.#vault.get('network')
    if (stored === null) this.#vault.write([{ name: 'network', value: hexToBytes(genesisHash) }])
    return stored === null || bytesToHex(stored) === genesisHash
  }

  /** The newest lease of this store, or null before the first. */
  lease(): Lease | null {
    const stored = this.#vault.get('lease')
    if (stored === null) return null
    return { instanceId: bytesToHex(stored.slice(0, 32)), generation: new DataView(stored.slice(32).buffer).getBigUint64(0) }
  }

  /** The lease of a new start. */
  nextLease(): Lease {
    const next = { instanceId: bytesToHex(new Uint8Array(randomBytes(32))), generation: (this.lease()?.generation ?? 0n) + 1n }
    this.#vault.write([leaseWrite(next)])
    return next
  }

  /** The same start, one generation later: copies of the store made before are older than what the chain will know. */
  #olderCopies(): readonly VaultWrite[] {
    const lease = this.lease()
    return lease === null ? [] : [leaseWrite({ ...lease, generation: lease.generation + 1n })]
  }

  /** Makes every copy of the store made until now an old one. */
  outdateCopies(): void {
    this.#vault.write(this.#olderCopies())
  }

  /** The share of a key as its members confirmed it, or null. */
  share({ id, epoch, digest }: KeyVersion): KeyShare | null {
    const stored = this.#vault.get(shareName(id, epoch, digest))
    return stored === null ? null : decodeShare(stored)
  }

  /** Stores a share that is to become the key's once all have confirmed its digest on chain; shares of other attempts stay beside it. */
  putShare(key: Hash, digest: Hash, share: KeyShare): void {
    this.#vault.write([{ name: shareName(key, share.publicKey.epoch, digest), value: encodeShare(share) }, ...this.#olderCopies()])
  }

  /**
   * Forgets what the chain has made worthless: shares of older epochs and of attempts that came to nothing, and old pair states. `isOpen` says that
   * the holders are changing now. A member without its share of this version keeps what it has.
   */
  dropStale(key: KeyVersion, isMember: boolean, isOpen: boolean): void {
    if (isMember && this.share(key) === null) return
    const stale = (name: string): boolean => {
      const [kind, , epoch, rest] = name.split('/')
      if (Number(epoch) > key.epoch) return !isOpen
      return !isMember || Number(epoch) < key.epoch || (kind === 'share' && rest !== key.digest)
    }
    const old = [...this.#vault.names(`share/${key.id}/`), ...this.#vault.names(`pair/${key.id}/`)].filter(stale)
    if (old.length > 0) this.#vault.write(old.map((name) => ({ name, value: null })))
  }

  pair(key: Hash, epoch: number, peer: PartyId): PairState | null {
    const stored = this.#vault.get(pairName(key, epoch, peer))
    if (stored === null) return null
    const pair = decodePairState(stored)
    if (pair === null) throw new DecodeError('PAIR_INVALID', pairName(key, epoch, peer), 'expected a stored pair state')
    return pair
  }

  putPair(key: Hash, epoch: number, pair: PairState): void {
    this.#vault.write([{ name: pairName(key, epoch, pair.peer), value: encodePairState(pair) }])
  }

  /**
   * Notes the keys peers have now. One that has others than before has lost its store, and with it its half of every pair state; the other half
   * goes too, so that the pair is set up again.
   */
  meet(peers: readonly Readonly<{ id: PartyId; signKey: Hex }>[]): void {
    const known = peers.map(({ id, signKey }) => ({ id, value: hexToBytes(signKey), before: this.#vault.get(`peer/${id}`) }))
    const changed = known.filter(({ value, before }) => before === null || !equalBytes(before, value))
    if (changed.length === 0) return
    const lost = new Set(changed.filter(({ before }) => before !== null).map(({ id }) => String(id)))
    const pairs = this.#vault.names('pair/').filter((name) => lost.has(name.split('/')[3] ?? ''))
    this.#vault.write([...changed.map(({ id, value }) => ({ name: `peer/${id}`, value })), ...pairs.map((name) => ({ name, value: null }))])
  }

  /** Forgets what it shares with some peers: the pairs are set up again. */
  forgetPairs(key: Hash, epoch: number, peers: readonly PartyId[]): void {
    if (peers.length > 0) this.#vault.write(peers.map((peer) => ({ name: pairName(key, epoch, peer), value: null })))
  }

  /** Whether this party has ever spoken in a session; then it never does again after a restart. */
  hasJoined(openId: Uint8Array): boolean {
    return this.#vault.get(`joined/${bytesToHex(openId)}`) !== null
  }

  /** Durable before the first envelope leaves. */
  join(openId: Uint8Array): void {
    this.#vault.write([{ name: `joined/${bytesToHex(openId)}`, value: new Uint8Array(1) }])
  }

  /** Durable before anything else happens: the pair is shut out of every later session of the epoch, and what a probe could ask about is gone. */
  dispute(key: Hash, epoch: number, accused: PartyId, code: string): void {
    const name = disputeName(key, epoch, accused)
    this.#shutOut.add(name)
    this.#vault.write([
      { name, value: new TextEncoder().encode(code) },
      { name: pairName(key, epoch, accused), value: null },
      ...this.#olderCopies(),
    ])
  }

  /** Parties this one has accused in an epoch, with the code of the reason. */
  disputes(key: Hash, epoch: number): readonly Readonly<{ accused: PartyId; code: string }>[] {
    const prefix = disputeName(key, epoch, '')
    return this.#vault.names(prefix).map((name) => ({
      accused: Number(name.slice(prefix.length)),
      code: new TextDecoder().decode(this.#vault.get(name) ?? new Uint8Array(0)),
    }))
  }

  /** Whether this party has accused any of these in an epoch. */
  hasDisputed(key: Hash, epoch: number, parties: readonly PartyId[]): boolean {
    const names = parties.map((party) => disputeName(key, epoch, party))
    return names.some((name) => this.#shutOut.has(name) || this.#vault.get(name) !== null)
  }

  /** Whether a presignature and its r′ are for this use, and from now on for no other. */
  claimNonce(psid: Uint8Array, r: bigint, use: Uint8Array): boolean {
    const names = [`nonce/${bytesToHex(psid)}`, `nonce/${r.toString(16)}`]
    const isTaken = names.some((name) => !equalBytes(this.#vault.get(name) ?? use, use))
    if (!isTaken) this.#vault.write(names.map((name) => ({ name, value: use })))
    return !isTaken
  }
}

function leaseWrite({ instanceId, generation }: Lease): VaultWrite {
  const value = new Uint8Array(40)
  value.set(hexToBytes(instanceId))
  new DataView(value.buffer).setBigUint64(32, generation)
  return { name: 'lease', value }
}

const shareName = (key: Hash, epoch: number, digest: Hash): string => `share/${key}/${epoch}/${digest}`
const pairName = (key: Hash, epoch: number, peer: PartyId): string => `pair/${key}/${epoch}/${peer}`
const disputeName = (key: Hash, epoch: number, accused: PartyId | ''): string => `dispute/${key}/${epoch}/${accused}`

/** 32 bytes of a hash. */
export const rawHash = (hash: Hash): Uint8Array => hexToBytes(hash)
