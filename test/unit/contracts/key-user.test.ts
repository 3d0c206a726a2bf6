/** What contracts can do with keys, and what the largest committee costs. @module */
import { keyUserAbi, keyUserCreation } from '#shared/api/abi/key-user.ts'
import type { Address, Hash, Hex } from '#shared/types.ts'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import {
  REASON,
  FEE_WEI,
  OWNER,
  STRANGER,
  ZERO,
  accountOf,
  checkBooks,
  createKeyWorld,
  eventOf,
  pathOf,
  publicKeyOf,
  rawHeader,
  signAs,
  wordOf,
} from '#test/unit/contracts/key-world.ts'
import { contractAt } from '#test/unit/contracts/world.ts'
import { encodeAbiParameters, keccak256 } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { afterEach, describe, expect, it } from 'vitest'

afterEach(checkBooks)

/** Gas a party gives each call: see node/party/chain-view.ts. */
const CALL_GAS = 4_000_000n

async function deployed(parties: number) {
  const keys = await createKeyWorld(parties)
  const address = await keys.world.deploy(OWNER, { abi: keyUserAbi, bytecode: keyUserCreation, args: [] })
  return { keys, address, user: contractAt(keys.world, keyUserAbi, address) }
}

describe('a contract', () => {
  it('orders a key, has its own statement signed, and knows its signature', async () => {
    const { keys, user } = await deployed(3)
    expect(await user.refused(STRANGER, 'orderKey', [2, 3], FEE_WEI)).toBe('NotTheOwner')
    expect(await user.refused(OWNER, 'orderKey', [2, 3], FEE_WEI)).toBe('SUCCESS')
    const key = (await user.call('key', [])) as Hash
    expect(await user.refused(OWNER, 'orderKey', [2, 3], FEE_WEI)).toBe('AlreadyOrdered')
    await keys.seat(key)
    await keys.confirmAll(key, publicKeyOf('ed25519', 'key'))
    expect(await user.refused(STRANGER, 'state', [STRANGER, 7n], FEE_WEI)).toBe('NotTheOwner')
    expect(await user.refused(OWNER, 'state', [STRANGER, 7n], FEE_WEI)).toBe('SUCCESS')
    const [request] = (await keys.contract.call('pendingSignatures', [])) as readonly { id: Hash; message: Hash; digest: Hash }[]
    const built = encodeAbiParameters([{ type: 'uint256' }, { type: 'address' }, { type: 'uint256' }], [0n, STRANGER, 7n])
    expect(request?.message).toBe(keccak256(built))
    const signature = signAs('ed25519', key, 'key', pathOf(), request?.digest ?? ZERO)
    expect(await user.call('signatureOf', [0n])).toBe('0x')
    const opening = keys.world.height + 4
    keys.world.height = opening + 1
    await keys.done(keys.contract.send(STRANGER, 'postSignature', [request?.id ?? ZERO, 0, signature, rawHeader(opening)]))
    expect(await user.call('signatureOf', [0n])).toBe(signature)
    expect(await user.call('isMine', [0n, signature])).toBe(true)
    expect(await user.call('isMine', [0n, signAs('ed25519', key, 'other', pathOf(), request?.digest ?? ZERO)])).toBe(false)
  })
  it('may order again when nobody made its key, and gets its fee back', async () => {
    const { keys, user } = await deployed(3)
    await user.send(OWNER, 'orderKey', [2, 3], FEE_WEI)
    await keys.done(keys.contract.send(accountOf(1), 'unregisterParty', []))
    await keys.seat((await user.call('key', [])) as Hash)
    expect(await user.refused(OWNER, 'orderKey', [2, 2], FEE_WEI)).toBe('SUCCESS')
    expect(await user.refused(STRANGER, 'collect', [])).toBe('NotTheOwner')
    const before = keys.world.state.balance(OWNER)
    expect(await user.refused(OWNER, 'collect', [])).toBe('SUCCESS')
    expect(keys.world.state.balance(OWNER) - before).toBe(FEE_WEI)
  })
  it('checks signatures by Ethereum address', async () => {
    const keys = await createKeyWorld(0)
    const account = privateKeyToAccount(wordOf('account'))
    const digest = wordOf('digest')
    const raw = secp256k1.sign(Buffer.from(digest.slice(2), 'hex'), Buffer.from(wordOf('account').slice(2), 'hex'), {
      prehash: false,
      format: 'recovered',
    })
    const signature: Hex = `0x${Buffer.from([...raw.slice(1), raw[0] ?? 0]).toString('hex')}`
    const check = (signer: Address, value: Hash, bytes: Hex) => keys.contract.call('checkSignatureOf', [signer, value, bytes])
    expect(await check(account.address, digest, signature)).toBe(true)
    expect(await check(STRANGER, digest, signature)).toBe(false)
    expect(await check(account.address, wordOf('other'), signature)).toBe(false)
    expect(await check(account.address, digest, '0x')).toBe(false)
  })
  it('checks no signature by a key longer than any', async () => {
    const keys = await createKeyWorld(0)
    expect(await keys.contract.call('checkSignature', [0, `0x${'02'.repeat(300)}`, ZERO, '0x'])).toBe(false)
  })
  it('reads the addresses of a key, of one that is in use', async () => {
    const keys = await createKeyWorld(3)
    const key = await keys.activeKey('taproot', 2, 3)
    expect(await keys.contract.call('addressOf', [key, 0, wordOf('subject')])).toMatch(/^bcrt1p[a-z0-9]{58}$/)
    expect(await keys.contract.refused(OWNER, 'addressOf' as never, [wordOf('nothing'), 0, ZERO] as never)).toBe('UnknownKey')
    expect(await keys.contract.refused(OWNER, 'signingKey' as never, [wordOf('nothing'), 0, ZERO] as never)).toBe('UnknownKey')
  })
})

