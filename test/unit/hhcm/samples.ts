/** One object of every kind with distinct field values, for codec tests. @module */
import { createHash } from 'node:crypto'
import { bytesToHex } from '#shared/bytes.ts'
import { blockHash, packageHash, packagesRoot, packageTxRoot, votesRoot } from '#shared/hhcm/signing.ts'
import type { BlockEnvelope, Certificate, CoSignature, Header, Package, PackageHeader, Vote } from '#shared/hhcm/types.ts'
import type { Hex } from '#shared/types.ts'

/** Bytes that look random and never change. */
export function filler(name: string, length: number): Hex {
  let text = ''
  for (let index = 0; text.length < 2 * length; index++) text += createHash('sha256').update(`${name}${index}`).digest('hex')
  return `0x${text.slice(0, 2 * length)}`
}

const txs = [Uint8Array.of(0x02, 1, 2, 3), new Uint8Array(0), Uint8Array.of(0x46, 0xff)]
const packageHeader: PackageHeader = {
  slot: 70_000,
  lane: 1,
  rank: 0,
  parentHash: filler('parent', 32),
  author: filler('author', 20),
  txRoot: packageTxRoot(txs),
  txCount: 3,
  bytes: 6,
  signature: filler('package signature', 64),
}
const hash = packageHash(packageHeader)
export const samplePackage: Package = { hash, header: packageHeader, txs }

export const sampleCoSignature: CoSignature = {
  slot: 70_000,
  lane: 1,
  packageHash: hash,
  signer: filler('signer', 20),
  signature: filler('co-signature', 64),
}

export const sampleCertificate: Certificate = {
  header: packageHeader,
  coSignatures: [sampleCoSignature],
  vrfProof: filler('proof', 80),
  ticketNonce: 4095,
  signature: filler('certificate signature', 64),
}

export const sampleVote: Vote = {
  source: { slot: 69_998, blockHash: filler('source', 32) },
  target: { slot: 69_999, blockHash: filler('target', 32) },
  voter: filler('voter', 20),
  signature: filler('vote signature', 64),
}

const header: Header = {
  number: 60_000,
  slot: 70_000,
  parentHash: filler('parent', 32),
  author: filler('author', 20),
  lane: 1,
  rank: 0,
  vrfProof: filler('proof', 80),
  ticketNonce: 4095,
  randomness: filler('randomness', 32),
  packagesRoot: packagesRoot([null, sampleCertificate]),
  votesRoot: votesRoot([sampleVote]),
  txRoot: filler('txRoot', 32),
  receiptsRoot: filler('receiptsRoot', 32),
  stateRoot: filler('stateRoot', 32),
  logsBloom: bytesToHex(new Uint8Array(256)),
  gasUsed: 21_000n,
  gasLimit: 15_000_000n,
  baseFeeWei: 1_000_000_000n,
  triggerGasUsed: 0n,
  triggerBaseFeeWei: 7n,
  signature: filler('block signature', 64),
}
export const sampleBlock: BlockEnvelope = { hash: blockHash(header), header, certificates: [null, sampleCertificate], votes: [sampleVote] }
