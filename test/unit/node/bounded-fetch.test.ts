/** Answers of servers that others chose: never longer than wanted, never from elsewhere. @module */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { fetchBounded } from '#node/bounded-fetch.ts'

const ends: (() => void)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

async function serve(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<string> {
  const server = createServer(answer)
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  ends.push(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
}

describe('a bounded fetch', () => {
  it('gives status and text of an answer, of whatever status, up to the limit in bytes', async () => {
    const url = await serve(({ method, headers }, response) => response.writeHead(409).end(`${method} ${String(headers['x-of'])} é`))
    expect(await fetchBounded(url, { method: 'POST', headers: { 'x-of': 'test' } }, 12)).toEqual({ status: 409, text: 'POST test é' })
    await expect(fetchBounded(url, { method: 'POST', headers: { 'x-of': 'test' } }, 11)).rejects.toThrow('more than 11 bytes')
  })

  it('hangs up on an answer without end as soon as the limit is passed', async () => {
    let sent = 0
    let isClosed = false
    const url = await serve((_, response) => {
      response.on('close', () => (isClosed = true))
      const more = (): void => {
        if (isClosed) return
        sent += 65_536
        response.write(Buffer.alloc(65_536, 32), () => setImmediate(more))
      }
      more()
    })
    await expect(fetchBounded(url, {}, 1_000_000)).rejects.toThrow('more than 1000000 bytes')
    await vi.waitFor(() => expect(isClosed).toBe(true))
    expect(sent).toBeLessThan(20_000_000)
  })

  it('goes nowhere else than asked', async () => {
    const paths: unknown[] = []
    const url = await serve((request, response) => {
      paths.push(request.url)
      response.writeHead(302, { location: '/elsewhere' }).end()
    })
    await expect(fetchBounded(url, {}, 100)).rejects.toThrow('fetch failed')
    expect(paths).toEqual(['/'])
  })

  it.each(['data:application/json,{}', 'file:///etc/hostname', 'ftp://127.0.0.1/', 'blob:nodedata:1', '', 'no address', 'HTTP//x'])(
    'asks http and https only, not %j',
    async (address) => {
      await expect(fetchBounded(address, {}, 100)).rejects.toThrow('expected an address of http or https')
    },
  )
})
