/** Rows and reads as JSON, without loss; sentences for every reason. @module */
import { entryFromJson, entryToJson } from '#shared/api/entry.ts'
import { readKeyFromJson, readKeyToJson, readValueFromJson, readValueToJson } from '#shared/api/reads.ts'
import { evaluate } from '#shared/trigger/evaluate.ts'
import { explain } from '#shared/trigger/explain.ts'
import { entryId, stableCaller } from '#shared/trigger/ids.ts'
import { readKeyId } from '#shared/trigger/read-key.ts'
import type { ReadKey, ReadValue } from '#shared/trigger/types.ts'
import {
  ANY_LOG,
  DAILY,
  FEED,
  OWNER,
  STOP_LOSS,
  TARGET,
  anyDescription,
  contextAt,
  entryOf,
  onEvent,
  onTiming,
} from '#test/unit/trigger/samples.ts'
import fc from 'fast-check'
import { encodePacked, keccak256, stringToHex } from 'viem'
import { describe, expect, it } from 'vitest'

const SECONDLY = onTiming({ kind: 'cron', expr: '* * * * * *' })
const wire = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

describe('a row in JSON', () => {
  it('survives the wire, whatever its description', () => {
    fc.assert(
      fc.property(anyDescription, fc.bigInt({ min: 0n, max: 2n ** 128n }), fc.nat(), fc.boolean(), (description, big, small, armed) => {
        const entry = entryOf(description, { fundingWei: big, cursor: big, missed: small, edgeCount: small, dueAt: small, armed })
        expect(entryFromJson(wire(entryToJson(entry)))).toEqual(entry)
      }),
    )
  })

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['a missing field', { ...entryToJson(entryOf(DAILY)), cursor: undefined }],
    ['an unknown field', { ...entryToJson(entryOf(DAILY)), nonsense: 1 }],
    ['an unknown status', { ...entryToJson(entryOf(DAILY)), status: 'LOW' }],
    ['an amount as a number', { ...entryToJson(entryOf(DAILY)), fundingWei: 1 }],
  ])('is refused for %s', (_, json) => {
    expect(() => entryFromJson(json)).toThrow(expect.objectContaining({ code: 'ENTRY_INVALID' }))
  })

  it('is refused for a description that does not decode', () => {
    expect(() => entryFromJson({ ...entryToJson(entryOf(DAILY)), description: '0x09' })).toThrow(
      expect.objectContaining({ code: 'DESCRIPTION_INVALID' }),
    )
  })
})

const KEYS: readonly ReadKey[] = [
  { kind: 'feedHistory', feed: FEED, after: 2n ** 60n },
  { kind: 'logs', afterPosition: 2n ** 70n, addresses: [TARGET, OWNER], topics: [[FEED], []] },
  { kind: 'call', from: OWNER, to: TARGET, data: Uint8Array.of(1, 2), gasLimit: 9 },
]
const VALUES: readonly ReadValue[] = [
  {
    kind: 'feedHistory',
    reports: [
      {
        sequence: 5n,
        value: -(2n ** 100n),
        status: 'WIDE',
        firstRound: 1,
        lastRound: 2,
        observedAtMs: 3,
        lastObservedAtMs: 4,
        afterGap: true,
        digest: FEED,
      },
    ],
    oldest: 5n,
  },
  {
    kind: 'logs',
    logs: [{ position: 2n ** 40n, log: { address: TARGET, topics: [FEED], data: Uint8Array.of(7) }, timeMs: 8 }],
    oldestHeight: 6,
  },
  { kind: 'call', success: false, returnData: Uint8Array.of(), gasUsed: 2n ** 64n },
]

