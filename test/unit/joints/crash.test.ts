/**
 * A crash at any moment of a slot, and content that differs in the second life: per key and slot at most one package, one block, one vote,
 * and per lane one co-signature. Anything more would be evidence against an honest validator.
 * @module
 */
import type { WireMessage } from '#shared/hhcm/types.ts'
import { Cluster } from '#test/unit/hhcm/cluster.ts'
import { describe, expect, it } from 'vitest'

const CRASH_SLOT = 4

/** What an object is the only one of; null for certificates, which repeat what is signed already. */
function placeOf(message: WireMessage): string | null {
  switch (message.kind) {
    case 'package':
      return `package ${message.package.header.slot}`
    case 'coSignature':
      return `co-signature ${message.coSignature.slot} ${message.coSignature.lane}`
    case 'block':
      return `block ${message.block.header.slot}`
    case 'vote':
      return `vote ${message.vote.target.slot}`
    case 'certificate':
      return null
  }
}

function signatureOf(message: WireMessage): string {
  switch (message.kind) {
    case 'package':
      return message.package.header.signature
    case 'coSignature':
      return message.coSignature.signature
    case 'block':
      return message.block.header.signature
    case 'vote':
      return message.vote.signature
    case 'certificate':
      return message.certificate.signature
  }
}

/** All four crash at this moment and go on from their records. */
function crashAt(permille: number): Cluster {
  let count = 0
  const cluster = new Cluster({ txs: () => [Uint8Array.of(1, count >> 8, count++ % 256)] })
  cluster.runToSlot(CRASH_SLOT, permille)
  for (const { index } of cluster.nodes) cluster.restart(index)
  // Votes that were only in memory are gone; a block that carries their proof brings everybody together again.
  cluster.runToSlot(CRASH_SLOT + 8, 900)
  return cluster
}

const MOMENTS = [0, 100, 200, 300, 400, 500, 600, 700, 750, 800, 850, 900]

describe.each(MOMENTS)('four validators killed at %i thousandths of a slot', (permille) => {
  const cluster = crashAt(permille)

  it('sign nothing twice', () => {
    for (const { index, effects } of cluster.nodes) {
      const signed = new Map<string, Set<string>>()
      for (const effect of effects) {
        const place = effect.kind === 'broadcast' ? placeOf(effect.message) : null
        if (effect.kind !== 'broadcast' || place === null) continue
        signed.set(place, (signed.get(place) ?? new Set()).add(signatureOf(effect.message)))
      }
      expect(signed.size).toBeGreaterThan(10)
      expect([...signed].filter(([, signatures]) => signatures.size > 1).map(([place]) => `${index} ${place}`)).toEqual([])
    }
  })

  it('find nobody at fault and finalise', () => {
    for (const { index, state } of cluster.nodes) {
      expect(cluster.of(index, 'evidence')).toEqual([])
      expect(state.finalized.slot).toBe(CRASH_SLOT + 7)
    }
  })
})
