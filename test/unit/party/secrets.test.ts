/**
 * What leaves a party: every byte to relays, to other parties and to its node, and every line of its log, over a run of all protocols, searched for
 * everything that is secret in it. Source: docs/dcrm.md, persistence, envelopes.
 * @module
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { Fields, Level, Logger } from '#node/log.ts'
import { formatLine } from '#node/log.ts'
import { nativeEnvelopeCrypto } from '#node/dcrm/envelope-crypto.ts'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { OPERATION } from '#node/party/duties.ts'
import { runParty } from '#node/party/party.ts'
import { Presignatures } from '#node/party/presignatures.ts'
import { startRelayServer } from '#node/party/relay-server.ts'
import { openVault } from '#node/party/vault.ts'
import { bytesToHex, hexToBytes, utf8ToBytes } from '#shared/bytes.ts'
import { ATTEMPT_BLOCKS } from '#shared/dcrm/digest.ts'
import { decodePairState } from '#shared/dcrm/pair-setup.ts'
import { ENVELOPE_HEADER_BYTES } from '#shared/dcrm/envelope.ts'
import { STATEMENT_BYTES, decodePresignature } from '#shared/dcrm/presignature.ts'
import type { Hash, Hex } from '#shared/types.ts'
import { seedOf } from '#test/unit/dcrm/support.ts'
import { KeyChain } from '#test/unit/party/key-chain.ts'
import type { Secret } from '#test/unit/party/secret-search.ts'
import { SecretSearch, formsOf } from '#test/unit/party/secret-search.ts'
import type { SocketRelay } from '#test/unit/party/wire-tap.ts'
import { WireTap, freePort, withSockets } from '#test/unit/party/wire-tap.ts'

/** Everything secret that passes through the host's cryptography, as it passes. */
const kept = vi.hoisted(() => {
  const secrets = new Map<string, { name: string; bytes: Uint8Array }>()
  const keep = (name: string, bytes: Uint8Array | null): void => {
    if (bytes !== null) secrets.set(Buffer.from(bytes).toString('latin1'), { name, bytes: Uint8Array.from(bytes) })
  }
  const sealed: { data: Uint8Array; plain: Uint8Array }[] = []
  return { secrets, keep, sealed }
})

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof import('node:crypto')>()
  const randomBytes = (size: number): Buffer => {
    const bytes = real.randomBytes(size)
    if (size >= 32) kept.keep('random bytes', bytes)
    return bytes
  }
  return { ...real, randomBytes }
})

vi.mock('#node/dcrm/envelope-crypto.ts', async (original) => {
  const { nativeEnvelopeCrypto: real } = await original<typeof import('#node/dcrm/envelope-crypto.ts')>()
  const observed: typeof real = {
    ...real,
    sign: (secret, message) => {
      kept.keep('signing key', secret)
      return real.sign(secret, message)
    },
    agree: (secret, publicKey) => {
      const shared = real.agree(secret, publicKey)
      kept.keep('key of agreement', secret)
      kept.keep('agreed secret', shared)
      return shared
    },
    seal: (key, nonce, plain, data) => {
      kept.keep('sealing key', key)
      kept.sealed.push({ data: Uint8Array.from(data), plain: Uint8Array.from(plain) })
      return real.seal(key, nonce, plain, data)
    },
  }
  return { nativeEnvelopeCrypto: observed }
})

const BLOCK_MS = 1000
const PARTIES = [1, 2, 3]
const PASSPHRASE = 'a passphrase nobody else has'
const SCHEMES = ['ecdsa', 'taproot', 'ed25519'] as const
const KEYS = SCHEMES.map((scheme) => bytesToHex(seedOf(`secrets ${scheme}`)))
const backend = createNativeBackend()
const operatorKey = (party: number): Hex => `0x${`${party}7`.repeat(32)}`

const KINDS = [
  'random bytes',
  'sealing key',
  'signing key',
  'key of agreement',
  'agreed secret',
  'identity',
  'share',
  'Δ',
  'transfer key',
  'common secret',
  'presignature',
  'direct message',
  'passphrase',
  'operator key',
]

const chain = new KeyChain()
const taps: WireTap[] = []
const log: string[] = []
const ends: (() => unknown)[] = []
const stop = new AbortController()
let folder: string
let edgeUrl: string
let front: SocketRelay
const running: Promise<void>[] = []

async function tapOf(port: number): Promise<string> {
  const tap = new WireTap(port)
  taps.push(tap)
  ends.push(() => tap.close())
  return tap.listen()
}

