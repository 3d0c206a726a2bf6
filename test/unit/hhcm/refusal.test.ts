/** Every check of packages, certificates, blocks, votes and co-signatures, each with the one fault it exists for. @module */
import { describe, expect, it } from 'vitest'
import fc from 'fast-check'
import { DecodeError } from '#shared/fault.ts'
import { decodeWireMessage, encodeWireMessage } from '#shared/hhcm/wire.ts'
import { RULES } from '#shared/hhcm/rules.ts'
import { step } from '#shared/hhcm/step.ts'
import type { WireMessage, BlockEnvelope, CoSignature, HhcmEffect, Vote } from '#shared/hhcm/types.ts'
import { MUTANTS } from '#test/sim/mutants.ts'
import {
  cluster,
  watcher,
  config,
  validators,
  sealed,
  parcel,
  certificate,
  WRONG_SIGNATURE,
  STRANGER,
  makePackage,
  makeCoSignature,
  makeCertificate,
  makeBlock,
  makeVote,
  judge,
  faults,
  packageFaults,
  certificateFaults,
  blockFaults,
  members,
  outsider,
  otherMember,
  indexOf,
} from '#test/unit/hhcm/judge.ts'

describe('a package', () => {
  it('of the protocol is taken', () => {
    expect(packageFaults({})).toEqual([])
  })

  it.each([
    ['PACKAGE_AUTHOR', { author: STRANGER }],
    ['PACKAGE_LANE', { author: outsider }],
    ['PACKAGE_LANE', { lane: 7 }],
    ['PACKAGE_RANK', { rank: 1 }],
    ['PACKAGE_SIGNATURE', { signature: WRONG_SIGNATURE }],
  ] as const)('is refused with %s', (fault, change) => {
    expect(packageFaults(change)).toEqual([fault])
  })

  it('by a validator of another lane is refused, and the planted fault would let it in', () => {
    const rank = Math.max(...[0, 1].map((lane) => RULES.rankOf([...watcher.state.duties.values()].at(-1) ?? [], lane, indexOf(outsider))))
    expect(packageFaults({ author: outsider, rank })).toEqual(['PACKAGE_LANE'])
    expect(packageFaults({ author: outsider, rank }, MUTANTS['wrong-lane'].rules)).toEqual([])
  })

  it('on a parent of its own slot is refused', () => {
    const effects = judge([
      { kind: 'block', block: sealed },
      { kind: 'package', package: makePackage({ parentHash: sealed.hash }) },
    ])
    expect(effects).toContainEqual({ kind: 'fault', peer: 'peer', fault: 'PACKAGE_SLOT' })
  })

  it('of a slot that is over, or more than one ahead, is dropped in silence', () => {
    expect(judge([{ kind: 'package', package: makePackage({ slot: 2 }) }])).toEqual([])
    expect(judge([{ kind: 'package', package: makePackage({ slot: 5 }) }])).toEqual([])
  })

  it('on an unknown parent is held when its author made it, and its parent asked for', () => {
    const unknown = { parentHash: `0x${'77'.repeat(32)}` } as const
    expect(judge([{ kind: 'package', package: makePackage(unknown) }])).toEqual([
      { kind: 'request', what: 'block', hash: unknown.parentHash, from: 'peer' },
    ])
    expect(packageFaults({ ...unknown, signature: WRONG_SIGNATURE })).toEqual(['HELD_SIGNATURE'])
  })

  it('of the next slot is held a few per author, and only when its author made it', () => {
    const state = structuredClone(watcher.state)
    for (let round = 0; round < 50; round++) {
      const early = makePackage({ slot: 4, txRoot: `0x${round.toString(16).padStart(64, '0')}` })
      step(config, state, { kind: 'message', from: 'peer', message: { kind: 'package', package: early } }, watcher.crypto)
    }
    expect(state.early.length).toBe(2)
    const header = makePackage({ slot: 4 }).header
    const early: WireMessage = { kind: 'certificate', certificate: makeCertificate({ header }) }
    step(config, state, { kind: 'message', from: 'peer', message: early }, watcher.crypto)
    expect(state.early.length).toBe(3)
    expect(packageFaults({ slot: 4, signature: WRONG_SIGNATURE })).toEqual(['HELD_SIGNATURE'])
  })
})

