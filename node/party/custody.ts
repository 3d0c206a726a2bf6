/**
 * What a party keeps: its identity, its shares by key and epoch, its pair states, the sessions it has spoken in, its disputes and its lease.
 * Everything here may be backed up; presignatures may not and live elsewhere. Source: docs/dcrm.md, persistence.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { decodeShare, encodeShare } from '#node/party/share-codec.ts'
import type { Vault } from '#node/party/vault.ts'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { publicBytesOf } from '#node/crypto-native.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import type { PairState } from '#shared/dcrm/pair-setup.ts'
import { decodePairState, encodePairState } from '#shared/dcrm/pair-setup.ts'
import type { OwnKeys } from '#shared/dcrm/session-types.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Hash, Hex } from '#shared/types.ts'

/** Long-term keys of a party. */
export type PartyIdentity = Readonly<{ keys: OwnKeys; /** Ed25519. */ signKey: Hex; /** X25519. */ sealKey: Hex }>

/** Names this process among all that ever held the shares, and counts its starts. */
export type Lease = Readonly<{ instanceId: Hash; generation: bigint }>

export class Custody {
  readonly #vault: Vault

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

  /** The next lease of this store: the same instance, one start later. */
  nextLease(): Lease {
    const stored = this.#vault.get('lease')
    const instance = stored === null ? new Uint8Array(randomBytes(32)) : stored.slice(0, 32)
    const generation = stored === null ? 1n : new DataView(stored.slice(32).buffer).getBigUint64(0) + 1n
    const next = new Uint8Array(40)
    next.set(instance)
    new DataView(next.buffer).setBigUint64(32, generation)
    this.#vault.write([{ name: 'lease', value: next }])
    return { instanceId: bytesToHex(instance), generation }
  }

  /** A share of an epoch, or null. `operation` tells apart attempts that ended at this party and not elsewhere. */
  share(key: Hash, epoch: number): KeyShare | null {
    const stored = this.#vault.get(shareName(key, epoch))
    return stored === null ? null : decodeShare(stored)
  }

  /** Stores a share that is to become the key's once all have confirmed it. */
  putShare(key: Hash, share: KeyShare): void {
    this.#vault.write([{ name: shareName(key, share.publicKey.epoch), value: encodeShare(share) }])
  }

  /** Forgets shares and pair states of all epochs below `epoch`. */
  dropBefore(key: Hash, epoch: number): void {
    const old = [...this.#vault.names(`share/${key}/`), ...this.#vault.names(`pair/${key}/`)].filter(
      (name) => Number(name.split('/')[2]) < epoch,
    )
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

  /** Whether this party has ever spoken in a session; then it never does again after a restart. */
  hasJoined(openId: Uint8Array): boolean {
    return this.#vault.get(`joined/${bytesToHex(openId)}`) !== null
  }

  /** Durable before the first envelope leaves. */
  join(openId: Uint8Array): void {
    this.#vault.write([{ name: `joined/${bytesToHex(openId)}`, value: new Uint8Array(1) }])
  }

  /** Durable before anything else happens: the pair is shut out of every later session of the epoch. */
  dispute(key: Hash, epoch: number, accused: PartyId, code: string): void {
    this.#vault.write([{ name: `dispute/${key}/${epoch}/${accused}`, value: new TextEncoder().encode(code) }])
  }

  /** Parties this one has accused in an epoch, with the code of the reason. */
  disputes(key: Hash, epoch: number): readonly Readonly<{ accused: PartyId; code: string }>[] {
    const prefix = `dispute/${key}/${epoch}/`
    return this.#vault.names(prefix).map((name) => ({
      accused: Number(name.slice(prefix.length)),
      code: new TextDecoder().decode(this.#vault.get(name) ?? new Uint8Array(0)),
    }))
  }
}

const shareName = (key: Hash, epoch: number): string => `share/${key}/${epoch}`
const pairName = (key: Hash, epoch: number, peer: PartyId): string => `pair/${key}/${epoch}/${peer}`

/** 32 bytes of a hash. */
export const rawHash = (hash: Hash): Uint8Array => hexToBytes(hash)
