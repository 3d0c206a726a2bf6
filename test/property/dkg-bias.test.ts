/** The distribution of generated keys under an adversary that leaves late. Source: GJKR 1999. @module */
import { describe, expect, it } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { resultsOf, run, silent } from '#test/unit/dcrm/dkg-support.ts'

const backend = createNativeBackend()

/** Parity byte of the key of one run, 2 or 3; `leaver` is gone before it shows its images. */
function keyByte(word: string, leaver: PartyId | null): number {
  const outcomes = run({ scheme: 'ecdsa', backend, word, ...(leaver === null ? {} : { tamper: silent(leaver, 4) }) })
  const [result] = resultsOf(outcomes)
  if (result === undefined) throw new Error('a run with an honest majority ends with a key')
  return result.share.publicKey.commitments[0]?.[0] ?? 0
}

describe('3 key bias by late abort', () => {
  it('over 200 runs a rushing dropper that wants an even key does not get more of them', () => {
    let even = 0
    for (let index = 0; index < 200; index++) {
      const word = `bias ${index}`
      // The rusher knows the key its staying would give; it leaves when that is odd.
      const key = keyByte(word, null) === 3 ? keyByte(word, 3) : 2
      if (key === 2) even++
    }
    // Mean 100, deviation 7.1; five deviations. Were its contribution lost by leaving, the mean would be 150.
    expect(Math.abs(even - 100)).toBeLessThan(36)
  }, 60_000)
})
