/**
 * A peer that asks for one bit of Δ per session, against a party over a real relay and a real store: what it learns, at once, one after the other,
 * and over restarts. Source: selective failure in OT extension; docs/dcrm.md, OT extension.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import type { Board, ChainKey, ChainParty } from '#node/party/chain-view.ts'
import { Custody } from '#node/party/custody.ts'
import { setupDuties } from '#node/party/duties.ts'
import type { SigningDuty } from '#node/party/duties.ts'
import { Presignatures } from '#node/party/presignatures.ts'
import type { ProtocolParts } from '#node/party/protocols.ts'
import { perform, presign } from '#node/party/protocols.ts'
import type { RelayServer } from '#node/party/relay-server.ts'
import { startRelayServer } from '#node/party/relay-server.ts'
import { runSession } from '#node/party/session-runner.ts'
import type { Vault } from '#node/party/vault.ts'
import { openVault } from '#node/party/vault.ts'
import { bytesToHex, hexToBytes } from '#shared/bytes.ts'
import { bitOf, wordsOf } from '#shared/dcrm/bit-matrix.ts'
import { hashItems } from '#shared/dcrm/hash.ts'
import { OT_CHOICE_BYTES } from '#shared/dcrm/ot-extension.ts'
import type { PairState } from '#shared/dcrm/pair-setup.ts'
import { PRESIGN_ROUND } from '#shared/dcrm/presign-state.ts'
import { presignMachine } from '#shared/dcrm/presign.ts'
import { presignatureId } from '#shared/dcrm/presignature.ts'
import type { RoundMachine } from '#shared/dcrm/round.ts'
import type { KeyShare } from '#shared/dcrm/types.ts'
import type { Hash } from '#shared/types.ts'
import { probeMessage } from '#test/unit/dcrm/malicious-receiver.ts'
import { dealtPairs } from '#test/unit/dcrm/presign-support.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'

const VICTIM = 1
const PROBER = 2
const SET = [VICTIM, PROBER]
const KEY = bytesToHex(seedOf('probed key'))
const DIGEST = bytesToHex(seedOf('digest'))
const backend = createNativeBackend()
const shares = dealtShares('ecdsa', 2, [...SET, 3], 'probes', backend)
const pairs = dealtPairs(SET, 'probes', backend)
const shareOf = (id: number): KeyShare => shares.get(id) as KeyShare
const pairOf = (id: number, peer: number): PairState => pairs.get(id)?.get(peer) as PairState
const delta = wordsOf(pairOf(VICTIM, PROBER).asSender.delta)
/** What the prober is after. */
const bits = Array.from({ length: 128 }, (_, column) => bitOf(delta, column))

let server: RelayServer
let folder: string
let vault: Vault
let prober: Custody
let proberVault: Vault
let board: Board
const signKeys = new Map<number, Uint8Array>()
const open = (name: string): Vault => openVault(join(folder, name), 'correct horse battery', 12)

beforeAll(async () => {
  server = await startRelayServer({
    host: '127.0.0.1',
    port: 0,
    isOwn: () => true,
    keyOf: (party) => signKeys.get(party) ?? null,
    crypto: nativeEnvelopeCrypto,
    backend,
    nowMs: Date.now,
    publicKeyOf: () => null,
    status: () => null,
  })
})
afterAll(() => server.close())

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fusion-probes-'))
  vault = open('victim')
  proberVault = open('prober')
  prober = new Custody(proberVault)
  const victim = new Custody(vault)
  victim.putShare(KEY, DIGEST, shareOf(VICTIM))
  victim.putPair(KEY, 0, pairOf(VICTIM, PROBER))
  const parties = [
    [VICTIM, victim],
    [PROBER, prober],
  ] as const
  for (const [id, custody] of parties) signKeys.set(id, hexToBytes(custody.identity().signKey))
  const rows = parties.map(([id, custody]) => ({ ...custody.identity(), id, absences: 0, excludedAt: 0n }))
  const key = { id: KEY, scheme: 0, state: 2, threshold: 2, epoch: 0, members: [...SET, 3], digest: DIGEST }
  board = {
    height: 100,
    heartbeatBlocks: 1024,
    parties: rows as unknown as ChainParty[],
    keys: [key as unknown as ChainKey],
    operations: [],
    requests: [],
    disputes: new Map(),
  }
})
afterEach(async () => {
  await Promise.all([vault.close(), proberVault.close()])
  rmSync(folder, { recursive: true, force: true })
})

const chainKey = (): ChainKey => board.keys[0] as ChainKey

/** The victim as it starts over its store; `stop` is a kill. */
function victimOf(stop: AbortSignal): ProtocolParts {
  const custody = new Custody(vault)
  return {
    backend,
    custody,
    presignatures: new Presignatures(vault, custody, backend, Date.now),
    signal: stop,
    nowMs: Date.now,
    self: VICTIM,
    chainId: 81920,
    genesisHash: KEY,
    relaysOf: () => [server.url],
    onProgress: () => undefined,
  }
}

const sessionOf = (word: string): Hash => bytesToHex(seedOf(word))

