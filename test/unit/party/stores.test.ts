/** Stores of a party: sealed, durable, and each presignature used once. @module */
import { scryptSync } from 'node:crypto'
import { chmodSync, cpSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { createNativeBackend } from '#node/dcrm/native-backend.ts'
import { Custody } from '#node/party/custody.ts'
import { Presignatures } from '#node/party/presignatures.ts'
import { decodePublicKey, decodeShare, encodePublicKey, encodeShare } from '#node/party/share-codec.ts'
import type { Vault } from '#node/party/vault.ts'
import { openVault } from '#node/party/vault.ts'
import { bytesToHex } from '#shared/bytes.ts'
import type { PairState } from '#shared/dcrm/pair-setup.ts'
import type { KeyShare } from '#shared/dcrm/types.ts'
import type { Presignature } from '#shared/dcrm/presignature.ts'
import { consume } from '#shared/dcrm/consumption.ts'
import { dealtPairs, encodedKeyOf, presign, presignaturesOf, presigning, tupleOf } from '#test/unit/dcrm/presign-support.ts'
import { dealtShares, seedOf } from '#test/unit/dcrm/support.ts'
import { runCrashSeed, createCrashStage } from '#test/sim/party-crash.ts'

vi.mock('node:crypto', { spy: true })

const PASSPHRASE = 'correct horse battery'
const KEY = bytesToHex(seedOf('key'))
let folder: string
let vault: Vault

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'fusion-vault-'))
  vault = openVault(folder, PASSPHRASE, 12)
})
afterEach(async () => {
  await vault.close()
  rmSync(folder, { recursive: true, force: true })
})
const reopen = async (): Promise<void> => {
  await vault.close()
  vault = openVault(folder, PASSPHRASE, 12)
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
    vault = openVault(folder, PASSPHRASE, 12)
  })
  it('holds nothing in the clear', () => {
    const secret = seedOf('a secret')
    vault.write([{ name: 'secret', value: secret }])
    expect(vault.get('secret')).toEqual(secret)
    expect(onDisk().includes(Buffer.from(secret))).toBe(false)
  })
})

describe('a vault on disk', () => {
  it('carries nothing of what else the process has in memory', async () => {
    const secret = Buffer.from('a secret somewhere on the heap of the process')
    for (let turn = 0; turn < 40; turn++) {
      // Freed memory with the secret in it, of the size of a page and more.
      for (let block = 0; block < 100; block++) Buffer.allocUnsafeSlow(4160).fill(secret)
      globalThis.gc?.()
      vault.write([{ name: `value/${turn}`, value: new Uint8Array(300) }])
    }
    expect(onDisk().includes(secret)).toBe(false)
  })
  it('is readable to its owner alone, whoever made the folder', async () => {
    await vault.close()
    chmodSync(folder, 0o755)
    for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o644)
    vault = openVault(folder, PASSPHRASE, 12)
    const modes = [folder, ...readdirSync(folder).map((name) => join(folder, name))].map((path) => statSync(path).mode & 0o777)
    expect(modes).toEqual([0o700, 0o600, 0o600])
  })
  it('costs what a guess should cost, and keeps the cost it was made with', async () => {
    const scrypt = vi.mocked(scryptSync)
    const costOf = (): unknown => scrypt.mock.calls.at(-1)?.[3]
    const strong = openVault(join(folder, 'strong'), PASSPHRASE)
    await strong.close()
    // The least that OWASP's password storage advice allows for scrypt with p = 1.
    expect(costOf()).toMatchObject({ N: 2 ** 17, r: 8, p: 1 })
    await vault.close()
    vault = openVault(folder, PASSPHRASE)
    expect(costOf()).toMatchObject({ N: 2 ** 12, r: 8, p: 1 })
  })
})

