/** Four validator processes: blocks, finality, crashes and garbage. No edge. @module */
import { connect } from 'node:net'
import { createWalletClient, defineChain, http, parseEther } from 'viem'
import { mnemonicToAccount } from 'viem/accounts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callRpc, waitFor } from '#node/supervisor/wait.ts'
import { Cluster, blockOf } from './cluster.ts'

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
    await cluster.kill(3)
    const receipt = await receiptOf(0, await transfer(0))
    const number = Number(receipt['blockNumber'])
    await cluster.reach(1, 'finalized', number, 40_000)
    await cluster.startValidator(3)
    await cluster.reach(3, 'finalized', number, 40_000)
    await expectAgreement(number, [0, 1, 2, 3])
    expect(await balanceOn(3)).toBe(parseEther('2'))
  }, 120_000)

  it('lose nothing that was final when all are killed at once', async () => {
    const final = await cluster.reach(0, 'finalized', 1)
    await Promise.all([0, 1, 2, 3].map((index) => cluster.kill(index)))
    await Promise.all([0, 1, 2, 3].map((index) => cluster.startValidator(index)))
    expect((await blockOf(cluster.url(0), final.number))?.hash).toBe(final.hash)
    const hash = await transfer(1)
    const receipt = await receiptOf(1, hash)
    await cluster.reach(2, 'finalized', Number(receipt['blockNumber']), 40_000)
    await expectAgreement(final.number, [0, 1, 2, 3])
    expect((await blockOf(cluster.url(3), final.number))?.hash).toBe(final.hash)
    expect(await balanceOn(3)).toBe(parseEther('3'))
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
