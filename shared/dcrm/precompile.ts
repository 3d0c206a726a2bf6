/**
 * The precompile behind the key manager: headers, draws, derivation and verification for contracts. The first byte selects; all layouts are
 * fixed-width and checked to the last byte. Gas is charged by selector, scheme and lengths before any work, so it is the same on every node.
 * Source: docs/protocol.md, key precompile; paper 4.4.3 (1).
 * @module
 */
import { bigintToBytes, bytesToHex, concatBytes, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import type { CryptoSuite } from '#shared/crypto/suite.ts'
import { testAddresses } from '#shared/dcrm/address.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { PayloadReader } from '#shared/dcrm/codec.ts'
import { decodePayload } from '#shared/dcrm/codec.ts'
import type { Candidate, Dispute, Draw } from '#shared/dcrm/committee.ts'
import { chooseCommittee, chooseSigningSet, largestSigningSet } from '#shared/dcrm/committee.ts'
import type { ChildPath } from '#shared/dcrm/derive.ts'
import { PURPOSES, childKey } from '#shared/dcrm/derive.ts'
import { MAX_COMMITTEE, SCHEMES, idsFault } from '#shared/dcrm/descriptor.ts'
import { genericDigest, heartbeatDigest } from '#shared/dcrm/digest.ts'
import { contentBytesOf } from '#shared/dcrm/evidence.ts'
import { uintBytes } from '#shared/dcrm/hash.ts'
import type { KeyPurpose, PartyId, Scheme } from '#shared/dcrm/types.ts'
import { verifySignature } from '#shared/dcrm/verify.ts'
import { DecodeError } from '#shared/fault.ts'
import { decodeHeader } from '#shared/hhcm/codec.ts'
import { blockHash } from '#shared/hhcm/signing.ts'

/** Selectors, in the order of `Dcrm.sol`. */
export const DCRM_SELECTOR = {
  header: 1,
  committee: 2,
  verify: 3,
  childKey: 4,
  address: 5,
  signingSet: 6,
  judge: 7,
  genericDigest: 8,
  heartbeatDigest: 9,
  largestSet: 10,
} as const

/** Number after those of the schemes: ECDSA by Ethereum address, for verification only. */
const ECDSA_BY_ADDRESS = 3

/** Selector, accused and its key, before the evidence. */
const JUDGE_HEAD_BYTES = 35

/** Longest input of any selector, bytes: evidence holds two envelopes. */
export const DCRM_INPUT_MAX = 24 * 1024

/** What the precompile needs of its host. `judge` gives the code of a proven fault, or null. */
export type DcrmHost = Readonly<{
  backend: DcrmBackend
  suite: CryptoSuite
  judge: (accused: PartyId, signKey: Uint8Array, evidence: Uint8Array) => string | null
}>

const GAS_BASE = 700n
const GAS_PER_BYTE = 12n
/** At least 50 gas per microsecond with the native backend, by bench/key-precompile.ts; Ed25519 points and decompression for addresses are JavaScript. */
const GAS_VERIFY: readonly bigint[] = [9000n, 9000n, 9000n, 9000n]
const GAS_CHILD: readonly bigint[] = [15_000n, 18_000n, 100_000n]
const GAS_ADDRESS: readonly bigint[] = [18_000n, 3000n, 3000n]
const GAS_JUDGE = 20_000n
/** A proof of possession in Ed25519's group, and each 32 bytes that may be one of its points. */
const GAS_CONTENT = 120_000n
const GAS_PER_POINT = 60_000n
/** A draw hashes each member once; the clique search is bounded by the committee's size. */
const GAS_PER_MEMBER = 600n
const GAS_SEARCH = 60_000n

const searchGas = (): bigint => GAS_SEARCH + GAS_PER_MEMBER * BigInt(MAX_COMMITTEE)
/** By the kind of evidence and the length it claims for what is to be read: where it claims too little nothing is read. */
function judgeGas(input: Uint8Array): bigint {
  const bytes = contentBytesOf(input.slice(JUDGE_HEAD_BYTES))
  return GAS_JUDGE + (bytes === 0 ? 0n : GAS_CONTENT + GAS_PER_POINT * BigInt(Math.ceil(bytes / 32)))
}
const GAS_OF: Readonly<Record<number, (input: Uint8Array) => bigint>> = {
  [DCRM_SELECTOR.verify]: (input) => GAS_VERIFY[input[1] ?? 0] ?? 0n,
  [DCRM_SELECTOR.childKey]: (input) => GAS_CHILD[input[1] ?? 0] ?? 0n,
  [DCRM_SELECTOR.address]: (input) => GAS_ADDRESS[input[1] ?? 0] ?? 0n,
  [DCRM_SELECTOR.committee]: (input) => GAS_PER_MEMBER * BigInt(Math.ceil(input.length / 22)),
  [DCRM_SELECTOR.signingSet]: searchGas,
  [DCRM_SELECTOR.largestSet]: searchGas,
  [DCRM_SELECTOR.judge]: judgeGas,
}

/** Gas of an input, by its length, its first two bytes and, for evidence, the five that say its kind and how much there is to read. */
export function dcrmGas(input: Uint8Array): bigint {
  const byLength = GAS_BASE + GAS_PER_BYTE * BigInt(input.length)
  return byLength + (GAS_OF[input[0] ?? 0]?.(input) ?? 0n)
}

const malformed = (what: string): never => {
  throw new DecodeError('DCRM_INPUT', '', `expected ${what}`)
}

function parse<T>(input: Uint8Array, what: string, read: (reader: PayloadReader) => T): T {
  return decodePayload(input, read) ?? malformed(what)
}

const word = (value: bigint | number): Uint8Array => bigintToBytes(BigInt(value), 32)
const packIds = (ids: readonly PartyId[] | null): Uint8Array => concatBytes(...(ids ?? []).map((id) => uintBytes(id, 2)))
const schemeOf = (number: number): Scheme => SCHEMES[number] ?? malformed('a scheme of this selector')

function readDraw(reader: PayloadReader): Draw {
  return { randomness: reader.bytes(32), requestId: reader.bytes(32), attempt: reader.uint(2) }
}

function readIds(reader: PayloadReader): readonly PartyId[] {
  return Array.from({ length: Math.min(reader.uint(1), 255) }, () => reader.uint(2))
}

/** Every member of the largest committee disputes with every other. */
const DISPUTES_MAX = MAX_COMMITTEE * (MAX_COMMITTEE - 1)

type Graph = Readonly<{ members: readonly PartyId[]; disputes: readonly Dispute[]; excluded: readonly PartyId[] }>

function readGraph(reader: PayloadReader): Graph {
  const members = readIds(reader)
  const count = reader.uint(2)
  // Before the loop: a few bytes must not ask for tens of thousands of items.
  if (count > DISPUTES_MAX) malformed(`at most ${DISPUTES_MAX} disputes`)
  const disputes = Array.from({ length: count }, (): Dispute => [reader.uint(2), reader.uint(2)])
  return { members, disputes, excluded: readIds(reader) }
}

function checkGraph(graph: Graph): Graph {
  if (graph.members.length > MAX_COMMITTEE || idsFault(graph.members) !== null) malformed('at most 32 members in rising order')
  return graph
}

function runHeader(host: DcrmHost, input: Uint8Array): Uint8Array {
  const header = decodeHeader(input)
  return concatBytes(hexToBytes(blockHash(header, host.suite.keccak256)), word(header.number), hexToBytes(header.randomness))
}

function runCommittee({ backend }: DcrmHost, input: Uint8Array): Uint8Array {
  const { draw, size, candidates } = parse(input, 'a draw, a size and candidates', (reader) => ({
    draw: readDraw(reader),
    size: reader.uint(1),
    candidates: Array.from({ length: reader.uint(1) }, (): Candidate => ({ id: reader.uint(2), operator: bytesToHex(reader.bytes(20)) })),
  }))
  if (candidates.some(({ id }) => id === 0)) malformed('candidates with ids from 1')
  return packIds(chooseCommittee(backend, draw, candidates, size))
}

function runVerify(host: DcrmHost, input: Uint8Array): Uint8Array {
  const [scheme = 255, keyLength = 0] = input
  const digestAt = 2 + keyLength
  if (input.length < digestAt + 32) malformed('scheme, key with its length, digest of 32 bytes, signature')
  const key = input.slice(2, digestAt)
  const digest = input.slice(digestAt, digestAt + 32)
  const signature = input.slice(digestAt + 32)
  return word(isValid(host, scheme, key, digest, signature) ? 1 : 0)
}

function isValid({ backend, suite }: DcrmHost, scheme: number, key: Uint8Array, digest: Uint8Array, signature: Uint8Array): boolean {
  // Ed25519 goes by the chain's one rule for it, the one consensus uses.
  if (scheme === 2) return suite.ed25519Verify(key, digest, signature)
  if (scheme !== ECDSA_BY_ADDRESS) return verifySignature(backend, schemeOf(scheme), key, digest, signature)
  const recovery = signature[64] ?? 255
  const isLow = bytesToHex(signature.slice(32, 64)) <= HALF_ORDER
  if (signature.length !== 65 || recovery > 1 || !isLow) return false
  return suite.recoverAddress(digest, signature.slice(0, 32), signature.slice(32, 64), recovery as 0 | 1) === bytesToHex(key)
}

/** ⌊q/2⌋ of secp256k1; hex of equal length compares like numbers. */
const HALF_ORDER = '0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0'

function purposeOf(number: number): KeyPurpose {
  return PURPOSES[number] ?? malformed('a purpose from 0 to 3')
}

function runChildKey({ backend }: DcrmHost, input: Uint8Array): Uint8Array {
  const scheme = schemeOf(input[0] ?? 255)
  const keyBytes = scheme === 'ed25519' ? 32 : 33
  const { request, path, key } = parse(input.slice(1), `request, purpose, subject and a key of ${keyBytes} bytes`, (reader) => ({
    request: reader.bytes(32),
    path: { purpose: reader.uint(1), subject: reader.bytes(32) },
    key: reader.bytes(keyBytes),
  }))
  const child: ChildPath = { purpose: purposeOf(path.purpose), subject: path.subject }
  return childKey(backend, scheme, request, key, child)?.signingKey ?? malformed('a key on its curve')
}

function runAddress({ backend }: DcrmHost, input: Uint8Array): Uint8Array {
  const scheme = schemeOf(input[0] ?? 255)
  const key = input.slice(1)
  const isKey = scheme === 'ecdsa' ? backend.secp256k1.decode(key) !== null : key.length === 32
  if (!isKey) malformed('a signing key of the scheme')
  return utf8ToBytes(
    testAddresses(scheme, key)
      .map(({ text }) => text)
      .join(' '),
  )
}

function runSigningSet({ backend }: DcrmHost, input: Uint8Array): Uint8Array {
  const { draw, threshold, graph } = parse(input, 'a draw, a threshold and a graph', (reader) => ({
    draw: readDraw(reader),
    threshold: reader.uint(1),
    graph: readGraph(reader),
  }))
  if (threshold === 0) malformed('a threshold above 0')
  const { members, disputes, excluded } = checkGraph(graph)
  return packIds(chooseSigningSet(backend, draw, members, threshold, disputes, excluded))
}

function runLargestSet(_host: DcrmHost, input: Uint8Array): Uint8Array {
  const { members, disputes, excluded } = checkGraph(parse(input, 'a graph', readGraph))
  return word(largestSigningSet(members, disputes, excluded))
}

function runJudge({ judge }: DcrmHost, input: Uint8Array): Uint8Array {
  if (input.length < 34) malformed('an accused, its key and evidence')
  const accused = (input[0] ?? 0) * 256 + (input[1] ?? 0)
  return utf8ToBytes(judge(accused, input.slice(2, 34), input.slice(34)) ?? '')
}

function runGenericDigest({ backend }: DcrmHost, input: Uint8Array): Uint8Array {
  const [genesis, request, message] = parse(
    input,
    'three words',
    (reader) => [reader.bytes(32), reader.bytes(32), reader.bytes(32)] as const,
  )
  return genericDigest(backend, genesis, request, message)
}

function runHeartbeatDigest({ backend }: DcrmHost, input: Uint8Array): Uint8Array {
  const { genesis, key, epoch, randomness } = parse(input, 'genesis, key, epoch of 8 bytes, randomness', (reader) => ({
    genesis: reader.bytes(32),
    key: reader.bytes(32),
    epoch: reader.uint(4) * 2 ** 32 + reader.uint(4),
    randomness: reader.bytes(32),
  }))
  return heartbeatDigest(backend, genesis, key, epoch, randomness)
}

const RUN: Readonly<Record<number, (host: DcrmHost, input: Uint8Array) => Uint8Array>> = {
  [DCRM_SELECTOR.header]: runHeader,
  [DCRM_SELECTOR.committee]: runCommittee,
  [DCRM_SELECTOR.verify]: runVerify,
  [DCRM_SELECTOR.childKey]: runChildKey,
  [DCRM_SELECTOR.address]: runAddress,
  [DCRM_SELECTOR.signingSet]: runSigningSet,
  [DCRM_SELECTOR.judge]: runJudge,
  [DCRM_SELECTOR.genericDigest]: runGenericDigest,
  [DCRM_SELECTOR.heartbeatDigest]: runHeartbeatDigest,
  [DCRM_SELECTOR.largestSet]: runLargestSet,
}

/** Output of an input. @throws {DecodeError} DCRM_INPUT and the header's codes, for anything but exactly what a selector takes */
export function dcrmPrecompile(host: DcrmHost, input: Uint8Array): Uint8Array {
  if (input.length > DCRM_INPUT_MAX) malformed(`at most ${DCRM_INPUT_MAX} bytes`)
  const run = RUN[input[0] ?? 0] ?? malformed('a selector from 1 to 10')
  return run(host, input.slice(1))
}