describe('a certificate', () => {
  it('of the protocol is taken', () => {
    expect(certificateFaults({})).toEqual([])
  })

  const { header } = parcel
  const own = makeCoSignature(header.author, header)
  const other = makeCoSignature(otherMember, header)
  const sorted = [own, other].toSorted((left, right) => (left.signer < right.signer ? -1 : 1))
  it.each([
    ['CERTIFICATE_TICKET', { ticketNonce: config.powTries }],
    ['CERTIFICATE_ORDER', { coSignatures: sorted.toReversed() }],
    ['CERTIFICATE_ORDER', { coSignatures: [own, own] }],
    ['CERTIFICATE_SIGNER', { coSignatures: [makeCoSignature(outsider, header)] }],
    ['CERTIFICATE_SIGNER', { coSignatures: [makeCoSignature(STRANGER, header)] }],
    // One of three is less than half; two without the author are half but not the author's.
    ['CERTIFICATE_QUORUM', { coSignatures: [own] }],
    [
      'CERTIFICATE_QUORUM',
      { coSignatures: members.filter((member) => member !== header.author).map((member) => makeCoSignature(member, header)) },
    ],
    ['CERTIFICATE_SIGNATURE', { coSignatures: sorted.map((one) => (one === other ? { ...one, signature: WRONG_SIGNATURE } : one)) }],
    ['CERTIFICATE_SIGNATURE', { coSignatures: sorted.map((one) => ({ ...one, slot: 2 })) }],
    ['CERTIFICATE_SIGNATURE', { signature: WRONG_SIGNATURE }],
    ['CERTIFICATE_VRF', { vrfProof: `0x${'33'.repeat(80)}` }],
    ['PACKAGE_RANK', { header: makePackage({ rank: 2 }).header }],
  ] as const)('is refused with %s', (fault, change) => {
    expect(certificateFaults(change)).toEqual([fault])
  })

  it('of another slot is dropped in silence, on an unknown parent held', () => {
    expect(judge([{ kind: 'certificate', certificate: makeCertificate({ header: makePackage({ slot: 2 }).header }) }])).toEqual([])
    const elsewhere = makePackage({ parentHash: `0x${'77'.repeat(32)}` }).header
    expect(certificateFaults({ header: elsewhere, signature: WRONG_SIGNATURE })).toEqual(['HELD_SIGNATURE'])
    expect(judge([{ kind: 'certificate', certificate: makeCertificate({ header: elsewhere }) }])).toHaveLength(1)
  })

  it('asks for the body it names', () => {
    expect(judge([{ kind: 'certificate', certificate }])).toEqual([{ kind: 'request', what: 'package', hash: parcel.hash, from: 'peer' }])
  })
})

