/** Records of this edge's own work in D1. @module */
import { desc, eq, inArray, lt, sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import type { Intent } from '#shared/api/http-trigger.ts'
import type { Bundle } from '#shared/api/http-oracle.ts'
import type { Address, Hash } from '#shared/types.ts'
import { blocks, bundles, evidence, faucetGrants, intents, submissions } from '#workers/db/schema.ts'
import type { Env } from '#workers/env.ts'

const SUBMISSIONS_KEPT_MS = 86_400_000
const PROJECTIONS_KEPT_MS = 7 * 86_400_000

/** Notes a sent transaction; a repeat replaces the outcome. */
export async function recordSubmission(env: Env, row: typeof submissions.$inferInsert): Promise<void> {
  await drizzle(env.DB)
    .insert(submissions)
    .values(row)
    .onConflictDoUpdate({ target: submissions.txHash, set: { outcome: row.outcome, detail: row.detail } })
}

/** Newest submissions first. */
export const recentSubmissions = (env: Env, limit: number) =>
  drizzle(env.DB).select().from(submissions).orderBy(desc(submissions.createdMs)).limit(limit)

/** Forgets submissions older than a day, and blocks and bundles that only ever served latency figures. */
export async function pruneRecords(env: Env, nowMs: number): Promise<void> {
  const db = drizzle(env.DB)
  await db.batch([
    db.delete(submissions).where(lt(submissions.createdMs, nowMs - SUBMISSIONS_KEPT_MS)),
    db.delete(blocks).where(lt(blocks.seenMs, nowMs - PROJECTIONS_KEPT_MS)),
    db.delete(bundles).where(lt(bundles.bundleMs, nowMs - PROJECTIONS_KEPT_MS)),
  ])
}

/** Projects a bundle for latency figures; the log object keeps the bundle itself. */
export async function recordBundle(env: Env, bundle: Bundle): Promise<void> {
  await drizzle(env.DB)
    .insert(bundles)
    .values({
      sequence: bundle.sequence,
      sourceSet: bundle.sourceSet,
      shard: bundle.shard,
      round: bundle.round,
      txHash: bundle.txHash,
      batchCount: bundle.batchCount,
      batchMs: bundle.batchAtMs,
      bundleMs: bundle.bundleAtMs,
    })
    .onConflictDoNothing()
}

/** Notes a relayed intent; the same intent sent again keeps its first row. */
export async function recordIntent(env: Env, intent: Intent): Promise<void> {
  const { createdAtMs, ...rest } = intent
  await drizzle(env.DB)
    .insert(intents)
    .values({ ...rest, createdMs: createdAtMs })
    .onConflictDoNothing()
}

const toIntent = ({ createdMs, ...row }: typeof intents.$inferSelect): Intent => ({ ...row, createdAtMs: createdMs })

/** An intent by the digest its owner signed, or null. */
export async function intentById(env: Env, id: Hash): Promise<Intent | null> {
  const [row] = await drizzle(env.DB).select().from(intents).where(eq(intents.id, id)).limit(1)
  return row === undefined ? null : toIntent(row)
}

/** Intents whose effect is not known yet, oldest first. */
export async function openIntents(env: Env, limit: number): Promise<Intent[]> {
  return (await drizzle(env.DB).select().from(intents).where(eq(intents.status, 'SENT')).orderBy(intents.createdMs).limit(limit)).map(
    toIntent,
  )
}

/** Writes what became of an intent. */
export async function settleIntent(
  env: Env,
  id: Hash,
  outcome: Pick<Intent, 'status' | 'entryId' | 'blockNumber' | 'detail'>,
): Promise<void> {
  await drizzle(env.DB).update(intents).set(outcome).where(eq(intents.id, id))
}

/** Takes the faucet's turn of an address; false when it had one less than `intervalMs` ago. One statement, so two requests cannot both win. */
export async function takeFaucetTurn(env: Env, address: Address, nowMs: number, intervalMs: number): Promise<boolean> {
  const won = await drizzle(env.DB)
    .insert(faucetGrants)
    .values({ address, atMs: nowMs })
    .onConflictDoUpdate({
      target: faucetGrants.address,
      set: { atMs: nowMs },
      setWhere: sql`${faucetGrants.atMs} <= ${nowMs - intervalMs}`,
    })
    .returning({ address: faucetGrants.address })
  return won.length === 1
}

/** Gives the turn back after a failed transfer. */
export async function returnFaucetTurn(env: Env, address: Address): Promise<void> {
  await drizzle(env.DB).delete(faucetGrants).where(eq(faucetGrants.address, address))
}

/** Stores a proven fault once. */
export async function recordEvidence(env: Env, row: typeof evidence.$inferInsert): Promise<void> {
  await drizzle(env.DB).insert(evidence).values(row).onConflictDoNothing()
}

/** Faults, newest first, after a row offset cursor. */
export const evidencePage = (env: Env, offset: number, limit: number) =>
  drizzle(env.DB).select().from(evidence).orderBy(desc(evidence.seenMs), evidence.id).limit(limit).offset(offset)

/** Bundles by sequence, for the hops of fires. */
export async function bundlesBySequence(env: Env, sequences: readonly number[]): Promise<Map<number, typeof bundles.$inferSelect>> {
  if (sequences.length === 0) return new Map()
  const rows = await drizzle(env.DB)
    .select()
    .from(bundles)
    .where(inArray(bundles.sequence, sequences.slice(0, 100)))
  return new Map(rows.map((row) => [row.sequence, row]))
}
