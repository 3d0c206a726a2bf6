/** Sessions over calm and hostile relays, with the real protocols inside. @module */
import { describe, expect, it } from 'vitest'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { DkgResult, DkgState } from '#shared/dcrm/dkg-state.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { WorldOptions } from '#test/sim/dcrm-world.ts'
import { partyKeys, runWorld } from '#test/sim/dcrm-world.ts'
import { seedOf, unhex } from '#test/unit/dcrm/support.ts'
import { ed25519 } from '@noble/curves/ed25519.js'

const backend = createNativeBackend()
const crypto = nativeEnvelopeCrypto
const members = [1, 2, 5]
const parties = members.map((id) => partyKeys(id, crypto, backend, (secret) => ed25519.getPublicKey(secret)))
const subject = { chainId: 81920, protocol: 'dkg', requestId: seedOf('request'), epoch: 0, set: members, attempt: 0 }
const descriptor = { chainId: 81920, requestId: seedOf('request'), scheme: 'taproot', threshold: 2, members } as const

const world = (change: Partial<WorldOptions<DkgState, DkgResult>> = {}) =>
  runWorld<DkgState, DkgResult>({
    seed: 1,
    subject,
    hasOpening: true,
    parties,
    backend,
    crypto,
    machine: (self, sid, seed) => dkgMachine({ backend, descriptor, self, sid, seed, base: null }),
    ...change,
  })
const certificates = (ends: ReturnType<typeof world>): readonly string[] =>
  [...ends.values()].map(({ result }) => (result === null ? 'none' : unhex(result.certificate)))

describe('a session', () => {
  it('carries key generation to its end at all parties, and names nobody', () => {
    const ends = world()
    expect(new Set(certificates(ends)).size).toBe(1)
    expect(certificates(ends)[0]).not.toBe('none')
    for (const { faults, order } of ends.values()) {
      expect(faults).toEqual([])
      expect(order[0]).toBe('join')
    }
  })
  it('does not mind loss that another relay makes good', () => {
    const ends = world({ relayCount: 2, delivery: (_rng, _from, _to, relay) => (relay === 0 ? [] : [20]) })
    expect(certificates(ends)).not.toContain('none')
  })
  it('does not mind repetition and disorder', () => {
    const ends = world({ delivery: (rng) => [rng.below(900), rng.below(900)] })
    expect(certificates(ends)).not.toContain('none')
  })
  it('goes on without a party that is killed after it dealt, and blames it for nothing but absence', () => {
    const ends = world({ killedAtMs: (id: PartyId) => (id === 5 ? 25 : null) })
    for (const id of [1, 2]) expect(ends.get(id)?.faults.filter(({ class: kind }) => kind !== 'absent')).toEqual([])
  })
})