describe('custody', () => {
  const share = dealtShares('ecdsa', 2, [1, 2, 300], 'custody').get(300) as KeyShare
  it('gives back shares and public keys exactly', () => {
    expect(decodeShare(encodeShare(share))).toEqual(share)
    expect(decodePublicKey(encodePublicKey(share.publicKey))).toEqual(share.publicKey)
  })
  it.each(['{"code":"KEY_UNKNOWN"}', '{"code":"NOT_FOUND"}', '{}', 'null', '[]', '', 'busy'])(
    'take a relay’s refusal %j for no key',
    (text) => {
      expect(() => decodePublicKey(text)).toThrow('KEY_INVALID')
    },
  )
  const [digest, other] = [bytesToHex(seedOf('digest')), bytesToHex(seedOf('other digest'))]
  const inEpoch = (epoch: number, secret = share.secret): KeyShare => ({ ...share, secret, publicKey: { ...share.publicKey, epoch } })
  const pair = dealtPairs([2, 300]).get(300)?.get(2) as PairState

  it('keeps identity, shares, joined sessions and disputes over a restart', async () => {
    const before = new Custody(vault)
    const { signKey } = before.identity()
    before.putShare(KEY, digest, share)
    before.join(seedOf('session'))
    before.dispute(KEY, 0, 2, 'EXTENSION_CHECK')
    await reopen()
    const after = new Custody(vault)
    expect(after.identity().signKey).toBe(signKey)
    expect(after.share({ id: KEY, epoch: 0, digest })).toEqual(share)
    expect(after.share({ id: KEY, epoch: 1, digest })).toBe(null)
    expect([after.hasJoined(seedOf('session')), after.hasJoined(seedOf('other'))]).toEqual([true, false])
    expect(after.disputes(KEY, 0)).toEqual([{ accused: 2, code: 'EXTENSION_CHECK' }])
    expect(after.disputes(KEY, 1)).toEqual([])
    expect([after.hasDisputed(KEY, 0, [1, 2]), after.hasDisputed(KEY, 0, [1, 20]), after.hasDisputed(KEY, 1, [2])]).toEqual([
      true,
      false,
      false,
    ])
  })
  it('keeps the shares of several attempts until the chain says which one counts', () => {
    const custody = new Custody(vault)
    custody.putShare(KEY, digest, inEpoch(0))
    custody.putShare(KEY, digest, inEpoch(1, seedOf('first attempt')))
    custody.putShare(KEY, other, inEpoch(1, seedOf('second attempt')))
    // A first attempt that ends late takes no place of the second, whichever of them the chain commits.
    custody.dropStale({ id: KEY, epoch: 0, digest }, true, true)
    expect(custody.share({ id: KEY, epoch: 0, digest })).toEqual(share)
    expect(custody.share({ id: KEY, epoch: 1, digest })?.secret).toEqual(seedOf('first attempt'))
    expect(custody.share({ id: KEY, epoch: 1, digest: other })?.secret).toEqual(seedOf('second attempt'))
    custody.dropStale({ id: KEY, epoch: 1, digest: other }, true, false)
    expect(vault.names('share/')).toEqual([`share/${KEY}/1/${other}`])
  })
  it('deletes old shares and pair states when the chain has committed new ones that it holds, and not before', () => {
    const custody = new Custody(vault)
    custody.putShare(KEY, digest, inEpoch(0))
    custody.putPair(KEY, 0, pair)
    custody.dropStale({ id: KEY, epoch: 1, digest: other }, true, false)
    expect([vault.names('share/').length, vault.names('pair/').length]).toEqual([1, 1])
    custody.putShare(KEY, other, inEpoch(1))
    custody.dropStale({ id: KEY, epoch: 1, digest: other }, true, false)
    expect([...vault.names('share/'), ...vault.names('pair/')]).toEqual([`share/${KEY}/1/${other}`])
  })
  it('keeps nothing of a key that others hold now, nor of a change that came to nothing', () => {
    const custody = new Custody(vault)
    custody.putShare(KEY, digest, inEpoch(0))
    custody.putPair(KEY, 0, pair)
    custody.putShare(KEY, other, inEpoch(1))
    custody.dropStale({ id: KEY, epoch: 0, digest }, true, false)
    expect(vault.names('share/')).toEqual([`share/${KEY}/0/${digest}`])
    custody.dropStale({ id: KEY, epoch: 1, digest: other }, false, false)
    expect([...vault.names('share/'), ...vault.names('pair/')]).toEqual([])
  })
  it('9 gives up what a probe could ask about in the write that records the dispute', async () => {
    const custody = new Custody(vault)
    custody.putPair(KEY, 0, pair)
    expect(custody.pair(KEY, 0, 2)).toEqual(pair)
    custody.dispute(KEY, 0, 2, 'EXTENSION_CHECK')
    await reopen()
    expect(new Custody(vault).pair(KEY, 0, 2)).toBe(null)
  })
  it('9 holds to a dispute that the disk did not take', () => {
    const full: Vault = {
      ...vault,
      write: () => {
        throw new Error('no space left')
      },
    }
    const custody = new Custody(full)
    expect(() => custody.dispute(KEY, 0, 2, 'EXTENSION_CHECK')).toThrow('no space left')
    expect(custody.hasDisputed(KEY, 0, [2])).toBe(true)
  })
  it('takes a lease of its own at each start, one generation higher', async () => {
    expect(new Custody(vault).lease()).toBe(null)
    const first = new Custody(vault).nextLease()
    await reopen()
    expect(new Custody(vault).lease()).toEqual(first)
    const second = new Custody(vault).nextLease()
    expect(second.instanceId).not.toBe(first.instanceId)
    expect([first.generation, second.generation]).toEqual([1n, 2n])
  })
  it('outdates its copies with what they must not forget: disputes and new shares', () => {
    const custody = new Custody(vault)
    const { instanceId } = custody.nextLease()
    custody.dispute(KEY, 0, 2, 'EXTENSION_CHECK')
    expect(custody.lease()).toEqual({ instanceId, generation: 2n })
    custody.putShare(KEY, digest, share)
    expect(custody.lease()).toEqual({ instanceId, generation: 3n })
    custody.outdateCopies()
    expect(custody.lease()).toEqual({ instanceId, generation: 4n })
  })
  it('serves one network', async () => {
    const [network, another] = [bytesToHex(seedOf('network')), bytesToHex(seedOf('another network'))]
    expect(new Custody(vault).isOfNetwork(network)).toBe(true)
    await reopen()
    expect([another, network].map((hash) => new Custody(vault).isOfNetwork(hash))).toEqual([false, true])
  })
  it('16 gives a presignature and a nonce to one use for good', async () => {
    const [psid, otherPsid, use, otherUse] = [seedOf('psid'), seedOf('other psid'), seedOf('use'), seedOf('other use')]
    expect(new Custody(vault).claimNonce(psid, 5n, use)).toBe(true)
    await reopen()
    const custody = new Custody(vault)
    expect(custody.claimNonce(psid, 5n, use)).toBe(true)
    expect(custody.claimNonce(otherPsid, 5n, otherUse)).toBe(false)
    expect(custody.claimNonce(psid, 6n, otherUse)).toBe(false)
    expect(custody.claimNonce(otherPsid, 6n, otherUse)).toBe(true)
  })

  it('forgets its half of the pairs it is told to, and no other', () => {
    const custody = new Custody(vault)
    for (const peer of [1, 2, 3]) for (const epoch of [0, 1]) custody.putPair(KEY, epoch, { ...pair, peer })
    custody.forgetPairs(KEY, 1, [])
    custody.forgetPairs(KEY, 1, [1, 3])
    expect(vault.names('pair/')).toEqual([`pair/${KEY}/0/1`, `pair/${KEY}/0/2`, `pair/${KEY}/0/3`, `pair/${KEY}/1/2`])
  })
  it('forgets its half of every pair with a peer that has other keys now, and no other', () => {
    const custody = new Custody(vault)
    const peers = (second: string) => [1, 2, 3].map((id) => ({ id, signKey: bytesToHex(seedOf(id === 2 ? second : `sign ${id}`)) }))
    custody.meet(peers('sign 2'))
    for (const peer of [2, 3]) for (const epoch of [0, 1]) custody.putPair(KEY, epoch, { ...pair, peer })
    const held = () => [2, 3].map((peer) => [0, 1].filter((epoch) => new Custody(vault).pair(KEY, epoch, peer) !== null).length)
    custody.meet(peers('sign 2'))
    expect(held()).toEqual([2, 2])
    custody.meet(peers('another'))
    expect(held()).toEqual([0, 2])
    custody.putPair(KEY, 1, { ...pair, peer: 2 })
    custody.meet(peers('another'))
    expect(held()).toEqual([1, 2])
  })
})

