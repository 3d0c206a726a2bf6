/**
 * A data provider: replays recordings in compressed time, signs a batch each round and publishes it to an edge.
 * Built on the SDK alone; run one process per provider key.
 * @module
 */
import { parseArgs } from 'node:util'
import { appendFileSync, readFileSync } from 'node:fs'
import { mnemonicToAccount, privateKeyToAccount } from 'viem/accounts'
import type { PublishedBatch } from '#node/sdk/index.ts'
import { EdgeProblem, FusionClient, addressOf, omissionProof, toFixedPoint } from '#node/sdk/index.ts'
import { SERIES, pointAt, readSeries } from '../recording.ts'
import type { Point, SeriesName } from '../recording.ts'

const HELP = `Replays recorded data as a data provider.

  node examples/providers/replay.ts --account 20 [--edge http://127.0.0.1:8787] [--set demo] [--step-rounds 2]

  --edge URL         edge to publish to
  --set NAME         source set to publish for (default demo); the account must be a member
  --account N        key: account N of the public development phrase (development networks only)
  --key-file FILE    key: private key as hex in a file
  --step-rounds N    rounds per recorded point (default 2): the recording advances one point every N rounds
  --shift N          points to skip; the position follows the clock, so that all providers agree
  --jitter-ppm N     differs from the recording by at most N millionths (default 0), as independent sources do
  --evidence FILE    appends a proof, one JSON line, whenever the edge leaves out a batch it gave a receipt for
  --rounds N         stop after N rounds

  Feeds: ${SERIES.join(', ')}
`
const PHRASE = 'test test test test test test test test test test test junk'
/** Point of the round at which values are published: late enough for clocks to agree on the round, early enough for the collector. */
const OFFSET_MS = 100
const PAUSE_MS_MAX = 15_000
/** Rounds whose receipts are held until the edge's bundle shows what became of them. */
const HELD_ROUNDS = 32

const { values } = parseArgs({
  options: {
    edge: { type: 'string', default: 'http://127.0.0.1:8787' },
    set: { type: 'string', default: 'demo' },
    account: { type: 'string' },
    'key-file': { type: 'string' },
    'step-rounds': { type: 'string', default: '2' },
    shift: { type: 'string', default: '0' },
    'jitter-ppm': { type: 'string', default: '0' },
    evidence: { type: 'string' },
    rounds: { type: 'string' },
    help: { type: 'boolean', short: 'h' },
  },
})

function fail(message: string): never {
  process.stderr.write(`provider: ${message}\n`)
  process.exit(2)
}

