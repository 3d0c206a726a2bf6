/** What holders of a key owe without being asked, on real processes: proofs of signature, word of who is silent, a key that heals itself. @module */
import { readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { privateKeyToAccount } from 'viem/accounts'
import { partyDir, partyKeyPath } from '#node/supervisor/parts.ts'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import { hexToBytes } from '#shared/bytes.ts'
import { heartbeatDigest } from '#shared/dcrm/digest.ts'
import { nobleBackend } from '#shared/dcrm/noble-backend.ts'
import type { Hex } from '#shared/types.ts'
import { schnorr } from '@noble/curves/secp256k1.js'
import { KeyNetwork } from './key-network.ts'
import type { KeyEvent, KeyRow, Keys } from './keys.ts'

/** One minute: an epoch of the custody rewards. */
const HEARTBEAT_BLOCKS = 40
const REWARD_WEI = 10n ** 16n
/** Parties that are processes of their own, by their place on the command line. */
const EXTRA_PARTIES = [4, 5]
const HEARTBEAT = 2
const RESHARE = 2
const THRESHOLD = 3

let network: KeyNetwork
let keys: Keys
let made: KeyRow
let victim: Readonly<{ id: number; account: string; place: number }>
let killedAt: bigint

/** An extra party that holds the key, as process and as member. */
async function holderAmong(places: readonly number[], row: KeyRow) {
  const parties = await keys.parties()
  for (const place of places) {
    const secret = readFileSync(partyKeyPath(network.ready.dataDir, place), 'utf8').trim() as Hex
    const account = privateKeyToAccount(secret).address.toLowerCase()
    const party = parties.find((each) => each.account.toLowerCase() === account)
    if (party !== undefined && row.members.includes(party.id)) return { name: `party-${place}`, place, id: party.id, account }
  }
  throw new Error('five of six parties leave out one only')
}

const header = async (height: number) =>
  (await callRpc(network.ready.rpcUrls[0] ?? '', 'fusion_header', [`0x${height.toString(16)}`])) as Readonly<{ randomness: Hex }>
const since = async (name: string): Promise<readonly KeyEvent[]> =>
  (await keys.events(name)).filter(({ blockNumber }) => blockNumber > killedAt)
const isOf = (session: unknown, accused: unknown) => (event: KeyEvent) =>
  event.args['session'] === session && event.args['accused'] === accused

beforeAll(async () => {
  network = await KeyNetwork.start(6, { FUSION_HEARTBEAT_BLOCKS: String(HEARTBEAT_BLOCKS) })
  keys = network.keys
  made = await keys.create('taproot', THRESHOLD, 5)
  const holder = await holderAmong(EXTRA_PARTIES, made)
  network.kill(holder.name)
  victim = holder
  killedAt = BigInt((await callRpc(network.ready.rpcUrls[0] ?? '', 'eth_blockNumber')) as string)
}, 240_000)
afterAll(() => network.destroy())

describe('a key whose holder dies', () => {
  it('is given to new holders by the chain itself as soon as no more than one above the threshold can sign, and stays the same key', async () => {
    expect(await keys.read('health', [made.id])).toEqual([5n, 3n, 1n])
    const healed = keys.active(made.id, 1)
    // Each signature is a chance for the dead one to be drawn and missed; they are all made without it.
    let ordered = 0
    let isHealing = false
    while (!isHealing && ordered < 24) {
      const batch = Array.from({ length: 6 }, () => keys.sign(made.id, `order ${ordered++}`))
      for (const signed of await Promise.all(batch)) expect(await keys.acceptedBy(made, signed)).toEqual(['noble'])
      isHealing = (await since('OperationRequested')).length > 0
    }
    const after = await healed
    expect(after).toMatchObject({ epoch: 1, threshold: THRESHOLD, publicKey: made.publicKey })
    const parties = await keys.parties()
    expect(after.members).toEqual(parties.map(({ id }) => id).filter((id) => id !== victim.id))
    const [order, ...others] = await since('OperationRequested')
    expect(others).toEqual([])
    expect(order?.args).toMatchObject({ key: made.id, kind: RESHARE })
    expect(await keys.read('operation', [order?.args['operation']])).toMatchObject({ feeWei: 0n, kind: RESHARE })
    // Nobody asked for it: it came with the report that counted the third absence.
    const cause = (await since('AbsenceRecorded')).filter(({ transactionHash }) => transactionHash === order?.transactionHash)
    expect(cause.map(({ args }) => args['accused'])).toContain(victim.id)
    expect(await keys.acceptedBy(after, await keys.sign(made.id, 'by the new holders'))).toEqual(['noble'])
  }, 240_000)

  it('has each absence on chain with the words it rests on', async () => {
    const [recorded, reported] = await Promise.all([since('AbsenceRecorded'), since('AbsenceReported')])
    const mine = recorded.filter(({ args }) => args['accused'] === victim.id)
    expect(mine.length).toBeGreaterThanOrEqual(3)
    const accounts = new Map((await keys.parties()).map(({ id, account }) => [id, account.toLowerCase()]))
    for (const { args } of mine) {
      const words = reported.filter(isOf(args['session'], victim.id)).filter((event) => event.args['attempt'] === args['attempt'])
      const reporters = words.map((event) => event.args['reporter'] as number)
      expect(new Set(reporters).size).toBe(reporters.length)
      expect(reporters.length).toBeGreaterThanOrEqual(THRESHOLD - 1)
      for (const { transactionHash, args: word } of words)
        expect(await keys.senderOf(transactionHash)).toBe(accounts.get(word['reporter'] as number))
    }
  }, 60_000)

  it('proves once an epoch that it can sign; those who signed are paid for custody and the dead one is not', async () => {
    const [beat] = await waitFor(async () => ((await since('Heartbeat')).length > 0 ? since('Heartbeat') : null), {
      what: 'heartbeat',
      timeoutMs: 180_000,
      everyMs: 1000,
    })
    const { epoch, signature, signers } = (beat?.args ?? {}) as Readonly<{ epoch: bigint; signature: Hex; signers: readonly number[] }>
    expect(signers).toHaveLength(THRESHOLD)
    expect(signers).not.toContain(victim.id)
    const { randomness } = await header(Number(epoch) * HEARTBEAT_BLOCKS)
    const [genesis, request, seed] = [network.ready.genesisHash, made.id, randomness].map((word) => hexToBytes(word)) as [
      Uint8Array,
      Uint8Array,
      Uint8Array,
    ]
    const digest = heartbeatDigest(nobleBackend, genesis, request, Number(epoch), seed)
    const key = hexToBytes((await keys.read('signingKey', [made.id, HEARTBEAT, `0x${'00'.repeat(32)}`])) as Hex)
    expect(schnorr.verify(hexToBytes(signature), digest, key)).toBe(true)
    const accounts = new Map((await keys.parties()).map(({ id, account }) => [id, account]))
    const paid = (await since('Credited')).filter(({ transactionHash }) => transactionHash === beat?.transactionHash)
    expect(paid.map(({ args }) => args)).toEqual(signers.map((id) => ({ account: accounts.get(id), amountWei: REWARD_WEI })))
    expect((await since('Credited')).filter(({ args }) => (args['account'] as string).toLowerCase() === victim.account)).toEqual([])
  }, 240_000)
})

describe('a holder that lost its disk', () => {
  it('comes back to the same account under new keys, gets its share again, and signs', async () => {
    const row = await keys.key(made.id)
    const holder = await holderAmong(
      EXTRA_PARTIES.filter((place) => place !== victim.place),
      row,
    )
    const rowOf = async () => (await keys.parties()).find(({ id }) => id === holder.id)
    const before = await rowOf()
    network.kill(holder.name)
    for (const store of ['custody', 'presignatures'])
      rmSync(join(partyDir(network.ready.dataDir, holder.place), store), { recursive: true })
    network.restart(holder.name, ['--renew-keys'])
    await waitFor(
      async () => {
        const now = await rowOf()
        return now !== undefined && now.signKey !== before?.signKey && now.generation === 1n ? now : null
      },
      { what: 'new keys and their lease', timeoutMs: 90_000 },
    )
    await keys.change('requestRecovery', [made.id, holder.id])
    expect(await keys.key(made.id)).toMatchObject({ publicKey: made.publicKey, epoch: row.epoch, members: row.members })
    const posted = async () => (await keys.events('SignaturePosted')).filter(({ args }) => args['key'] === made.id)
    const seen = (await posted()).length
    let isSigner = false
    for (let turn = 0; turn < 4 && !isSigner; turn++) {
      const batch = Array.from({ length: 4 }, (_, index) => keys.sign(made.id, `after the loss ${turn} ${index}`))
      for (const signed of await Promise.all(batch)) expect(await keys.acceptedBy(row, signed)).toEqual(['noble'])
      isSigner = (await posted()).slice(seen).some(({ args }) => (args['signers'] as readonly number[]).includes(holder.id))
    }
    expect(isSigner).toBe(true)
  }, 300_000)
})