describe('16 presignatures', () => {
  const backend = createNativeBackend()
  const setting = presigning([1, 2], 'stores', 2)
  const outcomes = presign(setting)
  const [first, second] = [0, 1].map((index) => presignaturesOf(outcomes, index).get(1) as Presignature) as [Presignature, Presignature]
  const key = encodedKeyOf(setting)
  const partialOf = (use: ReturnType<Presignatures['use']>): string => (typeof use === 'string' ? use : bytesToHex(use.partial))
  const DAY_MS = 24 * 3_600_000
  let nowMs = 0
  /** The store of a signer; what it remembers of nonces lies elsewhere. */
  const storeOver = (stock: Vault, custody: Vault = stock): Presignatures =>
    new Presignatures(stock, new Custody(custody), backend, () => nowMs)
  beforeEach(() => {
    nowMs = DAY_MS
  })

  it('are used for one tuple: the same partial again, for another one never', async () => {
    const store = storeOver(vault)
    store.add([first, second])
    const sent = partialOf(store.use(first.psid, key, tupleOf('one')))
    expect(sent).toMatch(/^0x[0-9a-f]{128}$/)
    await reopen()
    const later = storeOver(vault)
    expect(partialOf(later.use(first.psid, key, tupleOf('one')))).toBe(sent)
    expect(partialOf(later.use(first.psid, key, tupleOf('two')))).toBe('ALREADY_USED')
    expect(later.stock(first.keyId, first.epoch, first.set).map(({ psid }) => psid)).toEqual([second.psid])
  })
  it('8 of a failed attempt are gone: a second attempt with them is refused', () => {
    const store = storeOver(vault)
    store.add([first])
    // The partial left and the signature failed, whoever's fault it was.
    store.use(first.psid, key, tupleOf('one'))
    expect(partialOf(store.use(first.psid, key, { ...tupleOf('one'), entropy: seedOf('another attempt') }))).toBe('ALREADY_USED')
    expect(partialOf(store.use(first.psid, key, tupleOf('one', 3n)))).toBe('ALREADY_USED')
  })
  it('leave no secret once they are used', () => {
    const store = storeOver(vault)
    store.add([first])
    store.use(first.psid, key, tupleOf('one'))
    const kept = vault.names('').flatMap((name) => (name.startsWith('!') ? [] : [bytesToHex(vault.get(name) ?? new Uint8Array(0))]))
    for (const secret of [first.phi, first.u, first.v]) expect(kept.some((text) => text.includes(bytesToHex(secret).slice(2)))).toBe(false)
  })
  it('that are not in stock, or whose nonce was seen with another message, are refused', () => {
    const store = storeOver(vault)
    expect(store.use(first.psid, key, tupleOf('one'))).toBe('UNKNOWN')
    const made = consume(backend, key, first, tupleOf('one'))
    if (typeof made === 'string') throw new Error(made)
    expect(new Custody(vault).claimNonce(seedOf('another psid'), made.context.r, seedOf('another use'))).toBe(true)
    store.add([first])
    expect(store.use(first.psid, key, tupleOf('one'))).toBe('NONCE_REUSED')
  })
  it('put back by an older copy of their folder are still known to be used', async () => {
    const stock = openVault(join(folder, 'stock'), PASSPHRASE, 12)
    storeOver(stock, vault).add([first])
    await stock.close()
    cpSync(join(folder, 'stock'), join(folder, 'copy'), { recursive: true })
    const used = openVault(join(folder, 'stock'), PASSPHRASE, 12)
    const sent = partialOf(storeOver(used, vault).use(first.psid, key, tupleOf('one')))
    const restored = openVault(join(folder, 'copy'), PASSPHRASE, 12)
    expect(storeOver(restored, vault).use(first.psid, key, tupleOf('two'))).toBe('NONCE_REUSED')
    expect(partialOf(storeOver(restored, vault).use(first.psid, key, tupleOf('one')))).toBe(sent)
    await Promise.all([used.close(), restored.close()])
  })
  it('end at the age of a day, even if nobody destroys them, and when the clock was set back', () => {
    const store = storeOver(vault)
    store.add([first])
    const usable = (): number => store.stock(first.keyId, first.epoch, null).length
    nowMs = 2 * DAY_MS - 1
    expect(usable()).toBe(1)
    for (const atMs of [2 * DAY_MS, DAY_MS - 1]) {
      nowMs = atMs
      expect([usable(), store.use(first.psid, key, tupleOf('one'))]).toEqual([0, 'UNKNOWN'])
    }
    expect(store.destroy(() => false)).toBe(1)
    expect(vault.names('fresh/')).toEqual([])
  })
  it('are destroyed when they are doomed', () => {
    const store = storeOver(vault)
    store.add([first, second])
    expect(store.destroy(({ psid }) => bytesToHex(psid) === bytesToHex(first.psid))).toBe(1)
    expect(store.stock(first.keyId, first.epoch, null).map(({ psid }) => psid)).toEqual([second.psid])
  })
  it('are never used for two messages, however often the signer is killed', () => {
    const stage = createCrashStage()
    const runs = [1, 2, 3].map((seed) => runCrashSeed(stage, seed))
    expect(runs.flatMap(({ violations }) => violations)).toEqual([])
    expect(runs.reduce((sum, { kills }) => sum + kills, 0)).toBeGreaterThan(2)
  }, 60_000)
})
