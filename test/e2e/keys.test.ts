/** Keys nobody holds, on real processes: made, used, refreshed, reshared and recovered over the edge's relay, with parties and relay dying. @module */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openVault } from '#node/party/vault.ts'
import { PROJECT_DIR, passphrasePath, validatorDir } from '#node/supervisor/parts.ts'
import type { ReadyFile } from '#node/supervisor/ready.ts'
import { waitFor } from '#node/supervisor/wait.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import { freePorts } from './cluster.ts'
import { Keys } from './keys.ts'
import type { KeyRow } from './keys.ts'

const PARTIES = 6
const folder = mkdtempSync(join(tmpdir(), 'fusion-keys-'))
const readyPath = join(folder, 'ready.json')
let child: ChildProcess
let ready: ReadyFile
let keys: Keys
const rows = new Map<string, KeyRow>()
const restarted: ChildProcess[] = []

const pidOf = (name: string): number => ready.processes.find((part) => part.name === name)?.pid ?? 0
const restart = (name: string): void => {
  const part = ready.processes.find((each) => each.name === name)
  if (part === undefined) throw new Error(`no process ${name}`)
  const { command, args, env, cwd } = part.command
  restarted.push(spawn(command, [...args], { cwd, env: { ...process.env, ...env }, stdio: 'ignore' }))
}

beforeAll(async () => {
  const { offset } = await freePorts(4)
  child = spawn(
    process.execPath,
    [join(PROJECT_DIR, 'node/supervisor.ts'), '--fresh', '--no-demo', '--parties', String(PARTIES), '--ready-file', readyPath],
    {
      cwd: folder,
      env: { ...process.env, FUSION_DATA_DIR: join(folder, 'data'), FUSION_PORT_OFFSET: String(offset) },
      stdio: 'ignore',
    },
  )
  ready = await waitFor(async () => (existsSync(readyPath) ? (JSON.parse(readFileSync(readyPath, 'utf8')) as ReadyFile) : null), {
    what: 'ready file',
    timeoutMs: 120_000,
    givenUp: () => (child.exitCode === null ? null : 'the network ended'),
  })
  keys = new Keys(ready.rpcUrls[0] ?? '', ready.accounts[0]?.privateKey ?? '0x')
  await waitFor(async () => (((await keys.read('parties', [0, 100])) as unknown[]).length === PARTIES ? true : null), {
    what: 'parties',
    timeoutMs: 60_000,
  })
}, 200_000)
afterAll(async () => {
  for (const party of restarted) party.kill('SIGKILL')
  if (child.exitCode === null) {
    const ended = new Promise((done) => child.once('close', done))
    child.kill('SIGINT')
    await ended
  }
  rmSync(folder, { recursive: true, force: true })
})

const KINDS: readonly (readonly [Scheme, number, number])[] = [
  ['taproot', 3, 5],
  ['ecdsa', 3, 5],
  ['ecdsa', 2, 3],
  ['ed25519', 2, 3],
]
const nameOf = ([scheme, threshold, size]: readonly [Scheme, number, number]): string => `${scheme} ${threshold}-of-${size}`
const rowOf = (kind: readonly [Scheme, number, number]): KeyRow => {
  const row = rows.get(nameOf(kind))
  if (row === undefined) throw new Error(`no key ${nameOf(kind)}`)
  return row
}
const VERIFIERS: Readonly<Record<Scheme, readonly string[]>> = { taproot: ['noble'], ecdsa: ['noble', 'evm'], ed25519: ['noble', 'node'] }

/** Has a key sign a text; who accepts the signature. */
async function signs(kind: readonly [Scheme, number, number], text: string): Promise<readonly string[]> {
  const row = rowOf(kind)
  return keys.acceptedBy(row, await keys.sign(row.id, text))
}

