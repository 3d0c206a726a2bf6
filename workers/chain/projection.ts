/** From blocks to rows: what D1 shows of the canonical chain. Every write may be repeated. @module */
import { and, inArray, gt, isNull, lte } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { zCallingListRead } from '#shared/api/chain-reads.ts'
import { entryFromJson, entryToJson } from '#shared/api/entry.ts'
import { CALLING_LIST, FEED_REGISTRY } from '#shared/system.ts'
import type { Entry } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import { causeOf } from '#workers/chain/cause.ts'
import { settleIntents } from '#workers/chain/intents.ts'
import { type NativeEvent, readEvent } from '#workers/chain/native-event.ts'
import { type Block, call, chainMeta, finality, logsBetween } from '#workers/chain/rpc.ts'
import { blocks, bundles, entries, fires } from '#workers/db/schema.ts'
import type { Env } from '#workers/env.ts'
import { sourceSets } from '#workers/oracle/registry.ts'
import { readEntry } from '#workers/triggers/evaluation.ts'
import { summaryOf } from '#workers/triggers/summary.ts'

/** What a range of blocks changed, for the schedulers. */
export type Change = Readonly<{
  /** Rows as they are after the range. */
  entries: readonly Entry[]
  /** Feeds with a new report. */
  feeds: readonly Hash[]
  /** Feeds whose round was attested, with a new report or as unchanged. */
  confirmed: readonly Hash[]
  /** Whether any block held a transaction: own logs and views can only change then. */
  hasTransactions: boolean
}>

const LIST_PAGE = 100
const HASHES_PER_STATEMENT = 90

/** Writes rows of the calling list. */
async function upsertEntries(env: Env, rows: readonly Entry[], blockNumber: number): Promise<void> {
  const db = drizzle(env.DB)
  for (const entry of rows) {
    const row = {
      ...summaryOf(entry),
      registeredHeight: entry.registeredAt.height,
      entryJson: JSON.stringify(entryToJson(entry)),
      blockNumber,
    }
    await db.insert(entries).values(row).onConflictDoUpdate({ target: entries.id, set: row })
  }
}

async function refreshEntries(env: Env, ids: readonly Hash[], block: Readonly<{ number: number; hash: Hash }>): Promise<Entry[]> {
  const rows: Entry[] = []
  for (const id of ids) {
    const entry = await readEntry(env, id, block.hash)
    if (entry !== null) rows.push(entry)
  }
  await upsertEntries(env, rows, block.number)
  return rows
}

/** Reads the whole list once, when this edge knows nothing; the schedulers are told by the blocks that follow. */
export async function syncCallingList(env: Env, head: Readonly<{ number: number; hash: Hash }>): Promise<Entry[]> {
  const all: Entry[] = []
  for (let after = 0; ; after += LIST_PAGE) {
    const page = await call(env, zCallingListRead, 'fusion_callingList', [{ after, limit: LIST_PAGE }, head.hash])
    const rows = page.items.map((item) => entryFromJson(item))
    await upsertEntries(env, rows, head.number)
    all.push(...rows)
    if (page.items.length < LIST_PAGE) return all
  }
}

async function writeBlocks(env: Env, range: readonly Block[], timeMs: (slot: number) => number, seenMs: number): Promise<void> {
  const db = drizzle(env.DB)
  const upserts = range.map((block) => {
    const row = {
      number: block.number,
      hash: block.hash,
      slot: block.slot,
      timeMs: timeMs(block.slot),
      txCount: block.transactions.length,
      gasUsed: block.gasUsed.toString(),
      seenMs,
    }
    return db.insert(blocks).values(row).onConflictDoUpdate({ target: blocks.number, set: row })
  })
  const [first, ...rest] = [...upserts, ...range.flatMap((block) => markIncluded(env, block, seenMs))]
  if (first !== undefined) await db.batch([first, ...rest])
}

/** Statements that note which of this edge's bundles are in a block; a statement takes at most 100 parameters. */
function markIncluded(env: Env, block: Block, seenMs: number) {
  const chunks = Array.from({ length: Math.ceil(block.transactions.length / HASHES_PER_STATEMENT) }, (_, index) =>
    block.transactions.slice(index * HASHES_PER_STATEMENT, (index + 1) * HASHES_PER_STATEMENT),
  )
  return chunks.map((hashes) =>
    drizzle(env.DB)
      .update(bundles)
      .set({ includedBlock: block.number, includedMs: seenMs })
      .where(and(inArray(bundles.txHash, hashes), isNull(bundles.includedMs))),
  )
}

