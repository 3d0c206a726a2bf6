/**
 * Facts: statements that are either identical among reporters or worthless. A reporter signs Fact(sourceSet, schema, subject, asOfMs, body)
 * where `body` is the hash of one canonical encoding. Source: whitepaper 4.2.2; EIP-712; Solidity ABI (static words).
 * @module
 */
import { bigintToBytes, bytesToBigint, bytesToHex, concatBytes, hexToBytes, padLeft, utf8ToBytes } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import type { Keccak } from '#shared/oracle/eip712.ts'
import { attestationSeparator, structHash, structType, typedDigest } from '#shared/oracle/eip712.ts'
import type { Recovery } from '#shared/oracle/signature.ts'
import { recoverSigner } from '#shared/oracle/signature.ts'
import type { SignedFact } from '#shared/oracle/types.ts'
import type { DepositFact } from '#shared/trigger/types.ts'
import type { Address, Hash } from '#shared/types.ts'

/** Struct under a reporter's signature; `schema` is keccak of the schema's name, `body` keccak of the fact's encoding. */
export const FACT_TYPE = structType('Fact', [
  { name: 'sourceSet', type: 'bytes32' },
  { name: 'schema', type: 'bytes32' },
  { name: 'subject', type: 'bytes32' },
  { name: 'asOfMs', type: 'uint64' },
  { name: 'body', type: 'bytes32' },
])

/** Length of an encoded deposit, bytes: eight words. */
export const DEPOSIT_BODY_BYTES = 256
const HEIGHT_MAX = 2n ** 48n - 1n
const CONFIRMATIONS_MAX = 2n ** 32n - 1n

/** Canonical body: abi.encode(uint256 chain, bytes32 txid, address from, address to, uint256 amount, uint48 height, bytes32 blockHash, uint32 confirmations). */
export function encodeDepositBody(fact: DepositFact): Uint8Array {
  return concatBytes(
    bigintToBytes(fact.chain, 32),
    hexToBytes(fact.txid),
    padLeft(hexToBytes(fact.from), 32),
    padLeft(hexToBytes(fact.to), 32),
    bigintToBytes(fact.amountWei, 32),
    bigintToBytes(BigInt(fact.height), 32),
    hexToBytes(fact.blockHash),
    bigintToBytes(BigInt(fact.confirmations), 32),
  )
}

/** Reads a deposit from its one encoding. @throws {DecodeError} DEPOSIT_INVALID */
export function decodeDepositBody(body: Uint8Array): DepositFact {
  const fail = (path: string, message: string): never => {
    throw new DecodeError('DEPOSIT_INVALID', `deposit.${path}`, message)
  }
  if (body.length !== DEPOSIT_BODY_BYTES) fail('body', `expected ${DEPOSIT_BODY_BYTES} bytes, got ${body.length}`)
  const word = (index: number): Uint8Array => body.subarray(32 * index, 32 * (index + 1))
  const address = (index: number, path: string): Address =>
    bytesToBigint(word(index)) >> 160n === 0n ? bytesToHex(word(index).subarray(12)) : fail(path, 'expected an address')
  const integer = (index: number, max: bigint, path: string): number => {
    const value = bytesToBigint(word(index))
    return value <= max ? Number(value) : fail(path, `expected at most ${max}`)
  }
  const confirmations = integer(7, CONFIRMATIONS_MAX, 'confirmations')
  if (confirmations === 0) fail('confirmations', 'expected at least 1')
  return {
    chain: bytesToBigint(word(0)),
    txid: bytesToHex(word(1)),
    from: address(2, 'from'),
    to: address(3, 'to'),
    amountWei: bytesToBigint(word(4)),
    height: integer(5, HEIGHT_MAX, 'height'),
    blockHash: bytesToHex(word(6)),
    confirmations,
  }
}

/** What a deposit fact is about: keccak(chain as 32 bytes ‖ txid). One native-coin payment per foreign transaction. */
export function depositSubject(fact: Pick<DepositFact, 'chain' | 'txid'>, suite: Keccak): Hash {
  return bytesToHex(suite.keccak256(concatBytes(bigintToBytes(fact.chain, 32), hexToBytes(fact.txid))))
}

/** The part of a fact that is signed. */
export type UnsignedFact = Omit<SignedFact, 'reporter' | 'signature'>

/** A deposit as the fact to sign. `asOfMs` is the time of the foreign block, so that all reporters sign the same bytes. */
export function depositFact(sourceSet: Hash, asOfMs: number, fact: DepositFact, suite: Keccak): UnsignedFact {
  return { sourceSet, schema: 'Deposit', subject: depositSubject(fact, suite), asOfMs, body: encodeDepositBody(fact) }
}

/** Values of the typed struct. */
export function factMessage(fact: UnsignedFact, suite: Keccak) {
  return {
    sourceSet: fact.sourceSet,
    schema: bytesToHex(suite.keccak256(utf8ToBytes(fact.schema))),
    subject: fact.subject,
    asOfMs: BigInt(fact.asOfMs),
    body: bytesToHex(suite.keccak256(fact.body)),
  }
}

/** The digest a reporter signs; equal digests are equal facts. */
export function factDigest(fact: UnsignedFact, genesisHash: Hash, suite: Keccak): Uint8Array {
  return typedDigest(attestationSeparator(genesisHash, suite), structHash(FACT_TYPE, factMessage(fact, suite), suite), suite)
}

/** Stable codes for what is wrong with one signed fact. */
export type FactFault = 'SOURCE_SET' | 'DEPOSIT_INVALID' | 'SUBJECT' | 'SIGNATURE_INVALID'

/** First rule a signed fact breaks, or null. Membership is the collector's business. */
export function factFault(fact: SignedFact, genesisHash: Hash, suite: Recovery): FactFault | null {
  let deposit: DepositFact
  try {
    deposit = decodeDepositBody(fact.body)
  } catch (error) {
    if (error instanceof DecodeError) return 'DEPOSIT_INVALID'
    throw error
  }
  if (depositSubject(deposit, suite) !== fact.subject) return 'SUBJECT'
  return recoverSigner(factDigest(fact, genesisHash, suite), fact.signature, suite) === fact.reporter ? null : 'SIGNATURE_INVALID'
}
