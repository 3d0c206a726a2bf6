/** Stores of a party: sealed, durable, and each presignature used once. @module */
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { Custody } from '#node/party/custody.ts'
import { Presignatures } from '#node/party/presignatures.ts'
import { decodePublicKey, decodeShare, encodePublicKey, encodeShare } from '#node/party/share-codec.ts'
import type { Vault } from '#node/party/vault.ts'
import { openVault } from '#node/party/vault.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { KeyShare } from '#shared/dcrm/types.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { encodePresignature } from '#shared/dcrm/presignature.ts'
import { encodedKeyOf, presign, presignaturesOf, presigning, tupleOf } from '#test/unit/dcrm/presign-support.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'
import { runCrashSeed, createCrashStage } from '#test/sim/party-crash.ts'

const PASSPHRASE = 'correct horse battery'
const KEY = bytesToHex(seedOf('key'))
let folder: string
let vault: Vault

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fusion-vault-'))
  vault = openVault(folder, PASSPHRASE)
})
afterEach(async () => {
  await vault.close()
  rmSync(folder, { recursive: true, force: true })
})
const reopen = async (): Promise<void> => {
  await vault.close()
  vault = openVault(folder, PASSPHRASE)
}
const onDisk = (): Buffer => Buffer.concat(readdirSync(folder).map((name) => readFileSync(join(folder, name))))

describe('a vault', () => {
  it('keeps what was written over a restart, by name and prefix', async () => {
    vault.write([
      { name: 'a/1', value: Uint8Array.of(1) },
      { name: 'a/2', value: Uint8Array.of(2) },
      { name: 'b', value: Uint8Array.of(3) },
    ])
    await reopen()
    expect(vault.get('a/2')).toEqual(Uint8Array.of(2))
    expect(vault.names('a/')).toEqual(['a/1', 'a/2'])
    vault.write([{ name: 'a/1', value: null }])
    expect(vault.get('a/1')).toBe(null)
    expect(vault.names('a/')).toEqual(['a/2'])
  })
  it('refuses another passphrase with one clear error, and a short one at once', async () => {
    await vault.close()
    expect(() => openVault(folder, 'another passphrase')).toThrow(/PASSPHRASE_WRONG.*expected the passphrase the store was made with/)
    expect(() => openVault(folder, 'short')).toThrow(/PASSPHRASE_SHORT.*got 5/)
    vault = openVault(folder, PASSPHRASE)
  })
  it('holds nothing in the clear', () => {
    const secret = seedOf('a secret')
    vault.write([{ name: 'secret', value: secret }])
    expect(vault.get('secret')).toEqual(secret)
    expect(onDisk().includes(Buffer.from(secret))).toBe(false)
  })
})

describe('custody', () => {
  const share = dealtShares('ecdsa', 2, [1, 2, 300], 'custody').get(300) as KeyShare
  it('gives back shares and public keys exactly', () => {
    expect(decodeShare(encodeShare(share))).toEqual(share)
    expect(decodePublicKey(encodePublicKey(share.publicKey))).toEqual(share.publicKey)
    expect(() => decodePublicKey('{}')).toThrow('KEY_INVALID')
  })
  it('keeps identity, shares, joined sessions and disputes over a restart', async () => {
    const before = new Custody(vault)
    const { signKey } = before.identity()
    before.putShare(KEY, share)
    before.join(seedOf('session'))
    before.dispute(KEY, 0, 2, 'EXTENSION_CHECK')
    await reopen()
    const after = new Custody(vault)
    expect(after.identity().signKey).toBe(signKey)
    expect(after.share(KEY, 0)).toEqual(share)
    expect(after.share(KEY, 1)).toBe(null)
    expect([after.hasJoined(seedOf('session')), after.hasJoined(seedOf('other'))]).toEqual([true, false])
    expect(after.disputes(KEY, 0)).toEqual([{ accused: 2, code: 'EXTENSION_CHECK' }])
    expect(after.disputes(KEY, 1)).toEqual([])
  })
  it('forgets older epochs and nothing else', () => {
    const custody = new Custody(vault)
    custody.putShare(KEY, share)
    custody.putShare(KEY, { ...share, publicKey: { ...share.publicKey, epoch: 1 } })
    custody.dropBefore(KEY, 1)
    expect(custody.share(KEY, 0)).toBe(null)
    expect(custody.share(KEY, 1)?.publicKey.epoch).toBe(1)
  })
  it('renews its lease with a higher generation at each start, as the same instance', async () => {
    const first = new Custody(vault).nextLease()
    await reopen()
    const second = new Custody(vault).nextLease()
    expect(second.instanceId).toBe(first.instanceId)
    expect([first.generation, second.generation]).toEqual([1n, 2n])
  })
})

