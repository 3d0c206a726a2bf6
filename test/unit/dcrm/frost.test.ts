/** FROST machines in lockstep, against noble's own FROST and plain verification. Source: RFC 9591, BIP340, RFC 8032. @module */
import { createHash } from 'node:crypto'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bytesToBigint, concatBytes } from '#shared/bytes.ts'
import type { ChildPath } from '#shared/dcrm/derive.ts'
import { childKey, childShare } from '#shared/dcrm/derive.ts'
import type { FrostInput, FrostState } from '#shared/dcrm/frost.ts'
import { frostMachine } from '#shared/dcrm/frost.ts'
import { frostAggregate, frostContext, frostShare } from '#shared/dcrm/frost-math.ts'
import { frostSuite } from '#shared/dcrm/frost-suite.ts'
import type { Outcome, Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Inbox, RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { InvariantError } from '#shared/fault.ts'
import { ed25519, ed25519_FROST } from '@noble/curves/ed25519.js'
import { schnorr, schnorr_FROST, secp256k1, secp256k1_hasher } from '@noble/curves/secp256k1.js'
import { dealtShares, encoded, seedOf, u64 } from '#test/unit/dcrm/support.ts'

const GENERIC: ChildPath = { purpose: 'generic', subject: new Uint8Array(32) }
const MESSAGE = seedOf('message')

type Setup = Readonly<{ scheme: 'taproot' | 'ed25519'; signingKey: Uint8Array; inputs: ReadonlyMap<PartyId, FrostInput> }>

function setUp(scheme: 'taproot' | 'ed25519', set: readonly PartyId[], word: string, message = MESSAGE): Setup {
  const shares = dealtShares(scheme, set.length, [...set, 40, 50], word)
  const { publicKey } = shares.get(40) as KeyShare
  const child = childKey(nobleBackend, scheme, publicKey.descriptor.requestId, publicKey.commitments[0] as Uint8Array, GENERIC)
  const signingKey = child?.signingKey as Uint8Array
  const input = (id: PartyId): FrostInput => ({
    backend: nobleBackend,
    share: childShare(nobleBackend, shares.get(id) as KeyShare, GENERIC) as KeyShare,
    set,
    message,
    signingKey,
    seed: seedOf(`${word} ${id}`),
  })
  return { scheme, signingKey, inputs: new Map(set.map((id) => [id, input(id)])) }
}

function run(setup: Setup, tamper?: Tamper): ReadonlyMap<PartyId, Outcome<Uint8Array>> {
  const machines = new Map<PartyId, RoundMachine<FrostState, Uint8Array>>()
  for (const [id, input] of setup.inputs) machines.set(id, frostMachine(input))
  return runLockstep(machines, tamper).outcomes
}

const isValid = (setup: Setup, signature: Uint8Array): boolean =>
  setup.scheme === 'taproot'
    ? schnorr.verify(signature, MESSAGE, setup.signingKey)
    : ed25519.verify(signature, MESSAGE, setup.signingKey, { zip215: false })

const flip = (bytes: Uint8Array, at: number): Uint8Array => bytes.map((byte, index) => (index === at ? byte ^ 1 : byte))
const tamperWith =
  (cheater: PartyId, inRound: number, change: (bytes: Uint8Array) => Uint8Array): Tamper =>
  (from, round, sent) =>
    from === cheater && round === inRound && sent.broadcast !== null ? { ...sent, broadcast: change(sent.broadcast) } : sent

const start = (setup: Setup, id: PartyId) => {
  const machine = frostMachine(setup.inputs.get(id) as FrostInput)
  const step = machine.start()
  if (step.kind !== 'round' || step.send.broadcast === null) throw new Error('a machine starts with a commitment')
  return { machine, state: step.state, spec: step.spec, sent: step.send.broadcast }
}

/** Signers 2 and 7 by hand. Signer 2 finds under its own name what `own` makes of the other's message, else its own message. */
function twoRounds(setup: Setup, own: (ofOther: Uint8Array, ofSelf: Uint8Array) => Uint8Array = (_, ofSelf) => ofSelf) {
  const [two, seven] = [start(setup, 2), start(setup, 7)]
  const inbox = (ofTwo: Uint8Array, ofSeven: Uint8Array): Inbox => ({
    broadcasts: new Map([
      [2, ofTwo],
      [7, ofSeven],
    ]),
    directs: new Map(),
  })
  const second = two.machine.next(two.state, inbox(own(seven.sent, two.sent), seven.sent))
  const other = seven.machine.next(seven.state, inbox(two.sent, seven.sent))
  if (second.kind !== 'round' || other.kind !== 'round') throw new Error('shares follow the commitments')
  const [share, ofSeven] = [second.send.broadcast as Uint8Array, other.send.broadcast as Uint8Array]
  const end = two.machine.next(second.state, inbox(own(ofSeven, share), ofSeven))
  return { specs: [two.spec, second.spec], share, end }
}

describe.each(['taproot', 'ed25519'] as const)('FROST over %s', (scheme) => {
  it('gives all signers one signature that everybody accepts under the child key', () => {
    for (const word of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const setup = setUp(scheme, [2, 7, 9], word)
      const outcomes = [...run(setup).values()]
      const signatures = outcomes.map((outcome) => (outcome.kind === 'done' ? outcome.result : new Uint8Array(0)))
      expect(new Set(signatures.map(String)).size).toBe(1)
      expect(isValid(setup, signatures[0] as Uint8Array)).toBe(true)
      expect(outcomes.flatMap(({ faults }) => faults)).toEqual([])
    }
  })
  it('names the sender of a wrong share, and nobody else, whatever the signs of key and nonce are', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        fc.constantFrom(2, 7, 9),
        fc.integer({ min: 8, max: 31 }),
        (word, cheater, at) => {
          for (const [id, outcome] of run(
            setUp(scheme, [2, 7, 9], word),
            tamperWith(cheater, 2, (bytes) => flip(bytes, at)),
          )) {
            if (id === cheater) continue
            expect(outcome.kind === 'aborted' ? outcome.code : '').toBe('SHARE_INVALID')
            expect(outcome.faults.map(({ accused, class: kind, code }) => ({ accused, kind, code }))).toEqual([
              { accused: cheater, kind: 'proof', code: 'FROST_SHARE_INVALID' },
            ])
          }
        },
      ),
      { numRuns: 6 },
    )
  })
  it('names the sender of a malformed commitment or of a share that is no scalar', () => {
    const named = (tamper: Tamper) =>
      [...run(setUp(scheme, [2, 7, 9], 'malformed'), tamper)].filter(([id]) => id !== 7).map(([, { faults }]) => faults)
    for (const faults of named(tamperWith(7, 1, (bytes) => new Uint8Array(bytes.length).fill(255))))
      expect(faults).toEqual([
        { accused: 7, class: 'proof', code: 'FROST_COMMITMENT_MALFORMED', evidence: [{ round: 1, from: 7, to: null }] },
      ])
    for (const faults of named(tamperWith(7, 2, () => new Uint8Array(32).fill(255))))
      expect(faults).toEqual([{ accused: 7, class: 'proof', code: 'FROST_SHARE_MALFORMED', evidence: [{ round: 2, from: 7, to: null }] }])
  })
  it('counts a silent signer as absent, not as a cheater', () => {
    for (const silentIn of [1, 2]) {
      const outcomes = run(setUp(scheme, [2, 7, 9], 'silent'), (from, round, sent) => (from === 9 && round === silentIn ? null : sent))
      const outcome = outcomes.get(2)
      expect(outcome?.kind === 'aborted' && outcome.code).toBe(silentIn === 1 ? 'COMMITMENTS_INCOMPLETE' : 'SHARES_INCOMPLETE')
      expect(outcomes.get(2)?.faults).toEqual([
        { accused: 9, class: 'absent', code: 'SIGNER_ABSENT', evidence: [{ round: silentIn, from: 9, to: null }] },
      ])
    }
  })
  it('refuses sets of another size, strangers in the set, and signing for others', () => {
    const { inputs } = setUp(scheme, [2, 7, 9], 'sets')
    const input = inputs.get(2) as FrostInput
    for (const set of [
      [2, 7],
      [2, 7, 9, 40],
      [2, 7, 8],
      [7, 9, 40],
    ])
      expect(() => frostMachine({ ...input, set })).toThrow(/set/)
  })
  it('echoes commitments, because a split view of them would make an honest signer look like a cheater, and nothing else', () => {
    const { specs } = twoRounds(setUp(scheme, [2, 7], 'echo'))
    const all = { broadcastFrom: [2, 7], directFrom: [], directSize: 0 }
    expect(specs).toEqual([
      { ...all, round: 1, name: 'commit', broadcastSize: scheme === 'taproot' ? 66 : 64, isEchoed: true },
      { ...all, round: 2, name: 'share', broadcastSize: 32, isEchoed: false },
    ])
  })
  it('takes its own part from itself, whatever came in under its own name', () => {
    const setup = setUp(scheme, [2, 7], 'own')
    const { share, end } = twoRounds(setup)
    const confused = twoRounds(setup, (ofOther) => ofOther)
    expect(confused.share).toEqual(share)
    expect(confused.end).toEqual(end)
    expect(end.kind === 'done' && isValid(setup, end.result)).toBe(true)
  })
  it('draws its nonces as RFC 9591 asks, from two outputs of its own seed, each hedged with its share', () => {
    const input = setUp(scheme, [2, 7, 9], 'hedged').inputs.get(2) as FrostInput
    const step = frostMachine(input).start()
    const nonce = (counter: number): bigint => {
      const random = createHash('shake256', { outputLength: 32 })
        .update(encoded('drbg', input.seed, Buffer.from('frost'), u64(counter)))
        .digest()
      if (scheme === 'taproot')
        return secp256k1_hasher.hashToScalar(concatBytes(random, input.share.secret), { DST: 'FROST-secp256k1-SHA256-TR-v1nonce' })
      const wide = createHash('sha512')
        .update('FROST-ED25519-SHA512-v1nonce')
        .update(random)
        .update(input.share.secret.toReversed())
        .digest()
      return bytesToBigint(wide.toReversed()) % ed25519.Point.Fn.ORDER
    }
    const base = scheme === 'taproot' ? secp256k1.Point.BASE : ed25519.Point.BASE
    const expected = [0, 1].map((counter) => base.multiply(nonce(counter)).toBytes())
    expect(step.kind === 'round' && step.send.broadcast).toEqual(concatBytes(...expected))
  })
  it('refuses a stored key whose point is none', () => {
    const input = setUp(scheme, [2, 7], 'broken').inputs.get(2) as FrostInput
    const { publicKey } = input.share
    const broken = { ...input.share, publicKey: { ...publicKey, commitments: [new Uint8Array(33), ...publicKey.commitments.slice(1)] } }
    const machine = frostMachine({ ...input, share: broken })
    const step = machine.start()
    if (step.kind !== 'round' || step.send.broadcast === null) throw new Error('a machine starts with a commitment')
    const broadcasts = new Map([2, 7].map((id) => [id, step.send.broadcast as Uint8Array]))
    expect(() => machine.next(step.state, { broadcasts, directs: new Map() })).toThrow(InvariantError)
  })
  it('never repeats nonces for another seed', () => {
    const commitment = (word: string) => {
      const input = { ...(setUp(scheme, [2, 7, 9], 'nonces').inputs.get(2) as FrostInput), seed: seedOf(word) }
      const step = frostMachine(input).start()
      return step.kind === 'round' ? String(step.send.broadcast) : ''
    }
    expect(commitment('one')).not.toBe(commitment('two'))
  })
  it('signs beside noble’s own signers of the same key', () => {
    // Party 2 is ours, party 7 is noble's; neither can tell the other's code apart.
    const peer = scheme === 'taproot' ? schnorr_FROST : ed25519_FROST
    const setup = setUp(scheme, [2, 7], 'peers')
    const [ours, theirs] = [setup.inputs.get(2) as FrostInput, setup.inputs.get(7) as FrostInput]
    const { publicKey } = theirs.share
    const identifier = (id: PartyId) => peer.Identifier.fromNumber(id)
    const littleEndian = (bytes: Uint8Array) => (scheme === 'ed25519' ? bytes.toReversed() : bytes)
    const group = {
      signers: { min: 2, max: publicKey.descriptor.members.length },
      commitments: [...publicKey.commitments],
      verifyingShares: Object.fromEntries(publicKey.descriptor.members.map((id, index) => [identifier(id), publicKey.publicShares[index]])),
    } as Parameters<typeof peer.validateSecret>[1]
    const secret = { identifier: identifier(7), signingShare: littleEndian(theirs.share.secret) }
    peer.validateSecret(secret, group)
    const round = peer.commit(secret)
    const machine = frostMachine(ours)
    const first = machine.start()
    if (first.kind !== 'round' || first.send.broadcast === null) throw new Error('a machine starts with a commitment')
    const half = first.send.broadcast.length / 2
    const list = [
      { identifier: identifier(2), hiding: first.send.broadcast.slice(0, half), binding: first.send.broadcast.slice(half) },
      round.commitments,
    ]
    const both = new Map([
      [2, first.send.broadcast],
      [7, new Uint8Array([...round.commitments.hiding, ...round.commitments.binding])],
    ])
    const second = machine.next(first.state, { broadcasts: both, directs: new Map() })
    if (second.kind !== 'round' || second.send.broadcast === null) throw new Error('a share follows the commitments')
    const theirShare = littleEndian(peer.signShare(secret, group, round.nonces, list, MESSAGE))
    const end = machine.next(second.state, {
      broadcasts: new Map([
        [2, second.send.broadcast],
        [7, theirShare],
      ]),
      directs: new Map(),
    })
    expect(end.kind === 'done' && isValid(setup, end.result)).toBe(true)
  })
})

