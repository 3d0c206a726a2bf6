/** Names of keys and sessions. All inputs but the nonces come from finalised chain state. Source: docs/dcrm.md, session ids. @module */
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { hashItems, idsBytes, listBytes } from '#shared/dcrm/hash.ts'
import type { KeyDescriptor, PartyId } from '#shared/dcrm/types.ts'

type Hashes = Pick<DcrmBackend, 'sha256'>

/** What a session is about, before any nonce exists. */
export type SessionSubject = Readonly<{
  chainId: number
  /** `dkg`, `refresh`, `reshare`, `recover`, `setup`, `presign`, `ecdsa`, `frost`, `blame`. */
  protocol: string
  /** 32 bytes: the on-chain request the session serves. */
  requestId: Uint8Array
  /** Epoch of the key the session begins in. */
  epoch: number
  /** Parties of the session, ascending. */
  set: readonly PartyId[]
  /** Retry, counted by the chain: same request, same message, fresh randomness. */
  attempt: number
}>

/** Name of a session in its round 0: H("open", …), 32 bytes. */
export function openIdOf(hashes: Hashes, subject: SessionSubject): Uint8Array {
  const { chainId, protocol, requestId, epoch, set, attempt } = subject
  return hashItems(hashes, 'open', chainId, protocol, requestId, epoch, idsBytes(set), attempt)
}

/** Name of a session from round 1 on: the opening and every party's nonce in ascending order of id, 32 bytes. */
export function sessionIdOf(hashes: Hashes, openId: Uint8Array, nonces: readonly Uint8Array[]): Uint8Array {
  return hashItems(hashes, 'sid', openId, listBytes(nonces))
}

/** Canonical bytes of a descriptor, hashed in the opening and into the key's certificate. */
export function descriptorHash(hashes: Hashes, descriptor: KeyDescriptor): Uint8Array {
  const { chainId, requestId, scheme, threshold, members } = descriptor
  return hashItems(hashes, 'descriptor', chainId, requestId, scheme, threshold, idsBytes(members))
}

/** Name of a key inside the protocols: its descriptor and the session that made it, 32 bytes. On chain a key's name is its requestId. */
export function keyIdOf(hashes: Hashes, descriptor: KeyDescriptor, sid: Uint8Array): Uint8Array {
  return hashItems(hashes, 'key', descriptorHash(hashes, descriptor), sid)
}
