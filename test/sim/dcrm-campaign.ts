/**
 * Seeded runs of key protocols over hostile relays with one cheating or dying party, and what must hold after each: nobody honest is named, nothing
 * but the ordered message is signed, honest parties that finish agree, and a run that ends over content names somebody. @module
 */
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { childKey, childShare } from '#shared/dcrm/derive.ts'
import type { DkgResult } from '#shared/dcrm/dkg-state.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import { decodeEnvelope, encodeEnvelope, envelopeDigest } from '#shared/dcrm/envelope.ts'
import { frostMachine } from '#shared/dcrm/frost.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import type { PairSetupResult } from '#shared/dcrm/pair-setup.ts'
import { pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId } from '#shared/dcrm/types.ts'
import { verifySignature } from '#shared/dcrm/verify.ts'
import type { PartyEnd, PartyKeys, WorldOptions } from '#test/sim/dcrm-world.ts'
import { partyKeys, runWorld } from '#test/sim/dcrm-world.ts'
import type { Prng } from '#test/sim/prng.ts'
import { createPrng } from '#test/sim/prng.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'
import { ed25519 } from '@noble/curves/ed25519.js'

export type Protocol = 'frost' | 'dkg' | 'presign'
/** What came of one seed. */
export type SeedReport = Readonly<{
  seed: number
  protocol: Protocol
  cheater: PartyId | null
  finished: boolean
  named: boolean
  violations: readonly string[]
}>

const MEMBERS: readonly PartyId[] = [1, 2, 3]
const SIGNERS: readonly PartyId[] = [1, 2]
const MESSAGE = seedOf('the ordered message')
const PATH = { purpose: 'generic', subject: new Uint8Array(32) } as const
const crypto = nativeEnvelopeCrypto

/** Keys and pair states all seeds share: what is attacked is the session, not how it was prepared. */
export type Stage = Readonly<{
  backend: DcrmBackend
  parties: readonly PartyKeys[]
  taproot: ReadonlyMap<PartyId, KeyShare>
  ecdsa: ReadonlyMap<PartyId, KeyShare>
  pairs: ReadonlyMap<PartyId, PairSetupResult>
  signingKey: Uint8Array
  /** Envelopes of an honest session under another attempt. */
  foreign: readonly Uint8Array[]
}>

/** Prepares a stage. */
export function createStage(): Stage {
  const backend = createNativeBackend()
  const parties = MEMBERS.map((id) => partyKeys(id, crypto, backend, (secret) => ed25519.getPublicKey(secret)))
  const taproot = dealtShares('taproot', 2, MEMBERS, 'sim', backend)
  const ecdsa = dealtShares('ecdsa', 2, MEMBERS, 'sim', backend)
  const { publicKey } = taproot.get(1) as KeyShare
  const child = childKey(backend, 'taproot', publicKey.descriptor.requestId, publicKey.commitments[0] as Uint8Array, PATH)
  const setup = (self: PartyId) => pairSetupMachine({ backend, self, set: SIGNERS, sid: seedOf('setup'), seed: seedOf(`setup ${self}`) })
  const { outcomes } = runLockstep(new Map(SIGNERS.map((id) => [id, setup(id)])))
  const pairs = new Map([...outcomes].flatMap(([id, outcome]) => (outcome.kind === 'done' ? [[id, outcome.result] as const] : [])))
  const stage: Stage = { backend, parties, taproot, ecdsa, pairs, signingKey: child?.signingKey ?? new Uint8Array(32), foreign: [] }
  const foreign: Uint8Array[] = []
  runFrost(stage, 0, { corrupt: (_from, envelope) => (foreign.push(envelope), [envelope]) }, 99)
  return { ...stage, foreign }
}

type Hostility = Partial<WorldOptions<never, never>>

const subjectOf = (protocol: string, set: readonly PartyId[], attempt: number) => ({
  chainId: 81_920,
  protocol,
  requestId: seedOf('request'),
  epoch: 0,
  set,
  attempt,
})

