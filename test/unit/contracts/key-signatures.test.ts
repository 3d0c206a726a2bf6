/** Signatures ordered from keys, and proofs that a committee can still sign: what counts is what verifies under the child key. @module */
import { hexToBytes } from '#shared/bytes.ts'
import { genericDigest, heartbeatDigest } from '#shared/dcrm/digest.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import { KEY_MANAGER } from '#shared/system.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { bytesToHex } from '#shared/bytes.ts'
import {
  REASON,
  BOND_WEI,
  FEE_WEI,
  OWNER,
  SCHEMES,
  SIGNATURE,
  STRANGER,
  ZERO,
  accountOf,
  checkBooks,
  createKeyWorld,
  eventOf,
  eventsOf,
  headerAt,
  manyOwners,
  pathOf,
  rawHeader,
  setOf,
  signAs,
  wordOf,
} from '#test/unit/contracts/key-world.ts'
import type { KeyWorld } from '#test/unit/contracts/key-world.ts'
import { FSN, GENESIS_HASH } from '#test/unit/contracts/world.ts'
import { encodeAbiParameters, keccak256 } from 'viem'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(checkBooks)

const SUBJECT = wordOf('subject')
const REWARD_WEI = 10n ** 16n

/** A request of an ECDSA key whose opening block has passed, and what its committee would post. */
async function waiting(keys: KeyWorld, threshold = 2, size = 3) {
  const key = await keys.activeKey('ecdsa', threshold, size)
  const id = await keys.orderSignature(key, wordOf('message'), SUBJECT)
  const { digest, requestedAt } = await keys.request(id)
  const opening = Number(requestedAt) + 4
  keys.world.height = opening + 1
  const signature = signAs('ecdsa', key, 'key', pathOf('generic', SUBJECT), digest)
  const post = (attempt = 0, bytes: Hex = signature, header = rawHeader(opening)) =>
    keys.contract.refused(STRANGER, 'postSignature', [id, attempt, bytes, header])
  return { key, id, digest, opening, signature, post, members: (await keys.key(key)).members }
}

describe('an order of a signature', () => {
  it('fixes the digest from the network, its own name and the message', async () => {
    const keys = await createKeyWorld(3)
    const key = await keys.activeKey('ecdsa', 2, 3)
    const sent = await keys.done(keys.contract.send(OWNER, 'requestSignature', [key, SUBJECT, wordOf('message')], FEE_WEI))
    const { id, digest } = eventOf(sent, 'SignatureRequested') as { id: Hash; digest: Hash }
    const expected = genericDigest(nobleBackend, hexToBytes(GENESIS_HASH), hexToBytes(id), hexToBytes(wordOf('message')))
    expect(digest).toBe(bytesToHex(expected))
    expect(await keys.contract.call('pendingSignatures', [])).toMatchObject([
      { id, key, state: SIGNATURE.pending, subject: SUBJECT, message: wordOf('message'), digest, feeWei: FEE_WEI, signature: '0x' },
    ])
    expect(await keys.contract.call('activeUntil', [])).toBe(BigInt(keys.world.height) + 244n)
  })
  it('is the owner’s, of an active key, for a fee, and one of at most 32', async () => {
    const keys = await createKeyWorld(3)
    const pending = await keys.order('ecdsa', 2, 3)
    const key = await keys.activeKey('ecdsa', 2, 3)
    const order = (from: `0x${string}`, id: Hash, feeWei = 2n * 10n ** 15n) =>
      keys.contract.refused(from, 'requestSignature', [id, ZERO, ZERO], feeWei)
    expect(await order(OWNER, pending)).toBe('UnknownKey')
    expect(await order(STRANGER, key)).toBe('NotTheOwner')
    expect(await order(OWNER, key, 2n * 10n ** 15n - 1n)).toBe('FeeTooSmall')
    for (let count = 0; count < 32; count++) expect(await order(OWNER, key)).toBe('SUCCESS')
    expect(await order(OWNER, key)).toBe('TooManyOpen')
  })
  it('finds a place when one owner has taken all of his, until eight have', async () => {
    const keys = await createKeyWorld(2)
    const owners = manyOwners(keys)
    const made = new Map<Address, Hash>()
    for (const owner of owners) made.set(owner, await keys.activeKey('ed25519', 2, 2, 'key', owner))
    const order = (owner: Address) => keys.contract.refused(owner, 'requestSignature', [made.get(owner) ?? ZERO, ZERO, ZERO], FEE_WEI)
    for (const owner of owners.slice(0, 8)) {
      for (let count = 0; count < 32; count++) expect(await order(owner)).toBe('SUCCESS')
      expect(await order(owner)).toBe('TooManyOpen')
    }
    expect(await order(owners[8] ?? OWNER)).toBe('TooManyOpen')
    // Four that nobody served are swept with the next order of whoever comes.
    keys.world.height += 4 + 12 * 20 + 1
    expect(await order(owners[8] ?? OWNER)).toBe('SUCCESS')
    expect(await order(owners[0] ?? OWNER)).toBe('SUCCESS')
  }, 30_000)
})

