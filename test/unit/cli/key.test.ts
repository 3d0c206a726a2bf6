/** Commands about keys against a chain and a relay on loopback: what they order, tell while they wait, believe, and refuse. @module */
import { createHash } from 'node:crypto'
import type { Hex } from 'viem'
import { publicKeyToAddress } from 'viem/accounts'
import { afterEach, describe, expect, it } from 'vitest'
import { bytesToHex, concatBytes, hexToBytes } from '#shared/bytes.ts'
import { testAddresses } from '#shared/dcrm/address.ts'
import { childKey, childTweak } from '#shared/dcrm/derive.ts'
import { genericDigest } from '#shared/dcrm/digest.ts'
import { openIdOf } from '#shared/dcrm/ids.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Scheme } from '#shared/dcrm/types.ts'
import { ed25519 } from '@noble/curves/ed25519.js'
import { secp256k1 } from '@noble/curves/secp256k1.js'
import type { Route } from '../sdk/fake-edge.ts'
import { GENESIS } from '../sdk/fake-edge.ts'
import type { Views } from './fake-keys.ts'
import { KEY, OPERATION, OWNER, REQUEST, Refusal, Turns, keyRow, operationRow, requestRow, startFakeKeys } from './fake-keys.ts'

const SECRET = 0x1234567890abcdefn
const PUBLIC = bytesToHex(secp256k1.Point.BASE.multiply(SECRET).toBytes(true))
const PATH = { purpose: 'generic', subject: new Uint8Array(32) } as const
const key = { ...keyRow, publicKey: PUBLIC }
const otherPublic = bytesToHex(secp256k1.Point.BASE.multiply(77n).toBytes(true))

const signingKeyOf = (scheme: Scheme, publicKey: Hex): Uint8Array => {
  const child = childKey(nobleBackend, scheme, hexToBytes(KEY), hexToBytes(publicKey), PATH)
  if (child === null) throw new Error('no child')
  return child.signingKey
}
/** What the contract tells: addresses of the child key, separated by spaces. */
const addressesOf = (scheme: Scheme, publicKey: Hex): string =>
  testAddresses(scheme, signingKeyOf(scheme, publicKey))
    .map(({ text }) => text)
    .join(' ')

let close: () => Promise<void> = () => Promise.resolve()
afterEach(() => close())

async function network(views: Views, routes: Readonly<Record<string, Route>> = {}) {
  const known: Views = { keyOf: key, addressOf: addressesOf('ecdsa', PUBLIC), genesisHash: GENESIS, seatHeight: 12n }
  const started = await startFakeKeys(Object.assign(views, { ...known, ...views }), routes)
  close = started.close
  return started
}

const CREATE = ['create', '--scheme', 'ecdsa', '--threshold', '3', '--committee', '5', '--account', '0']
const done = { ...operationRow, state: 3, confirmations: 0b11111 }

/** A relay that shows the envelopes of one session in pages of two. */
const relay =
  (envelopes: readonly object[]): Route =>
  ({ path }) => {
    const after = Number(new URL(path, 'http://relay').searchParams.get('after'))
    const page = envelopes.slice(after, after + 2)
    return { json: { envelopes: page, next: after + page.length, rounds: [] } }
  }
const envelope = (round: number, kind: string, from: number) => ({ cursor: 1, round, kind, from, bytes: '' })

