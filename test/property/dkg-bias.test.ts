/** The distribution of generated keys under an adversary that leaves late. Slow, therefore beside the fast tests. Source: GJKR 1999. @module */
import { describe, expect, it } from 'vitest'
import type { DkgResult, DkgState } from '#shared/dcrm/dkg-state.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { RoundMachine } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'

/** First byte of the key of one run; party 3 leaves before it shows its images where asked to. */
function keyByte(word: string, leaves: boolean): number {
  const machine = (self: PartyId): RoundMachine<DkgState, DkgResult> =>
    dkgMachine({
      backend: nobleBackend,
      descriptor: { chainId: 81920, requestId: seedOf('request'), scheme: 'ed25519', threshold: 2, members: [1, 2, 3] },
      self,
      sid: seedOf(`${word} sid`),
      seed: seedOf(`${word} ${self}`),
      base: null,
    })
  const machines = new Map([1, 2, 3].map((id) => [id, machine(id)]))
  const { outcomes } = runLockstep(machines, (from, round, sent) => (leaves && from === 3 && round >= 4 ? null : sent))
  const outcome = outcomes.get(1)
  if (outcome?.kind !== 'done') throw new Error(`a run with an honest majority ends with a key, not with ${outcome?.code}`)
  return outcome.result.share.publicKey.commitments[0]?.[0] ?? 0
}

describe('3 key bias by late abort', () => {
  it('over 200 runs a rushing dropper that wants an even key does not get more of them', () => {
    let even = 0
    for (let index = 0; index < 200; index++) {
      const word = `bias ${index}`
      // The rusher knows the key its staying would give; it leaves when that is odd.
      const key = (keyByte(word, false) & 1) === 1 ? keyByte(word, true) : keyByte(word, false)
      if ((key & 1) === 0) even++
    }
    // Mean 100, deviation 7.1; five deviations. Were its contribution lost by leaving, the mean would be 150.
    expect(Math.abs(even - 100)).toBeLessThan(36)
  }, 120_000)
})
