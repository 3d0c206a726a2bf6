/** What the status page shows, gathered once for the page and for `/v1/status`. A part that cannot be read is empty, never invented. @module */
import type { Status } from '#shared/api/http-meta.ts'
import { FEE_COLLECTOR, NODE_RESERVE } from '#shared/system.ts'
import type { Address } from '#shared/types.ts'
import { balance, finalityOf } from '#workers/chain/rpc.ts'
import { entryNames, firePage, recentEntries } from '#workers/db/pages.ts'
import { recentSubmissions } from '#workers/db/records.ts'
import { config, operator, type Env } from '#workers/env.ts'
import { allFeeds } from '#workers/oracle/feeds.ts'
import { sourceSets } from '#workers/oracle/registry.ts'

const FIRES = 12
const FEEDS = 24
const TRIGGERS = 30
const SUBMISSIONS = 10
const ACCOUNTS = 16
const FRESH_MS = 1000

async function validatorLine(url: string): Promise<Status['validators'][number]> {
  try {
    const { head, safe, finalized } = await finalityOf(url)
    return { url, reachable: true, head: head.number, safe: safe.number, finalized: finalized.number }
  } catch {
    return { url, reachable: false, head: null, safe: null, finalized: null }
  }
}

async function accountLines(env: Env): Promise<Status['accounts']> {
  const lines = new Map<Address, string>([[operator(env).address.toLowerCase() as Address, 'edge operator']])
  const sets = await sourceSets(env).catch(() => [])
  for (const set of sets) for (const member of set.members) if (!lines.has(member)) lines.set(member, `${set.name} ${set.kind}`)
  lines.set(NODE_RESERVE, 'node reserve')
  lines.set(FEE_COLLECTOR, 'fee collector')
  return Promise.all(
    [...lines].slice(0, ACCOUNTS).map(async ([address, role]) => ({
      role,
      address,
      balanceWei: await balance(env, address).then(String, () => null),
    })),
  )
}

/** Gathers the status. Never throws for an unreachable chain. */
async function gather(env: Env): Promise<Status> {
  const [validators, fires, feeds, accounts, rows, submissions] = await Promise.all([
    Promise.all(config(env).rpcUrls.map((url) => validatorLine(url))),
    firePage(env, null, 0, FIRES),
    allFeeds(env, FEEDS).catch(() => []),
    accountLines(env),
    recentEntries(env, TRIGGERS),
    recentSubmissions(env, SUBMISSIONS),
  ])
  const names = await entryNames(
    env,
    fires.map((fire) => fire.entryId),
  )
  return {
    nowMs: Date.now(),
    validators,
    fires: fires.map((fire) => ({ ...fire, name: names.get(fire.entryId) ?? '' })),
    feeds,
    accounts,
    triggers: rows.map(({ id, name, kind, status, fires: count, dueAt, fundingWei }) => ({
      id,
      name,
      kind,
      status,
      fires: count,
      dueAt,
      fundingWei,
    })),
    submissions: submissions.map(({ createdMs, ...row }) => ({ ...row, createdAtMs: createdMs })),
  }
}

let kept: Readonly<{ atMs: number; status: Promise<Status> }> | null = null

/** The status, gathered once a second however many look at it. */
export function readStatus(env: Env): Promise<Status> {
  const nowMs = Date.now()
  if (kept === null || nowMs - kept.atMs >= FRESH_MS) kept = { atMs: nowMs, status: gather(env) }
  return kept.status
}
