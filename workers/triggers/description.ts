/** From the JSON of a dapp to a description the chain would take, judged with the code the chain judges with. @module */
import { TRIGGER_JSON_BYTES_MAX, TRIGGER_JSON_DEPTH_MAX, triggerFromJson } from '#shared/api/trigger.ts'
import { triggerToJson } from '#shared/api/trigger-rendering.ts'
import type { SourceSetJson } from '#shared/api/chain-reads.ts'
import { utf8ToBytes } from '#shared/bytes.ts'
import { type Acceptance, checkDescription, triggerGasBudget } from '#shared/trigger/limits.ts'
import type { TriggerDescription } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import { type Block, blockByNumber, chainMeta, finality } from '#workers/chain/rpc.ts'
import type { Env } from '#workers/env.ts'
import { isDeeperThan } from '#workers/http/body-guard.ts'
import { ApiProblem } from '#workers/http/problem.ts'
import { sourceSets } from '#workers/oracle/registry.ts'

type KnownFeed = Readonly<{ id: Hash; decimals: number }>

function feedTable(sets: readonly SourceSetJson[]): Map<string, KnownFeed> {
  const table = new Map<string, KnownFeed>()
  for (const set of sets)
    for (const feed of set.shards.flat()) {
      table.set(feed.id, feed)
      const name = `${set.name}/${feed.name}`
      if (!table.has(name)) table.set(name, feed)
    }
  return table
}

/** Newest block. @throws {ApiProblem} when the chain has none that can be read */
export async function headBlock(env: Env): Promise<Block> {
  const block = await blockByNumber(env, (await finality(env)).head.number)
  if (block === null) throw new ApiProblem('CHAIN_ERROR', 'The head moved away while it was read.')
  return block
}

/** A description that the calling list would take now, and what it costs. @throws {ApiProblem} TRIGGER_INVALID with pointers */
export async function acceptTrigger(
  env: Env,
  json: unknown,
): Promise<Readonly<{ description: TriggerDescription; acceptance: Acceptance }>> {
  const text = JSON.stringify(json)
  if (utf8ToBytes(text).length > TRIGGER_JSON_BYTES_MAX)
    throw new ApiProblem('TRIGGER_INVALID', 'See errors.', [
      { pointer: '/trigger', code: 'JSON_TOO_LARGE', detail: `at most ${TRIGGER_JSON_BYTES_MAX} bytes` },
    ])
  if (isDeeperThan(text, TRIGGER_JSON_DEPTH_MAX))
    throw new ApiProblem('TRIGGER_INVALID', 'See errors.', [
      { pointer: '/trigger', code: 'JSON_TOO_DEEP', detail: `at most ${TRIGGER_JSON_DEPTH_MAX} levels` },
    ])
  const [sets, meta, head] = await Promise.all([sourceSets(env), chainMeta(env), headBlock(env)])
  const feeds = feedTable(sets)
  const parsed = triggerFromJson(json, (name) => feeds.get(name) ?? null)
  if (!parsed.ok)
    throw new ApiProblem(
      'TRIGGER_INVALID',
      'See errors.',
      parsed.issues.map((issue) => ({ ...issue, pointer: `/trigger${issue.pointer}` })),
    )
  const acceptance = checkDescription(parsed.description, {
    timeMs: head.timestamp * 1000,
    height: head.number,
    triggerGasBudget: triggerGasBudget(meta.blockGasLimit),
  })
  if (!acceptance.ok)
    throw new ApiProblem('TRIGGER_INVALID', 'See errors.', [
      { pointer: `/trigger${acceptance.path}`, code: acceptance.code, detail: acceptance.message },
    ])
  return { description: parsed.description, acceptance }
}

/** JSON of a stored description, thresholds in the decimals of their feeds. */
export async function renderTrigger(env: Env, description: TriggerDescription): Promise<unknown> {
  const feeds = feedTable(await sourceSets(env))
  return triggerToJson(description, (feed) => feeds.get(feed)?.decimals ?? 0)
}
