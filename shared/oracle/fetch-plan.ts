/**
 * Polling of registered JSON sources: which are due in this round, and what their answers mean as leaves of a batch.
 * Source: whitepaper 4.2.2 (off-chain input over HTTP).
 * @module
 */
import { compareHex } from '#shared/bytes.ts'
import { DecodeError } from '#shared/fault.ts'
import { fitsValue, roundOf } from '#shared/oracle/batch.ts'
import { toFixedPoint } from '#shared/oracle/decimal.ts'
import { parseSingularPath, selectNode } from '#shared/oracle/json-path.ts'
import { parseJsonText } from '#shared/oracle/json-text.ts'
import type { UnsignedBatch } from '#shared/oracle/batch.ts'
import type { Leaf } from '#shared/oracle/types.ts'
import type { Hash, UnixMs } from '#shared/types.ts'

/** A feed whose value is one number in a JSON document. */
export type JsonSource = Readonly<{
  feed: Hash
  sourceSet: Hash
  shard: number
  roundMs: number
  url: string
  /** Singular JSONPath query. */
  select: string
  decimals: number
}>

/** Sources of one shard to fetch in one round. */
export type FetchRound = Readonly<{ sourceSet: Hash; shard: number; round: number; sources: readonly JsonSource[] }>

const shardKey = (place: Readonly<{ sourceSet: Hash; shard: number }>): string => `${place.sourceSet}/${place.shard}`

/** Last round fetched per shard, keyed as `fetchedKey` says. */
export type FetchedRounds = ReadonlyMap<string, number>
/** Key of a shard in `FetchedRounds`. */
export const fetchedKey = shardKey

/** Shards with a round that has begun and was not fetched yet, in order of their key. Rounds that passed meanwhile are not made up for. */
export function planFetches(sources: readonly JsonSource[], fetched: FetchedRounds, nowMs: UnixMs): readonly FetchRound[] {
  const plan = new Map<string, FetchRound>()
  for (const source of sources) {
    const key = shardKey(source)
    const round = roundOf(nowMs, source.roundMs)
    if (round <= (fetched.get(key) ?? -1)) continue
    plan.set(key, { sourceSet: source.sourceSet, shard: source.shard, round, sources: [...(plan.get(key)?.sources ?? []), source] })
  }
  return [...plan.entries()].toSorted(([left], [right]) => (left < right ? -1 : 1)).map(([, round]) => round)
}

/** When the next round of any source begins, or null without sources. */
export function nextFetchMs(sources: readonly JsonSource[], nowMs: UnixMs): UnixMs | null {
  const starts = sources.map(({ roundMs }) => (roundOf(nowMs, roundMs) + 1) * roundMs)
  return starts.length === 0 ? null : Math.min(...starts)
}

/** The number a source's answer holds, in the feed's decimals. A JSON string holding a decimal counts. @throws {DecodeError} */
export function extractValue(source: Pick<JsonSource, 'select' | 'decimals'>, body: string): bigint {
  const node = selectNode(parseJsonText(body), parseSingularPath(source.select))
  if (node === null) throw new DecodeError('SELECT_EMPTY', source.select, 'the answer has nothing there')
  if (node.kind !== 'number' && node.kind !== 'string')
    throw new DecodeError('SELECT_TYPE', source.select, `expected a number, got ${node.kind}`)
  const value = toFixedPoint(node.text, source.decimals)
  if (!fitsValue(value)) throw new DecodeError('VALUE_RANGE', source.select, 'expected a value of at most 192 bits')
  return value
}

/** What fetching one source brought: the body, or why there is none. */
export type FetchResult = Readonly<{ source: JsonSource; body: string } | { source: JsonSource; failure: string }>
/** Why a source has no fresh value, with a stable code. */
export type FetchFault = Readonly<{ feed: Hash; code: string }>

function valueOrFault(result: FetchResult): bigint | FetchFault {
  if ('failure' in result) return { feed: result.source.feed, code: result.failure }
  try {
    return extractValue(result.source, result.body)
  } catch (error) {
    if (error instanceof DecodeError) return { feed: result.source.feed, code: error.code }
    throw error
  }
}

/** The leaf for a value: extremes span this and the previous round's value. */
export function leafFor(feed: Hash, value: bigint, previous: bigint | null): Leaf {
  const before = previous ?? value
  return { feed, value, confidence: 0n, low: value < before ? value : before, high: value > before ? value : before, status: 'OK' }
}

/**
 * The batch to sign for a fetched round, null when no source ever answered. A source that fails repeats its last value as HALTED, so that
 * consumers see silence as silence. `values` are the last good values per feed, to be kept for the next round.
 */
export function batchOfFetch(
  plan: FetchRound,
  results: readonly FetchResult[],
  lastValues: ReadonlyMap<Hash, bigint>,
  observedAtMs: UnixMs,
): Readonly<{ batch: UnsignedBatch | null; values: ReadonlyMap<Hash, bigint>; faults: readonly FetchFault[] }> {
  const values = new Map(lastValues)
  const faults: FetchFault[] = []
  const leaves: Leaf[] = []
  for (const result of results) {
    const { feed } = result.source
    const last = lastValues.get(feed) ?? null
    const value = valueOrFault(result)
    if (typeof value === 'bigint') {
      leaves.push(leafFor(feed, value, last))
      values.set(feed, value)
    } else {
      faults.push(value)
      if (last !== null) leaves.push({ ...leafFor(feed, last, null), status: 'HALTED' })
    }
  }
  const { sourceSet, shard, round } = plan
  const sorted = leaves.toSorted((left, right) => compareHex(left.feed, right.feed))
  return { batch: sorted.length === 0 ? null : { sourceSet, shard, round, observedAtMs, leaves: sorted }, values, faults }
}
