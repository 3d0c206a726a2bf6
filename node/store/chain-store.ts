/**
 * Blocks, state nodes, canonical index and finality of one chain over a key-value store. Every change is one transaction, so the
 * store is consistent whenever the process ends. State is content-addressed and shared between forks: a reorganisation moves
 * pointers and undoes nothing.
 * @module
 */
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { decodeRlp, encodeRlp, FieldReader } from '#shared/codec/rlp.ts'
import { DecodeError, invariant } from '#shared/fault.ts'
import { KEYS } from '#node/store/keys.ts'
import type { KeyValue, Write } from '#node/store/key-value.ts'
import { Lru } from '#node/store/lru.ts'
import { decodeByteList, decodeReceipts, encodeByteList, encodeReceipts } from '#node/store/receipt-codec.ts'
import { decodeVotes, encodeVotes } from '#node/store/vote-codec.ts'
import { decodeEvidence, encodeEvidence } from '#shared/hhcm/evidence.ts'
import { decodeBlock, decodePackage, encodeBlock, encodePackage } from '#shared/hhcm/codec.ts'
import { keccak_256 } from '@noble/hashes/sha3.js'
import type { BlockCommit, ChainStore, HeadMove, Pointers } from '#node/store/types.ts'
import type { Receipt } from '#shared/chain/types.ts'
import type { BlockEnvelope, Checkpoint } from '#shared/hhcm/types.ts'
import type { Hash, Height } from '#shared/types.ts'

/** Version of the layout in keys.ts and of every record. */
const SCHEMA_VERSION = 1
const META_BYTES_MAX = 256

const put = (key: Uint8Array, value: Uint8Array): Write => ({ key, value })
const remove = (key: Uint8Array): Write => ({ key, value: null })

function encodePointers({ head, justified, finalized }: Pointers): Uint8Array {
  return encodeRlp([head, justified.slot, justified.blockHash, finalized.slot, finalized.blockHash])
}

function decodePointers(bytes: Uint8Array): Pointers {
  const reader = new FieldReader(decodeRlp(bytes, META_BYTES_MAX), 'pointers', 5)
  const head = reader.fixed('head', 32)
  const checkpoint = (name: string): Checkpoint => ({
    slot: reader.integer(`${name}Slot`, Number.MAX_SAFE_INTEGER),
    blockHash: reader.fixed(`${name}Hash`, 32),
  })
  return { head, justified: checkpoint('justified'), finalized: checkpoint('finalized') }
}

/** Genesis hash of the store, null when it is empty. @throws {DecodeError} STORE_VERSION, STORE_DAMAGED */
function readMeta(database: KeyValue): Hash | null {
  const bytes = database.get(KEYS.meta)
  if (bytes === undefined) return null
  const reader = new FieldReader(decodeRlp(bytes, META_BYTES_MAX), 'meta')
  const version = reader.integer('version', 0xffff)
  if (version !== SCHEMA_VERSION)
    throw new DecodeError(
      'STORE_VERSION',
      'meta.version',
      `the data directory has schema version ${version}, this program reads version ${SCHEMA_VERSION}; start with a fresh data directory or the matching program`,
    )
  return reader.fixed('genesisHash', 32)
}

function blockWrites({ envelope, packages, txs, receipts, nodes }: BlockCommit): Write[] {
  const { hash, header } = envelope
  const writes: Write[] = []
  for (const [nodeHash, node] of nodes) writes.push(put(KEYS.node(nodeHash), node))
  for (const item of packages) if (item !== null) writes.push(put(KEYS.package(item.hash), encodePackage(item)))
  writes.push(
    put(KEYS.packageList(hash), encodeByteList(packages.map((item) => (item === null ? new Uint8Array(0) : hexToBytes(item.hash))))),
    put(KEYS.envelope(hash), encodeBlock(envelope)),
    put(KEYS.txs(hash), encodeByteList(txs)),
    put(KEYS.receipts(hash), encodeReceipts(receipts)),
    put(KEYS.blockAt(header.number, hash), new Uint8Array(0)),
  )
  return writes
}

function placeOf(bytes: Uint8Array): Readonly<{ blockHash: Hash; index: number }> {
  const reader = new FieldReader(decodeRlp(bytes, META_BYTES_MAX), 'place', 2)
  return { blockHash: reader.fixed('blockHash', 32), index: reader.integer('index', Number.MAX_SAFE_INTEGER) }
}

