/** Pages of projected rows. @module */
import { and, desc, eq, gt, inArray, type SQL } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { entryFromJson } from '#shared/api/entry.ts'
import type { Fire } from '#shared/api/http-trigger.ts'
import type { Watch } from '#shared/oracle/watch.ts'
import type { Address, Hash } from '#shared/types.ts'
import { bundlesBySequence } from '#workers/db/records.ts'
import { type bundles, entries, fires } from '#workers/db/schema.ts'
import type { Env } from '#workers/env.ts'

/** Filter of a page of entries; null fields do not filter. */
export type EntryFilter = Readonly<{ owner: Address | null; contract: Address | null; status: string | null }>
export type EntryRow = typeof entries.$inferSelect
type FireRow = typeof fires.$inferSelect

/** Entries in order of id, after a cursor that is an id. */
export function entryPage(env: Env, filter: EntryFilter, after: Hash | null, limit: number): Promise<EntryRow[]> {
  const conditions: SQL[] = []
  if (filter.owner !== null) conditions.push(eq(entries.owner, filter.owner))
  if (filter.contract !== null) conditions.push(eq(entries.contract, filter.contract))
  if (filter.status !== null) conditions.push(eq(entries.status, filter.status))
  if (after !== null) conditions.push(gt(entries.id, after))
  return drizzle(env.DB)
    .select()
    .from(entries)
    .where(and(...conditions))
    .orderBy(entries.id)
    .limit(limit)
}

/** Newest entries first, for the status page. */
export const recentEntries = (env: Env, limit: number): Promise<EntryRow[]> =>
  drizzle(env.DB).select().from(entries).orderBy(desc(entries.registeredHeight)).limit(limit)

/** Names of some entries. */
export async function entryNames(env: Env, ids: readonly Hash[]): Promise<Map<Hash, string>> {
  if (ids.length === 0) return new Map()
  const rows = await drizzle(env.DB)
    .select({ id: entries.id, name: entries.name })
    .from(entries)
    .where(inArray(entries.id, ids.slice(0, 100)))
  return new Map(rows.map((row) => [row.id, row.name]))
}

const causeJson = (bundle: typeof bundles.$inferSelect): NonNullable<Fire['cause']> => ({
  bundleSequence: bundle.sequence,
  batchAtMs: bundle.batchMs,
  bundleAtMs: bundle.bundleMs,
  includedBlock: bundle.includedBlock,
  includedAtMs: bundle.includedMs,
})

async function withCauses(env: Env, rows: readonly FireRow[]): Promise<Fire[]> {
  const causes = await bundlesBySequence(
    env,
    rows.flatMap(({ bundleSequence }) => (bundleSequence === null ? [] : [bundleSequence])),
  )
  return rows.map((row): Fire => {
    const cause = row.bundleSequence === null ? undefined : causes.get(row.bundleSequence)
    return {
      fireKey: row.fireKey,
      entryId: row.entryId,
      occurrence: row.occurrence,
      success: row.success,
      gasUsed: row.gasUsed,
      txHash: row.txHash,
      blockNumber: row.blockNumber,
      blockHash: row.blockHash,
      blockTimeMs: row.blockTimeMs,
      seenAtMs: row.seenMs,
      finalAtMs: row.finalMs,
      cause: cause === undefined ? null : causeJson(cause),
    }
  })
}

/** Fires of one entry, or of all when null, newest first. */
export async function firePage(env: Env, entryId: Hash | null, offset: number, limit: number): Promise<Fire[]> {
  const rows = await drizzle(env.DB)
    .select()
    .from(fires)
    .where(entryId === null ? undefined : eq(fires.entryId, entryId))
    .orderBy(desc(fires.blockNumber), desc(fires.logIndex))
    .limit(limit)
    .offset(offset)
  return withCauses(env, rows)
}

/** What active entries wait for on a foreign chain, by the word of one reporter set. */
export async function depositConditions(env: Env, chain: bigint, reporters: Hash): Promise<Watch[]> {
  const rows = await drizzle(env.DB)
    .select({ json: entries.entryJson })
    .from(entries)
    .where(and(eq(entries.kind, 'chain.deposit'), eq(entries.status, 'ACTIVE')))
    .limit(1000)
  return rows.flatMap(({ json }) => {
    const { mode } = entryFromJson(JSON.parse(json)).description
    if (mode.type !== 'event' || mode.when.kind !== 'chain.deposit') return []
    const { to, confirmations } = mode.when
    return mode.when.chain === chain && mode.when.reporters === reporters ? [{ to, confirmations }] : []
  })
}
