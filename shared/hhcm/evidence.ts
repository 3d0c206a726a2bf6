/**
 * Proofs that a validator signed two contradicting objects; anybody can check them alone.
 * Source: Casper FFG slashing conditions; whitepaper table 3 items 8 and 10.
 * @module
 */
import { equalBytes } from '#shared/bytes.ts'
import { decodeRlp, encodeRlp, FieldReader } from '#shared/codec/rlp.ts'
import { DecodeError } from '#shared/fault.ts'
import { decodeCoSignature, decodeHeader, decodePackageHeader, decodeVote } from '#shared/hhcm/codec.ts'
import { blockHash, blockPayload, coSignaturePayload, packageHash, packagePayload, votePayload } from '#shared/hhcm/signing.ts'
import type { Keccak } from '#shared/hhcm/signing.ts'
import type { Evidence, HhcmConfig, HhcmCrypto, Vote } from '#shared/hhcm/types.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'

const OFFENCES = ['DOUBLE_VOTE', 'SURROUND_VOTE', 'DOUBLE_BLOCK', 'DOUBLE_PACKAGE', 'DOUBLE_CO_SIGNATURE'] as const
const EVIDENCE_BYTES_MAX = 8192

/** Whether `outer` surrounds `inner`: its source is older and its target younger. */
export function surrounds(outer: Pick<Vote, 'source' | 'target'>, inner: Pick<Vote, 'source' | 'target'>): boolean {
  return outer.source.slot < inner.source.slot && inner.target.slot < outer.target.slot
}

/** rlp([offence, offender, first, second]) */
export function encodeEvidence(evidence: Evidence): Uint8Array {
  return encodeRlp([OFFENCES.indexOf(evidence.offence), evidence.offender, evidence.first, evidence.second])
}

/** @throws {DecodeError} RLP_INVALID, RLP_TOO_LARGE, FIELD_INVALID */
export function decodeEvidence(bytes: Uint8Array): Evidence {
  const reader = new FieldReader(decodeRlp(bytes, EVIDENCE_BYTES_MAX), 'evidence', 4)
  const offence = OFFENCES[reader.integer('offence', OFFENCES.length - 1)]
  if (offence === undefined) throw new DecodeError('FIELD_INVALID', 'evidence.offence', 'unknown offence')
  return { offence, offender: reader.fixed('offender', 20), first: reader.bytes('first', 4096), second: reader.bytes('second', 4096) }
}

/** A signed object reduced to what an offence is about. `conflictKey` is equal in both objects of an equivocation. */
type Signed = Readonly<{ signer: Address; conflictKey: string; message: Uint8Array; signature: Hex; vote: Vote | null }>

function readSigned(offence: Evidence['offence'], bytes: Uint8Array, genesisHash: Hash, keccak256: Keccak): Signed {
  switch (offence) {
    case 'DOUBLE_VOTE':
    case 'SURROUND_VOTE': {
      const vote = decodeVote(bytes)
      const conflictKey = `${vote.target.slot}`
      return { signer: vote.voter, conflictKey, message: votePayload(genesisHash, vote), signature: vote.signature, vote }
    }
    case 'DOUBLE_BLOCK': {
      const header = decodeHeader(bytes)
      const message = blockPayload(genesisHash, blockHash(header, keccak256))
      return { signer: header.author, conflictKey: `${header.slot}`, message, signature: header.signature, vote: null }
    }
    case 'DOUBLE_PACKAGE': {
      const header = decodePackageHeader(bytes)
      const message = packagePayload(genesisHash, packageHash(header, keccak256))
      return { signer: header.author, conflictKey: `${header.slot}`, message, signature: header.signature, vote: null }
    }
    case 'DOUBLE_CO_SIGNATURE': {
      const value = decodeCoSignature(bytes)
      const conflictKey = `${value.slot}:${value.lane}`
      return { signer: value.signer, conflictKey, message: coSignaturePayload(genesisHash, value), signature: value.signature, vote: null }
    }
  }
}

function contradict(offence: Evidence['offence'], first: Signed, second: Signed): boolean {
  if (offence !== 'SURROUND_VOTE') return first.conflictKey === second.conflictKey
  return first.vote !== null && second.vote !== null && (surrounds(first.vote, second.vote) || surrounds(second.vote, first.vote))
}

/** Whether the evidence convicts the offender it names on this chain. Malformed objects convict nobody. */
export function verifyEvidence(
  config: Pick<HhcmConfig, 'genesisHash' | 'validators'>,
  evidence: Evidence,
  crypto: Pick<HhcmCrypto, 'verify' | 'keccak256'>,
): boolean {
  const offender = config.validators.find(({ address }) => address === evidence.offender)
  if (offender === undefined) return false
  try {
    const first = readSigned(evidence.offence, evidence.first, config.genesisHash, crypto.keccak256)
    const second = readSigned(evidence.offence, evidence.second, config.genesisHash, crypto.keccak256)
    if (first.signer !== evidence.offender || second.signer !== evidence.offender) return false
    // Two signatures over one message are no contradiction.
    if (equalBytes(first.message, second.message) || !contradict(evidence.offence, first, second)) return false
    return [first, second].every(({ message, signature }) => crypto.verify(offender.consensusKey, message, signature))
  } catch (error) {
    if (error instanceof DecodeError) return false
    throw error
  }
}