function readKey() {
  if (values['key-file'] !== undefined) return privateKeyToAccount(readFileSync(values['key-file'], 'utf8').trim() as `0x${string}`)
  if (values.account !== undefined) return mnemonicToAccount(PHRASE, { addressIndex: Number(values.account) })
  return fail('give --account N or --key-file FILE')
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

/** A deterministic wobble of one provider: the same in every run, different between providers and rounds. */
function wobbled(value: bigint, seed: bigint, round: number, ppm: bigint): bigint {
  if (ppm === 0n) return value
  const part = ((seed ^ BigInt(round)) * 6_364_136_223_846_793_005n + 1_442_695_040_888_963_407n) >> 20n
  const offset = (((part % (2n * ppm + 1n)) + 2n * ppm + 1n) % (2n * ppm + 1n)) - ppm
  return value + (value * offset) / 1_000_000n
}

type Served = Readonly<{ id: `0x${string}`; decimals: number; series: readonly Point[] }>
type Place = Readonly<{ sourceSet: `0x${string}`; shard: number; roundMs: number; feeds: readonly Served[] }>

/** Waits for the edge and finds the shard of the set that has the feeds served here. */
async function findPlace(client: FusionClient): Promise<Place> {
  for (let pauseMs = 500; ; pauseMs = Math.min(PAUSE_MS_MAX, 2 * pauseMs)) {
    try {
      const mine = (await client.feeds()).filter(({ sourceSetName, name }) => sourceSetName === values.set && isSeries(name))
      const [first] = mine
      if (first !== undefined) {
        const feeds = mine
          .filter(({ shard }) => shard === first.shard)
          .map(({ id, decimals, name }) => ({ id, decimals, series: readSeries(name as SeriesName) }))
        return { sourceSet: first.sourceSet, shard: first.shard, roundMs: first.roundMs, feeds }
      }
      process.stderr.write(`provider: the edge knows no feeds of set ${values.set} yet\n`)
    } catch (error) {
      process.stderr.write(`provider: ${error instanceof Error ? error.message : String(error)}\n`)
    }
    await sleep(pauseMs)
  }
}

const isSeries = (name: string): boolean => (SERIES as readonly string[]).includes(name)

async function publishRound(
  client: FusionClient,
  account: ReturnType<typeof readKey>,
  place: Place,
  last: Map<string, bigint>,
): Promise<PublishedBatch> {
  const observedAtMs = Date.now()
  const round = Math.floor(observedAtMs / place.roundMs)
  const step = Number(values.shift) + Math.floor(round / Math.max(1, Number(values['step-rounds'])))
  const leaves = place.feeds.map(({ id, decimals, series }) => {
    const recorded = toFixedPoint(pointAt(series, step).value, decimals)
    const value = wobbled(recorded, BigInt(account.address), round, BigInt(values['jitter-ppm']))
    const before = last.get(id) ?? value
    last.set(id, value)
    return {
      feed: id,
      value,
      confidence: 0n,
      low: value < before ? value : before,
      high: value > before ? value : before,
      status: 'OK' as const,
    }
  })
  const { sourceSet, shard, roundMs } = place
  const published = await client.publishBatch(account, { sourceSet, shard, roundMs, observedAtMs, leaves })
  const { sequence } = published.receipt
  process.stdout.write(`provider ${addressOf(account)} round ${round} receipt ${sequence} after ${Date.now() - observedAtMs} ms\n`)
  return published
}

/** Compares the edge's bundles with the receipts it gave: a batch it took and left out is a fault it signed itself. */
async function audit(client: FusionClient, place: Place, held: Map<number, PublishedBatch>, signal: AbortSignal): Promise<void> {
  const { genesisHash } = await client.meta()
  for await (const bundle of client.bundles({ after: 'newest', signal })) {
    if (bundle.sourceSet !== place.sourceSet || bundle.shard !== place.shard) continue
    const published = held.get(bundle.round)
    const proof = published === undefined ? null : omissionProof(published, bundle, genesisHash)
    held.delete(bundle.round)
    if (proof === null) continue
    process.stderr.write(`provider: the edge left out the batch of round ${bundle.round} that it gave a receipt for\n`)
    if (values.evidence !== undefined) appendFileSync(values.evidence, `${JSON.stringify(proof)}\n`)
  }
}

async function main(): Promise<void> {
  const account = readKey()
  const client = new FusionClient({ edgeUrl: values.edge, attempts: 2, pauseMs: 150, timeoutMs: 2000 })
  const place = await findPlace(client)
  const last = new Map<string, bigint>()
  const roundsMax = values.rounds === undefined ? Infinity : Number(values.rounds)
  const held = new Map<number, PublishedBatch>()
  const stop = new AbortController()
  const auditing = audit(client, place, held, stop.signal).catch((error: unknown) => {
    process.stderr.write(`provider: receipts are not checked any more: ${String(error)}\n`)
  })
  let failures = 0
  for (let count = 0; count < roundsMax; count++) {
    await sleep(place.roundMs - ((Date.now() - OFFSET_MS) % place.roundMs))
    try {
      const published = await publishRound(client, account, place, last)
      held.set(published.batch.round, published)
      held.delete(published.batch.round - HELD_ROUNDS)
      failures = 0
    } catch (error) {
      failures++
      process.stderr.write(`provider ${addressOf(account)}: ${error instanceof Error ? error.message : String(error)}\n`)
      const isRefusal = error instanceof EdgeProblem && error.status < 500 && error.status !== 429
      if (!isRefusal) await sleep(Math.min(PAUSE_MS_MAX, 250 * 2 ** failures))
    }
  }
  stop.abort()
  await auditing
}

if (values.help === true) process.stdout.write(HELP)
else {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(0))
  await main()
}
