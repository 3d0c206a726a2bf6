/**
 * Byte layouts of consensus objects: strict RLP, bounded sizes, hashes recomputed while decoding. Tables are in docs/protocol.md.
 * Signatures are not checked here; the machine does that.
 * @module
 */
import { decodeRlp, encodeRlp, FieldReader } from '#shared/codec/rlp.ts'
import type { RlpInput, RlpItem } from '#shared/codec/rlp.ts'
import { DecodeError } from '#shared/fault.ts'
import {
  blockHash,
  certificateFields,
  headerFields,
  packageFields,
  packageHash,
  packagesRoot,
  packageTxRoot,
  voteFields,
  votesRoot,
} from '#shared/hhcm/signing.ts'
import type { BlockEnvelope, Certificate, CoSignature, Header, Package, PackageHeader, Vote } from '#shared/hhcm/types.ts'
import { PACKAGE_BYTES_MAX, PACKAGE_TX_COUNT_MAX } from '#shared/params.ts'

/** Largest encodings, bytes. A package may add a header and list prefixes to its transactions. */
export const WIRE_BYTES_MAX = {
  package: PACKAGE_BYTES_MAX + PACKAGE_TX_COUNT_MAX * 4 + 512,
  coSignature: 256,
  certificate: 16 * 1024,
  block: 128 * 1024,
  vote: 512,
} as const

/** Most validators, hence most co-signatures of a certificate. */
export const VALIDATORS_MAX = 100
/** Most lanes. */
export const LANES_MAX = 16
/** Most votes one block carries. */
export const VOTES_PER_BLOCK_MAX = 256

const SLOT_MAX = Number.MAX_SAFE_INTEGER
const SIGNATURE_BYTES = 64

function checkpointOf(reader: FieldReader): Vote['source'] {
  return { slot: reader.integer('slot', SLOT_MAX), blockHash: reader.fixed('blockHash', 32) }
}

function packageHeaderOf(reader: FieldReader): PackageHeader {
  return {
    slot: reader.integer('slot', SLOT_MAX),
    lane: reader.integer('lane', LANES_MAX - 1),
    rank: reader.integer('rank', VALIDATORS_MAX - 1),
    parentHash: reader.fixed('parentHash', 32),
    author: reader.fixed('author', 20),
    txRoot: reader.fixed('txRoot', 32),
    txCount: reader.integer('txCount', PACKAGE_TX_COUNT_MAX),
    bytes: reader.integer('bytes', PACKAGE_BYTES_MAX),
    signature: reader.fixed('signature', SIGNATURE_BYTES),
  }
}

function certificateOf(item: RlpItem, path: string): Certificate {
  const reader = new FieldReader(item, path, 5)
  const header = packageHeaderOf(reader.nested('header', 9))
  const hash = packageHash(header)
  return {
    header,
    coSignatures: reader.list('coSignatures', VALIDATORS_MAX).map((entry, index) => {
      const fields = new FieldReader(entry, `${path}.coSignatures.${index}`, 2)
      return {
        slot: header.slot,
        lane: header.lane,
        packageHash: hash,
        signer: fields.fixed('signer', 20),
        signature: fields.fixed('signature', SIGNATURE_BYTES),
      }
    }),
    vrfProof: reader.fixed('vrfProof', 80),
    ticketNonce: reader.integer('ticketNonce', 0xffff_ffff),
    signature: reader.fixed('signature', SIGNATURE_BYTES),
  }
}

function voteOf(item: RlpItem, path: string): Vote {
  const reader = new FieldReader(item, path, 4)
  return {
    source: checkpointOf(reader.nested('source', 2)),
    target: checkpointOf(reader.nested('target', 2)),
    voter: reader.fixed('voter', 20),
    signature: reader.fixed('signature', SIGNATURE_BYTES),
  }
}

function headerOf(reader: FieldReader): Header {
  return {
    number: reader.integer('number', SLOT_MAX),
    slot: reader.integer('slot', SLOT_MAX),
    parentHash: reader.fixed('parentHash', 32),
    author: reader.fixed('author', 20),
    lane: reader.integer('lane', LANES_MAX - 1),
    rank: reader.integer('rank', VALIDATORS_MAX - 1),
    vrfProof: reader.fixed('vrfProof', 80),
    ticketNonce: reader.integer('ticketNonce', 0xffff_ffff),
    randomness: reader.fixed('randomness', 32),
    packagesRoot: reader.fixed('packagesRoot', 32),
    votesRoot: reader.fixed('votesRoot', 32),
    txRoot: reader.fixed('txRoot', 32),
    receiptsRoot: reader.fixed('receiptsRoot', 32),
    stateRoot: reader.fixed('stateRoot', 32),
    logsBloom: reader.fixed('logsBloom', 256),
    gasUsed: reader.bigint('gasUsed', 64),
    gasLimit: reader.bigint('gasLimit', 64),
    baseFeeWei: reader.bigint('baseFeeWei', 256),
    triggerGasUsed: reader.bigint('triggerGasUsed', 64),
    triggerBaseFeeWei: reader.bigint('triggerBaseFeeWei', 256),
    signature: reader.fixed('signature', SIGNATURE_BYTES),
  }
}