describe('fusion key create', { timeout: 20_000 }, () => {
  it('pays a fee per member, tells every step once, and ends with key and addresses', async () => {
    const requested = { ...operationRow, state: 1, members: [] }
    const seated = { ...operationRow, confirmations: 0b00101 }
    // H("open", …) of this chain, protocol dkg, this operation, epoch 0, this committee, attempt 0: the name the parties use.
    const subject = { chainId: 81_920, protocol: 'dkg', requestId: hexToBytes(OPERATION), epoch: 0, set: [1, 2, 4, 5, 7], attempt: 0 }
    const session = bytesToHex(openIdOf(nobleBackend, subject)).slice(2)
    const shown = [
      envelope(0, 'broadcast', 2),
      envelope(1, 'broadcast', 2),
      envelope(1, 'direct', 2),
      envelope(1, 'echo', 4),
      envelope(4, 'broadcast', 7),
    ]
    const { run, sent, lines } = await network(
      { operation: new Turns(requested, requested, seated, done) },
      { [`GET /v1/sessions/${session}/envelopes`]: relay(shown) },
    )
    const { code, out, error } = await run(CREATE)
    expect([code, error]).toEqual([0, ''])
    expect(sent).toEqual([{ functionName: 'requestKey', args: [0, 3, 5], value: 5_000_000_000_000_000n }])
    expect(lines.slice(1)).toEqual([
      'ordered in block 8',
      `operation ${OPERATION} on key ${KEY}`,
      'waiting for block 12, whose randomness draws the parties',
      'attempt 0: committee 1, 2, 4, 5, 7',
      'attempt 0: round 0 opening: party 2',
      'attempt 0: round 1 deal: party 2',
      'attempt 0: round 4 open: party 7',
      'attempt 0: party 1 confirms on chain',
      'attempt 0: party 4 confirms on chain',
      'attempt 0: party 2 confirms on chain',
      'attempt 0: party 5 confirms on chain',
      'attempt 0: party 7 confirms on chain',
    ])
    expect(lines[0]).toMatch(/^sent 0x[0-9a-f]{64} with a fee of 0\.005 FSN$/)
    const address = publicKeyToAddress(bytesToHex(secp256k1.Point.fromBytes(signingKeyOf('ecdsa', PUBLIC)).toBytes(false)))
    expect(out).toContain(`public key:              ${PUBLIC}`)
    expect(out).toContain(`ethereum address:        ${address}`)
    expect(out).toMatch(/bitcoin-regtest address: bcrt1q/)
    expect(out).toContain('Nothing credits a payment to this address until Lock-in exists.')
  })

  it('prints nothing but JSON at the end with --json', async () => {
    const taproot = { ...key, scheme: 1 }
    const { run } = await network({ keyOf: taproot, operation: done, addressOf: addressesOf('taproot', PUBLIC) })
    const { out } = await run([...CREATE.with(2, 'taproot'), '--json'])
    expect(JSON.parse(out)).toMatchObject({
      key: KEY,
      operation: OPERATION,
      scheme: 'taproot',
      publicKey: PUBLIC,
      network: 'test',
      epoch: 4,
    })
    expect((JSON.parse(out) as { addresses: string[] }).addresses[0]).toMatch(/^bcrt1p/)
  })

  it('goes on without a relay, and says so once', async () => {
    const { run, lines, edgeUrl } = await network({ operation: new Turns(operationRow, operationRow, done) })
    expect((await run(CREATE)).code).toBe(0)
    expect(lines.filter((line) => line.includes('relay'))).toEqual([
      `the relay at ${edgeUrl} does not show rounds; following confirmations on chain only`,
    ])
  })

  it('refuses main networks before it sends anything', async () => {
    const { run, asked } = await network({})
    const { code, error } = await run([...CREATE, '--network', 'main'])
    expect(code).toBe(1)
    expect(error).toContain('main is refused: no bridge contract owns a key yet')
    expect(asked).toEqual([])
    expect((await run([...CREATE, '--network', 'moon'])).error).toContain('--network expects test or main, got "moon"')
  })

  it.each([
    [['create', '--scheme', 'rsa', '--threshold', '2', '--committee', '3'], '--scheme expects ecdsa, taproot, ed25519, got "rsa"'],
    [['create', '--threshold', '2', '--committee', '3'], 'got nothing'],
    [['create', '--scheme', 'ecdsa', '--threshold', '2'], '--threshold T and --committee M are needed'],
    [['create', '--scheme', 'ecdsa', '--threshold', '1', '--committee', '3'], 'got threshold 1 and committee 3'],
    [['create', '--scheme', 'ecdsa', '--threshold', '4', '--committee', '3'], 'got threshold 4 and committee 3'],
    [['create', '--scheme', 'ecdsa', '--threshold', '4', '--committee', '33'], 'got threshold 4 and committee 33'],
    [['create', '--scheme', 'ecdsa', '--threshold', 'x', '--committee', '3'], '--threshold expects a positive number, got "x"'],
    [[...CREATE, '--timeout-seconds', '0'], '--timeout-seconds expects a positive number, got "0"'],
    [['reshare', KEY, '--threshold', '3', '--committee', '2'], 'got threshold 3 and committee 2'],
    [['recover', KEY], '--party ID is needed'],
    [['refresh', '0x12'], 'expected an id of 32 bytes'],
    [['sign', KEY, '0x1234'], 'expected a message of 32 bytes as hex, or a text; got 4 digits of hex'],
    [['status', 'x'], 'expected an id of 32 bytes'],
    [['list', 'x'], 'expected no operands, got 1'],
  ])('does not understand %j', async (line, message) => {
    const { run, sent } = await network({})
    const { code, error } = await run(line)
    expect([code, error.includes(message)]).toEqual([2, true])
    expect(sent).toEqual([])
  })

  it('says what a refusal, an empty account and a reverted transaction mean', async () => {
    const refused = await network({ requestKey: new Refusal('TooFewCandidates') })
    expect((await refused.run(CREATE)).error).toContain('refuses with TooFewCandidates: fewer parties serve than the committee needs')
    expect(refused.sent).toEqual([])
    await refused.close()
    const strange = await network({ requestKey: new Refusal('HeaderWrong') })
    expect((await strange.run(CREATE)).error).toContain('refuses with HeaderWrong')
    await strange.close()
    const poor = await network({ balance: '0x11c37937e08000' })
    expect((await poor.run(CREATE)).error).toContain(`${OWNER} has 0.005 FSN and needs 0.005 FSN and gas`)
    expect(poor.sent).toEqual([])
    await poor.close()
    const reverted = await network({ receipt: '0x0' })
    expect((await reverted.run(CREATE)).error).toMatch(/transaction 0x[0-9a-f]{64} reverted in block 8/)
  })

  it('ends when the operation fails or freezes', async () => {
    const failed = await network({ operation: { ...operationRow, state: 5, attempt: 11 } })
    expect(await failed.run(CREATE)).toMatchObject({ code: 1, error: expect.stringContaining('the last was attempt 11') as string })
    await failed.close()
    const frozen = await network({ operation: { ...operationRow, state: 4 } })
    expect(await frozen.run(CREATE)).toMatchObject({ code: 1, error: expect.stringContaining('the operation is frozen') as string })
  })

  it('gives up after its timeout and names where to look', async () => {
    const { run } = await network({ operation: operationRow })
    const { code, error } = await run([...CREATE, '--timeout-seconds', '1'])
    expect(code).toBe(1)
    expect(error).toContain(
      `expected the end of operation ${OPERATION} within 1 s. It goes on without this command: fusion key status ${KEY}`,
    )
  })

  it('keeps asking a validator that is away for a while', async () => {
    const views: Views = {}
    const { run, lines, edgeUrl } = await network(views)
    Object.defineProperty(views, 'operation', {
      get: () => {
        const isFirst = views['away'] === undefined
        views['away'] ??= new Turns(true, true, true, true, false)
        return isFirst ? operationRow : done
      },
    })
    const { code, error } = await run(CREATE)
    expect([code, error]).toEqual([0, ''])
    expect(lines.filter((line) => line.includes('validator'))).toEqual([`validator ${edgeUrl}/rpc does not answer; still asking`])
  })

  it('names a validator that stays away', async () => {
    const views: Views = {}
    const { run, edgeUrl } = await network(views)
    Object.defineProperty(views, 'operation', {
      get: () => {
        views['away'] = true
        return operationRow
      },
    })
    const { code, error } = await run([...CREATE, '--timeout-seconds', '1'])
    expect([code, error.includes(`within 1 s; validator ${edgeUrl}/rpc does not answer`)]).toEqual([1, true])
  })

  it('names a validator that does not answer at all', async () => {
    const { run } = await network({})
    const { code, error } = await run([...CREATE, '--rpc', 'http://127.0.0.1:9'])
    expect([code, error.includes('validator http://127.0.0.1:9 does not answer')]).toEqual([1, true])
  })

  it('does not believe addresses that do not belong to the public key', async () => {
    const { run } = await network({ operation: done, addressOf: addressesOf('ecdsa', otherPublic) })
    const { code, error } = await run(CREATE)
    expect([code, error.includes('expected the addresses 0x')]).toEqual([1, true])
    await close()
    const broken = await network({ operation: done, keyOf: { ...key, publicKey: '0x1234' } })
    expect((await broken.run(CREATE)).error).toContain('the chain shows a public key that is none: 0x1234')
  })
})

