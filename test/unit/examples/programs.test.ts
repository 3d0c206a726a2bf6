/** The example programs as processes: the JSON source over HTTP, the provider against a small edge. @module */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { mnemonicToAccount } from 'viem/accounts'
import { afterEach, describe, expect, it } from 'vitest'
import { addressOf, convicts, signBatch } from '#node/sdk/index.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { batchDigest, batchFault } from '#shared/oracle/batch.ts'
import { batchFromJson } from '#shared/oracle/json.ts'
import type { BatchJson } from '#shared/api/http-oracle.ts'
import { receiptDigest } from '#shared/oracle/receipt.ts'
import { toCanonicalSignature } from '#shared/oracle/signature.ts'
import { attestationTxDigest, encodeAttestationTx } from '#shared/oracle/transaction.ts'
import { pointAt, readSeries } from '../../../examples/recording.ts'
import type { Asked, Route } from '../sdk/fake-edge.ts'
import { CHAIN_ID, GENESIS, metaOf, startFakeEdge } from '../sdk/fake-edge.ts'

const root = path.resolve(import.meta.dirname, '../../..')
const PHRASE = 'test test test test test test test test test test test junk'
const operator = mnemonicToAccount(PHRASE, { addressIndex: 10 })
const provider = mnemonicToAccount(PHRASE, { addressIndex: 20 })
const hash = (byte: string) => `0x${byte.repeat(32)}` as const

const running: (() => Promise<unknown>)[] = []
afterEach(() => Promise.all(running.splice(0).map((stop) => stop())))

function start(file: string, args: readonly string[]): ChildProcess & Readonly<{ lines: string[]; errors: string[] }> {
  const child = spawn(process.execPath, [path.join(root, file), ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  const lines: string[] = []
  const errors: string[] = []
  child.stdout.on('data', (chunk: Buffer) => lines.push(...chunk.toString().trim().split('\n')))
  child.stderr.on('data', (chunk: Buffer) => errors.push(...chunk.toString().trim().split('\n')))
  running.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    child.kill('SIGTERM')
    await once(child, 'exit')
  })
  return Object.assign(child, { lines, errors })
}

