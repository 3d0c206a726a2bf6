/** Facts become proven at the quorum, once. @module */
import { describe, expect, it } from 'vitest'
import { verifyDepositEvidence } from '#shared/oracle/deposit-evidence.ts'
import { depositFact } from '#shared/oracle/fact.ts'
import type { FactCollectorState, FactEffect } from '#shared/oracle/fact-collector.ts'
import { STATEMENTS_MAX, emptyFactCollector, stepFactCollector } from '#shared/oracle/fact-collector.ts'
import { factCollectorFromJson, factCollectorToJson } from '#shared/oracle/json.ts'
import type { SignedFact } from '#shared/oracle/types.ts'
import type { DepositFact } from '#shared/trigger/types.ts'
import { accounts, feedA, genesisHash, setId, signFact, sourceSet, suite } from './fixture.ts'

const deposit: DepositFact = {
  chain: 31337n,
  txid: `0x${'71'.repeat(32)}`,
  from: `0x${'f0'.repeat(20)}`,
  to: `0x${'70'.repeat(20)}`,
  amountWei: 5n,
  height: 77,
  blockHash: `0x${'b1'.repeat(32)}`,
  confirmations: 2,
}
const members = accounts.slice(0, 4)
const config = { set: sourceSet(4, 'reporter'), genesisHash, suite }
const sign = (index: number, changes: Partial<DepositFact> = {}) =>
  signFact(accounts[index] ?? (null as never), depositFact(setId, 1000, { ...deposit, ...changes }, suite))
const facts = await Promise.all(members.map((_, index) => sign(index)))

function run(all: readonly SignedFact[], from: FactCollectorState = emptyFactCollector) {
  let state = from
  const effects: FactEffect[] = []
  for (const fact of all) {
    const step = stepFactCollector(state, fact, config)
    state = step.state
    effects.push(...step.effects)
  }
  return { state, effects }
}

describe('facts', () => {
  it('are proven by a quorum of three of four, once, with evidence that verifies', () => {
    const { effects, state } = run([...facts, ...facts])
    const proven = effects.flatMap((effect) => (effect.kind === 'proven' ? [effect] : []))
    expect(proven).toHaveLength(1)
    expect(effects[3]).toEqual(proven[0])
    expect(proven[0]?.deposit).toEqual(deposit)
    expect(verifyDepositEvidence(proven[0]?.evidence ?? new Uint8Array(0), config.set, genesisHash, suite).ok).toBe(true)
    expect(effects.filter(({ kind }) => kind === 'accepted')).toHaveLength(8)
    expect(factCollectorFromJson(JSON.parse(JSON.stringify(factCollectorToJson(state))))).toEqual(state)
  })

  it('with different content do not add up', async () => {
    const other = await sign(2, { amountWei: 6n })
    expect(run([...facts.slice(0, 2), other]).effects.map(({ kind }) => kind)).toEqual(['accepted', 'accepted', 'accepted'])
  })

  it('that contradict each other in one block are shown; a payment moved to another block is not a contradiction', async () => {
    const [first] = facts
    if (first === undefined) throw new Error('facts exist')
    const lie = await sign(0, { amountWei: 6n })
    expect(run([first, lie]).effects.slice(1)).toEqual([
      { kind: 'contradiction', first, second: lie },
      { kind: 'refuse', code: 'CONTRADICTION' },
    ])
    const moved = await sign(0, { blockHash: `0x${'b2'.repeat(32)}` })
    const deeper = await sign(0, { confirmations: 3 })
    expect(run([first, moved, deeper]).effects.map(({ kind }) => kind)).toEqual(['accepted', 'accepted', 'accepted'])
  })

  it('are refused from strangers, for other sets and with broken content', async () => {
    const codes = (fact: SignedFact) => run([fact]).effects
    const [first] = facts
    if (first === undefined) throw new Error('facts exist')
    expect(codes(await sign(5))).toEqual([{ kind: 'refuse', code: 'REPORTER_UNKNOWN' }])
    expect(codes({ ...first, sourceSet: feedA })).toEqual([{ kind: 'refuse', code: 'SOURCE_SET' }])
    expect(codes({ ...first, asOfMs: 1 })).toEqual([{ kind: 'refuse', code: 'SIGNATURE_INVALID' }])
    expect(codes({ ...first, subject: feedA })).toEqual([{ kind: 'refuse', code: 'SUBJECT' }])
    expect(codes({ ...first, body: new Uint8Array(3) })).toEqual([{ kind: 'refuse', code: 'DEPOSIT_INVALID' }])
  })

  it('are remembered within bounds', () => {
    const statement = { digest: feedA, facts: facts.slice(0, 1) }
    const full: FactCollectorState = { statements: Array.from({ length: STATEMENTS_MAX }, () => ({ ...statement, facts: [] })) }
    expect(run(facts.slice(0, 1), full).state.statements).toHaveLength(STATEMENTS_MAX)
  })
})