describe('16 presignatures', () => {
  const backend = createNativeBackend()
  const setting = presigning([1, 2], 'stores', 2)
  const outcomes = presign(setting)
  const [first, second] = [0, 1].map((index) => presignaturesOf(outcomes, index).get(1) as Presignature) as [Presignature, Presignature]
  const key = encodedKeyOf(setting)
  const partialOf = (use: ReturnType<Presignatures['use']>): string => (typeof use === 'string' ? use : bytesToHex(use.partial))

  it('are used for one tuple: the same partial again, for another one never', async () => {
    const store = new Presignatures(vault, backend)
    store.add([first, second], 0)
    const sent = partialOf(store.use(first.psid, key, tupleOf('one')))
    expect(sent).toMatch(/^0x[0-9a-f]{128}$/)
    await reopen()
    const later = new Presignatures(vault, backend)
    expect(partialOf(later.use(first.psid, key, tupleOf('one')))).toBe(sent)
    expect(partialOf(later.use(first.psid, key, tupleOf('two')))).toBe('ALREADY_USED')
    expect(later.stock(first.keyId, first.epoch, first.set).map(({ psid }) => psid)).toEqual([second.psid])
  })
  it('8 of a failed attempt are gone: a second attempt with them is refused', () => {
    const store = new Presignatures(vault, backend)
    store.add([first], 0)
    // The partial left and the signature failed, whoever's fault it was.
    store.use(first.psid, key, tupleOf('one'))
    expect(partialOf(store.use(first.psid, key, { ...tupleOf('one'), entropy: seedOf('another attempt') }))).toBe('ALREADY_USED')
    expect(partialOf(store.use(first.psid, key, tupleOf('one', 3n)))).toBe('ALREADY_USED')
  })
  it('leave no secret once they are used', () => {
    const store = new Presignatures(vault, backend)
    store.add([first], 0)
    store.use(first.psid, key, tupleOf('one'))
    const kept = vault.names('').flatMap((name) => (name.startsWith('!') ? [] : [bytesToHex(vault.get(name) ?? new Uint8Array(0))]))
    for (const secret of [first.phi, first.u, first.v]) expect(kept.some((text) => text.includes(bytesToHex(secret).slice(2)))).toBe(false)
  })
  it('that are not in stock, or whose nonce was seen with another message, are refused', () => {
    const store = new Presignatures(vault, backend)
    expect(store.use(first.psid, key, tupleOf('one'))).toBe('UNKNOWN')
    store.add([first], 0)
    store.use(first.psid, key, tupleOf('one'))
    // A store put together from two others: the presignature is fresh again, its nonce is not.
    vault.write([
      { name: `used/${bytesToHex(first.psid)}`, value: null },
      { name: `fresh/${bytesToHex(first.psid)}`, value: Uint8Array.of(0, 0, 0, 0, 255, 255, 255, 255, ...encodePresignature(first)) },
    ])
    expect(store.use(first.psid, key, tupleOf('one'))).toBe('NONCE_REUSED')
  })
  it('are destroyed when they expire or are doomed', () => {
    const store = new Presignatures(vault, backend)
    store.add([first, second], 0)
    expect(store.destroy(({ psid }) => bytesToHex(psid) === bytesToHex(first.psid), 1000)).toBe(1)
    expect(store.stock(first.keyId, first.epoch, null)).toHaveLength(1)
    expect(store.destroy(() => false, 24 * 3_600_000)).toBe(1)
    expect(store.stock(first.keyId, first.epoch, null)).toEqual([])
  })
  it('are never used for two messages, however often the signer is killed', () => {
    const stage = createCrashStage()
    const runs = [1, 2, 3].map((seed) => runCrashSeed(stage, seed))
    expect(runs.flatMap(({ violations }) => violations)).toEqual([])
    expect(runs.reduce((sum, { kills }) => sum + kills, 0)).toBeGreaterThan(2)
  }, 60_000)
})