async function until<T>(probe: () => T | undefined | false): Promise<T> {
  for (let tries = 0; tries < 200; tries++) {
    const value = probe()
    if (value !== undefined && value !== false) return value
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('not within 10 s')
}

describe('recordings', { timeout: 30_000 }, () => {
  it('are the published series, repeated from the beginning', () => {
    const sp500 = readSeries('sp500')
    expect([sp500.length, sp500[0]]).toEqual([123, { date: 'Jan 1 2000', value: '1394.46' }])
    expect(readSeries('seattle-precipitation')[1]).toEqual({ date: '2012-01-02', value: '10.9' })
    expect(readSeries('seattle-temp-max')[1]).toEqual({ date: '2012-01-02', value: '10.6' })
    expect(pointAt(sp500, 124)).toEqual(sp500[1])
  })
})

describe('the JSON source', { timeout: 30_000 }, () => {
  it('serves the recording digit by digit and obeys its control', async () => {
    const child = start('examples/json-source/server.ts', ['--port', '0', '--step-ms', '0'])
    const url = (await until(() => child.lines[0]?.match(/http\S+/)?.[0])).replace('/price', '')
    const price = async (): Promise<string> => (await fetch(`${url}/price`)).text()
    const control = (body: string) => fetch(`${url}/control`, { method: 'POST', body })
    expect(await price()).toBe('{"symbol":"SP500","date":"Jan 1 2000","price":1394.46}')
    expect(await (await control('{"price":900.5}')).text()).toBe('{"symbol":"SP500","date":"Jan 1 2000","price":900.5}')
    await control('{"step":124}')
    await control('{"release":true}')
    expect(await price()).toBe('{"symbol":"SP500","date":"Feb 1 2000","price":1366.42}')
    const refused = await Promise.all(['', '{', 'null', '{"price":"1"}', '{"step":-1}', '{"release":1}', '{}'].map((body) => control(body)))
    expect(refused.map(({ status }) => status)).toEqual(refused.map(() => 400))
    expect((await fetch(`${url}/secret`)).status).toBe(404)
    await expect(control('x'.repeat(2000))).rejects.toThrow('fetch failed')
    expect(await price()).toBe('{"symbol":"SP500","date":"Feb 1 2000","price":1366.42}')
  })
})

describe('the provider', { timeout: 30_000 }, () => {
  const sourceSet = hash('aa')
  const roundMs = 400
  const feedOf = (name: string, byte: string, decimals: number, set = 'demo') => ({
    id: hash(byte),
    name,
    decimals,
    sourceSet: set === 'demo' ? sourceSet : hash('ab'),
    sourceSetName: set,
    shard: 0,
    roundMs,
    members: [addressOf(provider)],
    latest: null,
    text: null,
    blockNumber: 1,
  })
  const feeds = [feedOf('sp500', 'b1', 2), feedOf('seattle-precipitation', 'b0', 1), feedOf('json-source', 'b2', 2, 'edge-http')]

  async function receipt({ body }: Asked) {
    const digest = bytesToHex(batchDigest(batchFromJson(body as BatchJson), GENESIS, nobleSuite))
    const unsigned = { collector: addressOf(operator), digest, sequence: 1, receivedAtMs: 2 }
    const signature = toCanonicalSignature(await operator.sign({ hash: bytesToHex(receiptDigest(unsigned, GENESIS, nobleSuite)) }))
    return { json: { ...unsigned, signature } }
  }

  it('publishes valid batches of recorded values each round, through refusals and failures', async () => {
    const refusal = { type: 'x', title: 'Refused', status: 422, code: 'BATCH_REFUSED' }
    let count = 0
    const route: Route = (asked) => {
      count++
      if (count === 1) return { status: 422, json: refusal }
      return count === 2 ? { status: 503, text: 'busy' } : receipt(asked)
    }
    const edge = await startFakeEdge({
      'GET /v1/meta': () => ({ json: metaOf(addressOf(operator), 'http://127.0.0.1:9') }),
      'GET /v1/feeds': () => ({ json: { items: feeds } }),
      'POST /v1/batches': route,
    })
    running.push(edge.close)
    const child = start('examples/providers/replay.ts', ['--edge', edge.edgeUrl, '--account', '20', '--jitter-ppm', '500', '--rounds', '4'])
    expect(await once(child, 'exit')).toEqual([0, null])
    expect(child.lines.filter((line) => line.includes('receipt 1'))).toHaveLength(3)
    expect(child.errors.join()).toContain('Refused')
    const batches = edge.asked.filter(({ path: asked }) => asked === '/v1/batches').map(({ body }) => batchFromJson(body as BatchJson))
    expect(batches.map((batch) => batchFault(batch, roundMs, GENESIS, nobleSuite))).toEqual(batches.map(() => null))
    const series = readSeries('sp500')
    const wrong = batches.filter(({ round, leaves }) => {
      const recorded = Number(pointAt(series, Math.floor(round / 2)).value) * 100
      const [rain, sp500] = leaves
      return leaves.length !== 2 || rain?.feed !== hash('b0') || Math.abs(Number(sp500?.value) - recorded) > recorded * 0.0005 + 1
    })
    expect(wrong).toEqual([])
  })

  it('proves it when the edge leaves out what it gave a receipt for', async () => {
    const evidence = path.join(mkdtempSync(path.join(tmpdir(), 'fusion-provider-')), 'proofs.jsonl')
    const other = mnemonicToAccount(PHRASE, { addressIndex: 21 })
    const bundles: unknown[] = []
    const edge = await startFakeEdge({
      'GET /v1/meta': () => ({ json: metaOf(addressOf(operator), 'http://127.0.0.1:9') }),
      'GET /v1/feeds': () => ({ json: { items: feeds } }),
      'GET /v1/bundles': ({ path: asked }) => ({
        json: { items: asked.includes('after=0') ? bundles : [], head: bundles.length, oldest: 1 },
      }),
      'GET /v1/bundles/stream': () => ({ status: 503, text: 'later' }),
      'POST /v1/batches': async (asked) => {
        const { sourceSet: set, shard, round, observedAtMs, leaves } = batchFromJson(asked.body as BatchJson)
        const batch = await signBatch(other, { sourceSet: set, shard, roundMs, observedAtMs, leaves }, GENESIS)
        const unsigned = { chainId: CHAIN_ID, sourceSet: set, shard, round, batches: [batch] }
        const digest = bytesToHex(attestationTxDigest(unsigned, GENESIS, nobleSuite))
        const signature = toCanonicalSignature(await operator.sign({ hash: digest }))
        const raw = encodeAttestationTx({ ...unsigned, submitter: addressOf(operator), signature })
        const place = { sourceSet: set, shard, round }
        if (bundles.length === 0)
          bundles.push({ ...place, sequence: 1, txHash: digest, raw: bytesToHex(raw), batchCount: 1, batchAtMs: 1, bundleAtMs: 2 })
        return receipt(asked)
      },
    })
    running.push(edge.close)
    const child = start('examples/providers/replay.ts', [
      '--edge',
      edge.edgeUrl,
      '--account',
      '20',
      '--rounds',
      '6',
      '--evidence',
      evidence,
    ])
    expect(await once(child, 'exit')).toEqual([0, null])
    const [line = ''] = readFileSync(evidence, 'utf8').trim().split('\n')
    expect(convicts(JSON.parse(line), GENESIS)).toEqual({ offence: 'BATCH_OMISSION', offender: addressOf(operator) })
    expect(convicts(JSON.parse(line), hash('00'))).toBeNull()
    expect(convicts({ offence: 'BATCH_OMISSION' }, GENESIS)).toBeNull()
  })

  it('waits for an edge that is not there yet, and asks for a key', async () => {
    const waiting = start('examples/providers/replay.ts', ['--edge', 'http://127.0.0.1:9', '--account', '20'])
    expect(await until(() => waiting.errors.find((line) => line.includes('no answer from http://127.0.0.1:9')))).toContain('provider:')
    const keyless = start('examples/providers/replay.ts', [])
    expect(await once(keyless, 'exit')).toEqual([2, null])
    expect(keyless.errors).toEqual(['provider: give --account N or --key-file FILE'])
  })

  it('explains itself', async () => {
    const help = start('examples/providers/replay.ts', ['--help'])
    await once(help, 'close')
    expect(help.lines.join('\n')).toContain('--step-rounds N')
  })
})
