/** Who pays for wrong objects: whoever made or changed them, never the neighbour that passed them on, and no answer ends a request but the right one. @module */
import { describe, expect, it } from 'vitest'
import { step } from '#shared/hhcm/step.ts'
import type { HhcmEffect, WireMessage } from '#shared/hhcm/types.ts'
import { certificate, config, makeBlock, makePackage, parcel, sealed, watcher, WRONG_SIGNATURE } from '#test/unit/hhcm/judge.ts'

function listener() {
  const state = structuredClone(watcher.state)
  const hear = (message: WireMessage): Readonly<{ effects: readonly HhcmEffect[]; isTaken: boolean }> =>
    step(config, state, { kind: 'message', from: 'peer', message }, watcher.crypto)
  return { state, hear }
}
const faultsOf = (effects: readonly HhcmEffect[]): string[] => effects.flatMap((effect) => (effect.kind === 'fault' ? [effect.fault] : []))

describe('a held object that turns out wrong', () => {
  it('is no fault of the peer that passed it on, nor of the block that shows it', () => {
    const { hear } = listener()
    hear({ kind: 'package', package: makePackage({ parentHash: sealed.hash }) })
    hear({ kind: 'block', block: makeBlock({ parentHash: sealed.hash, number: 9 }) })
    const { effects, isTaken } = hear({ kind: 'block', block: sealed })
    expect(faultsOf(effects)).toEqual([])
    expect(isTaken).toBe(true)
  })
})

describe('a request', () => {
  it('for a body is not answered by one with another signature, which would be handed on to others', () => {
    const { state, hear } = listener()
    hear({ kind: 'certificate', certificate })
    const forged = { ...parcel, header: { ...parcel.header, signature: WRONG_SIGNATURE } }
    expect(faultsOf(hear({ kind: 'package', package: forged }).effects)).toEqual(['PACKAGE_SIGNATURE'])
    expect(state.bodies.has(parcel.hash)).toBe(false)
    expect(state.requests.has(parcel.hash)).toBe(true)
    expect(hear({ kind: 'package', package: parcel }).isTaken).toBe(true)
    expect(state.bodies.get(parcel.hash)).toEqual(parcel)
    expect(state.requests.has(parcel.hash)).toBe(false)
  })

  it('for a block lasts until the block is there, whatever else has its hash', () => {
    const { state, hear } = listener()
    hear({ kind: 'block', block: makeBlock({ parentHash: sealed.hash, number: 9 }) })
    const forged = { ...sealed, header: { ...sealed.header, signature: WRONG_SIGNATURE } }
    expect(faultsOf(hear({ kind: 'block', block: forged }).effects)).toEqual(['BLOCK_SIGNATURE'])
    expect(state.requests.has(sealed.hash)).toBe(true)
    expect(hear({ kind: 'block', block: sealed }).isTaken).toBe(true)
    expect(state.requests.has(sealed.hash)).toBe(false)
  })
})
