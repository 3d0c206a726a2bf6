/**
 * Seeded runs of key protocols over hostile relays with one cheating or dying party, and what must hold after each: nobody honest is named, nothing
 * but the ordered message is signed, honest parties that finish agree, and a run that ends over content names somebody. @module
 */
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { consume } from '#shared/dcrm/consumption.ts'
import { childKey, childShare } from '#shared/dcrm/derive.ts'
import type { DkgResult } from '#shared/dcrm/dkg-state.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import { ecdsaMachine } from '#shared/dcrm/ecdsa-sign.ts'
import { decodeEnvelope, encodeEnvelope, envelopeDigest } from '#shared/dcrm/envelope.ts'
import { frostMachine } from '#shared/dcrm/frost.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import type { PairSetupResult } from '#shared/dcrm/pair-setup.ts'
import { pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { Outgoing, RoundMachine, Step } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId, Scheme } from '#shared/dcrm/types.ts'
import { verifySignature } from '#shared/dcrm/verify.ts'
import type { PartyEnd, PartyKeys, WorldOptions } from '#test/sim/dcrm-world.ts'
import { partyKeys, runWorld } from '#test/sim/dcrm-world.ts'
import type { Prng } from '#test/sim/prng.ts'
import { createPrng } from '#test/sim/prng.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'
import { ed25519 } from '@noble/curves/ed25519.js'

export type Protocol = 'frost' | 'dkg' | 'ecdsa' | 'presign'
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
  /** One presignature of the signers, and the key it signs under. */
  presigned: ReadonlyMap<PartyId, Presignature>
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
  const ready = { backend, parties, taproot, ecdsa, pairs, signingKey: child?.signingKey ?? new Uint8Array(32) }
  const presign = new Map(SIGNERS.map((id) => [id, presigner(ready, id, seedOf('presign'), seedOf(`presign ${id}`))]))
  const presigned = new Map(
    [...runLockstep(presign).outcomes].flatMap(([id, end]) => (end.kind === 'done' ? [[id, end.result[0] as Presignature] as const] : [])),
  )
  const stage: Stage = { ...ready, presigned, foreign: [] }
  const foreign: Uint8Array[] = []
  runFrost(stage, 0, { corrupt: (_from, envelope) => (foreign.push(envelope), [envelope]) }, 99)
  return { ...stage, foreign }
}

const presigner = (
  { backend, ecdsa, pairs }: Pick<Stage, 'backend' | 'ecdsa' | 'pairs'>,
  self: PartyId,
  sid: Uint8Array,
  seed: Uint8Array,
) =>
  presignMachine({
    backend,
    share: ecdsa.get(self) as KeyShare,
    pairs: pairs.get(self) as PairSetupResult,
    set: SIGNERS,
    count: 1,
    sid,
    seed,
  })

/** What a cheater's own machine sends instead of the truth, sealed and signed like it. */
type Lie = (round: number, sent: Outgoing) => Outgoing

function lying<State, Result>(machine: RoundMachine<State, Result>, lie: Lie): RoundMachine<State, Result> {
  const spoil = (step: Step<State, Result>): Step<State, Result> =>
    step.kind === 'round' ? { ...step, send: lie(step.spec.round, step.send) } : step
  return { start: () => spoil(machine.start()), next: (state, inbox) => spoil(machine.next(state, inbox)) }
}

