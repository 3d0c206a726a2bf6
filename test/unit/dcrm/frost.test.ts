/** FROST machines in lockstep, against noble's own FROST and plain verification. Source: RFC 9591, BIP340, RFC 8032. @module */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ChildPath } from '#shared/dcrm/derive.ts'
import { childKey, childShare } from '#shared/dcrm/derive.ts'
import type { FrostInput, FrostState } from '#shared/dcrm/frost.ts'
import { frostMachine } from '#shared/dcrm/frost.ts'
import type { Outcome, Tamper } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { ed25519, ed25519_FROST } from '@noble/curves/ed25519.js'
import { schnorr, schnorr_FROST } from '@noble/curves/secp256k1.js'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'

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

describe.each(['taproot', 'ed25519'] as const)('FROST over %s', (scheme) => {
  it('gives all signers one signature that everybody accepts under the child key', () => {
    for (const word of ['a', 'b', 'c', 'd', 'e', 'f']) {
      const setup = setUp(scheme, [2, 7, 9], word)
      const outcomes = [...run(setup).values()]
      const signatures = outcomes.map((outcome) => (outcome.kind === 'done' ? outcome.result : new Uint8Array(0)))
      expect(new Set(signatures.map(String)).size).toBe(1)
      expect(isValid(setup, signatures[0] as Uint8Array)).toBe(true)
    }
  })
  it('names the sender of a wrong share, and nobody else', () => {
    fc.assert(
      fc.property(fc.constantFrom(2, 7, 9), fc.integer({ min: 8, max: 31 }), (cheater, at) => {
        for (const [id, outcome] of run(
          setUp(scheme, [2, 7, 9], 'wrong'),
          tamperWith(cheater, 2, (bytes) => flip(bytes, at)),
        )) {
          if (id === cheater) continue
          expect(outcome.kind === 'aborted' ? outcome.code : '').toBe('SHARE_INVALID')
          expect(outcome.faults.map(({ accused, class: kind, code }) => ({ accused, kind, code }))).toEqual([
            { accused: cheater, kind: 'proof', code: 'FROST_SHARE_INVALID' },
          ])
        }
      }),
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
      expect(outcomes.get(2)?.kind).toBe('aborted')
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
  it('echoes commitments, because a split view of them would make an honest signer look like a cheater', () => {
    const step = frostMachine(setUp(scheme, [2, 7, 9], 'echo').inputs.get(2) as FrostInput).start()
    expect(step.kind === 'round' && step.spec).toMatchObject({ round: 1, isEchoed: true, broadcastFrom: [2, 7, 9], directFrom: [] })
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
