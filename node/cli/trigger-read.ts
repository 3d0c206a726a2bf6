/** `fusion trigger`: looking at the calling list. @module */
import type { TriggerRow } from '#shared/api/http-trigger.ts'
import type { Command, Outcome } from '#node/cli/command.ts'
import { KEY_OPTIONS, UsageError } from '#node/cli/command.ts'
import type { Session } from '#node/cli/session.ts'
import { readAddress, readId } from '#node/cli/session.ts'
import { fields, fsn, instant, short, table } from '#node/cli/table.ts'
import { addressOf } from '#node/sdk/index.ts'

const STATUSES = ['ACTIVE', 'PAUSED', 'EXHAUSTED', 'EXPIRED', 'CANCELLED']
const isTimed = (kind: string): boolean => ['at', 'interval', 'cron'].includes(kind)
const dueText = ({ kind, dueAt }: TriggerRow): string => (dueAt === 0 ? '-' : isTimed(kind) ? instant(dueAt) : `block ${dueAt}`)
const more = (next: string | null): string => (next === null ? '' : `\nmore: --cursor ${next}`)

async function list(session: Session): Promise<Outcome> {
  const status = session.option('status')?.toUpperCase()
  if (status !== undefined && !STATUSES.includes(status)) throw new UsageError(`--status expects one of ${STATUSES.join(', ')}`)
  const given = session.option('owner')
  const owner = session.flag('mine') ? addressOf(await session.account()) : given === undefined ? undefined : readAddress(given)
  const contract = session.option('contract')
  const cursor = session.option('cursor')
  const page = await session.client().triggers({
    limit: session.count('limit') ?? 50,
    ...(owner === undefined ? {} : { owner }),
    ...(contract === undefined ? {} : { contract: readAddress(contract) }),
    ...(status === undefined ? {} : { status }),
    ...(cursor === undefined ? {} : { cursor }),
  })
  const rows = page.items.map((row) => [row.name, row.kind, row.status, dueText(row), String(row.fires), fsn(row.fundingWei), row.id])
  return { json: page, text: `${table(['name', 'kind', 'status', 'due', 'fires', 'funding', 'id'], rows, [4, 5])}${more(page.next)}` }
}

async function get(session: Session): Promise<Outcome> {
  const row = await session.client().trigger(readId(session.operand(0)))
  const about = fields([
    ['id', row.id],
    ['name', row.name],
    ['owner', row.owner],
    ['calls', row.contract],
    ['kind', row.kind],
    ['status', `${row.status}, revision ${row.revision}`],
    ['due', dueText(row)],
    ['fires', `${row.fires}, missed ${row.missed}`],
    ['funding', fsn(row.fundingWei)],
    ['as of block', String(row.blockNumber)],
  ])
  return { json: row, text: `${about}\n\n${JSON.stringify(row.trigger, null, 2)}` }
}

async function explain(session: Session): Promise<Outcome> {
  const answer = await session.client().explain(readId(session.operand(0)))
  const text = fields([
    ['outcome', answer.outcome],
    ['reason', answer.reason],
    ['detail', answer.detail],
    ['next by time', instant(answer.retryAtMs)],
    ['as of block', answer.blockHash],
  ])
  return { json: answer, text }
}

async function fires(session: Session): Promise<Outcome> {
  const cursor = session.option('cursor')
  const limit = session.count('limit') ?? 20
  const page = await session.client().fires(readId(session.operand(0)), { limit, ...(cursor === undefined ? {} : { cursor }) })
  const rows = page.items.map((fire) => [
    String(fire.blockNumber),
    instant(fire.blockTimeMs),
    fire.success ? 'called' : 'reverted',
    fire.gasUsed,
    fire.finalAtMs === null ? 'not yet' : `${((fire.finalAtMs - fire.blockTimeMs) / 1000).toFixed(1)} s`,
    short(fire.fireKey),
    fire.txHash,
  ])
  return {
    json: page,
    text: `${table(['block', 'time', 'result', 'gas', 'final after', 'fire', 'transaction'], rows, [0, 3])}${more(page.next)}`,
  }
}

async function schedule(session: Session): Promise<Outcome> {
  const answer = await session.client().schedule(readId(session.operand(0)), session.count('n') ?? 5)
  const lines = answer.due.map(({ at, rfc3339 }) => rfc3339 ?? `block ${at}`)
  const none = answer.unit === 'event' ? 'an event makes it due; there is no timetable' : 'never again'
  return { json: answer, text: lines.length === 0 ? none : lines.join('\n') }
}

const PAGE_OPTIONS = {
  limit: { type: 'string', value: 'N', help: 'at most N items' },
  cursor: { type: 'string', value: 'CURSOR', help: 'continue a list' },
} as const

/** Commands that read triggers. */
export const triggerReadCommands: readonly Command[] = [
  {
    path: 'trigger list',
    operands: '',
    summary: 'rows of the calling list',
    options: {
      owner: { type: 'string', value: 'ADDRESS', help: 'of this owner' },
      mine: { type: 'boolean', help: 'of the signing key' },
      contract: { type: 'string', value: 'ADDRESS', help: 'that call this contract' },
      status: { type: 'string', value: 'STATUS', help: STATUSES.join(', ').toLowerCase() },
      ...PAGE_OPTIONS,
      ...KEY_OPTIONS,
    },
    run: list,
  },
  { path: 'trigger get', operands: '<id>', summary: 'one row with its description', run: get },
  { path: 'trigger explain', operands: '<id>', summary: 'why it fires or does not, now', run: explain },
  { path: 'trigger fires', operands: '<id>', summary: 'its firings, newest first', options: PAGE_OPTIONS, run: fires },
  {
    path: 'trigger schedule',
    operands: '<id>',
    summary: 'its next due times',
    options: { n: { type: 'string', value: 'N', help: 'how many (default 5)' } },
    run: schedule,
  },
]
