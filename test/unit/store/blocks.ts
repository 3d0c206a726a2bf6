/** Blocks for tests of store, chain, pool and RPC: consensus fields well-formed, signatures empty. @module */
import type { BlockCommit } from '#node/store/types.ts'
import { bytesToHex, utf8ToBytes } from '#shared/bytes.ts'
import type { Receipt } from '#shared/chain/types.ts'
import { EMPTY_TX_ROOT, blockHash, packageHash, packageTxRoot, packagesRoot, votesRoot } from '#shared/hhcm/signing.ts'
import type { BlockEnvelope, Certificate, ExecutionRoots, Header, Package, Vote } from '#shared/hhcm/types.ts'
import type { Address, Hash } from '#shared/types.ts'
import { keccak_256 } from '@noble/hashes/sha3.js'

const zeros = (length: number) => `0x${'00'.repeat(length)}` as const
export const GENESIS_HASH: Hash = `0x${'5a'.repeat(32)}`
export const AUTHOR: Address = `0x${'a1'.repeat(20)}`
export const hashOf = (text: string): Hash => bytesToHex(keccak_256(utf8ToBytes(text)))

export const EMPTY_ROOTS: ExecutionRoots = {
  txRoot: EMPTY_TX_ROOT,
  receiptsRoot: EMPTY_TX_ROOT,
  stateRoot: EMPTY_TX_ROOT,
  logsBloom: zeros(256),
  gasUsed: 0n,
  gasLimit: 15_000_000n,
  baseFeeWei: 1_000_000_000n,
  triggerGasUsed: 0n,
  triggerBaseFeeWei: 1_000_000_000n,
}

export function makePackage(
  fields: Readonly<{ slot: number; lane: number; parentHash: Hash; author?: Address; txs: readonly Uint8Array[] }>,
): Package {
  const { slot, lane, parentHash, txs, author = AUTHOR } = fields
  const header = {
    slot,
    lane,
    rank: 0,
    parentHash,
    author,
    txRoot: packageTxRoot(txs),
    txCount: txs.length,
    bytes: txs.reduce((total, tx) => total + tx.length, 0),
    signature: zeros(64),
  }
  return { hash: packageHash(header), header, txs }
}

export const certify = (item: Package): Certificate => ({
  header: item.header,
  coSignatures: [
    { slot: item.header.slot, lane: item.header.lane, packageHash: item.hash, signer: item.header.author, signature: zeros(64) },
  ],
  vrfProof: zeros(80),
  ticketNonce: 0,
  signature: zeros(64),
})

type BlockFields = Readonly<{
  slot: number
  packages?: readonly (Package | null)[]
  roots?: ExecutionRoots
  votes?: readonly Vote[]
  /** Distinguishes siblings. */
  randomness?: Hash
}>

export function makeEnvelope(
  parent: BlockEnvelope | null,
  { slot, packages = [], roots = EMPTY_ROOTS, votes = [], randomness }: BlockFields,
): BlockEnvelope {
  const certificates = packages.map((item) => (item === null ? null : certify(item)))
  const header: Header = {
    number: parent === null ? 0 : parent.header.number + 1,
    slot,
    parentHash: parent?.hash ?? GENESIS_HASH,
    author: AUTHOR,
    lane: 0,
    rank: 0,
    vrfProof: zeros(80),
    ticketNonce: 0,
    randomness: randomness ?? hashOf(`randomness of slot ${slot}`),
    packagesRoot: packagesRoot(certificates),
    votesRoot: votesRoot(votes),
    signature: zeros(64),
    ...roots,
  }
  return { hash: blockHash(header), header, certificates, votes }
}

export function makeReceipt(txHash: Hash, fields: Partial<Receipt> = {}): Receipt {
  return {
    txType: 2,
    txHash,
    status: 1,
    cumulativeGasUsed: 21_000n,
    gasUsed: 21_000n,
    effectiveGasPriceWei: 2_000_000_000n,
    from: AUTHOR,
    to: `0x${'b2'.repeat(20)}`,
    contractAddress: null,
    logsBloom: zeros(256),
    logs: [],
    ...fields,
  }
}

/** A block holding one package with the given texts as raw transactions. */
export function makeCommit(parent: BlockEnvelope | null, slot: number, texts: readonly string[], fork = ''): BlockCommit {
  const txs = texts.map(utf8ToBytes)
  const item = parent === null ? null : makePackage({ slot, lane: 0, parentHash: parent.hash, txs })
  const envelope = makeEnvelope(parent, { slot, packages: item === null ? [] : [item, null], randomness: hashOf(`${slot}${fork}`) })
  return {
    envelope,
    packages: item === null ? [] : [item, null],
    txs,
    receipts: texts.map((text) =>
      makeReceipt(hashOf(text), { logs: [{ address: AUTHOR, topics: [hashOf('topic')], data: utf8ToBytes(text) }] }),
    ),
    nodes: new Map([[hashOf(`node ${slot}${fork}`), utf8ToBytes(`node ${slot}${fork}`)]]),
  }
}
