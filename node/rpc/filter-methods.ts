/** Filters that are polled over HTTP and subscriptions over WebSocket. @module */
import { method } from '#node/rpc/context.ts'
import type { MethodTable, RpcContext, Session } from '#node/rpc/context.ts'
import type { HeadEvent } from '#node/rpc/head-feed.ts'
import { logsOfBlock, queryLogs } from '#node/rpc/logs.ts'
import { logFilter } from '#node/rpc/params.ts'
import type { LogFilter } from '#node/rpc/params.ts'
import { renderHeader } from '#node/rpc/render-block.ts'
import { renderPending } from '#node/rpc/render-transaction.ts'
import { invalidParams, LIMIT_EXCEEDED, serverError } from '#node/rpc/rpc-error.ts'
import { RpcError } from '#shared/api/json-rpc.ts'
import type { Hash } from '#shared/types.ts'
import { randomBytes } from 'node:crypto'
import * as z from 'zod'

/** A filter nobody polls is dropped. */
const IDLE_MS_MAX = 5 * 60_000
const FILTERS_MAX = 4096
const SUBSCRIPTIONS_PER_SESSION_MAX = 64
const PENDING_HASHES_MAX = 8192

type Filter = { usedMs: number } & (
  | { kind: 'log'; filter: LogFilter; position: number }
  | { kind: 'block'; position: number }
  | { kind: 'pending'; hashes: Hash[]; stop: () => void }
)

const newId = (): string => `0x${randomBytes(16).toString('hex')}`

/** Whether a block's height is inside a filter's range; an open end is unbounded. */
function isInRange(event: HeadEvent, { fromBlock, toBlock }: LogFilter): boolean {
  const { number } = event.block.header
  const from = fromBlock?.kind === 'number' ? fromBlock.number : 0
  const to = toBlock?.kind === 'number' ? toBlock.number : Number.MAX_SAFE_INTEGER
  return number >= from && number <= to
}

const logsOfEvent = (event: HeadEvent, filter: LogFilter, context: RpcContext): readonly unknown[] =>
  isInRange(event, filter) ? logsOfBlock(event.block, filter, event.removed, context) : []

/** The filters of one server; time comes from the caller. */
class Filters {
  readonly #filters = new Map<string, Filter>()

  add(filter: Filter): string {
    for (const [id, { usedMs }] of this.#filters) if (filter.usedMs - usedMs > IDLE_MS_MAX) this.remove(id)
    if (this.#filters.size >= FILTERS_MAX) throw new RpcError(LIMIT_EXCEEDED, `more than ${FILTERS_MAX} filters are open`)
    const id = newId()
    this.#filters.set(id, filter)
    return id
  }

  remove(id: string): boolean {
    const filter = this.#filters.get(id)
    if (filter?.kind === 'pending') filter.stop()
    return this.#filters.delete(id)
  }

  require(id: string): Filter {
    const filter = this.#filters.get(id)
    if (filter === undefined) throw serverError('filter not found')
    filter.usedMs = Date.now()
    return filter
  }
}

function changes(filter: Filter, context: RpcContext): readonly unknown[] {
  if (filter.kind === 'pending') return filter.hashes.splice(0)
  const events = context.feed.since(filter.position)
  filter.position = context.feed.position()
  if (filter.kind === 'block') return events.filter(({ removed }) => !removed).map(({ block }) => block.hash)
  return events.flatMap((event) => logsOfEvent(event, filter.filter, context))
}

function newPendingFilter(filters: Filters, { pool }: RpcContext): string {
  const hashes: Hash[] = []
  const stop = pool.onAdded((hash) => {
    if (hashes.length < PENDING_HASHES_MAX) hashes.push(hash)
  })
  return filters.add({ kind: 'pending', hashes, stop, usedMs: Date.now() })
}

function requireSession(session: Session | null): Session {
  if (session === null) throw new RpcError(-32601, 'notifications not supported over HTTP; use a WebSocket')
  if (session.subscriptionCount() >= SUBSCRIPTIONS_PER_SESSION_MAX)
    throw new RpcError(LIMIT_EXCEEDED, `more than ${SUBSCRIPTIONS_PER_SESSION_MAX} subscriptions on one connection`)
  return session
}

const subscribeParams = z.union([
  z.tuple([z.literal('newHeads')]),
  z.tuple([z.literal('logs'), logFilter.nullish()]),
  z.tuple([z.literal('newPendingTransactions'), z.boolean().nullish()]),
])

function subscribe(params: readonly unknown[], context: RpcContext, maybeSession: Session | null): string {
  const parsed = subscribeParams.safeParse(params)
  if (!parsed.success) throw invalidParams('expected newHeads, logs with a filter, or newPendingTransactions')
  const session = requireSession(maybeSession)
  const [kind, option] = parsed.data
  const id = newId()
  const notify = (result: unknown): void => session.notify(id, result)
  if (kind === 'newHeads')
    session.open(
      id,
      context.feed.onEvent(({ block, removed }) => {
        if (!removed) notify(renderHeader(block, context))
      }),
    )
  else if (kind === 'logs') {
    const filter = option ?? logFilter.parse({})
    session.open(
      id,
      context.feed.onEvent((event) => {
        for (const log of logsOfEvent(event, filter, context)) notify(log)
      }),
    )
  } else
    session.open(
      id,
      context.pool.onAdded((hash, raw) => notify(option === true ? renderPending(raw, context) : hash)),
    )
  return id
}

function unsubscribe(id: string, session: Session | null): boolean {
  if (session === null) throw new RpcError(-32601, 'notifications not supported over HTTP; use a WebSocket')
  if (!session.closeSubscription(id)) throw serverError('subscription not found')
  return true
}

/** Filter methods with their own set of filters. */
export function filterMethods(): MethodTable {
  const filters = new Filters()
  const id = z.tuple([z.string()])
  return {
    eth_newFilter: method(z.tuple([logFilter]), ([filter], { feed }) =>
      filters.add({ kind: 'log', filter, position: feed.position(), usedMs: Date.now() }),
    ),
    eth_newBlockFilter: method(z.tuple([]), (_, { feed }) => filters.add({ kind: 'block', position: feed.position(), usedMs: Date.now() })),
    eth_newPendingTransactionFilter: method(z.tuple([]), (_, context) => newPendingFilter(filters, context)),
    eth_getFilterChanges: method(id, ([name], context) => changes(filters.require(name), context)),
    eth_getFilterLogs: method(id, ([name], context) => {
      const filter = filters.require(name)
      if (filter.kind !== 'log') throw serverError('filter not found')
      return queryLogs(filter.filter, context)
    }),
    eth_uninstallFilter: method(id, ([name]) => filters.remove(name)),
    eth_subscribe: subscribe,
    eth_unsubscribe: method(id, ([name], _, session) => unsubscribe(name, session)),
  }
}