async function startParty(party: number, rpcUrl: string): Promise<void> {
  const dataDir = join(folder, String(party))
  // A store keeps the cost it was made with.
  for (const part of ['custody', 'presignatures']) await openVault(join(dataDir, part), PASSPHRASE, 12).close()
  const note =
    (level: Level) =>
    (event: string, fields: Fields = {}): void =>
      void log.push(formatLine(Date.now(), level, `party-${party}`, event, fields))
  const logger: Logger = { debug: note('debug'), info: note('info'), warn: note('warn'), error: note('error'), close: () => undefined }
  const port = await freePort()
  const settings = {
    rpcUrl,
    chainId: 81920,
    dataDir,
    operatorKey: operatorKey(party),
    passphrase: PASSPHRASE,
    edgeRelays: [edgeUrl],
    host: '127.0.0.1',
    port,
    publicUrl: await tapOf(port),
    renewsKeys: false,
  }
  running.push(runParty(settings, logger, stop.signal).catch((cause: unknown) => logger.error('ended', { cause: String(cause) })))
  await until(() => log.some((line) => line.includes(`party-${party} party-ready`)))
}

const until = (isSo: () => boolean): Promise<void> => vi.waitFor(() => expect(isSo()).toBe(true), { timeout: 60_000, interval: 50 })

/** Changes the chain: parties see it with the next final block. */
function change(next: () => void): void {
  next()
  chain.height++
}

const rowOf = (key: Hash) => chain.keys.find(({ id }) => id === key) as Record<string, unknown>

/** What the contract does when an attempt has taken too long. */
function reseat(operation: Record<string, unknown>): void {
  if (chain.height <= Number(operation['seatedAt']) + ATTEMPT_BLOCKS) return
  operation['attempt'] = Number(operation['attempt']) + 1
  operation['seatedAt'] = BigInt(chain.height)
}

/** Seats operations and waits until everybody has confirmed who gets a share; then they are done. */
async function operate(kind: number, keys: readonly Hash[], seats: Record<string, unknown>, confirming = PARTIES.length): Promise<void> {
  const id = (key: Hash): Hash => bytesToHex(seedOf(`${kind} ${key}`))
  const common = { kind, state: 2, attempt: 0, threshold: 2, size: 3, seatedAt: BigInt(chain.height), members: PARTIES, ...seats }
  change(() => {
    chain.operations = keys.map((key) => ({ ...common, id: id(key), key }))
  })
  const attemptOf = (key: Hash): unknown => chain.operations.find((operation) => operation['key'] === key)?.['attempt']
  const confirmed = (key: Hash) =>
    chain.calls.filter(({ functionName, args }) => functionName === 'confirm' && args[0] === id(key) && args[1] === attemptOf(key))
  await until(() => keys.every((key) => confirmed(key).length >= confirming))
  change(() => {
    for (const key of keys) {
      const [, , digest, publicKey] = confirmed(key)[0]?.args ?? []
      const epoch = Number(rowOf(key)['epoch']) + (kind === OPERATION.refresh || kind === OPERATION.reshare ? 1 : 0)
      Object.assign(rowOf(key), { state: 2, digest, publicKey, epoch, members: PARTIES })
    }
    chain.operations = []
  })
}

/** Waits until two members have presignatures in stock, and all pairs are set up. */
async function prepared(key: Hash, epoch: number): Promise<void> {
  const ended = (duty: string) =>
    log.filter((line) => line.includes(`session-end duty=${duty}/${key}/${epoch}/`) && line.endsWith('end=done'))
  await until(() => ended('setup').length >= 6 && ended('stock').length >= 2)
}

/** Asks for a signature of each key and waits until they are posted. */
async function sign(keys: readonly Hash[], word: string): Promise<void> {
  change(() => {
    chain.requests = keys.map((key) => ({
      id: bytesToHex(seedOf(`${word} ${key}`)),
      key,
      state: 1,
      requestedAt: BigInt(chain.height - 3),
      message: bytesToHex(seedOf(word)),
      subject: bytesToHex(seedOf('subject')),
    }))
  })
  const isPosted = (id: unknown): boolean =>
    chain.calls.some(({ functionName, args }) => functionName === 'postSignature' && args[0] === id)
  await until(() => chain.requests.every(({ id }) => isPosted(id)))
  change(() => {
    chain.requests = []
  })
}

