/**
 * Hashes and signing payloads of consensus objects. Every signature is Ed25519 over utf8(tag) ‖ genesisHash ‖ payload, one tag per kind,
 * so that nothing signed for one kind or one chain is valid for another. Layouts are in docs/protocol.md.
 * @module
 */
import { bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { encodeRlp } from '#shared/codec/rlp.ts'
import type { RlpInput } from '#shared/codec/rlp.ts'
import type { Certificate, CoSignature, Header, HhcmCrypto, PackageHeader, Vote } from '#shared/hhcm/types.ts'
import type { Hash } from '#shared/types.ts'
import { keccak_256 } from '@noble/hashes/sha3.js'

/** Keccak-256 of any implementation. */
export type Keccak = HhcmCrypto['keccak256']
type Unsigned<T> = Omit<T, 'signature'>

const TAG = {
  package: utf8ToBytes('fusion.package'),
  coSignature: utf8ToBytes('fusion.co-signature'),
  certificate: utf8ToBytes('fusion.certificate'),
  block: utf8ToBytes('fusion.block'),
  vote: utf8ToBytes('fusion.vote'),
} as const

/** Root of a block without transactions: the hash of the RLP of an empty byte string, as in Ethereum. */
export const EMPTY_TX_ROOT: Hash = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'

/** Fields of a package header before its signature, in wire order. */
export function packageFields(header: Unsigned<PackageHeader>): readonly RlpInput[] {
  return [header.slot, header.lane, header.rank, header.parentHash, header.author, header.txRoot, header.txCount, header.bytes]
}

/** Fields of a block header before its signature, in wire order. */
export function headerFields(header: Unsigned<Header>): readonly RlpInput[] {
  return [
    header.number,
    header.slot,
    header.parentHash,
    header.author,
    header.lane,
    header.rank,
    header.vrfProof,
    header.ticketNonce,
    header.randomness,
    header.packagesRoot,
    header.votesRoot,
    header.txRoot,
    header.receiptsRoot,
    header.stateRoot,
    header.logsBloom,
    header.gasUsed,
    header.gasLimit,
    header.baseFeeWei,
    header.triggerGasUsed,
    header.triggerBaseFeeWei,
  ]
}

const checkpointFields = (checkpoint: Vote['source']): readonly RlpInput[] => [checkpoint.slot, checkpoint.blockHash]

/** Fields of a vote, in wire order. */
export function voteFields(vote: Vote): readonly RlpInput[] {
  return [checkpointFields(vote.source), checkpointFields(vote.target), vote.voter, vote.signature]
}

/** Fields of a certificate, in wire order; co-signatures shrink to (signer, signature). */
export function certificateFields(certificate: Certificate): readonly RlpInput[] {
  return [
    [...packageFields(certificate.header), certificate.header.signature],
    certificate.coSignatures.map(({ signer, signature }) => [signer, signature]),
    certificate.vrfProof,
    certificate.ticketNonce,
    certificate.signature,
  ]
}

/** Hash of a package: keccak-256 of its unsigned header. */
export function packageHash(header: Unsigned<PackageHeader>, keccak256: Keccak = keccak_256): Hash {
  return bytesToHex(keccak256(encodeRlp(packageFields(header))))
}

/** Hash of a block: keccak-256 of its unsigned header. */
export function blockHash(header: Unsigned<Header>, keccak256: Keccak = keccak_256): Hash {
  return bytesToHex(keccak256(encodeRlp(headerFields(header))))
}

/** Root over a package's raw transactions: keccak-256 of the RLP list of their keccak-256 hashes. */
export function packageTxRoot(txs: readonly Uint8Array[], keccak256: Keccak = keccak_256): Hash {
  return bytesToHex(keccak256(encodeRlp(txs.map((tx) => keccak256(tx)))))
}

/** Root over the certificates of all lanes: keccak-256 of their RLP list, an empty list standing for an absent lane. */
export function packagesRoot(certificates: readonly (Certificate | null)[], keccak256: Keccak = keccak_256): Hash {
  return bytesToHex(keccak256(encodeRlp(certificates.map((certificate) => (certificate === null ? [] : certificateFields(certificate))))))
}

/** Root over the votes a block carries: keccak-256 of their RLP list. */
export function votesRoot(votes: readonly Vote[], keccak256: Keccak = keccak_256): Hash {
  return bytesToHex(keccak256(encodeRlp(votes.map(voteFields))))
}

function payload(tag: keyof typeof TAG, genesisHash: Hash, fields: Uint8Array): Uint8Array {
  return concatBytes(TAG[tag], hexToBytes(genesisHash), fields)
}

/** What a package's author signs: its hash. */
export function packagePayload(genesisHash: Hash, hash: Hash): Uint8Array {
  return payload('package', genesisHash, hexToBytes(hash))
}

/** What a block's author signs: its hash. */
export function blockPayload(genesisHash: Hash, hash: Hash): Uint8Array {
  return payload('block', genesisHash, hexToBytes(hash))
}

/** What a group member signs: rlp([slot, lane, packageHash]). */
export function coSignaturePayload(genesisHash: Hash, coSignature: Pick<CoSignature, 'slot' | 'lane' | 'packageHash'>): Uint8Array {
  return payload('coSignature', genesisHash, encodeRlp([coSignature.slot, coSignature.lane, coSignature.packageHash]))
}

/** What the author of a certified package signs: rlp([slot, lane, packageHash, vrfProof, ticketNonce]). */
export function certificatePayload(
  genesisHash: Hash,
  hash: Hash,
  certificate: Omit<Certificate, 'signature' | 'coSignatures'>,
): Uint8Array {
  const { header, vrfProof, ticketNonce } = certificate
  return payload('certificate', genesisHash, encodeRlp([header.slot, header.lane, hash, vrfProof, ticketNonce]))
}

/** What a voter signs: rlp([[source.slot, source.blockHash], [target.slot, target.blockHash]]). */
export function votePayload(genesisHash: Hash, vote: Pick<Vote, 'source' | 'target'>): Uint8Array {
  return payload('vote', genesisHash, encodeRlp([checkpointFields(vote.source), checkpointFields(vote.target)]))
}
