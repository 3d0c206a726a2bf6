/** The collector under order, repeats, lies and time. @module */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesToHex } from '#shared/bytes.ts'
import { batchDigest } from '#shared/oracle/batch.ts'
import type { CollectorEffect, CollectorEvent, CollectorState } from '#shared/oracle/collector.ts'
import { CLOSED_ROUNDS_KEPT, emptyCollector, nextDeadlineMs, stepCollector } from '#shared/oracle/collector.ts'
import { collectorFromJson, collectorToJson } from '#shared/oracle/json.ts'
import { encodeAttestationTx } from '#shared/oracle/transaction.ts'
import type { Batch } from '#shared/oracle/types.ts'
import { verifyAttestation } from '#shared/oracle/verify-attestation.ts'
import {
  ROUND_MS,
  accounts,
  addressOf,
  batchAt,
  chainId,
  feedA,
  feedB,
  genesisHash,
  leaf,
  setId,
  signAttestation,
  signBatch,
  sourceSet,
  suite,
} from './fixture.ts'

const ROUND = 500
const members = accounts.slice(0, 4)
const [, , , , stranger] = accounts
if (stranger === undefined) throw new Error('accounts exist')
const config = { set: sourceSet(4), shard: 0, chainId, genesisHash, collector: addressOf(stranger), suite }
const signRound = (round: number) =>
  Promise.all(members.map((account, index) => signBatch(account, batchAt(round, [leaf(feedA, BigInt(100 + index)), leaf(feedB, 0n)]))))
const batches = await signRound(ROUND)
const later = await signRound(ROUND + 1)
const startMs = ROUND * ROUND_MS
const deadline = startMs + ROUND_MS + 500
const [first, second] = batches
if (first === undefined || second === undefined) throw new Error('batches exist')

function run(events: readonly CollectorEvent[], from: CollectorState = emptyCollector) {
  let state = from
  const effects: CollectorEffect[] = []
  for (const event of events) {
    const step = stepCollector(state, event, config)
    state = step.state
    effects.push(...step.effects)
  }
  return { state, effects }
}
const at = (batch: Batch, nowMs = startMs + 200): CollectorEvent => ({ kind: 'batch', batch, nowMs })
const tick = (nowMs: number): CollectorEvent => ({ kind: 'tick', nowMs })
const bundles = (effects: readonly CollectorEffect[]) => effects.flatMap((effect) => (effect.kind === 'bundle' ? [effect] : []))
const codes = (effects: readonly CollectorEffect[]) => effects.flatMap((effect) => (effect.kind === 'refuse' ? [effect.code] : []))

describe('a round', () => {
  it('closes at once when every member spoke, with a bundle validators accept', async () => {
    const { effects, state } = run(batches.map((batch, index) => at(batch, startMs + 200 + index)))
    expect(effects.map(({ kind }) => kind)).toEqual(['receipt', 'receipt', 'receipt', 'receipt', 'bundle'])
    const [bundle] = bundles(effects)
    expect(bundle).toMatchObject({ batchAtMs: startMs + 203, missing: [], tx: { sourceSet: setId, round: ROUND, shard: 0, chainId } })
    const tx = await signAttestation(stranger, bundle?.tx ?? (null as never))
    expect(verifyAttestation(tx, config.set, { chainId, genesisHash, blockTimeMs: startMs + 1000, lastRound: ROUND - 1 }, suite).ok).toBe(
      true,
    )
    expect(nextDeadlineMs(state, config)).toBeNull()
  })

  it('waits for its deadline with a quorum only, and names who is missing', () => {
    const waiting = run(batches.slice(0, 3).map((batch) => at(batch)))
    expect(bundles(waiting.effects)).toEqual([])
    expect(nextDeadlineMs(waiting.state, config)).toBe(deadline)
    expect(run([tick(deadline - 1)], waiting.state).effects).toEqual([])
    const [bundle] = bundles(run([tick(deadline)], waiting.state).effects)
    expect(bundle?.tx.batches).toHaveLength(3)
    expect(bundle?.missing).toEqual([config.set.members[3]])
  })

  it('lapses visibly without a quorum', () => {
    expect(run([at(first), at(second), tick(deadline)]).effects.at(-1)).toEqual({ kind: 'lapse', round: ROUND, batchCount: 2 })
  })

  it('is closed before a later one, so that bundles rise', () => {
    const { effects } = run([...batches.slice(0, 3), ...later].map((batch) => at(batch, startMs + ROUND_MS + 200)))
    expect(bundles(effects).map(({ tx }) => tx.round)).toEqual([ROUND, ROUND + 1])
    const late = run([...later, ...batches].map((batch) => at(batch, startMs + ROUND_MS + 200)))
    expect(bundles(late.effects).map(({ tx }) => tx.round)).toEqual([ROUND + 1])
    expect(codes(late.effects)).toEqual(['ROUND_EXPIRED', 'ROUND_EXPIRED', 'ROUND_EXPIRED', 'ROUND_EXPIRED'])
  })
})

