/**
 * Executes a recorded chain again from its genesis document alone: portable hashes and curves, nothing of the host. The same file runs in
 * Node and in the Workers runtime.
 * @module
 */
import { openExecution } from '#node/evm/context.ts'
import { createExecutor } from '#node/evm/executor.ts'
import { buildGenesis } from '#node/evm/genesis.ts'
import { createNatives } from '#node/evm/native/natives.ts'
import { predeploys } from '#node/evm/native/predeploys.ts'
import { createStateDb } from '#node/evm/state-db.ts'
import { triggerDecoder } from '#node/evm/precompile.ts'
import type { Execution } from '#node/evm/types.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { decodeGenesisJson } from '#shared/chain/genesis-json.ts'
import type { GenesisDocument } from '#shared/chain/genesis.ts'
import { genesisHash } from '#shared/chain/genesis.ts'
import type { Receipt } from '#shared/chain/types.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { blockHash } from '#shared/hhcm/signing.ts'
import type { ExecutionInput, Header, Package } from '#shared/hhcm/types.ts'
import { TRIGGER_DECODER } from '#shared/system.ts'
import type { Hash, Hex } from '#shared/types.ts'

/** What every runtime must agree on after a block. */
export type Outcome = Readonly<{
  hash: Hash
  stateRoot: Hash
  txRoot: Hash
  receiptsRoot: Hash
  gasUsed: string
  types: readonly number[]
  skipped: readonly string[]
}>
/** An input of the executor with bytes as text; the parent is the block before. */
export type RecordedInput = Omit<ExecutionInput, 'parentHash' | 'packages'> &
  Readonly<{ packages: readonly (Omit<Package, 'txs'> & Readonly<{ txs: readonly Hex[] }>)[] }>
/** A genesis document as JSON, then inputs and what came of them. */
export type Recording = Readonly<{ document: unknown; blocks: readonly Readonly<{ input: RecordedInput; outcome: Outcome }>[] }>

/** Header of the next block, with a randomness that follows from the parent's alone. */
function nextHeader(parent: Readonly<{ hash: Hash; header: Header }>, slot: number, roots: Execution['roots']): Header {
  const randomness = bytesToHex(nobleSuite.sha256(hexToBytes(parent.header.randomness)))
  return { ...parent.header, ...roots, number: parent.header.number + 1, slot, parentHash: parent.hash, randomness }
}

/** The contracts of the recorded chain; its genesis hash is not written into them, because the document comes first. */
const CONTRACTS_GENESIS: Hash = `0x${'00'.repeat(32)}`

function open(document: GenesisDocument) {
  const stored = new Map<Hash, Uint8Array>()
  const headers = new Map<Hash, Header>()
  const receipts = new Map<Hash, readonly Receipt[]>()
  const { params, genesisTimeMs, validators } = document
  const state = createStateDb({ get: (hash) => stored.get(hash) }, nobleSuite.keccak256)
  const { envelope, nodes } = buildGenesis(
    document,
    predeploys(CONTRACTS_GENESIS, [], nobleSuite, {
      heartbeatBlocks: params.heartbeatBlocks,
      validators: validators.map(({ address }) => address),
    }),
    state,
    nobleSuite,
  )
  const natives = createNatives({
    params,
    suite: nobleSuite,
    config: { ...params, genesisHash: genesisHash(document, nobleSuite.keccak256), genesisTimeMs, validators, self: null },
    nowMs: () => 0,
  })
  const context = openExecution({
    params,
    genesisTimeMs,
    validators,
    crypto: nobleSuite,
    state,
    headerByHash: (hash) => headers.get(hash) ?? null,
    receiptsByHash: (hash) => receipts.get(hash) ?? null,
    natives: natives.executors,
    precompiles: new Map([[TRIGGER_DECODER, triggerDecoder(params.blockGasLimit)]]),
  })
  natives.attach(context, { head: () => envelope })
  const keep = (hash: Hash, header: Header, made: readonly Receipt[], written: ReadonlyMap<Hash, Uint8Array>): void => {
    headers.set(hash, header)
    receipts.set(hash, made)
    for (const [key, node] of written) stored.set(key, node)
  }
  keep(envelope.hash, envelope.header, [], nodes)
  return { executor: createExecutor(context), genesis: envelope, keep }
}

/** Outcomes of all blocks, in order. @throws when a block is refused */
export async function replay({ document, blocks }: Recording): Promise<readonly Outcome[]> {
  const { executor, genesis, keep } = open(decodeGenesisJson(document))
  let parent: Readonly<{ hash: Hash; header: Header }> = genesis
  const outcomes: Outcome[] = []
  for (const { input } of blocks) {
    const packages = input.packages.map((item) => ({ ...item, txs: item.txs.map(hexToBytes) }))
    const execution = await executor.execute(parent.header, { ...input, parentHash: parent.hash, packages })
    if ('refusal' in execution) throw new Error(execution.refusal)
    const header = nextHeader(parent, input.slot, execution.roots)
    const hash = blockHash(header, nobleSuite.keccak256)
    keep(hash, header, execution.receipts, execution.nodes)
    parent = { hash, header }
    const { stateRoot, txRoot, receiptsRoot, gasUsed } = execution.roots
    outcomes.push({
      hash,
      stateRoot,
      txRoot,
      receiptsRoot,
      gasUsed: String(gasUsed),
      types: execution.receipts.map(({ txType }) => txType),
      skipped: execution.skipped.map(({ code }) => code),
    })
  }
  return outcomes
}
