/**
 * Watches one foreign chain for the payments that entries of the calling list wait for, and states them as this edge's reporter. The cursor
 * and the statements to deliver are stored before anything leaves. It follows only while somebody waits. Source: whitepaper 3.4.2, 4.2.2.
 * @module
 */
import { DurableObject } from 'cloudflare:workers'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { depositFact } from '#shared/oracle/fact.ts'
import { sourceSetId } from '#shared/oracle/ids.ts'
import { factToJson } from '#shared/oracle/json.ts'
import {
  emptyWatch,
  rescan,
  wantedHeights,
  type FollowedBlock,
  stepWatch,
  type WatchConfig,
  type WatchEffect,
  type WatchEvent,
  type WatchState,
} from '#shared/oracle/watch.ts'
import type { DepositFact } from '#shared/trigger/types.ts'
import type { Hash, Height } from '#shared/types.ts'
import { chainMeta } from '#workers/chain/rpc.ts'
import { depositConditions } from '#workers/db/pages.ts'
import { config, type Env, type ForeignChain } from '#workers/env.ts'
import { factCollector } from '#workers/oracle/fact-collector.ts'
import { ObjectTable } from '#workers/oracle/object-table.ts'
import { signFact } from '#workers/submit/signing.ts'
import { foreignBlock, foreignHead } from '#workers/watch/foreign-rpc.ts'

const LOOK_MS = 1000
/** Pause while nobody waits for a payment, or the foreign node does not answer. */
const IDLE_MS = 4000
/** Steps of the machine in one go: enough to catch up some hundred blocks. */
const STEPS_MAX = 64
/** Blocks read again for a new watch: a payment sent just after its trigger was registered must not be missed. */
const LOOK_BACK = 8
/** Refusals that repeating cannot change. */
const FINAL_REFUSALS = new Set(['REPORTER_UNKNOWN', 'SOURCE_SET', 'CONTRADICTION', 'SUBJECT', 'DEPOSIT_INVALID'])

type Statement = Readonly<{ deposit: DepositFact; asOfMs: number }>

export class ChainWatcher extends DurableObject<Env> {
  readonly #blocks: ObjectTable<FollowedBlock>
  readonly #outbox: ObjectTable<Statement>

  constructor(ctx: DurableObjectState, env: Env) {
    super(ctx, env)
    this.#blocks = new ObjectTable(ctx.storage, 'blocks')
    this.#outbox = new ObjectTable(ctx.storage, 'outbox')
  }

  /** Starts watching a chain when it does not; any number of times. */
  async ensure(chainId: number): Promise<void> {
    await this.ctx.storage.put('chainId', chainId)
    if ((await this.ctx.storage.getAlarm()) === null) await this.ctx.storage.setAlarm(Date.now())
  }

  override async alarm(): Promise<void> {
    await this.ctx.storage.setAlarm(Date.now() + IDLE_MS)
    const chainId = await this.ctx.storage.get<number>('chainId')
    const chain = config(this.env).foreignChains.find((one) => one.chainId === chainId)
    if (chain === undefined) return
    try {
      const reporters = sourceSetId(chain.reporterOwner, chain.reporterSet, nobleSuite)
      const watches = await depositConditions(this.env, BigInt(chain.chainId), reporters)
      if (watches.length === 0) this.#forget()
      else await this.#follow(chain, { chain: BigInt(chain.chainId), watches })
      await this.#deliver(reporters)
      if (watches.length > 0) await this.ctx.storage.setAlarm(Date.now() + LOOK_MS)
    } catch (error) {
      console.warn(`watcher of chain ${chain.chainId}: ${error instanceof Error ? error.message : String(error)}`)
    }
  }

  #load(): WatchState {
    const cursor = this.ctx.storage.kv.get<Pick<WatchState, 'nextHeight' | 'headHeight'>>('cursor') ?? emptyWatch
    return {
      nextHeight: cursor.nextHeight,
      headHeight: cursor.headHeight,
      blocks: this.#blocks.all().toSorted((left, right) => left.height - right.height),
    }
  }

  #store(before: WatchState, after: WatchState, effects: readonly WatchEffect[]): void {
    this.ctx.storage.transactionSync(() => {
      this.ctx.storage.kv.put('cursor', { nextHeight: after.nextHeight, headHeight: after.headHeight })
      this.#blocks.replace(before.blocks, after.blocks, ({ height }) => String(height))
      for (const effect of effects)
        if (effect.kind === 'deposit')
          this.#outbox.put(`${effect.deposit.txid}:${effect.deposit.blockHash}:${effect.deposit.confirmations}`, {
            deposit: effect.deposit,
            asOfMs: effect.asOfMs,
          })
    })
    for (const effect of effects) {
      if (effect.kind === 'gap') console.warn(`foreign blocks ${effect.from} to ${effect.to} were not followed`)
      if (effect.kind === 'rewound' && effect.statedDepth > 0) console.warn(`foreign block ${effect.height} was stated and left its chain`)
    }
  }

  /** Nobody waits: the next watch starts afresh. */
  #forget(): void {
    this.#store(this.#load(), emptyWatch, [])
    this.ctx.storage.kv.delete('watched')
  }

  #step(event: WatchEvent, watch: WatchConfig): WatchState {
    const before = this.#load()
    const { state, effects } = stepWatch(before, event, watch)
    this.#store(before, state, effects)
    return state
  }

  /** The first look begins a little behind the head, and so does every look after somebody new began to wait. */
  #lookBack(watch: WatchConfig, headHeight: Height): void {
    const before = this.#load()
    const known = new Set(this.ctx.storage.kv.get<string[]>('watched') ?? [])
    const isNew = watch.watches.some(({ to }) => !known.has(to))
    this.ctx.storage.kv.put(
      'watched',
      watch.watches.map(({ to }) => to),
    )
    if (before.nextHeight === null) this.#store(before, { ...before, nextHeight: Math.max(0, headHeight - LOOK_BACK), headHeight }, [])
    else if (isNew) this.#store(before, rescan(before, LOOK_BACK), [])
  }

  async #follow(chain: ForeignChain, watch: WatchConfig): Promise<void> {
    const watched = new Set(watch.watches.map(({ to }) => to))
    const head = await foreignHead(chain.rpcUrl)
    this.#lookBack(watch, head.number)
    let state = this.#step({ kind: 'head', height: head.number, hash: head.hash }, watch)
    for (let step = 0; step < STEPS_MAX; step++) {
      const [height] = wantedHeights(state)
      if (height === undefined) return
      const block = await foreignBlock(chain.rpcUrl, height, watched)
      if (block === null) return
      state = this.#step({ kind: 'block', block }, watch)
    }
  }

  /** Signs and hands over what is stated. Signing is deterministic, so a repeat is the same fact. */
  async #deliver(reporters: Hash): Promise<void> {
    const { genesisHash } = await chainMeta(this.env)
    for (const { deposit, asOfMs } of this.#outbox.all()) {
      const fact = await signFact(this.env, depositFact(reporters, asOfMs, deposit, nobleSuite), genesisHash)
      const answer = await factCollector(this.env, reporters).take(factToJson(fact))
      if (!answer.ok) console.warn(`own fact about ${deposit.txid}: ${answer.code}`)
      if (answer.ok || FINAL_REFUSALS.has(answer.code)) this.#outbox.remove(`${deposit.txid}:${deposit.blockHash}:${deposit.confirmations}`)
    }
  }
}

/** The watcher of one chain. */
export const chainWatcher = (env: Env, chainId: number): DurableObjectStub<ChainWatcher> => env.WATCHER.getByName(String(chainId))
