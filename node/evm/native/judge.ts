/**
 * The evaluator on a parent block: answers the reads it asks for until it has an answer. Source: whitepaper 4.4.2.
 * @module
 */
import type { NativeConfig } from '#node/evm/native/config.ts'
import { slotTimeMs } from '#node/evm/native/config.ts'
import type { ParentView } from '#node/evm/native-types.ts'
import { readFrom } from '#shared/codec/solidity-storage.ts'
import { readHistory } from '#shared/oracle/feed-registry.ts'
import { FEED_RING_REPORTS, ON_TIME_BLOCKS, PARENT_VIEW_BLOCKS } from '#shared/params.ts'
import { evaluate } from '#shared/trigger/evaluate.ts'
import { logPosition, matchesLog } from '#shared/trigger/evaluate-log.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { Entry, Evaluation, EvaluationContext, ReadKey, ReadValue, VerifiedEvidence } from '#shared/trigger/types.ts'
import type { UnixMs, Wei } from '#shared/types.ts'

type LogKey = Extract<ReadKey, { kind: 'logs' }>
type FoundLog = Extract<ReadValue, { kind: 'logs' }>['logs'][number]

/** An evaluation looks at the first match only; a few more serve those who look ahead. */
const LOGS_ANSWERED_MAX = 16
const POSITION_BITS = 32n

function logsOf(key: LogKey, parent: ParentView, config: NativeConfig): Extract<ReadValue, { kind: 'logs' }> {
  const { number } = parent.header
  const oldestHeight = Math.max(0, number - PARENT_VIEW_BLOCKS + 1)
  const logs: FoundLog[] = []
  for (let height = Math.max(oldestHeight, Number(key.afterPosition >> POSITION_BITS)); height <= number; height++) {
    const block = parent.ancestor(height)
    // Without this block nobody can tell what came first after the position.
    if (block === null) return { kind: 'logs', logs: [], oldestHeight: number }
    const timeMs = slotTimeMs(config, block.header.slot)
    for (const [index, log] of block.receipts.flatMap((receipt) => receipt.logs).entries()) {
      const position = logPosition(height, index)
      if (position > key.afterPosition && matchesLog(key, log)) logs.push({ position, log, timeMs })
    }
    if (logs.length >= LOGS_ANSWERED_MAX) break
  }
  return { kind: 'logs', logs: logs.slice(0, LOGS_ANSWERED_MAX), oldestHeight }
}

/** Answers one read of the closed set at the parent block. */
export async function answerRead(key: ReadKey, parent: ParentView, config: NativeConfig): Promise<ReadValue> {
  switch (key.kind) {
    case 'feedHistory':
      return { kind: 'feedHistory', ...readFrom(readHistory(key.feed, key.after, FEED_RING_REPORTS, config.crypto), parent.state) }
    case 'logs':
      return logsOf(key, parent, config)
    case 'call': {
      const { from, to, data, gasLimit } = key
      const result = await parent.call({ from, to, data, gasLimit: BigInt(gasLimit), isStatic: true })
      return { kind: 'call', success: result.success, returnData: result.returnData, gasUsed: result.gasUsed }
    }
  }
}

/** The evaluator's context for a child of `parent` at a time. */
export function evaluationContext(
  parent: ParentView,
  block: Readonly<{ timeMs: UnixMs; triggerBaseFeeWei: Wei }>,
  config: NativeConfig,
): EvaluationContext {
  const height = parent.header.number + 1
  const late = parent.ancestor(height - ON_TIME_BLOCKS - 1)
  return {
    timeMs: block.timeMs,
    height,
    parentTimeMs: slotTimeMs(config, parent.header.slot),
    onTimeAfterMs: late === null ? -1 : slotTimeMs(config, late.header.slot),
    slotMs: config.slotMs,
    triggerBaseFeeWei: block.triggerBaseFeeWei,
  }
}

/** Judges entries on one parent; equal reads are answered once. */
export class Judge {
  readonly #parent: ParentView
  readonly #context: EvaluationContext
  readonly #config: NativeConfig
  readonly #answers = new Map<string, Promise<ReadValue>>()

  constructor(parent: ParentView, context: EvaluationContext, config: NativeConfig) {
    this.#parent = parent
    this.#context = context
    this.#config = config
  }

  #answer(key: ReadKey): Promise<ReadValue> {
    const id = readKeyId(key)
    const known = this.#answers.get(id)
    if (known !== undefined) return known
    const answer = answerRead(key, this.#parent, this.#config)
    this.#answers.set(id, answer)
    return answer
  }

  /** Never answers `need`. */
  async evaluate(entry: Entry, evidence: VerifiedEvidence | null = null): Promise<Exclude<Evaluation, { kind: 'need' }>> {
    const reads = new Map<string, ReadValue>()
    for (;;) {
      const evaluation = evaluate(entry, this.#context, reads, evidence)
      if (evaluation.kind !== 'need') return evaluation
      for (const key of evaluation.keys) reads.set(readKeyId(key), await this.#answer(key))
    }
  }
}