describe('changing holders', { timeout: 20_000 }, () => {
  it('orders refresh, reshare and recovery with the fee of their committee, over sessions of the right name', async () => {
    const views: Views = {}
    const { run, sent, lines, asked } = await network(views)
    views['operation'] = { ...done, kind: 1 }
    expect((await run(['refresh', KEY, '--account', '0'])).error).toBe('')
    views['operation'] = { ...done, kind: 2, members: [1, 8], dealers: [2, 4, 5], confirmations: 3 }
    expect((await run(['reshare', KEY, '--threshold', '2', '--committee', '2', '--account', '0'])).error).toBe('')
    views['operation'] = { ...done, kind: 3, lost: 5, dealers: [1, 2, 7], confirmations: 0b01000 }
    expect((await run(['recover', KEY, '--party', '5', '--account', '0'])).error).toBe('')
    expect(sent).toEqual([
      { functionName: 'requestRefresh', args: [KEY], value: 5_000_000_000_000_000n },
      { functionName: 'requestReshare', args: [KEY, 2, 2], value: 2_000_000_000_000_000n },
      { functionName: 'requestRecovery', args: [KEY, 5], value: 5_000_000_000_000_000n },
    ])
    expect(lines).toContain('attempt 0: committee 1, 8, dealt by 2, 4, 5')
    expect(lines).toContain('attempt 0: parties 1, 2, 7 help party 5')
    expect(lines).toContain('attempt 0: party 5 confirms on chain')
    const name = (protocol: string, set: readonly number[]): string =>
      bytesToHex(openIdOf(nobleBackend, { chainId: 81_920, protocol, requestId: hexToBytes(OPERATION), epoch: 4, set, attempt: 0 })).slice(
        2,
      )
    const sessions = asked.map(({ path }) => /sessions\/(\w+)/.exec(path)?.[1]).filter((found) => found !== undefined)
    expect(sessions).toEqual([name('refresh', [1, 2, 4, 5, 7]), name('reshare', [1, 2, 4, 5, 8]), name('recover', [1, 2, 5, 7])])
  })

  it('is refused for keys of others, keys not in use, keys nobody made, and parties that hold no share', async () => {
    const views: Views = { keyOf: { ...key, owner: `0x${'22'.repeat(20)}` } }
    const { run, sent } = await network(views)
    expect((await run(['refresh', KEY, '--account', '0'])).error).toContain(
      `expected an order by the owner 0x${'22'.repeat(20)}, the signing account is ${OWNER}`,
    )
    await close()
    const frozen = await network({ keyOf: { ...key, state: 3 } })
    expect((await frozen.run(['refresh', KEY, '--account', '0'])).error).toContain(`expected an active key, ${KEY} is frozen`)
    await close()
    const none = await network({ keyOf: { ...key, state: 0 } })
    expect((await none.run(['sign', KEY, 'x', '--account', '0'])).error).toContain(`there is no key ${KEY}`)
    await close()
    const member = await network({})
    expect((await member.run(['recover', KEY, '--party', '3', '--account', '0'])).error).toContain(
      'expected a member of the key (1, 2, 4, 5, 7), got party 3',
    )
    expect([...sent, ...frozen.sent, ...none.sent, ...member.sent]).toEqual([])
  })
})

