/** The status page: one self-contained HTML document without scripts that reloads itself. @module */
import { html, raw } from 'hono/html'
import type { Status } from '#shared/api/http-meta.ts'
import { fromFixedPoint } from '#shared/oracle/decimal.ts'
import { STYLE } from '#workers/http/style.ts'

type Markup = ReturnType<typeof html>
const RELOAD_SEC = 3

const short = (id: string): string => (id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id)
const coins = (wei: string | null): string => (wei === null ? 'unknown' : fromFixedPoint(BigInt(wei), 18).replace(/(\.\d{4})\d+$/, '$1'))
const clock = (ms: number): string => new Date(ms).toISOString().slice(11, 23)
const orDash = (value: number | string | null): string => (value === null ? '–' : String(value))

function table(heads: readonly string[], rows: readonly (readonly (string | Markup)[])[], empty: string): Markup {
  if (rows.length === 0) return html`<p class="soft">${empty}</p>`
  return html`<div class="scroll">
    <table>
      <thead>
        <tr>
          ${heads.map((head) => html`<th scope="col">${head}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell) => html`<td>${cell}</td>`)}
            </tr>`,
        )}
      </tbody>
    </table>
  </div>`
}

/** The hops of a fire, each with the milliseconds since the one before. */
export function hops(fire: Status['fires'][number]): string {
  const { cause } = fire
  const points: [string, number | null][] = [
    ...(cause === null
      ? []
      : ([
          ['batch', cause.batchAtMs],
          ['bundle', cause.bundleAtMs],
          ['in block', cause.includedAtMs],
        ] as [string, number | null][])),
    ['fired', fire.seenAtMs],
    ['final', fire.finalAtMs],
  ]
  let before: number | null = null
  const parts: string[] = []
  for (const [name, at] of points) {
    if (at === null) parts.push(`${name} …`)
    else {
      parts.push(before === null ? `${name} ${clock(at)}` : `${name} +${at - before} ms`)
      before = at
    }
  }
  return parts.join(' → ')
}

function due(trigger: Status['triggers'][number]): string {
  if (trigger.dueAt === 0) return 'on event'
  return trigger.kind === 'height' ? `block ${trigger.dueAt}` : clock(trigger.dueAt)
}

const good = (text: string): Markup => html`<span class="ok">${text}</span>`
const bad = (text: string): Markup => html`<span class="bad">${text}</span>`

/** Chain and what runs on it by itself. */
function chainSections(status: Status): Markup {
  return html`
    <h2>Validators</h2>
    ${table(
      ['endpoint', 'state', 'head', 'justified', 'final'],
      status.validators.map((one) => [
        one.url,
        one.reachable ? good('answers') : bad('does not answer'),
        orDash(one.head),
        orDash(one.safe),
        orDash(one.finalized),
      ]),
      'None configured.',
    )}
    <h2>Last fires</h2>
    ${table(
      ['trigger', 'block', 'result', 'gas', 'hops'],
      status.fires.map((fire) => [
        html`<a href="/v1/triggers/${fire.entryId}/fires">${fire.name === '' ? short(fire.entryId) : fire.name}</a>`,
        String(fire.blockNumber),
        fire.success ? good('ok') : bad('reverted'),
        fire.gasUsed,
        hops(fire),
      ]),
      'Nothing has fired yet.',
    )}
    <h2>Calling list</h2>
    ${table(
      ['trigger', 'kind', 'status', 'fires', 'due', 'funding, FSN'],
      status.triggers.map((one) => [
        html`<a href="/v1/triggers/${one.id}">${one.name === '' ? short(one.id) : one.name}</a>`,
        one.kind,
        one.status,
        String(one.fires),
        due(one),
        coins(one.fundingWei),
      ]),
      'The calling list is empty.',
    )}
  `
}

/** What comes in and goes out here. */
function edgeSections(status: Status): Markup {
  return html`
    <h2>Feeds</h2>
    ${table(
      ['feed', 'value', 'status', 'observed', 'sources'],
      status.feeds.map((feed) => [
        html`<a href="/v1/feeds/${feed.id}/history">${feed.sourceSetName} / ${feed.name}</a>`,
        feed.text ?? '–',
        feed.latest?.status ?? 'no report yet',
        feed.latest === null ? '–' : clock(feed.latest.lastObservedAtMs),
        String(feed.members.length),
      ]),
      'No feed is registered, or the chain cannot be read.',
    )}
    <h2>Accounts</h2>
    ${table(
      ['role', 'address', 'balance, FSN'],
      status.accounts.map((one) => [one.role, html`<code>${one.address}</code>`, coins(one.balanceWei)]),
      'None.',
    )}
    <h2>Last transactions of this edge</h2>
    ${table(
      ['time', 'kind', 'hash', 'outcome', 'said'],
      status.submissions.map((one) => [
        clock(one.createdAtMs),
        one.kind,
        html`<code>${short(one.txHash)}</code>`,
        one.outcome === 'accepted' ? good(one.outcome) : bad(one.outcome),
        one.detail.slice(0, 80),
      ]),
      'None yet.',
    )}
  `
}

/** The whole page. */
export const statusPage = (status: Status): Markup =>
  html`${raw('<!doctype html>')}
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta http-equiv="refresh" content="${RELOAD_SEC}" />
        <title>FUSION edge</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        <h1>FUSION edge</h1>
        <p class="soft">
          ${new Date(status.nowMs).toISOString()} · <a href="/docs">API</a> · <a href="/openapi.json">OpenAPI</a> ·
          <a href="/v1/status">JSON</a>
        </p>
        ${chainSections(status)} ${edgeSections(status)}
      </body>
    </html>`
