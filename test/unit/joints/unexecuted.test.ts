/** Nobody votes for a block that he has not executed, however good it looks. @module */
import { step } from '#shared/hhcm/step.ts'
import type { HhcmEffect, HhcmEvent } from '#shared/hhcm/types.ts'
import { SLOT_MS } from '#test/unit/hhcm/cluster.ts'
import { cluster, config, sealed, watcher } from '#test/unit/hhcm/judge.ts'
import { describe, expect, it } from 'vitest'

/** Vote of the watcher in slot 3 when it has block and bodies in time, and the executor says this. */
function voteAfter(verdict: 'nothing' | 'valid' | 'invalid'): string | undefined {
  const state = structuredClone(watcher.state)
  const effects: HhcmEffect[] = []
  const feed = (event: HhcmEvent): readonly HhcmEffect[] => {
    const made = step(config, state, event, watcher.crypto).effects
    effects.push(...made)
    return made
  }
  for (const effect of feed({ kind: 'message', from: 'peer', message: { kind: 'block', block: sealed } })) {
    const body = effect.kind === 'request' ? cluster.packages.get(effect.hash) : undefined
    if (body !== undefined) feed({ kind: 'message', from: 'peer', message: { kind: 'package', package: body } })
  }
  expect(effects.map(({ kind }) => kind)).toContain('execute')
  if (verdict !== 'nothing') feed({ kind: 'executed', blockHash: sealed.hash, valid: verdict === 'valid' })
  feed({ kind: 'tick', nowMs: 3 * SLOT_MS + (SLOT_MS * 900) / 1000 })
  return effects.flatMap((effect) =>
    effect.kind === 'broadcast' && effect.message.kind === 'vote' ? [effect.message.vote.target.blockHash] : [],
  )[0]
}

describe('a block whose bodies are here', () => {
  it('gets a vote when it executed', () => {
    expect(voteAfter('valid')).toBe(sealed.hash)
  })

  it.each(['nothing', 'invalid'] as const)('gets none while the executor says %s: the vote goes to its parent', (verdict) => {
    expect(voteAfter(verdict)).toBe(sealed.header.parentHash)
  })
})