describe('fusion key sign', { timeout: 20_000 }, () => {
  const text = 'pay nobody'
  const message = `0x${createHash('sha256').update(text).digest('hex')}` as const
  const digest = genericDigest(nobleBackend, hexToBytes(GENESIS), hexToBytes(REQUEST), hexToBytes(message))
  const childSecret = (): Uint8Array => {
    const tweak = childTweak(nobleBackend, 'ecdsa', hexToBytes(KEY), hexToBytes(PUBLIC), PATH)
    return hexToBytes(`0x${((SECRET + tweak) % secp256k1.Point.Fn.ORDER).toString(16).padStart(64, '0')}`)
  }
  const signature = bytesToHex(concatBytes(secp256k1.sign(digest, childSecret(), { prehash: false }), Uint8Array.of(0)))
  const signed = { ...requestRow, state: 2, message, digest: bytesToHex(digest), signature }

  it('hashes a text, pays per signer, and checks the signature itself', async () => {
    const { run, sent, lines } = await network({ signatureOf: new Turns(requestRow, signed) })
    const { code, out, error } = await run(['sign', KEY, text, '--account', '0'])
    expect([code, error]).toEqual([0, ''])
    expect(sent).toEqual([
      { functionName: 'requestSignature', args: [KEY, `0x${'00'.repeat(32)}`, message], value: 3_000_000_000_000_000n },
    ])
    expect(lines.at(-1)).toContain(`request ${REQUEST}: waiting for the block that draws 3 signers`)
    for (const part of [message, bytesToHex(digest), signature, bytesToHex(signingKeyOf('ecdsa', PUBLIC)), 'verified:    yes'])
      expect(out).toContain(part)
  })

  it('takes 32 bytes of hex as they are', async () => {
    const { run, sent } = await network({ signatureOf: signed })
    expect(JSON.parse((await run(['sign', KEY, message.toUpperCase().replace('0X', '0x'), '--account', '0', '--json'])).out)).toMatchObject(
      {
        message,
        request: REQUEST,
        verified: true,
      },
    )
    expect(sent[0]?.args[2]).toBe(message)
  })

  it('does not believe the chain', async () => {
    const wrong = await network({ signatureOf: { ...signed, signature: `${signature.slice(0, 20)}00${signature.slice(22)}` } })
    expect((await wrong.run(['sign', KEY, text, '--account', '0'])).error).toContain('the chain shows a signature that does not verify')
    await close()
    const empty = await network({ signatureOf: { ...signed, signature: '0x' } })
    expect((await empty.run(['sign', KEY, text, '--account', '0'])).error).toContain('does not verify')
    await close()
    const other = await network({ signatureOf: { ...signed, digest: GENESIS } })
    expect((await other.run(['sign', KEY, text, '--account', '0'])).error).toContain(`expected a signature of digest ${bytesToHex(digest)}`)
  })

  it('ends when nobody signed in time', async () => {
    const expired = await network({ signatureOf: { ...requestRow, state: 3 } })
    expect((await expired.run(['sign', KEY, text, '--account', '0'])).error).toContain(`nobody signed request ${REQUEST} in time`)
    await close()
    const slow = await network({ signatureOf: requestRow })
    expect((await slow.run(['sign', KEY, text, '--account', '0', '--timeout-seconds', '1'])).error).toContain(
      `expected a signature for request ${REQUEST} within 1 s`,
    )
  })

  it('verifies each scheme by its own rules', async () => {
    const seed = new Uint8Array(32).fill(9)
    const row = { ...key, scheme: 2, publicKey: bytesToHex(ed25519.getPublicKey(seed)) }
    // A signature under the vault key itself is none under its child.
    const own = bytesToHex(ed25519.sign(digest, seed))
    const { run } = await network({ keyOf: row, signatureOf: { ...signed, signature: own } })
    expect((await run(['sign', KEY, text, '--account', '0'])).error).toContain('does not verify')
    await close()
    const taproot = await network({ keyOf: { ...key, scheme: 1 }, signatureOf: { ...signed, signature: signature.slice(0, 130) } })
    expect((await taproot.run(['sign', KEY, text, '--account', '0'])).error).toContain('does not verify')
  })
})