class Records {
  readonly database: KeyValue
  readonly #envelopes = new Lru<BlockEnvelope>(1024)
  readonly #receipts = new Lru<readonly Receipt[]>(512)

  constructor(database: KeyValue) {
    this.database = database
  }

  envelope(hash: Hash): BlockEnvelope | null {
    const cached = this.#envelopes.get(hash)
    if (cached !== undefined) return cached
    const bytes = this.database.get(KEYS.envelope(hash))
    if (bytes === undefined) return null
    const envelope = decodeBlock(bytes)
    this.#envelopes.set(hash, envelope)
    return envelope
  }

  receipts(hash: Hash): readonly Receipt[] | null {
    const cached = this.#receipts.get(hash)
    if (cached !== undefined) return cached
    const bytes = this.database.get(KEYS.receipts(hash))
    if (bytes === undefined) return null
    const receipts = decodeReceipts(bytes)
    this.#receipts.set(hash, receipts)
    return receipts
  }

  forget(hash: Hash): void {
    this.#envelopes.delete(hash)
    this.#receipts.delete(hash)
  }

  require(hash: Hash): BlockEnvelope {
    const envelope = this.envelope(hash)
    invariant(envelope !== null, `block ${hash} is stored`)
    return envelope
  }

  hashByNumber(height: Height): Hash | null {
    const bytes = this.database.get(KEYS.canonical(height))
    return bytes === undefined ? null : bytesToHex(bytes)
  }

  hashesAt(height: Height): readonly Hash[] {
    return [...this.database.range(KEYS.atHeight(height))].map(([key]) => bytesToHex(key.subarray(9)))
  }

  packageHashes(hash: Hash): readonly (Hash | null)[] | null {
    const bytes = this.database.get(KEYS.packageList(hash))
    return bytes === undefined ? null : decodeByteList(bytes).map((item) => (item.length === 0 ? null : bytesToHex(item)))
  }
}

/** Path between two blocks over their nearest common ancestor. */
function headMove(records: Records, from: Hash, to: Hash): HeadMove {
  const applied: Hash[] = []
  let target = records.require(to)
  while (records.hashByNumber(target.header.number) !== target.hash) {
    applied.push(target.hash)
    target = records.require(target.header.parentHash)
  }
  const reverted: Hash[] = []
  let old = records.require(from)
  while (old.hash !== target.hash) {
    reverted.push(old.hash)
    old = records.require(old.header.parentHash)
  }
  return { reverted: reverted.toReversed(), applied: applied.toReversed() }
}

function moveWrites(records: Records, move: HeadMove): Write[] {
  const writes: Write[] = []
  for (const hash of move.reverted) {
    writes.push(remove(KEYS.canonical(records.require(hash).header.number)))
    for (const { txHash } of records.receipts(hash) ?? []) writes.push(remove(KEYS.place(txHash)))
  }
  for (const hash of move.applied) {
    writes.push(put(KEYS.canonical(records.require(hash).header.number), hexToBytes(hash)))
    for (const [index, { txHash }] of (records.receipts(hash) ?? []).entries())
      writes.push(put(KEYS.place(txHash), encodeRlp([hash, index])))
  }
  return writes
}

/** Removes what only non-canonical blocks of heights `from`..`to` hold. State nodes stay: forks share them. */
function pruneWrites(records: Records, from: Height, to: Height): Write[] {
  const writes: Write[] = []
  for (let height = from; height <= to; height++) {
    const canonical = records.hashByNumber(height)
    const kept = new Set(canonical === null ? [] : (records.packageHashes(canonical) ?? []))
    for (const hash of records.hashesAt(height)) {
      if (hash === canonical) continue
      for (const packageHash of records.packageHashes(hash) ?? [])
        if (packageHash !== null && !kept.has(packageHash)) writes.push(remove(KEYS.package(packageHash)))
      writes.push(remove(KEYS.envelope(hash)), remove(KEYS.txs(hash)), remove(KEYS.receipts(hash)), remove(KEYS.packageList(hash)))
      writes.push(remove(KEYS.blockAt(height, hash)))
      records.forget(hash)
    }
  }
  return writes
}