const signedFields = (fields: readonly RlpInput[], signature: PackageHeader['signature']): readonly RlpInput[] => [...fields, signature]

/** rlp(package header with signature), as evidence carries it. */
export function encodePackageHeader(header: PackageHeader): Uint8Array {
  return encodeRlp(signedFields(packageFields(header), header.signature))
}

/** @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID */
export function decodePackageHeader(bytes: Uint8Array): PackageHeader {
  return packageHeaderOf(new FieldReader(decodeRlp(bytes, WIRE_BYTES_MAX.vote), 'packageHeader', 9))
}

/** rlp([header, [tx…]]) */
export function encodePackage(value: Package): Uint8Array {
  return encodeRlp([signedFields(packageFields(value.header), value.header.signature), value.txs])
}

/** Also recomputes txCount, bytes and txRoot. @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID, PACKAGE_BODY */
export function decodePackage(bytes: Uint8Array): Package {
  const reader = new FieldReader(decodeRlp(bytes, WIRE_BYTES_MAX.package), 'package', 2)
  const header = packageHeaderOf(reader.nested('header', 9))
  const txs = reader.list('txs', PACKAGE_TX_COUNT_MAX).map((item) => {
    if (item instanceof Uint8Array) return item
    throw new DecodeError('FIELD_INVALID', 'package.txs', 'expected bytes, got a list')
  })
  const size = txs.reduce((sum, tx) => sum + tx.length, 0)
  if (txs.length !== header.txCount || size !== header.bytes || packageTxRoot(txs) !== header.txRoot)
    throw new DecodeError('PACKAGE_BODY', 'package.txs', 'transactions do not match the header')
  return { hash: packageHash(header), header, txs }
}

/** rlp([slot, lane, packageHash, signer, signature]) */
export function encodeCoSignature(value: CoSignature): Uint8Array {
  return encodeRlp([value.slot, value.lane, value.packageHash, value.signer, value.signature])
}

/** @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID */
export function decodeCoSignature(bytes: Uint8Array): CoSignature {
  const reader = new FieldReader(decodeRlp(bytes, WIRE_BYTES_MAX.coSignature), 'coSignature', 5)
  return {
    slot: reader.integer('slot', SLOT_MAX),
    lane: reader.integer('lane', LANES_MAX - 1),
    packageHash: reader.fixed('packageHash', 32),
    signer: reader.fixed('signer', 20),
    signature: reader.fixed('signature', SIGNATURE_BYTES),
  }
}

/** rlp([packageHeader, [[signer, signature]…], vrfProof, ticketNonce, signature]) */
export function encodeCertificate(value: Certificate): Uint8Array {
  return encodeRlp(certificateFields(value))
}

/** @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID */
export function decodeCertificate(bytes: Uint8Array): Certificate {
  return certificateOf(decodeRlp(bytes, WIRE_BYTES_MAX.certificate), 'certificate')
}

/** rlp(block header with signature), as evidence carries it. */
export function encodeHeader(header: Header): Uint8Array {
  return encodeRlp(signedFields(headerFields(header), header.signature))
}

/** @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID */
export function decodeHeader(bytes: Uint8Array): Header {
  return headerOf(new FieldReader(decodeRlp(bytes, 2048), 'header', 21))
}

/** rlp([header, [certificate | []…], [vote…]]) */
export function encodeBlock(value: BlockEnvelope): Uint8Array {
  return encodeRlp([
    signedFields(headerFields(value.header), value.header.signature),
    value.certificates.map((certificate) => (certificate === null ? [] : certificateFields(certificate))),
    value.votes.map(voteFields),
  ])
}

/** Also recomputes packagesRoot and votesRoot. @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID, BLOCK_ROOTS */
export function decodeBlock(bytes: Uint8Array): BlockEnvelope {
  const reader = new FieldReader(decodeRlp(bytes, WIRE_BYTES_MAX.block), 'block', 3)
  const header = headerOf(reader.nested('header', 21))
  const certificates = reader
    .list('certificates', LANES_MAX)
    .map((item, index) => (!(item instanceof Uint8Array) && item.length === 0 ? null : certificateOf(item, `block.certificates.${index}`)))
  const votes = reader.list('votes', VOTES_PER_BLOCK_MAX).map((item, index) => voteOf(item, `block.votes.${index}`))
  if (header.number > 0 && (packagesRoot(certificates) !== header.packagesRoot || votesRoot(votes) !== header.votesRoot))
    throw new DecodeError('BLOCK_ROOTS', 'block', 'certificates or votes do not match the header')
  return { hash: blockHash(header), header, certificates, votes }
}

/** rlp([[slot, hash], [slot, hash], voter, signature]) */
export function encodeVote(value: Vote): Uint8Array {
  return encodeRlp(voteFields(value))
}

/** @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID */
export function decodeVote(bytes: Uint8Array): Vote {
  return voteOf(decodeRlp(bytes, WIRE_BYTES_MAX.vote), 'vote')
}