describe('a block', () => {
  const lane = sealed.header.lane
  const voteAt = (slot: number, index: number): Vote =>
    makeVote({
      source: { slot: 0, blockHash: cluster.genesis.hash },
      target: { slot, blockHash: watcher.state.head },
      voter: validators[index]?.address ?? '0x',
    })

  it('of the protocol is taken', () => {
    expect(blockFaults({})).toEqual([])
    expect(blockFaults({}, { votes: [voteAt(2, 0), voteAt(2, 1)] })).toEqual([])
  })

  it.each([
    ['BLOCK_NUMBER', { number: 4 }, {}],
    ['BLOCK_NUMBER', { slot: 2 }, {}],
    ['BLOCK_LANES', {}, { certificates: [...sealed.certificates, null] }],
    ['BLOCK_LANES', {}, { certificates: sealed.certificates.toReversed() }],
    ['BLOCK_LANES', {}, { certificates: sealed.certificates.with(lane, null) }],
    ['BLOCK_LANES', { author: STRANGER }, {}],
    ['BLOCK_LANES', { rank: 1 }, {}],
    ['BLOCK_LANES', { lane: 9 }, {}],
    ['BLOCK_TICKET', { ticketNonce: (sealed.header.ticketNonce + 1) % 8 }, {}],
    ['BLOCK_TICKET', { vrfProof: `0x${'33'.repeat(80)}` }, {}],
    ['BLOCK_SIGNATURE', { signature: WRONG_SIGNATURE }, {}],
    ['BLOCK_RANDOMNESS', { randomness: `0x${'44'.repeat(32)}` }, {}],
    ['BLOCK_VOTES', {}, { votes: [voteAt(3, 0)] }],
    ['BLOCK_VOTES', {}, { votes: [voteAt(2, 1), voteAt(2, 0)] }],
    ['BLOCK_VOTES', {}, { votes: [voteAt(2, 1), voteAt(2, 1)] }],
    // Older votes only as the complete proof of one link: four of six is no proof.
    ['BLOCK_VOTES', {}, { votes: [0, 1, 2, 3].map((index) => voteAt(1, index)) }],
    ['BLOCK_VOTES', {}, { votes: Array.from({ length: 257 }, () => voteAt(2, 0)) }],
    ['VOTE_SIGNATURE', {}, { votes: [{ ...voteAt(2, 0), signature: WRONG_SIGNATURE }] }],
    [
      'VOTE_VOTER',
      {},
      { votes: [makeVote({ target: { slot: 2, blockHash: sealed.hash }, source: { slot: 1, blockHash: sealed.hash }, voter: STRANGER })] },
    ],
    ['VOTE_ORDER', {}, { votes: [makeVote({ target: { slot: 2, blockHash: sealed.hash }, source: { slot: 2, blockHash: sealed.hash } })] }],
  ] as const)('is refused with %s (%#)', (fault, change, parts) => {
    expect(blockFaults(change, parts)).toEqual([fault])
  })

  it('with a faulty certificate is refused like the certificate', () => {
    const wrong = makeCertificate({ vrfProof: `0x${'33'.repeat(80)}` })
    const at = parcel.header.lane
    const change = at === lane ? { vrfProof: wrong.vrfProof } : {}
    expect(blockFaults(change, { certificates: sealed.certificates.with(at, wrong) })).toEqual(['CERTIFICATE_VRF'])
  })

  it('may carry the proof of one older justification, and of no more than one', () => {
    const proof = [0, 1, 2, 3, 4].map((index) => voteAt(1, index))
    expect(blockFaults({}, { votes: [...proof, voteAt(2, 0)] })).toEqual([])
    const mixed = [...proof, makeVote({ ...voteAt(1, 5), source: { slot: 0, blockHash: sealed.hash }, signature: undefined as never })]
    expect(blockFaults({}, { votes: mixed })).toEqual(['BLOCK_VOTES'])
  })

  it('with an unknown parent is held when signed by its author, a bounded number of times', () => {
    const orphan = (index: number): BlockEnvelope => makeBlock({ parentHash: `0x${index.toString(16).padStart(64, '0')}`, number: 9 })
    expect(faults({ kind: 'block', block: makeBlock({ parentHash: `0x${'55'.repeat(32)}`, signature: WRONG_SIGNATURE }) })).toEqual([
      'BLOCK_SIGNATURE',
    ])
    const state = structuredClone(watcher.state)
    for (let index = 1; index <= 100; index++)
      step(config, state, { kind: 'message', from: 'peer', message: { kind: 'block', block: orphan(index) } }, watcher.crypto)
    // A sixth of 64: one author cannot push out what the five others made.
    expect(state.orphans.size).toBe(10)
  })

  it('of a later slot is not taken yet, below the final block never', () => {
    expect(judge([{ kind: 'block', block: makeBlock({ slot: 5 }) }])).toEqual([])
    expect(judge([{ kind: 'block', block: makeBlock({ number: 1, parentHash: `0x${'66'.repeat(32)}` }) }])).toEqual([])
  })

  it('that does not execute is forgotten with everything on it and not taken again', () => {
    const state = structuredClone(watcher.state)
    const feed = (event: Parameters<typeof step>[2]): readonly HhcmEffect[] => step(config, state, event, watcher.crypto).effects
    const asked = feed({ kind: 'message', from: 'peer', message: { kind: 'block', block: sealed } })
    const wanted = asked.flatMap((effect) => (effect.kind === 'request' ? [effect.hash] : []))
    const effects = wanted.flatMap((hash) => {
      const body = cluster.packages.get(hash)
      return body === undefined ? [] : feed({ kind: 'message', from: 'peer', message: { kind: 'package', package: body } })
    })
    expect(effects.map(({ kind }) => kind)).toContain('execute')
    feed({ kind: 'executed', blockHash: sealed.hash, valid: false })
    expect(state.nodes.has(sealed.hash)).toBe(false)
    expect(feed({ kind: 'message', from: 'peer', message: { kind: 'block', block: sealed } })).toEqual([])
    expect(state.head).toBe(watcher.state.head)
  })
})

