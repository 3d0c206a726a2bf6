/**
 * D1 tables. All are projections of the chain or records of this edge's own work, never an authority: losing them loses nothing on chain.
 * Amounts are decimal text, times integer milliseconds.
 * @module
 */
import { index, integer, primaryKey, sqliteTable, text } from 'drizzle-orm/sqlite-core'
import type { Address, Hash } from '#shared/types.ts'
import type { IntentAction } from '#shared/api/http-trigger.ts'

const hash = (name: string) => text(name).$type<Hash>()
const address = (name: string) => text(name).$type<Address>()

/** Blocks of the canonical chain as this edge saw them. */
export const blocks = sqliteTable(
  'blocks',
  {
    number: integer('number').primaryKey(),
    hash: hash('hash').notNull(),
    slot: integer('slot').notNull(),
    timeMs: integer('time_ms').notNull(),
    txCount: integer('tx_count').notNull(),
    gasUsed: text('gas_used').notNull(),
    seenMs: integer('seen_ms').notNull(),
    finalMs: integer('final_ms'),
  },
  (table) => [index('blocks_final').on(table.finalMs, table.number), index('blocks_age').on(table.seenMs)],
)

/** Rows of the calling list. `entryJson` is the full row in the codec of shared/api/entry.ts. */
export const entries = sqliteTable(
  'entries',
  {
    id: hash('id').primaryKey(),
    owner: address('owner').notNull(),
    contract: address('contract').notNull(),
    name: text('name').notNull(),
    kind: text('kind').notNull(),
    status: text('status').notNull(),
    revision: integer('revision').notNull(),
    dueAt: integer('due_at').notNull(),
    fires: integer('fires').notNull(),
    missed: integer('missed').notNull(),
    fundingWei: text('funding_wei').notNull(),
    registeredHeight: integer('registered_height').notNull(),
    entryJson: text('entry_json').notNull(),
    blockNumber: integer('block_number').notNull(),
  },
  (table) => [
    index('entries_owner').on(table.owner, table.id),
    index('entries_contract').on(table.contract, table.id),
    index('entries_status').on(table.status, table.id),
  ],
)

/** Firings found in blocks. */
export const fires = sqliteTable(
  'fires',
  {
    fireKey: hash('fire_key').primaryKey(),
    entryId: hash('entry_id').notNull(),
    occurrence: hash('occurrence').notNull(),
    success: integer('success', { mode: 'boolean' }).notNull(),
    gasUsed: text('gas_used').notNull(),
    txHash: hash('tx_hash').notNull(),
    blockNumber: integer('block_number').notNull(),
    logIndex: integer('log_index').notNull(),
    blockHash: hash('block_hash').notNull(),
    blockTimeMs: integer('block_time_ms').notNull(),
    seenMs: integer('seen_ms').notNull(),
    finalMs: integer('final_ms'),
    bundleSequence: integer('bundle_sequence'),
  },
  (table) => [
    index('fires_entry').on(table.entryId, table.blockNumber, table.logIndex),
    index('fires_block').on(table.blockNumber, table.logIndex),
    index('fires_final').on(table.finalMs, table.blockNumber),
  ],
)

/** Bundles this edge made; the signed transactions themselves are in the bundle log object. */
export const bundles = sqliteTable(
  'bundles',
  {
    sequence: integer('sequence').primaryKey(),
    sourceSet: hash('source_set').notNull(),
    shard: integer('shard').notNull(),
    round: integer('round').notNull(),
    txHash: hash('tx_hash').notNull(),
    batchCount: integer('batch_count').notNull(),
    batchMs: integer('batch_ms').notNull(),
    bundleMs: integer('bundle_ms').notNull(),
    includedBlock: integer('included_block'),
    includedMs: integer('included_ms'),
  },
  (table) => [
    index('bundles_tx').on(table.txHash),
    index('bundles_round').on(table.sourceSet, table.shard, table.round),
    index('bundles_age').on(table.bundleMs),
  ],
)

/** Relayed intents. The id is the digest that the owner signed. */
export const intents = sqliteTable(
  'intents',
  {
    id: hash('id').primaryKey(),
    action: text('action').$type<IntentAction>().notNull(),
    owner: address('owner').notNull(),
    status: text('status').$type<'SENT' | 'DONE' | 'FAILED'>().notNull(),
    txHash: hash('tx_hash').notNull(),
    entryId: hash('entry_id'),
    blockNumber: integer('block_number'),
    detail: text('detail'),
    createdMs: integer('created_ms').notNull(),
  },
  (table) => [index('intents_status').on(table.status, table.createdMs), index('intents_tx').on(table.txHash)],
)

/** Answers to POST requests by Idempotency-Key, kept for a day. A row without status is a request that still runs. */
export const idempotency = sqliteTable(
  'idempotency',
  {
    route: text('route').notNull(),
    key: text('key').notNull(),
    bodyHash: text('body_hash').notNull(),
    status: integer('status'),
    headers: text('headers'),
    body: text('body'),
    createdMs: integer('created_ms').notNull(),
  },
  (table) => [primaryKey({ columns: [table.route, table.key] }), index('idempotency_age').on(table.createdMs)],
)

/** Transactions this edge sent and what the validators said. */
export const submissions = sqliteTable(
  'submissions',
  {
    txHash: hash('tx_hash').primaryKey(),
    kind: text('kind').notNull(),
    outcome: text('outcome').notNull(),
    detail: text('detail').notNull(),
    createdMs: integer('created_ms').notNull(),
  },
  (table) => [index('submissions_age').on(table.createdMs)],
)

/** Last faucet grant by address. */
export const faucetGrants = sqliteTable('faucet_grants', { address: address('address').primaryKey(), atMs: integer('at_ms').notNull() })

/** Proven faults of providers and reporters. */
export const evidence = sqliteTable(
  'evidence',
  {
    id: hash('id').primaryKey(),
    offence: text('offence').notNull(),
    offender: address('offender').notNull(),
    sourceSet: hash('source_set').notNull(),
    round: integer('round').notNull(),
    firstJson: text('first_json').notNull(),
    secondJson: text('second_json').notNull(),
    seenMs: integer('seen_ms').notNull(),
  },
  (table) => [index('evidence_age').on(table.seenMs, table.id)],
)
