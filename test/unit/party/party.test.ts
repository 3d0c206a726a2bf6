/** A whole party against a chain of loopback: who may speak, when it stops, and what it does while its node is behind or away. @module */
import { cpSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { Fields, Logger } from '#node/log.ts'
import { Custody } from '#node/party/custody.ts'
import type { PartySettings } from '#node/party/settings.ts'
import { runParty } from '#node/party/party.ts'
import { openVault } from '#node/party/vault.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { Address } from '#shared/types.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'
import { KeyChain } from '#test/unit/party/key-chain.ts'
import { privateKeyToAccount } from 'viem/accounts'

const OPERATOR_KEY = `0x${'42'.repeat(32)}` as const
const ACCOUNT = privateKeyToAccount(OPERATOR_KEY).address.toLowerCase() as Address
const PASSPHRASE = 'correct horse battery'
const KEY = bytesToHex(seedOf('key'))
const DIGESTS = ['old', 'new'].map((word) => bytesToHex(seedOf(word))) as [`0x${string}`, `0x${string}`]
// Long enough for a start, which costs two derivations of a key, on a busy machine.
const SOON = { timeout: 20_000, interval: 20 }

let chain: KeyChain
let rpcUrl: string
let folder: string
const started: { stop: AbortController; end: Promise<string> }[] = []
const rejections: unknown[] = []
const onRejection = (cause: unknown): void => void rejections.push(cause)

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'fusion-party-'))
  chain = new KeyChain()
  rpcUrl = await chain.listen()
  process.on('unhandledRejection', onRejection)
  await make('volume')
})
afterEach(async () => {
  for (const { stop } of started) stop.abort()
  await Promise.all(started.splice(0).map(({ end }) => end))
  process.off('unhandledRejection', onRejection)
  chain.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A process over the volume `name`: its log, and how it ended. */
function start(name: string, change: Partial<PartySettings> = {}) {
  const lines: string[] = []
  const note = (event: string, fields: Fields = {}): void => void lines.push(`${event} ${JSON.stringify(fields)}`)
  const log: Logger = { debug: note, info: note, warn: note, error: note, close: () => undefined }
  const stop = new AbortController()
  const settings = {
    rpcUrl,
    chainId: 81920,
    dataDir: join(folder, name),
    operatorKey: OPERATOR_KEY,
    passphrase: PASSPHRASE,
    edgeRelays: [],
    host: '127.0.0.1',
    port: 0,
    publicUrl: null,
    renewsKeys: false,
    ...change,
  }
  const end = runParty(settings, log, stop.signal).then(
    () => 'stopped',
    (cause: unknown) => (stop.signal.aborted ? 'stopped' : String(cause)),
  )
  started.push({ stop, end })
  const has = (event: string): Promise<void> => vi.waitFor(() => expect(lines.map((line) => line.split(' ')[0])).toContain(event), SOON)
  const halt = async (): Promise<void> => {
    stop.abort()
    await end
  }
  return { lines, end, has, halt }
}
const copy = (from: string, to: string): void =>
  cpSync(join(folder, from), join(folder, to), { recursive: true, filter: (path) => !path.endsWith('lock') })
/** A volume whose stores are quick to open: a store keeps the cost it was made with. */
async function make(name: string): Promise<void> {
  for (const part of ['custody', 'presignatures']) await openVault(join(folder, name, part), PASSPHRASE, 12).close()
}
async function edit(name: string, change: (custody: Custody) => void): Promise<void> {
  const vault = openVault(join(folder, name, 'custody'), PASSPHRASE)
  change(new Custody(vault))
  await vault.close()
}

describe('16 a party', () => {
  it('is refused with a folder that another process works in, whichever way it was started', async () => {
    const first = start('volume')
    await first.has('party-ready')
    expect(await start('volume').end).toContain('DATA_DIR_IN_USE')
    await first.halt()
    await start('volume').has('party-ready')
  }, 60_000)

  it('is refused with a folder that cannot be locked', async () => {
    expect(await start('x'.repeat(120)).end).toContain('DATA_DIR_UNLOCKED')
    expect(existsSync(join(folder, 'x'.repeat(120), 'custody'))).toBe(false)
  })

  it('stops by itself when a copy of its volume speaks for it, and is refused from then on', async () => {
    const first = start('volume')
    await first.has('party-ready')
    copy('volume', 'copy')
    const second = start('copy')
    await second.has('party-ready')
    expect(await first.end).toContain('LEASE_LOST')
    expect(await start('volume').end).toContain('LEASE_REFUSED')
    expect(chain.parties.get(ACCOUNT)).toMatchObject({ generation: 2n })
  }, 60_000)

  it('tells the chain of every generation, so that copies made before a dispute are refused', async () => {
    const first = start('volume')
    await first.has('party-ready')
    await first.halt()
    copy('volume', 'copy')
    await edit('volume', (custody) => custody.dispute(KEY, 0, 2, 'EXTENSION_CHECK'))
    await start('volume').has('party-ready')
    expect(await start('copy').end).toContain('LEASE_REFUSED')
    await edit('volume', (custody) => custody.outdateCopies())
    await vi.waitFor(() => expect(chain.parties.get(ACCOUNT)?.['generation']).toBe(4n), SOON)
  }, 60_000)
})

describe('a party that was called absent', () => {
  it('takes a new lease when it is out of draws, and not before', async () => {
    const party = start('volume')
    await party.has('party-ready')
    const row = () => chain.parties.get(ACCOUNT) ?? {}
    chain.parties.set(ACCOUNT, { ...row(), absences: 2 })
    await new Promise((done) => setTimeout(done, 2500))
    expect(row()).toMatchObject({ generation: 1n, absences: 2 })
    chain.parties.set(ACCOUNT, { ...row(), absences: 3 })
    await vi.waitFor(() => expect(row()['generation']).toBe(2n), SOON)
  }, 60_000)
})

describe('a party and its node', () => {
  const shares = dealtShares('ecdsa', 2, [1, 2], 'party')
  const share = shares.get(1) as NonNullable<ReturnType<typeof shares.get>>
  const version = (epoch: number): Record<string, unknown> => ({
    id: KEY,
    state: 2,
    epoch,
    digest: DIGESTS[epoch],
    members: [1, 2],
    threshold: 2,
  })

  /** Shares of both epochs, a chain in the first. */
  async function holding() {
    const first = start('volume')
    await first.has('party-ready')
    await first.halt()
    await edit('volume', (custody) => {
      custody.putShare(KEY, DIGESTS[0], share)
      custody.putShare(KEY, DIGESTS[1], { ...share, publicKey: { ...share.publicKey, epoch: 1 } })
    })
    chain.keys = [version(0)]
    chain.operations = [{ id: KEY, key: KEY, state: 2, members: [7] }]
  }
  const held = async (): Promise<readonly boolean[]> => {
    const kept: boolean[] = []
    await edit(
      'volume',
      (custody) => void kept.push(...[0, 1].map((epoch) => custody.share({ id: KEY, epoch, digest: DIGESTS[epoch] ?? KEY }) !== null)),
    )
    return kept
  }
  const follows = (party: ReturnType<typeof start>, height: number): Promise<void> =>
    vi.waitFor(async () => {
      const relay = /"relay":"([^"]+)"/.exec(party.lines.join('\n'))?.[1] ?? ''
      const { finalHeight } = (await (await fetch(`${relay}/v1/status`)).json()) as { finalHeight: number }
      expect(finalHeight).toBeGreaterThanOrEqual(height)
    }, SOON)

  it('keeps the old share until the chain has committed the new one, over a crash in between', async () => {
    await holding()
    const waiting = start('volume')
    await waiting.has('party-ready')
    await follows(waiting, chain.height + 1)
    await waiting.halt()
    expect(await held()).toEqual([true, true])
    // The chain commits while the party is down.
    chain.keys = [version(1)]
    chain.operations = []
    const back = start('volume')
    await back.has('party-ready')
    await follows(back, chain.height + 1)
    await back.halt()
    expect(await held()).toEqual([false, true])
  }, 90_000)

  it('begins nothing on the word of a node that has fallen behind', async () => {
    await holding()
    const party = start('volume')
    await party.has('party-ready')
    await follows(party, chain.height + 1)
    chain.isHeld = true
    const shown = chain.height
    chain.height = 50
    chain.keys = [version(1)]
    await new Promise((done) => setTimeout(done, 2500))
    await party.halt()
    expect(shown).toBeGreaterThan(50)
    expect(await held()).toEqual([true, true])
  }, 60_000)

  it('lives on when its node fails in the middle of a report, and reports again', async () => {
    chain.operations = [{ id: KEY, key: KEY, state: 1 }]
    chain.failing.add('fusion_header')
    const party = start('volume')
    await party.has('send-failed')
    expect(rejections).toEqual([])
    chain.failing.clear()
    await vi.waitFor(() => expect(chain.sent).toContain('seat'), SOON)
  }, 60_000)

  it('registers where others find its relay, and warns when they cannot', async () => {
    const publicUrl = 'https://relay.example/party'
    chain.chainId = 7
    const open = start('volume', { publicUrl, chainId: 7 })
    await open.has('party-ready')
    expect(open.lines.join('\n')).not.toContain('relay-local')
    expect(chain.parties.get(ACCOUNT)).toMatchObject({ relayUrl: publicUrl })
    await open.halt()
    const closed = start('volume', { chainId: 7 })
    await closed.has('relay-local')
    await closed.halt()
    chain.chainId = 81920
    const onDevnet = start('volume')
    await onDevnet.has('party-ready')
    expect(onDevnet.lines.join('\n')).not.toContain('relay-local')
  }, 60_000)

  it('is refused on another network than its store was used in', async () => {
    await edit('volume', (custody) => custody.isOfNetwork(KEY))
    expect(await start('volume').end).toContain('NETWORK_DIFFERS')
    expect(chain.sent).toEqual([])
  })
})
