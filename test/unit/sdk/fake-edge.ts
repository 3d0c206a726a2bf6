/** A small edge over `node:http` for the SDK's tests: answers by route, and remembers what it was asked. @module */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Hex } from '#shared/types.ts'

export type Asked = Readonly<{ method: string; path: string; headers: Readonly<Record<string, string | undefined>>; body: unknown }>
export type Answer = Readonly<{ status?: number; json?: unknown; text?: string; headers?: Readonly<Record<string, string>> }>
export type Route = (asked: Asked, response: ServerResponse) => Answer | null | Promise<Answer | null>

export const GENESIS: Hex = `0x${'5a'.repeat(32)}`
export const CHAIN_ID = 81_920

export const metaOf = (operator: Hex, rpcUrl: string) => ({
  name: 'fusion-edge',
  chainId: CHAIN_ID,
  genesisHash: GENESIS,
  genesisTimeMs: 1,
  slotMs: 1500,
  callingList: `0x${'0'.repeat(36)}4601`,
  feedRegistry: `0x${'0'.repeat(36)}4602`,
  operator,
  rpcUrls: [rpcUrl],
  relayFeeMinWei: '1000',
  faucet: true,
  limits: { bodyBytes: 65_536, triggerBytes: 16_384, pageItems: 200 },
})

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  let text = ''
  for await (const chunk of request) text += String(chunk)
  return text === '' ? null : JSON.parse(text)
}

/** Starts it on a free port. A route that gives null has answered by itself. */
export async function startFakeEdge(routes: Readonly<Record<string, Route>>) {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    void (async () => {
      const path = request.url ?? '/'
      const one: Asked = {
        method: request.method ?? '',
        path,
        headers: request.headers as Asked['headers'],
        body: await bodyOf(request),
      }
      asked.push(one)
      const route = routes[`${one.method} ${path.split('?')[0]}`]
      const answer = route === undefined ? { status: 404, json: { title: 'no route' } } : await route(one, response)
      if (answer === null) return
      response.writeHead(answer.status ?? 200, { 'content-type': 'application/json', ...answer.headers })
      response.end(answer.text ?? JSON.stringify(answer.json))
    })()
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const edgeUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.closeAllConnections()
      server.close(() => resolve())
    })
  return { edgeUrl, asked, close }
}