async function writeFire(
  env: Env,
  event: Extract<NativeEvent, { kind: 'fired' }>,
  entry: Entry | undefined,
  blockTimeMs: number,
  seenMs: number,
): Promise<void> {
  const row = {
    fireKey: event.fireKey,
    entryId: event.id,
    occurrence: event.occurrence,
    success: event.success,
    gasUsed: event.gasUsed.toString(),
    txHash: event.log.transactionHash,
    blockNumber: event.log.blockNumber,
    logIndex: event.log.logIndex,
    blockHash: event.log.blockHash,
    blockTimeMs,
    seenMs,
    bundleSequence: entry === undefined ? null : await causeOf(env, entry, event.digest, event.log.blockHash),
  }
  await drizzle(env.DB).insert(fires).values(row).onConflictDoUpdate({ target: fires.fireKey, set: row })
}

async function confirmedFeeds(env: Env, events: readonly NativeEvent[]): Promise<Hash[]> {
  const rounds = events.filter((event) => event.kind === 'round')
  if (rounds.length === 0) return []
  const sets = await sourceSets(env)
  const feeds = rounds.flatMap(({ sourceSet, shard }) => sets.find(({ id }) => id === sourceSet)?.shards[shard] ?? [])
  return [...new Set(feeds.map(({ id }) => id))]
}

/** Projects consecutive canonical blocks. */
export async function projectRange(env: Env, range: readonly Block[]): Promise<Change> {
  const [first, last] = [range[0], range.at(-1)]
  if (first === undefined || last === undefined) return { entries: [], feeds: [], confirmed: [], hasTransactions: false }
  const meta = await chainMeta(env)
  const timeMs = (slot: number): number => meta.genesisTimeMs + slot * meta.slotMs
  const seenMs = Date.now()
  const isBusy = range.some((block) => block.transactions.length > 0)
  const logs = isBusy ? await logsBetween(env, first.number, last.number, [CALLING_LIST, FEED_REGISTRY]) : []
  const events = logs.map((log) => readEvent(log)).filter((event) => event !== null)
  await writeBlocks(env, range, timeMs, seenMs)
  const touched = [...new Set(events.flatMap((event) => ('id' in event ? [event.id] : [])))]
  const refreshed = await refreshEntries(env, touched, last)
  const byId = new Map(refreshed.map((entry) => [entry.id, entry]))
  const slots = new Map(range.map((block) => [block.number, block.slot]))
  for (const event of events)
    if (event.kind === 'fired') await writeFire(env, event, byId.get(event.id), timeMs(slots.get(event.log.blockNumber) ?? 0), seenMs)
  await settleIntents(env, range)
  return {
    entries: refreshed,
    feeds: [...new Set(events.flatMap((event) => (event.kind === 'feed' ? [event.feed] : [])))],
    confirmed: await confirmedFeeds(env, events),
    hasTransactions: isBusy,
  }
}

/** Drops what was projected from blocks that are no longer canonical. Entries are read again when the new branch touches them. */
export async function forgetAbove(env: Env, height: number): Promise<void> {
  const db = drizzle(env.DB)
  await db.batch([
    db.delete(blocks).where(gt(blocks.number, height)),
    db.delete(fires).where(gt(fires.blockNumber, height)),
    db.update(bundles).set({ includedBlock: null, includedMs: null }).where(gt(bundles.includedBlock, height)),
  ])
  const stale = await db.select({ id: entries.id }).from(entries).where(gt(entries.blockNumber, height)).limit(500)
  if (stale.length === 0) return
  const { head } = await finality(env)
  await refreshEntries(
    env,
    stale.map(({ id }) => id),
    head,
  )
}

/** Notes that blocks and their fires are final, with the time this edge saw it. */
export async function finalizeUpTo(env: Env, height: number): Promise<void> {
  const db = drizzle(env.DB)
  const finalMs = Date.now()
  await db.batch([
    db
      .update(blocks)
      .set({ finalMs })
      .where(and(isNull(blocks.finalMs), lte(blocks.number, height))),
    db
      .update(fires)
      .set({ finalMs })
      .where(and(isNull(fires.finalMs), lte(fires.blockNumber, height))),
  ])
}
