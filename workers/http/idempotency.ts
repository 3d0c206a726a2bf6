/**
 * Idempotency-Key on POST and PATCH: the first request runs, its answer is kept for a day and given to every repeat.
 * @module
 */
import { sha256 } from '@noble/hashes/sha2.js'
import { and, eq, isNull, lt, or } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/d1'
import { createMiddleware } from 'hono/factory'
import { bytesToHex, utf8ToBytes } from '#shared/bytes.ts'
import { idempotency } from '#workers/db/schema.ts'
import type { Env } from '#workers/env.ts'
import type { AppEnv } from '#workers/http/context.ts'
import { ApiProblem } from '#workers/http/problem.ts'

const KEPT_MS = 86_400_000
/** A claim without an answer after this long belongs to a request that died. */
const RUNNING_MS_MAX = 60_000
/** A repeat waits this often and long for the first request: its client gave up waiting, which is why it repeats. */
const WAIT_LOOKS = 12
const WAIT_MS = 250

type Claim = Readonly<{ route: string; key: string; bodyHash: string }>

const isClaim = (claim: Claim) => and(eq(idempotency.route, claim.route), eq(idempotency.key, claim.key))

/** Takes the key for this request, or gives the row that holds it. */
async function claimKey(env: Env, claim: Claim, nowMs: number): Promise<typeof idempotency.$inferSelect | null> {
  const db = drizzle(env.DB)
  const dead = and(isNull(idempotency.status), lt(idempotency.createdMs, nowMs - RUNNING_MS_MAX))
  await db.delete(idempotency).where(and(isClaim(claim), or(lt(idempotency.createdMs, nowMs - KEPT_MS), dead)))
  const taken = await db
    .insert(idempotency)
    .values({ ...claim, createdMs: nowMs })
    .onConflictDoNothing()
    .returning({ key: idempotency.key })
  if (taken.length === 1) return null
  const [row] = await db.select().from(idempotency).where(isClaim(claim)).limit(1)
  return row ?? null
}

/** The answer of the request that holds the key, waited for a little; null while it still runs. */
async function heldAnswer(env: Env, claim: Claim, held: typeof idempotency.$inferSelect): Promise<typeof idempotency.$inferSelect | null> {
  let row = held
  for (let looks = 0; row.status === null && looks < WAIT_LOOKS; looks++) {
    await new Promise((resolve) => setTimeout(resolve, WAIT_MS))
    const [again] = await drizzle(env.DB).select().from(idempotency).where(isClaim(claim)).limit(1)
    if (again === undefined) return null
    row = again
  }
  return row.status === null ? null : row
}

/** Answers kept longer than a day are forgotten; the sweeper calls this. */
export async function pruneIdempotency(env: Env, nowMs: number): Promise<void> {
  await drizzle(env.DB)
    .delete(idempotency)
    .where(lt(idempotency.createdMs, nowMs - KEPT_MS))
}

/** Replays kept answers and keeps new ones. Failures of the edge itself (5xx) are not kept, so a repeat may succeed. */
export const idempotent = createMiddleware<AppEnv>(async (c, next) => {
  const key = c.req.header('idempotency-key')
  if (key === undefined || (c.req.method !== 'POST' && c.req.method !== 'PATCH')) return next()
  if (!/^[\x21-\x7e]{1,128}$/.test(key))
    throw new ApiProblem('INVALID_REQUEST', 'See errors.', [
      { pointer: 'Idempotency-Key', code: 'INVALID_FORMAT', detail: '1 to 128 visible ASCII characters' },
    ])
  const claim = { route: `${c.req.method} ${c.req.path}`, key, bodyHash: bytesToHex(sha256(utf8ToBytes(await c.req.text()))) }
  const held = await claimKey(c.env, claim, Date.now())
  if (held !== null) {
    if (held.bodyHash !== claim.bodyHash) throw new ApiProblem('IDEMPOTENCY_MISMATCH', 'Use a fresh key for another body.')
    const answer = await heldAnswer(c.env, claim, held)
    if (answer === null) throw new ApiProblem('IDEMPOTENCY_RUNNING', 'Ask again in a moment.', [], { 'retry-after': '1' })
    const headers = JSON.parse(answer.headers ?? '{}') as Record<string, string>
    return new Response(answer.body, { status: answer.status ?? 200, headers: { ...headers, 'idempotency-replayed': 'true' } })
  }
  await next()
  const db = drizzle(c.env.DB)
  if (c.res.status >= 500) {
    await db.delete(idempotency).where(isClaim(claim))
    return
  }
  const kept: Record<string, string> = {}
  for (const name of ['content-type', 'location']) {
    const value = c.res.headers.get(name)
    if (value !== null) kept[name] = value
  }
  await db
    .update(idempotency)
    .set({ status: c.res.status, headers: JSON.stringify(kept), body: await c.res.clone().text() })
    .where(isClaim(claim))
})