function world<State, Result>(
  stage: Stage,
  seed: number,
  hostility: Hostility,
  run: Readonly<{ protocol: string; set: readonly PartyId[]; hasOpening: boolean; attempt: number }>,
  machine: (self: PartyId, sid: Uint8Array, own: Uint8Array) => RoundMachine<State, Result>,
): ReadonlyMap<PartyId, PartyEnd<Result>> {
  return runWorld<State, Result>({
    seed,
    subject: subjectOf(run.protocol, run.set, run.attempt),
    hasOpening: run.hasOpening,
    parties: stage.parties.filter(({ peer }) => run.set.includes(peer.id)),
    machine,
    backend: stage.backend,
    crypto,
    relayCount: 2,
    ...(hostility as Partial<WorldOptions<State, Result>>),
  })
}

function runFrost(stage: Stage, seed: number, hostility: Hostility, attempt = 0): ReadonlyMap<PartyId, PartyEnd<Uint8Array>> {
  const { backend, signingKey } = stage
  return world(stage, seed, hostility, { protocol: 'frost', set: SIGNERS, hasOpening: false, attempt }, (self, _sid, own) =>
    frostMachine({
      backend,
      share: childShare(backend, stage.taproot.get(self) as KeyShare, PATH) as KeyShare,
      set: SIGNERS,
      message: MESSAGE,
      signingKey,
      seed: own,
    }),
  )
}

function runDkg(stage: Stage, seed: number, hostility: Hostility): ReadonlyMap<PartyId, PartyEnd<DkgResult>> {
  const { backend } = stage
  const descriptor = { chainId: 81_920, requestId: seedOf('request'), scheme: 'taproot', threshold: 2, members: MEMBERS } as const
  return world(stage, seed, hostility, { protocol: 'dkg', set: MEMBERS, hasOpening: true, attempt: 0 }, (self, sid, own) =>
    dkgMachine({ backend, descriptor, self, sid, seed: own, base: null }),
  )
}

function runPresign(stage: Stage, seed: number, hostility: Hostility): ReadonlyMap<PartyId, PartyEnd<readonly Presignature[]>> {
  const { backend } = stage
  return world(stage, seed, hostility, { protocol: 'presign', set: SIGNERS, hasOpening: true, attempt: 0 }, (self, sid, own) =>
    presignMachine({
      backend,
      share: stage.ecdsa.get(self) as KeyShare,
      pairs: stage.pairs.get(self) as PairSetupResult,
      set: SIGNERS,
      count: 1,
      sid,
      seed: own,
    }),
  )
}

/** Changes one byte of what the cheater says, signed anew; sometimes says both. */
function cheat(stage: Stage, cheater: PartyId, rng: Prng): NonNullable<Hostility['corrupt']> {
  const keys = stage.parties.find(({ peer }) => peer.id === cheater)?.keys
  let left = 1 + rng.below(2)
  const skip = rng.below(6)
  let seen = 0
  return (from, bytes) => {
    const envelope = decodeEnvelope(bytes)
    if (from !== cheater || keys === undefined || envelope === null || envelope.kind === 'forward' || envelope.payload.length === 0)
      return [bytes]
    if (seen++ < skip || left === 0) return [bytes]
    left--
    const at = rng.below(envelope.payload.length)
    const payload = envelope.payload.map((byte, index) => (index === at ? byte ^ (1 + rng.below(255)) : byte))
    const changed = { ...envelope, payload }
    const lie = encodeEnvelope({ ...changed, signature: crypto.sign(keys.signSecret, envelopeDigest(stage.backend, changed)) })
    return rng.chance(0.4) ? [bytes, lie] : [lie]
  }
}

