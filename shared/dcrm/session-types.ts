/** Events, effects and state of a session. Source: docs/dcrm.md, sessions. @module */
import type { DcrmBackend } from '#shared/dcrm/backend.ts'
import type { EnvelopeCrypto, PairSecrets } from '#shared/dcrm/envelope-crypto.ts'
import type { Envelope } from '#shared/dcrm/envelope.ts'
import type { SessionSubject } from '#shared/dcrm/ids.ts'
import type { Fault, RoundMachine, RoundSpec } from '#shared/dcrm/round.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import type { UnixMs } from '#shared/types.ts'

/** A party as the chain knows it. */
export type Peer = Readonly<{ id: PartyId; /** Ed25519. */ signKey: Uint8Array; /** X25519. */ sealKey: Uint8Array }>
/** Long-term secrets of this party, 32 bytes each. */
export type OwnKeys = Readonly<{ signSecret: Uint8Array; sealSecret: Uint8Array }>

/** Everything a session is set up with; all but the seed follows from finalised chain state. */
export type SessionPlan<State, Result> = Readonly<{
  subject: SessionSubject
  /** Whether round 0 exchanges nonces and ephemeral keys: needed where there are direct messages. */
  hasOpening: boolean
  /** What all must mean by the session, 32 bytes. */
  descriptorHash: Uint8Array
  parties: readonly Peer[]
  self: PartyId
  /** A phase that lasts longer goes on without whoever is missing. */
  roundTimeoutMs: number
  /** Relays in the order of their use. */
  relayCount: number
  /** 32 fresh secret bytes. */
  seed: Uint8Array
  /** Makes the protocol once the session has its id; `seed` is for it alone. */
  machine: (sid: Uint8Array, seed: Uint8Array) => RoundMachine<State, Result>
}>

/** Fixed throughout a session. */
export type SessionContext<State, Result> = Readonly<{
  plan: SessionPlan<State, Result>
  keys: OwnKeys
  crypto: EnvelopeCrypto
  backend: DcrmBackend
  openId: Uint8Array
}>

export type SessionEvent =
  | Readonly<{ kind: 'start'; nowMs: UnixMs }>
  | Readonly<{ kind: 'envelope'; relay: number; bytes: Uint8Array; nowMs: UnixMs }>
  | Readonly<{ kind: 'tick'; nowMs: UnixMs }>

/** Evidence is encoded envelopes, the accused's own first. */
export type SessionEffect<Result> =
  /** To be durable before anything later in the list. */
  | Readonly<{ kind: 'join'; openId: Uint8Array }>
  | Readonly<{ kind: 'dispute'; accused: PartyId; code: string }>
  | Readonly<{ kind: 'send'; relay: number; envelope: Uint8Array }>
  /** A party's message of a round is here. */
  | Readonly<{ kind: 'progress'; round: number; name: string; party: PartyId }>
  /** `proof` is what the chain convicts by, null where it would not. */
  | Readonly<{ kind: 'fault'; fault: Fault; evidence: readonly Uint8Array[]; proof: Uint8Array | null }>
  | Readonly<{ kind: 'done'; result: Result }>
  | Readonly<{ kind: 'aborted'; code: string; absent: readonly PartyId[] }>

/** One phase: opening, a round's messages, its echoes, exchange of originals after unequal ones, second echoes. */
export type SessionPhase = 'idle' | 'opening' | 'round' | 'echo' | 'exchange' | 'second echo' | 'over'

export type SessionState<State> = Readonly<{
  phase: SessionPhase
  phaseSinceMs: UnixMs
  /** Session id once known; the opening's before. */
  id: Uint8Array
  /** Relays 0 … `reach` are written to. */
  reach: number
  /** Start of the phase in which the reach last grew; −1 at first. */
  reachedInMs: UnixMs
  /** First valid envelope of each place. */
  accepted: ReadonlyMap<string, Envelope>
  /** Everything this party has sent, for relays that come in later. */
  sent: readonly Uint8Array[]
  /** Signed envelopes of ids that are not this session's yet. */
  early: readonly Envelope[]
  /** Ephemeral secrets of the pairs, by peer. */
  secrets: ReadonlyMap<PartyId, PairSecrets>
  machineSeed: Uint8Array
  spec: RoundSpec | null
  inner: State | null
  /** Hash over what was agreed so far, 32 bytes. */
  chain: Uint8Array
  /** Senders whose message of the round was reported as progress. */
  reported: readonly PartyId[]
  /** What this party's last echo said: its view of the round from then on. */
  view: Uint8Array
  /** Parties already accused of equivocation. */
  accused: readonly PartyId[]
}>

export type SessionStep<State, Result> = Readonly<{ state: SessionState<State>; effects: readonly SessionEffect<Result>[] }>