/** Runs as an honest signer would, but for one message. */
function probing(sid: Uint8Array, seed: Uint8Array, column: number): RoundMachine<unknown, unknown> {
  const pair = pairOf(PROBER, VICTIM)
  const own = presignMachine({ backend, share: shareOf(PROBER), pairs: new Map([[VICTIM, pair]]), set: SET, count: 1, sid, seed })
  const { keyId, epoch } = shareOf(PROBER).publicKey
  const name = hashItems(backend, 'presig/vole', presignatureId(backend, { keyId, epoch }, SET, sid, 0), VICTIM, PROBER)
  const message = probeMessage(backend, pair, name, backend.shake256(seedOf(`choice ${column}`), OT_CHOICE_BYTES), column)
  return {
    start: own.start,
    next: (state, inbox) => {
      const step = own.next(state as never, inbox)
      if (step.kind !== 'round' || step.spec.round !== PRESIGN_ROUND.extend) return step
      return { ...step, send: { ...step.send, direct: new Map([[VICTIM, message]]) } }
    },
  }
}

function probe(session: Hash, column: number, stop: AbortSignal): Promise<unknown> {
  const { keyId, epoch } = shareOf(PROBER).publicKey
  return runSession<unknown, unknown>(
    { custody: prober, backend, signal: stop, nowMs: Date.now },
    {
      key: KEY,
      relays: [server.url],
      isPaired: false,
      onProgress: () => undefined,
      plan: {
        subject: { chainId: 81920, protocol: 'presign', requestId: hexToBytes(session), epoch: 0, set: SET, attempt: 0 },
        hasOpening: true,
        descriptorHash: hashItems(backend, 'presig/descriptor', keyId, epoch, 1),
        parties: board.parties.map(({ id, signKey, sealKey }) => ({ id, signKey: hexToBytes(signKey), sealKey: hexToBytes(sealKey) })),
        self: PROBER,
        roundTimeoutMs: 15_000,
        machine: (sid, seed) => probing(sid, seed, column),
      },
    },
  )
}

const answer = async (victim: ProtocolParts, session: Hash): Promise<string> => {
  const end = await presign(victim, board, { key: chainKey(), session, attempt: 0, set: SET, count: 1 }, shareOf(VICTIM))
  if (end === null) return 'NO PAIR'
  return end.kind === 'done' ? 'done' : end.code
}

describe('9 a peer that probes for Δ', () => {
  it('learns the bits up to its first failed probe and no other, though its victim is started anew after each', async () => {
    const learned: number[] = []
    const answers = new Set<string>()
    for (let column = 0; column < 128; column++) {
      const stop = new AbortController()
      const session = sessionOf(`probe ${column}`)
      const victim = victimOf(stop.signal)
      if (victim.custody.pair(KEY, 0, PROBER) === null) {
        answers.add(await answer(victim, session))
        continue
      }
      const end = answer(victim, session)
      // The prober sees by itself whether its probe passed: then the victim goes on to multiply. It is killed there.
      void probe(session, column, stop.signal).then(() => setTimeout(() => stop.abort(), 500))
      learned.push((await end) === 'PEER_CHEATED' ? 1 : 0)
      stop.abort()
      await vault.close()
      vault = open('victim')
    }
    const first = bits.indexOf(1)
    expect(learned).toEqual(bits.slice(0, first + 1))
    expect([...answers]).toEqual(['NO PAIR'])
    expect(new Custody(vault).disputes(KEY, 0)).toEqual([{ accused: PROBER, code: 'EXTENSION_CHECK' }])
  }, 60_000)

  it('learns one bit from sessions that run at once', async () => {
    const stop = new AbortController()
    const victim = victimOf(stop.signal)
    const columns = bits.flatMap((bit, column) => (bit === 1 ? [column] : [])).slice(0, 4)
    const ends = columns.map((column) => answer(victim, sessionOf(`at once ${column}`)))
    for (const column of columns) void probe(sessionOf(`at once ${column}`), column, stop.signal)
    expect((await Promise.all(ends)).toSorted()).toEqual(['DISPUTED', 'DISPUTED', 'DISPUTED', 'PEER_CHEATED'])
    stop.abort()
  }, 60_000)

  it('is let into no session of the epoch any more, whatever the chain knows', async () => {
    const victim = victimOf(AbortSignal.abort())
    victim.custody.dispute(KEY, 0, PROBER, 'EXTENSION_CHECK')
    const key = chainKey()
    const sign: SigningDuty = {
      kind: 'sign',
      name: 'sign',
      key,
      session: sessionOf('request'),
      heartbeatEpoch: 1,
      attempt: 0,
      set: SET,
      path: { purpose: 'heartbeat', subject: new Uint8Array(32) },
      openingHeight: 0,
    }
    const { failures } = await perform(victim, board, sign, KEY)
    expect(failures).toMatchObject([{ kind: 'aborted', code: 'DISPUTED', absent: [] }])
    expect(setupDuties(board, VICTIM, victim.custody).flatMap(({ set }) => set)).not.toContain(PROBER)
    // Not even by a pair state that somebody put back.
    victim.custody.putPair(KEY, 0, pairOf(VICTIM, PROBER))
    expect(await answer(victimOf(new AbortController().signal), sessionOf('later'))).toBe('DISPUTED')
    expect(new Custody(vault).hasDisputed(KEY, 1, SET)).toBe(false)
  })
})

describe('a pair of which one half is missing', () => {
  it('is given up by whoever waits in vain, so that both sides set it up again', async () => {
    const began = Date.now()
    const hurried = { ...victimOf(new AbortController().signal), nowMs: () => began + 60 * (Date.now() - began) }
    expect(setupDuties(board, VICTIM, hurried.custody).flatMap(({ set }) => set)).not.toContain(PROBER)
    expect(await answer(hurried, sessionOf('alone'))).toBe('OPENING_INCOMPLETE')
    expect(setupDuties(board, VICTIM, hurried.custody).flatMap(({ set }) => set)).toContain(PROBER)
  }, 60_000)
})