describe('reads in JSON', () => {
  it('survive the wire', () => {
    expect(KEYS.map((key) => readKeyFromJson(wire(readKeyToJson(key))))).toEqual(KEYS)
    expect(VALUES.map((value) => readValueFromJson(wire(readValueToJson(value))))).toEqual(VALUES)
  })

  it.each<[string, unknown]>([
    ['another kind', { kind: 'balance' }],
    ['no address', { kind: 'call', from: OWNER, to: '0x', data: '0x', gasLimit: 1 }],
    ['too many topics', { kind: 'logs', afterPosition: '0', addresses: [], topics: [[], [], [], [], []] }],
    ['too many addresses', { kind: 'logs', afterPosition: '0', addresses: Array.from({ length: 17 }, () => TARGET), topics: [] }],
    ['a number for a sequence', { kind: 'feedHistory', feed: FEED, after: 1 }],
  ])('refuse a key with %s', (_, json) => {
    expect(() => readKeyFromJson(json)).toThrow(expect.objectContaining({ code: 'READ_INVALID' }))
  })

  it('refuse an answer of another kind', () => {
    expect(() => readValueFromJson({ kind: 'call', success: 1 })).toThrow(expect.objectContaining({ code: 'READ_INVALID' }))
  })

  it('have names that differ whenever the keys do', () => {
    const topics = fc.array(fc.array(fc.constantFrom(FEED, `0x${'00'.repeat(32)}` as const), { maxLength: 2 }), { maxLength: 3 })
    fc.assert(
      fc.property(topics, topics, (left, right) => {
        const id = (list: typeof left): string => readKeyId({ kind: 'logs', afterPosition: 1n, addresses: [TARGET], topics: list })
        expect(id(left) === id(right)).toBe(JSON.stringify(left) === JSON.stringify(right))
      }),
    )
    expect(new Set(KEYS.map(readKeyId)).size).toBe(3)
  })
})

describe('names of the calling list', () => {
  it('are the hashes of tag, owner and counter', () => {
    expect(entryId(OWNER, 7n)).toBe(keccak256(encodePacked(['bytes', 'address', 'uint64'], [stringToHex('fusion.entry'), OWNER, 7n])))
    expect(stableCaller(OWNER)).toBe(`0x${keccak256(encodePacked(['bytes', 'address'], [stringToHex('fusion.trigger'), OWNER])).slice(26)}`)
  })
})

describe('an explanation', () => {
  it('is a sentence for what is due, what is not and what is unknown', () => {
    const due = evaluate(entryOf(SECONDLY, { dueAt: contextAt(20).timeMs }), contextAt(20), new Map())
    const late = evaluate(entryOf(onTiming({ kind: 'height', at: 20, every: 0 }), { dueAt: 20 }), contextAt(40), new Map())
    const rearmed = {
      ...VALUES[0],
      reports: [
        {
          sequence: 1n,
          value: 190_000n,
          status: 'OK',
          firstRound: 1,
          lastRound: 1,
          observedAtMs: contextAt(19).timeMs,
          lastObservedAtMs: contextAt(19).timeMs,
          afterGap: false,
          digest: FEED,
        },
      ],
      oldest: 1n,
    } as ReadValue
    const key = readKeyId({ kind: 'feedHistory', feed: FEED, after: 0n })
    expect(
      [
        due,
        late,
        evaluate(entryOf(onEvent(STOP_LOSS), { armed: false }), contextAt(20), new Map([[key, rearmed]])),
        evaluate(entryOf(onEvent(ANY_LOG)), contextAt(20), new Map()),
        evaluate(entryOf(DAILY, { status: 'PAUSED' }), contextAt(20), new Map()),
      ].map(explain),
    ).toEqual([
      'It is due and fires in the next block.',
      'It was due while nothing could run it, and its missed policy drops it.',
      'It is armed again in the next block.',
      'The answer needs more of the chain.',
      'The trigger is paused.',
    ])
    expect(explain({ kind: 'unknown', reason: 'STALE' })).toBe('The feed is older than maxAgeSec; nothing is concluded from it.')
  })

  it('tells a mere move of the cursor from a loss', () => {
    const reports = Array.from({ length: 512 }, (_, index) => ({
      sequence: BigInt(index + 1),
      value: 190_000n,
      status: 'OK' as const,
      firstRound: index,
      lastRound: index,
      observedAtMs: contextAt(19).timeMs,
      lastObservedAtMs: contextAt(19).timeMs,
      afterGap: false,
      digest: FEED,
    }))
    const key = readKeyId({ kind: 'feedHistory', feed: FEED, after: 0n })
    expect(
      explain(evaluate(entryOf(onEvent(STOP_LOSS)), contextAt(20), new Map([[key, { kind: 'feedHistory', reports, oldest: 1n }]]))),
    ).toBe('Its place in the feed is moved on.')
  })
})