describe('a vote', () => {
  const voteFaults = (change: Partial<Vote>): string[] => faults({ kind: 'vote', vote: makeVote(change) })

  it('of the protocol is taken', () => {
    expect(voteFaults({})).toEqual([])
  })

  it.each([
    ['VOTE_ORDER', { source: { slot: 3, blockHash: sealed.hash } }],
    ['VOTE_VOTER', { voter: STRANGER }],
    ['VOTE_SIGNATURE', { signature: WRONG_SIGNATURE }],
  ] as const)('is refused with %s', (fault, change) => {
    expect(voteFaults(change)).toEqual([fault])
  })

  it('from far ahead or from before the final block changes nothing', () => {
    for (const slot of [5, 1_000_000, watcher.state.finalized.slot]) {
      const state = structuredClone(watcher.state)
      const vote = makeVote({ target: { slot, blockHash: sealed.hash }, source: { slot: 0, blockHash: sealed.hash } })
      expect(step(config, state, { kind: 'message', from: 'peer', message: { kind: 'vote', vote } }, watcher.crypto).effects).toEqual([])
      expect(state.votes).toEqual(watcher.state.votes)
    }
  })

  it('counts once however often it comes, and two of a slot at most are kept', () => {
    const state = structuredClone(watcher.state)
    for (let copy = 0; copy < 10; copy++)
      for (const blockHash of [sealed.hash, watcher.state.head, watcher.state.root])
        step(
          config,
          state,
          { kind: 'message', from: 'p', message: { kind: 'vote', vote: makeVote({ target: { slot: 3, blockHash } }) } },
          watcher.crypto,
        )
    expect(state.votes.get(3)?.get(validators[0]?.address ?? '0x')).toHaveLength(2)
  })
})

describe('a co-signature', () => {
  it('is counted by the author only, and refused when wrong', () => {
    const author = cluster.nodes.find(({ config: { self } }) => self === parcel.header.author)
    const state = structuredClone(author?.state ?? watcher.state)
    if (state.round.own === null) throw new Error('the author has no package')
    state.round.own.isCertified = false
    state.round.own.coSignatures.delete(otherMember)
    // Without half of the stake nothing happens by itself.
    for (const member of members) if (member !== parcel.header.author) state.round.own.coSignatures.delete(member)
    const send = (coSignature: CoSignature): string[] =>
      step(
        author?.config ?? config,
        structuredClone(state),
        { kind: 'message', from: 'p', message: { kind: 'coSignature', coSignature } },
        author?.crypto ?? watcher.crypto,
      ).effects.map((effect) => (effect.kind === 'fault' ? effect.fault : effect.kind))
    const good = makeCoSignature(otherMember, parcel.header)
    expect(send(good)).toContain('broadcast')
    expect(send({ ...good, signature: WRONG_SIGNATURE })).toEqual(['CO_SIGNATURE'])
    expect(send({ ...good, lane: 1 - good.lane })).toEqual(['CO_SIGNATURE'])
    expect(send({ ...good, signer: STRANGER })).toEqual(['CO_SIGNATURE'])
    expect(send({ ...good, packageHash: sealed.hash })).toEqual(['CO_SIGNATURE'])
    // Signed by a validator that is no member: whoever passed it on could not know, and it counts for nothing.
    expect(send(makeCoSignature(outsider, parcel.header))).toEqual([])
  })

  it('with a wrong signature is refused by everybody, so that nobody passes it on to an author who would blame him', () => {
    const good = makeCoSignature(otherMember, parcel.header)
    expect(faults({ kind: 'coSignature', coSignature: good })).toEqual([])
    expect(faults({ kind: 'coSignature', coSignature: { ...good, signature: WRONG_SIGNATURE } })).toEqual(['CO_SIGNATURE'])
  })
})