describe('a committee of 32 out of 128', () => {
  it('costs no call more than a party gives it', async () => {
    const keys = await createKeyWorld(128)
    const gas: Record<string, bigint> = {}
    const note = (name: string, gasUsed: bigint): void => {
      gas[name] = gasUsed > (gas[name] ?? 0n) ? gasUsed : (gas[name] ?? 0n)
    }
    const confirmAll = async (operation: Hash): Promise<void> => {
      const { attempt, members } = await keys.operation(operation)
      for (const id of members) {
        const args = [operation, attempt, wordOf('digest'), publicKeyOf('ecdsa', 'key')] as const
        note('confirm', (await keys.done(keys.contract.send(accountOf(id), 'confirm', args))).gasUsed)
      }
    }
    const key = await keys.order('ecdsa', 16, 32)
    note('seat', (await keys.seat(key)).gasUsed)
    await confirmAll(key)
    const reshare = await keys.done(keys.contract.send(OWNER, 'requestReshare', [key, 16, 32], FEE_WEI))
    note('request', reshare.gasUsed)
    const operation = eventOf(reshare, 'OperationRequested')['operation'] as Hash
    note('seat', (await keys.seat(operation)).gasUsed)
    note('seat', (await keys.seat(operation)).gasUsed)
    const { members, dealers } = await keys.operation(operation)
    const silent = [...new Set([...members, ...dealers])].filter((id) => id !== members[0]).slice(0, 32)
    const report = keys.contract.send(accountOf(members[0] ?? 0), 'reportAbsence', [operation, 1, silent, '0x'])
    note('reportAbsence', (await keys.done(report)).gasUsed)
    await confirmAll(operation)
    const seated = (await keys.key(key)).members
    for (const accuser of seated.slice(0, 8))
      for (const accused of seated.slice(8, 31)) {
        const sent = await keys.done(keys.contract.send(accountOf(accuser), 'reportDispute', [key, accused, REASON]))
        note('reportDispute', sent.gasUsed)
      }
    const id = await keys.orderSignature(key)
    const { digest } = await keys.request(id)
    const opening = keys.world.height + 4
    keys.world.height = opening + 1
    const signature = signAs('ecdsa', key, 'key', pathOf(), digest)
    note('postSignature', (await keys.done(keys.contract.send(STRANGER, 'postSignature', [id, 0, signature, rawHeader(opening)]))).gasUsed)
    if (process.env['SHOW_GAS'] !== undefined) console.log(gas)
    expect(Object.entries(gas).filter(([, used]) => used > CALL_GAS)).toEqual([])
  }, 30_000)
})
