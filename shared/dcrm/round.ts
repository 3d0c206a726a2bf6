/**
 * The common form of every key protocol: rounds in lockstep. In each round a party sends at most one broadcast and one direct message per
 * receiver, then gets what the others sent. Who carries, signs, encrypts and echoes the messages is the session's business
 * (session.ts); what they say is the protocol's. States live in memory only and hold secrets. Source: docs/dcrm.md, rounds.
 * @module
 */
import type { PartyId } from '#shared/dcrm/types.ts'

/** What a party sends in one round. */
export type Outgoing = Readonly<{
  broadcast: Uint8Array | null
  /** By receiver; never to itself. */
  direct: ReadonlyMap<PartyId, Uint8Array>
}>

/** Exact size of a payload in bytes, or the inclusive range where it depends on its content. */
export type PayloadSize = number | Readonly<{ min: number; max: number }>

/** What a party expects in one round. Sizes and senders are checked before the protocol sees a payload. */
export type RoundSpec = Readonly<{
  /** Number on the wire, rising from 1; 0 is the session's opening. */
  round: number
  /** Short name as in docs/dcrm.md, such as `D1`. */
  name: string
  /** Whose broadcasts are awaited, this party's own among them when it sends one. */
  broadcastFrom: readonly PartyId[]
  broadcastSize: PayloadSize
  /** Who sends this party a direct message. */
  directFrom: readonly PartyId[]
  directSize: PayloadSize
  /** Whether all must agree on the broadcasts of this round before anything that depends on them is sent. */
  isEchoed: boolean
}>

/** What arrived in a round, own broadcast included. A sender that is awaited but not here stayed silent past the deadline. */
export type Inbox = Readonly<{
  broadcasts: ReadonlyMap<PartyId, Uint8Array>
  directs: ReadonlyMap<PartyId, Uint8Array>
}>

/**
 * How sure an accusation is. `proof`: anyone can verify it from the accused's signed messages. `dispute`: only this party can see it; the pair
 * never signs together again. `absent`: silence, counted, never punished as a fault.
 */
export type FaultClass = 'proof' | 'dispute' | 'absent'

/** A message of this run that an accusation rests on. `to` is null for a broadcast. */
export type MessageRef = Readonly<{ round: number; from: PartyId; to: PartyId | null }>

export type Fault = Readonly<{
  accused: PartyId
  class: FaultClass
  /** Stable SCREAMING_CODE, listed in docs/dcrm.md. */
  code: string
  evidence: readonly MessageRef[]
}>

/** Where a protocol stands after a step. Faults may come with any of them; a `dispute` must be stored before anything else happens. */
export type Step<State, Result> = Readonly<{ faults: readonly Fault[] }> &
  (
    | Readonly<{ kind: 'round'; state: State; spec: RoundSpec; send: Outgoing }>
    | Readonly<{ kind: 'done'; result: Result }>
    /** This run is over without a result; a new one needs fresh randomness. */
    | Readonly<{ kind: 'aborted'; code: string }>
  )

/** A protocol bound to one party, one set and one seed. Both functions are pure; `next` is called once per round. */
export type RoundMachine<State, Result> = Readonly<{
  start: () => Step<State, Result>
  next: (state: State, inbox: Inbox) => Step<State, Result>
}>
