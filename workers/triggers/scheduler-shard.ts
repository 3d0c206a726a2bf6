/**
 * One part of the calling list by due time and by what wakes a row. It holds an index only: before it submits, it reads the row at the head
 * and asks the shared evaluator. At most one alarm, at the earliest thing to look at. Submitting twice is harmless: the chain fires once.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import { depositOccurrence, matchesDeposit } from '#shared/trigger/evaluate-deposit.ts'
import { fireKey } from '#shared/trigger/ids.ts'
import type { DepositFact, Due, Entry, Reason } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import type { Head } from '#workers/chain/head.ts'
import { headFollower } from '#workers/chain/head-follower.ts'
import { chainMeta } from '#workers/chain/rpc.ts'
import type { Env } from '#workers/env.ts'
import { ObjectTable } from '#workers/oracle/object-table.ts'
import { isFired } from '#workers/submit/calling-list.ts'
import { submitNative } from '#workers/submit/submission.ts'
import { signTrigger } from '#workers/submit/signing.ts'
import { evaluateOnHead, readEntry } from '#workers/triggers/evaluation.ts'

/** Rows judged in one go; the rest follows by the alarm. */
const BATCH = 200
/** Outgoing connections one invocation may hold open. */
const PARALLEL = 6
/** A submission that has not fired is looked at again after this. */
const RESUBMIT_MS = 3000
/** Pause after a failed read. */
const RETRY_MS = 2000
/** Least pause between two looks at one row. */
const LOOK_MS_MIN = 300
/** Verdicts that an unchanged but confirmed value can change. */
const EAGER_REASONS = new Set<Reason>(['HOLDING', 'STALE', 'SOURCE', 'NO_REPORT'])
const DEPOSIT_KEPT_MS = 86_400_000

/** What the index holds of an entry. */
export type ScheduledRow = Readonly<{ id: Hash; kind: string; watch: string; dueMs: number; dueHeight: number }>
/** News with a head. */
export type HeadNews = Readonly<{
  rows: readonly ScheduledRow[]
  feeds: readonly Hash[]
  confirmed: readonly Hash[]
  hasTransactions: boolean
}>
/** A payment with its quorum of signatures. */
export type ProvenDeposit = Readonly<{ digest: Hash; sourceSet: Hash; deposit: DepositFact; evidence: Uint8Array }>
/** When to look at a row again, 0 when only news can change it; whether a round without a new report is news for it. */
type Look = Readonly<{ lookMs: number; isEager: boolean }>
/** A row worth looking at, and the mark that says so. */
type Marked = { id: Hash; look_ms: number }
type KeptDeposit = ProvenDeposit & Readonly<{ atMs: number }>

