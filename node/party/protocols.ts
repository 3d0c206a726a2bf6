/** Turns a duty into sessions, runs them, and hands back what the chain is to be told. @module */
import { fetchBounded } from '#node/bounded-fetch.ts'
import type { Awaited as AwaitedSignature, Duty, OperationDuty, SetupDuty, SigningDuty, StockDuty } from '#node/party/duties.ts'
import { OPERATION } from '#node/party/duties.ts'
import type { Board, ChainParty } from '#node/party/chain-view.ts'
import type { Custody } from '#node/party/custody.ts'
import { rawHash } from '#node/party/custody.ts'
import type { Presignatures } from '#node/party/presignatures.ts'
import { decodePublicKey } from '#node/party/share-codec.ts'
import type { RunnerParts, SessionEnd } from '#node/party/session-runner.ts'
import { aborted, runSession } from '#node/party/session-runner.ts'
import { bytesToBigint, bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { keyCertificate } from '#shared/dcrm/certificate.ts'
import { SCHEMES } from '#shared/dcrm/descriptor.ts'
import { childKey, childShare, childTweak } from '#shared/dcrm/derive.ts'
import { genericDigest, heartbeatDigest, signingEntropy } from '#shared/dcrm/digest.ts'
import { dkgMachine } from '#shared/dcrm/dkg.ts'
import { blameMachine } from '#shared/dcrm/ecdsa-blame.ts'
import type { Partial } from '#shared/dcrm/ecdsa-sign.ts'
import { decodePartial, ecdsaMachine } from '#shared/dcrm/ecdsa-sign.ts'
import { frostMachine } from '#shared/dcrm/frost.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import { descriptorHash } from '#shared/dcrm/ids.ts'
import { pairSetupMachine } from '#shared/dcrm/pair-setup.ts'
import { MAX_BATCH } from '#shared/dcrm/presign-state.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { recoveryMachine } from '#shared/dcrm/recovery.ts'
import { reshareMachine } from '#shared/dcrm/reshare.ts'
import type { RoundMachine } from '#shared/dcrm/round.ts'
import type { Peer } from '#shared/dcrm/session-types.ts'
import type { KeyDescriptor, KeyShare, PartyId, PublicKey } from '#shared/dcrm/types.ts'
import type { Hash, Hex } from '#shared/types.ts'

const ROUND_TIMEOUT_MS = 6000
/** Setting up a pair and presigning compute for longer between messages. */
const HEAVY_TIMEOUT_MS = 15_000
const KEY_TIMEOUT_MS = 3000
/** Several times the public part of a key of the largest committee. */
const PUBLIC_KEY_BYTES_MAX = 65_536

export type ProtocolParts = RunnerParts &
  Readonly<{
    custody: Custody
    presignatures: Presignatures
    self: PartyId
    chainId: number
    genesisHash: Hash
    /** Relays of a session in the order all parties use. */
    relaysOf: (board: Board, set: readonly PartyId[], session: Hash, attempt: number) => readonly string[]
    onProgress: (line: Readonly<{ protocol: string; key: Hash; round: string; party: PartyId }>) => void
  }>

/** What came of a duty. */
export type DutyEnd = Readonly<{
  /** Certificate and public key of a confirmed operation, or null. */
  confirmation: Readonly<{ digest: Hash; publicKey: Hex }> | null
  signature: Hex | null
  /** Sessions that failed, for the reports. */
  failures: readonly SessionEnd<unknown>[]
}>

const NOTHING: DutyEnd = { confirmation: null, signature: null, failures: [] }
const failed = (end: SessionEnd<unknown>): DutyEnd => ({ ...NOTHING, failures: [end] })

type Run = Readonly<{
  protocol: string
  key: Hash
  session: Hash
  epoch: number
  attempt: number
  set: readonly PartyId[]
  hasOpening: boolean
  descriptor: Uint8Array
  timeoutMs?: number
  isPaired?: boolean
}>

/** One session with the parties of a set. */
function session<State, Result>(
  parts: ProtocolParts,
  board: Board,
  run: Run,
  machine: (sid: Uint8Array, seed: Uint8Array) => RoundMachine<State, Result>,
): Promise<SessionEnd<Result>> {
  const { self, chainId } = parts
  const peers = run.set.flatMap((id) => board.parties.filter((party) => party.id === id).map(peerOf))
  return runSession<State, Result>(parts, {
    key: run.key,
    relays: parts.relaysOf(board, run.set, run.session, run.attempt),
    isPaired: run.isPaired ?? false,
    onProgress: (round, party) => parts.onProgress({ protocol: run.protocol, key: run.key, round, party }),
    plan: {
      subject: { chainId, protocol: run.protocol, requestId: rawHash(run.session), epoch: run.epoch, set: run.set, attempt: run.attempt },
      hasOpening: run.hasOpening,
      descriptorHash: run.descriptor,
      parties: peers,
      self,
      roundTimeoutMs: run.timeoutMs ?? ROUND_TIMEOUT_MS,
      machine,
    },
  })
}

const peerOf = ({ id, signKey, sealKey }: ChainParty): Peer => ({ id, signKey: hexToBytes(signKey), sealKey: hexToBytes(sealKey) })

/** Does a duty. */
export function perform(parts: ProtocolParts, board: Board, duty: Duty, randomness: Hash): Promise<DutyEnd> {
  if (duty.kind === 'operate') return operate(parts, board, duty)
  if (duty.kind === 'stock') return fillStock(parts, board, duty)
  return duty.kind === 'setup' ? setUpPair(parts, board, duty) : sign(parts, board, duty, randomness)
}

/** The descriptor an operation ends with. */
function descriptorOf({ chainId }: ProtocolParts, { key, operation }: OperationDuty): KeyDescriptor {
  const scheme = SCHEMES[key.scheme] ?? 'ecdsa'
  return { chainId, requestId: rawHash(key.id), scheme, threshold: operation.threshold, members: operation.members }
}

type OperationRun = Omit<Run, 'protocol'>

async function operate(parts: ProtocolParts, board: Board, duty: OperationDuty): Promise<DutyEnd> {
  const { key, operation, set } = duty
  const run: OperationRun = {
    key: key.id,
    session: operation.id,
    epoch: key.epoch,
    attempt: operation.attempt,
    set,
    hasOpening: true,
    descriptor: descriptorHash(parts.backend, descriptorOf(parts, duty)),
  }
  if (operation.kind === OPERATION.reshare) return reshare(parts, board, duty, run)
  return operation.kind === OPERATION.recover ? recover(parts, board, duty, run) : generate(parts, board, duty, run)
}

/** A new key, or new shares of one. */
async function generate(parts: ProtocolParts, board: Board, duty: OperationDuty, run: OperationRun): Promise<DutyEnd> {
  const { backend, self, custody } = parts
  const { key, operation } = duty
  const isRefresh = operation.kind === OPERATION.refresh
  const base = isRefresh ? custody.share(key) : null
  if (isRefresh && base === null) return NOTHING
  const descriptor = descriptorOf(parts, duty)
  const end = await session(parts, board, { ...run, protocol: isRefresh ? 'refresh' : 'dkg' }, (sid, seed) =>
    dkgMachine({ backend, descriptor, self, sid, seed, base }),
  )
  return end.kind === 'done' ? keep(parts, key.id, end.result.share, end) : failed(end)
}

async function reshare(parts: ProtocolParts, board: Board, duty: OperationDuty, run: OperationRun): Promise<DutyEnd> {
  const { backend, self, custody } = parts
  const { key, operation } = duty
  const held = custody.share(key)
  const old = held?.publicKey ?? (await publicKeyOf(parts, board, duty))
  const isDealer = operation.dealers.includes(self)
  if (old === null || (isDealer && held === null)) return NOTHING
  const next = descriptorOf(parts, duty)
  const end = await session(parts, board, { ...run, protocol: 'reshare' }, (_sid, seed) =>
    reshareMachine({ backend, self, seed, old, share: isDealer ? held : null, dealers: operation.dealers, next }),
  )
  if (end.kind !== 'done') return failed(end)
  return end.result.share === null ? { ...NOTHING, failures: [end] } : keep(parts, key.id, end.result.share, end)
}

async function recover(parts: ProtocolParts, board: Board, duty: OperationDuty, run: Omit<Run, 'protocol'>): Promise<DutyEnd> {
  const { backend, self, custody } = parts
  const { key, operation } = duty
  const isLost = operation.lost === self
  const share = isLost ? null : custody.share(key)
  const publicKey = share?.publicKey ?? (await publicKeyOf(parts, board, duty))
  if (publicKey === null || (!isLost && share === null)) return NOTHING
  const end = await session(parts, board, { ...run, protocol: 'recover' }, (_sid, seed) =>
    recoveryMachine({ backend, self, seed, publicKey, share, helpers: operation.dealers, lost: operation.lost }),
  )
  if (end.kind !== 'done') return failed(end)
  return end.result === null ? { ...NOTHING, failures: [end] } : keep(parts, key.id, end.result, end)
}

/** Stores a new share before anybody is told that it exists. */
function keep({ custody, backend }: ProtocolParts, key: Hash, share: KeyShare, end: SessionEnd<unknown>): DutyEnd {
  const { publicKey } = share
  const digest = bytesToHex(keyCertificate(backend, publicKey))
  custody.putShare(key, digest, share)
  const confirmation = {
    digest,
    publicKey: bytesToHex(publicKey.commitments[0] ?? new Uint8Array(0)),
  }
  return { confirmation, signature: null, failures: [end] }
}

async function setUpPair(parts: ProtocolParts, board: Board, duty: SetupDuty): Promise<DutyEnd> {
  const { backend, self, custody } = parts
  const { key, set, attempt } = duty
  const run = {
    isPaired: true,
    protocol: 'setup',
    key: key.id,
    session: key.id,
    epoch: key.epoch,
    attempt,
    set,
    hasOpening: true,
    descriptor: hashItems(backend, 'setup/descriptor', rawHash(key.id), key.epoch),
    timeoutMs: HEAVY_TIMEOUT_MS,
  }
  const end = await session(parts, board, run, (sid, seed) => pairSetupMachine({ backend, self, set, sid, seed }))
  if (end.kind !== 'done') return failed(end)
  for (const pair of end.result.values()) custody.putPair(key.id, key.epoch, pair)
  return { ...NOTHING, failures: [end] }
}

/** The digest of a duty, from final chain state alone. */
export function digestOf(
  { backend, genesisHash }: Pick<ProtocolParts, 'backend' | 'genesisHash'>,
  board: Board,
  { session: id, heartbeatEpoch, key }: AwaitedSignature,
  randomness: Hash,
): Uint8Array | null {
  if (heartbeatEpoch !== null) return heartbeatDigest(backend, rawHash(genesisHash), rawHash(key.id), heartbeatEpoch, rawHash(randomness))
  const request = board.requests.find((each) => each.id === id)
  return request === undefined ? null : genericDigest(backend, rawHash(genesisHash), rawHash(id), rawHash(request.message))
}

async function sign(parts: ProtocolParts, board: Board, duty: SigningDuty, randomness: Hash): Promise<DutyEnd> {
  const { backend, custody } = parts
  const { key, set, attempt, path } = duty
  if (custody.hasDisputed(key.id, key.epoch, set)) return failed(aborted('DISPUTED', duty.session))
  const share = custody.share(key)
  const message = digestOf(parts, board, duty, randomness)
  const scheme = SCHEMES[key.scheme] ?? 'ecdsa'
  const child = childKey(backend, scheme, rawHash(key.id), hexToBytes(key.publicKey), path)
  if (share === null || message === null || child === null) return NOTHING
  const run = { key: key.id, session: duty.session, epoch: key.epoch, attempt, set, descriptor: new Uint8Array(32) }
  if (scheme === 'ecdsa') return signEcdsa(parts, board, duty, share, message, randomness)
  const own = childShare(backend, share, path)
  if (own === null) return NOTHING
  const end = await session(parts, board, { ...run, protocol: 'frost', hasOpening: false }, (_sid, seed) =>
    frostMachine({ backend, share: own, set, message, signingKey: child.signingKey, seed }),
  )
  return end.kind === 'done' ? { ...NOTHING, signature: bytesToHex(end.result), failures: [end] } : failed(end)
}

async function signEcdsa(
  parts: ProtocolParts,
  board: Board,
  duty: SigningDuty,
  share: KeyShare,
  digest: Uint8Array,
  randomness: Hash,
): Promise<DutyEnd> {
  const { backend, presignatures, self } = parts
  const { key, set, attempt, path } = duty
  const encodedKey = hexToBytes(key.publicKey)
  const presignature = await presignatureFor(parts, board, duty, share)
  if ('failures' in presignature) return presignature
  const tweak = childTweak(backend, 'ecdsa', rawHash(key.id), encodedKey, path)
  const tuple = { digest, tweak, entropy: signingEntropy(backend, rawHash(randomness), rawHash(duty.session)) }
  const use = presignatures.use(presignature.psid, encodedKey, tuple)
  if (typeof use === 'string') return failed(aborted(use, duty.session))
  // Parties that hold different presignatures must not meet: their partials would make each other look like cheaters.
  const name = bytesToHex(hashItems(backend, 'ecdsa/session', rawHash(duty.session), presignature.psid))
  const run = { key: key.id, session: name, epoch: key.epoch, attempt, set, descriptor: new Uint8Array(32), hasOpening: false }
  const partials = new Map<PartyId, Partial>()
  const end = await session(parts, board, { ...run, protocol: 'ecdsa' }, () =>
    listening(ecdsaMachine({ backend, self, set, context: use.context, digest, partial: use.partial }), (id, payload) => {
      const partial = decodePartial(backend.secp256k1.order, payload)
      if (partial !== null) partials.set(id, partial)
    }),
  )
  if (end.kind === 'done') return { ...NOTHING, signature: bytesToHex(end.result), failures: [end] }
  if (end.code !== 'BAD_PARTIAL') return failed(end)
  const blame = await session(parts, board, { ...run, protocol: 'blame' }, (_sid, seed) =>
    blameMachine({
      backend,
      self,
      presignature,
      context: use.context,
      digest,
      tweak,
      encodedKey,
      partials,
      phi: bytesToBigint(presignature.phi),
      seed,
    }),
  )
  return { ...NOTHING, failures: [end, blame] }
}

/** The same machine, whose broadcasts are also heard here. */
function listening<State, Result>(
  machine: RoundMachine<State, Result>,
  hear: (id: PartyId, payload: Uint8Array) => void,
): RoundMachine<State, Result> {
  return {
    start: machine.start,
    next: (state, inbox) => {
      for (const [id, payload] of inbox.broadcasts) hear(id, payload)
      return machine.next(state, inbox)
    },
  }
}

/** The lowest one in stock on the first attempt, a fresh one otherwise; a failed session's end when there is none. */
async function presignatureFor(parts: ProtocolParts, board: Board, duty: SigningDuty, share: KeyShare): Promise<Presignature | DutyEnd> {
  const { keyId, epoch } = share.publicKey
  const [stocked] = duty.attempt === 0 ? parts.presignatures.stock(keyId, epoch, duty.set) : []
  if (stocked !== undefined) return stocked
  const end = await presign(parts, board, { key: duty.key, session: duty.session, attempt: duty.attempt, set: duty.set, count: 1 }, share)
  if (end === null) return NOTHING
  return end.kind === 'done' ? (end.result[0] ?? NOTHING) : failed(end)
}

async function fillStock(parts: ProtocolParts, board: Board, duty: StockDuty): Promise<DutyEnd> {
  const { key, session: name, attempt, set } = duty
  const share = parts.custody.share(key)
  const end = share === null ? null : await presign(parts, board, { key, session: name, attempt, set, count: MAX_BATCH }, share)
  if (end?.kind === 'done') parts.custody.outdateCopies()
  return end === null ? NOTHING : failed(end)
}

/** Makes presignatures with a set; null while a pair of it is not set up. */
export async function presign(
  parts: ProtocolParts,
  board: Board,
  batch: Readonly<{ key: Board['keys'][number]; session: Hash; attempt: number; set: readonly PartyId[]; count: number }>,
  share: KeyShare,
) {
  const { backend, custody, presignatures, self } = parts
  const { key, set, count } = batch
  const pairs = new Map(
    set.flatMap((peer) => {
      const pair = peer === self ? null : custody.pair(key.id, key.epoch, peer)
      return pair === null ? [] : [[peer, pair] as const]
    }),
  )
  if (pairs.size < set.length - 1) return null
  const run = {
    isPaired: true,
    protocol: 'presign',
    key: key.id,
    session: batch.session,
    epoch: key.epoch,
    attempt: batch.attempt,
    set,
    hasOpening: true,
    descriptor: hashItems(backend, 'presig/descriptor', share.publicKey.keyId, key.epoch, count),
    timeoutMs: HEAVY_TIMEOUT_MS,
  }
  const end = await session(parts, board, run, (sid, seed) => presignMachine({ backend, share, pairs, set, count, sid, seed }))
  if (end.kind === 'done') presignatures.add(end.result)
  // Whoever stayed away may have no half of the pair: it died while the pair was set up. Without ours both sides set it up again.
  else custody.forgetPairs(key.id, key.epoch, end.absent)
  return end
}

/** The public part of a key a party has no share of: from any member, checked against the digest all members confirmed on chain. */
async function publicKeyOf({ backend, signal }: ProtocolParts, board: Board, { key }: OperationDuty): Promise<PublicKey | null> {
  const members = board.parties.filter(({ id, relayUrl }) => key.members.includes(id) && relayUrl !== '')
  for (const { relayUrl } of members) {
    try {
      const url = `${relayUrl.replace(/\/$/, '')}/v1/keys/${key.id.slice(2)}/${key.epoch}`
      const ends = AbortSignal.any([signal, AbortSignal.timeout(KEY_TIMEOUT_MS)])
      const publicKey = decodePublicKey((await fetchBounded(url, { signal: ends }, PUBLIC_KEY_BYTES_MAX)).text)
      if (bytesToHex(keyCertificate(backend, publicKey)) === key.digest) return publicKey
    } catch {
      // The next member may answer; without any the operation waits for its next attempt.
    }
  }
  return null
}
