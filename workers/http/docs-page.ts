/** The API as a readable page, made from the OpenAPI document itself. @module */
import { html, raw } from 'hono/html'
import { STYLE } from '#workers/http/style.ts'

type Markup = ReturnType<typeof html>
type Media = Readonly<{ schema?: unknown }>
type Operation = Readonly<{
  tags?: readonly string[]
  summary?: string
  parameters?: readonly Readonly<{ name: string; in: string; required?: boolean; schema?: unknown }>[]
  requestBody?: Readonly<{ content?: Readonly<Record<string, Media>> }>
  responses?: Readonly<Record<string, Readonly<{ description?: string; content?: Readonly<Record<string, Media>> }>>>
}>

const schemaBlock = (schema: unknown): Markup => html`<pre>${JSON.stringify(schema, null, 2)}</pre>`

function operationBlock(method: string, path: string, operation: Operation): Markup {
  const parameters = operation.parameters ?? []
  const bodies = Object.entries(operation.requestBody?.content ?? {})
  return html`<details>
    <summary>
      <span class="method">${method.toUpperCase()}</span> <code>${path}</code> <span class="soft">${operation.summary ?? ''}</span>
    </summary>
    ${parameters.map(
      (one) =>
        html`<p>
          <code>${one.name}</code> <span class="soft">${one.in}${one.required === true ? ', required' : ''}</span>
          <code>${JSON.stringify(one.schema ?? {})}</code>
        </p>`,
    )}
    ${bodies.map(
      ([type, media]) =>
        html`<p>Body <span class="soft">${type}</span></p>
          ${schemaBlock(media.schema ?? {})}`,
    )}
    ${Object.entries(operation.responses ?? {}).map(
      ([status, response]) =>
        html`<p>${status} <span class="soft">${response.description ?? ''}</span></p>
          ${Object.values(response.content ?? {}).map((media) => (media.schema === undefined ? '' : schemaBlock(media.schema)))}`,
    )}
  </details>`
}

/** Renders every operation of an OpenAPI document, grouped by its first tag. */
export function docsPage(document: Readonly<{ paths?: unknown }>): Markup {
  const groups = new Map<string, Markup[]>()
  const paths = (document.paths ?? {}) as Readonly<Record<string, Readonly<Record<string, Operation>>>>
  for (const [path, operations] of Object.entries(paths))
    for (const [method, operation] of Object.entries(operations)) {
      const tag = operation.tags?.[0] ?? 'other'
      groups.set(tag, [...(groups.get(tag) ?? []), operationBlock(method, path, operation)])
    }
  return html`${raw('<!doctype html>')}
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>FUSION edge API</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        <h1>FUSION edge API</h1>
        <p class="soft">
          Every refusal is <code>application/problem+json</code> with a stable <code>code</code>. POST and PATCH take an
          <code>Idempotency-Key</code>. Amounts are decimal text in wei, times integer milliseconds. <a href="/openapi.json">OpenAPI 3.1</a>
        </p>
        ${[...groups].map(
          ([tag, blocks]) =>
            html`<h2>${tag}</h2>
              ${blocks}`,
        )}
      </body>
    </html>`
}
