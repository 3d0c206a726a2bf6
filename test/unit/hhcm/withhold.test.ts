/** A validator that certifies itself and keeps its bodies back must not cost the others a slot. @module */
import { describe, expect, it } from 'vitest'
import { Cluster } from '#test/unit/hhcm/cluster.ts'

const WITHHOLDER = 0

describe('a validator that shows certificates and blocks but no bodies', () => {
  it('stops nobody: every slot has a block of the others, and all are final', () => {
    const cluster: Cluster = new Cluster({
      link: (from, _to, message) => {
        if (from !== WITHHOLDER || message.kind !== 'package') return true
        // Nor does it answer requests for them.
        cluster.packages.delete(message.package.hash)
        return false
      },
    })
    cluster.runToSlot(30, 990)
    const { state, blocks } = cluster.node(1)
    const slots: number[] = []
    for (let at = blocks.get(state.head); at !== undefined; at = blocks.get(at.header.parentHash)) slots.push(at.header.slot)
    expect(slots.toReversed()).toEqual(Array.from({ length: 30 }, (_, index) => index + 1))
    expect(state.finalized.slot).toBe(29)
    expect(cluster.said(WITHHOLDER, 'block').length).toBeGreaterThan(3)
  })
})
