/**
 * Follows the head: one object that notices new blocks, projects them into D1 and tells the scheduler shards. It asks often while the chain
 * moves and seldom while it is idle. Its only state is where it stands; everything it writes can be written again.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import { ON_TIME_BLOCKS } from '#shared/params.ts'
import type { Entry } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import { type Head, headOf } from '#workers/chain/head.ts'
import { type Block, blockByNumber, chainMeta, finality, type Finality } from '#workers/chain/rpc.ts'
import { type Change, finalizeUpTo, forgetAbove, projectRange, syncCallingList } from '#workers/chain/projection.ts'
import type { Env } from '#workers/env.ts'
import { wakeSchedulers } from '#workers/triggers/wake.ts'

/** Pause between two looks while blocks come. */
const ACTIVE_MS = 300
/** Longest pause on an idle chain, and pause after a failure. */
const IDLE_MS = 2000
const IDLE_GROWTH = 1.25
/** Blocks projected in one step; more follow at once. */
const STEP_BLOCKS = 32
/** Hashes remembered for finding the fork point: finality is never further back on a healthy chain. */
const REMEMBERED = 256
/** A first start, or one after a long absence, begins this far back. */
const HISTORY_BLOCKS = 5000

type Point = Readonly<{ number: number; hash: Hash }>
export class HeadFollower extends DurableObject<Env> {
  #pauseMs = ACTIVE_MS

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    ctx.storage.sql.exec('CREATE TABLE IF NOT EXISTS seen (number INTEGER PRIMARY KEY, hash TEXT NOT NULL, slot INTEGER NOT NULL)')
  }

  /** Starts following when it does not; called by requests and by the cron, any number of times. */
  async ensure(): Promise<void> {
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now())
  }

  /** Something was sent: look again soon. */
  async poke(): Promise<void> {
    this.#pauseMs = ACTIVE_MS
    const next = await this.ctx.storage.getAlarm()
    if (next === null || next > Date.now() + ACTIVE_MS) await this.ctx.storage.setAlarm(Date.now() + ACTIVE_MS)
  }

  /** The head as last projected, or null before the first look. */
  async head(): Promise<Head | null> {
    return (await this.ctx.storage.get<Head>('head')) ?? null
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + IDLE_MS)
    try {
      const moved = await this.#step()
      this.#pauseMs = moved ? ACTIVE_MS : Math.min(IDLE_MS, this.#pauseMs * IDLE_GROWTH)
    } catch (error) {
      console.warn(`head: ${error instanceof Error ? error.message : String(error)}`)
      this.#pauseMs = IDLE_MS
    }
    await this.ctx.storage.setAlarm(Date.now() + this.#pauseMs)
  }

  async #step(): Promise<boolean> {
    const points = await finality(this.env)
    const known = this.#cursor()
    const listed = known === null ? await syncCallingList(this.env, points.head) : []
    const cursor = known === null ? Math.max(-1, points.head.number - HISTORY_BLOCKS) : await this.#rewind(known, points)
    const moved = await this.#advance(cursor, points, listed)
    await this.#finalize(points)
    return moved
  }

  #cursor(): number | null {
    return this.ctx.storage.sql.exec<{ top: number | null }>('SELECT max(number) AS top FROM seen').one().top
  }

  #seenHash(number: number): string | null {
    return this.ctx.storage.sql.exec<{ hash: string }>('SELECT hash FROM seen WHERE number = ?', number).toArray()[0]?.hash ?? null
  }

  /** Walks back from the cursor to the last block that is still canonical, and drops what was projected above it. */
  async #rewind(cursor: number, points: Finality): Promise<number> {
    let height = Math.min(cursor, points.head.number)
    while (height >= 0) {
      const known = this.#seenHash(height)
      if (known === null) break
      const canonical = height === points.head.number ? points.head.hash : (await blockByNumber(this.env, height))?.hash
      if (canonical === known) break
      height--
    }
    if (height === cursor) return cursor
    await forgetAbove(this.env, height)
    this.ctx.storage.sql.exec('DELETE FROM seen WHERE number > ?', height)
    return height
  }

  async #advance(cursor: number, points: Finality, listed: readonly Entry[]): Promise<boolean> {
    const to = Math.min(points.head.number, cursor + STEP_BLOCKS)
    if (to <= cursor) return false
    const blocks: Block[] = []
    for (let height = cursor + 1; height <= to; height++) {
      const block = await blockByNumber(this.env, height)
      if (block === null || (blocks.length > 0 && block.parentHash !== blocks.at(-1)?.hash)) break
      blocks.push(block)
    }
    const last = blocks.at(-1)
    if (last === undefined) return false
    const change = await projectRange(this.env, blocks)
    for (const { number, hash, slot } of blocks)
      this.ctx.storage.sql.exec('INSERT OR REPLACE INTO seen (number, hash, slot) VALUES (?, ?, ?)', number, hash, slot)
    this.ctx.storage.sql.exec('DELETE FROM seen WHERE number <= ?', last.number - REMEMBERED)
    await this.#tell(last, { ...change, entries: [...listed, ...change.entries] })
    return true
  }

  async #tell(last: Block, change: Change): Promise<void> {
    const [reference] = this.ctx.storage.sql
      .exec<{ slot: number }>('SELECT slot FROM seen WHERE number = ?', last.number - ON_TIME_BLOCKS)
      .toArray()
    const head = headOf(last, await chainMeta(this.env), reference?.slot ?? -1)
    await this.ctx.storage.put('head', head)
    await wakeSchedulers(this.env, head, change)
  }

  async #finalize(points: Finality): Promise<void> {
    const done = (await this.ctx.storage.get<Point>('finalized'))?.number ?? -1
    const upTo = Math.min(points.finalized.number, this.#cursor() ?? -1)
    if (upTo <= done) return
    await finalizeUpTo(this.env, upTo)
    await this.ctx.storage.put<Point>('finalized', { number: upTo, hash: points.finalized.hash })
  }
}

/** The one follower of this edge. */
export const headFollower = (env: Env): DurableObjectStub<HeadFollower> => env.HEAD.getByName('head')