describe('passing on', () => {
  const isTaken = (message: WireMessage, state = structuredClone(watcher.state)): boolean =>
    step(config, state, { kind: 'message', from: 'peer', message }, watcher.crypto).isTaken
  const signed = makeCoSignature(otherMember, parcel.header)
  const unknown = `0x${'77'.repeat(32)}` as const

  it.each<[string, WireMessage]>([
    ['package', { kind: 'package', package: parcel }],
    ['co-signature', { kind: 'coSignature', coSignature: signed }],
    ['certificate', { kind: 'certificate', certificate }],
    ['block', { kind: 'block', block: sealed }],
    ['vote', { kind: 'vote', vote: makeVote({}) }],
  ])('a verified %s of this slot is worth it', (_kind, message) => {
    expect(isTaken(message)).toBe(true)
  })

  it.each<[string, WireMessage]>([
    ['package of a slot that is over', { kind: 'package', package: makePackage({ slot: 2, signature: WRONG_SIGNATURE }) }],
    ['package of a far slot', { kind: 'package', package: makePackage({ slot: 9, signature: WRONG_SIGNATURE }) }],
    ['package of the next slot', { kind: 'package', package: makePackage({ slot: 4 }) }],
    ['package on an unknown parent', { kind: 'package', package: makePackage({ parentHash: unknown }) }],
    ['co-signature of a slot that is over', { kind: 'coSignature', coSignature: { ...signed, slot: 2, signature: WRONG_SIGNATURE } }],
    ['wrong co-signature', { kind: 'coSignature', coSignature: { ...signed, signature: WRONG_SIGNATURE } }],
    [
      'certificate of a slot that is over',
      { kind: 'certificate', certificate: makeCertificate({ header: makePackage({ slot: 2 }).header }) },
    ],
    [
      'certificate on an unknown parent',
      { kind: 'certificate', certificate: makeCertificate({ header: makePackage({ parentHash: unknown }).header }) },
    ],
    ['block of a later slot', { kind: 'block', block: makeBlock({ slot: 9, signature: WRONG_SIGNATURE }) }],
    ['block on an unknown parent', { kind: 'block', block: makeBlock({ parentHash: unknown, number: 9 }) }],
    ['block below the final one', { kind: 'block', block: makeBlock({ number: 1, parentHash: unknown, signature: WRONG_SIGNATURE }) }],
    ['vote of a far slot', { kind: 'vote', vote: makeVote({ target: { slot: 9, blockHash: sealed.hash }, signature: WRONG_SIGNATURE }) }],
    ['wrong vote', { kind: 'vote', vote: makeVote({ signature: WRONG_SIGNATURE }) }],
  ])('a %s is not', (_kind, message) => {
    expect(isTaken(message)).toBe(false)
  })

  it('a vote known from a block is, a changed signature on it is not', () => {
    const state = structuredClone(watcher.state)
    const vote = makeVote({})
    expect(isTaken({ kind: 'vote', vote }, state)).toBe(true)
    expect(isTaken({ kind: 'vote', vote }, state)).toBe(true)
    expect(isTaken({ kind: 'vote', vote: { ...vote, signature: WRONG_SIGNATURE } }, state)).toBe(false)
  })

  it('co-signatures of one validator are, up to four in a slot', () => {
    const state = structuredClone(watcher.state)
    const taken = Array.from({ length: 20 }, (_, index) => {
      const { header } = makePackage({ txRoot: `0x${index.toString(16).padStart(64, '0')}` })
      return isTaken({ kind: 'coSignature', coSignature: makeCoSignature(otherMember, header) }, state)
    })
    expect(taken.filter(Boolean)).toHaveLength(4)
  })
})

describe('a flood', () => {
  it('of certified packages or blocks by one author keeps two of a slot', () => {
    const state = structuredClone(watcher.state)
    const feed = (message: WireMessage): unknown => step(config, state, { kind: 'message', from: 'p', message }, watcher.crypto)
    for (let index = 0; index < 30; index++) {
      const { header } = makePackage({ txRoot: `0x${index.toString(16).padStart(64, '0')}` })
      const coSignatures = certificate.coSignatures.map(({ signer }) => makeCoSignature(signer, header))
      feed({ kind: 'certificate', certificate: makeCertificate({ header, coSignatures }) })
      feed({ kind: 'block', block: makeBlock({ gasUsed: BigInt(index) }) })
    }
    expect(state.round.certificates.size).toBe(2)
    expect([...state.nodes.values()].filter(({ header }) => header.slot === 3)).toHaveLength(2)
  })

  it('of changed bytes never makes the machine throw', () => {
    // The decoder lets through no package and no block of these machines, whose keccak is another; signed nonsense covers both.
    const messages: WireMessage[] = [
      { kind: 'certificate', certificate },
      { kind: 'vote', vote: makeVote({}) },
      { kind: 'coSignature', coSignature: makeCoSignature(otherMember, parcel.header) },
    ]
    const wire = messages.map((message) => encodeWireMessage(message))
    let taken = 0
    fc.assert(
      fc.property(fc.nat(2), fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }), (which, changes) => {
        const bytes = Uint8Array.from(wire[which] ?? [])
        for (const [at, value] of changes) bytes[at % bytes.length] = value
        try {
          const message = decodeWireMessage(bytes)
          taken++
          judge([message])
        } catch (error) {
          if (!(error instanceof DecodeError)) throw error
        }
      }),
      { numRuns: 500 },
    )
    expect(taken).toBeGreaterThan(50)
  })
})
