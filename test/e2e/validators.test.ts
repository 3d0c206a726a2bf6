/** Four validator processes: blocks, finality, crashes and garbage. No edge. @module */
import { connect } from 'node:net'
import { join } from 'node:path'
import { createWalletClient, defineChain, http, parseEther } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createNetwork } from '#node/net/network.ts'
import { GOSSIP_KINDS } from '#node/net/topics.ts'
import { loadOrCreateDevnet } from '#node/genesis-tool.ts'
import { startChild } from '#node/supervisor/child.ts'
import { validatorCommand } from '#node/supervisor/parts.ts'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import { ALONE, Cluster, blockOf } from './cluster.ts'

let cluster: Cluster
beforeAll(async () => {
  cluster = await Cluster.start()
}, 60_000)
afterAll(async () => {
  await cluster.stop()
}, 30_000)

const account = mnemonicToAccount('test test test test test test test test test test test junk', { addressIndex: 1 })
const recipient = '0x000000000000000000000000000000000000bee1'

async function transfer(index: number): Promise<string> {
  const url = cluster.url(index)
  const chain = defineChain({
    id: 81_920,
    name: 'test',
    nativeCurrency: { name: 'FSN', symbol: 'FSN', decimals: 18 },
    rpcUrls: { default: { http: [url] } },
  })
  const wallet = createWalletClient({ account, chain, transport: http(url) })
  return wallet.sendTransaction({ to: recipient, value: parseEther('1') })
}
const receiptOf = (index: number, hash: string) =>
  waitFor(async () => (await callRpc(cluster.url(index), 'eth_getTransactionReceipt', [hash])) as Record<string, string> | null, {
    what: `receipt on validator ${index}`,
    timeoutMs: 20_000,
  })
const balanceOn = async (index: number) => BigInt((await callRpc(cluster.url(index), 'eth_getBalance', [recipient, 'latest'])) as string)

/** All live nodes hold the same block at this height. */
async function expectAgreement(number: number, indexes: readonly number[]): Promise<void> {
  const blocks = await Promise.all(indexes.map((index) => blockOf(cluster.url(index), number)))
  expect(new Set(blocks.map((block) => block?.hash)).size).toBe(1)
  expect(new Set(blocks.map((block) => block?.stateRoot)).size).toBe(1)
  expect(blocks[0]).not.toBeNull()
}