describe('a posted signature', () => {
  it.each(SCHEMES)('of %s counts when it verifies under the child of the subject', async (scheme) => {
    const keys = await createKeyWorld(5)
    const key = await keys.activeKey(scheme, 3, 5)
    const id = await keys.orderSignature(key, wordOf('message'), SUBJECT)
    const { digest, requestedAt } = await keys.request(id)
    const opening = Number(requestedAt) + 4
    keys.world.height = opening + 1
    const post = (signature: Hex) => keys.contract.send(STRANGER, 'postSignature', [id, 0, signature, rawHeader(opening)])
    const counts = async (signature: Hex) => (await post(signature)).success
    expect(await counts(signAs(scheme, key, 'key', pathOf(), digest))).toBe(false)
    expect(await counts(signAs(scheme, key, 'key', pathOf('heartbeat', SUBJECT), digest))).toBe(false)
    expect(await counts(signAs(scheme, wordOf('another'), 'key', pathOf('generic', SUBJECT), digest))).toBe(false)
    expect(await counts(signAs(scheme, key, 'key', pathOf('generic', SUBJECT), wordOf('message')))).toBe(false)
    const signature = signAs(scheme, key, 'key', pathOf('generic', SUBJECT), digest)
    const sent = await keys.done(post(signature))
    const signers = setOf([1, 2, 3, 4, 5], 3, opening, id, 0)
    expect(eventOf(sent, 'SignaturePosted')).toEqual({ id, key, signature, signers })
    expect(await keys.request(id)).toMatchObject({ state: SIGNATURE.signed, signature, feeWei: 0n })
    expect(await keys.contract.call('pendingSignatures', [])).toEqual([])
    const made = FEE_WEI / 5n
    for (let party = 1; party <= 5; party++)
      expect(await keys.credit(accountOf(party))).toBe(made + (signers.includes(party) ? FEE_WEI / 3n : 0n))
    const child = (await keys.contract.call('signingKey', [key, 3, SUBJECT])) as Hex
    expect(await keys.contract.call('checkSignature', [SCHEMES.indexOf(scheme), child, digest, signature])).toBe(true)
    expect(await keys.contract.call('checkSignature', [SCHEMES.indexOf(scheme), child, wordOf('message'), signature])).toBe(false)
    expect(await keys.contract.call('activeUntil', [])).toBe(BigInt(keys.world.height) + 40n)
  })
  it('is refused before its block, in an attempt to come, with another header, twice, and when it does not verify', async () => {
    const keys = await createKeyWorld(3)
    const { id, opening, post } = await waiting(keys)
    keys.world.height = opening
    expect(await post()).toBe('AttemptWrong')
    keys.world.height = opening + 19
    expect(await post(1)).toBe('AttemptWrong')
    expect(await post(0, `0x${'11'.repeat(65)}`)).toBe('SignatureWrong')
    expect(await post(0, '0x')).toBe('SignatureWrong')
    expect(await post(0, undefined, rawHeader(opening + 1))).toBe('HeaderWrong')
    keys.world.height = opening + 20
    expect(await post(1)).toBe('SUCCESS')
    expect(await post(1)).toBe('UnknownRequest')
    expect(await keys.contract.refused(STRANGER, 'postSignature', [wordOf('nothing'), 0, '0x', '0x'])).toBe('UnknownRequest')
    expect((await keys.request(id)).state).toBe(SIGNATURE.signed)
  })
  it('pays the set of the attempt it names', async () => {
    const keys = await createKeyWorld(3)
    const { id, opening, post, members } = await waiting(keys)
    keys.world.height = opening + 200
    const sets = Array.from({ length: 11 }, (_, attempt) => setOf(members, 2, opening, id, attempt))
    const attempt = sets.findIndex((set) => String(set) !== String(sets[0]))
    expect(await post(attempt)).toBe('SUCCESS')
    for (const party of members)
      expect(await keys.credit(accountOf(party))).toBe(FEE_WEI / 3n + (sets[attempt]?.includes(party) ? FEE_WEI / 2n : 0n))
  })
  it('pays all members when disputes had left no set, or its block has left the window', async () => {
    const keys = await createKeyWorld(3)
    const { key, opening, post, members } = await waiting(keys)
    const [first = 0, second = 0, third = 0] = members
    for (const [accuser, accused] of [
      [first, second],
      [second, third],
      [third, first],
    ] as const)
      await keys.done(keys.contract.send(accountOf(accuser), 'reportDispute', [key, accused, REASON]))
    keys.world.height = opening + 21
    expect(await post(1)).toBe('SUCCESS')
    for (const party of members) expect(await keys.credit(accountOf(party))).toBe(2n * (FEE_WEI / 3n))
    const late = await createKeyWorld(3)
    const request = await waiting(late)
    late.world.height = request.opening + 257
    expect(await request.post(0, request.signature, '0x')).toBe('SUCCESS')
    for (const party of members) expect(await late.credit(accountOf(party))).toBe(2n * (FEE_WEI / 3n))
  })
  it('is the duty of one set throughout an attempt: a word counts from the first attempt that begins after it', async () => {
    for (const [reportedAt, from] of [
      [1, 1],
      [20, 1],
      [21, 2],
    ] as const)
      for (const attempt of [from - 1, from]) {
        const keys = await createKeyWorld(5)
        const { key, id, opening, signature, members } = await waiting(keys, 3, 5)
        const told = setOf(members, 3, opening, id, 0)
        const missed = setOf(members, 3, opening, id, attempt).find((party) => told.includes(party)) ?? 0
        keys.world.height = opening + reportedAt
        await keys.done(keys.reportAbsence(id, 0, told.find((party) => party !== missed) ?? 0, [missed]))
        keys.world.height = opening + 1 + 20 * from
        const sent = await keys.done(keys.contract.send(STRANGER, 'postSignature', [id, attempt, signature, rawHeader(opening)]))
        const out = attempt < from ? [] : [missed]
        expect(eventOf(sent, 'SignaturePosted')).toMatchObject({ key, signers: setOf(members, 3, opening, id, attempt, out) })
      }
  })
  it('pays all members when the key has got other holders since the attempt began', async () => {
    const keys = await createKeyWorld(4)
    const { key, id, opening, signature, post, members } = await waiting(keys, 2, 4)
    await keys.done(keys.contract.send(OWNER, 'requestRefresh', [key], FEE_WEI))
    const [refresh] = await keys.open()
    await keys.seat(refresh?.id ?? ZERO)
    await keys.confirmAll(refresh?.id ?? ZERO, (await keys.key(key)).publicKey)
    const since = keys.world.height
    expect(since).toBeLessThan(opening + 20)
    const [first = 0, second = 0] = setOf(members, 2, opening, id, 0)
    expect(await keys.contract.refused(accountOf(first), 'reportAbsence', [id, 0, [second], rawHeader(opening)])).toBe('NotAMember')
    keys.world.height = opening + 20
    const set = setOf(members, 2, opening, id, 1)
    const word = [id, 1, [set[1] ?? 0], rawHeader(opening)] as const
    expect(await keys.contract.refused(accountOf(set[0] ?? 0), 'reportAbsence', word)).toBe('SUCCESS')
    expect(await post(0, signature)).toBe('SUCCESS')
    for (const party of members) expect(await keys.credit(accountOf(party))).toBe((3n * FEE_WEI) / 4n)
  })
  it('is not the duty of who was absent three times before', async () => {
    const keys = await createKeyWorld(4)
    const { key, members } = await waiting(keys)
    const [one = 0, silent = 0, three = 0] = members
    const next = async (count: number) => {
      const id = await keys.orderSignature(key, wordOf(`next ${count}`), SUBJECT)
      const opening = keys.world.height + 4
      keys.world.height = opening + 1
      return { id, opening }
    }
    for (let count = 0; (await keys.party(silent)).absences < 3; count++) {
      const { id, opening } = await next(count)
      const set = setOf(members, 2, opening, id, 0)
      for (const other of set.filter((party) => set.includes(silent) && party !== silent))
        await keys.done(keys.reportAbsence(id, 0, other, [silent]))
    }
    for (let count = 100; count < 106; count++) {
      const { id, opening } = await next(count)
      const signature = signAs('ecdsa', key, 'key', pathOf('generic', SUBJECT), (await keys.request(id)).digest)
      const sent = await keys.done(keys.contract.send(STRANGER, 'postSignature', [id, 0, signature, rawHeader(opening)]))
      expect(eventOf(sent, 'SignaturePosted')['signers']).toEqual([one, three])
    }
  })
  it('ends the absence of its signers', async () => {
    const keys = await createKeyWorld(3)
    const { id, opening, post, members } = await waiting(keys)
    const [signer = 0, other = 0] = setOf(members, 2, opening, id, 0)
    await keys.done(keys.reportAbsence(id, 0, other, [signer]))
    expect((await keys.party(signer)).absences).toBe(1)
    expect(await post()).toBe('SUCCESS')
    expect((await keys.party(signer)).absences).toBe(0)
  })
})

