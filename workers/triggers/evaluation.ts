/**
 * The shared evaluator with its reads answered by a validator, all pinned to one block hash. Decides whether to submit, simulates, explains;
 * validators decide again with the same code on their own state.
 * @module
 */
import * as z from 'zod'
import { entryFromJson } from '#shared/api/entry.ts'
import { readKeyToJson, readValueFromJson } from '#shared/api/reads.ts'
import { evaluate } from '#shared/trigger/evaluate.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { Entry, Evaluation, EvaluationContext, ReadKey, ReadValue, VerifiedEvidence } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import type { Head } from '#workers/chain/head.ts'
import { call, chainMeta, type ChainMeta } from '#workers/chain/rpc.ts'
import type { Env } from '#workers/env.ts'

/** Rounds of reading an evaluation may need: a condition reads at most a few things one after the other. */
const ROUNDS_MAX = 8

/** A row of the calling list at a block, or null. */
export async function readEntry(env: Env, id: Hash, blockHash: Hash): Promise<Entry | null> {
  const json = await call(env, z.unknown(), 'fusion_entry', [id, blockHash])
  return json === null || json === undefined ? null : entryFromJson(json)
}

const read = async (env: Env, key: ReadKey, blockHash: Hash): Promise<ReadValue> =>
  readValueFromJson(await call(env, z.unknown(), 'fusion_read', [readKeyToJson(key), blockHash]))

/** The block that would come next: in the slot that runs now, or the first one after the head. Pools of validators judge in the same slot. */
export function nextContext(head: Head, meta: ChainMeta, nowMs: number): EvaluationContext {
  const timeOf = (slot: number): number => meta.genesisTimeMs + slot * meta.slotMs
  const slot = Math.max(head.slot + 1, Math.floor((nowMs - meta.genesisTimeMs) / meta.slotMs))
  return {
    timeMs: timeOf(slot),
    height: head.number + 1,
    parentTimeMs: head.timeMs,
    onTimeAfterMs: head.onTimeAfterSlot < 0 ? -1 : timeOf(head.onTimeAfterSlot),
    slotMs: meta.slotMs,
    triggerBaseFeeWei: head.nextTriggerBaseFeeWei,
  }
}

/** What an evaluation may be given besides row and head. */
export type Given = Readonly<{
  evidence?: VerifiedEvidence
  /** Answers some reads without asking, as simulations do. */
  reads?: ReadonlyMap<string, ReadValue>
  /** Judges in this block instead of the next one. */
  context?: EvaluationContext
}>

/** Evaluates a row on top of a head. */
export async function evaluateOnHead(
  env: Env,
  entry: Entry,
  head: Head,
  given: Given = {},
): Promise<Exclude<Evaluation, { kind: 'need' }>> {
  const context = given.context ?? nextContext(head, await chainMeta(env), Date.now())
  const reads = new Map(given.reads)
  for (let round = 0; round < ROUNDS_MAX; round++) {
    const result = evaluate(entry, context, reads, given.evidence ?? null)
    if (result.kind !== 'need') return result
    for (const key of result.keys) reads.set(readKeyId(key), await read(env, key, head.hash))
  }
  return { kind: 'unknown', reason: 'SOURCE' }
}
