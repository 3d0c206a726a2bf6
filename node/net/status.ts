/**
 * What two peers tell each other on connecting: chain, progress, and which validator runs the peer.
 * The signature binds a consensus key to a transport identity that noise has already authenticated.
 * @module
 */
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { FieldReader, decodeRlp, encodeRlp } from '#shared/codec/rlp.ts'
import type { Address, Hash, Height, Hex } from '#shared/types.ts'
import { ANSWER_BYTES_MAX } from '#node/net/topics.ts'

export type ChainProgress = Readonly<{ headNumber: Height; headHash: Hash; finalizedNumber: Height; finalizedHash: Hash }>

export type PeerStatus = ChainProgress &
  Readonly<{
    genesisHash: Hash
    /** Validator that vouches for this peer, null for a follower. */
    validator: Address | null
    /** Ed25519 over `peerProofMessage`, empty for a follower. */
    proof: Hex
  }>

/** Bytes a validator signs to prove that transport identity `peerId` is its own. */
export const peerProofMessage = (genesisHash: Hash, peerId: string): Uint8Array =>
  concatBytes(utf8ToBytes('fusion.peer'), hexToBytes(genesisHash), utf8ToBytes(peerId))

export const encodeStatus = (status: PeerStatus): Uint8Array =>
  encodeRlp([
    status.genesisHash,
    status.headNumber,
    status.headHash,
    status.finalizedNumber,
    status.finalizedHash,
    status.validator ?? new Uint8Array(0),
    status.proof,
  ])

/** @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID */
export function decodeStatus(bytes: Uint8Array): PeerStatus {
  const reader = new FieldReader(decodeRlp(bytes, ANSWER_BYTES_MAX.status), 'status', 7)
  const genesisHash = reader.fixed('genesisHash', 32)
  const headNumber = reader.integer('headNumber', Number.MAX_SAFE_INTEGER)
  const headHash = reader.fixed('headHash', 32)
  const finalizedNumber = reader.integer('finalizedNumber', Number.MAX_SAFE_INTEGER)
  const finalizedHash = reader.fixed('finalizedHash', 32)
  const validator = reader.bytes('validator', 20)
  const proof = bytesToHex(reader.bytes('proof', 64))
  return {
    genesisHash,
    headNumber,
    headHash,
    finalizedNumber,
    finalizedHash,
    validator: validator.length === 20 ? bytesToHex(validator) : null,
    proof,
  }
}