describe('a batch', () => {
  it('gets the same receipt however often it comes, also after the close', () => {
    const { effects, state } = run([at(first), at(second), at(first, startMs + 900), ...batches.slice(2).map((batch) => at(batch))])
    const [receipt] = effects
    expect(receipt).toEqual({
      kind: 'receipt',
      receipt: {
        collector: config.collector,
        digest: bytesToHex(batchDigest(first, genesisHash, suite)),
        sequence: 1,
        receivedAtMs: startMs + 200,
      },
    })
    expect(effects[2]).toEqual(receipt)
    expect(run([at(first, startMs + 60_000)], state)).toEqual({ state, effects: [receipt] })
  })

  it('is refused when it is not of this shard, set or member', async () => {
    const alien = await signBatch(stranger, batchAt(ROUND, [leaf(feedA, 1n)]))
    const unknownFeed = await signBatch(members[0] as never, batchAt(ROUND, [leaf(`0x${'ff'.repeat(32)}`, 1n)]))
    expect(codes(run([at(alien)]).effects)).toEqual(['PROVIDER_UNKNOWN'])
    expect(codes(run([at({ ...first, sourceSet: feedA })]).effects)).toEqual(['SOURCE_SET'])
    expect(codes(run([at({ ...first, shard: 1 })]).effects)).toEqual(['SHARD_UNKNOWN'])
    expect(codes(run([at(unknownFeed)]).effects)).toEqual(['FEED_UNKNOWN'])
    expect(codes(stepCollector(emptyCollector, at(first), { ...config, set: { ...config.set, kind: 'reporter' } }).effects)).toEqual([
      'SOURCE_SET',
    ])
  })

  it('is refused ahead of time, late, after the close, or with a broken signature', () => {
    expect(codes(run([at(first, first.observedAtMs - 2001)]).effects)).toEqual(['ROUND_AHEAD'])
    expect(codes(run([at(first, first.observedAtMs - 2000)]).effects)).toEqual([])
    expect(codes(run([at(first, deadline)]).effects)).toEqual(['ROUND_EXPIRED'])
    const closed = run([...batches.slice(0, 3).map((batch) => at(batch)), tick(deadline), at(batches[3] ?? first, startMs + 300)])
    expect(codes(closed.effects)).toEqual(['ROUND_CLOSED'])
    expect(codes(run([at({ ...first, leaves: [leaf(feedA, 7n)] })]).effects)).toEqual(['SIGNATURE_INVALID'])
    expect(codes(run([at({ ...first, round: ROUND + 1 })]).effects)).toEqual(['TIME_NOT_IN_ROUND'])
  })

  it('that contradicts the first becomes evidence once, and only if it is really signed', async () => {
    const other = await signBatch(members[0] as never, batchAt(ROUND, [leaf(feedA, 999n)]))
    const { effects, state } = run([at(first), at(other), at(other)])
    expect(effects.slice(1)).toEqual([
      { kind: 'equivocation', first, second: other },
      { kind: 'refuse', code: 'EQUIVOCATION' },
      { kind: 'refuse', code: 'EQUIVOCATION' },
    ])
    expect(state.rounds[0]?.accepted).toHaveLength(1)
    const forged = { ...other, signature: second.signature }
    expect(codes(run([at(first), at(forged)]).effects)).toEqual(['SIGNATURE_INVALID'])
    expect(run([at(first), at({ ...first, leaves: [leaf(feedA, 5n)] })]).effects.at(-1)).toEqual({
      kind: 'refuse',
      code: 'SIGNATURE_INVALID',
    })
  })
})