describe('four validators', () => {
  it('make blocks and finalise them', async () => {
    const final = await cluster.reach(0, 'finalized', 1)
    expect(final.number).toBeGreaterThan(0)
    await Promise.all([1, 2, 3].map((index) => cluster.reach(index, 'finalized', final.number)))
    await expectAgreement(final.number, [0, 1, 2, 3])
  }, 40_000)

  it('execute a transaction sent to any of them and show it on all, final within seconds', async () => {
    const hash = await transfer(2)
    const sentMs = Date.now()
    const receipt = await receiptOf(0, hash)
    expect(receipt['status']).toBe('0x1')
    const number = Number(receipt['blockNumber'])
    await Promise.all([0, 1, 2, 3].map((index) => cluster.reach(index, 'finalized', number)))
    expect(Date.now() - sentMs).toBeLessThan(15_000)
    expect(await Promise.all([0, 1, 2, 3].map(balanceOn))).toEqual(Array.from({ length: 4 }, () => parseEther('1')))
  }, 60_000)

  it('go on when one is killed, and it catches up to the same state when it returns', async () => {
    const balanceWei = await balanceOn(0)
    await cluster.kill(3)
    const receipt = await receiptOf(0, await transfer(0))
    const number = Number(receipt['blockNumber'])
    await cluster.reach(1, 'finalized', number, 40_000)
    await cluster.startValidator(3)
    await cluster.reach(3, 'finalized', number, 40_000)
    await expectAgreement(number, [0, 1, 2, 3])
    expect(await balanceOn(3)).toBe(balanceWei + parseEther('1'))
  }, 120_000)

  it('lose nothing that was final when all are killed at once', async () => {
    const final = await cluster.reach(0, 'finalized', 1)
    const balanceWei = await balanceOn(0)
    await Promise.all([0, 1, 2, 3].map((index) => cluster.kill(index)))
    await Promise.all([0, 1, 2, 3].map((index) => cluster.startValidator(index)))
    expect((await blockOf(cluster.url(0), final.number))?.hash).toBe(final.hash)
    const hash = await transfer(1)
    const receipt = await receiptOf(1, hash)
    await cluster.reach(2, 'finalized', Number(receipt['blockNumber']), 40_000)
    await expectAgreement(final.number, [0, 1, 2, 3])
    expect((await blockOf(cluster.url(3), final.number))?.hash).toBe(final.hash)
    expect(await balanceOn(3)).toBe(balanceWei + parseEther('1'))
  }, 120_000)

  it('are followed by a node without a key, from the first block to the newest', async () => {
    const follower = await cluster.startFollower()
    try {
      const receipt = await receiptOf(0, await transfer(0))
      const number = Number(receipt['blockNumber'])
      await waitFor(async () => ((await blockOf(follower.url, 'finalized'))?.number ?? 0) >= number || null, {
        what: 'final block of the follower',
        timeoutMs: 60_000,
      })
      expect((await blockOf(follower.url, number))?.stateRoot).toBe((await blockOf(cluster.url(0), number))?.stateRoot)
      const health = await fetch(`${follower.url}/health`)
      expect(health.status).toBe(200)
      expect(await health.json()).toMatchObject({ healthy: true, peers: 4 })
    } finally {
      await follower.stop()
    }
  }, 120_000)

  it('refuse a second process in the same folder and one on a taken port, with different exit codes', async () => {
    const command = validatorCommand(cluster.dataDir, cluster.ports, 0, ALONE)
    const second = await startChild({ ...command, logPath: join(cluster.dataDir, 'logs', 'second.log') })
    expect(await second.exited).toEqual({ code: 2, signal: null })
    expect(second.tail().join('\n')).toContain('DATA_DIR_IN_USE')
    const elsewhere = command.args.map((value) => (value.endsWith('validators/0') ? join(cluster.dataDir, 'elsewhere') : value))
    const third = await startChild({ ...command, args: elsewhere, logPath: join(cluster.dataDir, 'logs', 'third.log') })
    expect(await third.exited).toEqual({ code: 3, signal: null })
  }, 60_000)

  it('cut off a peer that gossips garbage and go on', async () => {
    const { genesisHash } = loadOrCreateDevnet(cluster.dataDir, { chainId: 81_920 }, 4)
    const attacker = await createNetwork({
      genesisHash,
      listenHost: '127.0.0.1',
      listenPort: 0,
      peers: cluster.ports.p2p.map((port) => `/ip4/127.0.0.1/tcp/${port}`),
      identity: null,
      verifyIdentity: () => true,
      progress: () => ({ headNumber: 1e9, headHash: genesisHash, finalizedNumber: 1e9, finalizedHash: genesisHash }),
      onMessage: () => 'ignore',
      onRequest: async () => Uint8Array.of(1, 2, 3),
      onStatus: () => undefined,
      onNotice: () => undefined,
      now: Date.now,
    })
    try {
      await waitFor(async () => attacker.peers().length === 4 || null, { what: 'four victims', timeoutMs: 20_000 })
      let round = 0
      const attack = async (): Promise<true | null> => {
        for (const kind of GOSSIP_KINDS) attacker.publish(kind, Uint8Array.of(round % 256, 0xc0, 0x80, round >> 8))
        round++
        return attacker.peers().length === 0 || null
      }
      await waitFor(attack, { what: 'being cut off', timeoutMs: 30_000, everyMs: 50 })
    } finally {
      await attacker.stop()
    }
    const receipt = await receiptOf(2, await transfer(2))
    await cluster.reach(1, 'finalized', Number(receipt['blockNumber']), 40_000)
    expect(cluster.children.every((child) => child?.running())).toBe(true)
  }, 120_000)

  it('stand garbage on every port', async () => {
    const junk = Buffer.from(Array.from({ length: 4096 }, (_, index) => (index * 7919) % 256))
    for (const port of [...cluster.ports.rpc, ...cluster.ports.p2p]) {
      const socket = connect(port, '127.0.0.1')
      socket.on('error', () => undefined)
      socket.write(junk)
      await new Promise((resolve) => setTimeout(resolve, 20))
      socket.destroy()
    }
    for (const body of [
      '',
      '{',
      '[]',
      '{"jsonrpc":"2.0","id":1,"method":"eth_sendRawTransaction","params":["0x46"]}',
      'null',
      `"${'x'.repeat(100_000)}"`,
    ]) {
      await fetch(cluster.url(0), { method: 'POST', headers: { 'content-type': 'application/json' }, body }).then((response) =>
        response.text(),
      )
    }
    const head = await cluster.reach(0, 'latest', 0)
    const receipt = await receiptOf(3, await transfer(3))
    expect(Number(receipt['blockNumber'])).toBeGreaterThanOrEqual(head.number)
    expect(cluster.children.every((child) => child?.running())).toBe(true)
  }, 60_000)
})
