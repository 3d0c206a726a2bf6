/** What validators that sign anything can send: every field may be wrong, hashes and signatures are right. The machine survives it. @module */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { step } from '#shared/hhcm/step.ts'
import type { Certificate, HhcmEvent, WireMessage } from '#shared/hhcm/types.ts'
import {
  STRANGER,
  certificate,
  config,
  makeBlock,
  makeCertificate,
  makeCoSignature,
  makePackage,
  makeVote,
  sealed,
  validators,
  watcher,
} from '#test/unit/hhcm/judge.ts'

/** Any of the fields, and often none, so that checks behind the first are reached too. */
function changeOf<T extends object>(fields: { [K in keyof T]: fc.Arbitrary<T[K]> }): fc.Arbitrary<Partial<T>> {
  const none: Partial<T> = {}
  return fc.oneof(fc.constant(none), fc.record(fields, { requiredKeys: [] }) as fc.Arbitrary<Partial<T>>)
}

const { state } = watcher
const UNKNOWN = `0x${'77'.repeat(32)}` as const
const hashes = [state.head, state.root, sealed.hash, sealed.header.parentHash, UNKNOWN] as const
const slots = [0, 1, 2, 3, 4, 5, 2 ** 40] as const
const lanes = [0, 1, 2, 15] as const
const keys = [...validators.map(({ address }) => address), STRANGER] as const

const packageChange = changeOf({
  slot: fc.constantFrom(...slots),
  lane: fc.constantFrom(...lanes),
  rank: fc.constantFrom(0, 1, 5, 99),
  parentHash: fc.constantFrom(...hashes),
  author: fc.constantFrom(...keys),
  txRoot: fc.constant(UNKNOWN),
})
const certificateOf: fc.Arbitrary<Certificate> = fc
  .tuple(
    packageChange,
    fc.uniqueArray(fc.constantFrom(...keys), { maxLength: 4 }),
    changeOf({ ticketNonce: fc.constantFrom(0, 7, 2 ** 31), vrfProof: fc.constant(`0x${'00'.repeat(80)}` as const) }),
  )
  .map(([change, signers, race]) => {
    const { header } = makePackage(change)
    const coSignatures = signers.length === 0 ? certificate.coSignatures : signers.map((signer) => makeCoSignature(signer, header))
    return makeCertificate({ header, coSignatures, ...race })
  })
const vote = fc
  .record({
    source: fc.record({ slot: fc.constantFrom(...slots), blockHash: fc.constantFrom(...hashes) }),
    target: fc.record({ slot: fc.constantFrom(...slots), blockHash: fc.constantFrom(...hashes) }),
    voter: fc.constantFrom(...keys),
  })
  .map(makeVote)
const block = fc
  .tuple(
    changeOf({
      number: fc.constantFrom(1, 2, 3, 4, 2 ** 40),
      slot: fc.constantFrom(...slots),
      parentHash: fc.constantFrom(...hashes),
      author: fc.constantFrom(...keys),
      lane: fc.constantFrom(...lanes),
      rank: fc.constantFrom(0, 1, 99),
      ticketNonce: fc.constantFrom(0, 2 ** 31),
      randomness: fc.constant(UNKNOWN),
    }),
    fc.oneof(
      fc.constant(sealed.certificates),
      fc.array(fc.oneof(fc.constantFrom(null, ...sealed.certificates), certificateOf), { maxLength: 3 }),
    ),
    fc.oneof(fc.constant(sealed.votes), fc.array(vote, { maxLength: 3 })),
  )
  .map(([change, certificates, votes]) => makeBlock(change, { certificates, votes }))
const message: fc.Arbitrary<WireMessage> = fc.oneof(
  { weight: 2, arbitrary: packageChange.map((change) => ({ kind: 'package' as const, package: makePackage(change) })) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.constantFrom(...keys), packageChange)
      .map(([signer, change]) => ({ kind: 'coSignature' as const, coSignature: makeCoSignature(signer, makePackage(change).header) })),
  },
  { weight: 3, arbitrary: certificateOf.map((value) => ({ kind: 'certificate' as const, certificate: value })) },
  { weight: 5, arbitrary: block.map((value) => ({ kind: 'block' as const, block: value })) },
  { weight: 2, arbitrary: vote.map((value) => ({ kind: 'vote' as const, vote: value })) },
)

describe('signed nonsense', () => {
  it('never makes the machine throw, now or when the next slots begin', () => {
    const met = new Set<string>()
    fc.assert(
      fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), (messages) => {
        const copy = structuredClone(state)
        const feed = (event: HhcmEvent): void => {
          const { effects } = step(config, copy, event, watcher.crypto)
          for (const effect of effects) met.add(effect.kind === 'fault' ? effect.fault : effect.kind)
        }
        for (const one of messages) feed({ kind: 'message', from: 'peer', message: one })
        for (const later of [1, 2]) feed({ kind: 'tick', nowMs: copy.nowMs + later * config.slotMs })
      }),
      { numRuns: 1500, seed: 5 },
    )
    // It went past the first checks of every kind.
    const deep = [
      'PACKAGE_RANK',
      'CERTIFICATE_TICKET',
      'BLOCK_NUMBER',
      'BLOCK_LANES',
      'BLOCK_VOTES',
      'CERTIFICATE_VRF',
      'VOTE_ORDER',
      'evidence',
    ]
    expect([...met]).toEqual(expect.arrayContaining(deep))
  })
})