const protocols = (): ReadonlySet<string> => new Set(log.flatMap((line) => /protocol=(\w+)/.exec(line)?.[1] ?? []))
const stored = (kind: string): readonly Uint8Array[] =>
  kept.sealed.filter(({ data }) => Buffer.from(data).toString('latin1').startsWith(kind)).map(({ plain }) => plain)
/** Parts of a key's length, from the beginning. */
const parts = (bytes: Uint8Array, most = Infinity): readonly Uint8Array[] =>
  Array.from({ length: Math.min(most, Math.floor(bytes.length / 32)) }, (_, index) => bytes.slice(32 * index, 32 * (index + 1)))

/** Everything secret of the run. */
function secrets(): readonly Secret[] {
  const named = (name: string, values: readonly Uint8Array[]): readonly Secret[] => values.map((bytes) => ({ name, bytes }))
  const pairs = stored('pair/').flatMap((bytes) => decodePairState(bytes) ?? [])
  const presignatures = stored('fresh/').map((bytes) => decodePresignature(bytes.slice(8)))
  // What two signers stated about a presignature is shown to all when its signature is blamed.
  const direct = kept.sealed
    .filter(({ data, plain }) => data.length === ENVELOPE_HEADER_BYTES && plain.length % STATEMENT_BYTES > 0)
    .flatMap(({ plain }) => parts(plain, 8))
  // A lease names a start to everybody.
  const told = chain.calls.filter(({ functionName }) => functionName === 'renewLease').map(({ args }) => String(args[0]))
  const passing = [...kept.secrets.values()].filter(({ bytes }) => !told.includes(bytesToHex(bytes)))
  return [
    ...passing,
    ...named(
      'identity',
      stored('identity').flatMap((bytes) => parts(bytes)),
    ),
    ...named(
      'share',
      stored('share/').map((bytes) => bytes.slice(0, 32)),
    ),
    ...named(
      'Δ',
      pairs.map(({ asSender }) => asSender.delta),
    ),
    ...named(
      'transfer key',
      pairs.flatMap(({ asSender, asReceiver }) => [asSender.keys, asReceiver.keys0, asReceiver.keys1].flatMap((keys) => parts(keys))),
    ),
    ...named(
      'common secret',
      pairs.map(({ zero }) => zero),
    ),
    ...named(
      'presignature',
      presignatures.flatMap((each) => (each === null ? [] : [each.phi, each.u, each.v])),
    ),
    ...named('direct message', direct),
    ...named('passphrase', [utf8ToBytes(PASSPHRASE)]),
    ...named(
      'operator key',
      PARTIES.map((party) => hexToBytes(operatorKey(party))),
    ),
  ]
}

const seen = (): Buffer => Buffer.concat([...taps.flatMap((tap) => tap.seen), ...front.heard, Buffer.from(log.join('\n'))])

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fusion-secrets-'))
  const rpcUrl = await tapOf(Number(new URL(await chain.listen()).port))
  const keyOf = (party: number): Uint8Array | null => {
    const row = [...chain.parties.values()].find(({ id }) => id === party)
    return row === undefined ? null : hexToBytes(row['signKey'] as Hex)
  }
  const unused = { isOwn: () => false, publicKeyOf: () => null, status: () => null }
  const edge = await startRelayServer({
    host: '127.0.0.1',
    port: 0,
    keyOf,
    crypto: nativeEnvelopeCrypto,
    backend,
    nowMs: Date.now,
    ...unused,
  })
  front = await withSockets(edge.url)
  edgeUrl = await tapOf(front.port)
  for (const party of PARTIES) await startParty(party, rpcUrl)
  ends.push(front.close, edge.close, () => chain.close())
  chain.isHeld = true
  const blocks = setInterval(() => {
    chain.height++
    for (const operation of chain.operations) reseat(operation)
  }, BLOCK_MS)
  ends.push(() => clearInterval(blocks))
}, 120_000)

afterAll(async () => {
  stop.abort()
  await Promise.all(running)
  for (const end of ends) await end()
  rmSync(folder, { recursive: true, force: true })
})

