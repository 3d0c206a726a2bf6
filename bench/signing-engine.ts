/**
 * All parties of a threshold key in one process, nothing between them but function calls: the cost of the protocols alone, without envelopes,
 * relay or disk. Keys made here are for measurements only, because one process holds every share.
 * @module
 */
import { randomBytes } from 'node:crypto'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import { consume } from '#shared/dcrm/consumption.ts'
import type { ChildKey, ChildPath } from '#shared/dcrm/derive.ts'
import { childKey, childShare } from '#shared/dcrm/derive.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import { ecdsaMachine } from '#shared/dcrm/ecdsa-sign.ts'
import { frostMachine } from '#shared/dcrm/frost.ts'
import type { LockstepRun } from '#shared/dcrm/lockstep.ts'
import { runLockstep } from '#shared/dcrm/lockstep.ts'
import type { PairSetupResult } from '#shared/dcrm/pair-setup.ts'
import { pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import type { RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare, PartyId, Scheme } from '#shared/dcrm/types.ts'
import { invariant } from '#shared/fault.ts'

/** Child that the measurements sign with, as `fusion key sign` does. */
const PATH: ChildPath = { purpose: 'generic', subject: new Uint8Array(32) }

/** One key and everything its members hold. */
export type BenchKey = Readonly<{
  scheme: Scheme
  threshold: number
  shares: ReadonlyMap<PartyId, KeyShare>
  /** Pairwise states by member; empty unless the scheme is ECDSA. */
  pairs: ReadonlyMap<PartyId, PairSetupResult>
  child: ChildKey
}>

/** Something made by several parties, and the most bytes of payload one of them sent for it. */
export type Made<T> = Readonly<{ result: T; bytesPerParty: number }>
/** One presignature, by signer. */
export type BenchPresignature = ReadonlyMap<PartyId, Presignature>

/** The engine as others measure it beside their own. */
export type SigningBench = Readonly<{
  name: string
  /** Key generation by n members with threshold t, for ECDSA with the setup of all pairs. */
  keygen: (t: number, n: number) => BenchKey
  /**
   * A whole signature over 32 bytes by exactly t of the members 1…n, from nothing prepared: 65 bytes r ‖ s ‖ recovery id for ECDSA, 64 for the
   * others, valid under `keys.child.signingKey`.
   */
  sign: (keys: BenchKey, signers: readonly PartyId[], messageHash: Uint8Array) => Uint8Array
}>

/** The engine step by step, with what each step sends. */
export type MeasuredBench = Readonly<{
  /** Key generation by n members, for ECDSA with the setup of all pairs. */
  keygen: (threshold: number, members: number) => Made<BenchKey>
  /** ECDSA only: one presignature of exactly these signers. */
  presign: (key: BenchKey, signers: readonly PartyId[]) => Made<BenchPresignature>
  /** What remains once the message is known; `presigned` is required for ECDSA. A presignature serves one call. */
  signOnline: (key: BenchKey, signers: readonly PartyId[], digest: Uint8Array, presigned: BenchPresignature | null) => Made<Uint8Array>
}>

function runAll<State, Result>(machines: ReadonlyMap<PartyId, RoundMachine<State, Result>>): Made<ReadonlyMap<PartyId, Result>> {
  const { outcomes, bytesSent }: LockstepRun<Result> = runLockstep(machines)
  const results = new Map<PartyId, Result>()
  for (const [id, outcome] of outcomes) {
    invariant(outcome.kind === 'done', 'honest parties finish')
    results.set(id, outcome.result)
  }
  return { result: results, bytesPerParty: Math.max(...bytesSent.values()) }
}

/** One machine per party. */
const each = <Machine>(ids: readonly PartyId[], make: (id: PartyId) => Machine): ReadonlyMap<PartyId, Machine> =>
  new Map(ids.map((id) => [id, make(id)]))

function of<T>(map: ReadonlyMap<PartyId, T>, id: PartyId): T {
  const value = map.get(id)
  invariant(value !== undefined, 'every signer is a member')
  return value
}

/** The one signature all signers ended with. */
function common({ result, bytesPerParty }: Made<ReadonlyMap<PartyId, Uint8Array>>): Made<Uint8Array> {
  const [signature, ...others] = [...result.values()]
  invariant(signature !== undefined && others.every((other) => Buffer.from(other).equals(signature)), 'all signers end with one signature')
  return { result: signature, bytesPerParty }
}

function keygen(backend: DcrmBackend, scheme: Scheme, threshold: number, count: number): Made<BenchKey> {
  const members = Array.from({ length: count }, (_, index) => index + 1)
  const descriptor = { chainId: 81_920, requestId: randomBytes(32), scheme, threshold, members }
  const sid = randomBytes(32)
  const made = runAll(each(members, (self) => dkgMachine({ backend, descriptor, self, sid, seed: randomBytes(32), base: null })))
  const shares = new Map([...made.result].map(([id, { share }]) => [id, share]))
  const setup = scheme === 'ecdsa' ? setUpPairs(backend, members) : null
  const [encodedKey] = of(shares, 1).publicKey.commitments
  const child = encodedKey === undefined ? null : childKey(backend, scheme, descriptor.requestId, encodedKey, PATH)
  invariant(child !== null, 'a generated key has children')
  const bytesPerParty = made.bytesPerParty + (setup?.bytesPerParty ?? 0)
  return { result: { scheme, threshold, shares, pairs: setup?.result ?? new Map(), child }, bytesPerParty }
}

function setUpPairs(backend: DcrmBackend, set: readonly PartyId[]): Made<ReadonlyMap<PartyId, PairSetupResult>> {
  const sid = randomBytes(32)
  return runAll(each(set, (self) => pairSetupMachine({ backend, self, set, sid, seed: randomBytes(32) })))
}

function presign(backend: DcrmBackend, { shares, pairs }: BenchKey, signers: readonly PartyId[]): Made<BenchPresignature> {
  const sid = randomBytes(32)
  const { result, bytesPerParty } = runAll(
    each(signers, (id) =>
      presignMachine({ backend, share: of(shares, id), pairs: of(pairs, id), set: signers, count: 1, sid, seed: randomBytes(32) }),
    ),
  )
  const first = new Map<PartyId, Presignature>()
  for (const [id, [presignature]] of result) if (presignature !== undefined) first.set(id, presignature)
  return { result: first, bytesPerParty }
}

function signEcdsa(backend: DcrmBackend, key: BenchKey, presigned: BenchPresignature, digest: Uint8Array): Made<Uint8Array> {
  const set = [...presigned.keys()]
  const tuple = { digest, tweak: key.child.tweak, entropy: randomBytes(32) }
  return common(
    runAll(
      each(set, (self) => {
        const [encodedKey] = of(key.shares, self).publicKey.commitments
        invariant(encodedKey !== undefined, 'a key has commitments')
        const used = consume(backend, encodedKey, of(presigned, self), tuple)
        invariant(typeof used !== 'string', 'random tuples can be signed')
        return ecdsaMachine({ backend, self, set, context: used.context, digest, partial: used.record.partial })
      }),
    ),
  )
}

function signFrost(backend: DcrmBackend, { shares, child }: BenchKey, set: readonly PartyId[], message: Uint8Array): Made<Uint8Array> {
  return common(
    runAll(
      each(set, (self) => {
        const share = childShare(backend, of(shares, self), PATH)
        invariant(share !== null, 'a generated key has children')
        return frostMachine({ backend, share, set, message, signingKey: child.signingKey, seed: randomBytes(32) })
      }),
    ),
  )
}

/** The steps of one scheme on the fastest backend of this host. */
export function createMeasuredBench(scheme: Scheme, backend: DcrmBackend = createNativeBackend()): MeasuredBench {
  return {
    keygen: (threshold, members) => keygen(backend, scheme, threshold, members),
    presign: (key, signers) => presign(backend, key, signers),
    signOnline: (key, signers, digest, presigned) => {
      if (key.scheme !== 'ecdsa') return signFrost(backend, key, signers, digest)
      invariant(presigned !== null, 'ECDSA signs online from a presignature')
      return signEcdsa(backend, key, presigned, digest)
    },
  }
}

/** All parties of one scheme in one process, on the fastest backend of this host. */
export function createSigningBench(scheme: Scheme = 'ecdsa', backend: DcrmBackend = createNativeBackend()): SigningBench {
  const steps = createMeasuredBench(scheme, backend)
  return {
    name: `fusion-${scheme}`,
    keygen: (t, n) => steps.keygen(t, n).result,
    sign: (keys, signers, messageHash) => {
      const presigned = scheme === 'ecdsa' ? steps.presign(keys, signers).result : null
      return steps.signOnline(keys, signers, messageHash, presigned).result
    },
  }
}