describe('a request that nobody serves', () => {
  it('expires after twelve attempts and gives its fee back', async () => {
    const keys = await createKeyWorld(3)
    const { id, opening, post } = await waiting(keys)
    const expire = () => keys.contract.refused(STRANGER, 'expireSignature', [id])
    keys.world.height = opening + 240
    expect(await expire()).toBe('NotReady')
    keys.world.height++
    expect(await expire()).toBe('SUCCESS')
    expect((await keys.request(id)).state).toBe(SIGNATURE.expired)
    expect(await keys.credit(OWNER)).toBe(FEE_WEI)
    expect(await keys.contract.call('pendingSignatures', [])).toEqual([])
    expect(await keys.contract.call('activeUntil', [])).toBe(BigInt(keys.world.height) + 40n)
    expect(await expire()).toBe('UnknownRequest')
    expect(await post()).toBe('UnknownRequest')
  })
  it('makes room for the next by itself', async () => {
    const keys = await createKeyWorld(3)
    const { key, id } = await waiting(keys)
    const young = await keys.orderSignature(key)
    keys.world.height += 240
    const sent = await keys.done(keys.contract.send(OWNER, 'requestSignature', [key, ZERO, ZERO], FEE_WEI))
    expect(eventsOf(sent).filter(({ name }) => name === 'SignatureExpired')).toEqual([{ name: 'SignatureExpired', args: { id, key } }])
    expect((await keys.request(young)).state).toBe(SIGNATURE.pending)
  })
})