describe('the collector', () => {
  it('reaches the same bundle from any order with any repeats', () => {
    const deliveries = fc
      .tuple(fc.shuffledSubarray(batches, { minLength: 4 }), fc.array(fc.constantFrom(...batches), { maxLength: 6 }))
      .chain(([all, repeats]) => fc.shuffledSubarray([...all, ...repeats], { minLength: all.length + repeats.length }))
    fc.assert(
      fc.property(deliveries, (order) => {
        const { effects, state } = run(order.map((batch, index) => at(batch, startMs + 200 + index)))
        expect(bundles(effects).map(({ tx }) => tx.batches)).toEqual([batches])
        expect(effects.filter(({ kind }) => kind === 'receipt')).toHaveLength(order.length)
        expect(state.nextSequence).toBe(5)
      }),
      { numRuns: 20 },
    )
  })

  it('keeps its state through plain data', () => {
    const { state } = run(batches.map((batch) => at(batch)))
    expect(collectorFromJson(JSON.parse(JSON.stringify(collectorToJson(state))))).toEqual(state)
  })

  it('forgets old rounds and never takes them again', async () => {
    const rounds = await Promise.all(Array.from({ length: CLOSED_ROUNDS_KEPT + 3 }, (_, index) => signRound(ROUND + index)))
    const { state } = run(rounds.flatMap((round, index) => round.map((batch) => at(batch, startMs + index * ROUND_MS + 200))))
    expect(state.rounds).toHaveLength(CLOSED_ROUNDS_KEPT)
    expect(codes(run([at(first)], state).effects)).toEqual(['ROUND_EXPIRED'])
  })

  it('leaves out what does not fit a transaction, and lapses when the quorum does not fit', () => {
    const wide = (batch: Batch): Batch => ({
      ...batch,
      leaves: Array.from({ length: 64 }, (_, index) => leaf(`0x${index.toString(16).padStart(64, '0')}`, 1n)),
    })
    const many = sourceSet(7)
    const accepted = many.members.map((provider, index) => ({
      batch: wide({ ...first, provider }),
      digest: feedA,
      sequence: index + 1,
      receivedAtMs: startMs,
    }))
    const state: CollectorState = { ...emptyCollector, rounds: [{ round: ROUND, accepted, equivocators: [], isClosed: false }] }
    const [bundle] = bundles(stepCollector(state, tick(deadline), { ...config, set: many }).effects)
    // A batch of 64 leaves takes 64 × 112 bytes and its own fields, 7.3 kB: six in 48 KiB.
    expect(bundle?.tx.batches.length).toBe(6)
    expect(bundle?.missing).toHaveLength(1)
    const tx = { ...(bundle?.tx ?? (null as never)), submitter: config.collector, signature: first.signature }
    expect(encodeAttestationTx(tx).length).toBeLessThanOrEqual(48 * 1024)
    const thirteen = {
      ...many,
      members: Array.from({ length: 13 }, (_, index): `0x${string}` => `0x${index.toString(16).padStart(40, '0')}`),
    }
    expect(stepCollector(state, tick(deadline), { ...config, set: thirteen }).effects).toEqual([
      { kind: 'lapse', round: ROUND, batchCount: 7 },
    ])
  })
})