export class SchedulerShard extends DurableObject<Env> {
  readonly #deposits: ObjectTable<KeptDeposit>
  #isWorking = false
  #lastMarkMs = 0

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#deposits = new ObjectTable(ctx.storage, 'proven')
    ctx.storage.sql.exec(`
      CREATE TABLE IF NOT EXISTS rows (
        id TEXT PRIMARY KEY, kind TEXT NOT NULL, watch TEXT NOT NULL,
        due_ms INTEGER NOT NULL, due_height INTEGER NOT NULL, look_ms INTEGER NOT NULL, eager INTEGER NOT NULL
      );
      CREATE INDEX IF NOT EXISTS rows_look ON rows (look_ms) WHERE look_ms > 0;
      CREATE INDEX IF NOT EXISTS rows_watch ON rows (watch) WHERE watch <> '';
      CREATE INDEX IF NOT EXISTS rows_kind ON rows (kind);
    `)
  }

  /** Takes changed rows, marks what the news makes worth looking at, and looks. */
  async onHead(head: Head, news: HeadNews): Promise<void> {
    // Later than every mark before: a row that is being judged on an older head keeps this mark and is judged again.
    const nowMs = Math.max(Date.now(), this.#lastMarkMs + 1)
    this.#lastMarkMs = nowMs
    const { sql } = this.ctx.storage
    this.ctx.storage.transactionSync(() => {
      for (const row of news.rows) this.#index(row, nowMs)
      for (const feed of news.feeds) sql.exec("UPDATE rows SET look_ms = ? WHERE watch = ? AND kind <> 'inactive'", nowMs, feed)
      for (const feed of news.confirmed) sql.exec('UPDATE rows SET look_ms = ? WHERE watch = ? AND eager = 1', nowMs, feed)
      if (news.hasTransactions) sql.exec("UPDATE rows SET look_ms = ? WHERE kind IN ('log', 'view')", nowMs)
      sql.exec('UPDATE rows SET look_ms = ? WHERE due_height > 0 AND due_height <= ?', nowMs, head.number + 1)
    })
    await this.#arm()
    this.ctx.waitUntil(this.#work(head))
  }

  /** Takes a proven payment and looks at every row that waits for payments. */
  async onDeposit(proven: ProvenDeposit): Promise<void> {
    this.#deposits.put(proven.digest, { ...proven, atMs: Date.now() })
    this.ctx.storage.sql.exec("UPDATE rows SET look_ms = ? WHERE kind = 'chain.deposit'", Date.now())
    await this.#arm()
  }

  /** Sets a lost alarm again. */
  async ensure(): Promise<void> {
    for (const { digest, atMs } of this.#deposits.all()) if (atMs < Date.now() - DEPOSIT_KEPT_MS) this.#deposits.remove(digest)
    if ((await this.ctx.storage.getAlarm()) === null) await this.#arm()
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + RETRY_MS)
    const head = await headFollower(this.env).head()
    if (head !== null) await this.#work(head)
    else await this.#arm()
  }

  #index(row: ScheduledRow, nowMs: number): void {
    const lookMs = row.kind === 'inactive' ? 0 : row.dueMs > nowMs ? row.dueMs : nowMs
    this.ctx.storage.sql.exec(
      'INSERT OR REPLACE INTO rows (id, kind, watch, due_ms, due_height, look_ms, eager) VALUES (?, ?, ?, ?, ?, ?, 0)',
      row.id,
      row.kind,
      row.watch,
      row.dueMs,
      row.dueHeight,
      lookMs,
    )
  }

  /** Judges what is worth looking at. One run at a time: reads open the input gate, and a second run would submit the same again. */
  async #work(head: Head): Promise<void> {
    if (this.#isWorking) return
    this.#isWorking = true
    try {
      const horizonMs = Date.now() + (await chainMeta(this.env)).slotMs
      const rows = this.ctx.storage.sql
        .exec<Marked>('SELECT id, look_ms FROM rows WHERE look_ms > 0 AND look_ms <= ? ORDER BY look_ms LIMIT ?', horizonMs, BATCH)
        .toArray()
      for (let index = 0; index < rows.length; index += PARALLEL)
        await Promise.all(rows.slice(index, index + PARALLEL).map((row) => this.#lookAt(row, head)))
    } finally {
      this.#isWorking = false
      await this.#arm()
    }
  }

  async #lookAt(row: Marked, head: Head): Promise<void> {
    const { lookMs, isEager } = await this.#judge(row.id, head)
    this.ctx.storage.sql.exec(
      'UPDATE rows SET look_ms = ?, eager = ? WHERE id = ? AND look_ms = ?',
      lookMs,
      isEager ? 1 : 0,
      row.id,
      row.look_ms,
    )
  }

  async #arm(): Promise<void> {
    const { next } = this.ctx.storage.sql.exec<{ next: number | null }>('SELECT min(look_ms) AS next FROM rows WHERE look_ms > 0').one()
    if (next === null) await this.ctx.storage.deleteAlarm()
    else await this.ctx.storage.setAlarm(Math.max(Date.now() + 50, next))
  }

  async #judge(id: Hash, head: Head): Promise<Look> {
    try {
      const entry = await readEntry(this.env, id, head.hash)
      if (entry === null) return { lookMs: 0, isEager: false }
      const { mode } = entry.description
      if (mode.type === 'event' && mode.when.kind === 'chain.deposit')
        return { lookMs: await this.#judgeDeposits(entry, head), isEager: false }
      const result = await evaluateOnHead(this.env, entry, head)
      if (result.kind === 'due') return { lookMs: await this.#submit(entry, result.due, new Uint8Array(0)), isEager: false }
      const isEager = EAGER_REASONS.has(result.reason)
      if (result.reason === 'FEE_TOO_LOW') return { lookMs: Date.now() + RETRY_MS, isEager }
      const retryMs = result.kind === 'notDue' ? result.retryAtMs : 0
      return { lookMs: retryMs === 0 ? 0 : Math.max(retryMs, Date.now() + LOOK_MS_MIN), isEager }
    } catch (error) {
      console.warn(`entry ${id}: ${error instanceof Error ? error.message : String(error)}`)
      return { lookMs: Date.now() + RETRY_MS, isEager: false }
    }
  }

  /** Submits every kept payment that this entry waits for and that has not fired it. */
  async #judgeDeposits(entry: Entry, head: Head): Promise<number> {
    const { mode } = entry.description
    if (mode.type !== 'event' || mode.when.kind !== 'chain.deposit') return 0
    const condition = mode.when
    let lookMs = 0
    for (const { sourceSet, deposit, evidence } of this.#deposits.all()) {
      if (!matchesDeposit(condition, deposit) || sourceSet !== condition.reporters) continue
      const key = fireKey(entry.id, entry.revision, depositOccurrence(deposit.chain, deposit.txid))
      const wasFired = await isFired(this.env, key)
      const result = await evaluateOnHead(this.env, entry, head, { evidence: { deposits: [deposit], fired: () => wasFired } })
      if (result.kind === 'due') lookMs = await this.#submit(entry, result.due, evidence)
      else if (result.kind === 'notDue' && result.retryAtMs > 0) lookMs = result.retryAtMs
    }
    return lookMs
  }

  async #submit(entry: Entry, due: Due, evidence: Uint8Array): Promise<number> {
    const { chainId, genesisHash } = await chainMeta(this.env)
    const { hash, raw } = await signTrigger(
      this.env,
      { chainId, entryId: entry.id, revision: entry.revision, occurrence: due.occurrence, attempt: entry.attempt, evidence },
      genesisHash,
    )
    await submitNative(this.env, 'trigger', hash, raw)
    return Date.now() + RESUBMIT_MS
  }
}