describe('a heartbeat', () => {
  const session = (key: Hash, epoch: number): Hash =>
    keccak256(encodeAbiParameters([{ type: 'bytes32' }, { type: 'uint64' }], [key, BigInt(epoch)]))
  async function beating(keys: KeyWorld) {
    const key = await keys.activeKey('ed25519', 2, 3)
    const post = (epoch: number, at: number, attempt = 0, purpose: 'heartbeat' | 'generic' = 'heartbeat') => {
      keys.world.height = at
      const digest = heartbeatDigest(
        nobleBackend,
        hexToBytes(GENESIS_HASH),
        hexToBytes(key),
        epoch,
        hexToBytes(headerAt(epoch * 200).randomness),
      )
      const signature = signAs('ed25519', key, 'key', pathOf(purpose), bytesToHex(digest))
      return keys.contract.send(STRANGER, 'postHeartbeat', [key, BigInt(epoch), attempt, signature, rawHeader(epoch * 200)])
    }
    return { key, post }
  }

  it('proves once per epoch that the key can sign, and the pool pays those whose turn it was', async () => {
    const keys = await createKeyWorld(3, FSN)
    const { key, post } = await beating(keys)
    const before = await Promise.all([1, 2, 3].map((party) => keys.credit(accountOf(party))))
    const sent = await keys.done(post(1, 205))
    const signers = setOf([1, 2, 3], 2, 200, session(key, 1), 0)
    expect(eventOf(sent, 'Heartbeat')).toMatchObject({ key, epoch: 1n, signers })
    expect((await keys.key(key)).heartbeatEpoch).toBe(1n)
    const gained = await Promise.all([1, 2, 3].map(async (party, index) => (await keys.credit(accountOf(party))) - (before[index] ?? 0n)))
    expect(gained).toEqual([1, 2, 3].map((party) => (signers.includes(party) ? REWARD_WEI : 0n)))
    expect((await post(1, 206)).success).toBe(false)
    expect((await post(2, 401)).success).toBe(true)
  })
  it('is refused outside its epoch, for a key that was not there, in an attempt to come, by another key', async () => {
    const keys = await createKeyWorld(3, FSN)
    const { key, post } = await beating(keys)
    expect((await post(1, 199)).success).toBe(false)
    expect((await post(1, 200)).success).toBe(false)
    expect((await post(1, 400)).success).toBe(false)
    expect((await post(1, 210, 1)).success).toBe(false)
    expect((await post(1, 210, 0, 'generic')).success).toBe(false)
    expect((await post(1, 399, 9)).success).toBe(true)
    const beat = (id: Hash, epoch: bigint, header: Hex) =>
      keys.contract.refused(STRANGER, 'postHeartbeat', [id, epoch, 0, `0x${'00'.repeat(64)}`, header])
    expect(await beat(wordOf('nothing'), 1n, '0x')).toBe('UnknownKey')
    expect(await beat(key, 1n, rawHeader(200))).toBe('NotReady')
    keys.world.height = 410
    expect(await beat(key, 2n, rawHeader(399))).toBe('HeaderWrong')
    expect(await beat(key, 2n, rawHeader(400))).toBe('SignatureWrong')
    const young = await keys.activeKey('ed25519', 2, 3, 'young')
    expect(await beat(young, 2n, rawHeader(400))).toBe('NotReady')
  })
  it('counts without a reward when the pool cannot pay all signers', async () => {
    const keys = await createKeyWorld(3, 2n * REWARD_WEI - 2n)
    const { key, post } = await beating(keys)
    expect(keys.world.state.balance(KEY_MANAGER)).toBe(3n * BOND_WEI + FEE_WEI + 2n * REWARD_WEI - 2n)
    const before = await keys.credit(accountOf(1))
    // The division of the fee left one wei in the pool: one is missing.
    expect((await post(1, 205)).success).toBe(true)
    expect((await keys.key(key)).heartbeatEpoch).toBe(1n)
    expect(await keys.credit(accountOf(1))).toBe(before)
    keys.world.state.addBalance(KEY_MANAGER, 1n)
    const signers = setOf([1, 2, 3], 2, 400, session(key, 2), 0)
    expect((await post(2, 405)).success).toBe(true)
    expect(await keys.credit(accountOf(signers[0] ?? 0))).toBe(before + REWARD_WEI)
  })
})
