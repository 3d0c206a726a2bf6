/** Would a trigger fire on the present head, and what would its call do. Nothing is registered and nothing is sent. @module */
import { decodeErrorResult, type Hex as ViemHex } from 'viem'
import type { z } from 'zod'
import type { zSimulateResponse } from '#shared/api/http-trigger.ts'
import { bytesToHex } from '#shared/bytes.ts'
import { nobleSuite } from '#shared/crypto/noble.ts'
import { toFixedPoint } from '#shared/oracle/decimal.ts'
import { reportDigest } from '#shared/oracle/ids.ts'
import { descHash } from '#shared/trigger/codec.ts'
import { entryId, stableCaller } from '#shared/trigger/ids.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { Entry, FeedReport, ReadValue, TriggerDescription } from '#shared/trigger/types.ts'
import type { Address, Hex } from '#shared/types.ts'
import { type Head, headOf } from '#workers/chain/head.ts'
import { headFollower } from '#workers/chain/head-follower.ts'
import { chainMeta, estimateGas, ethCall } from '#workers/chain/rpc.ts'
import { RpcError } from '#shared/api/json-rpc.ts'
import type { Env } from '#workers/env.ts'
import { ApiProblem } from '#workers/http/problem.ts'
import { readFeed } from '#workers/oracle/registry.ts'
import { headBlock } from '#workers/triggers/description.ts'
import { evaluateOnHead, nextContext } from '#workers/triggers/evaluation.ts'

type Simulation = z.infer<typeof zSimulateResponse>

/** Funding no fire exhausts: money is not what a simulation is about. */
const AMPLE_WEI = 10n ** 30n
/** Counter that no real registration reaches. */
const NO_COUNTER = 2n ** 64n - 1n

async function currentHead(env: Env): Promise<Head> {
  const followed = await headFollower(env).head()
  const block = await headBlock(env)
  if (followed !== null && followed.hash === block.hash) return followed
  return headOf(block, await chainMeta(env), followed?.onTimeAfterSlot ?? -1)
}

/** A row as if the trigger had just been registered and armed. */
function freshEntry(owner: Address, description: TriggerDescription, dueAt: number, head: Head): Entry {
  return {
    id: entryId(owner, NO_COUNTER),
    owner,
    caller: stableCaller(owner),
    revision: 1,
    description,
    descHash: descHash(description),
    status: 'ACTIVE',
    registeredAt: { height: head.number, timeMs: head.timeMs },
    fundingWei: AMPLE_WEI,
    fires: 0,
    missed: 0,
    attempt: 0,
    backoffUntilMs: 0,
    lastFireMs: 0,
    dueAt,
    armed: true,
    cursor: 0n,
    edgeCount: description.mode.type === 'active' ? 1 : 0,
  }
}

/** A history that ends in the supposed value, held as long as the condition asks. */
async function supposedReports(env: Env, entry: Entry, text: string, head: Head): Promise<Map<string, ReadValue>> {
  const { mode } = entry.description
  if (mode.type !== 'event' || mode.when.kind !== 'feed.compare')
    throw new ApiProblem('INVALID_REQUEST', 'See errors.', [
      { pointer: '/feedValue', code: 'NO_FEED', detail: 'the trigger compares no feed' },
    ])
  const { feed, holdReports, holdSec } = mode.when
  const known = await readFeed(env, feed)
  const value = toFixedPoint(text, known?.decimals ?? 0)
  const nowMs = nextContext(head, await chainMeta(env), Date.now()).timeMs
  const report: FeedReport = {
    sequence: 1n,
    value,
    status: 'OK',
    firstRound: 1,
    lastRound: Math.max(1, holdReports),
    observedAtMs: nowMs - 1000 * holdSec,
    lastObservedAtMs: nowMs,
    afterGap: false,
    digest: reportDigest(feed, 1, value, nobleSuite),
  }
  return new Map([[readKeyId({ kind: 'feedHistory', feed, after: entry.cursor }), { kind: 'feedHistory', reports: [report], oldest: 1n }]])
}

function revertReason(data: unknown): string | undefined {
  if (typeof data !== 'string' || !data.startsWith('0x')) return undefined
  try {
    const { errorName, args } = decodeErrorResult({ data: data as ViemHex })
    return `${errorName}(${args.map(String).join(', ')})`
  } catch {
    return data
  }
}

async function tryCall(env: Env, entry: Entry, callData: Hex): Promise<NonNullable<Simulation['call']>> {
  const { to, gasLimit } = entry.description.action
  const request = { from: entry.caller, to, data: callData }
  const base = { from: entry.caller, to, data: callData }
  try {
    const returnData = await ethCall(env, { ...request, gas: `0x${gasLimit.toString(16)}` })
    const gas = await estimateGas(env, request).catch(() => null)
    return { ...base, success: true, returnData, ...(gas !== null && { gas: gas.toString() }) }
  } catch (error) {
    if (!(error instanceof RpcError)) throw error
    const reason = revertReason(error.data) ?? error.message
    return { ...base, success: false, returnData: typeof error.data === 'string' ? (error.data as Hex) : '0x', revertReason: reason }
  }
}

/** Simulates one description for an owner. For timing triggers the call is tried as if their time had come. */
export async function simulate(
  env: Env,
  owner: Address,
  description: TriggerDescription,
  dueAt: number,
  feedValue: string | null,
): Promise<Simulation> {
  const head = await currentHead(env)
  const entry = freshEntry(owner, description, dueAt, head)
  const known = feedValue === null ? new Map<string, ReadValue>() : await supposedReports(env, entry, feedValue, head)
  const judged = await evaluateOnHead(env, entry, head, { reads: known })
  const context = nextContext(head, await chainMeta(env), Date.now())
  const { mode } = description
  const atItsTime = mode.type === 'timing' && mode.when.kind === 'height' ? { ...context, height: dueAt } : { ...context, timeMs: dueAt }
  const tried = judged.kind !== 'due' && mode.type === 'timing' ? await evaluateOnHead(env, entry, head, { context: atItsTime }) : judged
  const isDue = judged.kind === 'due' && judged.due.action === 'fire'
  const reason = judged.kind === 'due' ? judged.due.action.toUpperCase() : judged.reason
  const call = tried.kind === 'due' && tried.due.action === 'fire' ? await tryCall(env, entry, bytesToHex(tried.due.callData)) : undefined
  return { due: isDue, reason, blockHash: head.hash, ...(call !== undefined && { call }) }
}
