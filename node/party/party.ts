/**
 * A party: registers itself, follows final blocks, does its duties one session each, and tells the chain what came of them. It trusts its own
 * validator for the chain and nobody for anything else. Source: docs/dcrm.md, persistence; paper 3.4.3, 3.5.
 * @module
 */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { lockDataDir } from '#node/data-lock.ts'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { Logger } from '#node/log.ts'
import type { Board, ChainKey } from '#node/party/chain-view.ts'
import { ChainView, KEY_ACTIVE, heartbeatName } from '#node/party/chain-view.ts'
import { Custody } from '#node/party/custody.ts'
import type { Duty } from '#node/party/duties.ts'
import {
  ABSENCES_MAX,
  OPERATION_STATE,
  attemptStart,
  awaitedSignatures,
  operationDuties,
  setupDuties,
  signingDuty,
  stockDuties,
  stockHeight,
  turnOf,
} from '#node/party/duties.ts'
import type { Seat } from '#node/party/enrolment.ts'
import { enrol, lineOf } from '#node/party/enrolment.ts'
import { isOwnDuty, standingOf } from '#node/party/lease.ts'
import { NOT_YET, Outbox } from '#node/party/outbox.ts'
import { Presignatures } from '#node/party/presignatures.ts'
import type { DutyEnd, ProtocolParts } from '#node/party/protocols.ts'
import { perform } from '#node/party/protocols.ts'
import { isLocalAddress } from '#node/party/relay-address.ts'
import { startRelayServer } from '#node/party/relay-server.ts'
import { relaysOf } from '#node/party/relays.ts'
import { encodePublicKey } from '#node/party/share-codec.ts'
import type { PartySettings } from '#node/party/settings.ts'
import { Restarts, isUsable } from '#node/party/usability.ts'
import { openVault } from '#node/party/vault.ts'
import { hexToBytes, bytesToHex, utf8ToBytes } from '#shared/bytes.ts'
import { ATTEMPT_BLOCKS } from '#shared/dcrm/digest.ts'
import { SCHEMES } from '#shared/dcrm/descriptor.ts'
import type { PartyId } from '#shared/dcrm/types.ts'
import { DecodeError } from '#shared/fault.ts'
import { DEVNET_PARAMS } from '#shared/params.ts'
import type { Hash, Hex } from '#shared/types.ts'

const POLL_MS = 1000
/** How long whoever comes later in turn waits before it does what the first should have done. */
const TURN_MS = 6000
/** Refusal of a report that was checked before it was sent: the others see the same proof, and one was first. */
const EVIDENCE_SEEN = 'EvidenceWrong'

/** Runs until the signal. @throws {DecodeError} DATA_DIR_IN_USE, DATA_DIR_UNLOCKED, PASSPHRASE_WRONG, NETWORK_DIFFERS, LEASE_REFUSED, LEASE_LOST */
export async function runParty(settings: PartySettings, log: Logger, signal: AbortSignal): Promise<void> {
  mkdirSync(settings.dataDir, { recursive: true, mode: 0o700 })
  const lock = await lockDataDir(settings.dataDir)
  try {
    if (!lock.isHeld)
      throw new DecodeError(
        'DATA_DIR_UNLOCKED',
        settings.dataDir,
        'expected a folder that can be locked: a shorter path, on a system with local sockets',
      )
    await runOver(settings, log, signal)
  } finally {
    await lock.release()
  }
}

async function runOver(settings: PartySettings, log: Logger, signal: AbortSignal): Promise<void> {
  const vault = openVault(join(settings.dataDir, 'custody'), settings.passphrase)
  const stock = openVault(join(settings.dataDir, 'presignatures'), settings.passphrase)
  const party = new Party(settings, log, signal, new Custody(vault), stock)
  try {
    await party.run()
  } finally {
    await vault.close()
    await stock.close()
  }
}

/** A code as the chain keeps it: 32 bytes of text. */
const reasonOf = (code: string): Hex => bytesToHex(utf8ToBytes(code.padEnd(32, '\0').slice(0, 32)))

class Party {
  readonly #settings: PartySettings
  readonly #log: Logger
  readonly #signal: AbortSignal
  readonly #custody: Custody
  readonly #chain: ChainView
  readonly #backend = createNativeBackend()
  readonly #presignatures: Presignatures
  readonly #running = new Set<string>()
  readonly #firstSeen = new Map<string, number>()
  readonly #outbox: Outbox
  readonly #restarts = new Restarts()
  /** Ends all sessions when this process does not speak for the party any more. */
  readonly #stop = new AbortController()
  #board: Board | null = null
  #signKeys = new Map<PartyId, Uint8Array>()

