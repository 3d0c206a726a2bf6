/** The recorded chain inside the Workers runtime: the same state after every block as on Node, so that no rule depends on its host. @module */
import { replay } from '#test/unit/joints/replay.ts'
import type { Recording } from '#test/unit/joints/replay.ts'
import record from '../unit/joints/recorded-chain.jsonl?raw'
import { describe, expect, it } from 'vitest'

describe('the recorded chain', () => {
  it('is replayed to equal roots: blocks, triggers, attestations and calls of contracts', async () => {
    const [document, ...blocks] = record
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown)
    const recording: Recording = { document, blocks: blocks as Recording['blocks'] }
    expect(recording.blocks.length).toBeGreaterThan(10)
    expect(await replay(recording)).toEqual(recording.blocks.map(({ outcome }) => outcome))
  })
})
