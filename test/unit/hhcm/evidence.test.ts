/** Evidence: found by the machine, carried as bytes, convincing to anybody, and only of what was done. @module */
import { describe, expect, it } from 'vitest'
import { encodeVote } from '#shared/hhcm/codec.ts'
import { decodeEvidence, encodeEvidence, verifyEvidence } from '#shared/hhcm/evidence.ts'
import type { Evidence } from '#shared/hhcm/types.ts'
import {
  cluster,
  watcher,
  config,
  validators,
  sealed,
  certificate,
  WRONG_SIGNATURE,
  STRANGER,
  makePackage,
  makeCoSignature,
  makeCertificate,
  makeBlock,
  makeVote,
  judge,
  evidences,
} from '#test/unit/hhcm/judge.ts'

describe('evidence', () => {
  const twoPackages = judge([
    { kind: 'package', package: makePackage({}) },
    { kind: 'package', package: makePackage({ txRoot: `0x${'12'.repeat(32)}` }) },
  ])
  const twoBlocks = judge([
    { kind: 'block', block: makeBlock({}) },
    { kind: 'block', block: makeBlock({ gasUsed: 77n }) },
  ])
  const rival = makePackage({ txRoot: `0x${'12'.repeat(32)}` }).header
  const twoCertificates = judge([
    { kind: 'certificate', certificate: makeCertificate({}) },
    {
      kind: 'certificate',
      certificate: makeCertificate({
        header: rival,
        coSignatures: certificate.coSignatures.map(({ signer }) => makeCoSignature(signer, rival)),
      }),
    },
  ])
  const doubleVote = judge([
    { kind: 'vote', vote: makeVote({}) },
    { kind: 'vote', vote: makeVote({ target: { slot: 3, blockHash: sealed.hash } }) },
  ])
  const genesis = { slot: 0, blockHash: cluster.genesis.hash }
  const surround = judge([
    { kind: 'vote', vote: makeVote({ source: { slot: 2, blockHash: sealed.hash }, target: { slot: 3, blockHash: sealed.hash } }) },
    { kind: 'vote', vote: makeVote({ source: genesis, target: { slot: 4, blockHash: sealed.hash } }) },
  ])

  it.each([
    ['DOUBLE_PACKAGE', twoPackages],
    ['DOUBLE_BLOCK', twoBlocks],
    ['DOUBLE_CO_SIGNATURE', twoCertificates],
    ['DOUBLE_VOTE', doubleVote],
    ['SURROUND_VOTE', surround],
  ] as const)('%s is found, travels and convicts', (offence, effects) => {
    const found = evidences(effects).filter((evidence) => evidence.offence === offence)
    expect(found.length).toBeGreaterThan(0)
    for (const evidence of found) {
      const received = decodeEvidence(encodeEvidence(evidence))
      expect(received).toEqual(evidence)
      expect(verifyEvidence(config, received, watcher.crypto)).toBe(true)
    }
  })

  it('is not found in one object said twice', () => {
    for (const message of [
      { kind: 'package', package: makePackage({}) },
      { kind: 'block', block: makeBlock({}) },
      { kind: 'certificate', certificate },
      { kind: 'vote', vote: makeVote({}) },
    ] as const)
      expect(evidences(judge([message, message]))).toEqual([])
  })

  it('convicts nobody when objects agree, belong to different slots, carry a wrong signature or name somebody else', () => {
    const [proof] = evidences(doubleVote)
    if (proof === undefined) throw new Error('no evidence')
    const check = (change: Partial<Evidence>): boolean => verifyEvidence(config, { ...proof, ...change }, watcher.crypto)
    expect(check({})).toBe(true)
    expect(check({ second: proof.first })).toBe(false)
    expect(check({ second: encodeVote(makeVote({ target: { slot: 4, blockHash: sealed.hash } })) })).toBe(false)
    expect(check({ second: encodeVote(makeVote({ target: { slot: 3, blockHash: sealed.hash }, signature: WRONG_SIGNATURE })) })).toBe(false)
    expect(check({ offender: validators[1]?.address ?? '0x' })).toBe(false)
    expect(check({ offender: STRANGER })).toBe(false)
    expect(check({ offence: 'SURROUND_VOTE' })).toBe(false)
    expect(check({ offence: 'DOUBLE_BLOCK' })).toBe(false)
    expect(verifyEvidence({ ...config, genesisHash: sealed.hash }, proof, watcher.crypto)).toBe(false)
  })
})
