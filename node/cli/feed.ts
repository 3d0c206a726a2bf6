/** `fusion feed`: values on chain. @module */
import type { Feed } from '#shared/api/http-oracle.ts'
import type { Command, Outcome } from '#node/cli/command.ts'
import { CommandFailed } from '#node/cli/command.ts'
import type { Session } from '#node/cli/session.ts'
import { fields, instant, table } from '#node/cli/table.ts'
import { fromFixedPoint } from '#node/sdk/index.ts'

const fullName = (feed: Feed): string => `${feed.sourceSetName}/${feed.name}`

async function list(session: Session): Promise<Outcome> {
  const feeds = await session.client().feeds()
  const rows = feeds.map((feed) => [
    fullName(feed),
    feed.text ?? '-',
    feed.latest?.status ?? '-',
    instant(feed.latest?.lastObservedAtMs ?? null),
    feed.id,
  ])
  return { json: feeds, text: table(['feed', 'value', 'status', 'observed', 'id'], rows, [1]) }
}

async function wanted(session: Session): Promise<Feed> {
  const name = session.operand(0)
  const feed = await session.client().findFeed(name)
  if (feed === null) throw new CommandFailed(`no single feed is called "${name}"; see fusion feed list`)
  return feed
}

async function latest(session: Session): Promise<Outcome> {
  const feed = await session.client().latest((await wanted(session)).id)
  const report = feed.latest
  const text = fields([
    ['feed', fullName(feed)],
    ['id', feed.id],
    ['value', report === null ? 'no report yet' : (feed.text ?? report.value)],
    ['status', report?.status ?? '-'],
    ['report', report === null ? '-' : `${report.sequence}, rounds ${report.firstRound} to ${report.lastRound}`],
    ['observed', instant(report?.lastObservedAtMs ?? null)],
    ['digest', report?.digest ?? '-'],
    ['as of block', String(feed.blockNumber)],
    ['providers', String(feed.members.length)],
  ])
  return { json: feed, text }
}

async function history(session: Session): Promise<Outcome> {
  const feed = await wanted(session)
  const after = session.option('after')
  const page = await session.client().history(feed.id, { ...(after === undefined ? {} : { after }), limit: session.count('limit') ?? 50 })
  const rows = page.items.map((report) => [
    report.sequence,
    fromFixedPoint(BigInt(report.value), feed.decimals),
    report.status,
    String(report.lastRound - report.firstRound + 1),
    instant(report.observedAtMs),
    report.afterGap ? 'after a gap' : '',
  ])
  const more = page.next === null ? '' : `\nmore: --after ${page.next}`
  return { json: page, text: `${table(['report', 'value', 'status', 'rounds', 'observed', ''], rows, [0, 1, 3])}${more}` }
}

/** Commands about feeds. */
export const feedCommands: readonly Command[] = [
  { path: 'feed list', operands: '', summary: 'all feeds with their newest values', run: list },
  { path: 'feed latest', operands: '<feed>', summary: 'newest report of a feed, by name, set/name or id', run: latest },
  {
    path: 'feed history',
    operands: '<feed>',
    summary: 'stored reports, oldest first',
    options: {
      after: { type: 'string', value: 'SEQUENCE', help: 'reports after this one (default: from the oldest held)' },
      limit: { type: 'string', value: 'N', help: 'at most N (default 50)' },
    },
    run: history,
  },
]