describe('a run of all protocols', () => {
  it('makes keys, changes their holders, signs, and finds out who signs wrongly', async () => {
    change(() => {
      chain.keys = KEYS.map((id, scheme) => ({ id, scheme, state: 1, threshold: 2, epoch: 0 }))
    })
    await operate(OPERATION.create, KEYS, {})
    await prepared(KEYS[0] as Hash, 0)
    await sign(KEYS, 'first')
    await operate(OPERATION.refresh, [KEYS[1] as Hash], {})
    await operate(OPERATION.reshare, [KEYS[0] as Hash], { dealers: [1, 2] })
    await operate(OPERATION.recover, [KEYS[2] as Hash], { dealers: [1, 2], lost: 3 }, 1)
    await prepared(KEYS[0] as Hash, 1)
    await sign(KEYS, 'second')
    vi.spyOn(Presignatures.prototype, 'use').mockImplementationOnce(function (this: Presignatures, ...args) {
      const made = this.use(...args)
      if (typeof made === 'string') return made
      const partial = Uint8Array.from(made.partial)
      partial[partial.length - 1] = (partial.at(-1) ?? 0) ^ 1
      return { ...made, partial }
    })
    change(() => {
      chain.requests = [{ id: KEYS[1], key: KEYS[0], state: 1, requestedAt: BigInt(chain.height - 3) }]
    })
    await until(() => log.some((line) => line.includes('fault-proven')))
    expect([...protocols()].toSorted()).toEqual(['blame', 'dkg', 'ecdsa', 'frost', 'presign', 'recover', 'refresh', 'reshare', 'setup'])
  }, 300_000)

  it('leaves nothing secret on any wire and in any log, in whatever form', () => {
    const all = secrets()
    expect([...new Set(all.map(({ name }) => name))].toSorted()).toEqual(KINDS.toSorted())
    expect([all.length > 4000, seen().length > 1_000_000, log.length > 200]).toEqual([true, true, true])
    expect(new SecretSearch(all).in(seen())).toEqual([])
  }, 120_000)

  it('is searched so that a single leak on a wire or in a log is found', async () => {
    const all = secrets()
    const one = (kind: string): Buffer => Buffer.from(all.findLast(({ name }) => name === kind)?.bytes ?? [])
    await fetch(`${edgeUrl}/v1/sessions/${one('share').toString('hex')}`)
    await fetch(taps.at(-1)?.url ?? '', { method: 'POST', body: Buffer.concat([Buffer.from('aa'), one('identity')]).toString('base64') })
    await fetch(taps[0]?.url ?? '', { method: 'POST', body: JSON.stringify({ id: 1, method: `\u0000${one('passphrase').toString()}` }) })
    log.push(formatLine(0, 'warn', 'party', 'session-failed', { cause: BigInt(`0x${one('presignature').toString('hex')}`).toString() }))
    const socket = new WebSocket(`${edgeUrl.replace('http', 'ws')}/v1/sessions/${'00'.repeat(32)}/socket?after=0&to=1`)
    await new Promise((done) => (socket.onopen = done))
    socket.send(one('Δ'))
    await until(() => front.heard.some((message) => message.equals(one('Δ'))))
    socket.close()
    const found = ['identity', 'key of agreement', 'passphrase', 'presignature', 'share', 'Δ']
    // The second half of an identity is the key it agrees with.
    expect(new SecretSearch(all).in(seen()).toSorted()).toEqual(found)
  }, 120_000)
})

describe('the search for secrets', () => {
  const bytes = (least: number) => fc.uint8Array({ minLength: least, maxLength: 40 })

  it('finds a secret in every form, wherever it stands, and no other', () => {
    fc.assert(
      fc.property(bytes(12), bytes(12), bytes(0), bytes(0), (secret, other, before, after) => {
        fc.pre(!Buffer.from(secret).equals(Buffer.from(other)))
        const search = new SecretSearch([{ name: 'this', bytes: secret }])
        const raw = Buffer.from(secret)
        const around = Buffer.concat([before, raw, after])
        const number = BigInt(`0x${raw.toString('hex')}`).toString()
        const texts = [
          around.toString('hex'),
          around.toString('hex').toUpperCase(),
          around.toString('base64'),
          around.toString('base64url'),
          number,
        ]
        for (const form of [around, Buffer.concat([before, raw.toReversed(), after]), ...texts.map((text) => Buffer.from(`x${text}y`))])
          expect(search.in(form)).toEqual(['this'])
      }),
    )
  })

  it('is not content with less than a whole secret, nor with a secret that could be met by chance', () => {
    const secret = seedOf('a secret')
    const search = new SecretSearch([{ name: 'this', bytes: secret }])
    for (const form of formsOf({ name: 'this', bytes: secret })) {
      expect(search.in(form.subarray(0, -1))).toEqual([])
      expect(search.in(form.subarray(1))).toEqual([])
    }
    expect(() => formsOf({ name: 'short', bytes: secret.slice(0, 11) })).toThrow('at least 12 bytes of short, got 11')
  })
})