describe('keys on a running network', () => {
  it('are made by the parties over the relay at the edge', async () => {
    const made = await Promise.all(KINDS.map(async (kind) => [nameOf(kind), await keys.create(...kind)] as const))
    for (const [name, row] of made) rows.set(name, row)
    for (const kind of KINDS) expect(rowOf(kind)).toMatchObject({ state: 2, threshold: kind[1], epoch: 0 })
    expect(rowOf(KINDS[0] as (typeof KINDS)[number]).members).toHaveLength(5)
    const { id } = rowOf(['taproot', 3, 5])
    expect(await keys.read('addressOf', [id, 3, `0x${'00'.repeat(32)}`])).toMatch(/^bcrt1p/)
  }, 240_000)

  it.each(KINDS)(
    'sign: %s %i-of-%i, accepted by verifiers that know nothing of it',
    async (...kind) => {
      expect(await signs(kind, 'first')).toEqual(VERIFIERS[kind[0]])
    },
    200_000,
  )

  it('are refreshed, reshared and recovered, and stay the same keys', async () => {
    await keys.change('requestRefresh', [rowOf(['taproot', 3, 5]).id])
    await keys.change('requestReshare', [rowOf(['ecdsa', 2, 3]).id, 3, 5])
    const [lost] = rowOf(['ed25519', 2, 3]).members
    await keys.change('requestRecovery', [rowOf(['ed25519', 2, 3]).id, lost])
    for (const kind of KINDS) {
      const before = rowOf(kind)
      const after = await keys.key(before.id)
      expect(after.publicKey).toBe(before.publicKey)
      rows.set(nameOf(kind), after)
    }
    expect(rowOf(['taproot', 3, 5]).epoch).toBe(1)
    expect(rowOf(['ecdsa', 2, 3])).toMatchObject({ epoch: 1, threshold: 3 })
    for (const kind of KINDS) expect(await signs(kind, 'second')).toEqual(VERIFIERS[kind[0]])
  }, 400_000)

  it('sign without the relay at the edge: the session goes on over a party’s own', async () => {
    const row = rowOf(['taproot', 3, 5])
    process.kill(-pidOf('edge'), 'SIGKILL')
    expect(await signs(['taproot', 3, 5], 'without the edge')).toEqual(VERIFIERS['taproot'])
    expect(row.members).toHaveLength(5)
  }, 200_000)

  it('sign with m − t of their parties dead', async () => {
    const row = rowOf(['taproot', 3, 5])
    // Parties 5 and 6 are processes of their own; which of them hold this key is the chain's choice.
    for (const name of ['party-4', 'party-5']) process.kill(pidOf(name), 'SIGKILL')
    expect(await signs(['taproot', 3, 5], 'with two parties dead')).toEqual(VERIFIERS['taproot'])
    for (const name of ['party-4', 'party-5']) restart(name)
    const parties = (await keys.read('parties', [0, 100])) as { excludedAt: bigint }[]
    expect(parties.filter(({ excludedAt }) => excludedAt !== 0n)).toEqual([])
    expect(row.threshold).toBe(3)
  }, 300_000)

  it('leave no secret in any log or at any relay', async () => {
    const passphrase = readFileSync(passphrasePath(ready.dataDir), 'utf8').trim()
    const stores = [0, 1, 2, 3].map((index) => join(validatorDir(ready.dataDir, index), 'party'))
    // Stores are read after everything is stopped: a store has one process.
    const ended = new Promise((done) => child.once('close', done))
    child.kill('SIGINT')
    await ended
    const secrets: Uint8Array[] = []
    for (const store of stores) {
      const vault = openVault(join(store, 'custody'), passphrase)
      for (const name of vault.names('share/')) secrets.push((vault.get(name) ?? new Uint8Array(0)).slice(0, 32))
      for (const name of vault.names('pair/')) secrets.push((vault.get(name) ?? new Uint8Array(0)).slice(2, 18))
      const identity = vault.get('identity') ?? new Uint8Array(64)
      secrets.push(identity.slice(0, 32), identity.slice(32))
      await vault.close()
    }
    expect(secrets.length).toBeGreaterThan(12)
    const texts = filesUnder(ready.dataDir).filter(([name]) => !name.includes('custody') && !name.includes('presignatures'))
    const found = secrets.flatMap((secret) => {
      const forms = [
        Buffer.from(secret).toString('hex'),
        Buffer.from(secret).toString('base64'),
        BigInt(`0x${Buffer.from(secret).toString('hex')}`).toString(),
      ]
      return texts.flatMap(([name, text]) =>
        forms.some((form) => text.includes(form)) || text.includes(Buffer.from(secret).toString('latin1')) ? [name] : [],
      )
    })
    expect(found).toEqual([])
    expect(texts.length).toBeGreaterThan(20)
  }, 60_000)
})

/** All files below a folder with their bytes as latin-1 text. */
function filesUnder(path: string): readonly (readonly [string, string])[] {
  return readdirSync(path).flatMap((name) => {
    const full = join(path, name)
    if (!existsSync(full)) return []
    const stat = statSync(full)
    if (stat.isDirectory()) return filesUnder(full)
    return stat.isFile() ? [[full, readFileSync(full, 'latin1')] as const] : []
  })
}