function reads(
  records: Records,
): Pick<
  ChainStore,
  | 'envelope'
  | 'receipts'
  | 'block'
  | 'package'
  | 'packageHashes'
  | 'hashByNumber'
  | 'hashesAt'
  | 'transactionPlace'
  | 'finalityVotes'
  | 'justifiedVotes'
  | 'evidence'
> {
  const { database } = records
  return {
    envelope: (hash) => records.envelope(hash),
    receipts: (hash) => records.receipts(hash),
    block: (hash) => {
      const envelope = records.envelope(hash)
      const txs = database.get(KEYS.txs(hash))
      return envelope === null || txs === undefined ? null : { envelope, txs: decodeByteList(txs), receipts: records.receipts(hash) ?? [] }
    },
    package: (hash) => {
      const bytes = database.get(KEYS.package(hash))
      return bytes === undefined ? null : decodePackage(bytes)
    },
    packageHashes: (hash) => records.packageHashes(hash),
    hashByNumber: (height) => records.hashByNumber(height),
    hashesAt: (height) => records.hashesAt(height),
    transactionPlace: (hash) => {
      const bytes = database.get(KEYS.place(hash))
      return bytes === undefined ? null : placeOf(bytes)
    },
    finalityVotes: (hash) => {
      const bytes = database.get(KEYS.votes(hash))
      return bytes === undefined ? null : decodeVotes(bytes)
    },
    justifiedVotes: () => {
      const bytes = database.get(KEYS.justifiedVotes)
      return bytes === undefined ? [] : decodeVotes(bytes)
    },
    evidence: () => [...database.range(KEYS.allEvidence)].map(([, bytes]) => decodeEvidence(bytes)),
  }
}

/**
 * Opens the chain of a database and checks that what the pointers name is there.
 * @throws {DecodeError} STORE_VERSION when another schema wrote it, STORE_DAMAGED when records are missing
 */
export function openChainStore(database: KeyValue): ChainStore {
  const records = new Records(database)
  let genesisHash = readMeta(database)
  const pointerBytes = database.get(KEYS.pointers)
  let pointers = pointerBytes === undefined ? null : decodePointers(pointerBytes)
  for (const [name, hash] of [
    ['head', pointers?.head],
    ['final', pointers?.finalized.blockHash],
  ] as const)
    if (hash !== undefined && records.envelope(hash) === null)
      throw new DecodeError('STORE_DAMAGED', 'pointers', `the ${name} block ${hash} is missing from the data directory`)

  const move = async (next: Pointers, writes: readonly Write[]): Promise<void> => {
    await database.write([...writes, put(KEYS.pointers, encodePointers(next))])
    pointers = next
  }
  const current = (): Pointers => {
    invariant(pointers !== null, 'the store has a genesis block')
    return pointers
  }
  return {
    ...reads(records),
    nodes: { get: (hash) => database.get(KEYS.node(hash)) },
    pointers: () => pointers,
    genesis: () => genesisHash,
    initialise: async (genesis) => {
      invariant(pointers === null, 'genesis is written into an empty store')
      const { hash } = genesis.envelope
      const checkpoint = { slot: 0, blockHash: hash }
      await move({ head: hash, justified: checkpoint, finalized: checkpoint }, [
        ...blockWrites(genesis),
        put(KEYS.canonical(0), hexToBytes(hash)),
        put(KEYS.meta, encodeRlp([SCHEMA_VERSION, genesis.envelope.header.parentHash])),
      ])
      genesisHash = genesis.envelope.header.parentHash
    },
    putBlock: (commit) => database.write(blockWrites(commit)),
    moveHead: async (head) => {
      const path = headMove(records, current().head, head)
      await move({ ...current(), head }, moveWrites(records, path))
      return path
    },
    setJustified: (justified, votes) => move({ ...current(), justified }, [put(KEYS.justifiedVotes, encodeVotes(votes))]),
    setFinalized: async (finalized, votes) => {
      const from = records.require(current().finalized.blockHash).header.number + 1
      const to = records.require(finalized.blockHash).header.number
      const prune = records.hashByNumber(to) === finalized.blockHash ? pruneWrites(records, from, to) : []
      await move({ ...current(), finalized }, [...prune, put(KEYS.votes(finalized.blockHash), encodeVotes(votes))])
    },
    putEvidence: (evidence) => {
      const record = encodeEvidence(evidence)
      return database.write([put(KEYS.evidence(bytesToHex(keccak_256(record))), record)])
    },
    close: () => database.close(),
  }
}
