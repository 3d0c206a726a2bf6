/** JSON-RPC 2.0 over HTTP and WebSocket: forms, limits and error codes. Source: JSON-RPC 2.0 specification, section 7. @module */
import { startRpcServer } from '#node/rpc/server.ts'
import type { DevChain } from '#test/unit/rpc/dev-chain.ts'
import { startDevChain } from '#test/unit/rpc/dev-chain.ts'
import { addressOf, signed } from '#test/unit/pool/fake-chain.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { createConnection } from 'node:net'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { WebSocket } from 'ws'

// Signatures and child processes on a machine that is busy with other tests.
vi.setConfig({ testTimeout: 30_000, hookTimeout: 30_000 })

let dev: DevChain
beforeAll(async () => {
  dev = await startDevChain()
})
afterAll(() => dev.close())

async function post(body: string): Promise<Readonly<{ status: number; text: string }>> {
  const response = await fetch(dev.url, { method: 'POST', body, headers: { 'content-type': 'application/json' } })
  return { status: response.status, text: await response.text() }
}

async function rpc(method: string, params?: unknown): Promise<unknown> {
  const { text } = await post(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
  const answer = JSON.parse(text) as { result?: unknown; error?: unknown }
  return answer.error === undefined ? answer.result : { error: answer.error }
}

describe('a request', () => {
  it.each([
    ['garbage', '{"jsonrpc": "2.0", "method": "foobar, "params": "bar"', -32700],
    ['an empty batch', '[]', -32600],
    ['a number', '1', -32600],
    ['a method that is no string', '{"jsonrpc":"2.0","id":1,"method":1}', -32600],
    ['another protocol version', '{"jsonrpc":"1.0","id":1,"method":"eth_chainId"}', -32600],
    ['an unknown method', '{"jsonrpc":"2.0","id":1,"method":"eth_noSuchThing","params":[]}', -32601],
    ['a method inherited by every object', '{"jsonrpc":"2.0","id":1,"method":"toString","params":[]}', -32601],
    ['parameters by name', '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":{"a":1}}', -32602],
    ['too many parameters', '{"jsonrpc":"2.0","id":1,"method":"eth_chainId","params":[1]}', -32602],
    ['deep nesting', `${'['.repeat(100_000)}${']'.repeat(100_000)}`, -32700],
    [
      'a batch that is too long',
      JSON.stringify(Array.from({ length: 201 }, () => ({ jsonrpc: '2.0', id: 1, method: 'eth_chainId' }))),
      -32600,
    ],
  ])('with %s is answered with the right code', async (_, body, code) => {
    const { status, text } = await post(body)
    expect(status).toBe(200)
    expect(JSON.parse(text)).toMatchObject({ jsonrpc: '2.0', error: { code } })
    expect(dev.faults).toEqual([])
  })

  it('with params null or absent is served, as cast sends it', async () => {
    expect(await rpc('eth_chainId', null)).toBe('0x14000')
    expect(await rpc('eth_chainId')).toBe('0x14000')
  })

  it('without id is a notification and gets no answer', async () => {
    expect(await post('{"jsonrpc":"2.0","method":"eth_chainId"}')).toEqual({ status: 204, text: '' })
  })

  it('in a batch is answered in order, wrong ones singly', async () => {
    const { text } = await post(
      '[{"jsonrpc":"2.0","id":"a","method":"net_version"},1,{"jsonrpc":"2.0","method":"eth_chainId"},{"jsonrpc":"2.0","id":2,"method":"nope"}]',
    )
    expect(JSON.parse(text)).toEqual([
      { jsonrpc: '2.0', id: 'a', result: '81920' },
      { jsonrpc: '2.0', id: null, error: { code: -32600, message: 'invalid request' } },
      { jsonrpc: '2.0', id: 2, error: { code: -32601, message: 'the method nope does not exist/is not available' } },
    ])
  })

  it('above 1 MiB is refused, declared or not', async () => {
    const send = (header: string, body: string): Promise<string> =>
      new Promise((resolve) => {
        const socket = createConnection(Number(new URL(dev.url).port), '127.0.0.1', () => {
          socket.write(`POST / HTTP/1.1\r\nhost: x\r\n${header}\r\n\r\n${body}`)
        })
        let text = ''
        socket.on('data', (data) => (text += data.toString()))
        socket.on('error', () => resolve(text))
        socket.on('close', () => resolve(text))
      })
    const size = 1024 * 1024 + 16
    // What is declared too large is refused before any of it comes.
    expect(await send(`content-length: ${size}`, '')).toMatch(/^HTTP\/1.1 413/)
    const chunked = await send('transfer-encoding: chunked', `${size.toString(16)}\r\n${'x'.repeat(size)}\r\n0\r\n\r\n`)
    expect(chunked).toMatch(/^HTTP\/1.1 413|^$/)
    expect((await post('x'.repeat(size))).status).toBe(413)
    expect(await rpc('net_version')).toBe('81920')
  })
})

describe('HTTP', () => {
  it('answers OPTIONS with CORS, GET with information, other things with an error', async () => {
    const options = await fetch(dev.url, { method: 'OPTIONS' })
    expect([options.status, options.headers.get('access-control-allow-origin')]).toEqual([204, '*'])
    expect(await (await fetch(dev.url)).json()).toEqual({ chainId: 81920 })
    expect((await fetch(`${dev.url}/health`)).status).toBe(200)
    expect((await fetch(`${dev.url}/nothing`)).status).toBe(404)
    expect((await fetch(dev.url, { method: 'DELETE' })).status).toBe(405)
  })
  it('rejects at start when the port is taken', async () => {
    const port = Number(new URL(dev.url).port)
    const start = startRpcServer({ host: '127.0.0.1', port, dispatch: dev.dispatch, info: () => ({}), health: () => ({ healthy: true }) })
    await expect(start).rejects.toThrow(/EADDRINUSE/)
  })
})

describe('bad parameters', () => {
  const account = addressOf(0)
  it.each([
    ['eth_getBalance', []],
    ['eth_getBalance', ['0x12', 'latest']],
    ['eth_getBalance', [`${account}00`, 'latest']],
    ['eth_getBalance', [account, 'newest']],
    ['eth_getBalance', [account, '0x']],
    ['eth_getBalance', [account, '0x01']],
    ['eth_getBalance', [account, -1]],
    ['eth_getBalance', [account, { blockHash: '0x12' }]],
    ['eth_getBlockByNumber', ['latest', 'yes']],
    ['eth_getBlockByHash', ['latest', false]],
    ['eth_getTransactionByHash', ['0x']],
    ['eth_getStorageAt', [account, '0xasdf', 'latest']],
    ['eth_getStorageAt', [account, `0x${'0'.repeat(65)}`, 'latest']],
    ['eth_call', [{ to: '0x12' }, 'latest']],
    ['eth_call', [{ to: account, data: '0x123' }, 'latest']],
    ['eth_call', [{ to: account, data: '0x12', input: '0x34' }, 'latest']],
    ['eth_call', [{ to: account, gasPrice: '0x1', maxFeePerGas: '0x1' }, 'latest']],
    ['eth_call', ['latest', { to: account }]],
    ['eth_sendRawTransaction', ['nothex']],
    ['eth_sendRawTransaction', [`0x${'0'.repeat(3)}`]],
    ['eth_getLogs', [{ topics: [1] }]],
    ['eth_getLogs', [{ topics: Array.from({ length: 5 }, () => null) }]],
    ['eth_getLogs', [{ blockHash: `0x${'00'.repeat(32)}`, fromBlock: '0x1' }]],
    ['eth_getLogs', [{ fromBlock: '0x2', toBlock: '0x1' }]],
    ['eth_getLogs', [{ fromBlock: '0x0', toBlock: '0xffff' }]],
    ['eth_feeHistory', ['0x1', 'latest', [50, 20]]],
    ['eth_feeHistory', ['0x1', 'latest', [101]]],
    ['eth_getProof', [account, 'slots', 'latest']],
    ['eth_getStorageValues', [{}]],
    ['eth_getStorageValues', [{ [account]: Array.from({ length: 1025 }, () => '0x0') }]],
    ['eth_getProof', [account, Array.from({ length: 1025 }, () => '0x0')]],
    ['eth_fillTransaction', [{ to: account }]],
    ['eth_fillTransaction', [{ from: account, to: account, chainId: '0x1' }]],
    ['fusion_callingList', [{ after: 0, limit: 100_000 }, 'latest']],
    ['fusion_entry', ['0x12', 'latest']],
    ['fusion_laneOf', ['0x00']],
  ])('of %s are refused with -32602 (%#)', async (method, params) => {
    expect(await rpc(method, params)).toMatchObject({ error: { code: -32602 } })
  })
  it('name the argument that is wrong', async () => {
    expect(await rpc('eth_call', [{ to: '0x12' }])).toEqual({
      error: { code: -32602, message: 'invalid argument 0 (to): expected an address: 0x and 40 hex digits' },
    })
  })
  it('that name a block the node does not have are another error', async () => {
    const unknown = `0x${'77'.repeat(32)}`
    expect(await rpc('eth_getBalance', [account, '0xffff'])).toEqual({ error: { code: -32000, message: 'header not found' } })
    expect(await rpc('eth_getBalance', [account, { blockHash: unknown }])).toEqual({
      error: { code: -32000, message: 'header for hash not found' },
    })
    expect(await rpc('eth_getBlockByHash', [unknown, false])).toBeNull()
    expect(await rpc('eth_getBlockByNumber', ['0xffff', false])).toBeNull()
    expect(await rpc('eth_getTransactionReceipt', [unknown])).toBeNull()
    expect(await rpc('eth_getBlockReceipts', ['0xffff'])).toBeNull()
  })
})

describe('a raw transaction', () => {
  it.each([
    ['another chain id', { chainId: 1 }, /^invalid chain id for signer: have 1 want 81920$/],
    ['too little gas', { gas: 20_000n }, /^intrinsic gas too low: gas 20000, minimum needed 21000$/],
    ['too much gas', { gas: 10n ** 9n }, /^exceeds block gas limit/],
    ['more value than there is', { value: 10n ** 30n }, /^insufficient funds for gas \* price \+ value/],
  ])('with %s is refused in the words of other clients', async (_, request, message) => {
    const raw = bytesToHex(await signed(0, { nonce: 0, ...request }))
    expect(await rpc('eth_sendRawTransaction', [raw])).toEqual({
      error: {
        code: -32000,
        message: expect.stringMatching(message) as unknown,
        data: expect.anything() as unknown,
      },
    })
  })
  it('of an unknown type, empty or of garbage is refused', async () => {
    expect(await rpc('eth_sendRawTransaction', ['0x03c0'])).toMatchObject({
      error: { code: -32000, message: 'transaction type not supported' },
    })
    expect(await rpc('eth_sendRawTransaction', ['0x'])).toMatchObject({ error: { code: -32000 } })
    expect(await rpc('eth_sendRawTransaction', ['0xdeadbeef'])).toMatchObject({ error: { code: -32000 } })
  })
})

describe('a WebSocket', () => {
  const open = (): Promise<WebSocket> =>
    new Promise((resolve, reject) => {
      const socket = new WebSocket(dev.url.replace('http', 'ws'))
      socket.once('open', () => resolve(socket))
      socket.once('error', reject)
    })
  const next = (socket: WebSocket): Promise<unknown> =>
    new Promise((resolve) => socket.once('message', (data: Buffer) => resolve(JSON.parse(data.toString()))))

  it('answers on the same port and sends new heads until it unsubscribes', async () => {
    const socket = await open()
    socket.send('{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}')
    const { result: subscription } = (await next(socket)) as { result: string }
    const arriving = next(socket)
    const block = await dev.seal()
    expect(await arriving).toMatchObject({
      jsonrpc: '2.0',
      method: 'eth_subscription',
      params: { subscription, result: { hash: block.hash, number: `0x${block.header.number.toString(16)}` } },
    })
    socket.send(`{"jsonrpc":"2.0","id":2,"method":"eth_unsubscribe","params":["${subscription}"]}`)
    expect(await next(socket)).toEqual({ jsonrpc: '2.0', id: 2, result: true })
    socket.send(`{"jsonrpc":"2.0","id":3,"method":"eth_unsubscribe","params":["${subscription}"]}`)
    expect(await next(socket)).toMatchObject({ id: 3, error: { code: -32000 } })
    socket.close()
  })

  it('limits subscriptions, and HTTP has none', async () => {
    const socket = await open()
    const answers: unknown[] = []
    for (let id = 1; id <= 65; id++) {
      socket.send(JSON.stringify({ jsonrpc: '2.0', id, method: 'eth_subscribe', params: ['newPendingTransactions'] }))
      const answer = (await next(socket)) as { error?: { code: number } }
      answers.push(answer.error?.code ?? 'opened')
    }
    expect(answers).toEqual([...Array.from({ length: 64 }, () => 'opened'), -32005])
    socket.send('{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["everything"]}')
    expect(await next(socket)).toMatchObject({ error: { code: -32602 } })
    socket.close()
    expect(await rpc('eth_subscribe', ['newHeads'])).toMatchObject({ error: { code: -32601 } })
  })

  it('is closed for binary and oversized messages without harm to others', async () => {
    const binary = await open()
    const closed = new Promise((resolve) => binary.once('close', resolve))
    binary.send(Buffer.from([1, 2, 3]))
    expect(await closed).toBe(1003)
    const oversized = await open()
    const gone = new Promise((resolve) => oversized.once('close', resolve))
    oversized.on('error', () => undefined)
    oversized.send('x'.repeat(1024 * 1024 + 1))
    expect(await gone).toBe(1009)
    expect(await rpc('net_version')).toBe('81920')
    expect(dev.faults).toEqual([])
  })
})