type Hostility = Partial<WorldOptions<never, never>> & Readonly<{ liar?: PartyId | null; lie?: Lie | null; isCalm?: boolean }>

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
  const { liar, lie, ...options } = hostility
  return runWorld<State, Result>({
    seed,
    subject: subjectOf(run.protocol, run.set, run.attempt),
    hasOpening: run.hasOpening,
    parties: stage.parties.filter(({ peer }) => run.set.includes(peer.id)),
    machine: (self, sid, own) => (self === liar && lie ? lying(machine(self, sid, own), lie) : machine(self, sid, own)),
    backend: stage.backend,
    crypto,
    relayCount: 2,
    ...(options as Partial<WorldOptions<State, Result>>),
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
  return world(stage, seed, hostility, { protocol: 'presign', set: SIGNERS, hasOpening: true, attempt: 0 }, (self, sid, own) =>
    presigner(stage, self, sid, own),
  )
}

const encodedKeyOf = ({ ecdsa }: Stage): Uint8Array => ecdsa.get(1)?.publicKey.commitments[0] ?? new Uint8Array(0)
const consumed = (stage: Stage, self: PartyId) => {
  const tuple = { digest: MESSAGE, tweak: 5n, entropy: seedOf('entropy') }
  const made = consume(stage.backend, encodedKeyOf(stage), stage.presigned.get(self) as Presignature, tuple)
  if (typeof made === 'string') throw new Error(made)
  return made
}

function runEcdsa(stage: Stage, seed: number, hostility: Hostility): ReadonlyMap<PartyId, PartyEnd<Uint8Array>> {
  return world(stage, seed, hostility, { protocol: 'ecdsa', set: SIGNERS, hasOpening: false, attempt: 0 }, (self) => {
    const { context, record } = consumed(stage, self)
    return ecdsaMachine({ backend: stage.backend, self, set: SIGNERS, context, digest: MESSAGE, partial: record.partial })
  })
}

/** Changes one byte of one message before it is sealed and signed, as a cheater's own code would. */
function lieOf(rng: Prng): Lie {
  const [round, place, change] = [1 + rng.below(6), rng.below(1_000_000), 1 + rng.below(255)]
  const isDirect = rng.chance(0.5)
  const bend = (bytes: Uint8Array): Uint8Array => bytes.map((byte, index) => (index === place % bytes.length ? byte ^ change : byte))
  return (at, sent) => {
    if (at !== round) return sent
    const isOnlyDirect = sent.broadcast === null || (isDirect && sent.direct.size > 0)
    if (!isOnlyDirect) return { ...sent, broadcast: bend(sent.broadcast) }
    const victim = [...sent.direct.keys()][place % Math.max(1, sent.direct.size)]
    return { ...sent, direct: new Map([...sent.direct].map(([to, bytes]) => [to, to === victim ? bend(bytes) : bytes])) }
  }
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
  const isCalm = rng.chance(0.25)
  const loss = isCalm ? 0 : rng.below(4) * 0.05
  const slowest = isCalm ? 200 : 20 + rng.below(1500)
  const isFirstRelayDead = !isCalm && rng.chance(0.15)
  const killed = cheater === null && !isCalm && rng.chance(0.3) ? (set[rng.below(set.length)] ?? null) : null
  const killedAtMs = rng.below(4000)
  const isInside = rng.chance(0.5)
  return {
    isCalm,
    liar: cheater,
    lie: cheater !== null && isInside ? lieOf(rng) : null,
    delivery: (world, _from, _to, relay) => {
      if ((isFirstRelayDead && relay === 0) || world.chance(loss)) return []
      return world.chance(0.1) ? [world.below(slowest), world.below(slowest)] : [world.below(slowest)]
    },
    foreign: [...stage.foreign, Uint8Array.from({ length: 300 }, () => rng.below(256))],
    killedAtMs: (id) => (id === killed ? killedAtMs : null),
    ...(cheater === null || isInside ? {} : { corrupt: cheat(stage, cheater, rng) }),
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

/** A wrong partial shows in no message of its own: the blame protocol finds it. */
const NEEDS_BLAME = 'BAD_PARTIAL'

type Ends = readonly (readonly [PartyId, PartyEnd<unknown>])[]

/** Honest parties that are proven guilty, by themselves or by others, or shut out, and ends over content that name nobody. */
function framed(honest: Ends, cheater: PartyId | null): readonly string[] {
  return honest.flatMap(([id, { faults, disputes, code, guilty }]) => [
    ...guilty.map((round) => `honest ${id} would be convicted by its broadcast of round ${round}`),
    ...faults
      .filter(({ accused, class: kind }) => kind !== 'absent' && accused !== cheater)
      .map(({ accused, code: fault }) => `${id} names honest ${accused} for ${fault}`),
    ...disputes.filter((accused) => accused !== cheater).map((accused) => `${id} disputes honest ${accused}`),
    ...(code !== null && CONTENT_CODES.includes(code) && faults.length === 0 ? [`${id} ended with ${code} and named nobody`] : []),
  ])
}

/** Where every envelope arrives in time, an end without result has a culprit, and somebody says who it is. */
function unexplained(honest: Ends, cheater: PartyId | null): readonly string[] {
  if (cheater === null) return ['nobody cheated, nothing was lost, and it did not finish']
  const isFound = honest.some(
    ([, { faults, disputes, absent, code }]) =>
      code === NEEDS_BLAME || disputes.includes(cheater) || absent.includes(cheater) || faults.some(({ accused }) => accused === cheater),
  )
  return isFound ? [] : ['nothing was lost, it did not finish, and nobody names the cheater']
}

function judge<Result>(
  { isCalm = false }: Hostility,
  ends: ReadonlyMap<PartyId, PartyEnd<Result>>,
  cheater: PartyId | null,
  sound: (results: readonly Result[]) => string | null,
): Pick<SeedReport, 'finished' | 'named' | 'violations'> {
  const honest = [...ends].filter(([id]) => id !== cheater)
  const results = honest.flatMap(([, { result }]) => (result === null ? [] : [result]))
  const unsound = sound(results)
  const finished = results.length === honest.length
  return {
    finished,
    named: honest.some(([, { faults }]) => faults.some(({ class: kind }) => kind !== 'absent')),
    violations: [
      ...framed(honest, cheater),
      ...(unsound === null ? [] : [unsound]),
      ...(isCalm && !finished ? unexplained(honest, cheater) : []),
    ],
  }
}

const allEqual = (texts: readonly string[], what: string): string | null =>
  new Set(texts).size > 1 ? `honest parties ended with different ${what}` : null

/** By cost: most seeds sign, some make keys, few presign. */
const MIX: readonly Protocol[] = [
  ...Array<Protocol>(11).fill('frost'),
  ...Array<Protocol>(3).fill('ecdsa'),
  ...Array<Protocol>(5).fill('dkg'),
  'presign',
]

/** One seed, from nothing to its report. */
export function runSeed(stage: Stage, seed: number): SeedReport {
  const rng = createPrng(seed)
  const protocol = MIX[rng.below(MIX.length)] ?? 'frost'
  const set = protocol === 'dkg' ? MEMBERS : SIGNERS
  const cheater = rng.chance(0.6) ? (set[rng.below(set.length)] ?? null) : null
  const hostility = hostilityOf(stage, rng, cheater, set)
  return { seed, protocol, cheater, ...outcomeOf(stage, seed, protocol, hostility, cheater) }
}

function outcomeOf(stage: Stage, seed: number, protocol: Protocol, hostility: Hostility, cheater: PartyId | null) {
  const isSigned = (scheme: Scheme, key: Uint8Array) => (results: readonly Uint8Array[]) =>
    results.every((signature) => verifySignature(stage.backend, scheme, key, MESSAGE, signature)) ? null : 'a signature over something else'
  if (protocol === 'frost') return judge(hostility, runFrost(stage, seed, hostility), cheater, isSigned('taproot', stage.signingKey))
  if (protocol === 'ecdsa')
    return judge(hostility, runEcdsa(stage, seed, hostility), cheater, isSigned('ecdsa', consumed(stage, 1).context.childKey))
  if (protocol === 'dkg')
    return judge(hostility, runDkg(stage, seed, hostility), cheater, (results) =>
      allEqual(
        results.map(({ certificate }) => bytesToHex(certificate)),
        'keys',
      ),
    )
  return judge(hostility, runPresign(stage, seed, hostility), cheater, (results) =>
    allEqual(
      results.map(([first]) => bytesToHex(first?.certificate ?? new Uint8Array(0))),
      'presignatures',
    ),
  )
}
