/** The evaluator on logs of this chain: order, filter, window, freshness. @module */
import { bytesToHex } from '#shared/bytes.ts'
import type { Log } from '#shared/chain/types.ts'
import { evaluate } from '#shared/trigger/evaluate.ts'
import { logPosition, matchesLog } from '#shared/trigger/evaluate-log.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { Entry, Evaluation, ReadKey, ReadValue, TriggerDescription } from '#shared/trigger/types.ts'
import type { Hash } from '#shared/types.ts'
import { ANY_LOG, DAILY, FEED, OWNER, TARGET, ZERO_HASH, contextAt, entryOf, onEvent } from '#test/unit/trigger/samples.ts'
import { encodeFunctionData, numberToHex, parseAbi } from 'viem'
import { describe, expect, it } from 'vitest'

const NO_READS = new Map<string, ReadValue>()
const word = (value: bigint | number): Hash => numberToHex(value, { size: 32 })
const answer = (key: ReadKey, value: ReadValue): Map<string, ReadValue> => new Map([[readKeyId(key), value]])

describe('a log entry', () => {
  const topic: Hash = `0x${'aa'.repeat(32)}`
  const log: Log = { address: TARGET, topics: [topic, FEED], data: Uint8Array.of(9, 9) }
  const born = logPosition(11, 0) - 1n
  const keyOf = (afterPosition: bigint): ReadKey => ({ kind: 'logs', afterPosition, addresses: [TARGET], topics: [] })
  const logsAt = (...places: (readonly [number, number, Log?])[]): ReadValue => ({
    kind: 'logs',
    logs: places.map(([height, index, item = log]) => ({
      position: logPosition(height, index),
      log: item,
      timeMs: contextAt(height).timeMs,
    })),
    oldestHeight: 0,
  })
  const judge = (value: ReadValue, change: Partial<Entry> = {}, height = 20, description = onEvent(ANY_LOG)): Evaluation =>
    evaluate(entryOf(description, change), contextAt(height), answer(keyOf(change.cursor ?? born), value))
  const relay: TriggerDescription = {
    ...onEvent(ANY_LOG),
    action: {
      ...DAILY.action,
      types: ['address', 'bytes32', 'bytes32', 'bytes'],
      args: [{ ref: 'event.address' }, { ref: 'event.topic1' }, { ref: 'event.topic2' }, { ref: 'event.data' }],
    },
  }

  it('asks for logs after the registration block, then after its cursor', () => {
    expect(evaluate(entryOf(onEvent(ANY_LOG)), contextAt(20), NO_READS)).toEqual({ kind: 'need', keys: [keyOf(born)] })
    const cursor = logPosition(15, 3)
    expect(evaluate(entryOf(onEvent(ANY_LOG), { cursor }), contextAt(20), NO_READS)).toEqual({ kind: 'need', keys: [keyOf(cursor)] })
  })

  it('consumes the next one in order', () => {
    expect(judge(logsAt([15, 4], [16, 0]))).toMatchObject({
      due: {
        action: 'fire',
        occurrence: word(logPosition(15, 4)),
        scheduledAtMs: contextAt(15).timeMs,
        next: { cursor: logPosition(15, 4) },
      },
    })
    expect(judge(logsAt([15, 4], [16, 0]), { cursor: logPosition(15, 4) })).toMatchObject({ due: { occurrence: word(logPosition(16, 0)) } })
    expect(judge(logsAt([16, 0]), { cursor: logPosition(16, 0) })).toMatchObject({ reason: 'CONDITION_FALSE' })
  })

  it('takes no log of its registration block, even if a shell offers one', () => {
    expect(judge(logsAt([10, 5]))).toMatchObject({ reason: 'CONDITION_FALSE' })
  })

  it('judges the filter itself', () => {
    const filter = { addresses: [TARGET], topics: [[], [FEED, topic]] }
    expect(matchesLog(filter, log)).toBe(true)
    expect(matchesLog(filter, { ...log, address: OWNER })).toBe(false)
    expect(matchesLog(filter, { ...log, topics: [topic, ZERO_HASH] })).toBe(false)
    expect(matchesLog(filter, { ...log, topics: [topic] })).toBe(false)
    expect(matchesLog({ ...filter, topics: [[]] }, { ...log, topics: [] })).toBe(false)
    expect(matchesLog({ ...filter, topics: [] }, { ...log, topics: [] })).toBe(true)
    expect(judge(logsAt([15, 0, { ...log, address: OWNER }], [15, 1]))).toMatchObject({ due: { occurrence: word(logPosition(15, 1)) } })
  })

  it('hands the log on, with a zero word for a topic it lacks', () => {
    const found = judge(logsAt([15, 0]), {}, 20, relay)
    const args = [TARGET, FEED, ZERO_HASH, '0x0909'] as const
    expect(found.kind === 'due' ? bytesToHex(found.due.callData) : '').toBe(
      `0x12345678${encodeFunctionData({ functionName: 'f', abi: parseAbi(['function f(address,bytes32,bytes32,bytes)']), args: [...args] }).slice(10)}`,
    )
  })

  it('misses a log about to leave the window, and not one block sooner', () => {
    expect(judge(logsAt([15, 0]), {}, 15 + 240)).toMatchObject({ due: { action: 'fire' } })
    expect(judge(logsAt([15, 0]), {}, 15 + 241)).toMatchObject({
      due: {
        action: 'miss',
        occurrence: word(logPosition(15, 0)),
        missedReason: 'MISSED_LOG_PRUNED',
        next: { cursor: logPosition(15, 0), missedAdd: 1 },
      },
    })
  })

  it('misses a log too large to hand on, and fires when it hands on nothing of it', () => {
    const large = { ...log, data: new Uint8Array(4097) }
    expect(judge(logsAt([15, 0, large]), {}, 20, relay)).toMatchObject({ due: { action: 'miss', missedReason: 'MISSED_LOG_TOO_LARGE' } })
    expect(judge(logsAt([15, 0, { ...log, data: new Uint8Array(4096) }]), {}, 20, relay)).toMatchObject({ due: { action: 'fire' } })
    expect(judge(logsAt([15, 0, large]))).toMatchObject({ due: { action: 'fire' } })
    const topicOnly = { ...relay, action: { ...relay.action, types: ['bytes32'], args: [{ ref: 'event.topic1' as const }] } }
    expect(judge(logsAt([15, 0, large]), {}, 20, topicOnly)).toMatchObject({ due: { action: 'fire' } })
  })

  it('misses a log older than freshForSec, but not while it is being retried', () => {
    const fresh = { ...onEvent(ANY_LOG), limits: { ...DAILY.limits, freshForSec: 6 } }
    expect(judge(logsAt([15, 0]), {}, 19, fresh)).toMatchObject({ due: { action: 'fire' } })
    expect(judge(logsAt([15, 0]), {}, 20, fresh)).toMatchObject({ due: { action: 'miss', missedReason: 'MISSED_STALE_EVENT' } })
    expect(judge(logsAt([15, 0]), { attempt: 1 }, 20, fresh)).toMatchObject({ due: { action: 'fire' } })
  })

  it('is unknown to a node that does not hold the window', () => {
    const value = { ...logsAt([18, 0]), oldestHeight: 12 } as ReadValue
    expect(judge(value)).toEqual({ kind: 'unknown', reason: 'SOURCE' })
    expect(judge({ ...value, oldestHeight: 10 } as ReadValue)).toMatchObject({ kind: 'due' })
  })
})
