/** Keys nobody holds, on real processes: made, used, refreshed, reshared and recovered over the edge's relay, with parties and relay dying. @module */
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openVault } from '#node/party/vault.ts'
import { passphrasePath, validatorDir } from '#node/supervisor/parts.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import { KeyNetwork } from './key-network.ts'
import type { KeyRow, Keys } from './keys.ts'

let network: KeyNetwork
let keys: Keys
const rows = new Map<string, KeyRow>()

beforeAll(async () => {
  network = await KeyNetwork.start(6)
  keys = network.keys
}, 200_000)
afterAll(() => network.destroy())

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
    process.kill(-network.pidOf('edge'), 'SIGKILL')
    expect(await signs(['taproot', 3, 5], 'without the edge')).toEqual(VERIFIERS['taproot'])
    expect(row.members).toHaveLength(5)
  }, 200_000)

  it('sign with m − t of their parties dead', async () => {
    const row = rowOf(['taproot', 3, 5])
    // Parties 5 and 6 are processes of their own; which of them hold this key is the chain's choice.
    for (const name of ['party-4', 'party-5']) network.kill(name)
    expect(await signs(['taproot', 3, 5], 'with two parties dead')).toEqual(VERIFIERS['taproot'])
    for (const name of ['party-4', 'party-5']) network.restart(name)
    expect((await keys.parties()).filter(({ excludedAt }) => excludedAt !== 0n)).toEqual([])
    expect(row.threshold).toBe(3)
  }, 300_000)

  it('leave no secret in any log or at any relay', async () => {
    const { dataDir } = network.ready
    const passphrase = readFileSync(passphrasePath(dataDir), 'utf8').trim()
    const stores = [0, 1, 2, 3].map((index) => join(validatorDir(dataDir, index), 'party'))
    // Stores are read after everything is stopped: a store has one process.
    await network.stop()
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
    const texts = filesUnder(dataDir).filter(([name]) => !name.includes('custody') && !name.includes('presignatures'))
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