describe('FROST', () => {
  it('signs for Schnorr schemes only', () => {
    const share = dealtShares('ecdsa', 2, [2, 7]).get(2) as KeyShare
    const input = { backend: nobleBackend, share, set: [2, 7], message: MESSAGE, signingKey: new Uint8Array(33), seed: seedOf('ecdsa') }
    expect(() => frostMachine(input)).toThrow(InvariantError)
  })
  it('ends without a culprit where the nonces cancel out', () => {
    // A hash that always gives c makes both nonces c and all binding factors c, so that the other can answer with the very negative.
    const group = nobleBackend.ed25519
    const constant = new Uint8Array(64).fill(7)
    const c = bytesToBigint(constant.toReversed()) % group.order
    const setup = setUp('ed25519', [2, 7], 'cancel')
    const backend = { ...nobleBackend, sha512: () => constant }
    const { machine, state, sent } = start({ ...setup, inputs: new Map([[2, { ...(setup.inputs.get(2) as FrostInput), backend }]]) }, 2)
    expect(sent).toEqual(concatBytes(...group.encodeAll([group.mulBase(c), group.mulBase(c)])))
    const binding = group.mulBase(1n)
    const hiding = group.negate(group.mulBase((c + c * c + c) % group.order))
    const answer = concatBytes(...group.encodeAll([hiding, binding]))
    const broadcasts = new Map([
      [2, sent],
      [7, answer],
    ])
    expect(machine.next(state, { broadcasts, directs: new Map() })).toEqual({ kind: 'aborted', code: 'NONCE_IDENTITY', faults: [] })
  })
  it('never negates over Ed25519, even where an encoding begins like that of an odd point of the other curve', () => {
    const suite = frostSuite(nobleBackend, 'ed25519')
    const { group } = suite
    const beginsWithThree = (from: bigint): bigint => {
      for (let k = from; ; k++) if (group.encode(group.mulPublic(group.generator, k))[0] === 3) return k
    }
    const secret = beginsWithThree(1n)
    const nonces = { hiding: beginsWithThree(secret + 1n), binding: 5n }
    const key = group.mulBase(secret)
    const commitment = { id: 1, hiding: group.mulBase(nonces.hiding), binding: group.mulBase(nonces.binding) }
    const context = frostContext(suite, key, MESSAGE, [commitment])
    if (context === null) throw new Error('these nonces do not cancel out')
    const signature = frostAggregate(suite, context, [frostShare(suite, context, 1, secret, nonces)])
    expect(ed25519.verify(signature, MESSAGE, group.encode(key), { zip215: false })).toBe(true)
  })
})