  constructor(settings: PartySettings, log: Logger, signal: AbortSignal, custody: Custody, stock: ReturnType<typeof openVault>) {
    this.#settings = settings
    this.#log = log
    this.#signal = signal
    this.#custody = custody
    this.#outbox = new Outbox(log, Date.now)
    this.#chain = new ChainView(settings.rpcUrl, settings.chainId, settings.operatorKey)
    this.#presignatures = new Presignatures(stock, custody, this.#backend, Date.now)
  }

  async run(): Promise<void> {
    const relay = await startRelayServer({
      host: this.#settings.host,
      port: this.#settings.port,
      keyOf: (party) => this.#signKeys.get(party) ?? null,
      isOwn: (openId) => this.#custody.hasJoined(openId),
      crypto: nativeEnvelopeCrypto,
      backend: this.#backend,
      nowMs: Date.now,
      publicKeyOf: (key, epoch) => {
        const version = this.#board?.keys.find((each) => each.id === key && each.epoch === epoch)
        const share = version === undefined ? null : this.#custody.share(version)
        return share === null ? null : encodePublicKey(share.publicKey)
      },
      status: () => this.#status(),
    })
    const relayUrl = this.#settings.publicUrl ?? relay.url
    if (isLocalAddress(relayUrl) && this.#settings.chainId !== DEVNET_PARAMS.chainId)
      this.#log.warn('relay-local', { relay: relayUrl, expected: 'a public URL that the other parties reach' })
    try {
      const seat = await enrol({
        chain: this.#chain,
        custody: this.#custody,
        presignatures: this.#presignatures,
        log: this.#log,
        signal: this.#signal,
        dataDir: this.#settings.dataDir,
        relayUrl,
        pollMs: POLL_MS,
        renewsKeys: this.#settings.renewsKeys,
      })
      this.#log.info('party-ready', { party: seat.self, account: this.#chain.account, relay: relayUrl })
      await this.#follow(seat, relayUrl)
    } finally {
      this.#stop.abort()
      await relay.close()
    }
  }

  #status(): unknown {
    const presignatures = Object.fromEntries(
      (this.#board?.keys ?? []).filter(({ scheme }) => SCHEMES[scheme] === 'ecdsa').map((key) => [key.id, this.#stockOf(key, null)]),
    )
    const party = this.#board?.parties.find(({ account }) => account === this.#chain.account)?.id ?? null
    return { party, finalHeight: this.#board?.height ?? null, presignatures, sessions: [...this.#running] }
  }

  async #follow(seat: Seat, relayUrl: string): Promise<void> {
    let seen = -1
    while (!this.#signal.aborted) {
      try {
        const height = await this.#chain.finalHeight()
        // A final chain does not shrink; a node that shows less than before is behind, and nothing is begun on its word.
        if (height > seen || (height === seen && (this.#running.size > 0 || !this.#outbox.isEmpty))) {
          const board = await this.#chain.board(height)
          seen = height
          this.#board = board
          this.#signKeys = new Map(board.parties.map(({ id, signKey }) => [id, hexToBytes(signKey)]))
          this.#keepLease(board, seat, relayUrl)
          await this.#dispatch(board, seat)
        }
      } catch (cause) {
        if (cause instanceof DecodeError && cause.code === 'LEASE_LOST') throw cause
        this.#log.debug('poll-failed', { cause: lineOf(cause) })
      }
      await sleep(POLL_MS, undefined, { signal: this.#signal }).catch(() => undefined)
    }
  }

  /** @throws {DecodeError} LEASE_LOST when another process speaks for this party: then this one says no more */
  #keepLease(board: Board, { self }: Seat, relayUrl: string): void {
    const lease = this.#custody.lease()
    const row = board.parties.find(({ id }) => id === self)
    if (lease === null || row === undefined) return
    const standing = standingOf(lease, row)
    if (standing === 'lost')
      throw new DecodeError('LEASE_LOST', this.#settings.dataDir, 'expected to speak for this party, got another process that does')
    // Out of draws for being absent, and here after all: only a lease of its own says so.
    if (standing === 'held' && row.excludedAt === 0n && row.absences >= ABSENCES_MAX) this.#custody.outdateCopies()
    if (standing === 'behind')
      this.#outbox.ensure('lease', {
        notBeforeMs: 0,
        isWanted: (now) => now.parties.some(({ id, generation }) => id === self && generation < lease.generation),
        send: () => this.#chain.send('renewLease', [lease.instanceId, lease.generation, relayUrl]),
      })
  }

  async #dispatch(board: Board, seat: Seat): Promise<void> {
    const { self } = seat
    this.#settle(board, self)
    this.#outbox.tell(board)
    this.#seatOperations(board, self)
    for (const duty of operationDuties(board, self)) this.#begin(duty, board, seat, null)
    for (const duty of setupDuties(board, self, this.#custody)) this.#begin(duty, board, seat, null)
    await this.#fillStock(board, seat)
    for (const awaited of awaitedSignatures(board, self, heartbeatName)) {
      const proven = await this.#chain.randomness(awaited.openingHeight)
      const beginning = await this.#chain.board(attemptStart(awaited))
      const duty = signingDuty(this.#backend, beginning, self, awaited, proven.randomness)
      if (duty !== null) this.#begin(duty, board, seat, proven.randomness)
    }
  }

  async #fillStock(board: Board, seat: Seat): Promise<void> {
    const { self } = seat
    const hasEcdsa = board.keys.some(
      ({ state, scheme, members }) => state === KEY_ACTIVE && SCHEMES[scheme] === 'ecdsa' && members.includes(self),
    )
    if (!hasEcdsa || this.#running.size > 0) return
    const { randomness } = await this.#chain.randomness(stockHeight(board))
    const duties = stockDuties(this.#backend, board, self, this.#custody, randomness, (key, set) => this.#stockOf(key, set))
    for (const duty of duties) this.#begin(duty, board, seat, null)
  }

  #stockOf(key: ChainKey, set: readonly PartyId[] | null): number {
    const share = this.#custody.share(key)
    return share === null ? 0 : this.#presignatures.stock(share.publicKey.keyId, key.epoch, set).length
  }

  /** Forgets what the final chain has made worthless, and tells it disputes it does not know. */
  #settle(board: Board, self: PartyId): void {
    this.#custody.meet(board.parties)
    for (const key of board.keys) {
      const isOpen = board.operations.some((operation) => operation.key === key.id)
      if (key.state === KEY_ACTIVE) this.#custody.dropStale(key, key.members.includes(self), isOpen)
      // A key that came to nothing has no members.
      else if (!isOpen) this.#custody.dropStale(key, false, false)
      if (key.state !== KEY_ACTIVE || !key.members.includes(self)) continue
      for (const { accused, code } of this.#custody.disputes(key.id, key.epoch)) {
        if (!key.members.includes(accused)) continue
        const isKnown = (board.disputes.get(key.id) ?? []).some(([by, other]) => by === self && other === accused)
        if (!isKnown)
          this.#outbox.once(`dispute/${key.id}/${key.epoch}/${accused}`, () =>
            this.#chain.send('reportDispute', [key.id, accused, reasonOf(code)]),
          )
      }
    }
    const restarted = this.#restarts.since(board)
    this.#presignatures.destroy((presignature) => !isUsable(board, this.#custody, restarted, presignature))
  }

  /** Whether it is this party's turn to do what any of `parties` may do. */
  #isTurn(topic: string, parties: readonly PartyId[], self: PartyId): boolean {
    const since = this.#firstSeen.get(topic) ?? Date.now()
    this.#firstSeen.set(topic, since)
    const turn = turnOf(this.#backend, topic, parties, self)
    return turn >= 0 && Date.now() - since >= turn * TURN_MS
  }

  #seatOperations(board: Board, self: PartyId): void {
    const able = board.parties.filter(({ excludedAt }) => excludedAt === 0n).map(({ id }) => id)
    for (const operation of board.operations) {
      const isNew = operation.state === OPERATION_STATE.requested
      const isStale = board.height >= Number(operation.seatedAt) + ATTEMPT_BLOCKS + 1
      if (!isNew && !isStale) continue
      const topic = `seat/${operation.id}/${isNew ? 'new' : operation.attempt}`
      if (this.#isTurn(topic, able, self)) this.#outbox.once(topic, () => this.#seat(operation.id, board.height))
    }
  }

  async #seat(operation: Hash, finalHeight: number): Promise<string | null> {
    const height = await this.#chain.seatHeight(operation)
    if (height > finalHeight) return NOT_YET
    const { raw } = await this.#chain.randomness(height)
    return this.#chain.send('seat', [operation, raw])
  }

  #begin(duty: Duty, board: Board, { self, genesisHash, leasedAt }: Seat, randomness: Hash | null): void {
    const name = `${duty.kind}/${duty.name}`
    if (this.#running.has(name) || this.#firstSeen.has(`done/${name}`) || !isOwnDuty(duty, leasedAt)) return
    this.#running.add(name)
    this.#log.info('session-start', { duty: name, set: duty.set.join(',') })
    const parts = this.#parts(self, genesisHash)
    void perform(parts, board, duty, randomness ?? '0x')
      .then((end) => this.#report(duty, end, board, self))
      .catch((cause: unknown) => this.#log.error('session-failed', { duty: name, cause: lineOf(cause) }))
      .finally(() => {
        this.#running.delete(name)
        this.#firstSeen.set(`done/${name}`, Date.now())
      })
  }

  #parts(self: PartyId, genesisHash: Hash): ProtocolParts {
    return {
      backend: this.#backend,
      custody: this.#custody,
      presignatures: this.#presignatures,
      signal: AbortSignal.any([this.#signal, this.#stop.signal]),
      nowMs: Date.now,
      self,
      chainId: this.#settings.chainId,
      genesisHash,
      relaysOf: (board, set, session, attempt) => relaysOf(this.#backend, this.#settings.edgeRelays, board, set, session, attempt),
      onProgress: ({ protocol, key, round, party }) => this.#log.info('round', { protocol, key, round, party }),
    }
  }

  /** Tells the chain: a confirmation, a signature, who was absent, what was proven. */
  async #report(duty: Duty, end: DutyEnd, board: Board, self: PartyId): Promise<void> {
    for (const failure of end.failures) {
      this.#log.info('session-end', { duty: duty.name, end: failure.kind === 'done' ? 'done' : failure.code })
      for (const { fault, proof } of failure.accusations)
        if (fault.class === 'proof') await this.#accuse(duty, fault.accused, fault.code, proof)
      if (failure.kind === 'aborted' && failure.absent.length > 0) await this.#reportAbsence(duty, failure.absent)
    }
    if (duty.kind === 'operate' && end.confirmation !== null) {
      const { operation } = duty
      const { digest, publicKey } = end.confirmation
      this.#outbox.put(`confirm/${duty.name}`, {
        notBeforeMs: 0,
        isWanted: (now) =>
          now.operations.some(({ id, attempt, confirmations, members }) => {
            const isMissing = ((confirmations >>> members.indexOf(self)) & 1) === 0
            return id === operation.id && attempt === operation.attempt && isMissing
          }),
        send: () => this.#chain.send('confirm', [operation.id, operation.attempt, digest, publicKey]),
      })
    }
    if (duty.kind === 'sign' && end.signature !== null) this.#postSignature(duty, end.signature, self)
    // What came up while the session ran is on the newest board only.
    this.#outbox.tell(this.#board ?? board)
  }

  async #accuse(duty: Duty, accused: PartyId, code: string, proof: Uint8Array | null): Promise<void> {
    this.#log.warn('fault-proven', { accused, code })
    if (proof !== null) {
      const refusal = await this.#chain.send('reportFault', [accused, bytesToHex(proof)])
      this.#log.info('fault-reported', { accused, refusal })
      if (refusal === null || refusal === EVIDENCE_SEEN) return
    }
    // What only the whole run shows, the chain does not judge; this party keeps its distance, in this epoch or in this attempt.
    if (duty.key.state === KEY_ACTIVE) this.#custody.dispute(duty.key.id, duty.key.epoch, accused, code)
    else await this.#reportAbsence(duty, [accused])
  }

  async #reportAbsence(duty: Duty, absent: readonly PartyId[]): Promise<void> {
    if (duty.kind === 'setup' || duty.kind === 'stock') return
    const [session, attempt] = duty.kind === 'operate' ? [duty.operation.id, duty.operation.attempt] : [duty.session, duty.attempt]
    // The chain draws the set of a signature again, so that only those in it are heard.
    const header = duty.kind === 'sign' ? (await this.#chain.randomness(duty.openingHeight)).raw : '0x'
    const beat = duty.kind === 'sign' ? duty.heartbeatEpoch : null
    const refusal =
      beat === null
        ? await this.#chain.send('reportAbsence', [session, attempt, [...absent], header])
        : await this.#chain.send('reportHeartbeatAbsence', [duty.key.id, BigInt(beat), attempt, [...absent], header])
    this.#log.info('absence-reported', { session, attempt, absent: absent.join(','), refusal })
  }

  /** Signers take turns, so that one transaction is enough. */
  #postSignature(duty: Extract<Duty, { kind: 'sign' }>, signature: Hex, self: PartyId): void {
    const { key, session, heartbeatEpoch, attempt } = duty
    this.#outbox.put(`post/${session}`, {
      notBeforeMs: Date.now() + turnOf(this.#backend, duty.name, duty.set, self) * TURN_MS,
      isWanted: (now) =>
        heartbeatEpoch === null
          ? now.requests.some(({ id }) => id === session)
          : now.keys.some((each) => each.id === key.id && each.heartbeatEpoch < BigInt(heartbeatEpoch)),
      send: async () => {
        const { raw } = await this.#chain.randomness(duty.openingHeight)
        return heartbeatEpoch === null
          ? this.#chain.send('postSignature', [session, attempt, signature, raw])
          : this.#chain.send('postHeartbeat', [key.id, BigInt(heartbeatEpoch), attempt, signature, raw])
      },
    })
  }
}