function hostilityOf(stage: Stage, rng: Prng, cheater: PartyId | null, set: readonly PartyId[]): Hostility {
  const loss = rng.below(4) * 0.05
  const slowest = 20 + rng.below(1500)
  const isFirstRelayDead = rng.chance(0.15)
  const killed = cheater === null && rng.chance(0.3) ? (set[rng.below(set.length)] ?? null) : null
  const killedAtMs = rng.below(4000)
  const lie = cheater === null ? null : cheat(stage, cheater, rng)
  return {
    delivery: (world, _from, _to, relay) => {
      if ((isFirstRelayDead && relay === 0) || world.chance(loss)) return []
      return world.chance(0.1) ? [world.below(slowest), world.below(slowest)] : [world.below(slowest)]
    },
    foreign: [...stage.foreign, Uint8Array.from({ length: 300 }, () => rng.below(256))],
    killedAtMs: (id) => (id === killed ? killedAtMs : null),
    ...(lie === null ? {} : { corrupt: lie }),
  }
}

/** Codes that say somebody's content was wrong, not that somebody or something was away. */
const CONTENT_CODES = [
  'SHARE_INVALID',
  'PEER_CHEATED',
  'DEALER_OUT',
  'DEALER_EXPOSED',
  'KEYS_DO_NOT_SUM',
  'PRESIGNATURE_DIFFERS',
  'CERTIFICATE_MISMATCH',
]

function judge<Result>(
  ends: ReadonlyMap<PartyId, PartyEnd<Result>>,
  cheater: PartyId | null,
  sound: (results: readonly Result[]) => string | null,
): Pick<SeedReport, 'finished' | 'named' | 'violations'> {
  const honest = [...ends].filter(([id]) => id !== cheater)
  const violations: string[] = []
  for (const [id, { faults, disputes, code }] of honest) {
    for (const { accused, class: kind, code: fault } of faults)
      if (kind !== 'absent' && accused !== cheater) violations.push(`${id} names honest ${accused} for ${fault}`)
    for (const accused of disputes) if (accused !== cheater) violations.push(`${id} disputes honest ${accused}`)
    if (code !== null && CONTENT_CODES.includes(code) && faults.length === 0) violations.push(`${id} ended with ${code} and named nobody`)
  }
  const results = honest.flatMap(([, { result }]) => (result === null ? [] : [result]))
  const unsound = sound(results)
  if (unsound !== null) violations.push(unsound)
  const named = honest.some(([, { faults }]) => faults.some(({ class: kind }) => kind !== 'absent'))
  return { finished: results.length === honest.length, named, violations }
}

const allEqual = (texts: readonly string[], what: string): string | null =>
  new Set(texts).size > 1 ? `honest parties ended with different ${what}` : null

/** One seed, from nothing to its report. Most seeds sign, some make keys, few presign, by their cost. */
export function runSeed(stage: Stage, seed: number): SeedReport {
  const rng = createPrng(seed)
  const pick = rng.below(20)
  const protocol: Protocol = pick < 14 ? 'frost' : pick < 19 ? 'dkg' : 'presign'
  const set = protocol === 'dkg' ? MEMBERS : SIGNERS
  const cheater = rng.chance(0.6) ? (set[rng.below(set.length)] ?? null) : null
  const hostility = hostilityOf(stage, rng, cheater, set)
  const head = { seed, protocol, cheater }
  if (protocol === 'frost')
    return {
      ...head,
      ...judge(runFrost(stage, seed, hostility), cheater, (results) =>
        results.every((signature) => verifySignature(stage.backend, 'taproot', stage.signingKey, MESSAGE, signature))
          ? null
          : 'a signature over something else',
      ),
    }
  if (protocol === 'dkg')
    return {
      ...head,
      ...judge(runDkg(stage, seed, hostility), cheater, (results) =>
        allEqual(
          results.map(({ certificate }) => bytesToHex(certificate)),
          'keys',
        ),
      ),
    }
  return {
    ...head,
    ...judge(runPresign(stage, seed, hostility), cheater, (results) =>
      allEqual(
        results.map(([first]) => bytesToHex(first?.certificate ?? new Uint8Array(0))),
        'presignatures',
      ),
    ),
  }
}
